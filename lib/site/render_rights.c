#include "site/render_rights.h"

#include <stdio.h>

#include "site/streams.h"

/* The reports that a server gives of itself. KICK, LDM, RELOAD and claims are not among them. */
static const char *const server_reports[] = {"VARZ",     "CONNZ", "SUBSZ",   "ROUTEZ", "GATEWAYZ", "LEAFZ",
                                             "ACCOUNTZ", "JSZ",   "HEALTHZ", "STATSZ", "IDZ"};
static const char *const account_reports[] = {"CONNZ", "LEAFZ", "SUBSZ", "JSZ", "INFO", "STATZ"};

/* server: the token in the place of the server's id, `*` or `PING`. */
static void reports(struct eb_buf *list, const char *server) {
    for (size_t i = 0; i < EB_COUNT_OF(server_reports); i++)
        eb_pattern_add(list, "$SYS.REQ.SERVER.", server, ".", server_reports[i], NULL);
}

void eb_rights_surveyor(struct eb_buf rights[EB_RIGHTS]) {
    struct eb_buf *pub = &rights[EB_PUB_ALLOWS];
    eb_pattern_add(pub, "$SYS.REQ.SERVER.PING", NULL);
    reports(pub, "*"); /* PING included */
    for (size_t i = 0; i < EB_COUNT_OF(account_reports); i++)
        eb_pattern_add(pub, "$SYS.REQ.ACCOUNT.*.", account_reports[i], NULL);
    eb_pattern_add(&rights[EB_SUB_ALLOWS], "_INBOX.>", NULL);
}

void eb_rights_sys_leaf(struct eb_buf rights[EB_RIGHTS]) {
    /* Counts of connections ($SYS.SERVER.ACCOUNT.*.CONNS) are left out: whoever holds the leaf's seed could
     * make the main server believe that an account is full. */
    static const char *const news[] = {"$SYS.SERVER.*.STATSZ",
                                       "$SYS.SERVER.*.CLIENT.AUTH.ERR",
                                       "$SYS.ACCOUNT.*.CONNECT",
                                       "$SYS.ACCOUNT.*.DISCONNECT",
                                       "$SYS._INBOX.>",
                                       "_INBOX.>",
                                       "_R_.>"};
    for (size_t i = 0; i < EB_COUNT_OF(news); i++)
        eb_pattern_add(&rights[EB_PUB_ALLOWS], news[i], NULL);
    struct eb_buf *sub = &rights[EB_SUB_ALLOWS];
    eb_pattern_add(sub, "$SYS.REQ.SERVER.PING", NULL);
    eb_pattern_add(sub, "$SYS.REQ.SERVER.PING.*", NULL);
    reports(sub, "*");
    for (size_t i = 0; i < EB_COUNT_OF(account_reports); i++)
        eb_pattern_add(sub, "$SYS.REQ.ACCOUNT.*.", account_reports[i], NULL);
    eb_pattern_add(sub, "$SYS._INBOX.>", NULL);
}

void eb_rights_callout(struct eb_buf rights[EB_RIGHTS]) {
    struct eb_buf *pub = &rights[EB_PUB_ALLOWS], *sub = &rights[EB_SUB_ALLOWS];
    /* Whether the streams are there, which it asks before it lets MQTT clients in; nothing else of JetStream.
     */
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        eb_pattern_add(pub, "$JS.API.STREAM.INFO.", eb_stream_names[i], NULL);
    eb_pattern_add(sub, "$SYS.REQ.USER.AUTH", NULL);
    eb_pattern_add(sub, "$SYS.ACCOUNT.CLIENT.AUTH.ERR",
                   NULL); /* logins that a server refused, to count them */
    eb_pattern_add(sub, "$SRV.>", NULL);
    eb_pattern_add(sub, "_INBOX.>", NULL);
}

