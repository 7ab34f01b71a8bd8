/* For programs that log in with nats.c: its callback that signs the server's nonce. lib/ itself needs no
 * nats.c. */
#ifndef EB_NKEY_NATS_NONCE_H
#define EB_NKEY_NATS_NONCE_H

#include <nats/nats.h>
#include <stdlib.h>

#include "nkey/nkey.h"

enum { EB_NKEY_SIGN_TRIES = 32 }; /* one in 256 of them fails */

/*
 * A natsSignatureHandler whose closure is the struct eb_nkey; nats.c frees the signature.
 *
 * nats.c (3.4.1) takes a signature whose first byte is 0 for an empty text and logs in without any: one login
 * in 256 was refused with "Authorization Violation". Such a signature is made anew.
 */
__attribute__((unused)) static natsStatus eb_nkey_sign_nonce(char **error, unsigned char **ret_signature,
                                                             int *ret_length, const char *nonce, void *key) {
    (void)error;
    unsigned char *signature = malloc(EB_NKEY_SIG_LEN);
    if (!signature)
        return NATS_NO_MEMORY;
    enum eb_rc rc = eb_nkey_sign(key, eb_str(nonce), signature);
    for (int i = 0; rc == EB_OK && signature[0] == 0 && i < EB_NKEY_SIGN_TRIES; i++)
        rc = eb_nkey_sign_randomized(key, eb_str(nonce), signature);
    if (rc != EB_OK) {
        free(signature);
        return NATS_ERR;
    }
    *ret_signature = signature;
    *ret_length = EB_NKEY_SIG_LEN;
    return NATS_OK;
}

#endif
