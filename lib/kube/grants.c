/*
 * A namespace's subjects and inboxes are granted by name, so what keeps two ServiceAccounts apart is that no
 * rule of one reaches into the other's. Annotations are written by whoever may edit a ServiceAccount; that is
 * why nothing in them may reach inboxes, replies or `$` subjects.
 *
 * NATS wildcards stand for whole tokens: there is no pattern for "every private inbox", `_INBOX_*` would be a
 * literal. A rule that begins with a wildcard reaches all private inboxes, and no deny can take them out of
 * it again. So with allow_root_wildcards whoever may write a `>` into an annotation of subscriptions reads
 * other ServiceAccounts' answers; what can be denied beside it is, which is every known `$` space, and `_R_`.
 */
#include "kube/grants.h"

#include <stdlib.h>

#include "kube/name.h"
#include "subject/permissions.h"
#include "subject/subject.h"

#define PREFIX_MAX 256     /* bytes of the configured prefix */
#define FIXED_MAX 4096     /* bytes on the wire of what is granted without annotations */
#define SAMPLES 6          /* items shown */
#define SAMPLE_TEXT_MAX 40 /* bytes of each, up to six times that where they are escaped */
_Static_assert(EB_KUBE_SAMPLE_MAX >= 6 * SAMPLE_TEXT_MAX + 40, "the first item with its reason must fit");

static const struct eb_str always_reserved = {"cpc", 3};

static const struct {
    const char *name, *text;
} drops[EB_KUBE_DROPS] = {
#define DROP_ROW(code, name, text) {name, text},
    EB_KUBE_DROP_LIST(DROP_ROW)
#undef DROP_ROW
};

const char *eb_kube_drop_name(enum eb_kube_drop d) {
    return d < EB_KUBE_DROPS ? drops[d].name : "unknown";
}

const char *eb_kube_drop_text(enum eb_kube_drop d) {
    return d < EB_KUBE_DROPS ? drops[d].text : "unknown";
}

/* Permissions being collected. */
struct draft {
    const struct eb_kube_rules *conf;
    struct eb_buf text, scratch;
    struct eb_rules rules[EB_SIDES];
    size_t wire; /* bytes that the longer form takes at most */
    bool nomem;
    struct eb_kube_drops drops;
    struct eb_buf sample;
    unsigned samples;
};

static void draft_done(struct draft *d) {
    for (unsigned i = 0; i < EB_SIDES; i++)
        free(d->rules[i].v);
    eb_buf_done(&d->text);
    eb_buf_done(&d->scratch);
    eb_buf_done(&d->sample);
}

/* Adds the rule that was written into d->text from off on. */
static void add_written(struct draft *d, enum eb_side side, size_t off) {
    struct eb_rules *r = &d->rules[side];
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct eb_rule *v = realloc(r->v, cap * sizeof *v);
        if (!v) {
            d->nomem = true;
            return;
        }
        r->v = v;
        r->cap = cap;
    }
    r->v[r->n++] = (struct eb_rule){.off = off, .n = d->text.n - off, .subject_n = d->text.n - off};
}

static void add_rule(struct draft *d, enum eb_side side, struct eb_str s) {
    size_t off = d->text.n;
    eb_buf_str(&d->text, s);
    add_written(d, side, off);
}

static void drop(struct draft *d, enum eb_kube_drop why, struct eb_str item) {
    d->drops.total++;
    d->drops.by_reason[why]++;
    if (d->samples == SAMPLES)
        return;
    size_t before = d->sample.n;
    eb_buf_z(&d->sample, d->samples ? ", " : "");
    eb_buf_json_str(&d->sample, item, SAMPLE_TEXT_MAX);
    eb_buf_printf(&d->sample, " (%s)", drops[why].name);
    if (eb_buf_ok(&d->sample) && d->sample.n < EB_KUBE_SAMPLE_MAX)
        d->samples++;
    else { /* it shows what fits */
        d->samples = SAMPLES;
        d->sample.n = before;
    }
}

/* ---- what an annotation may say ---- */

static struct eb_str first_token(struct eb_str s) {
    return eb_str_cut(&s, '.');
}

static bool is_jetstream(struct eb_str item) {
    static const struct eb_str roots[] = {{"$JS.API.>", 9}, {"$JS.ACK.>", 9}, {"$KV.>", 5}, {"$O.>", 4}};
    for (size_t i = 0; i < EB_COUNT_OF(roots); i++)
        if (eb_subject_covers(roots[i], item))
            return true;
    return false;
}

