#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/file.h"
#include "site/secrets.h"

#define SEED "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
#define PUBLIC "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define OTHER "UAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF2GUM"

static struct eb_site_text ids[] = {{EB_STR("1"), 1}, {EB_STR("west2"), 2}};
static struct eb_site_extra extras[] = {
    {{EB_STR("Cooling"), 3}, EB_STR("cooling"), false, false},
    {{EB_STR("LaunchLayer"), 4}, EB_STR("launchlayer"), true, true},
};

static struct eb_site csc(void) {
    return (struct eb_site){.type = EB_SITE_CSC,
                            .id = EB_STR(""),
                            .name = EB_STR("csc"),
                            .mtls = true,
                            .cpc_ids = {ids, 2},
                            .extras = extras,
                            .extras_n = 2};
}
static struct eb_site cpc(void) {
    return (struct eb_site){.type = EB_SITE_CPC,
                            .id = EB_STR("1"),
                            .name = EB_STR("cpc-1"),
                            .mtls = true,
                            .extras = extras,
                            .extras_n = 2};
}

struct row {
    const char *name;
    enum eb_nkey_kind kind;
    unsigned files;
    const char *peer_site, *peer_name;
};
#define BOTH (EB_SECRET_SEED | EB_SECRET_PUBKEY)
static const struct row of_csc[] = {
    {"nats-auth-signing", EB_NKEY_ACCOUNT, BOTH, "", ""},
    {"nats-auth-watch", EB_NKEY_USER, BOTH, "", ""},
    {"nats-authx-user", EB_NKEY_USER, BOTH | EB_SECRET_PUBKEY_OLD, "", ""},
    {"nats-leaf-cpc-1", EB_NKEY_USER, EB_SECRET_PUBKEY, "cpc-1", "nats-leaf-csc"},
    {"nats-leaf-cpc-west2", EB_NKEY_USER, EB_SECRET_PUBKEY, "cpc-west2", "nats-leaf-csc"},
    {"nats-leaf-launchlayer-cpc-1", EB_NKEY_USER, EB_SECRET_PUBKEY, "cpc-1", "nats-leaf-launchlayer-csc"},
    {"nats-leaf-launchlayer-cpc-west2", EB_NKEY_USER, EB_SECRET_PUBKEY, "cpc-west2",
     "nats-leaf-launchlayer-csc"},
    {"nats-mtls-authx-leaf", EB_NKEY_USER, BOTH, "", ""},
    {"nats-mtls-leaf", EB_NKEY_USER, BOTH, "", ""},
    {"nats-mtls-sys-leaf", EB_NKEY_USER, BOTH, "", ""},
    {"nats-nack-user", EB_NKEY_USER, BOTH, "", ""},
    {"nats-streams", EB_NKEY_USER, BOTH, "", ""},
    {"nats-surveyor", EB_NKEY_USER, BOTH, "", ""},
    {"nats-sys-admin", EB_NKEY_USER, BOTH, "", ""},
    {"nats-xkey", EB_NKEY_CURVE, BOTH, "", ""},
};
static const struct row leaves_of_cpc[] = {
    {"nats-leaf-csc", EB_NKEY_USER, EB_SECRET_SEED, "csc", "nats-leaf-cpc-1"},
    {"nats-leaf-launchlayer-csc", EB_NKEY_USER, EB_SECRET_SEED, "csc", "nats-leaf-launchlayer-cpc-1"},
};

static void is_row(const struct eb_secret_def *d, const struct row *r) {
    assert_string_equal(d->name, r->name);
    assert_int_equal(d->kind, r->kind);
    assert_int_equal(d->files, r->files);
    assert_string_equal(d->peer_site, r->peer_site);
    assert_string_equal(d->peer_name, r->peer_name);
}

static void table_of_the_csc(void **state) {
    (void)state;
    struct eb_site site = csc();
    eb_auto_free struct eb_secret_def *defs = NULL;
    size_t n = 0;
    assert_int_equal(eb_secrets_of(&site, &defs, &n, NULL), EB_OK);
    assert_int_equal(n, EB_COUNT_OF(of_csc));
    for (size_t i = 0; i < n; i++)
        is_row(&defs[i], &of_csc[i]);
}

static void table_of_a_cpc(void **state) {
    (void)state;
    struct eb_site site = cpc();
    eb_auto_free struct eb_secret_def *defs = NULL;
    size_t n = 0, leaf = 0;
    assert_int_equal(eb_secrets_of(&site, &defs, &n, NULL), EB_OK);
    assert_int_equal(n, 13);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || strcmp(defs[i - 1].name, defs[i].name) < 0);
        if (defs[i].peer_site[0])
            is_row(&defs[i], &leaves_of_cpc[leaf++]);
    }
    assert_int_equal(leaf, 2);
}

