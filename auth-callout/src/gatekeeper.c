#include "gatekeeper.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "login.h"
#include "watch.h"

#define MS_NS INT64_C(1000000)
enum {
    OPEN_MS = 5000,
    CLOSED_MS = 1000,
    UNSURE_MS = 200,
    ANSWER_MS = 2000, /* a leader is chosen within that, or the next question finds it */
    SLICE_MS = 50,    /* between two looks whether it is disturbed */
    CONNECT_TIMEOUT_MS = 1000,
    RECONNECT_MS = 50,
    REBUILD_MS =
        1000, /* from one try to connect to the next, so that a server that refuses us is not hammered */
    PING_MS = 15000,
    TROUBLE_MAX = 400,
};

struct eb_gatekeeper {
    struct eb_gatekeeper_options opt;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* the next five */
    pthread_cond_t wake;
    bool stopping, poked, ended;
    char refusal[TROUBLE_MAX]; /* what a server last said against a question, or against our login */
    /* the thread's own */
    natsConnection *nc;
    natsSubscription *answers;
    struct eb_login *login;
    char inbox[48];
    uint64_t round;
    int64_t down_ns; /* since when the connection is seen to be down, 0 = it is not */
    int64_t next_ns; /* not before that is it built anew */
    char trouble[TROUBLE_MAX];
};

/* True where what is under way is to be left, because it ends or begins anew. */
static bool is_disturbed(struct eb_gatekeeper *k) {
    EB_LOCKED(&k->mutex);
    return k->stopping || k->poked;
}

static void refusal(struct eb_gatekeeper *k, char to[TROUBLE_MAX]) {
    EB_LOCKED(&k->mutex);
    memcpy(to, k->refusal, TROUBLE_MAX);
}

/* answered: by that the inbox is proved. A subscription is refused once a connection, a question each time.
 */
static void forget_refusal(struct eb_gatekeeper *k, bool answered) {
    EB_LOCKED(&k->mutex);
    if (answered || !strstr(k->refusal, "ubscription"))
        k->refusal[0] = '\0';
}

/* ---- the connection ---- */

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *ctx) {
    (void)nc;
    (void)sub;
    struct eb_gatekeeper *k = ctx;
    const char *text = eb_login_error(status);
    if (!strstr(text, "iolation")) /* of permissions, of the authorization; other trouble passes */
        return;
    EB_LOCKED(&k->mutex);
    (void)snprintf(k->refusal, sizeof k->refusal, "%s", text);
}

static void on_reconnected(natsConnection *nc, void *ctx) {
    (void)nc;
    eb_gatekeeper_poke(ctx);
}

static void tear_down(struct eb_gatekeeper *k) {
    natsSubscription_Destroy(k->answers);
    natsConnection_Destroy(k->nc);
    eb_login_free(k->login);
    k->answers = NULL;
    k->nc = NULL;
    k->login = NULL;
}

static void optionsp(natsOptions **o) {
    natsOptions_Destroy(*o);
}

static natsStatus set_options(natsOptions *o, struct eb_gatekeeper *k) {
    natsStatus s = natsOptions_SetName(o, "auth-callout streams");
    s = s ? s : natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    s = s ? s : natsOptions_SetAllowReconnect(o, true);
    s = s ? s : natsOptions_SetMaxReconnect(o, -1);
    s = s ? s : natsOptions_SetReconnectWait(o, RECONNECT_MS);
    s = s ? s : natsOptions_SetReconnectJitter(o, RECONNECT_MS, RECONNECT_MS);
    s = s ? s : natsOptions_SetReconnectBufSize(o, 1); /* no round is kept for the server that comes next */
    s = s ? s : natsOptions_SetPingInterval(o, PING_MS);
    s = s ? s : natsOptions_SetMaxPingsOut(o, 2);
    s = s ? s : natsOptions_SetErrorHandler(o, on_error, k);
    return s ? s : natsOptions_SetReconnectedCB(o, on_reconnected, k);
}

