/*
 * The items of a page are cut out and read one by one; what is around them, the frame, is kept with an empty
 * list in their place and read at the end, by the strict reader. So whatever the cutting took for a list of
 * items without its being the member `items` of the whole shows there.
 */
#include <stdlib.h>

#include "base/json.h"
#include "kube/feed.h"
#include "kube/object.h"
#include "base/utf8.h"

#define FRAME_MAX ((size_t)64 << 10) /* bytes of a page without its items */

enum at {
    AT_FRAME,
    AT_FIRST, /* in the list, an item or its end must come */
    AT_ITEM,  /* within an item */
    AT_NEXT,  /* behind an item */
    AT_MORE   /* behind a comma */
};

struct eb_kube_page {
    eb_kube_item_fn fn;
    eb_kube_skip_fn on_skip; /* NULL: nobody wants to know */
    void *ctx;
    enum eb_rc rc; /* of the first failure */
    enum at at;
    struct eb_buf frame, item;
    struct eb_kube_scan frame_scan, item_scan;
    size_t string_at; /* where the frame's last text at depth 1 begins, its quote included */
    bool is_key;      /* the last text at depth 1 is `items` */
    bool is_items;    /* and a colon followed */
    size_t items, skipped;
    json_t *root;
};

enum eb_rc eb_kube_page_new(eb_kube_item_fn fn, void *ctx, struct eb_kube_page **ret, struct eb_err *reterr) {
    struct eb_kube_page *p = calloc(1, sizeof *p);
    if (!p)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    p->fn = fn;
    p->ctx = ctx;
    *ret = p;
    return EB_OK;
}

void eb_kube_page_on_skip(struct eb_kube_page *p, eb_kube_skip_fn fn) {
    p->on_skip = fn;
}

void eb_kube_page_free(struct eb_kube_page *p) {
    if (!p)
        return;
    eb_buf_done(&p->frame);
    eb_buf_done(&p->item);
    json_decref(p->root);
    free(p);
}

size_t eb_kube_page_items(const struct eb_kube_page *p) {
    return p->items;
}

size_t eb_kube_page_skipped(const struct eb_kube_page *p) {
    return p->skipped;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum eb_rc bad_page(struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_MALFORMED, "no well-formed page of a list");
}

/* A byte outside of the items. */
static enum eb_rc take_frame(struct eb_kube_page *p, char c, struct eb_err *reterr) {
    struct eb_kube_scan *s = &p->frame_scan;
    bool was_string = s->in_string, blank = is_blank(c);
    if (p->frame.n == 0 && c != '{') {
        if (blank)
            return EB_OK;
        return EB_FAIL(reterr, EB_E_MALFORMED, "no JSON object where a page of a list should be");
    }
    if (p->frame.n == FRAME_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "a page with over %zu bytes beside its items", FRAME_MAX);
    eb_buf_ch(&p->frame, c);
    if (!eb_kube_scan_step(s, c))
        return bad_page(reterr);
    if (s->depth == 1 && s->in_string && !was_string) {
        p->string_at = p->frame.n - 1;
    } else if (s->depth == 1 && was_string && !s->in_string) {
        struct eb_str text = {p->frame.p + p->string_at, p->frame.n - p->string_at};
        p->is_key = eb_buf_ok(&p->frame) && eb_str_eqz(text, "\"items\"");
        p->is_items = false;
    } else if (s->depth == 1 && c == ':' && !s->in_string) {
        p->is_items = p->is_key;
        p->is_key = false;
    } else if (c == '[' && p->is_items && !s->in_string) {
        p->is_items = false;
        p->at = AT_FIRST;
    } else if (!s->in_string && !blank) {
        p->is_key = p->is_items = false;
    }
    return EB_OK;
}

static enum eb_rc give_item(struct eb_kube_page *p, struct eb_err *reterr) {
    EB_CLEANUP(json_decrefp) json_t *object = NULL;
    enum eb_rc rc = eb_kube_object_parse(&p->item, &object, NULL);
    if (rc == EB_E_MALFORMED) {
        struct eb_str ns, name;
        p->skipped++;
        eb_kube_object_guess(eb_buf_get(&p->item), &ns, &name);
        if (p->on_skip)
            p->on_skip(p->ctx, ns, name);
        rc = EB_OK;
    }
    eb_kube_object_reset(&p->item);
    if (!object && rc == EB_OK)
        return EB_OK;
    if (rc != EB_OK)
        return EB_FAIL(reterr, rc, "an item of the list cannot be read: %s", eb_rc_name(rc));
    p->items++;
    return p->fn(p->ctx, object, reterr);
}

