/* eventbus secrets generate */
#include <string.h>

#include "base/buf.h"
#include "command.h"
#include "say.h"
#include "secrets_check.h"
#include "secrets_tree.h"
#include "secrets_write.h"

static const struct eb_option options[] = {
    {"cpc", "ID...",
     "A CPC that is to have secrets, by its id; may be given several times. CPCs that DIR has need not "
     "be named again."},
    {"extra-account", "NAME...",
     "An extra account, for whose bridge each CPC gets a login at the CSC; may be given several "
     "times. Accounts that DIR has keys for need not be named again."},
    {NULL, NULL, NULL},
};

/* What this run does, and what it tells of it. */
struct run {
    const struct eb_command *c;
    struct eb_tree tree;
    int root;
    struct eb_buf told;
    size_t made, kept;
    struct eb_err err;
};

static void tell(struct run *r, bool made, const char *site, const char *folder, const char *file) {
    eb_buf_printf(&r->told, "%s  %s/nkeys/%s%s%s\n", made ? "made" : "kept", site, folder ? folder : "",
                  folder && file ? "/" : "", file ? file : "");
    r->made += made;
    r->kept += !made;
}

/* The CPC that has, or will have, the seed whose public key the CSC's secret is; NULL where it is not here.
 */
static const struct eb_tree_secret *other_half(const struct run *r, const struct eb_tree_secret *s) {
    const struct eb_tree_site *cpc = eb_tree_site(&r->tree, s->def.peer_site);
    return cpc ? eb_tree_secret(cpc, s->def.peer_name) : NULL;
}

static enum eb_rc make_pair(struct run *r, int nkeys, struct eb_tree_secret *s) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = NULL;
    if (s->def.files & EB_SECRET_SEED) {
        if (eb_nkey_generate(s->def.kind, &key) != EB_OK || !(seed = eb_nkey_seed(key)))
            return EB_FAIL(&r->err, EB_E_NOMEM,
                           "no memory that can be guarded: raise the limit of locked memory (ulimit -l)");
        memcpy(s->public_key, eb_nkey_public(key), sizeof s->public_key);
    } else {
        memcpy(s->public_key, other_half(r, s)->public_key, sizeof s->public_key);
    }
    enum eb_rc rc = eb_tree_write_pair(nkeys, s->def.name, s->def.files, seed, s->public_key, &r->err);
    if (rc == EB_OK)
        s->state = EB_TREE_GOOD;
    return rc;
}

static enum eb_rc make_copy(struct run *r, int nkeys, const struct eb_tree_site *site,
                            const struct eb_tree_copy *copy) {
    eb_auto_buf struct eb_buf path = {0};
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
    eb_buf_printf(&path, "%s/%s/seed", site->nkeys, copy->of);
    if (!eb_buf_ok(&path))
        return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_nkey_from_seed_file(path.p, copy->kind, &key, &r->err);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(key);
    if (!seed)
        return EB_FAIL(&r->err, EB_E_NOMEM, "out of memory");
    return eb_tree_write_copy(nkeys, copy, seed, eb_nkey_public(key), &r->err);
}

static enum eb_rc make_site(struct run *r, struct eb_tree_site *site) {
    eb_auto_fd int nkeys = eb_tree_open_nkeys(r->root, site->name, &r->err);
    enum eb_rc rc = nkeys < 0 ? r->err.rc : EB_OK;
    for (size_t i = 0; rc == EB_OK && i < site->secrets_n; i++) {
        struct eb_tree_secret *s = &site->secrets[i];
        bool made = s->state == EB_TREE_ABSENT;
        if (made && !(s->def.files & EB_SECRET_SEED) && !other_half(r, s)) {
            eb_say(r->c, "%s/nkeys/%s is not made: the folder of %s, which gets the seed, is not here",
                   site->name, s->def.name, s->def.peer_site);
            continue;
        }
        if (made)
            rc = make_pair(r, nkeys, s);
        if (rc == EB_OK)
            tell(r, made, site->name, s->def.name, NULL);
    }
    for (size_t i = 0; rc == EB_OK && i < EB_TREE_COPIES; i++) {
        bool made = site->copies[i] == EB_TREE_ABSENT;
        if (made)
            rc = make_copy(r, nkeys, site, &eb_tree_copies[i]);
        if (rc == EB_OK)
            tell(r, made, site->name, eb_tree_copies[i].folder, eb_tree_copies[i].file);
    }
    if (rc != EB_OK)
        eb_err_prefix(&r->err, "%s", site->name);
    return rc;
}

