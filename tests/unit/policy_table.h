/* Reads the tables of tests/data/policy: documents, options of the loader, expected findings and rows. */
#ifndef EB_TEST_POLICY_TABLE_H
#define EB_TEST_POLICY_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "policy/policy.h"

struct table_case {
    struct eb_str title, document;
    struct eb_str env[16], secret[4], finding[64], row[64];
    size_t env_n, secret_n, finding_n, row_n;
    struct eb_str issuer[4], allowed[4];
    size_t issuer_n, allowed_n;
    bool org;
    char value[256]; /* what the environment gave last */
};

static inline const char *table_env(void *ctx, const char *name, bool *is_secret) {
    struct table_case *c = ctx;
    for (size_t i = 0; i < c->secret_n; i++)
        if (eb_str_eqz(c->secret[i], name)) {
            *is_secret = true;
            return NULL;
        }
    for (size_t i = 0; i < c->env_n; i++) {
        struct eb_str value = c->env[i], key = eb_str_cut(&value, '=');
        if (eb_str_eqz(key, name)) {
            (void)snprintf(c->value, sizeof c->value, "%.*s", EB_STR_ARG(value));
            return c->value;
        }
    }
    return NULL;
}

static inline enum eb_rc table_load(struct table_case *c, struct eb_policy **ret,
                                    struct eb_findings *findings) {
    struct eb_policy_options opt = {.env = table_env,
                                    .env_ctx = c,
                                    .issuers = c->issuer,
                                    .issuers_n = c->issuer_n,
                                    .allowed_accounts = c->allowed,
                                    .allowed_accounts_n = c->allowed_n,
                                    .allow_org_identity = c->org};
    struct eb_doc *doc = NULL;
    assert_int_equal(eb_doc_from(c->document, "p.yaml", &doc, NULL), EB_OK);
    enum eb_rc rc = eb_policy_load(doc, &opt, ret, findings);
    eb_doc_free(doc);
    return rc;
}

/* Every expected finding is there, and no other. */
static inline void table_check_findings(const struct table_case *c, const struct eb_findings *f) {
    bool used[EB_FINDINGS_MAX] = {0};
    for (size_t i = 0; i < c->finding_n; i++) {
        struct eb_str rest = c->finding[i], head = eb_str_trim(eb_str_cut(&rest, '|')),
                      text = eb_str_trim(eb_str_cut(&rest, '|'));
        struct eb_str mend = eb_str_trim(rest), severity = eb_str_cut(&head, ' '),
                      line = eb_str_cut(&head, ' ');
        char want_text[300], want_mend[300], want_line[24];
        (void)snprintf(want_text, sizeof want_text, "%.*s", EB_STR_ARG(text));
        (void)snprintf(want_mend, sizeof want_mend, "%.*s", EB_STR_ARG(mend));
        bool found = false;
        for (size_t k = 0; k < f->n && !found; k++) {
            const struct eb_finding *it = &f->items[k];
            (void)snprintf(want_line, sizeof want_line, "%zu", it->line);
            found = !used[k] && eb_str_eqz(line, want_line) &&
                    eb_str_eqz(severity, it->severity == EB_ERROR ? "error" : "warning") &&
                    (eb_str_eqz(head, it->path) || (eb_str_eqz(head, "-") && !it->path[0])) &&
                    strstr(it->text, want_text) && strstr(it->mend, want_mend) &&
                    strcmp(it->file, "p.yaml") == 0;
            used[k] = used[k] || found;
        }
        if (!found || f->n != c->finding_n) {
            eb_auto_buf struct eb_buf all = {0};
            eb_findings_print(f, &all);
            if (!found)
                fail_msg("%.*s: missing: %.*s\nfound:\n%s", EB_STR_ARG(c->title), EB_STR_ARG(c->finding[i]),
                         all.p ? all.p : "");
            fail_msg("%.*s: %zu findings expected:\n%s", EB_STR_ARG(c->title), c->finding_n,
                     all.p ? all.p : "");
        }
    }
    if (c->finding_n == 0 && f->n)
        fail_msg("%.*s: %s: %s", EB_STR_ARG(c->title), f->items[0].path, f->items[0].text);
}

static inline void table_head(struct table_case *c, struct eb_str line) {
    struct eb_str value = line, key = eb_str_cut(&value, ' ');
    if (eb_str_eqz(key, "@env"))
        c->env[c->env_n++] = value;
    else if (eb_str_eqz(key, "@secret"))
        c->secret[c->secret_n++] = value;
    else if (eb_str_eqz(key, "@issuer"))
        c->issuer[c->issuer_n++] = value;
    else if (eb_str_eqz(key, "@allowed"))
        c->allowed[c->allowed_n++] = value;
    else if (eb_str_eqz(key, "@org"))
        c->org = true;
    else if (eb_str_eqz(key, "!"))
        c->finding[c->finding_n++] = value;
    else
        c->row[c->row_n++] = line;
    if (c->env_n > 15 || c->secret_n > 3 || c->finding_n > 63 || c->row_n > 63 || c->issuer_n > 3 ||
        c->allowed_n > 3)
        fail_msg("%.*s: too many lines for the reader of the table", EB_STR_ARG(c->title));
}

/* Calls fn for each case. */
static inline void table_each(const char *name, void (*fn)(struct table_case *c)) {
    const char *root = getenv("EB_SOURCE");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/tests/data/policy/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    eb_auto_buf struct eb_buf b = {0};
    char chunk[4096];
    size_t n, cases = 0;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        eb_buf_add(&b, chunk, n);
    (void)fclose(f);
    struct eb_str rest = eb_buf_get(&b);
    struct table_case c = {0};
    bool in_document = false;
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        bool title = eb_str_starts(line, EB_STR("=== "));
        if (in_document && !title)
            c.document.n = rest.p ? (size_t)(rest.p - c.document.p) : c.document.n + line.n;
        if ((title || !rest.p) && c.title.p) {
            assert_true(in_document);
            fn(&c);
            cases++;
        }
        if (title) {
            c = (struct table_case){.title = {line.p + 4, line.n - 4}};
            in_document = false;
        } else if (!in_document && c.title.p && eb_str_eqz(line, "---")) {
            in_document = true;
            c.document = (struct eb_str){rest.p, 0};
        } else if (!in_document && c.title.p && line.n) {
            table_head(&c, line);
        }
    }
    if (cases == 0)
        fail_msg("%s holds no case", path);
}

/* The entry "method/name"; the test fails where there is none. */
static inline struct eb_policy_entry table_entry(const struct eb_policy *p, struct eb_str name) {
    struct eb_policy_entry e;
    struct eb_str wanted = name, method = eb_str_cut(&wanted, '/');
    for (size_t i = 0; eb_policy_at(p, i, &e); i++)
        if (eb_str_eq(e.name, wanted) && eb_str_eqz(method, eb_policy_method_name(e.method)))
            return e;
    fail_msg("no entry %.*s", EB_STR_ARG(name));
    return (struct eb_policy_entry){0};
}

#endif
