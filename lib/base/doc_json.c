#include "base/doc_json.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json_text.h"
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
    char *p;           /* at..n is not read yet */
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

static size_t take_source(struct eb_doc_json *j, char *to, size_t room) {
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
        char *p = j->cap < SCALAR_MAX ? realloc(j->p, j->cap * 2) : NULL;
        if (!p)
            return false;
        j->p = p;
        j->cap *= 2;
    }
    size_t got = take_source(j, j->p + j->n, j->cap - j->n);
    j->n += got;
    return got > 0;
}

/* The next byte behind blanks, not taken; -1 where there is none in what was read. */
static int skip_blanks(struct eb_doc_json *j) {
    for (; j->at < j->n; j->at++) {
        unsigned char c = (unsigned char)j->p[j->at];
        if (c == '\n')
            j->line++;
        else if (c != ' ' && c != '\t' && c != '\r')
            return c;
    }
    return -1;
}

/* The same, from the source too. */
static int peek_on(struct eb_doc_json *j) {
    int c;
    while ((c = skip_blanks(j)) < 0) {
        size_t from = j->at;
        if (!more(j, &from))
            return -1;
    }
    return c;
}

/* The next byte behind blanks, not taken; -1 at the end. */
static inline int peek(struct eb_doc_json *j) {
    unsigned char c = j->at < j->n ? (unsigned char)j->p[j->at] : ' ';
    return c > ' ' ? c : peek_on(j);
}

/* The string whose opening quote is the next byte. */
static bool string(struct eb_doc_json *j, struct eb_str *ret) {
    bool escaped = false, wide = false;
    size_t from = ++j->at;
    for (;;) {
        const char *end = j->p + j->n, *p = eb_json_text_end(j->p + j->at, end, &escaped, &wide);
        j->at = (size_t)(p - j->p);
        if (p < end && *p != '\\')
            break;
        if (!more(j, &from))
            return false;
    }
    if (j->p[j->at] != '"')
        return false; /* a control character */
    j->p[j->at++] = '\0';
    *ret = eb_str_n(j->p + from, j->at - 1 - from);
    if (escaped) {
        eb_buf_reset(&j->scratch);
        if (!eb_json_text_resolve(*ret, EB_JSON_NUL_REFUSED, &j->scratch) || !eb_buf_ok(&j->scratch))
            return false;
        *ret = eb_buf_get(&j->scratch);
    }
    return (!wide || eb_utf8_valid(*ret)) && !eb_str_has(*ret, 0x7f);
}

static bool is_number(struct eb_str text) {
    const char *p = text.p, *end = text.p + text.n;
    bool is_real;
    return eb_json_number(&p, end, &is_real) && p == end;
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
        char c = j->p[j->at];
        bool part =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' || c == '.';
        if (!part)
            break;
        if (j->scratch.n == BARE_MAX)
            return false;
        eb_buf_ch(&j->scratch, c);
        j->at++;
    }
    *ret = eb_buf_get(&j->scratch);
    return eb_buf_ok(&j->scratch) && ret->n &&
           (is_number(*ret) || eb_str_eqz(*ret, "true") || eb_str_eqz(*ret, "false") ||
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

/* As JSON a value ends where the next one, or the end of what it is in, is marked. Where something else
 * follows, it is not known yet what it is in YAML: `[1: 2]` and `[1 2]` have no scalar 1. */
static bool is_whole(struct eb_doc_json *j, struct eb_str *text) {
    bool in_p = text->p != j->scratch.p;
    size_t from = in_p ? (size_t)(text->p - j->p) : 0;
    int c;
    while ((c = skip_blanks(j)) < 0) {
        size_t drop = in_p ? from : j->at;
        if (!more(j, &drop))
            return false;
        from = drop;
    }
    if (in_p)
        text->p = j->p + from;
    return c == ',' || c == (j->is_map[j->depth] ? '}' : ']');
}

static bool value(struct eb_doc_json *j, int c, struct eb_doc_event *ret) {
    if (c == '{' || c == '[')
        return open_collection(j, c == '{', ret);
    if (j->depth == 0)
        return false;
    ret->kind = EB_DOC_SCALAR;
    ret->quoted = c == '"';
    value_done(j);
    return (ret->quoted ? string(j, &ret->text) : bare(j, &ret->text)) && is_whole(j, &ret->text);
}

static bool key(struct eb_doc_json *j, int c, struct eb_doc_event *ret) {
    ret->kind = EB_DOC_SCALAR;
    ret->quoted = ret->is_key = true;
    j->expect = A_COLON;
    return c == '"' && string(j, &ret->text);
}

bool eb_doc_json_next(struct eb_doc_json *j, struct eb_doc_event *ret) {
    int c = peek(j);
    if (j->expect == A_COLON) {
        if (c != ':')
            return false;
        j->at++;
        j->expect = A_VALUE;
        c = peek(j);
    } else if (j->expect == A_COMMA_OR_END && c == ',') {
        j->at++;
        j->expect = j->is_map[j->depth] ? A_KEY : A_VALUE;
        c = peek(j);
    }
    *ret = (struct eb_doc_event){.kind = EB_DOC_END, .line = j->line};
    bool end = j->depth && c == (j->is_map[j->depth] ? '}' : ']');
    switch (j->expect) {
    case A_VALUE: return value(j, c, ret);
    case A_VALUE_OR_END: return end ? close_collection(j, ret) : value(j, c, ret);
    case A_KEY: return key(j, c, ret);
    case A_KEY_OR_END: return end ? close_collection(j, ret) : key(j, c, ret);
    case A_COMMA_OR_END: return end && close_collection(j, ret);
    case NOTHING: return c < 0;
    case A_COLON: break;
    }
    return false;
}

bool eb_doc_json_begins(struct eb_doc_json *j) {
    int first = peek(j);
    return first == '{' || first == '[';
}
