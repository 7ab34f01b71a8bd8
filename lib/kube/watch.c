#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "kube/feed.h"
#include "kube/object.h"

struct eb_kube_watch {
    eb_kube_event_fn fn;
    void *ctx;
    enum eb_rc rc; /* of the first failure */
    struct eb_buf line;
};

enum eb_rc eb_kube_watch_new(eb_kube_event_fn fn, void *ctx, struct eb_kube_watch **ret,
                             struct eb_err *reterr) {
    struct eb_kube_watch *w = calloc(1, sizeof *w);
    if (!w)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    w->fn = fn;
    w->ctx = ctx;
    *ret = w;
    return EB_OK;
}

void eb_kube_watch_free(struct eb_kube_watch *w) {
    if (!w)
        return;
    eb_buf_done(&w->line);
    free(w);
}

bool eb_kube_event_is_gone(const struct eb_kube_event *ev) {
    return ev->type == EB_KUBE_ERROR &&
           (ev->code == 410 || eb_str_eqz(ev->reason, "Expired") || eb_str_eqz(ev->reason, "Gone"));
}

static enum eb_rc read_event(const json_t *root, struct eb_kube_event *ev, struct eb_err *reterr) {
    static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    struct eb_str type = eb_json_str(root, "type");
    size_t t = 0;
    while (t < EB_COUNT_OF(types) && !eb_str_eqz(type, types[t]))
        t++;
    const json_t *object = json_object_get(root, "object");
    if (t == EB_COUNT_OF(types) || !json_is_object(object))
        return EB_FAIL(reterr, EB_E_MALFORMED, "a line of the watch is no event of a known type");
    *ev = (struct eb_kube_event){.type = (enum eb_kube_event_type)t, .object = object};
    if (ev->type == EB_KUBE_ERROR) {
        const json_t *code = json_object_get(object, "code");
        ev->code = json_is_integer(code) ? json_integer_value(code) : 0;
        ev->reason = eb_json_str(object, "reason");
        ev->message = eb_json_str(object, "message");
        return EB_OK;
    }
    ev->version = eb_json_str(json_object_get(object, "metadata"), "resourceVersion");
    if (ev->version.n == 0 || ev->version.n > EB_KUBE_VERSION_MAX || eb_utf8_has_control(ev->version))
        return EB_FAIL(reterr, EB_E_MALFORMED, "an event of the watch names no resourceVersion");
    return EB_OK;
}

static enum eb_rc take_line(struct eb_kube_watch *w, struct eb_err *reterr) {
    EB_CLEANUP(json_decrefp) json_t *root = NULL;
    struct eb_kube_event ev;
    if (eb_str_trim(eb_buf_get(&w->line)).n == 0) {
        eb_kube_object_reset(&w->line);
        return EB_OK;
    }
    enum eb_rc rc = eb_kube_object_parse(&w->line, &root, reterr);
    eb_kube_object_reset(&w->line);
    if (rc == EB_OK)
        rc = read_event(root, &ev, reterr);
    return rc == EB_OK ? w->fn(w->ctx, &ev, reterr) : rc;
}

enum eb_rc eb_kube_watch_feed(struct eb_kube_watch *w, struct eb_str bytes, struct eb_err *reterr) {
    if (w->rc != EB_OK)
        return EB_FAIL(reterr, w->rc, "the watch could not be read before");
    while (bytes.n && w->rc == EB_OK) {
        const char *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        if (w->line.n + n > EB_KUBE_OBJECT_MAX)
            w->rc =
                EB_FAIL(reterr, EB_E_TOO_LARGE, "a line of the watch has over %zu bytes", EB_KUBE_OBJECT_MAX);
        else
            eb_buf_add(&w->line, bytes.p, n);
        if (w->rc == EB_OK && !eb_buf_ok(&w->line))
            w->rc = EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        if (w->rc == EB_OK && end)
            w->rc = take_line(w, reterr);
        n += end != NULL;
        bytes = (struct eb_str){bytes.p + n, bytes.n - n};
    }
    return w->rc;
}

bool eb_kube_watch_is_cut(const struct eb_kube_watch *w) {
    return eb_str_trim(eb_buf_get(&w->line)).n > 0;
}
