#include "trace/settings.h"

#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "config_check.h"
#include "config_value.h"
#include "trace/pairs.h"

#define BLOCK "observability.tracing."
enum { ATTRIBUTES_MAX = 64 };
#define FILE_MAX ((size_t)1 << 20) /* bytes of a CA, certificate or key */

bool eb_trace_on(const struct eb_trace_config *c) {
    return c->endpoint || c->traces_endpoint;
}

void eb_trace_url(const struct eb_trace_config *c, struct eb_buf *to) {
    if (c->traces_endpoint) {
        eb_buf_z(to, c->traces_endpoint);
        return;
    }
    struct eb_str base = eb_str(c->endpoint);
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    eb_buf_str(to, base);
    eb_buf_z(to, "/v1/traces");
}

struct check {
    struct eb_config *config;
    struct eb_findings *f;
    bool off; /* a value that is not the service's own is wrong */
};

static bool is_inherited(const struct check *k, const char *key) {
    const struct eb_option *o = eb_option_find(eb_str(key));
    return o && k->config->inherited[o - eb_options];
}

/* As if the variable were unset. */
static void leave_out(struct check *k, const char *key) {
    const struct eb_option *o = eb_option_find(eb_str(key));
    struct eb_config_source src = {NULL, 0, "default", NULL};
    eb_config_clear(k->config, o);
    if (o->fallback)
        eb_config_set(k->config, o, eb_str(o->fallback), &src, k->f);
}

/* key: the option whose value is to blame. Beside a URL of our own, what else is inherited is just left out.
 */
static void wrong(struct check *k, const char *key, const char *text, const char *mend) {
    bool inherited = is_inherited(k, key);
    bool off = inherited && is_inherited(k, k->config->trace.traces_endpoint ? BLOCK "otlp.traces-endpoint"
                                                                             : BLOCK "otlp.endpoint");
    eb_findings_add(k->f, inherited ? EB_WARNING : EB_ERROR, NULL, 0, key, mend, "%s%s", text,
                    off         ? ", in a variable OTEL_…: callouts are not traced"
                    : inherited ? ", in a variable OTEL_…: it does not count"
                                : "");
    if (inherited && !off)
        leave_out(k, key);
    k->off = k->off || off;
}

static void check_url(struct check *k) {
    const struct eb_trace_config *c = &k->config->trace;
    const char *url = c->traces_endpoint ? c->traces_endpoint : c->endpoint;
    const char *path = c->traces_endpoint ? BLOCK "otlp.traces-endpoint" : BLOCK "otlp.endpoint";
    bool https = strncmp(url, "https://", 8) == 0, http = strncmp(url, "http://", 7) == 0;
    if (!https && !http) {
        wrong(k, path, "not a URL of http or https",
              "write https://HOST:4318, the collector's port for OTLP over HTTP");
        return;
    }
    const char *host = url + (https ? 8 : 7);
    size_t host_n = strcspn(host, "/?#");
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~') {
            wrong(k, path, "the URL holds a blank, a control character or a letter outside ASCII",
                  "encode it as %XX");
            return;
        }
    if (host_n == 0)
        wrong(k, path, "the URL names no host", "write https://HOST:4318");
    if (memchr(host, '@', host_n))
        wrong(k, path, "the URL holds a login",
              "write it as a header into the file of " BLOCK "otlp.headers-file");
    if (strchr(url, '#') || (!c->traces_endpoint && strchr(url, '?')))
        wrong(k, path, "nothing can be appended to this URL",
              "end it with the path; /v1/traces is put behind it");
    if (http && !c->allow_http && !eb_config_is_loopback_url(url))
        wrong(k, path, "neither https nor http to loopback",
              "use https, or set " BLOCK
              "otlp.allow-http: true and accept that spans and headers can be read on the way");
}

static void check_headers(struct check *k) {
    const struct eb_trace_config *c = &k->config->trace;
    struct eb_err err = {0};
    if (c->headers && c->headers_file)
        wrong(k, BLOCK "otlp.headers", "headers and a file of headers are both given", "keep one");
    if (c->headers && eb_pairs_check_headers(eb_secret_get(c->headers), &err) != EB_OK)
        wrong(k, BLOCK "otlp.headers", err.text,
              "write name=value,name=value with %XX for blanks and commas in a value");
}

/* What is wrong with one attribute; NULL where nothing is. */
static const char *fault_of(const char *attribute, struct eb_err *err) {
    eb_auto_buf struct eb_buf value = {0};
    struct eb_str rest = eb_str(attribute), name;
    if (eb_pairs_next(&rest, &name, &value, err) && !eb_pairs_next(&rest, &name, &value, err) &&
        err->rc == EB_OK)
        return NULL;
    return err->rc == EB_OK ? "not one attribute" : err->text;
}

