#include "nkey/base32.h"

void eb_base32_encode(char *to, const uint8_t *p, size_t n) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 5; have -= 5) {
            uint32_t v = bits >> (have - 5) & 31;
            *to++ = (char)(v + 'A' - ((25 - v) >> 31) * ('A' + 26 - '2'));
        }
    }
    if (have) {
        uint32_t v = bits << (5 - have) & 31;
        *to = (char)(v + 'A' - ((25 - v) >> 31) * ('A' + 26 - '2'));
    }
}

/* All ones where lo <= c <= hi, else 0. */
static uint32_t within(uint32_t c, uint32_t lo, uint32_t hi) {
    return (((c - lo) | (hi - c)) >> 31) - 1;
}

/* 0..31, or 32 for a character outside the alphabet. */
static uint32_t value(unsigned char c) {
    uint32_t letter = within(c, 'A', 'Z'), digit = within(c, '2', '7');
    return (letter & (c - (uint32_t)'A')) | (digit & (c - (uint32_t)'2' + 26)) | (~(letter | digit) & 32);
}

enum eb_rc eb_base32_decode(uint8_t *to, size_t n, struct eb_str text, size_t *ret_at) {
    size_t bad = text.n;
    uint32_t bits = 0, wrong = 0;
    unsigned have = 0;
    if (text.n != EB_BASE32_LEN(n)) {
        if (ret_at)
            *ret_at = bad;
        return EB_E_MALFORMED;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint32_t v = value((unsigned char)text.p[i]);
        if (v & 32 && bad == text.n)
            bad = i;
        wrong |= v & 32;
        bits = bits << 5 | (v & 31);
        have += 5;
        if (have >= 8) {
            have -= 8;
            *to++ = (uint8_t)(bits >> have);
        }
    }
    if (!wrong && (bits & ((1u << have) - 1))) {
        bad = text.n - 1;
        wrong = 1;
    }
    if (ret_at)
        *ret_at = bad;
    return wrong ? EB_E_MALFORMED : EB_OK;
}
