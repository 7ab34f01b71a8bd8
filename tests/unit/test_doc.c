#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/doc.h"

/* The whole document as one text: { } [ ] around, keys with a colon, quoted scalars in quotes; or "!" and the
 * failure. */
static void flat(struct eb_doc *d, struct eb_buf *to) {
    eb_buf_reset(to);
    for (int i = 0; i < 100000; i++) {
        struct eb_doc_event ev;
        struct eb_err err = {0};
        enum eb_rc rc = eb_doc_next(d, &ev, &err);
        if (rc != EB_OK) {
            eb_buf_printf(to, "!%s %s", eb_rc_name(rc), err.text);
            struct eb_err again = {0};
            assert_int_equal(eb_doc_next(d, &ev, &again), rc); /* and so for ever */
            return;
        }
        switch (ev.kind) {
        case EB_DOC_END: return;
        case EB_DOC_MAP: eb_buf_ch(to, '{'); break;
        case EB_DOC_MAP_END: eb_buf_ch(to, '}'); break;
        case EB_DOC_LIST: eb_buf_ch(to, '['); break;
        case EB_DOC_LIST_END: eb_buf_ch(to, ']'); break;
        case EB_DOC_SCALAR:
            assert_int_equal(ev.text.p[ev.text.n], '\0');
            eb_buf_printf(to, "%s%.*s%s%s", ev.quoted ? "'" : "", EB_STR_ARG(ev.text), ev.quoted ? "'" : "",
                          ev.is_key ? ":" : " ");
            break;
        }
    }
    fail_msg("no end");
}

static void flat_of(const char *text, struct eb_buf *to) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
    assert_int_equal(eb_doc_from(eb_str(text), "doc", &d, NULL), EB_OK);
    flat(d, to);
}

static void reads(void **state) {
    (void)state;
    static const struct {
        const char *text, *flat;
    } rows[] = {
        {"", ""},
        {"# only a comment\n", ""},
        {"---\n...\n", " "},
        {"plain", "plain "},
        {"a: b", "{a:b }"},
        {"{\"a\": [1, \"b\", null, {}], \"c\": true}", "{'a':[1 'b' null {}]'c':true }"},
        {"a:\n  - b\n  - c: d\n    e: f\ng: |\n  h\n", "{a:[b {c:d e:f }]g:'h\n' }"},
        {"a:\nb:", "{a: b: }"},
        {"a: \">\"\nb: $JS.>\n", "{a:'>' b:$JS.> }"},
        {"\xef\xbb\xbf"
         "a: b",
         "{a:b }"}, /* a byte order mark */
        {"a: \xc3\xa4\r\nb: 1", "{a:\xc3\xa4 b:1 }"},
    };
    eb_auto_buf struct eb_buf b = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        flat_of(rows[i].text, &b);
        if (!eb_str_eqz(eb_buf_get(&b), rows[i].flat))
            fail_msg("%s: %s", rows[i].text, b.p);
    }
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"a: &x b\n", "line 1"},    {"a: b\nc: *a\n", "line 2"},
        {"a: !!str b\n", "tags"},   {"a: !x b\n", "tags"},
        {"&x {a: b}", "anchors"},   {"- &x [a]\n", "anchors"},
        {"[a, b]: c\n", "key"},     {"{a: b}: c\n", "key"},
        {"? [a]\n: b\n", "key"},    {"a: b\n---\nc: d\n", "second document"},
        {"a: [b\n", "malformed"},   {"a: b\n c: d\n", "malformed"},
        {"a: \"b\n", "malformed"},  {"\ta: b\n", "malformed"},
        {"a: \xff\n", "malformed"}, {"a: \xed\xa0\x80\n", "malformed"},
        {"a: \x01\n", "malformed"}, {"a: %b\n@c: d\n", "malformed"},
    };
    eb_auto_buf struct eb_buf b = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        flat_of(rows[i].text, &b);
        char *failure = b.p ? strchr(b.p, '!') : NULL;
        if (!failure || strncmp(failure, "!malformed line ", 16) != 0 || !strstr(failure, rows[i].says))
            fail_msg("%s: %s", rows[i].text, b.p ? b.p : "");
    }
}

