/* eventbus secrets manifests */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/file.h"
#include "command.h"
#include "say.h"
#include "secrets_check.h"

enum { NAMESPACE, SITE }; /* places in options[] */
static const struct eb_option options[] = {
    {"namespace", "NS", "The namespace that the Secrets are for. Required."},
    {"site", "SITE", "Whose secrets: csc, or cpc-<id>. Required where DIR has more than one site."},
    {NULL, NULL, NULL},
};

#define FILE_MAX ((size_t)1 << 20) /* bytes of a value; Kubernetes takes 1 MiB a Secret */

/* Secrets whose seed nobody in the cluster needs: auth-callout has those of the first three in
 * auth-callout-keys, the others are an operator's own logins. */
static const char *const public_only[] = {"nats-auth-signing", "nats-authx-user", "nats-xkey",
                                          "nats-auth-watch", "nats-sys-admin"};

static void head(struct eb_buf *to, const char *name, const char *type, const char *ns, const char *site) {
    eb_buf_printf(to,
                  "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: \"%s\"\n  labels:\n"
                  "    app.kubernetes.io/part-of: event-bus\n    app.kubernetes.io/managed-by: eventbus\n"
                  "    event-bus-site: \"%s\"\ntype: %s\ndata:\n",
                  name, ns, site, type);
}

/* One key of a Secret: the file's bytes, without the blanks around them where that is a key. */
static bool value(const struct eb_command *c, struct eb_buf *to, const char *nkeys, const char *folder,
                  const char *file, bool trim) {
    eb_auto_buf struct eb_buf path = {0};
    eb_auto_buf struct eb_buf bytes = {.secret = true};
    eb_auto_buf struct eb_buf coded = {.secret = true};
    struct eb_err err = {0};
    eb_buf_printf(&path, "%s/%s/%s", nkeys, folder, file);
    enum eb_rc rc = eb_buf_ok(&path) ? eb_file_read(path.p, FILE_MAX, &bytes, &err) : EB_E_NOMEM;
    if (rc != EB_OK) {
        eb_say(c, "%s", eb_err_text(&err, rc));
        return false;
    }
    struct eb_str s = trim ? eb_str_trim(eb_buf_get(&bytes)) : eb_buf_get(&bytes);
    size_t room = sodium_base64_encoded_len(s.n, sodium_base64_VARIANT_ORIGINAL);
    char *at = eb_buf_reserve(&coded, room);
    if (!at)
        return false;
    (void)sodium_bin2base64(at, room, (const unsigned char *)s.p, s.n, sodium_base64_VARIANT_ORIGINAL);
    eb_buf_used(&coded, room - 1);
    eb_buf_printf(to, "  %s: \"", file);
    eb_buf_str(to, eb_buf_get(&coded));
    eb_buf_z(to, "\"\n");
    return true;
}

static bool pair(const struct eb_command *c, struct eb_buf *to, const struct eb_tree_site *s,
                 const struct eb_tree_secret *secret, const char *ns) {
    const char *name = secret->def.name;
    bool nack = strcmp(name, "nats-nack-user") == 0;
    unsigned files = secret->def.files;
    for (size_t i = 0; i < EB_COUNT_OF(public_only); i++)
        if (nack || strcmp(name, public_only[i]) == 0)
            files = EB_SECRET_PUBKEY;
    head(to, name, "Opaque", ns, s->name);
    return (!nack || value(c, to, s->nkeys, name, "nack-user.nk", true)) &&
           (!(files & EB_SECRET_PUBKEY) || value(c, to, s->nkeys, name, "pubkey", true)) &&
           (!secret->old || value(c, to, s->nkeys, name, "pubkey-old", true)) &&
           (!(files & EB_SECRET_SEED) || value(c, to, s->nkeys, name, "seed", true));
}

static bool callout_keys(const struct eb_command *c, struct eb_buf *to, const struct eb_tree_site *s,
                         const char *ns) {
    static const char *const keys[] = {"issuer-seed", "nkey-seed", "xkey-seed"};
    bool good = true;
    head(to, "auth-callout-keys", "Opaque", ns, s->name);
    for (size_t i = 0; good && i < EB_COUNT_OF(keys); i++)
        good = value(c, to, s->nkeys, "auth-callout-keys", keys[i], true);
    return good;
}

/* The server gets all three; auth-callout a Secret of its own, since who can read a Secret can read all of
 * it. */
static bool tls(const struct eb_command *c, struct eb_buf *to, const struct eb_tree_site *s, const char *ns) {
    head(to, "auth-callout-mtls-ca", "Opaque", ns, s->name);
    if (!value(c, to, s->nkeys, EB_TREE_TLS, "ca.crt", false))
        return false;
    head(to, EB_TREE_TLS, "kubernetes.io/tls", ns, s->name);
    return value(c, to, s->nkeys, EB_TREE_TLS, "ca.crt", false) &&
           value(c, to, s->nkeys, EB_TREE_TLS, "tls.crt", false) &&
           value(c, to, s->nkeys, EB_TREE_TLS, "tls.key", false);
}

