/* What the logins of the infrastructure may publish and subscribe: patterns, one a line, as narrow as each
 * works. Internal. */
#ifndef EB_SITE_RENDER_RIGHTS_H
#define EB_SITE_RENDER_RIGHTS_H

#include "site/render_logins.h"

/* Questions of monitoring; nothing that changes a server. */
void eb_rights_surveyor(struct eb_buf rights[EB_RIGHTS]);
/* The SYS leaf of the mTLS server: the same questions from the main server, and answers to it. */
void eb_rights_sys_leaf(struct eb_buf rights[EB_RIGHTS]);
/* auth-callout: requests, refused logins, service queries, and the state of the site's four streams. */
void eb_rights_callout(struct eb_buf rights[EB_RIGHTS]);
/* `eventbus streams apply`, `status` and `watch`. */
void eb_rights_streams(const struct eb_site *site, struct eb_buf rights[EB_RIGHTS]);
/*
 * The link of a CPC at the CSC: publish is CPC to CSC. What crosses live, and for the stored layer the
 * questions for exactly the sources that the CPC's document has. false when out of memory.
 */
bool eb_rights_cpc_leaf(const struct eb_site *csc, struct eb_str id, struct eb_buf rights[EB_RIGHTS]);
/* The link of an extra account at the CSC. */
void eb_rights_extra_leaf(const struct eb_site_extra *extra, struct eb_buf rights[EB_RIGHTS]);

#endif
