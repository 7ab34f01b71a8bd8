#include "operator_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

#define JWT_END EB_STR(".jwt")
enum { NAMES_MAX = 100000 }; /* of accounts, or of users of one account */

/* --- names in a folder -----------------------------------------------------------------------------------
 */
struct names {
    char **v;
    size_t n;
};

static void names_done(struct names *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct names){0};
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool names_add(struct names *l, char *name) {
    char **v = name ? realloc(l->v, (l->n + 2) * sizeof *v) : NULL;
    if (!v) {
        free(name);
        return false;
    }
    l->v = v;
    v[l->n++] = name;
    v[l->n] = NULL;
    return true;
}

/* What is in a folder, hidden names left out, in order; of end where it is given, without it. */
static bool names_read(const char *dir, struct eb_str end, struct names *ret) {
    DIR *d = opendir(dir);
    bool good = true;
    if (!d)
        return errno != ENOMEM;
    for (const struct dirent *e = readdir(d); good && e && ret->n < NAMES_MAX; e = readdir(d)) {
        struct eb_str name = eb_str(e->d_name);
        if (name.p[0] == '.' || !eb_str_ends(name, end) || name.n == end.n)
            continue;
        name.n -= end.n;
        good = names_add(ret, eb_str_dup(name));
    }
    (void)closedir(d);
    if (ret->n)
        qsort(ret->v, ret->n, sizeof *ret->v, by_text);
    return good;
}

static char *path_of(const char *fmt, ...) EB_PRINTF(1, 2);
static char *path_of(const char *fmt, ...) {
    struct eb_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    char *text = eb_buf_ok(&b) ? eb_buf_take(&b) : NULL;
    eb_buf_done(&b);
    return text;
}

/* --- finding ---------------------------------------------------------------------------------------------
 */
static bool is_operator(const char *dir) {
    eb_auto_free char *mark = path_of("%s/.nsc", dir);
    struct stat st;
    return mark && lstat(mark, &st) == 0 && S_ISREG(st.st_mode);
}

static bool find_below(const char *dir, struct names *found) {
    EB_CLEANUP(names_done) struct names all = {0};
    bool good = names_read(dir, EB_STR(""), &all);
    for (size_t i = 0; good && i < all.n; i++) {
        char *path = path_of("%s/%s", dir, all.v[i]);
        if (path && !is_operator(path))
            free(path);
        else
            good = names_add(found, path);
    }
    return good;
}

char **eb_store_find(const char *dir) {
    struct names found = {0};
    struct eb_str plain = eb_str(dir);
    while (plain.n > 1 && plain.p[plain.n - 1] == '/')
        plain.n--;
    eb_auto_free char *root = eb_str_dup(plain), *stores = root ? path_of("%s/stores", root) : NULL;
    bool good = stores && (is_operator(root) ? names_add(&found, eb_str_dup(plain))
                                             : find_below(root, &found) && find_below(stores, &found));
    if (good && !found.v)
        found.v = calloc(1, sizeof *found.v);
    if (!good)
        names_done(&found);
    return found.v;
}

void eb_store_found_done(char **found) {
    for (size_t i = 0; found && found[i]; i++)
        free(found[i]);
    free(found);
}

/* --- paths -----------------------------------------------------------------------------------------------
 */
char *eb_store_key_path(const struct eb_store *s, struct eb_str key) {
    return key.n < 3 ? NULL : path_of("%s/%.1s/%.2s/%.*s.nk", s->keys, key.p, key.p + 1, EB_STR_ARG(key));
}

char *eb_store_jwt_path(const struct eb_store *s, const char *account, const char *user) {
    if (!account)
        return path_of("%s/%s.jwt", s->dir, s->name);
    return user ? path_of("%s/accounts/%s/users/%s.jwt", s->dir, account, user)
                : path_of("%s/accounts/%s/%s.jwt", s->dir, account, account);
}

char *eb_store_creds_path(const struct eb_store *s, const char *account, const char *user) {
    return path_of("%s/%s/%s.creds", s->creds, account, user);
}

enum eb_rc eb_store_key(const struct eb_store *s, struct eb_str key, enum eb_nkey_kind kind,
                        struct eb_nkey **ret, struct eb_err *reterr) {
    if (key.n < 3)
        return EB_FAIL(reterr, EB_E_INVALID, "no key is named");
    eb_auto_free char *path = eb_store_key_path(s, key);
    struct stat st;
    if (!path)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return EB_FAIL(reterr, EB_E_IO, "%s: no regular file", path);
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    enum eb_rc rc = eb_nkey_from_seed_file(path, kind, &k, reterr);
    if (rc != EB_OK)
        return rc;
    if (!eb_str_eqz(key, eb_nkey_public(k)))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "%s: holds another key than its name says",
                       path + strlen(s->keys) - strlen("keys"));
    *ret = EB_TAKE(k);
    return EB_OK;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */
