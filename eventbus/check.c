/* eventbus check */
#include <stdlib.h>

#include "base/buf.h"
#include "command.h"
#include "documents.h"
#include "say.h"
#include "site/secrets.h"

static const struct eb_option options[] = {
    {"site", "FILE...",
     "The document of a site, or a chart's values with it below global.eventBus. Given several times, the "
     "documents are compared with each other, too."},
    {"placement", "FILE...",
     "Where the servers run, for `eventbus render`: the first of these belongs to the first site, and so "
     "on. The site's streams must find room there."},
    {"secrets", "DIR", "The folder of the keys: those of each site must be there and belong together."},
    {NULL, NULL, NULL},
};

static size_t count(const struct eb_command *c, const struct eb_args *args, const char *name) {
    size_t n = 0;
    while (eb_args_each(c, args, name, n))
        n++;
    return n;
}

static void check_secrets(const char *root, const struct eb_site *site, struct eb_findings *f) {
    EB_CLEANUP(eb_pubkeys_freep) struct eb_pubkeys *keys = NULL;
    size_t before = f->errors;
    enum eb_rc rc = eb_pubkeys_read(root, site, &keys, f);
    if (rc != EB_OK && f->errors == before)
        eb_findings_add(f, EB_ERROR, root, 0, "", NULL, "%s", eb_rc_hint(rc));
}

static void tell_site(struct eb_buf *to, const struct eb_site *s) {
    size_t patterns = 0, extras = 0, entries = 0;
    const char *name;
    json_t *section;
    for (enum eb_site_list l = 0; l < EB_SITE_LISTS; l++)
        patterns += s->lists[l].n;
    for (size_t i = 0; i < s->extras_n; i++)
        extras += s->extras[i].enabled;
    json_object_foreach(s->permissions, name, section) entries +=
        strcmp(name, "noauth") == 0 ? !json_is_null(section) : json_object_size(section);
    eb_buf_printf(to, "%s: site %s", s->file.p, s->name.p);
    if (s->type == EB_SITE_CSC)
        eb_buf_printf(to, ", %zu CPC%s", s->cpc_ids.n, s->cpc_ids.n == 1 ? "" : "s");
    eb_buf_printf(to, ", %zu pattern%s, %zu extra account%s, %zu %s\n", patterns, patterns == 1 ? "" : "s",
                  extras, extras == 1 ? "" : "s", entries, entries == 1 ? "entry" : "entries");
}

static void check_all(const struct eb_command *c, const struct eb_args *args, struct eb_site **sites,
                      size_t n, struct eb_findings *f, struct eb_buf *told) {
    const char *secrets = eb_args_each(c, args, "secrets", 0);
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        EB_CLEANUP(eb_placement_freep) struct eb_placement *place = NULL;
        const char *placement = eb_args_each(c, args, "placement", i);
        eb_read_site(eb_args_each(c, args, "site", i), &sites[good], f);
        if (!sites[good])
            continue;
        if (placement)
            eb_read_placement(placement, sites[good], &place, f);
        if (secrets)
            check_secrets(secrets, sites[good], f);
        tell_site(told, sites[good++]);
    }
    eb_site_agree((const struct eb_site *const *)sites, good, f);
    if (good < n && n > 1)
        eb_findings_add(f, EB_WARNING, NULL, 0, "", "mend those first",
                        "documents with errors were not compared with the others");
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_buf struct eb_buf told = {0};
    size_t n = count(c, args, "site");
    if (n == 0 || count(c, args, "placement") > n) {
        eb_say(c, n ? "more --placement than --site" : "--site is missing: eventbus check --site FILE");
        return EB_EXIT_USAGE;
    }
    eb_auto_free struct eb_site **sites = calloc(n, sizeof *sites);
    if (!sites) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    check_all(c, args, sites, n, &f, &told);
    for (size_t i = 0; i < n; i++)
        eb_site_free(sites[i]);
    eb_say_findings(c, &f);
    eb_buf_printf(&told, "%zu error%s, %zu warning%s\n", f.errors, f.errors == 1 ? "" : "s", f.warnings,
                  f.warnings == 1 ? "" : "s");
    eb_auto_buf struct eb_buf safe = {0};
    struct eb_str rest = eb_buf_get(&told);
    while (rest.p && rest.n) {
        eb_say_safe(&safe, eb_str_cut(&rest, '\n'));
        eb_buf_ch(&safe, '\n');
    }
    bool written = eb_buf_ok(&told) && eb_buf_ok(&safe) && eb_say_out(c, eb_buf_get(&safe));
    return written && !f.errors ? EB_EXIT_OK : EB_EXIT_FAILED;
}

const struct eb_command eb_check = {
    .words = "check",
    .summary = "check the documents of sites, alone and with each other",
    .synopsis = "eventbus check --site FILE [--site FILE]... [--placement FILE]... [--secrets DIR]",
    .description = "Reads each document whole and tells every fault with its line and what to write instead: "
                   "unknown keys, ids, "
                   "the address of the CSC, names of extra accounts, limits, patterns of the lists that "
                   "reach into each other or "
                   "into what is kept for others, and the permissions, as auth-callout would read them.\n\n"
                   "Given the documents of several sites, it compares them: lists, extra accounts and limits "
                   "must be the same, "
                   "every CPC's id must be listed at the CSC. What differs there is told by no server: "
                   "messages just do not "
                   "cross.\n\n"
                   "Faults are lines on standard error. Standard output has a line for each good document, "
                   "and the counts.",
    .options = options,
    .examples = "eventbus check --site local/sites/csc.yaml\n"
                "eventbus check --site csc.yaml --site cpc-1.yaml --site cpc-2.yaml --secrets deploy/secrets",
    .failures = "a document has an error, or two of them do not agree; standard error says where",
    .run = run,
};
