#include "kube/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "kube_table.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

static const struct eb_kube_rules rules = {.allow_jetstream = false};

static struct eb_kube_account *make(const char *ns, const char *name, const char *uid, const char *sub) {
    json_t *object = json_pack("{s:{s:s,s:s,s:s,s:{s:s}}}", "metadata", "namespace", ns, "name", name, "uid",
                               uid, "annotations", EB_KUBE_ANNOTATION_SUB, sub);
    struct eb_kube_account *a = NULL;
    assert_non_null(object);
    assert_int_equal(eb_kube_account_read(object, &rules, &a, NULL), EB_OK);
    json_decref(object);
    return a;
}

static enum eb_kube_change put(struct eb_kube_table *t, const char *ns, const char *name, const char *uid,
                               const char *sub) {
    struct eb_kube_account *a = make(ns, name, uid, sub);
    enum eb_kube_change change = EB_KUBE_SAME;
    assert_int_equal(eb_kube_table_put(t, a, &change, NULL), EB_OK);
    eb_kube_account_unref(a);
    return change;
}

static enum eb_kube_change add(struct eb_kube_relist *r, const char *ns, const char *name, const char *uid) {
    struct eb_kube_account *a = make(ns, name, uid, "");
    enum eb_kube_change change = EB_KUBE_SAME;
    assert_int_equal(eb_kube_relist_add(r, a, &change, NULL), EB_OK);
    eb_kube_account_unref(a);
    return change;
}

static bool has(struct eb_kube_table *t, const char *ns, const char *name, const char *uid) {
    struct eb_kube_account *a = eb_kube_table_find(t, eb_str(ns), eb_str(name));
    bool ok = a && eb_str_eqz(a->uid, uid) && eb_str_eqz(a->ns, ns) && eb_str_eqz(a->name, name);
    assert_true(ok || !a || uid[0]);
    eb_kube_account_unref(a);
    return ok;
}

static void test_events(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    assert_null(eb_kube_table_find(t, EB_STR("a"), EB_STR("b")));
    assert_int_equal(put(t, "a", "b", "1", ""), EB_KUBE_NEW);
    assert_int_equal(put(t, "a", "b", "1", ""), EB_KUBE_SAME);
    assert_int_equal(put(t, "a", "b", "1", "x"), EB_KUBE_CHANGED);
    assert_int_equal(put(t, "a", "b", "2", "x"), EB_KUBE_CHANGED);
    assert_int_equal(put(t, "b", "a", "3", ""), EB_KUBE_NEW);
    assert_true(has(t, "a", "b", "2") && has(t, "b", "a", "3"));
    assert_int_equal(eb_kube_table_count(t), 2);

    struct eb_kube_account *held = eb_kube_table_find(t, EB_STR("a"), EB_STR("b"));
    assert_true(eb_kube_table_remove(t, EB_STR("a"), EB_STR("b")));
    assert_false(eb_kube_table_remove(t, EB_STR("a"), EB_STR("b")));
    assert_true(eb_str_eqz(held->uid, "2")); /* whoever has it keeps it */
    eb_kube_account_unref(held);
    assert_null(eb_kube_table_find(t, EB_STR("a"), EB_STR("b")));
    assert_int_equal(eb_kube_table_count(t), 1);
    eb_kube_table_free(t);
    eb_kube_table_free(NULL);
}

/* Names that are none, or too long for one, are nobody's. */
static void test_odd_names(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    char longest[400];
    memset(longest, 'a', sizeof longest);
    const struct eb_str odd[] = {EB_STR_NONE,    {"", 0},        {longest, 63},  {longest, 64},
                                 {longest, 253}, {longest, 254}, {longest, 400}, {"a/b", 3}};
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    assert_int_equal(put(t, "a", "b", "1", ""), EB_KUBE_NEW);
    for (size_t i = 0; i < EB_COUNT_OF(odd); i++)
        for (size_t k = 0; k < EB_COUNT_OF(odd); k++) {
            assert_null(eb_kube_table_find(t, odd[i], odd[k]));
            assert_false(eb_kube_table_remove(t, odd[i], odd[k]));
        }
    assert_int_equal(eb_kube_table_count(t), 1);
    eb_kube_table_free(t);
}

