#include "kube/kubeconfig.h"

#include <libgen.h>
#include <sodium.h>
#include <stdio.h>

#include "base/doc.h"
#include "base/file.h"

enum { NAME_SHOWN = 100 };

/* A member of a cluster, context or user that is looked for; a mapping or list is only noted. */
struct pick {
    const char *key;
    struct eb_buf value;
    bool given, scalar;
};

static void picks_reset(struct pick *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        eb_buf_done(&v[i].value);
        v[i].value.secret = true; /* any of them may be one */
        v[i].given = v[i].scalar = false;
    }
}

/* The value of a member: text where it is a scalar other than null or empty, else NULL. */
static const char *text_of(const struct pick *p) {
    return p->given && p->scalar && p->value.n ? p->value.p : NULL;
}

static enum eb_rc keep(struct pick *p, struct eb_doc *doc, const struct eb_doc_event *ev,
                       struct eb_err *reterr) {
    p->scalar = ev->kind == EB_DOC_SCALAR;
    p->given = !p->scalar || !eb_doc_is_null(ev);
    eb_buf_reset(&p->value);
    if (p->scalar && p->given) {
        if (memchr(ev->text.p, '\0', ev->text.n))
            return EB_FAIL(reterr, EB_E_MALFORMED, "line %zu: %s holds a NUL byte", ev->line, p->key);
        eb_buf_str(&p->value, ev->text);
        return eb_buf_ok(&p->value) ? EB_OK : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    return eb_doc_skip_rest(doc, ev, reterr);
}

/* The members of the mapping that was just begun. */
static enum eb_rc read_members(struct eb_doc *doc, struct pick *v, size_t n, struct eb_err *reterr) {
    for (;;) {
        struct eb_doc_event ev;
        enum eb_rc rc = eb_doc_next(doc, &ev, reterr);
        if (rc != EB_OK || ev.kind != EB_DOC_SCALAR)
            return rc;
        struct pick *found = NULL;
        for (size_t i = 0; i < n && !found; i++)
            if (eb_str_eqz(ev.text, v[i].key))
                found = &v[i];
        if (!found)
            rc = eb_doc_skip(doc, reterr);
        else if ((rc = eb_doc_next(doc, &ev, reterr)) == EB_OK)
            rc = keep(found, doc, &ev, reterr);
        if (rc != EB_OK)
            return rc;
    }
}

/* One item `{name: …, <inner>: {…}}` whose begin was just read; *ret_hit where it has the wanted name. */
static enum eb_rc read_item(struct eb_doc *doc, const char *inner, const char *want, struct pick *v, size_t n,
                            bool *ret_hit, struct eb_err *reterr) {
    bool hit = false;
    for (;;) {
        struct eb_doc_event ev;
        enum eb_rc rc = eb_doc_next(doc, &ev, reterr);
        if (rc != EB_OK || ev.kind != EB_DOC_SCALAR) {
            *ret_hit = hit;
            return rc;
        }
        bool is_name = eb_str_eqz(ev.text, "name"), is_inner = eb_str_eqz(ev.text, inner);
        if (!is_name && !is_inner) {
            rc = eb_doc_skip(doc, reterr);
        } else if ((rc = eb_doc_next(doc, &ev, reterr)) == EB_OK) {
            if (is_name && ev.kind == EB_DOC_SCALAR)
                hit = eb_str_eqz(ev.text, want);
            else if (is_inner && ev.kind == EB_DOC_MAP)
                rc = read_members(doc, v, n, reterr);
            else
                rc = eb_doc_skip_rest(doc, &ev, reterr);
        }
        if (rc != EB_OK)
            return rc;
    }
}

/* Looks through the list at `section` for the item of that name. */
static enum eb_rc find_item(struct eb_doc *doc, const char *section, const char *inner, const char *want,
                            struct pick *v, size_t n, struct eb_err *reterr) {
    struct eb_doc_event ev;
    enum eb_rc rc = eb_doc_next(doc, &ev, reterr); /* the list */
    if (rc != EB_OK || ev.kind != EB_DOC_LIST)
        return rc != EB_OK ? rc : EB_FAIL(reterr, EB_E_INVALID, "line %zu: %s is no list", ev.line, section);
    for (;;) {
        rc = eb_doc_next(doc, &ev, reterr);
        if (rc != EB_OK)
            return rc;
        if (ev.kind == EB_DOC_LIST_END)
            return EB_FAIL(reterr, EB_E_INVALID,
                           "%s has none called \"%.*s\": is current-context right? (kubectl config "
                           "use-context NAME)",
                           section, NAME_SHOWN, want);
        if (ev.kind != EB_DOC_MAP) {
            rc = eb_doc_skip_rest(doc, &ev, reterr);
        } else {
            bool hit = false;
            picks_reset(v, n);
            rc = read_item(doc, inner, want, v, n, &hit, reterr);
            if (hit)
                return rc;
        }
        if (rc != EB_OK)
            return rc;
    }
}

/*
 * A pass over the document: fills v from the item of that name in the list at section, or, where inner is
 * NULL, from the document's own members. Order within the file does not matter so.
 */
static enum eb_rc pass(struct eb_str bytes, const char *section, const char *inner, const char *want,
                       struct pick *v, size_t n, struct eb_err *reterr) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_doc_event ev;
    picks_reset(v, n);
    enum eb_rc rc = eb_doc_from(bytes, NULL, &doc, reterr);
    if (rc == EB_OK)
        rc = eb_doc_next(doc, &ev, reterr);
    if (rc != EB_OK)
        return rc;
    if (ev.kind != EB_DOC_MAP)
        return EB_FAIL(reterr, EB_E_INVALID, "it holds no mapping: not a kubeconfig");
    if (!inner)
        return read_members(doc, v, n, reterr);
    for (;;) {
        rc = eb_doc_next(doc, &ev, reterr);
        if (rc != EB_OK)
            return rc;
        if (ev.kind != EB_DOC_SCALAR)
            return EB_FAIL(reterr, EB_E_INVALID, "it has no %s", section);
        if (eb_str_eqz(ev.text, section))
            return find_item(doc, section, inner, want, v, n, reterr);
        if ((rc = eb_doc_skip(doc, reterr)) != EB_OK)
            return rc;
    }
}

