#include "fixture_natsjwt.h"

#include "natsjwt/callout.h"

/* A request in parts, so that a case replaces one of them. Written as nats-server 2.15 writes it. */
struct parts {
    const char *seed, *iss, *aud, *sub, *times, *server, *user_nkey, *client, *connect, *tls, *type, *version,
        *more;
};

#define SERVER_ID "{\"name\":\"main-0\",\"host\":\"0.0.0.0\",\"id\":\"" SERVER_R0 "\",\"version\":\"2.15.1\"}"
#define SERVER_ID_XKEY                                                                                       \
    "{\"name\":\"main-0\",\"host\":\"0.0.0.0\",\"id\":\"" SERVER_R0                                          \
    "\",\"version\":\"2.15.1\",\"xkey\":\"" CURVE_R0 "\"}"
#define CLIENT_INFO                                                                                          \
    "{\"host\":\"127.0.0.1\",\"id\":7,\"user\":\"u\",\"name\":\"n\",\"name_tag\":\"t\",\"tags\":[\"a\"],"    \
    "\"kind\":\"Client\","                                                                                   \
    "\"type\":\"mqtt\",\"mqtt_id\":\"dev-1\",\"nonce\":\"abc\"}"
#define CONNECT_OPTS                                                                                         \
    "{\"jwt\":\"j\",\"nkey\":\"k\",\"sig\":\"s\",\"auth_token\":\"t\",\"user\":\"u2\",\"pass\":\"\","        \
    "\"name\":\"app\","                                                                                      \
    "\"lang\":\"c\",\"version\":\"3\",\"protocol\":1}"

static const struct parts usual = {
    .seed = SERVER_R0_SEED,
    .iss = SERVER_R0,
    .aud = "\"nats-authorization-request\"",
    .sub = "\"" ACCOUNT_R0 "\"",
    .times = "\"iat\":1700000000,\"exp\":1700000002,",
    .server = SERVER_ID,
    .user_nkey = "\"" USER_R1 "\"",
    .client = CLIENT_INFO,
    .connect = CONNECT_OPTS,
    .tls = "",
    .type = "\"authorization_request\"",
    .version = "2",
    .more = "",
};

static const char *either(const char *a, const char *b) {
    return a ? a : b;
}

static void build(struct eb_buf *to, const struct parts *p) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(
        &b,
        "{\"aud\":%s,%s\"iss\":\"%s\",\"jti\":\"X\",\"sub\":%s,\"nats\":{\"server_id\":%s,\"user_nkey\":%s,",
        either(p->aud, usual.aud), either(p->times, usual.times), either(p->iss, usual.iss),
        either(p->sub, usual.sub), either(p->server, usual.server), either(p->user_nkey, usual.user_nkey));
    eb_buf_printf(&b, "\"client_info\":%s,\"connect_opts\":%s%s%s,\"type\":%s,\"version\":%s}}",
                  either(p->client, usual.client), either(p->connect, usual.connect),
                  either(p->tls, usual.tls), either(p->more, usual.more), either(p->type, usual.type),
                  either(p->version, usual.version));
    fixture_token(to, EB_STR(USUAL_HEADER), eb_buf_get(&b), either(p->seed, usual.seed));
}

static void reads_all_members(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0};
    build(&token, &usual);
    EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
    assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL), EB_OK);
    const struct {
        struct eb_str got;
        const char *want;
    } texts[] = {
        {r.server_name, "main-0"},
        {r.server_host, "0.0.0.0"},
        {r.server_id, SERVER_R0},
        {r.server_version, "2.15.1"},
        {r.user_nkey, USER_R1},
        {r.host, "127.0.0.1"},
        {r.ci_user, "u"},
        {r.ci_name, "n"},
        {r.mqtt_id, "dev-1"},
        {r.nonce, "abc"},
        {r.jwt_opt, "j"},
        {r.nkey, "k"},
        {r.sig, "s"},
        {r.auth_token, "t"},
        {r.user, "u2"},
        {r.pass, ""},
        {r.name, "app"},
        {r.jwt.sub, ACCOUNT_R0},
        {r.jwt.iss, SERVER_R0},
    };
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        assert_non_null(texts[i].got.p);
        assert_true(eb_str_eqz(texts[i].got, texts[i].want));
    }
    assert_null(r.server_xkey.p);
    assert_int_equal(r.client_id, 7);
    assert_int_equal(r.kind, EB_CLIENT_CLIENT);
    assert_int_equal(r.type, EB_TYPE_MQTT);
    assert_int_equal(r.jwt.iat, 1700000000);
    assert_int_equal(r.jwt.exp, 1700000002);
    assert_false(r.tls);
    assert_null(r.verified_chains);
    assert_null(r.certs);
}

