#include "operator_make.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "natsjwt/callout.h"
#include "natsjwt/creds.h"

/* What auth-callout's own login may do: be asked, answer, hear of refused logins, and be found by `nats
 * micro`.
 */
#define CALLOUT_PUB "\"pub\":{\"allow\":[\"$SYS._INBOX.>\",\"_INBOX.>\",\"_R_.>\"]}"
#define CALLOUT_SUB                                                                                          \
    "\"sub\":{\"allow\":[\"$SYS.REQ.USER.AUTH\",\"$SYS.REQ.USER.AUTH auth-callout\","                        \
    "\"$SYS.ACCOUNT.CLIENT.AUTH.ERR\",\"$SRV.>\"]}"
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

enum eb_rc eb_operator_sign(void *key, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(key, msg, ret_sig);
}

void eb_operator_tell(struct eb_operator_run *r, enum eb_operator_did did, const char *path) {
    static const char *const words[] = {"made", "changed", "kept", "mode", "removed"};
    size_t root = strlen(r->store.root) + 1;
    eb_buf_printf(&r->told, "%-7s  %s\n", words[did], strlen(path) > root ? path + root : path);
    *(did == EB_OPERATOR_MADE ? &r->made : did == EB_OPERATOR_KEPT ? &r->kept : &r->changed) += 1;
}

enum eb_rc eb_operator_nomem(struct eb_operator_run *r) {
    return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
}

/* --- keys ------------------------------------------------------------------------------------------------
 */
enum eb_rc eb_operator_make_key(struct eb_operator_run *r, enum eb_nkey_kind kind, struct eb_nkey **ret) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    if (eb_nkey_generate(kind, &k) != EB_OK)
        return EB_FAIL(&r->err, EB_E_NOMEM,
                       "no memory that can be guarded: raise the limit of locked memory (ulimit -l)");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
    eb_auto_free char *path = eb_store_key_path(&r->store, eb_str(eb_nkey_public(k)));
    if (!seed || !path)
        return eb_operator_nomem(r);
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
    enum eb_rc rc = eb_operator_make_key(r, EB_NKEY_OPERATOR, &r->op);
    if (rc == EB_OK)
        rc = eb_operator_make_key(r, EB_NKEY_ACCOUNT, &sys);
    if (rc != EB_OK)
        return rc;
    struct eb_str id = eb_str(eb_nkey_public(r->op));
    const struct eb_operator_new o = {.id = id,
                                      .name = EB_STR(EB_OPERATOR_NAME),
                                      .system_account = eb_str(eb_nkey_public(sys)),
                                      .iat = r->now};
    eb_auto_free char *path = eb_store_jwt_path(&r->store, NULL, NULL);
    eb_buf_printf(&mark, "%s/.nsc", r->store.dir);
    if (!path || !eb_buf_ok(&mark) || eb_operator_write(&jwt, &o, eb_operator_sign, r->op) != EB_OK)
        return eb_operator_nomem(r);
    struct stat st;
    if (lstat(mark.p, &st) < 0) /* a run that ended between the two */
        rc = eb_store_add(&r->store, mark.p, eb_str(info), &r->err);
    if (rc == EB_OK)
        rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, EB_OPERATOR_MADE, path);
    r->store.text = eb_str_dup(eb_buf_get(&jwt));
    return r->store.text ? eb_operator_read(eb_buf_get(&jwt), &r->store.op, &r->err) : eb_operator_nomem(r);
}

/* A strict operator's accounts are signed by a signing key of it. */
static enum eb_rc take_strict(struct eb_operator_run *r) {
    const json_t *keys = r->store.op.signing_keys;
    eb_nkey_free(EB_TAKE(r->op));
    for (size_t i = 0; i < json_array_size(keys); i++)
        if (eb_store_key(&r->store, text_at(keys, i), EB_NKEY_OPERATOR, &r->op, NULL) == EB_OK)
            return EB_OK;
    return EB_FAIL(&r->err, EB_E_INVALID,
                   "the operator signs by signing keys only (strict), and the seed of none is in %s: put one "
                   "there, or make one (nsc edit operator --sk generate)",
                   r->store.keys);
}

