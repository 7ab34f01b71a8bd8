#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "clock.h"
#include "log.h"

struct fx_dir fx_dir_make(void) {
    MINT_MUST(sodium_init() >= 0);
    struct fx_dir d;
    (void)snprintf(d.path, sizeof d.path, "/tmp/eb-test-XXXXXX");
    MINT_MUST(mkdtemp(d.path));
    return d;
}

static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char below[512];
        (void)snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (unlink(below) != 0)
            remove_tree(below);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

void fx_dir_remove(struct fx_dir *d) {
    remove_tree(d->path);
}

const char *fx_path(const struct fx_dir *d, const char *name) {
    static char texts[8][256];
    static unsigned turn;
    char *to = texts[turn++ % 8];
    (void)snprintf(to, sizeof texts[0], "%s/%s", d->path, name);
    return to;
}

void fx_write(const struct fx_dir *d, const char *name, const char *text) {
    MINT_MUST(eb_file_write(fx_path(d, name), eb_str(text), 0600, NULL) == EB_OK);
}

bool fx_wait(bool (*cond)(void *), void *ctx, int ms) {
    int64_t until = eb_mono_ns() + (int64_t)ms * 1000000;
    while (!cond(ctx)) {
        if (eb_mono_ns() > until)
            return false;
        (void)poll(NULL, 0, 2);
    }
    return true;
}

struct eb_config *fx_config(const char *const *flags, struct eb_findings *f) {
    char *argv[64] = {NULL};
    int n = 0;
    for (; flags[n]; n++) {
        MINT_MUST(n < 64);
        argv[n] = eb_str_dup(eb_str(flags[n]));
    }
    struct eb_config *c = NULL;
    enum eb_rc rc = eb_config_load(n, argv, &c, f);
    for (int i = 0; i < n; i++)
        free(argv[i]);
    return rc == EB_OK ? c : NULL;
}

static void nothing(void *ctx, struct eb_source *s, uint64_t number) {
    (void)ctx;
    (void)s;
    (void)number;
}

static bool has_keys(void *ctx) {
    struct eb_jwks *set = eb_keysource_get(ctx);
    eb_jwks_unref(set);
    return set != NULL;
}

static bool exists(const struct fx_dir *d, const char *name) {
    return access(fx_path(d, name), F_OK) == 0;
}

void fx_world_open(struct fx_world *w, const struct fx_dir *dir, const char *const *more) {
    *w = (struct fx_world){.dir = *dir};
    eb_log_set_level("error"); /* decisions are logged at info and warn: the tests look at counters */
    const char *flags[48];
    char texts[8][300];
    size_t n = 0, t = 0;
    const struct {
        const char *flag, *file;
    } files[] = {{"permissions.file", FX_POLICY},
                 {"nats.issuer-seed-file", FX_ISSUERS},
                 {"nats.xkey-seed-file", FX_CURVES},
                 {"mtls.ca-path", FX_CA},
                 {"jwks.path", FX_JWKS}};
    for (size_t i = 0; i < EB_COUNT_OF(files); i++) {
        if (!exists(dir, files[i].file))
            continue;
        (void)snprintf(texts[t], sizeof texts[t], "--%s=%s/%s", files[i].flag, dir->path, files[i].file);
        flags[n++] = texts[t++];
    }
    flags[n++] = "--jwks.issuer=" FX_ISS;
    flags[n++] = "--jwks.audience=" FX_AUD;
    flags[n++] = "--jwks.signing-algorithms=RS256,ES256";
    for (size_t i = 0; more && more[i]; i++)
        flags[n++] = more[i];
    flags[n] = NULL;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c = fx_config(flags, &f);
    enum eb_rc rc = c ? eb_live_new(c, &w->live, &f) : EB_E_INVALID;
    if (rc != EB_OK) {
        eb_auto_buf struct eb_buf text = {0};
        eb_findings_print(&f, &text);
        fprintf(stderr, "%s", text.p ? text.p : "no findings\n");
    }
    MINT_MUST(rc == EB_OK);
    struct eb_sources *sources = eb_live_sources(w->live);
    MINT_MUST(eb_sources_start(sources, nothing, NULL, NULL) == EB_OK);
    if (sources->n && !sources->v[0].config->name) {
        w->keys = sources->v[0].keys;
        if (exists(dir, FX_JWKS))
            MINT_MUST(fx_wait(has_keys, w->keys, 5000));
    }
    w->callout.live = w->live;
    w->callout.sealing = eb_sealing_new();
    MINT_MUST(w->callout.sealing);
}

