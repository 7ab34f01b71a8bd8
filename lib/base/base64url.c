#include "base/base64url.h"

#include <stdint.h>

static const char alphabet[64] __attribute__((nonstring)) =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void eb_base64url_encode(char *to, const void *p, size_t n) {
    const uint8_t *in = p;
    for (; n >= 3; n -= 3, in += 3) {
        *to++ = alphabet[in[0] >> 2];
        *to++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        *to++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
        *to++ = alphabet[in[2] & 63];
    }
    if (n == 0)
        return;
    *to++ = alphabet[in[0] >> 2];
    if (n == 1) {
        *to = alphabet[(in[0] & 3) << 4];
        return;
    }
    *to++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
    *to = alphabet[(in[1] & 15) << 2];
}

/* 0..63, or 64 for a character outside the alphabet. */
static uint32_t value(unsigned char c) {
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0' + 52);
    return c == '-' ? 62 : c == '_' ? 63 : 64;
}

enum eb_rc eb_base64url_decode(void *to, size_t cap, struct eb_str text, size_t *ret_n) {
    if (text.n % 4 == 1)
        return EB_E_MALFORMED;
    size_t out_n = eb_base64url_max(text.n);
    if (out_n > cap)
        return EB_E_TOO_LARGE;
    const unsigned char *in = (const unsigned char *)text.p;
    uint8_t *out = to;
    size_t left = text.n;
    for (; left >= 4; left -= 4, in += 4) {
        uint32_t a = value(in[0]), b = value(in[1]), c = value(in[2]), d = value(in[3]);
        if ((a | b | c | d) & 64)
            return EB_E_MALFORMED;
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        *out++ = (uint8_t)(v >> 16);
        *out++ = (uint8_t)(v >> 8);
        *out++ = (uint8_t)v;
    }
    if (left) {
        uint32_t a = value(in[0]), b = value(in[1]), c = left == 3 ? value(in[2]) : 0;
        if ((a | b | c) & 64 || (left == 2 && (b & 15)) || (left == 3 && (c & 3)))
            return EB_E_MALFORMED;
        *out++ = (uint8_t)(a << 2 | b >> 4);
        if (left == 3)
            *out++ = (uint8_t)(b << 4 | c >> 2);
    }
    *ret_n = out_n;
    return EB_OK;
}
