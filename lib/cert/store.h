/* The inside of a store. Internal to cert/. */
#ifndef EB_CERT_STORE_H
#define EB_CERT_STORE_H

#include <openssl/x509.h>
#include <stdatomic.h>

#include "cert/cert.h"
#include "cert/seen.h"

struct eb_cert_store {
    atomic_size_t refs;
    X509_STORE *x509;
    EVP_MD *sha256;
    struct eb_seen *seen;
    int64_t until_s; /* the earliest notAfter of the CAs */
    size_t n;
    unsigned char (*hashes)[EB_SEEN_HASH]; /* of the CAs' DER, n of them */
};

/* Parses DER, all of it; NULL where it is no certificate or its extensions are damaged. */
X509 *eb_cert_from_der(const unsigned char *der, size_t n);

#endif
