/* A hash index of 32-bit values (open addressing, linear probing); the caller compares, the index only finds
 * candidates. */
#ifndef EB_POLICY_INDEX_H
#define EB_POLICY_INDEX_H

#include <stdint.h>

#include "policy/arena.h"

struct eb_slot {
    uint32_t hash, value; /* value 0 = free */
};

struct eb_index {
    struct eb_pages pages;
    uint32_t cap, n; /* cap: 0 or a power of two */
};

/* Adds a value, which is never 0. False when out of memory. */
EB_MUSTCHECK bool eb_index_add(struct eb_index *ix, uint64_t hash, uint32_t value);
void eb_index_done(struct eb_index *ix);
/*
 * The next candidate for a hash, 0 = none: `for (at = eb_index_start(ix, hash); (v = eb_index_next(ix, hash,
 * &at)) != 0;)`. It may also be another key's.
 */
static inline uint32_t eb_index_start(const struct eb_index *ix, uint64_t hash) {
    return ix->cap ? (uint32_t)hash & (ix->cap - 1) : 0;
}
uint32_t eb_index_next(const struct eb_index *ix, uint64_t hash, uint32_t *at);

#endif
