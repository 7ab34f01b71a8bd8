/* Callout requests as nats-server 2.15 writes them, with real credentials of each kind. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include "base/buf.h"
#include "nkey/xkey.h"
#include "site.h"

/* MTLS: a certificate of its own in each request; MTLS_AGAIN: the same device comes back. */
enum kind {
    KIND_OAUTH2,
    KIND_MTLS,
    KIND_MTLS_AGAIN,
    KIND_NKEY,
    KIND_NOAUTH,
    KIND_KUBE_RS256,
    KIND_KUBE_ES256,
    KINDS
};
const char *kind_name(enum kind k);
/* Ends the program for an unknown name. */
enum kind kind_of(const char *name);
/* The name in the user JWT that answers the kind: of the permissions entry, or of the ServiceAccount. */
const char *kind_entry(enum kind k);
bool kind_is_token(enum kind k);
bool kind_is_kube(enum kind k);

struct request {
    enum kind kind;
    char user_nkey[EB_NKEY_PUBLIC_LEN + 1];
    struct eb_buf sealed;
};

/* What requests are made of; used by several threads once opened. */
struct maker {
    const struct site *site;
    struct eb_xkey_shared shared; /* the played server's side of the seal */
    struct eb_buf *tokens;
    struct eb_buf again_pem, ca_pem;
    size_t tokens_n;
};
/* tokens: how many different ones the kind has to go round. */
void maker_open(const struct site *s, enum kind kind, size_t tokens, struct maker *ret);
void maker_done(struct maker *m);

/* The signed text of a request with a fresh user key, which ret_user gets; budget_s is exp - iat. n tells
 * requests apart. */
void request_text(const struct maker *m, enum kind kind, uint64_t n, int64_t budget_s,
                  char ret_user[EB_NKEY_PUBLIC_LEN + 1], struct eb_buf *to);
/* The same, sealed to the service. */
void request_make(const struct maker *m, enum kind kind, uint64_t n, struct request *ret);
void request_done(struct request *r);

#endif
