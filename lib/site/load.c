/* Finds `global.eventBus` in a document and reads it; the site's life. */
#include <sodium.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/num.h"
#include "site/impl.h"

#define SLOT                                                                                                 \
    UINT64_C(1000000000000) /* QoS 2 messages that a site may count before it meets the next one's numbers   \
                             */
#define NUMBERS 1000000     /* slots of the CSC and of decimal ids */
#define OTHERS 8000000      /* slots of all others; the last one's numbers still fit 63 bits */

static const char *const list_names[EB_SITE_LISTS] = {"cscExports", "cscPrefixedExports", "cpcExports"};

const char *eb_site_list_name(enum eb_site_list l) {
    return list_names[l];
}

uint64_t eb_site_first_seq(struct eb_str id) {
    int64_t number;
    if (id.n == 0)
        return SLOT;
    if (id.p[0] != '0' && eb_num_i64(id, 1, NUMBERS - 1, &number) == EB_OK)
        return ((uint64_t)number + 1) * SLOT;
    /* the first 32 bits of SHA-256, which templates can work out too */
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)id.p, id.n);
    uint64_t bits = (uint64_t)hash[0] << 24 | (uint64_t)hash[1] << 16 | (uint64_t)hash[2] << 8 | hash[3];
    return (NUMBERS + 1 + bits % OTHERS) * SLOT;
}

void eb_site_free(struct eb_site *s) {
    if (!s)
        return;
    struct eb_site_own *own = (struct eb_site_own *)s;
    json_decref(s->permissions);
    json_decref(s->gateway);
    eb_mem_done(&own->mem);
    free(own);
}

bool eb_site_account_mqtt(const struct eb_site *s, struct eb_str account) {
    if (eb_str_eq(account, s->account))
        return true;
    for (size_t i = 0; i < s->extras_n; i++)
        if (eb_str_eq(account, s->extras[i].name.s))
            return s->extras[i].enabled && s->extras[i].jetstream && s->type == EB_SITE_CSC;
    return false;
}

/* What a walk through the outer mappings saw, for the mend where the inner one is missing. */
struct outer {
    size_t seen;     /* line of the key; 0 = not there */
    char other[100]; /* a key that may have been meant */
};

/*
 * Moves on to the value of the key in the mapping that ev began; ev is that value's begin then. All other
 * keys are passed over: a chart's values have more. false at the mapping's end, where *ev is its end, or
 * after a failure (r->rc).
 */
static bool to_key(struct eb_reading *r, struct eb_doc_event *ev, const char *key, const char *path,
                   struct outer *o) {
    for (;;) {
        if (!eb_reading_next(r, ev))
            return false;
        if (ev->kind != EB_DOC_SCALAR)
            return false;
        bool is = eb_str_eqz(ev->text, key);
        if (is && o->seen)
            eb_reading_report(r, EB_ERROR, ev->line, path, "write all of it under one key",
                              "the key is here a second time (first on line %zu)", o->seen);
        if (!is && !o->other[0] && (eb_nearest(ev->text, &key, 1) || eb_str_eqz(ev->text, "eventBus")))
            (void)eb_node_plain(o->other, ev->text);
        bool take = is && !o->seen;
        if (take)
            o->seen = ev->line;
        if (!eb_reading_next(r, ev))
            return false;
        if (take)
            return true;
        if (!eb_reading_skip(r, ev))
            return false;
    }
}

static void missing(struct eb_reading *r, size_t line, const char *path, const struct outer *o) {
    char mend[160];
    if (strcmp(o->other, "eventBus") == 0 && strcmp(path, "global") == 0)
        (void)snprintf(mend, sizeof mend, "write global: and move eventBus: below it");
    else if (o->other[0])
        (void)snprintf(mend, sizeof mend, "`%s` may be meant", o->other);
    else
        (void)snprintf(mend, sizeof mend, "write the site below global: and eventBus:");
    eb_reading_report(r, EB_ERROR, line, path, mend, "%s is missing",
                      strcmp(path, "global") == 0 ? "global:" : "eventBus:");
}

static bool is_map(struct eb_reading *r, const struct eb_doc_event *ev, const char *path) {
    if (ev->kind == EB_DOC_MAP)
        return true;
    eb_reading_report(r, EB_ERROR, ev->line, path, "write the site below global: and eventBus:",
                      ev->kind == EB_DOC_END || (!path[0] && eb_doc_is_null(ev)) ? "the document is empty"
                                                                                 : "no mapping");
    return false;
}

/* The whole document; *ret stays NULL where there is no site in it, after a finding. */
static bool read_document(struct eb_reading *r, struct eb_node **ret) {
    struct eb_doc_event ev;
    struct outer top = {0}, global = {0};
    if (!eb_reading_next(r, &ev))
        return false;
    if (!is_map(r, &ev, ""))
        return ev.kind == EB_DOC_END || eb_reading_skip(r, &ev);
    size_t first_line = ev.line;
    while (to_key(r, &ev, "global", "global", &top)) {
        if (!is_map(r, &ev, "global")) {
            if (!eb_reading_skip(r, &ev))
                return false;
            continue;
        }
        while (to_key(r, &ev, "eventBus", "global.eventBus", &global)) {
            eb_buf_reset(&r->path);
            eb_buf_z(&r->path, "global.eventBus");
            if (is_map(r, &ev, "global.eventBus") ? !eb_reading_value(r, &ev, ret) : !eb_reading_skip(r, &ev))
                return false;
        }
        if (r->rc != EB_OK)
            return false;
        if (!global.seen)
            missing(r, top.seen, "global.eventBus", &global);
    }
    if (r->rc != EB_OK)
        return false;
    if (!top.seen)
        missing(r, first_line, "global", &top);
    return eb_reading_next(r, &ev); /* the end, or what is wrong behind */
}

enum eb_rc eb_site_load(struct eb_doc *doc, struct eb_site **ret, struct eb_findings *findings) {
    eb_auto_mem struct eb_mem tree = {0};
    EB_CLEANUP(eb_reading_done)
    struct eb_reading r = {.doc = doc, .findings = findings, .base = "", .mem = &tree};
    EB_CLEANUP(eb_site_freep) struct eb_site *site = NULL;
    size_t before = findings->errors;
    struct eb_site_own *own = calloc(1, sizeof *own);
    struct eb_node *bus = NULL;
    tree.failed = !own;
    if (!eb_reading_ok(&r))
        return r.rc;
    site = &own->site;
    if (!read_document(&r, &bus))
        return r.rc;
    if (!bus)
        return EB_E_INVALID;
    r.base = "global.eventBus";
    eb_site_read(&r, bus, own);
    enum eb_rc rc = eb_reading_verdict(&r, &own->mem, before);
    if (rc == EB_OK)
        *ret = EB_TAKE(site);
    return rc;
}
