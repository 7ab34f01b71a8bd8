/* Inside lib/site only: what the files that read a site document share. */
#ifndef EB_SITE_IMPL_H
#define EB_SITE_IMPL_H

#include "site/site.h"
#include "site/tree.h"

/* A site with the memory that its texts are in; eb_site_free finds it by its first member. */
struct eb_site_own {
    struct eb_site site;
    struct eb_mem mem;
};

/* Reads `global.eventBus` into the site; every fault a finding. */
void eb_site_read(struct eb_reading *r, const struct eb_node *bus, struct eb_site_own *own);
/* Patterns that match what another one, or nobody, may match. */
void eb_site_check_overlap(struct eb_reading *r, const struct eb_site *s);
/* What entries of the permissions must have to do with the site: accounts, and MQTT in them. */
void eb_site_check_permissions(struct eb_reading *r, const struct eb_node *permissions,
                               const struct eb_site *s);
/* What the charts have beside the site: nothing is read from it, but what is wrong is told. */
void eb_site_check_chart(struct eb_reading *r, const struct eb_node *bus, const struct eb_site *s);
/* "cscExports[2]" */
const char *eb_site_item(char to[64], enum eb_site_list l, size_t i);
/* [a-z0-9]+, at most EB_SITE_ID_MAX bytes. */
bool eb_site_id_ok(struct eb_str id);

#endif
