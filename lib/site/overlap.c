/*
 * What a pattern of a list may not match. All lists meet at a CPC under their bare names, and at the CSC
 * under `cpc.<id>.`; so two patterns that share a subject make a message cross twice, or come back. And no
 * list may reach into `cpc.<id>.…`, or into what the servers use themselves.
 */
#include "site/impl.h"
#include "subject/subject.h"

/* NULL where the pattern is allowed by itself. */
static const char *reserved(struct eb_str pattern, const char **ret_mend) {
    static const struct eb_str servers[] = {{"_INBOX", 6}, {"_R_", 3}, {"_GR_", 4}, {"_REPLY", 6}};
    struct eb_str rest = pattern, first = eb_str_cut(&rest, '.');
    *ret_mend = "begin it with a name of your own, as in sensor.>";
    if (eb_str_eqz(first, "*") || eb_str_eqz(first, ">"))
        return "begins with a wildcard, so it matches cpc.<id>.…, $… and _INBOX… too";
    if (first.n && first.p[0] == '$')
        return "reaches into what the servers keep for themselves ($…)";
    for (size_t i = 0; i < EB_COUNT_OF(servers); i++)
        if (eb_str_starts(first, servers[i]))
            return "reaches into subjects of answers";
    *ret_mend = "write the bare name: cpc.<id>. is put before it on the way";
    return eb_str_eqz(first, "cpc") && rest.p ? "reaches into cpc.<id>.…, where messages of single CPCs are"
                                              : NULL;
}

/* What would happen, and what to write instead. */
static const char *effect(enum eb_site_list a, enum eb_site_list b, bool same, bool covers,
                          const char **ret_mend) {
    if (a == b) {
        *ret_mend = same     ? "leave one of them out"
                    : covers ? "leave the narrower one out"
                             : "write them so that no subject fits both";
        return "a message would cross twice";
    }
    *ret_mend = "give each list names of its own";
    if (a == EB_SITE_CPC_EXPORTS || b == EB_SITE_CPC_EXPORTS)
        return "what a CPC got from the CSC it would send back there";
    return "a CPC could not tell what is for all of them from what is for it alone";
}

/* A pattern that is refused by itself is not compared: the rest would be noise. */
static bool is_refused(const struct eb_site_text *t) {
    const char *mend;
    return !t->s.n || reserved(t->s, &mend);
}

static void compare(struct eb_reading *r, const struct eb_site *s, enum eb_site_list la, size_t ia,
                    enum eb_site_list lb, size_t ib) {
    const struct eb_site_text *a = &s->lists[la].items[ia], *b = &s->lists[lb].items[ib];
    if (is_refused(a) || !eb_subject_overlap(a->s, b->s))
        return;
    char path[64], other[64];
    const char *mend;
    bool covers = eb_subject_covers(a->s, b->s) || eb_subject_covers(b->s, a->s);
    const char *what = effect(la, lb, eb_str_eq(a->s, b->s), covers, &mend);
    eb_reading_report(r, EB_ERROR, b->line, eb_site_item(path, lb, ib), mend,
                      "`%.*s` and `%.*s` (%s, line %zu) match the same subjects: %s", EB_STR_ARG(b->s),
                      EB_STR_ARG(a->s), eb_site_item(other, la, ia), a->line, what);
}

void eb_site_check_overlap(struct eb_reading *r, const struct eb_site *s) {
    char path[64], quoted[100];
    for (enum eb_site_list lb = 0; lb < EB_SITE_LISTS; lb++) {
        for (size_t ib = 0; ib < s->lists[lb].n; ib++) {
            const struct eb_site_text *b = &s->lists[lb].items[ib];
            const char *mend, *fault = b->s.n ? reserved(b->s, &mend) : NULL;
            if (fault)
                eb_reading_report(r, EB_ERROR, b->line, eb_site_item(path, lb, ib), mend, "%s %s",
                                  eb_node_quote(quoted, b->s), fault);
            for (enum eb_site_list la = 0; la <= lb && !is_refused(b); la++)
                for (size_t ia = 0; ia < (la == lb ? ib : s->lists[la].n); ia++)
                    compare(r, s, la, ia, lb, ib);
        }
    }
}
