/* A tree of certificates is made here with OpenSSL; none is kept in a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cert/cert.h"
#include "cert/pem.h"
#include "mint.h"

#define NOW 1700000000
#define DAY 86400

static EVP_PKEY *ca_key, *other_key, *mid_key, *leaf_key, *rsa1024, *rsa2048;

struct rdn {
    const char *field; /* "CN" */
    const void *bytes;
    int n;    /* -1: a C text */
    int type; /* 0: UTF8String */
};

struct san {
    int type; /* GEN_DNS… */
    const void *bytes;
    int n; /* -1: a C text */
};

/* What a certificate is to be; zero is an ordinary client's leaf without an extended key usage. */
struct spec {
    const char *cn; /* or rdns */
    struct rdn rdns[4];
    struct san sans[5];
    EVP_PKEY *key;         /* leaf_key */
    const char *basic;     /* basicConstraints, "" for none; default CA:FALSE */
    const char *ku, *eku;  /* NULL for none */
    int64_t from, until;   /* NOW - DAY, NOW + DAY */
    const EVP_MD *md;      /* SHA-256 */
    const char *san_der;   /* bytes of a subjectAltName instead of sans */
    bool critical_unknown; /* a critical extension that nobody knows */
};

static ASN1_STRING *asn1(int type, const void *bytes, int n) {
    ASN1_STRING *s = ASN1_STRING_type_new(type);
    MINT_MUST(s && ASN1_STRING_set(s, bytes, n < 0 ? (int)strlen(bytes) : n) == 1);
    return s;
}

static void add_ext(X509 *x, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MINT_MUST(ext && X509_add_ext(x, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

static void add_sans(X509 *x, const struct spec *s) {
    if (s->san_der) {
        ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
        MINT_MUST(o &&
                  ASN1_OCTET_STRING_set(o, (const unsigned char *)s->san_der, (int)strlen(s->san_der)) == 1);
        X509_EXTENSION *ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, o);
        MINT_MUST(ext && X509_add_ext(x, ext, -1) == 1);
        X509_EXTENSION_free(ext);
        ASN1_OCTET_STRING_free(o);
    }
    if (!s->sans[0].bytes)
        return;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (size_t i = 0; i < EB_COUNT_OF(s->sans) && s->sans[i].bytes; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, s->sans[i].type,
                                asn1(V_ASN1_IA5STRING, s->sans[i].bytes, s->sans[i].n));
        MINT_MUST(sk_GENERAL_NAME_push(names, name) > 0);
    }
    MINT_MUST(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) == 1);
    GENERAL_NAMES_free(names);
}

static void set_name(X509_NAME *name, const struct spec *s) {
    if (s->cn)
        MINT_MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)s->cn, -1, -1,
                                             0) == 1);
    for (size_t i = 0; i < EB_COUNT_OF(s->rdns) && s->rdns[i].field; i++) {
        X509_NAME_ENTRY *e = X509_NAME_ENTRY_new();
        ASN1_STRING *v =
            asn1(s->rdns[i].type ? s->rdns[i].type : V_ASN1_UTF8STRING, s->rdns[i].bytes, s->rdns[i].n);
        MINT_MUST(e && X509_NAME_ENTRY_set_object(e, OBJ_txt2obj(s->rdns[i].field, 0)) == 1);
        *X509_NAME_ENTRY_get_data(e) = *v;
        OPENSSL_free(v);
        MINT_MUST(X509_NAME_add_entry(name, e, -1, 0) == 1);
        X509_NAME_ENTRY_free(e);
    }
}

/* A certificate of issuer (NULL: of itself) signed by issuer_key, as PEM in b. Returned for further issuing;
 * the caller frees it. */
