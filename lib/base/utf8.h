/* UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef EB_BASE_UTF8_H
#define EB_BASE_UTF8_H

#include "base/str.h"

/* Length in bytes of the character at the start of s; 0 where it is none. */
size_t eb_utf8_char(struct eb_str s);
bool eb_utf8_valid(struct eb_str s);
/* s without a character that was cut off at its end. */
struct eb_str eb_utf8_whole(struct eb_str s);
/* The first max bytes of s at most, never a part of a character. */
static inline struct eb_str eb_utf8_cut(struct eb_str s, size_t max) {
    return s.n > max ? eb_utf8_whole((struct eb_str){s.p, max}) : s;
}
/* True where s has a byte below 0x20, DEL, or a C1 control (U+0080..U+009F). */
bool eb_utf8_has_control(struct eb_str s);

#endif
