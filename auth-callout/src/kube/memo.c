#include "kube/memo.h"

#include <stdlib.h>

enum { SET = 8, SETS = EB_KUBE_MEMO_PLACES / SET };

struct place {
    uint8_t key[EB_KUBE_MEMO_KEY];
    int64_t until_ns; /* 0 = free */
    enum eb_kube_answer answer;
};

struct eb_kube_memo {
    struct place places[EB_KUBE_MEMO_PLACES];
};

struct eb_kube_memo *eb_kube_memo_new(void) {
    return calloc(1, sizeof(struct eb_kube_memo));
}

void eb_kube_memo_free(struct eb_kube_memo *m) {
    free(m);
}

static size_t set_of(const uint8_t key[EB_KUBE_MEMO_KEY]) {
    return (size_t)(key[0] | (unsigned)key[1] << 8) % SETS * SET;
}

static struct place *find(const struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY]) {
    struct place *set = (struct place *)(uintptr_t)&m->places[set_of(key)];
    for (size_t i = 0; i < SET; i++)
        if (set[i].until_ns && memcmp(set[i].key, key, EB_KUBE_MEMO_KEY) == 0)
            return &set[i];
    return NULL;
}

static bool is_over(const struct place *p, int64_t now_ns) {
    return p->until_ns == 0 || (p->answer != EB_KUBE_WAIT && now_ns >= p->until_ns);
}

bool eb_kube_memo_get(const struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY], int64_t now_ns,
                      enum eb_kube_answer *ret) {
    const struct place *p = find(m, key);
    if (!p || is_over(p, now_ns))
        return false;
    *ret = p->answer;
    return true;
}

bool eb_kube_memo_put(struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY], enum eb_kube_answer answer,
                      int64_t now_ns, int64_t until_ns) {
    struct place *p = find(m, key), *set = &m->places[set_of(key)];
    for (size_t i = 0; i < SET && !p; i++)
        if (is_over(&set[i], now_ns))
            p = &set[i];
    for (size_t i = 0; i < SET && (!p || !is_over(p, now_ns)); i++) {
        if (p && memcmp(p->key, key, EB_KUBE_MEMO_KEY) == 0)
            break;
        if (set[i].answer != EB_KUBE_WAIT && (!p || set[i].until_ns < p->until_ns))
            p = &set[i];
    }
    if (!p)
        return false;
    memcpy(p->key, key, EB_KUBE_MEMO_KEY);
    p->answer = answer;
    p->until_ns = until_ns;
    return true;
}

int64_t eb_kube_memo_until(const struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY]) {
    const struct place *p = find(m, key);
    return p ? p->until_ns : 0;
}

void eb_kube_memo_drop(struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY]) {
    struct place *p = find(m, key);
    if (p)
        p->until_ns = 0;
}