static void test_relist(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    struct eb_kube_relist *r = NULL;
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    put(t, "a", "stays", "1", "");
    put(t, "a", "changes", "1", "");
    put(t, "a", "goes", "1", "");
    struct eb_kube_account *stays = eb_kube_table_find(t, EB_STR("a"), EB_STR("stays"));

    assert_int_equal(eb_kube_relist_new(t, &r, NULL), EB_OK); /* given up: nothing happened */
    assert_int_equal(add(r, "a", "new", "1"), EB_KUBE_NEW);
    eb_kube_relist_free(r);
    eb_kube_relist_free(NULL);
    assert_int_equal(eb_kube_table_count(t), 3);

    assert_int_equal(eb_kube_relist_new(t, &r, NULL), EB_OK);
    assert_int_equal(add(r, "a", "stays", "1"), EB_KUBE_SAME);
    assert_int_equal(add(r, "a", "changes", "2"), EB_KUBE_CHANGED);
    assert_int_equal(add(r, "a", "new", "1"), EB_KUBE_NEW);
    assert_int_equal(add(r, "a", "new", "2"), EB_KUBE_NEW); /* twice: the later one */
    assert_true(has(t, "a", "goes", "1") && has(t, "a", "changes", "1") && !has(t, "a", "new", "2"));
    assert_int_equal(eb_kube_relist_commit(r), 1);
    assert_int_equal(eb_kube_relist_commit(r), 3); /* it is empty now: all are gone */
    assert_int_equal(eb_kube_table_count(t), 0);
    assert_int_equal(add(r, "a", "stays", "1"), EB_KUBE_NEW);
    assert_int_equal(add(r, "a", "new", "2"), EB_KUBE_NEW);
    assert_int_equal(eb_kube_relist_commit(r), 0);
    assert_true(has(t, "a", "stays", "1") && has(t, "a", "new", "2") && !has(t, "a", "goes", "1"));
    eb_kube_relist_free(r);
    eb_kube_account_unref(stays);
    eb_kube_table_free(t);
}

/* The record of a list that says what is known is the known one: memory is not held twice. */
static void test_relist_keeps(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    struct eb_kube_relist *r = NULL;
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    put(t, "a", "b", "1", "");
    struct eb_kube_account *before = eb_kube_table_find(t, EB_STR("a"), EB_STR("b"));
    assert_int_equal(eb_kube_relist_new(t, &r, NULL), EB_OK);
    assert_int_equal(add(r, "a", "b", "1"), EB_KUBE_SAME);
    assert_int_equal(eb_kube_relist_commit(r), 0);
    struct eb_kube_account *after = eb_kube_table_find(t, EB_STR("a"), EB_STR("b"));
    assert_ptr_equal(before, after);
    eb_kube_account_unref(before);
    eb_kube_account_unref(after);
    eb_kube_relist_free(r);
    eb_kube_table_free(t);
}

/* Thousands of puts and removals at random, against a plain list of what must be there. */
static void test_against_a_list(void **state) {
    (void)state;
    enum { NAMES = 700, ROUNDS = 20000 };
    static unsigned char there[NAMES];
    struct eb_kube_table *t = NULL;
    uint32_t seed = 12345;
    size_t n = 0;
    memset(there, 0, sizeof there);
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    for (size_t i = 0; i < ROUNDS; i++) {
        char name[16];
        seed = seed * 1664525 + 1013904223;
        size_t which = (seed >> 8) % NAMES;
        (void)snprintf(name, sizeof name, "n%zu", which);
        if (seed >> 31) {
            enum eb_kube_change change = put(t, "a", name, "u", "");
            assert_int_equal(change, there[which] ? EB_KUBE_SAME : EB_KUBE_NEW);
            n += !there[which];
            there[which] = 1;
        } else {
            assert_int_equal(eb_kube_table_remove(t, EB_STR("a"), eb_str(name)), there[which]);
            n -= there[which];
            there[which] = 0;
        }
        assert_int_equal(eb_kube_table_count(t), n);
    }
    for (size_t i = 0; i < NAMES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%zu", i);
        assert_int_equal(has(t, "a", name, "u"), there[i]);
    }
    for (size_t i = 0; i < NAMES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%zu", i);
        (void)eb_kube_table_remove(t, EB_STR("a"), eb_str(name));
    }
    assert_int_equal(eb_kube_table_count(t), 0);
    eb_kube_table_free(t);
}

/* Subjects of 999 bytes, n bytes in all; the caller frees. */
static char *long_list(size_t n) {
    char *sub = malloc(n + 1);
    assert_non_null(sub);
    for (size_t i = 0; i < n; i++)
        sub[i] = i % 1000 == 999 ? ',' : 'a';
    sub[n] = '\0';
    return sub;
}

/* 1 where all of it is kept, 0 where it is kept by name only, -1 where it is not there. */
static int kept(struct eb_kube_table *t, const char *ns, const char *name) {
    struct eb_kube_account *a = eb_kube_table_find(t, eb_str(ns), eb_str(name));
    int found = !a ? -1 : !a->by_name_only;
    if (a && a->by_name_only) {
        char own[40];
        (void)snprintf(own, sizeof own, "\"%s.>\"", ns);
        assert_true(a->drops && a->drops->by_reason[EB_KUBE_DROP_TOO_LARGE] == 1 && a->drops->sample[0]);
        assert_non_null(memmem(a->grants_json.p, a->grants_json.n, own, strlen(own)));
        assert_null(memmem(a->grants_json.p, a->grants_json.n, "aaaaaaaa", 8));
    }
    eb_kube_account_unref(a);
    return found;
}