static void absent_is_not_empty(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0};
    const struct parts p = {
        .client = "{}", .connect = "{\"user\":\"\",\"protocol\":0}", .more = ",\"newer\":{\"a\":[1]}"};
    build(&token, &p);
    EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
    assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL), EB_OK);
    assert_non_null(r.user.p);
    assert_int_equal(r.user.n, 0);
    const struct eb_str absent[] = {r.pass, r.jwt_opt, r.nkey,    r.sig,   r.auth_token,
                                    r.name, r.host,    r.mqtt_id, r.nonce, r.ci_user};
    for (size_t i = 0; i < EB_COUNT_OF(absent); i++)
        assert_null(absent[i].p);
    assert_int_equal(r.kind, EB_CLIENT_OTHER);
    assert_int_equal(r.type, EB_TYPE_OTHER);
    assert_int_equal(r.client_id, 0);
}

static void kinds_and_types(void **state) {
    (void)state;
    static const struct {
        const char *client;
        enum eb_client_kind kind;
        enum eb_client_type type;
    } cases[] = {
        {"{\"kind\":\"Client\",\"type\":\"nats\"}", EB_CLIENT_CLIENT, EB_TYPE_NATS},
        {"{\"kind\":\"Client\",\"type\":\"websocket\"}", EB_CLIENT_CLIENT, EB_TYPE_WEBSOCKET},
        {"{\"kind\":\"Leafnode\"}", EB_CLIENT_LEAF, EB_TYPE_OTHER},
        {"{\"kind\":\"JetStream\",\"type\":\"\"}", EB_CLIENT_OTHER, EB_TYPE_OTHER},
        {"{\"kind\":\"client\",\"type\":\"NATS\"}", EB_CLIENT_OTHER, EB_TYPE_OTHER},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        const struct parts p = {.client = cases[i].client};
        build(&token, &p);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL), EB_OK);
        assert_int_equal(r.kind, cases[i].kind);
        assert_int_equal(r.type, cases[i].type);
    }
}

static void tls_shapes(void **state) {
    (void)state;
    static const struct {
        const char *tls;
        enum eb_rc rc;
        size_t chains, certs;
    } cases[] = {
        {",\"client_tls\":{\"version\":\"1.3\",\"cipher\":\"x\"}", EB_OK, 0, 0},
        {",\"client_tls\":{\"verified_chains\":[[\"leaf\",\"ca\"],[\"leaf\"]]}", EB_OK, 2, 0},
        {",\"client_tls\":{\"certs\":[\"leaf\"]}", EB_OK, 0, 1},
        {",\"client_tls\":{}", EB_OK, 0, 0},
        {",\"client_tls\":[]", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":null", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"version\":1.3}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"certs\":\"leaf\"}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"certs\":[]}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"certs\":[1]}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"certs\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
         "\"\",\"\",\"17\"]}",
         EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"verified_chains\":{}}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"verified_chains\":[]}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"verified_chains\":[[]]}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"verified_chains\":[\"leaf\"]}", EB_E_REQ_MALFORMED, 0, 0},
        {",\"client_tls\":{\"verified_chains\":[[\"leaf\"],[\"leaf\",null]]}", EB_E_REQ_MALFORMED, 0, 0},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        const struct parts p = {.tls = cases[i].tls};
        build(&token, &p);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        if (eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL) != cases[i].rc)
            fail_msg("%s", cases[i].tls);
        assert_int_equal(r.tls, cases[i].rc == EB_OK);
        assert_int_equal(json_array_size(r.verified_chains), cases[i].chains);
        assert_int_equal(json_array_size(r.certs), cases[i].certs);
    }
}

