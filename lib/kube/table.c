#include "kube/table.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kube/name.h"
#include "kube/share.h"

#define FIRST_CAP 256 /* a power of two */

struct slot {
    uint64_t hash, ns_hash;
    struct eb_kube_account *a; /* NULL = free */
};

/* Open addressing, linear probing; at most three quarters full, so that every search ends. */
struct slots {
    struct slot *v;
    size_t cap, n, bytes; /* bytes: of the records */
    size_t cut;           /* records that are kept by name only */
    struct eb_kube_shares shares;
};

struct eb_kube_table {
    pthread_mutex_t lock; /* of slots */
    struct slots slots;
    const struct eb_kube_rules *rules; /* NULL: nothing is granted by name */
    /* Nobody who names ServiceAccounts can choose names that collide. */
    unsigned char key[crypto_shorthash_KEYBYTES];
};

struct eb_kube_relist {
    struct eb_kube_table *table;
    struct slots slots;
};

static uint64_t hash_text(const struct eb_kube_table *t, const unsigned char *text, size_t n) {
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash = 0;
    (void)crypto_shorthash(out, text, n, t->key);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

/* A name that cannot be is not found: it hashes as nothing. */
static uint64_t hash_of(const struct eb_kube_table *t, struct eb_str ns, struct eb_str name) {
    unsigned char text[EB_KUBE_LABEL_MAX + 1 + EB_KUBE_NAME_MAX];
    if (ns.n == 0 || name.n == 0 || ns.n > EB_KUBE_LABEL_MAX || name.n > EB_KUBE_NAME_MAX)
        return 0;
    memcpy(text, ns.p, ns.n);
    text[ns.n] = '/';
    memcpy(text + ns.n + 1, name.p, name.n);
    return hash_text(t, text, ns.n + 1 + name.n);
}

/* The slot of that name, or the free one where it would go; NULL where there are no slots. */
static struct slot *slot_of(const struct slots *s, uint64_t hash, struct eb_str ns, struct eb_str name) {
    if (!s->cap)
        return NULL;
    size_t at = hash & (s->cap - 1);
    for (; s->v[at].a; at = (at + 1) & (s->cap - 1))
        if (s->v[at].hash == hash && eb_str_eq(s->v[at].a->ns, ns) && eb_str_eq(s->v[at].a->name, name))
            break;
    return &s->v[at];
}

static struct eb_kube_account *get(const struct slots *s, uint64_t hash, struct eb_str ns,
                                   struct eb_str name) {
    const struct slot *slot = slot_of(s, hash, ns, name);
    return slot ? slot->a : NULL;
}

static bool make_room(struct slots *s) {
    if (s->n < s->cap / 4 * 3)
        return true;
    struct slots wider = *s;
    wider.cap = s->cap ? s->cap * 2 : FIRST_CAP;
    wider.v = calloc(wider.cap, sizeof *wider.v);
    if (!wider.v)
        return false;
    for (size_t i = 0; i < s->cap; i++) {
        size_t at = s->v[i].hash & (wider.cap - 1);
        if (!s->v[i].a)
            continue;
        while (wider.v[at].a)
            at = (at + 1) & (wider.cap - 1);
        wider.v[at] = s->v[i];
    }
    free(s->v);
    *s = wider;
    return true;
}

/* Takes the record out; the ones behind it move up, so that no search ends too early. */
static struct eb_kube_account *take_out(struct slots *s, uint64_t hash, struct eb_str ns,
                                        struct eb_str name) {
    struct slot *slot = slot_of(s, hash, ns, name);
    struct eb_kube_account *old = slot ? slot->a : NULL;
    if (!old)
        return NULL;
    size_t hole = (size_t)(slot - s->v), mask = s->cap - 1;
    eb_kube_shares_sub(&s->shares, slot->ns_hash, eb_kube_account_bytes(old));
    s->cut -= old->by_name_only;
    for (size_t at = (hole + 1) & mask; s->v[at].a; at = (at + 1) & mask) {
        size_t home = s->v[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            s->v[hole] = s->v[at];
            hole = at;
        }
    }
    s->v[hole] = (struct slot){.a = NULL};
    s->n--;
    s->bytes -= eb_kube_account_bytes(old);
    return old;
}

/* True where a has room, old being gone. */
static bool has_room(const struct slots *s, uint64_t ns_hash, const struct eb_kube_account *a,
                     const struct eb_kube_account *old) {
    size_t bytes = eb_kube_account_bytes(a), freed = old ? eb_kube_account_bytes(old) : 0;
    size_t all = s->bytes + bytes - freed, share = eb_kube_shares_get(&s->shares, ns_hash) + bytes - freed;
    return bytes <= EB_KUBE_SMALL_MAX ? all <= EB_KUBE_TABLE_MAX && share <= EB_KUBE_SHARE_MAX
                                      : all <= EB_KUBE_TABLE_LONG_MAX && share <= EB_KUBE_SHARE_LONG_MAX;
}

/* Puts a, whose reference is the slots' from then on; what was there is handed back in *ret_old. */
static enum eb_rc put_in(struct slots *s, uint64_t hash, uint64_t ns_hash, struct eb_kube_account *a,
                         struct eb_kube_account **ret_old) {
    struct eb_kube_account *old = get(s, hash, a->ns, a->name);
    if (old != a && !has_room(s, ns_hash, a, old))
        return EB_E_TOO_LARGE;
    if ((!old && !make_room(s)) || !eb_kube_shares_add(&s->shares, ns_hash, eb_kube_account_bytes(a)))
        return EB_E_NOMEM;
    if (old) {
        eb_kube_shares_sub(&s->shares, ns_hash, eb_kube_account_bytes(old));
        s->bytes -= eb_kube_account_bytes(old);
        s->cut -= old->by_name_only;
    }
    *slot_of(s, hash, a->ns, a->name) = (struct slot){hash, ns_hash, a};
    s->n += !old;
    s->bytes += eb_kube_account_bytes(a);
    s->cut += a->by_name_only;
    *ret_old = old;
    return EB_OK;
}

static void slots_done(struct slots *s) {
    for (size_t i = 0; i < s->cap; i++)
        eb_kube_account_unref(s->v[i].a);
    free(s->v);
    eb_kube_shares_done(&s->shares);
    *s = (struct slots){0};
}

static enum eb_rc refuse(enum eb_rc rc, const struct eb_kube_account *a, struct eb_err *reterr) {
    if (rc == EB_E_TOO_LARGE)
        return EB_FAIL(
            reterr, rc,
            "no room for %.*s/%.*s: all ServiceAccounts take up to %zu MiB, those of one namespace "
            "%zu MiB",
            EB_STR_ARG(a->ns), EB_STR_ARG(a->name), EB_KUBE_TABLE_MAX >> 20, EB_KUBE_SHARE_MAX >> 20);
    return EB_FAIL(reterr, rc, "out of memory");
}

enum eb_rc eb_kube_table_new(const struct eb_kube_rules *rules, struct eb_kube_table **ret,
                             struct eb_err *reterr) {
    struct eb_kube_table *t = calloc(1, sizeof *t);
    if (!t)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return EB_FAIL(reterr, EB_E_NOMEM, "no lock for the ServiceAccounts");
    }
    randombytes_buf(t->key, sizeof t->key);
    t->rules = rules;
    *ret = t;
    return EB_OK;
}