static natsStatus connect_and_listen(struct eb_gatekeeper *k, natsOptions *opts) {
    char subject[sizeof k->inbox + 2];
    (void)snprintf(subject, sizeof subject, "%s.*", k->inbox);
    natsStatus s = natsConnection_Connect(&k->nc, opts);
    return s ? s : natsConnection_SubscribeSync(&k->answers, k->nc, subject);
}

/* False where no server is there, or what is there is none that answers. */
static bool is_refusal(natsStatus s) {
    return s != NATS_NO_SERVER && s != NATS_CONNECTION_CLOSED && s != NATS_TIMEOUT && s != NATS_IO_ERROR;
}

static enum eb_rc build(struct eb_gatekeeper *k, struct eb_err *reterr) {
    const struct eb_config *c = k->opt.config;
    tear_down(k);
    k->down_ns = 0;
    k->next_ns = eb_mono_ns() + REBUILD_MS * MS_NS;
    enum eb_rc rc = eb_login_load(c, &k->login, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(optionsp) natsOptions *opts = NULL;
    natsStatus s = natsOptions_Create(&opts);
    s = s ? s : set_options(opts, k);
    if (s == NATS_OK)
        rc = eb_login_apply(k->login, c, opts, reterr);
    if (s == NATS_OK && rc == EB_OK)
        s = connect_and_listen(k, opts);
    if (s == NATS_OK)
        return rc;
    if (!is_refusal(s)) /* nobody is hammered, and the next look may find one */
        k->next_ns = 0;
    return EB_FAIL(reterr, EB_E_IO, "%s", eb_login_error(s));
}

/* Whether nats.c may still bring the connection back by itself. It does not say why it cannot (a server that
 * takes no more connections, say), so it has a short time for that. */
static bool may_come_back(struct eb_gatekeeper *k) {
    if (!k->nc || natsConnection_IsClosed(k->nc))
        return false;
    if (!k->down_ns)
        k->down_ns = eb_mono_ns();
    return eb_mono_ns() - k->down_ns < REBUILD_MS * MS_NS;
}

/* A connection that can be asked over, or the reason why there is none. nats.c reconnects by itself, unless
 * the server refused its login twice. */
static bool is_connected(struct eb_gatekeeper *k, struct eb_buf *why) {
    static const char none[] = "no link to NATS to ask for the streams over";
    if (k->nc && natsConnection_Status(k->nc) == NATS_CONN_STATUS_CONNECTED) {
        k->down_ns = 0;
        return true;
    }
    if (may_come_back(k)) {
        eb_buf_z(why, none);
        return false;
    }
    if (eb_mono_ns() >= k->next_ns) {
        struct eb_err err = {0};
        enum eb_rc rc = build(k, &err);
        if (rc == EB_OK)
            return true;
        (void)snprintf(k->trouble, sizeof k->trouble, "%s: %s", none, eb_err_text(&err, rc));
        tear_down(k);
    }
    eb_buf_z(why, k->trouble);
    return false;
}

/* ---- a check ---- */

static bool send_questions(struct eb_gatekeeper *k) {
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        char subject[64], reply[96];
        (void)snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", eb_stream_names[i]);
        (void)snprintf(reply, sizeof reply, "%s.%llu-%zu", k->inbox, (unsigned long long)k->round, i);
        if (natsConnection_PublishRequest(k->nc, subject, reply, "", 0) != NATS_OK)
            return false;
    }
    return true;
}

/* Which question of this round a message answers; EB_STREAMS_N for none. */
static size_t question_of(const struct eb_gatekeeper *k, const natsMsg *msg) {
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        char reply[96];
        (void)snprintf(reply, sizeof reply, "%s.%llu-%zu", k->inbox, (unsigned long long)k->round, i);
        if (strcmp(natsMsg_GetSubject(msg), reply) == 0)
            return i;
    }
    return EB_STREAMS_N;
}

static void separate(struct eb_buf *why) {
    if (why->n)
        eb_buf_z(why, "; ");
}

