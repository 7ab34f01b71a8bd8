/* eventbus render */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "command.h"
#include "diff.h"
#include "documents.h"
#include "say.h"
#include "site/render.h"
#include "site/streams.h"

enum { SITE, PLACEMENT, SECRETS, OUT, DIFF }; /* places in options[] */
enum { DIFFERS = 3, FILES = EB_PLACEMENT_NODES + 5 };
#define OLD_MAX ((size_t)64 << 20) /* bytes of a file that is there already */

static const struct eb_option options[] = {
    {"site", "FILE", "The site document, or a chart's values with it below global.eventBus."},
    {"placement", "FILE",
     "Where the servers run: addresses, ports, folders, certificates of the listeners. Without it, all "
     "defaults: one main "
     "server and one mTLS server, on the standard ports of all addresses."},
    {"secrets", "DIR", "The folder of the keys, as `eventbus secrets generate` makes it."},
    {"out", "DIR", "The folder to write to. It is made where it is not there."},
    {"diff", NULL,
     "Shows what would change there, and writes nothing. Of files with seeds it tells only that they change. "
     "Exit status 0: "
     "nothing; 3: something."},
    {NULL, NULL, NULL},
};

struct output {
    char name[32];
    mode_t mode;
    bool secret;
    struct eb_buf bytes;
    char *path;
    mode_t old_mode; /* of what is there; 0 = nothing */
    struct eb_buf old;
};
struct outputs {
    struct output v[FILES];
    size_t n;
};

static void outputs_done(struct outputs *o) {
    for (size_t i = 0; i < o->n; i++) {
        eb_buf_done(&o->v[i].bytes);
        eb_buf_done(&o->v[i].old);
        free(o->v[i].path);
    }
}
#define AUTO_OUTPUTS EB_CLEANUP(outputs_done)

static struct output *add(struct outputs *o, const char *name, bool secret) {
    struct output *out = &o->v[o->n++];
    *out = (struct output){.mode = secret ? 0600 : 0644,
                           .secret = secret,
                           .bytes = {.secret = secret},
                           .old = {.secret = secret}};
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    return out;
}

/* ---- contents ---- */

static bool seeds(const struct eb_render *r, const char *root, bool mtls, struct outputs *o,
                  struct eb_findings *f) {
    char variable[96], secret[96];
    if (!eb_render_seed(r->site, mtls, 0, variable, secret))
        return true;
    struct eb_buf *to = &add(o, mtls ? "mtls-seeds.conf" : "main-seeds.conf", true)->bytes;
    for (size_t i = 0; eb_render_seed(r->site, mtls, i, variable, secret); i++) {
        eb_auto_buf struct eb_buf path = {0};
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
        struct eb_err err = {0};
        eb_buf_printf(&path, "%s/%s/nkeys/%s/seed", root, r->site->name.p, secret);
        enum eb_rc rc =
            eb_buf_ok(&path) ? eb_nkey_from_seed_file(path.p, EB_NKEY_USER, &key, &err) : EB_E_NOMEM;
        EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = key ? eb_nkey_seed(key) : NULL;
        if (!seed) {
            eb_findings_add(f, EB_ERROR, NULL, 0, "", NULL, "%s",
                            eb_err_text(&err, rc == EB_OK ? EB_E_NOMEM : rc));
            return false;
        }
        eb_buf_printf(to, "%s: ", variable);
        eb_buf_str(to, eb_secret_get(seed));
        eb_buf_ch(to, '\n');
    }
    return true;
}

static void streams(const struct eb_site *site, struct eb_buf *to) {
    json_t *all = eb_streams_of(site);
    eb_auto_free char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (text)
        eb_buf_printf(to, "%s\n", text);
    else
        to->failed = true;
}

/* The whole of it once more, as auth-callout will read it: the site's own entries were judged with the site
 * document. */
static void check_permissions(struct eb_buf *text, struct eb_findings *f) {
    eb_auto_findings struct eb_findings own = {0};
    if (!eb_buf_ok(text))
        return;
    eb_read_permissions(eb_buf_get(text), "permissions.yaml", "", &own);
    for (size_t i = 0; i < own.n; i++) {
        const struct eb_finding *it = &own.items[i];
        if (it->severity == EB_ERROR &&
            !strstr(it->text, "configured oauth2 issuer")) /* the service knows them */
            eb_findings_add(f, EB_ERROR, it->file, it->line, it->path, it->mend, "%s", it->text);
    }
}

