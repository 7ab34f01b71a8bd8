/*
 * Strict JSON for outside bytes, read into a jansson tree: duplicate keys, bytes behind the value, invalid
 * UTF-8, U+0000 and input over the given size are refused. Getters tell a missing member from a mistyped one.
 */
#ifndef EB_BASE_JSON_H
#define EB_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

/* Deepest nesting that is taken. */
#define EB_JSON_DEPTH 32

/*
 * Reads text (at most max bytes) as an object. *ret_root is a new reference. EB_E_TOO_LARGE, EB_E_MALFORMED
 * (with line and column in the text, never the bytes themselves), EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_json_object(struct eb_str text, size_t max, json_t **ret_root,
                                       struct eb_err *reterr);

/*
 * The same, of what a program writes down of its own peers, who choose the texts and must not be able to make
 * the whole unreadable: U+0000 becomes U+FFFD, as Go's writer does with bytes that are no UTF-8.
 */
EB_MUSTCHECK enum eb_rc eb_json_object_of_peers(struct eb_str text, size_t max, json_t **ret_root,
                                                struct eb_err *reterr);

/* A member's text, borrowed from obj; {NULL, 0} where it is missing or no string. */
struct eb_str eb_json_str(const json_t *obj, const char *key);
enum eb_json_have { EB_JSON_MISSING, EB_JSON_OK, EB_JSON_WRONG_TYPE };
enum eb_json_have eb_json_get_str(const json_t *obj, const char *key, struct eb_str *ret);
/* A whole number or a real without NaN as seconds since the epoch (RFC 7519 NumericDate), rounded down. */
enum eb_json_have eb_json_get_epoch(const json_t *obj, const char *key, int64_t *ret_s);

/*
 * From now on every block that jansson frees is wiped before: the claims of requests hold passwords and
 * tokens, and a tree that was refused half-way does, too. For a whole process: once, before it has threads
 * and trees.
 */
void eb_json_wipe_freed(void);

/* jansson brings json_decrefp itself. */
#define eb_auto_json EB_CLEANUP(json_decrefp)

#endif