static X509 *make(struct eb_buf *b, const struct spec *s, const X509 *issuer, EVP_PKEY *issuer_key) {
    static long serial = 1;
    X509 *x = X509_new();
    EVP_PKEY *key = s->key ? s->key : leaf_key;
    MINT_MUST(x && X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++) == 1);
    MINT_MUST(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(s->from ? s->from : NOW - DAY)) != NULL);
    MINT_MUST(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(s->until ? s->until : NOW + DAY)) != NULL);
    X509_NAME *name = X509_NAME_new();
    set_name(name, s);
    MINT_MUST(X509_set_subject_name(x, name) == 1);
    X509_NAME_free(name);
    MINT_MUST(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : X509_get_subject_name(x)) ==
              1);
    MINT_MUST(X509_set_pubkey(x, key) == 1);
    if (!s->basic || *s->basic)
        add_ext(x, NID_basic_constraints, s->basic ? s->basic : "CA:FALSE");
    if (s->ku)
        add_ext(x, NID_key_usage, s->ku);
    if (s->eku)
        add_ext(x, NID_ext_key_usage, s->eku);
    add_sans(x, s);
    if (s->critical_unknown) {
        ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
        ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
        MINT_MUST(ASN1_OCTET_STRING_set(o, (const unsigned char *)"\5\0", 2) == 1);
        X509_EXTENSION *ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, o);
        MINT_MUST(X509_add_ext(x, ext, -1) == 1);
        X509_EXTENSION_free(ext);
        ASN1_OBJECT_free(oid);
        ASN1_OCTET_STRING_free(o);
    }
    MINT_MUST(X509_sign(x, issuer_key ? issuer_key : key, s->md ? s->md : EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    MINT_MUST(PEM_write_bio_X509(bio, x) == 1);
    long n = BIO_get_mem_data(bio, &p);
    eb_buf_add(b, p, (size_t)n);
    MINT_MUST(eb_buf_ok(b));
    BIO_free(bio);
    return x;
}

static struct eb_buf ca_pem, other_pem, mid_pem, mid2_pem;
static X509 *ca, *other, *mid, *mid2; /* other: same name as ca; mid by ca; mid2 by mid */
static struct eb_cert_store *store;   /* ca only */

static const struct spec ca_spec = {
    .cn = "Root", .basic = "critical,CA:TRUE", .ku = "critical,keyCertSign,cRLSign"};

static int make_tree(void **state) {
    (void)state;
    ca_key = mint_key("P-256", 0);
    other_key = mint_key("P-256", 0);
    mid_key = mint_key("P-256", 0);
    leaf_key = mint_key("P-256", 0);
    rsa1024 = mint_key("RSA", 1024);
    rsa2048 = mint_key("RSA", 2048);
    struct spec s = ca_spec;
    s.key = ca_key;
    ca = make(&ca_pem, &s, NULL, NULL);
    s.key = other_key;
    other = make(&other_pem, &s, NULL, NULL);
    s.key = mid_key;
    s.cn = "Mid";
    mid = make(&mid_pem, &s, ca, ca_key);
    s.cn = "Mid 2";
    mid2 = make(&mid2_pem, &s, mid, mid_key);
    return eb_cert_store_read(eb_buf_get(&ca_pem), &store, NULL) == EB_OK ? 0 : -1;
}

static int free_tree(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {ca_key, other_key, mid_key, leaf_key, rsa1024, rsa2048};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    X509 *certs[] = {ca, other, mid, mid2};
    for (size_t i = 0; i < EB_COUNT_OF(certs); i++)
        X509_free(certs[i]);
    eb_buf_done(&ca_pem);
    eb_buf_done(&other_pem);
    eb_buf_done(&mid_pem);
    eb_buf_done(&mid2_pem);
    eb_cert_store_unref(store);
    return 0;
}

static enum eb_rc verify_in(struct eb_cert_store *s, const struct eb_str *chain, size_t n, int64_t now_s,
                            struct eb_cert_leaf *ret) {
    struct eb_err err = {0};
    enum eb_rc rc = eb_cert_verify(s, chain, n, now_s, ret, &err);
    assert_int_equal(err.rc, rc);
    assert_true(rc == EB_OK || err.text[0]);
    return rc;
}

/* The verdict over a leaf of ca made as s says, sent alone. */
static enum eb_rc leaf_verdict(const struct spec *s, struct eb_cert_leaf *ret) {
    eb_auto_buf struct eb_buf pem = {0};
    X509_free(make(&pem, s, ca, ca_key));
    struct eb_str chain[] = {eb_buf_get(&pem)};
    struct eb_cert_leaf l = {.ids = NULL};
    enum eb_rc rc = verify_in(store, chain, 1, NOW, &l);
    if (rc == EB_OK && ret)
        *ret = l;
    else
        eb_cert_leaf_done(&l);
    return rc;
}

static void test_good_leaf(void **state) {
    (void)state;
    const struct spec s = {
        .rdns = {{"O", "Org", -1, 0}, {"OU", "Ünit", -1, 0}, {"CN", "mqtt-client.csc", -1, 0}},
        .sans = {{GEN_URI, "spiffe://a/b", -1},
                 {GEN_DNS, "one.example", -1},
                 {GEN_EMAIL, "x@y.example", -1},
                 {GEN_DNS, "two.example", -1}},
        .ku = "digitalSignature",
        .eku = "serverAuth,clientAuth"};
    eb_auto_buf struct eb_buf pem = {0};
    X509 *x = make(&pem, &s, ca, ca_key);
    unsigned char sha[32];
    unsigned sha_n = sizeof sha;
    assert_int_equal(X509_digest(x, EVP_sha256(), sha, &sha_n), 1);
    X509_free(x);
    char hex[65] = "";
    for (size_t i = 0; i < sizeof sha; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sha[i]);
    /* twice: read, then remembered */
    for (int again = 0; again < 2; again++) {
        EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf l = {.ids = NULL};
        struct eb_str chain[] = {eb_buf_get(&pem), eb_buf_get(&ca_pem)};
        assert_int_equal(verify_in(store, chain, 2, NOW, &l), EB_OK);
        static const struct {
            enum eb_cert_id_kind kind;
            const char *value;
        } want[] = {{EB_ID_CN, "mqtt-client.csc"},
                    {EB_ID_EMAIL, "x@y.example"},
                    {EB_ID_DNS, "one.example"},
                    {EB_ID_DNS, "two.example"},
                    {EB_ID_URI, "spiffe://a/b"},
                    {EB_ID_O, "Org"},
                    {EB_ID_OU, "Ünit"}};
        assert_int_equal(l.ids_n, EB_COUNT_OF(want));
        for (size_t i = 0; i < EB_COUNT_OF(want); i++) {
            assert_int_equal(l.ids[i].kind, want[i].kind);
            assert_true(eb_str_eqz(l.ids[i].value, want[i].value));
        }
        assert_int_equal(l.not_before, NOW - DAY);
        assert_int_equal(l.not_after, NOW + DAY);
        assert_string_equal(l.sha256, hex);
        assert_string_equal(l.subject, "CN=mqtt-client.csc,OU=\\C3\\9Cnit,O=Org");
    }
}

static void test_purposes(void **state) {
    (void)state;
    static const struct {
        const char *ku, *eku, *basic;
        enum eb_rc rc;
    } rows[] = {
        {NULL, NULL, NULL, EB_OK},
        {NULL, NULL, "", EB_OK},
        {"digitalSignature,keyEncipherment", NULL, NULL, EB_OK},
        {NULL, "clientAuth", NULL, EB_OK},
        {NULL, "critical,clientAuth,emailProtection", NULL, EB_OK},
        {NULL, "serverAuth", NULL, EB_E_CERT_PURPOSE},
        {NULL, "emailProtection,codeSigning", NULL, EB_E_CERT_PURPOSE},
        {NULL, "anyExtendedKeyUsage", NULL, EB_E_CERT_PURPOSE},
        {"keyCertSign", NULL, NULL, EB_E_CERT_PURPOSE},
        {"keyEncipherment", "clientAuth", NULL, EB_E_CERT_PURPOSE},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        const struct spec s = {.cn = "c", .ku = rows[i].ku, .eku = rows[i].eku, .basic = rows[i].basic};
        enum eb_rc rc = leaf_verdict(&s, NULL);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s", i, eb_rc_name(rc));
    }
    const struct spec unknown = {.cn = "c", .critical_unknown = true};
    assert_int_equal(leaf_verdict(&unknown, NULL), EB_E_CERT_UNTRUSTED);
}

static void test_times(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf pem = {0};
    const struct spec s = {.cn = "c", .from = NOW - 100, .until = NOW + 100};
    X509_free(make(&pem, &s, ca, ca_key));
    struct eb_str chain[] = {eb_buf_get(&pem)};
    static const struct {
        int64_t now_s;
        enum eb_rc rc;
    } rows[] = {{NOW, EB_OK},
                {NOW - 101, EB_E_CERT_NOT_YET_VALID},
                {NOW - 100, EB_OK},
                {NOW + 99, EB_OK},
                {NOW + 100, EB_E_CERT_EXPIRED},
                {NOW + 101, EB_E_CERT_EXPIRED},
                {NOW, EB_OK},
                {NOW - 20 * 365 * DAY, EB_E_CERT_NOT_YET_VALID},
                {NOW + 100 * 365 * (int64_t)DAY, EB_E_CERT_EXPIRED}};
    /* once remembered from the first row, once with nothing remembered */
    for (int fresh = 0; fresh < 2; fresh++)
        for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
            EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *own = NULL;
            assert_int_equal(eb_cert_store_read(eb_buf_get(&ca_pem), &own, NULL), EB_OK);
            EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf l = {.ids = NULL};
            enum eb_rc rc = verify_in(fresh ? own : store, chain, 1, rows[i].now_s, &l);
            if (rc != rows[i].rc)
                fail_msg("row %zu, fresh %d: %s", i, fresh, eb_rc_name(rc));
        }
}

