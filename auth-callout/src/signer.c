#include "signer.h"

#include <stdatomic.h>

enum { KEYS_MAX = 32, SEED_FILE_MAX = 8192 };

struct keys {
    struct eb_nkey *v[KEYS_MAX];
    size_t n;
};

struct eb_signer {
    _Atomic int refs;
    struct keys issuers, curves;
    char *issuer_account; /* NULL = none */
    struct eb_signer_account *accounts;
    size_t accounts_n;
};

struct eb_signer *eb_signer_ref(struct eb_signer *s) {
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void eb_signer_unref(struct eb_signer *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->issuers.n; i++)
        eb_nkey_free(s->issuers.v[i]);
    for (size_t i = 0; i < s->curves.n; i++)
        eb_nkey_free(s->curves.v[i]);
    for (size_t i = 0; i < s->accounts_n; i++) {
        free(s->accounts[i].name);
        eb_nkey_free(s->accounts[i].key);
    }
    free(s->accounts);
    free(s->issuer_account);
    free(s);
}

static bool known(const struct keys *keys, const struct eb_nkey *k) {
    for (size_t i = 0; i < keys->n; i++)
        if (eb_str_eqz(eb_str(eb_nkey_public(keys->v[i])), eb_nkey_public(k)))
            return true;
    return false;
}

static const char *mend_for(enum eb_nkey_kind want, const struct eb_err *err) {
    (void)err;
    return want == EB_NKEY_ACCOUNT
               ? "an account seed (SA...) is needed here: nats-server wants an account key as issuer; "
                 "`eventbus key generate --account` makes one"
               : "a curve seed (SX...) is needed here; `eventbus key generate --curve` makes one";
}

/* Adds the seed in text; the finding names path (option) and file, never the seed. */
static void add_seed(struct keys *keys, enum eb_nkey_kind want, struct eb_str text, const char *file,
                     size_t line, const char *path, struct eb_findings *f) {
    struct eb_err err = {0};
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    enum eb_rc rc = eb_nkey_from_seed(text, want, &k, &err);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, file, line, path, mend_for(want, &err), "%s", eb_err_text(&err, rc));
        return;
    }
    if (known(keys, k))
        return;
    if (keys->n == KEYS_MAX) {
        eb_findings_add(f, EB_ERROR, file, line, path, "drop the seeds that no server uses any more",
                        "more than %d seeds", KEYS_MAX);
        return;
    }
    keys->v[keys->n++] = EB_TAKE(k);
}

/*
 * A line of a seed file that is no seed: a comment, or the public key that key tools write below the seed,
 * which must then be that seed's.
 */
static void check_other_line(const struct keys *keys, struct eb_str text, const char *file, size_t line,
                             const char *path, struct eb_findings *f) {
    if (text.n == 0 || text.p[0] == '#')
        return;
    if (keys->n && eb_str_eqz(text, eb_nkey_public(keys->v[keys->n - 1])))
        return;
    eb_findings_add(f, EB_ERROR, file, line, path,
                    "keep seeds, each with its own public key below it if any, and # comments",
                    "a line that is neither a seed nor the public key of the seed above it");
}

static void add_file(struct keys *keys, enum eb_nkey_kind want, const char *file, const char *path,
                     struct eb_findings *f) {
    struct eb_err err = {0};
    EB_CLEANUP(eb_secret_freep) struct eb_secret *bytes = NULL;
    enum eb_rc rc = eb_secret_read_file(file, SEED_FILE_MAX, &bytes, &err);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, NULL, 0, path, "the file must hold a seed that this user may read", "%s",
                        eb_err_text(&err, rc));
        return;
    }
    size_t before = keys->n, seeds = 0, line = 0;
    struct eb_str rest = eb_secret_get(bytes);
    while (rest.p) {
        struct eb_str text = eb_str_trim(eb_str_cut(&rest, '\n'));
        line++;
        if (text.n && text.p[0] == 'S') {
            seeds++;
            add_seed(keys, want, text, file, line, path, f);
        } else {
            check_other_line(keys, text, file, line, path, f);
        }
    }
    if (seeds == 0 && keys->n == before)
        eb_findings_add(f, EB_ERROR, file, 0, path, mend_for(want, &err), "the file holds no seed");
}

static void load_keys(struct keys *keys, enum eb_nkey_kind want, const struct eb_secrets *seeds,
                      const struct eb_strs *files, const char *seed_path, const char *file_path,
                      struct eb_findings *f) {
    for (size_t i = 0; i < seeds->n; i++)
        add_seed(keys, want, eb_str_trim(eb_secret_get(seeds->v[i])), NULL, 0, seed_path, f);
    for (size_t i = 0; i < files->n; i++)
        add_file(keys, want, files->v[i], file_path, f);
}

