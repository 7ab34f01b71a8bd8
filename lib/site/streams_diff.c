#include "site/streams_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/json.h"

#define SECOND INT64_C(1000000000)
#define NONE "none"

void eb_stream_changes_done(struct eb_stream_changes *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->items[i].field);
        free(c->items[i].from);
        free(c->items[i].to);
        free(c->items[i].why);
    }
    free(c->items);
    *c = (struct eb_stream_changes){0};
}

static enum eb_rc add(struct eb_stream_changes *c, enum eb_change_kind kind, struct eb_buf *field,
                      struct eb_buf *from, struct eb_buf *to, struct eb_buf *why) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct eb_stream_change *more = reallocarray(c->items, cap, sizeof *more);
        if (!more)
            return EB_E_NOMEM;
        c->items = more;
        c->cap = cap;
    }
    struct eb_stream_change *one = &c->items[c->n++];
    *one = (struct eb_stream_change){
        .kind = kind,
        .field = eb_buf_take(field),
        .from = eb_buf_take(from),
        .to = eb_buf_take(to),
        .why = why && why->n ? eb_buf_take(why) : NULL,
    };
    return one->field && one->from && one->to && (!why || !why->failed) ? EB_OK : EB_E_NOMEM;
}

/* What a definition may say. Where it is silent, the server's default is wanted, unless `kept`. */
enum shape { NUMBER, BYTES, AGE, TEXT, FLAG, LIST, TREE };
static const struct field {
    const char *name;
    enum shape shape;
    bool kept;              /* silence wants what is there */
    json_int_t silence;     /* NUMBER, BYTES, AGE: what the server says where nothing was set */
    json_int_t silence_too; /* and another word for it */
} fields[] = {
    {"subjects", LIST, false, 0, 0},       {"storage", TEXT, false, 0, 0},
    {"retention", TEXT, false, 0, 0},      {"num_replicas", NUMBER, false, 1, 0},
    {"max_bytes", BYTES, false, -1, 0},    {"max_age", AGE, false, 0, 0},
    {"max_msgs", NUMBER, false, -1, 0},    {"max_msgs_per_subject", NUMBER, false, -1, 0},
    {"max_msg_size", BYTES, false, -1, 0}, {"max_consumers", NUMBER, false, -1, 0},
    {"discard", TEXT, false, 0, 0},        {"discard_new_per_subject", FLAG, false, 0, 0},
    {"duplicate_window", AGE, true, 0, 0}, {"first_seq", NUMBER, true, 0, 1},
    {"republish", TREE, false, 0, 0},      {"subject_transform", TREE, false, 0, 0},
    {"mirror", TREE, false, 0, 0},         {"no_ack", FLAG, false, 0, 0},
    {"sealed", FLAG, false, 0, 0},         {"deny_delete", FLAG, false, 0, 0},
    {"deny_purge", FLAG, false, 0, 0},
};

static json_int_t number(const json_t *o, const struct field *f) {
    const json_t *v = json_object_get(o, f->name);
    json_int_t n = v ? json_integer_value(v) : f->silence;
    return n == f->silence_too ? f->silence : n;
}

/* Lists of texts, whatever their order. */
static bool same_list(const json_t *a, const json_t *b) {
    size_t i, j;
    json_t *x, *y;
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, x) {
        bool found = false;
        json_array_foreach(b, j, y) found = found || json_equal(x, y);
        if (!found)
            return false;
    }
    return true;
}

/* Objects, where a false or empty member is as good as none. */
static bool same_tree(const json_t *a, const json_t *b) {
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)a, key, v) {
        const json_t *other = json_object_get(b, key);
        bool nothing =
            json_is_false(v) || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
        if (other ? !json_equal(v, other) : !nothing)
            return false;
    }
    return true;
}

static bool same(const struct field *f, const json_t *wanted, const json_t *live) {
    const json_t *w = json_object_get(wanted, f->name), *l = json_object_get(live, f->name);
    if (!w && f->kept)
        return true;
    switch (f->shape) {
    case NUMBER:
    case BYTES:
    case AGE: return number(wanted, f) == number(live, f);
    case FLAG: return json_is_true(w) == json_is_true(l);
    case TEXT: return eb_str_eq(eb_json_str(wanted, f->name), eb_json_str(live, f->name));
    case LIST: return same_list(w, l);
    case TREE: return same_tree(w, l) && same_tree(l, w);
    }
    return false;
}

