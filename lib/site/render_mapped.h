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
 * Adds the mapped forms of a rule to the list `to` (strings) where they are not in it: `$KV.b.>` gives
 * `$JS.CSC.API.$KV.b.>`; a queue group stays behind the name. A rule may reach several mapped names, or none.
 * deny: a wildcard as first token reaches them too; in an allow list it does not, since JetStream is granted
 * by its name only. False when out of memory.
 */
EB_MUSTCHECK bool eb_render_mapped(struct eb_str rule, bool deny, json_t *to);
/*
 * Adds to each list of an entry's permissions the mapped forms that are not in it. An entry gets by its
 * mapped rules no more than by those of the document: a deny is added where a wide one (`$JS.>`) would. False
 * when out of memory.
 */
EB_MUSTCHECK bool eb_render_map_entry(json_t *entry);

#endif
