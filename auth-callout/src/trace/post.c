#include "trace/post.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

#include "clock.h"
#include "config_check.h"
#include "trace/pairs.h"
#include "trace/settings.h"

#define MS_NS INT64_C(1000000)
enum { CONNECT_TIMEOUT_MS = 3000, POLL_MAX_MS = 1000, ECHO_MIN = 6 };
/* curl keeps the CAs of a file in memory; after this they are read again for a new connection. */
enum { CA_CACHE_S = 60 };

struct eb_post {
    const struct eb_trace_config *config;
    CURLM *multi;
    CURL *curl;
    struct eb_buf url, where, answer;
    struct curl_slist *headers; /* of the request under way */
    _Atomic int64_t end_by_ns;  /* 0 = no end */
    char detail[CURL_ERROR_SIZE];
};

static enum eb_rc nomem(struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

static size_t on_body(char *from, size_t size, size_t n, void *ctx) {
    struct eb_post *p = ctx;
    if (p->answer.n + size * n > EB_OTLP_ANSWER_MAX)
        return 0; /* curl then ends the transfer with CURLE_WRITE_ERROR */
    eb_buf_add(&p->answer, from, size * n);
    return eb_buf_ok(&p->answer) ? size * n : 0;
}

static void drop_headers(struct eb_post *p) {
    for (struct curl_slist *h = p->headers; h; h = h->next)
        sodium_memzero(h->data, strlen(h->data));
    curl_slist_free_all(p->headers);
    p->headers = NULL;
}

static enum eb_rc add_header(struct eb_post *p, const char *line, struct eb_err *reterr) {
    struct curl_slist *more = curl_slist_append(p->headers, line);
    if (!more)
        return nomem(reterr);
    p->headers = more;
    return EB_OK;
}

static enum eb_rc add_headers(struct eb_post *p, struct eb_str list, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf value = {.secret = true}, line = {.secret = true};
    struct eb_str name;
    enum eb_rc rc = eb_pairs_check_headers(list, reterr);
    while (rc == EB_OK && eb_pairs_next(&list, &name, &value, NULL)) {
        eb_buf_reset(&line);
        eb_buf_str(&line, name);
        eb_buf_z(&line, ": ");
        eb_buf_str(&line, eb_buf_get(&value));
        rc = eb_buf_ok(&line) ? add_header(p, line.p, reterr) : nomem(reterr);
    }
    return rc;
}

static enum eb_rc give_headers(struct eb_post *p, struct eb_err *reterr) {
    const struct eb_trace_config *c = p->config;
    EB_CLEANUP(eb_secret_freep) struct eb_secret *read = NULL;
    enum eb_rc rc = add_header(p, "Content-Type: application/x-protobuf", reterr);
    if (rc == EB_OK)
        rc = add_header(p, "Expect:", reterr); /* no waiting for "100 Continue" */
    if (rc == EB_OK && c->headers)
        rc = add_headers(p, eb_secret_get(c->headers), reterr);
    if (rc == EB_OK && c->headers_file) {
        rc = eb_secret_read_file(c->headers_file, EB_HEADERS_MAX, &read, reterr);
        if (rc == EB_OK) {
            struct eb_err err = {0};
            rc = add_headers(p, eb_secret_get(read), &err);
            if (rc != EB_OK)
                rc = EB_FAIL(reterr, rc, "%s: %s", c->headers_file, err.text);
        }
    }
    (void)curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, p->headers);
    return rc;
}

/* True where the collector's words hold a word of a header, which may be a secret. */
static bool repeats_header(const struct eb_post *p, struct eb_str text) {
    for (const struct curl_slist *h = p->headers; h; h = h->next) {
        const char *colon = strchr(h->data, ':');
        struct eb_str rest = eb_str(colon ? colon + 1 : NULL);
        while (rest.p) {
            struct eb_str word = eb_str_trim(eb_str_cut(&rest, ' '));
            if (word.n >= ECHO_MIN && text.n && memmem(text.p, text.n, word.p, word.n))
                return true;
        }
    }
    return false;
}

static int64_t left_ms(const struct eb_post *p) {
    int64_t end = atomic_load(&p->end_by_ns), left = end ? (end - eb_mono_ns()) / MS_NS : POLL_MAX_MS;
    return left < 0 ? 0 : left > POLL_MAX_MS ? POLL_MAX_MS : left;
}

