#include "jetstream.h"

#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"
#include "nkey/nats_nonce.h"

#define ANSWER_MAX ((size_t)16 << 20)
enum {
    CONNECT_TIMEOUT_MS = 2000,
    PING_MS = 5000, /* a silent server is noticed after two of these */
    WRITE_DEADLINE_MS = 2000,
    RECONNECT_QUICK_MS = 20, /* a server that was only restarted must have us back at once */
    RECONNECT_QUICK_TRIES = 250,
    RECONNECT_SLOW_MS = 500,
    REBUILD_MS = 500,
    LIBRARY_END_MS = 1000,
    URLS_MAX = 32,
    URL_MAX = 512,
    ID_MAX = 64,
    TROUBLE_MAX = 240,
    LIBRARY_WORDS_MAX = 160, /* bytes of what nats.c and the server say that are repeated */
    SERVER_WORDS_MAX = 180,
};

struct eb_js {
    struct eb_js_options opt;
    struct eb_nkey *key; /* of the connection, which signs with it */
    natsConnection *nc;
    unsigned generation;
    int64_t rebuilt_ms;
    char trouble[TROUBLE_MAX];
};

static int64_t reconnect_delay(natsConnection *nc, int attempts, void *ctx) {
    (void)nc;
    (void)ctx;
    uint32_t most = attempts <= RECONNECT_QUICK_TRIES ? RECONNECT_QUICK_MS : RECONNECT_SLOW_MS;
    return (int64_t)(most / 2 + randombytes_uniform(most / 2 + 1));
}

/* Keeps nats.c from printing errors on standard error by itself. */
static void quiet(natsConnection *nc, natsSubscription *sub, natsStatus status, void *ctx) {
    (void)nc;
    (void)sub;
    (void)status;
    (void)ctx;
}

static void optionsp(natsOptions **o) {
    natsOptions_Destroy(*o);
}

static enum eb_rc set_urls(natsOptions *o, const char *text, struct eb_err *reterr) {
    /* its text is not repeated: it may hold a password */
    if (eb_str_has(eb_str(text), '@'))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "--server: a user or password in the URL, which every user of this machine can read; write "
            "nats://host:port and give --seed-file");
    eb_auto_free char *copy = eb_str_dup(eb_str(text));
    const char *urls[URLS_MAX];
    int n = 0;
    char *save = NULL;
    if (!copy)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (char *url = copy ? strtok_r(copy, ", ", &save) : NULL; url; url = strtok_r(NULL, ", ", &save))
        if (n < URLS_MAX)
            urls[n++] = url;
        else
            return EB_FAIL(reterr, EB_E_INVALID, "--server: more than %d URLs", URLS_MAX);
    natsStatus s = n ? natsOptions_SetServers(o, urls, n) : NATS_INVALID_ARG;
    return s == NATS_OK
               ? EB_OK
               : EB_FAIL(reterr, EB_E_INVALID, "--server: %s; write nats://host:port, several with commas",
                         natsStatus_GetText(s));
}

static enum eb_rc set_options(natsOptions *o, struct eb_js *js, struct eb_nkey *key, struct eb_err *reterr) {
    enum eb_rc rc = set_urls(o, js->opt.urls, reterr);
    if (rc != EB_OK)
        return rc;
    natsStatus s = natsOptions_SetName(o, js->opt.name);
    s = s ? s : natsOptions_SetNKey(o, eb_nkey_public(key), eb_nkey_sign_nonce, key);
    s = s ? s : natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    s = s ? s : natsOptions_SetAllowReconnect(o, true);
    s = s ? s : natsOptions_SetMaxReconnect(o, -1);
    s = s ? s : natsOptions_SetCustomReconnectDelay(o, reconnect_delay, NULL);
    s = s ? s : natsOptions_SetReconnectBufSize(o, 1); /* 0 would be its default; see the header */
    s = s ? s : natsOptions_SetPingInterval(o, PING_MS);
    s = s ? s : natsOptions_SetMaxPingsOut(o, 2);
    s = s ? s : natsOptions_SetWriteDeadline(o, WRITE_DEADLINE_MS);
    s = s ? s : natsOptions_SetErrorHandler(o, quiet, NULL);
    if (!s && js->opt.ca) {
        s = natsOptions_LoadCATrustedCertificates(o, js->opt.ca);
        if (s != NATS_OK)
            return EB_FAIL(reterr, EB_E_INVALID, "--ca %s cannot be used: %s", js->opt.ca,
                           natsStatus_GetText(s));
    }
    return s == NATS_OK ? EB_OK : EB_FAIL(reterr, EB_E_INTERNAL, "nats.c: %s", natsStatus_GetText(s));
}