static void contents(const struct eb_render *r, const char *root, struct outputs *o, struct eb_findings *f) {
    char name[32] = "main.conf";
    for (size_t i = 0; i < r->place->nodes_n; i++) {
        if (r->place->nodes_n > 1)
            (void)snprintf(name, sizeof name, "main-%zu.conf", i + 1);
        eb_render_main(&add(o, name, false)->bytes, r, i);
    }
    if (!seeds(r, root, false, o, f))
        return;
    if (r->site->mtls) {
        eb_render_mtls(&add(o, "mtls.conf", false)->bytes, r);
        if (!seeds(r, root, true, o, f))
            return;
    }
    struct output *permissions = add(o, "permissions.yaml", false);
    eb_render_permissions(&permissions->bytes, r);
    check_permissions(&permissions->bytes, f);
    streams(r->site, &add(o, "streams.json", false)->bytes);
    for (size_t i = 0; i < o->n; i++)
        if (!eb_buf_ok(&o->v[i].bytes))
            eb_findings_add(f, EB_ERROR, NULL, 0, "", NULL,
                            "%s cannot be written: out of memory, or a key is missing", o->v[i].name);
}

/* ---- files ---- */

static bool path_of(struct eb_buf *to, const char *dir, const char *name) {
    eb_buf_reset(to);
    eb_buf_printf(to, "%s/%s", dir, name);
    return eb_buf_ok(to);
}

/*
 * Reads what is there, of all files before any is written; false after saying why it cannot be. What somebody
 * else laid there may lead to a seed, or to nowhere: it is not looked at.
 */
static bool read_old(const struct eb_command *c, const char *dir, struct outputs *o) {
    bool ok = true;
    for (size_t i = 0; i < o->n; i++) {
        struct output *out = &o->v[i];
        eb_auto_buf struct eb_buf path = {0};
        struct eb_err err = {0};
        out->path = path_of(&path, dir, out->name) ? eb_str_dup(eb_buf_get(&path)) : NULL;
        if (!out->path) {
            eb_say(c, "out of memory");
            return false;
        }
        if (eb_file_read_own(out->path, OLD_MAX, &out->old, &out->old_mode, &err) != EB_OK) {
            eb_say(c, "%s: mend that, or move it away", err.text);
            ok = false;
        }
    }
    if (!ok)
        eb_say(c, "nothing was written");
    return ok;
}

static bool is_same(const struct output *out) {
    return out->old_mode && (out->old_mode & 07777) == out->mode &&
           eb_str_eq(eb_buf_get(&out->old), eb_buf_get(&out->bytes));
}

static int show(const struct eb_command *c, const struct outputs *o) {
    eb_auto_buf struct eb_buf all = {0};
    bool differs = false;
    for (size_t i = 0; i < o->n; i++) {
        const struct output *out = &o->v[i];
        if (is_same(out))
            continue;
        differs = true;
        if (out->secret)
            eb_buf_printf(&all, "%s %s\n", out->path, out->old_mode ? "changes" : "is new");
        else if (eb_str_eq(eb_buf_get(&out->old), eb_buf_get(&out->bytes)))
            eb_buf_printf(&all, "%s gets mode %o\n", out->path, (unsigned)out->mode);
        else
            eb_diff(&all, out->path, eb_buf_get(&out->old), eb_buf_get(&out->bytes));
    }
    if (!eb_buf_ok(&all)) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    if (!eb_say_out(c, eb_buf_get(&all)))
        return EB_EXIT_FAILED;
    return differs ? DIFFERS : EB_EXIT_OK;
}

/* What a run that was killed left may hold seeds. It may also be of one that is at work now, so it stays. */
static void tell_unfinished(const struct eb_command *c, const char *dir, char (*names)[32], size_t n) {
    DIR *open = opendir(dir);
    for (struct dirent *e; open && (e = readdir(open));)
        for (size_t i = 0; i < n; i++) {
            struct eb_str entry = eb_str(e->d_name), name = eb_str(names[i]);
            if (eb_str_starts(entry, name) && strncmp(entry.p + name.n, ".new-", 5) == 0)
                eb_say(c, "%s/%s is of a run that did not end: remove it if none is at work", dir, e->d_name);
        }
    if (open)
        (void)closedir(open);
}

/* Files of an earlier run that this one has no more: a server that is started with one would be another
 * site's. */
static void tell_leftovers(const struct eb_command *c, const char *dir, const struct outputs *o) {
    char names[EB_PLACEMENT_NODES + 4][32] = {"main.conf", "main-seeds.conf", "mtls.conf", "mtls-seeds.conf"};
    for (size_t i = 0; i < EB_PLACEMENT_NODES; i++)
        (void)snprintf(names[4 + i], sizeof names[0], "main-%zu.conf", i + 1);
    for (size_t i = 0; i < EB_COUNT_OF(names); i++) {
        eb_auto_buf struct eb_buf path = {0};
        struct stat st;
        bool is_ours = false;
        for (size_t k = 0; k < o->n; k++)
            is_ours = is_ours || strcmp(o->v[k].name, names[i]) == 0;
        if (!is_ours && path_of(&path, dir, names[i]) && lstat(path.p, &st) == 0)
            eb_say(c, "%s is not part of this site any more: remove it", path.p);
    }
    tell_unfinished(c, dir, names, EB_COUNT_OF(names));
}

