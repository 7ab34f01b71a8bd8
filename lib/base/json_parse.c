#include "base/json_parse.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/utf8.h"

enum { NUMBER_MAX = 128 };

struct parser {
    const char *p, *end;
    unsigned depth; /* levels left */
    enum eb_rc rc;
    enum eb_json_nul nul;
    struct eb_buf scratch; /* strings with escapes; may hold passwords */
};

static bool fail(struct parser *s, enum eb_rc rc) {
    if (s->rc == EB_OK)
        s->rc = rc;
    return false;
}

static json_t *no_value(struct parser *s, enum eb_rc rc) {
    (void)fail(s, rc);
    return NULL;
}

/* What a constructor of jansson gave, where NULL means no memory. */
static json_t *made(struct parser *s, json_t *j) {
    return j ? j : no_value(s, EB_E_NOMEM);
}

static void scratch_done(struct parser *s) {
    eb_buf_done(&s->scratch);
}

static void blanks(struct parser *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool take(struct parser *s, char c) {
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* The text of a string whose opening quote was taken; borrowed from the input, or from the scratch until the
 * next string. */
static bool string(struct parser *s, struct eb_str *ret) {
    const char *from = s->p;
    bool escaped = false, wide = false;
    s->p = eb_json_text_end(s->p, s->end, &escaped, &wide);
    *ret = eb_str_n(from, (size_t)(s->p - from));
    if (s->p < s->end && *s->p == '\\')
        s->p++; /* cut off in an escape: the fault is what is missing behind it */
    if (!take(s, '"'))
        return false;
    if (escaped) {
        /* wiped once, at the end: wiping it for every string would cost the square of the input */
        s->scratch.n = 0;
        if (!eb_json_text_resolve(*ret, s->nul, &s->scratch))
            return false;
        if (!eb_buf_ok(&s->scratch))
            return fail(s, EB_E_NOMEM);
        *ret = eb_buf_get(&s->scratch);
    }
    return !wide || eb_utf8_valid(*ret);
}

static json_t *integer(struct parser *s, const char *from) {
    bool minus = *from == '-';
    int64_t v = 0;
    for (from += minus; from < s->p; from++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, minus ? '0' - *from : *from - '0', &v))
            return no_value(s, EB_E_MALFORMED);
    return made(s, json_integer(v));
}

static json_t *real(struct parser *s, const char *from) {
    char text[NUMBER_MAX];
    size_t n = (size_t)(s->p - from);
    if (n >= sizeof text)
        return no_value(s, EB_E_MALFORMED);
    memcpy(text, from, n);
    text[n] = '\0';
    double v = strtod(text, NULL); /* the programs never leave the C locale */
    return isfinite(v) ? made(s, json_real(v)) : no_value(s, EB_E_MALFORMED);
}

static json_t *number(struct parser *s) {
    const char *from = s->p;
    bool is_real;
    if (!eb_json_number(&s->p, s->end, &is_real))
        return no_value(s, EB_E_MALFORMED);
    return is_real ? real(s, from) : integer(s, from);
}

static json_t *word(struct parser *s, struct eb_str w, json_t *value) {
    if (!eb_str_starts(eb_str_n(s->p, (size_t)(s->end - s->p)), w))
        return no_value(s, EB_E_MALFORMED);
    s->p += w.n;
    return value;
}

static json_t *value(struct parser *s);

static bool member(struct parser *s, json_t *object) {
    struct eb_str key;
    blanks(s);
    if (!take(s, '"') || !string(s, &key) || json_object_getn(object, key.p, key.n))
        return fail(s, EB_E_MALFORMED);
    eb_auto_free char *copy = NULL;
    if (key.p == s->scratch.p) { /* which the value's strings overwrite */
        copy = eb_str_dup(key);
        if (!copy)
            return fail(s, EB_E_NOMEM);
        key.p = copy;
    }
    blanks(s);
    if (!take(s, ':'))
        return fail(s, EB_E_MALFORMED);
    json_t *v = value(s);
    return v && (json_object_setn_new_nocheck(object, key.p, key.n, v) == 0 || fail(s, EB_E_NOMEM));
}

static bool element(struct parser *s, json_t *list) {
    json_t *v = value(s);
    return v && (json_array_append_new(list, v) == 0 || fail(s, EB_E_NOMEM));
}

/* What stands between the brackets, the first of which was taken. */
static json_t *container(struct parser *s, json_t *empty, char close,
                         bool (*item)(struct parser *, json_t *)) {
    eb_auto_json json_t *j = empty;
    if (!j)
        return no_value(s, EB_E_NOMEM);
    if (s->depth == 0)
        return no_value(s, EB_E_TOO_LARGE);
    s->depth--;
    blanks(s);
    if (!take(s, close)) {
        do {
            if (!item(s, j))
                return NULL;
            blanks(s);
        } while (take(s, ','));
        if (!take(s, close))
            return no_value(s, EB_E_MALFORMED);
    }
    s->depth++;
    return EB_TAKE(j);
}

static json_t *value(struct parser *s) {
    struct eb_str text;
    blanks(s);
    if (s->p == s->end)
        return no_value(s, EB_E_MALFORMED);
    switch (*s->p) {
    case '{': s->p++; return container(s, json_object(), '}', member);
    case '[': s->p++; return container(s, json_array(), ']', element);
    case '"':
        s->p++;
        return string(s, &text) ? made(s, json_stringn_nocheck(text.p, text.n)) : no_value(s, EB_E_MALFORMED);
    case 't': return word(s, EB_STR("true"), json_true());
    case 'f': return word(s, EB_STR("false"), json_false());
    case 'n': return word(s, EB_STR("null"), json_null());
    default: return number(s);
    }
}

static enum eb_rc parse(struct eb_str text, unsigned depth, enum eb_json_nul nul, json_t **ret,
                        size_t *ret_at) {
    EB_CLEANUP(scratch_done)
    struct parser s = {
        .p = text.p, .end = text.p + text.n, .depth = depth, .nul = nul, .scratch = {.secret = true}};
    blanks(&s);
    eb_auto_json json_t *root = NULL;
    if (s.p < s.end && (*s.p == '{' || *s.p == '['))
        root = value(&s);
    if (root)
        blanks(&s);
    if (root && s.p == s.end) {
        *ret = EB_TAKE(root);
        return EB_OK;
    }
    *ret_at = (size_t)(s.p - text.p);
    return s.rc == EB_OK ? EB_E_MALFORMED : s.rc;
}

enum eb_rc eb_json_parse(struct eb_str text, unsigned depth, json_t **ret, size_t *ret_at) {
    return parse(text, depth, EB_JSON_NUL_REFUSED, ret, ret_at);
}

enum eb_rc eb_json_parse_of_peers(struct eb_str text, unsigned depth, json_t **ret, size_t *ret_at) {
    return parse(text, depth, EB_JSON_NUL_REPLACED, ret, ret_at);
}