static void without_mtls_and_cpcs(void **state) {
    (void)state;
    struct eb_site site = csc();
    eb_auto_free struct eb_secret_def *defs = NULL;
    size_t n = 0;
    site.mtls = false;
    site.cpc_ids.n = 0;
    assert_int_equal(eb_secrets_of(&site, &defs, &n, NULL), EB_OK);
    assert_int_equal(n, 8);
    for (size_t i = 0; i < n; i++)
        assert_null(strstr(defs[i].name, "leaf"));
}

static void names_that_do_not_fit(void **state) {
    (void)state;
    static char lower[100];
    static const struct {
        size_t n;
        bool good;
    } rows[] = {{48, true}, {79, true}, {80, false}, {99, false}};
    memset(lower, 'a', sizeof lower);
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_site site = cpc();
        struct eb_site_extra extra = {.lower = eb_str_n(lower, rows[i].n), .enabled = true};
        eb_auto_free struct eb_secret_def *defs = NULL;
        struct eb_err err = {0};
        size_t n = 0;
        site.extras = &extra;
        site.extras_n = 1;
        enum eb_rc rc = eb_secrets_of(&site, &defs, &n, &err);
        assert_int_equal(rc, rows[i].good ? EB_OK : EB_E_INVALID);
        assert_true(rows[i].good == !strstr(err.text, "too long"));
    }
}

/* --- a tree
 * ------------------------------------------------------------------------------------------------- */

static char root[] = "/tmp/eb-secrets-XXXXXX";

static void put(const char *secret, const char *file, const char *text) {
    char path[200];
    (void)snprintf(path, sizeof path, "%s/cpc-1/nkeys/%s", root, secret);
    assert_true(mkdir(path, 0700) == 0 || access(path, F_OK) == 0);
    (void)snprintf(path, sizeof path, "%s/cpc-1/nkeys/%s/%s", root, secret, file);
    assert_int_equal(eb_file_write(path, eb_str(text), 0600, NULL), EB_OK);
}

static void drop(const char *secret, const char *file) {
    char path[200];
    (void)snprintf(path, sizeof path, "%s/cpc-1/nkeys/%s/%s", root, secret, file);
    assert_int_equal(unlink(path), 0);
}

