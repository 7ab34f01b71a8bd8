/* Key pairs and public keys of a site, read from its folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "site/secrets.h"

#define KEY_FILE_MAX 256 /* bytes of a file that holds one key */

struct pubkey {
    char name[sizeof((struct eb_secret_def *)NULL)->name + sizeof "/pubkey-old"];
    char key[EB_NKEY_PUBLIC_LEN + 1];
};
struct eb_pubkeys {
    size_t n;
    struct pubkey keys[]; /* sorted by name */
};

static void fault(struct eb_findings *f, const char *path, const char *mend, const char *text) {
    /* The path is told once: errors of files begin with it. */
    size_t n = strlen(path);
    if (strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    eb_findings_add(f, EB_ERROR, path, 0, NULL, mend, "%s", text);
}

/* The one text that a file holds; NULL where there is no file, and after a finding, which *ret_bad tells. */
static struct eb_secret *text_of(const char *path, bool *ret_there, bool *ret_bad, struct eb_findings *f) {
    struct stat st;
    struct eb_err err = {0};
    struct eb_secret *s = NULL;
    *ret_there = stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
    if (!*ret_there)
        return NULL;
    /* A pipe would keep us waiting for ever. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        fault(f, path, "put the file in its place", "not a file");
    else if (eb_secret_read_file(path, KEY_FILE_MAX, &s, &err) != EB_OK)
        fault(f, path, err.rc == EB_E_IO ? "run this as the owner of the folder" : "put the right file back",
              err.text);
    *ret_bad = *ret_bad || !s;
    return s;
}

static void read_seed(const char *path, const struct eb_secret_def *def, struct eb_secret_pair *pair,
                      bool *bad, struct eb_findings *f) {
    bool there;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *text = text_of(path, &there, bad, f);
    struct eb_err err = {0};
    pair->found |= there ? EB_SECRET_SEED : 0;
    if (!text)
        return;
    if (eb_nkey_from_seed(eb_secret_get(text), def->kind, &pair->key, &err) != EB_OK) {
        fault(f, path, "put the right seed back, or remove the secret's folder to get a new key", err.text);
        *bad = true;
        return;
    }
    memcpy(pair->public_key, eb_nkey_public(pair->key), sizeof pair->public_key);
}

static void read_public(const char *path, const struct eb_secret_def *def, struct eb_secret_pair *pair,
                        bool *bad, struct eb_findings *f) {
    bool there;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *text = text_of(path, &there, bad, f);
    struct eb_err err = {0};
    uint8_t raw[EB_NKEY_RAW_LEN];
    pair->found |= there ? EB_SECRET_PUBKEY : 0;
    if (!text)
        return;
    struct eb_str s = eb_secret_get(text);
    if (eb_nkey_public_decode(s, def->kind, NULL, raw, &err) != EB_OK) {
        fault(f, path, "put the right public key back; `eventbus key public` prints the one of a seed",
              err.text);
        *bad = true;
    } else if (pair->key && !eb_str_eqz(s, pair->public_key)) {
        fault(f, path, "put back the half that was changed, or remove the secret's folder to get a new key",
              "not the public key of the seed beside it");
        *bad = true;
    } else {
        memcpy(pair->public_key, s.p, EB_NKEY_PUBLIC_LEN);
        pair->public_key[EB_NKEY_PUBLIC_LEN] = '\0';
    }
}

/* The key that the pair replaces. Twice the same key would be two users of one name, which no server takes.
 */
static void read_old(const char *path, const struct eb_secret_def *def, struct eb_secret_pair *pair,
                     bool *bad, struct eb_findings *f) {
    static const char mend[] = "remove it, or put the public key there that the servers know from before";
    bool there;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *text = text_of(path, &there, bad, f);
    struct eb_err err = {0};
    uint8_t raw[EB_NKEY_RAW_LEN];
    if (!text)
        return;
    struct eb_str s = eb_secret_get(text);
    bool good = eb_nkey_public_decode(s, def->kind, NULL, raw, &err) == EB_OK;
    if (!good || eb_str_eqz(s, pair->public_key)) {
        fault(f, path, mend, good ? "the same key as pubkey" : err.text);
        *bad = true;
        return;
    }
    memcpy(pair->old_key, s.p, EB_NKEY_PUBLIC_LEN);
    pair->old_key[EB_NKEY_PUBLIC_LEN] = '\0';
}

bool eb_secret_pair_read(const char *nkeys, const struct eb_secret_def *def, struct eb_secret_pair *ret,
                         struct eb_findings *findings) {
    eb_auto_buf struct eb_buf seed = {0};
    eb_auto_buf struct eb_buf public_key = {0};
    eb_auto_buf struct eb_buf old = {0};
    bool bad = false;
    *ret = (struct eb_secret_pair){0};
    eb_buf_printf(&seed, "%s/%s/seed", nkeys, def->name);
    eb_buf_printf(&public_key, "%s/%s/pubkey", nkeys, def->name);
    eb_buf_printf(&old, "%s/%s/pubkey-old", nkeys, def->name);
    if (!eb_buf_ok(&seed) || !eb_buf_ok(&public_key) || !eb_buf_ok(&old)) {
        fault(findings, nkeys, NULL, "out of memory");
        return false;
    }
    read_seed(seed.p, def, ret, &bad, findings);
    read_public(public_key.p, def, ret, &bad, findings);
    if (def->files & EB_SECRET_PUBKEY_OLD)
        read_old(old.p, def, ret, &bad, findings);
    return !bad;
}

void eb_secret_pair_done(struct eb_secret_pair *p) {
    eb_nkey_free(p->key);
    *p = (struct eb_secret_pair){0};
}

static void missing(const char *root, const struct eb_site *site, const struct eb_secret_def *def,
                    struct eb_findings *f) {
    eb_auto_buf struct eb_buf path = {0};
    eb_auto_buf struct eb_buf mend = {0};
    eb_buf_printf(&path, "%s/%.*s/nkeys/%s", root, EB_STR_ARG(site->name), def->name);
    eb_buf_printf(&mend, "run `eventbus secrets generate %s`", root);
    struct eb_str cpc = site->type == EB_SITE_CPC ? site->name : eb_str(def->peer_site);
    if (cpc.n)
        eb_buf_printf(&mend, " with `--cpc %.*s`", (int)cpc.n - 4, cpc.p + 4);
    if (def->peer_site[0] && strcmp(def->name, "nats-leaf-csc") != 0 &&
        !eb_str_starts(eb_str(def->name), EB_STR("nats-leaf-cpc-")))
        eb_buf_z(&mend, " and the account as `--extra-account`");
    eb_findings_add(f, EB_ERROR, eb_buf_ok(&path) ? path.p : root, 0, NULL, eb_buf_ok(&mend) ? mend.p : NULL,
                    "the key is missing");
}

enum eb_rc eb_pubkeys_read(const char *root, const struct eb_site *site, struct eb_pubkeys **ret,
                           struct eb_findings *findings) {
    eb_auto_free struct eb_secret_def *defs = NULL;
    size_t n = 0, errors = findings->errors;
    struct eb_err err = {0};
    eb_auto_buf struct eb_buf nkeys = {0};
    if (eb_secrets_of(site, &defs, &n, &err) != EB_OK) {
        eb_findings_add(findings, EB_ERROR, root, 0, NULL, NULL, "%s", err.text);
        return err.rc;
    }
    eb_buf_printf(&nkeys, "%s/%.*s/nkeys", root, EB_STR_ARG(site->name));
    EB_CLEANUP(eb_pubkeys_freep) struct eb_pubkeys *k = calloc(1, sizeof *k + 2 * n * sizeof k->keys[0]);
    if (!k || !eb_buf_ok(&nkeys))
        return EB_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct eb_secret_pair pair;
        if (eb_secret_pair_read(nkeys.p, &defs[i], &pair, findings) && !pair.public_key[0])
            missing(root, site, &defs[i], findings);
        memcpy(k->keys[k->n].name, defs[i].name, sizeof defs[i].name);
        memcpy(k->keys[k->n++].key, pair.public_key, sizeof k->keys[0].key);
        if (pair.old_key[0]) { /* right behind its pair, which keeps the order */
            (void)snprintf(k->keys[k->n].name, sizeof k->keys[0].name, "%s/pubkey-old", defs[i].name);
            memcpy(k->keys[k->n++].key, pair.old_key, sizeof k->keys[0].key);
        }
        eb_secret_pair_done(&pair);
    }
    if (findings->errors != errors)
        return EB_E_INVALID;
    *ret = EB_TAKE(k);
    return EB_OK;
}

static int compare(const void *key, const void *item) {
    return strcmp(key, ((const struct pubkey *)item)->name);
}

const char *eb_pubkeys_get(const struct eb_pubkeys *k, const char *secret) {
    const struct pubkey *found = bsearch(secret, k->keys, k->n, sizeof k->keys[0], compare);
    return found ? found->key : NULL;
}

void eb_pubkeys_free(struct eb_pubkeys *k) {
    free(k);
}