enum eb_rc eb_operator_ensure(struct eb_operator_run *r) {
    if (!r->store.text)
        return make_operator(r);
    eb_auto_free char *path = eb_store_jwt_path(&r->store, NULL, NULL);
    enum eb_rc rc = get_key(r, r->store.op.jwt.sub, EB_NKEY_OPERATOR, "the operator", &r->op);
    if (rc == EB_OK && r->store.op.strict)
        rc = take_strict(r);
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
            return eb_operator_nomem(r);
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
    return a->name && a->text ? eb_account_read(jwt, &a->claims, &r->err) : eb_operator_nomem(r);
}

/* The key of auth-callout, which is there before the account lists it: so it is never in doubt which it is.
 */
static enum eb_rc make_held(struct eb_operator_run *r, const char *name, struct eb_nkey **ret) {
    char file[EB_OPERATOR_HELD_NAME];
    eb_operator_held_name(name, file);
    eb_auto_free char *path = eb_operator_held_path(&r->store, file);
    enum eb_rc rc = eb_operator_make_key(r, EB_NKEY_ACCOUNT, ret);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = rc == EB_OK ? eb_nkey_seed(*ret) : NULL;
    if (rc == EB_OK && !seed)
        return eb_operator_nomem(r);
    return rc == EB_OK ? eb_operator_ensure_bytes(r, path, eb_secret_get(seed)) : rc;
}

enum kind { PLAIN, SYSTEM, SERVICE, TARGET };

static enum eb_rc make_account(struct eb_operator_run *r, const char *name, enum kind kind, const char *path,
                               const struct eb_str *allowed, size_t allowed_n) {
    bool sys = kind == SYSTEM, service = kind == SERVICE;
    EB_CLEANUP(eb_nkey_freep)
    struct eb_nkey *id = NULL, *signing = NULL, *held = NULL, *user = NULL, *xkey = NULL;
    enum eb_rc rc = sys ? get_key(r, r->store.op.system_account, EB_NKEY_ACCOUNT, "the operator", &id)
                        : eb_operator_make_key(r, EB_NKEY_ACCOUNT, &id);
    if (rc == EB_OK)
        rc = eb_operator_make_key(r, EB_NKEY_ACCOUNT, &signing);
    if (rc == EB_OK && (service || kind == TARGET))
        rc = make_held(r, name, &held);
    if (rc == EB_OK && service)
        rc = eb_operator_make_key(r, EB_NKEY_USER, &user);
    if (rc == EB_OK && service)
        rc = eb_operator_make_key(r, EB_NKEY_CURVE, &xkey);
    if (rc != EB_OK)
        return rc;
    const struct eb_signing_key keys[] = {{.key = eb_str(eb_nkey_public(signing))},
                                          {.key = held ? eb_str(eb_nkey_public(held)) : EB_STR_NONE}};
    struct eb_str auth = service ? eb_str(eb_nkey_public(user)) : EB_STR_NONE;
    const struct eb_account_new a = {.issuer = eb_str(eb_nkey_public(r->op)),
                                     .id = eb_str(eb_nkey_public(id)),
                                     .name = eb_str(name),
                                     .signing_keys = keys,
                                     .signing_keys_n = held ? 2 : 1,
                                     .jetstream = !sys && !service,
                                     .auth_users = &auth,
                                     .auth_users_n = service,
                                     .accounts = allowed,
                                     .accounts_n = allowed_n,
                                     .xkey = service ? eb_str(eb_nkey_public(xkey)) : EB_STR_NONE,
                                     .iat = r->now};
    eb_auto_buf struct eb_buf jwt = {0};
    if (eb_account_write(&jwt, &a, eb_operator_sign, r->op) != EB_OK)
        return eb_operator_nomem(r);
    rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    return rc == EB_OK ? take_account(r, name, eb_buf_get(&jwt)) : rc;
}

