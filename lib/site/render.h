/* What the servers and auth-callout of a site are given, written from its document: deterministic, with
 * comments. */
#ifndef EB_SITE_RENDER_H
#define EB_SITE_RENDER_H

#include "base/buf.h"
#include "site/placement.h"
#include "site/secrets.h"
#include "site/site.h"

struct eb_render {
    const struct eb_site *site;
    const struct eb_placement *place;
    const struct eb_pubkeys *keys;
};

/* nats-server's configuration of a node of the main server. It includes "main-seeds.conf" where it has leaf
 * remotes. */
void eb_render_main(struct eb_buf *to, const struct eb_render *r, size_t node);
/* And of the mTLS server. It includes "mtls-seeds.conf". */
void eb_render_mtls(struct eb_buf *to, const struct eb_render *r);
/*
 * The names of the variables that those two files must hold, with the secret whose seed each is: i from 0 on,
 * false behind the last. mtls: of the mTLS server, else of the main one.
 */
bool eb_render_seed(const struct eb_site *site, bool mtls, size_t i, char variable[96], char secret[96]);
/* The permissions document (YAML): the site's own entries and those of the infrastructure. */
void eb_render_permissions(struct eb_buf *to, const struct eb_render *r);

#endif
