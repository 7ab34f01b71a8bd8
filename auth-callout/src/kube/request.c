#include "kube/request.h"

#include <sodium.h>
#include <stdio.h>

#include "base/file.h"

#define PEM_MAX ((size_t)1 << 20)    /* bytes of a CA or certificate */
#define TOKEN_MAX ((size_t)64 << 10) /* bytes of a token file */
enum { CONNECT_TIMEOUT_MS = 5000, KEEPALIVE_IDLE_S = 15, KEEPALIVE_EVERY_S = 5 };

static enum eb_rc nomem(struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* Hands a PEM over, from memory or as the file has it now; nothing where neither is given. */
static enum eb_rc give_pem(CURL *curl, CURLoption option, const char *file, const struct eb_secret *data,
                           struct eb_buf *keep, struct eb_err *reterr) {
    if (!file && !data)
        return EB_OK;
    keep->secret = true;
    if (data) {
        eb_buf_str(keep, eb_secret_get(data));
    } else {
        enum eb_rc rc = eb_file_read(file, PEM_MAX, keep, reterr);
        if (rc != EB_OK)
            return rc;
    }
    if (!eb_buf_ok(keep))
        return nomem(reterr);
    if (keep->n == 0)
        return EB_FAIL(reterr, EB_E_INVALID, "%s: the file is empty", file ? file : "the data");
    struct curl_blob blob = {keep->p, keep->n, CURL_BLOB_NOCOPY};
    return curl_easy_setopt(curl, option, &blob) == CURLE_OK ? EB_OK : nomem(reterr);
}

static enum eb_rc add_header(struct eb_kube_request *r, const char *line, struct eb_err *reterr) {
    struct curl_slist *more = curl_slist_append(r->headers, line);
    if (!more)
        return nomem(reterr);
    r->headers = more;
    return EB_OK;
}

static enum eb_rc show_token(struct eb_kube_request *r, const struct eb_kube_access *a,
                             struct eb_err *reterr) {
    EB_CLEANUP(eb_secret_freep) struct eb_secret *read = NULL;
    enum eb_rc rc = a->token_file ? eb_secret_read_file(a->token_file, TOKEN_MAX, &read, reterr) : EB_OK;
    if (rc != EB_OK || (!read && !a->token))
        return rc;
    struct eb_str token = eb_secret_get(read ? read : a->token);
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            return EB_FAIL(reterr, EB_E_INVALID, "%s: it holds no token: blanks or control bytes within",
                           read ? a->token_file : "the token of the kubeconfig");
    eb_auto_buf struct eb_buf line = {.secret = true};
    eb_buf_z(&line, "Authorization: Bearer ");
    eb_buf_str(&line, token);
    return eb_buf_ok(&line) ? add_header(r, line.p, reterr) : nomem(reterr);
}

/* The URL; where the certificate has another name than the host, that name with the way to the host beside
 * it.
 */
static enum eb_rc give_url(struct eb_kube_request *r, const struct eb_kube_access *a, const char *path,
                           struct eb_err *reterr) {
    eb_auto_buf struct eb_buf url = {0}, way = {0};
    const char *host = strstr(a->url, "://") + 3;
    size_t host_n = strcspn(host, "/");
    if (a->server_name) {
        const char *colon = memrchr(host, ':', host_n), *bracket = memrchr(host, ']', host_n);
        bool port = colon && (!bracket || colon > bracket);
        eb_buf_printf(&way, "::%.*s%s", (int)host_n, host,
                      port                                  ? ""
                      : strncmp(a->url, "https://", 8) == 0 ? ":443"
                                                            : ":80");
        eb_buf_printf(&url, "%.*s%s%s%s", (int)(host - a->url), a->url, a->server_name, host + host_n, path);
        if (!eb_buf_ok(&way) || !(r->connect_to = curl_slist_append(NULL, way.p)) ||
            curl_easy_setopt(r->curl, CURLOPT_CONNECT_TO, r->connect_to) != CURLE_OK)
            return nomem(reterr);
    } else {
        eb_buf_z(&url, a->url);
        eb_buf_z(&url, path);
    }
    if (!eb_buf_ok(&url) || curl_easy_setopt(r->curl, CURLOPT_URL, url.p) != CURLE_OK)
        return nomem(reterr);
    return EB_OK;
}

enum eb_rc eb_kube_request_open(struct eb_kube_request *r, const struct eb_kube_access *a, const char *path,
                                const char *accept, struct eb_err *reterr) {
    CURL *curl = r->curl = curl_easy_init();
    if (!curl)
        return nomem(reterr);
    enum eb_rc rc = give_url(r, a, path, reterr);
    if (rc == EB_OK)
        rc = give_pem(curl, CURLOPT_CAINFO_BLOB, a->ca_file, a->ca_data, &r->ca, reterr);
    if (rc == EB_OK)
        rc = give_pem(curl, CURLOPT_SSLCERT_BLOB, a->cert_file, a->cert_data, &r->cert, reterr);
    if (rc == EB_OK)
        rc = give_pem(curl, CURLOPT_SSLKEY_BLOB, a->key_file, a->key_data, &r->key, reterr);
    if (rc == EB_OK)
        rc = show_token(r, a, reterr);
    char line[300];
    (void)snprintf(line, sizeof line, "Accept: %s", accept);
    if (rc == EB_OK)
        rc = add_header(r, line, reterr);
    if (rc != EB_OK)
        return rc;
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, r->headers);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
                           strncmp(a->url, "http://", 7) == 0 ? "http" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_EVERY_S);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, r->detail);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "auth-callout");
    return EB_OK;
}

enum eb_rc eb_kube_request_post(struct eb_kube_request *r, struct eb_str body, struct eb_err *reterr) {
    enum eb_rc rc = add_header(r, "Content-Type: application/json", reterr);
    if (rc == EB_OK)
        rc = add_header(r, "Expect:", reterr); /* no waiting for "100 Continue" */
    if (rc != EB_OK)
        return rc;
    (void)curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
    (void)curl_easy_setopt(r->curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body.p);
    (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
    return EB_OK;
}

enum eb_rc eb_kube_request_failure(const struct eb_kube_request *r, CURLcode code, struct eb_err *reterr) {
    long status = 0;
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status / 100 == 2)
        return EB_OK;
    if (code != CURLE_OK)
        return EB_FAIL(reterr, EB_E_IO, "%s", r->detail[0] ? r->detail : curl_easy_strerror(code));
    if (status == 401)
        return EB_FAIL(reterr, EB_E_IO, "the API answers 401: it does not know the token or certificate");
    if (status == 403)
        return EB_FAIL(reterr, EB_E_IO,
                       "the API answers 403: grant get, list and watch of serviceaccounts by a ClusterRole "
                       "(and create of tokenreviews for token-review)");
    return EB_FAIL(reterr, EB_E_IO, "the API answers %ld", status);
}

void eb_kube_request_done(struct eb_kube_request *r) {
    if (r->curl)
        curl_easy_cleanup(r->curl);
    for (struct curl_slist *h = r->headers; h; h = h->next)
        sodium_memzero(h->data, strlen(h->data));
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
    eb_buf_done(&r->ca);
    eb_buf_done(&r->cert);
    eb_buf_done(&r->key);
    *r = (struct eb_kube_request){0};
}
