/* eventbus streams status */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "probe.h"
#include "say.h"
#include "streams_common.h"

enum { OPT_WAIT = EB_STREAMS_OPTIONS, OPT_JSON };

static const struct eb_option options[] = {
    EB_STREAMS_OPTION_ROWS,
    {"wait", "DURATION", "how long the server may take to answer; default 5s"},
    {"json", NULL, "print JSON"},
    {NULL, NULL, NULL},
};

enum { WAIT_MS = 5000, ASK_MS = 3000, STEP_MS = 10, SERVER_WORDS_MAX = 120 };

/* What was found, as the JSON that --json prints: {site, server, version, ok, streams[], sources[],
 * problems[]}. */
struct report {
    const struct eb_plan *plan;
    json_t *root;
    json_t *streams, *sources, *problems; /* borrowed from root */
    json_t *info[EB_STREAMS_N];
    struct eb_source_view view[EB_STREAMS_N];
    bool failed; /* out of memory: a problem is missing */
};

static void report_done(struct report *r) {
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        json_decref(r->info[i]);
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        eb_source_view_done(&r->view[i]);
    json_decref(r->root);
}

static void problem(struct report *r, const char *fmt, ...) EB_PRINTF(2, 3);
static void problem(struct report *r, const char *fmt, ...) {
    eb_auto_buf struct eb_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (!eb_buf_ok(&text) || json_array_append_new(r->problems, json_stringn(text.p, text.n)) != 0)
        r->failed = true;
}

static json_int_t number(const json_t *o, const char *a, const char *b) {
    return json_integer_value(json_object_get(json_object_get(o, a), b));
}

static const char *differences(struct report *r, size_t i, const char *name) {
    EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
    if (eb_stream_compare(json_array_get(r->plan->streams, i), r->info[i], eb_streams_now_ns(), &c) !=
        EB_OK) {
        problem(r, "%s: the server's answer cannot be read", name);
        return "unknown";
    }
    for (size_t j = 0; j < c.n; j++)
        problem(r, "%s: %s is %s, the document wants %s: run `eventbus streams apply`%s%s", name,
                c.items[j].field, c.items[j].from, c.items[j].to,
                c.items[j].kind == EB_CHANGE_PLAIN ? "" : "; ",
                c.items[j].kind == EB_CHANGE_PLAIN ? "" : c.items[j].why);
    return c.n ? "differs" : "ok";
}

static enum eb_rc look_at_streams(struct report *r, struct eb_js *js, struct eb_err *reterr) {
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        const json_t *wanted = json_array_get(r->plan->streams, i);
        const char *name = json_string_value(json_object_get(wanted, "name")), *state = "missing";
        enum eb_rc rc = eb_streams_info(js, r->plan->site, name, ASK_MS, &r->info[i], reterr);
        if (rc != EB_OK)
            return rc;
        if (r->info[i] && eb_source_view(r->info[i], &r->view[i]) != EB_OK)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        if (!r->info[i])
            problem(r, "%s: there is no such stream: run `eventbus streams apply` before MQTT is opened",
                    name);
        else
            state = differences(r, i, name);
        json_t *one =
            json_pack("{s:s, s:s, s:I, s:I, s:O, s:o}", "name", name, "state", state, "messages",
                      number(r->info[i], "state", "messages"), "bytes", number(r->info[i], "state", "bytes"),
                      "max_bytes", json_object_get(wanted, "max_bytes"), "max_age_s",
                      json_integer(json_integer_value(json_object_get(wanted, "max_age")) / 1000000000));
        const char *oldest =
            json_string_value(json_object_get(json_object_get(r->info[i], "state"), "first_ts"));
        if (one && oldest && number(r->info[i], "state", "messages") > 0)
            (void)json_object_set_new(one, "oldest", json_string(oldest));
        if (!one || json_array_append_new(r->streams, one) != 0)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    return EB_OK;
}

/* The place of a stream among the plan's. */
static size_t place_of(const struct report *r, const char *stream) {
    size_t i = 0;
    while (i + 1 < EB_STREAMS_N &&
           strcmp(json_string_value(json_object_get(json_array_get(r->plan->streams, i), "name")), stream) !=
               0)
        i++;
    return i;
}

/* Asks all far ends at once; answered[i] for each source. */
static void ask_far_ends(const struct report *r, struct eb_js *js, bool *answered) {
    size_t n = r->plan->sources_n, left = n;
    struct eb_probe **probes = calloc(n + 1, sizeof *probes);
    int64_t from = eb_mono_ms();
    for (size_t i = 0; probes && i < n; i++)
        if (eb_probe_new(js, &r->plan->sources[i], i, &probes[i], NULL) == EB_OK)
            eb_probe_send(probes[i], eb_mono_ms());
    while (probes && left && eb_mono_ms() - from < EB_PROBE_MS) {
        eb_streams_sleep(STEP_MS);
        left = 0;
        for (size_t i = 0; i < n; i++) {
            answered[i] = answered[i] || (probes[i] && eb_probe_answered(probes[i], eb_mono_ms()));
            left += !answered[i];
        }
    }
    for (size_t i = 0; probes && i < n; i++)
        eb_probe_free(probes[i]);
    free(probes);
}

