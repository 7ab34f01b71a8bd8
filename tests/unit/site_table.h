/* Reads the tables of tests/data/site: one or more documents a case, and the findings that are expected. */
#ifndef EB_TEST_SITE_TABLE_H
#define EB_TEST_SITE_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "base/buf.h"
#include "base/findings.h"
#include "site/placement.h"
#include "site/site.h"

#define TABLE_DOCUMENTS 4
#define TABLE_FINDINGS 64

struct table_case {
    struct eb_str title;
    struct eb_str name[TABLE_DOCUMENTS], document[TABLE_DOCUMENTS];
    size_t documents_n;
    struct eb_str finding[TABLE_FINDINGS]; /* severity FILE:LINE path | part of the text | part of the mend */
    size_t finding_n;
};

static inline struct eb_doc *table_doc(const struct table_case *c, size_t i) {
    struct eb_doc *doc = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", EB_STR_ARG(c->name[i]));
    assert_int_equal(eb_doc_from(c->document[i], name, &doc, NULL), EB_OK);
    return doc;
}

static inline bool table_is(const struct eb_finding *it, struct eb_str head, struct eb_str text,
                            struct eb_str mend) {
    eb_auto_buf struct eb_buf where = {0};
    char want_text[300], want_mend[300];
    (void)snprintf(want_text, sizeof want_text, "%.*s", EB_STR_ARG(text));
    (void)snprintf(want_mend, sizeof want_mend, "%.*s", EB_STR_ARG(mend));
    eb_buf_printf(&where, "%s %s:%zu %s", it->severity == EB_ERROR ? "error" : "warning",
                  it->file ? it->file : "", it->line, it->path[0] ? it->path : "-");
    return eb_str_eq(eb_buf_get(&where), head) && strstr(it->text, want_text) && strstr(it->mend, want_mend);
}

static unsigned table_failures; /* of this table: all of them are told */

/* Every expected finding is there, and no other. */
static inline void table_check(const struct table_case *c, const struct eb_findings *f) {
    bool used[EB_FINDINGS_MAX] = {0}, good = true;
    eb_auto_buf struct eb_buf all = {0};
    eb_findings_print(f, &all);
    for (size_t i = 0; i < c->finding_n; i++) {
        struct eb_str rest = c->finding[i], head = eb_str_trim(eb_str_cut(&rest, '|')),
                      text = eb_str_trim(eb_str_cut(&rest, '|')), mend = eb_str_trim(rest);
        size_t k = 0;
        while (k < f->n && (used[k] || !table_is(&f->items[k], head, text, mend)))
            k++;
        if (k == f->n)
            print_error("%.*s: missing: %.*s\n", EB_STR_ARG(c->title), EB_STR_ARG(c->finding[i]));
        else
            used[k] = true;
        good &= k < f->n;
    }
    if (good && f->n == c->finding_n)
        return;
    print_error("%.*s: %zu findings expected, found:\n%s", EB_STR_ARG(c->title), c->finding_n,
                all.p ? all.p : "nothing\n");
    table_failures++;
}

static inline void table_line(struct table_case *c, struct eb_str line) {
    if (eb_str_starts(line, EB_STR("! ")) && c->finding_n < TABLE_FINDINGS)
        c->finding[c->finding_n++] = eb_str_n(line.p + 2, line.n - 2);
    else if (line.n)
        fail_msg("%.*s: no line of a table: %.*s", EB_STR_ARG(c->title), EB_STR_ARG(line));
}

/* Calls fn for each case: "=== title", lines "! finding", then documents that begin with "--- NAME". */
static inline void table_each(const char *name, void (*fn)(const struct table_case *c)) {
    const char *root = getenv("EB_SOURCE");
    char path[1024], chunk[4096];
    (void)snprintf(path, sizeof path, "%s/tests/data/site/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    eb_auto_buf struct eb_buf b = {0};
    size_t n, cases = 0;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        eb_buf_add(&b, chunk, n);
    (void)fclose(f);
    struct eb_str rest = eb_buf_get(&b);
    struct table_case c = {0};
    table_failures = 0;
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        bool title = eb_str_starts(line, EB_STR("=== ")), document = eb_str_starts(line, EB_STR("--- "));
        if (!title && !document && c.documents_n)
            c.document[c.documents_n - 1].n =
                (size_t)(line.p + line.n + (rest.p != NULL) - c.document[c.documents_n - 1].p);
        else if (document && c.documents_n < TABLE_DOCUMENTS) {
            c.name[c.documents_n] = eb_str_n(line.p + 4, line.n - 4);
            c.document[c.documents_n++] = eb_str_n(rest.p ? rest.p : "", 0);
        } else if (!title && c.title.p)
            table_line(&c, line);
        if ((title || !rest.p) && c.title.p) {
            assert_true(c.documents_n > 0);
            fn(&c);
            cases++;
        }
        if (title)
            c = (struct table_case){.title = {line.p + 4, line.n - 4}};
    }
    assert_int_equal(table_failures, 0);
    if (cases == 0)
        fail_msg("%s holds no case", path);
}

#endif
