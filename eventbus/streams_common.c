#include "streams_common.h"

#include <errno.h>
#include <time.h>

#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"
#include "say.h"

enum {
    ASK_MS = 2000,
    RETRY_MS = 100,
    /* The stored layer rests on js_ack_fc_v2 and js_api_reply_v2. */
    SERVER_MAJOR = 2,
    SERVER_MINOR = 14,
    SHOWN_MAX = 40,
    DOMAIN_MAX = 64, /* bytes of a server's word that are repeated */
};

int64_t eb_streams_now_ns(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void eb_streams_sleep(int64_t ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

void eb_plan_done(struct eb_plan *p) {
    for (size_t i = 0; p->entries && i < p->sources_n; i++)
        json_decref(p->entries[i]);
    free(p->entries);
    for (size_t i = 0; p->keys && i < p->sources_n; i++)
        free(p->keys[i]);
    free(p->keys);
    eb_stream_sources_free(p->sources, p->sources_n);
    json_decref(p->streams);
    eb_site_free(p->site);
    *p = (struct eb_plan){0};
}

static bool fill(struct eb_plan *p) {
    if (eb_stream_sources(p->site, &p->sources, &p->sources_n) != EB_OK)
        return false;
    p->streams = eb_streams_of(p->site);
    p->entries = calloc(p->sources_n + 1, sizeof *p->entries);
    p->keys = calloc(p->sources_n + 1, sizeof *p->keys);
    bool ok = p->streams && p->entries && p->keys;
    for (size_t i = 0; ok && i < p->sources_n; i++)
        ok = (p->entries[i] = eb_stream_source_json(&p->sources[i])) != NULL &&
             (p->keys[i] = eb_stream_source_key(p->entries[i])) != NULL;
    return ok;
}

bool eb_plan_load(const char *path, struct eb_plan *ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    eb_auto_plan struct eb_plan p = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_doc_open(path, EB_SITE_MAX, &doc, &err);
    if (rc != EB_OK) {
        eb_findings_add(findings, EB_ERROR, NULL, 0, NULL, NULL, "%s", eb_err_text(&err, rc));
        return false;
    }
    rc = eb_site_load(doc, &p.site, findings);
    if (rc == EB_OK && fill(&p)) {
        *ret = p;
        p = (struct eb_plan){0};
        return true;
    }
    if (findings->errors == 0)
        eb_findings_add(findings, EB_ERROR, path, 0, NULL, NULL, "%s",
                        rc == EB_OK || rc == EB_E_NOMEM ? "out of memory" : eb_rc_name(rc));
    return false;
}

static int begin(const struct eb_command *c, const struct eb_args *args, struct eb_plan *plan,
                 struct eb_js **js) {
    for (int i = EB_STREAMS_SITE; i <= EB_STREAMS_SEED; i++)
        if (!args->value[i]) {
            eb_say(c, "--%s is missing: eventbus %s --site FILE --server URL --seed-file FILE",
                   c->options[i].name, c->words);
            return EB_EXIT_USAGE;
        }
    eb_auto_findings struct eb_findings findings = {0};
    bool ok = eb_plan_load(args->value[EB_STREAMS_SITE], plan, &findings);
    eb_say_findings(c, &findings);
    if (!ok)
        return EB_EXIT_FAILED;
    struct eb_err err = {0};
    const struct eb_js_options opt = {
        .urls = args->value[EB_STREAMS_SERVER],
        .seed_file = args->value[EB_STREAMS_SEED],
        .ca = args->value[EB_STREAMS_CA],
        .name = c->words,
    };
    enum eb_rc rc = eb_js_new(&opt, js, &err);
    if (rc != EB_OK)
        eb_say(c, "%s", eb_err_text(&err, rc));
    return rc == EB_OK ? EB_EXIT_OK : EB_EXIT_FAILED;
}

bool eb_streams_wait(const struct eb_command *c, const char *name, const char *value, int64_t fallback_ms,
                     int64_t *ret_ms) {
    int64_t ns = fallback_ms * 1000000;
    if (value && eb_num_duration(eb_str(value), &ns) != EB_OK) {
        struct eb_str shown = eb_utf8_cut(eb_str(value), SHOWN_MAX);
        eb_say(c, "--%s %.*s is no duration: write 30s or 2m", name, EB_STR_ARG(shown));
        return false;
    }
    *ret_ms = ns / 1000000;
    return true;
}

/* An answer to INFO or STREAM.INFO comes from the site's own JetStream: EB_E_INVALID else. */
static enum eb_rc of_site(const struct eb_site *site, const json_t *answer, struct eb_err *reterr) {
    struct eb_str domain = eb_json_str(answer, "domain");
    if (eb_str_eq(domain, site->domain))
        return EB_OK;
    domain = eb_utf8_cut(domain, DOMAIN_MAX);
    return EB_FAIL(reterr, EB_E_INVALID,
                   "the JetStream that answers has the domain \"%.*s\", but the document is of the site "
                   "%.*s, whose domain "
                   "is %.*s: is --server another site's?",
                   EB_STR_ARG(domain), EB_STR_ARG(site->name), EB_STR_ARG(site->domain));
}

static enum eb_rc prove(const struct eb_plan *plan, const struct eb_hello *server, const json_t *info,
                        struct eb_err *reterr) {
    const struct eb_site *site = plan->site;
    if (plan->sources_n && !eb_js_version_at_least(server->version, SERVER_MAJOR, SERVER_MINOR))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "server %s is nats-server %s: what is stored crosses between sites from %d.%d on; upgrade it",
            server->name, server->version, SERVER_MAJOR, SERVER_MINOR);
    enum eb_rc rc = of_site(site, info, reterr);
    if (rc != EB_OK)
        return rc;
    if (site->streams_replicas > 1 && !server->clustered)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "the document wants %u replicas, but server %s is not in a cluster: write "
                       "mqttStreams.replicas: 1",
                       site->streams_replicas, server->name);
    return EB_OK;
}

