/* Reads each key of a site. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/num.h"
#include "site/impl.h"
#include "subject/subject.h"

#define BYTES_MIN ((int64_t)1 << 20)
#define BYTES_MAX ((int64_t)1 << 50)
#define AGE_MIN_NS                                                                                           \
    (INT64_C(120) * 1000000000) /* the streams' duplicate window, which may not be longer than the age */
#define AGE_MAX_NS (INT64_C(87600) * 3600 * 1000000000)
#define BYTES_DEFAULT ((int64_t)64 << 20)
#define AGE_DEFAULT_NS (INT64_C(3) * 3600 * 1000000000)

bool eb_site_id_ok(struct eb_str id) {
    return id.n && id.n <= EB_SITE_ID_MAX && strspn(id.p, "abcdefghijklmnopqrstuvwxyz0123456789") >= id.n;
}

/* An id, copied; a finding where it is none. */
static bool read_id(struct eb_reading *r, const struct eb_node *n, const char *path, struct eb_mem *mem,
                    struct eb_site_text *to) {
    char quoted[100];
    bool number = n->kind == EB_DOC_SCALAR && n->text.n && n->text.p[0] != '0' && n->text.n <= 6 &&
                  strspn(n->text.p, "0123456789") == n->text.n;
    if (n->kind != EB_DOC_SCALAR) {
        eb_reading_report(r, EB_ERROR, n->line, path, "write it as \"1\"", "no single value");
        return false;
    }
    if (!eb_site_id_ok(n->text)) {
        eb_reading_report(r, EB_ERROR, n->line, path, "use 1 to 32 small letters and digits",
                          "%s is no cluster id", eb_node_quote(quoted, n->text));
        return false;
    }
    if (eb_node_is_typed(n) && !number) { /* a chart would get another one */
        char mend[64];
        (void)snprintf(mend, sizeof mend, "put it in quotes: \"%.*s\"", EB_STR_ARG(n->text));
        eb_reading_report(r, EB_ERROR, n->line, path, mend, "%s is read as a number or a boolean by some",
                          eb_node_quote(quoted, n->text));
        return false;
    }
    *to = (struct eb_site_text){eb_mem_str(mem, n->text), n->line};
    return true;
}

/* True where a chart's default says that a key is not used: null, "", [] or {}. */
static bool is_blank(const struct eb_node *n) {
    return !n || (n->kind == EB_DOC_SCALAR ? n->text.n == 0 : n->n == 0);
}

static void refuse(struct eb_reading *r, const struct eb_node *bus, const char *key, const char *why,
                   const char *mend) {
    const struct eb_node *n = eb_node_get(bus, key);
    if (!is_blank(n))
        eb_reading_report(r, EB_ERROR, n->line, key, mend, "%s", why);
}

/* What was meant where clusterType does not tell, so that the rest can be judged; false where nothing shows.
 */
static bool guess_type(const struct eb_node *bus, const struct eb_node *n, enum eb_site_type *to) {
    bool cpc = !is_blank(eb_node_get(bus, "clusterId")) || !is_blank(eb_node_get(bus, "cscEndpoint"));
    bool csc = !is_blank(eb_node_get(bus, "cpcIds"));
    if (n && n->text.n == 3 && (strcasecmp(n->text.p, "csc") == 0 || strcasecmp(n->text.p, "cpc") == 0)) {
        cpc = tolower((unsigned char)n->text.p[1]) == 'p';
        csc = !cpc;
    }
    *to = cpc ? EB_SITE_CPC : EB_SITE_CSC;
    return cpc != csc;
}