static void hostile(void **state) {
    (void)state;
    static const struct {
        struct parts p;
        const char *header_xkey;
        enum eb_rc rc;
        const char *says;
    } cases[] = {
        /* who signed */
        {{.seed = SERVER_R1_SEED}, NULL, EB_E_REQ_SIGNATURE, "signature"},
        {{.seed = USER_R0_SEED, .iss = USER_R0}, NULL, EB_E_REQ_SIGNATURE, "kind user"},
        {{.seed = ACCOUNT_R0_SEED, .iss = ACCOUNT_R0}, NULL, EB_E_REQ_SIGNATURE, "kind account"},
        {{.iss = CLUSTER_R0},
         NULL,
         EB_E_REQ_SIGNATURE,
         "kind cluster"}, /* the key bytes of the server, another kind */
        {{.iss = CURVE_R0}, NULL, EB_E_REQ_MALFORMED, "iss"},
        {{.seed = SERVER_R1_SEED, .iss = SERVER_R1}, NULL, EB_E_REQ_SIGNATURE, "server_id.id"},
        {{.server = "{\"name\":\"n\",\"host\":\"h\"}"}, NULL, EB_E_REQ_SIGNATURE, "server_id.id"},
        /* what it is */
        {{.aud = "\"" SERVER_R0 "\""}, NULL, EB_E_REQ_AUDIENCE, "aud"},
        {{.aud = "\"\""}, NULL, EB_E_REQ_AUDIENCE, "aud"},
        {{.aud = "\"nats-authorization-request \""}, NULL, EB_E_REQ_AUDIENCE, "aud"},
        {{.aud = "[\"nats-authorization-request\"]"}, NULL, EB_E_REQ_MALFORMED, "aud"},
        {{.type = "\"authorization_response\""}, NULL, EB_E_REQ_TYPE, "type"},
        {{.type = "\"user\""}, NULL, EB_E_REQ_TYPE, "type"},
        {{.type = "\"\""}, NULL, EB_E_REQ_TYPE, "type"},
        {{.type = "1"}, NULL, EB_E_REQ_TYPE, "type"},
        {{.version = "1"}, NULL, EB_E_REQ_TYPE, "version"},
        {{.version = "3"}, NULL, EB_E_REQ_TYPE, "version"},
        {{.version = "\"2\""}, NULL, EB_E_REQ_TYPE, "version"},
        {{.version = "2.0"}, NULL, EB_E_REQ_TYPE, "version"},
        {{.version = "null"}, NULL, EB_E_REQ_TYPE, "version"},
        /* sealing */
        {{.server = SERVER_ID_XKEY}, CURVE_R1, EB_E_REQ_XKEY, "differ"},
        {{.server = SERVER_ID_XKEY}, NULL, EB_E_REQ_XKEY, "header (none)"},
        {{.server = SERVER_ID_XKEY}, "", EB_E_REQ_XKEY, "differ"},
        {{0}, CURVE_R0, EB_E_REQ_XKEY, "signed one (none)"},
        {{0}, "", EB_E_REQ_XKEY, "signed one (none)"},
        {{.server = "{\"id\":\"" SERVER_R0 "\",\"xkey\":\"" USER_R0 "\"}"},
         USER_R0,
         EB_E_REQ_XKEY,
         "server_id.xkey"},
        {{.server = "{\"id\":\"" SERVER_R0 "\",\"xkey\":\"\"}"}, "", EB_E_REQ_XKEY, "server_id.xkey"},
        /* claims */
        {{.user_nkey = "\"" ACCOUNT_R0 "\""}, NULL, EB_E_REQ_MALFORMED, "user_nkey"},
        {{.user_nkey = "\"\""}, NULL, EB_E_REQ_MALFORMED, "user_nkey"},
        {{.user_nkey = "null"}, NULL, EB_E_REQ_MALFORMED, "user_nkey"},
        {{.user_nkey = "\"" USER_R0_SEED "\""}, NULL, EB_E_REQ_MALFORMED, "user_nkey"},
        {{.sub = "\"" USER_R0 "\""}, NULL, EB_E_REQ_MALFORMED, "sub"},
        {{.sub = "\"\""}, NULL, EB_E_REQ_MALFORMED, "sub"},
        {{.times = ""}, NULL, EB_E_REQ_MALFORMED, "iat and exp"},
        {{.times = "\"iat\":1700000000,"}, NULL, EB_E_REQ_MALFORMED, "iat and exp"},
        {{.times = "\"exp\":1700000000,"}, NULL, EB_E_REQ_MALFORMED, "iat and exp"},
        {{.times = "\"iat\":1700000000,\"exp\":1e300,"}, NULL, EB_E_REQ_MALFORMED, "exp"},
        {{.more = ",\"request_nonce\":1"}, NULL, EB_E_REQ_MALFORMED, "request_nonce"},
        {{.more = ",\"tags\":\"a\""}, NULL, EB_E_REQ_MALFORMED, "tags"},
        {{.more = ",\"type\":\"authorization_request\""}, NULL, EB_E_REQ_MALFORMED, "payload"},
        {{.more = ",\"user_nkey\":\"" USER_R1 "\""}, NULL, EB_E_REQ_MALFORMED, "payload"},
        /* objects and their members */
        {{.server = "[]"}, NULL, EB_E_REQ_MALFORMED, "server_id"},
        {{.server = "null"}, NULL, EB_E_REQ_MALFORMED, "server_id"},
        {{.server = "{\"id\":5}"}, NULL, EB_E_REQ_MALFORMED, "server_id.id"},
        {{.server = "{\"id\":\"" SERVER_R0 "\",\"cluster\":{}}"},
         NULL,
         EB_E_REQ_MALFORMED,
         "server_id.cluster"},
        {{.server = "{\"id\":\"" SERVER_R0 "\",\"tags\":[1]}"}, NULL, EB_E_REQ_MALFORMED, "server_id.tags"},
        {{.client = "\"\""}, NULL, EB_E_REQ_MALFORMED, "client_info"},
        {{.client = "{\"host\":[]}"}, NULL, EB_E_REQ_MALFORMED, "client_info.host"},
        {{.client = "{\"id\":\"7\"}"}, NULL, EB_E_REQ_MALFORMED, "client_info.id"},
        {{.client = "{\"id\":-7}"}, NULL, EB_E_REQ_MALFORMED, "client_info.id"},
        {{.client = "{\"id\":7.0}"}, NULL, EB_E_REQ_MALFORMED, "client_info.id"},
        {{.client = "{\"kind\":1}"}, NULL, EB_E_REQ_MALFORMED, "client_info.kind"},
        {{.client = "{\"type\":null}"}, NULL, EB_E_REQ_MALFORMED, "client_info.type"},
        {{.client = "{\"mqtt_id\":true}"}, NULL, EB_E_REQ_MALFORMED, "client_info.mqtt_id"},
        {{.client = "{\"tags\":{}}"}, NULL, EB_E_REQ_MALFORMED, "client_info.tags"},
        {{.client = "{\"host\":\"a\",\"host\":\"b\"}"}, NULL, EB_E_REQ_MALFORMED, "payload"},
        {{.connect = "[]"}, NULL, EB_E_REQ_MALFORMED, "connect_opts"},
        {{.connect = "{\"pass\":1}"}, NULL, EB_E_REQ_MALFORMED, "connect_opts.pass"},
        {{.connect = "{\"pass\":null}"}, NULL, EB_E_REQ_MALFORMED, "connect_opts.pass"},
        {{.connect = "{\"pass\":\"a\",\"pass\":\"b\"}"}, NULL, EB_E_REQ_MALFORMED, "payload"},
        {{.connect = "{\"auth_token\":{}}"}, NULL, EB_E_REQ_MALFORMED, "connect_opts.auth_token"},
        {{.connect = "{\"protocol\":\"1\"}"}, NULL, EB_E_REQ_MALFORMED, "connect_opts.protocol"},
        {{.connect = "{\"user\":\"a\\u0001b\", \"\\u0000\": 0, \"\\u0000\": 1}"},
         NULL,
         EB_E_REQ_MALFORMED,
         "payload"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        build(&token, &cases[i].p);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        struct eb_err err = {0};
        enum eb_rc rc = eb_auth_request_read(eb_buf_get(&token), eb_str(cases[i].header_xkey), &r, &err);
        if (rc != cases[i].rc || err.rc != rc || !strstr(err.text, cases[i].says))
            fail_msg("case %zu (%s): %s \"%s\"", i, cases[i].says, eb_rc_name(rc), err.text);
        assert_null(r.jwt.claims);
        assert_null(strstr(err.text, "AAAAICAM"));
    }
}

/* A client chooses its texts: none of them makes a request that cannot be read, and so not be answered. */
static void texts_of_clients(void **state) {
    (void)state;
    static const struct {
        const char *connect, *user;
    } cases[] = {
        {"{\"user\":\"a\\u0000b\"}", "a\xef\xbf\xbd"
                                     "b"},
        {"{\"user\":\"\\u0000\"}", "\xef\xbf\xbd"},
        {"{\"user\":\"\\ufffd\\u001f\\u007f\\ud83d\\ude00\"}", "\xef\xbf\xbd\x1f\x7f\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        const struct parts p = {.connect = cases[i].connect};
        build(&token, &p);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL), EB_OK);
        assert_true(eb_str_eqz(r.user, cases[i].user));
    }
}

