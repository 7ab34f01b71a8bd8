/*
 * A service core in one process: temporary files for keys and documents, the configuration read from them,
 * and requests, tokens and certificates made as a server and its clients would. A broken helper ends the run.
 */
#ifndef EB_TESTS_CALLOUT_FIXTURE_H
#define EB_TESTS_CALLOUT_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "../fixture_natsjwt.h"
#include "../mint.h"
#include "callout.h"
#include "issuer.h"
#include "metrics.h"
#include "natsjwt/callout.h"

/* ---- files ---- */
struct fx_dir {
    char path[64];
};
struct fx_dir fx_dir_make(void);
/* Removes the folder and all in it. */
void fx_dir_remove(struct fx_dir *d);
/* The path of a file in it; one of eight static texts in turn. */
const char *fx_path(const struct fx_dir *d, const char *name);
/* Writes beside and renames over, as editors and sidecars do. */
void fx_write(const struct fx_dir *d, const char *name, const char *text);
/* Waits until cond() is true, at most ms. */
bool fx_wait(bool (*cond)(void *), void *ctx, int ms);

/* ---- a configured service core ---- */
struct fx_world {
    struct fx_dir dir;
    struct eb_live *live;
    struct eb_keysource *keys; /* of the jwks block, NULL where it is off */
    struct eb_callout callout;
    struct eb_callout_scratch scratch;
    struct eb_buf reply;
};
/* Names of files that fx_world_open reads; the test writes those that it needs with fx_write before. */
#define FX_POLICY "permissions.yaml"
#define FX_ISSUERS "issuers.nk"
#define FX_CURVES "curves.nk"
#define FX_JWKS "jwks.json"
#define FX_CA "ca.pem"
#define FX_ISS "https://issuer.example"
#define FX_AUD "bus"
/* Loads dir's files; flags: NULL-terminated further ones. The key source is running and has read its file
 * where FX_JWKS exists. */
void fx_world_open(struct fx_world *w, const struct fx_dir *dir, const char *const *flags);
void fx_world_close(struct fx_world *w);
/* A configuration from flags alone; NULL where it was refused (findings then tell). */
struct eb_config *fx_config(const char *const *flags, struct eb_findings *f);

/* ---- requests ---- */
struct fx_request {
    /* client_info; NULL leaves a member out. kind and type: "Client" and "nats" where both are NULL, "-"
     * leaves one out */
    const char *kind, *type, *host, *mqtt_id, *nonce;
    /* connect_opts */
    const char *user, *pass, *auth_token, *jwt, *nkey, *sig;
    /* client_tls: lists end with NULL */
    const char *const *chain, *const *certs;
    /* the envelope */
    const char *seed;   /* signs; SERVER_R0_SEED */
    const char *issuer; /* sub; ACCOUNT_R0 */
    const char *xkey;   /* server_id.xkey */
    const char *server_id, *aud, *claim_type, *user_nkey;
    int version;      /* 0 = 2 */
    int64_t budget_s; /* exp - iat; 0 = 20 */
    int64_t skew_s;   /* added to both: the clock of the server */
};
/* The signed text. */
void fx_request(const struct fx_request *r, struct eb_buf *to);

/* ---- answers ---- */
struct fx_answer {
    enum eb_outcome outcome;
    int64_t until_ns;
    enum eb_rc reason;                /* that a counter of failures grew for, EB_OK for none */
    enum eb_method method;            /* whose counter of attempts grew */
    struct eb_natsjwt response, user; /* verified; user only where admitted */
    const char *error;                /* NULL where admitted */
    const char *account, *name;
};
/* Runs payload through the core and takes the answer apart. sealed_by: our curve seed that must open it with
 * the server's R0, NULL = plain. */
struct fx_answer fx_run(struct fx_world *w, struct eb_str payload, struct eb_str header_xkey,
                        const char *server_curve_seed, bool waited);
/* The same for a plain request. */
struct fx_answer fx_ask(struct fx_world *w, const struct fx_request *r);
void fx_answer_done(struct fx_answer *a);
/* Value of a series in the exposition ("auth_requests_total"), -1 where it is missing. */
int64_t fx_metric(const char *series);

/* ---- credentials ---- */
/* A token for azp, signed by key (RSA or P-256, which is made faster); claims: further members with a leading
 * comma, "" for none; exp_s from now. In `to`. */
void fx_token(struct eb_buf *to, EVP_PKEY *key, const char *kid, const char *azp, int64_t exp_s,
              const char *claims);
/* A JWK set of one key, written to FX_JWKS. */
void fx_jwks(const struct fx_dir *d, EVP_PKEY *key, const char *kid);

struct fx_cert {
    const char *cn;
    const char *issuer_cn;
    bool ca;
    const char *eku;         /* "clientAuth", "serverAuth", NULL = none */
    int64_t from_s, until_s; /* from now */
    const char *san;         /* as openssl.cnf writes it, NULL = none */
};
/* PEM text, signed by issuer_key (self where NULL); caller frees. */
char *fx_cert(const struct fx_cert *c, EVP_PKEY *key, EVP_PKEY *issuer_key);
/* base64url of the signature over nonce by a seed; caller frees. */
char *fx_sig(const char *seed, const char *nonce);

/* ---- stderr ---- */
/* Between the two, what is written to stderr is kept; the text is the caller's. */
void fx_stderr_begin(void);
char *fx_stderr_end(void);

#endif
