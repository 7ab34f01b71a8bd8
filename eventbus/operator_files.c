#include "operator_files.h"

#include <sodium.h>
#include <stdio.h>

#include "base/file.h"

#define SECRET_FOLDER "/etc/auth-callout-operator"
#define RESOLVER_FOLDER "/data/resolver" /* on the servers' volume */
#define CREDS_MAX ((size_t)65536)

struct eb_nkey *eb_operator_signing_key(const struct eb_store *s, const struct eb_account_claims *a) {
    for (size_t i = json_array_size(a->signing_keys); i-- > 0;) {
        const json_t *v = json_array_get(a->signing_keys, i);
        struct eb_nkey *k = NULL;
        if (json_is_string(v) &&
            eb_store_key(s, eb_str(json_string_value(v)), EB_NKEY_ACCOUNT, &k, NULL) == EB_OK)
            return k;
    }
    return NULL;
}

/* --- nats-server -----------------------------------------------------------------------------------------
 */
void eb_operator_server_conf(struct eb_buf *to, const struct eb_store *s, bool full,
                             const char *resolver_dir) {
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    const struct eb_store_user *sentinel = service ? eb_store_user(service, EB_OPERATOR_USER_SENTINEL) : NULL;
    eb_buf_printf(to, "# Include this in the configuration of every nats-server of the operator %s.\n\n",
                  s->name);
    eb_buf_printf(to, "operator: %s\nsystem_account: %.*s\n\n", s->text, EB_STR_ARG(s->op.system_account));
    if (full)
        eb_buf_printf(to,
                      "# The server keeps accounts in this folder and takes updates of them while it runs:\n"
                      "#   nats --creds sys.creds request '$SYS.REQ.CLAIMS.UPDATE' \"$(cat NAME.jwt)\"\n"
                      "# What is preloaded does not replace a newer one.\n"
                      "resolver: { type: full, dir: \"%s\", allow_delete: false, interval: \"2m\", "
                      "timeout: \"1.9s\" }\n",
                      resolver_dir);
    else
        eb_buf_z(to,
                 "# A changed account comes into force with the server's next reload.\nresolver: MEMORY\n");
    eb_buf_z(to, "resolver_preload: {\n");
    for (size_t i = 0; i < s->accounts_n; i++) {
        const struct eb_store_account *a = &s->accounts[i];
        if (a->claims.jwt.claims)
            eb_buf_printf(to, "  # %s\n  %.*s: %s\n", a->name, EB_STR_ARG(a->claims.jwt.sub), a->text);
    }
    eb_buf_z(to, "}\n");
    if (sentinel && sentinel->text)
        eb_buf_printf(
            to,
            "\n# What a client without a JWT of its own is taken to present: it gives no right but to "
            "be asked about.\ndefault_sentinel: %s\n",
            sentinel->text);
}

/* --- auth-callout ----------------------------------------------------------------------------------------
 */
/* A file that the service reads: its path in the store, and its name in the Secret. */
struct item {
    char *path;
    char name[80];
};
enum { CREDS, ISSUER, XKEY, FIXED };
struct items {
    struct item v[FIXED];
    struct item *accounts; /* in the order of the callout account's allowed ones */
    const struct eb_store_account **of;
    size_t n;
};

static void items_done(struct items *t) {
    for (size_t i = 0; i < FIXED; i++)
        free(t->v[i].path);
    for (size_t i = 0; i < t->n; i++)
        free(t->accounts[i].path);
    free(t->accounts);
    free(t->of);
}

static char *key_file(const struct eb_store *s, const struct eb_account_claims *a) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = eb_operator_signing_key(s, a);
    return eb_store_key_path(s, k ? eb_str(eb_nkey_public(k)) : a->jwt.sub);
}

