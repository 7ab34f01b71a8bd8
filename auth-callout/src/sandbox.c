#include "sandbox.h"

#include <libgen.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/num.h"
#include "kube/access.h"
#include "landlock.h"
#include "log.h"
#include "login.h"
#include "syscalls.h"
#include "trace/settings.h"

/* What the C library and TLS read at run time: name resolution, CAs, time zone. */
static const char *const system_paths[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/gnutls",
    "/etc/crypto-policies",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/usr/local/share/ca-certificates",
    "/proc/self",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/dev/urandom",
    "/dev/null",
};

/* Runtimes of the sanitizers make calls and open files of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

void eb_sandbox_early(void) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* The folder of a file: renames and symlink swaps inside it must stay visible. */
static void allow_folder(struct eb_landlock *l, const char *path, bool write) {
    if (!path)
        return;
    eb_auto_free char *copy = eb_str_dup(eb_str(path));
    if (copy)
        eb_landlock_path(l, dirname(copy), write);
    char real[PATH_MAX];
    if (realpath(path, real))
        eb_landlock_path(l, dirname(real), write);
}

/* The port of a URL, or fallback where it names none. */
static uint16_t port_of(struct eb_str url, uint16_t fallback) {
    const char *scheme = url.n > 3 ? memmem(url.p, url.n, "://", 3) : NULL;
    if (scheme)
        url = eb_str_n(scheme + 3, url.n - (size_t)(scheme + 3 - url.p));
    struct eb_str host = eb_str_cut(&url, '/');
    const char *colon = host.n ? memrchr(host.p, ':', host.n) : NULL;
    int64_t port = 0;
    if (!colon ||
        eb_num_i64(eb_str_n(colon + 1, host.n - (size_t)(colon + 1 - host.p)), 1, 65535, &port) != EB_OK)
        return fallback;
    return (uint16_t)port;
}

/* How the API server of an issuer is reached; empty where it has none, or its settings cannot be used (which
 * the start then tells). */
static void access_of(const struct eb_issuer_config *i, struct eb_kube_access *ret) {
    *ret = (struct eb_kube_access){0};
    if (i->kind == EB_ISSUER_KUBERNETES && eb_kube_access_load(&i->kube, ret, NULL) != EB_OK)
        *ret = (struct eb_kube_access){0};
}

static void allow_issuer_files(struct eb_landlock *l, const struct eb_issuer_config *i) {
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access api;
    access_of(i, &api);
    const char *const read[] = {i->path,        i->ca,         i->kube.kubeconfig, api.ca_file,
                                api.token_file, api.cert_file, api.key_file};
    for (size_t n = 0; n < EB_COUNT_OF(read); n++)
        allow_folder(l, read[n], false);
    allow_folder(l, i->cache_file, true);
}

static void allow_issuer_ports(struct eb_landlock *l, const struct eb_issuer_config *i) {
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access api;
    access_of(i, &api);
    if (i->url)
        eb_landlock_connect(l, port_of(eb_str(i->url), 443));
    if (api.url)
        eb_landlock_connect(l, port_of(eb_str(api.url), 443));
}

static void allow_files(struct eb_landlock *l, const struct eb_config *c, const char *config_path,
                        const char *hot_path) {
    for (size_t i = 0; i < EB_COUNT_OF(system_paths); i++)
        eb_landlock_path(l, system_paths[i], false);
    const char *const read[] = {config_path,
                                hot_path,
                                c->permissions_file,
                                c->mtls_ca_path,
                                c->nats_nkey_seed_file,
                                c->nats_creds_file,
                                c->nats_tls_ca,
                                c->nats_tls_cert,
                                c->nats_tls_key,
                                c->trace.headers_file,
                                c->trace.tls_ca,
                                c->trace.tls_cert,
                                c->trace.tls_key,
                                c->mqtt_streams_file};
    for (size_t i = 0; i < EB_COUNT_OF(read); i++)
        allow_folder(l, read[i], false);
    const struct eb_strs *lists[] = {&c->issuer_seed_files, &c->xkey_seed_files};
    for (size_t i = 0; i < EB_COUNT_OF(lists); i++)
        for (size_t j = 0; j < lists[i]->n; j++)
            allow_folder(l, lists[i]->v[j], false);
    for (size_t i = 0; i < c->accounts_n; i++)
        allow_folder(l, c->accounts[i].signing_seed_file, false);
    for (size_t i = 0; eb_config_issuer(c, i); i++)
        allow_issuer_files(l, eb_config_issuer(c, i));
}

