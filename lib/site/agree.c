/* Documents of sites that belong together, compared. */
#include <stdio.h>

#include "site/impl.h"
#include "site/site.h"

struct pair {
    const struct eb_site *a, *b; /* a is the CSC where there is one; findings stand in b */
    struct eb_findings *findings;
};

static void report(const struct pair *p, enum eb_severity severity, const struct eb_site *in, size_t line,
                   const char *path, const char *mend, const char *fmt, ...) EB_PRINTF(7, 8);
static void report(const struct pair *p, enum eb_severity severity, const struct eb_site *in, size_t line,
                   const char *path, const char *mend, const char *fmt, ...) {
    char where[EB_PATH_MAX], text[640];
    va_list ap;
    (void)eb_path(where, "global.eventBus", path);
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    eb_findings_add(p->findings, severity, in->file.p, line, where, mend, "%s", text);
}

static const struct eb_site_text *find(const struct eb_site_texts *in, struct eb_str s) {
    for (size_t i = 0; i < in->n; i++)
        if (eb_str_eq(in->items[i].s, s))
            return &in->items[i];
    return NULL;
}

/* Patterns of one that the other lacks. */
static void one_way(const struct pair *p, const struct eb_site *has, const struct eb_site *lacks,
                    enum eb_site_list l) {
    const struct eb_site_texts *list = &has->lists[l];
    char path[64];
    for (size_t i = 0; i < list->n; i++)
        if (!find(&lacks->lists[l], list->items[i].s))
            report(p, EB_ERROR, has, list->items[i].line, eb_site_item(path, l, i),
                   "write the same list in both",
                   "`%.*s` is not in %s of %.*s: it would not cross, and nothing would tell",
                   EB_STR_ARG(list->items[i].s), eb_site_list_name(l), EB_STR_ARG(lacks->file));
}

static const struct eb_site_extra *extra(const struct eb_site *s, struct eb_str lower) {
    for (size_t i = 0; i < s->extras_n; i++)
        if (s->extras[i].enabled && eb_str_eq(s->extras[i].lower, lower))
            return &s->extras[i];
    return NULL;
}

static void extras(const struct pair *p, const struct eb_site *has, const struct eb_site *lacks,
                   bool both_ways) {
    for (size_t i = 0; i < has->extras_n; i++) {
        const struct eb_site_extra *x = &has->extras[i], *y = extra(lacks, x->lower);
        char path[EB_PATH_MAX];
        (void)eb_path(path, "extraAccounts", x->name.s.p);
        if (!x->enabled)
            continue;
        if (!y)
            report(p, EB_ERROR, has, x->name.line, path, "enable it in both, or in neither",
                   "the extra account is not enabled in %.*s", EB_STR_ARG(lacks->file));
        else if (both_ways && !eb_str_eq(x->name.s, y->name.s))
            report(p, EB_ERROR, has, x->name.line, path, "write the name alike",
                   "%.*s calls it `%.*s` (line %zu)", EB_STR_ARG(lacks->file), EB_STR_ARG(y->name.s),
                   y->name.line);
        else if (both_ways && x->jetstream != y->jetstream)
            report(p, EB_ERROR, has, x->name.line, path, "write jetstream: alike in both",
                   "jetstream is %s here and %s in %.*s (line %zu)", x->jetstream ? "on" : "off",
                   y->jetstream ? "on" : "off", EB_STR_ARG(lacks->file), y->name.line);
    }
}

static void streams(const struct pair *p) {
    static const char mend[] =
        "write the same in both: else messages are stored a second time, or are gone, after an interruption";
    if (p->a->streams_max_bytes != p->b->streams_max_bytes)
        report(p, EB_ERROR, p->b, 0, "mqttStreams.maxBytes", mend, "%lld bytes here, %lld in %.*s",
               (long long)p->b->streams_max_bytes, (long long)p->a->streams_max_bytes,
               EB_STR_ARG(p->a->file));
    if (p->a->streams_max_age_ns != p->b->streams_max_age_ns)
        report(p, EB_ERROR, p->b, 0, "mqttStreams.maxAge", mend, "%lld s here, %lld s in %.*s",
               (long long)(p->b->streams_max_age_ns / 1000000000),
               (long long)(p->a->streams_max_age_ns / 1000000000), EB_STR_ARG(p->a->file));
}

static void link_tls(const struct pair *p) {
    bool server = p->a->leaf_server_tls.cert.p != NULL;
    struct eb_str url = p->b->csc_endpoint.s;
    if (server && !p->b->leaf_client_tls.ca.p && !eb_str_starts(url, EB_STR("tls://")))
        report(p, EB_WARNING, p->b, p->b->csc_endpoint.line, "cscEndpoint",
               "write tls://, and cpcLeafClientTLS where the CA is a private one",
               "the leaf listener of %.*s asks for TLS", EB_STR_ARG(p->a->file));
    if (!server && eb_str_starts(url, EB_STR("tls://")))
        report(p, EB_WARNING, p->b, p->b->csc_endpoint.line, "cscEndpoint",
               "write cscLeafServerTLS there; leave it as it is where something before the CSC takes the TLS "
               "off",
               "%.*s gives its leaf listener no certificate", EB_STR_ARG(p->a->file));
}

static void with_csc(const struct pair *p) {
    if (p->b->id.n && !find(&p->a->cpc_ids, p->b->id))
        report(p, EB_ERROR, p->b, 0, "clusterId", "add it to cpcIds there",
               "`%.*s` is not in cpcIds of %.*s: the CSC does not know this CPC", EB_STR_ARG(p->b->id),
               EB_STR_ARG(p->a->file));
    link_tls(p);
}

static void ids(const struct pair *p) {
    if (p->a->type == EB_SITE_CSC && p->b->type == EB_SITE_CSC)
        report(p, EB_ERROR, p->b, 0, "clusterType", "give one CSC and its CPCs", "%.*s is a CSC too",
               EB_STR_ARG(p->a->file));
    else if (p->a->type == p->b->type && eb_str_eq(p->a->id, p->b->id))
        report(p, EB_ERROR, p->b, 0, "clusterId", "give each CPC an id of its own",
               "%.*s has the id `%.*s` too", EB_STR_ARG(p->a->file), EB_STR_ARG(p->b->id));
    else if (eb_site_first_seq(p->a->id) == eb_site_first_seq(p->b->id))
        report(p, EB_ERROR, p->b, 0, "clusterId", "give one of them another id",
               "`%.*s` and `%.*s` of %.*s would number their QoS 2 messages alike", EB_STR_ARG(p->b->id),
               EB_STR_ARG(p->a->id), EB_STR_ARG(p->a->file));
}

void eb_site_agree(const struct eb_site *const *sites, size_t n, struct eb_findings *findings) {
    size_t first = 0;
    while (first < n && sites[first]->type != EB_SITE_CSC)
        first++;
    first = first == n ? 0 : first;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            ids(&(struct pair){sites[k], sites[i], findings});
    for (size_t i = 0; i < n; i++) {
        struct pair p = {sites[first], sites[i], findings};
        if (i == first)
            continue;
        for (enum eb_site_list l = 0; l < EB_SITE_LISTS; l++) {
            one_way(&p, p.a, p.b, l);
            one_way(&p, p.b, p.a, l);
        }
        extras(&p, p.b, p.a, true);
        extras(&p, p.a, p.b, false);
        streams(&p);
        if (p.a->type == EB_SITE_CSC && p.b->type == EB_SITE_CPC)
            with_csc(&p);
    }
}