static void judge_source(struct report *r, const struct eb_stream_source *s, const char *site,
                         const struct eb_source_status *st, bool answered) {
    if (st->state == EB_SOURCE_CONNECTED ||
        st->state == EB_SOURCE_MISSING) /* the missing are told by the comparison */
        return;
    eb_auto_buf struct eb_buf how = {0};
    if (st->state == EB_SOURCE_NEVER)
        eb_buf_z(&how, "not connected since the stream was set up");
    else
        eb_buf_printf(&how, "silent for %.1f s", (double)st->active_ns / 1e9);
    struct eb_str words = eb_utf8_cut(eb_str(st->error), SERVER_WORDS_MAX);
    if (words.n)
        eb_buf_printf(&how, " (the server says: %.*s)", EB_STR_ARG(words));
    problem(
        r, "%s: source %s of %s is %s: %s", s->into, s->filter, site, how.p ? how.p : "",
        answered
            ? "the far end answers, so `eventbus streams watch` of this site cures it within 3 s; does it "
              "run? "
              "Without it, wait a minute"
            : "the far end does not answer: is its server up, the leaf link between the sites connected, and "
              "have both sites been rendered from documents that agree (eventbus check)?");
}

static enum eb_rc look_at_sources(struct report *r, struct eb_js *js) {
    eb_auto_free bool *answered = calloc(r->plan->sources_n + 1, sizeof *answered);
    if (!answered)
        return EB_E_NOMEM;
    ask_far_ends(r, js, answered);
    for (size_t i = 0; i < r->plan->sources_n; i++) {
        const struct eb_stream_source *s = &r->plan->sources[i];
        size_t at = place_of(r, s->into);
        struct eb_source_status st;
        eb_auto_buf struct eb_buf site = {0};
        eb_source_status(r->plan->keys[i], &r->view[at], &st);
        eb_stream_source_site(&site, s->api);
        if (!eb_buf_ok(&site))
            return EB_E_NOMEM;
        if (r->info[at])
            judge_source(r, s, site.p, &st, answered[i]);
        json_t *one =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s?}", "stream", s->into, "from", site.p,
                      "filter", s->filter, "dest", s->dest, "state", eb_source_state_name(st.state), "lag",
                      (json_int_t)st.lag, "far_end_answers", answered[i], "error", st.error);
        if (!one ||
            json_object_set_new(one, "active_s",
                                st.active_ns < 0 ? json_null()
                                                 : json_real((double)(st.active_ns / 1000000) / 1e3)) != 0 ||
            json_array_append_new(r->sources, one) != 0)
            return EB_E_NOMEM;
    }
    return EB_OK;
}

/* --- printing --------------------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *o, const char *key) {
    const char *z = json_string_value(json_object_get(o, key));
    return z ? z : "";
}

/* A text of the report that others may have written. */
static void print_text(struct eb_buf *to, const json_t *o, const char *key) {
    eb_say_safe(to, eb_json_str(o, key));
}

static void mebibytes(struct eb_buf *to, json_int_t bytes) {
    eb_buf_printf(to, bytes >= 1 << 20 ? "%.1f MiB" : "%.1f KiB",
                  (double)bytes / (bytes >= 1 << 20 ? 1 << 20 : 1 << 10));
}

