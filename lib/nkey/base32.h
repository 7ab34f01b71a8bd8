/* Base32 as nkeys and jti use it: RFC 4648 s6 alphabet, upper case, no padding, spare bits zero; one spelling
 * per value. */
#ifndef EB_NKEY_BASE32_H
#define EB_NKEY_BASE32_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Characters that n bytes take. */
#define EB_BASE32_LEN(n) (((n)*8 + 4) / 5)

/* Writes EB_BASE32_LEN(n) characters at to; no NUL. */
void eb_base32_encode(char *to, const uint8_t *p, size_t n);
/*
 * Decodes text into exactly n bytes. EB_E_MALFORMED where the length does not fit n, a character is outside
 * the alphabet or a spare bit is set; *ret_at (NULL allowed) is then the index of the faulty character,
 * text.n where none is to blame. No branch or table index depends on the characters' values, so that a seed
 * leaves no trace in caches.
 */
EB_MUSTCHECK enum eb_rc eb_base32_decode(uint8_t *to, size_t n, struct eb_str text, size_t *ret_at);

#endif
