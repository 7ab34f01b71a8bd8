#include "site/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/num.h"
#include "base/utf8.h"

void eb_reading_done(struct eb_reading *r) {
    eb_buf_done(&r->path);
}

const char *eb_node_quote(char to[100], struct eb_str s) {
    size_t n = strlen(eb_node_plain(to, s));
    memmove(to + 1, to, n);
    to[0] = '`';
    memcpy(to + 1 + n, "`", sizeof "`");
    return to;
}

const char *eb_node_plain(char to[100], struct eb_str s) {
    const size_t max = 80;
    size_t n = s.n < max ? s.n : max;
    while (n < s.n && n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    bool clean = eb_utf8_valid((struct eb_str){s.p, n});
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        to[i] = c < 0x20 || c == 0x7f || (c >= 0x80 && !clean) ? '?' : (char)c;
    }
    memcpy(to + n, s.n > n ? "…" : "", s.n > n ? sizeof "…" : 1);
    return to;
}

void eb_reading_report(struct eb_reading *r, enum eb_severity severity, size_t line, const char *path,
                       const char *mend, const char *fmt, ...) {
    char where[EB_PATH_MAX + 32], text[640];
    path = path ? path : "";
    (void)snprintf(where, sizeof where, "%s%s%s", r->base, r->base[0] && path[0] ? "." : "", path);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    eb_findings_add(r->findings, severity, r->doc ? eb_doc_name(r->doc) : NULL, line, where, mend, "%s",
                    text);
}

bool eb_reading_ok(struct eb_reading *r) {
    if (!r->mem->failed && eb_buf_ok(&r->path))
        return true;
    if (r->rc == EB_OK) {
        r->rc = EB_E_NOMEM;
        eb_findings_add(r->findings, EB_ERROR, r->doc ? eb_doc_name(r->doc) : NULL, 0, "", NULL,
                        "out of memory");
    }
    return false;
}

enum eb_rc eb_reading_verdict(struct eb_reading *r, const struct eb_mem *result, size_t errors_before) {
    r->mem->failed |= result->failed;
    if (!eb_reading_ok(r))
        return r->rc;
    return r->findings->errors != errors_before ? EB_E_INVALID : EB_OK;
}

/* The reader's own errors begin with "line N: ", which a finding has a field for. */
static bool failed(struct eb_reading *r, enum eb_rc rc, const struct eb_err *err) {
    int64_t line = 0;
    struct eb_str rest = eb_str(err->text), head = rest;
    if (eb_str_starts(rest, EB_STR("line "))) {
        head = eb_str_cut(&rest, ':');
        if (!rest.p || eb_num_i64((struct eb_str){head.p + 5, head.n - 5}, 1, INT32_MAX, &line) != EB_OK)
            rest = eb_str(err->text);
    }
    rest = eb_str_trim(rest);
    r->rc = rc;
    eb_findings_add(r->findings, EB_ERROR, eb_doc_name(r->doc), (size_t)line, "", NULL, "%.*s",
                    EB_STR_ARG(rest));
    return false;
}

bool eb_reading_next(struct eb_reading *r, struct eb_doc_event *ev) {
    struct eb_err err = {0};
    enum eb_rc rc = eb_doc_next(r->doc, ev, &err);
    return rc == EB_OK || failed(r, rc, &err);
}

bool eb_reading_skip(struct eb_reading *r, const struct eb_doc_event *ev) {
    struct eb_err err = {0};
    enum eb_rc rc = eb_doc_skip_rest(r->doc, ev, &err);
    return rc == EB_OK || failed(r, rc, &err);
}

static int by_key(const void *a, const void *b) {
    const struct eb_node *x = *(const struct eb_node *const *)a, *y = *(const struct eb_node *const *)b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int c = n ? memcmp(x->key.p, y->key.p, n) : 0;
    if (c == 0)
        c = x->key.n < y->key.n ? -1 : x->key.n > y->key.n;
    return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* Each key once. */
static bool compare_keys(struct eb_reading *r, const struct eb_node *map) {
    eb_auto_free const struct eb_node **sorted = calloc(map->n + 1, sizeof *sorted);
    if (!sorted) {
        r->mem->failed = true;
        return eb_reading_ok(r);
    }
    size_t n = 0;
    for (const struct eb_node *c = map->first; c; c = c->next)
        sorted[n++] = c;
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 1; i < n; i++) {
        char key[100], path[EB_PATH_MAX];
        if (eb_str_eq(sorted[i]->key, sorted[i - 1]->key))
            eb_reading_report(r, EB_ERROR, sorted[i]->line,
                              eb_path(path, r->path.n ? r->path.p : "", eb_node_plain(key, sorted[i]->key)),
                              "write all of it under one key",
                              "the key is here a second time (first on line %zu)", sorted[i - 1]->line);
    }
    return true;
}

/* The parts of an open mapping or list. */
static bool children(struct eb_reading *r, struct eb_node *parent) {
    struct eb_node **end = &parent->first;
    size_t path_n = r->path.n;
    for (;;) {
        struct eb_doc_event ev;
        struct eb_str key = EB_STR_NONE;
        size_t line;
        if (!eb_reading_next(r, &ev))
            return false;
        if (ev.kind == EB_DOC_MAP_END || ev.kind == EB_DOC_LIST_END || ev.kind == EB_DOC_END)
            return parent->kind != EB_DOC_MAP || compare_keys(r, parent);
        line = ev.line;
        if (parent->kind == EB_DOC_MAP) {
            char plain[100];
            key = eb_mem_str(r->mem, ev.text);
            eb_buf_printf(&r->path, "%s%s", path_n ? "." : "", eb_node_plain(plain, key));
            if (!eb_reading_next(r, &ev))
                return false;
        } else {
            eb_buf_printf(&r->path, "[%zu]", parent->n);
        }
        if (!eb_reading_value(r, &ev, end))
            return false;
        (*end)->key = key;
        (*end)->line = line;
        end = &(*end)->next;
        parent->n++;
        r->path.n = path_n;
        if (r->path.p)
            r->path.p[path_n] = '\0';
    }
}

