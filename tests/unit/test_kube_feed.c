/* Pages and watches, in pieces of every size. */
#include "kube/feed.h"

#include "base/json.h"
#include "kube_table.h"

/* What came, as text: one word an item or event. */
struct heard {
    struct eb_buf text;
    int stop_at; /* the call that fails, from 1 */
    int calls;
};

static enum eb_rc hear_item(void *ctx, const json_t *object, struct eb_err *reterr) {
    struct heard *h = ctx;
    if (++h->calls == h->stop_at)
        return EB_FAIL(reterr, EB_E_INVALID, "the reader says no");
    struct eb_str name = eb_json_str(json_object_get(object, "metadata"), "name");
    struct eb_str x = eb_json_str(json_object_get(json_object_get(object, "metadata"), "annotations"), "x");
    eb_buf_str(&h->text, name);
    if (x.p) {
        eb_buf_ch(&h->text, '=');
        eb_buf_json_str(&h->text, x, 0);
    }
    eb_buf_ch(&h->text, ' ');
    return EB_OK;
}

static enum eb_rc hear_event(void *ctx, const struct eb_kube_event *ev, struct eb_err *reterr) {
    static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    struct heard *h = ctx;
    if (++h->calls == h->stop_at)
        return EB_FAIL(reterr, EB_E_INVALID, "the reader says no");
    struct eb_str name = eb_json_str(json_object_get(ev->object, "metadata"), "name");
    eb_buf_printf(&h->text, "%s:%.*s:%.*s", types[ev->type], EB_STR_ARG(name), EB_STR_ARG(ev->version));
    if (ev->type == EB_KUBE_ERROR)
        eb_buf_printf(&h->text, ":%d:%.*s:%s", (int)ev->code, EB_STR_ARG(ev->reason),
                      eb_kube_event_is_gone(ev) ? "gone" : "other");
    eb_buf_ch(&h->text, ' ');
    return EB_OK;
}

/* Pieces of one size, 0 for the whole. */
static const size_t steps[] = {0, 1, 2, 3, 7, 64};

static enum eb_rc feed(bool page, void *reader, struct eb_str text, size_t step, struct eb_err *reterr) {
    enum eb_rc rc = EB_OK;
    for (size_t at = 0; at < text.n && rc == EB_OK;) {
        size_t n = step && step < text.n - at ? step : text.n - at;
        char *copy = malloc(n); /* its end is watched */
        assert_non_null(copy);
        memcpy(copy, text.p + at, n);
        rc = page ? eb_kube_page_feed(reader, eb_str_n(copy, n), reterr)
                  : eb_kube_watch_feed(reader, eb_str_n(copy, n), reterr);
        free(copy);
        at += n;
    }
    return rc;
}

static void page_once(const struct kube_case *c, size_t step, struct eb_buf *to) {
    struct heard h = {.text = {0}};
    struct eb_kube_page *p = NULL;
    struct eb_err err = {0};
    struct eb_str version = EB_STR_NONE, more = EB_STR_NONE;
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    enum eb_rc rc = feed(true, p, kube_get(c, "text"), step, &err);
    if (rc == EB_OK)
        rc = eb_kube_page_end(p, &version, &more, &err);
    if (rc == EB_OK)
        eb_buf_printf(to, "ok %.*s| %.*s | %.*s | %zu", EB_STR_ARG(eb_buf_get(&h.text)), EB_STR_ARG(version),
                      EB_STR_ARG(more), eb_kube_page_skipped(p));
    else
        eb_buf_printf(to, "%s %s", eb_rc_name(rc), err.text);
    assert_int_equal(eb_kube_page_items(p), h.calls);
    assert_true((rc == EB_OK) == (err.rc == EB_OK));
    assert_int_not_equal(eb_kube_page_feed(p, EB_STR("{"), NULL), EB_OK); /* it is over */
    assert_int_not_equal(eb_kube_page_end(p, &version, &more, NULL), EB_OK);
    eb_kube_page_free(p);
    eb_buf_done(&h.text);
}

static void page_case(const struct kube_case *c) {
    for (size_t i = 0; i < EB_COUNT_OF(steps); i++) {
        eb_auto_buf struct eb_buf got = {0};
        struct eb_str want = kube_get(c, "want");
        page_once(c, steps[i], &got);
        bool ok = eb_str_starts(want, EB_STR("ok "));
        if (ok ? !eb_str_eq(want, eb_buf_get(&got)) : !eb_str_starts(eb_buf_get(&got), want) || want.n == 0)
            fail_msg("%s, pieces of %zu: %s, not %.*s", c->title, steps[i], got.p, EB_STR_ARG(want));
    }
}

static void test_pages(void **state) {
    (void)state;
    kube_each("pages.txt", page_case);
}

static void watch_case(const struct kube_case *c) {
    for (size_t i = 0; i < EB_COUNT_OF(steps); i++) {
        struct heard h = {.text = {0}};
        struct eb_kube_watch *w = NULL;
        struct eb_err err = {0};
        struct eb_str want = kube_get(c, "want");
        assert_int_equal(eb_kube_watch_new(hear_event, &h, &w, NULL), EB_OK);
        enum eb_rc rc = feed(false, w, kube_get(c, "text"), steps[i], &err);
        eb_buf_printf(&h.text, "%s", rc == EB_OK ? "ok" : eb_rc_name(rc));
        if (!eb_str_eq(want, eb_buf_get(&h.text)))
            fail_msg("%s, pieces of %zu: %s (%s), not %.*s", c->title, steps[i], h.text.p, err.text,
                     EB_STR_ARG(want));
        assert_true((rc == EB_OK) == (err.rc == EB_OK));
        if (rc != EB_OK)
            assert_int_equal(eb_kube_watch_feed(w, EB_STR("\n"), NULL), rc);
        eb_kube_watch_free(w);
        eb_buf_done(&h.text);
    }
}