/* false where the type is not known and cannot be guessed. */
static bool read_type(struct eb_reading *r, const struct eb_node *bus, struct eb_site *s) {
    const struct eb_node *n = eb_check_get(r, bus, "", "clusterType", EB_DOC_SCALAR);
    char quoted[100];
    if (n && (eb_str_eqz(n->text, "csc") || eb_str_eqz(n->text, "cpc"))) {
        s->type = n->text.p[1] == 'p' ? EB_SITE_CPC : EB_SITE_CSC;
        return true;
    }
    if (n)
        eb_reading_report(r, EB_ERROR, n->line, "clusterType", "write csc or cpc, in small letters",
                          "%s is no type of cluster", eb_node_quote(quoted, n->text));
    else if (!eb_node_get(bus, "clusterType"))
        eb_reading_report(r, EB_ERROR, bus->line, "clusterType", "write clusterType: csc, or cpc",
                          "the type of the cluster is missing");
    return guess_type(bus, n, &s->type);
}

static void read_endpoint(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    struct eb_str text = EB_STR_NONE;
    const struct eb_node *n = eb_check_text(r, bus, "", "cscEndpoint", &own->mem, &text);
    if (!n) {
        if (is_blank(eb_node_get(bus, "cscEndpoint")))
            eb_reading_report(r, EB_ERROR, bus->line, "cscEndpoint", "write cscEndpoint: nats://HOST:7422",
                              "a CPC needs the address of the CSC's leaf listener");
        return;
    }
    own->site.csc_endpoint = (struct eb_site_text){text, n->line};
    struct eb_str rest = text;
    while (rest.p)
        (void)eb_check_url(r, n->line, "cscEndpoint", eb_str_cut(&rest, ','));
}

static void read_cpc(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    struct eb_site *s = &own->site;
    struct eb_site_text id = {0};
    const struct eb_node *n = eb_node_get(bus, "clusterId");
    if (is_blank(n))
        eb_reading_report(r, EB_ERROR, n ? n->line : bus->line, "clusterId", "write clusterId: \"1\"",
                          "a CPC needs an id of its own");
    else if (read_id(r, n, "clusterId", &own->mem, &id))
        s->id = id.s;
    refuse(r, bus, "cpcIds", "only the CSC's document lists the ids of the CPCs",
           "write clusterId: for this one, or clusterType: csc");
    read_endpoint(r, bus, own);
    s->account = EB_STR("CPC");
    s->name = eb_mem_printf(&own->mem, "cpc-%.*s", EB_STR_ARG(s->id));
    s->domain = eb_mem_printf(&own->mem, "CPC-%.*s", EB_STR_ARG(s->id));
}

static void compare_ids(struct eb_reading *r, const struct eb_site_texts *ids) {
    for (size_t i = 1; i < ids->n; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct eb_site_text *a = &ids->items[k], *b = &ids->items[i];
            char path[32];
            (void)snprintf(path, sizeof path, "cpcIds[%zu]", i);
            if (!a->s.n || !b->s.n)
                continue;
            if (eb_str_eq(a->s, b->s)) {
                eb_reading_report(r, EB_ERROR, b->line, path, "leave one out",
                                  "`%.*s` is here a second time (first on line %zu)", EB_STR_ARG(b->s),
                                  a->line);
                break;
            }
            if (eb_site_first_seq(a->s) == eb_site_first_seq(b->s))
                eb_reading_report(r, EB_ERROR, b->line, path, "give one of them another id",
                                  "`%.*s` and `%.*s` (line %zu) would number their QoS 2 messages alike",
                                  EB_STR_ARG(b->s), EB_STR_ARG(a->s), a->line);
        }
    }
}

