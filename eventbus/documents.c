#include "documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "policy/policy.h"
#include "say.h"

#define ISSUERS_MAX 64

static const char *environment(void *ctx, const char *name, bool *is_secret) {
    (void)ctx;
    (void)is_secret;
    return getenv(name);
}

struct issuers {
    char *own[ISSUERS_MAX];
    struct eb_str list[ISSUERS_MAX];
    size_t n;
};

static void issuers_done(struct issuers *i) {
    while (i->n)
        free(i->own[--i->n]);
}

static void add_issuer(struct issuers *to, struct eb_str name) {
    for (size_t i = 0; i < to->n; i++)
        if (eb_str_eq(name, to->list[i]))
            return;
    char *copy = name.n && to->n < ISSUERS_MAX ? eb_str_dup(name) : NULL;
    if (copy) {
        to->own[to->n] = copy;
        to->list[to->n++] = eb_str_n(copy, name.n);
    }
}

/* The issuers that oauth2 entries name: which there are is told by the service's own configuration. */
static void find_issuers(struct eb_str text, struct issuers *to) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_doc_event ev;
    size_t depth = 0;
    bool tokens = false, issuer = false;
    if (eb_doc_from(text, NULL, &doc, NULL) != EB_OK)
        return;
    while (eb_doc_next(doc, &ev, NULL) == EB_OK && ev.kind != EB_DOC_END) {
        if (ev.kind == EB_DOC_MAP_END || ev.kind == EB_DOC_LIST_END)
            depth--;
        if (depth == 1 && ev.is_key)
            tokens = eb_str_eqz(ev.text, "oauth2");
        if (issuer && ev.kind == EB_DOC_SCALAR)
            add_issuer(to, ev.text);
        issuer = tokens && depth == 3 && ev.is_key && eb_str_eqz(ev.text, "issuer");
        if (ev.kind == EB_DOC_MAP || ev.kind == EB_DOC_LIST)
            depth++;
    }
}

/* A key that stands twice in a mapping was told when the site was read. */
static bool is_told(const struct eb_findings *f, const struct eb_finding *it) {
    for (size_t i = 0; strstr(it->text, "a second time (first on line") && i < f->n; i++)
        if (f->items[i].line == it->line && strstr(f->items[i].text, "a second time (first on line"))
            return true;
    return false;
}

void eb_read_permissions(struct eb_str text, const char *file, const char *base,
                         struct eb_findings *findings) {
    eb_auto_findings struct eb_findings own = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *policy = NULL;
    EB_CLEANUP(issuers_done) struct issuers issuers = {0};
    find_issuers(text, &issuers);
    const struct eb_policy_options opt = {
        .env = environment, .issuers = issuers.list, .issuers_n = issuers.n, .allow_org_identity = true};
    struct eb_err err = {0};
    if (eb_doc_from(text, file, &doc, &err) != EB_OK) {
        eb_findings_add(findings, EB_ERROR, file, 0, base, NULL, "%s", err.text);
        return;
    }
    enum eb_rc rc = eb_policy_load(doc, &opt, &policy, &own);
    if (rc != EB_OK && !own.errors)
        eb_findings_add(findings, EB_ERROR, file, 0, base, NULL, "%s", eb_rc_hint(rc));
    for (size_t i = 0; i < own.n; i++) {
        const struct eb_finding *it = &own.items[i];
        eb_auto_buf struct eb_buf path = {0};
        bool unset = strncmp(it->text, "`${", 3) == 0 && strstr(it->text, "}` is not set");
        eb_buf_printf(&path, "%s%s%s", base, base[0] && it->path[0] ? "." : "", it->path);
        if (!is_told(findings, it))
            eb_findings_add(findings, unset ? EB_WARNING : it->severity, file, it->line, path.p,
                            unset ? "see that the service has it" : it->mend, "%s", it->text);
    }
}

void eb_read_site(const char *path, struct eb_site **ret, struct eb_findings *findings) {
    eb_auto_buf struct eb_buf bytes = {0};
    eb_auto_buf struct eb_buf permissions = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL, *again = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_file_read(path, EB_SITE_MAX, &bytes, &err);
    if (rc == EB_OK)
        rc = eb_doc_from(eb_buf_get(&bytes), path, &doc, &err);
    if (rc != EB_OK) {
        eb_findings_add(findings, EB_ERROR, path, 0, "", NULL, "%s", eb_err_text(&err, rc));
        return;
    }
    rc = eb_site_load(doc, ret, findings);
    if (rc != EB_OK && rc != EB_E_INVALID) /* not even readable */
        return;
    rc = eb_doc_from(eb_buf_get(&bytes), path, &again, &err);
    if (rc == EB_OK)
        rc = eb_site_permissions_text(again, &permissions, &err);
    if (rc != EB_OK)
        eb_findings_add(findings, EB_ERROR, path, 0, "", NULL, "%s", eb_err_text(&err, rc));
    else if (permissions.n)
        eb_read_permissions(eb_buf_get(&permissions), path, EB_SITE_PERMISSIONS_PATH, findings);
}

void eb_read_placement(const char *path, const struct eb_site *site, struct eb_placement **ret,
                       struct eb_findings *findings) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = path ? eb_doc_open(path, EB_SITE_MAX, &doc, &err) : EB_OK;
    size_t before = findings->errors;
    if (rc == EB_OK)
        rc = eb_placement_load(doc, site, ret, findings);
    if (rc != EB_OK && findings->errors == before)
        eb_findings_add(findings, EB_ERROR, path, 0, "", NULL, "%s", eb_err_text(&err, rc));
}
