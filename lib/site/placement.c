#include "site/placement.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "site/impl.h"
#include "site/streams.h"

#define PORT_MAX 65535
#define TIMEOUT_MAX 60 /* nats-server warns of more */
#define BYTES_MAX ((int64_t)1 << 50)
#define JS_MIN ((int64_t)1 << 20)
#define ALL EB_STR("0.0.0.0")

struct own {
    struct eb_placement place;
    struct eb_mem mem;
};

void eb_placement_free(struct eb_placement *p) {
    if (!p)
        return;
    struct own *own = (struct own *)p;
    eb_mem_done(&own->mem);
    free(own);
}

static void read_port(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                      unsigned *to) {
    int64_t port = *to;
    eb_check_int(r, map, path, key, 1, PORT_MAX, &port);
    *to = (unsigned)port;
}

/* An address to bind to: a name or an IP address without a port. */
static void read_address(struct eb_reading *r, const struct eb_node *map, const char *path,
                         struct eb_mem *mem, struct eb_str *to) {
    char at[EB_PATH_MAX], quoted[100];
    const struct eb_node *n = eb_check_text(r, map, path, "address", mem, to);
    if (!n)
        return;
    bool six = eb_str_has(n->text, '[') || eb_str_has(n->text, ':');
    size_t good = strspn(n->text.p, six ? "[]0123456789abcdefABCDEF:."
                                        : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    if (good < n->text.n || (six && (n->text.p[0] != '[' || n->text.p[n->text.n - 1] != ']')))
        eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, "address"),
                          "write a host's name or IP address, IPv6 as in [::1]; ports: is for ports",
                          "%s is no address", eb_node_quote(quoted, n->text));
}

static bool name_ok(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!(isalnum((unsigned char)s.p[i]) || s.p[i] == '-' || s.p[i] == '_') ||
            (unsigned char)s.p[i] >= 0x80)
            return false;
    return s.n <= 64;
}

static void read_server(struct eb_reading *r, const struct eb_node *n, size_t i, const struct eb_site *site,
                        struct own *own) {
    static const char *const known[] = {"name", "address", "dataDir"};
    struct eb_placement_node *node = &own->place.nodes[i];
    char path[32], at[EB_PATH_MAX], quoted[100];
    (void)snprintf(path, sizeof path, "servers[%zu]", i);
    if (n && n->kind != EB_DOC_MAP) {
        eb_reading_report(r, EB_ERROR, n->line, path, "write { name: …, address: …, dataDir: … }",
                          "no mapping");
        n = NULL;
    }
    eb_check_keys(r, n, path, known, EB_COUNT_OF(known));
    node->address = ALL;
    node->name = own->place.nodes_n > 1 ? eb_mem_printf(&own->mem, "%s-main-%zu", site->name.p, i + 1)
                                        : eb_mem_printf(&own->mem, "%s-main", site->name.p);
    const struct eb_node *name = eb_check_text(r, n, path, "name", &own->mem, &node->name);
    if (name && !name_ok(name->text))
        eb_reading_report(r, EB_ERROR, name->line, eb_path(at, path, "name"),
                          "use up to 64 letters, digits, `-` and `_`", "%s is no name of a server",
                          eb_node_quote(quoted, name->text));
    read_address(r, n, path, &own->mem, &node->address);
    node->data_dir = eb_mem_printf(&own->mem, "/var/lib/nats/%s", node->name.p);
    const struct eb_node *dir = eb_check_text(r, n, path, "dataDir", &own->mem, &node->data_dir);
    if (dir && dir->text.p[0] != '/')
        eb_reading_report(r, EB_ERROR, dir->line, eb_path(at, path, "dataDir"),
                          "write the whole path, from / on",
                          "the folder would depend on where the server is started");
    bool clustered = own->place.nodes_n > 1;
    if (clustered && n && (eb_str_eq(node->address, ALL) || eb_str_eqz(node->address, "[::]")))
        eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, "address"),
                          "write the address at which the others reach it",
                          "a server of a cluster has no address of its own");
    for (size_t k = 0; k < i && n; k++) {
        const struct eb_placement_node *other = &own->place.nodes[k];
        if (eb_str_eq(other->name, node->name))
            eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, "name"), "give each its own",
                              "servers[%zu] has the same name", k);
        if (eb_str_eq(other->address, node->address) && !eb_str_eq(node->address, ALL))
            eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, "address"),
                              "give each its own: the ports are the same for all",
                              "servers[%zu] has the same address", k);
    }
}