static void read_csc(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    struct eb_site *s = &own->site;
    s->account = s->domain = EB_STR("CSC");
    s->name = EB_STR("csc");
    refuse(r, bus, "clusterId", "the CSC has no id", "leave it out, or write clusterType: cpc");
    refuse(r, bus, "cscEndpoint", "only a CPC connects to the CSC",
           "leave it out, or write clusterType: cpc");
    const struct eb_node *list = eb_check_get(r, bus, "", "cpcIds", EB_DOC_LIST);
    if (!list || !list->n)
        return;
    if (list->n > EB_SITE_CPCS) {
        eb_reading_report(r, EB_ERROR, list->line, "cpcIds", "list 999 at most", "%zu ids", list->n);
        return;
    }
    s->cpc_ids.items = eb_mem_new(&own->mem, list->n * sizeof *s->cpc_ids.items);
    for (const struct eb_node *n = list->first; n && s->cpc_ids.items; n = n->next) {
        char path[32];
        (void)snprintf(path, sizeof path, "cpcIds[%zu]", s->cpc_ids.n);
        struct eb_site_text *to = &s->cpc_ids.items[s->cpc_ids.n++];
        if (!read_id(r, n, path, &own->mem, to)) /* its place stays, so that the others keep theirs */
            *to = (struct eb_site_text){EB_STR(""), n->line};
    }
    compare_ids(r, &s->cpc_ids);
}

const char *eb_site_item(char to[64], enum eb_site_list l, size_t i) {
    (void)snprintf(to, 64, "crossLayer.%s[%zu]", eb_site_list_name(l), i);
    return to;
}

/* A list keeps the places of the document: what is no pattern stands there as an empty text. */
static void read_pattern(struct eb_reading *r, const struct eb_node *n, const char *path, struct eb_mem *mem,
                         struct eb_site_text *to) {
    struct eb_err err = {0};
    char quoted[100];
    *to = (struct eb_site_text){EB_STR(""), n->line};
    if (n->kind != EB_DOC_SCALAR || eb_node_is_null(n))
        eb_reading_report(r, EB_ERROR, n->line, path, "write a subject: \"sensor.>\"", "no text");
    else if (n->text.n > EB_SITE_PATTERN_MAX)
        eb_reading_report(r, EB_ERROR, n->line, path, "shorten it: prefixes are put before it",
                          "more than 255 bytes");
    else if (eb_node_is_typed(n))
        eb_reading_report(r, EB_ERROR, n->line, path, "put it in quotes",
                          "%s is read as a number or a boolean by some", eb_node_quote(quoted, n->text));
    else if (eb_subject_check(n->text, &err) != EB_OK)
        eb_reading_report(r, EB_ERROR, n->line, path, NULL, "%s", err.text);
    else
        to->s = eb_mem_str(mem, n->text);
}

static void read_lists(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    const char *known[EB_SITE_LISTS];
    for (enum eb_site_list l = 0; l < EB_SITE_LISTS; l++)
        known[l] = eb_site_list_name(l);
    const struct eb_node *cross = eb_check_get(r, bus, "", "crossLayer", EB_DOC_MAP);
    eb_check_keys(r, cross, "crossLayer", known, EB_SITE_LISTS);
    for (enum eb_site_list l = 0; l < EB_SITE_LISTS; l++) {
        const struct eb_node *list = eb_check_get(r, cross, "crossLayer", known[l], EB_DOC_LIST);
        struct eb_site_texts *to = &own->site.lists[l];
        char path[64];
        if (!list || !list->n)
            continue;
        if (list->n > EB_SITE_PATTERNS) {
            eb_reading_report(r, EB_ERROR, list->line,
                              eb_path((char[EB_PATH_MAX]){0}, "crossLayer", known[l]), "write wider patterns",
                              "%zu patterns; 256 are allowed", list->n);
            continue;
        }
        to->items = eb_mem_new(&own->mem, list->n * sizeof *to->items);
        for (const struct eb_node *n = list->first; n && to->items; n = n->next, to->n++)
            read_pattern(r, n, eb_site_item(path, l, to->n), &own->mem, &to->items[to->n]);
    }
    eb_site_check_overlap(r, &own->site);
}