static int put(const struct eb_command *c, const char *dir, const struct outputs *o) {
    eb_auto_buf struct eb_buf told = {0};
    if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
        eb_say(c, "%s: cannot be made: %s", dir, strerror(errno));
        return EB_EXIT_FAILED;
    }
    for (size_t i = 0; i < o->n; i++) {
        const struct output *out = &o->v[i];
        struct eb_err err = {0};
        bool same = is_same(out);
        if (!same && eb_file_write(out->path, eb_buf_get(&out->bytes), out->mode, &err) != EB_OK) {
            eb_say(c, "%s", err.text);
            return EB_EXIT_FAILED;
        }
        eb_buf_printf(&told, "%s %s\n", out->path,
                      same            ? "unchanged"
                      : out->old_mode ? "changed"
                                      : "written");
    }
    tell_leftovers(c, dir, o);
    return eb_buf_ok(&told) && eb_say_out(c, eb_buf_get(&told)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

static bool read_all(const struct eb_args *args, struct eb_site **site, struct eb_placement **place,
                     struct eb_pubkeys **keys, struct eb_findings *f) {
    size_t before;
    eb_read_site(args->value[SITE], site, f);
    if (!*site)
        return false;
    eb_read_placement(args->value[PLACEMENT], *site, place, f);
    before = f->errors;
    enum eb_rc rc = eb_pubkeys_read(args->value[SECRETS], *site, keys, f);
    if (rc != EB_OK && f->errors == before)
        eb_findings_add(f, EB_ERROR, args->value[SECRETS], 0, "", NULL, "%s", eb_rc_hint(rc));
    return f->errors == 0;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    static const int required[] = {SITE, SECRETS, OUT};
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_site_freep) struct eb_site *site = NULL;
    EB_CLEANUP(eb_placement_freep) struct eb_placement *place = NULL;
    EB_CLEANUP(eb_pubkeys_freep) struct eb_pubkeys *keys = NULL;
    AUTO_OUTPUTS struct outputs o = {0};
    for (size_t i = 0; i < EB_COUNT_OF(required); i++)
        if (!args->value[required[i]]) {
            eb_say(c, "--%s is missing: --%s %s", options[required[i]].name, options[required[i]].name,
                   options[required[i]].arg);
            return EB_EXIT_USAGE;
        }
    if (read_all(args, &site, &place, &keys, &f)) {
        struct eb_render r = {.site = site, .place = place, .keys = keys};
        contents(&r, args->value[SECRETS], &o, &f);
    }
    eb_say_findings(c, &f);
    if (f.errors) {
        eb_say(c, "nothing was written");
        return EB_EXIT_FAILED;
    }
    if (!read_old(c, args->value[OUT], &o))
        return EB_EXIT_FAILED;
    return args->value[DIFF] ? show(c, &o) : put(c, args->value[OUT], &o);
}

const struct eb_command eb_render = {
    .words = "render",
    .summary = "write the configuration of a site's servers",
    .synopsis = "eventbus render --site FILE --secrets DIR --out DIR [--placement FILE]\n"
                "    [--diff]",
    .description = "Writes from a site's document what its servers and services are started with:\n\n"
                   "main.conf, the main nats-server; main-1.conf, main-2.conf and so on where it is a "
                   "cluster. mtls.conf, the one for "
                   "devices with certificates. main-seeds.conf and mtls-seeds.conf, which these include: the "
                   "seeds of their links, "
                   "readable by their owner alone (mode 0600). permissions.yaml for auth-callout: the "
                   "document's own entries and those "
                   "of the servers and services. streams.json: what `eventbus streams apply` makes, "
                   "and what auth-callout waits for (mqtt.streams-file) before it lets MQTT clients in.\n\n"
                   "Equal input gives equal files. Each is written whole or not at all, and left alone where "
                   "it is as it should be. "
                   "Where the document has an error, nothing is written.\n\n"
                   "A site that is linked to others needs nats-server 2.14 or newer; an older one refuses "
                   "the line feature_flags.",
    .options = options,
    .examples = "eventbus render --site csc.yaml --secrets deploy/secrets --out /etc/nats\n"
                "eventbus render --site csc.yaml --secrets deploy/secrets --out /etc/nats --diff",
    .failures = "a document has an error, a key is missing, or a file could not be written\n    3   --diff: "
                "something would change",
    .run = run,
};
