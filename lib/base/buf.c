#include "base/buf.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64url.h"
#include "base/json_text.h"
#include "base/utf8.h"

void eb_buf_done(struct eb_buf *b) {
    if (b->secret && b->p)
        sodium_memzero(b->p, b->cap);
    free(b->p);
    *b = (struct eb_buf){0};
}

void eb_buf_reset(struct eb_buf *b) {
    if (b->secret && b->p)
        sodium_memzero(b->p, b->cap);
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = '\0';
}

static bool grow(struct eb_buf *b, size_t want) {
    size_t cap = b->cap ? b->cap : 256;
    while (cap < want)
        cap += cap / 2;
    if (cap > EB_BUF_MAX)
        cap = EB_BUF_MAX;
    char *p;
    if (b->secret) {
        p = malloc(cap);
        if (p && b->p) {
            memcpy(p, b->p, b->n);
            sodium_memzero(b->p, b->cap);
            free(b->p);
        }
    } else {
        p = realloc(b->p, cap);
    }
    if (!p)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

char *eb_buf_reserve(struct eb_buf *b, size_t n) {
    if (b->failed)
        return NULL;
    if (n > EB_BUF_MAX || b->n + n + 1 > EB_BUF_MAX || (b->n + n + 1 > b->cap && !grow(b, b->n + n + 1))) {
        b->failed = true;
        return NULL;
    }
    return b->p + b->n;
}

void eb_buf_used(struct eb_buf *b, size_t n) {
    b->n += n;
    b->p[b->n] = '\0';
}

void eb_buf_add_grown(struct eb_buf *b, const void *p, size_t n) {
    char *to = eb_buf_reserve(b, n);
    if (!to)
        return;
    if (n)
        memcpy(to, p, n);
    eb_buf_used(b, n);
}

void eb_buf_u64(struct eb_buf *b, uint64_t v) {
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    eb_buf_add(b, text + at, sizeof text - at);
}

void eb_buf_i64(struct eb_buf *b, int64_t v) {
    if (v < 0)
        eb_buf_ch(b, '-');
    eb_buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void eb_buf_vprintf(struct eb_buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *to = n < 0 ? NULL : eb_buf_reserve(b, (size_t)n);
    if (to) {
        (void)vsnprintf(to, (size_t)n + 1, fmt, again);
        eb_buf_used(b, (size_t)n);
    } else {
        b->failed = true;
    }
    va_end(again);
}

void eb_buf_printf(struct eb_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

static bool json_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void json_escape(struct eb_buf *b, unsigned char c) {
    switch (c) {
    case '"': eb_buf_z(b, "\\\""); break;
    case '\\': eb_buf_z(b, "\\\\"); break;
    case '\n': eb_buf_z(b, "\\n"); break;
    case '\r': eb_buf_z(b, "\\r"); break;
    case '\t': eb_buf_z(b, "\\t"); break;
    default: eb_buf_printf(b, "\\u%04x", (unsigned)c);
    }
}

/* True for a text that stands in JSON as it is. */
static bool json_as_is(struct eb_str s) {
    bool escaped = false, wide = false;
    return s.n == 0 || (eb_json_text_end(s.p, s.p + s.n, &escaped, &wide) == s.p + s.n && !escaped && !wide &&
                        !eb_str_has(s, 0x7f));
}

void eb_buf_json_str(struct eb_buf *b, struct eb_str s, size_t max) {
    bool cut = max && s.n > max;
    if (cut)
        s.n = max;
    eb_buf_ch(b, '"');
    if (!cut && json_as_is(s)) {
        eb_buf_str(b, s);
        eb_buf_ch(b, '"');
        return;
    }
    size_t at = 0;
    while (at < s.n) {
        size_t run = at;
        while (run < s.n && json_plain((unsigned char)s.p[run]))
            run++;
        eb_buf_add(b, s.p + at, run - at);
        if (run == s.n)
            break;
        unsigned char c = (unsigned char)s.p[run];
        at = run + 1;
        if (c < 0x80) {
            json_escape(b, c);
            continue;
        }
        size_t len = eb_utf8_char((struct eb_str){s.p + run, s.n - run});
        if (len == 0) {
            eb_buf_z(b, "\xef\xbf\xbd");
            continue;
        }
        eb_buf_add(b, s.p + run, len);
        at = run + len;
    }
    if (cut)
        eb_buf_z(b, "\xe2\x80\xa6");
    eb_buf_ch(b, '"');
}

void eb_buf_base64url(struct eb_buf *b, const void *p, size_t n) {
    size_t len = eb_base64url_len(n);
    char *to = eb_buf_reserve(b, len);
    if (!to)
        return;
    eb_base64url_encode(to, p, n);
    eb_buf_used(b, len);
}

char *eb_buf_take(struct eb_buf *b) {
    if (b->failed || !eb_buf_reserve(b, 0)) {
        eb_buf_done(b);
        return NULL;
    }
    b->p[b->n] = '\0';
    char *p = b->p;
    *b = (struct eb_buf){0};
    return p;
}