static void depth(void **state) {
    (void)state;
    for (int deep = EB_DOC_DEPTH - 1; deep <= EB_DOC_DEPTH + 1; deep++) {
        eb_auto_buf struct eb_buf text = {0}, b = {0};
        for (int i = 0; i < deep; i++)
            eb_buf_ch(&text, '[');
        for (int i = 0; i < deep; i++)
            eb_buf_ch(&text, ']');
        flat_of(text.p, &b);
        assert_int_equal(strchr(b.p, '!') != NULL, deep > EB_DOC_DEPTH);
    }
}

static void lines(void **state) {
    (void)state;
    EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
    assert_int_equal(eb_doc_from(EB_STR("# first\na:\n\n  - b\n  - {c: d,\n     e: f}\n"), NULL, &d, NULL),
                     EB_OK);
    assert_null(eb_doc_name(d));
    static const size_t want[] = {2, 2, 4, 4, 5, 5, 5, 6, 6};
    for (size_t i = 0; i < EB_COUNT_OF(want); i++) {
        struct eb_doc_event ev;
        assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
        if (ev.line != want[i] || eb_doc_line(d) != want[i])
            fail_msg("event %zu stands on line %zu, wanted %zu", i, ev.line, want[i]);
    }
}

static void skips(void **state) {
    (void)state;
    EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
    assert_int_equal(eb_doc_from(EB_STR("{a: {x: [1, {y: z}]}, b: [[]], c: d}"), "n", &d, NULL), EB_OK);
    struct eb_doc_event ev;
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK); /* { */
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK); /* a */
    assert_int_equal(eb_doc_skip(d, NULL), EB_OK);
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
    assert_true(ev.is_key && eb_str_eqz(ev.text, "b"));
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
    assert_int_equal(eb_doc_skip_rest(d, &ev, NULL), EB_OK);
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
    assert_true(ev.is_key && eb_str_eqz(ev.text, "c"));
    assert_int_equal(eb_doc_skip_rest(d, &ev, NULL), EB_OK); /* nothing: it is a scalar */
    assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
    assert_true(!ev.is_key && eb_str_eqz(ev.text, "d"));
    assert_string_equal(eb_doc_name(d), "n");
}

static void nulls_and_booleans(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool null;
        int boolean; /* -1 = none */
    } rows[] = {{"[null]", true, -1},  {"[~]", true, -1},    {"['null']", false, -1}, {"[\"\"]", false, -1},
                {"- \n", true, -1},    {"[true]", false, 1}, {"[false]", false, 0},   {"['true']", false, -1},
                {"[True]", false, -1}, {"[yes]", false, -1}, {"[NULL]", false, -1}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_doc_freep) struct eb_doc *d = NULL;
        struct eb_doc_event ev;
        bool v = false;
        assert_int_equal(eb_doc_from(eb_str(rows[i].text), NULL, &d, NULL), EB_OK);
        assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
        assert_int_equal(eb_doc_next(d, &ev, NULL), EB_OK);
        if (eb_doc_is_null(&ev) != rows[i].null || (eb_doc_bool(&ev, &v) ? v : -1) != rows[i].boolean)
            fail_msg("%s", rows[i].text);
    }
}

