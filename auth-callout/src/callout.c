#include "callout.h"

#include <stdatomic.h>

#include "clock.h"
#include "decide.h"
#include "log.h"
#include "metrics.h"
#include "natsjwt/claims.h"

#define SECOND_NS INT64_C(1000000000)
/* Dropping is told at most this often. */
#define DROP_TOLD_NS SECOND_NS
/* Nobody's budget is longer: what a server says beyond it is cut. */
#define BUDGET_MAX_S 300

/* The longest budget that a verified request has told, 0 before the first. */
static _Atomic int64_t longest_budget_ns;

void eb_callout_scratch_done(struct eb_callout_scratch *s) {
    eb_buf_done(&s->plain);
    eb_buf_done(&s->user_jwt);
    eb_buf_done(&s->answer);
    eb_buf_done(&s->grants);
}

void eb_callout_note_drop(enum eb_counter kind) {
    static _Atomic int64_t last_told_ns;
    eb_count(kind);
    eb_count(EB_C_ERRORS);
    int64_t now = eb_mono_ns(), last = atomic_load(&last_told_ns);
    if ((last && now - last < DROP_TOLD_NS) || !atomic_compare_exchange_strong(&last_told_ns, &last, now))
        return;
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN, "overloaded: requests are dropped, their clients will try again");
    eb_log_int(&l, "late_total", (int64_t)eb_counter_get(EB_C_DROPPED_LATE));
    eb_log_int(&l, "queue_full_total", (int64_t)eb_counter_get(EB_C_DROPPED_FULL));
    eb_log_end(&l);
}

bool eb_callout_hopeless(int64_t arrived_ns, int64_t now_ns) {
    int64_t longest = atomic_load_explicit(&longest_budget_ns, memory_order_relaxed);
    return longest && now_ns - arrived_ns > longest;
}

static enum eb_outcome drop_invalid(enum eb_rc rc, const struct eb_err *err, size_t size) {
    eb_count_invalid(rc);
    eb_count(EB_C_ERRORS);
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN, "not a valid auth callout request");
    eb_log_z(&l, "reason", eb_rc_name(rc));
    eb_log_z(&l, "error", eb_err_text(err, rc));
    eb_log_int(&l, "bytes", (int64_t)size);
    eb_log_end(&l);
    return EB_DROP;
}

static unsigned connection_of(const struct eb_auth_request *r) {
    if (r->kind == EB_CLIENT_LEAF)
        return EB_CONN_LEAF;
    if (r->kind != EB_CLIENT_CLIENT)
        return 0;
    switch (r->type) {
    case EB_TYPE_NATS: return EB_CONN_NATS;
    case EB_TYPE_MQTT: return EB_CONN_MQTT;
    case EB_TYPE_WEBSOCKET: return EB_CONN_WEBSOCKET;
    case EB_TYPE_OTHER: return 0;
    }
    return 0;
}

static bool account_allowed(const struct eb_settings *s, struct eb_str account) {
    if (s->accounts_n == 0)
        return true; /* then the document names exactly the allowed ones */
    for (size_t i = 0; i < s->accounts_n; i++)
        if (eb_str_eq(s->accounts[i], account))
            return true;
    return false;
}

static void log_decision(const struct eb_attempt *a, enum eb_rc rc, int64_t session_end, int64_t took_ns) {
    const struct eb_auth_request *r = a->req;
    struct eb_log_line l;
    eb_log_begin(&l, rc == EB_OK ? EB_LOG_INFO : EB_LOG_WARN, rc == EB_OK ? "admitted" : "refused");
    eb_log_z(&l, "method", eb_method_name(a->method));
    eb_log_z(&l, "reason", eb_rc_name(rc));
    if (a->entry.name.p) {
        eb_log_peer(&l, "entry", a->entry.name);
        eb_log_peer(&l, "account", a->entry.account);
    }
    eb_log_peer(&l, "identity", eb_str(a->identity));
    eb_log_peer(&l, "host", r->host);
    eb_log_int(&l, "client_id", (int64_t)r->client_id);
    eb_log_z(&l, "kind", eb_policy_conn_name(a->conn));
    if (r->mqtt_id.n)
        eb_log_peer(&l, "mqtt_id", r->mqtt_id);
    eb_log_peer(&l, "server", r->server_name);
    if (rc != EB_OK)
        eb_log_z(&l, "error", eb_err_text(&a->err, rc));
    if (session_end)
        eb_log_int(&l, "session_s", session_end - a->now_s);
    eb_log_int(&l, "duration_us", took_ns / 1000);
    eb_log_end(&l);
}

/*
 * Operator mode: the key that signs says the account, and the account is never the one that callouts are
 * asked in, where a subscriber sees what others log in with. A scoped key pastes the name into its template.
 */
