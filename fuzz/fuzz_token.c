/* A token, verified by keys of RFC 7515 and 8037. Bytes that begin with `{` are a header and, behind a line
 * end, claims, still to be encoded. */
#include "base/buf.h"
#include "fuzz.h"
#include "jose/jose.h"

#define NOW 1300819000

/* The public keys of RFC 7515 A.2-A.4 and RFC 8037 A.2. */
static const char keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
    "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xs"
    "mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_"
    "NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
    "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"kid\":"
    "\"ed\"}]}";

/* All that was ever signed by them. */
static const char *const signed_inputs[] = {
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
};

static struct eb_jwks *set;

static void use(struct eb_str token) {
    static const struct eb_str audiences[] = {{"bus", 3}};
    const struct eb_jwt_rules strict = {{"joe", 3}, audiences, 1, false}, open = {{"joe", 3}, NULL, 0, false},
                              none = {{"joe", 3}, NULL, 0, true};
    static const struct eb_str names[] = {{"scope", 5}, {"scp", 3}, {"azp", 3}, {"", 0}};
    bool shape = eb_jwt_shape(token);
    struct eb_jwt t;
    struct eb_err err = {0};
    int64_t exp = 0;
    if (eb_jws_read(token, &t, &err) != EB_OK) {
        FUZZ_MUST(err.rc != EB_OK && err.text[0]);
        return;
    }
    if (eb_jwt_verify(&t, set, ~0U, NULL) == EB_OK) {
        bool known = false;
        for (size_t i = 0; i < EB_COUNT_OF(signed_inputs); i++)
            known = known || eb_str_eqz(t.signing_input, signed_inputs[i]);
        FUZZ_MUST(known);
    }
    eb_jwt_done(&t);
    if (eb_jwt_read(token, &t, NULL) != EB_OK)
        return;
    FUZZ_MUST(shape || !eb_str_starts(token, EB_STR("eyJ")));
    if (eb_jwt_check(&t, &strict, NOW, &exp, NULL) == EB_OK)
        FUZZ_MUST(eb_jwt_check(&t, &open, NOW, &exp, NULL) == EB_OK && exp > NOW && eb_str_eqz(t.iss, "joe"));
    if (eb_jwt_check(&t, &none, NOW, &exp, NULL) == EB_OK)
        FUZZ_MUST(!json_object_get(t.claims, "aud"));
    struct eb_str client = EB_STR_NONE;
    if (eb_jwt_first_claim(&t, names, EB_COUNT_OF(names), &client, NULL) == EB_OK)
        FUZZ_MUST(!client.p == !client.n);
    FUZZ_MUST(eb_jwt_check_scope(&t, names, EB_COUNT_OF(names), EB_STR(""), NULL) != EB_OK);
    eb_jwt_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!set)
        FUZZ_MUST(eb_jwks_read(eb_str(keys), &set, NULL, NULL) == EB_OK);
    struct eb_str text = eb_str_n(data, size);
    if (!eb_str_starts(text, EB_STR("{"))) {
        use(text);
        return 0;
    }
    struct eb_str claims = text, header = eb_str_cut(&claims, '\n');
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_base64url(&b, header.p, header.n);
    eb_buf_ch(&b, '.');
    eb_buf_base64url(&b, claims.p, claims.n);
    eb_buf_z(&b, ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    use(eb_buf_get(&b));
    return 0;
}
