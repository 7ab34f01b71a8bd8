#include "gate.h"

#include <pthread.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "site/streams_diff.h"

#define ANSWER_MAX ((size_t)8 << 20)
#define DROP_TOLD_NS INT64_C(10000000000)
enum {
    NO_SUCH_STREAM = 10059, /* err_code of the JetStream API */
    NOT_ENABLED = 10039,
    TEXT_MAX = 200,  /* bytes of one value that a server tells */
    CHANGES_MAX = 4, /* differences of a stream that are written out */
};

struct eb_gate {
    _Atomic int state;
    pthread_mutex_t mutex; /* the rest */
    uint64_t lost;         /* how often a link was */
    bool was_open;         /* and not closed since */
    struct eb_gate_round last;
    enum eb_gate_state told; /* last, and why and when; 0 = never */
    struct eb_buf told_why;
    int64_t told_ns;
};

const char *eb_spec_verdict_name(enum eb_spec_verdict v) {
    static const char *const names[] = {[EB_SPEC_UNASKED] = "unknown",
                                        [EB_SPEC_RIGHT] = "ok",
                                        [EB_SPEC_DIFFERS] = "differs",
                                        [EB_SPEC_WRONG] = "wrong",
                                        [EB_SPEC_MISSING] = "missing"};
    return names[v];
}

/* ---- one stream ---- */

static void add_value(struct eb_buf *to, const char *text) {
    struct eb_str whole = eb_str(text), cut = eb_utf8_cut(whole, TEXT_MAX);
    eb_buf_str(to, cut);
    if (cut.n < whole.n)
        eb_buf_z(to, "…");
}

/* Beyond what no update can do: the retention and the subjects by which MQTT keeps its messages.
 * XL_RETAINED's subjects follow the lists of the document, so a longer list alone keeps nobody out. */
static bool is_wrong(const struct eb_stream_change *c, const char *stream) {
    return c->kind == EB_CHANGE_IMPOSSIBLE || strcmp(c->field, "retention") == 0 ||
           (strcmp(c->field, "subjects") == 0 && strcmp(stream, EB_STREAM_RETAINED) != 0);
}

static enum eb_spec_verdict judge_changes(const struct eb_stream_changes *c, const char *stream,
                                          struct eb_buf *why) {
    enum eb_spec_verdict found = EB_SPEC_RIGHT;
    const struct eb_stream_change *worst = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (is_wrong(&c->items[i], stream)) {
            found = EB_SPEC_WRONG;
            worst = worst ? worst : &c->items[i];
        } else if (found == EB_SPEC_RIGHT) {
            found = EB_SPEC_DIFFERS;
        }
    }
    if (found == EB_SPEC_RIGHT)
        return found;
    eb_buf_printf(why, "%s: ", stream);
    size_t told = 0;
    for (size_t turn = 0; turn < 2; turn++) /* what is wrong first */
        for (size_t i = 0; i < c->n && told < CHANGES_MAX; i++) {
            if (is_wrong(&c->items[i], stream) != (turn == 0))
                continue;
            eb_buf_z(why, told++ ? ", " : "");
            add_value(why, c->items[i].field);
            eb_buf_z(why, " is ");
            add_value(why, c->items[i].from);
            eb_buf_z(why, " instead of ");
            add_value(why, c->items[i].to);
        }
    if (c->n > told)
        eb_buf_printf(why, ", and %zu more", c->n - told);
    eb_buf_z(why, worst && worst->kind == EB_CHANGE_IMPOSSIBLE
                      ? ": no update mends this; `eventbus streams status` says what to do"
                      : ": run `eventbus streams apply`");
    return found;
}

static json_int_t error_of(const json_t *info) {
    return json_integer_value(json_object_get(json_object_get(info, "error"), "err_code"));
}

bool eb_spec_foreign(struct eb_str answer) {
    eb_auto_json json_t *info = NULL;
    return eb_json_object(answer, ANSWER_MAX, &info, NULL) == EB_OK && error_of(info) == NOT_ENABLED;
}

enum eb_spec_verdict eb_spec_judge(size_t i, const json_t *wanted, struct eb_str answer, int64_t now_ns,
                                   struct eb_buf *why) {
    const char *stream = eb_stream_names[i];
    eb_auto_json json_t *info = NULL;
    if (eb_json_object(answer, ANSWER_MAX, &info, NULL) != EB_OK) {
        eb_buf_printf(why, "%s: an answer of JetStream that cannot be read", stream);
        return EB_SPEC_UNASKED;
    }
    const json_t *error = json_object_get(info, "error");
    if (error_of(info) == NO_SUCH_STREAM) {
        eb_buf_printf(why, "%s: there is no such stream: run `eventbus streams apply`", stream);
        return EB_SPEC_MISSING;
    }
    if (error) {
        const char *said = json_string_value(json_object_get(error, "description"));
        eb_buf_printf(why, "%s: JetStream says: ", stream);
        add_value(why, said ? said : "an error without a text");
        return EB_SPEC_UNASKED;
    }
    EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
    if (!eb_str_eqz(eb_json_str(json_object_get(info, "config"), "name"), stream) ||
        eb_stream_compare(wanted, info, now_ns, &c) != EB_OK) {
        eb_buf_printf(why, "%s: an answer that is none to our question", stream);
        return EB_SPEC_UNASKED;
    }
    return judge_changes(&c, stream, why);
}

/* ---- the gate ---- */

