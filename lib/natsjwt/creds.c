#include "natsjwt/creds.h"

#include <sodium.h>

#define DASHES EB_STR("---") /* at least so many begin and end a line that opens or closes a block */

void eb_creds_done(struct eb_creds *c) {
    free(c->jwt);
    free(c->name_text);
    eb_nkey_free(c->key);
    *c = (struct eb_creds){0};
}

static bool contains(struct eb_str s, struct eb_str word) {
    return s.p && s.n >= word.n && memmem(s.p, s.n, word.p, word.n) != NULL;
}

static bool is_delimiter(struct eb_str line) {
    return line.n > 2 * DASHES.n && eb_str_starts(line, DASHES) && eb_str_ends(line, DASHES);
}

/* The two texts between the delimiters, borrowed from the file's bytes. */
struct blocks {
    struct eb_str jwt, seed;
};

static enum eb_rc find_blocks(struct eb_str rest, struct blocks *ret, struct eb_err *reterr) {
    struct eb_str *open = NULL;
    for (int n = 1; rest.p; n++) {
        struct eb_str line = eb_str_trim(eb_str_cut(&rest, '\n'));
        if (line.n == 0)
            continue;
        if (!is_delimiter(line)) {
            if (open && open->p)
                return EB_FAIL(reterr, EB_E_MALFORMED, "line %d: a block holds one line", n);
            if (open)
                *open = line;
            continue;
        }
        if (contains(line, EB_STR("END "))) {
            open = NULL;
            continue;
        }
        open = contains(line, EB_STR("SEED")) ? &ret->seed : contains(line, EB_STR("JWT")) ? &ret->jwt : NULL;
        if (!open || open->p)
            return EB_FAIL(reterr, EB_E_MALFORMED, "line %d: a block that is %s", n,
                           open ? "there already" : "neither a user JWT nor a seed");
    }
    if (!ret->jwt.p || !ret->seed.p)
        return EB_FAIL(reterr, EB_E_MALFORMED, "no block with a %s", ret->jwt.p ? "seed" : "user JWT");
    return EB_OK;
}

static enum eb_rc take_jwt(struct eb_str text, struct eb_creds *c, struct eb_err *reterr) {
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    struct eb_err e = {0};
    enum eb_rc rc = eb_natsjwt_read(text, EB_CREDS_MAX, &t, &e);
    if (rc != EB_OK)
        return EB_FAIL(reterr, rc == EB_E_NOMEM ? rc : EB_E_MALFORMED, "the user JWT: %s", e.text);
    if (!eb_str_eqz(eb_json_str(t.nats, "type"), "user"))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the JWT is not of type user");
    if (!eb_str_eqz(t.sub, eb_nkey_public(c->key)))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "the seed is not that of the user JWT's sub");
    struct eb_str name = eb_json_str(t.claims, "name");
    c->exp = t.exp;
    c->jwt = eb_str_dup(text);
    c->name_text = name.p ? eb_str_dup(name) : NULL;
    if (!c->jwt || (name.p && !c->name_text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    c->name = eb_str(c->name_text);
    return EB_OK;
}

enum eb_rc eb_creds_read_file(const char *path, struct eb_creds *ret, struct eb_err *reterr) {
    if (sodium_init() < 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "libsodium did not start");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *bytes = NULL;
    enum eb_rc rc = eb_secret_read_file(path, EB_CREDS_MAX, &bytes, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
    struct blocks b = {0};
    rc = find_blocks(eb_secret_get(bytes), &b, reterr);
    if (rc == EB_OK) {
        rc = eb_nkey_from_seed(b.seed, EB_NKEY_USER, &c.key, reterr);
        if (rc == EB_OK)
            rc = take_jwt(b.jwt, &c, reterr);
    }
    if (rc != EB_OK) {
        eb_err_prefix(reterr, "%s", path);
        return rc;
    }
    *ret = c;
    c = (struct eb_creds){0};
    return EB_OK;
}

void eb_creds_write(struct eb_buf *to, struct eb_str jwt, struct eb_str seed) {
    eb_buf_z(to, "-----BEGIN NATS USER JWT-----\n");
    eb_buf_str(to, jwt);
    eb_buf_z(to, "\n------END NATS USER JWT------\n\n"
                 "The seed below is a secret: who has it can log in as this user.\n\n"
                 "-----BEGIN USER NKEY SEED-----\n");
    eb_buf_str(to, seed);
    eb_buf_z(to, "\n------END USER NKEY SEED------\n");
}
