/* The difference of two texts as `diff -u` shows it. */
#ifndef EB_CLI_DIFF_H
#define EB_CLI_DIFF_H

#include "base/buf.h"

/* Appends it with its two head lines; nothing where they are equal. Lines that differ over long stretches are
 * shown as taken out and put in anew. The buffer fails when out of memory. */
void eb_diff(struct eb_buf *to, const char *name, struct eb_str was, struct eb_str is);

#endif
