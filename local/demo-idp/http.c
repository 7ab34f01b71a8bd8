#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>

#include "base/json.h"
#include "base/num.h"

#define FORM_MAX 65536u
#define BASIC_MAX 512
#define CONNECTIONS_MAX 256u
#define IDLE_TIMEOUT_S 30u
#define DELAY_MAX_MS 60000
#define BODY_MAX (8 << 20)

static const char BANNER[] = "demo identity provider: for evaluation only, its client secrets are public\n";

/* What a test asked every answer to suffer from. */
struct faults {
    int64_t delay_ms, status, bytes;
};
struct idp_http {
    struct idp_http_settings set;
    struct idp_token_settings token;
    char base[80], issuer[80];
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock; /* keys and faults */
    struct faults faults;
};
struct request {
    struct idp_form form;
    struct MHD_PostProcessor *post;
    size_t received;
    bool refused; /* too many or too large fields */
};

static enum MHD_Result send_bytes(struct MHD_Connection *c, unsigned status, const char *type, const char *p,
                                  size_t n) {
    /* a copy is made: MHD_RESPMEM_MUST_COPY takes the buffer as not const, and leaves it alone */
    struct MHD_Response *r = MHD_create_response_from_buffer(n, (void *)(uintptr_t)p, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-store");
    if (status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Basic realm=\"token\"");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, "Allow", "GET, POST");
    const enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

/* Takes the reference of body; pads the text with blanks to at least min_bytes. */
static enum MHD_Result send_json(struct MHD_Connection *c, unsigned status, json_t *body, size_t min_bytes) {
    eb_auto_json json_t *owned = body;
    eb_auto_free char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
    if (!text)
        return MHD_NO;
    eb_auto_buf struct eb_buf padded = {0};
    eb_buf_z(&padded, text);
    while (padded.n < min_bytes && eb_buf_ok(&padded))
        eb_buf_ch(&padded, ' ');
    eb_buf_ch(&padded, '\n');
    return eb_buf_ok(&padded) ? send_bytes(c, status, "application/json", padded.p, padded.n) : MHD_NO;
}

static enum MHD_Result send_error(struct MHD_Connection *c, unsigned status, const char *text) {
    return send_json(c, status, json_pack("{s:s}", "error", text), 0);
}

static enum MHD_Result add_field(void *closure, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *type, const char *encoding,
                                 const char *data, uint64_t off, size_t size) {
    (void)kind, (void)filename, (void)type, (void)encoding;
    struct request *rq = closure;
    struct idp_form *form = &rq->form;
    if (off > 0) { /* the rest of a value that came in pieces */
        struct idp_param *last = form->n ? &form->items[form->n - 1] : NULL;
        char *longer = last ? realloc(last->value, (size_t)off + size + 1) : NULL;
        if (!longer)
            return MHD_NO;
        memcpy(longer + off, data, size);
        longer[off + size] = 0;
        last->value = longer;
        return MHD_YES;
    }
    if (form->n == EB_COUNT_OF(form->items)) {
        rq->refused = true;
        return MHD_YES;
    }
    const struct idp_param p = {eb_str_dup(eb_str(key)), eb_str_dup(eb_str_n(data, size))};
    if (!p.name || !p.value) {
        free(p.name);
        free(p.value);
        return MHD_NO;
    }
    form->items[form->n++] = p;
    return MHD_YES;
}

/* Splits `Authorization: Basic …` into id and secret, both in text; false where there is none. */
static bool basic_credentials(struct MHD_Connection *c, char *text, size_t cap, const char **ret_id,
                              const char **ret_secret) {
    const char *header = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    if (!header || strncasecmp(header, "Basic ", 6) != 0)
        return false;
    header += 6;
    const size_t n = strlen(header);
    if (n == 0 || n % 4 || n / 4 * 3 >= cap)
        return false;
    const int decoded = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)header, (int)n);
    if (decoded < 0)
        return false;
    text[decoded] = 0; /* padding decodes to zero bytes, which end the secret as well */
    char *colon = strchr(text, ':');
    if (!colon)
        return false;
    *colon = 0;
    *ret_id = text;
    *ret_secret = colon + 1;
    return true;
}

