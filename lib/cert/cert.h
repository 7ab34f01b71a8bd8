/* Client certificates: the chain verified again by us, and the identities in the leaf. Source: RFC 5280, RFC
 * 6125. */
#ifndef EB_CERT_CERT_H
#define EB_CERT_CERT_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "base/cleanup.h"

struct eb_cert_store; /* trusted CAs, immutable, shared by reference count, any thread; remembers chains that
                         it found good, bounded */

#define EB_CERT_CA_MAX ((size_t)1 << 20)    /* bytes of a CA file */
#define EB_CERT_CHAIN 16                    /* most certificates of a chain */
#define EB_CERT_PEM_MAX ((size_t)64 * 1024) /* bytes of one certificate's PEM text */
#define EB_CERT_IDS 128                     /* most identities of a leaf */
#define EB_CERT_SUBJECT 256 /* bytes of eb_cert_leaf.subject, NUL included; a longer one is cut */

/*
 * Reads one or more PEM certificates, each of which is a trust anchor, self-signed or not (as Go and so
 * nats-server take a CA file); other PEM blocks and comments are passed over. EB_E_MALFORMED where there is
 * none or one is damaged, EB_E_TOO_LARGE, EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_cert_store_read(struct eb_str pem, struct eb_cert_store **ret,
                                           struct eb_err *reterr);
struct eb_cert_store *eb_cert_store_ref(struct eb_cert_store *s);
void eb_cert_store_unref(struct eb_cert_store *s);
EB_DEFINE_CLEANUP(struct eb_cert_store, eb_cert_store_unref);
size_t eb_cert_store_count(const struct eb_cert_store *s);
/* When the first of its CAs ends, in seconds since the epoch. */
int64_t eb_cert_store_until(const struct eb_cert_store *s);

/*
 * When the first of the PEM certificates in a text ends, in seconds since the epoch; other PEM blocks are
 * passed over. EB_E_MALFORMED where there is none or one is damaged, EB_E_TOO_LARGE, EB_E_CERT_MALFORMED.
 */
EB_MUSTCHECK enum eb_rc eb_cert_until(struct eb_str pem, int64_t *ret, struct eb_err *reterr);

enum eb_cert_id_kind { EB_ID_CN, EB_ID_EMAIL, EB_ID_DNS, EB_ID_URI, EB_ID_O, EB_ID_OU };

struct eb_cert_id {
    enum eb_cert_id_kind kind;
    struct eb_str value; /* without the "CN=" */
};

/* What was found in a verified leaf. */
struct eb_cert_leaf {
    int64_t not_before, not_after; /* seconds since the epoch */
    struct eb_cert_id *ids; /* in the order they are looked up: CN, EMAIL, DNS, URI, then O, OU; owned */
    size_t ids_n;
    char *subject;   /* RFC 2253 text for the log, NUL-terminated, at most 256 bytes */
    char sha256[65]; /* hex fingerprint */
};
void eb_cert_leaf_done(struct eb_cert_leaf *l);

/*
 * Verifies chain[0] (leaf, PEM) with the rest as untrusted intermediates against the store at time now_s;
 * purpose: client authentication where an extended key usage is present. Weak ones are not trusted: RSA under
 * 2048 bits, SHA-1, MD5. EB_E_CERT_UNTRUSTED, EB_E_CERT_EXPIRED, EB_E_CERT_NOT_YET_VALID (of any certificate
 * of the chain), EB_E_CERT_PURPOSE, EB_E_CERT_MALFORMED, EB_E_CERT_IDENTITY (several CNs, control bytes or
 * NUL in an identity, an empty one, text that is not UTF-8, over EB_CERT_IDS), EB_E_NOMEM. Any thread. A
 * chain found good is remembered by its bytes until one of its certificates expires, since reading a
 * certificate costs several times what its signature does; *ret is the same either way, to be released with
 * eb_cert_leaf_done.
 */
EB_MUSTCHECK enum eb_rc eb_cert_verify(struct eb_cert_store *s, const struct eb_str *chain, size_t chain_n,
                                       int64_t now_s, struct eb_cert_leaf *ret, struct eb_err *reterr);

#endif
