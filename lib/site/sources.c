#include "site/streams.h"

#include "base/buf.h"
#include "base/cleanup.h"

/* What is pulled from one site into another: which list, and how a pattern of it is named on both sides. */
struct route {
    enum eb_site_list list;
    const char *from, *to; /* prefixes of the pattern's subjects there: "", or "cpc.1." */
    const char *api, *deliver;
};

struct out {
    struct eb_stream_source *items;
    size_t n, cap;
};

static void done(struct eb_stream_source *s) {
    free(s->filter);
    free(s->dest);
    free(s->api);
    free(s->deliver);
    free(s->into);
}

void eb_stream_sources_free(struct eb_stream_source *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        done(&s[i]);
    free(s);
}

static void out_done(struct out *o) {
    eb_stream_sources_free(o->items, o->n);
}

/* A pattern as the destination of a subject transform: each `*` is named by its place. */
static void transformed(struct eb_buf *to, struct eb_str pattern) {
    unsigned wildcards = 0;
    const char *dot = "";
    while (pattern.p) {
        struct eb_str token = eb_str_cut(&pattern, '.');
        eb_buf_z(to, dot);
        if (eb_str_eqz(token, "*"))
            eb_buf_printf(to, "{{wildcard(%u)}}", ++wildcards);
        else
            eb_buf_str(to, token);
        dot = ".";
    }
}

static char *text(const char *a, const char *b, struct eb_str pattern, bool transform) {
    eb_auto_buf struct eb_buf to = {0};
    eb_buf_z(&to, a);
    eb_buf_z(&to, b);
    if (transform)
        transformed(&to, pattern);
    else
        eb_buf_str(&to, pattern);
    return eb_buf_take(&to);
}

/* retained: the copies in XL_RETAINED, into $MQTT_rmsgs; else the messages of QoS 1 and 2. */
static enum eb_rc add(struct out *o, const struct route *r, struct eb_str pattern, bool retained) {
    if (o->n == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 16;
        struct eb_stream_source *more = reallocarray(o->items, cap, sizeof *more);
        if (!more)
            return EB_E_NOMEM;
        o->items = more;
        o->cap = cap;
    }
    struct eb_stream_source *s = &o->items[o->n++];
    *s = (struct eb_stream_source){
        .stream = retained ? EB_STREAM_RETAINED : EB_STREAM_MSGS,
        .filter = text(retained ? "$XL.r." : "$MQTT.msgs.", r->from, pattern, false),
        .dest = text(retained ? "$MQTT.rmsgs." : "$MQTT.msgs.", r->to, pattern, true),
        .api = text(r->api, "", EB_STR_NONE, false),
        .deliver = text(r->deliver, retained ? ".rmsgs" : ".msgs", EB_STR_NONE, false),
        .into = text(retained ? EB_STREAM_RMSGS : EB_STREAM_MSGS, "", EB_STR_NONE, false),
    };
    return s->filter && s->dest && s->api && s->deliver && s->into ? EB_OK : EB_E_NOMEM;
}

static enum eb_rc add_route(struct out *o, const struct eb_site *site, const struct route *r) {
    for (int retained = 0; retained < 2; retained++)
        for (size_t i = 0; i < site->lists[r->list].n; i++) {
            enum eb_rc rc = add(o, r, site->lists[r->list].items[i].s, retained);
            if (rc != EB_OK)
                return rc;
        }
    return EB_OK;
}

/* What the CSC pulls from the CPC of this id. */
static enum eb_rc add_up(struct out *o, const struct eb_site *site, struct eb_str id) {
    eb_auto_free char *to = text("cpc.", "", id, false);
    eb_auto_free char *api = text("$XL.", "", id, false);
    eb_auto_free char *full_api = api ? text(api, ".api", EB_STR_NONE, false) : NULL;
    eb_auto_free char *deliver = text("$XL.up.", "", id, false);
    eb_auto_free char *prefix = to ? text(to, ".", EB_STR_NONE, false) : NULL;
    if (!full_api || !deliver || !prefix)
        return EB_E_NOMEM;
    const struct route r = {EB_SITE_CPC_EXPORTS, "", prefix, full_api, deliver};
    return add_route(o, site, &r);
}

/* What the CPC of this id pulls from the CSC. */
static enum eb_rc add_down(struct out *o, const struct eb_site *site, struct eb_str id) {
    eb_auto_free char *from = text("cpc.", "", id, false);
    eb_auto_free char *prefix = from ? text(from, ".", EB_STR_NONE, false) : NULL;
    eb_auto_free char *deliver = text("$XL.down.", "", id, false);
    if (!prefix || !deliver)
        return EB_E_NOMEM;
    const struct route all = {EB_SITE_CSC_EXPORTS, "", "", "$JS.CSC.API", deliver};
    const struct route own = {EB_SITE_CSC_PREFIXED, prefix, "", "$JS.CSC.API", deliver};
    enum eb_rc rc = add_route(o, site, &all);
    return rc == EB_OK ? add_route(o, site, &own) : rc;
}

static enum eb_rc hand_over(struct out *o, struct eb_stream_source **ret, size_t *ret_n) {
    *ret_n = o->n;
    *ret = EB_TAKE(o->items);
    o->n = 0;
    return EB_OK;
}

enum eb_rc eb_stream_sources(const struct eb_site *site, struct eb_stream_source **ret, size_t *ret_n) {
    EB_CLEANUP(out_done) struct out o = {0};
    enum eb_rc rc = EB_OK;
    if (site->type == EB_SITE_CPC)
        rc = add_down(&o, site, site->id);
    for (size_t i = 0; rc == EB_OK && site->type == EB_SITE_CSC && i < site->cpc_ids.n; i++)
        rc = add_up(&o, site, site->cpc_ids.items[i].s);
    return rc == EB_OK ? hand_over(&o, ret, ret_n) : rc;
}

enum eb_rc eb_stream_sources_of_cpc(const struct eb_site *csc, struct eb_str id,
                                    struct eb_stream_source **ret, size_t *ret_n) {
    EB_CLEANUP(out_done) struct out o = {0};
    enum eb_rc rc = add_down(&o, csc, id);
    return rc == EB_OK ? hand_over(&o, ret, ret_n) : rc;
}