/* Until the transfer has ended, or its time is over. */
static CURLcode perform(struct eb_post *p) {
    CURLcode result = CURLE_OPERATION_TIMEDOUT;
    if (curl_multi_add_handle(p->multi, p->curl) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    for (int running = 1; left_ms(p) > 0;) {
        if (curl_multi_perform(p->multi, &running) != CURLM_OK) {
            result = CURLE_FAILED_INIT;
            break;
        }
        if (!running) {
            int n;
            const CURLMsg *msg = curl_multi_info_read(p->multi, &n);
            result = msg && msg->msg == CURLMSG_DONE ? msg->data.result : CURLE_FAILED_INIT;
            break;
        }
        (void)curl_multi_poll(p->multi, NULL, 0, (int)left_ms(p), NULL);
    }
    (void)curl_multi_remove_handle(p->multi, p->curl);
    return result;
}

static enum eb_rc set_up(struct eb_post *p, struct eb_err *reterr) {
    const struct eb_trace_config *c = p->config;
    CURL *curl = p->curl;
    bool plain = strncmp(p->url.p, "http://", 7) == 0;
    if (curl_easy_setopt(curl, CURLOPT_URL, p->url.p) != CURLE_OK)
        return nomem(reterr);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(c->timeout_ns / MS_NS));
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)EB_OTLP_ANSWER_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->detail);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, p);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "auth-callout");
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (eb_config_is_loopback_url(p->url.p)) /* http_proxy would have it leave the machine */
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (c->tls_ca)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, c->tls_ca);
    if (c->tls_cert)
        (void)curl_easy_setopt(curl, CURLOPT_SSLCERT, c->tls_cert);
    if (c->tls_key)
        (void)curl_easy_setopt(curl, CURLOPT_SSLKEY, c->tls_key);
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
    /* A name server that is silent holds nobody's end up. */
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
    return EB_OK;
}

enum eb_rc eb_post_new(const struct eb_trace_config *c, struct eb_post **ret, struct eb_err *reterr) {
    struct eb_post *p = calloc(1, sizeof *p);
    if (!p)
        return nomem(reterr);
    p->config = c;
    p->multi = curl_multi_init();
    p->curl = curl_easy_init();
    eb_trace_url(c, &p->url);
    eb_buf_add(&p->where, p->url.p, p->url.p ? strcspn(p->url.p, "?") : 0);
    enum eb_rc rc =
        p->multi && p->curl && eb_buf_ok(&p->url) && eb_buf_ok(&p->where) ? set_up(p, reterr) : nomem(reterr);
    if (rc != EB_OK) {
        eb_post_free(p);
        return rc;
    }
    *ret = p;
    return EB_OK;
}

void eb_post_free(struct eb_post *p) {
    if (!p)
        return;
    if (p->curl)
        curl_easy_cleanup(p->curl);
    if (p->multi)
        (void)curl_multi_cleanup(p->multi);
    drop_headers(p);
    eb_buf_done(&p->url);
    eb_buf_done(&p->where);
    eb_buf_done(&p->answer);
    free(p);
}

const char *eb_post_where(const struct eb_post *p) {
    return p->where.p;
}

void eb_post_send(struct eb_post *p, struct eb_str body, struct eb_otlp_answer *ret, struct eb_err *reterr) {
    *ret = (struct eb_otlp_answer){0};
    eb_buf_reset(&p->answer);
    p->detail[0] = '\0';
    drop_headers(p);
    if (give_headers(p, reterr) != EB_OK) {
        ret->retry = true; /* a file that is being replaced */
        return;
    }
    (void)curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body.p);
    (void)curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    CURLcode rc = perform(p);
    long status = 0;
    curl_off_t after_s = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_WRITE_ERROR || rc == CURLE_FILESIZE_EXCEEDED) {
        /* Whatever it is, it has the spans by now: they are not sent twice. */
        (void)EB_FAIL(reterr, EB_E_IO, "the answer %ld is larger than %zu bytes: see the URL", status,
                      EB_OTLP_ANSWER_MAX);
    } else if (rc != CURLE_OK) {
        ret->retry = true;
        (void)EB_FAIL(reterr, EB_E_IO, "%s", p->detail[0] ? p->detail : curl_easy_strerror(rc));
    } else {
        (void)curl_easy_getinfo(p->curl, CURLINFO_RETRY_AFTER, &after_s);
        (void)curl_easy_getinfo(p->curl, CURLINFO_CONTENT_TYPE, &type);
        eb_otlp_answer_read(status, type, after_s, eb_buf_get(&p->answer), ret, reterr);
        if (repeats_header(p, ret->remark))
            ret->remark = EB_STR("(its words repeat a header that was sent, and are left out)");
    }
    (void)curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, NULL);
}

void eb_post_end_by(struct eb_post *p, int64_t ns) {
    atomic_store(&p->end_by_ns, ns);
    (void)curl_multi_wakeup(p->multi);
}