static const char *numbered(const char *what, size_t i) {
    static char texts[4][24];
    static unsigned turn;
    char *to = texts[turn++ % 4];
    (void)snprintf(to, sizeof texts[0], "%s%zu", what, i);
    return to;
}

/* One namespace fills its share: what is over it is kept by name, and another namespace does not notice. */
static void test_share(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    struct eb_kube_relist *r = NULL;
    char *sub = long_list(120000);
    size_t whole = 0;
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(put(t, "evil", numbered("n", i), "1", sub), EB_KUBE_NEW);
        whole += kept(t, "evil", numbered("n", i)) == 1;
    }
    assert_true(whole >= 10 && eb_kube_table_cut(t) == 300 - whole);
    assert_true(eb_kube_table_bytes(t) <= EB_KUBE_SHARE_MAX + ((size_t)1 << 20));
    assert_int_equal(put(t, "evil", "n299", "1", sub), EB_KUBE_SAME); /* told once */
    assert_int_equal(put(t, "evil", "n0", "1", sub), EB_KUBE_SAME);
    assert_int_equal(put(t, "good", "n", "1", sub), EB_KUBE_NEW);
    assert_int_equal(kept(t, "good", "n"), 1);
    assert_int_equal(put(t, "evil", "n299", "1", "a"), EB_KUBE_CHANGED);
    assert_int_equal(kept(t, "evil", "n299"), 1);
    for (size_t i = 0; i < 5; i++) /* room is given back */
        assert_true(eb_kube_table_remove(t, EB_STR("evil"), eb_str(numbered("n", i))));
    assert_int_equal(put(t, "evil", "n298", "1", sub), EB_KUBE_CHANGED);
    assert_int_equal(kept(t, "evil", "n298"), 1);

    /* the same by a list, and what changes by it */
    assert_int_equal(eb_kube_relist_new(t, &r, NULL), EB_OK);
    for (size_t i = 0; i < 300; i++) {
        struct eb_kube_account *a = make("evil", numbered("n", i), "1", sub);
        enum eb_kube_change change;
        assert_int_equal(eb_kube_relist_add(r, a, &change, NULL), EB_OK);
        eb_kube_account_unref(a);
    }
    assert_int_equal(eb_kube_relist_commit(r), 1);
    assert_int_equal(eb_kube_table_cut(t), 300 - whole);
    eb_kube_relist_free(r);
    free(sub);
    eb_kube_table_free(t);
    /* without rules there is nothing by name */
    sub = long_list(120000);
    assert_int_equal(eb_kube_table_new(NULL, &t, NULL), EB_OK);
    enum eb_rc rc = EB_OK;
    for (size_t i = 0; rc == EB_OK && i < 300; i++) {
        struct eb_kube_account *a = make("evil", numbered("n", i), "1", sub);
        enum eb_kube_change change;
        rc = eb_kube_table_put(t, a, &change, NULL);
        eb_kube_account_unref(a);
    }
    assert_int_equal(rc, EB_E_TOO_LARGE);
    eb_kube_table_free(t);
    free(sub);
}

/* Many namespaces, and one with very many accounts: the whole stays within its bound, what does not fit is
 * gone, and small ones of other namespaces find room beside long ones. */
static void test_limit(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    enum eb_kube_change change;
    char *sub = long_list(120000), *middle = long_list(1000);
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    for (size_t ns = 0; ns < 12; ns++)
        for (size_t i = 0; i < 70; i++)
            put(t, numbered("ns", ns), numbered("n", i), "1", sub);
    assert_true(eb_kube_table_bytes(t) > EB_KUBE_TABLE_LONG_MAX - ((size_t)1 << 20));
    assert_true(eb_kube_table_bytes(t) < EB_KUBE_TABLE_LONG_MAX + ((size_t)2 << 20));
    assert_true(kept(t, "ns0", "n0") == 1 && kept(t, "ns11", "n0") == 0);
    put(t, "quiet", "n", "1", "a,b"); /* small: taken whole */
    assert_int_equal(kept(t, "quiet", "n"), 1);
    size_t n = 0;
    enum eb_rc rc = EB_OK;
    struct eb_err err = {0};
    for (; rc == EB_OK && n < 40000; n++) {
        struct eb_kube_account *a = make("many", numbered("n", n), "1", middle);
        assert_true(eb_kube_account_bytes(a) <= EB_KUBE_SMALL_MAX);
        rc = eb_kube_table_put(t, a, &change, &err);
        eb_kube_account_unref(a);
    }
    assert_int_equal(rc, EB_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "many/n"));
    assert_true(eb_kube_table_bytes(t) <= EB_KUBE_TABLE_MAX + ((size_t)2 << 20));
    struct eb_kube_account *last = make("many", "n0", "2", sub); /* no room: what it was is gone */
    while (kept(t, "many", numbered("n", n)) < 0)
        n--;
    assert_int_equal(eb_kube_table_put(t, last, &change, NULL), EB_OK);
    assert_int_equal(kept(t, "many", "n0"), 0);
    put(t, "quiet", "m", "1", "");
    assert_int_equal(kept(t, "quiet", "m"), 1);
    eb_kube_account_unref(last);
    free(sub);
    free(middle);
    eb_kube_table_free(t);
}

