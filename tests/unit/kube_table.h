/*
 * Reads the tables of tests/data/kube. A case is `=== title` and lines `key: value`; a value that begins with
 * a quote is a JSON text. Lines that begin with `#` are comments.
 */
#ifndef EB_TEST_KUBE_TABLE_H
#define EB_TEST_KUBE_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"

#define KUBE_LINES_MAX 64

struct kube_case {
    char title[120];
    struct eb_str key[KUBE_LINES_MAX], value[KUBE_LINES_MAX];
    size_t n;
    json_t *keep; /* decoded texts */
};

/* The value of the first line with that key, {NULL, 0} for none. */
static inline struct eb_str kube_get(const struct kube_case *c, const char *key) {
    for (size_t i = 0; i < c->n; i++)
        if (eb_str_eqz(c->key[i], key))
            return c->value[i];
    return EB_STR_NONE;
}

static inline struct eb_str kube_value(struct kube_case *c, struct eb_str raw) {
    if (raw.n == 0 || raw.p[0] != '"')
        return raw;
    json_t *text = json_loadb(raw.p, raw.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!text)
        fail_msg("%s: no JSON text: %.*s", c->title, EB_STR_ARG(raw));
    json_array_append_new(c->keep, text);
    return eb_str_n(json_string_value(text), json_string_length(text));
}

/* Calls fn for each case of tests/data/kube/NAME. */
static inline void kube_each(const char *name, void (*fn)(const struct kube_case *c)) {
    char path[600];
    const char *root = getenv("EB_SOURCE");
    (void)snprintf(path, sizeof path, "%s/tests/data/kube/%s", root ? root : ".", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s cannot be read", path);
    eb_auto_buf struct eb_buf text = {0};
    char chunk[4096];
    size_t got, cases = 0;
    while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
        eb_buf_add(&text, chunk, got);
    (void)fclose(f);
    struct eb_str rest = eb_buf_get(&text);
    struct kube_case c = {.keep = json_array()};
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        bool title = eb_str_starts(line, EB_STR("=== "));
        if (c.title[0] && (title || !rest.p)) {
            fn(&c);
            cases++;
            json_array_clear(c.keep);
            c.title[0] = '\0';
            c.n = 0;
        }
        if (title)
            (void)snprintf(c.title, sizeof c.title, "%.*s", (int)(line.n - 4), line.p + 4);
        if (title || line.n == 0 || line.p[0] == '#')
            continue;
        assert_true(c.title[0] && c.n < KUBE_LINES_MAX);
        struct eb_str value = line, key = eb_str_cut(&value, ':');
        c.key[c.n] = key;
        c.value[c.n++] = kube_value(&c, eb_str_trim(value));
    }
    json_decref(c.keep);
    assert_true(cases > 0);
}

#endif
