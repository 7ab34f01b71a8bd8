/* eventbus streams apply */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "say.h"
#include "streams_common.h"

enum { OPT_WAIT = EB_STREAMS_OPTIONS, OPT_DRY_RUN, OPT_SHRINK };

static const struct eb_option options[] = {
    EB_STREAMS_OPTION_ROWS,
    {"wait", "DURATION", "how long JetStream may take to be ready; default 30s"},
    {"dry-run", NULL, "only show what would change"},
    {"allow-shrink", NULL, "let a smaller limit drop stored messages"},
    {NULL, NULL, NULL},
};

enum {
    WAIT_MS = 30000,
    ASK_MS = 10000, /* a cluster elects a leader before it answers a STREAM.CREATE */
    SETTLE_MS = 200,
};

/* What one stream needs. */
struct todo {
    const json_t *wanted;
    const char *name;
    json_t *info; /* NULL where the stream is missing */
    struct eb_stream_changes changes;
};

static void forget(struct todo *t) {
    json_decref(t->info);
    t->info = NULL;
    eb_stream_changes_done(&t->changes);
}

static void todos_done(struct todo (*t)[EB_STREAMS_N]) {
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        forget(&(*t)[i]);
}

/* The command's run. */
struct run {
    const struct eb_command *command;
    struct eb_js *js;
    const struct eb_plan *plan;
    struct eb_hello server;
    uint64_t session; /* of the connection whose server has been proved to be this site's */
    int64_t until_ms;
    bool shrink, dry;
};

/* Waits for the server, and proves that it is this site's. */
static enum eb_rc prove(struct run *r, struct eb_err *reterr) {
    int64_t left = r->until_ms - eb_mono_ms();
    return eb_streams_ready(r->js, r->plan, left > 0 ? left : 0, &r->server, &r->session, reterr);
}

/* Looks at the stream as it is now, and what it needs. */
static enum eb_rc look(struct run *r, struct todo *t, struct eb_err *reterr) {
    for (;;) {
        struct eb_err err = {0};
        enum eb_rc rc = eb_js_session(r->js) == r->session ? EB_OK : prove(r, &err);
        forget(t);
        rc = rc == EB_OK ? eb_streams_info(r->js, r->plan->site, t->name, ASK_MS, &t->info, &err) : rc;
        if (rc == EB_OK && t->info)
            rc = eb_stream_compare(t->wanted, t->info, eb_streams_now_ns(), &t->changes);
        if (rc == EB_OK)
            return EB_OK;
        if (rc == EB_E_MALFORMED)
            (void)EB_FAIL(&err, rc, "%s: the answer to STREAM.INFO cannot be read", t->name);
        if (rc != EB_E_IO || eb_mono_ms() >= r->until_ms) /* a cluster may still be electing */
            return EB_FAIL(reterr, rc, "%s", eb_err_text(&err, rc));
        eb_streams_sleep(SETTLE_MS);
    }
}

/* Says what may not be done; true where there is nothing such. */
static bool is_allowed(const struct run *r, const struct todo *t) {
    bool ok = true;
    for (size_t i = 0; i < t->changes.n; i++) {
        const struct eb_stream_change *one = &t->changes.items[i];
        if (one->kind == EB_CHANGE_PLAIN || (one->kind == EB_CHANGE_LOSES && r->shrink))
            continue;
        eb_say(r->command, "%s: %s: %s -> %s is refused: %s", t->name, one->field, one->from, one->to,
               one->why);
        ok = false;
    }
    return ok;
}

static bool tell(const struct eb_command *c, const struct todo *t, const char *done) {
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_printf(&text, "%s: %s\n", t->name, done);
    for (size_t i = 0; i < t->changes.n; i++) {
        const struct eb_stream_change *one = &t->changes.items[i];
        eb_buf_z(&text, "    ");
        eb_say_safe(&text, eb_str(one->field));
        eb_buf_z(&text, ": ");
        eb_say_safe(&text, eb_str(one->from));
        eb_buf_z(&text, " -> ");
        eb_say_safe(&text, eb_str(one->to));
        if (one->why)
            eb_buf_printf(&text, " (%s)",
                          one->kind == EB_CHANGE_LOSES ? "stored messages may go: --allow-shrink" : one->why);
        eb_buf_ch(&text, '\n');
    }
    return eb_buf_ok(&text) && eb_say_out(c, eb_buf_get(&text));
}