enum eb_rc eb_streams_ready(struct eb_js *js, const struct eb_plan *plan, int64_t wait_ms,
                            struct eb_hello *ret, uint64_t *ret_session, struct eb_err *reterr) {
    int64_t until = eb_mono_ms() + wait_ms;
    for (;;) {
        eb_auto_json json_t *info = NULL;
        struct eb_err err = {0};
        enum eb_rc rc = EB_E_IO;
        int code = 0;
        if (!eb_js_up(js)) {
            const char *why = eb_js_trouble(js);
            (void)EB_FAIL(&err, EB_E_IO, "no connection: %s", *why ? why : "no server answers");
        } else {
            uint64_t session = eb_js_session(js);
            rc = eb_js_ask(js, "INFO", NULL, ASK_MS, &info, &code, &err);
            rc = rc == EB_OK ? eb_js_server(js, ret, &err) : rc;
            /* the two answers may be those of two servers */
            if (rc == EB_OK && eb_js_session(js) != session)
                rc = EB_FAIL(&err, EB_E_IO, "the connection to the server does not last");
            if (rc == EB_OK && ret_session)
                *ret_session = session;
        }
        if (rc == EB_OK)
            return prove(plan, ret, info, reterr);
        int64_t left = until - eb_mono_ms();
        if (left <= 0 || rc == EB_E_MALFORMED)
            return EB_FAIL(reterr, rc, "%s", eb_err_text(&err, rc));
        eb_streams_sleep(left < RETRY_MS ? left : RETRY_MS);
    }
}

enum eb_rc eb_streams_info(struct eb_js *js, const struct eb_site *site, const char *stream,
                           int64_t timeout_ms, json_t **ret, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf name = {0};
    struct eb_err err = {0};
    int code = 0;
    eb_buf_printf(&name, "STREAM.INFO.%s", stream);
    enum eb_rc rc = eb_buf_ok(&name) ? eb_js_ask(js, name.p, NULL, timeout_ms, ret, &code, &err) : EB_E_NOMEM;
    if (code == EB_JS_STREAM_MISSING) {
        *ret = NULL;
        return EB_OK;
    }
    if (rc == EB_OK && (rc = of_site(site, *ret, &err)) != EB_OK) {
        json_decref(*ret);
        *ret = NULL;
    }
    return rc == EB_OK ? EB_OK : EB_FAIL(reterr, rc, "%s: %s", stream, eb_err_text(&err, rc));
}

int eb_streams_run(const struct eb_command *c, const struct eb_args *args, eb_streams_work_fn *work) {
    eb_auto_plan struct eb_plan plan = {0};
    struct eb_js *js = NULL;
    int status = begin(c, args, &plan, &js);
    if (status == EB_EXIT_OK)
        status = work(c, args, &plan, js);
    eb_js_free(js);
    eb_js_library_end(status);
    return status;
}
