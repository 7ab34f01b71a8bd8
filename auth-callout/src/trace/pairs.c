#include "trace/pairs.h"

#include <strings.h>

enum { HEADERS_MAX_N = 32 };

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode(struct eb_str text, struct eb_buf *to) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            eb_buf_ch(to, text.p[i]);
            continue;
        }
        int high = i + 2 < text.n ? hex(text.p[i + 1]) : -1, low = i + 2 < text.n ? hex(text.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        eb_buf_ch(to, (char)(high << 4 | low));
        i += 2;
    }
    return true;
}

/* The next piece that is not blank; {NULL, 0} where there is none. */
static struct eb_str next_piece(struct eb_str *rest) {
    while (rest->p) {
        size_t n = 0;
        while (n < rest->n && rest->p[n] != ',' && rest->p[n] != '\n')
            n++;
        struct eb_str piece = eb_str_trim(eb_str_n(rest->p, n));
        *rest = n < rest->n ? eb_str_n(rest->p + n + 1, rest->n - n - 1) : EB_STR_NONE;
        if (piece.n)
            return piece;
    }
    return EB_STR_NONE;
}

bool eb_pairs_next(struct eb_str *rest, struct eb_str *ret_name, struct eb_buf *value,
                   struct eb_err *reterr) {
    struct eb_str piece = next_piece(rest);
    eb_buf_reset(value);
    if (!piece.p)
        return false;
    const char *equals = memchr(piece.p, '=', piece.n);
    struct eb_str name = eb_str_trim(eb_str_n(piece.p, equals ? (size_t)(equals - piece.p) : piece.n));
    if (!equals || name.n == 0) {
        (void)EB_FAIL(reterr, EB_E_INVALID, "an item is not name=value");
        return false;
    }
    struct eb_str text = eb_str_trim(eb_str_n(equals + 1, (size_t)(piece.p + piece.n - equals - 1)));
    if (!decode(text, value)) {
        (void)EB_FAIL(reterr, EB_E_INVALID, "a %% is not followed by two hexadecimal digits");
        return false;
    }
    if (!eb_buf_ok(value)) {
        (void)EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        return false;
    }
    *ret_name = name;
    return true;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_header_value(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] > '~')
            return false;
    return eb_str_trim(s).n > 0;
}

/* What the exporter says itself. */
static bool is_ours(struct eb_str name) {
    static const char *const ours[] = {"content-type",      "content-length", "content-encoding",
                                       "transfer-encoding", "connection",     "expect"};
    for (size_t i = 0; i < EB_COUNT_OF(ours); i++)
        if (name.n == strlen(ours[i]) && strncasecmp(name.p, ours[i], name.n) == 0)
            return true;
    return false;
}

enum eb_rc eb_pairs_check_headers(struct eb_str list, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf value = {.secret = true};
    struct eb_err err = {0};
    struct eb_str name;
    size_t n = 0;
    if (list.n > EB_HEADERS_MAX)
        return EB_FAIL(reterr, EB_E_INVALID, "larger than %zu bytes", EB_HEADERS_MAX);
    while (eb_pairs_next(&list, &name, &value, &err)) {
        n++;
        if (!is_token(name))
            return EB_FAIL(reterr, EB_E_INVALID, "item %zu: the name holds what no name of a header can", n);
        if (is_ours(name))
            return EB_FAIL(reterr, EB_E_INVALID, "item %zu: this header is written by the exporter itself",
                           n);
        if (!is_header_value(eb_buf_get(&value)))
            return EB_FAIL(reterr, EB_E_INVALID, "item %zu: the value is empty, or holds what no header can",
                           n);
        if (n > HEADERS_MAX_N)
            return EB_FAIL(reterr, EB_E_INVALID, "more than %d headers", HEADERS_MAX_N);
    }
    return err.rc == EB_OK ? EB_OK : EB_FAIL(reterr, err.rc, "item %zu: %s", n + 1, err.text);
}