static const char *hint(int code) {
    if (code == 10047 || code == 10023 || code == 10028 || code == 10002)
        return "; JetStream's limits of the account or the server leave no room for mqttStreams.maxBytes "
               "four times";
    return "";
}

static int64_t number(const json_t *object, const char *name) {
    return (int64_t)json_integer_value(json_object_get(object, name));
}

/*
 * The account's limit leaves room for all four streams, so that the server does not refuse the last of them.
 * Only for single servers: in a cluster the room of each server counts, which the account's numbers do not
 * tell.
 */
static enum eb_rc check_room(struct eb_js *js, const struct todo *todos, struct eb_err *reterr) {
    eb_auto_json json_t *info = NULL;
    enum eb_rc rc = eb_js_ask(js, "INFO", NULL, ASK_MS, &info, NULL, reterr);
    if (rc != EB_OK)
        return rc;
    bool memory = eb_str_eqz(eb_json_str(todos[0].wanted, "storage"), "memory");
    int64_t limit = number(json_object_get(info, "limits"), memory ? "max_memory" : "max_storage"), want = 0,
            others = number(info, memory ? "reserved_memory" : "reserved_storage");
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        const json_t *config = json_object_get(todos[i].info, "config");
        int64_t bytes = number(todos[i].wanted, "max_bytes"), now = number(config, "max_bytes");
        if (bytes > INT64_MAX / EB_STREAMS_N)
            return EB_FAIL(reterr, EB_E_INVALID, "mqttStreams.maxBytes: more than any server has");
        want += bytes;
        others -= now > 0 && now <= others ? now : 0;
    }
    if (limit > 0 && (want > limit || others > limit - want))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "four streams of mqttStreams.maxBytes need %lld bytes, but the account may keep %lld and other "
            "streams have %lld of them: write less, or give the server more (placement: jetstream.maxFile)",
            (long long)want, (long long)limit, (long long)others);
    return EB_OK;
}

/* Asks for the stream as it should be. */
static enum eb_rc ask_for(struct run *r, struct todo *t, int *ret_code, struct eb_err *reterr) {
    eb_auto_json json_t *config = t->info ? eb_stream_updated(t->wanted, t->info) : json_deep_copy(t->wanted);
    eb_auto_json json_t *answer = NULL;
    eb_auto_buf struct eb_buf subject = {0};
    eb_buf_printf(&subject, "STREAM.%s.%s", t->info ? "UPDATE" : "CREATE", t->name);
    if (!config || !eb_buf_ok(&subject))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    /* a stream that is missing tells no domain: who says so must be the one that was proved */
    if (eb_js_session(r->js) != r->session)
        return EB_FAIL(reterr, EB_E_IO, "the connection to the server is another one meanwhile");
    return eb_js_ask(r->js, subject.p, config, ASK_MS, &answer, ret_code, reterr);
}

enum outcome { UNCHANGED, UPDATED, CREATED, REFUSED };

/*
 * Makes the stream what it should be. It is looked at and judged again just before each attempt: others may
 * have changed it since, an MQTT login may have made it, and a request without an answer may have been
 * carried out.
 */
static enum eb_rc apply(struct run *r, struct todo *t, enum outcome *ret, struct eb_err *reterr) {
    enum outcome asked = UNCHANGED;
    for (;;) {
        struct eb_err err = {0};
        struct todo now = {.wanted = t->wanted, .name = t->name};
        int code = 0;
        enum eb_rc rc = look(r, &now, reterr);
        if (rc != EB_OK) {
            forget(&now);
            return rc;
        }
        bool right = now.info && !now.changes.n;
        if (right && asked != UNCHANGED) { /* what an earlier attempt changed is still to be told */
            forget(&now);
        } else {
            forget(t);
            *t = now;
        }
        if (right) {
            *ret = asked;
            return EB_OK;
        }
        if (!is_allowed(r, t)) {
            *ret = REFUSED;
            return EB_OK;
        }
        asked = t->info ? UPDATED : CREATED;
        rc = ask_for(r, t, &code, &err);
        if (rc == EB_OK) {
            *ret = asked;
            return EB_OK;
        }
        bool again = rc == EB_E_IO || code == EB_JS_STREAM_EXISTS;
        if (!again || eb_mono_ms() >= r->until_ms)
            return EB_FAIL(reterr, rc, "%s: %s%s", t->name, eb_err_text(&err, rc), hint(code));
        eb_streams_sleep(SETTLE_MS);
    }
}

