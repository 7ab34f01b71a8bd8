#include "base/doc_json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

#define CHUNK ((size_t)64 << 10)
#define SCALAR_MAX ((size_t)1 << 20) /* bytes of one string as written */
enum { BARE_MAX = 128 };             /* bytes of a number */

/* What may come next. */
enum expect { A_VALUE, A_VALUE_OR_END, A_KEY, A_KEY_OR_END, A_COLON, A_COMMA_OR_END, NOTHING };

struct eb_doc_json {
    int fd;
    struct eb_str bytes;
    size_t max, taken; /* bytes that the source may give, and has given */
    unsigned char *p;  /* at..n is not read yet */
    size_t at, n, cap, line;
    enum expect expect;
    size_t depth;
    bool is_map[EB_DOC_DEPTH + 1];
    struct eb_buf scratch; /* the text of a scalar that is not in p as it is */
};

struct eb_doc_json *eb_doc_json_new(int fd, struct eb_str bytes, size_t max) {
    EB_CLEANUP(eb_doc_json_freep) struct eb_doc_json *j = calloc(1, sizeof *j);
    if (!j || !(j->p = malloc(CHUNK)))
        return NULL;
    j->cap = CHUNK;
    j->fd = fd;
    j->bytes = bytes;
    j->max = max;
    j->line = 1;
    return EB_TAKE(j);
}

void eb_doc_json_free(struct eb_doc_json *j) {
    if (!j)
        return;
    eb_buf_done(&j->scratch);
    free(j->p);
    free(j);
}

size_t eb_doc_json_line(const struct eb_doc_json *j) {
    return j->line;
}

static size_t take_source(struct eb_doc_json *j, unsigned char *to, size_t room) {
    ssize_t got = 0;
    if (j->fd >= 0) {
        do
            got = read(j->fd, to, room);
        while (got < 0 && errno == EINTR);
    } else if (j->taken < j->bytes.n) {
        got = (ssize_t)(j->bytes.n - j->taken < room ? j->bytes.n - j->taken : room);
        memcpy(to, j->bytes.p + j->taken, (size_t)got);
    }
    if (got <= 0 || (size_t)got > j->max - j->taken)
        return 0;
    j->taken += (size_t)got;
    return (size_t)got;
}

/* Gets more bytes behind n and keeps those from *from on, which it moves; false at the end of the source. */
static bool more(struct eb_doc_json *j, size_t *from) {
    if (*from) {
        memmove(j->p, j->p + *from, j->n - *from);
        j->at -= *from;
        j->n -= *from;
        *from = 0;
    }
    if (j->n == j->cap) {
        unsigned char *p = j->cap < SCALAR_MAX ? realloc(j->p, j->cap * 2) : NULL;
        if (!p)
            return false;
        j->p = p;
        j->cap *= 2;
    }
    size_t got = take_source(j, j->p + j->n, j->cap - j->n);
    j->n += got;
    return got > 0;
}

/* The next byte behind blanks, not taken; -1 at the end. */
static int peek(struct eb_doc_json *j) {
    for (;;) {
        for (; j->at < j->n; j->at++) {
            unsigned char c = j->p[j->at];
            if (c == '\n')
                j->line++;
            else if (c != ' ' && c != '\t' && c != '\r')
                return c;
        }
        size_t from = j->at;
        if (!more(j, &from))
            return -1;
    }
}

static bool hex4(const unsigned char *p, uint32_t *ret) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *ret = v;
    return true;
}

static void add_utf8(struct eb_buf *b, uint32_t c) {
    char bytes[4];
    size_t n = 0;
    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xe0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        bytes[n++] = (char)(0xf0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    eb_buf_add(b, bytes, n);
}

/* The digits behind \u at p, of both halves where it is a surrogate pair; how many bytes they take, 0 where
 * they are wrong. */
static size_t code_point(const unsigned char *p, size_t n, uint32_t *ret) {
    uint32_t high, low;
    if (n < 4 || !hex4(p, &high) || (high >= 0xdc00 && high < 0xe000))
        return 0;
    *ret = high;
    if (high < 0xd800 || high >= 0xe000)
        return 4;
    if (n < 10 || p[4] != '\\' || p[5] != 'u' || !hex4(p + 6, &low) || low < 0xdc00 || low >= 0xe000)
        return 0;
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 10;
}

/* Writes a string's text with its escapes resolved to the scratch. */
static bool unescape(struct eb_doc_json *j, const unsigned char *p, size_t n) {
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    eb_buf_reset(&j->scratch);
    while (n) {
        const unsigned char *slash = memchr(p, '\\', n);
        size_t plain = slash ? (size_t)(slash - p) : n;
        eb_buf_add(&j->scratch, p, plain);
        p += plain;
        n -= plain;
        if (n == 0)
            break;
        if (n < 2)
            return false;
        size_t used = 2;
        const char *letter = p[1] ? strchr(letters, p[1]) : NULL;
        if (letter) {
            eb_buf_ch(&j->scratch, meant[letter - letters]);
        } else {
            uint32_t c;
            size_t digits = p[1] == 'u' ? code_point(p + 2, n - 2, &c) : 0;
            if (digits == 0)
                return false;
            add_utf8(&j->scratch, c);
            used += digits;
        }
        p += used;
        n -= used;
    }
    return eb_buf_ok(&j->scratch);
}

/* The string whose opening quote is the next byte. */
static bool string(struct eb_doc_json *j, struct eb_str *ret) {
    bool escaped = false, wide = false;
    size_t from = ++j->at;
    for (;;) {
        const unsigned char *p = j->p + j->at, *end = j->p + j->n;
        for (; p < end && *p != '"' && *p != '\\' && *p >= 0x20; p++)
            wide |= *p >= 0x7f;
        j->at = (size_t)(p - j->p);
        if (j->at == j->n || (j->p[j->at] == '\\' && j->at + 1 == j->n)) {
            if (!more(j, &from))
                return false;
        } else if (j->p[j->at] == '\\') {
            escaped = true;
            j->at += 2;
        } else {
            break;
        }
    }
    if (j->p[j->at] != '"')
        return false; /* a control character */
    j->p[j->at++] = '\0';
    *ret = eb_str_n(j->p + from, j->at - 1 - from);
    if (escaped && !unescape(j, j->p + from, ret->n))
        return false;
    if (escaped)
        *ret = eb_buf_get(&j->scratch);
    return !wide || (eb_utf8_valid(*ret) && !eb_str_has(*ret, 0x7f));
}

static bool digits(const char **p) {
    const char *from = *p;
    while (**p >= '0' && **p <= '9')
        (*p)++;
    return *p > from;
}

static bool is_number(const char *p) {
    p += *p == '-';
    if (*p == '0')
        p++;
    else if (!digits(&p))
        return false;
    if (*p == '.' && (p++, !digits(&p)))
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!digits(&p))
            return false;
    }
    return *p == '\0';
}