/* Takes the names of the command line. false after saying what is wrong with them. */
static bool take(struct run *r, const struct eb_args *args) {
    eb_auto_findings struct eb_findings f = {0};
    const char *value;
    for (size_t i = 0; (value = eb_args_each(r->c, args, "cpc", i)); i++)
        (void)eb_tree_add_cpc(&r->tree, value, &f);
    for (size_t i = 0; (value = eb_args_each(r->c, args, "extra-account", i)); i++)
        (void)eb_tree_add_account(&r->tree, value, &f);
    eb_say_findings(r->c, &f);
    return !f.errors;
}

/* Reads and judges everything that is there. false after saying what is wrong. */
static bool judge(struct run *r, const char *root) {
    eb_auto_findings struct eb_findings f = {0};
    eb_tree_find(&r->tree, root, &f);
    if (r->tree.root)
        eb_tree_check_root(&r->tree, &f); /* one that was there keeps its mode: its owner may have reasons */
    if (!f.errors)
        eb_tree_read(&r->tree, true, &f);
    eb_say_findings(r->c, &f);
    if (f.errors)
        eb_say(r->c, "nothing was written");
    return !f.errors;
}

static enum eb_rc make_all(struct run *r) {
    enum eb_rc rc = EB_OK;
    /* The CSC last: its public keys follow from the CPCs' seeds, so a run that ends early can be repeated. */
    for (size_t i = r->tree.sites_n; rc == EB_OK && i-- > 0;)
        if (r->tree.sites[i].wanted)
            rc = make_site(r, &r->tree.sites[i]);
    return rc;
}

static void done(struct run *r) {
    eb_tree_done(&r->tree);
    eb_buf_done(&r->told);
    eb_close_fdp(&r->root);
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    EB_CLEANUP(done) struct run r = {.c = c, .root = -1};
    if (!take(&r, args))
        return EB_EXIT_USAGE;
    r.root = eb_tree_lock(args->operand, &r.err);
    if (r.root < 0) {
        eb_say(c, "%s", r.err.text);
        return EB_EXIT_FAILED;
    }
    if (!judge(&r, args->operand))
        return EB_EXIT_FAILED;
    enum eb_rc rc = make_all(&r);
    eb_buf_printf(&r.told, "%zu made, %zu kept\n", r.made, r.kept);
    if (rc != EB_OK)
        eb_say(c, "%s. Run it again when that is mended: what was made is whole, and is kept",
               eb_err_text(&r.err, rc));
    bool told = eb_buf_ok(&r.told) && eb_say_out(c, eb_buf_get(&r.told));
    return rc == EB_OK && told ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_secrets_generate = {
    .words = "secrets generate",
    .summary = "make the keys of all sites",
    .synopsis = "eventbus secrets generate DIR [--cpc ID]... [--extra-account NAME]...",
    .description =
        "Makes every key that the CSC and the CPCs need, as DIR/<site>/nkeys/<secret>/<file>: DIR/csc for "
        "the CSC and "
        "DIR/cpc-<id> for each CPC. Prints the names of what was made and what was kept, never a key.\n\n"
        "Keys that are there are kept as they are and missing ones are added, so a CPC or an account is "
        "added later by "
        "running it again with its name; the login of a CPC's leaf node is put on both sides. A pair of "
        "which one half "
        "is missing, keys that do not belong together and symbolic links are refused with what to do, and "
        "then nothing "
        "is written.\n\n"
        "Folders have mode 0700, files 0600. A DIR that others may write to is refused, one that they may "
        "look into is told; its mode is left to you. Bring the certificate of the mTLS server yourself: "
        "nats-mtls-server-tls/ca.crt, tls.crt and tls.key beside the other secrets. `eventbus secrets "
        "verify` checks "
        "the whole.",
    .options = options,
    .operand = "DIR",
    .operand_required = true,
    .examples = "eventbus secrets generate deploy/secrets --cpc 1 --cpc 2\n"
                "eventbus secrets generate deploy/secrets --extra-account LaunchLayer",
    .failures = "something in DIR is wrong, or could not be written",
    .run = run,
};
