#include "kube/object.h"

#include "base/json.h"
#include "kube/feed.h"
#include "kube/name.h"

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
    case '[': s->depth++; return true;
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

/* Puts 0 in the place of every list and object below EB_KUBE_DEPTH. Text that is no JSON stays none: a brace
 * that is missing around them is missing afterwards. */
static void prune(struct eb_buf *text) {
    struct eb_kube_scan s = {.depth = 0};
    size_t to = 0;
    for (size_t i = 0; i < text->n; i++) {
        char c = text->p[i];
        size_t before = s.depth;
        if (!eb_kube_scan_step(&s, c)) { /* the reader will say so */
            memmove(text->p + to, text->p + i, text->n - i);
            to += text->n - i;
            break;
        }
        if (before == EB_KUBE_DEPTH && s.depth > before)
            text->p[to++] = '0';
        else if (before <= EB_KUBE_DEPTH)
            text->p[to++] = c;
    }
    if (text->n)
        text->p[text->n = to] = '\0';
}

enum eb_rc eb_kube_object_parse(struct eb_buf *text, json_t **ret, struct eb_err *reterr) {
    if (!eb_buf_ok(text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    prune(text);
    replace_nuls(text);
    return eb_json_object(eb_buf_get(text), EB_KUBE_OBJECT_MAX, ret, reterr);
}

/* The text behind the first `"key":"`. */
static struct eb_str guess(struct eb_str text, struct eb_str key) {
    const char *at = text.n ? memmem(text.p, text.n, key.p, key.n) : NULL;
    if (!at)
        return EB_STR_NONE;
    struct eb_str rest = {at + key.n, text.n - (size_t)(at - text.p) - key.n};
    return eb_str_cut(&rest, '"');
}

void eb_kube_object_guess(struct eb_str text, struct eb_str *ret_ns, struct eb_str *ret_name) {
    struct eb_str ns = guess(text, EB_STR("\"namespace\":\"")), name = guess(text, EB_STR("\"name\":\""));
    bool found = eb_kube_is_label(ns) && eb_kube_is_subdomain(name);
    *ret_ns = found ? ns : EB_STR_NONE;
    *ret_name = found ? name : EB_STR_NONE;
}

void eb_kube_object_reset(struct eb_buf *text) {
    if (text->cap > KEEP_MAX)
        eb_buf_done(text);
    eb_buf_reset(text);
}
