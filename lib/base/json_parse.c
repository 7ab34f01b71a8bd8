#include "base/json_parse.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/utf8.h"

enum { NUMBER_MAX = 128 };

struct parser {
    const char *p, *end;
    unsigned depth; /* levels left */
    enum eb_rc rc;
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

/* Bytes of plain text: neither a quote, a backslash, a control nor part of a longer character. Eight at a
 * time where they can be. */
static const char *plain_run(const char *p, const char *end) {
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    while (end - p >= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        if ((((v - ones * 0x20) | (quote - ones) | (slash - ones)) & ~v & tops) | (v & tops))
            break;
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static bool hex4(struct parser *s, uint32_t *ret) {
    if (s->end - s->p < 4)
        return false;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        char c = *s->p;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *ret = v;
    return true;
}

/* The digits behind \u, and those of the second half where the first is a high surrogate. */
static bool code_point(struct parser *s, uint32_t *ret) {
    uint32_t c, low;
    if (!hex4(s, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (!take(s, '\\') || !take(s, 'u') || !hex4(s, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret = c;
    return true;
}

static void add_utf8(struct eb_buf *b, uint32_t c) {
    if (c < 0x80) {
        eb_buf_ch(b, (char)c);
        return;
    }
    if (c < 0x800) {
        eb_buf_ch(b, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            eb_buf_ch(b, (char)(0xe0 | c >> 12));
        } else {
            eb_buf_ch(b, (char)(0xf0 | c >> 18));
            eb_buf_ch(b, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        eb_buf_ch(b, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    eb_buf_ch(b, (char)(0x80 | (c & 0x3f)));
}

static bool escape(struct parser *s) {
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (s->p == s->end)
        return false;
    char c = *s->p++;
    if (c == 'u') {
        uint32_t point;
        if (!code_point(s, &point))
            return false;
        add_utf8(&s->scratch, point);
        return true;
    }
    const char *at = c ? strchr(letters, c) : NULL;
    if (!at)
        return false;
    eb_buf_ch(&s->scratch, bytes[at - letters]);
    return true;
}

/* The text of a string whose opening quote was taken; borrowed from the input, or from the scratch until the
 * next string. */
static bool string(struct parser *s, struct eb_str *ret) {
    const char *from = s->p;
    bool escaped = false, wide = false;
    s->scratch.n =
        0; /* wiped once, at the end: wiping it for every string would cost the square of the input */
    for (;;) {
        s->p = plain_run(s->p, s->end);
        if (s->p == s->end || (unsigned char)*s->p < 0x20)
            return false;
        if ((unsigned char)*s->p >= 0x80) {
            wide = true;
            s->p++;
            continue;
        }
        bool end = *s->p == '"';
        if (escaped || !end)
            eb_buf_add(&s->scratch, from, (size_t)(s->p - from));
        s->p++;
        if (end)
            break;
        escaped = true;
        if (!escape(s))
            return false;
        from = s->p;
    }
    if (!eb_buf_ok(&s->scratch))
        return fail(s, EB_E_NOMEM);
    *ret = escaped ? eb_buf_get(&s->scratch) : eb_str_n(from, (size_t)(s->p - 1 - from));
    return !wide || eb_utf8_valid(*ret);
}

static bool digits(struct parser *s) {
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
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
    bool is_real = false;
    (void)take(s, '-');
    if (!take(s, '0') && !digits(s))
        return no_value(s, EB_E_MALFORMED);
    if (take(s, '.')) {
        is_real = true;
        if (!digits(s))
            return no_value(s, EB_E_MALFORMED);
    }
    if (take(s, 'e') || take(s, 'E')) {
        is_real = true;
        if (!take(s, '+'))
            (void)take(s, '-');
        if (!digits(s))
            return no_value(s, EB_E_MALFORMED);
    }
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

enum eb_rc eb_json_parse(struct eb_str text, unsigned depth, json_t **ret, size_t *ret_at) {
    EB_CLEANUP(scratch_done)
    struct parser s = {.p = text.p, .end = text.p + text.n, .depth = depth, .scratch = {.secret = true}};
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