static void age_text(struct eb_buf *to, int64_t ns) {
    if (ns == 0)
        eb_buf_z(to, NONE);
    else if (ns % (3600 * SECOND) == 0)
        eb_buf_printf(to, "%" PRId64 "h", ns / (3600 * SECOND));
    else if (ns % (60 * SECOND) == 0)
        eb_buf_printf(to, "%" PRId64 "m", ns / (60 * SECOND));
    else if (ns % SECOND == 0)
        eb_buf_printf(to, "%" PRId64 "s", ns / SECOND);
    else
        eb_buf_printf(to, "%" PRId64 "ns", ns);
}

static void value_text(struct eb_buf *to, const struct field *f, const json_t *o) {
    const json_t *v = json_object_get(o, f->name);
    if (f->shape == FLAG) {
        eb_buf_z(to, json_is_true(v) ? "true" : "false");
    } else if (f->shape == TEXT) {
        struct eb_str s = eb_json_str(o, f->name);
        eb_buf_str(to, s.n ? s : EB_STR(NONE));
    } else if (f->shape == LIST || f->shape == TREE) {
        bool none = !v || json_is_null(v);
        eb_auto_free char *text =
            none ? NULL : json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        to->failed = to->failed || (!none && !text);
        eb_buf_z(to, text ? text : NONE);
    } else if (f->shape == AGE) {
        age_text(to, number(o, f));
    } else if (number(o, f) <= 0) {
        eb_buf_z(to, f->silence < 0 ? "unlimited" : NONE);
    } else {
        eb_buf_i64(to, number(o, f));
        if (f->shape == BYTES && number(o, f) >= 1 << 20)
            eb_buf_printf(to, " (%.4g MiB)", (double)number(o, f) / (1 << 20));
    }
}

