/*
 * Where the servers of a site run: addresses, ports, folders, TLS files of the listeners. A file of its own
 * beside the site document, since the charts have other words for it. Every key has a default that suits one
 * machine a site.
 */
#ifndef EB_SITE_PLACEMENT_H
#define EB_SITE_PLACEMENT_H

#include "site/site.h"

#define EB_PLACEMENT_NODES 9

struct eb_placement_node {
    struct eb_str name;     /* server_name: `csc-main`, `csc-main-1`… */
    struct eb_str address;  /* its listeners bind here */
    struct eb_str data_dir; /* JetStream's folder */
};

struct eb_placement {
    struct eb_placement_node nodes[EB_PLACEMENT_NODES]; /* of the main server; more than one is a cluster */
    size_t nodes_n;
    unsigned nats, mqtt, leaf, monitor, cluster; /* ports of the main server: 4222 1883 7422 8222 6222 */
    struct eb_str mtls_address;
    unsigned mtls_mqtt, mtls_nats, mtls_monitor; /* 8883 4223 8223 */
    struct eb_site_texts mtls_main; /* leaf URLs of the main server; default: the nodes' addresses */
    struct eb_site_tls mtls_tls;    /* of the MQTT listener with client certificates */
    unsigned auth_timeout;          /* seconds that a client may take to be let in, callout included: 50 */
    bool xkey;                      /* requests are sealed: true */
    bool debug;                     /* debug lines in the servers' logs: false */
    int64_t js_max_memory, js_max_file; /* bytes of JetStream a server: 256 MiB, 2 GiB */
};

/* Reads a placement document; doc NULL = all defaults for this site. Findings as eb_site_load. */
EB_MUSTCHECK enum eb_rc eb_placement_load(struct eb_doc *doc, const struct eb_site *site,
                                          struct eb_placement **ret, struct eb_findings *findings);
/*
 * What the streams of the data account may keep, in bytes over all servers: three quarters of JetStream's
 * share of each; the rest is for the extra accounts. The account's limit in the server's configuration, and
 * the bound of mqttStreams.maxBytes.
 */
int64_t eb_placement_data_bytes(const struct eb_placement *p, bool memory);
void eb_placement_free(struct eb_placement *p);
EB_DEFINE_CLEANUP(struct eb_placement, eb_placement_free);

#endif