/* A byte between the items. */
static enum eb_rc take_between(struct eb_kube_page *p, char c, struct eb_err *reterr) {
    if (is_blank(c))
        return EB_OK;
    if (c == '{' && p->at != AT_NEXT) {
        p->at = AT_ITEM;
        p->item_scan = (struct eb_kube_scan){.depth = 0};
        return EB_OK;
    }
    if (c == ',' && p->at == AT_NEXT) {
        p->at = AT_MORE;
        return EB_OK;
    }
    if (c != ']' || p->at == AT_MORE)
        return bad_page(reterr);
    p->at = AT_FRAME;
    return take_frame(p, c, reterr);
}

/* Takes bytes of an item, up to its end; returns how many in *ret_n. */
static enum eb_rc take_item(struct eb_kube_page *p, struct eb_str bytes, size_t *ret_n,
                            struct eb_err *reterr) {
    size_t i = 0;
    bool whole = false;
    while (i < bytes.n && !whole) {
        if (!eb_kube_scan_step(&p->item_scan, bytes.p[i++]))
            return bad_page(reterr);
        whole = p->item_scan.depth == 0;
    }
    if (p->item.n + i > EB_KUBE_OBJECT_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "an item of the list has over %zu bytes", EB_KUBE_OBJECT_MAX);
    eb_buf_add(&p->item, bytes.p, i);
    *ret_n = i;
    if (!whole)
        return EB_OK;
    p->at = AT_NEXT;
    return give_item(p, reterr);
}

static enum eb_rc feed(struct eb_kube_page *p, struct eb_str bytes, struct eb_err *reterr) {
    enum eb_rc rc = EB_OK;
    for (size_t i = 0; i < bytes.n && rc == EB_OK;) {
        if (p->at == AT_FRAME) {
            rc = take_frame(p, bytes.p[i++], reterr);
            continue;
        }
        if (p->at != AT_ITEM) {
            rc = take_between(p, bytes.p[i], reterr);
            i += p->at != AT_ITEM; /* an item's first byte is the item's */
            if (p->at != AT_ITEM)
                continue;
        }
        size_t n = 0;
        rc = rc == EB_OK ? take_item(p, (struct eb_str){bytes.p + i, bytes.n - i}, &n, reterr) : rc;
        i += n;
    }
    return rc;
}

enum eb_rc eb_kube_page_feed(struct eb_kube_page *p, struct eb_str bytes, struct eb_err *reterr) {
    if (p->rc != EB_OK)
        return EB_FAIL(reterr, p->rc, "the page could not be read before");
    p->rc = feed(p, bytes, reterr);
    return p->rc;
}

static bool is_version(struct eb_str s) {
    return s.n > 0 && s.n <= EB_KUBE_VERSION_MAX && !eb_utf8_has_control(s);
}

static enum eb_rc read_frame(struct eb_kube_page *p, struct eb_str *ret_version, struct eb_str *ret_continue,
                             struct eb_err *reterr) {
    struct eb_str kind, version = EB_STR_NONE, more = EB_STR_NONE;
    if (p->frame_scan.depth != 0 || p->at != AT_FRAME || p->frame.n == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the page ends before its end");
    enum eb_rc rc = eb_kube_object_parse(&p->frame, &p->root, reterr);
    if (rc != EB_OK)
        return rc;
    const json_t *items = json_object_get(p->root, "items"), *meta = json_object_get(p->root, "metadata");
    kind = eb_json_str(p->root, "kind");
    if (kind.p && !eb_str_ends(kind, EB_STR("List")))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the API answered with a %.*s, not with a list",
                       kind.n > 40 || eb_utf8_has_control(kind) ? 0 : (int)kind.n, kind.p);
    if (!(json_is_array(items) && json_array_size(items) == 0) && !json_is_null(items))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the page has no list of items");
    if (eb_json_get_str(meta, "resourceVersion", &version) != EB_JSON_OK || !is_version(version))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the page names no resourceVersion");
    if (eb_json_get_str(meta, "continue", &more) == EB_JSON_WRONG_TYPE || more.n > EB_KUBE_CONTINUE_MAX)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the page's continue token is no text of at most %d bytes",
                       EB_KUBE_CONTINUE_MAX);
    *ret_version = version;
    *ret_continue = more.p ? more : EB_STR("");
    return EB_OK;
}

enum eb_rc eb_kube_page_end(struct eb_kube_page *p, struct eb_str *ret_version, struct eb_str *ret_continue,
                            struct eb_err *reterr) {
    if (p->rc != EB_OK)
        return EB_FAIL(reterr, p->rc, "the page could not be read before");
    enum eb_rc rc = read_frame(p, ret_version, ret_continue, reterr);
    p->rc = rc == EB_OK ? EB_E_INTERNAL : rc; /* nothing may follow */
    return rc;
}
