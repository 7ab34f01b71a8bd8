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
    if (findings->errors != errors || s->issuers.n == 0)
        return EB_E_INVALID;
    *ret = EB_TAKE(s);
    return EB_OK;
}

const struct eb_nkey *eb_signer_issuer(const struct eb_signer *s, struct eb_str issuer) {
    for (size_t i = 0; i < s->issuers.n; i++)
        if (eb_str_eqz(issuer, eb_nkey_public(s->issuers.v[i])))
            return s->issuers.v[i];
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
}
