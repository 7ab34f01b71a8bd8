/* base64url without padding, one spelling per value: no padding, no line ends, spare bits zero (RFC 4648 s5,
 * RFC 7515 s2). */
#ifndef EB_BASE_BASE64URL_H
#define EB_BASE_BASE64URL_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* Characters that n bytes take. */
static inline size_t eb_base64url_len(size_t n) {
    return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}
/* Most bytes that n characters can give. */
static inline size_t eb_base64url_max(size_t n) {
    return n / 4 * 3 + (n % 4 > 1 ? n % 4 - 1 : 0);
}
/* Writes eb_base64url_len(n) characters at to; no NUL. */
void eb_base64url_encode(char *to, const void *p, size_t n);
/*
 * Decodes text into to, which has room for cap bytes; *ret_n is the length. EB_E_MALFORMED for any other
 * spelling, EB_E_TOO_LARGE where cap is too small.
 */
EB_MUSTCHECK enum eb_rc eb_base64url_decode(void *to, size_t cap, struct eb_str text, size_t *ret_n);

#endif