/* The reason to drop an item, EB_KUBE_DROPS for none. */
static enum eb_kube_drop judge(const struct eb_kube_rules *conf, struct eb_str item) {
    if (!eb_subject_is_plain(item) && eb_subject_check(item, NULL) != EB_OK)
        return EB_KUBE_DROP_INVALID;
    if (eb_permissions_is_root_wildcard(item))
        return conf->allow_root_wildcards ? EB_KUBE_DROPS : EB_KUBE_DROP_ROOT_WILDCARD;
    if (eb_str_starts(item, EB_STR("_INBOX")))
        return EB_KUBE_DROP_INBOX;
    if (eb_str_starts(item, EB_STR("_REPLY")) || eb_str_starts(item, EB_STR("_R_")))
        return EB_KUBE_DROP_REPLY;
    if (item.p[0] == '$' && !(conf->allow_jetstream && is_jetstream(item)))
        return EB_KUBE_DROP_SYSTEM;
    return EB_KUBE_DROPS;
}

/* Bytes of an item on the wire, in the longer form: `a.>` brings `a` with it there. */
static size_t wire_size(struct eb_str item, enum eb_side side) {
    size_t n = item.n + 3;
    for (size_t i = 0; i < item.n; i++)
        n += item.p[i] == '"' || item.p[i] == '\\';
    return side == EB_SUB_ALLOW && eb_str_ends(item, EB_STR(".>")) ? 2 * n : n;
}

static void add_annotation(struct draft *d, enum eb_side side, struct eb_str list) {
    size_t taken = 0, wildcards = 0;
    if (list.n > EB_KUBE_ANNOTATION_MAX) {
        drop(d, EB_KUBE_DROP_TOO_LARGE, list);
        return;
    }
    while (list.p) {
        struct eb_str item = eb_str_trim(eb_str_cut(&list, ','));
        if (item.n == 0)
            continue;
        enum eb_kube_drop why = judge(d->conf, item);
        bool wildcard = why == EB_KUBE_DROPS && eb_permissions_is_root_wildcard(item);
        if (why == EB_KUBE_DROPS &&
            (taken == EB_KUBE_SUBJECTS_MAX || (wildcard && wildcards == EB_PERMISSIONS_ROOT_WILDCARDS_MAX)))
            why = EB_KUBE_DROP_TOO_MANY;
        size_t wire = wire_size(item, side);
        if (why == EB_KUBE_DROPS && d->wire + wire > EB_PERMISSIONS_MAX)
            why = EB_KUBE_DROP_TOO_LARGE;
        if (why != EB_KUBE_DROPS) {
            drop(d, why, item);
            continue;
        }
        add_rule(d, side, item);
        d->wire += wire;
        wildcards += wildcard;
        taken++;
    }
}

/* ---- what a name gives ---- */

static bool is_reserved(const struct eb_kube_rules *conf, struct eb_str name) {
    if (eb_str_eq(name, always_reserved))
        return true;
    for (size_t i = 0; i < conf->reserved_n; i++)
        if (eb_str_eq(conf->reserved[i], name))
            return true;
    return false;
}

void eb_kube_token_of(struct eb_buf *to, struct eb_str ns, struct eb_str name) {
    eb_buf_str(to, ns);
    eb_buf_ch(to, '_');
    for (size_t i = 0; i < name.n; i++)
        eb_buf_ch(to, name.p[i] == '.' ? '_' : name.p[i]);
}

