/* A configuration file, YAML or JSON. Inside the reading of configurations only. */
#ifndef EB_CONFIG_FILE_H
#define EB_CONFIG_FILE_H

#include "config_value.h"

/* Takes the options of a file in, over those that are there. Every fault is a finding. */
void eb_config_read_file(struct eb_config *c, const char *path, bool may_be_absent, struct eb_findings *f);
/* Reports a key that no option has. */
void eb_config_unknown(struct eb_findings *f, const struct eb_config_source *src, const char *path);

#endif
