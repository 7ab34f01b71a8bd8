#include "kube/grants.h"

#include "kube/name.h"
#include "kube_table.h"
#include "server_says.h"
#include "subject/permissions.h"

struct granted {
    struct eb_buf text;
    struct eb_kube_form form;
    struct eb_kube_drops drops;
};

static const char *form_of(const struct granted *g, bool mqtt) {
    static char z[EB_PERMISSIONS_MAX + 1];
    size_t off = mqtt ? g->form.mqtt_off : g->form.nats_off, n = mqtt ? g->form.mqtt_n : g->form.nats_n;
    assert_true(off + n <= g->text.n && n <= EB_PERMISSIONS_MAX);
    memcpy(z, g->text.p + off, n);
    z[n] = '\0';
    return z;
}

static enum eb_rc write_plain(const struct eb_kube_rules *rules, const char *ns, const char *name,
                              struct eb_str pub, struct eb_str sub, struct granted *ret) {
    *ret = (struct granted){.text = {0}};
    eb_buf_z(&ret->text, "before"); /* it appends */
    return eb_kube_grants_write(rules, eb_str(ns), eb_str(name), pub, sub, &ret->text, &ret->form,
                                &ret->drops, NULL);
}

static void check_drops(const struct kube_case *c, const struct eb_kube_drops *d) {
    struct eb_str want = kube_get(c, "dropped"), sample = kube_get(c, "sample");
    char got[400];
    size_t n = (size_t)snprintf(got, sizeof got, "%u", (unsigned)d->total), sum = 0;
    for (unsigned r = 0; r < EB_KUBE_DROPS; r++) {
        sum += d->by_reason[r];
        if (d->by_reason[r])
            n += (size_t)snprintf(got + n, sizeof got - n, " %s=%u", eb_kube_drop_name((enum eb_kube_drop)r),
                                  (unsigned)d->by_reason[r]);
    }
    if (!eb_str_eqz(want.p ? want : EB_STR("0"), got))
        fail_msg("%s: dropped %s, not %.*s", c->title, got, EB_STR_ARG(want));
    assert_int_equal(sum, d->total);
    if (sample.p && !eb_str_eqz(sample, d->sample))
        fail_msg("%s: sample %s, not %.*s", c->title, d->sample, EB_STR_ARG(sample));
    assert_true(strlen(d->sample) < EB_KUBE_SAMPLE_MAX && (d->total > 0) == (d->sample[0] != '\0'));
}

/* `nats|mqtt pub|sub SUBJECT yes|no` */
static void check_row(const struct kube_case *c, const struct granted *g, struct eb_str row) {
    struct eb_str rest = row, conn = eb_str_cut(&rest, ' '), side = eb_str_cut(&rest, ' '),
                  subject = eb_str_cut(&rest, ' ');
    char s[400];
    bool mqtt = eb_str_eqz(conn, "mqtt");
    (void)snprintf(s, sizeof s, "%.*s", EB_STR_ARG(subject));
    assert_true(mqtt || eb_str_eqz(conn, "nats"));
    assert_true(eb_str_eqz(rest, "yes") || eb_str_eqz(rest, "no"));
    if (server_says(form_of(g, mqtt), eb_str_eqz(side, "sub"), mqtt, s, NULL) != eb_str_eqz(rest, "yes"))
        fail_msg("%s: %.*s is not so: %s", c->title, EB_STR_ARG(row), form_of(g, mqtt));
}

