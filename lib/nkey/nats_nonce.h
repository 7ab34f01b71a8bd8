/* For programs that log in with nats.c: its callback that signs the server's nonce. lib/ itself needs no
 * nats.c. */
#ifndef EB_NKEY_NATS_NONCE_H
#define EB_NKEY_NATS_NONCE_H

#include <nats/nats.h>
#include <stdlib.h>

#include "nkey/nkey.h"

/* A natsSignatureHandler whose closure is the struct eb_nkey; nats.c frees the signature. */
__attribute__((unused)) static natsStatus eb_nkey_sign_nonce(char **error, unsigned char **ret_signature,
                                                             int *ret_length, const char *nonce, void *key) {
    (void)error;
    unsigned char *signature = malloc(EB_NKEY_SIG_LEN);
    if (!signature || eb_nkey_sign(key, eb_str(nonce), signature) != EB_OK) {
        free(signature);
        return NATS_NO_MEMORY;
    }
    *ret_signature = signature;
    *ret_length = EB_NKEY_SIG_LEN;
    return NATS_OK;
}

#endif
