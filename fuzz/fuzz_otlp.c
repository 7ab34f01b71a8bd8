/* What a collector of traces answers, and lists of headers and attributes. The first byte says which: `h` a
 * list, else the Content-Type of an answer. */
#include "base/utf8.h"
#include "fuzz.h"
#include "trace/answer.h"
#include "trace/pairs.h"

static void check_list(struct eb_str list) {
    bool fine = eb_pairs_check_headers(list, NULL) == EB_OK;
    eb_auto_buf struct eb_buf value = {0};
    struct eb_err err = {0};
    struct eb_str rest = list, name;
    while (eb_pairs_next(&rest, &name, &value, &err)) {
        FUZZ_MUST(name.n > 0 && name.p >= list.p && name.p + name.n <= list.p + list.n && value.n <= list.n);
        /* Nothing that passed may end a line of the request. */
        FUZZ_MUST(!fine || (value.n && !memchr(value.p, '\n', value.n) && !memchr(value.p, '\r', value.n) &&
                            !memchr(value.p, '\0', value.n) && !memchr(name.p, '\n', name.n)));
    }
    FUZZ_MUST(!fine || err.rc == EB_OK);
    FUZZ_MUST(err.rc == EB_OK || err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const types[] = {"application/x-protobuf", "application/json", "text/html", NULL};
    static const long statuses[] = {200, 202, 307, 400, 429, 503};
    if (size == 0)
        return 0;
    struct eb_str body = eb_str_n(data + 1, size - 1);
    if (data[0] == 'h') {
        check_list(body);
        return 0;
    }
    struct eb_otlp_answer a;
    struct eb_err err = {0};
    long status = statuses[data[0] / 4 % EB_COUNT_OF(statuses)];
    eb_otlp_answer_read(status, types[data[0] % 4], data[0], body, &a, &err);
    FUZZ_MUST(a.taken == (err.rc == EB_OK) && (a.taken || err.text[0]));
    FUZZ_MUST(!a.taken || (status / 100 == 2 && !a.retry));
    FUZZ_MUST(a.taken || (a.rejected == 0 && a.remark.n == 0));
    FUZZ_MUST(a.rejected <= INT64_MAX && a.after_s >= 0);
    FUZZ_MUST(!a.remark.n || (a.remark.p > body.p && a.remark.p + a.remark.n <= body.p + body.n));
    return 0;
}