/* As deep as the reader allows at most. */
bool eb_reading_value(struct eb_reading *r, const struct eb_doc_event *ev, struct eb_node **ret) {
    struct eb_node *n = eb_mem_new(r->mem, sizeof *n);
    if (!n)
        return eb_reading_ok(r);
    *n = (struct eb_node){.kind = ev->kind, .quoted = ev->quoted, .line = ev->line};
    *ret = n;
    if (ev->kind == EB_DOC_SCALAR)
        n->text = eb_mem_str(r->mem, ev->text);
    else if (!children(r, n))
        return false;
    return eb_reading_ok(r);
}

bool eb_node_is_null(const struct eb_node *n) {
    struct eb_doc_event ev = {.kind = n->kind, .text = n->text, .quoted = n->quoted};
    return eb_doc_is_null(&ev);
}

const struct eb_node *eb_node_get(const struct eb_node *n, const char *key) {
    for (const struct eb_node *c = n && n->kind == EB_DOC_MAP ? n->first : NULL; c; c = c->next)
        if (eb_str_eqz(c->key, key))
            return eb_node_is_null(c) ? NULL : c;
    return NULL;
}

static bool all_of(struct eb_str s, const char *set) {
    return strspn(s.p, set) >= s.n; /* s is NUL-terminated */
}

/* What YAML 1.1 readers, those of charts among them, take for a number: 0x1f, 017, 1e3, 1_000, .5 too. */
static bool is_numeric(struct eb_str s) {
    static const char digits[] = "0123456789._";
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = eb_str_n(s.p + 1, s.n - 1);
    if (s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'o' || s.p[1] == 'b'))
        return all_of(eb_str_n(s.p + 2, s.n - 2), "0123456789abcdefABCDEF_");
    size_t n = strspn(s.p, digits);
    if (n == 0 || strspn(s.p, "._") >= n)
        return false;
    if (n >= s.n)
        return true;
    struct eb_str exponent = eb_str_n(s.p + n + 1, s.n - n - 1);
    if (exponent.n > 1 && (exponent.p[0] == '-' || exponent.p[0] == '+'))
        exponent = eb_str_n(exponent.p + 1, exponent.n - 1);
    return (s.p[n] == 'e' || s.p[n] == 'E') && exponent.n && all_of(exponent, "0123456789");
}

bool eb_node_is_typed(const struct eb_node *n) {
    static const char *const words[] = {"true", "false", "yes",  "no", "on",   "off",
                                        "y",    "n",     "null", "~",  ".inf", ".nan"};
    if (n->kind != EB_DOC_SCALAR || n->quoted)
        return false;
    for (size_t i = 0; i < EB_COUNT_OF(words); i++)
        if (strlen(words[i]) == n->text.n && strcasecmp(words[i], n->text.p) == 0)
            return true;
    return is_numeric(n->text);
}

/* RFC 8259 s6. */
static bool is_json_number(struct eb_str s) {
    const char *p = s.p, *end = s.p + s.n, *digits;
    if (!s.n)
        return false;
    p += *p == '-';
    for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
    }
    if (p == digits || (*digits == '0' && p > digits + 1))
        return false;
    if (p < end && *p == '.') {
        for (digits = ++p; p < end && *p >= '0' && *p <= '9'; p++) {
        }
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p += 1 + (p + 1 < end && (p[1] == '-' || p[1] == '+'));
        for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
        }
        if (p == digits)
            return false;
    }
    return p == end;
}

enum eb_number eb_node_number(struct eb_str s, int64_t *ret_whole, double *ret_real) {
    if (!is_json_number(s))
        return EB_NO_NUMBER;
    if (strspn(s.p, "-0123456789") >= s.n)
        return eb_num_i64(s, INT64_MIN, INT64_MAX, ret_whole) == EB_OK ? EB_WHOLE : EB_NO_NUMBER;
    *ret_real = strtod(s.p, NULL);
    return isfinite(*ret_real) ? EB_REAL : EB_NO_NUMBER;
}

static json_t *scalar_json(const struct eb_node *n) {
    struct eb_doc_event ev = {.kind = n->kind, .text = n->text, .quoted = n->quoted};
    bool yes;
    int64_t whole = 0;
    double real = 0;
    if (eb_doc_is_null(&ev))
        return json_null();
    if (eb_doc_bool(&ev, &yes))
        return json_boolean(yes);
    enum eb_number number = n->quoted ? EB_NO_NUMBER : eb_node_number(n->text, &whole, &real);
    return number == EB_WHOLE  ? json_integer(whole)
           : number == EB_REAL ? json_real(real)
                               : json_stringn(n->text.p, n->text.n);
}

json_t *eb_node_json(const struct eb_node *n) {
    if (n->kind == EB_DOC_SCALAR)
        return scalar_json(n);
    json_t *j = n->kind == EB_DOC_MAP ? json_object() : json_array();
    for (const struct eb_node *c = n->first; j && c; c = c->next) {
        json_t *value = eb_node_json(c);
        /* a key with a NUL byte is one that no check lets pass */
        if (!value || (n->kind == EB_DOC_MAP ? json_object_set_new(j, c->key.p, value)
                                             : json_array_append_new(j, value)) != 0) {
            json_decref(j);
            return NULL;
        }
    }
    return j;
}
