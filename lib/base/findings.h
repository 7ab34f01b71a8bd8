/* What a check of a document found: each finding says where, what is wrong, and what to write instead. */
#ifndef EB_BASE_FINDINGS_H
#define EB_BASE_FINDINGS_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/cleanup.h"

enum eb_severity { EB_WARNING, EB_ERROR };

struct eb_finding {
    enum eb_severity severity;
    char *file;  /* NULL where the input has none */
    size_t line; /* from 1; 0 where there is none */
    char *path;  /* dotted path in the document, "" at its root */
    char *text;  /* what is wrong */
    char *mend;  /* what to do instead, "" where the text says it */
};

/* Zero-initialised ({0}) is empty. Keeps at most EB_FINDINGS_MAX; more are only counted. Not for several
 * threads at once. */
#define EB_FINDINGS_MAX 200
struct eb_findings {
    struct eb_finding *items;
    size_t n, cap;
    size_t errors, warnings; /* all, the dropped ones included */
};

void eb_findings_done(struct eb_findings *f);
#define eb_auto_findings EB_CLEANUP(eb_findings_done)

/* Adds one. file and path are copied (NULL allowed); mend may be NULL. The text must quote `${NAME}`, not
 * what it expands to. */
void eb_findings_add(struct eb_findings *f, enum eb_severity severity, const char *file, size_t line,
                     const char *path, const char *mend, const char *fmt, ...) EB_PRINTF(7, 8);
/* One line a finding: `file:line: error: path: text; mend`. */
void eb_findings_print(const struct eb_findings *f, struct eb_buf *to);

#endif
