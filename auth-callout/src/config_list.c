#include "config_list.h"

#include <stdlib.h>

#include "config_file.h"

enum { ISSUERS_MAX = 64, ACCOUNTS_MAX = 1024, ROWS_MAX = 48, NAME_MAX_BYTES = 64 };

static void clear_issuer(struct eb_issuer_config *i) {
    /* Both tables: what one kind lacks is empty, and clearing twice does nothing. */
    for (size_t t = 0; t < EB_COUNT_OF(eb_issuer_options); t++)
        for (size_t o = 0; o < eb_issuer_options[t].n; o++)
            eb_config_clear(i, &eb_issuer_options[t].v[o]);
}

void eb_config_clear_issuers(struct eb_config *c) {
    for (size_t i = 0; i < c->issuers_n; i++)
        clear_issuer(&c->issuers[i]);
    free(c->issuers);
    c->issuers = NULL;
    c->issuers_n = 0;
}

void eb_config_clear_account(struct eb_account_config *a) {
    for (size_t o = 0; o < eb_account_options.n; o++)
        eb_config_clear(a, &eb_account_options.v[o]);
    free(a->name);
    a->name = NULL;
}

/* A mapping of one element while it is read. */
struct element {
    void *base;
    const struct eb_option_table *tables; /* a key of any of them is taken */
    size_t tables_n;
    const char *path; /* `issuers[2]`, for findings */
    size_t line;
    struct {
        const struct eb_option *option;
        size_t line;
    } seen[ROWS_MAX];
    size_t seen_n;
};

static size_t seen_at(const struct element *e, const char *key) {
    for (size_t i = 0; i < e->seen_n; i++)
        if (strcmp(e->seen[i].option->key, key) == 0)
            return e->seen[i].line;
    return 0;
}

static void key_finding(const struct element *e, struct eb_findings *f, const char *file, size_t line,
                        struct eb_str key, const char *mend, const char *text) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "%s.%.*s", e->path, key.n > 64 ? 64 : (int)key.n, key.p ? key.p : "");
    struct eb_config_source src = {file, line, NULL, NULL};
    eb_config_finding(f, &src, path.p, mend, text);
}

/* Reads the mapping whose begin was just read. */
static enum eb_rc read_element(struct element *e, struct eb_doc *doc, struct eb_findings *f,
                               struct eb_err *err) {
    for (;;) {
        struct eb_doc_event key, value;
        enum eb_rc rc = eb_doc_next(doc, &key, err);
        if (rc != EB_OK || key.kind != EB_DOC_SCALAR)
            return rc;
        const struct eb_option *o = NULL;
        for (size_t t = 0; t < e->tables_n && !o; t++)
            o = eb_option_table_find(&e->tables[t], key.text);
        if (!o) {
            eb_auto_buf struct eb_buf mend = {0};
            eb_option_table_nearest(&e->tables[0], key.text, &mend);
            key_finding(e, f, eb_doc_name(doc), key.line, key.text, mend.p, "unknown key");
            if ((rc = eb_doc_skip(doc, err)) != EB_OK)
                return rc;
            continue;
        }
        if (seen_at(e, o->key))
            key_finding(e, f, eb_doc_name(doc), key.line, eb_str(o->key), "keep one of the two",
                        "the key stands twice");
        else if (e->seen_n < ROWS_MAX) {
            e->seen[e->seen_n].option = o;
            e->seen[e->seen_n++].line = key.line;
        }
        rc = eb_doc_next(doc, &value, err);
        if (rc == EB_OK)
            rc = eb_config_read_value(e->base, doc, o, &value, e->path, f, err);
        if (rc != EB_OK)
            return rc;
    }
}

