#include "secrets_check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

void eb_tree_check_complete(const struct eb_tree *t, const struct eb_tree_site *s,
                            struct eb_findings *findings) {
    eb_auto_buf struct eb_buf mend = {0};
    eb_buf_printf(&mend, "run `eventbus secrets generate %s`", t->root);
    const char *generate = eb_buf_ok(&mend) ? mend.p : NULL;
    for (size_t i = 0; i < s->secrets_n; i++) {
        const struct eb_tree_secret *secret = &s->secrets[i];
        const char *peer = secret->def.peer_site;
        const struct eb_tree_site *other = peer[0] ? eb_tree_site(t, peer) : NULL;
        if (secret->state == EB_TREE_ABSENT && other && !other->there && s->site.type == EB_SITE_CSC)
            eb_tree_say(findings, EB_WARNING, s->nkeys, secret->def.name,
                        "put that folder there and run `eventbus secrets generate`",
                        "missing, and the folder of %s, which has the seed, is not here", peer);
        else if (secret->state == EB_TREE_ABSENT)
            eb_tree_say(findings, EB_ERROR, s->nkeys, secret->def.name, generate, "missing");
        else if (peer[0] && (!other || !other->there))
            eb_tree_say(findings, EB_WARNING, s->nkeys, secret->def.name, "verify once where both are",
                        "not compared with its other half: the folder of %s is not here", peer);
    }
    for (size_t i = 0; i < EB_TREE_COPIES; i++) {
        eb_auto_buf struct eb_buf path = {0};
        const struct eb_tree_copy *copy = &eb_tree_copies[i];
        eb_buf_printf(&path, "%s%s%s", s->nkeys, copy->folder ? "/" : "", copy->folder ? copy->folder : "");
        if (s->copies[i] == EB_TREE_ABSENT)
            eb_tree_say(findings, EB_ERROR, eb_buf_ok(&path) ? path.p : s->nkeys, copy->file, generate,
                        "missing");
    }
}

/* Mode and owner of what stands at path; false where it is not to be looked into. */
static bool judge(const char *path, uid_t owner, struct stat *st, struct eb_findings *f) {
    if (lstat(path, st) < 0) {
        eb_tree_say(f, EB_ERROR, path, NULL, NULL, "%s", strerror(errno));
        return false;
    }
    bool dir = S_ISDIR(st->st_mode);
    eb_auto_buf struct eb_buf mend = {0};
    if (!dir && !S_ISREG(st->st_mode)) {
        eb_tree_say(f, EB_ERROR, path, NULL, "put the file or folder itself there", "%s",
                    S_ISLNK(st->st_mode) ? "a symbolic link" : "neither a file nor a folder");
        return false;
    }
    if (st->st_uid != owner) {
        eb_buf_printf(&mend, "chown it to %lu", (unsigned long)owner);
        eb_tree_say(f, EB_ERROR, path, NULL, eb_buf_ok(&mend) ? mend.p : NULL,
                    "belongs to user %lu, who can read and replace it", (unsigned long)st->st_uid);
    }
    if (st->st_mode & 077) {
        eb_buf_reset(&mend);
        eb_buf_printf(&mend, "chmod %s %s", dir ? "700" : "600", path);
        eb_tree_say(f, EB_ERROR, path, NULL, eb_buf_ok(&mend) ? mend.p : NULL,
                    "open to others: mode %04o, not %s", (unsigned)(st->st_mode & 07777),
                    dir ? "0700" : "0600");
    }
    return true;
}

/* What the entry of a folder is for the table. */
static bool is_copy(const char *folder, const char *file) {
    for (size_t i = 0; i < EB_TREE_COPIES; i++) {
        const struct eb_tree_copy *c = &eb_tree_copies[i];
        if ((folder && c->folder ? strcmp(folder, c->folder) == 0 : folder == c->folder) &&
            (!file || strcmp(file, c->file) == 0))
            return true;
    }
    return false;
}

