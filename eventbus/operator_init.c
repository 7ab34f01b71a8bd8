/* eventbus operator init */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "operator_make.h"
#include "say.h"
#include "secrets_write.h"

enum { DIR_, ACCOUNT, NACK }; /* places in options[] */
static const struct eb_option options[] = {
    {"dir", "DIR", "The operator's folder. Required."},
    {"account", "NAME...",
     "A further account that clients may be placed into, with JetStream; may be given several times. Those "
     "that DIR has need not be named again."},
    {"nack", NULL,
     "Adds what the JetStream controller NACK logs in with: an account NACK, and a user nack in every "
     "account "
     "that clients are placed into, each with the rights of JetStream's API and no others."},
    {NULL, NULL, NULL},
};

/* Files that are made again at every run bear this in their first line, with a digest of all behind it. */
#define HEAD "# Made by `eventbus operator init`, and made again by it; digest "
enum { DIGEST_BYTES = 16, DIGEST_LEN = 2 * DIGEST_BYTES };
#define FILE_MAX ((size_t)8 << 20)
enum { NAME_MAX_ = 64 }; /* bytes of an account's name */

/* --- rendered files ----------------------------------------------------------------------------------------
 */
static void digest(struct eb_str body, char to[DIGEST_LEN + 1]) {
    unsigned char raw[DIGEST_BYTES];
    (void)crypto_generichash(raw, sizeof raw, (const unsigned char *)body.p, body.n, NULL, 0);
    (void)sodium_bin2hex(to, DIGEST_LEN + 1, raw, sizeof raw);
}

/* Whether nobody touched a file since it was made. */
static bool is_ours(struct eb_str text) {
    char want[DIGEST_LEN + 1];
    struct eb_str rest = text, line = eb_str_cut(&rest, '\n');
    if (!rest.p || !eb_str_starts(line, EB_STR(HEAD)))
        return false;
    digest(rest, want);
    return eb_str_eqz(eb_str_n(line.p + sizeof HEAD - 1, line.n - (sizeof HEAD - 1)), want);
}

/* The path of a file beside the operator's folder. */
static char *beside(const struct eb_operator_run *r, const char *name) {
    struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/%s", r->store.root, name);
    char *text = eb_buf_ok(&path) ? eb_buf_take(&path) : NULL;
    eb_buf_done(&path);
    return text;
}

static enum eb_rc ensure_rendered(struct eb_operator_run *r, const char *name, struct eb_str body) {
    eb_auto_free char *path = beside(r, name);
    eb_auto_buf struct eb_buf text = {.secret = true}, old = {.secret = true};
    char sum[DIGEST_LEN + 1];
    mode_t mode = 0;
    digest(body, sum);
    eb_buf_printf(&text, HEAD "%s\n", sum);
    eb_buf_str(&text, body);
    if (!path || !eb_buf_ok(&text))
        return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_store_folders(&r->store, path, &r->err);
    if (rc == EB_OK)
        rc = eb_file_read_own(path, FILE_MAX, &old, &mode, &r->err);
    if (rc != EB_OK)
        return rc;
    bool same = mode && eb_str_eq(eb_buf_get(&old), eb_buf_get(&text));
    if (mode && !same && !is_ours(eb_buf_get(&old)))
        return EB_FAIL(&r->err, EB_E_INVALID,
                       "%s: was changed by hand, or is not ours: move it away (keep changes in a copy)",
                       path);
    if (!same)
        rc = eb_file_write(path, eb_buf_get(&text), 0600, &r->err);
    if (rc == EB_OK)
        eb_operator_tell(r, same ? EB_OPERATOR_KEPT : mode ? EB_OPERATOR_CHANGED : EB_OPERATOR_MADE, path);
    return rc;
}

static const char permissions_start[] =
    "# Who may do what: docs/authentication.md. Nobody is let in by what stands here; an example:\n"
    "#\n"
    "# nkey:\n"
    "#   probe:\n"
    "#     public_key: U...           # eventbus key generate --user\n"
    "#     account: " EB_OPERATOR_ACCOUNT "\n"
    "#     permissions: { pub: { allow: [\"plant.>\"] }, sub: { allow: [\"plant.>\", \"_INBOX.>\"] } }\n"
    "nkey: {}\n";