static void grants_case(const struct kube_case *c) {
    struct eb_str who = kube_get(c, "who"), name = who, ns = eb_str_cut(&name, '/'),
                  list = kube_get(c, "reserved"), reserved[8], options = kube_get(c, "options");
    struct eb_kube_rules rules = {.subject_prefix = kube_get(c, "prefix"), .reserved = reserved};
    while (list.p && rules.reserved_n < 8)
        reserved[rules.reserved_n++] = eb_str_cut(&list, ' ');
    while (options.p) {
        struct eb_str o = eb_str_cut(&options, ' ');
        rules.allow_root_wildcards |= eb_str_eqz(o, "root");
        rules.allow_jetstream |= eb_str_eqz(o, "jetstream");
    }
    assert_int_equal(eb_kube_rules_check(&rules, NULL), EB_OK);
    struct granted g = {.text = {0}};
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_grants_write(&rules, ns, name, kube_get(c, "pub"), kube_get(c, "sub"), &g.text,
                                         &g.form, &g.drops, &err);
    if (rc != EB_OK)
        fail_msg("%s: %s", c->title, err.text);
    size_t checks = 0;
    for (size_t i = 0; i < c->n; i++) {
        bool mqtt = eb_str_eqz(c->key[i], "mqtt");
        if (eb_str_eqz(c->key[i], "?"))
            check_row(c, &g, c->value[i]);
        else if ((mqtt || eb_str_eqz(c->key[i], "nats")) && !eb_str_eqz(c->value[i], form_of(&g, mqtt)))
            fail_msg("%s\ngot  %s\nnot  %.*s", c->title, form_of(&g, mqtt), EB_STR_ARG(c->value[i]));
        checks += mqtt || eb_str_eqz(c->key[i], "nats") || eb_str_eqz(c->key[i], "?");
    }
    assert_true(checks > 0);
    check_drops(c, &g.drops);
    eb_buf_done(&g.text);
}

static void test_grants(void **state) {
    (void)state;
    kube_each("grants.txt", grants_case);
}

/* No annotation, whatever its form, lets one ServiceAccount read the private inbox of another. */
static void test_private_inboxes(void **state) {
    (void)state;
    static const char *const whose[][2] = {{"a", "b.c"}, {"a", "b-c"}, {"a", "b"},      {"a", "b.c.d"},
                                           {"a-b", "c"}, {"b", "c"},   {"a", "default"}};
    static const char *const tries[] = {">",
                                        "*",
                                        "*.>",
                                        "*.*",
                                        "*.x",
                                        "*.*.>",
                                        "_INBOX.>",
                                        "_INBOX_a_b_c.>",
                                        "_INBOX_a_b_c.x",
                                        "_INBOX_*.>",
                                        "_INBOX*.>",
                                        "_INBOX_a_b_c.*",
                                        "_INBOX_>",
                                        "_INBOX_a_b_c",
                                        " > ",
                                        ">,>",
                                        ",*.>,",
                                        "\t_INBOX_a_b_c.>\n",
                                        "_INBOX_a_b.>",
                                        "_INBOX_a.>",
                                        "x,_INBOX_a_b_c.>,y",
                                        "_REPLY.>",
                                        "_R_.>",
                                        "_R_.x",
                                        "\xC2\xA0>",
                                        "> q"};
    const struct eb_kube_rules rules = {.allow_jetstream = true};
    size_t own = 0;
    for (size_t w = 0; w < EB_COUNT_OF(whose); w++)
        for (size_t i = 0; i < EB_COUNT_OF(tries); i++)
            for (size_t v = 0; v < EB_COUNT_OF(whose); v++) {
                struct granted g;
                assert_int_equal(
                    write_plain(&rules, whose[w][0], whose[w][1], eb_str(tries[i]), eb_str(tries[i]), &g),
                    EB_OK);
                eb_auto_buf struct eb_buf inbox = {0};
                eb_buf_z(&inbox, "_INBOX_");
                eb_kube_token_of(&inbox, eb_str(whose[v][0]), eb_str(whose[v][1]));
                eb_buf_z(&inbox, ".x");
                for (int mqtt = 0; mqtt < 2; mqtt++) {
                    if (server_says(form_of(&g, mqtt), true, mqtt, inbox.p, NULL) != (v == w))
                        fail_msg("%s/%s with \"%s\": %s", whose[w][0], whose[w][1], tries[i], inbox.p);
                    assert_false(server_says(form_of(&g, mqtt), false, mqtt, inbox.p, NULL));
                    assert_false(server_says(form_of(&g, mqtt), true, mqtt, "_R_.x", NULL));
                }
                own += v == w;
                eb_buf_done(&g.text);
            }
    assert_int_equal(own, EB_COUNT_OF(whose) * EB_COUNT_OF(tries));
}