/* What the element does not say is as its kind has it; what it says must be its kind's. */
static void finish_issuer(struct element *e, const char *file, struct eb_findings *f) {
    struct eb_issuer_config *i = e->base;
    struct eb_config_source src = {file, e->line, NULL, NULL};
    i->kind =
        i->kind_text && strcmp(i->kind_text, "kubernetes") == 0 ? EB_ISSUER_KUBERNETES : EB_ISSUER_OAUTH2;
    const struct eb_option_table *t = &eb_issuer_options[i->kind];
    for (size_t n = 0; n < e->seen_n; n++)
        if (!eb_option_table_find(t, eb_str(e->seen[n].option->key)))
            key_finding(e, f, file, e->seen[n].line, eb_str(e->seen[n].option->key),
                        i->kind == EB_ISSUER_OAUTH2 ? "remove it, or write kind: kubernetes"
                                                    : "remove it: an issuer of kind kubernetes has jwks-url, "
                                                      "jwks-path and jwks-ca for url, path and ca",
                        "not a key of this kind of issuer");
    for (size_t o = 0; o < t->n; o++)
        if (t->v[o].fallback && !seen_at(e, t->v[o].key))
            eb_config_set(i, &t->v[o], eb_str(t->v[o].fallback), &src, f);
}

static bool good_name(const char *name) {
    size_t n = strlen(name);
    return n <= NAME_MAX_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

/* Names stand in the permissions document and in metrics. */
static void check_issuer_name(const struct eb_config *c, const struct element *e, const char *file,
                              struct eb_findings *f) {
    const struct eb_issuer_config *i = e->base;
    struct eb_config_source src = {file, e->line, NULL, NULL};
    if (!i->name) {
        eb_config_finding(f, &src, e->path, "give it a name of its own", "an issuer without a name");
        return;
    }
    size_t line = seen_at(e, "name");
    if (!good_name(i->name))
        key_finding(e, f, file, line, EB_STR("name"), "write at most 64 letters, digits, - and _",
                    "not a name for an issuer");
    if (strcmp(i->name, "jwks") == 0 || strcmp(i->name, EB_KUBERNETES_BLOCK) == 0)
        key_finding(e, f, file, line, EB_STR("name"), "choose another: it is the name of a block",
                    "a reserved name");
    for (const struct eb_issuer_config *k = c->issuers; k < i; k++)
        if (k->name && strcmp(k->name, i->name) == 0)
            key_finding(e, f, file, line, EB_STR("name"), "name each issuer differently",
                        "another issuer has this name");
}

/* Makes room for one more, zeroed; NULL where there is no memory. */
static void *grow(void **v, size_t *n, size_t size) {
    char *all = realloc(*v, (*n + 1) * size);
    if (!all)
        return NULL;
    *v = all;
    return memset(all + (*n)++ * size, 0, size);
}

static enum eb_rc read_issuer(struct eb_config *c, struct eb_doc *doc, size_t line, struct eb_findings *f,
                              struct eb_err *err) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "issuers[%zu]", c->issuers_n);
    void *list = c->issuers;
    struct eb_issuer_config *i = grow(&list, &c->issuers_n, sizeof *i);
    c->issuers = list;
    if (!i || !eb_buf_ok(&path))
        return EB_FAIL(err, EB_E_NOMEM, "out of memory");
    struct element e = {.base = i,
                        .tables = eb_issuer_options,
                        .tables_n = EB_COUNT_OF(eb_issuer_options),
                        .path = path.p,
                        .line = line};
    enum eb_rc rc = read_element(&e, doc, f, err);
    if (rc != EB_OK)
        return rc;
    finish_issuer(&e, eb_doc_name(doc), f);
    check_issuer_name(c, &e, eb_doc_name(doc), f);
    return EB_OK;
}

