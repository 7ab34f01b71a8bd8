/* The details of a failure: caller-owned, no allocation; filled where the fault is found, the first one wins.
 */
#ifndef EB_BASE_ERR_H
#define EB_BASE_ERR_H

#include "base/attr.h"
#include "base/rc.h"

struct eb_err {
    enum eb_rc rc;    /* EB_OK while unset */
    const char *file; /* source position, for debugging */
    int line;
    char text[240]; /* for people; never holds a secret */
};

/* Records rc and text unless reterr is NULL or already set; returns rc. */
enum eb_rc eb_err_set(struct eb_err *reterr, enum eb_rc rc, const char *file, int line, const char *fmt, ...)
    EB_PRINTF(5, 6);
/* Puts "prefix: " before the text. Outer layers say where. */
void eb_err_prefix(struct eb_err *reterr, const char *fmt, ...) EB_PRINTF(2, 3);

#define EB_FAIL(reterr, rc, ...) eb_err_set((reterr), (rc), __FILE__, __LINE__, __VA_ARGS__)
/* The text, or the code's name where nothing was recorded. */
const char *eb_err_text(const struct eb_err *err, enum eb_rc rc);

#endif
