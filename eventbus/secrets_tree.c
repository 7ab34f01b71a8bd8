#include "secrets_tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

/* The sites that t->ids names, as eb_secrets_of wants them. */
static bool sites_make(struct eb_tree *t, bool make) {
    t->sites_n = t->ids.n + 1;
    t->sites = calloc(t->sites_n, sizeof *t->sites);
    t->id_texts = calloc(t->ids.n + 1, sizeof *t->id_texts);
    t->extras = calloc(t->accounts.n + 1, sizeof *t->extras);
    if (!t->sites || !t->id_texts || !t->extras)
        return false;
    for (size_t i = 0; i < t->ids.n; i++)
        t->id_texts[i].s = eb_str(t->ids.items[i]);
    for (size_t i = 0; i < t->accounts.n; i++)
        t->extras[i] = (struct eb_site_extra){
            .name.s = eb_str(t->accounts.items[i]), .lower = eb_str(t->accounts.items[i]), .enabled = true};
    for (size_t i = 0; i < t->sites_n; i++) {
        struct eb_tree_site *s = &t->sites[i];
        eb_auto_buf struct eb_buf path = {0};
        const char *id = i ? t->ids.items[i - 1] : "";
        (void)snprintf(s->name, sizeof s->name, "%s%.32s", i ? "cpc-" : "csc", id);
        s->site = (struct eb_site){.type = i ? EB_SITE_CPC : EB_SITE_CSC,
                                   .id = eb_str(id),
                                   .name = eb_str(s->name),
                                   .mtls = true,
                                   .extras = t->extras,
                                   .extras_n = t->accounts.n};
        if (i == 0)
            s->site.cpc_ids = (struct eb_site_texts){t->id_texts, t->ids.n};
        eb_buf_printf(&path, "%s/%s", t->root, s->name);
        if (!eb_buf_ok(&path))
            return false;
        s->there = eb_tree_kind(path.p) != 0;
        s->wanted = s->there || (make && (i == 0 || eb_tree_names_has(&t->given, id)));
        eb_buf_z(&path, "/nkeys");
        s->nkeys = eb_buf_take(&path);
        if (!s->nkeys)
            return false;
    }
    return true;
}

