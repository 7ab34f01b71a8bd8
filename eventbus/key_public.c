/* eventbus key public */
#include <string.h>

#include "base/buf.h"
#include "command.h"
#include "nkey/nkey.h"
#include "say.h"

static const struct eb_option options[] = {{NULL, NULL, NULL}};

static int run(const struct eb_command *c, const struct eb_args *args) {
    const char *path = strcmp(args->operand, "-") == 0 ? "/dev/stdin" : args->operand;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_nkey_from_seed_file(path, EB_NKEY_NONE, &k, &err);
    if (rc != EB_OK) {
        eb_say(c, "%s", eb_err_text(&err, rc));
        return EB_EXIT_FAILED;
    }
    eb_auto_buf struct eb_buf line = {0};
    eb_buf_printf(&line, "%s\n", eb_nkey_public(k));
    return eb_buf_ok(&line) && eb_say_out(c, eb_buf_get(&line)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_key_public = {
    .words = "key public",
    .summary = "print the public key of a seed",
    .synopsis = "eventbus key public FILE\n"
                "eventbus key public -",
    .description = "Reads a seed from FILE, or from standard input where FILE is -, and prints the public "
                   "key that belongs to it.\n\n"
                   "FILE holds the seed on a line of its own; empty lines and lines that begin with # are "
                   "passed over. A public key in "
                   "it must be that of the seed, so this also proves that a stored pair belongs together.",
    .options = options,
    .operand = "FILE",
    .operand_required = true,
    .examples = "eventbus key public service.nk\n"
                "kubectl get secret auth-callout-keys -o jsonpath='{.data.issuer-seed}' |\n"
                "    base64 -d | eventbus key public -",
    .failures = "FILE cannot be read, holds no seed, or its public key is another one's",
    .run = run,
};
