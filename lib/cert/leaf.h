/* Reading what a leaf says. Internal to cert/. */
#ifndef EB_CERT_LEAF_H
#define EB_CERT_LEAF_H

#include <openssl/x509.h>

#include "cert/cert.h"

EB_DEFINE_CLEANUP(X509, X509_free);

/* A time of a certificate as seconds since the epoch. EB_E_CERT_MALFORMED. */
EB_MUSTCHECK enum eb_rc eb_cert_time(const ASN1_TIME *t, int64_t *ret, struct eb_err *reterr);
/* Fills *ret from x (sha256 stays empty). EB_E_CERT_IDENTITY, EB_E_CERT_MALFORMED, EB_E_NOMEM. */
EB_MUSTCHECK enum eb_rc eb_cert_leaf_read(X509 *x, struct eb_cert_leaf *ret, struct eb_err *reterr);
/* A copy in its own memory; false when out of memory. */
EB_MUSTCHECK bool eb_cert_leaf_dup(const struct eb_cert_leaf *l, struct eb_cert_leaf *ret);

#endif
