/* The permissions of an entry in their wire form (subject/permissions.h), and what is wrong with them only
 * there. */
#include <stdio.h>

#include "policy/impl.h"

static void report_conflict(void *ctx, enum eb_side side, size_t wildcard, size_t rule, struct eb_str deny) {
    struct eb_load *l = ctx;
    const struct eb_draft *d = &l->draft;
    const struct eb_rules *allow = &d->rules[side];
    char at[64], qr[100], qw[100], qd[100], mend[300];
    (void)snprintf(at, sizeof at, "%s[%zu]", eb_side_path[side], allow->v[rule].place);
    eb_quote(qw, eb_draft_rule(d, &allow->v[wildcard]));
    eb_quote(qd, deny);
    (void)snprintf(mend, sizeof mend, "list the subjects instead of %s, or grant the whole of %s", qw, qd);
    eb_load_report(l, EB_ERROR, allow->v[rule].line, at, mend,
                   "%s cannot be granted beside %s: the wildcard needs a deny of %s, and deny wins",
                   eb_quote(qr, eb_draft_rule(d, &allow->v[rule])), qw, qd);
}

static bool too_many_wildcards(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    bool over = false;
    for (unsigned side = EB_PUB_ALLOW; side < EB_SIDES; side += 2) {
        size_t n = 0;
        for (size_t i = 0; i < d->rules[side].n; i++)
            n += eb_permissions_is_root_wildcard(eb_draft_rule(d, &d->rules[side].v[i]));
        if (n > EB_PERMISSIONS_ROOT_WILDCARDS_MAX) {
            eb_load_report(l, EB_ERROR, d->line[EB_F_PERMISSIONS], eb_side_path[side],
                           "begin rules with a name", "%zu rules begin with a wildcard: at most %d are taken",
                           n, EB_PERMISSIONS_ROOT_WILDCARDS_MAX);
            over = true;
        }
    }
    return over;
}

void eb_grants_write(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    struct eb_buf *to = &d->grants;
    uint32_t head[2] = {0};
    size_t nats_n = 0, mqtt_at = 0;
    eb_buf_reset(to);
    eb_buf_add(to, head, sizeof head);
    if (too_many_wildcards(l))
        return;
    const struct eb_permissions p = {
        .text = d->text.p,
        .rules = d->rules,
        .given = d->line[EB_F_PERMISSIONS] != 0,
        .internal = d->internal,
        .leaf = (d->connections & EB_CONN_LEAF) != 0,
        .nats = (d->connections & ~(unsigned)EB_CONN_MQTT) != 0,
        .mqtt = (d->connections & EB_CONN_MQTT) != 0,
        .has_resp = d->has_resp,
        .resp_max = d->resp_max,
        .resp_ttl_ns = d->resp_ttl_ns,
        .scratch = &d->scratch,
        .conflict = report_conflict,
        .ctx = l,
    };
    eb_permissions_write(&p, to, &nats_n, &mqtt_at);
    if (!eb_buf_ok(to)) {
        (void)eb_load_nomem(l);
        return;
    }
    if (to->n > EB_PERMISSIONS_MAX)
        eb_load_report(
            l, EB_ERROR, d->line[EB_F_PERMISSIONS], "permissions", "cover several subjects with a wildcard",
            "the permissions take %zu bytes on the wire: at most %zu are taken", to->n, EB_PERMISSIONS_MAX);
    head[0] = (uint32_t)nats_n;
    head[1] = (uint32_t)mqtt_at;
    memcpy(to->p, head, sizeof head);
}
