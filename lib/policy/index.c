#include "policy/index.h"

#define FIRST_CAP 1024
#define CAP_MAX ((uint32_t)1 << 30)

static void put(struct eb_slot *slots, uint32_t cap, struct eb_slot slot) {
    uint32_t at = slot.hash & (cap - 1);
    while (slots[at].value)
        at = (at + 1) & (cap - 1);
    slots[at] = slot;
}

static bool grow(struct eb_index *ix) {
    uint32_t cap = ix->cap ? ix->cap * 2 : FIRST_CAP;
    struct eb_pages pages = {0};
    if (ix->cap >= CAP_MAX || !eb_pages_grow(&pages, cap * sizeof(struct eb_slot)))
        return false;
    const struct eb_slot *old = ix->pages.p;
    for (uint32_t i = 0; i < ix->cap; i++)
        if (old[i].value)
            put(pages.p, cap, old[i]);
    eb_pages_done(&ix->pages);
    ix->pages = pages;
    ix->cap = cap;
    return true;
}

bool eb_index_add(struct eb_index *ix, uint64_t hash, uint32_t value) {
    if (ix->n >= ix->cap / 4 * 3 && !grow(ix)) /* a free slot always remains, it ends every search */
        return false;
    put(ix->pages.p, ix->cap, (struct eb_slot){(uint32_t)hash, value});
    ix->n++;
    return true;
}

uint32_t eb_index_next(const struct eb_index *ix, uint64_t hash, uint32_t *at) {
    const struct eb_slot *slots = ix->pages.p;
    while (ix->cap && slots[*at].value) {
        struct eb_slot slot = slots[*at];
        *at = (*at + 1) & (ix->cap - 1);
        if (slot.hash == (uint32_t)hash)
            return slot.value;
    }
    return 0;
}

void eb_index_done(struct eb_index *ix) {
    eb_pages_done(&ix->pages);
    ix->cap = ix->n = 0;
}
