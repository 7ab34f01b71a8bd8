#include "site/streams_diff.h"

#include "base/buf.h"
#include "base/json.h"

static const char *const names[] = {
    [EB_SOURCE_MISSING] = "missing",
    [EB_SOURCE_NEVER] = "never",
    [EB_SOURCE_STALLED] = "stalled",
    [EB_SOURCE_CONNECTED] = "connected",
};

const char *eb_source_state_name(enum eb_source_state s) {
    return names[s];
}

static void add(struct eb_buf *to, const json_t *o, const char *member) {
    eb_buf_str(to, eb_json_str(o, member));
    eb_buf_ch(to, '\n'); /* stands in no name and no subject */
}

char *eb_stream_source_key(const json_t *entry) {
    eb_auto_buf struct eb_buf to = {0};
    const json_t *external = json_object_get(entry, "external"), *one;
    size_t i;
    add(&to, entry, "name");
    add(&to, entry, "filter_subject");
    add(&to, external, "api");
    add(&to, external, "deliver");
    json_array_foreach(json_object_get(entry, "subject_transforms"), i, one) {
        add(&to, one, "src");
        add(&to, one, "dest");
    }
    return eb_buf_take(&to);
}

static json_t *by_key(const json_t *list) {
    eb_auto_json json_t *all = json_object();
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) {
        eb_auto_free char *key = eb_stream_source_key(one);
        if (!key || json_object_set_nocheck(all, key, one) != 0)
            return NULL;
    }
    return EB_TAKE(all);
}

json_t *eb_sources_without(const json_t *list, const json_t *keys) {
    eb_auto_json json_t *rest = json_array();
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) {
        eb_auto_free char *key = eb_stream_source_key(one);
        if (!key || (!json_object_get(keys, key) && json_array_append(rest, one) != 0))
            return NULL;
    }
    return EB_TAKE(rest);
}

json_t *eb_sources_with(const json_t *list, const json_t *wanted) {
    eb_auto_json json_t *all = json_array(), *there = by_key(list);
    size_t i;
    json_t *one;
    if (!all || !there || (list && json_array_extend(all, (json_t *)(uintptr_t)list) != 0))
        return NULL;
    json_array_foreach(wanted, i, one) {
        eb_auto_free char *key = eb_stream_source_key(one);
        if (!key || (!json_object_get(there, key) && json_array_append(all, one) != 0))
            return NULL;
    }
    return EB_TAKE(all);
}

enum eb_rc eb_source_view(const json_t *info, struct eb_source_view *ret) {
    struct eb_source_view v = {.configured =
                                   by_key(json_object_get(json_object_get(info, "config"), "sources")),
                               .told = by_key(json_object_get(info, "sources"))};
    if (!v.configured || !v.told) {
        eb_source_view_done(&v);
        return EB_E_NOMEM;
    }
    *ret = v;
    return EB_OK;
}

void eb_source_view_done(struct eb_source_view *v) {
    json_decref(v->configured);
    json_decref(v->told);
    *v = (struct eb_source_view){0};
}

void eb_source_status(const char *key, const struct eb_source_view *v, struct eb_source_status *ret) {
    *ret = (struct eb_source_status){.state = EB_SOURCE_MISSING, .active_ns = -1};
    if (!json_object_get(v->configured, key))
        return;
    ret->state = EB_SOURCE_NEVER;
    const json_t *live = json_object_get(v->told, key);
    if (!live)
        return; /* a leader that has just begun tells nothing yet */
    const json_t *active = json_object_get(live, "active");
    ret->active_ns = json_is_integer(active) ? json_integer_value(active) : -1;
    ret->lag = (uint64_t)json_integer_value(json_object_get(live, "lag"));
    ret->error = json_string_value(json_object_get(json_object_get(live, "error"), "description"));
    if (ret->active_ns >= 0)
        ret->state = ret->active_ns > EB_SOURCE_SILENT_NS ? EB_SOURCE_STALLED : EB_SOURCE_CONNECTED;
}
