/*
 * A YAML 1.1 or JSON document read as a stream of events with positions (libyaml), so that a large one never
 * stands in memory as a tree. Refused: anchors, aliases, tags, several documents, keys that are no scalars,
 * nesting over EB_DOC_DEPTH, input over the given size, bytes that are not UTF-8. Keys of one mapping are not
 * compared here: the caller does, it has the index.
 */
#ifndef EB_BASE_DOC_H
#define EB_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/findings.h"
#include "base/str.h"

#define EB_DOC_DEPTH 24

enum eb_doc_kind { EB_DOC_END, EB_DOC_SCALAR, EB_DOC_MAP, EB_DOC_MAP_END, EB_DOC_LIST, EB_DOC_LIST_END };

struct eb_doc_event {
    enum eb_doc_kind kind;
    struct eb_str text; /* of a scalar; NUL-terminated too, may hold NUL bytes; valid until the next call */
    bool quoted;        /* the scalar was written with quotes or as a block: never null, boolean or number */
    bool is_key;        /* the scalar is a mapping's key */
    size_t line;        /* from 1 */
};

struct eb_doc;

/* Opens a file. EB_E_IO with path and cause. *ret must be freed. */
EB_MUSTCHECK enum eb_rc eb_doc_open(const char *path, size_t max, struct eb_doc **ret, struct eb_err *reterr);
/* Reads from memory, borrowed until eb_doc_free; name stands in findings (copied, NULL allowed). */
EB_MUSTCHECK enum eb_rc eb_doc_from(struct eb_str bytes, const char *name, struct eb_doc **ret,
                                    struct eb_err *reterr);
void eb_doc_free(struct eb_doc *d);
EB_DEFINE_CLEANUP(struct eb_doc, eb_doc_free);

/*
 * The next event. EB_DOC_END for ever at the end (an empty document is EB_DOC_END at once). EB_E_MALFORMED
 * with "line N: …" in the text, EB_E_TOO_LARGE, EB_E_IO, EB_E_NOMEM; after a failure, which leaves *ret
 * undefined, every call fails alike.
 */
EB_MUSTCHECK enum eb_rc eb_doc_next(struct eb_doc *d, struct eb_doc_event *ret, struct eb_err *reterr);
/* Passes over the value that would come next (a whole mapping or list). */
EB_MUSTCHECK enum eb_rc eb_doc_skip(struct eb_doc *d, struct eb_err *reterr);
/* Passes over the rest of the value that ev began; nothing where ev is a scalar. */
EB_MUSTCHECK enum eb_rc eb_doc_skip_rest(struct eb_doc *d, const struct eb_doc_event *ev,
                                         struct eb_err *reterr);
/* Name for findings, NULL where there is none. */
const char *eb_doc_name(const struct eb_doc *d);
/* The line of the event that was returned last, from 1. */
size_t eb_doc_line(const struct eb_doc *d);

/* True for an unquoted null: empty, ~, null. */
bool eb_doc_is_null(const struct eb_doc_event *ev);
/* true/false as YAML 1.2 and JSON write them; false where it is neither. */
bool eb_doc_bool(const struct eb_doc_event *ev, bool *ret);

#endif
