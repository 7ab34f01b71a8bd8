#include "jose/alg.h"

#include "base/attr.h"

static const struct {
    const char *name, *digest;
    enum eb_kty kty;
    bool pss;
} algs[EB_ALG_MAX_] = {
    [EB_ALG_NONE] = {"none", NULL, EB_KTY_NONE, false},
    [EB_ALG_RS256] = {"RS256", "SHA2-256", EB_KTY_RSA, false},
    [EB_ALG_RS384] = {"RS384", "SHA2-384", EB_KTY_RSA, false},
    [EB_ALG_RS512] = {"RS512", "SHA2-512", EB_KTY_RSA, false},
    [EB_ALG_PS256] = {"PS256", "SHA2-256", EB_KTY_RSA, true},
    [EB_ALG_PS384] = {"PS384", "SHA2-384", EB_KTY_RSA, true},
    [EB_ALG_PS512] = {"PS512", "SHA2-512", EB_KTY_RSA, true},
    [EB_ALG_ES256] = {"ES256", "SHA2-256", EB_KTY_P256, false},
    [EB_ALG_ES384] = {"ES384", "SHA2-384", EB_KTY_P384, false},
    [EB_ALG_ES512] = {"ES512", "SHA2-512", EB_KTY_P521, false},
    [EB_ALG_EDDSA] = {"EdDSA", NULL, EB_KTY_ED25519, false},
};

enum eb_alg eb_alg_parse(struct eb_str name) {
    for (enum eb_alg a = EB_ALG_NONE + 1; a < EB_ALG_MAX_; a++)
        if (eb_str_eqz(name, algs[a].name))
            return a;
    return EB_ALG_NONE;
}

const char *eb_alg_name(enum eb_alg alg) {
    return alg < EB_ALG_MAX_ ? algs[alg].name : "none";
}

enum eb_kty eb_alg_kty(enum eb_alg alg) {
    return alg < EB_ALG_MAX_ ? algs[alg].kty : EB_KTY_NONE;
}

const char *eb_alg_digest(enum eb_alg alg) {
    return alg < EB_ALG_MAX_ ? algs[alg].digest : NULL;
}

bool eb_alg_is_pss(enum eb_alg alg) {
    return alg < EB_ALG_MAX_ && algs[alg].pss;
}
