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
/* Appends a token of the bench's ServiceAccount as a kubelet's projected volume has it, RS256 or ES256, good
 * for an hour. */
void credential_sa_token(const struct site *s, bool es256, uint64_t jti, struct eb_buf *to);
/* The signature of ES256 (RFC 7518 3.4) as OpenSSL wants it. Returns its bytes; der has room for 80. */
size_t credential_der(const unsigned char raw[64], unsigned char *der);

#endif
