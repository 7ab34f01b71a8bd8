/*
 * The whole core, from the bytes that came to the bytes of the answer, with keys, a permissions document and
 * a key set in force. The first byte says what the others are: `p` a plain request, `s` a sealed one, `b`
 * what a seal holds, `{` (and on) claims still to be signed, `x` the same and sealed, `n` members of the
 * claims' `nats` object, signed and sealed.
 */
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "callout.h"
#include "clock.h"
#include "fuzz.h"
#include "log.h"
#include "natsjwt/callout.h"

/* The keys of the reference vectors. The curve R0 is the server's, R1 is ours. */
#define SERVER_SEED "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U"
#define SERVER "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB"
#define ISSUER_SEED "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"
#define ISSUER "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV"
#define CURVE_SEED "SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM"
#define CURVE "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7"
#define OUR_CURVE_SEED "SXAP77HZ63Z7B3PK47SODXW33DK5FT6MZHDMHQF5XK33JMNOVOUKLIUREI"
#define USER "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"

static const char policy[] = "oauth2:\n  app: {azp: joe, account: CSC, required_scope: mqtt}\n  sub: "
                             "{subject: joe, account: CSC, src: [10.0.0.0/8]}\n"
                             "nkey:\n  worker: {public_key: " USER ", account: CSC}\n"
                             "noauth: {account: ANON, mqtt_client_id: \"a*\"}\n";
/* The public keys of RFC 8037 A.2 and RFC 7515 A.3. */
static const char keys[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
    "\"kid\":\"ed\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static struct eb_callout core;
static struct eb_nkey *server, *curve;
static struct eb_xkey_shared shared;

static void nothing(void *ctx, struct eb_source *s, uint64_t number) {
    (void)ctx;
    (void)s;
    (void)number;
}

static char *file(const char *folder, const char *name, const char *text) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "%s/%s", folder, name);
    FUZZ_MUST(eb_file_write(path.p, eb_str(text), 0600, NULL) == EB_OK);
    return eb_buf_take(&path);
}

static void set_up(void) {
    char folder[] = "/tmp/eb-fuzz-XXXXXX";
    FUZZ_MUST(sodium_init() >= 0 && mkdtemp(folder));
    eb_log_set_level("error");
    static const char *const names[] = {"permissions.file", "nats.issuer-seed-file", "nats.xkey-seed-file",
                                        "jwks.path"};
    const char *const texts[] = {policy, ISSUER_SEED, OUR_CURVE_SEED, keys};
    char *paths[4], *argv[8];
    int n = 0;
    for (size_t i = 0; i < EB_COUNT_OF(names); i++) {
        eb_auto_buf struct eb_buf flag = {0};
        paths[i] = file(folder, names[i], texts[i]);
        eb_buf_printf(&flag, "--%s=%s", names[i], paths[i]);
        argv[n++] = eb_buf_take(&flag);
    }
    argv[n++] = eb_str_dup(EB_STR("--jwks.issuer=joe"));
    argv[n++] = eb_str_dup(EB_STR("--jwks.signing-algorithms=EdDSA,ES256"));
    argv[n++] = eb_str_dup(EB_STR("--noauth.accept-unrecognized=true"));
    struct eb_config *config = NULL;
    struct eb_findings f = {0};
    bool loaded =
        eb_config_load(n, argv, &config, &f) == EB_OK && eb_live_new(config, &core.live, &f) == EB_OK;
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    if (!loaded)
        (void)fprintf(stderr, "%s", told.p ? told.p : "out of memory\n");
    FUZZ_MUST(loaded);
    FUZZ_MUST((core.sealing = eb_sealing_new()) != NULL);
    struct eb_view v = {0};
    eb_live_view(core.live, &v);
    struct eb_sources *sources = eb_live_sources(core.live);
    FUZZ_MUST(eb_sources_start(sources, nothing, NULL, NULL) == EB_OK);
    for (struct eb_jwks *set = NULL; !set; eb_jwks_unref(set))
        set = eb_keysource_get(sources->v[0].keys);
    FUZZ_MUST(eb_nkey_from_seed(EB_STR(SERVER_SEED), EB_NKEY_SERVER, &server, NULL) == EB_OK);
    FUZZ_MUST(eb_nkey_from_seed(EB_STR(CURVE_SEED), EB_NKEY_CURVE, &curve, NULL) == EB_OK);
    FUZZ_MUST(eb_xkey_shared_init(&shared, curve, eb_nkey_public_raw(eb_signer_curve(v.signer, 0))) == EB_OK);
    eb_view_done(&v);
    eb_findings_done(&f);
    for (size_t i = 0; i < EB_COUNT_OF(paths); i++) {
        (void)unlink(paths[i]);
        free(paths[i]);
    }
    for (int i = 0; i < n; i++)
        free(argv[i]);
    (void)rmdir(folder);
}

