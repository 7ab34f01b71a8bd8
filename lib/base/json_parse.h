/* The grammar of JSON (RFC 8259), from bytes to a jansson tree: jansson's own reader takes several times as
 * long. See base/json.h. */
#ifndef EB_BASE_JSON_PARSE_H
#define EB_BASE_JSON_PARSE_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Reads the whole text: an object or a list, blanks around it. depth: deepest nesting taken. Refused:
 * duplicate keys, bytes that are not UTF-8, lone surrogates, U+0000, whole numbers outside int64, real
 * numbers that overflow or have over 127 characters. *ret is a new reference. EB_E_MALFORMED and
 * EB_E_TOO_LARGE (too deep) with the index of the fault in *ret_at; EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_json_parse(struct eb_str text, unsigned depth, json_t **ret, size_t *ret_at);
/* The same, for what another program writes down of its peers: see eb_json_object_of_peers. */
EB_MUSTCHECK enum eb_rc eb_json_parse_of_peers(struct eb_str text, unsigned depth, json_t **ret,
                                               size_t *ret_at);

#endif
