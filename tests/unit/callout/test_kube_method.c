/* ServiceAccount tokens through the whole core: whose they are, where they place, what waits for an API that
 * does not answer, and what is refused before anything is asked. */
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "fixture.h"
#include "kube/impl.h"

#define ISS "https://kubernetes.default.svc"
#define UID "11111111-2222-3333-4444-555555555555"
#define UID2 "99999999-2222-3333-4444-555555555555"
/* Nobody listens there. */
#define API "--kubernetes.api-url=http://127.0.0.1:1"

static const char policy[] = "mtls: {bms: {identity: CN=bms, account: CSC, mqtt_client_id: bms-*}}\n";

static struct fx_world world;
static struct fx_dir dir;
static EVP_PKEY *key;

static void add_account(const char *name, const char *annotations) {
    char text[500];
    eb_auto_json json_t *object = NULL;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = NULL;
    struct eb_kube *kube = eb_live_sources(world.live)->v[1].kube;
    enum eb_kube_change change;
    (void)snprintf(text, sizeof text,
                   "{\"metadata\":{\"namespace\":\"plant\",\"name\":\"%s\",\"uid\":\"" UID
                   "\",\"annotations\":{%s}}}",
                   name, annotations);
    MINT_MUST(eb_json_object(eb_str(text), sizeof text, &object, NULL) == EB_OK);
    MINT_MUST(eb_kube_account_read(object, &kube->texts.rules, &a, NULL) == EB_OK);
    MINT_MUST(eb_kube_table_put(kube->table, a, &change, NULL) == EB_OK);
}

static bool has_all_keys(void *ctx) {
    struct eb_sources *sources = ctx;
    for (size_t i = 0; i < sources->n; i++) {
        struct eb_jwks *set = eb_keysource_get(sources->v[i].keys);
        eb_jwks_unref(set);
        if (!set)
            return false;
    }
    return true;
}

static void open_world(const char *review) {
    char path[200];
    (void)snprintf(path, sizeof path, "--kubernetes.jwks-path=%s/" FX_JWKS, dir.path);
    fx_world_open(&world, &dir,
                  (const char *const[]){API, path, "--kubernetes.issuer=" ISS, "--kubernetes.account=CSC",
                                        "--kubernetes.allowed-accounts=LaunchLayer", review, NULL});
    MINT_MUST(fx_wait(has_all_keys, eb_live_sources(world.live), 5000));
    add_account("chiller", "\"nats.io/allowed-pub-subjects\":\"alarms.>\"");
    add_account("a.b", "");
    add_account("launch", "\"nats.io/account\":\"LaunchLayer\"");
    add_account("own", "\"nats.io/account\":\"CSC\"");
    add_account("sys", "\"nats.io/account\":\"SYS\"");
    add_account("third", "\"nats.io/account\":\"Third\"");
    add_account("bad", "\"nats.io/account\":\"\"");
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    key = mint_key("P-256", 0);
    fx_write(&dir, FX_POLICY, policy);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_jwks(&dir, key, "k1");
    open_world("--kubernetes.token-review=false");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    EVP_PKEY_free(key);
    return 0;
}

struct row {
    const char *name;   /* of the ServiceAccount; NULL: chiller */
    const char *claims; /* instead of the usual ones; %lld is exp */
    const char *uid, *aud, *kid;
    int64_t exp;
    const char *kind, *type, *mqtt_id;
    enum eb_rc reason;
    bool parks;
    const char *account, *entry, *holds; /* where admitted */
};

static void make_token(const struct row *row, struct eb_buf *to) {
    char header[80], text[900];
    const char *name = row->name ? row->name : "chiller";
    long long now = (long long)eb_wall_s(), exp = now + (row->exp ? row->exp : 600);
    (void)snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", row->kid ? row->kid : "k1");
    if (row->claims)
        (void)snprintf(text, sizeof text, "{\"iss\":\"" ISS "\",\"aud\":[\"nats\"],\"exp\":%lld%s}", exp,
                       row->claims);
    else
        (void)snprintf(
            text, sizeof text,
            "{\"iss\":\"" ISS "\",\"aud\":%s,\"exp\":%lld,\"iat\":%lld,\"nbf\":%lld,"
            "\"sub\":\"system:serviceaccount:plant:%s\",\"kubernetes.io\":{\"namespace\":\"plant\","
            "\"serviceaccount\":{\"name\":\"%s\",\"uid\":\"%s\"}}}",
            row->aud ? row->aud : "[\"nats\"]", exp, now, now, name, name, row->uid ? row->uid : UID);
    mint_token(to, header, text, key, EB_ALG_ES256);
}