static void allow_ports(struct eb_landlock *l, const struct eb_config *c) {
    struct eb_str rest = eb_str(c->nats_url), url;
    while (eb_login_next_url(&rest, &url))
        eb_landlock_connect(l, port_of(url, 4222));
    static const uint16_t usual[] = {53, 80, 443,
                                     4222}; /* names; redirects; servers that the cluster tells of */
    for (size_t i = 0; i < EB_COUNT_OF(usual); i++)
        eb_landlock_connect(l, usual[i]);
    for (size_t i = 0; eb_config_issuer(c, i); i++)
        allow_issuer_ports(l, eb_config_issuer(c, i));
    if (eb_trace_on(&c->trace)) {
        eb_auto_buf struct eb_buf collector = {0};
        eb_trace_url(&c->trace, &collector);
        eb_landlock_connect(l, port_of(eb_buf_get(&collector), 443));
    }
    eb_landlock_bind(l, (uint16_t)c->host_port);
    eb_landlock_bind(l, (uint16_t)c->metrics_port);
}

static enum eb_rc apply_landlock(const struct eb_config *c, const char *config_path, const char *hot_path,
                                 int *ret_abi, struct eb_err *reterr) {
    if (!c->sandbox_landlock)
        return EB_FAIL(reterr, EB_E_INTERNAL, "landlock: switched off");
    struct eb_landlock *l = NULL;
    enum eb_rc rc = eb_landlock_new(&l, ret_abi, reterr);
    if (rc != EB_OK)
        return rc;
    allow_files(l, c, config_path, hot_path);
    allow_ports(l, c);
    return eb_landlock_apply(l, reterr);
}

static enum eb_rc apply_seccomp(const struct eb_config *c, struct eb_err *reterr) {
    if (!c->sandbox_seccomp)
        return EB_FAIL(reterr, EB_E_INTERNAL, "seccomp: switched off");
    if (SANITIZED)
        return EB_FAIL(reterr, EB_E_INTERNAL, "seccomp: not in a build with sanitizers");
    return eb_seccomp_apply(reterr);
}

enum eb_rc eb_sandbox_apply(const struct eb_config *c, const char *config_path, const char *hot_path,
                            struct eb_err *reterr) {
    struct eb_err no_landlock = {0}, no_seccomp = {0};
    int abi = 0;
    enum eb_rc files = apply_landlock(c, config_path, hot_path, &abi, &no_landlock);
    enum eb_rc calls = apply_seccomp(c, &no_seccomp);
    struct eb_log_line l;
    bool all = files == EB_OK && calls == EB_OK;
    eb_log_begin(&l, all ? EB_LOG_INFO : EB_LOG_WARN, all ? "sandbox applied" : "sandbox applied in part");
    eb_log_z(&l, "landlock",
             files == EB_OK ? (abi >= 4 ? "files and TCP ports" : "files") : no_landlock.text);
    eb_log_int(&l, "landlock_abi", abi);
    eb_log_z(&l, "seccomp", calls == EB_OK ? "on" : no_seccomp.text);
    eb_log_z(&l, "core_dumps", "off");
    eb_log_end(&l);
    if (!all && c->require_sandbox)
        return EB_FAIL(reterr, EB_E_INTERNAL, "sandbox.require is set, but: %s",
                       files != EB_OK ? no_landlock.text : no_seccomp.text);
    return EB_OK;
}
