#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"
#include "policy/impl.h"
#include "subject/subject.h"

#define RULES_MAX 1024              /* of one list */
#define COMPARED_MAX 64             /* rules of a list that are compared with those of another */
#define RESP_MAX ((int64_t)1000000) /* answers to one request */
#define TTL_MAX_NS ((int64_t)86400 * 1000000000)

const char *const eb_side_path[EB_SIDES] = {"permissions.pub.allow", "permissions.pub.deny",
                                            "permissions.sub.allow", "permissions.sub.deny"};

/* Keys of a mapping: calls back for known ones, reports the others. */
typedef bool (*key_fn)(struct eb_load *l, unsigned key, const struct eb_doc_event *value, unsigned arg);

static bool read_mapping(struct eb_load *l, const struct eb_doc_event *first, const char *where,
                         const char *const *keys, size_t keys_n, key_fn fn, unsigned arg) {
    struct eb_doc_event ev = *first;
    unsigned seen = 0;
    char path[200], key_text[100], quoted[100];
    if (ev.kind != EB_DOC_MAP) {
        eb_load_report(l, EB_ERROR, ev.line, where, "write a mapping, {} for an empty one", "no mapping");
        return eb_load_skip(l, &ev);
    }
    for (;;) {
        if (!eb_load_next(l, &ev))
            return false;
        if (ev.kind != EB_DOC_SCALAR)
            return true;
        unsigned k = 0;
        while (k < keys_n && !eb_str_eqz(ev.text, keys[k]))
            k++;
        bool use = k < keys_n && !(seen >> k & 1);
        if (!use) {
            eb_auto_buf struct eb_buf mend = {0};
            if (k == keys_n)
                eb_nearest_mend(ev.text, keys, keys_n, &mend);
            (void)snprintf(path, sizeof path, "%s.%s", where, eb_key_path(key_text, ev.text));
            eb_load_report(l, EB_ERROR, ev.line, path, k == keys_n ? mend.p : "keep one",
                           k == keys_n ? "unknown key %s" : "the key %s is here a second time",
                           eb_quote(quoted, ev.text));
        }
        seen |= k < keys_n ? 1U << k : 0;
        if (!eb_load_next(l, &ev) || !(use ? fn(l, k, &ev, arg) : eb_load_skip(l, &ev)))
            return false;
    }
}

static bool add_rule(struct eb_load *l, const struct eb_doc_event *ev, size_t i, unsigned side) {
    struct eb_draft *d = &l->draft;
    struct eb_rules *r = &d->rules[side];
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct eb_rule *v = realloc(r->v, cap * sizeof *v);
        if (!v)
            return eb_load_nomem(l);
        r->v = v;
        r->cap = cap;
    }
    r->v[r->n++] = (struct eb_rule){
        .off = d->text.n, .n = ev->text.n, .line = ev->line, .place = i, .subject_n = ev->text.n};
    eb_buf_str(&d->text, ev->text);
    return eb_buf_ok(&d->text) || eb_load_nomem(l);
}

static bool read_list(struct eb_load *l, unsigned key, const struct eb_doc_event *ev, unsigned first_side) {
    unsigned side = first_side + key;
    return eb_draft_list(l, ev, eb_side_path[side], RULES_MAX, add_rule, side);
}

static bool read_resp(struct eb_load *l, unsigned key, const struct eb_doc_event *ev, unsigned arg) {
    (void)arg;
    struct eb_draft *d = &l->draft;
    bool scalar = ev->kind == EB_DOC_SCALAR;
    if (key == 0 && (!scalar || eb_num_i64(ev->text, 1, RESP_MAX, &d->resp_max) != EB_OK))
        eb_load_report(l, EB_ERROR, ev->line, "permissions.resp.max",
                       "write how many answers one request may get: 1 to 1000000", "no such number");
    if (key == 1 && (!scalar || eb_num_duration(ev->text, &d->resp_ttl_ns) != EB_OK || d->resp_ttl_ns <= 0 ||
                     d->resp_ttl_ns > TTL_MAX_NS))
        eb_load_report(l, EB_ERROR, ev->line, "permissions.resp.ttl",
                       "write a duration as 5s or 2m, or a number of seconds, up to 24h",
                       "no duration that can be used");
    return eb_load_skip(l, ev);
}

