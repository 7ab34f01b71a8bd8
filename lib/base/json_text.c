#include "base/json_text.h"

/* Bytes of plain text: neither a quote, a backslash, a control nor part of a longer character. Eight at a
 * time where they can be. */
static const char *plain_run(const char *p, const char *end) {
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    while (end - p >= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        uint64_t ends =
            (((v - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) | v) & tops;
        if (ends && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
            break;
        if (ends) /* the lowest of its bits is exact, those above it may come of a borrow */
            return p + (__builtin_ctzll(ends) >> 3);
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

const char *eb_json_text_end(const char *p, const char *end, bool *escaped, bool *wide) {
    for (;;) {
        p = plain_run(p, end);
        if (p == end || *p == '"' || (unsigned char)*p < 0x20)
            return p;
        if (*p != '\\') {
            *wide = true;
            p++;
            continue;
        }
        if (p + 1 == end)
            return p;
        *escaped = true;
        p += 2;
    }
}

enum { REPLACEMENT = 0xfffd };

static bool hex4(const char *p, uint32_t *ret) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
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

/* The digits behind \u at p, of both halves where it is a surrogate pair; how many bytes they take, 0 where
 * they are wrong. */
static size_t code_point(const char *p, size_t n, enum eb_json_nul nul, uint32_t *ret) {
    uint32_t high, low;
    if (n < 4 || !hex4(p, &high) || (high == 0 && nul == EB_JSON_NUL_REFUSED) ||
        (high >= 0xdc00 && high < 0xe000))
        return 0;
    *ret = high ? high : REPLACEMENT;
    if (high < 0xd800 || high >= 0xe000)
        return 4;
    if (n < 10 || p[4] != '\\' || p[5] != 'u' || !hex4(p + 6, &low) || low < 0xdc00 || low >= 0xe000)
        return 0;
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 10;
}

static void add_utf8(struct eb_buf *b, uint32_t c) {
    char bytes[4];
    size_t n = 0;
    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xe0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        bytes[n++] = (char)(0xf0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    eb_buf_add(b, bytes, n);
}

bool eb_json_text_resolve(struct eb_str text, enum eb_json_nul nul, struct eb_buf *to) {
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *p = text.p;
    size_t n = text.n;
    while (n) {
        const char *slash = memchr(p, '\\', n);
        size_t plain = slash ? (size_t)(slash - p) : n;
        eb_buf_add(to, p, plain);
        p += plain;
        n -= plain;
        if (n == 0)
            break;
        if (n < 2)
            return false;
        size_t used = 2;
        const char *letter = p[1] ? strchr(letters, p[1]) : NULL;
        if (letter) {
            eb_buf_ch(to, meant[letter - letters]);
        } else {
            uint32_t c;
            size_t digits = p[1] == 'u' ? code_point(p + 2, n - 2, nul, &c) : 0;
            if (digits == 0)
                return false;
            add_utf8(to, c);
            used += digits;
        }
        p += used;
        n -= used;
    }
    return true;
}

static bool take(const char **p, const char *end, char c) {
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

static bool digits(const char **p, const char *end) {
    const char *from = *p;
    while (*p < end && **p >= '0' && **p <= '9')
        (*p)++;
    return *p > from;
}

bool eb_json_number(const char **p, const char *end, bool *ret_real) {
    *ret_real = false;
    (void)take(p, end, '-');
    if (!take(p, end, '0') && !digits(p, end))
        return false;
    if (take(p, end, '.')) {
        *ret_real = true;
        if (!digits(p, end))
            return false;
    }
    if (take(p, end, 'e') || take(p, end, 'E')) {
        *ret_real = true;
        if (!take(p, end, '+'))
            (void)take(p, end, '-');
        return digits(p, end);
    }
    return true;
}