static bool is_account_key(const char *text, struct eb_err *err) {
    uint8_t raw[EB_NKEY_RAW_LEN];
    return eb_nkey_public_decode(eb_str(text), EB_NKEY_ACCOUNT, NULL, raw, err) == EB_OK;
}

static void load_issuer_account(struct eb_signer *s, const struct eb_config *c, struct eb_findings *f) {
    struct eb_err err = {0};
    if (!c->nats_issuer_account || !*c->nats_issuer_account)
        return;
    if (!is_account_key(c->nats_issuer_account, &err))
        eb_findings_add(f, EB_ERROR, NULL, 0, "nats.issuer-account",
                        "write the public key (A...) of the account that callouts are asked in", "%s",
                        err.text);
    s->issuer_account = eb_str_dup(eb_str(c->nats_issuer_account));
    if (!s->issuer_account)
        eb_findings_add(f, EB_ERROR, NULL, 0, "nats.issuer-account", NULL, "out of memory");
}

/* An account's key must be able to sign for it, and for it alone; what cannot be told here (that the account
 * lists the signing key) the server tells at the first login. */
static void check_account(const struct eb_signer *s, size_t at, const char *path, struct eb_findings *f) {
    const struct eb_signer_account *a = &s->accounts[at];
    const char *key = eb_nkey_public(a->key);
    bool own = strcmp(key, a->id) == 0;
    if (own && a->scoped)
        eb_findings_add(f, EB_ERROR, NULL, 0, path,
                        "give the seed of its scoped signing key, or leave scoped away",
                        "scoped, but the seed is the account's own, and that has no scope");
    if (known(&s->issuers, a->key) || eb_signer_issuer(s, eb_str(a->id)))
        eb_findings_add(f, EB_ERROR, NULL, 0, path,
                        "place clients into other accounts than the one that callouts are asked in",
                        "the callout account: who subscribes there sees what others log in with");
    for (size_t i = 0; i < s->accounts_n; i++) {
        const struct eb_signer_account *b = &s->accounts[i];
        bool same_id = strcmp(a->id, b->id) == 0, same_key = strcmp(key, eb_nkey_public(b->key)) == 0;
        if (i < at && (same_id || same_key)) /* a pair is told once */
            eb_findings_add(f, EB_ERROR, NULL, 0, path, "give every account its own id and seed",
                            "the same %s as accounts.%s", same_id ? "id" : "seed", b->name);
        if (i != at && !own && !same_key && strcmp(key, b->id) == 0)
            eb_findings_add(f, EB_ERROR, NULL, 0, path, "give the seed of this account",
                            "the seed is that of accounts.%s", b->name);
    }
}

static void check_accounts(const struct eb_signer *s, struct eb_findings *f) {
    for (size_t i = 0; i < s->accounts_n; i++) {
        eb_auto_buf struct eb_buf path = {0};
        eb_buf_printf(&path, "accounts.%s", s->accounts[i].name);
        check_account(s, i, eb_buf_ok(&path) ? path.p : "accounts", f);
    }
}

static void load_account(struct eb_signer *s, const struct eb_account_config *from, struct eb_findings *f) {
    struct eb_err err = {0};
    struct eb_signer_account *a = &s->accounts[s->accounts_n];
    struct keys keys = {0};
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "accounts.%s", from->name);
    const char *where = eb_buf_ok(&path) ? path.p : "accounts";
    size_t errors = f->errors;
    if (!from->id || !is_account_key(from->id, &err))
        eb_findings_add(
            f, EB_ERROR, NULL, 0, where,
            "write id: and the account's public key (A...), as `eventbus operator show` prints it", "%s",
            from->id ? err.text : "id is missing");
    if (from->signing_seed)
        add_seed(&keys, EB_NKEY_ACCOUNT, eb_str_trim(eb_secret_get(from->signing_seed)), NULL, 0, where, f);
    else if (from->signing_seed_file)
        add_file(&keys, EB_NKEY_ACCOUNT, from->signing_seed_file, where, f);
    else
        eb_findings_add(f, EB_ERROR, NULL, 0, where, "name a file with a seed (SA...) of the account",
                        "signing-seed-file is missing: its users cannot be signed");
    if (keys.n > 1)
        eb_findings_add(f, EB_ERROR, from->signing_seed_file, 0, where, "keep the one that signs from now on",
                        "more than one seed");
    if (f->errors == errors && keys.n == 1) {
        *a = (struct eb_signer_account){.name = eb_str_dup(eb_str(from->name)), .scoped = from->scoped};
        memcpy(a->id, from->id, EB_NKEY_PUBLIC_LEN);
        a->key = EB_TAKE(keys.v[0]);
        if (a->name) {
            s->accounts_n++;
        } else {
            eb_nkey_free(EB_TAKE(a->key));
            eb_findings_add(f, EB_ERROR, NULL, 0, where, NULL, "out of memory");
        }
        if (a->scoped)
            eb_findings_add(f, EB_WARNING, NULL, 0, where,
                            "look at the template of the signing key: `eventbus operator show` prints it",
                            "scoped: the permissions that entries of this account have in the permissions "
                            "document do not count");
    }
    for (size_t i = 0; i < keys.n; i++)
        eb_nkey_free(keys.v[i]);
}

