#include "site/mem.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/buf.h"

#define BLOCK ((size_t)16 << 10)

struct eb_mem_block {
    struct eb_mem_block *next;
    size_t used, cap;
    alignas(max_align_t) char bytes[];
};

void eb_mem_done(struct eb_mem *m) {
    while (m->blocks) {
        struct eb_mem_block *next = m->blocks->next;
        free(m->blocks);
        m->blocks = next;
    }
    *m = (struct eb_mem){0};
}

void *eb_mem_new(struct eb_mem *m, size_t n) {
    const size_t align = alignof(max_align_t);
    struct eb_mem_block *b = m->blocks;
    if (n > SIZE_MAX / 2) {
        m->failed = true;
        return NULL;
    }
    n = (n + align - 1) / align * align;
    if (!b || b->cap - b->used < n) {
        size_t cap = n > BLOCK / 4 ? n : BLOCK;
        b = calloc(1, sizeof *b + cap);
        if (!b) {
            m->failed = true;
            return NULL;
        }
        b->cap = cap;
        if (cap == n && m->blocks) { /* a block of its own; the one begun goes on being filled */
            b->next = m->blocks->next;
            m->blocks->next = b;
        } else {
            b->next = m->blocks;
            m->blocks = b;
        }
    }
    void *p = b->bytes + b->used;
    b->used += n;
    return p;
}

struct eb_str eb_mem_str(struct eb_mem *m, struct eb_str s) {
    char *p = eb_mem_new(m, s.n + 1);
    if (!p)
        return EB_STR("");
    if (s.n)
        memcpy(p, s.p, s.n);
    return eb_str_n(p, s.n);
}

struct eb_str eb_mem_printf(struct eb_mem *m, const char *fmt, ...) {
    eb_auto_buf struct eb_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    m->failed |= !eb_buf_ok(&b);
    return eb_mem_str(m, eb_buf_ok(&b) ? eb_buf_get(&b) : EB_STR(""));
}
