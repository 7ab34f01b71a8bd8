#include "base/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/doc_json.h"

struct eb_doc {
    struct eb_doc_json *json; /* reads instead of libyaml as long as the document is JSON */
    size_t json_events;       /* that it gave */
    uint64_t json_shape;      /* of them */
    struct eb_str bytes;      /* where read from memory */
    size_t max;
    yaml_parser_t parser;
    yaml_event_t event; /* the one returned last, kept so that its text stays valid */
    bool have_event;
    char *name;
    int fd;      /* -1 when reading from memory */
    size_t left; /* bytes that may still be read */
    bool over, read_failed;
    int read_errno;
    size_t json_line; /* of the event returned last */
    size_t depth;
    bool is_map[EB_DOC_DEPTH + 1];
    bool want_key[EB_DOC_DEPTH + 1];
    bool begun, ended;
    enum eb_rc failed;
    struct eb_err err;
};

static int read_file(void *data, unsigned char *to, size_t size, size_t *ret_n) {
    struct eb_doc *d = data;
    ssize_t got;
    if (d->read_failed)
        return 0;
    do
        got = read(d->fd, to, size);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        d->read_failed = true;
        d->read_errno = errno;
        return 0;
    }
    if ((size_t)got > d->left) {
        d->over = true;
        return 0;
    }
    d->left -= (size_t)got;
    *ret_n = (size_t)got;
    return 1;
}