enum eb_rc eb_js_new(const struct eb_js_options *opt, struct eb_js **ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_js_freep) struct eb_js *js = calloc(1, sizeof *js);
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
    EB_CLEANUP(optionsp) natsOptions *o = NULL;
    if (!js || natsOptions_Create(&o) != NATS_OK)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    js->opt = *opt;
    enum eb_rc rc = eb_nkey_from_seed_file(opt->seed_file, EB_NKEY_USER, &key, reterr);
    rc = rc == EB_OK ? set_options(o, js, key, reterr) : rc;
    if (rc != EB_OK)
        return rc;
    *ret = EB_TAKE(js);
    return EB_OK;
}

static void tear_down(struct eb_js *js) {
    natsConnection_Destroy(js->nc);
    js->nc = NULL;
    eb_nkey_free(js->key);
    js->key = NULL;
}

void eb_js_free(struct eb_js *js) {
    if (!js)
        return;
    if (js->nc)
        (void)natsConnection_FlushTimeout(js->nc, 500);
    tear_down(js);
    free(js);
}

void eb_js_library_end(int status) {
    natsStatus s = nats_CloseAndWait(LIBRARY_END_MS);
    if (s == NATS_OK || s == NATS_NOT_INITIALIZED)
        return;
    (void)fflush(NULL);
    _exit(status);
}

static void note_trouble(struct eb_js *js, const char *text) {
    struct eb_str words = eb_utf8_cut(eb_str(text), sizeof js->trouble - 1);
    (void)snprintf(js->trouble, sizeof js->trouble, "%.*s", EB_STR_ARG(words));
}

/* Connects once, waiting; where the server does not answer, the next call tries again. */
static void build(struct eb_js *js) {
    EB_CLEANUP(optionsp) natsOptions *o = NULL;
    struct eb_err err = {0};
    tear_down(js);
    enum eb_rc rc = natsOptions_Create(&o) == NATS_OK ? EB_OK : EB_E_NOMEM;
    rc = rc == EB_OK ? eb_nkey_from_seed_file(js->opt.seed_file, EB_NKEY_USER, &js->key, &err) : rc;
    rc = rc == EB_OK ? set_options(o, js, js->key, &err) : rc;
    if (rc != EB_OK) {
        note_trouble(js, eb_err_text(&err, rc));
        return;
    }
    natsStatus s = natsConnection_Connect(&js->nc, o);
    if (s == NATS_OK) {
        js->generation++;
        js->trouble[0] = '\0';
        return;
    }
    struct eb_str more = eb_utf8_cut(eb_str(nats_GetLastError(NULL)), LIBRARY_WORDS_MAX);
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_z(&text, natsStatus_GetText(s));
    if (more.n)
        eb_buf_printf(&text, " (%.*s)", EB_STR_ARG(more));
    if (s == NATS_CONNECTION_AUTH_FAILED || s == NATS_NOT_PERMITTED)
        eb_buf_z(&text, "; is this seed that of the site's user nats-streams, and does auth_users list it?");
    note_trouble(js, text.p);
    tear_down(js);
}

bool eb_js_up(struct eb_js *js) {
    if (js->nc && natsConnection_Status(js->nc) == NATS_CONN_STATUS_CONNECTED)
        return true;
    if (js->nc && !natsConnection_IsClosed(js->nc)) { /* nats.c is at it */
        const char *text = NULL;                      /* not read: a thread of nats.c may be writing it */
        natsStatus last = natsConnection_GetLastError(js->nc, &text);
        note_trouble(js, last != NATS_OK ? natsStatus_GetText(last) : "the connection was lost");
        return false;
    }
    int64_t now = eb_mono_ms();
    if (js->rebuilt_ms && now - js->rebuilt_ms < REBUILD_MS)
        return false;
    js->rebuilt_ms = now;
    build(js);
    return js->nc && natsConnection_Status(js->nc) == NATS_CONN_STATUS_CONNECTED;
}

const char *eb_js_trouble(struct eb_js *js) {
    return js->trouble;
}

unsigned eb_js_generation(const struct eb_js *js) {
    return js->generation;
}

natsConnection *eb_js_connection(struct eb_js *js) {
    return js->nc;
}

static void msgp(natsMsg **m) {
    natsMsg_Destroy(*m);
}

