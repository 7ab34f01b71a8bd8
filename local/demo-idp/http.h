/* The HTTP face of the demo identity provider, on libmicrohttpd; a thread a connection. */
#ifndef IDP_HTTP_H
#define IDP_HTTP_H

#include "token.h"

struct idp_http;

struct idp_http_settings {
    const char *listen; /* IPv4 address */
    unsigned port;      /* 0: any */
    const char *issuer; /* NULL: http://<listen>:<port> */
    const char *audience, *scope;
    int64_t lifetime_s;
    json_t *clients;       /* borrowed */
    struct idp_keys *keys; /* borrowed; only this module touches it until idp_http_free */
    bool test_api;
};

/* Starts to serve. EB_E_IO where the address cannot be bound. */
EB_MUSTCHECK enum eb_rc idp_http_start(const struct idp_http_settings *set, struct idp_http **ret,
                                       struct eb_err *reterr);
/* The address served, "http://127.0.0.1:8180"; lives as long as h. */
const char *idp_http_base(const struct idp_http *h);
/* Stops and waits for requests under way. */
void idp_http_free(struct idp_http *h);
EB_DEFINE_CLEANUP(struct idp_http, idp_http_free);

#endif
