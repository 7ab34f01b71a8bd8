/* Seeds: several in a file, lists of files, and refusals that say what is wrong without a piece of the seed.
 */
#include <stdio.h>

#include "fixture.h"
#include "signer.h"

static struct fx_dir dir;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_dir_remove(&dir);
    return 0;
}

/* Loads file as issuer seeds (and curves, where not NULL). */
static enum eb_rc load(const char *issuers, const char *curves, struct eb_signer **ret, struct eb_buf *told) {
    char a[300] = "", b[300] = "";
    const char *flags[3] = {a, NULL, NULL};
    fx_write(&dir, "issuers", issuers);
    (void)snprintf(a, sizeof a, "--nats.issuer-seed-file=%s", fx_path(&dir, "issuers"));
    if (curves) {
        fx_write(&dir, "curves", curves);
        (void)snprintf(b, sizeof b, "--nats.xkey-seed-file=%s", fx_path(&dir, "curves"));
        flags[1] = b;
    }
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c = fx_config(flags, &f);
    MINT_MUST(c);
    enum eb_rc rc = eb_signer_load(c, ret, &f);
    eb_config_free(c);
    eb_findings_print(&f, told);
    assert_int_equal(rc == EB_OK, f.errors == 0);
    return rc;
}

static void takes(void **state) {
    (void)state;
    static const struct {
        const char *what, *issuers, *curves, *describe;
    } rows[] = {
        {"one seed", ACCOUNT_R0_SEED, NULL, "issuers " ACCOUNT_R0 ", no xkey"},
        {"with line end", ACCOUNT_R0_SEED "\n", NULL, "issuers " ACCOUNT_R0 ", no xkey"},
        {"with CRLF and blanks", "  " ACCOUNT_R0_SEED " \r\n\r\n", NULL, "issuers " ACCOUNT_R0 ", no xkey"},
        {"with its public key", ACCOUNT_R0_SEED "\n" ACCOUNT_R0 "\n", NULL,
         "issuers " ACCOUNT_R0 ", no xkey"},
        {"two", ACCOUNT_R0_SEED "\n" ACCOUNT_R1_SEED "\n", NULL,
         "issuers " ACCOUNT_R0 " " ACCOUNT_R1 ", no xkey"},
        {"two with public keys and comments",
         "# old\n" ACCOUNT_R0_SEED "\n" ACCOUNT_R0 "\n\n# new\n" ACCOUNT_R1_SEED "\n" ACCOUNT_R1 "\n", NULL,
         "issuers " ACCOUNT_R0 " " ACCOUNT_R1 ", no xkey"},
        {"one twice", ACCOUNT_R0_SEED "\n" ACCOUNT_R0_SEED "\n", NULL, "issuers " ACCOUNT_R0 ", no xkey"},
        {"curves", ACCOUNT_R0_SEED, CURVE_R0_SEED "\n" CURVE_R1_SEED "\n",
         "issuers " ACCOUNT_R0 ", xkeys " CURVE_R0 " " CURVE_R1},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_signer_unrefp) struct eb_signer *s = NULL;
        eb_auto_buf struct eb_buf told = {0}, text = {0};
        if (load(rows[i].issuers, rows[i].curves, &s, &told) != EB_OK)
            fail_msg("%s: %s", rows[i].what, told.p);
        eb_signer_describe(s, &text);
        assert_string_equal(text.p, rows[i].describe);
    }
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *what, *issuers, *curves;
        const char *says; /* a piece of the finding */
    } rows[] = {
        {"a user seed", USER_R0_SEED "\n", NULL, "account seed (SA...)"},
        {"an operator seed", OPERATOR_R0_SEED, NULL, "account seed (SA...)"},
        {"a curve seed for an issuer", CURVE_R0_SEED, NULL, "account seed (SA...)"},
        {"an account seed for a curve", ACCOUNT_R0_SEED, ACCOUNT_R0_SEED, "curve seed (SX...)"},
        {"a user seed beside a good one", ACCOUNT_R0_SEED "\n" USER_R0_SEED "\n", NULL, "issuers:2"},
        {"an empty file", " \n", NULL, "empty"},
        {"comments only", "# nothing\n", NULL, "no seed"},
        {"a public key only", ACCOUNT_R0 "\n", NULL, "neither a seed nor"},
        {"another's public key", ACCOUNT_R0_SEED "\n" ACCOUNT_R1 "\n", NULL, "issuers:2"},
        {"a bad checksum", "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHA\n", NULL, "issuers:1"},
        {"lower case", "saaaaaicamcakbqhbaequcymbuha6earcijrifiwc4mbsgq3dqor4hymhi\n", NULL, "issuers:1"},
        {"two seeds in a line", ACCOUNT_R0_SEED " " ACCOUNT_R1_SEED "\n", NULL, "issuers:1"},
        {"the curve file is bad", ACCOUNT_R0_SEED, "SXgarbage", "curves:1"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_signer *s = NULL;
        eb_auto_buf struct eb_buf told = {0};
        if (load(rows[i].issuers, rows[i].curves, &s, &told) == EB_OK || s)
            fail_msg("%s was taken", rows[i].what);
        if (!strstr(told.p, rows[i].says))
            fail_msg("%s: no \"%s\" in %s", rows[i].what, rows[i].says, told.p);
        static const char *const pieces[] = {"SUAAA",     "SAAAA",     "SXAAA", "SOAAA",
                                             "AICAMCAKB", "SXgarbage", "saaaa"};
        for (size_t p = 0; p < EB_COUNT_OF(pieces); p++)
            if (strstr(told.p, pieces[p]))
                fail_msg("%s: a piece of the seed is told: %s", rows[i].what, told.p);
    }
}

