/* UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef EB_BASE_UTF8_H
#define EB_BASE_UTF8_H

#include "base/str.h"

/* Length in bytes of the character at the start of s; 0 where it is none. */
size_t eb_utf8_char(struct eb_str s);
bool eb_utf8_valid(struct eb_str s);
/* True where s has a byte below 0x20, DEL, or a C1 control (U+0080..U+009F). */
bool eb_utf8_has_control(struct eb_str s);

#endif