/* Two ServiceAccounts never have one token: every pair of short names is tried. */
static void test_tokens_differ(void **state) {
    (void)state;
    static const char letters[] = "ab-.";
    enum { N = 5, ALL = 1024 };
    static char names[2 * ALL][N + 1];
    size_t names_n = 0;
    for (size_t len = 1; len <= 4; len++)
        for (size_t code = 0; code < (size_t)1 << (2 * len); code++) {
            char *z = names[names_n];
            memset(z, 0, N + 1);
            for (size_t i = 0; i < len; i++)
                z[i] = letters[code >> (2 * i) & 3];
            names_n += eb_kube_is_subdomain(eb_str(z));
        }
    json_t *seen = json_object();
    size_t pairs = 0;
    for (size_t i = 0; i < names_n; i++)
        for (size_t k = 0; eb_kube_is_label(eb_str(names[i])) && k < names_n; k++) {
            eb_auto_buf struct eb_buf token = {0};
            eb_kube_token_of(&token, eb_str(names[i]), eb_str(names[k]));
            if (json_object_get(seen, token.p))
                fail_msg("%s/%s is %s, too", names[i], names[k], token.p);
            json_object_set_new(seen, token.p, json_true());
            pairs++;
        }
    assert_true(pairs > 2000);
    json_decref(seen);
}

/* n subjects: what stands before and behind a number of so many digits. */
static void list_of(struct eb_buf *to, size_t n, const char *before, int digits, const char *behind) {
    for (size_t i = 0; i < n; i++)
        eb_buf_printf(to, "%s%s%0*zu%s", i ? "," : "", before, digits, i, behind);
}

/* 1,000 subjects each way are granted, all of them, and fit. */
static void test_a_thousand(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf list = {0};
    list_of(&list, 1000, "building.floor-", 1, ".rack.power.>");
    struct granted g;
    const struct eb_kube_rules rules = {.allow_jetstream = false};
    assert_int_equal(write_plain(&rules, "plant", "chiller", eb_buf_get(&list), eb_buf_get(&list), &g),
                     EB_OK);
    assert_int_equal(g.drops.total, 0);
    for (int mqtt = 0; mqtt < 2; mqtt++) {
        assert_true(server_says(form_of(&g, mqtt), true, mqtt, "building.floor-999.rack.power.a", NULL));
        assert_true(server_says(form_of(&g, mqtt), false, mqtt, "building.floor-0.rack.power.a", NULL));
        assert_false(server_says(form_of(&g, mqtt), true, mqtt, "building.floor-1000.rack.power.a", NULL));
    }
    eb_buf_done(&g.text);
}

static void test_too_many(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf many = {0}, large = {0}, huge = {0};
    list_of(&many, EB_KUBE_SUBJECTS_MAX + 3, "s", 1, "");
    list_of(&large, 300, "", 700, ".x");
    for (size_t i = 0; i <= EB_KUBE_ANNOTATION_MAX; i++)
        eb_buf_ch(&huge, i % 2 ? ',' : 'a');
    const struct eb_kube_rules rules = {.allow_jetstream = false};
    struct granted g;
    assert_int_equal(write_plain(&rules, "a", "b", eb_buf_get(&many), EB_STR_NONE, &g), EB_OK);
    assert_int_equal(g.drops.total, 3);
    assert_int_equal(g.drops.by_reason[EB_KUBE_DROP_TOO_MANY], 3);
    assert_true(server_says(form_of(&g, false), false, false, "s2047", NULL));
    assert_false(server_says(form_of(&g, false), false, false, "s2048", NULL));
    eb_buf_done(&g.text);
    assert_int_equal(write_plain(&rules, "a", "b", eb_buf_get(&large), eb_buf_get(&large), &g), EB_OK);
    assert_true(g.drops.by_reason[EB_KUBE_DROP_TOO_LARGE] > 100 && g.form.mqtt_n <= EB_PERMISSIONS_MAX);
    assert_int_equal(g.drops.total, g.drops.by_reason[EB_KUBE_DROP_TOO_LARGE]);
    eb_buf_done(&g.text);
    assert_int_equal(write_plain(&rules, "a", "b", eb_buf_get(&huge), EB_STR_NONE, &g), EB_OK);
    assert_int_equal(g.drops.total, 1);
    assert_false(server_says(form_of(&g, false), false, false, "a", NULL));
    eb_buf_done(&g.text);
}

