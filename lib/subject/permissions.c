/*
 * nats-server reads an empty allow list as "everything", so a side that grants nothing becomes a deny of `>`.
 * An MQTT client gets another sub side: its deliveries arrive on subscriptions under $MQTT.sub.> and
 * $MQTT.deliver.pubrel.>, which the server allows it implicitly but which a deny takes away (seen with
 * nats-server 2.15.2: with sub deny `$MQTT.>`, SUBSCRIBE at QoS 1 and 2 gets 0x80; with sub deny `>`, a
 * resumed session with a QoS 2 subscription cannot finish its PUBREL). So there, no deny reaches $MQTT, and
 * "nothing" is an allow of `$MQTT.sub.>` alone, which no MQTT client can subscribe to, as its filters may not
 * begin with $MQTT. Publishers without sub rights and subscribers with pub deny `>` then work at QoS 0, 1
 * and 2.
 */
#include "subject/permissions.h"

#include "subject/subject.h"

#define COMPARED_MAX 64 /* rules of a list that are compared with each other */
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

bool eb_permissions_is_root_wildcard(struct eb_str s) {
    return s.n && (s.p[0] == '*' ? s.n == 1 || s.p[1] == '.' : s.n == 1 && s.p[0] == '>');
}

static struct eb_str subject_of(const struct eb_permissions *p, const struct eb_rule *r) {
    return (struct eb_str){p->text + r->off, r->subject_n};
}