static bool is_empty(const char *folder) {
    DIR *dir = opendir(folder);
    bool empty = dir != NULL;
    for (struct dirent *e; empty && (e = readdir(dir));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (dir)
        (void)closedir(dir);
    return empty;
}

static void secret_read(const struct eb_tree_site *s, struct eb_tree_secret *secret, struct eb_findings *f) {
    static const struct {
        unsigned bit;
        const char *name;
    } files[] = {{EB_SECRET_SEED, "seed"}, {EB_SECRET_PUBKEY, "pubkey"}};
    eb_auto_buf struct eb_buf folder = {0};
    struct eb_secret_pair pair = {0};
    size_t errors = f->errors;
    unsigned want = secret->def.files;
    eb_buf_printf(&folder, "%s/%s", s->nkeys, secret->def.name);
    mode_t mode = eb_buf_ok(&folder) ? eb_tree_kind(folder.p) : 0;
    secret->state = EB_TREE_ABSENT;
    if (!mode)
        return;
    secret->state = EB_TREE_BAD;
    if (!S_ISDIR(mode)) {
        eb_tree_say(f, EB_ERROR, folder.p, NULL, "put the folder itself there, or remove it to get a new key",
                    "%s instead of a folder", eb_tree_what(mode));
        return;
    }
    for (size_t i = 0; i < EB_COUNT_OF(files); i++) {
        eb_auto_buf struct eb_buf path = {0};
        eb_buf_printf(&path, "%s/%s", folder.p, files[i].name);
        if (!eb_buf_ok(&path) || S_ISLNK(eb_tree_kind(path.p)))
            eb_tree_say(f, EB_ERROR, folder.p, files[i].name, "put the file itself there", "a symbolic link");
    }
    if (f->errors == errors && eb_secret_pair_read(s->nkeys, &secret->def, &pair, f)) {
        for (size_t i = 0; pair.found && i < EB_COUNT_OF(files); i++)
            if (want & files[i].bit & ~pair.found)
                eb_tree_say(f, EB_ERROR, folder.p, files[i].name,
                            files[i].bit == EB_SECRET_SEED
                                ? "put it back, or remove the secret's folder to get a new key"
                                : "put it back: `eventbus key public` prints it from the seed",
                            "the pair is half-written: this half is missing");
    }
    if (f->errors == errors && !pair.found && !is_empty(folder.p))
        eb_tree_say(f, EB_ERROR, folder.p, NULL, "move them away, or put the key back",
                    "holds files, but not the secret's key");
    if (f->errors == errors) {
        secret->state = pair.found ? EB_TREE_GOOD : EB_TREE_ABSENT;
        memcpy(secret->public_key, pair.public_key, sizeof secret->public_key);
        secret->old = pair.old_key[0] != '\0';
    }
    eb_secret_pair_done(&pair);
}

static int by_secret(const void *key, const void *item) {
    return strcmp(key, ((const struct eb_tree_secret *)item)->def.name);
}

struct eb_tree_secret *eb_tree_secret(const struct eb_tree_site *s, const char *name) {
    return s->secrets_n ? bsearch(name, s->secrets, s->secrets_n, sizeof *s->secrets, by_secret) : NULL;
}

struct eb_tree_site *eb_tree_site(const struct eb_tree *t, const char *name) {
    for (size_t i = 0; i < t->sites_n; i++)
        if (strcmp(t->sites[i].name, name) == 0)
            return &t->sites[i];
    return NULL;
}

const struct eb_tree_copy eb_tree_copies[EB_TREE_COPIES] = {
    {"auth-callout-keys", "issuer-seed", "nats-auth-signing", EB_NKEY_ACCOUNT, false},
    {"auth-callout-keys", "nkey-seed", "nats-authx-user", EB_NKEY_USER, false},
    {"auth-callout-keys", "xkey-seed", "nats-xkey", EB_NKEY_CURVE, false},
    {"nats-nack-user", "nack-user.nk", "nats-nack-user", EB_NKEY_USER, false},
    {NULL, "xkey.nk", "nats-xkey", EB_NKEY_CURVE, true},
};

/* A file that repeats a seed must be of the pair it stands for. */
static void copy_read(struct eb_tree_site *s, size_t i, struct eb_findings *f) {
    const struct eb_tree_copy *copy = &eb_tree_copies[i];
    const struct eb_tree_secret *of = eb_tree_secret(s, copy->of);
    eb_auto_buf struct eb_buf path = {0};
    struct eb_err err = {0};
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
    eb_buf_printf(&path, "%s%s%s/%s", s->nkeys, copy->folder ? "/" : "", copy->folder ? copy->folder : "",
                  copy->file);
    mode_t mode = eb_buf_ok(&path) ? eb_tree_kind(path.p) : 0;
    s->copies[i] = EB_TREE_ABSENT;
    if (!mode || !of)
        return;
    s->copies[i] = EB_TREE_BAD;
    if (!S_ISREG(mode))
        eb_tree_say(f, EB_ERROR, path.p, NULL, "remove it: it is made again", "not a file");
    else if (eb_nkey_from_seed_file(path.p, copy->kind, &key, &err) != EB_OK)
        eb_tree_say(f, EB_ERROR, s->nkeys, path.p + strlen(s->nkeys) + 1,
                    "remove it: it is made again from the pair", "%s",
                    eb_str_starts(eb_str(err.text), eb_buf_get(&path)) ? err.text + path.n + 2 : err.text);
    else if (of->state == EB_TREE_ABSENT)
        eb_tree_say(f, EB_ERROR, path.p, NULL,
                    "put the pair back (this file holds its seed), or remove this file",
                    "%s, whose seed this is, is missing", copy->of);
    else if (of->state == EB_TREE_GOOD && strcmp(eb_nkey_public(key), of->public_key) != 0)
        eb_tree_say(f, EB_ERROR, path.p, NULL,
                    "remove the wrong one of the two; this file is made again from the pair",
                    "another key than %s", copy->of);
    else
        s->copies[i] = EB_TREE_GOOD;
}

/* The CSC's and a CPC's half of each leaf login. */
static void halves(const struct eb_tree_site *csc, const struct eb_tree_site *cpc, struct eb_findings *f) {
    for (size_t i = 0; i < cpc->secrets_n; i++) {
        const struct eb_tree_secret *own = &cpc->secrets[i];
        struct eb_tree_secret *peer = own->def.peer_site[0] ? eb_tree_secret(csc, own->def.peer_name) : NULL;
        if (!peer)
            continue;
        if (own->state == EB_TREE_ABSENT && peer->state == EB_TREE_GOOD) {
            peer->state = EB_TREE_BAD;
            eb_auto_buf struct eb_buf mend = {0};
            eb_buf_printf(&mend, "put it back, or remove %s/%s, too, to get a new pair", csc->nkeys,
                          peer->def.name);
            eb_tree_say(f, EB_ERROR, cpc->nkeys, own->def.name, eb_buf_ok(&mend) ? mend.p : NULL,
                        "the CSC has the public key of this login, but the seed is missing");
        } else if (own->state == EB_TREE_GOOD && peer->state == EB_TREE_GOOD &&
                   strcmp(own->public_key, peer->public_key) != 0) {
            peer->state = EB_TREE_BAD;
            eb_auto_buf struct eb_buf mend = {0};
            eb_buf_printf(&mend,
                          "remove the CSC's, to get it again from the seed, or put the seed back at %s/%s",
                          cpc->nkeys, own->def.name);
            eb_tree_say(f, EB_ERROR, csc->nkeys, peer->def.name, eb_buf_ok(&mend) ? mend.p : NULL,
                        "not the public key of %s's seed", cpc->name);
        }
    }
}

struct owner {
    const struct eb_tree_site *site;
    const struct eb_tree_secret *secret;
};

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct owner *)a)->secret->public_key,
                  ((const struct owner *)b)->secret->public_key);
}