enum eb_rc eb_config_read_issuers(struct eb_config *c, struct eb_doc *doc, const struct eb_doc_event *first,
                                  struct eb_findings *f, struct eb_err *err) {
    struct eb_config_source src = {eb_doc_name(doc), first->line, NULL, NULL};
    if (eb_doc_is_null(first))
        return EB_OK;
    if (first->kind != EB_DOC_LIST) {
        eb_config_finding(f, &src, "issuers", "write a list: `- name: …` for each issuer", "not a list");
        return eb_doc_skip_rest(doc, first, err);
    }
    eb_config_clear_issuers(c);
    for (;;) {
        struct eb_doc_event ev;
        enum eb_rc rc = eb_doc_next(doc, &ev, err);
        if (rc != EB_OK || ev.kind == EB_DOC_LIST_END)
            return rc;
        src.line = ev.line;
        if (ev.kind == EB_DOC_MAP && c->issuers_n < ISSUERS_MAX) {
            rc = read_issuer(c, doc, ev.line, f, err);
        } else {
            if (ev.kind == EB_DOC_MAP)
                eb_config_finding(f, &src, "issuers", "run a service of its own for the others",
                                  "more than 64 issuers");
            else
                eb_config_finding(f, &src, "issuers", "write `- name: …` and its keys", "not a mapping");
            rc = eb_doc_skip_rest(doc, &ev, err);
        }
        if (rc != EB_OK)
            return rc;
    }
}

static struct eb_account_config *account_named(struct eb_config *c, struct eb_str name) {
    for (size_t i = 0; i < c->accounts_n; i++)
        if (eb_str_eqz(name, c->accounts[i].name))
            return &c->accounts[i];
    void *list = c->accounts;
    struct eb_account_config *a = grow(&list, &c->accounts_n, sizeof *a);
    c->accounts = list;
    if (!a)
        return NULL;
    a->name = eb_str_dup(name);
    if (!a->name)
        c->accounts_n--;
    return a->name ? a : NULL;
}

static enum eb_rc read_account(struct eb_config *c, struct eb_doc *doc, const struct eb_doc_event *key,
                               struct eb_findings *f, struct eb_err *err) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "accounts.%.*s", EB_STR_ARG(key->text));
    struct eb_account_config *a = account_named(c, key->text);
    if (!a || !eb_buf_ok(&path))
        return EB_FAIL(err, EB_E_NOMEM, "out of memory");
    struct element e = {
        .base = a, .tables = &eb_account_options, .tables_n = 1, .path = path.p, .line = key->line};
    struct eb_config_source src = {eb_doc_name(doc), key->line, NULL, NULL};
    struct eb_doc_event value;
    enum eb_rc rc = eb_doc_next(doc, &value, err);
    if (rc != EB_OK || value.kind == EB_DOC_MAP)
        return rc != EB_OK ? rc : read_element(&e, doc, f, err);
    eb_config_finding(f, &src, path.p, "write its id and signing-seed-file", "not a mapping");
    return eb_doc_skip_rest(doc, &value, err);
}

enum eb_rc eb_config_read_accounts(struct eb_config *c, struct eb_doc *doc, const struct eb_doc_event *first,
                                   struct eb_findings *f, struct eb_err *err) {
    struct eb_config_source src = {eb_doc_name(doc), first->line, NULL, NULL};
    if (eb_doc_is_null(first))
        return EB_OK;
    if (first->kind != EB_DOC_MAP) {
        eb_config_finding(f, &src, "accounts", "write `NAME: {id: …, signing-seed-file: …}`",
                          "not a mapping");
        return eb_doc_skip_rest(doc, first, err);
    }
    for (;;) {
        struct eb_doc_event key;
        enum eb_rc rc = eb_doc_next(doc, &key, err);
        if (rc != EB_OK || key.kind != EB_DOC_SCALAR)
            return rc;
        src.line = key.line;
        eb_auto_free char *name = eb_str_dup(key.text);
        if (name && key.text.n && strlen(name) == key.text.n && good_name(name) &&
            c->accounts_n < ACCOUNTS_MAX) {
            rc = read_account(c, doc, &key, f, err);
        } else {
            eb_config_finding(f, &src, "accounts",
                              "write at most 64 letters, digits, - and _, and at most "
                              "1024 accounts",
                              "not a name for an account");
            rc = eb_doc_skip(doc, err);
        }
        if (rc != EB_OK)
            return rc;
    }
}