static void sealed_one(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0};
    const struct parts p = {.server = SERVER_ID_XKEY};
    build(&token, &p);
    EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
    assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR(CURVE_R0), &r, NULL), EB_OK);
    assert_true(eb_str_eqz(r.server_xkey, CURVE_R0));
}

/* Members that must be there: the object without each of them. */
static void missing_objects(void **state) {
    (void)state;
    static const char *const nats[] = {
        "\"user_nkey\":\"" USER_R1 "\",\"client_info\":{},\"connect_opts\":{}",
        "\"server_id\":" SERVER_ID ",\"client_info\":{},\"connect_opts\":{}",
        "\"server_id\":" SERVER_ID ",\"user_nkey\":\"" USER_R1 "\",\"connect_opts\":{}",
        "\"server_id\":" SERVER_ID ",\"user_nkey\":\"" USER_R1 "\",\"client_info\":{}",
        "\"server_id\":" SERVER_ID ",\"user_nkey\":\"" USER_R1 "\",\"client_info\":{},\"connect_opts\":{}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(nats); i++) {
        eb_auto_buf struct eb_buf payload = {0};
        eb_auto_buf struct eb_buf token = {0};
        eb_buf_printf(&payload,
                      "{\"aud\":\"nats-authorization-request\",\"iat\":1,\"exp\":2,\"iss\":\"" SERVER_R0
                      "\",\"sub\":\"" ACCOUNT_R0
                      "\",\"nats\":{%s,\"type\":\"authorization_request\",\"version\":2}}",
                      nats[i]);
        fixture_token(&token, EB_STR(USUAL_HEADER), eb_buf_get(&payload), SERVER_R0_SEED);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL),
                         i + 1 == EB_COUNT_OF(nats) ? EB_OK : EB_E_REQ_MALFORMED);
    }
}

