#include "jose/jwks.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/json.h"

#define SKIPPED_KIDS EB_JWKS_KEYS /* kids of skipped keys that are remembered */

struct eb_jwks {
    atomic_size_t refs;
    struct eb_jwk *keys[EB_JWKS_KEYS];
    size_t n;
    char *skipped[SKIPPED_KIDS]; /* NUL-terminated */
    size_t skipped_n;
};

struct eb_jwks *eb_jwks_ref(struct eb_jwks *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void eb_jwks_unref(struct eb_jwks *set) {
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        eb_jwk_free(set->keys[i]);
    for (size_t i = 0; i < set->skipped_n; i++)
        free(set->skipped[i]);
    free(set);
}

static enum eb_rc skip(struct eb_jwks *set, const json_t *obj, struct eb_err *reterr) {
    struct eb_str kid = eb_json_str(obj, "kid");
    if (!kid.p || kid.n > EB_KID_MAX || set->skipped_n == SKIPPED_KIDS)
        return EB_OK;
    char *copy = eb_str_dup(kid);
    if (!copy)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    set->skipped[set->skipped_n++] = copy;
    return EB_OK;
}

enum eb_rc eb_jwks_read(struct eb_str json, struct eb_jwks **ret, struct eb_jwks_info *ret_info,
                        struct eb_err *reterr) {
    eb_auto_json json_t *root = NULL;
    enum eb_rc rc = eb_json_object(json, EB_JWKS_MAX, &root, reterr);
    if (rc != EB_OK)
        return rc;
    const json_t *keys = json_object_get(root, "keys"), *obj;
    if (!json_is_array(keys))
        return EB_FAIL(reterr, EB_E_MALFORMED, "no list \"keys\" in the key set");
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = calloc(1, sizeof *set);
    if (!set)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    atomic_init(&set->refs, 1);
    struct eb_err why = {0}; /* why the first key was skipped */
    struct eb_jwks_info info = {0};
    size_t i;
    json_array_foreach(keys, i, obj) {
        if (!json_is_object(obj))
            return EB_FAIL(reterr, EB_E_MALFORMED, "item %zu of \"keys\" in the key set is no object", i);
        rc = set->n == EB_JWKS_KEYS ? EB_FAIL(&why, EB_E_BAD_KEY, "more than %d keys", EB_JWKS_KEYS)
                                    : eb_jwk_read(obj, &set->keys[set->n], &why);
        if (rc == EB_OK) {
            set->n++;
            info.usable++;
            continue;
        }
        if (rc == EB_E_BAD_KEY)
            rc = skip(set, obj, reterr);
        if (rc != EB_OK)
            return EB_FAIL(reterr, rc, "out of memory");
        info.skipped++;
    }
    if (ret_info)
        *ret_info = info;
    if (set->n == 0)
        return EB_FAIL(reterr, EB_E_KEYS_UNAVAILABLE, "no usable key in the key set of %zu: %s", info.skipped,
                       info.skipped ? why.text : "it is empty");
    *ret = EB_TAKE(set);
    return EB_OK;
}

size_t eb_jwks_count(const struct eb_jwks *set) {
    return set->n;
}

static bool kid_is(const struct eb_jwk *k, struct eb_str kid) {
    struct eb_str own = eb_jwk_kid(k);
    return own.p && eb_str_eq(own, kid);
}

static bool skipped_kid(const struct eb_jwks *set, struct eb_str kid) {
    for (size_t i = 0; i < set->skipped_n; i++)
        if (eb_str_eqz(kid, set->skipped[i]))
            return true;
    return false;
}

bool eb_jwks_has_kid(const struct eb_jwks *set, struct eb_str kid) {
    if (!kid.p)
        return false;
    for (size_t i = 0; i < set->n; i++)
        if (kid_is(set->keys[i], kid))
            return true;
    return skipped_kid(set, kid);
}

enum eb_rc eb_jwks_verify(const struct eb_jwks *set, struct eb_str kid, enum eb_alg alg, struct eb_str text,
                          struct eb_str sig, struct eb_err *reterr) {
    size_t named = 0, tried = 0;
    for (size_t i = 0; i < set->n && tried < EB_JWKS_TRIES; i++) {
        if (kid.p && !kid_is(set->keys[i], kid))
            continue;
        named++;
        if (!eb_jwk_fits(set->keys[i], alg))
            continue;
        tried++;
        enum eb_rc rc = eb_jwk_verify(set->keys[i], alg, text, sig, NULL);
        if (rc != EB_E_BAD_SIGNATURE)
            return rc == EB_OK ? rc : EB_FAIL(reterr, rc, "no memory for verifying a signature");
    }
    if (tried)
        return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "the %s signature does not fit %s", eb_alg_name(alg),
                       tried == 1 ? "the key" : "any of the keys");
    if (kid.p && named == 0 && !skipped_kid(set, kid))
        return EB_FAIL(reterr, EB_E_UNKNOWN_KID, "no key with the token's kid in the key set");
    return EB_FAIL(reterr, EB_E_KEY_TYPE, "%s in the key set is not for %s",
                   kid.p ? "the key with the token's kid" : "any key", eb_alg_name(alg));
}