static enum eb_rc items_of(const struct eb_store *s, struct items *t, struct eb_err *reterr) {
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    if (!service || !service->claims.jwt.claims)
        return EB_FAIL(reterr, EB_E_INVALID, "no account " EB_OPERATOR_SERVICE);
    const json_t *allowed = service->claims.allowed_accounts;
    t->v[CREDS] =
        (struct item){eb_store_creds_path(s, service->name, EB_OPERATOR_USER_SERVICE), "service.creds"};
    t->v[ISSUER] = (struct item){key_file(s, &service->claims), "issuer.nk"};
    t->v[XKEY] = (struct item){eb_store_key_path(s, service->claims.xkey), "xkey.nk"};
    t->accounts = calloc(json_array_size(allowed) + 1, sizeof *t->accounts);
    t->of = calloc(json_array_size(allowed) + 1, sizeof *t->of);
    if (!t->v[CREDS].path || !t->v[ISSUER].path || !t->v[XKEY].path || !t->accounts || !t->of)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (size_t i = 0; i < json_array_size(allowed); i++) {
        const struct eb_store_account *a =
            eb_store_account_of(s, eb_str(json_string_value(json_array_get(allowed, i))));
        if (!a) /* an account that is kept elsewhere */
            continue;
        struct item *item = &t->accounts[t->n];
        item->path = key_file(s, &a->claims);
        (void)snprintf(item->name, sizeof item->name, "account-%s.nk", a->name);
        if (!item->path)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        t->of[t->n++] = a;
    }
    return EB_OK;
}

static void file_line(struct eb_buf *to, const char *key, const struct item *i, const char *folder) {
    eb_buf_printf(to, "%s: ", key);
    if (folder) {
        eb_buf_printf(to, "%s/%s", folder, i->name);
    } else {
        eb_auto_free char *full = realpath(i->path, NULL);
        eb_buf_json_str(to, eb_str(full ? full : i->path), 0);
    }
    eb_buf_ch(to, '\n');
}