static void read_servers(struct eb_reading *r, const struct eb_node *root, const struct eb_site *site,
                         struct own *own) {
    struct eb_placement *p = &own->place;
    const struct eb_node *list = eb_check_get(r, root, "", "servers", EB_DOC_LIST);
    if (list && (list->n == 0 || list->n > EB_PLACEMENT_NODES)) {
        eb_reading_report(r, EB_ERROR, list->line, "servers",
                          "list 1 to 9; leave the key out for one with defaults", "%zu servers", list->n);
        list = NULL;
    }
    p->nodes_n = list ? list->n : 1;
    const struct eb_node *n = list ? list->first : NULL;
    for (size_t i = 0; i < p->nodes_n; i++, n = n ? n->next : NULL)
        read_server(r, n, i, site, own);
    size_t line = list ? list->line : 0;
    if (p->nodes_n == 2)
        eb_reading_report(r, EB_WARNING, line, "servers", "write one, or three",
                          "of two servers both must run: one stops when the other does");
    if (site->streams_replicas > p->nodes_n)
        eb_reading_report(
            r, EB_ERROR, line, "servers", "list as many, or write fewer replicas there",
            "the streams have %u replicas (mqttStreams.replicas of %s), and there are %zu servers",
            site->streams_replicas, site->file.p, p->nodes_n);
    else if (p->nodes_n > 2 && site->streams_replicas < 3)
        eb_reading_report(r, EB_WARNING, line, "servers", "write replicas: 3 at mqttStreams of the site",
                          "streams with one replica stand still while their server is down");
}

/* Addresses of the leaf listeners, for the mTLS server. */
static void default_main(struct own *own) {
    struct eb_placement *p = &own->place;
    p->mtls_main.items = eb_mem_new(&own->mem, p->nodes_n * sizeof *p->mtls_main.items);
    for (size_t i = 0; i < p->nodes_n && p->mtls_main.items; i++) {
        struct eb_str a = p->nodes[i].address;
        const char *host = eb_str_eq(a, ALL) ? "127.0.0.1" : eb_str_eqz(a, "[::]") ? "[::1]" : a.p;
        p->mtls_main.items[p->mtls_main.n++].s = eb_mem_printf(&own->mem, "nats://%s:%u", host, p->leaf);
    }
}

static void read_main(struct eb_reading *r, const struct eb_node *mtls, struct own *own) {
    struct eb_placement *p = &own->place;
    const struct eb_node *list = eb_check_get(r, mtls, "mtls", "main", EB_DOC_LIST);
    if (!list || !list->n) {
        default_main(own);
        return;
    }
    p->mtls_main.items = eb_mem_new(&own->mem, list->n * sizeof *p->mtls_main.items);
    for (const struct eb_node *n = list->first; n && p->mtls_main.items; n = n->next) {
        char path[64];
        (void)snprintf(path, sizeof path, "mtls.main[%zu]", p->mtls_main.n);
        if (n->kind != EB_DOC_SCALAR)
            eb_reading_report(r, EB_ERROR, n->line, path, "write nats://HOST:7422", "no single value");
        else if (eb_check_url(r, n->line, path, n->text))
            p->mtls_main.items[p->mtls_main.n++] =
                (struct eb_site_text){eb_mem_str(&own->mem, n->text), n->line};
    }
}