static enum MHD_Result serve_token(struct idp_http *h, struct MHD_Connection *c, struct request *rq) {
    if (rq->refused || rq->received > FORM_MAX)
        return send_error(c, MHD_HTTP_CONTENT_TOO_LARGE, "invalid_request");
    char text[BASIC_MAX];
    const char *id = NULL, *secret = NULL;
    (void)basic_credentials(c, text, sizeof text, &id, &secret);
    struct idp_answer answer;
    {
        EB_LOCKED(&h->lock);
        answer = idp_token_answer(&h->token, h->set.keys, &rq->form, id, secret, (int64_t)time(NULL));
    }
    return send_json(c, answer.status, answer.body, 0);
}

static enum MHD_Result serve_jwks(struct idp_http *h, struct MHD_Connection *c, size_t min_bytes) {
    json_t *jwks = NULL;
    {
        EB_LOCKED(&h->lock);
        jwks = idp_keys_jwks(h->set.keys);
    }
    return send_json(c, MHD_HTTP_OK, jwks, min_bytes);
}

static enum MHD_Result serve_discovery(struct idp_http *h, struct MHD_Connection *c) {
    char token[120], jwks[120];
    (void)snprintf(token, sizeof token, "%s/token", h->base);
    (void)snprintf(jwks, sizeof jwks, "%s/jwks.json", h->base);
    return send_json(c, MHD_HTTP_OK,
                     json_pack("{s:s s:s s:s s:[s] s:[s s] s:[s] s:[s s]}", "issuer", h->issuer,
                               "token_endpoint", token, "jwks_uri", jwks, "grant_types_supported",
                               "client_credentials", "token_endpoint_auth_methods_supported",
                               "client_secret_basic", "client_secret_post", "scopes_supported", h->set.scope,
                               "id_token_signing_alg_values_supported", "RS256", "ES256"),
                     0);
}

static enum MHD_Result serve_rotate(struct idp_http *h, struct MHD_Connection *c) {
    const char *drop = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "drop_old");
    struct eb_err err = {0};
    enum eb_rc rc;
    json_t *body = NULL;
    {
        EB_LOCKED(&h->lock);
        rc = idp_keys_rotate(h->set.keys, drop && strcmp(drop, "1") == 0, &err);
        if (rc == EB_OK)
            body = json_pack("{s:s s:s}", "RS256", idp_keys_kid(h->set.keys, "RS256"), "ES256",
                             idp_keys_kid(h->set.keys, "ES256"));
    }
    return rc == EB_OK ? send_json(c, MHD_HTTP_OK, body, 0)
                       : send_error(c, MHD_HTTP_INTERNAL_SERVER_ERROR, err.text);
}

/* The number of a query parameter; absent: 0. */
static bool query_number(struct MHD_Connection *c, const char *name, int64_t min, int64_t max, int64_t *ret) {
    const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
    *ret = 0;
    return !text || eb_num_i64(eb_str(text), min, max, ret) == EB_OK;
}

static enum MHD_Result serve_faults(struct idp_http *h, struct MHD_Connection *c) {
    struct faults f;
    if (!query_number(c, "delay_ms", 0, DELAY_MAX_MS, &f.delay_ms) ||
        !query_number(c, "status", 200, 599, &f.status) || !query_number(c, "bytes", 0, BODY_MAX, &f.bytes))
        return send_error(c, MHD_HTTP_BAD_REQUEST,
                          "delay_ms 0-60000, status 200-599, bytes 0-8388608; nothing: no faults");
    EB_LOCKED(&h->lock);
    h->faults = f;
    return send_json(c, MHD_HTTP_OK,
                     json_pack("{s:I s:I s:I}", "delay_ms", f.delay_ms, "status", f.status, "bytes", f.bytes),
                     0);
}

