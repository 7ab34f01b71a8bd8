/*
 * The wire form of permissions. nats-server reads an empty allow list as "everything", so a side that grants
 * nothing becomes a deny of
 * `>`. An MQTT client gets another sub side: its deliveries arrive on subscriptions under $MQTT.sub.> and
 * $MQTT.deliver.pubrel.>, which the server allows it implicitly but which a deny takes away (seen with
 * nats-server 2.15.2: with sub deny `$MQTT.>`, SUBSCRIBE at QoS 1 and 2 gets 0x80; with sub deny `>`, a
 * resumed session with a QoS 2 subscription cannot finish its PUBREL). So there, no deny reaches $MQTT, and
 * "nothing" is an allow of `$MQTT.sub.>` alone, which no MQTT client can subscribe to, as its filters may not
 * begin with $MQTT. Publishers without sub rights and subscribers with pub deny `>` then work at QoS 0, 1
 * and 2.
 */
#include <stdio.h>

#include "policy/impl.h"
#include "subject/subject.h"

#define GRANTS_MAX                                                                                           \
    ((size_t)256 << 10) /* of one entry: the answer holds it, in base64 twice, and must fit max_payload */
#define ROOT_WILDCARDS_MAX 64 /* rules of a list that begin with a wildcard */
#define COMPARED_MAX 64       /* rules of a list that are compared with each other */
#define SPACES 8

/*
 * What only internal entries and rules that name it literally reach. Answers to questions across accounts
 * pass through _R_: nobody subscribes to them, and a subscriber of everything would get them as messages. An
 * MQTT client asks nothing, so that inboxes are closed to it; to NATS clients they are the way to ask.
 */
static const struct space {
    struct eb_str root;      /* first token */
    bool pub, sub, mqtt_sub; /* protected from publishers, from subscribers by NATS, by MQTT */
} spaces[SPACES] = {
    {{"$SYS", 4}, true, false, false}, {{"$SRV", 4}, true, false, false},   {{"$MQTT", 5}, true, true, false},
    {{"$JS", 3}, true, false, false},  {{"$XL", 3}, true, true, true},      {{"$JSC", 4}, true, true, true},
    {{"_R_", 3}, false, true, true},   {{"_INBOX", 6}, false, false, true},
};

static struct eb_str first_token(struct eb_str s) {
    return eb_str_cut(&s, '.');
}

static bool is_root_wildcard(struct eb_str s) {
    return s.n && (s.p[0] == '*' ? s.n == 1 || s.p[1] == '.' : s.n == 1 && s.p[0] == '>');
}

static size_t root_wildcards(const struct eb_draft *d, const struct eb_rules *rules) {
    size_t n = 0;
    for (size_t i = 0; i < rules->n; i++)
        n += is_root_wildcard(eb_draft_rule(d, &rules->v[i]));
    return n;
}

/* What a rule that begins with a wildcard reaches within a space; nothing for `*` alone. */
static void within(struct eb_str rule, struct eb_str root, struct eb_buf *to) {
    eb_buf_reset(to);
    struct eb_str rest = rule;
    (void)eb_str_cut(&rest, '.');
    eb_buf_str(to, root);
    eb_buf_ch(to, '.');
    if (eb_str_eqz(rule, ">"))
        eb_buf_ch(to, '>');
    else if (rest.p)
        eb_buf_str(to, rest);
    else
        eb_buf_reset(to);
}

static bool covered(const struct eb_draft *d, const struct eb_rules *rules, struct eb_str s,
                    bool literal_roots_only) {
    for (size_t i = 0; i < rules->n; i++) {
        struct eb_str r = eb_draft_rule(d, &rules->v[i]);
        if (rules->v[i].n == rules->v[i].subject_n && !(literal_roots_only && is_root_wildcard(r)) &&
            eb_subject_covers(r, s))
            return true;
    }
    return false;
}

/* A rule inside a space that a wildcard of the same list reaches too: the deny that the wildcard needs would
 * take the rule away. */