static enum eb_rc nomem(struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* A path as the file means it: from its own folder. */
static enum eb_rc take_path(const char *file, const struct pick *p, char **ret, struct eb_err *reterr) {
    const char *text = text_of(p);
    if (!text)
        return EB_OK;
    if (text[0] == '/')
        return (*ret = eb_str_dup(eb_str(text))) ? EB_OK : nomem(reterr);
    eb_auto_free char *copy = eb_str_dup(eb_str(file));
    eb_auto_buf struct eb_buf whole = {0};
    if (!copy)
        return nomem(reterr);
    eb_buf_printf(&whole, "%s/%s", dirname(copy), text);
    return (*ret = eb_buf_take(&whole)) ? EB_OK : nomem(reterr);
}

/* Base64 of a PEM. */
static enum eb_rc take_data(const struct pick *p, struct eb_secret **ret, struct eb_err *reterr) {
    const char *text = text_of(p);
    if (!text)
        return EB_OK;
    eb_auto_buf struct eb_buf pem = {.secret = true};
    size_t n = 0;
    const char *end = NULL;
    char *to = eb_buf_reserve(&pem, p->value.n);
    if (!to)
        return nomem(reterr);
    if (sodium_base642bin((unsigned char *)to, p->value.n, text, p->value.n, " \r\n", &n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + p->value.n || n == 0)
        return EB_FAIL(reterr, EB_E_INVALID, "%s is no base64 of a PEM file", p->key);
    eb_buf_used(&pem, n);
    return (*ret = eb_secret_new(pem.p, pem.n)) ? EB_OK : nomem(reterr);
}

static enum eb_rc refuse(const char *what, const char *mend, struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_INVALID, "%s is not taken: %s", what, mend);
}

enum { C_SERVER, C_CA, C_CA_DATA, C_NAME, C_INSECURE, C_PROXY, C_COUNT };

static enum eb_rc take_cluster(const char *path, const struct pick *v, struct eb_kube_access *a,
                               struct eb_err *reterr) {
    struct eb_str insecure = eb_buf_get(&v[C_INSECURE].value);
    if (!text_of(&v[C_SERVER]))
        return EB_FAIL(reterr, EB_E_INVALID, "the cluster has no server");
    if (v[C_INSECURE].given && !eb_str_eqz(insecure, "false") && !eb_str_eqz(insecure, "False"))
        return refuse("insecure-skip-tls-verify",
                      "name the CA with certificate-authority or certificate-authority-data", reterr);
    if (text_of(&v[C_PROXY]))
        return refuse("proxy-url", "the API must be reachable without a proxy", reterr);
    a->url = eb_str_dup(eb_str(text_of(&v[C_SERVER])));
    const char *name = text_of(&v[C_NAME]);
    if (!a->url || (name && !(a->server_name = eb_str_dup(eb_str(name)))))
        return nomem(reterr);
    enum eb_rc rc = take_data(&v[C_CA_DATA], &a->ca_data, reterr); /* data wins over a file, as in kubectl */
    return rc != EB_OK || a->ca_data ? rc : take_path(path, &v[C_CA], &a->ca_file, reterr);
}

enum {
    U_TOKEN,
    U_TOKEN_FILE,
    U_CERT,
    U_CERT_DATA,
    U_KEY,
    U_KEY_DATA,
    U_EXEC,
    U_PROVIDER,
    U_USER,
    U_AS,
    U_AS_UID,
    U_AS_GROUPS,
    U_COUNT
};

static enum eb_rc take_user(const char *path, const struct pick *v, struct eb_kube_access *a,
                            struct eb_err *reterr) {
    static const char own[] = "make a ServiceAccount for this service and write its token or a client "
                              "certificate into a kubeconfig (kubectl create token NAME)";
    if (v[U_EXEC].given)
        return refuse("exec (a program that fetches credentials)", own, reterr);
    if (v[U_PROVIDER].given)
        return refuse("auth-provider", own, reterr);
    if (v[U_USER].given)
        return refuse("username and password", own, reterr);
    if (v[U_AS].given || v[U_AS_UID].given || v[U_AS_GROUPS].given)
        return refuse("impersonation (as)", "use the credentials of the account itself", reterr);
    enum eb_rc rc =
        take_path(path, &v[U_TOKEN_FILE], &a->token_file, reterr); /* a file wins, as in kubectl */
    const char *token = text_of(&v[U_TOKEN]);
    if (rc == EB_OK && !a->token_file && token && !(a->token = eb_secret_new(token, strlen(token))))
        return nomem(reterr);
    if (rc == EB_OK)
        rc = take_data(&v[U_CERT_DATA], &a->cert_data, reterr);
    if (rc == EB_OK && !a->cert_data)
        rc = take_path(path, &v[U_CERT], &a->cert_file, reterr);
    if (rc == EB_OK)
        rc = take_data(&v[U_KEY_DATA], &a->key_data, reterr);
    if (rc == EB_OK && !a->key_data)
        rc = take_path(path, &v[U_KEY], &a->key_file, reterr);
    if (rc != EB_OK)
        return rc;
    bool cert = a->cert_data || a->cert_file, key = a->key_data || a->key_file;
    if (cert != key)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "client-certificate and client-key belong together: %s is missing",
                       cert ? "client-key" : "client-certificate");
    if (!cert && !a->token && !a->token_file)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "the user has neither token, tokenFile nor client-certificate: %s", own);
    return EB_OK;
}