static enum MHD_Result route(struct idp_http *h, struct MHD_Connection *c, const char *url,
                             const char *method, struct request *rq) {
    const bool post = strcmp(method, "POST") == 0, get = strcmp(method, "GET") == 0;
    if (h->set.test_api && post && strcmp(url, "/rotate") == 0)
        return serve_rotate(h, c);
    if (h->set.test_api && post && strcmp(url, "/test") == 0)
        return serve_faults(h, c);
    struct faults f;
    {
        EB_LOCKED(&h->lock);
        f = h->faults;
    }
    if (f.delay_ms)
        (void)nanosleep(&(struct timespec){f.delay_ms / 1000, f.delay_ms % 1000 * 1000000}, NULL);
    if (f.status)
        return send_error(c, (unsigned)f.status, "a test asked for this");
    if (strcmp(url, "/token") == 0)
        return post ? serve_token(h, c, rq) : send_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "use POST");
    if (!get)
        return send_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET");
    if (strcmp(url, "/jwks.json") == 0)
        return serve_jwks(h, c, (size_t)f.bytes);
    if (strcmp(url, "/.well-known/openid-configuration") == 0)
        return serve_discovery(h, c);
    if (strcmp(url, "/") == 0)
        return send_bytes(c, MHD_HTTP_OK, "text/plain", BANNER, sizeof BANNER - 1);
    return send_error(c, MHD_HTTP_NOT_FOUND, "not here: /token /jwks.json /.well-known/openid-configuration");
}

/* Called once with the headers, then with each piece of the body, then with none. */
static enum MHD_Result on_request(void *closure, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data, size_t *data_n,
                                  void **state) {
    (void)version;
    if (!*state) {
        struct request *rq = calloc(1, sizeof *rq);
        if (!rq)
            return MHD_NO;
        if (strcmp(method, "POST") == 0)
            rq->post = MHD_create_post_processor(c, 4096, add_field, rq); /* NULL where the body is no form */
        *state = rq;
        return MHD_YES;
    }
    struct request *rq = *state;
    if (*data_n) {
        rq->received += *data_n;
        if (rq->received > FORM_MAX)
            rq->refused = true;
        else if (rq->post && MHD_post_process(rq->post, data, *data_n) != MHD_YES)
            rq->refused = true;
        *data_n = 0;
        return MHD_YES;
    }
    if (rq->post) {
        (void)MHD_destroy_post_processor(rq->post); /* hands over the last value */
        rq->post = NULL;
    }
    return route(closure, c, url, method, rq);
}

static void on_completed(void *closure, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode why) {
    (void)closure, (void)c, (void)why;
    struct request *rq = *state;
    if (!rq)
        return;
    if (rq->post)
        (void)MHD_destroy_post_processor(rq->post);
    idp_form_done(&rq->form);
    free(rq);
    *state = NULL;
}

enum eb_rc idp_http_start(const struct idp_http_settings *set, struct idp_http **ret, struct eb_err *reterr) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)set->port)};
    if (inet_pton(AF_INET, set->listen, &addr.sin_addr) != 1)
        return EB_FAIL(reterr, EB_E_INVALID, "--listen %s is no IPv4 address", set->listen);
    EB_CLEANUP(idp_http_freep) struct idp_http *h = calloc(1, sizeof *h);
    if (!h)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    h->set = *set;
    (void)pthread_mutex_init(&h->lock, NULL);
    /* no request is answered before the address, which is part of the issuer, is known */
    EB_LOCKED(&h->lock);
    h->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0,
                         NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, &addr, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (!h->daemon)
        return EB_FAIL(reterr, EB_E_IO, "cannot listen on %s:%u: %s", set->listen, set->port,
                       strerror(errno));
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    (void)snprintf(h->base, sizeof h->base, "http://%s:%u", set->listen, info ? info->port : set->port);
    (void)snprintf(h->issuer, sizeof h->issuer, "%s", set->issuer ? set->issuer : h->base);
    h->token = (struct idp_token_settings){.issuer = h->issuer,
                                           .audience = set->audience,
                                           .scope = set->scope,
                                           .lifetime_s = set->lifetime_s,
                                           .clients = set->clients,
                                           .test_api = set->test_api};
    *ret = EB_TAKE(h);
    return EB_OK;
}

const char *idp_http_base(const struct idp_http *h) {
    return h->base;
}

void idp_http_free(struct idp_http *h) {
    if (!h)
        return;
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}
