#include "http.h"

#include <curl/curl.h>
#include <string.h>

#include "say.h"

#define BODY_MAX ((size_t)1 << 20)
#define CONNECT_TIMEOUT_S 5L
#define TIMEOUT_S 20L

static void curl_donep(CURL **h) {
    curl_easy_cleanup(*h);
}

static void url_donep(CURLU **u) {
    curl_url_cleanup(*u);
}

static void curl_textp(char **text) {
    curl_free(*text);
}

static void list_donep(struct curl_slist **l) {
    curl_slist_free_all(*l);
}

static bool is_loopback(const char *host) {
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

static bool url_allowed(const struct eb_command *c, const struct eb_http_request *r) {
    EB_CLEANUP(url_donep) CURLU *u = curl_url();
    EB_CLEANUP(curl_textp) char *scheme = NULL;
    EB_CLEANUP(curl_textp) char *host = NULL;
    if (!u || curl_url_set(u, CURLUPART_URL, r->url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        eb_say(c, "%.200s is no URL: write https://host[:port]/path", r->url);
        return false;
    }
    if (strcmp(scheme, "https") == 0)
        return true;
    if (strcmp(scheme, "http") != 0 || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        eb_say(c, "%.200s: only https and http are known here", r->url);
        return false;
    }
    if (r->allow_http || is_loopback(host))
        return true;
    eb_say(c,
           "%.200s is not encrypted, everybody on the way could read the client's secret: use https, or "
           "--allow-http if you "
           "know the network",
           r->url);
    return false;
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx) {
    struct eb_buf *b = ctx;
    if (b->n + size * n > BODY_MAX)
        return 0;
    eb_buf_add(b, p, size * n);
    return eb_buf_ok(b) ? size * n : 0;
}

static const char *hint(CURLcode rc) {
    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        return "; name the provider's CA with --ca FILE";
    if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST)
        return "; is the address right, and the provider running?";
    return "";
}

bool eb_http_send(const struct eb_command *c, const struct eb_http_request *r, long *ret_status,
                  struct eb_buf *body) {
    if (!url_allowed(c, r))
        return false;
    char text[CURL_ERROR_SIZE] = "";
    EB_CLEANUP(curl_donep) CURL *h = curl_easy_init();
    EB_CLEANUP(list_donep) struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (!h || !headers) {
        eb_say(c, "out of memory");
        return false;
    }
    CURLcode rc = curl_easy_setopt(h, CURLOPT_URL, r->url);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_TIMEOUT, TIMEOUT_S);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_ERRORBUFFER, text);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_USERAGENT, "eventbus/" EB_VERSION);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    rc = rc ? rc : curl_easy_setopt(h, CURLOPT_WRITEDATA, body);
    if (!rc && r->ca)
        rc = curl_easy_setopt(h, CURLOPT_CAINFO, r->ca);
    if (!rc && r->form.p) {
        rc = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)r->form.n);
        rc = rc ? rc : curl_easy_setopt(h, CURLOPT_POSTFIELDS, r->form.p);
    }
    if (!rc && r->user) {
        rc = curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        rc = rc ? rc : curl_easy_setopt(h, CURLOPT_USERNAME, r->user);
        rc = rc ? rc : curl_easy_setopt(h, CURLOPT_PASSWORD, r->password);
    }
    rc = rc ? rc : curl_easy_perform(h);
    rc = rc ? rc : curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, ret_status);
    if (rc == CURLE_WRITE_ERROR)
        eb_say(c, "%.200s: the answer is larger than %zu bytes, so it is none of a provider", r->url,
               BODY_MAX);
    else if (rc)
        eb_say(c, "%.200s: %s%s", r->url, text[0] ? text : curl_easy_strerror(rc), hint(rc));
    return rc == CURLE_OK;
}
