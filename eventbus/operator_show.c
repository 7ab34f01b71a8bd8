/* eventbus operator show */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "operator_guard.h"
#include "operator_held.h"
#include "say.h"

enum { DIR_ }; /* places in options[] */
static const struct eb_option options[] = {
    {"dir", "DIR", "What `eventbus operator init` made, or the data folder of nsc. Required."},
    {NULL, NULL, NULL},
};

struct page {
    struct eb_buf to;
    const struct eb_store *store;
    int64_t now;
};

static void when(struct page *p, int64_t s) {
    struct tm tm;
    time_t t = (time_t)s;
    char text[40];
    if (gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm))
        eb_buf_z(&p->to, text);
    else
        eb_buf_i64(&p->to, s);
}

static void line(struct page *p, int indent, const char *key) {
    eb_buf_printf(&p->to, "%*s%-*s", indent, "", 20 - indent, key);
}

/* Times that matter; what has none is told where that is a doubt. */
static void times(struct page *p, int indent, const struct eb_natsjwt *t) {
    line(p, indent, "issued");
    if (t->iat)
        when(p, t->iat);
    else
        eb_buf_z(&p->to, "no iat: it cannot be revoked");
    if (t->exp) {
        eb_buf_z(&p->to, t->exp <= p->now ? ", EXPIRED " : ", expires ");
        when(p, t->exp);
    }
    eb_buf_ch(&p->to, '\n');
}

static struct eb_str text_of(const json_t *v) {
    return json_is_string(v) ? eb_str(json_string_value(v)) : EB_STR_NONE;
}

static const char *seed_here(const struct page *p, struct eb_str key, enum eb_nkey_kind kind) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    return eb_store_key(p->store, key, kind, &k, NULL) == EB_OK ? "seed is here" : "no seed here";
}

static void key_part(struct page *p, int indent, const char *what, struct eb_str key,
                     enum eb_nkey_kind kind) {
    line(p, indent, what);
    eb_buf_printf(&p->to, "%.*s  %s", EB_STR_ARG(key), seed_here(p, key, kind));
}

static void key_line(struct page *p, int indent, const char *what, struct eb_str key,
                     enum eb_nkey_kind kind) {
    key_part(p, indent, what, key, kind);
    eb_buf_ch(&p->to, '\n');
}

static void json_line(struct page *p, int indent, const char *key, const json_t *v) {
    eb_auto_free char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (!text)
        return;
    line(p, indent, key);
    eb_say_safe(&p->to, eb_str(text));
    eb_buf_ch(&p->to, '\n');
}

/* of: the account whose they are, NULL for the operator's. */
static void signing_keys(struct page *p, int indent, const json_t *list, enum eb_nkey_kind kind,
                         const struct eb_store_account *of) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *held = NULL;
    if (of && eb_operator_held_key(p->store, of, &held, NULL) != EB_OK)
        held = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        bool scoped = json_is_object(v);
        key_part(p, indent, "signing key", scoped ? eb_json_str(v, "key") : text_of(v), kind);
        eb_buf_z(&p->to, held && eb_str_eqz(text_of(v), eb_nkey_public(held)) ? ", auth-callout's\n" : "\n");
        if (!scoped)
            continue;
        line(p, indent + 2, "scoped, role");
        eb_say_safe(&p->to, eb_json_str(v, "role"));
        eb_buf_ch(&p->to, '\n');
        json_line(p, indent + 2, "template", json_object_get(v, "template"));
    }
}

static void user(struct page *p, const struct eb_store_account *a, const struct eb_store_user *u) {
    const json_t *nats = u->jwt.jwt.nats;
    eb_buf_z(&p->to, "    user ");
    eb_say_safe(&p->to, eb_str(u->name));
    if (!nats) {
        eb_buf_z(&p->to, "  (cannot be read)\n");
        return;
    }
    eb_buf_z(&p->to, u->jwt.bearer ? "  (bearer: the JWT alone logs in)" : "");
    for (size_t i = 0; i < json_array_size(a->claims.auth_users); i++)
        if (eb_str_eq(text_of(json_array_get(a->claims.auth_users, i)), u->jwt.jwt.sub))
            eb_buf_z(&p->to, "  (answers callouts)");
    if (a->claims.jwt.claims && eb_account_revoked(&a->claims, u->jwt.jwt.sub, u->jwt.jwt.iat))
        eb_buf_z(&p->to, "  (REVOKED)");
    eb_buf_ch(&p->to, '\n');
    key_line(p, 6, "key", u->jwt.jwt.sub, EB_NKEY_USER);
    times(p, 6, &u->jwt.jwt);
    json_line(p, 6, "publish", json_object_get(nats, "pub"));
    json_line(p, 6, "subscribe", json_object_get(nats, "sub"));
    json_line(p, 6, "replies", json_object_get(nats, "resp"));
    json_line(p, 6, "tags", json_object_get(nats, "tags"));
}

