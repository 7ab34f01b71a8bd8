#include "policy/impl.h"

#define WORD_MAX 32 /* bytes of a word that is compared */

static char plain(char c) {
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 32);
    return c == '-' ? '_' : c;
}

/* Edits from a to b, case and `-`/`_` alike. */
static size_t distance(struct eb_str a, struct eb_str b) {
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = diagonal + (plain(a.p[i - 1]) != plain(b.p[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.n];
}

/* Edits, or 1 where one is how the other begins: `publish` means `pub`. */
static size_t apart(struct eb_str a, struct eb_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    size_t edits = distance(a, b),
           begins = n < 3 ? SIZE_MAX : distance((struct eb_str){a.p, n}, (struct eb_str){b.p, n});
    return begins == 0 && edits > 1 ? 1 : edits;
}

void eb_nearest_mend(struct eb_str unknown, const char *const *known, size_t known_n, struct eb_buf *to) {
    size_t best = SIZE_MAX;
    const char *nearest = NULL;
    for (size_t i = 0; i < known_n && unknown.n <= WORD_MAX; i++) {
        struct eb_str k = eb_str(known[i]);
        size_t d = k.n <= WORD_MAX ? apart(unknown, k) : SIZE_MAX;
        if (d < best) {
            best = d;
            nearest = known[i];
        }
    }
    if (nearest && best <= (strlen(nearest) + 1) / 2) {
        eb_buf_printf(to, "write `%s`", nearest);
        return;
    }
    eb_buf_z(to, "known here:");
    for (size_t i = 0; i < known_n; i++)
        eb_buf_printf(to, "%s `%s`", i ? "," : "", known[i]);
}
