/* One object of the API from its bytes. */
#ifndef EB_KUBE_OBJECT_H
#define EB_KUBE_OBJECT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Follows JSON text by its braces and quotes, one byte after another; zero-initialised before the first. */
struct eb_kube_scan {
    unsigned depth;
    bool in_string, escape;
};
#define EB_KUBE_SCAN_DEPTH 64
/* Takes a byte. False for an end that has no beginning, or nesting over EB_KUBE_SCAN_DEPTH. */
EB_MUSTCHECK bool eb_kube_scan_step(struct eb_kube_scan *s, char c);

/*
 * Reads text, in which U+0000 becomes U+0001 before: annotations may hold it, and the object of one namespace
 * must not make the whole list unreadable. (Nothing that has a control character is taken for a subject.)
 * *ret is a new reference. Errors as eb_json_object.
 */
EB_MUSTCHECK enum eb_rc eb_kube_object_parse(struct eb_buf *text, json_t **ret, struct eb_err *reterr);
/* Empties the buffer, and gives its memory back where an unusually large object was in it. */
void eb_kube_object_reset(struct eb_buf *text);

#endif
