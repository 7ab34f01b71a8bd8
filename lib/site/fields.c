/* Fields of a document: their kinds, and what most have in common. */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/num.h"
#include "base/utf8.h"
#include "site/site.h"
#include "site/tree.h"

#define TEXT_MAX 1024 /* bytes */
#define HOST_MAX 253

static const char *kind_name(enum eb_doc_kind k) {
    return k == EB_DOC_MAP ? "a mapping" : k == EB_DOC_LIST ? "a list" : "a single value";
}

const char *eb_path(char to[EB_PATH_MAX], const char *path, const char *key) {
    size_t n = strnlen(path, EB_PATH_MAX - 2), key_n;
    memmove(to, path, n);
    if (n && key[0] && key[0] != '[')
        to[n++] = '.';
    key_n = strnlen(key, EB_PATH_MAX - 1 - n);
    memcpy(to + n, key, key_n);
    to[n + key_n] = '\0';
    return to;
}

void eb_check_keys(struct eb_reading *r, const struct eb_node *map, const char *path,
                   const char *const *known, size_t known_n) {
    for (const struct eb_node *c = map && map->kind == EB_DOC_MAP ? map->first : NULL; c; c = c->next) {
        size_t i = 0;
        while (i < known_n && !eb_str_eqz(c->key, known[i]))
            i++;
        if (i < known_n)
            continue;
        char plain[100], quoted[100], at[EB_PATH_MAX];
        eb_auto_buf struct eb_buf mend = {0};
        const char *near = eb_nearest(c->key, known, known_n);
        if (near)
            eb_buf_printf(&mend, "write `%s`", near);
        for (i = 0; !near && i < known_n; i++)
            eb_buf_printf(&mend, "%s `%s`", i ? "," : "known here:", known[i]);
        eb_reading_report(r, EB_ERROR, c->line, eb_path(at, path, eb_node_plain(plain, c->key)), mend.p,
                          "unknown key %s", eb_node_quote(quoted, c->key));
    }
}

const struct eb_node *eb_check_get(struct eb_reading *r, const struct eb_node *map, const char *path,
                                   const char *key, enum eb_doc_kind kind) {
    const struct eb_node *n = eb_node_get(map, key);
    char at[EB_PATH_MAX];
    if (!n || n->kind == kind)
        return n;
    eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, key),
                      kind == EB_DOC_MAP    ? "write a mapping: key: value on lines of their own, indented"
                      : kind == EB_DOC_LIST ? "write a list: [ … ], or lines that begin with `-`"
                                            : "write one value",
                      "%s where %s belongs", kind_name(n->kind), kind_name(kind));
    return NULL;
}

void eb_check_bool(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                   bool *to) {
    const struct eb_node *n = eb_check_get(r, map, path, key, EB_DOC_SCALAR);
    char at[EB_PATH_MAX], quoted[100];
    if (!n)
        return;
    struct eb_doc_event ev = {.kind = n->kind, .text = n->text, .quoted = n->quoted};
    if (!eb_doc_bool(&ev, to))
        eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, key), "write true or false, without quotes",
                          "%s is neither true nor false", eb_node_quote(quoted, n->text));
}

void eb_check_int(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                  int64_t min, int64_t max, int64_t *to) {
    const struct eb_node *n = eb_check_get(r, map, path, key, EB_DOC_SCALAR);
    char at[EB_PATH_MAX], quoted[100], mend[100];
    if (!n || (!n->quoted && eb_num_i64(n->text, min, max, to) == EB_OK))
        return;
    (void)snprintf(mend, sizeof mend, "write a whole number from %lld to %lld, without quotes",
                   (long long)min, (long long)max);
    eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, key), mend, "%s is no such number",
                      eb_node_quote(quoted, n->text));
}

const struct eb_node *eb_check_text(struct eb_reading *r, const struct eb_node *map, const char *path,
                                    const char *key, struct eb_mem *mem, struct eb_str *to) {
    const struct eb_node *n = eb_check_get(r, map, path, key, EB_DOC_SCALAR);
    char at[EB_PATH_MAX];
    if (!n || n->text.n == 0) /* an empty text is one that is not given, as charts have it */
        return NULL;
    if (n->text.n > TEXT_MAX || eb_utf8_has_control(n->text) || !eb_utf8_valid(n->text)) {
        eb_reading_report(r, EB_ERROR, n->line, eb_path(at, path, key), "write it without",
                          n->text.n > TEXT_MAX ? "more than 1024 bytes" : "a control character");
        return NULL;
    }
    *to = eb_mem_str(mem, n->text);
    return n;
}

