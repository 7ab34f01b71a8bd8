/* What a server tells of a login that it refused: always one count, of one of the reasons. */
#include "fuzz.h"
#include "log.h"
#include "refusal.h"

static uint64_t all(void) {
    uint64_t n = 0;
    for (int i = 0; i < EB_REFUSAL_MAX_; i++)
        n += eb_refusals_get((enum eb_refusal)i);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct eb_str event = eb_str_n(data, size);
    eb_log_set_level("error"); /* nothing is to be written */
    enum eb_refusal why = eb_refusal_of(event);
    FUZZ_MUST(why < EB_REFUSAL_MAX_);
    uint64_t before = all(), of_it = eb_refusals_get(why);
    eb_refusal_take(event);
    FUZZ_MUST(all() == before + 1 && eb_refusals_get(why) == of_it + 1);
    return 0;
}