static bool read_part(struct eb_load *l, unsigned key, const struct eb_doc_event *ev, unsigned arg) {
    (void)arg;
    static const char *const lists[] = {"allow", "deny"}, *const resp[] = {"max", "ttl"};
    if (eb_doc_is_null(ev))
        return true; /* grants nothing, as if it were absent */
    if (key < 2)
        return read_mapping(l, ev, key ? "permissions.sub" : "permissions.pub", lists, 2, read_list,
                            key ? EB_SUB_ALLOW : EB_PUB_ALLOW);
    struct eb_draft *d = &l->draft;
    d->has_resp = true;
    d->resp_max = EB_PERMISSIONS_RESP_MAX;
    d->resp_ttl_ns = EB_PERMISSIONS_RESP_TTL_NS;
    return read_mapping(l, ev, "permissions.resp", resp, 2, read_resp, 0);
}

bool eb_draft_permissions(struct eb_load *l, const struct eb_doc_event *ev) {
    static const char *const parts[] = {"pub", "sub", "resp"};
    if (eb_doc_is_null(ev)) { /* could mean all or nothing */
        eb_load_report(l, EB_ERROR, ev->line, "permissions",
                       "write {} to grant nothing, or leave the key out for the account's own subjects",
                       "no value");
        return true;
    }
    return read_mapping(l, ev, "permissions", parts, 3, read_part, 0);
}

/* ---- checks ---- */

/* True for what nobody means in NATS: `+` or `#` as a level, or a `/` that no MQTT topic becomes. */
static bool looks_like_mqtt(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char before = i ? s.p[i - 1] : '.', after = i + 1 < s.n ? s.p[i + 1] : '.';
        bool first = before == '.' || before == '/', last = after == '.' || after == '/';
        if ((s.p[i] == '+' || s.p[i] == '#') && first && last)
            return true;
        /* `//` stands for a dot and `/` alone for an empty level; buckets (`$KV…`) may have it in a key. */
        if (s.p[i] == '/' && before != '/' && after != '/' && !(before == '.' && after == '.') &&
            s.p[0] != '$')
            return true;
    }
    return false;
}

static void report_mqtt(struct eb_load *l, size_t line, const char *at, struct eb_str s) {
    eb_auto_buf struct eb_buf mend = {0};
    char quoted[100];
    eb_buf_z(&mend, "write ");
    bool have = false;
    if (eb_str_has(s, '/') && !eb_str_has(s, '.')) {
        eb_auto_buf struct eb_buf subject = {0};
        have = eb_subject_from_mqtt(s, &subject, NULL) == EB_OK;
        if (have)
            eb_buf_printf(&mend, "`%s`", subject.p);
    } else if (!eb_str_has(s, '/')) {
        have = true;
        eb_buf_ch(&mend, '`');
        for (size_t i = 0; i < s.n; i++)
            eb_buf_ch(&mend, s.p[i] == '+' ? '*' : s.p[i] == '#' ? '>' : s.p[i]);
        eb_buf_ch(&mend, '`');
    }
    if (!have)
        eb_buf_z(&mend, "`.` between levels, `*` for `+`, and `>` for `#`");
    eb_load_report(l, EB_ERROR, line, at, mend.p,
                   "%s is written as an MQTT topic; permissions are in NATS form", eb_quote(quoted, s));
}

static bool queue_ok(struct eb_str queue) {
    return queue.n && queue.n <= EB_POLICY_NAME_MAX && !eb_str_has(queue, ' ') &&
           !eb_utf8_has_control(queue) && eb_utf8_valid(queue);
}

static bool has_expansion(struct eb_str s) {
    return s.n && memmem(s.p, s.n, "${", 2);
}