/* A number, true, false or null. */
static bool bare(struct eb_doc_json *j, struct eb_str *ret) {
    eb_buf_reset(&j->scratch);
    for (;;) {
        if (j->at == j->n) {
            size_t from = j->at;
            if (!more(j, &from))
                break;
        }
        unsigned char c = j->p[j->at];
        bool part =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' || c == '.';
        if (!part)
            break;
        if (j->scratch.n == BARE_MAX)
            return false;
        eb_buf_ch(&j->scratch, (char)c);
        j->at++;
    }
    *ret = eb_buf_get(&j->scratch);
    return eb_buf_ok(&j->scratch) && ret->n &&
           (is_number(ret->p) || eb_str_eqz(*ret, "true") || eb_str_eqz(*ret, "false") ||
            eb_str_eqz(*ret, "null"));
}

static void value_done(struct eb_doc_json *j) {
    j->expect = j->depth ? A_COMMA_OR_END : NOTHING;
}

static bool open_collection(struct eb_doc_json *j, bool map, struct eb_doc_event *ret) {
    if (j->depth == EB_DOC_DEPTH)
        return false;
    j->at++;
    j->is_map[++j->depth] = map;
    j->expect = map ? A_KEY_OR_END : A_VALUE_OR_END;
    ret->kind = map ? EB_DOC_MAP : EB_DOC_LIST;
    return true;
}

static bool close_collection(struct eb_doc_json *j, struct eb_doc_event *ret) {
    j->at++;
    ret->kind = j->is_map[j->depth--] ? EB_DOC_MAP_END : EB_DOC_LIST_END;
    value_done(j);
    return true;
}

static bool value(struct eb_doc_json *j, int c, struct eb_doc_event *ret) {
    if (c == '{' || c == '[')
        return open_collection(j, c == '{', ret);
    if (j->depth == 0)
        return false;
    ret->kind = EB_DOC_SCALAR;
    ret->quoted = c == '"';
    value_done(j);
    return ret->quoted ? string(j, &ret->text) : bare(j, &ret->text);
}

static bool key(struct eb_doc_json *j, int c, struct eb_doc_event *ret) {
    ret->kind = EB_DOC_SCALAR;
    ret->quoted = ret->is_key = true;
    j->expect = A_COLON;
    return c == '"' && string(j, &ret->text);
}

bool eb_doc_json_next(struct eb_doc_json *j, struct eb_doc_event *ret) {
    struct eb_doc_event ev = {.kind = EB_DOC_END};
    int c = peek(j);
    if (j->expect == A_COLON) {
        if (c != ':')
            return false;
        j->at++;
        j->expect = A_VALUE;
        c = peek(j);
    }
    bool end = j->depth && c == (j->is_map[j->depth] ? '}' : ']'), ok = false;
    if (j->expect == A_COMMA_OR_END && c == ',') {
        j->at++;
        j->expect = j->is_map[j->depth] ? A_KEY : A_VALUE;
        end = false;
        c = peek(j);
    }
    ev.line = j->line;
    switch (j->expect) {
    case A_VALUE: ok = value(j, c, &ev); break;
    case A_VALUE_OR_END: ok = end ? close_collection(j, &ev) : value(j, c, &ev); break;
    case A_KEY: ok = key(j, c, &ev); break;
    case A_KEY_OR_END: ok = end ? close_collection(j, &ev) : key(j, c, &ev); break;
    case A_COMMA_OR_END: ok = end && close_collection(j, &ev); break;
    case NOTHING: ok = c < 0; break;
    case A_COLON: break;
    }
    if (ok)
        *ret = ev;
    return ok;
}

bool eb_doc_json_begins(struct eb_doc_json *j) {
    int first = peek(j);
    return first == '{' || first == '[';
}
