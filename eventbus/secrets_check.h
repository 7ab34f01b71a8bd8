/* What `eventbus secrets verify` looks at beyond the key pairs themselves. Every fault is a finding. */
#ifndef EB_CLI_SECRETS_CHECK_H
#define EB_CLI_SECRETS_CHECK_H

#include <stdint.h>

#include "secrets_tree.h"

/* Secrets of a site that was read and is there, which are not. */
void eb_tree_check_complete(const struct eb_tree *t, const struct eb_tree_site *s,
                            struct eb_findings *findings);
/* Modes and owners of the root itself, and of a site's folders and files; what does not belong there. */
void eb_tree_check_root(const struct eb_tree *t, struct eb_findings *findings);
void eb_tree_check_files(const struct eb_tree *t, const struct eb_tree_site *s, struct eb_findings *findings);
/*
 * The certificate of the site's mTLS server at the time now_s: key and certificate belong together, the chain
 * is valid for a server. true where all three files are there and good.
 */
bool eb_tree_check_tls(const struct eb_tree_site *s, int64_t now_s, struct eb_findings *findings);

#endif