/* Wildcards bring denies with them: many long ones could outgrow the limit, and give nothing then. */
static void test_wildcards(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf few = {0}, many = {0};
    list_of(&few, EB_PERMISSIONS_ROOT_WILDCARDS_MAX + 1, "*.s", 1, "");
    list_of(&many, 60, "*.", 900, "");
    const struct eb_kube_rules rules = {.allow_root_wildcards = true};
    struct granted g;
    assert_int_equal(write_plain(&rules, "a", "b", eb_buf_get(&few), EB_STR_NONE, &g), EB_OK);
    assert_int_equal(g.drops.by_reason[EB_KUBE_DROP_TOO_MANY], 1);
    assert_true(server_says(form_of(&g, false), false, false, "x.s63", NULL));
    assert_false(server_says(form_of(&g, false), false, false, "x.s64", NULL));
    assert_false(server_says(form_of(&g, false), false, false, "$JS.s63", NULL));
    eb_buf_done(&g.text);
    assert_int_equal(write_plain(&rules, "a", "b", eb_buf_get(&many), eb_buf_get(&many), &g), EB_OK);
    assert_int_equal(g.drops.by_reason[EB_KUBE_DROP_TOO_LARGE], 1);
    assert_true(g.form.nats_n < 300);
    assert_true(server_says(form_of(&g, false), false, false, "a.x", NULL));
    assert_memory_equal(g.text.p, "before", 6);
    eb_buf_done(&g.text);
}

static void test_names_are_checked(void **state) {
    (void)state;
    static const char *const bad[][2] = {{"", "a"},    {"a", ""},    {"*", "a"},
                                         {"a.b", "c"}, {"a", "b_c"}, {">", ">"}};
    const struct eb_kube_rules rules = {.allow_jetstream = false};
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++) {
        struct granted g;
        assert_int_equal(write_plain(&rules, bad[i][0], bad[i][1], EB_STR_NONE, EB_STR_NONE, &g),
                         EB_E_INTERNAL);
        assert_int_equal(g.text.n, 6);
        eb_buf_done(&g.text);
    }
}

static void test_rules(void **state) {
    (void)state;
    static const struct {
        const char *prefix, *reserved, *text; /* text: NULL = taken */
    } cases[] = {
        {"", "sensor", NULL},           {"k8s.", "sensor", NULL},       {"k8s-", "sensor", NULL},
        {"site.k8s.", "command", NULL}, {"k8s.*.", "x", "wildcard"},    {">", "x", "literal"},
        {"k8s..", "x", "empty token"},  {".", "x", "empty token"},      {"a b.", "x", "blank"},
        {"$SYS.", "x", "leads into"},   {"$", "x", "leads into"},       {"_INBOX.", "x", "leads into"},
        {"_INBOX_", "x", "leads into"}, {"_REPLY.", "x", "leads into"}, {"_R_.", "x", "leads into"},
        {"cpc.", "x", "reserved"},      {"cpc.1.", "x", "reserved"},    {"sensor.", "sensor", "reserved"},
        {"", "Sensor", "no name"},      {"", "a.b", "no name"},         {"", "*", "no name"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        struct eb_str reserved = eb_str(cases[i].reserved);
        const struct eb_kube_rules rules = {
            .subject_prefix = eb_str(cases[i].prefix), .reserved = &reserved, .reserved_n = 1};
        struct eb_err err = {0};
        enum eb_rc rc = eb_kube_rules_check(&rules, &err);
        if (rc != (cases[i].text ? EB_E_INVALID : EB_OK) ||
            (cases[i].text && strcmp(cases[i].text, "literal") != 0 && !strstr(err.text, cases[i].text)))
            fail_msg("\"%s\" and \"%s\": %s", cases[i].prefix, cases[i].reserved, err.text);
    }
    for (unsigned d = 0; d <= EB_KUBE_DROPS; d++)
        assert_true(eb_kube_drop_name((enum eb_kube_drop)d)[0] && eb_kube_drop_text((enum eb_kube_drop)d)[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grants),
                                       cmocka_unit_test(test_private_inboxes),
                                       cmocka_unit_test(test_tokens_differ),
                                       cmocka_unit_test(test_a_thousand),
                                       cmocka_unit_test(test_too_many),
                                       cmocka_unit_test(test_wildcards),
                                       cmocka_unit_test(test_names_are_checked),
                                       cmocka_unit_test(test_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