static void check_attributes(struct check *k) {
    static const char key[] = BLOCK "resource-attributes";
    const struct eb_strs *all = &k->config->trace.attributes;
    bool inherited = is_inherited(k, key), bad = all->n > ATTRIBUTES_MAX;
    enum eb_severity severity = inherited ? EB_WARNING : EB_ERROR;
    const char *without = inherited ? ", in a variable OTEL_…: spans go without all of its attributes" : "";
    if (bad)
        eb_findings_add(k->f, severity, NULL, 0, key, "leave some out", "more than %d attributes%s",
                        ATTRIBUTES_MAX, without);
    for (size_t i = 0; i < all->n; i++) {
        struct eb_err err = {0};
        const char *fault = fault_of(all->v[i], &err);
        if (!fault)
            continue;
        bad = true;
        eb_findings_add(k->f, severity, NULL, 0, key,
                        "write name=value, deployment.environment.name=production for instance, with %XX for "
                        "commas in a value",
                        "%.80s: %s%s", all->v[i], fault, without);
    }
    if (bad && inherited)
        eb_config_clear(k->config, eb_option_find(eb_str(key)));
}

/* Forgets where to; with all = false only what a variable OTEL_… says of it. */
static void switch_off(struct eb_config *c, bool all) {
    static const char *const keys[] = {BLOCK "otlp.endpoint", BLOCK "otlp.traces-endpoint"};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++) {
        const struct eb_option *o = eb_option_find(eb_str(keys[i]));
        if (o && (all || c->inherited[o - eb_options]))
            eb_config_clear(c, o);
    }
}

/* Who hands down a collector's URL may hand down that nothing is sent there, too. */
static bool is_off_for_all(void) {
    const char *disabled = getenv("OTEL_SDK_DISABLED"), *exporter = getenv("OTEL_TRACES_EXPORTER");
    return (disabled && strcasecmp(disabled, "true") == 0) || (exporter && strcmp(exporter, "none") == 0);
}

void eb_trace_check(struct eb_config *config, struct eb_findings *f) {
    const struct eb_trace_config *c = &config->trace;
    struct check k = {.config = config, .f = f};
    if (is_off_for_all())
        switch_off(config, false);
    if (!eb_trace_on(c))
        return;
    if (!c->protocol || strcmp(c->protocol, "http/protobuf") != 0)
        wrong(&k, BLOCK "otlp.protocol", "a protocol that is not spoken here",
              "write http/protobuf, and the URL of the collector's port for it, 4318 as a rule");
    check_url(&k);
    check_headers(&k);
    check_attributes(&k);
    if (!c->tls_cert != !c->tls_key)
        wrong(&k, c->tls_cert ? BLOCK "otlp.tls.cert" : BLOCK "otlp.tls.key", "cert and key belong together",
              "give both or none");
    if (k.off)
        switch_off(config, true);
}

static void doubtful(struct eb_findings *f, const char *file, const char *path, const char *text) {
    eb_findings_add(f, EB_WARNING, file, 0, path, "no trace is sent before that", "%s", text);
}

static void check_headers_file(const char *file, struct eb_findings *f) {
    EB_CLEANUP(eb_secret_freep) struct eb_secret *read = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_secret_read_file(file, EB_HEADERS_MAX, &read, &err);
    if (rc != EB_OK) {
        doubtful(f, NULL, BLOCK "otlp.headers-file", eb_err_text(&err, rc));
        return;
    }
    rc = eb_pairs_check_headers(eb_secret_get(read), &err);
    if (rc != EB_OK)
        doubtful(f, file, BLOCK "otlp.headers-file", eb_err_text(&err, rc));
}

void eb_trace_check_files(const struct eb_trace_config *c, struct eb_findings *f) {
    const struct {
        const char *file, *path;
    } files[] = {{c->tls_ca, BLOCK "otlp.tls.ca"},
                 {c->tls_cert, BLOCK "otlp.tls.cert"},
                 {c->tls_key, BLOCK "otlp.tls.key"}};
    if (!eb_trace_on(c))
        return;
    if (c->headers_file)
        check_headers_file(c->headers_file, f);
    for (size_t i = 0; i < EB_COUNT_OF(files); i++) {
        eb_auto_buf struct eb_buf text = {.secret = true};
        struct eb_err err = {0};
        enum eb_rc rc = files[i].file ? eb_file_read(files[i].file, FILE_MAX, &text, &err) : EB_OK;
        if (rc != EB_OK)
            doubtful(f, NULL, files[i].path, eb_err_text(&err, rc));
    }
}