static enum eb_rc ensure_files(struct eb_operator_run *r) {
    eb_auto_buf struct eb_buf memory = {0}, full = {0}, callout = {0}, secrets = {.secret = true};
    eb_auto_free char *permissions = beside(r, "auth-callout/permissions.yaml");
    struct stat st;
    eb_operator_server_conf(&memory, &r->store, false, NULL);
    eb_operator_server_conf(&full, &r->store, true, "./jwt");
    if (!permissions || !eb_buf_ok(&memory) || !eb_buf_ok(&full))
        return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_operator_callout_conf(&callout, &r->store, NULL, &r->err);
    if (rc == EB_OK)
        rc = eb_operator_ensure_held_rest(r);
    if (rc == EB_OK)
        rc = eb_operator_secrets(&secrets, &r->store, &r->err);
    if (rc == EB_OK)
        rc = ensure_rendered(r, "nats-server/memory.conf", eb_buf_get(&memory));
    if (rc == EB_OK)
        rc = ensure_rendered(r, "nats-server/full.conf", eb_buf_get(&full));
    if (rc == EB_OK)
        rc = ensure_rendered(r, "auth-callout/auth-callout.yaml", eb_buf_get(&callout));
    if (rc == EB_OK)
        rc = ensure_rendered(r, "kubernetes/secrets.yaml", eb_buf_get(&secrets));
    if (rc != EB_OK)
        return rc;
    bool there = lstat(permissions, &st) == 0;
    rc = there ? EB_OK : eb_store_add(&r->store, permissions, eb_str(permissions_start), &r->err);
    if (rc == EB_OK)
        eb_operator_tell(r, there ? EB_OPERATOR_KEPT : EB_OPERATOR_MADE, permissions);
    return rc;
}

/* --- all ---------------------------------------------------------------------------------------------------
 */
/* Whether a user is to be looked at: one that was asked for, or that was and must be signed anew. */
static bool wants_nack(const struct eb_operator_run *r, const char *account, bool asked) {
    const struct eb_store_account *a = eb_store_account(&r->store, account);
    const struct eb_store_user *u = a ? eb_store_user(a, EB_OPERATOR_USER_NACK) : NULL;
    return asked || (u && u->orphan);
}

static enum eb_rc make_users(struct eb_operator_run *r, const char *account, bool nack) {
    enum eb_rc rc = eb_operator_ensure_user(r, account, EB_OPERATOR_USER_ADMIN, EB_OPERATOR_ADMIN);
    if (rc == EB_OK && wants_nack(r, account, nack))
        rc = eb_operator_ensure_user(r, account, EB_OPERATOR_USER_NACK, EB_OPERATOR_JETSTREAM);
    return rc;
}

/* Accounts that the callout account allows, and that auth-callout gets no key of all the same. */
static void tell_skipped(const struct eb_operator_run *r) {
    const struct eb_store *s = &r->store;
    const struct eb_store_account *service = eb_store_account(s, EB_OPERATOR_SERVICE);
    const json_t *allowed = service ? service->claims.allowed_accounts : NULL;
    for (size_t i = 0; i < json_array_size(allowed); i++) {
        struct eb_str id = eb_str(json_string_value(json_array_get(allowed, i)));
        const struct eb_store_account *a = eb_store_account_of(s, id);
        if (eb_str_eqz(id, "*"))
            eb_say(r->c, EB_OPERATOR_SERVICE " allows every account (*), the system account too: list those "
                                             "that clients may be placed into instead");
        else if (a && !eb_operator_takes_clients(s, a))
            eb_say(r->c,
                   EB_OPERATOR_SERVICE " allows %s, and auth-callout gets no key of it: %s. Take it out: nsc "
                                       "edit authcallout --rm-allowed-account %.*s",
                   a->name,
                   eb_operator_plain_name(a->name)
                       ? "no clients are placed into that one"
                       : "the permissions document takes letters, digits, - and _ in a name",
                   EB_STR_ARG(id));
    }
    for (size_t i = 0; i < s->accounts_n; i++) {
        const struct eb_store_account *a = &s->accounts[i];
        if (eb_operator_takes_clients(s, a) && !a->claims.jetstream)
            eb_say(r->c,
                   "account %s has no JetStream, without which MQTT clients are closed at once: nsc edit "
                   "account %s --js-mem-storage -1 --js-disk-storage -1",
                   a->name, a->name);
    }
}

/* The operator and SYS first: all else is signed by them or can be pushed by them. */
static enum eb_rc make_all(struct eb_operator_run *r, const char *const *accounts, size_t n, bool nack) {
    enum eb_rc rc = eb_operator_ensure(r);
    if (rc == EB_OK)
        rc = eb_operator_ensure_sys(r);
    if (rc == EB_OK)
        rc = eb_operator_ensure_user(r, eb_operator_sys(&r->store), EB_OPERATOR_USER_SYS, EB_OPERATOR_ADMIN);
    for (size_t i = 0; rc == EB_OK && i < n; i++) {
        rc = eb_operator_ensure_target(r, accounts[i]);
        if (rc == EB_OK)
            rc = make_users(r, accounts[i], nack);
    }
    if (rc == EB_OK)
        rc = eb_operator_ensure_service(r, accounts, n);
    if (rc == EB_OK)
        tell_skipped(r);
    if (rc == EB_OK)
        rc = eb_operator_ensure_user(r, EB_OPERATOR_SERVICE, EB_OPERATOR_USER_SERVICE, EB_OPERATOR_CALLOUT);
    if (rc == EB_OK)
        rc = eb_operator_ensure_user(r, EB_OPERATOR_SERVICE, EB_OPERATOR_USER_SENTINEL, EB_OPERATOR_SENTINEL);
    if (rc == EB_OK && nack)
        rc = eb_operator_ensure_account(r, EB_OPERATOR_NACK);
    if (rc == EB_OK && wants_nack(r, EB_OPERATOR_NACK, nack))
        rc = eb_operator_ensure_user(r, EB_OPERATOR_NACK, EB_OPERATOR_USER_NACK, EB_OPERATOR_JETSTREAM);
    return rc == EB_OK ? ensure_files(r) : rc;
}

