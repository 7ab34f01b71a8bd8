#include "fixture_natsjwt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "natsjwt/creds.h"

#define BEGIN_JWT "-----BEGIN NATS USER JWT-----\n"
#define END_JWT "\n------END NATS USER JWT------\n\n"
#define NOTE                                                                                                 \
    "************************* IMPORTANT *************************\nKeep the seed below a secret.\n\n"
#define BEGIN_SEED "-----BEGIN USER NKEY SEED-----\n"
#define END_SEED "\n------END USER NKEY SEED------\n"

static char path[] = "/tmp/test_creds.XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

/* A user JWT for USER_R0, signed by the account; nats: the object's text. */
static void jwt_for(struct eb_buf *to, const char *sub, const char *nats, const char *more) {
    eb_auto_buf struct eb_buf payload = {0};
    eb_buf_printf(&payload, "{\"iss\":\"" ACCOUNT_R0 "\",\"sub\":\"%s\",%s\"nats\":%s}", sub, more, nats);
    fixture_token(to, EB_STR(USUAL_HEADER), eb_buf_get(&payload), ACCOUNT_R0_SEED);
}

static enum eb_rc read_text(const struct eb_buf *text, struct eb_creds *ret, struct eb_err *err) {
    assert_int_equal(eb_file_write(path, eb_buf_get(text), 0600, NULL), EB_OK);
    return eb_creds_read_file(path, ret, err);
}

static void as_tools_write_it(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf jwt = {0};
    eb_auto_buf struct eb_buf text = {0};
    jwt_for(&jwt, USER_R0, "{\"type\":\"user\",\"version\":2}", "\"name\":\"svc\",\"exp\":1700000000,");
    for (int crlf = 0; crlf < 2; crlf++) {
        eb_buf_reset(&text);
        eb_buf_printf(&text,
                      crlf ? "\r\n-----BEGIN NATS USER JWT-----\r\n%s\r\n------END NATS USER JWT------\r\n"
                             "--- BEGIN USER SEED ---\r\n%s\r\n"
                           : BEGIN_JWT "%s" END_JWT NOTE BEGIN_SEED "%s" END_SEED,
                      jwt.p, USER_R0_SEED);
        EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
        struct eb_err err = {0};
        if (read_text(&text, &c, &err) != EB_OK)
            fail_msg("%s", err.text);
        assert_string_equal(c.jwt, jwt.p);
        assert_string_equal(eb_nkey_public(c.key), USER_R0);
        assert_true(eb_str_eqz(c.name, "svc"));
        assert_int_equal(c.exp, 1700000000);
    }
}

static void as_we_write_it(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf jwt = {0}, text = {.secret = true};
    jwt_for(&jwt, USER_R0, "{\"type\":\"user\",\"version\":2}", "");
    eb_creds_write(&text, eb_buf_get(&jwt), EB_STR(USER_R0_SEED));
    EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
    assert_int_equal(read_text(&text, &c, NULL), EB_OK);
    assert_string_equal(c.jwt, jwt.p);
    assert_string_equal(eb_nkey_public(c.key), USER_R0);
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *sub, *nats, *before, *between, *seed, *after;
        enum eb_rc rc;
        const char *says;
    } cases[] = {
        {USER_R1, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT BEGIN_SEED, USER_R0_SEED, END_SEED, EB_E_BAD_KEY,
         "sub"},
        {USER_R0, "{\"type\":\"account\"}", BEGIN_JWT, END_JWT BEGIN_SEED, USER_R0_SEED, END_SEED,
         EB_E_MALFORMED, "type user"},
        {USER_R0, "{}", BEGIN_JWT, END_JWT BEGIN_SEED, USER_R0_SEED, END_SEED, EB_E_MALFORMED, "type user"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT BEGIN_SEED, ACCOUNT_R0_SEED, END_SEED,
         EB_E_BAD_KEY, "kind account"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT BEGIN_SEED, USER_R0, END_SEED, EB_E_BAD_KEY,
         "public key"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT "x", END_JWT BEGIN_SEED, USER_R0_SEED, END_SEED,
         EB_E_MALFORMED, "header"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT, USER_R0_SEED, "", EB_E_MALFORMED,
         "no block with a seed"},
        {USER_R0, "{\"type\":\"user\"}", "", "\n" BEGIN_SEED, USER_R0_SEED, END_SEED, EB_E_MALFORMED,
         "no block with a user JWT"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, "\nmore" END_JWT BEGIN_SEED, USER_R0_SEED, END_SEED,
         EB_E_MALFORMED, "line 3: a block holds one line"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT BEGIN_SEED, USER_R0_SEED,
         END_SEED BEGIN_SEED USER_R0_SEED, EB_E_MALFORMED, "there already"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT "-----BEGIN CERTIFICATE-----\n", USER_R0_SEED,
         END_SEED, EB_E_MALFORMED, "neither"},
        {USER_R0, "{\"type\":\"user\"}", BEGIN_JWT, END_JWT BEGIN_SEED, "", END_SEED, EB_E_MALFORMED,
         "no block with a seed"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf jwt = {0};
        eb_auto_buf struct eb_buf text = {0};
        jwt_for(&jwt, cases[i].sub, cases[i].nats, "");
        eb_buf_printf(&text, "%s%s%s%s%s", cases[i].before, jwt.p, cases[i].between, cases[i].seed,
                      cases[i].after);
        EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
        struct eb_err err = {0};
        enum eb_rc rc = read_text(&text, &c, &err);
        if (rc != cases[i].rc || !strstr(err.text, cases[i].says) || !strstr(err.text, path))
            fail_msg("case %zu: %s \"%s\"", i, eb_rc_name(rc), err.text);
        assert_null(strstr(err.text, "AAAAICAM"));
        assert_null(c.jwt);
        assert_null(c.key);
    }
    EB_CLEANUP(eb_creds_done) struct eb_creds c = {0};
    struct eb_err err = {0};
    assert_int_equal(eb_creds_read_file("/nonexistent/a.creds", &c, &err), EB_E_IO);
    eb_auto_buf struct eb_buf big = {0};
    eb_buf_printf(&big, "%070000d", 0);
    assert_int_equal(read_text(&big, &c, NULL), EB_E_TOO_LARGE);
    eb_buf_reset(&big);
    assert_int_equal(read_text(&big, &c, NULL), EB_E_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_tools_write_it), cmocka_unit_test(as_we_write_it),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