static void print_table(struct eb_buf *to, const struct report *r) {
    size_t i;
    json_t *one;
    eb_buf_printf(to, "site %s, server ", text_of(r->root, "site"));
    print_text(to, r->root, "server");
    eb_buf_z(to, " (nats-server ");
    print_text(to, r->root, "version");
    eb_buf_printf(to, ")\n\n%-13s %-9s %10s %12s %12s %8s\n", "STREAM", "STATE", "MESSAGES", "BYTES", "LIMIT",
                  "MAX AGE");
    json_array_foreach(r->streams, i, one) {
        eb_auto_buf struct eb_buf bytes = {0};
        eb_auto_buf struct eb_buf limit = {0};
        eb_auto_buf struct eb_buf age = {0};
        json_int_t seconds = json_integer_value(json_object_get(one, "max_age_s"));
        mebibytes(&bytes, json_integer_value(json_object_get(one, "bytes")));
        mebibytes(&limit, json_integer_value(json_object_get(one, "max_bytes")));
        if (seconds)
            eb_buf_printf(&age, "%" JSON_INTEGER_FORMAT "s", seconds);
        eb_buf_printf(to, "%-13s %-9s %10" JSON_INTEGER_FORMAT " %12s %12s %8s\n", text_of(one, "name"),
                      text_of(one, "state"), json_integer_value(json_object_get(one, "messages")),
                      bytes.p ? bytes.p : "", limit.p ? limit.p : "", age.p ? age.p : "-");
    }
    if (json_array_size(r->sources))
        eb_buf_printf(to, "\n%-13s %-8s %-10s %9s %8s  %s\n", "STREAM", "FROM", "STATE", "ACTIVE", "LAG",
                      "FILTER");
    json_array_foreach(r->sources, i, one) {
        const json_t *active = json_object_get(one, "active_s");
        eb_auto_buf struct eb_buf ago = {0};
        if (json_is_real(active))
            eb_buf_printf(&ago, "%.1fs ago", json_real_value(active));
        eb_buf_printf(to, "%-13s %-8s %-10s %9s %8" JSON_INTEGER_FORMAT "  %s\n", text_of(one, "stream"),
                      text_of(one, "from"), text_of(one, "state"), ago.p ? ago.p : "-",
                      json_integer_value(json_object_get(one, "lag")), text_of(one, "filter"));
    }
    if (json_array_size(r->problems) == 0) {
        eb_buf_z(to, "\nall as the document wants it\n");
        return;
    }
    eb_buf_z(to, "\nwrong:\n");
    json_array_foreach(r->problems, i, one) {
        eb_buf_z(to, "  ");
        eb_say_safe(to, eb_str_n(json_string_value(one), json_string_length(one)));
        eb_buf_ch(to, '\n');
    }
}

static bool print(const struct eb_command *c, const struct report *r, bool json) {
    eb_auto_buf struct eb_buf text = {0};
    if (json) {
        /* as ASCII: what steers a terminal is not printed as it is */
        eb_auto_free char *dump =
            json_dumps(r->root, JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII);
        text.failed = dump == NULL;
        eb_buf_str(&text, eb_str(dump));
        eb_buf_ch(&text, '\n');
    } else {
        print_table(&text, r);
    }
    if (!eb_buf_ok(&text))
        eb_say(c, "out of memory");
    return eb_buf_ok(&text) && eb_say_out(c, eb_buf_get(&text));
}

static int work(const struct eb_command *c, const struct eb_args *args, struct eb_plan *plan,
                struct eb_js *js) {
    int64_t wait_ms = 0;
    if (!eb_streams_wait(c, "wait", args->value[OPT_WAIT], WAIT_MS, &wait_ms))
        return EB_EXIT_USAGE;
    struct eb_hello server = {0};
    struct eb_err err = {0};
    EB_CLEANUP(report_done) struct report r = {.plan = plan};
    enum eb_rc rc = eb_streams_ready(js, plan, wait_ms, &server, NULL, &err);
    if (rc == EB_OK) {
        r.root = json_pack("{s:s%, s:s, s:s, s:b, s:[], s:[], s:[]}", "site", plan->site->name.p,
                           plan->site->name.n, "server", server.name, "version", server.version, "ok", 0,
                           "streams", "sources", "problems");
        r.streams = json_object_get(r.root, "streams");
        r.sources = json_object_get(r.root, "sources");
        r.problems = json_object_get(r.root, "problems");
        rc = r.root ? look_at_streams(&r, js, &err) : EB_E_NOMEM;
    }
    rc = rc == EB_OK ? look_at_sources(&r, js) : rc;
    rc = rc == EB_OK && r.failed ? EB_FAIL(&err, EB_E_NOMEM, "out of memory") : rc;
    if (rc != EB_OK) {
        eb_say(c, "%s", eb_err_text(&err, rc));
        return EB_EXIT_FAILED;
    }
    bool ok = json_array_size(r.problems) == 0;
    (void)json_object_set_new(r.root, "ok", json_boolean(ok));
    return print(c, &r, args->value[OPT_JSON] != NULL) && ok ? EB_EXIT_OK : EB_EXIT_FAILED;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    return eb_streams_run(c, args, work);
}

const struct eb_command eb_streams_status = {
    .words = "streams status",
    .summary = "show a site's streams, and whether what crosses between sites is connected",
    .synopsis = "eventbus streams status --site FILE --server URL --seed-file FILE [--json]",
    .description =
        "Compares a site's streams with its document, and says of every source (what is pulled from another "
        "site) whether it is connected, when it last gave a sign of life, and how many messages wait. LAG "
        "keeps "
        "its last value while a source is silent.\n\n"
        "What is wrong comes with what to do about it. Nothing is changed.",
    .options = options,
    .operand = NULL,
    .operand_required = false,
    .examples = "eventbus streams status --site csc.yaml --server nats://127.0.0.1:4222 \\\n"
                "    --seed-file deploy/secrets/csc/nkeys/nats-streams/seed",
    .failures = "something is wrong, or the server did not answer",
    .run = run,
};
