#include "login.h"

#include <stdio.h>

#include "base/file.h"
#include "base/num.h"
#include "cert/cert.h"
#include "metrics.h"
#include "natsjwt/creds.h"
#include "nkey/nats_nonce.h"

enum { URLS_MAX = 32 };
#define SEPARATORS ", " /* of URLs in nats.url */

struct eb_login {
    struct eb_nkey *key;     /* by nkey */
    struct eb_creds creds;   /* by creds file */
    struct eb_secret *token; /* borrowed from the configuration */
};

void eb_login_free(struct eb_login *l) {
    if (!l)
        return;
    eb_nkey_free(l->key);
    eb_creds_done(&l->creds);
    free(l);
}

static enum eb_rc load_nkey(const struct eb_config *c, struct eb_login *l, struct eb_err *reterr) {
    if (c->nats_nkey_seed_file)
        return eb_nkey_from_seed_file(c->nats_nkey_seed_file, EB_NKEY_USER, &l->key, reterr);
    if (!c->nats_nkey_seed)
        return EB_OK;
    return eb_nkey_from_seed(eb_str_trim(eb_secret_get(c->nats_nkey_seed)), EB_NKEY_USER, &l->key, reterr);
}

enum eb_rc eb_login_load(const struct eb_config *c, struct eb_login **ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_login_freep) struct eb_login *l = calloc(1, sizeof *l);
    if (!l)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = load_nkey(c, l, reterr);
    if (rc != EB_OK) {
        eb_err_prefix(reterr, "nats.nkey-seed");
        return rc;
    }
    if (c->nats_creds_file) {
        rc = eb_creds_read_file(c->nats_creds_file, &l->creds, reterr);
        if (rc != EB_OK) {
            eb_err_prefix(reterr, "nats.creds-file");
            return rc;
        }
    }
    l->token = c->nats_token;
    *ret = EB_TAKE(l);
    return EB_OK;
}

static natsStatus give_jwt(char **jwt, char **error, void *ctx) {
    (void)error;
    const struct eb_creds *creds = ctx;
    *jwt = eb_str_dup(eb_str(creds->jwt));
    return *jwt ? NATS_OK : NATS_NO_MEMORY;
}

static enum eb_rc apply_urls(const struct eb_config *c, natsOptions *opts, struct eb_err *reterr) {
    eb_auto_free char *copy = eb_str_dup(eb_str(c->nats_url));
    const char *urls[URLS_MAX];
    int n = 0;
    char *save = NULL;
    for (char *url = copy ? strtok_r(copy, SEPARATORS, &save) : NULL; url;
         url = strtok_r(NULL, SEPARATORS, &save)) {
        if (n == URLS_MAX)
            return EB_FAIL(reterr, EB_E_INVALID, "nats.url: more than %d URLs", URLS_MAX);
        urls[n++] = url;
    }
    natsStatus s = n ? natsOptions_SetServers(opts, urls, n) : NATS_INVALID_ARG;
    return s == NATS_OK
               ? EB_OK
               : EB_FAIL(reterr, EB_E_INVALID,
                         "nats.url: %s; write nats://host:port, several with commas (a login with one in it: "
                         "give nats.creds-file or an nkey)",
                         natsStatus_GetText(s));
}

/* nats.c has taken the file; one that holds something else than it should was refused by it. */
static void note_file(enum eb_credential what, const char *path) {
    eb_auto_buf struct eb_buf pem = {0};
    int64_t until_s = 0;
    if (path && (eb_file_read(path, EB_CERT_CA_MAX, &pem, NULL) != EB_OK ||
                 eb_cert_until(eb_buf_get(&pem), &until_s, NULL) != EB_OK))
        until_s = 0;
    eb_credential_until(what, until_s);
}

static enum eb_rc apply_tls(const struct eb_config *c, natsOptions *opts, struct eb_err *reterr) {
    natsStatus s = NATS_OK;
    if (c->nats_tls_ca) {
        s = natsOptions_SetSecure(opts, true);
        s = s ? s : natsOptions_LoadCATrustedCertificates(opts, c->nats_tls_ca);
        if (s != NATS_OK)
            return EB_FAIL(reterr, EB_E_INVALID, "nats.tls.ca: %s cannot be used as CA file: %s",
                           c->nats_tls_ca, natsStatus_GetText(s));
    }
    if (c->nats_tls_cert) {
        s = natsOptions_LoadCertificatesChain(opts, c->nats_tls_cert, c->nats_tls_key);
        if (s != NATS_OK)
            return EB_FAIL(reterr, EB_E_INVALID,
                           "nats.tls wants a PEM certificate and its key, the key without a passphrase: %s",
                           eb_login_error(s));
    }
    note_file(EB_CRED_NATS_TLS_CA, c->nats_tls_ca);
    note_file(EB_CRED_NATS_TLS_CERT, c->nats_tls_cert);
    return EB_OK;
}

