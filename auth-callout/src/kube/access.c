#include "kube/access.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/file.h"
#include "base/num.h"
#include "kube/kubeconfig.h"

#define PEM_MAX ((size_t)1 << 20)    /* bytes of a CA or certificate file */
#define TOKEN_MAX ((size_t)64 << 10) /* bytes of a token file */

void eb_kube_access_done(struct eb_kube_access *a) {
    free(a->url);
    free(a->server_name);
    free(a->ca_file);
    eb_secret_free(a->ca_data);
    free(a->token_file);
    eb_secret_free(a->token);
    free(a->cert_file);
    free(a->key_file);
    eb_secret_free(a->cert_data);
    eb_secret_free(a->key_data);
    free(a->from);
    *a = (struct eb_kube_access){0};
}

static enum eb_rc nomem(struct eb_err *reterr) {
    return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* Replaces *to by a copy, where there is something to copy. */
static enum eb_rc put(char **to, const char *z, struct eb_err *reterr) {
    if (!z)
        return EB_OK;
    free(*to);
    return (*to = eb_str_dup(eb_str(z))) ? EB_OK : nomem(reterr);
}

static bool is_loopback(struct eb_str host) {
    char text[INET_ADDRSTRLEN];
    struct in_addr v4;
    if (eb_str_eqz(host, "localhost") || eb_str_eqz(host, "[::1]"))
        return true;
    if (host.n >= sizeof text)
        return false;
    (void)snprintf(text, sizeof text, "%.*s", EB_STR_ARG(host));
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* Cuts the blank end off and refuses what is no plain base URL. */
static enum eb_rc check_url(char *url, const char *where, struct eb_err *reterr) {
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        url[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (url[i] <= ' ' || url[i] > '~' || strchr("?#@\\\"<>", url[i]))
            return EB_FAIL(reterr, EB_E_INVALID, "%s: write https://HOST:PORT and nothing else", where);
    bool plain = strncmp(url, "http://", 7) == 0;
    if (!plain && strncmp(url, "https://", 8) != 0)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "%s: neither https nor http to loopback: write https://HOST:PORT", where);
    const char *host = url + (plain ? 7 : 8);
    size_t whole = strcspn(host, "/"), host_n = whole;
    const char *bracket = host[0] == '[' ? memchr(host, ']', whole) : NULL;
    const char *colon = bracket ? bracket + 1 : memchr(host, ':', whole);
    if (colon && colon < host + whole) {
        int64_t port;
        host_n = (size_t)(colon - host);
        if (*colon != ':' ||
            eb_num_i64(eb_str_n(colon + 1, (size_t)(host + whole - colon) - 1), 1, 65535, &port) != EB_OK)
            return EB_FAIL(reterr, EB_E_INVALID, "%s: what follows the host is no port", where);
    }
    if (host_n == 0)
        return EB_FAIL(reterr, EB_E_INVALID, "%s: it names no host", where);
    if (plain && !is_loopback(eb_str_n(host, host_n)))
        return EB_FAIL(reterr, EB_E_INVALID,
                       "%s: http to another host shows the token to everybody on the way: use https", where);
    return EB_OK;
}

/* The addresses and files of a pod. */
static enum eb_rc in_cluster(const struct eb_kube_config *c, struct eb_kube_access *a,
                             struct eb_err *reterr) {
    if (!c->api_url) {
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        if (!host || !*host || !port || !*port)
            return EB_FAIL(reterr, EB_E_INVALID,
                           "in-cluster: the environment has no KUBERNETES_SERVICE_HOST and "
                           "KUBERNETES_SERVICE_PORT, which every pod has: outside of one name a kubeconfig "
                           "or api-url");
        eb_auto_buf struct eb_buf url = {0};
        bool v6 = strchr(host, ':') != NULL;
        eb_buf_printf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
        if (!(a->url = eb_buf_take(&url)))
            return nomem(reterr);
    }
    enum eb_rc rc = put(&a->ca_file, EB_KUBE_POD_FILES "/ca.crt", reterr);
    return rc == EB_OK ? put(&a->token_file, EB_KUBE_POD_FILES "/token", reterr) : rc;
}

bool eb_kube_access_given(const struct eb_kube_config *c) {
    return c->in_cluster || c->kubeconfig || c->api_url;
}

static enum eb_rc load(const struct eb_kube_config *c, struct eb_kube_access *a, struct eb_err *reterr) {
    if (!eb_kube_access_given(c))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "no connection to the Kubernetes API: set in-cluster: true in a pod, or kubeconfig, or "
            "api-url with api-ca and token-file");
    if (c->kubeconfig && (c->in_cluster || c->api_url || c->api_ca || c->token_file))
        return EB_FAIL(reterr, EB_E_INVALID, "kubeconfig and %s are both set: keep one",
                       c->in_cluster ? "in-cluster"
                       : c->api_url  ? "api-url"
                       : c->api_ca   ? "api-ca"
                                     : "token-file");
    enum eb_rc rc = EB_OK;
    if (c->kubeconfig) {
        if (strchr(c->kubeconfig, ':') && access(c->kubeconfig, F_OK) != 0)
            return EB_FAIL(reterr, EB_E_INVALID,
                           "kubeconfig names several files, one is taken: make it with kubectl config view "
                           "--flatten --minify");
        rc = eb_kubeconfig_read(c->kubeconfig, a, reterr);
    } else {
        if (c->in_cluster)
            rc = in_cluster(c, a, reterr);
        if (rc == EB_OK)
            rc = put(&a->url, c->api_url, reterr);
        if (rc == EB_OK)
            rc = put(&a->ca_file, c->api_ca, reterr);
        if (rc == EB_OK)
            rc = put(&a->token_file, c->token_file, reterr);
        if (rc == EB_OK && !a->token_file && strncmp(a->url, "https://", 8) == 0)
            return EB_FAIL(reterr, EB_E_INVALID,
                           "api-url without token-file: name the file of a ServiceAccount's token, or use a "
                           "kubeconfig with a client certificate");
    }
    return rc == EB_OK ? check_url(a->url, a->from ? a->from : "api-url", reterr) : rc;
}

enum eb_rc eb_kube_access_load(const struct eb_kube_config *c, struct eb_kube_access *ret,
                               struct eb_err *reterr) {
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = {0};
    enum eb_rc rc = load(c, &a, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = a;
    a = (struct eb_kube_access){0};
    return EB_OK;
}

enum eb_rc eb_kube_access_refresh(struct eb_kube_access *a, struct eb_err *reterr) {
    struct eb_kube_config c = {.kubeconfig = a->from};
    struct eb_kube_access fresh;
    if (!c.kubeconfig)
        return EB_OK;
    enum eb_rc rc = eb_kube_access_load(&c, &fresh, reterr);
    if (rc != EB_OK)
        return rc;
    eb_kube_access_done(a);
    *a = fresh;
    return EB_OK;
}

static void check_pem(struct eb_findings *f, const char *path, const char *file, const char *holds,
                      const char *mend) {
    eb_auto_buf struct eb_buf pem = {.secret = true};
    struct eb_err err = {0};
    if (!file)
        return;
    enum eb_rc rc = eb_file_read(file, PEM_MAX, &pem, &err);
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, NULL, 0, path, mend, "%s", eb_err_text(&err, rc));
    else if (!memmem(pem.p ? pem.p : "", pem.n, holds, strlen(holds)))
        eb_findings_add(f, EB_ERROR, NULL, 0, path, mend, "%s: holds no \"%s\"", file, holds);
}

void eb_kube_access_check(const struct eb_kube_config *c, const char *path, struct eb_findings *f) {
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access a = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_access_load(c, &a, &err);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, NULL, 0, path, NULL, "%s", eb_err_text(&err, rc));
        return;
    }
    check_pem(f, path, a.ca_file, "-----BEGIN CERTIFICATE-----",
              "the file must hold the PEM certificates of the API's CA");
    check_pem(f, path, a.cert_file, "-----BEGIN CERTIFICATE-----", "the file must hold a PEM certificate");
    check_pem(f, path, a.key_file, "PRIVATE KEY-----", "the file must hold a PEM private key");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *token = NULL;
    if (a.token_file && (rc = eb_secret_read_file(a.token_file, TOKEN_MAX, &token, &err)) != EB_OK)
        eb_findings_add(f, EB_ERROR, NULL, 0, path, "the file must hold the token that the API lets in", "%s",
                        eb_err_text(&err, rc));
}
