/*
 * Memory of one policy: it grows by whole mappings, never moves and goes back to the system as one.
 * References are 32 bit, so that an entry is half the size that pointers would make it. (malloc would keep a
 * freed policy: its threshold for mappings rises to 32 MiB.)
 */
#ifndef EB_POLICY_ARENA_H
#define EB_POLICY_ARENA_H

#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define EB_ARENA_CHUNK ((size_t)1 << 20)
#define EB_ARENA_STR_MAX (EB_ARENA_CHUNK / 2) /* bytes of one string */

typedef uint32_t eb_ref; /* 0 = nothing */

struct eb_arena {
    char **chunks;
    uint32_t n, cap;
    size_t used; /* bytes of the last chunk */
};

void eb_arena_done(struct eb_arena *a);
/* Copies s; false when out of memory or longer than EB_ARENA_STR_MAX. */
EB_MUSTCHECK bool eb_arena_add(struct eb_arena *a, struct eb_str s, eb_ref *ret);
/* The string, aligned to 4 bytes; {NULL, 0} for 0. */
struct eb_str eb_arena_get(const struct eb_arena *a, eb_ref ref);
size_t eb_arena_bytes(const struct eb_arena *a);

/* Whole pages of their own, zeroed. */
struct eb_pages {
    void *p;
    size_t bytes;
};
/* Makes room for at least bytes; what is there moves without a copy. */
EB_MUSTCHECK bool eb_pages_grow(struct eb_pages *pages, size_t bytes);
void eb_pages_done(struct eb_pages *pages);

#endif
