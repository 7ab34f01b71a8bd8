/*
 * What a store remembers, bounded: chains that it found good, by a hash of their text, and the intermediates
 * of those, already parsed. OpenSSL 3.0 takes ~150 us to parse a certificate (it looks up every decoder for
 * its key), the signature takes 30. Internal to cert/.
 */
#ifndef EB_CERT_SEEN_H
#define EB_CERT_SEEN_H

#include <openssl/x509.h>
#include <stdint.h>

#include "cert/cert.h"

#define EB_SEEN_HASH 32
#define EB_SEEN_WAYS 4u
#define EB_SEEN_SETS 1024u /* 4096 chains, about 2 MiB when full */
#define EB_SEEN_INTERMEDIATES 16u

struct eb_seen; /* any thread */

struct eb_seen *eb_seen_new(void);
void eb_seen_free(struct eb_seen *s);

/* Hash of several texts; {"ab","c"} and {"a","bc"} differ. */
void eb_seen_hash(const struct eb_str *texts, size_t n, unsigned char ret[EB_SEEN_HASH]);
/* True where the chain is known and good at now_s; *ret is a copy of its leaf. */
bool eb_seen_chain(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], int64_t now_s,
                   struct eb_cert_leaf *ret);
/* Remembers a chain that is good from..until (exclusive); forgets another where the place is full. */
void eb_seen_add_chain(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], int64_t from, int64_t until,
                       const struct eb_cert_leaf *leaf);
/* A new reference of a parsed intermediate, NULL where it is not known. That it is known says nothing about
 * trust. */
X509 *eb_seen_intermediate(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH]);
void eb_seen_add_intermediate(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], X509 *x);

#endif
