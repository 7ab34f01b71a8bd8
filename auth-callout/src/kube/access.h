/*
 * How to reach one Kubernetes API: its URL, the CA that its certificate must come from, and what the service
 * shows there. From a pod's files, a kubeconfig, or settings of their own. Source: Kubernetes documentation
 * of kubeconfig files and of access from a pod.
 */
#ifndef EB_KUBE_ACCESS_H
#define EB_KUBE_ACCESS_H

#include "config.h"

#define EB_KUBE_POD_FILES                                                                                    \
    "/var/run/secrets/kubernetes.io/serviceaccount" /* where a pod finds token, ca.crt */

/* Files are named, not read: what stands in them is read again for each request, so that it may rotate. Of a
 * pair (file, data) at most one is set. */
struct eb_kube_access {
    char *url;         /* https://host:port, or http to loopback; without a `/` at the end */
    char *server_name; /* in the certificate, where it is not the URL's host; NULL */
    char *ca_file;     /* PEM; neither = the system's CAs */
    struct eb_secret *ca_data;
    char *token_file;
    struct eb_secret *token;
    char *cert_file, *key_file; /* PEM, of a client certificate */
    struct eb_secret *cert_data, *key_data;
    char *from; /* the kubeconfig, NULL where it was none */
};
void eb_kube_access_done(struct eb_kube_access *a);

/*
 * Reads the settings: exactly one of in-cluster, kubeconfig and api-url; api-url, api-ca and token-file
 * replace the pod's own values with in-cluster. EB_E_INVALID: nothing set, contradictions, a kubeconfig that
 * asks for what is not taken (exec, auth-provider, user and password, insecure-skip-tls-verify,
 * impersonation, proxies) or lacks what its current-context names; EB_E_IO for a file that cannot be read.
 * The text names the option or the file and what to write instead. Reads no file but the kubeconfig. *ret is
 * written on success only, to be released with eb_kube_access_done.
 */
EB_MUSTCHECK enum eb_rc eb_kube_access_load(const struct eb_kube_config *c, struct eb_kube_access *ret,
                                            struct eb_err *reterr);
/*
 * What the access's kubeconfig says now, in the place of what it said before: it holds tokens and
 * certificates itself. Nothing to do where there is none. On failure the access is as it was; errors as
 * eb_kube_access_load.
 */
EB_MUSTCHECK enum eb_rc eb_kube_access_refresh(struct eb_kube_access *a, struct eb_err *reterr);
/* True where the settings name any API connection at all. */
bool eb_kube_access_given(const struct eb_kube_config *c);
/*
 * The faults of an issuer's connection as findings at path (`kubernetes`, `issuers[2]`): those of
 * eb_kube_access_load, and files that are not there or hold nothing usable. For the start and check-config.
 */
void eb_kube_access_check(const struct eb_kube_config *c, const char *path, struct eb_findings *f);

#endif