static enum eb_rc ensure_account(struct eb_operator_run *r, const char *name, enum kind kind,
                                 const struct eb_str *allowed, size_t allowed_n) {
    eb_auto_free char *path = eb_store_jwt_path(&r->store, name, NULL);
    const struct eb_store_account *a = eb_store_account(&r->store, name);
    if (!path)
        return eb_operator_nomem(r);
    bool made = !a || !a->text;
    if (made && a && a->users_n)
        return EB_FAIL(&r->err, EB_E_INVALID, "%s: is missing, but the account has users: put it back", path);
    enum eb_rc rc = made ? make_account(r, name, kind, path, allowed, allowed_n) : EB_OK;
    if (rc == EB_OK)
        eb_operator_tell(r, made ? EB_OPERATOR_MADE : EB_OPERATOR_KEPT, path);
    return rc;
}

enum eb_rc eb_operator_ensure_sys(struct eb_operator_run *r) {
    struct eb_str id = r->store.op.system_account;
    if (!id.n)
        return EB_FAIL(
            &r->err, EB_E_INVALID,
            "the operator has no system account, without which servers cannot be told of accounts: "
            "nsc add account SYS, then nsc edit operator --system-account SYS");
    const char *name = eb_operator_sys(&r->store);
    const struct eb_store_account *a = eb_store_account(&r->store, name);
    if (a && a->text && !eb_str_eq(a->claims.jwt.sub, id))
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "the operator's system account %.*s is not here, and %s is another: put it back",
                       EB_STR_ARG(id), name);
    return ensure_account(r, name, SYSTEM, NULL, 0);
}

enum eb_rc eb_operator_ensure_account(struct eb_operator_run *r, const char *name) {
    return ensure_account(r, name, PLAIN, NULL, 0);
}

enum eb_rc eb_operator_ensure_target(struct eb_operator_run *r, const char *name) {
    enum eb_rc rc = ensure_account(r, name, TARGET, NULL, 0);
    return rc == EB_OK ? eb_operator_ensure_held_key(r, name) : rc;
}

/* Writes the JWT of an account that is there, signed anew. */
static enum eb_rc replace(struct eb_operator_run *r, const struct eb_store_account *a, enum eb_rc written,
                          struct eb_str jwt) {
    eb_auto_free char *path = eb_store_jwt_path(&r->store, a->name, NULL);
    if (!path || written != EB_OK)
        return eb_operator_nomem(r);
    enum eb_rc rc = eb_store_put(&r->store, path, jwt, &r->err);
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, EB_OPERATOR_CHANGED, path);
    return take_account(r, a->name, jwt);
}

/* One second later than what servers have, at least: they take nothing older. */
static int64_t next_iat(const struct eb_operator_run *r, const struct eb_natsjwt *old) {
    return r->now > old->iat ? r->now : old->iat + 1;
}

static enum eb_rc may_sign(struct eb_operator_run *r, const struct eb_store_account *a) {
    if (eb_operator_signs(&r->store.op, a->claims.jwt.iss))
        return EB_OK;
    return EB_FAIL(
        &r->err, EB_E_INVALID,
        "account %s: must be changed, but is not signed by this operator: have that done where its "
        "operator's key is",
        a->name);
}

enum eb_rc eb_operator_add_key(struct eb_operator_run *r, struct eb_store_account *a, struct eb_str key) {
    eb_auto_buf struct eb_buf jwt = {0};
    enum eb_rc rc = may_sign(r, a);
    if (rc != EB_OK)
        return rc;
    rc = eb_account_add_key(&jwt, &a->claims, eb_str(eb_nkey_public(r->op)), key, next_iat(r, &a->claims.jwt),
                            eb_operator_sign, r->op);
    return replace(r, a, rc, eb_buf_get(&jwt));
}

/* The JWT that is there, signed anew with what it does not allow yet. */
static enum eb_rc allow(struct eb_operator_run *r, const struct eb_store_account *service,
                        const struct eb_str *ids, size_t n) {
    eb_auto_free char *path = eb_store_jwt_path(&r->store, EB_OPERATOR_SERVICE, NULL);
    eb_auto_buf struct eb_buf jwt = {0};
    if (!path)
        return eb_operator_nomem(r);
    if (json_array_size(service->claims.auth_users) == 0)
        return EB_FAIL(&r->err, EB_E_INVALID, "%s: has no authorization: it was not made for callouts", path);
    if (n == 0) {
        eb_operator_tell(r, EB_OPERATOR_KEPT, path);
        return EB_OK;
    }
    enum eb_rc rc = may_sign(r, service);
    if (rc != EB_OK)
        return rc;
    rc = eb_account_allow(&jwt, &service->claims, eb_str(eb_nkey_public(r->op)), ids, n,
                          next_iat(r, &service->claims.jwt), eb_operator_sign, r->op);
    return replace(r, service, rc, eb_buf_get(&jwt));
}

