/* Tokens of Kubernetes ServiceAccounts: the cluster's keys say who it is, its API what the account is and may
 * do.
 */
#include "methods/methods.h"

/* Where an account may be used from. A leaf's subscriptions are other people's: it never may. */
#define CONNECTIONS (EB_CONN_NATS | EB_CONN_MQTT | EB_CONN_WEBSOCKET)

/* Everything that needs no key and no API. */
static enum eb_rc check_local(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t) {
    enum eb_rc rc = eb_token_check(a, issuer, t);
    if (rc != EB_OK)
        return rc;
    if (issuer->audiences_n == 0) /* the API server's own tokens would do */
        return EB_FAIL(&a->err, EB_E_WRONG_AUDIENCE, "issuer %s has no audience that could fit",
                       eb_issuer_label(issuer->config));
    return eb_policy_admit_other(a->view->policy, CONNECTIONS, a->conn, a->req->mqtt_id, &a->err);
}

/* The reason to refuse where the API did not say yes; waits where it is still to say something. */
static enum eb_rc not_confirmed(struct eb_attempt *a, const struct eb_issuer *issuer,
                                enum eb_kube_answer answer, enum eb_rc no, const char *text) {
    if (answer == EB_KUBE_NO)
        return EB_FAIL(&a->err, no, "%s", text);
    if (answer == EB_KUBE_WAIT || answer == EB_KUBE_YES) /* YES: it came since we looked */
        eb_attempt_wait(a, issuer, a->ticket.number);
    /* Only an API that was asked in time and is silent refuses: where the ask queues for long, we are slow.
     * Who may not wait at all is told at once. */
    int64_t sent_ns = a->ticket.sent_ns;
    a->overload = answer == EB_KUBE_FULL ||
                  (answer == EB_KUBE_WAIT && !a->no_room && (sent_ns == 0 || sent_ns > a->ask_by_ns));
    return EB_FAIL(&a->err, EB_E_KUBE_UNAVAILABLE, "the API of issuer %s %s", eb_issuer_label(issuer->config),
                   answer == EB_KUBE_UNASKED ? "could not be asked" : "did not answer in time");
}

/* The account as the API knows it: of that name, and the very one that the token was made for. */
static enum eb_rc find_account(struct eb_attempt *a, const struct eb_issuer *issuer,
                               const struct eb_kube_token *who, struct eb_kube_account **ret) {
    struct eb_kube *kube = issuer->source->kube;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *found = NULL;
    if (!kube)
        return EB_FAIL(&a->err, EB_E_KUBE_UNAVAILABLE, "issuer %s has no connection to its API",
                       eb_issuer_label(issuer->config));
    found = eb_kube_find(kube, who->ns, who->name);
    if (found && eb_str_eq(found->uid, who->uid)) {
        *ret = EB_TAKE(found);
        return EB_OK;
    }
    enum eb_kube_answer answer = eb_kube_want(kube, who->ns, who->name, who->uid, &a->ticket);
    if (found)
        return not_confirmed(a, issuer, answer, EB_E_SA_REPLACED,
                             "the account was deleted and made again since the token was issued");
    return not_confirmed(a, issuer, answer, EB_E_SA_UNKNOWN, "the cluster has no such ServiceAccount");
}

static bool is_listed(const struct eb_strs *list, struct eb_str s) {
    for (size_t i = 0; i < list->n; i++)
        if (eb_str_eqz(s, list->v[i]))
            return true;
    return false;
}

/* Where the account is placed: as configured, or where its annotation says and the configuration allows. */
static enum eb_rc place(struct eb_attempt *a, const struct eb_issuer *issuer,
                        const struct eb_kube_account *found, struct eb_str *ret) {
    const struct eb_kube_config *c = &issuer->config->kube;
    struct eb_str account = found->account.p ? found->account : eb_str(c->account);
    if (found->account.p && !eb_str_eqz(found->account, c->account ? c->account : "") &&
        !is_listed(&c->allowed_accounts, found->account))
        return EB_FAIL(&a->err, EB_E_ACCOUNT_NOT_ALLOWED,
                       "annotation " EB_KUBE_ANNOTATION_ACCOUNT
                       ": \"%.*s\" is not in kubernetes.allowed-accounts",
                       account.n > 64 ? 64 : (int)account.n, account.p);
    if (account.n == 0 || eb_str_in(account, "SYS,AUTH,AUTHX"))
        return EB_FAIL(&a->err, EB_E_ACCOUNT_NOT_ALLOWED, "no ServiceAccount is placed into account \"%.*s\"",
                       EB_STR_ARG(account));
    *ret = account;
    return EB_OK;
}

/* Copies what the answer needs: the record may be replaced at any time, and its issuer's configuration too.
 */
static enum eb_rc take_grants(struct eb_attempt *a, const struct eb_kube_account *found,
                              struct eb_str account) {
    struct eb_buf *to = a->grants;
    struct eb_str grants = a->conn == EB_CONN_MQTT ? found->grants_mqtt_json : found->grants_json;
    eb_buf_reset(to);
    eb_buf_str(to, found->token);
    eb_buf_str(to, account);
    eb_buf_str(to, grants);
    if (!eb_buf_ok(to))
        return EB_FAIL(&a->err, EB_E_NOMEM, "out of memory");
    const char *p = to->p;
    a->entry = (struct eb_policy_entry){
        .name = {p, found->token.n}, .account = {p + found->token.n, account.n}, .connections = CONNECTIONS};
    a->entry.grants_json = a->entry.grants_mqtt_json = eb_str_n(p + found->token.n + account.n, grants.n);
    return EB_OK;
}

static enum eb_rc review(struct eb_attempt *a, const struct eb_issuer *issuer,
                         const struct eb_kube_token *who) {
    struct eb_kube_question q = {.token = a->token,
                                 .who = *who,
                                 .audiences = issuer->audiences,
                                 .audiences_n = issuer->audiences_n,
                                 .left_s = a->expires_s - a->now_s};
    enum eb_kube_answer answer = eb_kube_review(issuer->source->kube, &q, &a->ticket);
    if (answer == EB_KUBE_YES)
        return EB_OK;
    return not_confirmed(a, issuer, answer, EB_E_TOKEN_REVIEW,
                         "the API does not confirm the token: its pod or account is gone");
}

enum eb_rc eb_method_kubernetes(struct eb_attempt *a, const struct eb_issuer *issuer, struct eb_jwt *t) {
    struct eb_kube_token who;
    a->method = EB_METHOD_KUBERNETES;
    enum eb_rc rc = eb_kube_token_read(t, &who, &a->err);
    if (rc != EB_OK)
        return rc;
    eb_attempt_identity(a, "%s:%.*s/%.*s%s%.*s", eb_issuer_label(issuer->config), EB_STR_ARG(who.ns),
                        EB_STR_ARG(who.name), who.pod.p ? " pod=" : "", EB_STR_ARG(who.pod));
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *found = NULL;
    struct eb_str account = EB_STR_NONE;
    rc = eb_token_verify(a, issuer, t, check_local);
    if (rc == EB_OK)
        rc = find_account(a, issuer, &who, &found);
    if (rc == EB_OK)
        rc = place(a, issuer, found, &account);
    if (rc == EB_OK)
        rc = take_grants(a, found, account);
    if (rc == EB_OK && issuer->config->kube.token_review)
        rc = review(a, issuer, &who);
    return rc;
}
