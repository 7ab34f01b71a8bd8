#include "site/render_logins.h"

#include <stdio.h>

#include "site/render_rights.h"

void eb_pattern_add(struct eb_buf *list, ...) {
    va_list ap;
    va_start(ap, list);
    for (const char *piece; (piece = va_arg(ap, const char *)) != NULL;)
        eb_buf_z(list, piece);
    va_end(ap);
    eb_buf_ch(list, '\n');
}

static struct eb_login *add(struct eb_logins *l, const char *account, const char *secret, const char *what) {
    if (l->failed)
        return NULL;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct eb_login *v = realloc(l->v, cap * sizeof *v);
        if (!v) {
            l->failed = true;
            return NULL;
        }
        l->v = v;
        l->cap = cap;
    }
    struct eb_login *one = &l->v[l->n++];
    *one = (struct eb_login){.entry = true};
    (void)snprintf(one->account, sizeof one->account, "%s", account);
    (void)snprintf(one->what, sizeof one->what, "%s", what);
    if (snprintf(one->secret, sizeof one->secret, "%s", secret) >= (int)sizeof one->secret)
        l->failed = true;
    return one;
}

static void sys_logins(const struct eb_site *site, struct eb_logins *l) {
    struct eb_login *one =
        add(l, "SYS", "nats-sys-admin", "break-glass administrator: gets in while auth-callout is down");
    if (one) {
        one->unlimited = true;
        eb_pattern_add(&one->rights[EB_PUB_ALLOWS], ">", NULL);
        eb_pattern_add(&one->rights[EB_SUB_ALLOWS], ">", NULL);
    }
    if ((one = add(l, "SYS", "nats-surveyor", "monitoring: asks all servers of the site")) != NULL)
        eb_rights_surveyor(one->rights);
    if (site->mtls && (one = add(l, "SYS", "nats-mtls-sys-leaf", "monitoring of the mTLS server")) != NULL) {
        one->leaf = true;
        eb_rights_sys_leaf(one->rights);
    }
}

static void auth_logins(const struct eb_site *site, struct eb_logins *l) {
    struct eb_login *one =
        add(l, "AUTH", "nats-auth-watch", "for `nats micro` and for watching refusals as they happen");
    if (one) {
        one->entry = false; /* nobody is placed into AUTH by a callout */
        eb_pattern_add(&one->rights[EB_PUB_ALLOWS], "$SRV.>", NULL);
        eb_pattern_add(&one->rights[EB_SUB_ALLOWS], "_INBOX.>", NULL);
        eb_pattern_add(&one->rights[EB_SUB_ALLOWS], "$SYS.ACCOUNT.CLIENT.AUTH.ERR", NULL);
    }
    static const struct {
        const char *secret, *what;
    } callout[] = {
        {"nats-authx-user", "auth-callout: it listens, answers each request once, hears of refused logins, "
                            "and asks whether the streams are there"},
        {"nats-authx-user/pubkey-old", "auth-callout by the key that is being replaced"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(callout); i++)
        if ((one = add(l, "AUTHX", callout[i].secret, callout[i].what)) != NULL) {
            one->entry = false;
            one->old = i > 0;
            one->answers = true;
            eb_rights_callout(one->rights);
        }
    if (site->mtls &&
        (one = add(l, "AUTHX", "nats-mtls-authx-leaf",
                   "callouts of the mTLS server and their answers, and what logins it refused")) != NULL) {
        one->leaf = true;
        eb_pattern_add(&one->rights[EB_PUB_ALLOWS], "$SYS.REQ.USER.AUTH", NULL);
        eb_pattern_add(&one->rights[EB_PUB_ALLOWS], "$SYS.ACCOUNT.CLIENT.AUTH.ERR", NULL);
        eb_pattern_add(&one->rights[EB_SUB_ALLOWS], "$SYS._INBOX.>", NULL);
    }
}

static void data_logins(const struct eb_site *site, struct eb_logins *l) {
    const char *account = site->account.p;
    struct eb_login *one = NULL;
    if (site->mtls && (one = add(l, account, "nats-mtls-leaf", "data of the mTLS server")) != NULL) {
        one->leaf = true;
        for (unsigned side = 0; side < EB_RIGHTS; side++)
            eb_pattern_add(&one->rights[side],
                           side == EB_PUB_DENIES || side == EB_SUB_DENIES ? "$SYS.>" : ">", NULL);
    }
    if ((one = add(l, account, "nats-streams",
                   "`eventbus streams`: makes the streams and watches their sources")) != NULL)
        eb_rights_streams(site, one->rights);
    if ((one = add(l, account, "nats-nack-user", "NACK: all of the account's JetStream")) != NULL) {
        eb_pattern_add(&one->rights[EB_PUB_ALLOWS], "$JS.API.>", NULL);
        eb_pattern_add(&one->rights[EB_SUB_ALLOWS], "_INBOX.>", NULL);
    }
}

/* The CPCs' links. Named after the account of the link, "" for the data account. */
static void cpc_logins(const struct eb_site *site, const struct eb_site_extra *extra, struct eb_logins *l) {
    for (size_t i = 0; i < site->cpc_ids.n; i++) {
        struct eb_str id = site->cpc_ids.items[i].s;
        char secret[128], what[120];
        (void)snprintf(secret, sizeof secret, "nats-leaf%s%s-cpc-%.*s", extra ? "-" : "",
                       extra ? extra->lower.p : "", EB_STR_ARG(id));
        (void)snprintf(what, sizeof what, "the link of CPC %.*s", EB_STR_ARG(id));
        struct eb_login *one = add(l, extra ? extra->name.s.p : site->account.p, secret, what);
        if (!one)
            return;
        one->leaf = true;
        if (extra)
            eb_rights_extra_leaf(extra, one->rights);
        else if (!eb_rights_cpc_leaf(site, id, one->rights))
            l->failed = true;
    }
}

void eb_logins_of(const struct eb_site *site, struct eb_logins *ret) {
    *ret = (struct eb_logins){0};
    sys_logins(site, ret);
    auth_logins(site, ret);
    data_logins(site, ret);
    if (site->type != EB_SITE_CSC)
        return;
    cpc_logins(site, NULL, ret);
    for (size_t i = 0; i < site->extras_n; i++)
        if (site->extras[i].enabled)
            cpc_logins(site, &site->extras[i], ret);
}

void eb_logins_done(struct eb_logins *l) {
    for (size_t i = 0; i < l->n; i++)
        for (unsigned side = 0; side < EB_RIGHTS; side++)
            eb_buf_done(&l->v[i].rights[side]);
    free(l->v);
    *l = (struct eb_logins){0};
}