static void sign(struct eb_str claims, struct eb_buf *to) {
    uint8_t sig[EB_NKEY_SIG_LEN];
    eb_buf_z(to, "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.");
    eb_buf_base64url(to, claims.p, claims.n);
    FUZZ_MUST(eb_nkey_sign(server, eb_buf_get(to), sig) == EB_OK);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sizeof sig);
}

static void seal(struct eb_str plain, struct eb_buf *to) {
    FUZZ_MUST(eb_xkey_seal(&shared, plain, to) == EB_OK);
}

/* An answer must be one that a server takes, whatever was asked. */
static void check_answer(struct eb_str bytes, bool sealed) {
    eb_auto_buf struct eb_buf plain = {0};
    FUZZ_MUST(eb_xkey_is_sealed(bytes) == sealed);
    if (sealed) {
        FUZZ_MUST(eb_xkey_open(&shared, bytes, &plain) == EB_OK);
        bytes = eb_buf_get(&plain);
    }
    struct eb_natsjwt t, u;
    FUZZ_MUST(eb_natsjwt_read(bytes, EB_REQUEST_MAX, &t, NULL) == EB_OK);
    FUZZ_MUST(eb_str_eqz(t.iss, ISSUER) && eb_str_eqz(t.aud, SERVER));
    struct eb_str jwt = eb_json_str(t.nats, "jwt"), error = eb_json_str(t.nats, "error");
    FUZZ_MUST((jwt.n > 0) != (error.n > 0));
    if (error.n)
        FUZZ_MUST(eb_str_eqz(error, "authentication failed"));
    if (jwt.n) {
        FUZZ_MUST(eb_natsjwt_read(jwt, EB_REQUEST_MAX, &u, NULL) == EB_OK);
        FUZZ_MUST(eb_str_eqz(u.iss, ISSUER) && eb_str_eq(u.sub, t.sub));
        /* Nobody can sign as joe or as the worker here: only the anonymous entry is left. */
        FUZZ_MUST(eb_str_eqz(u.aud, "ANON"));
        eb_natsjwt_done(&u);
    }
    eb_natsjwt_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct eb_callout_scratch scratch;
    static struct eb_buf reply;
    if (!core.live)
        set_up();
    if (size == 0)
        return 0;
    struct eb_str rest = eb_str_n(data + 1, size - 1);
    eb_auto_buf struct eb_buf claims = {0}, text = {0}, sealed = {0};
    bool seals = true;
    switch (data[0]) {
    case 's': eb_buf_str(&sealed, rest); break;
    case 'b': seal(rest, &sealed); break;
    case 'x':
        sign(rest, &text);
        seal(eb_buf_get(&text), &sealed);
        break;
    case 'n':
        eb_buf_z(
            &claims,
            "{\"aud\":\"nats-authorization-request\",\"exp\":1700000300,\"iat\":1700000000,\"iss\":\"" SERVER
            "\",\"sub\":\"" ISSUER
            "\",\"nats\":{\"server_id\":{\"name\":\"n\",\"host\":\"h\",\"id\":\"" SERVER
            "\",\"xkey\":\"" CURVE "\"},\"user_nkey\":\"" USER
            "\",\"type\":\"authorization_request\",\"version\":2,");
        eb_buf_str(&claims, rest);
        eb_buf_z(&claims, "}}");
        sign(eb_buf_get(&claims), &text);
        seal(eb_buf_get(&text), &sealed);
        break;
    case '{':
        sign(eb_str_n(data, size), &sealed);
        seals = false;
        break;
    default:
        eb_buf_str(&sealed, rest);
        seals = false;
        break;
    }
    struct eb_callout_in in = {.payload = eb_buf_get(&sealed),
                               .header_xkey = seals ? EB_STR(CURVE) : EB_STR_NONE,
                               .arrived_ns = eb_mono_ns(),
                               .no_wait = true};
    struct eb_wait wait = {0};
    if (eb_callout_run(&core, &in, &scratch, &reply, &wait) == EB_ANSWER)
        check_answer(eb_buf_get(&reply), seals);
    else
        FUZZ_MUST(reply.n == 0);
    return 0;
}