/* The server's words for "not now": a cluster elects, or has too few of its servers. */
static bool passes(int code) {
    return code == 10008 || code == 10009 || code == 10005;
}

static enum eb_rc answer_of(natsMsg *msg, const char *name, json_t **ret, int *ret_code,
                            struct eb_err *reterr) {
    eb_auto_json json_t *root = NULL;
    enum eb_rc rc = eb_json_object(eb_str_n(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)),
                                   ANSWER_MAX, &root, reterr);
    if (rc != EB_OK) {
        eb_err_prefix(reterr, "$JS.API.%s", name);
        return rc;
    }
    const json_t *error = json_object_get(root, "error");
    if (error) {
        struct eb_str words = eb_utf8_cut(eb_json_str(error, "description"), SERVER_WORDS_MAX);
        *ret_code = (int)json_integer_value(json_object_get(error, "err_code"));
        return EB_FAIL(reterr, passes(*ret_code) ? EB_E_IO : EB_E_INVALID, "the server says: %.*s (%d)",
                       EB_STR_ARG(words), *ret_code);
    }
    *ret = EB_TAKE(root);
    return EB_OK;
}

enum eb_rc eb_js_ask(struct eb_js *js, const char *name, const json_t *body, int64_t timeout_ms, json_t **ret,
                     int *ret_code, struct eb_err *reterr) {
    int code_unwanted = 0, *code = ret_code ? ret_code : &code_unwanted;
    *code = EB_JS_NO_ANSWER;
    eb_auto_buf struct eb_buf subject = {0};
    eb_auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    eb_buf_printf(&subject, "$JS.API.%s", name);
    if (!eb_buf_ok(&subject) || (body && !text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    EB_CLEANUP(msgp) natsMsg *msg = NULL;
    /* While nats.c reconnects it would keep the first question, however small its buffer, and put it to
     * whatever server comes next. */
    natsStatus s = js->nc && natsConnection_Status(js->nc) == NATS_CONN_STATUS_CONNECTED
                       ? natsConnection_RequestString(&msg, js->nc, subject.p, text ? text : "", timeout_ms)
                       : NATS_CONNECTION_DISCONNECTED;
    if (s == NATS_NO_RESPONDERS)
        return EB_FAIL(reterr, EB_E_IO,
                       "JetStream does not answer: it is off in this account, or not ready yet");
    if (s == NATS_MAX_PAYLOAD)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "%s: %zu bytes are over the server's max_payload", name,
                       strlen(text));
    if (s == NATS_TIMEOUT)
        return EB_FAIL(reterr, EB_E_IO, "no answer to %s within %lld ms: may this user publish it?",
                       subject.p, (long long)timeout_ms);
    if (s != NATS_OK)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", subject.p, natsStatus_GetText(s));
    *code = 0;
    return answer_of(msg, name, ret, code, reterr);
}

uint64_t eb_js_session(const struct eb_js *js) {
    natsStatistics *stats = NULL;
    uint64_t again = UINT32_MAX; /* where it cannot be known, or there is none now, it is another one */
    if (js->nc && natsConnection_Status(js->nc) == NATS_CONN_STATUS_CONNECTED &&
        natsStatistics_Create(&stats) == NATS_OK && natsConnection_GetStats(js->nc, stats) == NATS_OK)
        (void)natsStatistics_GetCounts(stats, NULL, NULL, NULL, NULL, &again);
    natsStatistics_Destroy(stats);
    return (uint64_t)js->generation << 32 | (again & UINT32_MAX);
}

enum eb_rc eb_js_server(struct eb_js *js, struct eb_hello *ret, struct eb_err *reterr) {
    char url[URL_MAX] = "", id[ID_MAX] = "";
    if (!js->nc || natsConnection_GetConnectedUrl(js->nc, url, sizeof url) != NATS_OK ||
        natsConnection_GetConnectedServerId(js->nc, id, sizeof id) != NATS_OK)
        return EB_FAIL(reterr, EB_E_IO, "not connected");
    return eb_hello_ask(url, id, ret, reterr);
}

bool eb_js_version_at_least(const char *version, unsigned major, unsigned minor) {
    struct eb_str rest = eb_str(version[0] == 'v' ? version + 1 : version);
    int64_t have_major = 0, have_minor = 0;
    if (eb_num_i64(eb_str_cut(&rest, '.'), 0, 1000, &have_major) != EB_OK ||
        eb_num_i64(eb_str_cut(&rest, '.'), 0, 1000, &have_minor) != EB_OK)
        return false;
    return have_major > major || (have_major == major && have_minor >= minor);
}