static void files(void **state) {
    (void)state;
    struct eb_doc *d = NULL;
    struct eb_err err = {0};
    assert_int_equal(eb_doc_open("/nonexistent/x.yaml", 100, &d, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/x.yaml"));
    char path[] = "/tmp/eb-doc-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "a: bcdef\n", 9), 9);
    (void)close(fd);
    eb_auto_buf struct eb_buf b = {0};
    assert_int_equal(eb_doc_open(path, 9, &d, NULL), EB_OK);
    flat(d, &b);
    assert_string_equal(b.p, "{a:bcdef }");
    eb_doc_free(d);
    assert_int_equal(eb_doc_open(path, 8, &d, NULL), EB_OK);
    flat(d, &b);
    assert_non_null(strstr(b.p, "!too_large"));
    eb_doc_free(d);
    (void)unlink(path);
    err = (struct eb_err){0};
    assert_int_equal(eb_doc_open("/tmp", 100, &d, &err), EB_OK); /* a folder opens; reading tells */
    flat(d, &b);
    assert_non_null(strstr(b.p, "!io"));
    eb_doc_free(d);
    eb_doc_free(NULL);
}

/* JSON is read without libyaml; a comment before it makes libyaml read it. Both must give the same. */
static void json_as_yaml(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{}",
        "[]",
        "{\"a\":1}",
        " [ 1 , -2.5e+3 , 0 , 1e9, true , false , null ] ",
        "{\"a\":{\"b\":[{},[],\"\"]},\"c\":\"d\"}",
        "[\"q\\\"s\\\\t\\/u\\b\\f\\n\\r\\t\"]",
        "[\"\\u00e9\\u20ac\", \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
        "{\"a\":\"x\"\n,\n\"b\":\n2}\n",
        /* no JSON any more from some place on */
        "{a: b}",
        "{\"a\": b}",
        "{\"a\": 'c'}",
        "[1, 2,]",
        "[0x10, 01, 1., .5, +1, -, 1e]",
        "[\"a\", # comment\n \"b\"]",
        "{\"a\": [1, 2], b: {c: d}}",
        "[true, nul, nulll]",
        "{\"a\": 10MB, \"b\": [1 2, 3_000, true false, 1:2]}",
        "{\"a\": 1 b}",
        "{\"a\": 1#b\n}",
        "{\"a\": 1 #b\n}",
        "[1: 2]",
        "[1 : 2]",
        "[\"a\": 2, 3]",
        "[\"a\": 2, \"b\" : [\"c\" :{}, null: 1]]",
        "[\"a\" \"b\"]",
        "{\"a\": 1 \n , \"b\": \"c\" \n\n}",
        "{\"a\" }",
        "{\"a\", \"b\": 1}",
        /* and wrong in both */
        "{\"a\":1",
        "[1",
        "[\"a",
        "[\"\\q\"]",
        "[\"\\u12\"]",
        "{\"a\":1}x",
        "{\"a\":1}\n{\"b\":2}",
        "[1]]",
        "{\"a\":[1}",
        "{\"a\",}",
        "[\"\x01\"]",
        "[\"\x7f\"]",
        "[\"\xff\"]",
        "[\"\xed\xa0\x80\"]",
        "[&a 1, *a]",
        "[!!str 1]",
        "{[1]: 2}",
        "[[1]: 2]",
        "[{\"a\": 1}: 2]",
        "{\"a\": 1}: 2",
        "[1]: 2",
        "{\"a\": [1] 2}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf text = {0}, fast = {0}, slow = {0};
        flat_of(rows[i], &fast);
        eb_buf_printf(&text, "#\n%s", rows[i]);
        flat_of(text.p, &slow);
        /* libyaml reads ahead, so that it may fail some events sooner, and lines differ by the comment */
        const char *a = strchr(fast.p, '!'), *b = strchr(slow.p, '!');
        bool same = a && b ? strncmp(a, b, strcspn(a, " ")) == 0 : !a && !b && strcmp(fast.p, slow.p) == 0;
        if (!same)
            fail_msg("%s: %s, by libyaml %s", rows[i], fast.p, slow.p);
    }
}

/* Texts that stand across the borders of what is read at once, and a surrogate pair, which libyaml does not
 * take. */
static void long_json(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0}, want = {0}, got = {0};
    eb_buf_z(&text, "[");
    eb_buf_z(&want, "[");
    for (int i = 0; i < 20000; i++) {
        eb_buf_printf(&text, "%s\"%*d\\n\"%*s, \"%d\"%*s, %d%*s", i ? "," : "", i % 97, i, i % 13, "", i,
                      i % 7, "", i, i % 11, "");
        eb_buf_printf(&want, "'%*d\n' '%d' %d ", i % 97, i, i, i);
    }
    eb_buf_z(&text, ",\"\\ud83d\\ude00\"]");
    eb_buf_z(&want, "'\xf0\x9f\x98\x80' ]");
    flat_of(text.p, &got);
    assert_string_equal(got.p, want.p);
    char path[] = "/tmp/eb-doc-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text.p, text.n), text.n);
    (void)close(fd);
    struct eb_doc *d = NULL;
    assert_int_equal(eb_doc_open(path, text.n, &d, NULL), EB_OK);
    flat(d, &got);
    assert_string_equal(got.p, want.p);
    eb_doc_free(d);
    assert_int_equal(eb_doc_open(path, text.n - 1, &d, NULL), EB_OK);
    flat(d, &got);
    assert_non_null(strstr(got.p, "!too_large"));
    eb_doc_free(d);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_as_yaml), cmocka_unit_test(long_json),
        cmocka_unit_test(reads),        cmocka_unit_test(refuses),
        cmocka_unit_test(depth),        cmocka_unit_test(lines),
        cmocka_unit_test(skips),        cmocka_unit_test(nulls_and_booleans),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