static void stray(const struct eb_tree_site *s, const char *folder, const char *file, const char *path,
                  struct eb_findings *f) {
    const struct eb_tree_secret *secret = folder ? eb_tree_secret(s, folder) : eb_tree_secret(s, file);
    if (!folder) {
        if (!secret && !is_copy(file, NULL) && !is_copy(NULL, file) && strcmp(file, EB_TREE_TLS) != 0)
            eb_tree_say(f, EB_WARNING, path, NULL, "remove it if nothing uses it",
                        "not one of this site's secrets");
        return;
    }
    bool seed = strcmp(file, "seed") == 0;
    if (strcmp(folder, EB_TREE_TLS) == 0) {
        if (strcmp(file, "ca.crt") != 0 && strcmp(file, "tls.crt") != 0 && strcmp(file, "tls.key") != 0)
            eb_tree_say(f, EB_WARNING, path, NULL, "remove it if nothing uses it",
                        "not one of this secret's files");
    } else if (secret && (secret->def.files & EB_SECRET_PUBKEY_OLD) && strcmp(file, "pubkey-old") == 0) {
        eb_tree_say(f, EB_WARNING, path, NULL,
                    "remove it when auth-callout logs in with the new one, and restart the servers",
                    "the key that was replaced is still let in");
    } else if (secret && seed && !(secret->def.files & EB_SECRET_SEED)) {
        eb_tree_say(f, EB_WARNING, path, NULL, "remove it here", "the seed belongs to %s alone",
                    secret->def.peer_site);
    } else if ((secret || is_copy(folder, NULL)) && !is_copy(folder, file) &&
               !(secret && (seed || strcmp(file, "pubkey") == 0))) {
        eb_tree_say(f, EB_WARNING, path, NULL, "remove it if nothing uses it; what was a seed must go, too",
                    "not one of this secret's files");
    }
}

static void walk(const struct eb_tree_site *s, const char *folder, const char *at, uid_t owner,
                 struct eb_findings *f) {
    DIR *dir = opendir(at);
    if (!dir) {
        eb_tree_say(f, EB_ERROR, at, NULL, "run this as the owner of the folder", "%s", strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        eb_auto_buf struct eb_buf path = {0};
        struct stat st = {0};
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        eb_buf_printf(&path, "%s/%s", at, e->d_name);
        if (!eb_buf_ok(&path))
            continue;
        stray(s, folder, e->d_name, path.p, f);
        if (judge(path.p, owner, &st, f) && S_ISDIR(st.st_mode) && !folder)
            walk(s, e->d_name, path.p, owner, f);
    }
    (void)closedir(dir);
}

void eb_tree_check_root(const struct eb_tree *t, struct eb_findings *findings) {
    struct stat st;
    if (stat(t->root, &st) < 0) {
        eb_tree_say(findings, EB_ERROR, t->root, NULL, NULL, "%s", strerror(errno));
        return;
    }
    eb_auto_buf struct eb_buf mend = {0};
    eb_buf_printf(&mend, "chmod 700 %s", t->root);
    const char *chmod_it = eb_buf_ok(&mend) ? mend.p : NULL;
    if (st.st_mode & 022)
        eb_tree_say(findings, EB_ERROR, t->root, NULL, chmod_it,
                    "others can replace what is in it: mode %04o", (unsigned)(st.st_mode & 07777));
    else if (st.st_mode & 055)
        eb_tree_say(findings, EB_WARNING, t->root, NULL, chmod_it, "others can see what is in it: mode %04o",
                    (unsigned)(st.st_mode & 07777));
}

void eb_tree_check_files(const struct eb_tree *t, const struct eb_tree_site *s,
                         struct eb_findings *findings) {
    struct stat root, st;
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/%s", t->root, s->name);
    if (!eb_buf_ok(&path) || stat(t->root, &root) < 0)
        return;
    if (judge(path.p, root.st_uid, &st, findings) && S_ISDIR(st.st_mode) && lstat(s->nkeys, &st) == 0 &&
        judge(s->nkeys, root.st_uid, &st, findings) && S_ISDIR(st.st_mode))
        walk(s, NULL, s->nkeys, root.st_uid, findings);
}
