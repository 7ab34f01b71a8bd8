#include "kube/share.h"

#include <stdlib.h>

#define FIRST_CAP 64 /* a power of two */

/* The entry of the namespace, or the free one where it would go; cap must not be 0. */
static size_t place(const struct eb_kube_shares *s, uint64_t ns) {
    size_t at = ns & (s->cap - 1);
    while (s->v[at].n && s->v[at].ns != ns)
        at = (at + 1) & (s->cap - 1);
    return at;
}

size_t eb_kube_shares_get(const struct eb_kube_shares *s, uint64_t ns) {
    return s->cap ? s->v[place(s, ns)].bytes : 0;
}

static bool make_room(struct eb_kube_shares *s) {
    if (s->used < s->cap / 4 * 3)
        return true;
    struct eb_kube_shares wider = {.cap = s->cap ? s->cap * 2 : FIRST_CAP, .used = s->used};
    wider.v = calloc(wider.cap, sizeof *wider.v);
    if (!wider.v)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->v[i].n)
            wider.v[place(&wider, s->v[i].ns)] = s->v[i];
    free(s->v);
    *s = wider;
    return true;
}

bool eb_kube_shares_add(struct eb_kube_shares *s, uint64_t ns, size_t bytes) {
    if (!make_room(s))
        return false;
    struct eb_kube_share *share = &s->v[place(s, ns)];
    s->used += share->n == 0;
    share->ns = ns;
    share->bytes += bytes;
    share->n++;
    return true;
}

void eb_kube_shares_sub(struct eb_kube_shares *s, uint64_t ns, size_t bytes) {
    size_t hole = place(s, ns), mask = s->cap - 1;
    s->v[hole].bytes -= bytes;
    if (--s->v[hole].n)
        return;
    s->used--; /* the ones behind it move up, so that no search ends too early */
    for (size_t at = (hole + 1) & mask; s->v[at].n; at = (at + 1) & mask) {
        size_t home = s->v[at].ns & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            s->v[hole] = s->v[at];
            hole = at;
        }
    }
    s->v[hole] = (struct eb_kube_share){.n = 0};
}

void eb_kube_shares_done(struct eb_kube_shares *s) {
    free(s->v);
    *s = (struct eb_kube_shares){.v = NULL};
}