static void say_how_far(const struct run *r, size_t changed) {
    eb_say(r->command, changed
                           ? "the streams told above were changed before; run this again when it is mended"
                           : "nothing was changed, in no stream");
}

static bool apply_all(struct run *r, struct todo *todos) {
    static const char *const words[] = {
        [UNCHANGED] = "unchanged", [UPDATED] = "updated", [CREATED] = "created"};
    size_t changed = 0;
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        struct eb_err err = {0};
        enum outcome outcome = UNCHANGED;
        enum eb_rc rc = apply(r, &todos[i], &outcome, &err);
        if (rc != EB_OK)
            eb_say(r->command, "%s", eb_err_text(&err, rc));
        if (rc != EB_OK || outcome == REFUSED) {
            say_how_far(r, changed);
            return false;
        }
        changed += outcome != UNCHANGED;
        if (!tell(r->command, &todos[i], words[outcome]))
            return false;
    }
    return true;
}

static bool tell_all(const struct run *r, const struct todo *todos) {
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        if (!tell(r->command, &todos[i],
                  !todos[i].info           ? "would be created"
                  : todos[i].changes.n > 0 ? "would be updated"
                                           : "unchanged"))
            return false;
    return true;
}

static int work(const struct eb_command *c, const struct eb_args *args, struct eb_plan *plan,
                struct eb_js *js) {
    int64_t wait_ms = 0;
    if (!eb_streams_wait(c, "wait", args->value[OPT_WAIT], WAIT_MS, &wait_ms))
        return EB_EXIT_USAGE;
    EB_CLEANUP(todos_done) struct todo todos[EB_STREAMS_N] = {0};
    struct run r = {.command = c,
                    .js = js,
                    .plan = plan,
                    .until_ms = eb_mono_ms() + wait_ms,
                    .shrink = args->value[OPT_SHRINK] != NULL,
                    .dry = args->value[OPT_DRY_RUN] != NULL};
    struct eb_err err = {0};
    bool ok = true;
    enum eb_rc rc = prove(&r, &err);
    for (size_t i = 0; rc == EB_OK && i < EB_STREAMS_N; i++) {
        todos[i].wanted = json_array_get(plan->streams, i);
        todos[i].name = json_string_value(json_object_get(todos[i].wanted, "name"));
        rc = look(&r, &todos[i], &err);
    }
    for (size_t i = 0; rc == EB_OK && i < EB_STREAMS_N; i++)
        ok = is_allowed(&r, &todos[i]) && ok;
    if (rc == EB_OK && ok && !r.server.clustered)
        rc = check_room(js, todos, &err);
    if (rc != EB_OK)
        eb_say(c, "%s", eb_err_text(&err, rc));
    if (rc != EB_OK || !ok) {
        say_how_far(&r, 0);
        return EB_EXIT_FAILED;
    }
    return (r.dry ? tell_all(&r, todos) : apply_all(&r, todos)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    return eb_streams_run(c, args, work);
}

const struct eb_command eb_streams_apply = {
    .words = "streams apply",
    .summary = "create or update a site's MQTT and cross-site streams",
    .synopsis = "eventbus streams apply --site FILE --server URL --seed-file FILE [--dry-run]",
    .description =
        "Makes the four streams of a site what its document says: XL_RETAINED, $MQTT_msgs, $MQTT_rmsgs and "
        "$MQTT_qos2in, with limits, storage, replicas and the sources that pull from the other sites. Run it "
        "before the "
        "first MQTT client may log in: the server would make streams of its own then, and $MQTT_qos2in "
        "cannot be mended "
        "afterwards.\n\n"
        "Each difference is shown as field: old -> new; where there is none, nothing is sent. Entries of "
        "sources that "
        "are not in the document, of a CPC that was taken out, are removed.\n\n"
        "It never deletes data. All streams are looked at before any is changed; a change of storage, "
        "another first "
        "sequence, a limit below what is stored, or more than the account has room for is refused, and then "
        "no stream is "
        "touched. What the server refuses for reasons of its own in the middle is told, and what had been "
        "changed "
        "before.",
    .options = options,
    .operand = NULL,
    .operand_required = false,
    .examples = "eventbus streams apply --site csc.yaml --server nats://127.0.0.1:4222 \\\n"
                "    --seed-file deploy/secrets/csc/nkeys/nats-streams/seed --dry-run",
    .failures =
        "JetStream was not ready in time, the server is too old or another site's, or a change was refused",
    .run = run,
};