enum eb_rc eb_operator_ensure_service(struct eb_operator_run *r, const char *const *accounts, size_t n) {
    const struct eb_store_account *service = eb_store_account(&r->store, EB_OPERATOR_SERVICE);
    bool there = service && service->text;
    eb_auto_free struct eb_str *ids = calloc(n + 1, sizeof *ids);
    size_t missing = 0;
    for (size_t i = 0; ids && i < n; i++) {
        const struct eb_store_account *a = eb_store_account(&r->store, accounts[i]);
        if (a && !(there && eb_operator_lists(&service->claims, a->claims.jwt.sub)))
            ids[missing++] = a->claims.jwt.sub;
    }
    if (!ids)
        return eb_operator_nomem(r);
    enum eb_rc rc = there ? allow(r, service, ids, missing)
                          : ensure_account(r, EB_OPERATOR_SERVICE, SERVICE, ids, missing);
    return rc == EB_OK ? eb_operator_ensure_held_key(r, EB_OPERATOR_SERVICE) : rc;
}

/* What signs users of an account that we make: a signing key whose seed is here and that auth-callout does
 * not have, rather one that signed users before; where there is none, the account's own. */
static enum eb_rc account_key(struct eb_operator_run *r, const struct eb_store_account *a,
                              struct eb_nkey **ret) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *held = NULL, *found = NULL;
    const json_t *list = a->claims.signing_keys;
    enum eb_rc rc = eb_operator_held_key(&r->store, a, &held, &r->err);
    if (rc != EB_OK)
        return rc;
    for (size_t i = 0; i < json_array_size(list); i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        struct eb_str public_key = text_at(list, i);
        bool used = false;
        for (size_t u = 0; u < a->users_n; u++)
            used = used || (a->users[u].text && eb_str_eq(a->users[u].jwt.jwt.iss, public_key));
        if ((held && eb_str_eqz(public_key, eb_nkey_public(held))) || (found && !used) ||
            eb_store_key(&r->store, public_key, EB_NKEY_ACCOUNT, &k, NULL) != EB_OK)
            continue;
        eb_nkey_free(found);
        found = EB_TAKE(k);
        if (used)
            break;
    }
    if (!found && r->store.op.strict)
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "account %s: no signing key's seed is here but that of auth-callout, and the operator "
                       "is strict: nsc edit account %s --sk generate",
                       a->name, a->name);
    *ret = EB_TAKE(found);
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
                 : eb_operator_make_key(r, EB_NKEY_USER, &key);
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
    if (eb_user_jwt_write(&jwt, &u, eb_operator_sign, signing) != EB_OK)
        return eb_operator_nomem(r);
    rc = eb_store_add(&r->store, path, eb_buf_get(&jwt), &r->err);
    if (rc != EB_OK)
        return rc;
    struct eb_store_user *grown = realloc(a->users, (a->users_n + 1) * sizeof *grown);
    if (!grown)
        return eb_operator_nomem(r);
    a->users = grown;
    struct eb_store_user *made = &grown[a->users_n];
    *made = (struct eb_store_user){.name = eb_str_dup(eb_str(name)), .text = eb_str_dup(eb_buf_get(&jwt))};
    a->users_n++;
    return made->name && made->text ? eb_user_read(eb_buf_get(&jwt), &made->jwt, &r->err)
                                    : eb_operator_nomem(r);
}

