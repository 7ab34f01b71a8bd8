/* Shared by the writers of the servers' configuration. Internal to lib/site. */
#ifndef EB_SITE_RENDER_IMPL_H
#define EB_SITE_RENDER_IMPL_H

#include "site/render_logins.h"
#include "site/render_text.h"

/* Where servers of several sites work together on JetStream, they must agree on how they answer and
 * acknowledge. */
void eb_render_features(struct eb_buf *to, const struct eb_site *site);
/* The first lines of every server: listeners, log. */
void eb_render_server(struct eb_buf *to, const struct eb_placement *place, struct eb_str address,
                      unsigned nats, unsigned monitor);
/* Appends the public key of a secret; the buffer fails where there is none. */
void eb_render_key(struct eb_buf *to, const struct eb_pubkeys *keys, const char *secret);
/* The authorization block: who is called out, and who is not. */
void eb_render_callout(struct eb_buf *to, const struct eb_render *r, const char *account,
                       const struct eb_logins *exempt);
/* `tls { … }` from the paths that are given; verify: of the listener's clients. Nothing where none is. */
void eb_render_tls(struct eb_buf *to, const struct eb_site_tls *tls, bool verify, unsigned indent);
bool eb_render_has_tls(const struct eb_site_tls *tls);

/* `remotes: [ … ]` of a CPC's main server. */
void eb_render_remotes(struct eb_buf *to, const struct eb_site *site);
/* The lines of an exports list (out) of the data account, or of the imports list of AUTHX: the state of each
 * stream. */
void eb_render_stream_infos(struct eb_buf *to, const struct eb_site *site, bool out);
/* What the data account exports and imports: to auth-callout's, and at a CPC from and to its account CSC. */
void eb_render_data_links(struct eb_buf *to, const struct eb_site *site);
/* A CPC's account CSC, the way to the CSC. */
void eb_render_transit(struct eb_buf *to, const struct eb_site *site);

#endif
