/*
 * Operator, account and user JWTs of somebody's store. The input is the payload, signed here, so that what it
 * says is read; its first byte chooses the key: operator, account, user, or the bytes as they are, unsigned.
 */
#include <sodium.h>
#include <string.h>

#include "fuzz.h"
#include "natsjwt/claims.h"

static enum eb_rc sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

static struct eb_nkey *key(char kind) {
    static struct eb_nkey *keys[3];
    static const char *const seeds[] = {"SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA",
                                        "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
                                        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"};
    size_t i = kind == 'O' ? 0 : kind == 'A' ? 1 : 2;
    if (!keys[i])
        FUZZ_MUST(eb_nkey_from_seed(eb_str(seeds[i]), EB_NKEY_NONE, &keys[i], NULL) == EB_OK);
    return keys[i];
}

static void token_of(struct eb_buf *to, char kind, struct eb_str payload) {
    uint8_t sig[EB_NKEY_SIG_LEN];
    eb_buf_z(to, "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.");
    eb_buf_base64url(to, payload.p, payload.n);
    FUZZ_MUST(eb_buf_ok(to) && eb_nkey_sign(key(kind), eb_buf_get(to), sig) == EB_OK);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sizeof sig);
}

static void account(struct eb_str text) {
    struct eb_account_claims a = {0}, b = {0};
    struct eb_err err = {0};
    eb_auto_buf struct eb_buf again = {0};
    const json_t *scope;
    if (eb_account_read(text, &a, &err) != EB_OK) {
        FUZZ_MUST(err.text[0]);
        return;
    }
    (void)eb_account_signs(&a, false, a.jwt.iss, &scope);
    (void)eb_account_revoked(&a, a.jwt.sub, 5);
    /* What is signed anew says the same and one account more. */
    enum eb_rc rc = eb_account_allow(&again, &a, a.jwt.iss, &a.jwt.sub, 1, 7, sign, key('O'));
    if (rc == EB_OK && a.jwt.iss_kind == EB_NKEY_OPERATOR) {
        FUZZ_MUST(eb_account_read(eb_buf_get(&again), &b, &err) == EB_OK);
        FUZZ_MUST(json_array_size(b.allowed_accounts) == json_array_size(a.allowed_accounts) + 1);
        FUZZ_MUST(!a.signing_keys || json_equal(a.signing_keys, b.signing_keys));
    }
    eb_account_claims_done(&b);
    eb_buf_reset(&again);
    rc = eb_account_add_key(&again, &a, a.jwt.iss, a.jwt.sub, 7, sign, key('O'));
    if (rc == EB_OK && a.jwt.iss_kind == EB_NKEY_OPERATOR) {
        FUZZ_MUST(eb_account_read(eb_buf_get(&again), &b, &err) == EB_OK);
        FUZZ_MUST(json_array_size(b.signing_keys) == json_array_size(a.signing_keys) + 1);
    }
    eb_account_claims_done(&a);
    eb_account_claims_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FUZZ_MUST(sodium_init() >= 0);
    eb_auto_buf struct eb_buf token = {0};
    char kind = size ? (char)data[0] : 'x';
    struct eb_str text = eb_str_n(data + (size ? 1 : 0), size ? size - 1 : 0);
    if (strchr("OAU", kind)) {
        token_of(&token, kind, text);
        text = eb_buf_get(&token);
    }
    struct eb_operator_claims o = {0};
    struct eb_user_jwt u = {0};
    struct eb_err err = {0};
    if (eb_operator_read(text, &o, &err) == EB_OK) {
        (void)eb_operator_signs(&o, o.jwt.iss);
        eb_operator_claims_done(&o);
    }
    account(text);
    if (eb_user_read(text, &u, &err) == EB_OK) {
        FUZZ_MUST(u.account.n == EB_NKEY_PUBLIC_LEN);
        eb_user_jwt_done(&u);
    }
    return 0;
}