static bool any_root_wildcard(const struct eb_permissions *p, const struct eb_rules *rules) {
    for (size_t i = 0; i < rules->n; i++)
        if (eb_permissions_is_root_wildcard(subject_of(p, &rules->v[i])))
            return true;
    return false;
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

static bool covered(const struct eb_permissions *p, const struct eb_rules *rules, struct eb_str s,
                    bool literal_roots_only) {
    for (size_t i = 0; i < rules->n; i++) {
        struct eb_str r = subject_of(p, &rules->v[i]);
        if (rules->v[i].n == rules->v[i].subject_n &&
            !(literal_roots_only && eb_permissions_is_root_wildcard(r)) && eb_subject_covers(r, s))
            return true;
    }
    return false;
}

/* A rule inside a space that a wildcard of the same list reaches too: the deny that the wildcard needs would
 * take the rule away. */
static void report_conflict(const struct eb_permissions *p, enum eb_side side, size_t wildcard,
                            struct eb_str deny) {
    const struct eb_rules *allow = &p->rules[side];
    for (size_t i = 0; p->conflict && i < allow->n; i++) {
        struct eb_str r = subject_of(p, &allow->v[i]);
        if (eb_permissions_is_root_wildcard(r) || !eb_subject_overlap(r, deny))
            continue;
        p->conflict(p->ctx, side, wildcard, i, deny);
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
static void deny_spaces(const struct eb_permissions *p, enum eb_side side, bool mqtt, struct list *list) {
    const struct eb_rules *allow = &p->rules[side], *deny = &p->rules[side + 1];
    bool all = !p->given;
    if (!all && !any_root_wildcard(p, allow))
        return;
    for (unsigned s = 0; s < SPACES; s++) {
        if (p->jetstream && eb_str_eqz(spaces[s].root, "$JS"))
            continue;
        if (side != EB_SUB_ALLOW ? !spaces[s].pub : mqtt ? !spaces[s].mqtt_sub : !spaces[s].sub)
            continue;
        for (size_t i = 0; i < (all ? 1 : allow->n); i++) {
            struct eb_str rule = all ? EB_STR(">") : subject_of(p, &allow->v[i]);
            if (!eb_permissions_is_root_wildcard(rule))
                continue;
            within(rule, spaces[s].root, p->scratch);
            struct eb_str reach = eb_buf_get(p->scratch);
            if (!eb_buf_ok(p->scratch)) /* a deny that is lost would grant */
                list->to->failed = true;
            if (reach.n == 0 || covered(p, allow, reach, true) || covered(p, deny, reach, false))
                continue;
            if (!mqtt || !p->nats) /* once */
                report_conflict(p, side, i, reach);
            list_add(list, reach);
        }
    }
}

static bool names_root(const struct eb_permissions *p, const struct eb_rules *rules, const char *root) {
    for (size_t i = 0; i < rules->n; i++)
        if (eb_str_eqz(first_token(subject_of(p, &rules->v[i])), root))
            return true;
    return false;
}

static bool denies_all(const struct eb_permissions *p, const struct eb_rules *deny) {
    for (size_t i = 0; i < deny->n; i++)
        if (deny->v[i].n == 1 && eb_str_eqz(subject_of(p, &deny->v[i]), ">"))
            return true;
    return false;
}

/*
 * The MQTT filter `a/#` covers `a` too (MQTT 3.1.1, 4.7.1.2), and nats-server subscribes to both or refuses
 * both. So for MQTT the rule `a.>`, which is `a/#` there, brings `a` with it.
 */
static void allow_parents(const struct eb_permissions *p, const struct eb_rules *allow, struct eb_buf *to) {
    for (size_t i = 0; i < allow->n; i++) {
        struct eb_str r = subject_of(p, &allow->v[i]);
        if (allow->v[i].n != allow->v[i].subject_n || !eb_str_ends(r, EB_STR(".>")))
            continue;
        struct eb_str parent = {r.p, r.n - 2};
        if (allow->n <= COMPARED_MAX && covered(p, allow, parent, false)) /* else: twice does no harm */
            continue;
        eb_buf_ch(to, ',');
        eb_buf_json_str(to, parent, 0);
    }
}

static void write_side(const struct eb_permissions *p, enum eb_side side, bool mqtt, struct eb_buf *to) {
    const struct eb_rules *allow = &p->rules[side], *deny = &p->rules[side + 1];
    bool mqtt_sub = mqtt && side == EB_SUB_ALLOW;
    eb_buf_z(to, side == EB_SUB_ALLOW ? "\"sub\":{" : "\"pub\":{");
    bool nothing = p->given && (allow->n == 0 || (mqtt_sub && denies_all(p, deny)));
    if (nothing) {
        eb_buf_z(to, mqtt_sub ? "\"allow\":[\"$MQTT.sub.>\"]}" : "\"deny\":[\">\"]}");
        return;
    }
    for (size_t i = 0; i < allow->n; i++) {
        eb_buf_z(to, i ? "," : "\"allow\":[");
        eb_buf_json_str(to, (struct eb_str){p->text + allow->v[i].off, allow->v[i].n}, 0);
    }
    if (mqtt_sub)
        allow_parents(p, allow, to);
    if (allow->n)
        eb_buf_ch(to, ']');
    size_t before_deny = to->n;
    if (allow->n)
        eb_buf_ch(to, ',');
    struct list list = {.to = to};
    for (size_t i = 0; i < deny->n; i++) {
        struct eb_str s = {p->text + deny->v[i].off, deny->v[i].n};
        if (!mqtt_sub || !eb_str_starts(s, EB_STR("$MQTT.")))
            list_add(&list, s);
    }
    /* nats-server before 2.15.2 lets $MQTT.> through on a leaf link whatever its allow list says. */
    if (!p->internal && p->leaf && !names_root(p, allow, "$MQTT") &&
        !covered(p, deny, EB_STR("$MQTT.>"), false) && !mqtt_sub && p->given &&
        !covered(p, allow, EB_STR("$MQTT.>"), false))
        list_add(&list, EB_STR("$MQTT.>"));
    if (!p->internal)
        deny_spaces(p, side, mqtt, &list);
    if (list.any)
        eb_buf_ch(to, ']');
    else if (to->n > before_deny)
        to->p[--to->n] = '\0';
    eb_buf_ch(to, '}');
}

void eb_permissions_write(const struct eb_permissions *p, struct eb_buf *to, size_t *ret_nats_n,
                          size_t *ret_mqtt_at) {
    size_t start = to->n, nats_n = 0, mqtt_at = 0;
    /* sub for NATS, pub and resp for both, sub for MQTT: each form is one stretch of it. */
    if (p->nats) {
        write_side(p, EB_SUB_ALLOW, false, to);
        eb_buf_ch(to, ',');
        mqtt_at = to->n - start;
    }
    write_side(p, EB_PUB_ALLOW, p->mqtt && !p->nats, to);
    if (p->has_resp)
        eb_buf_printf(to, ",\"resp\":{\"max\":%lld,\"ttl\":%lld}", (long long)p->resp_max,
                      (long long)p->resp_ttl_ns);
    nats_n = to->n - start;
    if (p->mqtt) {
        size_t mid = to->n;
        eb_buf_ch(to, ',');
        write_side(p, EB_SUB_ALLOW, true, to);
        size_t first_n = mqtt_at ? mqtt_at - 1 : 0, last_n = to->n - mid - 1;
        if (p->nats && eb_buf_ok(to) && first_n == last_n &&
            memcmp(to->p + start, to->p + mid + 1, last_n) == 0) {
            to->p[to->n = mid] = '\0'; /* the same for both */
            mqtt_at = 0;
        } else if (!p->nats) {
            nats_n = to->n - start;
        }
    } else {
        mqtt_at = 0;
    }
    *ret_nats_n = nats_n;
    *ret_mqtt_at = mqtt_at;
}