static void authorization(struct page *p, const struct eb_account_claims *a) {
    if (json_array_size(a->auth_users) == 0)
        return;
    line(p, 4, "callouts");
    eb_buf_z(&p->to,
             a->xkey.n ? "asked here, sealed for " : "asked here, in plain: give the account an xkey");
    eb_buf_printf(&p->to, "%.*s\n", EB_STR_ARG(a->xkey));
    line(p, 4, "may place into");
    if (json_array_size(a->allowed_accounts) == 0)
        eb_buf_z(&p->to, "no other account");
    for (size_t i = 0; i < json_array_size(a->allowed_accounts); i++) {
        struct eb_str id = text_of(json_array_get(a->allowed_accounts, i));
        const struct eb_store_account *of = eb_store_account_of(p->store, id);
        eb_buf_z(&p->to, i ? ", " : "");
        eb_say_safe(&p->to, of ? eb_str(of->name) : eb_str_eqz(id, "*") ? EB_STR("ANY, SYS too") : id);
    }
    eb_buf_ch(&p->to, '\n');
}

static void account(struct page *p, const struct eb_store_account *a) {
    const struct eb_account_claims *c = &a->claims;
    eb_buf_z(&p->to, "  account ");
    eb_say_safe(&p->to, eb_str(a->name));
    if (!c->jwt.claims) {
        eb_buf_z(&p->to, "  (cannot be read)\n");
    } else {
        bool sys = eb_str_eq(c->jwt.sub, p->store->op.system_account);
        eb_buf_printf(&p->to, "%s%s\n", sys ? "  (system account)" : "", c->jetstream ? "  (JetStream)" : "");
        key_line(p, 4, "id", c->jwt.sub, EB_NKEY_ACCOUNT);
        times(p, 4, &c->jwt);
        signing_keys(p, 4, c->signing_keys, EB_NKEY_ACCOUNT, a);
        authorization(p, c);
        json_line(p, 4, "revoked", c->revocations);
    }
    for (size_t i = 0; i < a->users_n; i++)
        user(p, a, &a->users[i]);
}

static void store(struct page *p) {
    const struct eb_store *s = p->store;
    eb_buf_z(&p->to, p->to.n ? "\noperator " : "operator ");
    eb_say_safe(&p->to, eb_str(s->name));
    eb_buf_z(&p->to, s->op.strict ? "  (signing keys only)\n" : "\n");
    if (s->op.jwt.claims) {
        key_line(p, 2, "id", s->op.jwt.sub, EB_NKEY_OPERATOR);
        times(p, 2, &s->op.jwt);
        signing_keys(p, 2, s->op.signing_keys, EB_NKEY_OPERATOR, NULL);
    } else {
        eb_buf_z(&p->to, "  (its JWT is not there or cannot be read)\n");
    }
    for (size_t i = 0; i < s->accounts_n; i++)
        account(p, &s->accounts[i]);
}

static bool show(struct page *p, const char *dir, struct eb_findings *f) {
    EB_CLEANUP(eb_store_done) struct eb_store s = {0};
    if (!eb_store_read(dir, false, &s, f) || !eb_operator_check_modes(&s, f))
        return false;
    p->store = &s;
    store(p);
    p->store = NULL;
    return true;
}

static void page_done(struct page *p) {
    eb_buf_done(&p->to);
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    EB_CLEANUP(page_done) struct page p = {.now = (int64_t)time(NULL)};
    eb_auto_findings struct eb_findings f = {0};
    if (!args->value[DIR_]) {
        eb_say(c, "--dir is missing: --dir DIR");
        return EB_EXIT_USAGE;
    }
    char **found = eb_store_find(args->value[DIR_]);
    bool good = found != NULL;
    for (size_t i = 0; good && found[i]; i++)
        good = show(&p, found[i], &f);
    bool none = found && !found[0];
    eb_store_found_done(found);
    if (none) {
        eb_say(c, "%s: no operator there, nor in a folder stores below it", args->value[DIR_]);
        return EB_EXIT_FAILED;
    }
    if (!good || !eb_buf_ok(&p.to)) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    bool told = eb_say_out(c, eb_buf_get(&p.to));
    eb_say_findings(c, &f);
    return told && !f.errors ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_operator_show = {
    .words = "operator show",
    .summary = "print the tree of operators, accounts and users of a folder",
    .synopsis = "eventbus operator show --dir DIR",
    .description =
        "Prints the operators of a folder, their accounts and users: public keys, whether the seed "
        "is here, times, signing keys with their templates, where callouts are asked and into which "
        "accounts they may place, permissions, what is revoked. No secret is printed.\n\n"
        "Reads what `eventbus operator init` made and what nsc made: DIR is the folder of its "
        "--all-dirs, its data folder (with stores and keys), or an operator's own folder in "
        "one.\n\nA JWT that cannot be read, that the operator or the account did not sign, or that "
        "lies in a file of another name is told, and so is a folder or a file with a seed that others may "
        "read; the exit status is 1 then.",
    .options = options,
    .examples = "eventbus operator show --dir operator\n"
                "eventbus operator show --dir ~/.local/share/nats/nsc",
    .failures = "DIR has no operator, or something in it cannot be trusted",
    .run = run,
};