static void check_rule(struct eb_load *l, enum eb_side side, size_t i) {
    struct eb_rule *r = &l->draft.rules[side].v[i];
    struct eb_str whole = {l->draft.text.p + r->off, r->n};
    if (eb_subject_is_plain(whole)) /* no blank, no `$`, nothing that could be MQTT's */
        return;
    struct eb_str queue = whole, subject = eb_str_cut(&queue, ' ');
    char at[64], quoted[100];
    l->err.rc = EB_OK;
    bool pub_queue = queue.p && side <= EB_PUB_DENY, bad_queue = queue.p && !queue_ok(queue);
    bool ok = eb_subject_check(subject, &l->err) == EB_OK;
    if (ok && !pub_queue && !bad_queue && !has_expansion(whole) && !looks_like_mqtt(subject)) {
        r->subject_n = subject.n;
        return;
    }
    (void)snprintf(at, sizeof at, "%s[%zu]", eb_side_path[side], r->place);
    if (pub_queue)
        eb_load_report(l, EB_ERROR, r->line, at, "write the subject only",
                       "%s has a blank: only a subscription can name a queue group", eb_quote(quoted, whole));
    else if (bad_queue)
        eb_load_report(l, EB_ERROR, r->line, at, "write `subject`, or `subject queue` with one blank",
                       "%s does not end in the name of a queue group", eb_quote(quoted, whole));
    else if (!ok)
        eb_load_report(l, EB_ERROR, r->line, at, NULL, "%s", l->err.text);
    else if (has_expansion(whole))
        eb_load_report(l, EB_ERROR, r->line, at, "write the subject itself",
                       "%s: names are replaced in identities, keys and accounts, not in subjects",
                       eb_quote(quoted, whole));
    else
        report_mqtt(l, r->line, at, subject);
}

/* Warns of a rule that its own entry denies as a whole. */
static void check_covered(struct eb_load *l, enum eb_side side) {
    const struct eb_draft *d = &l->draft;
    const struct eb_rules *allow = &d->rules[side], *deny = &d->rules[side + 1];
    if (allow->n > COMPARED_MAX || deny->n > COMPARED_MAX)
        return;
    for (size_t i = 0; i < allow->n; i++) {
        for (size_t j = 0; j < deny->n; j++) {
            struct eb_str a = eb_draft_rule(d, &allow->v[i]), b = eb_draft_rule(d, &deny->v[j]);
            if (deny->v[j].subject_n != deny->v[j].n || !eb_subject_covers(b, a))
                continue;
            char at[64], qa[100], qb[100];
            (void)snprintf(at, sizeof at, "%s[%zu]", eb_side_path[side], allow->v[i].place);
            eb_load_report(l, EB_WARNING, allow->v[i].line, at, "leave out one of them",
                           "%s has no effect: %s is denied, and deny wins", eb_quote(qa, a), eb_quote(qb, b));
            break;
        }
    }
}

/* A deny that reaches the subjects by which nats-server delivers to an MQTT client would silence the client.
 */
static void check_mqtt_deny(struct eb_load *l) {
    const struct eb_draft *d = &l->draft;
    const struct eb_rules *deny = &d->rules[EB_SUB_DENY];
    for (size_t i = 0; i < deny->n; i++) {
        struct eb_str s = eb_draft_rule(d, &deny->v[i]);
        char at[64], quoted[100];
        if (s.p[0] != '*' || deny->v[i].subject_n != deny->v[i].n ||
            !(eb_subject_overlap(s, EB_STR("$MQTT.sub.*")) ||
              eb_subject_overlap(s, EB_STR("$MQTT.deliver.pubrel.*"))))
            continue;
        (void)snprintf(at, sizeof at, "%s[%zu]", eb_side_path[EB_SUB_DENY], deny->v[i].place);
        eb_load_report(l, EB_ERROR, deny->v[i].line, at,
                       "begin it with a name, or leave mqtt out of connections",
                       "%s would also deny an MQTT client its own delivery ($MQTT.>)", eb_quote(quoted, s));
    }
}

void eb_draft_check_rules(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    size_t errors = l->findings->errors;
    for (unsigned side = 0; side < EB_SIDES; side++)
        for (size_t i = 0; i < d->rules[side].n; i++)
            check_rule(l, (enum eb_side)side, i);
    if (l->findings->errors != errors)
        return;
    for (unsigned side = EB_PUB_ALLOW; side < EB_SIDES; side += 2) {
        check_covered(l, (enum eb_side)side);
        if (d->rules[side].n == 0 && d->rules[side + 1].n)
            eb_load_report(l, EB_WARNING, d->rules[side + 1].v[0].line, eb_side_path[side + 1],
                           "add allow: [\">\"] to grant all the others",
                           "a deny without an allow: the side grants nothing");
    }
    if (d->connections & EB_CONN_MQTT)
        check_mqtt_deny(l);
}
