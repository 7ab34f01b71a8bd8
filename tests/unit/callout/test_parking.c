/* Which callouts wait for a key: only those that are good otherwise, once, and for half their budget at most.
 */
#include <poll.h>
#include <stdio.h>

#include "clock.h"
#include "fixture.h"

static const char policy[] =
    "oauth2:\n  app: {azp: app, account: CSC}\n  fenced: {azp: fenced, account: CSC, src: [10.0.0.0/8]}\n";
static EVP_PKEY *old_key, *new_key;

static int set_up(void **state) {
    (void)state;
    old_key = mint_key("P-256", 0);
    new_key = mint_key("P-256", 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    EVP_PKEY_free(old_key);
    EVP_PKEY_free(new_key);
    return 0;
}

static struct fx_dir files(bool keys) {
    struct fx_dir d = fx_dir_make();
    fx_write(&d, FX_POLICY, policy);
    fx_write(&d, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    if (keys)
        fx_jwks(&d, old_key, "old");
    return d;
}

static struct fx_answer ask(struct fx_world *w, const char *token, bool waited) {
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.auth_token = token, .budget_s = 4}, &text);
    return fx_run(w, eb_buf_get(&text), EB_STR_NONE, NULL, waited);
}

static bool no_fetch_runs(void *ctx) {
    int64_t *before = ctx;
    return fx_metric("auth_jwks_fetches_total") > *before;
}

static void unknown_kid_waits_once(void **state) {
    (void)state;
    struct fx_dir d = files(true);
    struct fx_world w;
    fx_world_open(&w, &d, NULL);
    eb_auto_buf struct eb_buf t = {0};
    fx_token(&t, new_key, "new", "app", 600, "");
    int64_t fetches = fx_metric("auth_jwks_fetches_total"), errors = fx_metric("auth_errors_total"),
            before = eb_mono_ns();
    struct fx_answer a = ask(&w, t.p, false);
    assert_int_equal(a.outcome, EB_PARK);
    assert_int_equal(a.reason, EB_OK); /* no verdict yet: nothing is counted as one */
    assert_int_equal(a.method, EB_METHOD_NONE);
    assert_int_equal(fx_metric("auth_errors_total"), errors);
    assert_true(a.until_ns >= before + INT64_C(2000000000) &&
                a.until_ns <= eb_mono_ns() + INT64_C(2000000000)); /* half of 4 s */
    fx_answer_done(&a);
    assert_true(fx_wait(no_fetch_runs, &fetches, 5000));
    a = ask(&w, t.p, true);
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_int_equal(a.reason, EB_E_UNKNOWN_KID);
    fx_answer_done(&a);
    (void)poll(NULL, 0, 50);
    /* A flood of them now costs nothing: no more fetches, no more waiting. */
    fetches = fx_metric("auth_jwks_fetches_total");
    for (int i = 0; i < 50; i++) {
        a = ask(&w, t.p, false);
        assert_int_equal(a.outcome, EB_ANSWER);
        assert_int_equal(a.reason, EB_E_UNKNOWN_KID);
        fx_answer_done(&a);
    }
    assert_int_equal(fx_metric("auth_jwks_fetches_total"), fetches);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

static bool has_new_key(void *ctx) {
    struct eb_jwks *set = eb_keysource_get(ctx);
    bool has = set && eb_jwks_has_kid(set, EB_STR("new"));
    eb_jwks_unref(set);
    return has;
}

static void a_new_key_is_found(void **state) {
    (void)state;
    struct fx_dir d = files(true);
    struct fx_world w;
    fx_world_open(&w, &d, NULL);
    eb_auto_buf struct eb_buf t = {0}, old = {0};
    fx_token(&t, new_key, "new", "app", 600, "");
    fx_token(&old, old_key, "old", "app", 600, "");
    fx_jwks(&d, new_key, "new"); /* the provider rotated */
    struct fx_answer a = ask(&w, t.p, false);
    assert_int_equal(a.outcome, EB_PARK);
    fx_answer_done(&a);
    assert_true(fx_wait(has_new_key, w.keys, 5000));
    a = ask(&w, t.p, true);
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_null(a.error);
    fx_answer_done(&a);
    a = ask(&w, old.p, true); /* the withdrawn key is worth nothing */
    assert_int_equal(a.reason, EB_E_UNKNOWN_KID);
    fx_answer_done(&a);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

static void bad_tokens_never_wait(void **state) {
    (void)state;
    struct fx_dir d = files(true);
    struct fx_world w;
    fx_world_open(&w, &d, NULL);
    int64_t fetches = fx_metric("auth_jwks_fetches_total");
    const struct {
        const char *azp, *claims;
        int64_t exp;
        enum eb_rc reason;
    } rows[] = {
        {"app", "", -10, EB_E_EXPIRED},
        {"nobody", "", 600, EB_E_UNKNOWN_IDENTITY},
        {"fenced", "", 600, EB_E_SRC},
        {"app", ",\"at_hash\":\"x\"", 600, EB_E_ID_TOKEN},
        {"app", ",\"nbf\":99999999999", 600, EB_E_NOT_YET_VALID},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf t = {0};
        fx_token(&t, new_key, "new", rows[i].azp, rows[i].exp, rows[i].claims);
        struct fx_answer a = ask(&w, t.p, false);
        assert_int_equal(a.outcome, EB_ANSWER);
        assert_int_equal(a.reason, rows[i].reason);
        fx_answer_done(&a);
    }
    assert_int_equal(fx_metric("auth_jwks_fetches_total"), fetches);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

static void without_any_keys(void **state) {
    (void)state;
    struct fx_dir d = files(false);
    char flag[300];
    (void)snprintf(flag, sizeof flag, "--jwks.path=%s", fx_path(&d, "absent.json"));
    struct fx_world w;
    fx_world_open(&w, &d, (const char *const[]){flag, NULL});
    eb_auto_buf struct eb_buf t = {0};
    fx_token(&t, new_key, "new", "app", 600, "");
    struct fx_answer a = ask(&w, t.p, false);
    assert_int_equal(a.outcome, EB_PARK);
    fx_answer_done(&a);
    a = ask(&w, t.p, true);
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_int_equal(a.reason, EB_E_KEYS_UNAVAILABLE);
    fx_answer_done(&a);
    /* What no key could make good is refused at once. */
    char claims[200];
    (void)snprintf(claims, sizeof claims,
                   "{\"iss\":\"" FX_ISS "\",\"aud\":\"" FX_AUD "\",\"azp\":\"app\",\"exp\":%lld}",
                   (long long)eb_wall_s() + 600);
    mint_hs256(&t, "{\"alg\":\"HS256\",\"kid\":\"new\"}", claims, "secret", 6);
    a = ask(&w, t.p, false);
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_int_equal(a.reason, EB_E_ALG_NOT_ALLOWED);
    fx_answer_done(&a);
    /* Another kind of client is not held up by it. */
    a = fx_ask(&w, &(struct fx_request){.user = "u"});
    assert_int_equal(a.reason, EB_E_UNRECOGNIZED);
    fx_answer_done(&a);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_kid_waits_once),
        cmocka_unit_test(a_new_key_is_found),
        cmocka_unit_test(bad_tokens_never_wait),
        cmocka_unit_test(without_any_keys),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
