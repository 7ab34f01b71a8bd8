/* Bytes by namespace, so that one does not take what is meant for all. For one thread, or under its owner's
 * lock. */
#ifndef EB_KUBE_SHARE_H
#define EB_KUBE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct eb_kube_share {
    uint64_t ns; /* hash of the namespace, keyed: whose collide share, and nobody can choose that */
    size_t bytes, n;
};
/* Open addressing; zero-initialised it is empty. */
struct eb_kube_shares {
    struct eb_kube_share *v; /* n = 0: free */
    size_t cap, used;
};

size_t eb_kube_shares_get(const struct eb_kube_shares *s, uint64_t ns);
/* One thing more of a namespace. False without memory, then nothing happened. */
EB_MUSTCHECK bool eb_kube_shares_add(struct eb_kube_shares *s, uint64_t ns, size_t bytes);
/* One that was added goes. */
void eb_kube_shares_sub(struct eb_kube_shares *s, uint64_t ns, size_t bytes);
void eb_kube_shares_done(struct eb_kube_shares *s);

#endif
