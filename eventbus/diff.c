#include "diff.h"

#include <stdint.h>

#define CONTEXT 3
#define CELLS_MAX ((size_t)4 << 20) /* of the table that finds the common lines */

struct lines {
    struct eb_str *v;
    size_t n;
};

static void lines_done(struct lines *l) {
    free(l->v);
}
#define AUTO_LINES EB_CLEANUP(lines_done)

static bool split(struct eb_str text, struct lines *ret) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    ret->v = calloc(n + 1, sizeof *ret->v);
    if (!ret->v)
        return false;
    while (text.n)
        ret->v[ret->n++] = eb_str_cut(&text, '\n');
    return true;
}

/* For each line of both whether the other has it in the same order. */
struct matching {
    bool *a, *b;
};

/* The longest common subsequence of a[from..a_to) and b[from..b_to), by the table of its lengths. */
static bool match_middle(const struct lines *a, const struct lines *b, size_t from, size_t a_to, size_t b_to,
                         struct matching *m) {
    size_t rows = a_to - from + 1, columns = b_to - from + 1;
    if (rows > CELLS_MAX / columns)
        return true;
    eb_auto_free uint32_t *len = calloc(rows * columns, sizeof *len);
    if (!len)
        return false;
    for (size_t i = rows - 1; i-- > 0;)
        for (size_t k = columns - 1; k-- > 0;) {
            uint32_t down = len[(i + 1) * columns + k], right = len[i * columns + k + 1];
            len[i * columns + k] = eb_str_eq(a->v[from + i], b->v[from + k])
                                       ? len[(i + 1) * columns + k + 1] + 1
                                   : down > right ? down
                                                  : right;
        }
    for (size_t i = 0, k = 0; i + 1 < rows && k + 1 < columns;) {
        if (eb_str_eq(a->v[from + i], b->v[from + k]))
            m->a[from + i++] = m->b[from + k++] = true;
        else if (len[(i + 1) * columns + k] >= len[i * columns + k + 1])
            i++;
        else
            k++;
    }
    return true;
}

static bool match(const struct lines *a, const struct lines *b, struct matching *m) {
    size_t from = 0, a_to = a->n, b_to = b->n;
    while (from < a_to && from < b_to && eb_str_eq(a->v[from], b->v[from])) {
        m->a[from] = m->b[from] = true;
        from++;
    }
    while (a_to > from && b_to > from && eb_str_eq(a->v[a_to - 1], b->v[b_to - 1]))
        m->a[--a_to] = m->b[--b_to] = true;
    return match_middle(a, b, from, a_to, b_to, m);
}

/* A line of the difference: ' ' in both, '-' taken out, '+' put in; and how many lines of each text stand
 * before it. */
struct edit {
    char mark;
    struct eb_str line;
    size_t before_a, before_b;
};

static size_t edits(const struct lines *a, const struct lines *b, const struct matching *m, struct edit *to) {
    size_t n = 0;
    for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
        struct edit *e = &to[n++];
        *e = (struct edit){.before_a = i, .before_b = k};
        if (i < a->n && !m->a[i]) {
            e->mark = '-';
            e->line = a->v[i++];
        } else if (k < b->n && !m->b[k]) {
            e->mark = '+';
            e->line = b->v[k++];
        } else {
            e->mark = ' ';
            e->line = a->v[i++];
            k++;
        }
    }
    return n;
}

/* From the edit at `from` on, a change: where the hunk ends, which is behind its last change. */
static size_t hunk_end(const struct edit *e, size_t n, size_t from) {
    size_t last = from;
    for (size_t i = from; i < n && i <= last + (size_t)2 * CONTEXT + 1; i++)
        if (e[i].mark != ' ')
            last = i;
    return last + 1;
}

static void hunk(struct eb_buf *to, const struct edit *e, size_t from, size_t end) {
    size_t a_n = 0, b_n = 0;
    for (size_t i = from; i < end; i++) {
        a_n += e[i].mark != '+';
        b_n += e[i].mark != '-';
    }
    eb_buf_printf(to, "@@ -%zu,%zu +%zu,%zu @@\n", e[from].before_a + (a_n != 0), a_n,
                  e[from].before_b + (b_n != 0), b_n);
    for (size_t i = from; i < end; i++) {
        eb_buf_ch(to, e[i].mark);
        eb_buf_str(to, e[i].line);
        eb_buf_ch(to, '\n');
    }
}

void eb_diff(struct eb_buf *to, const char *name, struct eb_str was, struct eb_str is) {
    AUTO_LINES struct lines a = {0};
    AUTO_LINES struct lines b = {0};
    if (eb_str_eq(was, is))
        return;
    bool ok = split(was, &a) && split(is, &b);
    eb_auto_free bool *in_a = calloc(a.n + 1, sizeof *in_a), *in_b = calloc(b.n + 1, sizeof *in_b);
    eb_auto_free struct edit *e = calloc(a.n + b.n + 1, sizeof *e);
    struct matching m = {in_a, in_b};
    if (!ok || !in_a || !in_b || !e || !match(&a, &b, &m)) {
        to->failed = true;
        return;
    }
    size_t n = edits(&a, &b, &m, e), shown = 0;
    eb_buf_printf(to, "--- %s\n+++ %s\t(new)\n", name, name);
    for (size_t i = 0; i < n; i++) {
        if (e[i].mark == ' ')
            continue;
        size_t from = i - shown < CONTEXT ? shown : i - CONTEXT, end = hunk_end(e, n, i);
        shown = end + CONTEXT < n ? end + CONTEXT : n;
        hunk(to, e, from, shown);
        i = shown - 1;
    }
}
