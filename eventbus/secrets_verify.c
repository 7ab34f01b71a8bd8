/* eventbus secrets verify */
#include <time.h>

#include "base/buf.h"
#include "command.h"
#include "say.h"
#include "secrets_check.h"

static const struct eb_option options[] = {{NULL, NULL, NULL}};

static int run(const struct eb_command *c, const struct eb_args *args) {
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_tree struct eb_tree t = {0};
    eb_auto_buf struct eb_buf told = {0};
    size_t sites = 0;
    eb_tree_find(&t, args->operand, &f);
    eb_tree_read(&t, false, &f);
    eb_tree_check_root(&t, &f);
    for (size_t i = 0; i < t.sites_n; i++) {
        const struct eb_tree_site *s = &t.sites[i];
        if (!s->there)
            continue;
        eb_tree_check_complete(&t, s, &f);
        eb_tree_check_files(&t, s, &f);
        (void)eb_tree_check_tls(s, (int64_t)time(NULL), &f);
        eb_buf_printf(&told, "%s%s", sites++ ? ", " : "", s->name);
    }
    if (!sites && !f.errors)
        eb_tree_say(&f, EB_ERROR, args->operand, NULL, "`eventbus secrets generate` makes them",
                    "no secrets of any site: neither csc nor cpc-<id>");
    eb_say_findings(c, &f);
    eb_buf_printf(&told, "%s%zu error%s, %zu warning%s\n", sites ? ": " : "", f.errors,
                  f.errors == 1 ? "" : "s", f.warnings, f.warnings == 1 ? "" : "s");
    bool good = eb_buf_ok(&told) && eb_say_out(c, eb_buf_get(&told));
    return good && !f.errors ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_secrets_verify = {
    .words = "secrets verify",
    .summary = "check the keys of all sites",
    .synopsis = "eventbus secrets verify DIR",
    .description = "Checks what `eventbus secrets generate` made and what was put beside it: that no secret "
                   "is missing, that every "
                   "key is whole and of its kind, that seeds and public keys belong together, within a site "
                   "and between the CSC and "
                   "each CPC, that auth-callout-keys, nack-user.nk and xkey.nk hold the seeds of their "
                   "pairs, that folders have "
                   "mode 0700 and files 0600 and one owner, and that the certificate of the mTLS server is "
                   "valid and has its "
                   "key.\n\n"
                   "Every fault is a line on standard error with its path and what to do. The last line, on "
                   "standard output, "
                   "counts them. Warnings are things that may be meant: a CPC whose folder is kept "
                   "elsewhere, a file that is not "
                   "one of the bus's, an old key that is still let in (pubkey-old), no certificate yet.",
    .options = options,
    .operand = "DIR",
    .operand_required = true,
    .examples = "eventbus secrets verify deploy/secrets",
    .failures = "something is wrong; standard error says what, and what to do",
    .run = run,
};
