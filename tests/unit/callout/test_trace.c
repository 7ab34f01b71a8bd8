/* What goes to a collector of traces and what it answers, without a connection. */
#include <stdio.h>

#include "base/protobuf.h"
#include "clock.h"
#include "fixture.h"
#include "trace/answer.h"
#include "trace/encode.h"
#include "trace/pairs.h"
#include "trace/settings.h"

#define BLOCK "--observability.tracing."

static void pairs(void **state) {
    (void)state;
    static const struct {
        const char *list;
        const char *want; /* name>value; for each, ! where it ends with an error */
    } rows[] = {
        {"", ""},
        {" , ,\n,", ""},
        {"a=1", "a>1;"},
        {"a=1,b=2", "a>1;b>2;"},
        {" a = 1 \n b=2\r\n", "a>1;b>2;"},
        {"a=b=c", "a>b=c;"},
        {"a=", "a>;"},
        {"a=%20x%2Cy%3d", "a> x,y=;"},
        {"a=Basic%20dXNlcg==", "a>Basic dXNlcg==;"},
        {"a", "!"},
        {"=1", "!"},
        {"a=1,b", "a>1;!"},
        {"a=%", "!"},
        {"a=%2", "!"},
        {"a=%zz", "!"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf value = {0}, got = {0};
        struct eb_str rest = eb_str(rows[i].list), name;
        struct eb_err err = {0};
        while (eb_pairs_next(&rest, &name, &value, &err))
            eb_buf_printf(&got, "%.*s>%s;", EB_STR_ARG(name), value.p ? value.p : "");
        if (err.rc != EB_OK)
            eb_buf_z(&got, "!");
        if (strcmp(got.p ? got.p : "", rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].list, got.p);
        if (strchr(rows[i].want, '!'))
            assert_true(err.rc == EB_E_INVALID && err.text[0]);
    }
}

static void headers(void **state) {
    (void)state;
    static const struct {
        const char *list;
        bool ok;
    } rows[] = {
        {"authorization=Bearer%20x", true},
        {"X-Api-Key=a,other=b", true},
        {"a b=c", false},
        {"a:b=c", false},
        {"\xc3\xbc=c", false},
        {"a=", false},
        {"a=%0a", false},
        {"a=x%0d%0ab: c", false},
        {"a=%00", false},
        {"a=\xc3\xbc", false},
        {"content-type=text/plain", false},
        {"Content-Length=1", false},
        {"transfer-encoding=chunked", false},
        {"a=%20", false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_err err = {0};
        bool ok = eb_pairs_check_headers(eb_str(rows[i].list), &err) == EB_OK;
        if (ok != rows[i].ok)
            fail_msg("%s: %s", rows[i].list, err.text);
    }
    eb_auto_buf struct eb_buf many = {0}, large = {0};
    for (int i = 0; i < 33; i++)
        eb_buf_printf(&many, "h%d=v\n", i);
    assert_int_equal(eb_pairs_check_headers(eb_buf_get(&many), NULL), EB_E_INVALID);
    assert_int_equal(eb_pairs_check_headers(eb_str_n(many.p, many.n - 6), NULL), EB_OK);
    eb_buf_z(&large, "a=");
    while (large.n <= EB_HEADERS_MAX)
        eb_buf_ch(&large, 'x');
    assert_int_equal(eb_pairs_check_headers(eb_buf_get(&large), NULL), EB_E_INVALID);
}

static struct eb_config *configure(const char *const *flags) {
    eb_auto_findings struct eb_findings f = {0};
    const char *all[12] = {"--nats.issuer-seed-file=/k"};
    for (size_t i = 0; flags[i]; i++)
        all[i + 1] = flags[i];
    struct eb_config *c = fx_config(all, &f);
    if (!c)
        fail_msg("refused: %s", f.n ? f.items[0].text : "");
    return c;
}

static void urls(void **state) {
    (void)state;
    static const struct {
        const char *flag, *want; /* NULL: off */
    } rows[] = {
        {BLOCK "otlp.endpoint=https://c:4318", "https://c:4318/v1/traces"},
        {BLOCK "otlp.endpoint=https://c:4318//", "https://c:4318/v1/traces"},
        {BLOCK "otlp.endpoint=https://c/otlp/", "https://c/otlp/v1/traces"},
        {BLOCK "otlp.endpoint=http://127.0.0.1:1", "http://127.0.0.1:1/v1/traces"},
        {BLOCK "otlp.traces-endpoint=https://c/x/?k=v", "https://c/x/?k=v"},
        {BLOCK "sample-ratio=0.5", NULL},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_config_freep)
        struct eb_config *c = configure((const char *const[]){rows[i].flag, NULL});
        eb_auto_buf struct eb_buf url = {0};
        assert_int_equal(eb_trace_on(&c->trace), rows[i].want != NULL);
        if (!rows[i].want)
            continue;
        eb_trace_url(&c->trace, &url);
        assert_string_equal(url.p, rows[i].want);
    }
}

static void answers(void **state) {
    (void)state;
    static const char proto[] = "application/x-protobuf", json[] = "application/json";
    static const struct {
        long status;
        const char *type;
        int64_t after;
        struct eb_str body;
        bool taken, retry;
        int64_t want_after;
        uint64_t rejected;
        const char *remark;
    } rows[] = {
        {200, proto, 0, EB_STR_NONE, true, false, 0, 0, ""},
        {200, "Application/X-Protobuf; charset=x", 0, EB_STR_NONE, true, false, 0, 0, ""},
        {202, NULL, 0, EB_STR_NONE, true, false, 0, 0, ""},
        {200, json, 0, EB_STR("{}"), true, false, 0, 0, ""},
        {200, json, 0, EB_STR(" {\"partialSuccess\":{}}\n"), true, false, 0, 0, ""},
        {200, json, 0, EB_STR("[]"), false, false, 0, 0, ""},
        {200, NULL, 0, EB_STR("ok"), false, false, 0, 0, ""},
        {200, "text/html", 0, EB_STR("<html>"), false, false, 0, 0, ""},
        {200, proto, 0, EB_STR("<html>"), false, false, 0, 0, ""},
        {200, "application/x-protobuffer", 0, EB_STR("\x0a\x00"), false, false, 0, 0, ""},
        /* partial_success: {}, {rejected_spans: 3}, with error_message, the latter alone */
        {200, proto, 0, EB_STR("\x0a\x00"), true, false, 0, 0, ""},
        {200, proto, 0, EB_STR("\x0a\x02\x08\x03"), true, false, 0, 3, ""},
        {200, proto, 0, EB_STR("\x0a\x09\x08\x80\x01\x12\x04late"), true, false, 0, 128, "late"},
        {200, proto, 0, EB_STR("\x0a\x06\x12\x04slow"), true, false, 0, 0, "slow"},
        /* a negative number; fields of newer schemas beside; partial_success that is none */
        {200, proto, 0, EB_STR("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, false, 0, 0,
         ""},
        {200, proto, 0, EB_STR("\x10\x07\x0a\x05\x18\x01\x08\x02\x50"), false, false, 0, 0, ""},
        {200, proto, 0, EB_STR("\x10\x07\x0a\x04\x18\x01\x08\x02"), true, false, 0, 2, ""},
        {200, proto, 0, EB_STR("\x08\x03"), false, false, 0, 0, ""},
        {200, proto, 0, EB_STR("\x0a\x05\x08\x03"), false, false, 0, 0, ""},
        {429, NULL, 7, EB_STR_NONE, false, true, 7, 0, ""},
        {502, NULL, 0, EB_STR("x"), false, true, 0, 0, ""},
        {503, proto, 100000, EB_STR_NONE, false, true, 300, 0, ""},
        {504, NULL, -5, EB_STR_NONE, false, true, 0, 0, ""},
        {500, NULL, 7, EB_STR_NONE, false, false, 0, 0, ""},
        {400, proto, 7, EB_STR("\x0a\x02\x08\x03"), false, false, 0, 0, ""},
        {401, NULL, 0, EB_STR_NONE, false, false, 0, 0, ""},
        {404, NULL, 0, EB_STR_NONE, false, false, 0, 0, ""},
        {307, NULL, 0, EB_STR_NONE, false, false, 0, 0, ""},
        {0, NULL, 0, EB_STR_NONE, false, false, 0, 0, ""},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_otlp_answer a;
        struct eb_err err = {0};
        eb_otlp_answer_read(rows[i].status, rows[i].type, rows[i].after, rows[i].body, &a, &err);
        if (a.taken != rows[i].taken || a.retry != rows[i].retry || a.after_s != rows[i].want_after ||
            a.rejected != rows[i].rejected || !eb_str_eqz(a.remark, rows[i].remark) ||
            (err.rc == EB_OK) != rows[i].taken)
            fail_msg("row %zu: %s", i, err.text);
    }
}

/* ---- spans ---- */

static void ids_and_lots(void **state) {
    (void)state;
    enum { N = 20000 };
    static struct eb_span spans[N];
    static const unsigned char none[EB_TRACE_ID];
    size_t low = 0;
    for (size_t i = 0; i < N; i++) {
        eb_span_begin(&spans[i], 7);
        assert_true(memcmp(spans[i].trace_id, none, EB_TRACE_ID) &&
                    memcmp(spans[i].span_id, none, EB_SPAN_ID));
        assert_true(eb_span_lot(&spans[i]) < EB_SPAN_LOT_MAX);
        low += eb_span_lot(&spans[i]) < EB_SPAN_LOT_MAX / 4;
        if (i)
            assert_true(memcmp(spans[i].trace_id, spans[i - 1].trace_id, EB_TRACE_ID) &&
                        memcmp(spans[i].span_id, spans[i - 1].span_id, EB_SPAN_ID));
    }
    assert_in_range(low, N / 4 - 400, N / 4 + 400); /* over six standard deviations */
    char hex[2 * EB_TRACE_ID + 1];
    memset(spans[0].trace_id, 0xab, EB_TRACE_ID);
    eb_span_hex(&spans[0], hex);
    assert_string_equal(hex, "abababababababababababababababab");
}

/* The value of an attribute below a field of a message; n -1 where it is not there exactly once. */
static struct eb_str attribute(struct eb_str message, unsigned field, const char *key) {
    struct eb_pb_field f, part, any = {0};
    struct eb_str found = {NULL, 0};
    int times = 0;
    while (eb_pb_next(&message, &f)) {
        if (f.number != field)
            continue;
        struct eb_str pair = f.bytes, name = EB_STR_NONE;
        while (eb_pb_next(&pair, &part)) {
            if (part.number == 1)
                name = part.bytes;
            struct eb_str value = part.bytes;
            if (part.number == 2)
                assert_true(eb_pb_next(&value, &any) && value.n == 0);
        }
        if (!eb_str_eqz(name, key))
            continue;
        found = any.bytes;
        times++;
    }
    assert_in_range(times, 0, 1);
    return times == 1 ? found : EB_STR_NONE;
}

static struct eb_str child(struct eb_str message, unsigned field) {
    struct eb_pb_field f;
    while (eb_pb_next(&message, &f))
        if (f.number == field)
            return f.bytes;
    fail_msg("no field %u", field);
    return EB_STR_NONE;
}

static void the_resource(void **state) {
    (void)state;
    static const struct {
        const char *flags[4];
        const char *key, *want;
    } rows[] = {
        {{NULL}, "service.name", "auth-callout"},
        {{BLOCK "resource-attributes=service.name=a", NULL}, "service.name", "a"},
        {{BLOCK "resource-attributes=service.name=a", BLOCK "service-name=b", NULL}, "service.name", "b"},
        {{BLOCK "resource-attributes=host.name=h,host.name=i", NULL}, "host.name", "i"},
        {{BLOCK "resource-attributes=x=%2C%ff", NULL}, "x", ",\xef\xbf\xbd"},
        {{BLOCK "resource-attributes=service.instance.id=me", NULL}, "service.instance.id", "me"},
        {{NULL}, "service.version", NULL},
        {{NULL}, "host.name", NULL},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        const char *flags[5] = {BLOCK "otlp.endpoint=https://c"};
        for (size_t k = 0; k < 4 && rows[i].flags[k]; k++)
            flags[k + 1] = rows[i].flags[k];
        EB_CLEANUP(eb_config_freep) struct eb_config *c = configure(flags);
        eb_auto_buf struct eb_buf resource = {0};
        eb_trace_resource(&c->trace, &resource);
        struct eb_str got = attribute(eb_buf_get(&resource), 1, rows[i].key);
        if (rows[i].want ? !eb_str_eqz(got, rows[i].want) : got.n == 0)
            fail_msg("row %zu: %.*s", i, EB_STR_ARG(got));
    }
}

static void a_span(void **state) {
    (void)state;
    struct eb_span s;
    char name[300];
    memset(name, 'x', sizeof name);
    memcpy(name + EB_SPAN_TEXT - 2, "\xe2\x82\xac", 3); /* a character that is cut */
    eb_span_begin(&s, 0);
    s.method = EB_METHOD_NKEY;
    s.verdict = EB_VERDICT_DENIED;
    s.reason = s.error = "keys_unavailable";
    s.client_id = 7;
    s.wait_ns = -5;
    eb_span_set(&s.server_name, eb_str_n(name, sizeof name));
    eb_span_set(&s.host, EB_STR("10.0.0.1"));
    eb_span_set(&s.entry, EB_STR_NONE);
    for (int with = 0; with < 2; with++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_trace_encode(EB_STR("\x0a\x00"), &s, 1, with, &b);
        struct eb_str scopes = child(child(eb_buf_get(&b), 1), 2), span = child(scopes, 2);
        assert_true(eb_str_eqz(child(child(scopes, 1), 1), "auth-callout"));
        assert_true(eb_str_eqz(child(span, 5), "auth_callout nkey"));
        assert_true(eb_str_eq(child(span, 1), eb_str_n(s.trace_id, sizeof s.trace_id)));
        assert_true(eb_str_eqz(attribute(span, 9, "client.address"), with ? "10.0.0.1" : ""));
        assert_true(eb_str_eqz(attribute(span, 9, "auth_callout.verdict"), "denied"));
        assert_true(eb_str_eqz(attribute(span, 9, "error.type"), "keys_unavailable"));
        assert_true(eb_str_eqz(child(child(span, 15), 2), "keys_unavailable"));
        assert_null(attribute(span, 9, "auth_callout.entry").p);
        struct eb_str server = attribute(span, 9, "auth_callout.server.name");
        assert_int_equal(server.n, EB_SPAN_TEXT - 2 + 2 * 3);
        assert_true(eb_str_ends(server, EB_STR("x\xef\xbf\xbd\xef\xbf\xbd")));
    }
}

/* What a callout leaves, for each way that it can end. */
static void spans_of_callouts(void **state) {
    (void)state;
    struct fx_dir dir = fx_dir_make();
    struct fx_world w;
    fx_write(&dir, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_world_open(&w, &dir, NULL);
    static const struct {
        struct fx_request request;
        const char *payload; /* instead of the request */
        int64_t age_ns;
        enum eb_outcome outcome;
        enum eb_method method;
        enum eb_verdict verdict;
        const char *reason, *error, *account;
        uint64_t client_id;
    } rows[] = {
        {{.host = "10.0.0.1"},
         NULL,
         0,
         EB_ANSWER,
         EB_METHOD_NOAUTH,
         EB_VERDICT_ALLOWED,
         "ok",
         NULL,
         "CSC",
         1},
        {{.host = "10.0.0.1", .user = "u", .pass = "p"},
         NULL,
         0,
         EB_ANSWER,
         EB_METHOD_NOAUTH,
         EB_VERDICT_DENIED,
         "unrecognized_credentials",
         NULL,
         "",
         1},
        {{.host = "10.0.0.1"},
         NULL,
         INT64_C(21000000000),
         EB_DROP,
         EB_METHOD_NONE,
         EB_VERDICT_DROPPED,
         "late",
         "late",
         "",
         1},
        {{.host = NULL},
         "no request",
         0,
         EB_DROP,
         EB_METHOD_NONE,
         EB_VERDICT_DROPPED,
         "request_malformed",
         "request_malformed",
         "",
         0},
        {{.host = "10.0.0.1", .issuer = ACCOUNT_R1},
         NULL,
         0,
         EB_DROP,
         EB_METHOD_NONE,
         EB_VERDICT_DROPPED,
         "request_issuer",
         "request_issuer",
         "",
         1},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf text = {0};
        struct eb_span s;
        struct eb_wait wait;
        fx_request(&rows[i].request, &text);
        int64_t arrived = eb_mono_ns() - rows[i].age_ns;
        eb_span_begin(&s, arrived);
        struct eb_callout_in in = {.payload = rows[i].payload ? eb_str(rows[i].payload) : eb_buf_get(&text),
                                   .arrived_ns = arrived,
                                   .span = &s};
        assert_int_equal(eb_callout_run(&w.callout, &in, &w.scratch, &w.reply, &wait), rows[i].outcome);
        if (s.method != rows[i].method || s.verdict != rows[i].verdict ||
            strcmp(s.reason, rows[i].reason) != 0 || !s.error != !rows[i].error ||
            (s.error && strcmp(s.error, rows[i].error) != 0) ||
            !eb_str_eqz(eb_str_n(s.account.p, s.account.n), rows[i].account) ||
            (s.client_id != 0) != (rows[i].client_id != 0))
            fail_msg("row %zu: %s %s", i, s.reason, s.error ? s.error : "");
        if (rows[i].client_id)
            assert_true(eb_str_eqz(eb_str_n(s.host.p, s.host.n), "10.0.0.1") && s.server_id.p[0] == 'N' &&
                        s.conn == EB_CONN_NATS);
    }
    fx_world_close(&w);
    fx_dir_remove(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs),        cmocka_unit_test(headers),
                                       cmocka_unit_test(urls),         cmocka_unit_test(answers),
                                       cmocka_unit_test(ids_and_lots), cmocka_unit_test(the_resource),
                                       cmocka_unit_test(a_span),       cmocka_unit_test(spans_of_callouts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
