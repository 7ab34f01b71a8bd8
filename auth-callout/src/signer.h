/* The keys of the service. Nothing else holds an account or curve seed: signing and opening go through here.
 */
#ifndef EB_SIGNER_H
#define EB_SIGNER_H

#include "config.h"
#include "nkey/nkey.h"
#include "nkey/xkey.h"

struct eb_signer; /* immutable key set, shared by reference count, any thread */

/*
 * Reads every seed that the configuration names. A seed of the wrong kind, an unreadable file, a list without
 * an account seed, an account whose key cannot be its: a finding each, with the mend, and EB_E_INVALID; *ret
 * untouched.
 */
EB_MUSTCHECK enum eb_rc eb_signer_load(const struct eb_config *c, struct eb_signer **ret,
                                       struct eb_findings *findings);
struct eb_signer *eb_signer_ref(struct eb_signer *s);
void eb_signer_unref(struct eb_signer *s);
EB_DEFINE_CLEANUP(struct eb_signer, eb_signer_unref);

/*
 * What answers for the callout account of this id: its own key, else, where it is nats.issuer-account, the
 * newest of nats.issuer-seed, a signing key of it. NULL where we hold none. Borrowed.
 */
const struct eb_nkey *eb_signer_issuer(const struct eb_signer *s, struct eb_str issuer);
/* An eb_sign_fn (natsjwt.h): ctx is what eb_signer_issuer returned. */
enum eb_rc eb_signer_sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]);
/* Operator mode: what signs the users of one account. Borrowed from the signer. */
struct eb_signer_account {
    char *name; /* as entries of the permissions document call it */
    char id[EB_NKEY_PUBLIC_LEN + 1];
    struct eb_nkey *key; /* its own, or a signing key of it */
    bool scoped;         /* key is a scoped signing key */
};
/* True where accounts are configured: then the key that signs says where a client is placed, not a name. */
bool eb_signer_operator_mode(const struct eb_signer *s);
/* NULL where it is not configured. */
const struct eb_signer_account *eb_signer_account(const struct eb_signer *s, struct eb_str name);
/* Our curve keys, newest last. */
size_t eb_signer_curves(const struct eb_signer *s);
const struct eb_nkey *eb_signer_curve(const struct eb_signer *s, size_t i);
/* Public keys for the log: "issuers A… A…, xkeys X…", and "accounts NAME…" where there are any. */
void eb_signer_describe(const struct eb_signer *s, struct eb_buf *to);

#endif