static enum eb_rc read_all(const char *path, struct eb_str bytes, struct eb_kube_access *a,
                           struct pick top[1], struct pick context[2], struct pick cluster[C_COUNT],
                           struct pick user[U_COUNT], struct eb_err *reterr) {
    enum eb_rc rc = pass(bytes, NULL, NULL, NULL, top, 1, reterr);
    if (rc != EB_OK)
        return rc;
    if (!text_of(&top[0]))
        return EB_FAIL(reterr, EB_E_INVALID,
                       "it has no current-context: write one (kubectl config use-context NAME)");
    rc = pass(bytes, "contexts", "context", text_of(&top[0]), context, 2, reterr);
    if (rc != EB_OK)
        return rc;
    if (!text_of(&context[0]) || !text_of(&context[1]))
        return EB_FAIL(reterr, EB_E_INVALID, "the context \"%.*s\" names no cluster or no user", NAME_SHOWN,
                       text_of(&top[0]));
    rc = pass(bytes, "clusters", "cluster", text_of(&context[0]), cluster, C_COUNT, reterr);
    if (rc == EB_OK)
        rc = take_cluster(path, cluster, a, reterr);
    if (rc == EB_OK)
        rc = pass(bytes, "users", "user", text_of(&context[1]), user, U_COUNT, reterr);
    return rc == EB_OK ? take_user(path, user, a, reterr) : rc;
}

