#include "trace/encode.h"

#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "base/protobuf.h"
#include "policy/policy.h"
#include "trace/pairs.h"
#include "version.h"

/* Field numbers of opentelemetry/proto: collector/trace/v1, trace/v1, resource/v1, common/v1. */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16
};
enum { STATUS_MESSAGE = 2, STATUS_CODE = 3 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum { ANY_STRING = 1, ANY_BOOL = 2, ANY_INT = 3 };
enum { KIND_SERVER = 2, CODE_ERROR = 2, FLAG_SAMPLED = 1 };

#define SCOPE EB_STR("auth-callout")

static void text_attribute(struct eb_buf *to, unsigned field, struct eb_str key, struct eb_str value) {
    size_t pair = eb_pb_begin(to, field);
    eb_pb_text(to, KEY_VALUE_KEY, key);
    size_t any = eb_pb_begin(to, KEY_VALUE_VALUE);
    eb_pb_text(to, ANY_STRING, value);
    eb_pb_end(to, any);
    eb_pb_end(to, pair);
}

static void number_attribute(struct eb_buf *to, const char *key, unsigned type, uint64_t value) {
    size_t pair = eb_pb_begin(to, SPAN_ATTRIBUTES);
    eb_pb_text(to, KEY_VALUE_KEY, eb_str(key));
    size_t any = eb_pb_begin(to, KEY_VALUE_VALUE);
    eb_pb_varint(to, type, value);
    eb_pb_end(to, any);
    eb_pb_end(to, pair);
}

/* ---- the resource ---- */

/* Collectors want each name once: what is said later replaces what is there. */
struct attributes {
    struct {
        char *name, *value;
    } v[80];
    size_t n;
};

static void attributes_done(struct attributes *a) {
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].name);
        free(a->v[i].value);
    }
}

static void put(struct attributes *a, struct eb_str name, struct eb_str value) {
    size_t at = 0;
    while (at < a->n && !eb_str_eqz(name, a->v[at].name))
        at++;
    if (at == EB_COUNT_OF(a->v))
        return;
    char *text = eb_str_dup(value), *key = at == a->n ? eb_str_dup(name) : NULL;
    if (!text || (at == a->n && !key)) {
        free(text);
        free(key);
        return;
    }
    if (at == a->n)
        a->v[a->n++].name = key;
    else
        free(a->v[at].value);
    a->v[at].value = text;
}

