/* The text of a key: public, or a seed. One spelling only, so what is read must be written again byte for
 * byte. */
#include <sodium.h>

#include "fuzz.h"
#include "nkey/nkey.h"

static const enum eb_nkey_kind kinds[] = {EB_NKEY_NONE,     EB_NKEY_ACCOUNT, EB_NKEY_CLUSTER, EB_NKEY_SERVER,
                                          EB_NKEY_OPERATOR, EB_NKEY_USER,    EB_NKEY_CURVE};

static void as_public(struct eb_str text) {
    size_t taken = 0;
    for (size_t i = 0; i < EB_COUNT_OF(kinds); i++) {
        enum eb_nkey_kind kind = EB_NKEY_NONE;
        uint8_t key[EB_NKEY_RAW_LEN];
        struct eb_err err = {0};
        if (eb_nkey_public_decode(text, kinds[i], &kind, key, &err) != EB_OK) {
            FUZZ_MUST(err.rc == EB_E_BAD_KEY && err.text[0]);
            continue;
        }
        char again[EB_NKEY_PUBLIC_LEN + 1];
        eb_nkey_public_encode(kind, key, again);
        FUZZ_MUST(eb_str_eqz(text, again) && again[0] == eb_nkey_kind_letter(kind));
        FUZZ_MUST(kinds[i] == EB_NKEY_NONE || kinds[i] == kind);
        taken++;
    }
    FUZZ_MUST(taken == 0 || taken == 2); /* as any kind, and as its own */
}

static void as_seed(struct eb_str text) {
    size_t taken = 0;
    for (size_t i = 0; i < EB_COUNT_OF(kinds); i++) {
        struct eb_nkey *k = NULL;
        struct eb_err err = {0};
        if (eb_nkey_from_seed(text, kinds[i], &k, &err) != EB_OK) {
            FUZZ_MUST(!k && err.rc == EB_E_BAD_KEY && err.text[0]);
            continue;
        }
        struct eb_secret *seed = eb_nkey_seed(k);
        FUZZ_MUST(seed && eb_str_eq(text, eb_secret_get(seed)));
        uint8_t sig[EB_NKEY_SIG_LEN];
        if (eb_nkey_kind(k) == EB_NKEY_CURVE)
            FUZZ_MUST(eb_nkey_sign(k, text, sig) == EB_E_INVALID);
        else
            FUZZ_MUST(eb_nkey_sign(k, text, sig) == EB_OK &&
                      eb_nkey_verify(eb_nkey_public_raw(k), text, sig) == EB_OK);
        as_public(eb_str(eb_nkey_public(k)));
        eb_secret_free(seed);
        eb_nkey_free(k);
        taken++;
    }
    FUZZ_MUST(taken == 0 || taken == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FUZZ_MUST(sodium_init() >= 0);
    struct eb_str text = eb_str_n(data, size);
    as_public(text);
    as_seed(text);
    /* 32 bytes and more are a key of each kind, too: whatever its bits, it is written and read again. */
    for (size_t i = 1; size >= EB_NKEY_RAW_LEN && i < EB_COUNT_OF(kinds); i++) {
        char public[EB_NKEY_PUBLIC_LEN + 1];
        uint8_t key[EB_NKEY_RAW_LEN];
        eb_nkey_public_encode(kinds[i], data, public);
        FUZZ_MUST(eb_nkey_public_decode(eb_str(public), kinds[i], NULL, key, NULL) == EB_OK &&
                  memcmp(key, data, sizeof key) == 0);
    }
    return 0;
}