static void read_mtls(struct eb_reading *r, const struct eb_node *root, struct own *own) {
    static const char *const known[] = {"address", "ports", "main", "tls"}, *const ports[] = {"mqtt", "nats",
                                                                                              "monitor"};
    struct eb_placement *p = &own->place;
    const struct eb_node *mtls = eb_check_get(r, root, "", "mtls", EB_DOC_MAP);
    eb_check_keys(r, mtls, "mtls", known, EB_COUNT_OF(known));
    p->mtls_address = p->nodes[0].address;
    read_address(r, mtls, "mtls", &own->mem, &p->mtls_address);
    const struct eb_node *map = eb_check_get(r, mtls, "mtls", "ports", EB_DOC_MAP);
    eb_check_keys(r, map, "mtls.ports", ports, EB_COUNT_OF(ports));
    read_port(r, map, "mtls.ports", "mqtt", &p->mtls_mqtt);
    read_port(r, map, "mtls.ports", "nats", &p->mtls_nats);
    read_port(r, map, "mtls.ports", "monitor", &p->mtls_monitor);
    read_main(r, mtls, own);
    if (eb_check_tls(r, mtls, "mtls", "tls", EB_TLS_MQTT_LISTENER, &own->mem, &p->mtls_tls)) {
        const struct eb_node *tls = eb_node_get(mtls, "tls");
        if (!p->mtls_tls.ca.p)
            eb_reading_report(r, EB_ERROR, tls->line, "mtls.tls",
                              "write ca: the file of the CA that issues clients' certificates",
                              "clients' certificates could not be checked");
        return;
    }
    p->mtls_tls = (struct eb_site_tls){EB_STR("/etc/nats/mtls/ca.crt"), EB_STR("/etc/nats/mtls/tls.crt"),
                                       EB_STR("/etc/nats/mtls/tls.key"), false};
}

/* Two listeners of one machine cannot share a port. */
static void check_ports(struct eb_reading *r, const struct eb_site *site, const struct eb_placement *p) {
    const struct {
        const char *name;
        unsigned port;
        bool main;
    } all[] = {{"ports.nats", p->nats, true},
               {"ports.mqtt", p->mqtt, true},
               {"ports.leaf", p->leaf, true},
               {"ports.monitor", p->monitor, true},
               {"ports.cluster", p->cluster, true},
               {"mtls.ports.mqtt", p->mtls_mqtt, false},
               {"mtls.ports.nats", p->mtls_nats, false},
               {"mtls.ports.monitor", p->mtls_monitor, false}};
    bool apart = !site->mtls;
    if (!eb_str_eq(p->mtls_address, ALL)) {
        apart = true;
        for (size_t i = 0; i < p->nodes_n; i++)
            apart &= !site->mtls || (!eb_str_eq(p->nodes[i].address, ALL) &&
                                     !eb_str_eq(p->nodes[i].address, p->mtls_address));
    }
    for (size_t i = 0; i < EB_COUNT_OF(all); i++)
        for (size_t k = 0; k < i; k++)
            if (all[i].port == all[k].port && !(apart && all[i].main != all[k].main) &&
                (site->mtls || all[i].main) &&
                (p->nodes_n > 1 ||
                 (strcmp(all[i].name, "ports.cluster") != 0 && strcmp(all[k].name, "ports.cluster") != 0)))
                eb_reading_report(r, EB_ERROR, 0, all[i].name,
                                  "give each listener its own, or the servers addresses of their own",
                                  "%s is %u too", all[k].name, all[i].port);
}

static void read_rest(struct eb_reading *r, const struct eb_node *root, struct eb_placement *p) {
    static const char *const ports[] = {"nats", "mqtt", "leaf", "monitor", "cluster"}, *const js[] = {
                                                                                           "maxMemory",
                                                                                           "maxFile"};
    const struct eb_node *map = eb_check_get(r, root, "", "ports", EB_DOC_MAP);
    unsigned *const to[] = {&p->nats, &p->mqtt, &p->leaf, &p->monitor, &p->cluster};
    int64_t timeout = p->auth_timeout;
    eb_check_keys(r, map, "ports", ports, EB_COUNT_OF(ports));
    for (size_t i = 0; i < EB_COUNT_OF(ports); i++)
        read_port(r, map, "ports", ports[i], to[i]);
    eb_check_int(r, root, "", "authTimeout", 1, TIMEOUT_MAX, &timeout);
    p->auth_timeout = (unsigned)timeout;
    eb_check_bool(r, root, "", "xkey", &p->xkey);
    eb_check_bool(r, root, "", "debug", &p->debug);
    map = eb_check_get(r, root, "", "jetstream", EB_DOC_MAP);
    eb_check_keys(r, map, "jetstream", js, EB_COUNT_OF(js));
    eb_check_int(r, map, "jetstream", "maxMemory", 0, BYTES_MAX, &p->js_max_memory);
    eb_check_int(r, map, "jetstream", "maxFile", JS_MIN, BYTES_MAX, &p->js_max_file);
}

int64_t eb_placement_data_bytes(const struct eb_placement *p, bool memory) {
    return (memory ? p->js_max_memory : p->js_max_file) / 4 * 3 * (int64_t)p->nodes_n;
}

