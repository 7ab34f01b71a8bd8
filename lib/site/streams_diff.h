/*
 * What a server has against what the document wants: the changes of a stream, which of them would lose data
 * or cannot be made, and the state of each source. Works on the JSON of the JetStream API.
 */
#ifndef EB_SITE_STREAMS_DIFF_H
#define EB_SITE_STREAMS_DIFF_H

#include "site/streams.h"

enum eb_change_kind {
    EB_CHANGE_PLAIN,
    EB_CHANGE_LOSES,      /* drops stored messages */
    EB_CHANGE_IMPOSSIBLE, /* no update of a stream can do it */
};

struct eb_stream_change {
    enum eb_change_kind kind;
    char *field;     /* of the configuration, or "source <filter> of <site>" */
    char *from, *to; /* for people */
    char *why; /* of what is not plain: the reason and the mend; also a word on a removed source; NULL else */
};
/* Zero-initialised ({0}) is empty. */
struct eb_stream_changes {
    struct eb_stream_change *items;
    size_t n, cap;
};
void eb_stream_changes_done(struct eb_stream_changes *c);

/*
 * Compares a definition (of eb_streams_of) with the answer to STREAM.INFO. now_ns: nanoseconds since the
 * epoch. Fields that the definition does not speak of (metadata, description, compression, placement…) are
 * nobody's difference. EB_E_NOMEM, EB_E_MALFORMED where info is no such answer.
 */
EB_MUSTCHECK enum eb_rc eb_stream_compare(const json_t *wanted, const json_t *info, int64_t now_ns,
                                          struct eb_stream_changes *ret);
/* The configuration for STREAM.UPDATE: the live one with the definition's fields; NULL when out of memory.
 * The caller decrefs. */
json_t *eb_stream_updated(const json_t *wanted, const json_t *info);

/* True where two entries of `sources` are the same to the server: name, external, transforms. Other fields do
 * not count. */
bool eb_stream_source_same(const json_t *a, const json_t *b);
/* "csc", "cpc-1": the site behind an entry's api prefix; the prefix itself where it is none of ours. */
void eb_stream_source_site(struct eb_buf *to, const char *api);

enum eb_source_state {
    EB_SOURCE_MISSING, /* the stream has no such entry */
    EB_SOURCE_NEVER,   /* not connected since the stream was set up: active < 0 */
    EB_SOURCE_STALLED, /* silent for longer than EB_SOURCE_SILENT_NS; heartbeats come every second */
    EB_SOURCE_CONNECTED,
};
#define EB_SOURCE_SILENT_NS INT64_C(2500000000)
const char *eb_source_state_name(enum eb_source_state s);

struct eb_source_status {
    enum eb_source_state state;
    int64_t active_ns; /* since the last sign of life; < 0 never */
    uint64_t lag;      /* messages not yet pulled; keeps its last value while stalled */
    const char *error; /* the server's words, borrowed from info; NULL for none */
};
/* The answer to STREAM.INFO, made ready for looking up many entries. Zero-initialised ({0}) knows of none. */
struct eb_source_view {
    json_t *configured, *told; /* by key */
};
EB_MUSTCHECK enum eb_rc eb_source_view(const json_t *info, struct eb_source_view *ret);
void eb_source_view_done(struct eb_source_view *v);
/* What an entry is known by: two entries that are the same to the server have the same. NULL when out of
 * memory; free(). */
char *eb_stream_source_key(const json_t *entry);
/* A list of entries without those whose keys are members of `keys`; everything else stays, in its order. NULL
 * when out of memory; the caller decrefs. */
json_t *eb_sources_without(const json_t *list, const json_t *keys);
/* A list of entries with those of `wanted` that are not in it behind its own. NULL when out of memory; the
 * caller decrefs. */
json_t *eb_sources_with(const json_t *list, const json_t *wanted);
/* ret->error is borrowed from the answer. */
void eb_source_status(const char *key, const struct eb_source_view *v, struct eb_source_status *ret);

#endif