enum eb_rc eb_kubeconfig_read(const char *path, struct eb_kube_access *ret, struct eb_err *reterr) {
    struct pick top[] = {{.key = "current-context"}};
    struct pick context[] = {{.key = "cluster"}, {.key = "user"}};
    struct pick cluster[C_COUNT] = {[C_SERVER] = {.key = "server"},
                                    [C_CA] = {.key = "certificate-authority"},
                                    [C_CA_DATA] = {.key = "certificate-authority-data"},
                                    [C_NAME] = {.key = "tls-server-name"},
                                    [C_INSECURE] = {.key = "insecure-skip-tls-verify"},
                                    [C_PROXY] = {.key = "proxy-url"}};
    struct pick user[U_COUNT] = {[U_TOKEN] = {.key = "token"},
                                 [U_TOKEN_FILE] = {.key = "tokenFile"},
                                 [U_CERT] = {.key = "client-certificate"},
                                 [U_CERT_DATA] = {.key = "client-certificate-data"},
                                 [U_KEY] = {.key = "client-key"},
                                 [U_KEY_DATA] = {.key = "client-key-data"},
                                 [U_EXEC] = {.key = "exec"},
                                 [U_PROVIDER] = {.key = "auth-provider"},
                                 [U_USER] = {.key = "username"},
                                 [U_AS] = {.key = "as"},
                                 [U_AS_UID] = {.key = "as-uid"},
                                 [U_AS_GROUPS] = {.key = "as-groups"}};
    eb_auto_buf struct eb_buf bytes = {.secret = true};
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = {0};
    enum eb_rc rc = eb_file_read(path, EB_KUBECONFIG_MAX, &bytes, reterr);
    if (rc == EB_OK) {
        struct eb_err err = {0};
        rc = read_all(path, eb_buf_get(&bytes), &a, top, context, cluster, user, &err);
        if (rc != EB_OK)
            (void)EB_FAIL(reterr, rc, "%s: %s", path, eb_err_text(&err, rc));
    }
    picks_reset(top, EB_COUNT_OF(top));
    picks_reset(context, EB_COUNT_OF(context));
    picks_reset(cluster, EB_COUNT_OF(cluster));
    picks_reset(user, EB_COUNT_OF(user));
    if (rc != EB_OK)
        return rc;
    a.from = eb_str_dup(eb_str(path));
    if (!a.from)
        return nomem(reterr);
    *ret = a;
    a = (struct eb_kube_access){0};
    return EB_OK;
}
