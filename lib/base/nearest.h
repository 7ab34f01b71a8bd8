/* The known name nearest to one that is unknown, for "did you mean". */
#ifndef EB_BASE_NEAREST_H
#define EB_BASE_NEAREST_H

#include "base/str.h"

/* The candidate with the fewest edits (at most a third of its length, at least 1), NULL where none is near. */
const char *eb_nearest(struct eb_str name, const char *const *candidates, size_t n);

#endif
