/* The known name nearest to one that is unknown, for "did you mean". */
#ifndef EB_BASE_NEAREST_H
#define EB_BASE_NEAREST_H

#include "base/str.h"

/*
 * The candidate with the fewest edits, NULL where none is near (more than half of its characters differ).
 * Case does not count, `-` equals `_`, and a name that begins as the other does is one edit away. Names over
 * 64 bytes are near to nothing.
 */
const char *eb_nearest(struct eb_str name, const char *const *candidates, size_t n);

#endif