/* The servers keep room for whole streams when these are made: what does not fit, `streams apply` would be
 * told by them, of a cluster for the last of the four alone. */
static void check_room(struct eb_reading *r, const struct eb_node *root, const struct eb_site *site,
                       const struct eb_placement *p) {
    const char *key = site->streams_memory ? "maxMemory" : "maxFile";
    const struct eb_node *n = eb_node_get(eb_node_get(root, "jetstream"), key);
    int64_t bytes = site->streams_max_bytes, nodes = (int64_t)p->nodes_n;
    int64_t want = EB_STREAMS_N * bytes * (int64_t)site->streams_replicas;
    int64_t have = eb_placement_data_bytes(p, site->streams_memory);
    int64_t least = (want + nodes * 3 - 1) / (nodes * 3) * 4; /* of a server, so that they have as much */
    char path[32], mend[160];
    (void)snprintf(path, sizeof path, "jetstream.%s", key);
    (void)snprintf(mend, sizeof mend, "write at least %lld, or a smaller mqttStreams.maxBytes in all sites",
                   (long long)(least > bytes ? least : bytes));
    if (want > have)
        eb_reading_report(r, EB_ERROR, n ? n->line : 0, path, mend,
                          "the four streams need %lld bytes (mqttStreams.maxBytes of %s, %u replica%s), and "
                          "three quarters of what the servers have are %lld",
                          (long long)want, site->file.p, site->streams_replicas,
                          site->streams_replicas == 1 ? "" : "s", (long long)have);
    else if (bytes > (site->streams_memory ? p->js_max_memory : p->js_max_file))
        eb_reading_report(r, EB_ERROR, n ? n->line : 0, path, mend,
                          "a stream needs %lld bytes on one server (mqttStreams.maxBytes of %s)",
                          (long long)bytes, site->file.p);
}

/* The document as a tree; an empty one is all defaults. */
static bool read_root(struct eb_reading *r, struct eb_node **ret) {
    struct eb_doc_event ev;
    if (!r->doc)
        return true;
    if (!eb_reading_next(r, &ev))
        return false;
    if (ev.kind == EB_DOC_END || eb_doc_is_null(&ev))
        return true;
    if (ev.kind != EB_DOC_MAP) {
        eb_reading_report(r, EB_ERROR, ev.line, "", "write a mapping with servers, ports, mtls…",
                          "the document is no mapping");
        return eb_reading_skip(r, &ev);
    }
    return eb_reading_value(r, &ev, ret) && eb_reading_next(r, &ev);
}

enum eb_rc eb_placement_load(struct eb_doc *doc, const struct eb_site *site, struct eb_placement **ret,
                             struct eb_findings *findings) {
    static const char *const known[] = {"servers", "ports", "mtls",     "authTimeout",
                                        "xkey",    "debug", "jetstream"};
    eb_auto_mem struct eb_mem tree = {0};
    EB_CLEANUP(eb_reading_done)
    struct eb_reading r = {.doc = doc, .findings = findings, .base = "", .mem = &tree};
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    size_t before = findings->errors;
    struct own *own = calloc(1, sizeof *own);
    struct eb_node *root = NULL;
    tree.failed = !own;
    if (!eb_reading_ok(&r))
        return r.rc;
    p = &own->place;
    *p = (struct eb_placement){.nats = 4222,
                               .mqtt = 1883,
                               .leaf = 7422,
                               .monitor = 8222,
                               .cluster = 6222,
                               .mtls_mqtt = 8883,
                               .mtls_nats = 4223,
                               .mtls_monitor = 8223,
                               .auth_timeout = 50,
                               .xkey = true,
                               .js_max_memory = (int64_t)256 << 20,
                               .js_max_file = (int64_t)2 << 30};
    if (!read_root(&r, &root))
        return r.rc;
    eb_check_keys(&r, root, "", known, EB_COUNT_OF(known));
    read_rest(&r, root, p);
    read_servers(&r, root, site, own);
    read_mtls(&r, root, own);
    check_ports(&r, site, p);
    if (findings->errors == before) /* of numbers that are what they should be */
        check_room(&r, root, site, p);
    enum eb_rc rc = eb_reading_verdict(&r, &own->mem, before);
    if (rc == EB_OK)
        *ret = EB_TAKE(p);
    return rc;
}