/* Answers of a round as they come. */
struct answers {
    const struct eb_specs *specs;
    struct eb_gate_round *round;
    bool here[EB_STREAMS_N];
    struct eb_buf why[EB_STREAMS_N];
    size_t left;
    bool foreign; /* the server answered for an account that has no JetStream */
};

static void take_answer(const struct eb_gatekeeper *k, struct answers *a, natsMsg *msg) {
    size_t i = question_of(k, msg);
    struct eb_str bytes = eb_str_n(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    if (i == EB_STREAMS_N || a->here[i])
        return;
    if (natsMsg_IsNoResponders(msg) || eb_spec_foreign(bytes)) {
        a->foreign = true;
        return;
    }
    a->here[i] = true;
    a->left--;
    a->round->verdict[i] = eb_spec_judge(i, eb_specs_get(a->specs, i), bytes, eb_watch_now_ns(), &a->why[i]);
}

/* What the answers that came, and those that did not, say together. */
static void sum_up(struct answers *a, const char *refused, struct eb_buf *why) {
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        if (a->why[i].n)
            separate(why);
        eb_buf_str(why, eb_buf_get(&a->why[i]));
        eb_buf_done(&a->why[i]);
    }
    if (a->left == 0)
        return;
    separate(why);
    if (refused[0])
        eb_buf_printf(
            why,
            "the server does not let auth-callout ask for the streams (%s): it needs the configuration "
            "that `eventbus render` writes",
            refused);
    else if (a->foreign)
        eb_buf_z(why, "no answer of the data account's JetStream: is it on, and has the main server the "
                      "configuration that `eventbus render` writes?");
    else
        eb_buf_printf(why, "JetStream does not answer for %zu of the %d streams", a->left, EB_STREAMS_N);
}

/* Asks all four at once and waits for the answers; what has none stays EB_SPEC_UNASKED. False where it was
 * disturbed and says nothing. */
static bool ask(struct eb_gatekeeper *k, const struct eb_specs *specs, struct eb_gate_round *round) {
    if (!is_connected(k, &round->why))
        return true;
    k->round++;
    forget_refusal(k, false);
    if (!send_questions(k)) {
        eb_buf_z(&round->why, "the link to NATS was lost while the streams were asked for");
        return true;
    }
    struct answers a = {.specs = specs, .round = round, .left = EB_STREAMS_N};
    char said[TROUBLE_MAX] = "";
    int64_t until = eb_mono_ns() + ANSWER_MS * MS_NS;
    bool whole = true;
    for (natsStatus s = NATS_OK; a.left && !said[0] && whole && eb_mono_ns() < until;) {
        natsMsg *msg = NULL;
        s = natsSubscription_NextMsg(&msg, k->answers, SLICE_MS);
        if (s == NATS_OK) {
            take_answer(k, &a, msg);
            forget_refusal(k, true);
        } else if (s == NATS_TIMEOUT) {
            refusal(k, said);
        } else {
            break;
        }
        natsMsg_Destroy(msg);
        whole = !is_disturbed(k) || a.left == 0;
    }
    sum_up(&a, said, &round->why);
    return whole;
}

static void tell(enum eb_gate_state state, const struct eb_gate_round *round) {
    struct eb_log_line l;
    if (state == EB_GATE_OPEN && round->why.n == 0)
        eb_log_begin(&l, EB_LOG_INFO, "MQTT is open: the site's streams are as specified");
    else if (state == EB_GATE_OPEN)
        eb_log_begin(&l, EB_LOG_WARN, "MQTT stays open, but not all is well with the site's streams");
    else if (state == EB_GATE_CLOSED)
        eb_log_begin(&l, EB_LOG_WARN, "MQTT is closed: the site's streams are not as specified");
    else
        eb_log_begin(&l, EB_LOG_WARN, "MQTT logins wait: the site's streams cannot be asked for");
    if (round->why.n)
        eb_log_z(&l, "trouble", round->why.p);
    eb_log_end(&l);
}

