/* Sealed requests: the answer is sealed to the server that asked with the key that opened it; shared secrets
 * are kept within a bound. */
#include "fixture.h"

#define SERVER_CURVE CURVE_R0
#define SERVER_CURVE_SEED CURVE_R0_SEED

static struct fx_dir dir;
static struct fx_world world;
static char *second_seed, *second_public;

static char *new_seed(enum eb_nkey_kind kind, char **ret_public) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    MINT_MUST(eb_nkey_generate(kind, &k) == EB_OK);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *s = eb_nkey_seed(k);
    if (ret_public)
        *ret_public = eb_str_dup(eb_str(eb_nkey_public(k)));
    return eb_str_dup(eb_secret_get(s));
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    second_seed = new_seed(EB_NKEY_CURVE, &second_public);
    fx_write(&dir, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b, "%s\n%s\n%s\n", CURVE_R1_SEED, second_seed, second_public);
    fx_write(&dir, FX_CURVES, b.p);
    fx_world_open(&world, &dir, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    free(second_seed);
    free(second_public);
    return 0;
}

/* Seals text from one seed to the public half of another. */
static void seal(const char *from_seed, const char *to_seed, struct eb_str text, struct eb_buf *to) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *own = fixture_key(from_seed), *peer = fixture_key(to_seed);
    struct eb_xkey_shared s;
    eb_buf_reset(to);
    MINT_MUST(eb_xkey_shared_init(&s, own, eb_nkey_public_raw(peer)) == EB_OK);
    MINT_MUST(eb_xkey_seal(&s, text, to) == EB_OK);
}

static void sealed_request(const char *our_seed, const char *signed_xkey, struct eb_buf *to) {
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.xkey = signed_xkey}, &text);
    seal(SERVER_CURVE_SEED, our_seed, eb_buf_get(&text), to);
}

static void answers_with_the_key_that_opened(void **state) {
    (void)state;
    const char *ours[] = {CURVE_R1_SEED, second_seed, CURVE_R1_SEED, second_seed};
    for (size_t i = 0; i < EB_COUNT_OF(ours); i++) {
        eb_auto_buf struct eb_buf b = {0};
        sealed_request(ours[i], SERVER_CURVE, &b);
        struct fx_answer a = fx_run(&world, eb_buf_get(&b), EB_STR(SERVER_CURVE), ours[i], false);
        assert_int_equal(a.outcome, EB_ANSWER);
        assert_null(a.error);
        assert_string_equal(a.account, "CSC");
        fx_answer_done(&a);
    }
}

static void refusals_are_sealed_too(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0}, b = {0};
    fx_request(&(struct fx_request){.xkey = SERVER_CURVE, .user = "u", .pass = "p"}, &text);
    seal(SERVER_CURVE_SEED, CURVE_R1_SEED, eb_buf_get(&text), &b);
    struct fx_answer a = fx_run(&world, eb_buf_get(&b), EB_STR(SERVER_CURVE), CURVE_R1_SEED, false);
    assert_string_equal(a.error, "authentication failed");
    fx_answer_done(&a);
}

static void expect_drop(const char *what, struct eb_str payload, struct eb_str header, enum eb_rc reason) {
    struct fx_answer a = fx_run(&world, payload, header, NULL, false);
    if (a.outcome != EB_DROP || a.reason != reason)
        fail_msg("%s: outcome %d, reason %s", what, (int)a.outcome, eb_rc_name(a.reason));
    fx_answer_done(&a);
}

static void header_and_signed_key_must_agree(void **state) {
    (void)state;
    eb_auto_free char *stranger_public = NULL;
    eb_auto_free char *stranger = new_seed(EB_NKEY_CURVE, &stranger_public);
    eb_auto_buf struct eb_buf b = {0}, text = {0}, sealed = {0};
    sealed_request(CURVE_R1_SEED, SERVER_CURVE, &b);
    expect_drop("no header", eb_buf_get(&b), EB_STR_NONE, EB_E_REQ_XKEY);
    expect_drop("empty header", eb_buf_get(&b), EB_STR(""), EB_E_REQ_XKEY);
    expect_drop("a header that is no key", eb_buf_get(&b), EB_STR("xkey"), EB_E_REQ_XKEY);
    expect_drop("a user key in the header", eb_buf_get(&b), EB_STR(USER_R0), EB_E_REQ_XKEY);
    expect_drop("another key in the header", eb_buf_get(&b), eb_str(stranger_public), EB_E_REQ_XKEY);
    /* A stranger opened a genuine request (say, one sealed to him) and seals it again as his own. */
    fx_request(&(struct fx_request){.xkey = SERVER_CURVE}, &text);
    seal(stranger, CURVE_R1_SEED, eb_buf_get(&text), &sealed);
    expect_drop("sealed again by a stranger", eb_buf_get(&sealed), eb_str(stranger_public), EB_E_REQ_XKEY);
    /* A request that names no xkey inside the seal. */
    sealed_request(CURVE_R1_SEED, NULL, &b);
    expect_drop("no signed xkey", eb_buf_get(&b), EB_STR(SERVER_CURVE), EB_E_REQ_XKEY);
}

