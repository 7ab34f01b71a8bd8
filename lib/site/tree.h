/* A document as a tree whose nodes know their lines, and what a check of it needs. Inside lib/site only. */
#ifndef EB_SITE_TREE_H
#define EB_SITE_TREE_H

#include <jansson.h>

#include "base/doc.h"
#include "base/findings.h"
#include "site/mem.h"

#define EB_PATH_MAX 400 /* bytes of a dotted path in a finding */

struct eb_node {
    enum eb_doc_kind kind; /* EB_DOC_SCALAR, EB_DOC_MAP or EB_DOC_LIST */
    bool quoted;           /* as in eb_doc_event */
    size_t line;           /* where it stands; in a mapping, where its key does */
    struct eb_str key;     /* in a mapping */
    struct eb_str text;    /* of a scalar, NUL-terminated */
    struct eb_node *first, *next;
    size_t n; /* nodes below */
};

/* One reading of a document. */
struct eb_reading {
    struct eb_doc *doc;
    struct eb_findings *findings;
    const char *base; /* path of what is judged, put before that of each finding: "global.eventBus", or "" */
    struct eb_mem *mem;
    struct eb_buf path; /* of the node being read */
    enum eb_rc rc;      /* of the reader itself: malformed, too large, no memory */
};
void eb_reading_done(struct eb_reading *r);

/* A finding at base + path. */
void eb_reading_report(struct eb_reading *r, enum eb_severity severity, size_t line, const char *path,
                       const char *mend, const char *fmt, ...) EB_PRINTF(6, 7);
/* The next event; false after a finding where the reader failed. */
EB_MUSTCHECK bool eb_reading_next(struct eb_reading *r, struct eb_doc_event *ev);
EB_MUSTCHECK bool eb_reading_skip(struct eb_reading *r, const struct eb_doc_event *ev);
/* The value that ev begins, whole, its keys compared with each other. */
EB_MUSTCHECK bool eb_reading_value(struct eb_reading *r, const struct eb_doc_event *ev, struct eb_node **ret);
/* false after a finding where memory has run out. */
EB_MUSTCHECK bool eb_reading_ok(struct eb_reading *r);
/* The verdict when all is read, of what was read into `result`: EB_E_INVALID where there are more errors than
 * errors_before. */
EB_MUSTCHECK enum eb_rc eb_reading_verdict(struct eb_reading *r, const struct eb_mem *result,
                                           size_t errors_before);

/* The child of that key; NULL where it is absent, null, or n is NULL or no mapping. */
const struct eb_node *eb_node_get(const struct eb_node *n, const char *key);
bool eb_node_is_null(const struct eb_node *n);
/* True for a scalar that YAML 1.1 or 1.2 readers take for something else than text. */
bool eb_node_is_typed(const struct eb_node *n);
/* What a text without quotes is in JSON (RFC 8259 s6), within the range of the types; s is NUL-terminated. */
enum eb_number { EB_NO_NUMBER, EB_WHOLE, EB_REAL };
enum eb_number eb_node_number(struct eb_str s, int64_t *ret_whole, double *ret_real);
/* A new reference; NULL when out of memory. */
json_t *eb_node_json(const struct eb_node *n);

/* Quotes a text of the document for a finding: capped, without control bytes. */
const char *eb_node_quote(char to[100], struct eb_str s);
/* The same without quotes, for paths. */
const char *eb_node_plain(char to[100], struct eb_str s);

/* Reports every child whose key is none of these, with the nearest. */
void eb_check_keys(struct eb_reading *r, const struct eb_node *map, const char *path,
                   const char *const *known, size_t known_n);
/* The child, where it is given and of that kind; a finding and NULL where it is of another one. */
const struct eb_node *eb_check_get(struct eb_reading *r, const struct eb_node *map, const char *path,
                                   const char *key, enum eb_doc_kind kind);
/* These write only what is given and good; findings for what is given and bad. */
void eb_check_bool(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                   bool *to);
void eb_check_int(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                  int64_t min, int64_t max, int64_t *to);
/* A text that is not empty and has no control character, copied; NULL where there is none. */
const struct eb_node *eb_check_text(struct eb_reading *r, const struct eb_node *map, const char *path,
                                    const char *key, struct eb_mem *mem, struct eb_str *to);
struct eb_site_tls;
/* Whose block it is: a listener needs a certificate; MQTT begins with TLS anyway and has no handshakeFirst.
 */
enum eb_tls_of { EB_TLS_LEAF_LISTENER, EB_TLS_LEAF_REMOTE, EB_TLS_MQTT_LISTENER };
/* A block of ca, cert, key and handshakeFirst; true where any is given. Cert and key come together. */
bool eb_check_tls(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                  enum eb_tls_of of, struct eb_mem *mem, struct eb_site_tls *to);
/* Checks `nats://host:port` or `tls://…`; a finding where it is none. */
bool eb_check_url(struct eb_reading *r, size_t line, const char *path, struct eb_str url);
/* "path.key"; to is given back. */
const char *eb_path(char to[EB_PATH_MAX], const char *path, const char *key);

#endif