/* Seconds since the epoch of "2026-01-02T03:04:05…Z"; 0 where it is none, or the server's word for never. */
static int64_t epoch(struct eb_str text) {
    struct tm tm = {0};
    if (text.n < 20 || sscanf(text.p, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                              &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t s = (int64_t)timegm(&tm);
    return s > 0 ? s : 0;
}

#define BY_HAND                                                                                              \
    "or, where what it holds may go, close MQTT, delete the stream by hand (nats stream rm) and apply again"

/* Whether the change loses what is stored, or cannot be made, and the word for it. */
static enum eb_change_kind judge(const struct field *f, const json_t *wanted, const json_t *live,
                                 const json_t *state, int64_t now_ns, struct eb_buf *why) {
    json_int_t messages = json_integer_value(json_object_get(state, "messages"));
    json_int_t bytes = json_integer_value(json_object_get(state, "bytes"));
    json_int_t subjects = json_integer_value(json_object_get(state, "num_subjects"));
    json_int_t w = number(wanted, f);
    if (strcmp(f->name, "storage") == 0) {
        eb_buf_printf(why,
                      "the storage of a stream cannot be changed, and it holds %" JSON_INTEGER_FORMAT
                      " messages: write the old storage in the site document, " BY_HAND,
                      messages);
        return EB_CHANGE_IMPOSSIBLE;
    }
    if (strcmp(f->name, "first_seq") == 0) {
        eb_buf_z(why, "the first sequence counts only when a stream is made, and this one was made without "
                      "it (by an MQTT "
                      "login before `streams apply`, or for another cluster id): QoS 2 messages of other "
                      "sites would be "
                      "taken for repeats. Close MQTT, delete the stream by hand (nats stream rm) and apply "
                      "again; QoS 2 "
                      "publishes that are under way are then repeated by their clients");
        return EB_CHANGE_IMPOSSIBLE;
    }
    if (strcmp(f->name, "mirror") == 0 || strcmp(f->name, "sealed") == 0 ||
        strcmp(f->name, "deny_delete") == 0 || strcmp(f->name, "deny_purge") == 0 ||
        (strcmp(f->name, "retention") == 0 && eb_str_eqz(eb_json_str(live, "retention"), "workqueue"))) {
        eb_buf_z(
            why,
            "no update of a stream can change this: somebody else made this stream. Find out who, " BY_HAND);
        return EB_CHANGE_IMPOSSIBLE;
    }
    if (strcmp(f->name, "max_bytes") == 0 && w > 0 && w < bytes) {
        eb_buf_printf(why,
                      "it holds %" JSON_INTEGER_FORMAT " bytes in %" JSON_INTEGER_FORMAT
                      " messages, the oldest would go: write more, or give --allow-shrink",
                      bytes, messages);
        return EB_CHANGE_LOSES;
    }
    int64_t oldest = epoch(eb_json_str(state, "first_ts"));
    if (strcmp(f->name, "max_age") == 0 && w > 0 && messages > 0 && oldest > 0 &&
        oldest < (now_ns - w) / SECOND) {
        eb_buf_printf(why, "its oldest of %" JSON_INTEGER_FORMAT " messages is ", messages);
        age_text(why, (now_ns / SECOND - oldest) * SECOND);
        eb_buf_z(why, " old, what is older than the new age would go: write more, or give --allow-shrink");
        return EB_CHANGE_LOSES;
    }
    if (strcmp(f->name, "max_msgs_per_subject") == 0 && w > 0 && messages > w * subjects) {
        eb_buf_printf(why,
                      "it holds %" JSON_INTEGER_FORMAT " messages on %" JSON_INTEGER_FORMAT
                      " subjects, older ones would go: give --allow-shrink if they may",
                      messages, subjects);
        return EB_CHANGE_LOSES;
    }
    return EB_CHANGE_PLAIN;
}

static enum eb_rc compare_fields(const json_t *wanted, const json_t *info, int64_t now_ns,
                                 struct eb_stream_changes *ret) {
    const json_t *live = json_object_get(info, "config"), *state = json_object_get(info, "state");
    for (size_t i = 0; i < EB_COUNT_OF(fields); i++) {
        const struct field *f = &fields[i];
        if (same(f, wanted, live))
            continue;
        eb_auto_buf struct eb_buf name = {0};
        eb_auto_buf struct eb_buf from = {0};
        eb_auto_buf struct eb_buf to = {0};
        eb_auto_buf struct eb_buf why = {0};
        eb_buf_z(&name, f->name);
        value_text(&from, f, live);
        value_text(&to, f, wanted);
        enum eb_change_kind kind = judge(f, wanted, live, state, now_ns, &why);
        enum eb_rc rc = add(ret, kind, &name, &from, &to, &why);
        if (rc != EB_OK)
            return rc;
    }
    return EB_OK;
}

static const char *member(const json_t *o, const char *a, const char *b) {
    const char *z = json_string_value(json_object_get(b ? json_object_get(o, a) : o, b ? b : a));
    return z ? z : "";
}

bool eb_stream_source_same(const json_t *a, const json_t *b) {
    const json_t *ta = json_object_get(a, "subject_transforms"),
                 *tb = json_object_get(b, "subject_transforms");
    return strcmp(member(a, "name", NULL), member(b, "name", NULL)) == 0 &&
           strcmp(member(a, "filter_subject", NULL), member(b, "filter_subject", NULL)) == 0 &&
           strcmp(member(a, "external", "api"), member(b, "external", "api")) == 0 &&
           strcmp(member(a, "external", "deliver"), member(b, "external", "deliver")) == 0 &&
           json_array_size(ta) == json_array_size(tb) && (json_array_size(ta) == 0 || json_equal(ta, tb));
}

void eb_stream_source_site(struct eb_buf *to, const char *api) {
    struct eb_str s = eb_str(api), up = EB_STR("$XL."), end = EB_STR(".api");
    if (eb_str_eqz(s, "$JS.CSC.API"))
        eb_buf_z(to, "csc");
    else if (eb_str_starts(s, up) && eb_str_ends(s, end) && s.n > up.n + end.n)
        eb_buf_printf(to, "cpc-%.*s", (int)(s.n - up.n - end.n), s.p + up.n);
    else
        eb_buf_str(to, s.n ? s : EB_STR("this server"));
}

static const json_t *find_source(const json_t *list, const json_t *like) {
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) if (eb_stream_source_same(one, like)) return one;
    return NULL;
}

static enum eb_rc add_source(struct eb_stream_changes *c, const json_t *source, const char *field,
                             const char *from, const char *to, const char *why) {
    eb_auto_buf struct eb_buf name = {0};
    eb_auto_buf struct eb_buf a = {0};
    eb_auto_buf struct eb_buf b = {0};
    eb_auto_buf struct eb_buf w = {0};
    const json_t *transform = json_array_get(json_object_get(source, "subject_transforms"), 0);
    const char *filter = transform ? member(transform, "src", NULL) : member(source, "filter_subject", NULL);
    eb_buf_printf(&name, "source %s of ", *filter ? filter : member(source, "name", NULL));
    eb_stream_source_site(&name, member(source, "external", "api"));
    eb_buf_z(&name, field);
    eb_buf_z(&a, from);
    eb_buf_z(&b, to);
    eb_buf_z(&w, why);
    return add(c, EB_CHANGE_PLAIN, &name, &a, &b, &w);
}

/* Why an entry goes, of those that the document does not have. */
static const char *why_gone(const json_t *want, const json_t *gone) {
    const char *api = member(gone, "external", "api");
    eb_auto_buf struct eb_buf site = {0};
    size_t i;
    json_t *one;
    eb_stream_source_site(&site, api);
    if (!eb_buf_ok(&site) || eb_str_eqz(eb_buf_get(&site), api) || !*api)
        return "not in the site document, and not as eventbus makes them: somebody else's; what was pulled "
               "stays";
    bool served = strcmp(api, "$JS.CSC.API") == 0;
    json_array_foreach(want, i, one) served = served || strcmp(member(one, "external", "api"), api) == 0;
    return served
               ? "not in the site document: its lists have this pattern no more, or another way; what was "
                 "pulled stays"
               : "not in the site document: nothing is pulled from this site any more; what was pulled stays";
}

static enum eb_rc compare_sources(const json_t *wanted, const json_t *live, struct eb_stream_changes *ret) {
    size_t i;
    json_t *one;
    enum eb_rc rc = EB_OK;
    const json_t *want = json_object_get(wanted, "sources"), *have = json_object_get(live, "sources");
    json_array_foreach(want, i, one) {
        const json_t *there = find_source(have, one);
        if (!there)
            rc = add_source(ret, one, "", "absent", "present", "");
        else if (!json_equal(json_object_get(one, "opt_start_seq"), json_object_get(there, "opt_start_seq")))
            rc = add_source(ret, one, ", opt_start_seq",
                            json_object_get(there, "opt_start_seq") ? "another" : NONE, "1", "");
        if (rc != EB_OK)
            return rc;
    }
    json_array_foreach(have, i, one) {
        if (!find_source(want, one))
            rc = add_source(ret, one, "", "present", "absent", why_gone(want, one));
        if (rc != EB_OK)
            return rc;
    }
    return EB_OK;
}

enum eb_rc eb_stream_compare(const json_t *wanted, const json_t *info, int64_t now_ns,
                             struct eb_stream_changes *ret) {
    const json_t *live = json_object_get(info, "config");
    if (!json_is_object(live) || !json_is_object(json_object_get(info, "state")))
        return EB_E_MALFORMED;
    enum eb_rc rc = compare_fields(wanted, info, now_ns, ret);
    return rc == EB_OK ? compare_sources(wanted, live, ret) : rc;
}

json_t *eb_stream_updated(const json_t *wanted, const json_t *info) {
    eb_auto_json json_t *config = json_copy(json_object_get(info, "config"));
    bool ok = config != NULL;
    for (size_t i = 0; ok && i < EB_COUNT_OF(fields); i++) {
        json_t *value = json_object_get(wanted, fields[i].name);
        if (value)
            ok = json_object_set(config, fields[i].name, value) == 0;
        else if (!fields[i].kept)
            (void)json_object_del(config, fields[i].name);
    }
    json_t *sources = json_object_get(wanted, "sources");
    if (ok && sources)
        ok = json_object_set(config, "sources", sources) == 0;
    else if (ok)
        (void)json_object_del(config, "sources");
    return ok ? EB_TAKE(config) : NULL;
}
