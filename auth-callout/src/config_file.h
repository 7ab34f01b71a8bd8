/* A configuration file, YAML or JSON. Inside the reading of configurations only. */
#ifndef EB_CONFIG_FILE_H
#define EB_CONFIG_FILE_H

#include "base/doc.h"
#include "config_value.h"

/* Takes the options of a file in, over those that are there. Every fault is a finding. */
void eb_config_read_file(struct eb_config *c, const char *path, bool may_be_absent, struct eb_findings *f);
/* One option's value, whose first event was just read; within: see struct eb_config_source. */
EB_MUSTCHECK enum eb_rc eb_config_read_value(void *base, struct eb_doc *doc, const struct eb_option *o,
                                             const struct eb_doc_event *first, const char *within,
                                             struct eb_findings *f, struct eb_err *err);
/* Reports a key that no option has. */
void eb_config_unknown(struct eb_findings *f, const struct eb_config_source *src, const char *path);

#endif