static enum eb_rc doc_new(const char *name, struct eb_doc **ret, struct eb_err *reterr) {
    struct eb_doc *d = calloc(1, sizeof *d);
    if (!d)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    d->fd = -1;
    if (!yaml_parser_initialize(&d->parser)) {
        free(d);
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    yaml_parser_set_encoding(&d->parser, YAML_UTF8_ENCODING);
    if (name && !(d->name = eb_str_dup(eb_str(name)))) {
        eb_doc_free(d);
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    *ret = d;
    return EB_OK;
}

/* From the begin of the document. */
static void use_yaml(struct eb_doc *d) {
    if (d->json && d->fd >= 0 && lseek(d->fd, 0, SEEK_SET) != 0) {
        d->read_failed = true;
        d->read_errno = errno;
    }
    eb_doc_json_free(d->json);
    d->json = NULL;
    d->left = d->max;
    if (d->fd >= 0)
        yaml_parser_set_input(&d->parser, read_file, d);
    else
        yaml_parser_set_input_string(&d->parser, (const unsigned char *)(d->bytes.p ? d->bytes.p : ""),
                                     d->bytes.n);
}

/* A document that begins as JSON does is read as such, several times as fast, until it turns out to be none.
 */
static void begin(struct eb_doc *d) {
    if (d->fd < 0 || lseek(d->fd, 0, SEEK_CUR) == 0) /* a pipe cannot be read twice */
        d->json = eb_doc_json_new(d->fd, d->bytes, d->max);
    if (!d->json || !eb_doc_json_begins(d->json))
        use_yaml(d);
}

enum eb_rc eb_doc_open(const char *path, size_t max, struct eb_doc **ret, struct eb_err *reterr) {
    eb_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", path, strerror(errno));
    EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
    enum eb_rc rc = doc_new(path, &d, reterr);
    if (rc != EB_OK)
        return rc;
    d->fd = fd;
    fd = -1;
    d->max = max;
    begin(d);
    *ret = EB_TAKE(d);
    return EB_OK;
}

enum eb_rc eb_doc_from(struct eb_str bytes, const char *name, struct eb_doc **ret, struct eb_err *reterr) {
    struct eb_doc *d = NULL;
    enum eb_rc rc = doc_new(name, &d, reterr);
    if (rc != EB_OK)
        return rc;
    d->bytes = bytes;
    d->max = bytes.n;
    begin(d);
    *ret = d;
    return EB_OK;
}

void eb_doc_free(struct eb_doc *d) {
    if (!d)
        return;
    if (d->have_event)
        yaml_event_delete(&d->event);
    yaml_parser_delete(&d->parser);
    eb_doc_json_free(d->json);
    if (d->fd >= 0)
        (void)close(d->fd);
    free(d->name);
    free(d);
}

static enum eb_rc fail(struct eb_doc *d, enum eb_rc rc, const char *what) {
    d->failed = EB_FAIL(&d->err, rc, "line %zu: %s", eb_doc_line(d), what);
    return rc;
}

static enum eb_rc parser_failed(struct eb_doc *d) {
    if (d->over)
        return fail(d, EB_E_TOO_LARGE, "the document is larger than is allowed");
    if (d->read_failed)
        return fail(d, EB_E_IO, strerror(d->read_errno));
    if (d->parser.error == YAML_MEMORY_ERROR)
        return fail(d, EB_E_NOMEM, "out of memory");
    size_t line = (d->parser.problem_mark.line ? d->parser.problem_mark.line : d->parser.mark.line) + 1;
    d->failed = EB_FAIL(&d->err, EB_E_MALFORMED, "line %zu: no well-formed YAML or JSON: %s", line,
                        d->parser.problem ? d->parser.problem : "syntax error");
    return d->failed;
}

static enum eb_rc push(struct eb_doc *d, bool map) {
    if (d->depth == EB_DOC_DEPTH)
        return fail(d, EB_E_MALFORMED, "nested too deep");
    d->depth++;
    d->is_map[d->depth] = map;
    d->want_key[d->depth] = map;
    return EB_OK;
}

/* Notes that a value is complete: in a mapping, a key comes next. */
static void value_done(struct eb_doc *d) {
    if (d->depth && d->is_map[d->depth])
        d->want_key[d->depth] = true;
}

static enum eb_rc scalar(struct eb_doc *d, struct eb_doc_event *ev) {
    const yaml_event_t *e = &d->event;
    if (e->data.scalar.anchor || e->data.scalar.tag)
        return fail(d, EB_E_MALFORMED, "anchors and tags are not taken here; write the value itself");
    ev->kind = EB_DOC_SCALAR;
    ev->text = eb_str_n(e->data.scalar.value, e->data.scalar.length);
    ev->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (d->depth && d->is_map[d->depth] && d->want_key[d->depth]) {
        ev->is_key = true;
        d->want_key[d->depth] = false;
    } else {
        value_done(d);
    }
    return EB_OK;
}

static enum eb_rc open_collection(struct eb_doc *d, bool map, const void *anchor, const void *tag) {
    if (anchor || tag)
        return fail(d, EB_E_MALFORMED, "anchors and tags are not taken here; write the value itself");
    if (d->depth && d->is_map[d->depth] && d->want_key[d->depth])
        return fail(d, EB_E_MALFORMED, "a key must be a plain text");
    return push(d, map);
}

static enum eb_rc translate(struct eb_doc *d, struct eb_doc_event *ev, bool *ret_again) {
    const yaml_event_t *e = &d->event;
    enum eb_rc rc;
    switch (e->type) {
    case YAML_SCALAR_EVENT: return scalar(d, ev);
    case YAML_MAPPING_START_EVENT:
        rc = open_collection(d, true, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        ev->kind = EB_DOC_MAP;
        return rc;
    case YAML_SEQUENCE_START_EVENT:
        rc = open_collection(d, false, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        ev->kind = EB_DOC_LIST;
        return rc;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        d->depth--;
        value_done(d);
        ev->kind = e->type == YAML_MAPPING_END_EVENT ? EB_DOC_MAP_END : EB_DOC_LIST_END;
        return EB_OK;
    case YAML_ALIAS_EVENT:
        return fail(d, EB_E_MALFORMED,
                    "an alias (*name) is not taken here; in a subject, write it with quotes: \"*\"");
    case YAML_DOCUMENT_START_EVENT:
        if (d->begun)
            return fail(d, EB_E_MALFORMED, "a second document begins here; write one only");
        d->begun = true;
        *ret_again = true;
        return EB_OK;
    case YAML_STREAM_END_EVENT:
        d->ended = true;
        ev->kind = EB_DOC_END;
        return EB_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT: *ret_again = true; return EB_OK;
    }
    return fail(d, EB_E_INTERNAL, "an event of a kind that libyaml does not name");
}

static enum eb_rc yaml_next(struct eb_doc *d, struct eb_doc_event *ev) {
    bool again = true;
    while (again && d->failed == EB_OK) {
        again = false;
        if (d->ended) {
            *ev = (struct eb_doc_event){.kind = EB_DOC_END, .line = eb_doc_line(d)};
            return EB_OK;
        }
        if (d->have_event)
            yaml_event_delete(&d->event);
        d->have_event = false;
        if (!yaml_parser_parse(&d->parser, &d->event))
            return parser_failed(d);
        d->have_event = true;
        *ev = (struct eb_doc_event){.line = eb_doc_line(d)};
        (void)translate(d, ev, &again);
    }
    return d->failed;
}

/* A hash (FNV-1a by words) of the events so far and one more; of a text its length will do. */
static uint64_t add_shape(uint64_t shape, const struct eb_doc_event *ev) {
    uint64_t one =
        (uint64_t)ev->kind | (uint64_t)ev->quoted << 4 | (uint64_t)ev->is_key << 5 | ev->text.n << 8;
    return (shape ^ one) * UINT64_C(0x100000001b3);
}

/* No JSON after all: YAML written with braces, or something wrong, which libyaml tells. It reads again what
 * was given already, and must find the same: what was given cannot be taken back. */
static enum eb_rc go_on_as_yaml(struct eb_doc *d, struct eb_doc_event *ev) {
    use_yaml(d);
    enum eb_rc rc = EB_OK;
    uint64_t shape = 0;
    for (size_t i = 0; i < d->json_events && rc == EB_OK; i++) {
        rc = yaml_next(d, ev);
        shape = rc == EB_OK ? add_shape(shape, ev) : shape;
    }
    bool same = shape == d->json_shape;
    while (rc == EB_OK && !same && ev->kind != EB_DOC_END) /* what is wrong as YAML says more */
        rc = yaml_next(d, ev);
    if (rc == EB_OK && !same)
        rc = fail(d, EB_E_MALFORMED,
                  "no JSON, and as YAML it means another thing before that; write one of them");
    return rc == EB_OK ? yaml_next(d, ev) : rc;
}

enum eb_rc eb_doc_next(struct eb_doc *d, struct eb_doc_event *ret, struct eb_err *reterr) {
    if (d->json && eb_doc_json_next(d->json, ret)) {
        d->json_events++;
        d->json_shape = add_shape(d->json_shape, ret);
        d->json_line = ret->line;
        return EB_OK;
    }
    if (d->json)
        (void)go_on_as_yaml(d, ret);
    else if (d->failed == EB_OK)
        (void)yaml_next(d, ret);
    return d->failed == EB_OK ? EB_OK : EB_FAIL(reterr, d->failed, "%s", d->err.text);
}

enum eb_rc eb_doc_skip_rest(struct eb_doc *d, const struct eb_doc_event *ev, struct eb_err *reterr) {
    size_t open = ev->kind == EB_DOC_MAP || ev->kind == EB_DOC_LIST ? 1 : 0;
    while (open) {
        struct eb_doc_event next;
        enum eb_rc rc = eb_doc_next(d, &next, reterr);
        if (rc != EB_OK)
            return rc;
        if (next.kind == EB_DOC_MAP || next.kind == EB_DOC_LIST)
            open++;
        else if (next.kind == EB_DOC_MAP_END || next.kind == EB_DOC_LIST_END)
            open--;
        else if (next.kind == EB_DOC_END)
            return EB_OK;
    }
    return EB_OK;
}

enum eb_rc eb_doc_skip(struct eb_doc *d, struct eb_err *reterr) {
    struct eb_doc_event ev;
    enum eb_rc rc = eb_doc_next(d, &ev, reterr);
    return rc != EB_OK ? rc : eb_doc_skip_rest(d, &ev, reterr);
}

const char *eb_doc_name(const struct eb_doc *d) {
    return d->name;
}

size_t eb_doc_line(const struct eb_doc *d) {
    if (d->json)
        return d->json_line ? d->json_line : eb_doc_json_line(d->json);
    return (d->have_event ? d->event.start_mark.line : d->parser.mark.line) + 1;
}

bool eb_doc_is_null(const struct eb_doc_event *ev) {
    return ev->kind == EB_DOC_SCALAR && !ev->quoted &&
           (ev->text.n == 0 || eb_str_eqz(ev->text, "~") || eb_str_eqz(ev->text, "null"));
}

bool eb_doc_bool(const struct eb_doc_event *ev, bool *ret) {
    if (ev->kind != EB_DOC_SCALAR || ev->quoted)
        return false;
    if (eb_str_eqz(ev->text, "true"))
        *ret = true;
    else if (eb_str_eqz(ev->text, "false"))
        *ret = false;
    else
        return false;
    return true;
}
