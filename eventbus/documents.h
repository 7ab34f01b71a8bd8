/* Documents of sites as commands read them: whole, with everything that is wrong told. */
#ifndef EB_CLI_DOCUMENTS_H
#define EB_CLI_DOCUMENTS_H

#include "base/findings.h"
#include "command.h"
#include "site/placement.h"
#include "site/site.h"

/*
 * Reads and checks a site document, its permissions as auth-callout would read them included. Faults are
 * findings; *ret stays NULL where the document itself could not be taken. `${NAME}` in permissions is
 * replaced from this process's environment; a name that is not set here is a warning, since the service has
 * an environment of its own.
 */
void eb_read_site(const char *path, struct eb_site **ret, struct eb_findings *findings);
/* path NULL = all defaults. */
void eb_read_placement(const char *path, const struct eb_site *site, struct eb_placement **ret,
                       struct eb_findings *findings);
/*
 * Judges a text of permissions (JSON or YAML); file and base stand before each finding's line and path.
 */
void eb_read_permissions(struct eb_str text, const char *file, const char *base,
                         struct eb_findings *findings);

#endif
