/*
 * The JWT of a server's request. Bytes that begin with `{` are claims, still to be signed by a server's key
 * (behind a line end: the header, as far as it differs); others are a whole JWT.
 */
#include <sodium.h>

#include "fuzz.h"
#include "natsjwt/callout.h"

/* The keys of the reference vectors: raw seed 00 01 … 1f. */
static const char server_seed[] = "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U";
static const char server[] = "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB";
static const char curve[] = "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7";

static void must_be_text(struct eb_str s) {
    FUZZ_MUST(s.p || s.n == 0);
}

static void read_as(struct eb_str text, struct eb_str header_xkey) {
    struct eb_auth_request r;
    struct eb_err err = {0};
    if (eb_auth_request_read(text, header_xkey, &r, &err) != EB_OK) {
        FUZZ_MUST(err.rc != EB_OK && err.text[0]);
        return;
    }
    uint8_t key[EB_NKEY_RAW_LEN];
    FUZZ_MUST(eb_str_eqz(r.server_id, server) &&
              eb_str_eq(r.jwt.iss, r.server_id)); /* only that seed is known here */
    FUZZ_MUST(eb_nkey_public_decode(r.user_nkey, EB_NKEY_USER, NULL, key, NULL) == EB_OK);
    FUZZ_MUST(eb_nkey_public_decode(r.jwt.sub, EB_NKEY_ACCOUNT, NULL, key, NULL) == EB_OK);
    FUZZ_MUST(eb_str_eqz(r.jwt.aud, "nats-authorization-request") && r.jwt.exp > 0 && r.jwt.iat > 0);
    FUZZ_MUST(eb_str_eq(r.server_xkey, header_xkey));
    const struct eb_str texts[] = {r.server_name, r.server_host, r.server_version, r.host,    r.ci_user,
                                   r.ci_name,     r.mqtt_id,     r.nonce,          r.jwt_opt, r.nkey,
                                   r.sig,         r.auth_token,  r.user,           r.pass,    r.name};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        must_be_text(texts[i]);
    for (size_t i = 0; i < json_array_size(r.verified_chains); i++) {
        const json_t *chain = json_array_get(r.verified_chains, i);
        FUZZ_MUST(json_array_size(chain) > 0 && json_array_size(chain) <= EB_REQUEST_CERTS);
        for (size_t k = 0; k < json_array_size(chain); k++)
            FUZZ_MUST(json_is_string(json_array_get(chain, k)));
    }
    FUZZ_MUST(!r.verified_chains || json_array_size(r.verified_chains) > 0);
    FUZZ_MUST(!r.certs || json_array_size(r.certs) > 0);
    eb_auth_request_done(&r);
}

static void sign(struct eb_str input, struct eb_buf *to) {
    static struct eb_nkey *key;
    if (!key)
        FUZZ_MUST(sodium_init() >= 0 &&
                  eb_nkey_from_seed(eb_str(server_seed), EB_NKEY_SERVER, &key, NULL) == EB_OK);
    struct eb_str header = input, claims = eb_str_cut(&header, '\n');
    if (!header.p)
        header = EB_STR("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}");
    uint8_t sig[EB_NKEY_SIG_LEN];
    eb_buf_base64url(to, header.p, header.n);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, claims.p, claims.n);
    FUZZ_MUST(eb_nkey_sign(key, eb_buf_get(to), sig) == EB_OK);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sizeof sig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct eb_str text = eb_str_n(data, size);
    eb_auto_buf struct eb_buf b = {0};
    if (eb_str_starts(text, EB_STR("{"))) {
        sign(text, &b);
        text = eb_buf_get(&b);
    }
    (void)eb_natsjwt_is(text);
    read_as(text, EB_STR_NONE);
    read_as(text, eb_str(curve));
    return 0;
}
