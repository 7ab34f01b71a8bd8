#include "specs.h"

#include <stdatomic.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_parse.h"

#define MEND "render the site anew: `eventbus render` writes streams.json"

struct eb_specs {
    _Atomic int refs;
    json_t *one[EB_STREAMS_N];
};

struct eb_specs *eb_specs_ref(struct eb_specs *s) {
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

void eb_specs_unref(struct eb_specs *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        json_decref(s->one[i]);
    free(s);
}

const json_t *eb_specs_get(const struct eb_specs *s, size_t i) {
    return s->one[i];
}

/* Members that MQTT depends on must be there; what else is there must have its type, or it would compare as
 * if it were absent. */
static const struct {
    const char *name;
    json_type type;
    bool needed;
} members[] = {
    {"subjects", JSON_ARRAY, true},
    {"storage", JSON_STRING, true},
    {"retention", JSON_STRING, true},
    {"num_replicas", JSON_INTEGER, false},
    {"max_bytes", JSON_INTEGER, false},
    {"max_age", JSON_INTEGER, false},
    {"max_msgs", JSON_INTEGER, false},
    {"max_msgs_per_subject", JSON_INTEGER, false},
    {"max_msg_size", JSON_INTEGER, false},
    {"max_consumers", JSON_INTEGER, false},
    {"discard", JSON_STRING, false},
    {"discard_new_per_subject", JSON_TRUE, false},
    {"duplicate_window", JSON_INTEGER, false},
    {"first_seq", JSON_INTEGER, false},
    {"republish", JSON_OBJECT, false},
    {"sources", JSON_ARRAY, false},
};

static const char *type_name(json_type t) {
    return t == JSON_ARRAY     ? "a list"
           : t == JSON_STRING  ? "a text"
           : t == JSON_OBJECT  ? "an object"
           : t == JSON_INTEGER ? "a whole number"
                               : "true or false";
}

static void check_members(const char *path, const char *stream, const json_t *definition,
                          struct eb_findings *f) {
    for (size_t i = 0; i < EB_COUNT_OF(members); i++) {
        const json_t *v = json_object_get(definition, members[i].name);
        bool right =
            v ? json_typeof(v) == members[i].type || (members[i].type == JSON_TRUE && json_is_false(v))
              : !members[i].needed;
        if (right)
            continue;
        eb_auto_buf struct eb_buf at = {0};
        eb_buf_printf(&at, "%s.%s", stream, members[i].name);
        eb_findings_add(f, EB_ERROR, path, 0, at.p, MEND, v ? "not %s" : "missing: %s",
                        type_name(members[i].type));
    }
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(definition, "subjects"), i, one) if (!json_is_string(one))
        eb_findings_add(f, EB_ERROR, path, 0, stream, MEND, "a subject that is no text");
    json_array_foreach(json_object_get(definition, "sources"), i, one) if (!json_is_object(one))
        eb_findings_add(f, EB_ERROR, path, 0, stream, MEND, "a source that is no object");
}

static void take(struct eb_specs *s, const char *path, json_t *list, struct eb_findings *f) {
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) {
        struct eb_str name = eb_json_str(one, "name");
        size_t k = 0;
        while (k < EB_STREAMS_N && !eb_str_eqz(name, eb_stream_names[k]))
            k++;
        if (k == EB_STREAMS_N)
            eb_findings_add(f, EB_ERROR, path, 0, NULL, MEND, "item %zu is none of the site's streams",
                            i + 1);
        else if (s->one[k])
            eb_findings_add(f, EB_ERROR, path, 0, eb_stream_names[k], MEND, "defined twice");
        else
            s->one[k] = json_incref(one);
    }
    for (i = 0; i < EB_STREAMS_N; i++)
        if (s->one[i])
            check_members(path, eb_stream_names[i], s->one[i], f);
        else
            eb_findings_add(f, EB_ERROR, path, 0, eb_stream_names[i], MEND, "not defined");
}

static size_t line_of(struct eb_str text, size_t at) {
    size_t line = 1;
    for (size_t i = 0; i < at && i < text.n; i++)
        line += text.p[i] == '\n';
    return line;
}

enum eb_rc eb_specs_load(const char *path, struct eb_specs **ret, struct eb_findings *f) {
    struct eb_err err = {0};
    eb_auto_buf struct eb_buf text = {0};
    enum eb_rc rc = eb_file_read(path, EB_SPECS_MAX, &text, &err);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, NULL, 0, "mqtt.streams-file",
                        "the file must be readable by this user; in a folder that no option named at the "
                        "start, the sandbox allows it only after a restart",
                        "%s", eb_err_text(&err, rc));
        return rc;
    }
    eb_auto_json json_t *list = NULL;
    size_t at = 0, errors = f->errors;
    rc = eb_json_parse(eb_buf_get(&text), EB_JSON_DEPTH, &list, &at);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, path, line_of(eb_buf_get(&text), at), NULL, MEND, "not valid JSON");
        return rc;
    }
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *s = calloc(1, sizeof *s);
    if (!s)
        return EB_E_NOMEM;
    atomic_init(&s->refs, 1);
    if (json_is_array(list))
        take(s, path, list, f);
    else
        eb_findings_add(f, EB_ERROR, path, 1, NULL, MEND, "not a list of stream configurations");
    if (f->errors != errors)
        return EB_E_INVALID;
    *ret = EB_TAKE(s);
    return EB_OK;
}
