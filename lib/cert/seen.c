#include "cert/seen.h"

#include <sodium.h>

#include "cert/leaf.h"

struct chain {
    unsigned char hash[EB_SEEN_HASH];
    int64_t from, until;
    struct eb_cert_leaf leaf;
};

struct eb_seen {
    pthread_mutex_t lock;
    struct chain *chains[EB_SEEN_SETS][EB_SEEN_WAYS];
    unsigned char next_way[EB_SEEN_SETS];
    struct {
        unsigned char hash[EB_SEEN_HASH];
        X509 *x;
    } intermediates[EB_SEEN_INTERMEDIATES];
    unsigned next_intermediate;
};

static void chain_free(struct chain *c) {
    if (!c)
        return;
    eb_cert_leaf_done(&c->leaf);
    free(c);
}
EB_DEFINE_CLEANUP(struct chain, chain_free);

struct eb_seen *eb_seen_new(void) {
    struct eb_seen *s = calloc(1, sizeof *s);
    if (s)
        (void)pthread_mutex_init(&s->lock, NULL);
    return s;
}

void eb_seen_free(struct eb_seen *s) {
    if (!s)
        return;
    for (size_t set = 0; set < EB_SEEN_SETS; set++)
        for (size_t way = 0; way < EB_SEEN_WAYS; way++)
            chain_free(s->chains[set][way]);
    for (size_t i = 0; i < EB_SEEN_INTERMEDIATES; i++)
        X509_free(s->intermediates[i].x);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

void eb_seen_hash(const struct eb_str *texts, size_t n, unsigned char ret[EB_SEEN_HASH]) {
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, EB_SEEN_HASH);
    for (size_t i = 0; i < n; i++) {
        uint64_t len = texts[i].n;
        (void)crypto_generichash_update(&state, (const unsigned char *)&len, sizeof len);
        (void)crypto_generichash_update(&state, (const unsigned char *)texts[i].p, texts[i].n);
    }
    (void)crypto_generichash_final(&state, ret, EB_SEEN_HASH);
}

static size_t set_of(const unsigned char hash[EB_SEEN_HASH]) {
    return (hash[0] | (size_t)hash[1] << 8) % EB_SEEN_SETS;
}

bool eb_seen_chain(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], int64_t now_s,
                   struct eb_cert_leaf *ret) {
    size_t set = set_of(hash);
    EB_LOCKED(&s->lock);
    for (size_t way = 0; way < EB_SEEN_WAYS; way++) {
        const struct chain *c = s->chains[set][way];
        if (c && memcmp(c->hash, hash, EB_SEEN_HASH) == 0)
            return c->from <= now_s && now_s < c->until && eb_cert_leaf_dup(&c->leaf, ret);
    }
    return false;
}

void eb_seen_add_chain(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], int64_t from, int64_t until,
                       const struct eb_cert_leaf *leaf) {
    EB_CLEANUP(chain_freep) struct chain *c = calloc(1, sizeof *c);
    if (!c || !eb_cert_leaf_dup(leaf, &c->leaf))
        return; /* remembering is only for speed */
    memcpy(c->hash, hash, EB_SEEN_HASH);
    c->from = from;
    c->until = until;
    size_t set = set_of(hash), way = 0;
    EB_LOCKED(&s->lock);
    while (way < EB_SEEN_WAYS && s->chains[set][way] &&
           memcmp(s->chains[set][way]->hash, hash, EB_SEEN_HASH) != 0)
        way++;
    if (way == EB_SEEN_WAYS)
        way = s->next_way[set]++ % EB_SEEN_WAYS;
    struct chain *old = s->chains[set][way];
    s->chains[set][way] = c;
    c = old;
}

X509 *eb_seen_intermediate(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH]) {
    EB_LOCKED(&s->lock);
    for (size_t i = 0; i < EB_SEEN_INTERMEDIATES; i++) {
        X509 *x = s->intermediates[i].x;
        if (x && memcmp(s->intermediates[i].hash, hash, EB_SEEN_HASH) == 0 && X509_up_ref(x) == 1)
            return x;
    }
    return NULL;
}

void eb_seen_add_intermediate(struct eb_seen *s, const unsigned char hash[EB_SEEN_HASH], X509 *x) {
    EB_LOCKED(&s->lock);
    for (size_t i = 0; i < EB_SEEN_INTERMEDIATES; i++)
        if (s->intermediates[i].x && memcmp(s->intermediates[i].hash, hash, EB_SEEN_HASH) == 0)
            return;
    if (X509_up_ref(x) != 1)
        return;
    size_t at = s->next_intermediate++ % EB_SEEN_INTERMEDIATES;
    X509_free(s->intermediates[at].x);
    s->intermediates[at].x = x;
    memcpy(s->intermediates[at].hash, hash, EB_SEEN_HASH);
}
