/* Which sites and accounts a tree of secrets has. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "say.h"
#include "secrets_tree.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool eb_tree_names_has(const struct eb_tree_names *names, const char *name) {
    return names->n && bsearch(&name, names->items, names->n, sizeof *names->items, by_text);
}

static bool name_add(struct eb_tree_names *names, struct eb_str name) {
    char *copy = eb_str_dup(name);
    if (!copy)
        return false;
    if (eb_tree_names_has(names, copy)) {
        free(copy);
        return true;
    }
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 16;
        char **items = realloc(names->items, cap * sizeof *items);
        if (!items) {
            free(copy);
            return false;
        }
        names->items = items;
        names->cap = cap;
    }
    names->items[names->n++] = copy;
    qsort(names->items, names->n, sizeof *names->items, by_text);
    return true;
}

void eb_tree_names_done(struct eb_tree_names *names) {
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct eb_tree_names){0};
}

void eb_tree_say(struct eb_findings *findings, enum eb_severity severity, const char *folder,
                 const char *file, const char *mend, const char *fmt, ...) {
    eb_auto_buf struct eb_buf path = {0};
    eb_auto_buf struct eb_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    eb_buf_printf(&path, "%s%s%s", folder, file ? "/" : "", file ? file : "");
    bool whole = eb_buf_ok(&path) && eb_buf_ok(&text);
    eb_findings_add(findings, severity, whole ? path.p : folder, 0, NULL, mend, "%s",
                    whole ? text.p : "out of memory");
}

static bool is_id(struct eb_str s, size_t max) {
    bool good = s.n && s.n <= max;
    for (size_t i = 0; good && i < s.n; i++)
        good = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9');
    return good;
}

static bool is_account(struct eb_str lower) {
    static const char *const taken[] = {"sys", "auth", "authx", "csc"};
    for (size_t i = 0; i < EB_COUNT_OF(taken); i++)
        if (eb_str_eqz(lower, taken[i]))
            return false;
    return is_id(lower, EB_SITE_EXTRA_MAX) && !eb_str_starts(lower, EB_STR("cpc"));
}

bool eb_tree_add_cpc(struct eb_tree *t, const char *id, struct eb_findings *findings) {
    if (!is_id(eb_str(id), EB_SITE_ID_MAX)) {
        eb_findings_add(findings, EB_ERROR, NULL, 0, NULL, "for instance 1, or west2",
                        "`%.40s` is no id of a CPC: lower-case letters and digits, at most %d", id,
                        EB_SITE_ID_MAX);
        return false;
    }
    t->failed |= !name_add(&t->ids, eb_str(id)) || !name_add(&t->given, eb_str(id));
    return true;
}

bool eb_tree_add_account(struct eb_tree *t, const char *name, struct eb_findings *findings) {
    char lower[EB_SITE_EXTRA_MAX + 2] = "";
    size_t n = strnlen(name, sizeof lower - 1);
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    if (!is_account(eb_str_n(lower, n))) {
        eb_findings_add(
            findings, EB_ERROR, NULL, 0, NULL, "for instance LaunchLayer",
            "`%.40s` cannot be an extra account: letters and digits, at most %d, not SYS, AUTH, AUTHX, CSC "
            "or a name that begins with CPC",
            name, EB_SITE_EXTRA_MAX);
        return false;
    }
    t->failed |= !name_add(&t->accounts, eb_str_n(lower, n));
    return true;
}

/* Notes what the name of a leaf login's secret tells: the account, and at the CSC the CPC's id. */
static void learn(struct eb_tree *t, const char *secret) {
    struct eb_str rest = eb_str(secret), prefix = EB_STR("nats-leaf-"), account = EB_STR_NONE;
    if (!eb_str_starts(rest, prefix))
        return;
    rest = eb_str_n(rest.p + prefix.n, rest.n - prefix.n);
    struct eb_str word = eb_str_cut(&rest, '-');
    if (rest.p && !eb_str_eqz(word, "cpc")) {
        account = word;
        word = eb_str_cut(&rest, '-');
    }
    bool csc = eb_str_eqz(word, "cpc");
    if (csc ? !is_id(rest, EB_SITE_ID_MAX) : (rest.p || !eb_str_eqz(word, "csc")))
        return;
    if (account.n && !is_account(account))
        return;
    t->failed |= csc && !name_add(&t->ids, rest);
    t->failed |= account.n && !name_add(&t->accounts, account);
}

mode_t eb_tree_kind(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_mode : 0;
}

const char *eb_tree_what(mode_t mode) {
    return S_ISLNK(mode) ? "a symbolic link" : S_ISDIR(mode) ? "a folder" : "no folder";
}

static void find_in_site(struct eb_tree *t, const char *site, struct eb_findings *findings) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/%s", t->root, site);
    mode_t mode = eb_buf_ok(&path) ? eb_tree_kind(path.p) : 0;
    if (mode && S_ISDIR(mode)) {
        eb_buf_z(&path, "/nkeys");
        mode = eb_buf_ok(&path) ? eb_tree_kind(path.p) : 0;
    }
    if (!mode)
        return;
    if (!S_ISDIR(mode)) {
        eb_tree_say(findings, EB_ERROR, path.p, NULL, "put the folder itself there", "%s instead of a folder",
                    eb_tree_what(mode));
        return;
    }
    DIR *dir = opendir(path.p);
    if (!dir) {
        eb_tree_say(findings, EB_ERROR, path.p, NULL, "run this as the owner of the folder", "%s",
                    strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        learn(t, e->d_name);
    (void)closedir(dir);
}

struct eb_str eb_tree_plain(const char *path) {
    struct eb_str s = eb_str(path);
    while (s.n > 1 && (s.p[s.n - 1] == '/' || (s.p[s.n - 1] == '.' && s.p[s.n - 2] == '/')))
        s.n--;
    return s;
}

void eb_tree_find(struct eb_tree *t, const char *root, struct eb_findings *findings) {
    t->root = eb_str_dup(eb_tree_plain(root));
    DIR *dir = t->root ? opendir(t->root) : NULL;
    if (!dir) {
        if (errno != ENOENT)
            eb_tree_say(findings, EB_ERROR, root, NULL, NULL, "%s", strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct eb_str name = eb_str(e->d_name);
        if (eb_str_eqz(name, "csc")) {
            find_in_site(t, e->d_name, findings);
        } else if (eb_str_starts(name, EB_STR("cpc-")) &&
                   is_id(eb_str_n(name.p + 4, name.n - 4), EB_SITE_ID_MAX)) {
            t->failed |= !name_add(&t->ids, eb_str_n(name.p + 4, name.n - 4));
            find_in_site(t, e->d_name, findings);
        }
    }
    (void)closedir(dir);
}
