#include "operator_files.h"

#include <sodium.h>
#include <stdio.h>

#include "base/file.h"
#include "operator_held.h"
#include "say.h"

#define SECRET_FOLDER "/etc/auth-callout-operator"
#define RESOLVER_FOLDER "/data/resolver" /* on the servers' volume */
#define CREDS_MAX ((size_t)65536)

/* --- nats-server -----------------------------------------------------------------------------------------
 */
static void preload(struct eb_buf *to, const struct eb_store_account *a) {
    eb_buf_z(to, "  # ");
    eb_say_safe(to, eb_str(a->name)); /* as nsc took it */
    eb_buf_printf(to, "\n  %.*s: %s\n", EB_STR_ARG(a->claims.jwt.sub), a->text);
}

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
    for (size_t i = 0; i < s->accounts_n; i++)
        if (s->accounts[i].claims.jwt.claims)
            preload(to, &s->accounts[i]);
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
/* Where its files are: texts of YAML. */
static enum eb_rc folder_of(const struct eb_store *s, const char *folder, char **ret, struct eb_err *reterr) {
    struct eb_buf path = {0};
    eb_auto_free char *root = folder ? NULL : realpath(s->root, NULL);
    if (folder)
        eb_buf_z(&path, folder);
    else
        eb_buf_printf(&path, "%s/" EB_OPERATOR_HELD, root ? root : s->root);
    *ret = eb_buf_ok(&path) ? eb_buf_take(&path) : NULL;
    eb_buf_done(&path);
    return *ret ? EB_OK : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

static void file_line(struct eb_buf *to, const char *key, const char *folder, const char *name) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/%s", folder, name);
    eb_buf_printf(to, "%s: ", key);
    eb_buf_json_str(to, eb_buf_get(&path), 0);
    eb_buf_ch(to, '\n');
    if (!eb_buf_ok(&path))
        to->failed = true;
}

enum eb_rc eb_operator_callout_conf(struct eb_buf *to, const struct eb_store *s, const char *given,
                                    struct eb_err *reterr) {
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    eb_auto_free char *folder = NULL;
    size_t n = 0;
    if (!service || !service->claims.jwt.claims)
        return EB_FAIL(reterr, EB_E_INVALID, "no account " EB_OPERATOR_SERVICE);
    enum eb_rc rc = folder_of(s, given, &folder, reterr);
    if (rc != EB_OK)
        return rc;
    eb_buf_z(to, "# Configuration of auth-callout in operator mode; what else there is to set:\n"
                 "# auth-callout generate-config. The environment wins over this file: NATS_URL,\n"
                 "# AUTH_CALLOUT_PERMISSIONS_FILE, ...\nnats:\n");
    if (!given)
        eb_buf_z(to, "  url: nats://127.0.0.1:4222\n");
    file_line(to, "  creds-file", folder, EB_OPERATOR_HELD_CREDS);
    eb_buf_printf(to, "  issuer-account: %.*s\n", EB_STR_ARG(service->claims.jwt.sub));
    file_line(to, "  issuer-seed-file", folder, EB_OPERATOR_HELD_ISSUER);
    if (service->claims.xkey.n)
        file_line(to, "  xkey-seed-file", folder, EB_OPERATOR_HELD_XKEY);
    eb_buf_z(to, "accounts:\n");
    for (size_t i = 0; i < s->accounts_n; i++) {
        const struct eb_store_account *a = &s->accounts[i];
        char name[EB_OPERATOR_HELD_NAME];
        if (!eb_operator_takes_clients(s, a))
            continue;
        n++;
        eb_operator_held_name(a->name, name);
        eb_buf_printf(to, "  \"%s\":\n    id: %.*s\n", a->name, EB_STR_ARG(a->claims.jwt.sub));
        file_line(to, "    signing-seed-file", folder, name);
    }
    if (n == 0) /* a configuration without accounts would place everybody into the callout account itself */
        return EB_FAIL(reterr, EB_E_INVALID,
                       EB_OPERATOR_SERVICE " allows no account that is here and may take clients: name one, "
                                           "`eventbus operator init --account NAME`");
    if (!given) {
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

static enum eb_rc held_value(struct eb_buf *to, const struct eb_store *s, const char *name,
                             struct eb_err *reterr) {
    eb_auto_free char *path = eb_operator_held_path(s, name);
    return file_value(to, name, path, reterr);
}

static enum eb_rc callout_secret(struct eb_buf *to, const struct eb_store *s, struct eb_err *reterr) {
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    eb_auto_buf struct eb_buf conf = {0};
    enum eb_rc rc = eb_operator_callout_conf(&conf, s, SECRET_FOLDER, reterr);
    if (rc != EB_OK || !service)
        return rc;
    head(to, "auth-callout-operator");
    value(to, "auth-callout.yaml", eb_buf_get(&conf));
    rc = held_value(to, s, EB_OPERATOR_HELD_CREDS, reterr);
    if (rc == EB_OK)
        rc = held_value(to, s, EB_OPERATOR_HELD_ISSUER, reterr);
    if (rc == EB_OK && service->claims.xkey.n)
        rc = held_value(to, s, EB_OPERATOR_HELD_XKEY, reterr);
    for (size_t i = 0; rc == EB_OK && i < s->accounts_n; i++) {
        char name[EB_OPERATOR_HELD_NAME];
        if (!eb_operator_takes_clients(s, &s->accounts[i]))
            continue;
        eb_operator_held_name(s->accounts[i].name, name);
        rc = held_value(to, s, name, reterr);
    }
    return rc;
}

static enum eb_rc nack_secret(struct eb_buf *to, const struct eb_store *s, struct eb_err *reterr) {
    enum eb_rc rc = EB_OK;
    bool any = false;
    for (size_t i = 0; rc == EB_OK && i < s->accounts_n; i++) {
        const struct eb_store_account *a = &s->accounts[i];
        char key[EB_OPERATOR_HELD_NAME];
        if (!eb_store_user(a, EB_OPERATOR_USER_NACK))
            continue;
        if (!any)
            head(to, "nats-nack-creds");
        any = true;
        /* A Secret takes few characters in a key: another name's account goes by its id. */
        if (eb_operator_plain_name(a->name))
            (void)snprintf(key, sizeof key, "%s.creds", a->name);
        else
            (void)snprintf(key, sizeof key, "%.*s.creds", EB_STR_ARG(a->claims.jwt.sub));
        rc = creds_value(to, s, a->name, EB_OPERATOR_USER_NACK, key, reterr);
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
        rc = creds_value(to, s, eb_operator_sys(s), EB_OPERATOR_USER_SYS, "sys.creds", reterr);
    }
    if (rc == EB_OK) {
        head(to, "nats-sentinel-creds");
        rc = creds_value(to, s, EB_OPERATOR_SERVICE, EB_OPERATOR_USER_SENTINEL, "sentinel.creds", reterr);
    }
    if (rc == EB_OK)
        rc = nack_secret(to, s, reterr);
    return rc != EB_OK || eb_buf_ok(to) ? rc : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}
