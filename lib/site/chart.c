/*
 * The keys of global.eventBus that only the charts read. One file serves the charts and this program, so they
 * are no unknown keys here; and what the charts would refuse is told before anybody installs anything.
 */
#include <stdio.h>

#include "site/impl.h"
#include "site/streams.h"

#define SERVERS_MAX 9
#define TIMEOUT_MAX 60 /* seconds; nats-server warns of more */
#define BYTES_MAX ((int64_t)1 << 50)
#define FILE_MIN ((int64_t)1 << 20)

struct servers {
    int64_t replicas, max_memory, max_file;
};

/* The same rules as of a placement (placement.c), which has a list of servers instead of a number. */
static void check_room(struct eb_reading *r, const struct eb_node *map, const struct eb_site *s,
                       const struct servers *all) {
    const struct eb_node *n = eb_node_get(map, "replicas");
    size_t line = n ? n->line : map->line;
    int64_t replicas = s->streams_replicas, bytes = s->streams_max_bytes;
    if (all->replicas == 2)
        eb_reading_report(r, EB_WARNING, line, "servers.replicas", "write one, or three",
                          "of two servers both must run: one stops when the other does");
    if (replicas > all->replicas)
        eb_reading_report(r, EB_ERROR, line, "servers.replicas", "write as many, or fewer replicas there",
                          "the streams have %lld replicas (mqttStreams.replicas), and there are %lld servers",
                          (long long)replicas, (long long)all->replicas);
    else if (all->replicas > 2 && replicas < 3)
        eb_reading_report(r, EB_WARNING, line, "servers.replicas", "write replicas: 3 at mqttStreams",
                          "streams with one replica stand still while their server is down");
    const char *key = s->streams_memory ? "maxMemory" : "maxFile";
    const struct eb_node *jetstream = eb_node_get(map, "jetstream");
    char path[48], mend[160];
    int64_t each = s->streams_memory ? all->max_memory : all->max_file;
    int64_t want = EB_STREAMS_N * bytes * replicas, have = each / 4 * 3 * all->replicas;
    int64_t least = (want + all->replicas * 3 - 1) / (all->replicas * 3) * 4;
    n = eb_node_get(jetstream, key);
    line = n ? n->line : map->line;
    (void)snprintf(path, sizeof path, "servers.jetstream.%s", key);
    (void)snprintf(mend, sizeof mend, "write at least %lld, or a smaller mqttStreams.maxBytes in all sites",
                   (long long)(least > bytes ? least : bytes));
    if (want > have)
        eb_reading_report(
            r, EB_ERROR, line, path, mend,
            "the four streams need %lld bytes (mqttStreams.maxBytes, %lld replica%s), and three "
            "quarters of what the servers have are %lld",
            (long long)want, (long long)replicas, replicas == 1 ? "" : "s", (long long)have);
    else if (bytes > each)
        eb_reading_report(r, EB_ERROR, line, path, mend,
                          "a stream needs %lld bytes on one server (mqttStreams.maxBytes)", (long long)bytes);
}

static void check_leaf_urls(struct eb_reading *r, const struct eb_node *map) {
    const struct eb_node *list = eb_check_get(r, map, "servers", "leafUrls", EB_DOC_LIST);
    size_t i = 0;
    for (const struct eb_node *n = list ? list->first : NULL; n; n = n->next) {
        char path[48];
        (void)snprintf(path, sizeof path, "servers.leafUrls[%zu]", i++);
        if (n->kind != EB_DOC_SCALAR)
            eb_reading_report(r, EB_ERROR, n->line, path, "write nats://HOST:7422", "no single value");
        else
            (void)eb_check_url(r, n->line, path, n->text);
    }
}

static void check_servers(struct eb_reading *r, const struct eb_node *bus, const struct eb_site *s) {
    static const char *const known[] = {"replicas", "authTimeout", "xkey", "debug", "jetstream", "leafUrls"},
                             *const js[] = {"maxMemory", "maxFile"};
    const struct eb_node *map = eb_check_get(r, bus, "", "servers", EB_DOC_MAP);
    size_t errors = r->findings->errors;
    bool yes;
    int64_t seconds;
    if (!map)
        return;
    /* as many servers as replicas of the streams, where nothing is said */
    struct servers all = {s->streams_replicas, (int64_t)256 << 20, (int64_t)2 << 30};
    eb_check_keys(r, map, "servers", known, EB_COUNT_OF(known));
    eb_check_int(r, map, "servers", "replicas", 1, SERVERS_MAX, &all.replicas);
    eb_check_int(r, map, "servers", "authTimeout", 1, TIMEOUT_MAX, &seconds);
    eb_check_bool(r, map, "servers", "xkey", &yes);
    eb_check_bool(r, map, "servers", "debug", &yes);
    const struct eb_node *jetstream = eb_check_get(r, map, "servers", "jetstream", EB_DOC_MAP);
    eb_check_keys(r, jetstream, "servers.jetstream", js, EB_COUNT_OF(js));
    eb_check_int(r, jetstream, "servers.jetstream", "maxMemory", 0, BYTES_MAX, &all.max_memory);
    eb_check_int(r, jetstream, "servers.jetstream", "maxFile", FILE_MIN, BYTES_MAX, &all.max_file);
    check_leaf_urls(r, map);
    if (r->findings->errors == errors) /* of numbers that are what they should be */
        check_room(r, map, s, &all);
}

void eb_site_check_chart(struct eb_reading *r, const struct eb_node *bus, const struct eb_site *s) {
    static const char *const maps[] = {"secrets",  "image", "callout",       "nack",      "streamsWatch",
                                       "surveyor", "tests", "networkPolicy", "monitoring"};
    bool production;
    eb_check_bool(r, bus, "", "production", &production);
    (void)eb_check_get(r, bus, "", "keysRevision", EB_DOC_SCALAR);
    /* what is in them is the charts' schema to judge */
    for (size_t i = 0; i < EB_COUNT_OF(maps); i++)
        (void)eb_check_get(r, bus, "", maps[i], EB_DOC_MAP);
    check_servers(r, bus, s);
}
