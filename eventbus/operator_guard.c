/* Modes, links and leftovers of an operator's folder. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "operator_guard.h"
#include "operator_make.h"

enum { DEPTH_MAX = 8 };

/* The folders of an operator's own, and how far down they are looked at: servers may keep theirs below. */
static const struct {
    const char *name;
    int depth;
} own[] = {
    {EB_OPERATOR_NAME, DEPTH_MAX}, {"keys", DEPTH_MAX}, {"creds", DEPTH_MAX}, {EB_OPERATOR_HELD, DEPTH_MAX},
    {"auth-callout", 0},           {"nats-server", 0},  {"kubernetes", 0},
};

typedef bool (*visit)(void *ctx, const char *path, const struct stat *st);

/* Everything in and below a folder, itself first, never through a link. false when visit said so, or out of
 * memory. */
static bool walk(const char *path, int depth, visit fn, void *ctx) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return true;
    if (!fn(ctx, path, &st))
        return false;
    DIR *d = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    bool good = true;
    for (const struct dirent *e = d ? readdir(d) : NULL; good && e; e = readdir(d)) {
        eb_auto_buf struct eb_buf below = {0};
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        eb_buf_printf(&below, "%s/%s", path, e->d_name);
        bool deep = eb_buf_ok(&below) && lstat(below.p, &st) == 0 && S_ISDIR(st.st_mode);
        if (!eb_buf_ok(&below))
            good = false;
        else if (!deep)
            good = walk(below.p, 0, fn, ctx);
        else if (depth > 0)
            good = walk(below.p, depth - 1, fn, ctx);
    }
    if (d)
        (void)closedir(d);
    return good;
}

static bool walk_own(const char *root, visit fn, void *ctx) {
    for (size_t i = 0; i < EB_COUNT_OF(own); i++) {
        eb_auto_buf struct eb_buf path = {0};
        eb_buf_printf(&path, "%s/%s", root, own[i].name);
        if (!eb_buf_ok(&path) || !walk(path.p, own[i].depth, fn, ctx))
            return false;
    }
    return true;
}

/* Yours: it may be whatever you like, a link, too. */
static bool is_permissions(const char *path) {
    return eb_str_ends(eb_str(path), EB_STR("/auth-callout/permissions.yaml"));
}

/* Public keys, JWTs and the servers' configurations may be read; what has or may have a seed may not. */
static bool is_secret(const char *path) {
    struct eb_str p = eb_str(path);
    return eb_str_ends(p, EB_STR(".nk")) || eb_str_ends(p, EB_STR(".creds")) ||
           strstr(path, "/" EB_OPERATOR_HELD "/") || eb_str_ends(p, EB_STR("/kubernetes/secrets.yaml"));
}

static bool is_wide(const char *path, const struct stat *st) {
    return (st->st_mode & 077) && (S_ISDIR(st->st_mode) || (S_ISREG(st->st_mode) && is_secret(path)));
}

/* --- before a run ----------------------------------------------------------------------------------------
 */
static bool tell_link(void *ctx, const char *path, const struct stat *st) {
    if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode) && !is_permissions(path))
        eb_findings_add(ctx, EB_ERROR, path, 0, NULL, "put the folder or file itself there", "%s",
                        S_ISLNK(st->st_mode) ? "a symbolic link" : "neither a file nor a folder");
    return true;
}

bool eb_operator_check_links(const char *root, struct eb_findings *f) {
    return walk_own(root, tell_link, f);
}

/* --- mending ---------------------------------------------------------------------------------------------
 */
/* NAME.new-PID-XXXXXXXX: of a run that was killed while it wrote (eb_file_write). This one holds the lock, so
 * none is at work. */
static bool is_leftover(const char *path) {
    const char *name = strrchr(path, '/');
    const char *mark = name ? strstr(name, ".new-") : NULL;
    const char *rest = mark ? mark + strlen(".new-") : "";
    size_t pid = strspn(rest, "0123456789");
    return pid && rest[pid] == '-' && strspn(rest + pid + 1, "0123456789abcdef") == 8 &&
           rest[pid + 9] == '\0';
}

static bool mend(void *ctx, const char *path, const struct stat *st) {
    struct eb_operator_run *r = ctx;
    enum eb_operator_did did = EB_OPERATOR_MODE;
    int rc = 0;
    if (S_ISREG(st->st_mode) && is_leftover(path)) {
        did = EB_OPERATOR_REMOVED;
        rc = unlink(path);
    } else if (is_wide(path, st)) {
        rc = chmod(path, S_ISDIR(st->st_mode) ? 0700 : 0600);
    } else {
        return true;
    }
    if (rc < 0) {
        (void)EB_FAIL(&r->err, EB_E_IO, "%s: %s", path, strerror(errno));
        return false;
    }
    eb_operator_tell(r, did, path);
    return true;
}

enum eb_rc eb_operator_mend_modes(struct eb_operator_run *r) {
    struct stat st;
    if (lstat(r->store.root, &st) < 0)
        return EB_FAIL(&r->err, EB_E_IO, "%s: %s", r->store.root, strerror(errno));
    bool good = mend(r, r->store.root, &st) && walk_own(r->store.root, mend, r);
    return good ? EB_OK : r->err.text[0] ? EB_E_IO : eb_operator_nomem(r);
}

/* --- show ------------------------------------------------------------------------------------------------
 */
static bool tell_mode(void *ctx, const char *path, const struct stat *st) {
    bool dir = S_ISDIR(st->st_mode);
    if (is_wide(path, st))
        eb_findings_add(ctx, EB_ERROR, path, 0, NULL,
                        dir ? "chmod 700 it; `eventbus operator init` does so, too"
                            : "chmod 600 it; `eventbus operator init` does so, too",
                        "open to others: mode %04o, not %s", (unsigned)(st->st_mode & 07777),
                        dir ? "0700" : "0600");
    return true;
}

bool eb_operator_check_modes(const struct eb_store *s, struct eb_findings *f) {
    struct stat st;
    eb_auto_free char *held = eb_operator_held_path(s, "");
    eb_auto_buf struct eb_buf secrets = {0};
    eb_buf_printf(&secrets, "%s/kubernetes/secrets.yaml", s->root);
    if (!held || !eb_buf_ok(&secrets))
        return false;
    held[strlen(held) - 1] = '\0';
    if (lstat(s->root, &st) == 0 && (st.st_mode & 022))
        eb_findings_add(f, EB_ERROR, s->root, 0, NULL, "chmod 700 it",
                        "others can replace what is in it: mode %04o", (unsigned)(st.st_mode & 07777));
    return walk(s->dir, DEPTH_MAX, tell_mode, f) && walk(s->keys, DEPTH_MAX, tell_mode, f) &&
           walk(s->creds, DEPTH_MAX, tell_mode, f) && walk(held, DEPTH_MAX, tell_mode, f) &&
           walk(secrets.p, 0, tell_mode, f);
}
