#include "base/nearest.h"
#include "policy/impl.h"

void eb_nearest_mend(struct eb_str unknown, const char *const *known, size_t known_n, struct eb_buf *to) {
    const char *nearest = eb_nearest(unknown, known, known_n);
    if (nearest) {
        eb_buf_printf(to, "write `%s`", nearest);
        return;
    }
    eb_buf_z(to, "known here:");
    for (size_t i = 0; i < known_n; i++)
        eb_buf_printf(to, "%s `%s`", i ? "," : "", known[i]);
}