static enum eb_rc target_of(struct eb_attempt *a, const struct eb_signer *s,
                            const struct eb_signer_account **ret) {
    struct eb_str account = a->entry.account;
    *ret = eb_signer_account(s, account);
    if (!*ret)
        return EB_FAIL(&a->err, EB_E_ACCOUNT_NOT_ALLOWED, "operator mode: accounts has no key for %.*s",
                       account.n > 64 ? 64 : (int)account.n, account.p);
    if (eb_str_eqz(a->req->jwt.sub, (*ret)->id))
        return EB_FAIL(&a->err, EB_E_ACCOUNT_NOT_ALLOWED,
                       "operator mode: the entry's account is the one "
                       "that callouts are asked in");
    if ((*ret)->scoped && !eb_claim_name_ok(a->entry.name))
        return EB_FAIL(&a->err, EB_E_ACCOUNT_NOT_ALLOWED,
                       "operator mode: the account's key is scoped, and "
                       "this name must not get into its template");
    return EB_OK;
}

/* Writes the answer for a verdict into scratch->answer. target: NULL in configuration mode, where a name
 * places. */
static enum eb_rc write_answer(const struct eb_attempt *a, enum eb_rc verdict, int64_t session_end,
                               const struct eb_nkey *issuer, const struct eb_signer_account *target,
                               struct eb_callout_scratch *scratch) {
    const struct eb_auth_request *r = a->req;
    struct eb_nkey *signing =
        (struct eb_nkey *)(uintptr_t)issuer; /* eb_sign_fn's context is not const; the key is not changed */
    struct eb_auth_issuer by = {.key = eb_str(eb_nkey_public(issuer))};
    if (!eb_str_eq(by.key, r->jwt.sub))
        by.account = r->jwt.sub;
    eb_buf_reset(&scratch->user_jwt);
    eb_buf_reset(&scratch->answer);
    if (verdict == EB_OK) {
        struct eb_user_claims u = {.issuer = by.key,
                                   .issuer_account = by.account,
                                   .user_nkey = r->user_nkey,
                                   .account = a->entry.account,
                                   .name = a->entry.name,
                                   .grants_json = eb_policy_grants(&a->entry, a->conn),
                                   .iat = a->now_s,
                                   .exp = session_end};
        struct eb_nkey *minting = signing;
        if (target) {
            minting = target->key;
            u.issuer = eb_str(eb_nkey_public(minting));
            u.account = EB_STR_NONE;
            u.issuer_account = eb_str_eqz(u.issuer, target->id) ? EB_STR_NONE : eb_str(target->id);
            u.scoped = target->scoped;
        }
        enum eb_rc rc = eb_user_jwt_write(&scratch->user_jwt, &u, eb_signer_sign, minting);
        if (rc != EB_OK)
            return rc;
    }
    struct eb_str error = verdict == EB_OK ? EB_STR_NONE : EB_STR("authentication failed");
    return eb_auth_response_by(&scratch->answer, &by, r->server_id, r->user_nkey,
                               eb_buf_get(&scratch->user_jwt), error, a->now_s, eb_signer_sign, signing);
}

