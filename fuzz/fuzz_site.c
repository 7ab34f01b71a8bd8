/* A site document, and where its servers run: what is taken must hold together, and all that is made of it
 * must come about. */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "site/placement.h"
#include "site/secrets.h"
#include "site/site.h"
#include "site/streams.h"
#include "subject/subject.h"

static void check_findings(const struct eb_findings *f) {
    for (size_t i = 0; i < f->n; i++)
        FUZZ_MUST(f->items[i].text && f->items[i].text[0] && f->items[i].path && f->items[i].mend);
}

static bool is_id(struct eb_str s) {
    return s.n && s.n <= EB_SITE_ID_MAX && strspn(s.p, "abcdefghijklmnopqrstuvwxyz0123456789") == s.n;
}

static void check_lists(const struct eb_site *s) {
    static const char *const closed[] = {"cpc.1.a",  "cpc.x.y.z",  "$SYS.a", "$JS.API.INFO",
                                         "_INBOX.a", "_INBOX.a.b", "_R_.a",  "$MQTT.a.b"};
    for (enum eb_site_list la = 0; la < EB_SITE_LISTS; la++) {
        for (size_t ia = 0; ia < s->lists[la].n; ia++) {
            struct eb_str a = s->lists[la].items[ia].s;
            FUZZ_MUST(eb_subject_check(a, NULL) == EB_OK && a.p[a.n] == '\0' &&
                      s->lists[la].items[ia].line > 0);
            for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
                FUZZ_MUST(!eb_subject_match(a, eb_str(closed[i])));
            for (enum eb_site_list lb = 0; lb < EB_SITE_LISTS; lb++)
                for (size_t ib = 0; ib < s->lists[lb].n; ib++)
                    FUZZ_MUST((la == lb && ia == ib) || !eb_subject_overlap(a, s->lists[lb].items[ib].s));
        }
    }
}

static void check_site(const struct eb_site *s) {
    FUZZ_MUST(s->type == EB_SITE_CSC ? s->id.n == 0 && !s->csc_endpoint.s.p
                                     : is_id(s->id) && s->csc_endpoint.s.n && !s->cpc_ids.n);
    for (size_t i = 0; i < s->cpc_ids.n; i++) {
        FUZZ_MUST(is_id(s->cpc_ids.items[i].s));
        FUZZ_MUST(eb_site_first_seq(s->cpc_ids.items[i].s) != eb_site_first_seq(EB_STR("")));
        for (size_t k = 0; k < i; k++)
            FUZZ_MUST(eb_site_first_seq(s->cpc_ids.items[i].s) != eb_site_first_seq(s->cpc_ids.items[k].s));
    }
    for (size_t i = 0; i < s->extras_n; i++)
        FUZZ_MUST(s->extras[i].lower.n == s->extras[i].name.s.n &&
                  (!i || strcmp(s->extras[i - 1].lower.p, s->extras[i].lower.p) < 0));
    FUZZ_MUST(s->streams_max_bytes > 0 && s->streams_max_age_ns >= INT64_C(120000000000) &&
              s->streams_replicas % 2 == 1);
    FUZZ_MUST(json_is_object(s->permissions) && (!s->gateway || json_is_object(s->gateway)));
    check_lists(s);
}

static void check_made(const struct eb_site *s) {
    struct eb_secret_def *defs = NULL;
    struct eb_stream_source *sources = NULL;
    size_t n = 0;
    json_t *streams = eb_streams_of(s);
    FUZZ_MUST(json_array_size(streams) == EB_STREAMS_N);
    json_decref(streams);
    FUZZ_MUST(eb_stream_sources(s, &sources, &n) == EB_OK);
    eb_stream_sources_free(sources, n);
    FUZZ_MUST(eb_secrets_of(s, &defs, &n, NULL) == EB_OK && n > 0);
    for (size_t i = 1; i < n; i++)
        FUZZ_MUST(strcmp(defs[i - 1].name, defs[i].name) < 0);
    free(defs);
}

/* The subtree written out is the tree that was read. */
static void check_permissions(struct eb_str bytes, const struct eb_site *s) {
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    eb_auto_buf struct eb_buf text = {0};
    FUZZ_MUST(eb_doc_from(bytes, "fuzz", &doc, NULL) == EB_OK);
    FUZZ_MUST(eb_site_permissions_text(doc, &text, NULL) == EB_OK);
    if (!text.n) {
        FUZZ_MUST(json_object_size(s->permissions) == 0);
        return;
    }
    json_t *tree = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    FUZZ_MUST(json_equal(tree, s->permissions));
    json_decref(tree);
}

static void read_as_placement(struct eb_str bytes) {
    static const char text[] =
        "{\"global\":{\"eventBus\":{\"clusterType\":\"csc\",\"mqttStreams\":{\"replicas\":3}}}}";
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL, *site_doc = NULL;
    EB_CLEANUP(eb_site_freep) struct eb_site *site = NULL;
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    FUZZ_MUST(eb_doc_from(eb_str(text), NULL, &site_doc, NULL) == EB_OK &&
              eb_site_load(site_doc, &site, &f) == EB_OK);
    if (eb_doc_from(bytes, "fuzz", &doc, NULL) != EB_OK)
        return;
    enum eb_rc rc = eb_placement_load(doc, site, &p, &f);
    FUZZ_MUST((rc == EB_OK) == (p != NULL) && (rc == EB_OK) == (f.errors == 0));
    check_findings(&f);
    if (!p)
        return;
    FUZZ_MUST(p->nodes_n >= 3 && p->nodes_n <= EB_PLACEMENT_NODES && p->mtls_main.n > 0 && p->nats &&
              p->mtls_mqtt);
    for (size_t i = 0; i < p->nodes_n; i++)
        FUZZ_MUST(p->nodes[i].name.n && p->nodes[i].address.n && p->nodes[i].data_dir.p[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct eb_str bytes = eb_str_n(data, size);
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    EB_CLEANUP(eb_site_freep) struct eb_site *s = NULL;
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    if (size && data[0] == '#') { /* one that begins with a comment is of the other kind */
        read_as_placement(bytes);
        return 0;
    }
    if (eb_doc_from(bytes, "fuzz", &doc, NULL) != EB_OK)
        return 0;
    enum eb_rc rc = eb_site_load(doc, &s, &f);
    FUZZ_MUST((rc == EB_OK) == (s != NULL) && (rc == EB_OK) == (f.errors == 0));
    check_findings(&f);
    if (!s)
        return 0;
    check_site(s);
    check_made(s);
    check_permissions(bytes, s);
    FUZZ_MUST((eb_placement_load(NULL, s, &p, &f) == EB_OK) == (s->streams_replicas == 1));
    const struct eb_site *const both[] = {s, s};
    size_t before = f.errors;
    eb_site_agree(both, 1, &f);
    FUZZ_MUST(f.errors == before);
    eb_site_agree(both, 2, &f); /* a site and itself are one too many */
    FUZZ_MUST(f.errors > before);
    check_findings(&f);
    return 0;
}