static void seals_that_do_not_open(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    sealed_request(CURVE_R0_SEED, SERVER_CURVE, &b); /* to a key that is not ours */
    expect_drop("to another key", eb_buf_get(&b), EB_STR(SERVER_CURVE), EB_E_REQ_XKEY);
    sealed_request(CURVE_R1_SEED, SERVER_CURVE, &b);
    for (size_t i = 4; i < b.n; i += b.n / 9) {
        eb_auto_free char *copy = malloc(b.n);
        memcpy(copy, b.p, b.n);
        copy[i] = (char)(copy[i] ^ 1);
        expect_drop("one bit turned", eb_str_n(copy, b.n), EB_STR(SERVER_CURVE), EB_E_REQ_XKEY);
    }
    for (size_t n = 4; n < 60 && n < b.n; n += 5) {
        eb_auto_free char *copy = malloc(n);
        memcpy(copy, b.p, n);
        expect_drop("cut", eb_str_n(copy, n), EB_STR(SERVER_CURVE), EB_E_REQ_XKEY);
    }
    eb_auto_buf struct eb_buf nothing = {0};
    seal(SERVER_CURVE_SEED, CURVE_R1_SEED, EB_STR(""), &nothing);
    expect_drop("nothing sealed", eb_buf_get(&nothing), EB_STR(SERVER_CURVE), EB_E_REQ_MALFORMED);
    struct fx_answer a = fx_run(&world, eb_buf_get(&b), EB_STR(SERVER_CURVE), CURVE_R1_SEED, false);
    assert_null(a.error); /* and the good one still opens */
    fx_answer_done(&a);
}

static void without_an_xkey(void **state) {
    (void)state;
    struct fx_dir bare = fx_dir_make();
    struct fx_world w;
    fx_write(&bare, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&bare, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_world_open(&w, &bare, NULL);
    eb_auto_buf struct eb_buf b = {0};
    sealed_request(CURVE_R1_SEED, SERVER_CURVE, &b);
    struct fx_answer a = fx_run(&w, eb_buf_get(&b), EB_STR(SERVER_CURVE), NULL, false);
    assert_int_equal(a.outcome, EB_DROP);
    assert_int_equal(a.reason, EB_E_REQ_XKEY);
    fx_answer_done(&a);
    fx_world_close(&w);
    fx_dir_remove(&bare);
}

/* More servers than secrets are kept: all of them are served, again and again. */
static void many_servers(void **state) {
    (void)state;
    enum { SERVERS = EB_SEALING_PEERS + 64 };
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(world.live, &v);
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *ours = fixture_key(CURVE_R1_SEED);
    static struct {
        char public[EB_NKEY_PUBLIC_LEN + 1];
        struct eb_buf sealed;
        struct eb_xkey_shared shared;
    } servers[SERVERS];
    for (size_t i = 0; i < SERVERS; i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        assert_int_equal(eb_nkey_generate(EB_NKEY_CURVE, &k), EB_OK);
        memcpy(servers[i].public, eb_nkey_public(k), sizeof servers[i].public);
        assert_int_equal(eb_xkey_shared_init(&servers[i].shared, k, eb_nkey_public_raw(ours)), EB_OK);
        assert_int_equal(eb_xkey_seal(&servers[i].shared, eb_str(servers[i].public), &servers[i].sealed),
                         EB_OK);
    }
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < SERVERS; i++) {
            eb_auto_buf struct eb_buf plain = {0};
            struct eb_xkey_shared shared;
            assert_int_equal(eb_sealing_open(world.callout.sealing, v.signer, eb_str(servers[i].public),
                                             eb_buf_get(&servers[i].sealed), &plain, &shared, NULL),
                             EB_OK);
            assert_string_equal(plain.p, servers[i].public);
            assert_memory_equal(shared.key, servers[i].shared.key, sizeof shared.key);
        }
    for (size_t i = 0; i < SERVERS; i++)
        eb_buf_done(&servers[i].sealed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_the_key_that_opened),
        cmocka_unit_test(refusals_are_sealed_too),
        cmocka_unit_test(header_and_signed_key_must_agree),
        cmocka_unit_test(seals_that_do_not_open),
        cmocka_unit_test(without_an_xkey),
        cmocka_unit_test(many_servers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