/* Expiry of the issuers counts, also for a chain that is remembered. */
static void test_times_of_issuers(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf root = {0}, inter = {0}, pem = {0};
    struct spec s = ca_spec;
    s.key = ca_key;
    s.until = NOW + 300;
    X509 *short_ca = make(&root, &s, NULL, NULL);
    s.cn = "Mid";
    s.key = mid_key;
    s.until = NOW + 200;
    s.from = NOW - 50;
    X509 *short_mid = make(&inter, &s, short_ca, ca_key);
    const struct spec leaf = {.cn = "c", .until = NOW + 1000};
    X509_free(make(&pem, &leaf, short_mid, mid_key));
    X509_free(short_ca);
    X509_free(short_mid);
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *own = NULL, *longer = NULL;
    assert_int_equal(eb_cert_store_read(eb_buf_get(&root), &own, NULL), EB_OK);
    assert_int_equal(eb_cert_store_read(eb_buf_get(&ca_pem), &longer, NULL), EB_OK);
    struct eb_str chain[] = {eb_buf_get(&pem), eb_buf_get(&inter), eb_buf_get(&root)};
    static const struct {
        int64_t now_s;
        enum eb_rc own, longer;
    } rows[] = {{NOW, EB_OK, EB_OK},
                {NOW + 199, EB_OK, EB_OK},
                {NOW + 201, EB_E_CERT_EXPIRED, EB_E_CERT_EXPIRED},
                {NOW + 301, EB_E_CERT_EXPIRED, EB_E_CERT_EXPIRED},
                {NOW - 51, EB_E_CERT_NOT_YET_VALID, EB_E_CERT_NOT_YET_VALID}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_cert_leaf l = {.ids = NULL};
        assert_int_equal(verify_in(own, chain, 3, rows[i].now_s, &l), rows[i].own);
        eb_cert_leaf_done(&l);
        assert_int_equal(verify_in(longer, chain, 3, rows[i].now_s, &l), rows[i].longer);
        eb_cert_leaf_done(&l);
    }
    /* the root alone has expired */
    eb_auto_buf struct eb_buf direct = {0};
    X509_free(make(&direct, &leaf, ca, ca_key));
    struct eb_str alone[] = {eb_buf_get(&direct)};
    struct eb_cert_leaf l = {.ids = NULL};
    assert_int_equal(verify_in(own, alone, 1, NOW + 299, &l), EB_OK);
    eb_cert_leaf_done(&l);
    assert_int_equal(verify_in(own, alone, 1, NOW + 301, &l), EB_E_CERT_EXPIRED);
}