void fx_world_close(struct fx_world *w) {
    eb_sources_stop(eb_live_sources(w->live));
    eb_sealing_free(w->callout.sealing);
    eb_live_free(w->live);
    eb_callout_scratch_done(&w->scratch);
    eb_buf_done(&w->reply);
    *w = (struct fx_world){0};
}

static void put(json_t *obj, const char *key, const char *text) {
    if (text)
        MINT_MUST(json_object_set_new(obj, key, json_string(text)) == 0);
}

static json_t *texts_of(const char *const *list) {
    json_t *a = json_array();
    for (; *list; list++)
        MINT_MUST(json_array_append_new(a, json_string(*list)) == 0);
    return a;
}

static const char * or (const char *a, const char *b) {
    return a ? a : b;
}

void fx_request(const struct fx_request *r, struct eb_buf *to) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *key = fixture_key(or (r->seed, SERVER_R0_SEED));
    json_t *server = json_object(), *ci = json_object(), *co = json_object();
    put(server, "name", "main-0");
    put(server, "host", "0.0.0.0");
    put(server, "id", or (r->server_id, eb_nkey_public(key)));
    put(server, "version", "2.14.3");
    put(server, "xkey", r->xkey);
    put(ci, "host", or (r->host, "127.0.0.1"));
    json_object_set_new(ci, "id", json_integer(7));
    const char *kind = or (r->kind, "Client"),
               *type = or (r->type, r->kind && strcmp(r->kind, "Leafnode") == 0 ? "-" : "nats");
    put(ci, "kind", strcmp(kind, "-") ? kind : NULL);
    put(ci, "type", strcmp(type, "-") ? type : NULL);
    put(ci, "mqtt_id", r->mqtt_id);
    put(ci, "nonce", r->nonce);
    put(co, "user", r->user);
    put(co, "pass", r->pass);
    put(co, "auth_token", r->auth_token);
    put(co, "jwt", r->jwt);
    put(co, "nkey", r->nkey);
    put(co, "sig", r->sig);
    json_object_set_new(co, "protocol", json_integer(1));
    int64_t now = eb_wall_s() + r->skew_s;
    json_t *all = json_pack(
        "{s:s,s:I,s:I,s:s,s:s,s:{s:o,s:s,s:o,s:o,s:s,s:i}}", "aud", or (r->aud, "nats-authorization-request"),
        "exp", (json_int_t)(now + (r->budget_s ? r->budget_s : 20)), "iat", (json_int_t)now, "iss",
        eb_nkey_public(key), "sub", or (r->issuer, ACCOUNT_R0), "nats", "server_id", server, "user_nkey",
        or (r->user_nkey, USER_R1), "client_info", ci, "connect_opts", co, "type",
        or (r->claim_type, "authorization_request"), "version", r->version ? r->version : 2);
    MINT_MUST(all);
    if (r->chain || r->certs) {
        json_t *tls = json_object();
        if (r->chain)
            json_object_set_new(tls, "verified_chains", json_pack("[o]", texts_of(r->chain)));
        if (r->certs)
            json_object_set_new(tls, "certs", texts_of(r->certs));
        json_object_set_new(json_object_get(all, "nats"), "client_tls", tls);
    }
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    fixture_token(to, EB_STR(USUAL_HEADER), eb_str(text), or (r->seed, SERVER_R0_SEED));
    free(text);
}

/* Counters of failures and attempts before and after a run tell the reason. */
struct counts {
    uint64_t by_reason[EB_METHOD_MAX_][EB_RC_MAX_]; /* [EB_METHOD_NONE]: invalid requests */
    uint64_t attempts[EB_METHOD_MAX_];
};