static void an_unreadable_file_is_told(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c =
        fx_config((const char *const[]){"--nats.issuer-seed-file=/nonexistent/seed.nk", NULL}, &f);
    struct eb_signer *s = NULL;
    assert_int_equal(eb_signer_load(c, &s, &f), EB_E_INVALID);
    eb_config_free(c);
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    assert_non_null(strstr(told.p, "/nonexistent/seed.nk"));
    assert_non_null(strstr(told.p, "nats.issuer-seed-file"));
}

static void too_many(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf seeds = {0}, told = {0};
    for (int i = 0; i < 33; i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        assert_int_equal(eb_nkey_generate(EB_NKEY_ACCOUNT, &k), EB_OK);
        EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
        eb_buf_str(&seeds, eb_secret_get(seed));
        eb_buf_ch(&seeds, '\n');
    }
    struct eb_signer *s = NULL;
    assert_int_equal(load(seeds.p, NULL, &s, &told), EB_E_INVALID);
    assert_non_null(strstr(told.p, "more than 32 seeds"));
}

static void finds_and_signs(void **state) {
    (void)state;
    EB_CLEANUP(eb_signer_unrefp) struct eb_signer *s = NULL;
    eb_auto_buf struct eb_buf told = {0};
    assert_int_equal(load(ACCOUNT_R0_SEED "\n" ACCOUNT_R1_SEED "\n", CURVE_R0_SEED, &s, &told), EB_OK);
    assert_null(eb_signer_issuer(s, EB_STR(USER_R0)));
    assert_null(eb_signer_issuer(s, EB_STR("")));
    assert_null(eb_signer_issuer(s, EB_STR_NONE));
    const struct eb_nkey *k = eb_signer_issuer(s, EB_STR(ACCOUNT_R1));
    assert_non_null(k);
    uint8_t sig[EB_NKEY_SIG_LEN];
    struct eb_signer *again = eb_signer_ref(s);
    assert_int_equal(eb_signer_sign((void *)(uintptr_t)k, EB_STR("text"), sig), EB_OK);
    assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), EB_STR("text"), sig), EB_OK);
    eb_signer_unref(again);
    assert_int_equal(eb_signer_curves(s), 1);
    assert_string_equal(eb_nkey_public(eb_signer_curve(s, 0)), CURVE_R0);
}

/* Operator mode: what stands in the configuration file. */
static enum eb_rc load_accounts(const char *yaml, struct eb_signer **ret, struct eb_buf *told) {
    char flag[300], issuers[300];
    fx_write(&dir, "accounts.yaml", yaml);
    fx_write(&dir, "issuers", ACCOUNT_R0_SEED);
    (void)snprintf(flag, sizeof flag, "--config=%s", fx_path(&dir, "accounts.yaml"));
    (void)snprintf(issuers, sizeof issuers, "--nats.issuer-seed-file=%s", fx_path(&dir, "issuers"));
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c = fx_config((const char *const[]){flag, issuers, NULL}, &f);
    enum eb_rc rc = c ? eb_signer_load(c, ret, &f) : EB_E_INVALID;
    eb_config_free(c);
    eb_findings_print(&f, told);
    return rc;
}

