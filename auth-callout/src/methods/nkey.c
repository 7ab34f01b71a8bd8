/* NKeys. The server has not checked the signature of an nkey that its configuration does not know: we do. */
#include <sodium.h>

#include "base/base64url.h"
#include "methods/methods.h"

/* base64url without padding first, then the standard alphabet with padding, as the server itself reads
 * signatures. */
static bool decode_signature(struct eb_str text, uint8_t sig[EB_NKEY_SIG_LEN]) {
    size_t n = 0;
    if (eb_base64url_decode(sig, EB_NKEY_SIG_LEN, text, &n) == EB_OK && n == EB_NKEY_SIG_LEN)
        return true;
    const char *end = NULL;
    if (sodium_base642bin(sig, EB_NKEY_SIG_LEN, text.p, text.n, NULL, &n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    return n == EB_NKEY_SIG_LEN && end == text.p + text.n;
}

enum eb_rc eb_method_nkey(struct eb_attempt *a) {
    a->method = EB_METHOD_NKEY;
    const struct eb_auth_request *r = a->req;
    uint8_t key[EB_NKEY_RAW_LEN], sig[EB_NKEY_SIG_LEN];
    if (eb_nkey_public_decode(r->nkey, EB_NKEY_USER, NULL, key, &a->err) != EB_OK) {
        a->err = (struct eb_err){0};
        return EB_FAIL(&a->err, EB_E_NKEY_SIGNATURE, "the nkey is no user key");
    }
    eb_attempt_identity(a, "%.*s", EB_STR_ARG(r->nkey));
    if (r->sig.n == 0)
        return EB_FAIL(&a->err, EB_E_NKEY_UNSIGNED, "an nkey without a signature proves nothing");
    if (r->nonce.n == 0)
        return EB_FAIL(&a->err, EB_E_NKEY_UNSIGNED,
                       "the server told no nonce: set always_enable_nonce in its configuration");
    if (!decode_signature(r->sig, sig) || eb_nkey_verify(key, r->nonce, sig) != EB_OK)
        return EB_FAIL(&a->err, EB_E_NKEY_SIGNATURE,
                       "the signature over the server's nonce does not fit the nkey");
    if (!eb_policy_find_nkey(a->view->policy, key, &a->entry))
        return EB_FAIL(&a->err, EB_E_UNKNOWN_IDENTITY, "no nkey entry has this public key");
    return eb_attempt_admit(a);
}