enum eb_rc eb_operator_callout_conf(struct eb_buf *to, const struct eb_store *s, const char *folder,
                                    struct eb_err *reterr) {
    EB_CLEANUP(items_done) struct items t = {0};
    enum eb_rc rc = items_of(s, &t, reterr);
    if (rc != EB_OK)
        return rc;
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    eb_buf_z(to, "# Configuration of auth-callout in operator mode; what else there is to set:\n"
                 "# auth-callout generate-config. The environment wins over this file: NATS_URL,\n"
                 "# AUTH_CALLOUT_PERMISSIONS_FILE, ...\nnats:\n");
    if (!folder)
        eb_buf_z(to, "  url: nats://127.0.0.1:4222\n");
    file_line(to, "  creds-file", &t.v[CREDS], folder);
    eb_buf_printf(to, "  issuer-account: %.*s\n", EB_STR_ARG(service->claims.jwt.sub));
    file_line(to, "  issuer-seed-file", &t.v[ISSUER], folder);
    file_line(to, "  xkey-seed-file", &t.v[XKEY], folder);
    eb_buf_z(to, "accounts:\n");
    for (size_t i = 0; i < t.n; i++) {
        eb_buf_printf(to, "  %s:\n    id: %.*s\n", t.of[i]->name, EB_STR_ARG(t.of[i]->claims.jwt.sub));
        file_line(to, "    signing-seed-file", &t.accounts[i], folder);
    }
    if (!folder) {
        eb_auto_free char *root = realpath(s->root, NULL);
        eb_auto_buf struct eb_buf path = {0};
        eb_buf_printf(&path, "%s/auth-callout/permissions.yaml", root ? root : s->root);
        eb_buf_z(to, "permissions:\n  file: ");
        eb_buf_json_str(to, eb_buf_get(&path), 0);
        eb_buf_ch(to, '\n');
        if (!eb_buf_ok(&path))
            to->failed = true;
    }
    return eb_buf_ok(to) ? EB_OK : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* --- Kubernetes ------------------------------------------------------------------------------------------
 */
static void head(struct eb_buf *to, const char *name) {
    eb_buf_printf(to,
                  "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  labels:\n"
                  "    app.kubernetes.io/part-of: event-bus\n    app.kubernetes.io/managed-by: eventbus\n"
                  "type: Opaque\ndata:\n",
                  name);
}

static void value(struct eb_buf *to, const char *key, struct eb_str bytes) {
    eb_auto_buf struct eb_buf coded = {.secret = true};
    size_t room = sodium_base64_encoded_len(bytes.n, sodium_base64_VARIANT_ORIGINAL);
    char *at = eb_buf_reserve(&coded, room);
    if (!at) {
        to->failed = true;
        return;
    }
    (void)sodium_bin2base64(at, room, (const unsigned char *)bytes.p, bytes.n,
                            sodium_base64_VARIANT_ORIGINAL);
    eb_buf_used(&coded, room - 1);
    eb_buf_printf(to, "  %s: \"", key);
    eb_buf_str(to, eb_buf_get(&coded));
    eb_buf_z(to, "\"\n");
}

static enum eb_rc file_value(struct eb_buf *to, const char *key, const char *path, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf bytes = {.secret = true};
    mode_t mode = 0;
    enum eb_rc rc = path ? eb_file_read_own(path, CREDS_MAX, &bytes, &mode, reterr) : EB_E_NOMEM;
    if (rc == EB_OK && !mode)
        rc = EB_FAIL(reterr, EB_E_IO, "%s: is not there", path);
    if (rc == EB_OK)
        value(to, key, eb_buf_get(&bytes));
    return rc;
}

static enum eb_rc creds_value(struct eb_buf *to, const struct eb_store *s, const char *account,
                              const char *user, const char *key, struct eb_err *reterr) {
    eb_auto_free char *path = eb_store_creds_path(s, account, user);
    return file_value(to, key, path, reterr);
}

static enum eb_rc callout_secret(struct eb_buf *to, const struct eb_store *s, struct eb_err *reterr) {
    EB_CLEANUP(items_done) struct items t = {0};
    eb_auto_buf struct eb_buf conf = {0};
    enum eb_rc rc = items_of(s, &t, reterr);
    if (rc == EB_OK)
        rc = eb_operator_callout_conf(&conf, s, SECRET_FOLDER, reterr);
    head(to, "auth-callout-operator");
    value(to, "auth-callout.yaml", eb_buf_get(&conf));
    for (size_t i = 0; rc == EB_OK && i < FIXED; i++)
        rc = file_value(to, t.v[i].name, t.v[i].path, reterr);
    for (size_t i = 0; rc == EB_OK && i < t.n; i++)
        rc = file_value(to, t.accounts[i].name, t.accounts[i].path, reterr);
    return rc;
}

static enum eb_rc nack_secret(struct eb_buf *to, const struct eb_store *s, struct eb_err *reterr) {
    enum eb_rc rc = EB_OK;
    bool any = false;
    for (size_t i = 0; rc == EB_OK && i < s->accounts_n; i++) {
        char key[80];
        if (!eb_store_user(&s->accounts[i], EB_OPERATOR_USER_NACK))
            continue;
        if (!any)
            head(to, "nats-nack-creds");
        any = true;
        (void)snprintf(key, sizeof key, "%.60s.creds", s->accounts[i].name);
        rc = creds_value(to, s, s->accounts[i].name, EB_OPERATOR_USER_NACK, key, reterr);
    }
    return rc;
}

enum eb_rc eb_operator_secrets(struct eb_buf *to, const struct eb_store *s, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf memory = {0}, full = {0};
    eb_operator_server_conf(&memory, s, false, NULL);
    eb_operator_server_conf(&full, s, true, RESOLVER_FOLDER);
    eb_buf_z(to, "# For kubectl apply -n NAMESPACE -f FILE. The operator's own seed is not among them.\n"
                 "# nats-operator is for the servers; auth-callout-operator is mounted at " SECRET_FOLDER "\n"
                 "# in auth-callout, with AUTH_CALLOUT_CONFIG=" SECRET_FOLDER "/auth-callout.yaml.\n");
    head(to, "nats-operator");
    value(to, "memory.conf", eb_buf_get(&memory));
    value(to, "full.conf", eb_buf_get(&full));
    enum eb_rc rc = eb_buf_ok(&memory) && eb_buf_ok(&full) ? callout_secret(to, s, reterr) : EB_E_NOMEM;
    if (rc == EB_OK) {
        head(to, "nats-sys-creds");
        rc = creds_value(to, s, EB_OPERATOR_SYS, EB_OPERATOR_USER_SYS, "sys.creds", reterr);
    }
    if (rc == EB_OK) {
        head(to, "nats-sentinel-creds");
        rc = creds_value(to, s, EB_OPERATOR_SERVICE, EB_OPERATOR_USER_SENTINEL, "sentinel.creds", reterr);
    }
    if (rc == EB_OK)
        rc = nack_secret(to, s, reterr);
    return rc != EB_OK || eb_buf_ok(to) ? rc : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}