struct eb_gate *eb_gate_new(void) {
    struct eb_gate *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    atomic_init(&g->state, EB_GATE_UNSURE);
    (void)pthread_mutex_init(&g->mutex, NULL);
    return g;
}

void eb_gate_free(struct eb_gate *g) {
    if (!g)
        return;
    eb_buf_done(&g->last.why);
    eb_buf_done(&g->told_why);
    (void)pthread_mutex_destroy(&g->mutex);
    free(g);
}

enum eb_gate_state eb_gate_state(const struct eb_gate *g) {
    return g ? (enum eb_gate_state)atomic_load_explicit(&g->state, memory_order_acquire) : EB_GATE_OPEN;
}

void eb_gate_lost(struct eb_gate *g) {
    EB_LOCKED(&g->mutex);
    g->lost++;
    if (atomic_load(&g->state) == EB_GATE_OPEN)
        atomic_store(&g->state, EB_GATE_UNSURE);
}

uint64_t eb_gate_begin(struct eb_gate *g) {
    EB_LOCKED(&g->mutex);
    return g->lost;
}

static enum eb_gate_state next_state(const struct eb_gate *g, const struct eb_gate_round *round) {
    enum eb_gate_state now = (enum eb_gate_state)atomic_load(&g->state);
    bool unasked = false, right = true;
    for (size_t i = 0; i < EB_STREAMS_N; i++) {
        enum eb_spec_verdict v = round->verdict[i];
        if (v == EB_SPEC_MISSING || v == EB_SPEC_WRONG)
            return EB_GATE_CLOSED;
        unasked = unasked || v == EB_SPEC_UNASKED;
        right = right && v == EB_SPEC_RIGHT;
    }
    if (unasked)
        return now;
    return right || g->was_open ? EB_GATE_OPEN : EB_GATE_CLOSED;
}

/* Whether that is to be told, and notes that it is. */
static bool is_news(struct eb_gate *g, enum eb_gate_state state, const struct eb_gate_round *round,
                    int64_t now_ns) {
    struct eb_str why = eb_buf_get(&round->why);
    bool asked = true;
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        asked = asked && round->verdict[i] != EB_SPEC_UNASKED;
    if (g->told_ns && state == g->told &&
        (eb_str_eq(why, eb_buf_get(&g->told_why)) || (!asked && now_ns - g->told_ns < EB_GATE_TELL_NS)))
        return false;
    g->told = state;
    g->told_ns = now_ns;
    eb_buf_reset(&g->told_why);
    eb_buf_str(&g->told_why, why);
    return true;
}

bool eb_gate_take(struct eb_gate *g, uint64_t begun, const struct eb_gate_round *round, int64_t now_ns,
                  bool *ret_news) {
    EB_LOCKED(&g->mutex);
    if (begun != g->lost)
        return false;
    enum eb_gate_state next = next_state(g, round);
    *ret_news = is_news(g, next, round, now_ns);
    memcpy(g->last.verdict, round->verdict, sizeof g->last.verdict);
    eb_buf_reset(&g->last.why);
    eb_buf_str(&g->last.why, eb_buf_get(&round->why));
    if (next == EB_GATE_OPEN)
        g->was_open = true;
    else if (next == EB_GATE_CLOSED)
        g->was_open = false;
    atomic_store(&g->state, (int)next);
    return true;
}

void eb_gate_why(struct eb_gate *g, struct eb_buf *to) {
    EB_LOCKED(&g->mutex);
    eb_buf_str(to, eb_buf_get(&g->last.why));
}

void eb_gate_json(struct eb_gate *g, struct eb_buf *to) {
    static const char *const names[] = {
        [EB_GATE_UNSURE] = "asking", [EB_GATE_OPEN] = "open", [EB_GATE_CLOSED] = "closed"};
    if (!g) {
        eb_buf_z(to, "\"mqtt\":{\"gate\":\"off\"}");
        return;
    }
    EB_LOCKED(&g->mutex);
    eb_buf_printf(to, "\"mqtt\":{\"gate\":\"%s\",\"streams\":{", names[atomic_load(&g->state)]);
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        eb_buf_printf(to, "%s\"%s\":\"%s\"", i ? "," : "", eb_stream_names[i],
                      eb_spec_verdict_name(g->last.verdict[i]));
    eb_buf_z(to, "},\"trouble\":");
    eb_buf_json_str(to, eb_buf_get(&g->last.why), 0);
    eb_buf_ch(to, '}');
}

void eb_gate_note_drop(struct eb_gate *g) {
    static _Atomic int64_t last_told_ns;
    eb_count(EB_C_DROPPED_MQTT);
    eb_count(EB_C_ERRORS);
    int64_t now = eb_mono_ns(), last = atomic_load(&last_told_ns);
    if ((last && now - last < DROP_TOLD_NS) || !atomic_compare_exchange_strong(&last_told_ns, &last, now))
        return;
    eb_auto_buf struct eb_buf why = {0};
    eb_gate_why(g, &why);
    struct eb_log_line l;
    eb_log_begin(
        &l, EB_LOG_WARN,
        "MQTT logins are dropped until the site's streams are as specified; their clients will try again");
    eb_log_int(&l, "dropped_total", (int64_t)eb_counter_get(EB_C_DROPPED_MQTT));
    eb_log_z(&l, "trouble", why.p && why.n ? why.p : "not known yet");
    eb_log_end(&l);
}
