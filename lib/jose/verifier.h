/*
 * Prepared OpenSSL contexts of one key. Setting one up costs about a fifth of an RSA verification (algorithm
 * look-ups under locks), so used ones are kept and lent again. Internal to jose/.
 */
#ifndef EB_JOSE_VERIFIER_H
#define EB_JOSE_VERIFIER_H

#include <openssl/evp.h>
#include <pthread.h>

#include "base/err.h"
#include "base/str.h"
#include "jose/alg.h"

#define EB_VERIFIERS_KEPT 64 /* most idle contexts of a key; each thread that verifies uses one */

struct eb_verifier;
struct eb_verifiers {
    pthread_mutex_t lock;
    struct eb_verifier *idle;
    size_t idle_n;
};

void eb_verifiers_init(struct eb_verifiers *pool);
void eb_verifiers_done(struct eb_verifiers *pool);
/*
 * Verifies sig (of the form that OpenSSL wants: DER for ECDSA) over text by RSA or ECDSA. EB_E_BAD_SIGNATURE,
 * EB_E_NOMEM. One pool belongs to one key.
 */
EB_MUSTCHECK enum eb_rc eb_verifiers_check(struct eb_verifiers *pool, EVP_PKEY *key, enum eb_alg alg,
                                           struct eb_str text, struct eb_str sig, struct eb_err *reterr);

#endif
