/* The keys of a bench: the service's, those of the nats-server that the load generator plays, and those that
 * make credentials. */
#ifndef BENCH_SITE_H
#define BENCH_SITE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "nkey/nkey.h"

#define BENCH_ACCOUNT "CSC"
#define BENCH_TOKEN_ISSUER "http://127.0.0.1:8180"
#define BENCH_AUDIENCE "dsx-exchange"
#define BENCH_KID "bench-1"
#define BENCH_AZP "mqtt-client"
#define BENCH_CN "mqtt-client.csc"
/* the cluster whose ServiceAccount logs in */
#define BENCH_CLUSTER_ISSUER "https://kubernetes.default.svc.cluster.local"
#define BENCH_CLUSTER_AUDIENCE "nats"
#define BENCH_CLUSTER_KID_ES "bench-es"
#define BENCH_SA_NAMESPACE "plant"
#define BENCH_SA_NAME "chiller"
#define BENCH_SA_UID "0f0a3a52-6f0e-4d9c-9a53-0c6f6d1f0a11"
#define BENCH_SA_PUB "test.>,perf.>"
#define BENCH_SA_SUB "test.>,perf.>,dummy.>"

struct site {
    struct eb_nkey *issuer, *xkey, *service; /* the service's own */
    struct eb_nkey *server, *server_xkey;    /* of the nats-server that is played */
    struct eb_nkey *client;                  /* of clients that log in by nkey */
    EVP_PKEY *token_key;                     /* RSA 2048 */
    EVP_PKEY *token_key_es;                  /* P-256 */
    EVP_PKEY *ca_key, *leaf_key;             /* P-256 */
    X509 *ca;
};

/*
 * Opens the keys in folder dir, each file made where it is absent: NAME.nk (seed and public key, a line
 * each), token-key.pem, token-key-es.pem, ca-key.pem, ca.pem, leaf-key.pem, jwks.json, cluster-jwks.json.
 * Ends the program where it cannot.
 */
void site_open(const char *dir, struct site *ret);
void site_done(struct site *s);
/* dir/name, to be freed. */
char *site_path(const char *dir, const char *name);
/* Writes a file, mode 0600. */
void site_write(const char *dir, const char *name, struct eb_str text);

#endif
