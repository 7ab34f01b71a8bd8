/*
 * The events of a document that is strict JSON (RFC 8259), several times as fast as libyaml reads it.
 * Internal to base/doc.c, which has libyaml read it from the place where it is none, so that YAML written
 * with braces works too.
 */
#ifndef EB_BASE_DOC_JSON_H
#define EB_BASE_DOC_JSON_H

#include "base/doc.h"

struct eb_doc_json;

/* Reads fd, which is borrowed, or bytes where fd is -1; at most max bytes. NULL when out of memory. */
struct eb_doc_json *eb_doc_json_new(int fd, struct eb_str bytes, size_t max);
void eb_doc_json_free(struct eb_doc_json *j);
EB_DEFINE_CLEANUP(struct eb_doc_json, eb_doc_json_free);

/* True where the document begins as a JSON object or list does. */
bool eb_doc_json_begins(struct eb_doc_json *j);
/* The next event; false, with *ret undefined, where the document is no JSON or cannot be read on. EB_DOC_END
 * for ever at the end. */
bool eb_doc_json_next(struct eb_doc_json *j, struct eb_doc_event *ret);
/* The line that is being read, from 1. */
size_t eb_doc_json_line(const struct eb_doc_json *j);

#endif
