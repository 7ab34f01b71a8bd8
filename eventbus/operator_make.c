#include "operator_make.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "natsjwt/callout.h"
#include "natsjwt/creds.h"

/* What auth-callout's own login may do: be asked, answer, and be found by `nats micro`. */
#define CALLOUT_PUB "\"pub\":{\"allow\":[\"$SYS._INBOX.>\",\"_INBOX.>\",\"_R_.>\"]}"
#define CALLOUT_SUB                                                                                          \
    "\"sub\":{\"allow\":[\"$SYS.REQ.USER.AUTH\",\"$SYS.REQ.USER.AUTH auth-callout\",\"$SRV.>\"]}"
/* A sentinel may do nothing, whatever becomes of its account. */
static const char *const grants_of[] = {
    [EB_OPERATOR_ADMIN] = "\"pub\":{},\"sub\":{}",
    [EB_OPERATOR_CALLOUT] = CALLOUT_PUB "," CALLOUT_SUB,
    [EB_OPERATOR_SENTINEL] = "\"pub\":{\"deny\":[\">\"]},\"sub\":{\"deny\":[\">\"]}",
    [EB_OPERATOR_JETSTREAM] = "\"pub\":{\"allow\":[\"$JS.API.>\"]},\"sub\":{\"allow\":[\"_INBOX.>\"]}",
};

void eb_operator_run_done(struct eb_operator_run *r) {
    eb_store_done(&r->store);
    eb_nkey_free(r->op);
    eb_buf_done(&r->told);
    eb_close_fdp(&r->lock);
}

static enum eb_rc sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

void eb_operator_tell(struct eb_operator_run *r, enum eb_operator_did did, const char *path) {
    static const char *const words[] = {"made", "changed", "kept"};
    size_t root = strlen(r->store.root) + 1;
    eb_buf_printf(&r->told, "%-7s  %s\n", words[did], strlen(path) > root ? path + root : path);
    *(did == EB_OPERATOR_MADE ? &r->made : did == EB_OPERATOR_KEPT ? &r->kept : &r->changed) += 1;
}

static enum eb_rc nomem(struct eb_operator_run *r) {
    return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
}

/* --- keys ------------------------------------------------------------------------------------------------
 */
/* A fresh key, whose seed is in the store before anything names it. */
static enum eb_rc make_key(struct eb_operator_run *r, enum eb_nkey_kind kind, struct eb_nkey **ret) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    if (eb_nkey_generate(kind, &k) != EB_OK)
        return EB_FAIL(&r->err, EB_E_NOMEM,
                       "no memory that can be guarded: raise the limit of locked memory (ulimit -l)");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
    eb_auto_free char *path = eb_store_key_path(&r->store, eb_str(eb_nkey_public(k)));
    if (!seed || !path)
        return nomem(r);
    enum eb_rc rc = eb_store_add(&r->store, path, eb_secret_get(seed), &r->err);
    if (rc == EB_OK)
        *ret = EB_TAKE(k);
    return rc;
}

/* The seed of a key that a JWT names; without it the JWT is half of something, or is kept elsewhere. */
static enum eb_rc get_key(struct eb_operator_run *r, struct eb_str key, enum eb_nkey_kind kind,
                          const char *what, struct eb_nkey **ret) {
    enum eb_rc rc = eb_store_key(&r->store, key, kind, ret, &r->err);
    if (rc != EB_OK)
        eb_err_prefix(&r->err, "the key of %s cannot be had", what);
    return rc;
}

static struct eb_str text_at(const json_t *list, size_t i) {
    const json_t *v = json_array_get(list, i);
    return json_is_string(v) ? eb_str(json_string_value(v)) : EB_STR_NONE;
}

/* --- operator --------------------------------------------------------------------------------------------
 */