/* A UUID of version 4 (RFC 9562): one process in its life. */
static void put_instance(struct attributes *a) {
    unsigned char b[16];
    char hex[33], text[40];
    randombytes_buf(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)sodium_bin2hex(hex, sizeof hex, b, sizeof b);
    (void)snprintf(text, sizeof text, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
    put(a, EB_STR("service.instance.id"), eb_str(text));
}

void eb_trace_resource(const struct eb_trace_config *c, struct eb_buf *to) {
    EB_CLEANUP(attributes_done) struct attributes all = {.n = 0};
    char host[256] = "";
    put(&all, EB_STR("service.name"), EB_STR("auth-callout"));
    put(&all, EB_STR("service.version"), eb_str(EB_VERSION));
    put_instance(&all);
    if (gethostname(host, sizeof host - 1) == 0 && host[0])
        put(&all, EB_STR("host.name"), eb_str(host));
    for (size_t i = 0; i < c->attributes.n; i++) {
        eb_auto_buf struct eb_buf value = {0};
        struct eb_str rest = eb_str(c->attributes.v[i]), name;
        if (eb_pairs_next(&rest, &name, &value, NULL))
            put(&all, name, eb_buf_get(&value));
    }
    if (c->service_name)
        put(&all, EB_STR("service.name"), eb_str(c->service_name));
    for (size_t i = 0; i < all.n; i++)
        text_attribute(to, RESOURCE_ATTRIBUTES, eb_str(all.v[i].name), eb_str(all.v[i].value));
}

/* ---- spans ---- */

static void span_attribute(struct eb_buf *to, const char *key, const char *value) {
    text_attribute(to, SPAN_ATTRIBUTES, eb_str(key), eb_str(value));
}

static void span_text(struct eb_buf *to, const char *key, const struct eb_span_text *text) {
    if (text->n)
        text_attribute(to, SPAN_ATTRIBUTES, eb_str(key), eb_str_n(text->p, text->n));
}

static void span_name(struct eb_buf *to, enum eb_method method) {
    char name[64];
    (void)snprintf(name, sizeof name, method == EB_METHOD_NONE ? "auth_callout" : "auth_callout %s",
                   eb_method_name(method));
    eb_pb_text(to, SPAN_NAME, eb_str(name));
}

static void span_attributes(struct eb_buf *to, const struct eb_span *s, bool client_address) {
    span_attribute(to, "auth_callout.method", eb_method_name(s->method));
    span_attribute(to, "auth_callout.verdict", eb_verdict_name(s->verdict));
    span_attribute(to, "auth_callout.reason", s->reason ? s->reason : "");
    span_text(to, "auth_callout.account", &s->account);
    span_text(to, "auth_callout.entry", &s->entry);
    if (s->client_id) {
        span_attribute(to, "auth_callout.client.kind", eb_policy_conn_name(s->conn));
        number_attribute(to, "auth_callout.client.id", ANY_INT, s->client_id);
    }
    if (client_address)
        span_text(to, "client.address", &s->host);
    span_text(to, "auth_callout.server.name", &s->server_name);
    span_text(to, "auth_callout.server.id", &s->server_id);
    number_attribute(to, "auth_callout.queue_wait_us", ANY_INT,
                     (uint64_t)(s->wait_ns > 0 ? s->wait_ns / 1000 : 0));
    number_attribute(to, "auth_callout.parked", ANY_BOOL, s->parked);
    if (s->error)
        span_attribute(to, "error.type", s->error);
}

static void encode_span(struct eb_buf *to, const struct eb_span *s, bool client_address) {
    eb_pb_bytes(to, SPAN_TRACE_ID, eb_str_n(s->trace_id, sizeof s->trace_id));
    eb_pb_bytes(to, SPAN_SPAN_ID, eb_str_n(s->span_id, sizeof s->span_id));
    span_name(to, s->method);
    eb_pb_varint(to, SPAN_KIND, KIND_SERVER);
    eb_pb_fixed64(to, SPAN_START, (uint64_t)s->start_ns);
    eb_pb_fixed64(to, SPAN_END, (uint64_t)s->end_ns);
    span_attributes(to, s, client_address);
    if (s->error) {
        size_t status = eb_pb_begin(to, SPAN_STATUS);
        eb_pb_text(to, STATUS_MESSAGE, eb_str(s->error));
        eb_pb_varint(to, STATUS_CODE, CODE_ERROR);
        eb_pb_end(to, status);
    }
    eb_pb_fixed32(to, SPAN_FLAGS, FLAG_SAMPLED);
}

void eb_trace_encode(struct eb_str resource, const struct eb_span *spans, size_t n, bool client_address,
                     struct eb_buf *to) {
    size_t of_resource = eb_pb_begin(to, REQUEST_RESOURCE_SPANS);
    eb_pb_bytes(to, RESOURCE_SPANS_RESOURCE, resource);
    size_t of_scope = eb_pb_begin(to, RESOURCE_SPANS_SCOPE_SPANS);
    size_t scope = eb_pb_begin(to, SCOPE_SPANS_SCOPE);
    eb_pb_text(to, SCOPE_NAME, SCOPE);
    eb_pb_text(to, SCOPE_VERSION, eb_str(EB_VERSION));
    eb_pb_end(to, scope);
    for (size_t i = 0; i < n; i++) {
        size_t span = eb_pb_begin(to, SCOPE_SPANS_SPANS);
        encode_span(to, &spans[i], client_address);
        eb_pb_end(to, span);
    }
    eb_pb_end(to, of_scope);
    eb_pb_end(to, of_resource);
}