static void size_limit(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0};
    eb_auto_buf struct eb_buf connect = {0};
    /* About 1 MiB of password: as a token just below and just above the limit. */
    for (int over = 0; over < 2; over++) {
        eb_buf_reset(&connect);
        size_t n = EB_REQUEST_MAX / 4 * 3 - 1200 + (over ? 1200 : 0);
        eb_buf_z(&connect, "{\"pass\":\"");
        char *to = eb_buf_reserve(&connect, n);
        assert_non_null(to);
        memset(to, 'p', n);
        eb_buf_used(&connect, n);
        eb_buf_z(&connect, "\"}");
        const struct parts p = {.connect = connect.p};
        build(&token, &p);
        assert_int_equal(token.n > EB_REQUEST_MAX, over);
        EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
        assert_int_equal(eb_auth_request_read(eb_buf_get(&token), EB_STR_NONE, &r, NULL),
                         over ? EB_E_TOO_LARGE : EB_OK);
        if (!over)
            assert_int_equal(r.pass.n, n);
    }
}

static json_t *read_back(struct eb_str token, struct eb_natsjwt *t) {
    assert_int_equal(eb_natsjwt_read(token, EB_REQUEST_MAX, t, NULL), EB_OK);
    return t->claims;
}

static void user_jwt(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    struct eb_user_claims u = {
        .issuer = EB_STR(ACCOUNT_R0),
        .user_nkey = EB_STR(USER_R0),
        .account = EB_STR("APP"),
        .grants_json = EB_STR("\"pub\":{},\"sub\":{}"),
        .iat = 1700000000,
        .exp = 1700000600,
    };
    eb_auto_buf struct eb_buf to = {0};
    assert_int_equal(eb_user_jwt_write(&to, &u, fixture_sign, k), EB_OK);
    assert_true(eb_str_ends(
        eb_buf_get(&to),
        EB_STR(".nxQS5vjtOcHnGRM7S2RdvTirNk3OLte91mV9jffd2jEzFa9VqbozC1dGVISyovnKPancyyMWVZGxlnyR_lB6AA")));

    eb_buf_reset(&to);
    u.name = EB_STR("bms \"1\"");
    u.exp = 0;
    u.grants_json = EB_STR(
        "\"pub\":{\"allow\":[\"a.>\"]},\"sub\":{\"deny\":[\">\"]},\"resp\":{\"max\":1,\"ttl\":5000000000}");
    assert_int_equal(eb_user_jwt_write(&to, &u, fixture_sign, k), EB_OK);
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    json_t *claims = read_back(eb_buf_get(&to), &t);
    assert_null(json_object_get(claims, "exp"));
    assert_true(eb_str_eqz(eb_json_str(claims, "name"), "bms \"1\""));
    char *nats = json_dumps(t.nats, JSON_COMPACT | JSON_PRESERVE_ORDER);
    assert_string_equal(
        nats,
        "{\"pub\":{\"allow\":[\"a.>\"]},\"sub\":{\"deny\":[\">\"]},\"resp\":{\"max\":1,\"ttl\":5000000000},"
        "\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\",\"version\":2}");
    free(nats);
}

