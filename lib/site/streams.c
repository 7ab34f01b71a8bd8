#include "site/streams.h"

#include "base/buf.h"
#include "base/json.h"

/* A publish that is repeated within this time counts once ($MQTT_msgs: a QoS 2 message whose PUBREL was
 * repeated). */
#define DUPLICATES_NS INT64_C(120000000000)

const char *const eb_stream_names[EB_STREAMS_N] = {EB_STREAM_RETAINED, EB_STREAM_MSGS, EB_STREAM_RMSGS,
                                                   EB_STREAM_QOS2IN};

/* What all streams have; the reference is the caller's. */
static json_t *stream(const struct eb_site *site, const char *name, const char *discard) {
    return json_pack("{s:s, s:[], s:s, s:s, s:I, s:I, s:s}", "name", name, "subjects", "retention", "limits",
                     "storage", site->streams_memory ? "memory" : "file", "num_replicas",
                     (json_int_t)site->streams_replicas, "max_bytes", (json_int_t)site->streams_max_bytes,
                     "discard", discard);
}

/* Each puts a new reference into an object or list; false when out of memory. */
static bool set(json_t *o, const char *key, json_t *value) {
    return json_object_set_new(o, key, value) == 0;
}

static bool subject(json_t *stream, const char *prefix, const char *middle, struct eb_str pattern) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, prefix);
    eb_buf_z(&b, middle);
    eb_buf_str(&b, pattern);
    return eb_buf_ok(&b) &&
           json_array_append_new(json_object_get(stream, "subjects"), json_stringn(b.p, b.n)) == 0;
}

static bool sources(json_t *to, const struct eb_stream_source *s, size_t n) {
    eb_auto_json json_t *list = json_array();
    const char *into = json_string_value(json_object_get(to, "name"));
    for (size_t i = 0; list && into && i < n; i++)
        if (strcmp(s[i].into, into) == 0 && json_array_append_new(list, eb_stream_source_json(&s[i])) != 0)
            return false;
    return list && (json_array_size(list) == 0 || set(to, "sources", json_incref(list)));
}

json_t *eb_stream_source_json(const struct eb_stream_source *s) {
    /* opt_start_seq: an entry whose position is unknown begins at the oldest message; without it the server
       may begin at the time of its own last one, and skip what waited. */
    return json_pack("{s:s, s:I, s:{s:s, s:s}, s:[{s:s, s:s}]}", "name", s->stream, "opt_start_seq",
                     (json_int_t)1, "external", "api", s->api, "deliver", s->deliver, "subject_transforms",
                     "src", s->filter, "dest", s->dest);
}

/* Subjects of the retained messages that others pull from here. */
static bool exported(const struct eb_site *site, json_t *to) {
    bool ok = true, csc = site->type == EB_SITE_CSC;
    const struct eb_site_texts *plain = &site->lists[csc ? EB_SITE_CSC_EXPORTS : EB_SITE_CPC_EXPORTS];
    for (size_t i = 0; ok && i < plain->n; i++)
        ok = subject(to, "$XL.r.", "", plain->items[i].s);
    const struct eb_site_texts *prefixed = &site->lists[EB_SITE_CSC_PREFIXED];
    for (size_t i = 0; ok && csc && i < prefixed->n; i++)
        ok = subject(to, "$XL.r.", "cpc.*.", prefixed->items[i].s);
    /* Without any, the server would take the stream's name as subject, which a client could publish. */
    if (ok && json_array_size(json_object_get(to, "subjects")) == 0)
        ok = subject(to, "$XL.r", "", EB_STR_NONE);
    return ok;
}

static bool make_retained(const struct eb_site *site, json_t *to) {
    return exported(site, to) && set(to, "max_msgs_per_subject", json_integer(1));
}

static bool make_msgs(const struct eb_site *site, json_t *to, const struct eb_stream_source *s, size_t n) {
    int64_t age = site->streams_max_age_ns;
    return subject(to, "$MQTT.msgs.>", "", EB_STR_NONE) && set(to, "max_age", json_integer(age)) &&
           set(to, "duplicate_window", json_integer(age < DUPLICATES_NS ? age : DUPLICATES_NS)) &&
           sources(to, s, n);
}

/* A marker that clears is deleted from here by the server at once: the copy in XL_RETAINED is what crosses.
 */
static bool make_rmsgs(json_t *to, const struct eb_stream_source *s, size_t n) {
    return subject(to, "$MQTT.rmsgs.>", "", EB_STR_NONE) &&
           set(to, "max_msgs_per_subject", json_integer(1)) &&
           set(to, "republish", json_pack("{s:s, s:s}", "src", "$MQTT.rmsgs.>", "dest", "$XL.r.>")) &&
           sources(to, s, n);
}

static bool make_qos2in(const struct eb_site *site, json_t *to) {
    return subject(to, "$MQTT.qos2.in.>", "", EB_STR_NONE) &&
           set(to, "discard_new_per_subject", json_true()) &&
           set(to, "max_msgs_per_subject", json_integer(1)) &&
           set(to, "first_seq", json_integer((json_int_t)eb_site_first_seq(site->id)));
}

static bool add(json_t *all, json_t *stream_taken, bool ok) {
    eb_auto_json json_t *one = stream_taken;
    return ok && json_array_append(all, one) == 0;
}

static bool make(const struct eb_site *site, json_t *all, const struct eb_stream_source *s, size_t n) {
    json_t *retained = stream(site, EB_STREAM_RETAINED, "old"), *msgs = stream(site, EB_STREAM_MSGS, "old");
    json_t *rmsgs = stream(site, EB_STREAM_RMSGS, "old"), *qos2in = stream(site, EB_STREAM_QOS2IN, "new");
    bool ok = add(all, retained, retained && make_retained(site, retained));
    ok = add(all, msgs, ok && msgs && make_msgs(site, msgs, s, n));
    ok = add(all, rmsgs, ok && rmsgs && make_rmsgs(rmsgs, s, n));
    return add(all, qos2in, ok && qos2in && make_qos2in(site, qos2in));
}

json_t *eb_streams_of(const struct eb_site *site) {
    struct eb_stream_source *s = NULL;
    size_t n = 0;
    if (eb_stream_sources(site, &s, &n) != EB_OK)
        return NULL;
    eb_auto_json json_t *all = json_array();
    bool ok = all && make(site, all, s, n);
    eb_stream_sources_free(s, n);
    return ok ? EB_TAKE(all) : NULL;
}