static void test_trust(void **state) {
    (void)state;
    const struct spec s = {.cn = "c"};
    struct spec fake_spec = ca_spec;
    fake_spec.basic = "CA:FALSE";
    fake_spec.ku = NULL;
    fake_spec.key = mid_key;
    fake_spec.cn = "Mid";
    struct spec narrow = ca_spec;
    narrow.basic = "critical,CA:TRUE,pathlen:0";
    narrow.key = mid_key;
    narrow.cn = "Mid";
    struct spec server_ca = ca_spec;
    server_ca.eku = "serverAuth";
    server_ca.key = mid_key;
    server_ca.cn = "Mid";
    struct spec no_sign = ca_spec;
    no_sign.ku = "critical,digitalSignature";
    no_sign.key = mid_key;
    no_sign.cn = "Mid";
    enum {
        BY_CA,
        BY_OTHER,
        FORGED,
        SELF,
        BY_MID,
        BY_MID2,
        BY_FAKE,
        FAKE,
        BY_NARROW2,
        NARROW,
        NARROW2,
        BY_SERVER_CA,
        SERVER_CA,
        BY_NO_SIGN,
        NO_SIGN,
        MID_BY_OTHER,
        MID,
        MID2,
        CA,
        OTHER,
        KINDS
    };
    struct eb_buf pem[KINDS] = {{0}};
    X509 *x[KINDS] = {NULL};
    struct spec ca_again = ca_spec;
    x[BY_CA] = make(&pem[BY_CA], &s, ca, ca_key);
    x[BY_OTHER] = make(&pem[BY_OTHER], &s, other, other_key);
    x[FORGED] = make(&pem[FORGED], &s, ca, other_key);
    x[SELF] = make(&pem[SELF], &s, NULL, NULL);
    x[BY_MID] = make(&pem[BY_MID], &s, mid, mid_key);
    x[BY_MID2] = make(&pem[BY_MID2], &s, mid2, mid_key);
    x[FAKE] = make(&pem[FAKE], &fake_spec, ca, ca_key);
    x[BY_FAKE] = make(&pem[BY_FAKE], &s, x[FAKE], mid_key);
    x[NARROW] = make(&pem[NARROW], &narrow, ca, ca_key);
    narrow.cn = "Mid 2";
    narrow.basic = "critical,CA:TRUE";
    x[NARROW2] = make(&pem[NARROW2], &narrow, x[NARROW], mid_key);
    x[BY_NARROW2] = make(&pem[BY_NARROW2], &s, x[NARROW2], mid_key);
    x[SERVER_CA] = make(&pem[SERVER_CA], &server_ca, ca, ca_key);
    x[BY_SERVER_CA] = make(&pem[BY_SERVER_CA], &s, x[SERVER_CA], mid_key);
    x[NO_SIGN] = make(&pem[NO_SIGN], &no_sign, ca, ca_key);
    x[BY_NO_SIGN] = make(&pem[BY_NO_SIGN], &s, x[NO_SIGN], mid_key);
    ca_again.cn = "Mid";
    ca_again.key = mid_key;
    x[MID_BY_OTHER] = make(&pem[MID_BY_OTHER], &ca_again, other, other_key);
    eb_buf_str(&pem[MID], eb_buf_get(&mid_pem));
    eb_buf_str(&pem[MID2], eb_buf_get(&mid2_pem));
    eb_buf_str(&pem[CA], eb_buf_get(&ca_pem));
    eb_buf_str(&pem[OTHER], eb_buf_get(&other_pem));
    static const struct {
        int chain[5];
        size_t n;
        enum eb_rc rc;
    } rows[] = {
        {{BY_CA}, 1, EB_OK},
        {{BY_CA, CA}, 2, EB_OK},
        {{BY_CA, OTHER, CA}, 3, EB_OK},
        {{BY_CA, BY_CA}, 2, EB_OK},
        {{BY_OTHER}, 1, EB_E_CERT_UNTRUSTED},
        {{BY_OTHER, OTHER}, 2, EB_E_CERT_UNTRUSTED}, /* a root that the peer sends is not believed */
        {{BY_OTHER, CA}, 2, EB_E_CERT_UNTRUSTED},
        {{FORGED}, 1, EB_E_CERT_UNTRUSTED},
        {{FORGED, CA}, 2, EB_E_CERT_UNTRUSTED},
        {{SELF}, 1, EB_E_CERT_UNTRUSTED},
        {{SELF, CA}, 2, EB_E_CERT_UNTRUSTED},
        {{BY_MID}, 1, EB_E_CERT_UNTRUSTED},
        {{BY_MID, MID}, 2, EB_OK},
        {{BY_MID, MID, CA}, 3, EB_OK},
        {{BY_MID, CA, MID}, 3, EB_OK},
        {{BY_MID, MID_BY_OTHER, OTHER}, 3, EB_E_CERT_UNTRUSTED},
        {{BY_MID2, MID2, MID}, 3, EB_OK},
        {{BY_MID2, MID, MID2}, 3, EB_OK},
        {{BY_MID2, MID2}, 2, EB_E_CERT_UNTRUSTED},
        {{BY_FAKE, FAKE}, 2, EB_E_CERT_UNTRUSTED},
        {{BY_NARROW2, NARROW2, NARROW}, 3, EB_E_CERT_UNTRUSTED},
        {{BY_SERVER_CA, SERVER_CA}, 2, EB_E_CERT_PURPOSE},
        {{BY_NO_SIGN, NO_SIGN}, 2, EB_E_CERT_UNTRUSTED},
        {{MID, BY_MID},
         2,
         EB_E_CERT_PURPOSE}, /* the order of the chain counts: this is an issuer's, not for TLS */
    };
    for (int fresh = 0; fresh < 3; fresh++)
        for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
            EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *own = NULL;
            assert_int_equal(eb_cert_store_read(eb_buf_get(&ca_pem), &own, NULL), EB_OK);
            struct eb_str chain[5];
            for (size_t k = 0; k < rows[i].n; k++)
                chain[k] = eb_buf_get(&pem[rows[i].chain[k]]);
            struct eb_cert_leaf l = {.ids = NULL};
            enum eb_rc rc = verify_in(fresh == 2 ? own : store, chain, rows[i].n, NOW, &l);
            if (rc != rows[i].rc)
                fail_msg("row %zu, round %d: %s", i, fresh, eb_rc_name(rc));
            eb_cert_leaf_done(&l);
        }
    /* an intermediate in the CA file is an anchor; a leaf of a sibling is not */
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *partial = NULL;
    assert_int_equal(eb_cert_store_read(eb_buf_get(&pem[MID]), &partial, NULL), EB_OK);
    struct eb_cert_leaf l = {.ids = NULL};
    struct eb_str by_mid[] = {eb_buf_get(&pem[BY_MID])},
                  by_ca[] = {eb_buf_get(&pem[BY_CA]), eb_buf_get(&pem[CA])};
    assert_int_equal(verify_in(partial, by_mid, 1, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
    assert_int_equal(verify_in(partial, by_ca, 2, NOW, &l), EB_E_CERT_UNTRUSTED);
    for (size_t i = 0; i < KINDS; i++) {
        X509_free(x[i]);
        eb_buf_done(&pem[i]);
    }
}

static void test_weak(void **state) {
    (void)state;
    struct spec s = {.cn = "c", .key = rsa2048};
    assert_int_equal(leaf_verdict(&s, NULL), EB_OK);
    s.key = rsa1024;
    assert_int_equal(leaf_verdict(&s, NULL), EB_E_CERT_UNTRUSTED);
    s.key = NULL;
    s.md = EVP_sha1();
    assert_int_equal(leaf_verdict(&s, NULL), EB_E_CERT_UNTRUSTED);
    s.md = EVP_sha384();
    assert_int_equal(leaf_verdict(&s, NULL), EB_OK);
    /* a weak CA, though it is in the file; MD5 */
    eb_auto_buf struct eb_buf root = {0}, pem = {0}, md5 = {0};
    struct spec weak = ca_spec;
    weak.key = rsa1024;
    X509 *weak_ca = make(&root, &weak, NULL, NULL);
    const struct spec leaf = {.cn = "c"};
    X509_free(make(&pem, &leaf, weak_ca, rsa1024));
    X509_free(weak_ca);
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *own = NULL, *rsa_store = NULL;
    assert_int_equal(eb_cert_store_read(eb_buf_get(&root), &own, NULL), EB_OK);
    struct eb_str chain[] = {eb_buf_get(&pem)};
    struct eb_cert_leaf l = {.ids = NULL};
    assert_int_equal(verify_in(own, chain, 1, NOW, &l), EB_E_CERT_UNTRUSTED);
    struct spec strong = ca_spec;
    strong.key = rsa2048;
    eb_buf_reset(&root);
    X509 *rsa_ca = make(&root, &strong, NULL, NULL);
    const struct spec md5_leaf = {.cn = "c", .md = EVP_md5()};
    X509_free(make(&md5, &md5_leaf, rsa_ca, rsa2048));
    assert_int_equal(eb_cert_store_read(eb_buf_get(&root), &rsa_store, NULL), EB_OK);
    struct eb_str md5_chain[] = {eb_buf_get(&md5)};
    assert_int_equal(verify_in(rsa_store, md5_chain, 1, NOW, &l), EB_E_CERT_UNTRUSTED);
    /* the same without MD5 */
    eb_buf_reset(&pem);
    X509_free(make(&pem, &leaf, rsa_ca, rsa2048));
    X509_free(rsa_ca);
    struct eb_str good[] = {eb_buf_get(&pem)};
    assert_int_equal(verify_in(rsa_store, good, 1, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
}

static void test_identities(void **state) {
    (void)state;
    static const struct {
        struct spec spec;
        enum eb_rc rc;
        const char *cn;
    } rows[] = {
        {{.cn = "plain"}, EB_OK, "plain"},
        {{.cn = "Zoë 中"}, EB_OK, "Zoë 中"},
        {{.rdns = {{"CN", "printable", -1, V_ASN1_PRINTABLESTRING}}}, EB_OK, "printable"},
        {{.rdns = {{"CN", "Zo\xeb", -1, V_ASN1_T61STRING}}}, EB_OK, "Zoë"},
        {{.rdns = {{"CN", "\0Z\0o\0\xeb", 6, V_ASN1_BMPSTRING}}}, EB_OK, "Zoë"},
        {{.rdns = {{"CN", "12", -1, V_ASN1_NUMERICSTRING}}}, EB_OK, "12"},
        {{.rdns = {{"CN", "12", -1, V_ASN1_BIT_STRING}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a", -1, 0}, {"CN", "b", -1, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a", -1, 0}, {"O", "o", -1, 0}, {"CN", "a", -1, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a\0b", 3, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a\0", 2, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "\0a\0\0", 4, V_ASN1_BMPSTRING}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a\nb", -1, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a\x7f", -1, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a\xc2\x85", -1, 0}}}, EB_E_CERT_IDENTITY, NULL}, /* U+0085 */
        {{.rdns = {{"CN", "", 0, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a", -1, 0}, {"O", "x\ty", -1, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.rdns = {{"CN", "a", -1, 0}, {"OU", "x\0y", 3, 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .sans = {{GEN_DNS, "good.example\0.evil.example", 26}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .sans = {{GEN_DNS, "a b", -1}}}, EB_OK, "a"},
        {{.cn = "a", .sans = {{GEN_DNS, "caf\xc3\xa9.example", -1}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .sans = {{GEN_DNS, "", 0}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .sans = {{GEN_EMAIL, "a@b\r\n", -1}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .sans = {{GEN_URI, "spiffe://a\x01", -1}}}, EB_E_CERT_IDENTITY, NULL},
        {{.cn = "a", .san_der = "no DER at all"}, EB_E_CERT_MALFORMED, NULL},
        {{.cn = "a", .sans = {{GEN_DNS, "a.example", -1}}, .san_der = "0"},
         EB_E_CERT_MALFORMED,
         NULL}, /* two of the extension */
        {{.sans = {{GEN_DNS, "a.example", -1}}}, EB_OK, NULL},
        {{.basic = "CA:FALSE"}, EB_OK, NULL}, /* no identity at all */
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf l = {.ids = NULL};
        enum eb_rc rc = leaf_verdict(&rows[i].spec, &l);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s", i, eb_rc_name(rc));
        if (rows[i].cn) {
            assert_int_equal(l.ids[0].kind, EB_ID_CN);
            assert_true(eb_str_eqz(l.ids[0].value, rows[i].cn));
        }
    }
}

static void test_many_names(void **state) {
    (void)state;
    for (size_t n = EB_CERT_IDS; n <= EB_CERT_IDS + 1; n++) {
        eb_auto_buf struct eb_buf der = {0};
        /* SEQUENCE of n [2] "aaa"; no length of these has a zero byte */
        eb_buf_ch(&der, 0x30);
        eb_buf_ch(&der, (char)0x82);
        eb_buf_ch(&der, (char)(n * 5 >> 8));
        eb_buf_ch(&der, (char)(n * 5 & 255));
        for (size_t i = 0; i < n; i++)
            eb_buf_z(&der, "\x82\x03"
                           "aaa");
        const struct spec s = {.san_der = der.p};
        assert_int_equal(strlen(der.p), der.n);
        assert_int_equal(leaf_verdict(&s, NULL), n == EB_CERT_IDS ? EB_OK : EB_E_CERT_IDENTITY);
    }
    /* a subject that is longer than what is shown of it */
    struct spec s = {
        .rdns = {{"O", "oooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo", -1, 0},
                 {"OU", "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu", -1, 0},
                 {"OU", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", -1, 0},
                 {"CN", "c", -1, 0}}};
    EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf l = {.ids = NULL};
    assert_int_equal(leaf_verdict(&s, &l), EB_OK);
    assert_int_equal(strlen(l.subject), EB_CERT_SUBJECT - 1);
}

/* The DER of a good leaf, with bytes behind it, in PEM with other padding than its own. */
static void test_padding(void **state) {
    (void)state;
    static const struct {
        size_t residue, more; /* of the DER's length; zero bytes behind it */
        const char *padding;
        enum eb_rc rc;
    } rows[] = {
        {0, 0, "", EB_OK},
        {0, 0, "=", EB_E_CERT_MALFORMED},
        {0, 0, "==", EB_E_CERT_MALFORMED},
        {0, 0, "====", EB_E_CERT_MALFORMED},
        {1, 0, "==", EB_OK},
        {1, 0, "", EB_E_CERT_MALFORMED},
        {1, 0, "=", EB_E_CERT_MALFORMED},
        {1, 0, "======", EB_E_CERT_MALFORMED},
        {2, 0, "=", EB_OK},
        {2, 0, "", EB_E_CERT_MALFORMED},
        {2, 0, "==", EB_E_CERT_MALFORMED},
        {2, 0, "=====", EB_E_CERT_MALFORMED},
        {2, 0, "=A", EB_E_CERT_MALFORMED},
        {0, 3, "", EB_E_CERT_MALFORMED},
        {0, 1, "==", EB_E_CERT_MALFORMED},
        {2, 1, "", EB_E_CERT_MALFORMED},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        /* makes leaves until the length fits: a longer name, a signature of another length */
        char cn[60] = "";
        unsigned char *der = NULL;
        int n = 0;
        do {
            MINT_MUST(strlen(cn) < 50);
            cn[strlen(cn)] = 'c';
            const struct spec s = {.cn = cn};
            eb_auto_buf struct eb_buf unused = {0};
            X509 *x = make(&unused, &s, ca, ca_key);
            OPENSSL_free(der);
            der = NULL;
            n = i2d_X509(x, &der);
            MINT_MUST(n > 0 && n < 2000);
            X509_free(x);
        } while ((size_t)n % 3 != rows[i].residue);
        unsigned char bytes[2010] = {0}, text[4000];
        memcpy(bytes, der, (size_t)n);
        OPENSSL_free(der);
        int text_n = EVP_EncodeBlock(text, bytes, n + (int)rows[i].more);
        while (text[text_n - 1] == '=')
            text_n--;
        eb_auto_buf struct eb_buf b = {0};
        eb_buf_z(&b, "-----BEGIN CERTIFICATE-----\n");
        eb_buf_add(&b, text, (size_t)text_n);
        eb_buf_z(&b, rows[i].padding);
        eb_buf_z(&b, "\n-----END CERTIFICATE-----\n");
        struct eb_str chain[] = {eb_buf_get(&b)};
        struct eb_cert_leaf l = {.ids = NULL};
        enum eb_rc rc = verify_in(store, chain, 1, NOW, &l);
        eb_cert_leaf_done(&l);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s", i, eb_rc_name(rc));
    }
}

static void test_damaged(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf good = {0}, b = {0};
    const struct spec s = {.cn = "c"};
    X509_free(make(&good, &s, ca, ca_key));
    struct eb_cert_leaf l = {.ids = NULL};
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n====\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMII*\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    };
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        struct eb_str leaf[] = {eb_str(texts[i])}, second[] = {eb_buf_get(&good), eb_str(texts[i])};
        assert_int_equal(verify_in(store, leaf, 1, NOW, &l), EB_E_CERT_MALFORMED);
        assert_int_equal(verify_in(store, second, 2, NOW, &l), EB_E_CERT_MALFORMED);
    }
    struct eb_str none[] = {EB_STR_NONE};
    assert_int_equal(verify_in(store, none, 1, NOW, &l), EB_E_CERT_MALFORMED);
    assert_int_equal(verify_in(store, none, 0, NOW, &l), EB_E_CERT_MALFORMED);
    /* text before and behind, two in one */
    struct eb_str one[1];
    eb_buf_z(&b, "note\n");
    eb_buf_str(&b, eb_buf_get(&good));
    one[0] = eb_buf_get(&b);
    assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_E_CERT_MALFORMED);
    eb_buf_reset(&b);
    eb_buf_str(&b, eb_buf_get(&good));
    eb_buf_str(&b, eb_buf_get(&ca_pem));
    one[0] = eb_buf_get(&b);
    assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_E_CERT_MALFORMED);
    /* blanks around and line ends of Windows are fine */
    eb_buf_reset(&b);
    eb_buf_z(&b, " \r\n");
    for (size_t i = 0; i < good.n; i++) {
        if (good.p[i] == '\n')
            eb_buf_ch(&b, '\r');
        eb_buf_ch(&b, good.p[i]);
    }
    one[0] = eb_buf_get(&b);
    assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
    /* every cut of the text, and bits of its DER turned, are refused */
    for (size_t n = 0; n + 25 < good.n; n += 7) {
        one[0] = eb_str_n(good.p, n);
        assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_E_CERT_MALFORMED);
    }
    for (size_t at = 30; at + 30 < good.n; at += 5) {
        eb_buf_reset(&b);
        eb_buf_str(&b, eb_buf_get(&good));
        if (b.p[at] == '\n' || b.p[at] == '=')
            continue;
        b.p[at] = b.p[at] == 'A' ? 'B' : 'A';
        one[0] = eb_buf_get(&b);
        assert_int_not_equal(eb_cert_verify(store, one, 1, NOW, &l, NULL), EB_OK);
    }
    /* sizes: one text too long; a chain too long */
    eb_buf_reset(&b);
    eb_buf_str(&b, eb_buf_get(&good));
    while (b.n <= EB_CERT_PEM_MAX)
        eb_buf_ch(&b, '\n');
    one[0] = eb_buf_get(&b);
    assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_E_CERT_MALFORMED);
    one[0].n = EB_CERT_PEM_MAX;
    assert_int_equal(verify_in(store, one, 1, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
    struct eb_str many[EB_CERT_CHAIN + 1];
    for (size_t i = 0; i < EB_COUNT_OF(many); i++)
        many[i] = eb_buf_get(i ? &other_pem : &good);
    assert_int_equal(verify_in(store, many, EB_CERT_CHAIN, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
    assert_int_equal(verify_in(store, many, EB_CERT_CHAIN + 1, NOW, &l), EB_E_CERT_MALFORMED);
}

/* Fifteen intermediates in a row, and a loop of two that certify each other. */
static void test_long_chain(void **state) {
    (void)state;
    struct eb_buf pem[EB_CERT_CHAIN] = {{0}};
    struct spec s = ca_spec;
    char names[EB_CERT_CHAIN][16];
    X509 *issuer = X509_dup(ca);
    EVP_PKEY *issuer_key = ca_key;
    for (size_t i = EB_CERT_CHAIN - 1; i > 0; i--) {
        (void)snprintf(names[i], sizeof names[i], "Mid %zu", i);
        s.cn = names[i];
        s.key = mid_key;
        X509 *next = make(&pem[i], &s, issuer, issuer_key);
        X509_free(issuer);
        issuer = next;
        issuer_key = mid_key;
    }
    const struct spec leaf = {.cn = "c"};
    X509_free(make(&pem[0], &leaf, issuer, mid_key));
    X509_free(issuer);
    struct eb_str chain[EB_CERT_CHAIN];
    for (size_t i = 0; i < EB_CERT_CHAIN; i++)
        chain[i] = eb_buf_get(&pem[i]);
    struct eb_cert_leaf l = {.ids = NULL};
    assert_int_equal(verify_in(store, chain, EB_CERT_CHAIN, NOW, &l), EB_OK);
    eb_cert_leaf_done(&l);
    assert_int_equal(verify_in(store, chain, EB_CERT_CHAIN - 1, NOW, &l), EB_E_CERT_UNTRUSTED);
    for (size_t i = 0; i < EB_CERT_CHAIN; i++)
        eb_buf_done(&pem[i]);

    eb_auto_buf struct eb_buf a = {0}, b = {0}, c = {0};
    struct spec sa = ca_spec, sb = ca_spec;
    sa.cn = "Loop A";
    sa.key = mid_key;
    sb.cn = "Loop B";
    sb.key = other_key;
    eb_auto_buf struct eb_buf unused = {0};
    X509 *seed_b = make(&unused, &sb, NULL, NULL), *loop_a = make(&a, &sa, seed_b, other_key),
         *loop_b = make(&b, &sb, loop_a, mid_key);
    X509_free(make(&c, &leaf, loop_a, mid_key));
    X509_free(seed_b);
    X509_free(loop_a);
    X509_free(loop_b);
    struct eb_str loop[] = {eb_buf_get(&c), eb_buf_get(&a), eb_buf_get(&b)};
    assert_int_equal(verify_in(store, loop, 3, NOW, &l), EB_E_CERT_UNTRUSTED);
}

/* Several certificates, keys between them, rubbish: what ends first. */
static void test_until(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf early = {0}, late = {0};
    struct spec s = ca_spec;
    s.key = ca_key;
    s.until = NOW + 100;
    X509_free(make(&early, &s, NULL, NULL));
    s.until = NOW + 3 * DAY;
    X509_free(make(&late, &s, NULL, NULL));
    const char *key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const char *damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const struct {
        const char *texts[3];
        enum eb_rc rc;
        int64_t until;
    } rows[] = {
        {{late.p}, EB_OK, NOW + 3 * DAY},
        {{early.p}, EB_OK, NOW + 100},
        {{late.p, early.p}, EB_OK, NOW + 100},
        {{early.p, late.p}, EB_OK, NOW + 100},
        {{key, late.p, key}, EB_OK, NOW + 3 * DAY},
        {{key}, EB_E_MALFORMED, 0},
        {{""}, EB_E_MALFORMED, 0},
        {{late.p, damaged}, EB_E_MALFORMED, 0},
        {{late.p, "-----BEGIN CERTIFICATE-----\n"}, EB_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf text = {0};
        for (size_t t = 0; t < EB_COUNT_OF(rows[i].texts) && rows[i].texts[t]; t++)
            eb_buf_z(&text, rows[i].texts[t]);
        int64_t until = 0;
        enum eb_rc rc = eb_cert_until(eb_buf_get(&text), &until, NULL);
        if (rc != rows[i].rc || until != rows[i].until)
            fail_msg("row %zu: %s, %lld", i, eb_rc_name(rc), (long long)until);
    }
    eb_auto_buf struct eb_buf both = {0};
    eb_buf_printf(&both, "%s%s", late.p, early.p);
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *own = NULL;
    assert_int_equal(eb_cert_store_read(eb_buf_get(&both), &own, NULL), EB_OK);
    assert_int_equal(eb_cert_store_until(own), NOW + 100);
}

static void test_ca_files(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    struct eb_cert_store *s = NULL;
    eb_buf_z(&b, "# our CAs\n\nsubject=/CN=Root\n");
    eb_buf_str(&b, eb_buf_get(&ca_pem));
    eb_buf_z(
        &b,
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\nmore text -----BEGIN CERTIFICATE-----\n");
    eb_buf_str(&b, eb_buf_get(&other_pem));
    eb_buf_str(&b, eb_buf_get(&ca_pem)); /* a second time */
    b.n--;                               /* no line end at the end */
    assert_int_equal(eb_cert_store_read(eb_buf_get(&b), &s, NULL), EB_OK);
    assert_int_equal(eb_cert_store_count(s), 3);
    struct eb_cert_store *again = eb_cert_store_ref(s);
    eb_cert_store_unref(again);
    eb_cert_store_unref(s);
    eb_cert_store_unref(NULL);

    s = NULL;
    static const char *const bad[] = {
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n",
    };
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++) {
        struct eb_err err = {0};
        assert_int_equal(eb_cert_store_read(eb_str(bad[i]), &s, &err), EB_E_MALFORMED);
        assert_true(err.text[0]);
    }
    /* one good, one damaged: refused as a whole */
    eb_buf_reset(&b);
    eb_buf_str(&b, eb_buf_get(&ca_pem));
    eb_buf_z(&b, bad[2]);
    struct eb_err err = {0};
    assert_int_equal(eb_cert_store_read(eb_buf_get(&b), &s, &err), EB_E_MALFORMED);
    assert_non_null(strstr(err.text, "certificate 2"));
    eb_buf_reset(&b);
    while (b.n <= EB_CERT_CA_MAX)
        eb_buf_str(&b, eb_buf_get(&ca_pem));
    assert_int_equal(eb_cert_store_read(eb_buf_get(&b), &s, NULL), EB_E_TOO_LARGE);
    assert_null(s);
}

/* Certificates, and not one that may sign others: the file was meant for something else. */
static void test_ca_file_without_a_ca(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    struct eb_cert_store *s = NULL;
    struct spec one = {.cn = "device-1", .key = leaf_key}, other_one = {.cn = "device-2", .key = leaf_key};
    X509_free(make(&b, &one, ca, ca_key));
    X509_free(make(&b, &other_one, ca, ca_key));
    struct eb_err err = {0};
    assert_int_equal(eb_cert_store_read(eb_buf_get(&b), &s, &err), EB_E_MALFORMED);
    assert_non_null(strstr(err.text, "basic constraints"));
    assert_null(s);
    eb_buf_str(&b, eb_buf_get(&ca_pem)); /* beside a CA they do no harm */
    assert_int_equal(eb_cert_store_read(eb_buf_get(&b), &s, NULL), EB_OK);
    assert_int_equal(eb_cert_store_count(s), 3);
    eb_cert_store_unref(s);
}

/* More chains than are remembered, from several threads. */
struct work {
    struct eb_str leaf;
    unsigned from, wrong;
};

static void *verify_many(void *arg) {
    struct work *w = arg;
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_str(&b, w->leaf);
    for (unsigned i = 0; i < w->from; i++)
        eb_buf_ch(&b, ' '); /* another text of the same certificate */
    for (unsigned i = 0; i < 200; i++) {
        eb_buf_ch(&b, '\n');
        for (int again = 0; again < 3; again++) {
            struct eb_str chain[] = {eb_buf_get(&b), eb_buf_get(&mid_pem)};
            struct eb_cert_leaf l = {.ids = NULL};
            w->wrong += eb_cert_verify(store, chain, 2, NOW, &l, NULL) != EB_OK || l.ids_n != 1 ||
                        !eb_str_eqz(l.ids[0].value, "threads");
            eb_cert_leaf_done(&l);
        }
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf pem = {0};
    const struct spec s = {.cn = "threads"};
    X509_free(make(&pem, &s, mid, mid_key));
    pthread_t threads[4];
    struct work work[4];
    for (unsigned i = 0; i < 4; i++) {
        work[i] = (struct work){eb_buf_get(&pem), i * 300, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, verify_many, &work[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(work[i].wrong, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_leaf),  cmocka_unit_test(test_purposes),
        cmocka_unit_test(test_times),      cmocka_unit_test(test_times_of_issuers),
        cmocka_unit_test(test_trust),      cmocka_unit_test(test_weak),
        cmocka_unit_test(test_identities), cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_padding),    cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_long_chain), cmocka_unit_test(test_until),
        cmocka_unit_test(test_ca_files),   cmocka_unit_test(test_ca_file_without_a_ca),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("cert", tests, make_tree, free_tree);
}