static void count(struct counts *c) {
    eb_auto_buf struct eb_buf text = {0};
    eb_metrics_render(&text);
    struct eb_str rest = eb_buf_get(&text);
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        if (line.n == 0 || line.p[0] == '#')
            continue;
        struct eb_str name = eb_str_cut(&line, ' ');
        unsigned long long v = line.p ? strtoull(line.p, NULL, 10) : 0;
        for (enum eb_method m = EB_METHOD_NONE; v && m < EB_METHOD_MAX_; m++) {
            char series[120];
            (void)snprintf(series, sizeof series, "auth_%s_attempts_total", eb_method_name(m));
            if (eb_str_eqz(name, series))
                c->attempts[m] = v;
            int n =
                m == EB_METHOD_NONE
                    ? snprintf(series, sizeof series, "auth_invalid_requests_total{reason=\"")
                    : snprintf(series, sizeof series, "auth_%s_failures_total{reason=\"", eb_method_name(m));
            if (!eb_str_starts(name, eb_str(series)))
                continue;
            struct eb_str reason = eb_str_n(name.p + n, name.n - (size_t)n - 2);
            for (enum eb_rc rc = EB_OK; rc < EB_RC_MAX_; rc++)
                if (eb_str_eqz(reason, eb_rc_name(rc)))
                    c->by_reason[m][rc] = v;
        }
    }
}

int64_t fx_metric(const char *series) {
    eb_auto_buf struct eb_buf text = {0};
    eb_metrics_render(&text);
    struct eb_str rest = eb_buf_get(&text);
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        struct eb_str name = eb_str_cut(&line, ' ');
        if (line.p && eb_str_eqz(name, series))
            return strtoll(line.p, NULL, 10);
    }
    return -1;
}

/* Takes the answer apart; a plain one where seed is NULL. */
static void read_answer(struct fx_answer *a, struct eb_str bytes, const char *server_seed, const char *peer) {
    eb_auto_buf struct eb_buf plain = {0};
    assert_int_equal(eb_xkey_is_sealed(bytes), server_seed != NULL);
    if (server_seed) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *own = fixture_key(server_seed), *other = fixture_key(peer);
        struct eb_xkey_shared shared;
        assert_int_equal(eb_xkey_shared_init(&shared, own, eb_nkey_public_raw(other)), EB_OK);
        assert_int_equal(eb_xkey_open(&shared, bytes, &plain), EB_OK);
        bytes = eb_buf_get(&plain);
    }
    assert_int_equal(eb_natsjwt_read(bytes, EB_REQUEST_MAX, &a->response, NULL), EB_OK);
    const json_t *error = json_object_get(a->response.nats, "error"),
                 *jwt = json_object_get(a->response.nats, "jwt");
    assert_true(!error != !jwt); /* exactly one of the two */
    a->error = json_string_value(error);
    if (!jwt)
        return;
    assert_int_equal(eb_natsjwt_read(eb_str(json_string_value(jwt)), EB_REQUEST_MAX, &a->user, NULL), EB_OK);
    a->account = a->user.aud.p;
    a->name = json_string_value(json_object_get(a->user.claims, "name"));
}

struct fx_answer fx_run(struct fx_world *w, struct eb_str payload, struct eb_str header_xkey,
                        const char *server_curve_seed, bool waited) {
    struct counts before = {0}, after = {0};
    struct fx_answer a = {0};
    count(&before);
    struct eb_callout_in in = {
        .payload = payload, .header_xkey = header_xkey, .arrived_ns = eb_mono_ns(), .no_wait = waited};
    struct eb_wait wait = {0};
    a.outcome = eb_callout_run(&w->callout, &in, &w->scratch, &w->reply, &wait);
    a.until_ns = wait.until_ns;
    count(&after);
    for (enum eb_method m = EB_METHOD_NONE; m < EB_METHOD_MAX_; m++) {
        if (after.attempts[m] != before.attempts[m])
            a.method = m;
        for (enum eb_rc rc = EB_OK; rc < EB_RC_MAX_; rc++)
            if (after.by_reason[m][rc] != before.by_reason[m][rc])
                a.reason = rc;
    }
    if (a.outcome == EB_ANSWER)
        read_answer(&a, eb_buf_get(&w->reply), server_curve_seed ? CURVE_R0_SEED : NULL, server_curve_seed);
    else
        assert_int_equal(w->reply.n, 0);
    return a;
}