/* Operator mode: no aud, the signing key's account; a scoped key gets a name and tags alone, and only such as
 * may stand in its template. */
static void user_jwt_of_an_operator(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    const struct eb_str tags[] = {EB_STR("team:red"), EB_STR("x")};
    struct eb_user_claims u = {
        .issuer = EB_STR(ACCOUNT_R0),
        .issuer_account = EB_STR(ACCOUNT_R1),
        .user_nkey = EB_STR(USER_R0),
        .name = EB_STR("probe"),
        .tags = tags,
        .tags_n = 2,
        .grants_json = EB_STR("\"pub\":{},\"sub\":{}"),
        .iat = 1700000000,
    };
    static const char *const want[] = {
        "{\"pub\":{},\"sub\":{},\"subs\":-1,\"data\":-1,\"payload\":-1,\"issuer_account\":\"" ACCOUNT_R1
        "\",\"tags\":[\"team:red\",\"x\"],\"type\":\"user\",\"version\":2}",
        "{\"issuer_account\":\"" ACCOUNT_R1
        "\",\"tags\":[\"team:red\",\"x\"],\"type\":\"user\",\"version\":2}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(want); i++) {
        eb_auto_buf struct eb_buf to = {0};
        u.scoped = i == 1;
        assert_int_equal(eb_user_jwt_write(&to, &u, fixture_sign, k), EB_OK);
        EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
        json_t *claims = read_back(eb_buf_get(&to), &t);
        assert_null(json_object_get(claims, "aud"));
        assert_int_equal(t.iat, 1700000000);
        char *nats = json_dumps(t.nats, JSON_COMPACT | JSON_PRESERVE_ORDER);
        assert_string_equal(nats, want[i]);
        free(nats);
    }
    static const char *const hostile[] = {"*", ">", "a.b", "a b", "a\tb", "team:*"};
    for (size_t i = 0; i < EB_COUNT_OF(hostile); i++) {
        eb_auto_buf struct eb_buf to = {0};
        const struct eb_str tag = eb_str(hostile[i]);
        u.name = EB_STR("probe");
        u.tags = &tag;
        u.tags_n = 1;
        assert_int_equal(eb_user_jwt_write(&to, &u, fixture_sign, k), EB_E_INVALID);
        u.name = tag;
        u.tags_n = 0;
        assert_int_equal(eb_user_jwt_write(&to, &u, fixture_sign, k), EB_E_INVALID);
        assert_int_equal(to.n, 0);
    }
}

