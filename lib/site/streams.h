/*
 * The JetStream streams of a site: what MQTT needs, made before its first login, and what carries stored
 * messages and retained ones between the sites. The same definitions everywhere: `eventbus streams apply`,
 * `render`, the charts. Source: NATS JetStream API; docs/architecture.md.
 */
#ifndef EB_SITE_STREAMS_H
#define EB_SITE_STREAMS_H

#include <jansson.h>

#include "site/site.h"

#define EB_STREAMS_N 4 /* in the order of creation: */
#define EB_STREAM_RETAINED                                                                                   \
    "XL_RETAINED"                     /* copies of exported retained messages, markers that clear included */
#define EB_STREAM_MSGS "$MQTT_msgs"   /* MQTT's QoS 1 and 2 */
#define EB_STREAM_RMSGS "$MQTT_rmsgs" /* MQTT's retained messages */
#define EB_STREAM_QOS2IN "$MQTT_qos2in" /* QoS 2 messages between PUBLISH and PUBREL */
/* Their names, in that order. */
extern const char *const eb_stream_names[EB_STREAMS_N];

/* A JSON array of stream configurations as STREAM.CREATE takes them; NULL when out of memory. The caller
 * decrefs. */
json_t *eb_streams_of(const struct eb_site *site);

/*
 * The pieces that the permissions of leaf logins are made of, so that definitions and rights cannot part: for
 * each source that pulls from the site `from` into the site `to`. dest: what the puller's entry names.
 */
struct eb_stream_source {
    const char *stream;  /* the stream read from */
    char *filter;        /* of its subjects: `$MQTT.msgs.broadcast.>` */
    char *dest;          /* subject transform */
    char *api, *deliver; /* external.api, external.deliver */
    char *into;          /* the stream that the entry stands in */
};
/* The sources of a site's streams, all of them; *ret freed with eb_stream_sources_free. */
EB_MUSTCHECK enum eb_rc eb_stream_sources(const struct eb_site *site, struct eb_stream_source **ret,
                                          size_t *ret_n);
void eb_stream_sources_free(struct eb_stream_source *s, size_t n);
/* An entry of a stream's `sources`; NULL when out of memory. The caller decrefs. */
json_t *eb_stream_source_json(const struct eb_stream_source *s);
/*
 * At the CSC: the sources that the CPC of this id has there, as its document will say them; what its leaf
 * login may ask for. NULL id is not allowed.
 */
EB_MUSTCHECK enum eb_rc eb_stream_sources_of_cpc(const struct eb_site *csc, struct eb_str id,
                                                 struct eb_stream_source **ret, size_t *ret_n);

#endif
