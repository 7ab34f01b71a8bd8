/* eventbus key inspect */
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "command.h"
#include "nkey/nkey.h"
#include "say.h"

#define KEY_FILE_MAX 4096

static const struct eb_option options[] = {{NULL, NULL, NULL}};

static const char *const uses[] = {
    [EB_NKEY_NONE] = "",
    [EB_NKEY_ACCOUNT] =
        "signs user JWTs: the issuer of the auth callout (nats.issuer-seed; public: auth_callout.issuer)",
    [EB_NKEY_CLUSTER] = "identifies a cluster",
    [EB_NKEY_SERVER] = "identifies a server; nats-server makes its own at every start",
    [EB_NKEY_OPERATOR] = "signs account JWTs in operator mode",
    [EB_NKEY_USER] =
        "logs a client or a service in (nats.nkey-seed; public: an nkey entry, or a configured user)",
    [EB_NKEY_CURVE] = "seals auth callouts (nats.xkey-seed; public: auth_callout.xkey)",
};

static int report(const struct eb_command *c, enum eb_nkey_kind kind, const uint8_t key[EB_NKEY_RAW_LEN],
                  bool seed) {
    char text[EB_NKEY_PUBLIC_LEN + 1];
    eb_auto_buf struct eb_buf b = {0};
    eb_nkey_public_encode(kind, key, text);
    eb_buf_printf(&b, "kind      %s\nform      %s\npublic    %s\nchecksum  right\nuse       %s\n",
                  eb_nkey_kind_name(kind), seed ? "seed (secret, not shown)" : "public key", text,
                  uses[kind]);
    if (!eb_buf_ok(&b) || !eb_say_out(c, eb_buf_get(&b)))
        return EB_EXIT_FAILED;
    if (kind != EB_NKEY_CURVE && !crypto_core_ed25519_is_valid_point(key)) {
        eb_say(c, "well written, but no Ed25519 key that anything can be verified with");
        return EB_EXIT_FAILED;
    }
    return EB_EXIT_OK;
}

static int refuse(const struct eb_command *c, const struct eb_err *err, enum eb_rc rc) {
    eb_say(c, "%s", eb_err_text(err, rc));
    return EB_EXIT_FAILED;
}

static int inspect_public(const struct eb_command *c, struct eb_str text, const char *where) {
    enum eb_nkey_kind kind = EB_NKEY_NONE;
    uint8_t key[EB_NKEY_RAW_LEN];
    struct eb_err err = {0};
    enum eb_rc rc = eb_nkey_public_decode(text, EB_NKEY_NONE, &kind, key, &err);
    if (rc == EB_OK)
        return report(c, kind, key, false);
    if (where)
        eb_err_prefix(&err, "%s", where);
    return refuse(c, &err, rc);
}

/* A file with one public key, or one that holds a seed. */
static int inspect_file(const struct eb_command *c, const char *path) {
    EB_CLEANUP(eb_secret_freep) struct eb_secret *bytes = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_secret_read_file(path, KEY_FILE_MAX, &bytes, &err);
    if (rc != EB_OK)
        return refuse(c, &err, rc);
    struct eb_str text = eb_secret_get(bytes);
    if (!eb_str_has(text, '\n') && text.p[0] != 'S')
        return inspect_public(c, text, path);
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    rc = eb_nkey_from_seed_text(text, path, EB_NKEY_NONE, &k, &err);
    return rc == EB_OK ? report(c, eb_nkey_kind(k), eb_nkey_public_raw(k), true) : refuse(c, &err, rc);
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    if (strcmp(args->operand, "-") == 0)
        return inspect_file(c, "/dev/stdin");
    if (access(args->operand, F_OK) == 0)
        return inspect_file(c, args->operand);
    return inspect_public(c, eb_str(args->operand), NULL);
}

const struct eb_command eb_key_inspect = {
    .words = "key inspect",
    .summary = "tell what a key is",
    .synopsis = "eventbus key inspect KEY\n"
                "eventbus key inspect FILE\n"
                "eventbus key inspect -",
    .description = "Tells the kind of a key, whether its checksum is right, and what it is for. KEY is the "
                   "text of a public key; the "
                   "name of an existing file, or - for standard input, has the key read from there.\n\n"
                   "A seed is read from a file or standard input only, and never printed. A seed on the "
                   "command line is refused: other users of "
                   "the machine can read it there.",
    .options = options,
    .operand = "KEY",
    .operand_required = true,
    .examples = "eventbus key inspect \"$(eventbus key public service.nk)\"\n"
                "eventbus key inspect service.nk",
    .failures = "the key is damaged or of no known kind, or the file cannot be read",
    .run = run,
};
