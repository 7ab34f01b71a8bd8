#include "base/utf8.h"

#include <stdint.h>

/* How many bytes at the start of s, in steps of eight, are printable ASCII. */
static size_t printable(struct eb_str s) {
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    size_t at = 0;
    for (uint64_t v; s.n - at >= sizeof v; at += sizeof v) {
        memcpy(&v, s.p + at, sizeof v);
        /* A byte has its top set where it is from 0x80 on, below 0x20 or (as 0x80) DEL. */
        if ((v | (v - ones * 0x20) | (v + ones)) & tops)
            break;
    }
    return at;
}

size_t eb_utf8_char(struct eb_str s) {
    if (s.n == 0)
        return 0;
    const unsigned char *u = (const unsigned char *)s.p;
    if (u[0] < 0x80)
        return 1;
    size_t len = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4 || s.n < len)
        return 0;
    uint32_t cp = u[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (u[i] & 0x3f);
    }
    if ((len == 3 && cp < 0x800) || (len == 4 && (cp < 0x10000 || cp > 0x10ffff)) ||
        (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    return len;
}

bool eb_utf8_valid(struct eb_str s) {
    size_t plain = printable(s);
    s = (struct eb_str){s.p ? s.p + plain : NULL, s.n - plain};
    while (s.n) {
        size_t len = eb_utf8_char(s);
        if (len == 0)
            return false;
        s.p += len;
        s.n -= len;
    }
    return true;
}

struct eb_str eb_utf8_whole(struct eb_str s) {
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];
        if ((c & 0xc0) == 0x80)
            continue; /* inside a character */
        size_t len = c > 0xf4 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return len > back ? (struct eb_str){s.p, s.n - back} : s;
    }
    return s;
}

bool eb_utf8_has_control(struct eb_str s) {
    for (size_t i = printable(s); i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] >= 0x80 &&
            (unsigned char)s.p[i + 1] <= 0x9f)
            return true;
    }
    return false;
}
