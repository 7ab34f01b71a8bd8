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

/* IS and the value of each character of the alphabet, 0 for all others. */
enum { IS = 64, VALUE = 63 };
static const uint8_t values[256] = {
    ['A'] = IS | 0,  ['B'] = IS | 1,  ['C'] = IS | 2,  ['D'] = IS | 3,  ['E'] = IS | 4,  ['F'] = IS | 5,
    ['G'] = IS | 6,  ['H'] = IS | 7,  ['I'] = IS | 8,  ['J'] = IS | 9,  ['K'] = IS | 10, ['L'] = IS | 11,
    ['M'] = IS | 12, ['N'] = IS | 13, ['O'] = IS | 14, ['P'] = IS | 15, ['Q'] = IS | 16, ['R'] = IS | 17,
    ['S'] = IS | 18, ['T'] = IS | 19, ['U'] = IS | 20, ['V'] = IS | 21, ['W'] = IS | 22, ['X'] = IS | 23,
    ['Y'] = IS | 24, ['Z'] = IS | 25, ['a'] = IS | 26, ['b'] = IS | 27, ['c'] = IS | 28, ['d'] = IS | 29,
    ['e'] = IS | 30, ['f'] = IS | 31, ['g'] = IS | 32, ['h'] = IS | 33, ['i'] = IS | 34, ['j'] = IS | 35,
    ['k'] = IS | 36, ['l'] = IS | 37, ['m'] = IS | 38, ['n'] = IS | 39, ['o'] = IS | 40, ['p'] = IS | 41,
    ['q'] = IS | 42, ['r'] = IS | 43, ['s'] = IS | 44, ['t'] = IS | 45, ['u'] = IS | 46, ['v'] = IS | 47,
    ['w'] = IS | 48, ['x'] = IS | 49, ['y'] = IS | 50, ['z'] = IS | 51, ['0'] = IS | 52, ['1'] = IS | 53,
    ['2'] = IS | 54, ['3'] = IS | 55, ['4'] = IS | 56, ['5'] = IS | 57, ['6'] = IS | 58, ['7'] = IS | 59,
    ['8'] = IS | 60, ['9'] = IS | 61, ['-'] = IS | 62, ['_'] = IS | 63,
};

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
        uint32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
        if (!(a & b & c & d & IS))
            return EB_E_MALFORMED;
        uint32_t v = (a & VALUE) << 18 | (b & VALUE) << 12 | (c & VALUE) << 6 | (d & VALUE);
        *out++ = (uint8_t)(v >> 16);
        *out++ = (uint8_t)(v >> 8);
        *out++ = (uint8_t)v;
    }
    if (left) {
        uint32_t a = values[in[0]], b = values[in[1]], c = left == 3 ? values[in[2]] : IS;
        if (!(a & b & c & IS) || (left == 2 && (b & 15)) || (left == 3 && (c & 3)))
            return EB_E_MALFORMED;
        *out++ = (uint8_t)(a << 2 | (b & VALUE) >> 4);
        if (left == 3)
            *out++ = (uint8_t)(b << 4 | (c & VALUE) >> 2);
    }
    *ret_n = out_n;
    return EB_OK;
}