enum eb_rc eb_login_apply(struct eb_login *l, const struct eb_config *c, natsOptions *opts,
                          struct eb_err *reterr) {
    enum eb_rc rc = apply_urls(c, opts, reterr);
    if (rc == EB_OK)
        rc = apply_tls(c, opts, reterr);
    if (rc != EB_OK)
        return rc;
    eb_credential_until(EB_CRED_NATS_CREDS, l->creds.exp);
    natsStatus s = NATS_OK;
    if (l->key) {
        s = natsOptions_SetNKey(opts, eb_nkey_public(l->key), eb_nkey_sign_nonce, l->key);
    } else if (l->creds.jwt) {
        s = natsOptions_SetUserCredentialsCallbacks(opts, give_jwt, &l->creds, eb_nkey_sign_nonce,
                                                    l->creds.key);
    } else if (l->token) {
        struct eb_str token = eb_str_trim(eb_secret_get(l->token));
        char *z = eb_str_dup(token);
        s = z ? natsOptions_SetToken(opts, z) : NATS_NO_MEMORY; /* nats.c keeps a copy of its own */
        if (z)
            explicit_bzero(z, token.n);
        free(z);
    }
    return s == NATS_OK
               ? EB_OK
               : EB_FAIL(reterr, EB_E_INTERNAL, "nats.c refuses the login: %s", natsStatus_GetText(s));
}

/* Whether text is HOST, HOST:PORT or [ADDRESS]:PORT, and nothing that could be of a password. */
static bool is_address(struct eb_str text) {
    static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    struct eb_str port = EB_STR_NONE;
    int64_t number = 0;
    size_t n = 0;
    if (text.n && text.p[0] == '[') {
        const char *end = memchr(text.p, ']', text.n);
        if (!end)
            return false;
        for (n = 1; text.p + n < end; n++)
            if (!strchr("0123456789abcdefABCDEF:.", text.p[n]))
                return false;
        n++;
    } else {
        while (n < text.n && strchr(host, text.p[n]))
            n++;
        if (n == 0)
            return false;
    }
    if (n == text.n)
        return true;
    port = eb_str_n(text.p + n + 1, text.n - n - 1);
    return text.p[n] == ':' && eb_num_i64(port, 1, 65535, &number) == EB_OK;
}

/* An entry's host and port, its scheme too where no login stands between. {NULL, 0}: not such an entry.
 * *ret_login: it has a login; *ret_scheme: it has a scheme. */
static struct eb_str address_of(struct eb_str url, bool *ret_login, bool *ret_scheme) {
    const char *mark = memmem(url.p, url.n, "://", 3), *end = url.p + url.n;
    const char *from = mark ? mark + 3 : url.p;
    const char *at = memrchr(from, '@', (size_t)(end - from));
    *ret_login = at != NULL;
    *ret_scheme = mark != NULL;
    if (at)
        from = at + 1;
    struct eb_str bare = eb_str_n(from, (size_t)(end - from));
    while (bare.n && bare.p[bare.n - 1] == '/')
        bare.n--;
    for (const char *p = url.p; mark && p < mark; p++)
        if (*p < 'a' || *p > 'z')
            return EB_STR_NONE;
    if (!is_address(bare))
        return EB_STR_NONE;
    return at ? bare : eb_str_n(url.p, (size_t)(bare.p + bare.n - url.p));
}

bool eb_login_next_url(struct eb_str *rest, struct eb_str *ret) {
    while (rest->n) {
        size_t n = 0;
        while (n < rest->n && !strchr(SEPARATORS, rest->p[n]))
            n++;
        *ret = eb_str_n(rest->p, n);
        n += n < rest->n;
        *rest = eb_str_n(rest->p + n, rest->n - n);
        if (ret->n)
            return true;
    }
    return false;
}

/* A comma within a password cuts it in two: what is before looks like an entry without a login, what is
 * behind like one with a login and no scheme. Such a list is not printed at all. */
void eb_login_describe(const struct eb_config *c, struct eb_buf *to) {
    eb_auto_buf struct eb_buf all = {0};
    struct eb_str rest = eb_str(c->nats_url);
    bool doubtful = false;
    struct eb_str url;
    while (eb_login_next_url(&rest, &url)) {
        bool login = false, scheme = false, first = all.n == 0;
        struct eb_str address = address_of(url, &login, &scheme);
        doubtful = doubtful || !address.p || (login && !scheme && !first);
        eb_buf_printf(&all, "%s%.*s", first ? "" : ", ", EB_STR_ARG(address));
    }
    if (doubtful || !eb_buf_ok(&all))
        eb_buf_z(to, "(not shown: no list of nats://host:port)");
    else
        eb_buf_str(to, eb_buf_get(&all));
}

const char *eb_login_error(natsStatus s) {
    natsStatus last = NATS_OK;
    const char *words = nats_GetLastError(&last);
    if (!words || !*words || last != s)
        return natsStatus_GetText(s);
    /* A URL that is no good is quoted, and so may a password be. */
    if (s == NATS_INVALID_ARG)
        return natsStatus_GetText(s);
    /* What it says itself stands behind "(file.c:line): ". */
    const char *own = words[0] == '(' ? strstr(words, "): ") : NULL;
    return own ? own + 3 : words;
}