static void response_by_a_signing_key(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    const struct eb_auth_issuer by = {.key = EB_STR(ACCOUNT_R0), .account = EB_STR(ACCOUNT_R1)};
    eb_auto_buf struct eb_buf to = {0};
    assert_int_equal(eb_auth_response_by(&to, &by, EB_STR(SERVER_R0), EB_STR(USER_R1), EB_STR_NONE,
                                         EB_STR("no"), 5, fixture_sign, k),
                     EB_OK);
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    (void)read_back(eb_buf_get(&to), &t);
    assert_true(eb_str_eqz(t.iss, ACCOUNT_R0) &&
                eb_str_eqz(eb_json_str(t.nats, "issuer_account"), ACCOUNT_R1));
}

static void response(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    static const struct {
        const char *jwt, *error, *nats;
    } cases[] = {
        {"a.b.c", "", "{\"jwt\":\"a.b.c\",\"type\":\"authorization_response\",\"version\":2}"},
        {"", "no \"entry\"",
         "{\"error\":\"no \\\"entry\\\"\",\"type\":\"authorization_response\",\"version\":2}"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf to = {0};
        assert_int_equal(eb_auth_response_write(&to, EB_STR(ACCOUNT_R0), EB_STR(SERVER_R0), EB_STR(USER_R1),
                                                eb_str(cases[i].jwt), eb_str(cases[i].error), 1700000000,
                                                fixture_sign, k),
                         EB_OK);
        EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
        (void)read_back(eb_buf_get(&to), &t);
        assert_true(eb_str_eqz(t.iss, ACCOUNT_R0));
        assert_true(eb_str_eqz(t.aud, SERVER_R0));
        assert_true(eb_str_eqz(t.sub, USER_R1));
        assert_int_equal(t.iat, 1700000000);
        assert_int_equal(t.exp, 0);
        char *nats = json_dumps(t.nats, JSON_COMPACT | JSON_PRESERVE_ORDER);
        assert_string_equal(nats, cases[i].nats);
        free(nats);
    }
    eb_auto_buf struct eb_buf to = {0};
    assert_int_equal(eb_auth_response_write(&to, EB_STR(ACCOUNT_R0), EB_STR(SERVER_R0), EB_STR(USER_R1),
                                            EB_STR("j"), EB_STR("e"), 1, fixture_sign, k),
                     EB_E_INTERNAL);
    assert_int_equal(eb_auth_response_write(&to, EB_STR(ACCOUNT_R0), EB_STR(SERVER_R0), EB_STR(USER_R1),
                                            EB_STR_NONE, EB_STR(""), 1, fixture_sign, k),
                     EB_E_INTERNAL);
    assert_int_equal(to.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_members),
        cmocka_unit_test(absent_is_not_empty),
        cmocka_unit_test(kinds_and_types),
        cmocka_unit_test(tls_shapes),
        cmocka_unit_test(hostile),
        cmocka_unit_test(texts_of_clients),
        cmocka_unit_test(sealed_one),
        cmocka_unit_test(missing_objects),
        cmocka_unit_test(size_limit),
        cmocka_unit_test(user_jwt),
        cmocka_unit_test(response),
        cmocka_unit_test(user_jwt_of_an_operator),
        cmocka_unit_test(response_by_a_signing_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
