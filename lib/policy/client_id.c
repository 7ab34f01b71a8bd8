#include "policy/impl.h"

#define SAME_PREFIX_MAX                                                                                      \
    256 /* patterns with the same text before their first `*`: what one look-up compares at most */

bool eb_glob_match(struct eb_str pattern, struct eb_str text) {
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

/* Bottom up over the tails of both: here[j] tells whether a from i on and b from j on can match one text. */
bool eb_glob_overlap(struct eb_str a, struct eb_str b) {
    bool rows[2][EB_POLICY_CLIENT_ID_MAX + 1] = {0};
    if (a.n > EB_POLICY_CLIENT_ID_MAX || b.n > EB_POLICY_CLIENT_ID_MAX)
        return true;
    for (size_t i = a.n + 1; i-- > 0;) {
        bool *here = rows[i % 2];
        const bool *below = rows[(i + 1) % 2];
        for (size_t j = b.n + 1; j-- > 0;) {
            bool a_ends = i == a.n, b_ends = j == b.n;
            if (!a_ends && a.p[i] == '*')
                here[j] = below[j] || (!b_ends && here[j + 1]);
            else if (!b_ends && b.p[j] == '*')
                here[j] = here[j + 1] || (!a_ends && below[j]);
            else
                here[j] = a_ends || b_ends ? a_ends && b_ends : a.p[i] == b.p[j] && below[j + 1];
        }
    }
    return rows[0][0];
}

/* The bytes before the first `*`; all of them where there is none. */
static size_t prefix_len(struct eb_str pattern) {
    const char *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
    return star ? (size_t)(star - pattern.p) : pattern.n;
}

static uint64_t pattern_hash(const struct eb_policy *p, struct eb_str pattern) {
    size_t n = prefix_len(pattern);
    return eb_policy_hash(p, n < pattern.n ? EB_HASH_CLIENT_PREFIX : EB_HASH_CLIENT_ID, 0,
                          (struct eb_str){pattern.p, n});
}

static uint32_t find_literal(const struct eb_policy *p, struct eb_str id) {
    uint64_t hash = eb_policy_hash(p, EB_HASH_CLIENT_ID, 0, id);
    uint32_t at = eb_index_start(&p->by_client_id, hash), v;
    while ((v = eb_index_next(&p->by_client_id, hash, &at)) != 0)
        if (eb_str_eq(eb_policy_str(p, eb_policy_rec(p, v - 1)->client_id), id) && !eb_str_has(id, '*'))
            return v;
    return 0;
}

/* The first pattern with wildcards that meets text (an id, or a pattern where overlap is set); *ret_same
 * counts those with the same prefix. */
static uint32_t find_pattern(const struct eb_policy *p, struct eb_str text, bool overlap, size_t *ret_same) {
    size_t longest = overlap ? prefix_len(text) : text.n, same = 0;
    uint32_t found = 0;
    if (longest > EB_POLICY_CLIENT_ID_MAX)
        longest = EB_POLICY_CLIENT_ID_MAX;
    for (size_t n = 0; n <= longest && !found; n++) {
        if (!(p->prefix_lens[n / 64] >> (n % 64) & 1))
            continue;
        struct eb_str prefix = {text.p, n};
        uint64_t hash = eb_policy_hash(p, EB_HASH_CLIENT_PREFIX, 0, prefix);
        uint32_t at = eb_index_start(&p->by_client_id, hash), v;
        while (!found && (v = eb_index_next(&p->by_client_id, hash, &at)) != 0) {
            struct eb_str pattern = eb_policy_str(p, eb_policy_rec(p, v - 1)->client_id);
            size_t len = prefix_len(pattern);
            if (len != n || len == pattern.n || !eb_str_starts(pattern, prefix))
                continue;
            same += n == longest;
            if (overlap ? eb_glob_overlap(pattern, text) : eb_glob_match(pattern, text))
                found = v;
        }
    }
    if (ret_same)
        *ret_same = same;
    return found;
}

uint32_t eb_client_id_owner(const struct eb_policy *p, struct eb_str id) {
    if (p->by_client_id.n == 0)
        return 0;
    uint32_t v = find_literal(p, id);
    return v ? v : find_pattern(p, id, false, NULL);
}

static void set_place(struct eb_load *l, const struct eb_policy_rec *r) {
    static const char *const sections[] = {"oauth2", "mtls", "nkey", "noauth"};
    struct eb_str name = eb_policy_str(l->policy, r->name);
    l->section = sections[r->method];
    l->entry[0] = '\0';
    if (r->method != EB_POLICY_NOAUTH && name.n < sizeof l->entry) {
        memcpy(l->entry, name.p, name.n);
        l->entry[name.n] = '\0';
    }
}

static void report_taken(struct eb_load *l, uint32_t place, uint32_t other) {
    const struct eb_policy_rec *r = eb_policy_rec(l->policy, place), *o = eb_policy_rec(l->policy, other - 1);
    struct eb_str name = eb_policy_str(l->policy, o->name), pattern = eb_policy_str(l->policy, o->client_id);
    char quoted[100];
    set_place(l, r);
    eb_load_report(l, EB_ERROR, r->line, "mqtt_client_id", "write patterns that no id fits both of",
                   "some client id is bound by this and by %s of entry `%.*s` (line %u) at once",
                   eb_quote(quoted, pattern), EB_STR_ARG(name), (unsigned)o->line);
}

static bool add_one(struct eb_load *l, uint32_t place, struct eb_str pattern, bool wildcard) {
    struct eb_policy *p = l->policy;
    const struct eb_policy_rec *r = eb_policy_rec(p, place);
    size_t same = 0;
    uint32_t other = wildcard ? 0 : find_literal(p, pattern);
    if (!other)
        other = find_pattern(p, pattern, wildcard, &same);
    if (other) {
        report_taken(l, place, other);
        return true;
    }
    if (wildcard && same >= SAME_PREFIX_MAX) {
        set_place(l, r);
        eb_load_report(l, EB_ERROR, r->line, "mqtt_client_id",
                       "begin the patterns with what tells the clients apart",
                       "more than %d patterns begin with the same text", SAME_PREFIX_MAX);
        return true;
    }
    return eb_index_add(&p->by_client_id, pattern_hash(p, pattern), place + 1) || eb_load_nomem(l);
}

/* Adds the patterns whose text before the first `*` has n bytes; SIZE_MAX: the literal ids. */
static bool add_all(struct eb_load *l, size_t n) {
    struct eb_policy *p = l->policy;
    for (uint32_t i = 0; i < p->n; i++) {
        struct eb_str pattern = eb_policy_str(p, eb_policy_rec(p, i)->client_id);
        size_t len = prefix_len(pattern);
        bool wildcard = len < pattern.n;
        if (pattern.n && (wildcard ? len == n : n == SIZE_MAX) && !add_one(l, i, pattern, wildcard))
            return false;
    }
    return true;
}

bool eb_client_ids_check(struct eb_load *l) {
    struct eb_policy *p = l->policy;
    for (uint32_t i = 0; i < p->n; i++) {
        struct eb_str pattern = eb_policy_str(p, eb_policy_rec(p, i)->client_id);
        size_t n = prefix_len(pattern);
        if (n < pattern.n)
            p->prefix_lens[n / 64] |= (uint64_t)1 << (n % 64);
    }
    /* From short prefixes to long ones, then literals: what could meet one has a prefix of its text and is in
     * the index by then. */
    for (size_t n = 0; n < EB_POLICY_CLIENT_ID_MAX; n++)
        if ((p->prefix_lens[n / 64] >> (n % 64) & 1) && !add_all(l, n))
            return false;
    return add_all(l, SIZE_MAX);
}
