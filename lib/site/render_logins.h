/*
 * Who logs in to the main server without the callout's leave, and with which rights. The configuration and
 * the permissions document are both written from this one list, so that they cannot differ. Internal to
 * lib/site.
 */
#ifndef EB_SITE_RENDER_LOGINS_H
#define EB_SITE_RENDER_LOGINS_H

#include "site/render.h"

/* Lists of a login's rights, in the order of a user's JWT. */
enum { EB_PUB_ALLOWS, EB_PUB_DENIES, EB_SUB_ALLOWS, EB_SUB_DENIES, EB_RIGHTS };

struct eb_login {
    char secret[96]; /* of its key, as eb_pubkeys_get takes it; the name of its entry too */
    char account[96];
    char what[120]; /* one line for the reader */
    bool leaf;      /* comes as a leaf connection; else as a NATS client */
    bool entry;     /* has an entry in the permissions document as well */
    bool unlimited; /* no permissions in the configuration */
    bool old;       /* only while there is an old key */
    bool answers;   /* may answer each request once, and publish nothing else: auth-callout */
    struct eb_buf rights[EB_RIGHTS]; /* patterns, one a line */
};

struct eb_logins {
    struct eb_login *v;
    size_t n, cap;
    bool failed; /* out of memory */
};

/* Fills *ret, which eb_logins_done releases. In the order in which they are written: by account, then by
 * name. */
void eb_logins_of(const struct eb_site *site, struct eb_logins *ret);
void eb_logins_done(struct eb_logins *l);
#define eb_auto_logins EB_CLEANUP(eb_logins_done)

/* Adds a pattern made from pieces to a list of patterns, one a line; NULL ends the pieces. */
void eb_pattern_add(struct eb_buf *list, ...) __attribute__((sentinel));

#endif
