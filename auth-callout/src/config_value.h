/* One option's value in a configuration or in an element of it (base), from whatever source it comes. Inside
 * the reading of configurations only. */
#ifndef EB_CONFIG_VALUE_H
#define EB_CONFIG_VALUE_H

#include "options.h"

/* Where a value comes from, for findings. */
struct eb_config_source {
    const char *file; /* NULL for environment and flags */
    size_t line;
    const char *what;   /* "environment", "flag"; NULL for files */
    const char *within; /* the element that paths are of, `issuers[2]`; NULL = the configuration itself */
};

void eb_config_finding(struct eb_findings *f, const struct eb_config_source *src, const char *path,
                       const char *mend, const char *text);
/* Empties an option, so that a later source replaces an earlier one instead of adding to it. */
void eb_config_clear(void *base, const struct eb_option *o);
/* Takes one value in: a list's next item, or the value. What does not fit is a finding. */
void eb_config_add(void *base, const struct eb_option *o, struct eb_str text,
                   const struct eb_config_source *src, struct eb_findings *f);
/* A text from the environment or a flag, which replaces what was there: lists are comma separated. */
void eb_config_set(void *base, const struct eb_option *o, struct eb_str text,
                   const struct eb_config_source *src, struct eb_findings *f);
/* True where both configurations have the same value. */
bool eb_config_same(const struct eb_option *o, const void *a, const void *b);

#endif
