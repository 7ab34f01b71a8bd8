/* Documents. What is read as JSON, as far as it is JSON, must be what libyaml reads of the same bytes, which
 * a comment before them makes it do. */
#include <string.h>

#include "base/buf.h"
#include "base/doc.h"
#include "fuzz.h"

/* Every event with its text, by length; false where the document is refused. */
static bool flat(struct eb_str bytes, struct eb_buf *to, struct eb_err *err) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
    struct eb_doc_event ev;
    size_t depth = 0;
    FUZZ_MUST(eb_doc_from(bytes, "fuzz", &d, NULL) == EB_OK);
    do {
        if (eb_doc_next(d, &ev, err) != EB_OK) {
            FUZZ_MUST(err->rc != EB_OK && strncmp(err->text, "line ", 5) == 0);
            return false;
        }
        depth += ev.kind == EB_DOC_MAP || ev.kind == EB_DOC_LIST;
        FUZZ_MUST(depth <= EB_DOC_DEPTH);
        if (ev.kind == EB_DOC_MAP_END || ev.kind == EB_DOC_LIST_END)
            FUZZ_MUST(depth-- > 0);
        eb_buf_printf(to, "%d%d%d %zu:", (int)ev.kind, ev.quoted, ev.is_key, ev.text.n);
        eb_buf_str(to, ev.text);
    } while (ev.kind != EB_DOC_END);
    FUZZ_MUST(depth == 0 && eb_buf_ok(to));
    return true;
}

/* U+0085, U+2028 and U+2029 as they are: in a text of YAML they end a line, in one of JSON they do not. */
static bool has_break_of_yaml(struct eb_str bytes) {
    static const char *const breaks[] = {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < EB_COUNT_OF(breaks); i++)
        if (bytes.n && memmem(bytes.p, bytes.n, breaks[i], strlen(breaks[i])))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eb_auto_buf struct eb_buf text = {0}, fast = {0}, slow = {0};
    struct eb_err err = {0}, yaml_err = {0};
    eb_buf_z(&text, "#\n");
    eb_buf_str(&text, eb_str_n(data, size));
    bool read = flat(eb_str_n(data, size), &fast, &err), yaml = flat(eb_buf_get(&text), &slow, &yaml_err);
    /* of JSON, libyaml does not take surrogate pairs, tabs at some places, and long keys */
    if (read && yaml && !has_break_of_yaml(eb_str_n(data, size)))
        FUZZ_MUST(fast.n == slow.n && memcmp(fast.p, slow.p, fast.n) == 0);
    return 0;
}