static enum eb_rc make_operator(struct eb_operator_run *r) {
    static const char info[] =
        "{\"managed\":false,\"name\":\"" EB_OPERATOR_NAME "\",\"kind\":\"operator\",\"version\":\"1\"}";
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *sys = NULL;
    eb_auto_buf struct eb_buf jwt = {0}, mark = {0};
    enum eb_rc rc = make_key(r, EB_NKEY_OPERATOR, &r->op);
    if (rc == EB_OK)
        rc = make_key(r, EB_NKEY_ACCOUNT, &sys);
    if (rc != EB_OK)
        return rc;
    struct eb_str id = eb_str(eb_nkey_public(r->op));
    const struct eb_operator_new o = {.id = id,
                                      .name = EB_STR(EB_OPERATOR_NAME),
                                      .system_account = eb_str(eb_nkey_public(sys)),
                                      .iat = r->now};
    eb_auto_free char *path = eb_store_jwt_path(&r->store, NULL, NULL);
    eb_buf_printf(&mark, "%s/.nsc", r->store.dir);
    if (!path || !eb_buf_ok(&mark) || eb_operator_write(&jwt, &o, sign, r->op) != EB_OK)
        return nomem(r);
    struct stat st;
    if (lstat(mark.p, &st) < 0) /* a run that ended between the two */
        rc = eb_store_add(&r->store, mark.p, eb_str(info), &r->err);
    if (rc == EB_OK)
        rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, EB_OPERATOR_MADE, path);
    r->store.text = eb_str_dup(eb_buf_get(&jwt));
    return r->store.text ? eb_operator_read(eb_buf_get(&jwt), &r->store.op, &r->err) : nomem(r);
}

enum eb_rc eb_operator_ensure(struct eb_operator_run *r) {
    if (!r->store.text)
        return make_operator(r);
    eb_auto_free char *path = eb_store_jwt_path(&r->store, NULL, NULL);
    enum eb_rc rc = get_key(r, r->store.op.jwt.sub, EB_NKEY_OPERATOR, "the operator", &r->op);
    /* A strict operator's accounts are signed by a signing key of it. */
    if (rc == EB_OK && r->store.op.strict) {
        const json_t *keys = r->store.op.signing_keys;
        eb_nkey_free(EB_TAKE(r->op));
        rc = get_key(r, text_at(keys, json_array_size(keys) - 1), EB_NKEY_OPERATOR, "the operator", &r->op);
    }
    if (rc == EB_OK && path)
        eb_operator_tell(r, EB_OPERATOR_KEPT, path);
    return rc;
}

/* --- accounts --------------------------------------------------------------------------------------------
 */
static enum eb_rc take_account(struct eb_operator_run *r, const char *name, struct eb_str jwt) {
    struct eb_store_account *a = eb_store_account(&r->store, name);
    if (!a) {
        struct eb_store_account *grown =
            realloc(r->store.accounts, (r->store.accounts_n + 1) * sizeof *grown);
        if (!grown)
            return nomem(r);
        r->store.accounts = grown;
        /* Files that are rendered list the accounts by name, whatever the order they were made in. */
        size_t at = r->store.accounts_n;
        while (at > 0 && strcmp(grown[at - 1].name, name) > 0)
            at--;
        memmove(&grown[at + 1], &grown[at], (r->store.accounts_n - at) * sizeof *grown);
        a = &grown[at];
        *a = (struct eb_store_account){.name = eb_str_dup(eb_str(name))};
        r->store.accounts_n++;
    }
    free(a->text);
    eb_account_claims_done(&a->claims);
    a->text = eb_str_dup(jwt);
    return a->name && a->text ? eb_account_read(jwt, &a->claims, &r->err) : nomem(r);
}

static enum eb_rc make_account(struct eb_operator_run *r, const char *name, const char *path,
                               const struct eb_str *allowed, size_t allowed_n) {
    bool sys = strcmp(name, EB_OPERATOR_SYS) == 0, service = strcmp(name, EB_OPERATOR_SERVICE) == 0;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *id = NULL, *signing = NULL, *user = NULL, *xkey = NULL;
    enum eb_rc rc = sys ? get_key(r, r->store.op.system_account, EB_NKEY_ACCOUNT, "the operator", &id)
                        : make_key(r, EB_NKEY_ACCOUNT, &id);
    if (rc == EB_OK)
        rc = make_key(r, EB_NKEY_ACCOUNT, &signing);
    if (rc == EB_OK && service)
        rc = make_key(r, EB_NKEY_USER, &user);
    if (rc == EB_OK && service)
        rc = make_key(r, EB_NKEY_CURVE, &xkey);
    if (rc != EB_OK)
        return rc;
    const struct eb_signing_key key = {.key = eb_str(eb_nkey_public(signing))};
    struct eb_str auth = service ? eb_str(eb_nkey_public(user)) : EB_STR_NONE;
    const struct eb_account_new a = {.issuer = eb_str(eb_nkey_public(r->op)),
                                     .id = eb_str(eb_nkey_public(id)),
                                     .name = eb_str(name),
                                     .signing_keys = &key,
                                     .signing_keys_n = 1,
                                     .jetstream = !sys && !service,
                                     .auth_users = &auth,
                                     .auth_users_n = service,
                                     .accounts = allowed,
                                     .accounts_n = allowed_n,
                                     .xkey = service ? eb_str(eb_nkey_public(xkey)) : EB_STR_NONE,
                                     .iat = r->now};
    eb_auto_buf struct eb_buf jwt = {0};
    if (eb_account_write(&jwt, &a, sign, r->op) != EB_OK)
        return nomem(r);
    rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    return rc == EB_OK ? take_account(r, name, eb_buf_get(&jwt)) : rc;
}

