/* A key set, used then on tokens of every family. */
#include "fuzz.h"
#include "jose/jose.h"

/* RFC 7515 A.2-A.4, RFC 8037 A.4. */
static const char *const tokens[] = {
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "cC4hiUPoj9Eetdgtv3hF80EG"
    "rhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6x"
    "BArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A"
    "XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-"
    "KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJ"
    "ZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
    "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0"
    "KAg",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
    struct eb_jwks_info info = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_jwks_read(eb_str_n(data, size), &set, &info, &err);
    FUZZ_MUST((rc == EB_OK) == (set != NULL) && err.rc == rc && (rc == EB_OK || err.text[0]));
    if (!set)
        return 0;
    FUZZ_MUST(info.usable == eb_jwks_count(set) && info.usable > 0 && info.usable <= EB_JWKS_KEYS);
    (void)eb_jwks_has_kid(set, EB_STR("a"));
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        FUZZ_MUST(eb_jws_read(eb_str(tokens[i]), &t, NULL) == EB_OK);
        rc = eb_jwt_verify(&t, set, ~0U, NULL);
        FUZZ_MUST(rc == EB_OK || rc == EB_E_KEY_TYPE || rc == EB_E_BAD_SIGNATURE);
        t.kid = EB_STR("a");
        rc = eb_jwt_verify(&t, set, ~0U, NULL);
        FUZZ_MUST(eb_jwks_has_kid(set, t.kid) ? rc != EB_E_UNKNOWN_KID : rc == EB_E_UNKNOWN_KID);
    }
    return 0;
}