static enum eb_rc add_by_name(struct draft *d, struct eb_str ns, struct eb_str name, struct eb_err *reterr) {
    size_t off = d->text.n;
    eb_buf_str(&d->text, d->conf->subject_prefix);
    eb_buf_str(&d->text, ns);
    struct eb_str own = {d->text.p + off, d->text.n - off};
    if (!eb_buf_ok(&d->text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    /* A prefix without a dot makes another first token of both. */
    if (!is_reserved(d->conf, ns) && !is_reserved(d->conf, first_token(own))) {
        eb_buf_z(&d->text, ".>");
        add_written(d, EB_PUB_ALLOW, off);
        add_written(d, EB_SUB_ALLOW, off);
        own = (struct eb_str){d->text.p + off, d->text.n - off};
        if (eb_buf_ok(&d->text) && eb_subject_check(own, reterr) != EB_OK)
            return EB_E_INVALID;
    }
    add_rule(d, EB_SUB_ALLOW, EB_STR("_INBOX.>"));
    off = d->text.n;
    eb_buf_z(&d->text, "_INBOX_");
    eb_kube_token_of(&d->text, ns, name);
    eb_buf_z(&d->text, ".>");
    add_written(d, EB_SUB_ALLOW, off);
    return EB_OK;
}

/* What eb_permissions_write does not deny beside a wildcard, and what is not in any annotation either. */
static void deny_beside_wildcards(struct draft *d, enum eb_side allow) {
    static const struct {
        struct eb_str subject;
        bool sub_only, jetstream;
    } denied[] = {{{"$SYS.>", 6}, true, false},
                  {{"$SRV.>", 6}, true, false},
                  {{"$JS.>", 5}, true, true},
                  {{"$KV.>", 5}, false, true},
                  {{"$O.>", 4}, false, true}};
    bool any = false;
    for (size_t i = 0; i < d->rules[allow].n; i++) {
        const struct eb_rule *r = &d->rules[allow].v[i];
        any = any || eb_permissions_is_root_wildcard((struct eb_str){d->text.p + r->off, r->n});
    }
    for (size_t i = 0; any && i < EB_COUNT_OF(denied); i++)
        if (!(denied[i].sub_only && allow == EB_PUB_ALLOW) &&
            !(denied[i].jetstream && d->conf->allow_jetstream))
            add_rule(d, (enum eb_side)(allow + 1), denied[i].subject);
}

static void write_forms(struct draft *d, struct eb_buf *to, struct eb_kube_form *ret) {
    size_t start = to->n, nats_n = 0, mqtt_at = 0;
    const struct eb_permissions p = {
        .text = d->text.p,
        .rules = d->rules,
        .given = true,
        .jetstream = d->conf->allow_jetstream,
        .nats = true,
        .mqtt = true,
        .has_resp = true,
        .resp_max = EB_PERMISSIONS_RESP_MAX,
        .resp_ttl_ns = EB_PERMISSIONS_RESP_TTL_NS,
        .scratch = &d->scratch,
    };
    eb_permissions_write(&p, to, &nats_n, &mqtt_at);
    *ret = (struct eb_kube_form){start, nats_n, start + mqtt_at, to->n - start - mqtt_at};
}

enum eb_rc eb_kube_grants_write(const struct eb_kube_rules *rules, struct eb_str ns, struct eb_str name,
                                struct eb_str allowed_pub, struct eb_str allowed_sub, struct eb_buf *to,
                                struct eb_kube_form *ret_form, struct eb_kube_drops *ret_drops,
                                struct eb_err *reterr) {
    EB_CLEANUP(draft_done) struct draft d = {.conf = rules, .wire = FIXED_MAX};
    struct eb_kube_form form = {0};
    size_t start = to->n;
    if (!eb_kube_is_label(ns) || !eb_kube_is_subdomain(name))
        return EB_FAIL(reterr, EB_E_INTERNAL, "the ServiceAccount's names were not checked");
    enum eb_rc rc = add_by_name(&d, ns, name, reterr);
    if (rc != EB_OK)
        return rc;
    add_annotation(&d, EB_PUB_ALLOW, allowed_pub);
    add_annotation(&d, EB_SUB_ALLOW, allowed_sub);
    deny_beside_wildcards(&d, EB_PUB_ALLOW);
    deny_beside_wildcards(&d, EB_SUB_ALLOW);
    if (!d.nomem && eb_buf_ok(&d.text))
        write_forms(&d, to, &form);
    if (d.nomem || !eb_buf_ok(&d.text) || !eb_buf_ok(to))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (form.nats_n > EB_PERMISSIONS_MAX || form.mqtt_n > EB_PERMISSIONS_MAX) {
        /* the denies that long wildcards need: what is granted by name alone fits always */
        struct eb_kube_drops all = {0};
        to->n = start;
        rc = eb_kube_grants_write(rules, ns, name, EB_STR_NONE, EB_STR_NONE, to, ret_form, &all, reterr);
        drop(&d, EB_KUBE_DROP_TOO_LARGE, EB_STR("all of them"));
    } else {
        *ret_form = form;
    }
    if (rc != EB_OK)
        return rc;
    if (d.sample.n)
        memcpy(d.drops.sample, d.sample.p, d.sample.n);
    *ret_drops = d.drops;
    return EB_OK;
}

enum eb_rc eb_kube_rules_check(const struct eb_kube_rules *rules, struct eb_err *reterr) {
    struct eb_str prefix = rules->subject_prefix, root = first_token(prefix);
    eb_auto_buf struct eb_buf example = {0};
    for (size_t i = 0; i < rules->reserved_n; i++)
        if (!eb_kube_is_label(rules->reserved[i]))
            return EB_FAIL(
                reterr, EB_E_INVALID,
                "reserved namespace %zu is no name of one: write lower-case letters, digits and `-`", i + 1);
    if (prefix.n == 0)
        return EB_OK;
    if (prefix.n > PREFIX_MAX)
        return EB_FAIL(reterr, EB_E_INVALID, "the prefix has %zu bytes: at most %d are taken", prefix.n,
                       PREFIX_MAX);
    eb_buf_str(&example, prefix);
    eb_buf_ch(&example, 'n');
    if (!eb_buf_ok(&example))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_subject_check_literal(eb_buf_get(&example), reterr);
    if (rc != EB_OK)
        return rc;
    if (prefix.p[0] == '$' || eb_str_starts(prefix, EB_STR("_INBOX")) ||
        eb_str_starts(prefix, EB_STR("_REPLY")) || eb_str_starts(prefix, EB_STR("_R_")))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "the prefix leads into `$`, `_INBOX`, `_REPLY` or `_R_` subjects: begin it with a name "
            "of your own, as in `k8s.`");
    if (root.n < prefix.n && is_reserved(rules, root))
        return EB_FAIL(reterr, EB_E_INVALID,
                       "the prefix leads into the subjects of a reserved name: begin it with a name of your "
                       "own, as in `k8s.`");
    return EB_OK;
}
