/* What auth-callout holds, made and kept right. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "operator_make.h"
#include "say.h"

#define HELD_MAX ((size_t)65536)

enum eb_rc eb_operator_ensure_bytes(struct eb_operator_run *r, const char *path, struct eb_str bytes) {
    eb_auto_buf struct eb_buf old = {.secret = true};
    mode_t mode = 0;
    if (!path)
        return eb_operator_nomem(r);
    enum eb_rc rc = eb_store_folders(&r->store, path, &r->err);
    if (rc == EB_OK)
        rc = eb_file_read_own(path, HELD_MAX, &old, &mode, &r->err);
    bool same = rc == EB_OK && mode && eb_str_eq(eb_buf_get(&old), bytes);
    if (rc == EB_OK && !same)
        rc = eb_store_put(&r->store, path, bytes, &r->err);
    if (rc == EB_OK)
        eb_operator_tell(r, same ? EB_OPERATOR_KEPT : mode ? EB_OPERATOR_CHANGED : EB_OPERATOR_MADE, path);
    return rc;
}

static bool signs_users(const struct eb_store_account *a, struct eb_str key) {
    for (size_t i = 0; i < a->users_n; i++)
        if (a->users[i].text && eb_str_eq(a->users[i].jwt.jwt.iss, key))
            return true;
    return false;
}

/* The plain signing keys whose seed is here and that sign no user: how many, and one of them. */
static size_t unused_keys(const struct eb_operator_run *r, const struct eb_store_account *a,
                          struct eb_nkey **ret) {
    const json_t *list = a->claims.signing_keys;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *key = json_string_value(json_array_get(list, i)); /* NULL: a scoped one */
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        if (!key || signs_users(a, eb_str(key)) ||
            eb_store_key(&r->store, eb_str(key), EB_NKEY_ACCOUNT, &k, NULL) != EB_OK)
            continue;
        n++;
        eb_nkey_free(*ret);
        *ret = EB_TAKE(k);
    }
    return n;
}

enum eb_rc eb_operator_ensure_held_key(struct eb_operator_run *r, const char *account) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *held = NULL, *k = NULL;
    struct eb_store_account *a = eb_store_account(&r->store, account);
    char name[EB_OPERATOR_HELD_NAME];
    eb_operator_held_name(account, name);
    eb_auto_free char *path = eb_operator_held_path(&r->store, name);
    if (!a || !path)
        return eb_operator_nomem(r);
    enum eb_rc rc = eb_operator_held_key(&r->store, a, &held, &r->err);
    if (rc != EB_OK || held)
        return rc;
    size_t n = unused_keys(r, a, &k);
    if (n > 1)
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "account %.64s has %zu signing keys that sign no user: copy the seed of the one that "
                       "auth-callout is to have from keys/A to " EB_OPERATOR_HELD "/%.80s",
                       account, n, name);
    if (n == 0)
        rc = eb_operator_make_key(r, EB_NKEY_ACCOUNT, &k);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = rc == EB_OK ? eb_nkey_seed(k) : NULL;
    if (rc == EB_OK && !seed)
        return eb_operator_nomem(r);
    if (rc == EB_OK)
        rc = eb_operator_ensure_bytes(r, path, eb_secret_get(seed));
    return rc == EB_OK && n == 0 ? eb_operator_add_key(r, a, eb_str(eb_nkey_public(k))) : rc;
}

/* A key that is not wanted here any more goes; one whose seed is nowhere else is told and left. */
static enum eb_rc drop(struct eb_operator_run *r, const char *path, enum eb_nkey_kind kind) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL, *kept = NULL;
    struct stat st;
    bool known = lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
                 eb_nkey_from_seed_file(path, kind, &k, NULL) == EB_OK &&
                 eb_store_key(&r->store, eb_str(eb_nkey_public(k)), kind, &kept, NULL) == EB_OK;
    if (!known) {
        eb_say(r->c, "%s: auth-callout has no use for it: remove it", path);
        return EB_OK;
    }
    if (unlink(path) < 0)
        return EB_FAIL(&r->err, EB_E_IO, "%s: %s", path, strerror(errno));
    eb_operator_tell(r, EB_OPERATOR_REMOVED, path);
    return EB_OK;
}