/* One check; how long until the next. */
static int64_t check(struct eb_gatekeeper *k) {
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *specs = eb_live_specs(k->opt.live);
    struct eb_gate_round round = {0};
    bool news = false;
    uint64_t begun = eb_gate_begin(k->opt.gate);
    bool counts = ask(k, specs, &round) && eb_gate_take(k->opt.gate, begun, &round, eb_mono_ns(), &news);
    enum eb_gate_state state = eb_gate_state(k->opt.gate);
    if (counts && state != EB_GATE_UNSURE)
        k->opt.settled(k->opt.ctx);
    if (counts && news)
        tell(state, &round);
    eb_buf_done(&round.why);
    if (!counts)
        return 0;
    return state == EB_GATE_OPEN ? OPEN_MS : state == EB_GATE_CLOSED ? CLOSED_MS : UNSURE_MS;
}

/* ---- the thread ---- */

/* False at the end. */
static bool wait_for_turn(struct eb_gatekeeper *k, int64_t pause_ms) {
    EB_LOCKED(&k->mutex);
    int64_t until = eb_mono_ns() + pause_ms * MS_NS;
    while (!k->stopping && !k->poked && eb_mono_ns() < until)
        eb_cond_wait_until(&k->wake, &k->mutex, until);
    if (k->poked)
        k->next_ns = 0; /* a link came or went: what a try found before says little now */
    k->poked = false;
    return !k->stopping;
}

static void *keeper_main(void *arg) {
    struct eb_gatekeeper *k = arg;
    for (int64_t pause_ms = 0; wait_for_turn(k, pause_ms);)
        pause_ms = check(k);
    tear_down(k);
    nats_ReleaseThreadMemory();
    EB_LOCKED(&k->mutex);
    k->ended = true;
    (void)pthread_cond_broadcast(&k->wake);
    return NULL;
}

enum eb_rc eb_gatekeeper_start(const struct eb_gatekeeper_options *opt, struct eb_gatekeeper **ret,
                               struct eb_err *reterr) {
    struct eb_gatekeeper *k = calloc(1, sizeof *k);
    if (!k)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    k->opt = *opt;
    (void)pthread_mutex_init(&k->mutex, NULL);
    eb_cond_init(&k->wake);
    unsigned char random[12];
    char hex[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    (void)snprintf(k->inbox, sizeof k->inbox, "_INBOX.%s",
                   sodium_bin2hex(hex, sizeof hex, random, sizeof random));
    k->started = pthread_create(&k->thread, NULL, keeper_main, k) == 0;
    if (!k->started) {
        int e = errno;
        eb_gatekeeper_free(k);
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the streams: %s", strerror(e));
    }
    *ret = k;
    return EB_OK;
}

void eb_gatekeeper_poke(struct eb_gatekeeper *k) {
    EB_LOCKED(&k->mutex);
    k->poked = true;
    (void)pthread_cond_signal(&k->wake);
}

void eb_gatekeeper_leave(struct eb_gatekeeper *k) {
    if (!k)
        return;
    EB_LOCKED(&k->mutex);
    k->stopping = true;
    (void)pthread_cond_signal(&k->wake);
}

bool eb_gatekeeper_stop(struct eb_gatekeeper *k, int64_t until_ns) {
    if (!k || !k->started)
        return true;
    eb_gatekeeper_leave(k);
    bool ended;
    {
        EB_LOCKED(&k->mutex);
        while (!k->ended && eb_mono_ns() < until_ns)
            eb_cond_wait_until(&k->wake, &k->mutex, until_ns);
        ended = k->ended;
    }
    (void)(ended ? pthread_join(k->thread, NULL) : pthread_detach(k->thread));
    k->started = false;
    return ended;
}

void eb_gatekeeper_free(struct eb_gatekeeper *k) {
    if (!k)
        return;
    (void)pthread_cond_destroy(&k->wake);
    (void)pthread_mutex_destroy(&k->mutex);
    free(k);
}