void eb_rights_streams(const struct eb_site *site, struct eb_buf rights[EB_RIGHTS]) {
    static const char *const verbs[] = {"CREATE", "UPDATE", "LEADER.STEPDOWN"};
    struct eb_buf *pub = &rights[EB_PUB_ALLOWS], *sub = &rights[EB_SUB_ALLOWS];
    eb_pattern_add(pub, "$JS.API.INFO", NULL);
    eb_pattern_add(pub, "$JS.API.STREAM.INFO.*", NULL);
    for (size_t v = 0; v < EB_COUNT_OF(verbs); v++)
        for (size_t i = 0; i < EB_STREAMS_N; i++)
            eb_pattern_add(pub, "$JS.API.STREAM.", verbs[v], ".", eb_stream_names[i], NULL);
    eb_pattern_add(sub, "_INBOX.>", NULL);
    /* Asking the other side whether it answers: a question for a consumer that it refuses. At the CSC the
     * answer comes by the one way that the CPC's link may send answers; ids are not named, so that a new CPC
     * needs no restart. */
    if (site->type == EB_SITE_CPC) {
        eb_pattern_add(pub, "$JS.CSC.API.CONSUMER.CREATE.>", NULL);
    } else {
        eb_pattern_add(pub, "$XL.*.api.CONSUMER.CREATE.>", NULL);
        eb_pattern_add(sub, "$JSC.R.*.>", NULL);
    }
}

bool eb_rights_cpc_leaf(const struct eb_site *csc, struct eb_str id, struct eb_buf rights[EB_RIGHTS]) {
    struct eb_stream_source *sources = NULL;
    size_t n = 0;
    if (eb_stream_sources_of_cpc(csc, id, &sources, &n) != EB_OK)
        return false;
    struct eb_buf *pub = &rights[EB_PUB_ALLOWS], *sub = &rights[EB_SUB_ALLOWS];
    const struct eb_site_texts *up = &csc->lists[EB_SITE_CPC_EXPORTS],
                               *down = &csc->lists[EB_SITE_CSC_EXPORTS],
                               *prefixed = &csc->lists[EB_SITE_CSC_PREFIXED];
    for (size_t i = 0; i < up->n; i++)
        eb_pattern_add(pub, "cpc.", id.p, ".", up->items[i].s.p, NULL);
    for (size_t i = 0; i < down->n; i++)
        eb_pattern_add(sub, down->items[i].s.p, NULL);
    for (size_t i = 0; i < prefixed->n; i++)
        eb_pattern_add(sub, "cpc.", id.p, ".", prefixed->items[i].s.p, NULL);
    if (n) { /* the CPC asks, is sent messages, and controls their flow */
        for (size_t i = 0; i < n; i++)
            eb_pattern_add(pub, sources[i].api, ".CONSUMER.CREATE.", sources[i].stream, ".*.",
                           sources[i].filter, NULL);
        eb_pattern_add(pub, "$JS.FC.CSC.>", NULL);
        eb_pattern_add(sub, "$XL.down.", id.p, ".>", NULL);
        eb_pattern_add(sub, "_R_.>", NULL);
    }
    if (up->n) { /* and the other way round */
        eb_pattern_add(pub, "$XL.up.", id.p, ".>", NULL);
        eb_pattern_add(pub, "$JSC.R.", id.p, ".>", NULL);
        eb_pattern_add(sub, "$XL.", id.p, ".api.CONSUMER.CREATE.>", NULL);
        eb_pattern_add(sub, "$JS.FC.CPC-", id.p, ".>", NULL);
    }
    /* An allow list alone does not stop $MQTT.> on a leaf link. */
    eb_pattern_add(&rights[EB_PUB_DENIES], "$MQTT.>", NULL);
    eb_pattern_add(&rights[EB_SUB_DENIES], "$MQTT.>", NULL);
    eb_stream_sources_free(sources, n);
    return true;
}

void eb_rights_extra_leaf(const struct eb_site_extra *extra, struct eb_buf rights[EB_RIGHTS]) {
    (void)extra;
    static const char *const closed[] = {"$SYS.>", "$MQTT.>"};
    eb_pattern_add(&rights[EB_PUB_ALLOWS], ">", NULL);
    eb_pattern_add(&rights[EB_SUB_ALLOWS], ">", NULL);
    for (size_t i = 0; i < EB_COUNT_OF(closed); i++) {
        eb_pattern_add(&rights[EB_PUB_DENIES], closed[i], NULL);
        eb_pattern_add(&rights[EB_SUB_DENIES], closed[i], NULL);
    }
}