static void add_once(const char **v, size_t *n, const char *name) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp(v[i], name) == 0)
            return;
    v[(*n)++] = name;
}

/* What DIR has of accounts that clients may be placed into (AUTH_ACCOUNT at first), and those of the command
 * line, each once; NULL ends them. The caller frees them with eb_store_found_done. */
static char **accounts_of(const struct eb_operator_run *r, const struct eb_args *args, size_t *ret_n) {
    const struct eb_store_account *service = eb_store_account(&r->store, EB_OPERATOR_SERVICE);
    size_t n = 0, room = 1 + r->store.accounts_n + args->given_n;
    const char **v = calloc(room, sizeof *v), *name;
    char **copies = calloc(room + 1, sizeof *copies);
    if (v && !(service && service->text)) /* later it may have been taken out on purpose */
        add_once(v, &n, EB_OPERATOR_ACCOUNT);
    for (size_t i = 0; v && i < r->store.accounts_n; i++)
        if (eb_operator_takes_clients(&r->store, &r->store.accounts[i]))
            add_once(v, &n, r->store.accounts[i].name);
    for (size_t i = 0; v && (name = eb_args_each(r->c, args, "account", i)); i++)
        add_once(v, &n, name);
    bool good = v && copies;
    for (size_t i = 0; good && i < n; i++)
        good = (copies[i] = eb_str_dup(eb_str(v[i])));
    free(v);
    *ret_n = n;
    if (good)
        return copies;
    eb_store_found_done(copies);
    return NULL;
}

/* Names are those of files, of YAML keys and of accounts in the permissions document. */
static bool names_good(const struct eb_command *c, const struct eb_args *args) {
    const char *name;
    for (size_t i = 0; (name = eb_args_each(c, args, "account", i)); i++) {
        struct eb_str s = eb_str(name);
        if (!eb_operator_plain_name(name) || s.n > NAME_MAX_) {
            eb_say(c, "--account %.64s: a name of letters, digits, - and _, at most %d", name, NAME_MAX_);
            return false;
        }
        if (strcasecmp(name, EB_OPERATOR_SYS) == 0 || strcasecmp(name, EB_OPERATOR_SERVICE) == 0 ||
            strcasecmp(name, EB_OPERATOR_NACK) == 0) {
            eb_say(c, "--account %s: no clients are placed into that one; give another name", name);
            return false;
        }
    }
    return true;
}

/* Nor is the system account, by whatever name, one that clients are placed into. */
static bool not_sys(const struct eb_operator_run *r, const struct eb_args *args) {
    const char *name, *sys = eb_operator_sys(&r->store);
    for (size_t i = 0; (name = eb_args_each(r->c, args, "account", i)); i++)
        if (strcmp(name, sys) == 0) {
            eb_say(r->c, "--account %s: it is the system account, and no clients are placed into that one",
                   name);
            return false;
        }
    return true;
}

/* DIR holds nothing but what a run makes and what nsc keeps beside it. */
static bool folder_ours(const struct eb_command *c, const char *dir) {
    static const char *const own[] = {EB_OPERATOR_NAME, "keys",       "creds",    "nats-server",
                                      "auth-callout",   "kubernetes", "nsc.json", ".gitignore"};
    DIR *d = opendir(dir);
    bool good = d != NULL;
    if (!d)
        eb_say(c, "%s: %s", dir, strerror(errno));
    for (const struct dirent *e = d ? readdir(d) : NULL; good && e; e = readdir(d)) {
        bool known = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        for (size_t i = 0; !known && i < EB_COUNT_OF(own); i++)
            known = strcmp(e->d_name, own[i]) == 0;
        if (!known) {
            eb_auto_buf struct eb_buf name = {0};
            eb_say_safe(&name, eb_str(e->d_name));
            eb_say(c,
                   "%s: holds %.80s, which is not of an operator that this command made: give a folder of "
                   "its own",
                   dir, eb_buf_ok(&name) ? name.p : "?");
            good = false;
        }
    }
    if (d)
        (void)closedir(d);
    return good;
}

