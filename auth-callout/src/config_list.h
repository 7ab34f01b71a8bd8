/* The list `issuers` and the mapping `accounts` of a configuration file. Inside the reading of configurations
 * only. */
#ifndef EB_CONFIG_LIST_H
#define EB_CONFIG_LIST_H

#include "base/doc.h"
#include "config_value.h"

#define EB_KUBERNETES_BLOCK "kubernetes" /* label of the kubernetes block */

/* The value whose first event was just read; a list replaces that of an earlier file. */
EB_MUSTCHECK enum eb_rc eb_config_read_issuers(struct eb_config *c, struct eb_doc *doc,
                                               const struct eb_doc_event *first, struct eb_findings *f,
                                               struct eb_err *err);
/* The same for accounts; one of the same name in an earlier file is added to. */
EB_MUSTCHECK enum eb_rc eb_config_read_accounts(struct eb_config *c, struct eb_doc *doc,
                                                const struct eb_doc_event *first, struct eb_findings *f,
                                                struct eb_err *err);
void eb_config_clear_issuers(struct eb_config *c);
void eb_config_clear_account(struct eb_account_config *a);

#endif
