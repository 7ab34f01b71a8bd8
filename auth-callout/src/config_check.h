/* What no single option of a configuration can tell. */
#ifndef EB_CONFIG_CHECK_H
#define EB_CONFIG_CHECK_H

#include "config.h"

/* Reports options that do not go together, or that are missing. */
void eb_config_check(const struct eb_config *c, struct eb_findings *f);
/* True for http to this very host, by a name or address that cannot be another's. */
bool eb_config_is_loopback_url(const char *url);

#endif