/* A folder that was copied gives two sites, or two logins, one key: each could do what the other may. */
static bool once(const struct eb_tree *t, struct eb_findings *f) {
    size_t n = 0, room = 1;
    for (size_t i = 0; i < t->sites_n; i++)
        room += t->sites[i].secrets_n;
    eb_auto_free struct owner *all = calloc(room, sizeof *all);
    if (!all)
        return false;
    for (size_t i = 0; i < t->sites_n; i++)
        for (size_t k = 0; k < t->sites[i].secrets_n; k++) {
            const struct eb_tree_secret *s = &t->sites[i].secrets[k];
            /* The CSC's halves are the CPCs' keys again; without their folder they are looked at themselves.
             */
            const struct eb_tree_site *cpc =
                s->def.files & EB_SECRET_SEED ? NULL : eb_tree_site(t, s->def.peer_site);
            const struct eb_tree_secret *own = cpc ? eb_tree_secret(cpc, s->def.peer_name) : NULL;
            if (s->state == EB_TREE_GOOD && !(own && own->state == EB_TREE_GOOD))
                all[n++] = (struct owner){&t->sites[i], s};
        }
    qsort(all, n, sizeof *all, by_key);
    for (size_t i = 1; i < n; i++)
        if (by_key(&all[i - 1], &all[i]) == 0)
            eb_tree_say(f, EB_ERROR, all[i].site->nkeys, all[i].secret->def.name,
                        "remove the one that is the copy (and its public key at the CSC) to get a new key",
                        "the same key as %s/%s", all[i - 1].site->nkeys, all[i - 1].secret->def.name);
    return true;
}

static bool site_read(struct eb_tree_site *s, struct eb_findings *f) {
    eb_auto_free struct eb_secret_def *defs = NULL;
    struct eb_err err = {0};
    size_t n = 0;
    if (eb_secrets_of(&s->site, &defs, &n, &err) != EB_OK) {
        eb_tree_say(f, EB_ERROR, s->nkeys, NULL, NULL, "%s", err.text);
        return true;
    }
    s->secrets = calloc(n, sizeof *s->secrets);
    if (!s->secrets)
        return false;
    s->secrets_n = n;
    for (size_t i = 0; i < n; i++) {
        s->secrets[i].def = defs[i];
        secret_read(s, &s->secrets[i], f);
    }
    for (size_t i = 0; i < EB_TREE_COPIES; i++)
        copy_read(s, i, f);
    return true;
}

void eb_tree_read(struct eb_tree *t, bool make, struct eb_findings *findings) {
    bool good = !t->failed && t->root && sites_make(t, make);
    for (size_t i = 0; good && i < t->sites_n; i++)
        if (t->sites[i].wanted)
            good = site_read(&t->sites[i], findings);
    for (size_t i = 1; good && i < t->sites_n; i++)
        halves(&t->sites[0], &t->sites[i], findings);
    t->failed = !good || !once(t, findings);
    if (t->failed)
        eb_findings_add(findings, EB_ERROR, NULL, 0, NULL, NULL, "out of memory");
}

void eb_tree_done(struct eb_tree *t) {
    for (size_t i = 0; t->sites && i < t->sites_n; i++) {
        free(t->sites[i].nkeys);
        free(t->sites[i].secrets);
    }
    free(t->sites);
    free(t->id_texts);
    free(t->extras);
    free(t->root);
    eb_tree_names_done(&t->ids);
    eb_tree_names_done(&t->given);
    eb_tree_names_done(&t->accounts);
    *t = (struct eb_tree){0};
}
