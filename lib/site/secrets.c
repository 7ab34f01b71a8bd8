#include "site/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIR ((unsigned)(EB_SECRET_SEED | EB_SECRET_PUBKEY))
/* No callout is asked about the login of auth-callout itself, so servers must know both keys while it is
 * rotated. */
#define PAIR_AND_OLD (PAIR | (unsigned)EB_SECRET_PUBKEY_OLD)

/* Secrets that every site has, each pair its own. */
static const struct {
    const char *name;
    enum eb_nkey_kind kind;
    bool mtls; /* only where the site has an mTLS server */
    bool old;  /* with pubkey-old, while it is rotated */
} own[] = {
    {"nats-auth-signing", EB_NKEY_ACCOUNT, false, false}, /* signs user JWTs */
    {"nats-xkey", EB_NKEY_CURVE, false, false},           /* seals callouts */
    {"nats-authx-user", EB_NKEY_USER, false, true},       /* auth-callout itself */
    {"nats-auth-watch", EB_NKEY_USER, false, false},      /* an operator who looks into account AUTH */
    {"nats-surveyor", EB_NKEY_USER, false, false},        /* monitoring */
    {"nats-sys-admin", EB_NKEY_USER, false, false},       /* break-glass administrator */
    {"nats-nack-user", EB_NKEY_USER, false, false},       /* the controller of JetStream resources */
    {"nats-streams", EB_NKEY_USER, false, false},         /* eventbus streams */
    {"nats-mtls-leaf", EB_NKEY_USER, true, false},        {"nats-mtls-authx-leaf", EB_NKEY_USER, true, false},
    {"nats-mtls-sys-leaf", EB_NKEY_USER, true, false},
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct eb_secret_def *)a)->name, ((const struct eb_secret_def *)b)->name);
}

/*
 * The leaf login of account between the CSC and the CPC id: the CSC knows the public key, the CPC has the
 * seed. account is "" for the data account. own_csc: the CSC's half is wanted. false where a name does not
 * fit.
 */
static bool leaf(struct eb_secret_def *d, struct eb_str account, struct eb_str id, bool own_csc) {
    const char *dash = account.n ? "-" : "";
    *d = (struct eb_secret_def){.kind = EB_NKEY_USER, .files = own_csc ? EB_SECRET_PUBKEY : EB_SECRET_SEED};
    char *at_csc = own_csc ? d->name : d->peer_name, *at_cpc = own_csc ? d->peer_name : d->name;
    if (account.n + id.n > sizeof d->name - sizeof "nats-leaf--cpc-" ||
        id.n > sizeof d->peer_site - sizeof "cpc-")
        return false;
    (void)snprintf(at_csc, sizeof d->name, "nats-leaf-%.*s%scpc-%.*s", EB_STR_ARG(account), dash,
                   EB_STR_ARG(id));
    (void)snprintf(at_cpc, sizeof d->name, "nats-leaf-%.*s%scsc", EB_STR_ARG(account), dash);
    if (own_csc)
        (void)snprintf(d->peer_site, sizeof d->peer_site, "cpc-%.*s", EB_STR_ARG(id));
    else
        (void)snprintf(d->peer_site, sizeof d->peer_site, "csc");
    return true;
}

enum eb_rc eb_secrets_of(const struct eb_site *site, struct eb_secret_def **ret, size_t *ret_n,
                         struct eb_err *reterr) {
    const struct eb_site_text self = {.s = site->id};
    const bool csc = site->type == EB_SITE_CSC;
    const struct eb_site_text *ids = csc ? site->cpc_ids.items : &self;
    const size_t ids_n = csc ? site->cpc_ids.n : 1;
    eb_auto_free struct eb_secret_def *defs =
        calloc(EB_COUNT_OF(own) + ids_n * (site->extras_n + 1), sizeof *defs);
    size_t n = 0;
    if (!defs)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (size_t i = 0; i < EB_COUNT_OF(own); i++) {
        if (own[i].mtls && !site->mtls)
            continue;
        defs[n] = (struct eb_secret_def){.kind = own[i].kind, .files = own[i].old ? PAIR_AND_OLD : PAIR};
        (void)snprintf(defs[n++].name, sizeof defs->name, "%s", own[i].name);
    }
    for (size_t i = 0; i < ids_n; i++) {
        for (size_t e = 0; e <= site->extras_n; e++) {
            if (e && !site->extras[e - 1].enabled)
                continue;
            struct eb_str account = e ? site->extras[e - 1].lower : EB_STR("");
            if (!leaf(&defs[n++], account, ids[i].s, csc))
                return EB_FAIL(reterr, EB_E_INVALID,
                               "%.60s: the account's name is too long for the names of its secrets",
                               account.p);
        }
    }
    qsort(defs, n, sizeof *defs, by_name);
    *ret = EB_TAKE(defs);
    *ret_n = n;
    return EB_OK;
}