static void test_watches(void **state) {
    (void)state;
    kube_each("watches.txt", watch_case);
}

/* The reader's own no ends both. */
static void test_reader_stops(void **state) {
    (void)state;
    struct heard h = {.stop_at = 2};
    struct eb_kube_page *p = NULL;
    struct eb_err err = {0};
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, EB_STR("{\"items\":[{},{},{}"), &err), EB_E_INVALID);
    assert_string_equal(err.text, "the reader says no");
    assert_int_equal(eb_kube_page_feed(p, EB_STR("]}"), NULL), EB_E_INVALID);
    assert_int_equal(h.calls, 2);
    eb_kube_page_free(p);
    eb_kube_page_free(NULL);

    static const char event[] =
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n";
    struct eb_kube_watch *w = NULL;
    h.calls = 0;
    assert_int_equal(eb_kube_watch_new(hear_event, &h, &w, NULL), EB_OK);
    assert_int_equal(eb_kube_watch_feed(w, eb_str(event), NULL), EB_OK);
    assert_int_equal(eb_kube_watch_feed(w, eb_str(event), NULL), EB_E_INVALID);
    assert_int_equal(eb_kube_watch_feed(w, eb_str(event), NULL), EB_E_INVALID);
    assert_int_equal(h.calls, 2);
    eb_kube_watch_free(w);
    eb_kube_watch_free(NULL);
    eb_buf_done(&h.text);
}

static void hear_skip(void *ctx, struct eb_str ns, struct eb_str name) {
    struct heard *h = ctx;
    eb_buf_printf(&h->text, "(%.*s/%.*s) ", EB_STR_ARG(ns), EB_STR_ARG(name));
}

/* Who is passed over is told by name, where one can be found. */
static void test_skipped_by_name(void **state) {
    (void)state;
    struct heard h = {.stop_at = 0};
    struct eb_kube_page *p = NULL;
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    eb_kube_page_on_skip(p, hear_skip);
    assert_int_equal(
        eb_kube_page_feed(
            p,
            EB_STR("{\"items\":[{\"metadata\":{\"name\":\"a.b\",\"namespace\":\"plant\",\"x\":01}},"
                   "{\"metadata\":{\"name\":\"A B\",\"namespace\":\"plant\",\"x\":01}},{x},"
                   "{\"metadata\":{\"name\":\"c\"}}]}"),
            NULL),
        EB_OK);
    assert_string_equal(h.text.p, "(plant/a.b) (/) (/) c ");
    assert_int_equal(eb_kube_page_skipped(p), 3);
    eb_kube_page_free(p);
    eb_buf_done(&h.text);
}

/* Where a stream ends within a line, that shows. */
static void test_cut_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool cut;
    } cases[] = {{"", false},
                 {"\n", false},
                 {" \r", false},
                 {"<html>", true},
                 {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}\n", false},
                 {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}", true}};
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        struct heard h = {.stop_at = 0};
        struct eb_kube_watch *w = NULL;
        assert_int_equal(eb_kube_watch_new(hear_event, &h, &w, NULL), EB_OK);
        assert_int_equal(eb_kube_watch_feed(w, eb_str(cases[i].text), NULL), EB_OK);
        assert_int_equal(eb_kube_watch_is_cut(w), cases[i].cut);
        eb_kube_watch_free(w);
        eb_buf_done(&h.text);
    }
}

static struct eb_str blanks(size_t n) {
    static char *all;
    free(all);
    all = NULL;
    if (n)
        all = malloc(n);
    if (all)
        memset(all, ' ', n);
    return eb_str_n(all, all ? n : 0);
}

/* What has no end is refused in time, and what an etcd can store is not. */
static void test_bounds(void **state) {
    (void)state;
    struct heard h = {.stop_at = 0};
    struct eb_kube_page *p = NULL;
    struct eb_kube_watch *w = NULL;
    struct eb_str large = blanks(EB_KUBE_OBJECT_MAX - 2), version, more;
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    assert_int_equal(
        eb_kube_page_feed(p, EB_STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{"), NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, large, NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, EB_STR("},{}]}"), NULL), EB_OK);
    assert_int_equal(eb_kube_page_end(p, &version, &more, NULL), EB_OK);
    assert_int_equal(eb_kube_page_items(p), 2);
    eb_kube_page_free(p);
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, EB_STR("{\"items\":[{ "), NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, large, NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, EB_STR(" "), NULL), EB_E_TOO_LARGE);
    eb_kube_page_free(p);
    assert_int_equal(eb_kube_page_new(hear_item, &h, &p, NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, EB_STR("{\"x\":"), NULL), EB_OK);
    assert_int_equal(eb_kube_page_feed(p, large, NULL), EB_E_TOO_LARGE);
    eb_kube_page_free(p);

    assert_int_equal(eb_kube_watch_new(hear_event, &h, &w, NULL), EB_OK);
    assert_int_equal(eb_kube_watch_feed(w, large, NULL), EB_OK);
    assert_int_equal(eb_kube_watch_feed(w, EB_STR("  \n"), NULL), EB_OK); /* a blank line */
    assert_int_equal(eb_kube_watch_feed(w, large, NULL), EB_OK);
    assert_int_equal(eb_kube_watch_feed(w, EB_STR("   "), NULL), EB_E_TOO_LARGE);
    eb_kube_watch_free(w);
    (void)blanks(0);
    eb_buf_done(&h.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),           cmocka_unit_test(test_watches),
        cmocka_unit_test(test_reader_stops),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_skipped_by_name), cmocka_unit_test(test_cut_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