static enum eb_rc ensure_account(struct eb_operator_run *r, const char *name, const struct eb_str *allowed,
                                 size_t allowed_n) {
    eb_auto_free char *path = eb_store_jwt_path(&r->store, name, NULL);
    const struct eb_store_account *a = eb_store_account(&r->store, name);
    if (!path)
        return nomem(r);
    bool made = !a || !a->text;
    if (made && a && a->users_n)
        return EB_FAIL(&r->err, EB_E_INVALID, "%s: is missing, but the account has users: put it back", path);
    enum eb_rc rc = made ? make_account(r, name, path, allowed, allowed_n) : EB_OK;
    if (rc == EB_OK)
        eb_operator_tell(r, made ? EB_OPERATOR_MADE : EB_OPERATOR_KEPT, path);
    return rc;
}

enum eb_rc eb_operator_ensure_account(struct eb_operator_run *r, const char *name) {
    return ensure_account(r, name, NULL, 0);
}

static bool lists(const json_t *list, struct eb_str id) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (eb_str_eq(text_at(list, i), id))
            return true;
    return false;
}

/* The JWT that is there, signed anew with what it does not allow yet. */
static enum eb_rc allow(struct eb_operator_run *r, const struct eb_store_account *service,
                        const struct eb_str *ids, size_t n) {
    eb_auto_free char *path = eb_store_jwt_path(&r->store, EB_OPERATOR_SERVICE, NULL);
    if (!path)
        return nomem(r);
    if (json_array_size(service->claims.auth_users) == 0)
        return EB_FAIL(&r->err, EB_E_INVALID, "%s: has no authorization: it was not made for callouts", path);
    if (n == 0) {
        eb_operator_tell(r, EB_OPERATOR_KEPT, path);
        return EB_OK;
    }
    int64_t iat = r->now > service->claims.jwt.iat ? r->now : service->claims.jwt.iat + 1;
    eb_auto_buf struct eb_buf jwt = {0};
    if (eb_account_allow(&jwt, &service->claims, eb_str(eb_nkey_public(r->op)), ids, n, iat, sign, r->op) !=
        EB_OK)
        return nomem(r);
    enum eb_rc rc = eb_file_write(path, eb_buf_get(&jwt), 0600, &r->err);
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, EB_OPERATOR_CHANGED, path);
    return take_account(r, EB_OPERATOR_SERVICE, eb_buf_get(&jwt));
}

enum eb_rc eb_operator_ensure_service(struct eb_operator_run *r, const char *const *accounts, size_t n) {
    const struct eb_store_account *service = eb_store_account(&r->store, EB_OPERATOR_SERVICE);
    bool there = service && service->text;
    eb_auto_free struct eb_str *ids = calloc(n + 1, sizeof *ids);
    size_t missing = 0;
    for (size_t i = 0; ids && i < n; i++) {
        const struct eb_store_account *a = eb_store_account(&r->store, accounts[i]);
        if (a && !(there && lists(service->claims.allowed_accounts, a->claims.jwt.sub)))
            ids[missing++] = a->claims.jwt.sub;
    }
    if (!ids)
        return nomem(r);
    return there ? allow(r, service, ids, missing) : ensure_account(r, EB_OPERATOR_SERVICE, ids, missing);
}

/* The account's signing key, or where the store has none, its own. */
static enum eb_rc account_key(struct eb_operator_run *r, const struct eb_store_account *a,
                              struct eb_nkey **ret) {
    *ret = eb_operator_signing_key(&r->store, &a->claims);
    return *ret ? EB_OK : get_key(r, a->claims.jwt.sub, EB_NKEY_ACCOUNT, a->name, ret);
}

/* --- users -----------------------------------------------------------------------------------------------
 */