/* NULL where an extra account may have that name. */
static const char *extra_fault(struct eb_str name) {
    static const char *const taken[] = {"sys", "auth", "authx", "csc"};
    if (name.n == 0 || name.n > EB_SITE_EXTRA_MAX)
        return "has not 1 to 32 characters";
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) || (unsigned char)name.p[i] >= 0x80)
            return "has other characters than letters and digits";
    if (name.n >= 3 && strncasecmp(name.p, "cpc", 3) == 0)
        return "begins as names of the CPCs do";
    for (size_t i = 0; i < EB_COUNT_OF(taken); i++)
        if (name.n == strlen(taken[i]) && strncasecmp(name.p, taken[i], name.n) == 0)
            return "is the name of an account that every site has";
    return NULL;
}

static void add_extra(struct eb_reading *r, struct eb_site_own *own, const struct eb_node *n,
                      const char *path) {
    static const char *const known[] = {"enabled", "jetstream"};
    struct eb_site *s = &own->site;
    struct eb_site_extra x = {.name = {eb_mem_str(&own->mem, n->key), n->line}, .enabled = true};
    char quoted[100];
    const char *fault = extra_fault(n->key);
    if (fault)
        eb_reading_report(r, EB_ERROR, n->line, path,
                          "name it otherwise: letters and digits, not SYS, AUTH, AUTHX, CSC or CPC…", "%s %s",
                          eb_node_quote(quoted, n->key), fault);
    if (n->kind != EB_DOC_MAP && !eb_node_is_null(n))
        eb_reading_report(r, EB_ERROR, n->line, path, "write { enabled: true, jetstream: true }",
                          "no mapping");
    eb_check_keys(r, n, path, known, EB_COUNT_OF(known));
    eb_check_bool(r, n, path, "enabled", &x.enabled);
    eb_check_bool(r, n, path, "jetstream", &x.jetstream);
    if (fault)
        return;
    char lower[EB_SITE_EXTRA_MAX + 1] = "";
    for (size_t i = 0; i < n->key.n; i++)
        lower[i] = (char)tolower((unsigned char)n->key.p[i]);
    x.lower = eb_mem_str(&own->mem, eb_str(lower));
    size_t at = s->extras_n;
    for (; at && strcmp(s->extras[at - 1].lower.p, x.lower.p) > 0; at--)
        s->extras[at] = s->extras[at - 1];
    s->extras[at] = x;
    s->extras_n++;
    const struct eb_site_extra *before = at ? &s->extras[at - 1] : NULL;
    if (before && eb_str_eq(before->lower, x.lower) && !eb_str_eq(before->name.s, x.name.s))
        eb_reading_report(
            r, EB_ERROR, n->line, path, "name one of them otherwise",
            "`%.*s` and `%.*s` (line %zu) differ in capitals only, and so not in the names of their secrets",
            EB_STR_ARG(x.name.s), EB_STR_ARG(before->name.s), before->name.line);
}

static void read_extras(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    struct eb_site *s = &own->site;
    const struct eb_node *map = eb_check_get(r, bus, "", "extraAccounts", EB_DOC_MAP);
    if (!map || !map->n)
        return;
    if (map->n > EB_SITE_EXTRAS) {
        eb_reading_report(r, EB_ERROR, map->line, "extraAccounts", "write 64 at most", "%zu extra accounts",
                          map->n);
        return;
    }
    s->extras = eb_mem_new(&own->mem, map->n * sizeof *s->extras);
    for (const struct eb_node *n = map->first; n && s->extras; n = n->next) {
        char path[EB_PATH_MAX], key[100];
        add_extra(r, own, n, eb_path(path, "extraAccounts", eb_node_plain(key, n->key)));
    }
}

static void read_age(struct eb_reading *r, const struct eb_node *map, struct eb_site *s) {
    const struct eb_node *n = eb_check_get(r, map, "mqttStreams", "maxAge", EB_DOC_SCALAR);
    int64_t ns = 0;
    char quoted[100];
    if (!n)
        return;
    bool unit = n->text.n && !(n->text.p[n->text.n - 1] >= '0' && n->text.p[n->text.n - 1] <= '9');
    if (!unit || eb_num_duration(n->text, &ns) != EB_OK)
        eb_reading_report(r, EB_ERROR, n->line, "mqttStreams.maxAge",
                          "write a number and h, m or s, as in 3h or 1h30m", "%s is no duration",
                          eb_node_quote(quoted, n->text));
    else if (ns < AGE_MIN_NS || ns > AGE_MAX_NS)
        eb_reading_report(r, EB_ERROR, n->line, "mqttStreams.maxAge", "write 2m at least and 87600h at most",
                          "%s is %s", eb_node_quote(quoted, n->text),
                          ns < AGE_MIN_NS ? "shorter than the time in which repeats are told"
                                          : "longer than ten years");
    else
        s->streams_max_age_ns = ns;
}