void eb_kube_table_free(struct eb_kube_table *t) {
    if (!t)
        return;
    slots_done(&t->slots);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

struct eb_kube_account *eb_kube_table_find(struct eb_kube_table *t, struct eb_str ns, struct eb_str name) {
    uint64_t hash = hash_of(t, ns, name);
    EB_LOCKED(&t->lock);
    struct eb_kube_account *a = get(&t->slots, hash, ns, name);
    return a ? eb_kube_account_ref(a) : NULL;
}

size_t eb_kube_table_count(struct eb_kube_table *t) {
    EB_LOCKED(&t->lock);
    return t->slots.n;
}

size_t eb_kube_table_cut(struct eb_kube_table *t) {
    EB_LOCKED(&t->lock);
    return t->slots.cut;
}

size_t eb_kube_table_bytes(struct eb_kube_table *t) {
    EB_LOCKED(&t->lock);
    return t->slots.bytes + t->slots.cap * sizeof(struct slot) +
           t->slots.shares.cap * sizeof(struct eb_kube_share);
}

/* How a differs from the table's record; where it does not, *a becomes the table's, which is kept. */
static enum eb_kube_change compare(struct eb_kube_table *t, struct eb_kube_account **a) {
    struct eb_kube_account *old = eb_kube_table_find(t, (*a)->ns, (*a)->name);
    if (!old) {
        (void)eb_kube_account_ref(*a);
        return EB_KUBE_NEW;
    }
    if (eb_kube_account_same(old, *a)) {
        *a = old;
        return EB_KUBE_SAME;
    }
    eb_kube_account_unref(old);
    (void)eb_kube_account_ref(*a);
    return EB_KUBE_CHANGED;
}

/* Puts a into the table, or into the list where it is given. */
static enum eb_rc put_once(struct eb_kube_table *t, struct slots *list, struct eb_kube_account *a,
                           enum eb_kube_change *ret_change) {
    uint64_t hash = hash_of(t, a->ns, a->name),
             ns_hash = hash_text(t, (const unsigned char *)a->ns.p, a->ns.n);
    struct eb_kube_account *mine = a;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *old = NULL;
    enum eb_kube_change change = compare(t, &mine); /* mine: a reference */
    enum eb_rc rc;
    if (list) {
        rc = put_in(list, hash, ns_hash, mine, &old);
    } else {
        EB_LOCKED(&t->lock);
        rc = put_in(&t->slots, hash, ns_hash, mine, &old);
    }
    if (rc == EB_OK)
        *ret_change = change;
    else
        eb_kube_account_unref(mine);
    return rc;
}

static enum eb_rc put(struct eb_kube_table *t, struct slots *list, struct eb_kube_account *a,
                      enum eb_kube_change *ret_change, struct eb_err *reterr) {
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *cut = NULL;
    enum eb_rc rc = put_once(t, list, a, ret_change);
    if (rc == EB_E_TOO_LARGE && t->rules) {
        rc = eb_kube_account_by_name(a, t->rules, &cut, NULL);
        if (rc == EB_OK)
            rc = put_once(t, list, cut, ret_change);
    }
    return rc == EB_OK ? EB_OK : refuse(rc, a, reterr);
}

enum eb_rc eb_kube_table_put(struct eb_kube_table *t, struct eb_kube_account *a,
                             enum eb_kube_change *ret_change, struct eb_err *reterr) {
    enum eb_rc rc = put(t, NULL, a, ret_change, reterr);
    if (rc != EB_OK)
        (void)eb_kube_table_remove(t, a->ns, a->name);
    return rc;
}

bool eb_kube_table_remove(struct eb_kube_table *t, struct eb_str ns, struct eb_str name) {
    uint64_t hash = hash_of(t, ns, name);
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *old = NULL;
    {
        EB_LOCKED(&t->lock);
        old = take_out(&t->slots, hash, ns, name);
    }
    return old != NULL;
}

enum eb_rc eb_kube_relist_new(struct eb_kube_table *t, struct eb_kube_relist **ret, struct eb_err *reterr) {
    struct eb_kube_relist *r = calloc(1, sizeof *r);
    if (!r)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    r->table = t;
    *ret = r;
    return EB_OK;
}

void eb_kube_relist_free(struct eb_kube_relist *r) {
    if (!r)
        return;
    slots_done(&r->slots);
    free(r);
}

enum eb_rc eb_kube_relist_add(struct eb_kube_relist *r, struct eb_kube_account *a,
                              enum eb_kube_change *ret_change, struct eb_err *reterr) {
    return put(r->table, &r->slots, a, ret_change, reterr);
}

void eb_kube_relist_each_new(struct eb_kube_relist *r, void (*fn)(void *ctx, const struct eb_kube_account *a),
                             void *ctx) {
    for (size_t i = 0; i < r->slots.cap; i++) {
        const struct slot *s = &r->slots.v[i];
        bool same = false;
        if (!s->a)
            continue;
        {
            EB_LOCKED(&r->table->lock); /* one that is the same is the table's */
            same = get(&r->table->slots, s->hash, s->a->ns, s->a->name) == s->a;
        }
        if (!same)
            fn(ctx, s->a);
    }
}

size_t eb_kube_relist_commit(struct eb_kube_relist *r) {
    struct eb_kube_table *t = r->table;
    size_t gone = 0;
    {
        EB_LOCKED(&t->lock);
        struct slots old = t->slots;
        t->slots = r->slots;
        r->slots = old;
    }
    for (size_t i = 0; i < r->slots.cap; i++) {
        const struct slot *s = &r->slots.v[i];
        if (!s->a)
            continue;
        EB_LOCKED(&t->lock);
        gone += get(&t->slots, s->hash, s->a->ns, s->a->name) == NULL;
    }
    slots_done(&r->slots);
    return gone;
}
