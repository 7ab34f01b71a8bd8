/* The names of Kubernetes that become parts of subjects. Source: Kubernetes object names (RFC 1123 labels and
 * subdomains). */
#ifndef EB_KUBE_NAME_H
#define EB_KUBE_NAME_H

#include "base/str.h"

#define EB_KUBE_LABEL_MAX 63 /* bytes of a namespace */
#define EB_KUBE_NAME_MAX 253 /* bytes of a ServiceAccount's, pod's or node's name */
#define EB_KUBE_UID_MAX 128  /* bytes of a uid; a UUID has 36 */

/* True for an RFC 1123 label: 1 to 63 lower-case letters, digits and `-`, a letter or digit at both ends. */
bool eb_kube_is_label(struct eb_str s);
/* True for an RFC 1123 subdomain: labels with dots between them (each end a letter or digit), 1 to 253 bytes
 * in all. */
bool eb_kube_is_subdomain(struct eb_str s);
/* True for 1 to EB_KUBE_UID_MAX visible ASCII characters. */
bool eb_kube_is_uid(struct eb_str s);

#endif