bool eb_check_tls(struct eb_reading *r, const struct eb_node *map, const char *path, const char *key,
                  enum eb_tls_of of, struct eb_mem *mem, struct eb_site_tls *to) {
    static const char *const known[] = {"ca", "cert", "key", "handshakeFirst"};
    char at[EB_PATH_MAX], file[EB_PATH_MAX];
    const struct eb_node *tls = eb_check_get(r, map, path, key, EB_DOC_MAP);
    if (!tls || tls->n == 0)
        return false;
    (void)eb_path(at, path, key);
    eb_check_keys(r, tls, at, known, EB_COUNT_OF(known) - (of == EB_TLS_MQTT_LISTENER));
    if (of != EB_TLS_MQTT_LISTENER)
        eb_check_bool(r, tls, at, "handshakeFirst", &to->handshake_first);
    struct eb_str *const parts[] = {&to->ca, &to->cert, &to->key};
    for (size_t i = 0; i < EB_COUNT_OF(parts); i++) {
        const struct eb_node *n = eb_check_text(r, tls, at, known[i], mem, parts[i]);
        if (n && n->text.p[0] != '/')
            eb_reading_report(r, EB_ERROR, n->line, eb_path(file, at, known[i]),
                              "write the whole path, from / on",
                              "the path of a file would depend on where the server is started");
    }
    if (!to->cert.p != !to->key.p)
        eb_reading_report(r, EB_ERROR, tls->line, at, to->cert.p ? "write key: too" : "write cert: too",
                          "a certificate and its key come together");
    else if (of != EB_TLS_LEAF_REMOTE && !to->cert.p)
        eb_reading_report(r, EB_ERROR, tls->line, at, "write cert: and key:, or leave the whole block out",
                          "a server needs a certificate of its own");
    return true;
}

static bool host_ok(struct eb_str host) {
    if (host.n > 2 && host.p[0] == '[') /* IPv6 */
        return host.p[host.n - 1] == ']' && strspn(host.p + 1, "0123456789abcdefABCDEF:.") == host.n - 2;
    if (host.n == 0 || host.n > HOST_MAX || host.p[0] == '.' || host.p[0] == '-')
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '.';
        if (!name || (c == '.' && i + 1 < host.n && host.p[i + 1] == '.'))
            return false;
    }
    return true;
}

/* NULL where the URL is good, else what is wrong. */
static const char *url_fault(struct eb_str url, const char **ret_mend) {
    struct eb_str rest = url;
    int64_t port;
    *ret_mend = "write nats://HOST:7422 or tls://HOST:7422";
    if (eb_str_starts(rest, EB_STR("nats://")))
        rest = eb_str_n(rest.p + 7, rest.n - 7);
    else if (eb_str_starts(rest, EB_STR("tls://")))
        rest = eb_str_n(rest.p + 6, rest.n - 6);
    else
        return "begins with neither nats:// nor tls://";
    if (eb_str_has(rest, '@')) {
        *ret_mend = "write it without: the link logs in with its nkey";
        return "has a user or password in it";
    }
    if (eb_str_has(rest, ',')) {
        *ret_mend =
            "write one; a cluster tells its other addresses itself, or put a name there that stands for all";
        return "is more than one address";
    }
    const char *colon = rest.n ? memrchr(rest.p, ':', rest.n) : NULL;
    struct eb_str host = colon ? eb_str_n(rest.p, (size_t)(colon - rest.p)) : rest;
    struct eb_str digits = colon ? eb_str_n(colon + 1, rest.n - host.n - 1) : EB_STR_NONE;
    if (rest.n && rest.p[0] == '[' && rest.p[rest.n - 1] == ']') /* its last colon is of the address */
        host = rest, digits = EB_STR_NONE;
    if (!host_ok(host))
        return "has no host name or address where it belongs";
    if (!digits.p)
        return "has no port";
    if (eb_num_i64(digits, 1, 65535, &port) != EB_OK || digits.p[0] == '0')
        return "has no port from 1 to 65535 at its end";
    return NULL;
}

bool eb_check_url(struct eb_reading *r, size_t line, const char *path, struct eb_str url) {
    const char *mend;
    const char *fault = url_fault(url, &mend);
    char quoted[100];
    bool secret = eb_str_has(url, '@'); /* what stands before it may be a password */
    if (fault)
        eb_reading_report(r, EB_ERROR, line, path, mend, "%s %s",
                          secret ? "the URL" : eb_node_quote(quoted, url), fault);
    return !fault;
}