/* What the configuration names as an account of clients must have a key. Entries of the permissions document
 * are held to the same when that is loaded. */
static void check_named(const struct eb_signer *s, const struct eb_strs *names, const char *path,
                        struct eb_findings *f) {
    for (size_t i = 0; i < names->n; i++)
        if (!eb_signer_account(s, eb_str(names->v[i])))
            eb_findings_add(f, EB_ERROR, NULL, 0, path, "add it to accounts, or take it out here",
                            "accounts is set, which is operator mode, and has no key for %s", names->v[i]);
}

static void check_all_named(const struct eb_signer *s, const struct eb_config *c, struct eb_findings *f) {
    const struct eb_issuer_config *i;
    check_named(s, &c->allowed_accounts, "allowed-accounts", f);
    for (size_t n = 0; (i = eb_config_issuer(c, n)); n++) {
        if (i->kind != EB_ISSUER_KUBERNETES)
            continue;
        eb_auto_buf struct eb_buf path = {0};
        char *account = i->kube.account;
        const struct eb_strs one = {&account, account != NULL};
        eb_config_issuer_path(i, "account", &path);
        check_named(s, &one, eb_buf_ok(&path) ? path.p : NULL, f);
        eb_buf_reset(&path);
        eb_config_issuer_path(i, "allowed-accounts", &path);
        check_named(s, &i->kube.allowed_accounts, eb_buf_ok(&path) ? path.p : NULL, f);
    }
}

enum eb_rc eb_signer_load(const struct eb_config *c, struct eb_signer **ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_signer_unrefp) struct eb_signer *s = calloc(1, sizeof *s);
    if (!s)
        return EB_E_NOMEM;
    atomic_init(&s->refs, 1);
    size_t errors = findings->errors;
    load_keys(&s->issuers, EB_NKEY_ACCOUNT, &c->issuer_seeds, &c->issuer_seed_files, "nats.issuer-seed",
              "nats.issuer-seed-file", findings);
    load_keys(&s->curves, EB_NKEY_CURVE, &c->xkey_seeds, &c->xkey_seed_files, "nats.xkey-seed",
              "nats.xkey-seed-file", findings);
    load_issuer_account(s, c, findings);
    s->accounts = calloc(c->accounts_n + 1, sizeof *s->accounts);
    for (size_t i = 0; s->accounts && i < c->accounts_n; i++)
        load_account(s, &c->accounts[i], findings);
    if (!s->accounts)
        return EB_E_NOMEM;
    check_accounts(s, findings); /* all are there: which comes first does not matter */
    if (s->accounts_n)
        check_all_named(s, c, findings);
    if (findings->errors != errors || s->issuers.n == 0)
        return EB_E_INVALID;
    *ret = EB_TAKE(s);
    return EB_OK;
}

const struct eb_nkey *eb_signer_issuer(const struct eb_signer *s, struct eb_str issuer) {
    for (size_t i = 0; i < s->issuers.n; i++)
        if (eb_str_eqz(issuer, eb_nkey_public(s->issuers.v[i])))
            return s->issuers.v[i];
    return s->issuers.n && s->issuer_account && eb_str_eqz(issuer, s->issuer_account)
               ? s->issuers.v[s->issuers.n - 1]
               : NULL;
}

bool eb_signer_operator_mode(const struct eb_signer *s) {
    return s->accounts_n > 0;
}

const struct eb_signer_account *eb_signer_account(const struct eb_signer *s, struct eb_str name) {
    for (size_t i = 0; i < s->accounts_n; i++)
        if (eb_str_eqz(name, s->accounts[i].name))
            return &s->accounts[i];
    return NULL;
}

enum eb_rc eb_signer_sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

size_t eb_signer_curves(const struct eb_signer *s) {
    return s->curves.n;
}

const struct eb_nkey *eb_signer_curve(const struct eb_signer *s, size_t i) {
    return s->curves.v[i];
}

void eb_signer_describe(const struct eb_signer *s, struct eb_buf *to) {
    eb_buf_z(to, "issuers");
    for (size_t i = 0; i < s->issuers.n; i++)
        eb_buf_printf(to, " %s", eb_nkey_public(s->issuers.v[i]));
    eb_buf_z(to, s->curves.n ? ", xkeys" : ", no xkey");
    for (size_t i = 0; i < s->curves.n; i++)
        eb_buf_printf(to, " %s", eb_nkey_public(s->curves.v[i]));
    for (size_t i = 0; i < s->accounts_n; i++)
        eb_buf_printf(to, "%s %s%s", i ? "," : ", accounts", s->accounts[i].name,
                      s->accounts[i].scoped ? " (scoped)" : "");
}