static void accounts(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *sk = NULL;
    assert_int_equal(eb_nkey_generate(EB_NKEY_ACCOUNT, &sk), EB_OK);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(sk);
    struct eb_str seed_text = eb_secret_get(seed);
    static const struct {
        const char *what, *yaml, *says; /* %s: the seed of a signing key; says NULL: taken */
    } rows[] = {
        {"by its own key", "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: " ACCOUNT_R1_SEED "}}", NULL},
        {"by a signing key", "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: %s}}", NULL},
        {"scoped", "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: %s, scoped: true}}", NULL},
        {"the own key scoped",
         "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: " ACCOUNT_R1_SEED ", scoped: true}}",
         "has no scope"},
        {"the callout account", "accounts: {APP: {id: " ACCOUNT_R0 ", signing-seed: %s}}", "callout account"},
        {"the callout account's key",
         "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: " ACCOUNT_R0_SEED "}}", "callout account"},
        {"the callout account by issuer-account",
         "nats: {issuer-account: " ACCOUNT_R1 "}\naccounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: %s}}",
         "callout account"},
        {"a user's id", "accounts: {APP: {id: " USER_R0 ", signing-seed: %s}}", "accounts.APP"},
        {"a user's seed", "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: " USER_R0_SEED "}}",
         "account seed (SA...)"},
        {"one id twice",
         "accounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: %s}, B: {id: " ACCOUNT_R1
         ", signing-seed: " ACCOUNT_R1_SEED "}}",
         "same id"},
        {"an account that nothing can sign for",
         "allowed-accounts: [APP, OTHER]\naccounts: {APP: {id: " ACCOUNT_R1 ", signing-seed: %s}}",
         "no key for OTHER"},
        {"issuer-account of a user", "nats: {issuer-account: " USER_R0 "}", "nats.issuer-account"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_signer_unrefp) struct eb_signer *s = NULL;
        eb_auto_buf struct eb_buf yaml = {0}, told = {0};
        const char *at = strstr(rows[i].yaml, "%s");
        eb_buf_add(&yaml, rows[i].yaml, at ? (size_t)(at - rows[i].yaml) : strlen(rows[i].yaml));
        if (at) {
            eb_buf_str(&yaml, seed_text);
            eb_buf_z(&yaml, at + 2);
        }
        enum eb_rc rc = load_accounts(yaml.p, &s, &told);
        if ((rc == EB_OK) != !rows[i].says || (rows[i].says && !strstr(told.p, rows[i].says)))
            fail_msg("%s: %s: %s", rows[i].what, eb_rc_name(rc), told.p ? told.p : "");
        if (told.p && strstr(told.p, "SAAAA"))
            fail_msg("%s: a piece of the seed is told", rows[i].what);
        if (rc != EB_OK)
            continue;
        const struct eb_signer_account *a = eb_signer_account(s, EB_STR("APP"));
        assert_true(eb_signer_operator_mode(s) && a && !eb_signer_account(s, EB_STR("AP")));
        assert_string_equal(a->id, ACCOUNT_R1);
        assert_int_equal(a->scoped, i == 2);
        assert_string_equal(eb_nkey_public(a->key), i == 0 ? ACCOUNT_R1 : eb_nkey_public(sk));
    }
}

/* A signing key answers for the account that it is said to belong to, and for no other. */
static void issuer_account(void **state) {
    (void)state;
    EB_CLEANUP(eb_signer_unrefp) struct eb_signer *s = NULL;
    eb_auto_buf struct eb_buf told = {0};
    assert_int_equal(load_accounts("nats: {issuer-account: " ACCOUNT_R1 "}", &s, &told), EB_OK);
    assert_false(eb_signer_operator_mode(s));
    assert_string_equal(eb_nkey_public(eb_signer_issuer(s, EB_STR(ACCOUNT_R1))), ACCOUNT_R0);
    assert_string_equal(eb_nkey_public(eb_signer_issuer(s, EB_STR(ACCOUNT_R0))), ACCOUNT_R0);
    assert_null(eb_signer_issuer(s, EB_STR(USER_R0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(an_unreadable_file_is_told),
        cmocka_unit_test(too_many),
        cmocka_unit_test(finds_and_signs),
        cmocka_unit_test(accounts),
        cmocka_unit_test(issuer_account),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