static void note_budget(int64_t budget_ns) {
    int64_t longest = atomic_load_explicit(&longest_budget_ns, memory_order_relaxed);
    while (budget_ns > longest &&
           !atomic_compare_exchange_weak_explicit(&longest_budget_ns, &longest, budget_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* The time that the server waits, from its own two timestamps; our clock may differ from its. */
static enum eb_rc budget_of(const struct eb_auth_request *r, int64_t *ret_ns, struct eb_err *reterr) {
    if (r->jwt.exp <= 0 || r->jwt.iat <= 0)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "iat or exp is missing");
    /* An overloaded nats-server takes so long to write the request that exp is not behind iat: no time is
     * left. */
    int64_t s = r->jwt.exp > r->jwt.iat ? r->jwt.exp - r->jwt.iat : 0;
    *ret_ns = (s > BUDGET_MAX_S ? BUDGET_MAX_S : s) * SECOND_NS;
    return EB_OK;
}

struct sealed {
    bool on;
    struct eb_xkey_shared shared;
};

static void sealed_done(struct sealed *s) {
    eb_xkey_shared_done(&s->shared);
}

/* The request's plain text: the payload itself, or what the seal held. */
static enum eb_rc unseal(const struct eb_callout *c, const struct eb_view *view,
                         const struct eb_callout_in *in, struct eb_buf *plain, struct sealed *sealed,
                         struct eb_str *ret_text, struct eb_err *err) {
    if (!eb_xkey_is_sealed(in->payload)) {
        if (in->header_xkey.p)
            return EB_FAIL(err, EB_E_REQ_XKEY, "the header names an xkey, but the request is not sealed");
        *ret_text = in->payload;
        return EB_OK;
    }
    if (in->payload.n > EB_REQUEST_MAX)
        return EB_FAIL(err, EB_E_TOO_LARGE, "a request of %zu bytes", in->payload.n);
    plain->secret = true;
    eb_buf_reset(plain);
    enum eb_rc rc =
        eb_sealing_open(c->sealing, view->signer, in->header_xkey, in->payload, plain, &sealed->shared, err);
    if (rc != EB_OK)
        return rc;
    sealed->on = true;
    *ret_text = eb_buf_get(plain);
    return EB_OK;
}

enum eb_outcome eb_callout_run(const struct eb_callout *c, const struct eb_callout_in *in,
                               struct eb_callout_scratch *scratch, struct eb_buf *reply,
                               struct eb_wait *ret_wait) {
    struct eb_err err = {0};
    EB_CLEANUP(eb_view_done) struct eb_view view = {0};
    EB_CLEANUP(sealed_done) struct sealed sealed = {0};
    EB_CLEANUP(eb_auth_request_done) struct eb_auth_request req = {0};
    struct eb_str text;
    int64_t budget_ns;
    eb_buf_reset(reply);
    eb_live_view(c->live, &view);
    enum eb_rc rc = unseal(c, &view, in, &scratch->plain, &sealed, &text, &err);
    if (rc == EB_OK)
        rc = eb_auth_request_read(text, in->header_xkey, &req, &err);
    if (rc == EB_OK)
        rc = budget_of(&req, &budget_ns, &err);
    if (rc != EB_OK)
        return drop_invalid(rc, &err, in->payload.n);
    const struct eb_nkey *issuer = eb_signer_issuer(view.signer, req.jwt.sub);
    if (!issuer)
        return drop_invalid(EB_FAIL(&err, EB_E_REQ_ISSUER,
                                    "the server %.*s wants answers of %.*s, whose seed we do not hold "
                                    "(where ours is a signing key of it, set nats.issuer-account)",
                                    req.server_name.n > 64 ? 64 : (int)req.server_name.n, req.server_name.p,
                                    EB_STR_ARG(req.jwt.sub)),
                            &err, in->payload.n);
    note_budget(budget_ns);
    if (eb_mono_ns() - in->arrived_ns > budget_ns) {
        eb_callout_note_drop(EB_C_DROPPED_LATE);
        return EB_DROP;
    }
    int64_t until_ns = in->arrived_ns + budget_ns / 2;
    enum eb_gate_state gate = req.type == EB_TYPE_MQTT ? eb_gate_state(c->gate) : EB_GATE_OPEN;
    if (gate == EB_GATE_UNSURE && !in->no_wait && eb_mono_ns() < until_ns) {
        *ret_wait = (struct eb_wait){.until_ns = until_ns};
        return EB_PARK;
    }
    if (gate != EB_GATE_OPEN) {
        eb_gate_note_drop(c->gate);
        return EB_DROP;
    }
    eb_buf_reset(&scratch->grants);
    struct eb_attempt a = {.req = &req,
                           .view = &view,
                           .now_s = eb_wall_s(),
                           .conn = connection_of(&req),
                           .may_wait = !in->no_wait && eb_mono_ns() < until_ns,
                           .ask_by_ns = in->arrived_ns + budget_ns / 4,
                           .grants = &scratch->grants};
    rc = eb_decide(&a);
    if (eb_rc_local(rc))
        rc = EB_E_INTERNAL; /* the text still says what it was */
    if (rc == EB_OK && !account_allowed(view.settings, a.entry.account))
        rc = EB_FAIL(&a.err, EB_E_ACCOUNT_NOT_ALLOWED, "the entry's account is not in allowed-accounts");
    const struct eb_signer_account *target = NULL;
    if (rc == EB_OK && eb_signer_operator_mode(view.signer))
        rc = target_of(&a, view.signer, &target);
    if (rc != EB_OK && a.wait_for) {
        *ret_wait = (struct eb_wait){until_ns, a.wait_for, a.wait_number, a.ticket};
        return EB_PARK;
    }
    if (rc != EB_OK && a.overload) {
        eb_callout_note_drop(EB_C_DROPPED_FULL);
        return EB_DROP;
    }
    int64_t session_end = rc == EB_OK ? eb_decide_session_end(&a) : 0;
    if (session_end && session_end <= a.now_s) {
        rc = EB_FAIL(&a.err, EB_E_EXPIRED, "the credential ends within this second");
        session_end = 0;
    }
    enum eb_rc written = write_answer(&a, rc, session_end, issuer, target, scratch);
    if (written == EB_OK && sealed.on)
        written = eb_xkey_seal(&sealed.shared, eb_buf_get(&scratch->answer), reply);
    else if (written == EB_OK)
        eb_buf_str(reply, eb_buf_get(&scratch->answer));
    if (written != EB_OK || !eb_buf_ok(reply))
        return drop_invalid(written == EB_E_NOMEM || written == EB_OK ? EB_E_NOMEM : EB_E_INTERNAL, NULL,
                            in->payload.n);
    int64_t took_ns = eb_mono_ns() - in->arrived_ns;
    eb_count_attempt(a.method, rc);
    if (rc != EB_OK)
        eb_count(EB_C_ERRORS);
    eb_observe_ns(took_ns);
    log_decision(&a, rc, session_end, took_ns);
    return EB_ANSWER;
}