/* Every pair of the CPC, whole. */
static int set_up(void **state) {
    (void)state;
    char path[100];
    struct eb_site site = cpc();
    eb_auto_free struct eb_secret_def *defs = NULL;
    size_t n = 0;
    (void)memcpy(root + sizeof root - 7, "XXXXXX", 6);
    if (sodium_init() < 0 || !mkdtemp(root) || eb_secrets_of(&site, &defs, &n, NULL) != EB_OK)
        return -1;
    (void)snprintf(path, sizeof path, "%s/cpc-1", root);
    if (mkdir(path, 0700) < 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/cpc-1/nkeys", root);
    if (mkdir(path, 0700) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = NULL;
        if (eb_nkey_generate(defs[i].kind, &key) != EB_OK)
            return -1;
        EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(key);
        char text[EB_NKEY_SEED_LEN + 1];
        (void)snprintf(text, sizeof text, "%.*s", EB_STR_ARG(eb_secret_get(seed)));
        if (defs[i].files & EB_SECRET_SEED)
            put(defs[i].name, "seed", text);
        if (defs[i].files & EB_SECRET_PUBKEY)
            put(defs[i].name, "pubkey", eb_nkey_public(key));
    }
    put("nats-streams", "seed", SEED "\n");
    put("nats-streams", "pubkey", PUBLIC "\n");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void reads_a_whole_tree(void **state) {
    (void)state;
    struct eb_site site = cpc();
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_pubkeys_freep) struct eb_pubkeys *keys = NULL;
    drop("nats-surveyor", "seed"); /* as a server has it */
    drop("nats-streams", "pubkey");
    assert_int_equal(eb_pubkeys_read(root, &site, &keys, &f), EB_OK);
    assert_int_equal(f.n, 0);
    assert_string_equal(eb_pubkeys_get(keys, "nats-streams"), PUBLIC); /* derived */
    assert_int_equal(eb_pubkeys_get(keys, "nats-xkey")[0], 'X');
    assert_int_equal(eb_pubkeys_get(keys, "nats-auth-signing")[0], 'A');
    assert_int_equal(eb_pubkeys_get(keys, "nats-leaf-csc")[0], 'U'); /* only a seed is there */
    assert_int_equal(eb_pubkeys_get(keys, "nats-surveyor")[0], 'U');
    assert_null(eb_pubkeys_get(keys, "nats-leaf-cpc-1"));
    assert_null(eb_pubkeys_get(keys, "nats-authx-user/pubkey-old"));
    assert_null(eb_pubkeys_get(keys, ""));
}

/* The key that a pair replaces, of the one secret that may have it; all others are still found. */
static void reads_an_old_key_beside_the_pair(void **state) {
    (void)state;
    struct eb_site site = cpc();
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_free struct eb_secret_def *defs = NULL;
    EB_CLEANUP(eb_pubkeys_freep) struct eb_pubkeys *keys = NULL;
    size_t n = 0;
    put("nats-authx-user", "pubkey-old", OTHER "\n");
    put("nats-surveyor", "pubkey-old", "of no meaning");
    assert_int_equal(eb_pubkeys_read(root, &site, &keys, &f), EB_OK);
    assert_int_equal(f.n, 0);
    assert_string_equal(eb_pubkeys_get(keys, "nats-authx-user/pubkey-old"), OTHER);
    assert_string_not_equal(eb_pubkeys_get(keys, "nats-authx-user"), OTHER);
    assert_null(eb_pubkeys_get(keys, "nats-surveyor/pubkey-old"));
    assert_int_equal(eb_secrets_of(&site, &defs, &n, NULL), EB_OK);
    for (size_t i = 0; i < n; i++)
        assert_non_null(eb_pubkeys_get(keys, defs[i].name));
}

static void tells_each_fault(void **state) {
    (void)state;
    static char big[300];
    memset(big, 'A', sizeof big - 1);
    static const struct {
        const char *secret, *file, *text; /* NULL = removed */
        const char *path, *says, *mend;   /* of the finding */
    } rows[] = {
        {"nats-streams", "pubkey", OTHER, "nats-streams/pubkey", "not the public key of the seed",
         "put back"},
        {"nats-streams", "pubkey", SEED, "nats-streams/pubkey", "", "eventbus key public"},
        {"nats-streams", "pubkey", "", "nats-streams/pubkey", "empty", "put the right file back"},
        {"nats-streams", "pubkey", big, "nats-streams/pubkey", "longer than", "put the right file back"},
        {"nats-streams", "seed", PUBLIC, "nats-streams/seed", "", "put the right seed back"},
        {"nats-streams", "seed", SEED "\n" PUBLIC "\n", "nats-streams/seed", "", "put the right seed back"},
        {"nats-auth-signing", "seed", SEED, "nats-auth-signing/seed", "user", "put the right seed back"},
        {"nats-authx-user", "pubkey-old", SEED, "nats-authx-user/pubkey-old", "", "remove it"},
        {"nats-authx-user", "pubkey-old", "", "nats-authx-user/pubkey-old", "empty",
         "put the right file back"},
        {"nats-leaf-csc", "seed", NULL, "nats-leaf-csc", "missing", "with `--cpc 1`"},
        {"nats-leaf-launchlayer-csc", "seed", NULL, "nats-leaf-launchlayer-csc", "missing",
         "`--extra-account`"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_site site = cpc();
        eb_auto_findings struct eb_findings f = {0};
        struct eb_pubkeys *keys = NULL;
        assert_int_equal(set_up(NULL), 0);
        if (rows[i].text)
            put(rows[i].secret, rows[i].file, rows[i].text);
        else
            drop(rows[i].secret, rows[i].file);
        assert_int_equal(eb_pubkeys_read(root, &site, &keys, &f), EB_E_INVALID);
        assert_null(keys);
        assert_int_equal(f.n, 1);
        assert_int_equal(f.items[0].severity, EB_ERROR);
        assert_true(eb_str_ends(eb_str(f.items[0].file), eb_str(rows[i].path)));
        assert_non_null(strstr(f.items[0].text, rows[i].says));
        assert_non_null(strstr(f.items[0].mend, rows[i].mend));
        assert_null(strstr(f.items[0].text, SEED));
        assert_int_equal(tear_down(NULL), 0);
    }
}

static void does_not_wait_at_a_pipe(void **state) {
    (void)state;
    struct eb_site site = cpc();
    eb_auto_findings struct eb_findings f = {0};
    struct eb_pubkeys *keys = NULL;
    char path[100];
    drop("nats-xkey", "seed");
    (void)snprintf(path, sizeof path, "%s/cpc-1/nkeys/nats-xkey/seed", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(eb_pubkeys_read(root, &site, &keys, &f), EB_E_INVALID);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.items[0].text, "not a file");
}

static void no_tree_at_all(void **state) {
    (void)state;
    struct eb_site site = csc(); /* only cpc-1 is there */
    eb_auto_findings struct eb_findings f = {0};
    struct eb_pubkeys *keys = NULL;
    assert_int_equal(eb_pubkeys_read(root, &site, &keys, &f), EB_E_INVALID);
    assert_int_equal(f.errors, EB_COUNT_OF(of_csc));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_the_csc),
        cmocka_unit_test(table_of_a_cpc),
        cmocka_unit_test(without_mtls_and_cpcs),
        cmocka_unit_test(names_that_do_not_fit),
        cmocka_unit_test_setup_teardown(reads_a_whole_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_an_old_key_beside_the_pair, set_up, tear_down),
        cmocka_unit_test(tells_each_fault),
        cmocka_unit_test_setup_teardown(does_not_wait_at_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_tree_at_all, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
