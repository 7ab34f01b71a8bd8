#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"

static uint32_t decode(const unsigned char *p, size_t len) {
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

/* Characters that move the cursor, or turn the direction of what follows. */
static bool steers(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void eb_say_safe(struct eb_buf *to, struct eb_str text) {
    while (text.n) {
        size_t len = eb_utf8_char(text);
        uint32_t c = len ? decode((const unsigned char *)text.p, len) : 0;
        if (!len)
            eb_buf_printf(to, "\\x%02x", (unsigned)(unsigned char)text.p[0]);
        else if (steers(c))
            eb_buf_printf(to, "\\u%04x", (unsigned)c);
        else
            eb_buf_add(to, text.p, len);
        text = eb_str_n(text.p + (len ? len : 1), text.n - (len ? len : 1));
    }
}

void eb_say(const struct eb_command *c, const char *fmt, ...) {
    eb_auto_buf struct eb_buf raw = {0};
    eb_auto_buf struct eb_buf line = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&raw, fmt, ap);
    va_end(ap);
    eb_buf_printf(&line, "eventbus%s%s: ", c ? " " : "", c ? c->words : "");
    eb_say_safe(&line, eb_buf_get(&raw));
    eb_buf_ch(&line, '\n');
    (void)fflush(stdout);
    (void)fputs(eb_buf_ok(&line) ? line.p : "eventbus: out of memory\n", stderr);
}

bool eb_say_out(const struct eb_command *c, struct eb_str bytes) {
    while (bytes.n) {
        ssize_t put = write(STDOUT_FILENO, bytes.p, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            eb_say(c, "cannot write to standard output: %s", strerror(errno));
            return false;
        }
        bytes = eb_str_n(bytes.p + put, bytes.n - (size_t)put);
    }
    return true;
}

/* Without a file first, then by file and line. */
static int by_place(const void *a, const void *b) {
    const struct eb_finding *x = a, *y = b;
    int c = strcmp(x->file ? x->file : "", y->file ? y->file : "");
    return c ? c : (x->line > y->line) - (x->line < y->line);
}

void eb_say_findings(const struct eb_command *c, struct eb_findings *f) {
    eb_auto_buf struct eb_buf all = {0};
    if (f->n)
        qsort(f->items, f->n, sizeof *f->items, by_place);
    for (size_t i = 0; i < f->n; i++) {
        eb_auto_buf struct eb_buf line = {0};
        eb_findings_print(&(struct eb_findings){.items = &f->items[i], .n = 1, .cap = 1}, &line);
        eb_say_safe(&all, eb_str_trim(eb_buf_get(&line)));
        eb_buf_ch(&all, '\n');
    }
    if (f->errors + f->warnings > f->n)
        eb_buf_printf(&all, "and %zu more\n", f->errors + f->warnings - f->n);
    (void)fflush(stdout); /* what was printed before comes before */
    if (!eb_buf_ok(&all))
        eb_say(c, "out of memory");
    else if (all.n)
        (void)fputs(all.p, stderr);
}
