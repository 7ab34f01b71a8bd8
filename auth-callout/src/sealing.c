#include "sealing.h"

#include <pthread.h>
#include <sodium.h>

/* One slot: a peer and one of our keys. A set-associative table: a peer hashes to a set, the oldest of the
 * set is replaced. */
enum { WAYS = 8, SETS = EB_SEALING_PEERS / WAYS };

struct slot {
    uint8_t peer[EB_NKEY_RAW_LEN], own[EB_NKEY_RAW_LEN];
    struct eb_xkey_shared shared;
    uint64_t used; /* 0 = free */
};

struct eb_sealing {
    pthread_mutex_t mutex;
    uint64_t tick;
    uint8_t salt[16];
    struct slot (*sets)[WAYS]; /* in guarded memory */
};

struct eb_sealing *eb_sealing_new(void) {
    struct eb_sealing *s = calloc(1, sizeof *s);
    if (!s || !(s->sets = sodium_malloc(sizeof(struct slot[SETS][WAYS])))) {
        free(s);
        return NULL;
    }
    memset(s->sets, 0, sizeof(struct slot[SETS][WAYS]));
    (void)pthread_mutex_init(&s->mutex, NULL);
    randombytes_buf(s->salt, sizeof s->salt);
    return s;
}

void eb_sealing_free(struct eb_sealing *s) {
    if (!s)
        return;
    sodium_free(s->sets);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

static struct slot *set_of(const struct eb_sealing *s, const uint8_t peer[EB_NKEY_RAW_LEN]) {
    uint8_t hash[crypto_shorthash_BYTES];
    (void)crypto_shorthash(hash, peer, EB_NKEY_RAW_LEN, s->salt);
    return s->sets[hash[0] % SETS];
}

static bool cached(struct eb_sealing *s, const uint8_t *peer, const uint8_t *own,
                   struct eb_xkey_shared *ret) {
    EB_LOCKED(&s->mutex);
    struct slot *set = set_of(s, peer);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].used && memcmp(set[i].peer, peer, EB_NKEY_RAW_LEN) == 0 &&
            memcmp(set[i].own, own, EB_NKEY_RAW_LEN) == 0) {
            set[i].used = ++s->tick;
            *ret = set[i].shared;
            return true;
        }
    }
    return false;
}

static void keep(struct eb_sealing *s, const uint8_t *peer, const uint8_t *own,
                 const struct eb_xkey_shared *shared) {
    EB_LOCKED(&s->mutex);
    struct slot *set = set_of(s, peer), *oldest = &set[0];
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].used < oldest->used)
            oldest = &set[i];
    memcpy(oldest->peer, peer, EB_NKEY_RAW_LEN);
    memcpy(oldest->own, own, EB_NKEY_RAW_LEN);
    oldest->shared = *shared;
    oldest->used = ++s->tick;
}

/*
 * Only a secret that opened something is kept, so that a stranger's garbage cannot push the servers' secrets
 * out. (A stranger who knows our public key can still seal; he then needs a request that verifies to get
 * further.)
 */
static bool open_with(struct eb_sealing *s, const struct eb_nkey *own, const uint8_t *peer,
                      struct eb_str sealed, struct eb_buf *to, struct eb_xkey_shared *shared) {
    const uint8_t *own_raw = eb_nkey_public_raw(own);
    bool had = cached(s, peer, own_raw, shared);
    if (!had && eb_xkey_shared_init(shared, own, peer) != EB_OK)
        return false;
    size_t n = to->n;
    if (eb_xkey_open(shared, sealed, to) != EB_OK) {
        to->n = n;
        eb_xkey_shared_done(shared);
        return false;
    }
    if (!had)
        keep(s, peer, own_raw, shared);
    return true;
}

enum eb_rc eb_sealing_open(struct eb_sealing *s, const struct eb_signer *signer, struct eb_str peer,
                           struct eb_str sealed, struct eb_buf *to, struct eb_xkey_shared *ret_shared,
                           struct eb_err *reterr) {
    uint8_t raw[EB_NKEY_RAW_LEN];
    if (eb_nkey_public_decode(peer, EB_NKEY_CURVE, NULL, raw, NULL) != EB_OK)
        return EB_FAIL(reterr, EB_E_REQ_XKEY,
                       "the request is sealed, but its Nats-Server-Xkey header holds no curve key");
    size_t n = eb_signer_curves(signer);
    if (n == 0)
        return EB_FAIL(reterr, EB_E_REQ_XKEY, "the request is sealed, and nats.xkey-seed is not set here");
    for (size_t i = n; i-- > 0;)
        if (open_with(s, eb_signer_curve(signer, i), raw, sealed, to, ret_shared))
            return EB_OK;
    return EB_FAIL(reterr, EB_E_REQ_XKEY,
                   "none of our xkeys opens the request: the server's auth_callout xkey is another key");
}
