/* A kubeconfig, as far as one connection needs it. Source: Kubernetes, "kubeconfig (v1)". */
#ifndef EB_KUBE_KUBECONFIG_H
#define EB_KUBE_KUBECONFIG_H

#include "kube/access.h"

#define EB_KUBECONFIG_MAX                                                                                    \
    ((size_t)4 << 20) /* bytes of a file: those of many clusters hold many certificates */

/*
 * What the current-context of the file says; relative paths in it count from its folder. Errors as
 * eb_kube_access_load. *ret is written on success only, to be released with eb_kube_access_done.
 */
EB_MUSTCHECK enum eb_rc eb_kubeconfig_read(const char *path, struct eb_kube_access *ret,
                                           struct eb_err *reterr);

#endif