static void say(struct eb_findings *f, enum eb_severity level, const char *path, const char *mend,
                const char *fmt, ...) EB_PRINTF(5, 6);
static void say(struct eb_findings *f, enum eb_severity level, const char *path, const char *mend,
                const char *fmt, ...) {
    eb_auto_buf struct eb_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    eb_findings_add(f, level, path, 0, NULL, mend, "%s", eb_buf_ok(&text) && text.p ? text.p : "?");
}

/* The JWT of a file; NULL after a finding, or where nothing is there. */
static char *read_jwt(const char *path, struct eb_findings *f) {
    struct eb_buf b = {0};
    struct eb_err err = {0};
    mode_t mode = 0;
    enum eb_rc rc = path ? eb_file_read_own(path, EB_CLAIMS_MAX, &b, &mode, &err) : EB_E_NOMEM;
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, NULL, 0, NULL, NULL, "%s", eb_err_text(&err, rc));
    char *text = rc == EB_OK && mode ? eb_str_dup(eb_str_trim(eb_buf_get(&b))) : NULL;
    eb_buf_done(&b);
    return text;
}

static void user_done(struct eb_store_user *u) {
    free(u->name);
    free(u->text);
    eb_user_jwt_done(&u->jwt);
}

static void account_done(struct eb_store_account *a) {
    for (size_t i = 0; i < a->users_n; i++)
        user_done(&a->users[i]);
    free(a->users);
    free(a->name);
    free(a->text);
    eb_account_claims_done(&a->claims);
}

void eb_store_done(struct eb_store *s) {
    for (size_t i = 0; i < s->accounts_n; i++)
        account_done(&s->accounts[i]);
    free(s->accounts);
    eb_operator_claims_done(&s->op);
    free(s->root);
    free(s->name);
    free(s->dir);
    free(s->keys);
    free(s->creds);
    free(s->text);
    *s = (struct eb_store){0};
}

static void check_name(struct eb_str claim, const char *name, const char *path, struct eb_findings *f) {
    if (!eb_str_eqz(eb_str_trim(claim), name))
        say(f, EB_ERROR, path, "put back the file that belongs here", "the JWT's name is another one");
}

static void read_user(const struct eb_store *s, struct eb_store_account *a, struct eb_store_user *u,
                      bool mending, struct eb_findings *f) {
    struct eb_err err = {0};
    const json_t *scope;
    eb_auto_free char *path = eb_store_jwt_path(s, a->name, u->name);
    u->text = read_jwt(path, f);
    if (!u->text)
        return;
    enum eb_rc rc = eb_user_read(eb_str(u->text), &u->jwt, &err);
    if (rc != EB_OK) {
        say(f, EB_ERROR, path, NULL, "%s", eb_err_text(&err, rc));
        return;
    }
    check_name(u->jwt.name, u->name, path, f);
    if (!a->claims.jwt.claims)
        return;
    bool member = eb_str_eq(u->jwt.account, a->claims.jwt.sub);
    u->orphan = member && !eb_account_signs(&a->claims, s->op.strict, u->jwt.jwt.iss, &scope);
    if (!member || u->orphan)
        say(f, u->orphan && mending ? EB_WARNING : EB_ERROR, path,
            "sign it anew by the account (`eventbus operator init` does that for users it made)",
            "not signed by a key of the account %s", a->name);
}

static bool read_account(const struct eb_store *s, struct eb_store_account *a, bool mending,
                         struct eb_findings *f) {
    EB_CLEANUP(names_done) struct names users = {0};
    struct eb_err err = {0};
    eb_auto_free char *path = eb_store_jwt_path(s, a->name, NULL);
    eb_auto_free char *folder = path_of("%s/accounts/%s/users", s->dir, a->name);
    a->text = read_jwt(path, f);
    enum eb_rc rc = a->text ? eb_account_read(eb_str(a->text), &a->claims, &err) : EB_OK;
    if (rc != EB_OK)
        say(f, EB_ERROR, path, NULL, "%s", eb_err_text(&err, rc));
    if (a->claims.jwt.claims) {
        check_name(a->claims.name, a->name, path, f);
        if (s->op.jwt.claims && !eb_operator_signs(&s->op, a->claims.jwt.iss))
            say(f, a->claims.jwt.iss_kind == EB_NKEY_ACCOUNT ? EB_WARNING : EB_ERROR, path,
                "have the operator sign it", "not signed by a key of the operator %s", s->name);
    }
    if (!path || !folder || !names_read(folder, JWT_END, &users))
        return false;
    a->users = calloc(users.n + 1, sizeof *a->users);
    for (size_t i = 0; a->users && i < users.n; i++) {
        a->users[i].name = EB_TAKE(users.v[i]);
        a->users_n++;
        read_user(s, a, &a->users[i], mending, f);
    }
    return a->users != NULL;
}

