/* One object of the API from its bytes. */
#ifndef EB_KUBE_OBJECT_H
#define EB_KUBE_OBJECT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Follows JSON text by its braces and quotes, one byte after another; zero-initialised before the first. */
struct eb_kube_scan {
    size_t depth;
    bool in_string, escape;
};
/* Takes a byte. False for an end that has no beginning. */
EB_MUSTCHECK bool eb_kube_scan_step(struct eb_kube_scan *s, char c);

/*
 * Levels of an object that are read, the outermost is the first: what is needed of an item lies in the third
 * (its annotations), of an event of a watch in the fourth. What lies deeper is for others; and there, in
 * metadata.managedFields, whoever may edit one object may nest as deep as etcd can store, with names that
 * come twice.
 */
#define EB_KUBE_DEPTH 4

/*
 * Reads text. Lists and objects below EB_KUBE_DEPTH become 0 before, whatever is in them, and U+0000 becomes
 * U+0001: both may be in the object of one namespace, which must not make the whole list unreadable. (Nothing
 * that has a control character is taken for a subject.) *ret is a new reference. text is changed. Errors as
 * eb_json_object.
 */
EB_MUSTCHECK enum eb_rc eb_kube_object_parse(struct eb_buf *text, json_t **ret, struct eb_err *reterr);
/*
 * For a log: the namespace and name in a text that eb_kube_object_parse could not read, where they are found
 * at a glance and are Kubernetes'; {NULL, 0} otherwise. Borrowed from text.
 */
void eb_kube_object_guess(struct eb_str text, struct eb_str *ret_ns, struct eb_str *ret_name);
/* Empties the buffer, and gives its memory back where an unusually large object was in it. */
void eb_kube_object_reset(struct eb_buf *text);

#endif