struct fx_answer fx_ask(struct fx_world *w, const struct fx_request *r) {
    eb_auto_buf struct eb_buf text = {0};
    fx_request(r, &text);
    return fx_run(w, eb_buf_get(&text), EB_STR_NONE, NULL, false);
}

void fx_answer_done(struct fx_answer *a) {
    eb_natsjwt_done(&a->response);
    eb_natsjwt_done(&a->user);
    *a = (struct fx_answer){0};
}

void fx_token(struct eb_buf *to, EVP_PKEY *key, const char *kid, const char *azp, int64_t exp_s,
              const char *claims) {
    char header[200], payload[2000];
    int64_t now = eb_wall_s();
    enum eb_alg alg = EVP_PKEY_is_a(key, "EC") ? EB_ALG_ES256 : EB_ALG_RS256;
    (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
                   eb_alg_name(alg), kid);
    (void)snprintf(payload, sizeof payload,
                   "{\"iss\":\"" FX_ISS "\",\"aud\":\"" FX_AUD
                   "\",\"azp\":\"%s\",\"iat\":%lld,\"exp\":%lld%s}",
                   azp, (long long)(now - 1), (long long)(now + exp_s), claims);
    mint_token(to, header, payload, key, alg);
}

void fx_jwks(const struct fx_dir *d, EVP_PKEY *key, const char *kid) {
    eb_auto_buf struct eb_buf b = {0};
    char extra[100];
    (void)snprintf(extra, sizeof extra, "\"kid\":\"%s\",\"use\":\"sig\"", kid);
    eb_buf_z(&b, "{\"keys\":[");
    mint_jwk(&b, key, extra);
    eb_buf_z(&b, "]}");
    fx_write(d, FX_JWKS, b.p);
}

static void extension(X509 *x, int nid, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    MINT_MUST(e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

char *fx_cert(const struct fx_cert *c, EVP_PKEY *key, EVP_PKEY *issuer_key) {
    static long serial = 1000;
    X509 *x = X509_new();
    MINT_MUST(x && X509_set_version(x, 2) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), (long)c->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), (long)c->until_s);
    X509_NAME *subject = X509_get_subject_name(x), *issuer = X509_NAME_new();
    if (c->cn)
        MINT_MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)c->cn, -1,
                                             -1, 0) == 1);
    MINT_MUST(X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_UTF8,
                                         (const unsigned char *) or (c->issuer_cn, c->cn), -1, -1, 0) == 1);
    X509_set_issuer_name(x, issuer);
    X509_NAME_free(issuer);
    X509_set_pubkey(x, key);
    extension(x, NID_basic_constraints, c->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (c->ca)
        extension(x, NID_key_usage, "critical,keyCertSign");
    if (c->eku)
        extension(x, NID_ext_key_usage, c->eku);
    if (c->san)
        extension(x, NID_subject_alt_name, c->san);
    MINT_MUST(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    MINT_MUST(PEM_write_bio_X509(bio, x) == 1);
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    char *text = eb_str_dup(eb_str_n(p, (size_t)n));
    BIO_free(bio);
    X509_free(x);
    return text;
}

char *fx_sig(const char *seed, const char *nonce) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(seed);
    uint8_t sig[EB_NKEY_SIG_LEN];
    MINT_MUST(eb_nkey_sign(k, eb_str(nonce), sig) == EB_OK);
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_base64url(&b, sig, sizeof sig);
    return eb_buf_take(&b);
}

static int kept_stderr = -1, kept_file = -1;

void fx_stderr_begin(void) {
    char name[] = "/tmp/eb-stderr-XXXXXX";
    kept_file = mkstemp(name);
    MINT_MUST(kept_file >= 0);
    (void)unlink(name);
    (void)fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    MINT_MUST(dup2(kept_file, STDERR_FILENO) == STDERR_FILENO);
}

char *fx_stderr_end(void) {
    (void)fflush(stderr);
    MINT_MUST(dup2(kept_stderr, STDERR_FILENO) == STDERR_FILENO);
    (void)close(kept_stderr);
    off_t n = lseek(kept_file, 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    MINT_MUST(text && pread(kept_file, text, (size_t)n, 0) == n);
    (void)close(kept_file);
    return text;
}