/* The same user by a key that the account has. That the seed is here shows that the user was made here. */
static enum eb_rc sign_again(struct eb_operator_run *r, struct eb_store_account *a, struct eb_store_user *u,
                             const char *path) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *signing = NULL, *key = NULL;
    eb_auto_buf struct eb_buf jwt = {0};
    /* signed now, the user would be newer than what revokes it; a `*` says nothing of this one */
    if (a->claims.revocations && json_object_getn(a->claims.revocations, u->jwt.jwt.sub.p, u->jwt.jwt.sub.n))
        return EB_FAIL(
            &r->err, EB_E_INVALID,
            "%s: revoked in its account, and the key that signed it is gone: move its JWT, key and "
            "creds away for a new user",
            path);
    enum eb_rc rc = get_key(r, u->jwt.jwt.sub, EB_NKEY_USER, u->name, &key);
    if (rc == EB_OK)
        rc = account_key(r, a, &signing);
    if (rc != EB_OK)
        return rc;
    if (eb_user_sign_again(&jwt, &u->jwt, eb_str(eb_nkey_public(signing)), next_iat(r, &u->jwt.jwt),
                           eb_operator_sign, signing) != EB_OK)
        return eb_operator_nomem(r);
    rc = eb_store_put(&r->store, path, eb_buf_get(&jwt), &r->err);
    if (rc != EB_OK)
        return rc;
    free(u->text);
    u->text = eb_str_dup(eb_buf_get(&jwt));
    eb_user_jwt_done(&u->jwt);
    u->orphan = false;
    return u->text ? eb_user_read(eb_buf_get(&jwt), &u->jwt, &r->err) : eb_operator_nomem(r);
}

/* The creds file follows from the user's JWT and key; one that is there must be this user's, and is written
 * anew where its JWT is an older one. */
static enum eb_rc ensure_creds(struct eb_operator_run *r, const char *account,
                               const struct eb_store_user *u) {
    eb_auto_free char *path = eb_store_creds_path(&r->store, account, u->name);
    struct stat st;
    if (!path)
        return eb_operator_nomem(r);
    bool there = lstat(path, &st) == 0;
    if (there) {
        EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
        enum eb_rc rc = S_ISREG(st.st_mode) ? eb_creds_read_file(path, &c, &r->err)
                                            : EB_FAIL(&r->err, EB_E_IO, "%s: no regular file", path);
        if (rc == EB_OK && !eb_str_eqz(u->jwt.jwt.sub, eb_nkey_public(c.key)))
            rc = EB_FAIL(&r->err, EB_E_INVALID,
                         "%s: of another key than the user's JWT: move the wrong one away", path);
        bool same = rc == EB_OK && strcmp(c.jwt, u->text) == 0;
        if (same)
            eb_operator_tell(r, EB_OPERATOR_KEPT, path);
        if (rc != EB_OK || same)
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
        return eb_operator_nomem(r);
    rc = eb_store_put(&r->store, path, eb_buf_get(&text), &r->err);
    if (rc == EB_OK)
        eb_operator_tell(r, there ? EB_OPERATOR_CHANGED : EB_OPERATOR_MADE, path);
    return rc;
}

enum eb_rc eb_operator_ensure_user(struct eb_operator_run *r, const char *account, const char *name,
                                   enum eb_operator_user kind) {
    struct eb_store_account *a = eb_store_account(&r->store, account);
    eb_auto_free char *path = eb_store_jwt_path(&r->store, account, name);
    eb_auto_free char *creds = eb_store_creds_path(&r->store, account, name);
    struct stat st;
    if (!a || !path || !creds)
        return eb_operator_nomem(r);
    struct eb_store_user *u = eb_store_user(a, name);
    enum eb_operator_did did = !u ? EB_OPERATOR_MADE : u->orphan ? EB_OPERATOR_CHANGED : EB_OPERATOR_KEPT;
    if (!u && lstat(creds, &st) == 0)
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "%s: is there, but the user's JWT is not: put that back, or move "
                       "this away",
                       creds);
    enum eb_rc rc = !u ? make_user(r, a, name, kind, path) : u->orphan ? sign_again(r, a, u, path) : EB_OK;
    if (rc != EB_OK)
        return rc;
    eb_operator_tell(r, did, path);
    return ensure_creds(r, account, eb_store_user(a, name));
}
