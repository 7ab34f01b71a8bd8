/*
 * Names under which the JetStream of an extra account is reached from a CPC. There the client's names are
 * mapped to those of the CSC's domain before its permissions are looked at, so an entry that grants the one
 * must grant the other. Internal to lib/site. Source: nats-server, account mappings; docs/architecture.md.
 */
#ifndef EB_SITE_RENDER_MAPPED_H
#define EB_SITE_RENDER_MAPPED_H

#include <jansson.h>

#include "base/attr.h"
#include "base/buf.h"

/*
 * Appends the mapped form of a rule (`$KV.b.>` gives `$JS.CSC.API.$KV.b.>`; the queue group of a subscription
 * stays behind it) and gives true; false where the rule reaches none of the mapped names. deny: a wildcard as
 * first token reaches them too; in an allow list it does not, since JetStream is granted by its name only.
 */
bool eb_render_mapped(struct eb_str rule, bool deny, struct eb_buf *to);
/* Adds to each list of an entry's permissions the mapped forms that are not in it; false when out of memory.
 */
EB_MUSTCHECK bool eb_render_map_entry(json_t *entry);

#endif
