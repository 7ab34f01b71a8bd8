/* The demo clients and the access tokens made for them. */
#ifndef IDP_TOKEN_H
#define IDP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "keys.h"

/* One decoded form parameter of a token request. */
struct idp_param {
    char *name, *value;
};
struct idp_form {
    struct idp_param items[32];
    size_t n;
};
/* The value, or NULL. */
const char *idp_form_get(const struct idp_form *form, const char *name);
void idp_form_done(struct idp_form *form);

struct idp_token_settings {
    const char *issuer, *audience, *scope;
    int64_t lifetime_s;
    json_t *clients; /* {"<id>": {"secret", "sub"?, "alg"?}}, borrowed */
    bool test_api;   /* honour x_… parameters */
};

/* The clients of the demo sites, each with secret "<id>-secret"; a new reference, NULL when out of memory. */
json_t *idp_demo_clients(void);

/* An answer of the token endpoint (RFC 6749 section 5). */
struct idp_answer {
    unsigned status;
    json_t *body; /* owned by the caller */
};

/*
 * Answers a client credentials request. Credentials: basic_id and basic_secret of an Authorization header, or
 * NULL and the form's client_id and client_secret. With the test API, x_<claim> sets that claim (JSON, else
 * text; empty: left out; now, now-10, now+10 for times), x_header merges a JSON object into the header, x_pad
 * adds a claim of that many bytes.
 */
struct idp_answer idp_token_answer(const struct idp_token_settings *set, const struct idp_keys *keys,
                                   const struct idp_form *form, const char *basic_id,
                                   const char *basic_secret, int64_t now_s);

#endif
