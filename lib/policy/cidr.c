#include "policy/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/num.h"

#define TEXT_MAX 64 /* bytes of an address with zone or prefix */

bool eb_cidr_address(struct eb_str text, struct eb_cidr *ret) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char z[TEXT_MAX + 1];
    if (eb_str_has(text, ':'))
        text = eb_str_cut(&text, '%');
    if (text.n == 0 || text.n > TEXT_MAX || eb_str_has(text, '\0'))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    struct eb_cidr a = {.len = 4, .bits = 32};
    if (inet_pton(AF_INET, z, a.addr) != 1) {
        if (inet_pton(AF_INET6, z, a.addr) != 1)
            return false;
        a.len = 16;
        a.bits = 128;
        if (memcmp(a.addr, mapped, sizeof mapped) == 0) {
            memmove(a.addr, a.addr + sizeof mapped, 4);
            memset(a.addr + 4, 0, 12);
            a.len = 4;
            a.bits = 32;
        }
    }
    *ret = a;
    return true;
}

/* Clears the bits behind the prefix; true where one was set. */
static bool clear_host_bits(struct eb_cidr *c) {
    bool was_set = false;
    for (unsigned i = 0; i < c->len; i++) {
        unsigned keep = c->bits > i * 8 ? c->bits - i * 8 : 0;
        uint8_t mask = (uint8_t)(0xff00U >> (keep < 8 ? keep : 8));
        was_set |= (c->addr[i] & (uint8_t)~mask) != 0;
        c->addr[i] &= mask;
    }
    return was_set;
}

enum eb_rc eb_cidr_parse(struct eb_str text, struct eb_cidr *ret, struct eb_err *reterr) {
    struct eb_str bits_text = text, addr_text = eb_str_cut(&bits_text, '/');
    struct eb_cidr c;
    if (eb_str_has(addr_text, '%') || !eb_cidr_address(addr_text, &c))
        return EB_FAIL(reterr, EB_E_INVALID, "no address range: write one as 10.0.0.0/8 or fd00::/8");
    char z[INET6_ADDRSTRLEN];
    int family = c.len == 4 ? AF_INET : AF_INET6;
    (void)inet_ntop(family, c.addr, z, sizeof z);
    unsigned full = c.len * 8U;
    if (!bits_text.p)
        return EB_FAIL(reterr, EB_E_INVALID, "a single address: write %s/%u", z, full);
    int64_t bits;
    if (eb_num_i64(bits_text, 0, full, &bits) != EB_OK)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "the number behind `/` must be 0 to %u: write %s/%u for one address", full, z, full);
    c.bits = (uint8_t)bits;
    if (clear_host_bits(&c)) {
        char base[INET6_ADDRSTRLEN];
        (void)inet_ntop(family, c.addr, base, sizeof base);
        return EB_FAIL(reterr, EB_E_INVALID,
                       "%s is not the start of a /%u range: write %s/%u, or %s/%u for that one address", z,
                       (unsigned)c.bits, base, (unsigned)c.bits, z, full);
    }
    *ret = c;
    return EB_OK;
}

bool eb_cidr_has(const struct eb_cidr *range, const struct eb_cidr *address) {
    if (range->len != address->len)
        return false;
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    if (memcmp(range->addr, address->addr, whole) != 0)
        return false;
    return rest == 0 || ((range->addr[whole] ^ address->addr[whole]) & (uint8_t)(0xff00U >> rest)) == 0;
}