static void check(const struct row *row, size_t i, bool waited) {
    eb_auto_buf struct eb_buf token = {0}, payload = {0};
    make_token(row, &token);
    struct fx_request r = {
        .auth_token = token.p, .kind = row->kind, .type = row->type, .mqtt_id = row->mqtt_id};
    fx_request(&r, &payload);
    struct fx_answer a = fx_run(&world, eb_buf_get(&payload), EB_STR_NONE, NULL, waited);
    /* The keys may still be on their way to the first of the rows. */
    for (int rounds = 0; !row->parks && a.outcome == EB_PARK && rounds < 3000; rounds++) {
        fx_answer_done(&a);
        (void)usleep(1000);
        a = fx_run(&world, eb_buf_get(&payload), EB_STR_NONE, NULL, waited);
    }
    if (row->parks && !waited) {
        if (a.outcome != EB_PARK)
            fail_msg("row %zu: outcome %d, %s", i, (int)a.outcome, eb_rc_name(a.reason));
        fx_answer_done(&a);
        check(row, i, true);
        return;
    }
    /* Dropped for as long as the API was not even asked: only its silence or failure refuses. */
    for (int rounds = 0; row->parks && a.outcome == EB_DROP && rounds < 3000; rounds++) {
        fx_answer_done(&a);
        (void)usleep(1000);
        a = fx_run(&world, eb_buf_get(&payload), EB_STR_NONE, NULL, true);
    }
    if (a.outcome != EB_ANSWER || a.reason != row->reason || a.method != EB_METHOD_KUBERNETES)
        fail_msg("row %zu: %s, %s", i, eb_rc_name(a.reason), eb_method_name(a.method));
    if (row->reason == EB_OK) {
        assert_string_equal(a.account, row->account);
        assert_string_equal(a.name, row->entry);
        char *text = json_dumps(a.user.claims, JSON_COMPACT);
        if (row->holds && !strstr(text, row->holds))
            fail_msg("row %zu: %s", i, text);
        free(text);
        assert_true(a.user.exp > eb_wall_s() && a.user.exp <= eb_wall_s() + 600);
    }
    fx_answer_done(&a);
}

static const struct row rows[] = {
    {.account = "CSC", .entry = "plant_chiller", .holds = "\"alarms.>\""},
    {.account = "CSC",
     .entry = "plant_chiller",
     .holds = "\"plant.>\"",
     .type = "websocket",
     .kind = "Client"},
    {.account = "CSC",
     .entry = "plant_chiller",
     .holds = "\"plant.>\"",
     .type = "mqtt",
     .kind = "Client",
     .mqtt_id = "x"},
    {.name = "a.b", .account = "CSC", .entry = "plant_a_b", .holds = "\"_INBOX_plant_a_b.>\""},
    {.name = "launch", .account = "LaunchLayer", .entry = "plant_launch"},
    {.name = "own", .account = "CSC", .entry = "plant_own"},
    {.name = "sys", .reason = EB_E_ACCOUNT_NOT_ALLOWED},
    {.name = "third", .reason = EB_E_ACCOUNT_NOT_ALLOWED},
    {.name = "bad", .reason = EB_E_ACCOUNT_NOT_ALLOWED},
    {.type = "mqtt", .kind = "Client", .mqtt_id = "bms-7", .reason = EB_E_CLIENT_ID},
    {.kind = "Leafnode", .type = "-", .reason = EB_E_LEAF_REFUSED},
    {.aud = "[\"other\"]", .reason = EB_E_WRONG_AUDIENCE},
    {.aud = "[]", .reason = EB_E_WRONG_AUDIENCE},
    {.exp = -1, .reason = EB_E_EXPIRED},
    {.claims = ",\"sub\":\"x\"", .reason = EB_E_MISSING_CLAIM},
    {.claims = ",\"kubernetes.io/serviceaccount/namespace\":\"plant\"", .reason = EB_E_LEGACY_TOKEN},
    {.claims = ",\"sub\":\"system:serviceaccount:plant:pump\",\"kubernetes.io\":{\"namespace\":\"plant\","
               "\"serviceaccount\":{\"name\":\"chiller\",\"uid\":\"" UID "\"}}",
     .reason = EB_E_MALFORMED},
    /* the API is asked, which nobody answers for */
    {.name = "never", .reason = EB_E_KUBE_UNAVAILABLE, .parks = true},
    {.uid = UID2, .reason = EB_E_KUBE_UNAVAILABLE, .parks = true},
    {.kid = "k2", .reason = EB_E_UNKNOWN_KID, .parks = true},
};

static void verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        check(&rows[i], i, false);
}

static void bad_tokens_ask_nothing(void **state) {
    (void)state;
    struct eb_kube_status before, now;
    struct eb_kube *kube = eb_live_sources(world.live)->v[1].kube;
    eb_kube_status(kube, &before);
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        if (!rows[i].parks)
            check(&rows[i], i, false);
    EVP_PKEY *stranger = mint_key("P-256", 0), *own = key;
    key = stranger;
    check(&(struct row){.name = "nobody", .reason = EB_E_BAD_SIGNATURE}, 0, false);
    key = own;
    EVP_PKEY_free(stranger);
    eb_kube_status(kube, &now);
    assert_int_equal(now.lookups, before.lookups);
}

static void reviews_are_refused_without_an_answer(void **state) {
    (void)state;
    fx_world_close(&world);
    open_world("--kubernetes.token-review=true");
    check(&(struct row){.reason = EB_E_KUBE_UNAVAILABLE, .parks = true}, 0, false);
    check(&(struct row){.name = "sys", .reason = EB_E_ACCOUNT_NOT_ALLOWED}, 1, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts), cmocka_unit_test(bad_tokens_ask_nothing),
                                       cmocka_unit_test(reviews_are_refused_without_an_answer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
