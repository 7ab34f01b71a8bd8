/* Seeds: their text, read and written, alone and in a file. Nothing here quotes a piece of one. */
#include <sodium.h>
#include <string.h>

#include "nkey/base32.h"
#include "nkey/crc16.h"
#include "nkey/internal.h"

enum { SEED_PREFIX = 18 << 3, SEED_BYTES = 2 + EB_NKEY_RAW_LEN + 2, SEED_FILE_MAX = 4096 };
_Static_assert(EB_BASE32_LEN(SEED_BYTES) == EB_NKEY_SEED_LEN, "length of a seed's text");

static enum eb_rc refuse_shape(struct eb_str text, size_t bad, struct eb_err *reterr) {
    if (text.n == 0)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "empty where a seed is expected");
    if (text.n == EB_NKEY_PUBLIC_LEN && text.p[0] != 'S')
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "this is a public key; the seed that belongs to it is needed (S...)");
    if (text.n != EB_NKEY_SEED_LEN)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "%zu characters long, a seed has %d", text.n, EB_NKEY_SEED_LEN);
    if (bad == EB_NKEY_SEED_LEN - 1)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "the last character is wrong");
    return EB_FAIL(reterr, EB_E_BAD_KEY, "character %zu is none of A-Z and 2-7", bad + 1);
}

static enum eb_rc check(const uint8_t b[SEED_BYTES], enum eb_nkey_kind want, enum eb_nkey_kind *ret_kind,
                        struct eb_err *reterr) {
    if (eb_crc16(b, SEED_BYTES - 2) != (b[SEED_BYTES - 2] | b[SEED_BYTES - 1] << 8))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "the checksum does not fit: a character is wrong");
    enum eb_nkey_kind kind = eb_nkey_of_prefix((uint8_t)((b[0] & 7) << 5 | b[1] >> 3));
    /* The low bits of the second byte belong to nothing; set ones would be another spelling of the same key.
     */
    if ((b[0] & 0xf8) != SEED_PREFIX || kind == EB_NKEY_NONE || (b[1] & 7))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "well-formed, but no seed of a known kind");
    if (want != EB_NKEY_NONE && kind != want)
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "a seed of kind %s (S%c...), where one of kind %s (S%c...) is needed",
                       eb_nkey_kind_name(kind), eb_nkey_kind_letter(kind), eb_nkey_kind_name(want),
                       eb_nkey_kind_letter(want));
    *ret_kind = kind;
    return EB_OK;
}

enum eb_rc eb_nkey_from_seed(struct eb_str text, enum eb_nkey_kind want, struct eb_nkey **ret,
                             struct eb_err *reterr) {
    uint8_t b[SEED_BYTES];
    size_t bad;
    enum eb_nkey_kind kind = EB_NKEY_NONE;
    enum eb_rc rc = eb_base32_decode(b, sizeof b, text, &bad);
    if (rc != EB_OK)
        rc = refuse_shape(text, bad, reterr);
    else
        rc = check(b, want, &kind, reterr);
    if (rc == EB_OK) {
        rc = eb_nkey_of_raw(kind, b + 2, ret);
        if (rc != EB_OK)
            rc = EB_FAIL(reterr, rc, "no guarded memory for the key: raise the memory limits");
    }
    sodium_memzero(b, sizeof b);
    return rc;
}

struct eb_secret *eb_nkey_seed(const struct eb_nkey *k) {
    uint8_t b[SEED_BYTES];
    char text[EB_NKEY_SEED_LEN];
    uint8_t prefix = eb_nkey_prefix(k->kind);
    b[0] = (uint8_t)(SEED_PREFIX | prefix >> 5);
    b[1] = (uint8_t)((prefix & 0x1f) << 3);
    memcpy(b + 2, eb_secret_get(k->secret).p, EB_NKEY_RAW_LEN);
    uint16_t crc = eb_crc16(b, SEED_BYTES - 2);
    b[SEED_BYTES - 2] = (uint8_t)crc;
    b[SEED_BYTES - 1] = (uint8_t)(crc >> 8);
    eb_base32_encode(text, b, sizeof b);
    struct eb_secret *s = eb_secret_new(text, sizeof text);
    sodium_memzero(b, sizeof b);
    sodium_memzero(text, sizeof text);
    return s;
}

/* What a seed file said so far. */
struct reading {
    struct eb_nkey *key;
    uint8_t public_key[EB_NKEY_RAW_LEN];
    enum eb_nkey_kind public_kind; /* EB_NKEY_NONE = no line with a public key yet */
};

static void reading_done(struct reading *r) {
    eb_nkey_free(r->key);
}

static enum eb_rc take_line(struct reading *r, struct eb_str line, enum eb_nkey_kind want,
                            struct eb_err *reterr) {
    if (line.p[0] == 'S') {
        if (r->key)
            return EB_FAIL(reterr, EB_E_BAD_KEY, "a second seed; a file holds one");
        return eb_nkey_from_seed(line, want, &r->key, reterr);
    }
    if (line.p[0] == '-')
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a delimiter of a creds file, where a seed file is expected");
    if (r->public_kind != EB_NKEY_NONE)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "more than a seed and its public key");
    return eb_nkey_public_decode(line, EB_NKEY_NONE, &r->public_kind, r->public_key, reterr);
}

enum eb_rc eb_nkey_from_seed_text(struct eb_str lines, const char *name, enum eb_nkey_kind want,
                                  struct eb_nkey **ret, struct eb_err *reterr) {
    EB_CLEANUP(reading_done) struct reading r = {0};
    for (int n = 1; lines.p; n++) {
        struct eb_str line = eb_str_trim(eb_str_cut(&lines, '\n'));
        if (line.n == 0 || line.p[0] == '#')
            continue;
        enum eb_rc rc = take_line(&r, line, want, reterr);
        if (rc != EB_OK) {
            eb_err_prefix(reterr, "%s: line %d", name, n);
            return rc;
        }
    }
    if (!r.key)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "%s: no line with a seed (S...)%s", name,
                       r.public_kind == EB_NKEY_NONE ? "" : ", only a public key");
    if (r.public_kind != EB_NKEY_NONE &&
        (r.public_kind != r.key->kind || memcmp(r.public_key, r.key->raw, EB_NKEY_RAW_LEN) != 0))
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "%s: the public key is not that of the seed: one of them is of another key", name);
    *ret = EB_TAKE(r.key);
    return EB_OK;
}

enum eb_rc eb_nkey_from_seed_file(const char *path, enum eb_nkey_kind want, struct eb_nkey **ret,
                                  struct eb_err *reterr) {
    if (sodium_init() < 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "libsodium did not start");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *bytes = NULL;
    enum eb_rc rc = eb_secret_read_file(path, SEED_FILE_MAX, &bytes, reterr);
    return rc == EB_OK ? eb_nkey_from_seed_text(eb_secret_get(bytes), path, want, ret, reterr) : rc;
}