static enum eb_rc make_user(struct eb_operator_run *r, struct eb_store_account *a, const char *name,
                            enum eb_operator_user kind, const char *path) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *signing = NULL, *key = NULL;
    enum eb_rc rc = account_key(r, a, &signing);
    if (rc == EB_OK) /* the service's key is in the account's JWT since that was made */
        rc = kind == EB_OPERATOR_CALLOUT
                 ? get_key(r, text_at(a->claims.auth_users, 0), EB_NKEY_USER, a->name, &key)
                 : make_key(r, EB_NKEY_USER, &key);
    if (rc != EB_OK)
        return rc;
    struct eb_user_claims u = {.issuer = eb_str(eb_nkey_public(signing)),
                               .user_nkey = eb_str(eb_nkey_public(key)),
                               .name = eb_str(name),
                               .grants_json = eb_str(grants_of[kind]),
                               .bearer = kind == EB_OPERATOR_SENTINEL,
                               .iat = r->now};
    if (!eb_str_eq(u.issuer, a->claims.jwt.sub))
        u.issuer_account = a->claims.jwt.sub;
    eb_auto_buf struct eb_buf jwt = {0};
    if (eb_user_jwt_write(&jwt, &u, sign, signing) != EB_OK)
        return nomem(r);
    rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    if (rc != EB_OK)
        return rc;
    struct eb_store_user *grown = realloc(a->users, (a->users_n + 1) * sizeof *grown);
    if (!grown)
        return nomem(r);
    a->users = grown;
    struct eb_store_user *made = &grown[a->users_n];
    *made = (struct eb_store_user){.name = eb_str_dup(eb_str(name)), .text = eb_str_dup(eb_buf_get(&jwt))};
    a->users_n++;
    return made->name && made->text ? eb_user_read(eb_buf_get(&jwt), &made->jwt, &r->err) : nomem(r);
}

/* The creds file follows from the user's JWT and key; one that is there must be theirs. */
static enum eb_rc ensure_creds(struct eb_operator_run *r, const char *account,
                               const struct eb_store_user *u) {
    eb_auto_free char *path = eb_store_creds_path(&r->store, account, u->name);
    struct stat st;
    if (!path)
        return nomem(r);
    if (lstat(path, &st) == 0) {
        EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
        enum eb_rc rc = S_ISREG(st.st_mode) ? eb_creds_read_file(path, &c, &r->err)
                                            : EB_FAIL(&r->err, EB_E_IO, "%s: no regular file", path);
        if (rc == EB_OK && !eb_str_eqz(u->jwt.jwt.sub, eb_nkey_public(c.key)))
            rc = EB_FAIL(&r->err, EB_E_INVALID,
                         "%s: of another key than the user's JWT: move the wrong one away", path);
        if (rc == EB_OK)
            eb_operator_tell(r, EB_OPERATOR_KEPT, path);
        return rc;
    }
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
    enum eb_rc rc = get_key(r, u->jwt.jwt.sub, EB_NKEY_USER, u->name, &key);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(key);
    eb_auto_buf struct eb_buf text = {.secret = true};
    if (seed)
        eb_creds_write(&text, eb_str(u->text), eb_secret_get(seed));
    if (!seed || !eb_buf_ok(&text))
        return nomem(r);
    rc = eb_store_add(&r->store, path, eb_buf_get(&text), &r->err);
    if (rc == EB_OK)
        eb_operator_tell(r, EB_OPERATOR_MADE, path);
    return rc;
}

enum eb_rc eb_operator_ensure_user(struct eb_operator_run *r, const char *account, const char *name,
                                   enum eb_operator_user kind) {
    struct eb_store_account *a = eb_store_account(&r->store, account);
    eb_auto_free char *path = eb_store_jwt_path(&r->store, account, name);
    eb_auto_free char *creds = eb_store_creds_path(&r->store, account, name);
    struct stat st;
    if (!a || !path || !creds)
        return nomem(r);
    const struct eb_store_user *u = eb_store_user(a, name);
    bool made = !u;
    if (made && lstat(creds, &st) == 0)
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "%s: is there, but the user's JWT is not: put that back, or move "
                       "this away",
                       creds);
    enum eb_rc rc = made ? make_user(r, a, name, kind, path) : EB_OK;
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, made ? EB_OPERATOR_MADE : EB_OPERATOR_KEPT, path);
    return ensure_creds(r, account, eb_store_user(a, name));
}
