#include "kube/object.h"

#include "base/json.h"
#include "kube/feed.h"

#define KEEP_MAX ((size_t)64 << 10) /* memory kept for the next object */

bool eb_kube_scan_step(struct eb_kube_scan *s, char c) {
    if (s->in_string) {
        if (s->escape)
            s->escape = false;
        else if (c == '\\')
            s->escape = true;
        else if (c == '"')
            s->in_string = false;
        return true;
    }
    switch (c) {
    case '"': s->in_string = true; return true;
    case '{':
    case '[': return ++s->depth <= EB_KUBE_SCAN_DEPTH;
    case '}':
    case ']':
        if (s->depth == 0)
            return false;
        s->depth--;
        return true;
    default: return true;
    }
}

static void replace_nuls(struct eb_buf *text) {
    static const char nul[] = "u0000";
    if (!text->n || !memmem(text->p, text->n, "\\u0000", 6))
        return;
    for (char *p = text->p, *end = text->p + text->n; p && p < end;) {
        p = memchr(p, '\\', (size_t)(end - p));
        if (!p)
            return;
        if ((size_t)(end - p) > sizeof nul - 1 && memcmp(p + 1, nul, sizeof nul - 1) == 0)
            p[5] = '1';
        p += 2; /* what follows the backslash is no backslash of its own */
    }
}

enum eb_rc eb_kube_object_parse(struct eb_buf *text, json_t **ret, struct eb_err *reterr) {
    if (!eb_buf_ok(text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    replace_nuls(text);
    return eb_json_object(eb_buf_get(text), EB_KUBE_OBJECT_MAX, ret, reterr);
}

void eb_kube_object_reset(struct eb_buf *text) {
    if (text->cap > KEEP_MAX)
        eb_buf_done(text);
    eb_buf_reset(text);
}