static void report_conflict(struct eb_load *l, enum eb_side side, size_t wildcard, struct eb_str deny) {
    struct eb_draft *d = &l->draft;
    const struct eb_rules *allow = &d->rules[side];
    for (size_t i = 0; i < allow->n; i++) {
        struct eb_str r = eb_draft_rule(d, &allow->v[i]);
        if (is_root_wildcard(r) || !eb_subject_overlap(r, deny))
            continue;
        char at[64], qr[100], qw[100], qd[100], mend[300];
        (void)snprintf(at, sizeof at, "%s[%zu]", eb_side_path[side], i);
        eb_quote(qw, eb_draft_rule(d, &allow->v[wildcard]));
        eb_quote(qd, deny);
        (void)snprintf(mend, sizeof mend, "list the subjects instead of %s, or grant the whole of %s", qw,
                       qd);
        eb_load_report(l, EB_ERROR, allow->v[i].line, at, mend,
                       "%s cannot be granted beside %s: the wildcard needs a deny of %s, and deny wins",
                       eb_quote(qr, r), qw, qd);
        return;
    }
}

struct list {
    struct eb_buf *to;
    bool any;
};

static void list_add(struct list *list, struct eb_str s) {
    eb_buf_z(list->to, list->any ? "," : "\"deny\":[");
    eb_buf_json_str(list->to, s, 0);
    list->any = true;
}

/* Denies what the wildcards of an allow list reach of the spaces; `>` stands for the list of an entry without
 * permissions. */
static void deny_spaces(struct eb_load *l, enum eb_side side, bool mqtt, struct list *list) {
    struct eb_draft *d = &l->draft;
    const struct eb_rules *allow = &d->rules[side], *deny = &d->rules[side + 1];
    bool all = !d->line[EB_F_PERMISSIONS];
    if (!all && root_wildcards(d, allow) == 0)
        return;
    for (unsigned s = 0; s < SPACES; s++) {
        if (side != EB_SUB_ALLOW ? !spaces[s].pub : mqtt ? !spaces[s].mqtt_sub : !spaces[s].sub)
            continue;
        for (size_t i = 0; i < (all ? 1 : allow->n); i++) {
            struct eb_str rule = all ? EB_STR(">") : eb_draft_rule(d, &allow->v[i]);
            if (!is_root_wildcard(rule))
                continue;
            within(rule, spaces[s].root, &d->scratch);
            struct eb_str reach = eb_buf_get(&d->scratch);
            if (!eb_buf_ok(&d->scratch)) /* a deny that is lost would grant */
                list->to->failed = true;
            if (reach.n == 0 || covered(d, allow, reach, true) || covered(d, deny, reach, false))
                continue;
            if (!mqtt || d->connections == EB_CONN_MQTT) /* once */
                report_conflict(l, side, i, reach);
            list_add(list, reach);
        }
    }
}

static bool names_root(const struct eb_draft *d, const struct eb_rules *rules, const char *root) {
    for (size_t i = 0; i < rules->n; i++)
        if (eb_str_eqz(first_token(eb_draft_rule(d, &rules->v[i])), root))
            return true;
    return false;
}

static bool denies_all(const struct eb_draft *d, const struct eb_rules *deny) {
    for (size_t i = 0; i < deny->n; i++)
        if (deny->v[i].n == 1 && eb_str_eqz(eb_draft_rule(d, &deny->v[i]), ">"))
            return true;
    return false;
}

/*
 * The MQTT filter `a/#` covers `a` too (MQTT 3.1.1, 4.7.1.2), and nats-server subscribes to both or refuses
 * both. So for MQTT the rule `a.>`, which is `a/#` there, brings `a` with it.
 */
static void allow_parents(const struct eb_draft *d, const struct eb_rules *allow, struct eb_buf *to) {
    for (size_t i = 0; i < allow->n; i++) {
        struct eb_str r = eb_draft_rule(d, &allow->v[i]);
        if (allow->v[i].n != allow->v[i].subject_n || !eb_str_ends(r, EB_STR(".>")))
            continue;
        struct eb_str parent = {r.p, r.n - 2};
        if (allow->n <= COMPARED_MAX && covered(d, allow, parent, false)) /* else: twice does no harm */
            continue;
        eb_buf_ch(to, ',');
        eb_buf_json_str(to, parent, 0);
    }
}