/* Whether an account that takes clients has its key in this file. */
static bool is_wanted(const struct eb_operator_run *r, const char *file) {
    for (size_t i = 0; i < r->store.accounts_n; i++) {
        char name[EB_OPERATOR_HELD_NAME];
        if (!eb_operator_takes_clients(&r->store, &r->store.accounts[i]))
            continue;
        eb_operator_held_name(r->store.accounts[i].name, name);
        if (strcmp(name, file) == 0)
            return true;
    }
    return false;
}

static enum eb_rc drop_unwanted(struct eb_operator_run *r, const char *folder) {
    DIR *d = opendir(folder);
    enum eb_rc rc = EB_OK;
    if (!d)
        return EB_FAIL(&r->err, EB_E_IO, "%s: %s", folder, strerror(errno));
    for (const struct dirent *e = readdir(d); rc == EB_OK && e; e = readdir(d)) {
        struct eb_str name = eb_str(e->d_name);
        if (!eb_str_starts(name, EB_STR("account-")) || !eb_str_ends(name, EB_STR(".seed")) ||
            is_wanted(r, e->d_name))
            continue;
        eb_auto_free char *path = eb_operator_held_path(&r->store, e->d_name);
        rc = path ? drop(r, path, EB_NKEY_ACCOUNT) : eb_operator_nomem(r);
    }
    (void)closedir(d);
    return rc;
}

static enum eb_rc give_xkey(struct eb_operator_run *r, const struct eb_store_account *service) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    eb_auto_free char *path = eb_operator_held_path(&r->store, EB_OPERATOR_HELD_XKEY);
    struct stat st;
    if (!path)
        return eb_operator_nomem(r);
    if (!service->claims.xkey.n) {
        eb_say(r->c, "%s has no xkey: what clients log in with passes its users unsealed", service->name);
        return lstat(path, &st) == 0 ? drop(r, path, EB_NKEY_CURVE) : EB_OK;
    }
    enum eb_rc rc = eb_store_key(&r->store, service->claims.xkey, EB_NKEY_CURVE, &k, &r->err);
    if (rc != EB_OK) {
        eb_err_prefix(&r->err, "the xkey of %s cannot be had", service->name);
        return rc;
    }
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
    return seed ? eb_operator_ensure_bytes(r, path, eb_secret_get(seed)) : eb_operator_nomem(r);
}

enum eb_rc eb_operator_ensure_held_rest(struct eb_operator_run *r) {
    const struct eb_store_account *service = eb_store_account(&r->store, EB_OPERATOR_SERVICE);
    eb_auto_free char *from = eb_store_creds_path(&r->store, EB_OPERATOR_SERVICE, EB_OPERATOR_USER_SERVICE);
    eb_auto_free char *to = eb_operator_held_path(&r->store, EB_OPERATOR_HELD_CREDS);
    eb_auto_free char *folder = eb_operator_held_path(&r->store, "");
    eb_auto_buf struct eb_buf creds = {.secret = true};
    mode_t mode = 0;
    if (!service || !from || !to || !folder)
        return eb_operator_nomem(r);
    enum eb_rc rc = eb_file_read_own(from, HELD_MAX, &creds, &mode, &r->err);
    if (rc == EB_OK && !mode)
        rc = EB_FAIL(&r->err, EB_E_IO, "%s: is not there", from);
    if (rc == EB_OK)
        rc = eb_operator_ensure_bytes(r, to, eb_buf_get(&creds));
    if (rc == EB_OK)
        rc = give_xkey(r, service);
    return rc == EB_OK ? drop_unwanted(r, folder) : rc;
}