static bool read_store(struct eb_operator_run *r, const char *root) {
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_buf struct eb_buf dir = {0};
    eb_buf_printf(&dir, "%s/" EB_OPERATOR_NAME, root);
    bool good = eb_buf_ok(&dir) && eb_operator_check_links(root, &f) &&
                (f.errors || eb_store_read(dir.p, true, &r->store, &f));
    if (!good)
        eb_say(r->c, "out of memory");
    if (good && !f.errors && !r->store.text && r->store.accounts_n) {
        eb_say(r->c, "%s: has accounts, but no operator: put %s.jwt back", dir.p, EB_OPERATOR_NAME);
        good = false;
    }
    eb_say_findings(r->c, &f);
    if (f.errors)
        eb_say(r->c, "nothing was written");
    return good && !f.errors;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    EB_CLEANUP(eb_operator_run_done)
    struct eb_operator_run r = {.c = c, .lock = -1, .now = (int64_t)time(NULL)};
    const char *dir = args->value[DIR_];
    if (!dir) {
        eb_say(c, "--dir is missing: --dir DIR");
        return EB_EXIT_USAGE;
    }
    if (!names_good(c, args))
        return EB_EXIT_USAGE;
    eb_auto_free char *root = eb_str_dup(eb_tree_plain(dir));
    struct stat st;
    if (root && lstat(root, &st) == 0 && S_ISLNK(st.st_mode)) {
        eb_say(c, "%s: a symbolic link: give the folder that it leads to", root);
        return EB_EXIT_FAILED;
    }
    r.lock = root ? eb_tree_lock(root, &r.err) : -1;
    if (r.lock < 0) {
        eb_say(c, "%s", eb_err_text(&r.err, EB_E_NOMEM));
        return EB_EXIT_FAILED;
    }
    if (!folder_ours(c, root) || !read_store(&r, root) || !not_sys(&r, args))
        return EB_EXIT_FAILED;
    size_t n = 0;
    char **accounts = accounts_of(&r, args, &n);
    enum eb_rc rc = accounts ? eb_operator_mend_modes(&r) : EB_E_NOMEM;
    if (rc == EB_OK)
        rc = make_all(&r, (const char *const *)accounts, n, args->value[NACK]);
    eb_store_found_done(accounts);
    eb_buf_printf(&r.told, "%zu made, %zu changed, %zu kept\n", r.made, r.changed, r.kept);
    if (rc != EB_OK)
        eb_say(c, "%s. Run it again when that is mended: what was made is whole, and is kept",
               eb_err_text(&r.err, rc));
    bool told = eb_buf_ok(&r.told) && eb_say_out(c, eb_buf_get(&r.told));
    return rc == EB_OK && told ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_operator_init = {
    .words = "operator init",
    .summary = "make an operator, its accounts and all that servers and auth-callout need of them",
    .synopsis = "eventbus operator init --dir DIR [--nack] [--account NAME]...",
    .description =
        "Makes what NATS servers in operator mode need, with auth callout: the operator " EB_OPERATOR_NAME
        "; the system account SYS with a user sys; " EB_OPERATOR_SERVICE
        ", where callouts are asked, with the user auth of auth-callout and a sentinel, which is a public "
        "JWT "
        "that clients present to be asked about; " EB_OPERATOR_ACCOUNT
        " and those of --account, into which clients are placed, each with a user admin that is not asked "
        "about. Every user has a creds file.\n\n"
        "Besides: nats-server/memory.conf and full.conf, one of which the servers' configuration includes; "
        "auth-callout/auth-callout.yaml, with which the service starts, and a permissions document to begin "
        "with; kubernetes/secrets.yaml, the same as Secrets.\n\n"
        "Run again, it adds what is missing. Keys are not replaced, and of JWTs only that "
        "of " EB_OPERATOR_SERVICE ", to allow a new account, that of an account that needs a signing key for "
        "auth-callout (push them to "
        "servers with a full resolver, or have those with memory.conf reload), and users of this command's "
        "whose signing key is gone from their account. Which signing key is auth-callout's is what the file "
        "in auth-callout/keys says. The configurations are made again; one "
        "that was changed by hand is refused, and so are a JWT without its key, a JWT that another operator "
        "signed, and a DIR with other files or links.\n\n"
        "The layout is that of nsc: nsc --all-dirs DIR shows and changes the same. Folders have mode 0700, "
        "files 0600; wider ones are mended. Keep DIR off line: who has it can make any account.",
    .options = options,
    .examples = "eventbus operator init --dir operator\n"
                "eventbus operator init --dir operator --nack --account PLANT --account LAB",
    .failures = "something in DIR is wrong or not ours, or could not be written",
    .run = run,
};
