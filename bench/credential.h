/* What clients of each kind present. */
#ifndef BENCH_CREDENTIAL_H
#define BENCH_CREDENTIAL_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "site.h"

/* A fresh self-signed CA certificate of key. */
X509 *credential_ca(EVP_PKEY *key);
/* A fresh client certificate, CN BENCH_CN, issued by the site's CA, DER and PEM appended where asked for;
 * serial makes it another one. */
void credential_leaf(const struct site *s, uint64_t serial, struct eb_buf *der, struct eb_buf *pem);
/* Appends an RS256 access token of BENCH_AZP with its own jti, good for an hour. */
void credential_token(const struct site *s, uint64_t jti, struct eb_buf *to);

#endif