static void write_side(struct eb_load *l, enum eb_side side, bool mqtt, struct eb_buf *to) {
    struct eb_draft *d = &l->draft;
    const struct eb_rules *allow = &d->rules[side], *deny = &d->rules[side + 1];
    bool mqtt_sub = mqtt && side == EB_SUB_ALLOW;
    eb_buf_z(to, side == EB_SUB_ALLOW ? "\"sub\":{" : "\"pub\":{");
    bool nothing = d->line[EB_F_PERMISSIONS] && (allow->n == 0 || (mqtt_sub && denies_all(d, deny)));
    if (nothing) {
        eb_buf_z(to, mqtt_sub ? "\"allow\":[\"$MQTT.sub.>\"]}" : "\"deny\":[\">\"]}");
        return;
    }
    for (size_t i = 0; i < allow->n; i++) {
        eb_buf_z(to, i ? "," : "\"allow\":[");
        eb_buf_json_str(to, (struct eb_str){d->text.p + allow->v[i].off, allow->v[i].n}, 0);
    }
    if (mqtt_sub)
        allow_parents(d, allow, to);
    if (allow->n)
        eb_buf_ch(to, ']');
    size_t before_deny = to->n;
    if (allow->n)
        eb_buf_ch(to, ',');
    struct list list = {.to = to};
    for (size_t i = 0; i < deny->n; i++) {
        struct eb_str s = {d->text.p + deny->v[i].off, deny->v[i].n};
        if (!mqtt_sub || !eb_str_starts(s, EB_STR("$MQTT.")))
            list_add(&list, s);
    }
    /* nats-server before 2.15.2 lets $MQTT.> through on a leaf link whatever its allow list says. */
    if (!d->internal && (d->connections & EB_CONN_LEAF) && !names_root(d, allow, "$MQTT") &&
        !covered(d, deny, EB_STR("$MQTT.>"), false) && !mqtt_sub && d->line[EB_F_PERMISSIONS] &&
        !covered(d, allow, EB_STR("$MQTT.>"), false))
        list_add(&list, EB_STR("$MQTT.>"));
    if (!d->internal)
        deny_spaces(l, side, mqtt, &list);
    if (list.any)
        eb_buf_ch(to, ']');
    else if (to->n > before_deny)
        to->p[--to->n] = '\0';
    eb_buf_ch(to, '}');
}

static bool too_many_wildcards(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    bool over = false;
    for (unsigned side = EB_PUB_ALLOW; side < EB_SIDES; side += 2) {
        size_t n = root_wildcards(d, &d->rules[side]);
        if (n > ROOT_WILDCARDS_MAX) {
            eb_load_report(l, EB_ERROR, d->line[EB_F_PERMISSIONS], eb_side_path[side],
                           "begin rules with a name", "%zu rules begin with a wildcard: at most %d are taken",
                           n, ROOT_WILDCARDS_MAX);
            over = true;
        }
    }
    return over;
}

void eb_grants_write(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    struct eb_buf *to = &d->grants;
    bool mqtt = (d->connections & EB_CONN_MQTT) != 0,
         others = (d->connections & ~(unsigned)EB_CONN_MQTT) != 0;
    uint32_t head[2] = {0};
    eb_buf_reset(to);
    eb_buf_add(to, head, sizeof head);
    if (too_many_wildcards(l))
        return;
    /* sub for NATS, pub and resp for both, sub for MQTT: each form is one stretch of it. */
    if (others) {
        write_side(l, EB_SUB_ALLOW, false, to);
        eb_buf_ch(to, ',');
        head[1] = (uint32_t)(to->n - sizeof head);
    }
    write_side(l, EB_PUB_ALLOW, mqtt && !others, to);
    if (d->has_resp)
        eb_buf_printf(to, ",\"resp\":{\"max\":%lld,\"ttl\":%lld}", (long long)d->resp_max,
                      (long long)d->resp_ttl_ns);
    head[0] = (uint32_t)(to->n - sizeof head);
    if (mqtt) {
        size_t mid = to->n;
        eb_buf_ch(to, ',');
        write_side(l, EB_SUB_ALLOW, true, to);
        size_t first_n = head[1] ? head[1] - 1 : 0, last_n = to->n - mid - 1;
        if (others && eb_buf_ok(to) && first_n == last_n &&
            memcmp(to->p + sizeof head, to->p + mid + 1, last_n) == 0) {
            to->p[to->n = mid] = '\0'; /* the same for both */
            head[1] = 0;
        } else if (!others) {
            head[0] = (uint32_t)(to->n - sizeof head);
        }
    } else {
        head[1] = 0;
    }
    if (!eb_buf_ok(to)) {
        (void)eb_load_nomem(l);
        return;
    }
    if (to->n > GRANTS_MAX)
        eb_load_report(
            l, EB_ERROR, d->line[EB_F_PERMISSIONS], "permissions", "cover several subjects with a wildcard",
            "the permissions take %zu bytes on the wire: at most %zu are taken", to->n, GRANTS_MAX);
    memcpy(to->p, head, sizeof head);
}