/*
 * Replicas where the document does not say: three where it has three servers or more, as the chart's values
 * do, else one. What the chart has where nothing is said at all, this program cannot know; a file that is the
 * chart's is warned of.
 */
static int64_t streams_replicas(struct eb_reading *r, const struct eb_node *bus) {
    static const char *const charts[] = {"production", "servers",       "keysRevision", "secrets",
                                         "image",      "nack",          "streamsWatch", "surveyor",
                                         "tests",      "networkPolicy", "monitoring"};
    const struct eb_node *n = eb_node_get(eb_node_get(bus, "servers"), "replicas");
    int64_t servers;
    if (n)
        return !n->quoted && eb_num_i64(n->text, 3, INT32_MAX, &servers) == EB_OK ? 3 : 1;
    if (eb_node_get(eb_node_get(bus, "mqttStreams"), "replicas"))
        return 1;
    for (size_t i = 0; i < EB_COUNT_OF(charts); i++)
        if (eb_node_get(bus, charts[i])) {
            eb_reading_report(r, EB_WARNING, bus->line, "mqttStreams.replicas",
                              "write replicas: 3, and servers: { replicas: 3 }; or 1, and 1",
                              "missing, and servers.replicas too: the chart makes it 3 on 3 servers, this "
                              "program 1");
            break;
        }
    return 1;
}

static void read_streams(struct eb_reading *r, const struct eb_node *bus, struct eb_site *s) {
    static const char *const known[] = {"maxBytes", "replicas", "storage", "maxAge"};
    const struct eb_node *map = eb_check_get(r, bus, "", "mqttStreams", EB_DOC_MAP);
    int64_t replicas = streams_replicas(r, bus);
    char quoted[100];
    s->streams_max_bytes = BYTES_DEFAULT;
    s->streams_max_age_ns = AGE_DEFAULT_NS;
    eb_check_keys(r, map, "mqttStreams", known, EB_COUNT_OF(known));
    eb_check_int(r, map, "mqttStreams", "maxBytes", BYTES_MIN, BYTES_MAX, &s->streams_max_bytes);
    eb_check_int(r, map, "mqttStreams", "replicas", 1, 5, &replicas);
    if (replicas % 2 == 0)
        eb_reading_report(r, EB_ERROR, eb_node_get(map, "replicas")->line, "mqttStreams.replicas",
                          "write 1, 3 or 5",
                          "an even number of replicas bears no more losses than one fewer");
    s->streams_replicas = (unsigned)replicas;
    read_age(r, map, s);
    const struct eb_node *n = eb_check_get(r, map, "mqttStreams", "storage", EB_DOC_SCALAR);
    s->streams_memory = n && eb_str_eqz(n->text, "memory");
    if (n && !s->streams_memory && !eb_str_eqz(n->text, "file"))
        eb_reading_report(r, EB_ERROR, n->line, "mqttStreams.storage", "write file or memory",
                          "%s is no kind of storage", eb_node_quote(quoted, n->text));
    if (s->streams_memory && replicas < 3)
        eb_reading_report(r, EB_ERROR, n->line, "mqttStreams.storage", "write file, or replicas: 3",
                          "after a restart of its only server the site would have lost its streams and could "
                          "not get them back");
    else if (s->streams_memory)
        eb_reading_report(r, EB_WARNING, n->line, "mqttStreams.storage",
                          "write file where messages shall outlive that",
                          "when all servers of the site are down at once, stored messages, retained ones and "
                          "sessions are gone");
}

