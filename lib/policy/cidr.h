/* Address ranges (CIDR, RFC 4632 and RFC 4291 s2.3). */
#ifndef EB_POLICY_CIDR_H
#define EB_POLICY_CIDR_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct eb_cidr {
    uint8_t len;  /* bytes of the address: 4 or 16 */
    uint8_t bits; /* of the prefix */
    uint8_t addr[16];
};

/* Reads `10.0.0.0/8` or `fd00::/8`. EB_E_INVALID: a bare address, bits behind the prefix; the text says what
 * to write. */
EB_MUSTCHECK enum eb_rc eb_cidr_parse(struct eb_str text, struct eb_cidr *ret, struct eb_err *reterr);
/* Reads an address; IPv4 within IPv6 (::ffff:a.b.c.d) becomes IPv4, a zone (%eth0) is left out. False where
 * it is none. */
bool eb_cidr_address(struct eb_str text, struct eb_cidr *ret);
bool eb_cidr_has(const struct eb_cidr *range, const struct eb_cidr *address);

#endif
