/* Modes of an operator's folder, as they are found. */
#ifndef EB_CLI_OPERATOR_GUARD_H
#define EB_CLI_OPERATOR_GUARD_H

#include "operator_store.h"

/* What others may read or replace and should not is a finding. false when out of memory. */
EB_MUSTCHECK bool eb_operator_check_modes(const struct eb_store *s, struct eb_findings *f);

#endif
