/*
 * A growing byte buffer that latches failure: writers need no check after each call, one eb_buf_ok() at the
 * end tells. Zero-initialised ({0}) is empty. Always NUL-terminated behind n once something was written, so p
 * can be printed.
 */
#ifndef EB_BASE_BUF_H
#define EB_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/str.h"

struct eb_buf {
    char *p;
    size_t n, cap;
    bool failed; /* out of memory, or over EB_BUF_MAX */
    bool secret; /* contents are wiped when the buffer grows or is released; set before the first write */
};

#define EB_BUF_MAX ((size_t)1 << 30)

void eb_buf_done(struct eb_buf *b);
#define eb_auto_buf EB_CLEANUP(eb_buf_done)

/* Empties it and clears the failure; keeps the memory. */
void eb_buf_reset(struct eb_buf *b);
/* Room for n more bytes; returns where they go (call eb_buf_used after), NULL on failure. */
char *eb_buf_reserve(struct eb_buf *b, size_t n);
void eb_buf_used(struct eb_buf *b, size_t n);
/* eb_buf_add where the buffer must grow first, or has failed. */
void eb_buf_add_grown(struct eb_buf *b, const void *p, size_t n);
static inline void eb_buf_add(struct eb_buf *b, const void *p, size_t n) {
    if (n >= b->cap - b->n || b->failed) {
        eb_buf_add_grown(b, p, n);
        return;
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}
static inline void eb_buf_str(struct eb_buf *b, struct eb_str s) {
    eb_buf_add(b, s.p, s.n);
}
static inline void eb_buf_z(struct eb_buf *b, const char *z) {
    eb_buf_add(b, z, strlen(z));
}
static inline void eb_buf_ch(struct eb_buf *b, char c) {
    eb_buf_add(b, &c, 1);
}
void eb_buf_i64(struct eb_buf *b, int64_t v);
void eb_buf_u64(struct eb_buf *b, uint64_t v);
void eb_buf_printf(struct eb_buf *b, const char *fmt, ...) EB_PRINTF(2, 3);
void eb_buf_vprintf(struct eb_buf *b, const char *fmt, va_list ap) EB_PRINTF(2, 0);
/*
 * A JSON string with quotes; control bytes escaped. Bytes that are not UTF-8 become U+FFFD, so the output is
 * always valid JSON. max > 0 caps the input bytes taken (for peer text in logs) and adds "…" where it cut.
 */
void eb_buf_json_str(struct eb_buf *b, struct eb_str s, size_t max);
/* base64url without padding (RFC 4648 s5) of n bytes. */
void eb_buf_base64url(struct eb_buf *b, const void *p, size_t n);

static inline bool eb_buf_ok(const struct eb_buf *b) {
    return !b->failed;
}
static inline struct eb_str eb_buf_get(const struct eb_buf *b) {
    return (struct eb_str){b->p ? b->p : "", b->n};
}
/* Hands the NUL-terminated text over (caller frees) and leaves b empty; NULL where writing had failed. */
char *eb_buf_take(struct eb_buf *b);

#endif
