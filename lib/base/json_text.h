/* The texts and numbers of JSON (RFC 8259, 6 and 7) as both readers scan them: base/json_parse.c for trees,
 * base/doc_json.c for streams. */
#ifndef EB_BASE_JSON_TEXT_H
#define EB_BASE_JSON_TEXT_H

#include "base/buf.h"

/*
 * From p, behind the opening quote: the closing quote, or what keeps it from coming: a control byte, end, or
 * a backslash just before end. Sets *escaped where a backslash and *wide where a byte from 0x80 on was
 * passed, and clears neither.
 */
const char *eb_json_text_end(const char *p, const char *end, bool *escaped, bool *wide);
/* What becomes of U+0000: nothing is taken, or U+FFFD stands in its place. */
enum eb_json_nul { EB_JSON_NUL_REFUSED, EB_JSON_NUL_REPLACED };
/* Appends text, without its quotes, with escapes resolved. False where one is wrong, a lone surrogate or
 * a U+0000 that is refused. */
EB_MUSTCHECK bool eb_json_text_resolve(struct eb_str text, enum eb_json_nul nul, struct eb_buf *to);
/* Moves *p behind the number at it; false, with *p at the fault, where none stands there. */
EB_MUSTCHECK bool eb_json_number(const char **p, const char *end, bool *ret_real);

#endif