struct crowd {
    struct eb_kube_table *t;
    atomic_bool stop;
    atomic_size_t found;
};

static void *look(void *arg) {
    struct crowd *c = arg;
    char name[16];
    for (unsigned i = 0; !atomic_load(&c->stop); i++) {
        (void)snprintf(name, sizeof name, "n%u", i % 300);
        struct eb_kube_account *a = eb_kube_table_find(c->t, EB_STR("a"), eb_str(name));
        if (a && eb_str_eqz(a->name, name) && a->grants_json.n)
            (void)atomic_fetch_add(&c->found, 1);
        eb_kube_account_unref(a);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    struct crowd c = {.t = NULL};
    pthread_t who[3];
    assert_int_equal(eb_kube_table_new(&rules, &c.t, NULL), EB_OK);
    for (size_t i = 0; i < EB_COUNT_OF(who); i++)
        assert_int_equal(pthread_create(&who[i], NULL, look, &c), 0);
    for (unsigned round = 0; round < 20 || atomic_load(&c.found) == 0; round++) {
        struct eb_kube_relist *r = NULL;
        char name[16];
        assert_int_equal(eb_kube_relist_new(c.t, &r, NULL), EB_OK);
        for (unsigned i = round % 2; i < 300; i += 1 + round % 3) {
            (void)snprintf(name, sizeof name, "n%u", i);
            add(r, "a", name, round % 2 ? "1" : "2");
            put(c.t, "a", name, "3", "");
        }
        (void)eb_kube_relist_commit(r);
        eb_kube_relist_free(r);
        for (unsigned i = 0; i < 300; i += 7) {
            (void)snprintf(name, sizeof name, "n%u", i);
            (void)eb_kube_table_remove(c.t, EB_STR("a"), eb_str(name));
        }
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < EB_COUNT_OF(who); i++)
        assert_int_equal(pthread_join(who[i], NULL), 0);
    assert_true(atomic_load(&c.found) > 0);
    eb_kube_table_free(c.t);
}

static size_t resident(void) {
    unsigned long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &all, &pages), 2);
    (void)fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* 10,000 ServiceAccounts, listed and listed again: at most 25 MiB at any time. */
static void test_ten_thousand(void **state) {
    (void)state;
    struct eb_kube_table *t = NULL;
    size_t before = resident();
    assert_int_equal(eb_kube_table_new(&rules, &t, NULL), EB_OK);
    for (unsigned round = 0; round < 2; round++) {
        struct eb_kube_relist *r = NULL;
        assert_int_equal(eb_kube_relist_new(t, &r, NULL), EB_OK);
        for (unsigned i = 0; i < 10000; i++) {
            char ns[24], name[40];
            (void)snprintf(ns, sizeof ns, "namespace-%u", i / 10);
            (void)snprintf(name, sizeof name, "service-account-%u.v%u", i, i % 10);
            assert_int_equal(add(r, ns, name, "0d2c2b51-87b4-4a5c-8a1e-7c9c5a2f9d10"),
                             round ? EB_KUBE_SAME : EB_KUBE_NEW);
        }
        assert_int_equal(eb_kube_relist_commit(r), 0);
        eb_kube_relist_free(r);
    }
    size_t grown = resident() - before;
    assert_int_equal(eb_kube_table_count(t), 10000);
    assert_true(has(t, "namespace-999", "service-account-9999.v9", "0d2c2b51-87b4-4a5c-8a1e-7c9c5a2f9d10"));
    assert_true(eb_kube_table_bytes(t) < (size_t)16 << 20);
    if (!SANITIZED && grown > (size_t)25 << 20)
        fail_msg("%zu KiB", grown >> 10);
    print_message("10,000 ServiceAccounts: %zu KiB, the process grew by %zu KiB\n",
                  eb_kube_table_bytes(t) >> 10, grown >> 10);
    eb_kube_table_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_thousand), cmocka_unit_test(test_events),
        cmocka_unit_test(test_odd_names),    cmocka_unit_test(test_relist),
        cmocka_unit_test(test_relist_keeps), cmocka_unit_test(test_against_a_list),
        cmocka_unit_test(test_limit),        cmocka_unit_test(test_share),
        cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
