#include "policy/arena.h"

#include <stdlib.h>
#include <sys/mman.h>

#define UNIT 4 /* bytes that a reference counts */
#define CHUNKS_MAX (UINT32_MAX / (EB_ARENA_CHUNK / UNIT))
#define PAGES_MIN ((size_t)16 << 10)

/* All of it is written soon: to have the pages at once is cheaper than a fault for each. */
static void *map(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void eb_arena_done(struct eb_arena *a) {
    for (uint32_t i = 0; i < a->n; i++)
        (void)munmap(a->chunks[i], EB_ARENA_CHUNK);
    free(a->chunks);
    *a = (struct eb_arena){0};
}

static bool add_chunk(struct eb_arena *a) {
    if (a->n == CHUNKS_MAX)
        return false;
    if (a->n == a->cap) {
        uint32_t cap = a->cap ? a->cap * 2 : 16;
        char **chunks = realloc(a->chunks, cap * sizeof *chunks);
        if (!chunks)
            return false;
        a->chunks = chunks;
        a->cap = cap;
    }
    char *chunk = map(EB_ARENA_CHUNK);
    if (!chunk)
        return false;
    a->chunks[a->n++] = chunk;
    a->used = a->n == 1 ? UNIT : 0; /* reference 0 means nothing */
    return true;
}

bool eb_arena_add(struct eb_arena *a, struct eb_str s, eb_ref *ret) {
    if (s.n > EB_ARENA_STR_MAX)
        return false;
    uint32_t len = (uint32_t)s.n;
    size_t need = (sizeof len + s.n + UNIT - 1) / UNIT * UNIT;
    if ((a->n == 0 || EB_ARENA_CHUNK - a->used < need) && !add_chunk(a))
        return false;
    char *at = a->chunks[a->n - 1] + a->used;
    memcpy(at, &len, sizeof len);
    if (s.n)
        memcpy(at + sizeof len, s.p, s.n);
    *ret = (eb_ref)((a->n - 1) * (EB_ARENA_CHUNK / UNIT) + a->used / UNIT);
    a->used += need;
    return true;
}

struct eb_str eb_arena_get(const struct eb_arena *a, eb_ref ref) {
    if (ref == 0)
        return EB_STR_NONE;
    const char *at =
        a->chunks[ref / (EB_ARENA_CHUNK / UNIT)] + (size_t)(ref % (EB_ARENA_CHUNK / UNIT)) * UNIT;
    uint32_t len;
    memcpy(&len, at, sizeof len);
    return (struct eb_str){at + sizeof len, len};
}

size_t eb_arena_bytes(const struct eb_arena *a) {
    return a->n ? (a->n - 1) * EB_ARENA_CHUNK + a->used : 0;
}

bool eb_pages_grow(struct eb_pages *pages, size_t bytes) {
    if (bytes <= pages->bytes)
        return true;
    size_t want = pages->bytes ? pages->bytes : PAGES_MIN;
    while (want < bytes)
        want *= 2;
    void *p = pages->p ? mremap(pages->p, pages->bytes, want, MREMAP_MAYMOVE) : map(want);
    if (!p || p == MAP_FAILED)
        return false;
    *pages = (struct eb_pages){p, want};
    return true;
}

void eb_pages_done(struct eb_pages *pages) {
    if (pages->p)
        (void)munmap(pages->p, pages->bytes);
    *pages = (struct eb_pages){0};
}