static void read_auth(struct eb_reading *r, const struct eb_node *bus, struct eb_site *s) {
    static const char *const known[] = {"permissions"};
    const struct eb_node *auth = eb_check_get(r, bus, "", "auth", EB_DOC_MAP);
    eb_check_keys(r, auth, "auth", known, EB_COUNT_OF(known));
    const struct eb_node *p = eb_check_get(r, auth, "auth", "permissions", EB_DOC_MAP);
    s->permissions = p ? eb_node_json(p) : json_object();
    r->mem->failed |= !s->permissions;
    if (p)
        eb_site_check_permissions(r, p, s);
}

static void read_tls(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    struct eb_site *s = &own->site;
    bool csc = s->type == EB_SITE_CSC;
    bool server =
        eb_check_tls(r, bus, "", "cscLeafServerTLS", EB_TLS_LEAF_LISTENER, &own->mem, &s->leaf_server_tls);
    bool client =
        eb_check_tls(r, bus, "", "cpcLeafClientTLS", EB_TLS_LEAF_REMOTE, &own->mem, &s->leaf_client_tls);
    if (csc ? client : server)
        eb_reading_report(r, EB_WARNING,
                          eb_node_get(bus, csc ? "cpcLeafClientTLS" : "cscLeafServerTLS")->line,
                          csc ? "cpcLeafClientTLS" : "cscLeafServerTLS", "move it into that document",
                          "only %s reads it", csc ? "a CPC" : "the CSC");
    struct eb_str rest = s->csc_endpoint.s;
    while (client && !csc && rest.p && rest.n)
        if (!eb_str_starts(eb_str_cut(&rest, ','), EB_STR("tls://"))) {
            eb_reading_report(
                r, EB_WARNING, s->csc_endpoint.line, "cscEndpoint", "write tls://",
                "nats:// leaves it open whether the link is encrypted, and cpcLeafClientTLS is given");
            break;
        }
}

void eb_site_read(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own) {
    static const char *const known[] = {
        "clusterType", "clusterId", "cscEndpoint", "cpcIds", "crossLayer", "mtls", "extraAccounts",
        "mqttStreams", "cscLeafServerTLS", "cpcLeafClientTLS", "auth", "gateway",
        /* the charts' own, see chart.c */
        "production", "servers", "keysRevision", "secrets", "image", "callout", "nack", "streamsWatch",
        "surveyor", "tests", "networkPolicy", "monitoring"};
    static const char *const mtls_known[] = {"enabled"};
    struct eb_site *s = &own->site;
    s->file = eb_mem_str(&own->mem, eb_str(eb_doc_name(r->doc) ? eb_doc_name(r->doc) : ""));
    s->mtls = true;
    s->id = EB_STR("");
    eb_check_keys(r, bus, "", known, EB_COUNT_OF(known));
    bool typed = read_type(r, bus, s);
    if (typed && s->type == EB_SITE_CPC)
        read_cpc(r, bus, own);
    else if (typed)
        read_csc(r, bus, own);
    read_lists(r, bus, own);
    const struct eb_node *mtls = eb_check_get(r, bus, "", "mtls", EB_DOC_MAP);
    eb_check_keys(r, mtls, "mtls", mtls_known, EB_COUNT_OF(mtls_known));
    eb_check_bool(r, mtls, "mtls", "enabled", &s->mtls);
    read_extras(r, bus, own);
    read_streams(r, bus, s);
    if (typed)
        read_tls(r, bus, own);
    eb_site_check_chart(r, bus, s);
    read_auth(r, bus, s);
    const struct eb_node *gateway = eb_check_get(r, bus, "", "gateway", EB_DOC_MAP);
    s->gateway = gateway ? eb_node_json(gateway) : NULL;
    r->mem->failed |= gateway && !s->gateway;
}