/* Where the keys and creds files are: in nsc's own folders they are beside stores/. */
static bool find_keys(struct eb_store *s) {
    struct eb_str parent = eb_str(s->root);
    bool own = eb_str_ends(parent, EB_STR("/stores"));
    if (own)
        parent.n -= sizeof "/stores" - 1;
    s->keys = path_of(own ? "%.*s/keys/keys" : "%.*s/keys", EB_STR_ARG(parent));
    s->creds = path_of(own ? "%.*s/keys/creds/%s" : "%.*s/creds/%s", EB_STR_ARG(parent), s->name);
    return s->keys && s->creds;
}

static void read_operator(struct eb_store *s, struct eb_findings *f) {
    struct eb_err err = {0};
    eb_auto_free char *path = eb_store_jwt_path(s, NULL, NULL);
    s->text = read_jwt(path, f);
    enum eb_rc rc = s->text ? eb_operator_read(eb_str(s->text), &s->op, &err) : EB_OK;
    if (rc == EB_OK && s->text && !eb_str_eq(s->op.jwt.iss, s->op.jwt.sub))
        rc = EB_FAIL(&err, EB_E_MALFORMED, "not signed by the operator itself");
    if (rc != EB_OK)
        say(f, EB_ERROR, path, NULL, "%s", eb_err_text(&err, rc));
    else if (s->text)
        check_name(s->op.name, s->name, path, f);
}

bool eb_store_read(const char *dir, bool mending, struct eb_store *ret, struct eb_findings *f) {
    EB_CLEANUP(eb_store_done) struct eb_store s = {0};
    EB_CLEANUP(names_done) struct names accounts = {0};
    const char *slash = strrchr(dir, '/');
    s.dir = eb_str_dup(eb_str(dir));
    s.name = eb_str_dup(eb_str(slash ? slash + 1 : dir));
    s.root = slash ? eb_str_dup(eb_str_n(dir, slash == dir ? 1 : (size_t)(slash - dir))) : path_of(".");
    eb_auto_free char *folder = path_of("%s/accounts", dir);
    if (!s.dir || !s.name || !s.root || !folder || !find_keys(&s) ||
        !names_read(folder, EB_STR(""), &accounts))
        return false;
    read_operator(&s, f);
    s.accounts = calloc(accounts.n + 1, sizeof *s.accounts);
    for (size_t i = 0; s.accounts && i < accounts.n; i++) {
        s.accounts[i].name = EB_TAKE(accounts.v[i]);
        s.accounts_n++;
        if (!read_account(&s, &s.accounts[i], mending, f))
            return false;
    }
    if (!s.accounts)
        return false;
    *ret = s;
    s = (struct eb_store){0};
    return true;
}

struct eb_store_account *eb_store_account(const struct eb_store *s, const char *name) {
    for (size_t i = 0; i < s->accounts_n; i++)
        if (strcmp(s->accounts[i].name, name) == 0)
            return &s->accounts[i];
    return NULL;
}

struct eb_store_account *eb_store_account_of(const struct eb_store *s, struct eb_str id) {
    for (size_t i = 0; i < s->accounts_n; i++)
        if (id.n && eb_str_eq(s->accounts[i].claims.jwt.sub, id))
            return &s->accounts[i];
    return NULL;
}

struct eb_store_user *eb_store_user(const struct eb_store_account *a, const char *name) {
    for (size_t i = 0; i < a->users_n; i++)
        if (strcmp(a->users[i].name, name) == 0)
            return &a->users[i];
    return NULL;
}

/* --- writing ---------------------------------------------------------------------------------------------
 */
enum eb_rc eb_store_folders(const struct eb_store *s, const char *path, struct eb_err *reterr) {
    eb_auto_free char *copy = eb_str_dup(eb_str(path));
    if (!copy)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (char *p = copy + strlen(s->root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        struct stat st;
        *p = '\0';
        bool made = mkdir(copy, 0700) == 0;
        if ((!made && errno != EEXIST) || (made && chmod(copy, 0700) < 0) || lstat(copy, &st) < 0)
            return EB_FAIL(reterr, EB_E_IO, "%s: %s", copy, strerror(errno));
        if (!S_ISDIR(st.st_mode))
            return EB_FAIL(reterr, EB_E_IO, "%s: not a folder, or a symbolic link to one", copy);
    }
    return EB_OK;
}

enum eb_rc eb_store_put(const struct eb_store *s, const char *path, struct eb_str bytes,
                        struct eb_err *reterr) {
    if (!path)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_store_folders(s, path, reterr);
    return rc == EB_OK ? eb_file_write(path, bytes, 0600, reterr) : rc;
}

enum eb_rc eb_store_add(const struct eb_store *s, const char *path, struct eb_str bytes,
                        struct eb_err *reterr) {
    struct stat st;
    if (!path)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_store_folders(s, path, reterr);
    if (rc != EB_OK)
        return rc;
    /* Only the run that holds the lock writes here, so nothing can come between. */
    if (lstat(path, &st) == 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: is there already: move it away if it is not this operator's",
                       path);
    return eb_file_write(path, bytes, 0600, reterr);
}