/* RFC 1123: what Kubernetes takes for the name of a namespace. */
static bool is_namespace(struct eb_str s) {
    bool good = s.n && s.n <= 63 && s.p[0] != '-' && s.p[s.n - 1] != '-';
    for (size_t i = 0; good && i < s.n; i++)
        good = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-';
    return good;
}

/* The one site, or the one that is asked for; NULL after saying what to write. */
static const struct eb_tree_site *choose(const struct eb_command *c, const struct eb_tree *t,
                                         const char *name) {
    const struct eb_tree_site *found = NULL;
    eb_auto_buf struct eb_buf names = {0};
    size_t n = 0;
    for (size_t i = 0; i < t->sites_n; i++) {
        if (!t->sites[i].there)
            continue;
        eb_buf_printf(&names, "%s%s", n++ ? ", " : "", t->sites[i].name);
        if (!name || strcmp(name, t->sites[i].name) == 0)
            found = &t->sites[i];
    }
    const char *all = eb_buf_ok(&names) && n ? names.p : "none";
    if (!name && n > 1) {
        eb_say(c, "one site at a time: give --site; there are %s", all);
        return NULL;
    }
    if (!found)
        eb_say(c, "%s%.40s in %s; there are %s", name ? "no site " : "no sites", name ? name : "", t->root,
               all);
    return found;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    const char *ns = args->value[NAMESPACE];
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_tree struct eb_tree t = {0};
    eb_auto_buf struct eb_buf out = {.secret = true};
    if (!ns || !is_namespace(eb_str(ns))) {
        eb_say(c, "%s",
               ns ? "--namespace is no name of a namespace: lower-case letters, digits and -, at most 63"
                  : "--namespace is missing: --namespace NS");
        return EB_EXIT_USAGE;
    }
    eb_tree_find(&t, args->operand, &f);
    eb_tree_read(&t, false, &f);
    const struct eb_tree_site *s = f.errors ? NULL : choose(c, &t, args->value[SITE]);
    if (!f.errors && !s)
        return args->value[SITE] || t.sites_n < 2 ? EB_EXIT_FAILED : EB_EXIT_USAGE;
    if (s)
        eb_tree_check_complete(&t, s, &f);
    bool certificate = s && eb_tree_check_tls(s, (int64_t)time(NULL), &f);
    eb_say_findings(c, &f);
    if (f.errors) {
        eb_say(c, "nothing was printed; `eventbus secrets verify` shows all that is wrong");
        return EB_EXIT_FAILED;
    }
    eb_buf_printf(&out,
                  "# The secrets of %s, for kubectl apply -f -. This text holds seeds: do not keep it.\n",
                  s->name);
    bool good = callout_keys(c, &out, s, ns) && (!certificate || tls(c, &out, s, ns));
    for (size_t i = 0; good && i < s->secrets_n; i++)
        if (s->secrets[i].state == EB_TREE_GOOD)
            good = pair(c, &out, s, &s->secrets[i], ns);
    if (good && !eb_buf_ok(&out))
        eb_say(c, "out of memory");
    if (!good || !eb_buf_ok(&out))
        return EB_EXIT_FAILED;
    if (isatty(STDOUT_FILENO))
        eb_say(c, "this shows seeds on your terminal: pipe it into kubectl apply -f -");
    return eb_say_out(c, eb_buf_get(&out)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_secrets_manifests = {
    .words = "secrets manifests",
    .summary = "print a site's keys as Kubernetes Secrets",
    .synopsis = "eventbus secrets manifests DIR --namespace NS [--site SITE]",
    .description = "Prints the secrets of one site as Kubernetes Secrets (YAML), ready for kubectl apply -f "
                   "-. The same tree gives "
                   "the same text. A tree with errors is refused, as `eventbus secrets verify` would.\n\n"
                   "Each Secret has only what its reader needs: nats-auth-signing, nats-xkey and "
                   "nats-authx-user the public key "
                   "for the servers, whose seeds auth-callout-keys alone carries; nats-sys-admin and "
                   "nats-auth-watch the public "
                   "key, since their seeds are an operator's own; nats-nack-user the file for NACK; "
                   "auth-callout-mtls-ca the CA "
                   "that auth-callout checks client certificates with, and nats-mtls-server-tls, for the "
                   "mTLS server, the "
                   "certificate with its key. While a login is rotated, nats-authx-user has pubkey-old, "
                   "too, where the tree does.\n\n"
                   "The text holds seeds. Pipe it; do not store it. With kubectl apply --server-side no copy "
                   "of it is put into the "
                   "Secrets' annotations.",
    .options = options,
    .operand = "DIR",
    .operand_required = true,
    .examples = "eventbus secrets manifests deploy/secrets --site csc --namespace event-bus |\n"
                "    kubectl apply -f -",
    .failures = "the site's secrets are not complete and good, or DIR has no such site",
    .run = run,
};
