/* What is said of the ServiceAccounts themselves: items dropped, accounts left out. Whoever may edit one
 * makes these lines, so there is an allowance for them; what is over it is counted, in the metrics and in the
 * next line. */
#include <stdio.h>

#include "clock.h"
#include "kube/impl.h"
#include "log.h"

/* Lines at once, and one more each such time. */
#define BURST 100
#define EVERY_NS (EB_KUBE_SECOND_NS / 2)

static bool may_tell(struct eb_kube *k) {
    struct eb_kube_told *t = &k->told;
    int64_t now = eb_mono_ns();
    if (now - t->since_ns > BURST * EVERY_NS)
        t->since_ns = now - BURST * EVERY_NS;
    if (now - t->since_ns < EVERY_NS) {
        t->held++;
        return false;
    }
    t->since_ns += EVERY_NS;
    return true;
}

static void begin(struct eb_kube *k, struct eb_log_line *l, const char *msg, struct eb_str ns,
                  struct eb_str name) {
    eb_log_begin(l, EB_LOG_WARN, msg);
    eb_log_z(l, "issuer", k->label);
    if (ns.n)
        eb_log_peer(l, "namespace", ns);
    if (name.n)
        eb_log_peer(l, "serviceaccount", name);
}

static void end(struct eb_kube *k, struct eb_log_line *l) {
    if (k->told.held)
        eb_log_int(l, "lines_held_back", (int64_t)k->told.held);
    k->told.held = 0;
    eb_log_end(l);
}

static void note(struct eb_kube *k, const struct eb_kube_account *a) {
    {
        EB_LOCKED(&k->mutex);
        for (size_t i = 0; i < EB_KUBE_DROPS; i++)
            k->status.drops[i] += a->drops->by_reason[i];
    }
    if (!may_tell(k))
        return;
    struct eb_log_line l;
    begin(k, &l,
          a->by_name_only
              ? "there is no room for the annotations of a ServiceAccount: it gets what is granted "
                "by its name"
              : "subjects of a ServiceAccount's annotations are dropped",
          a->ns, a->name);
    eb_log_int(&l, "dropped", (int64_t)a->drops->total);
    eb_log_z(&l, "subjects", a->drops->sample);
    end(k, &l);
}

void eb_kube_note_drops(struct eb_kube *k, const struct eb_kube_account *a, enum eb_kube_change change) {
    if (change == EB_KUBE_SAME)
        return;
    /* the table may have kept it by name only */
    EB_CLEANUP(eb_kube_account_unrefp)
    struct eb_kube_account *kept = eb_kube_table_find(k->table, a->ns, a->name);
    if (kept && kept->drops)
        note(k, kept);
}

static enum eb_kube_skip reason_of(enum eb_rc rc) {
    return rc == EB_E_TOO_LARGE ? EB_KUBE_SKIP_NO_ROOM : EB_KUBE_SKIP_UNREADABLE;
}

static void tell_skip(struct eb_kube *k, struct eb_str ns, struct eb_str name, const char *why) {
    if (!may_tell(k))
        return;
    struct eb_log_line l;
    begin(k, &l, "a ServiceAccount is left out and gets nothing", ns, name);
    eb_log_peer(&l, "error", eb_str(why));
    end(k, &l);
}

void eb_kube_note_skip(struct eb_kube *k, enum eb_rc rc, struct eb_str ns, struct eb_str name,
                       const char *why) {
    {
        EB_LOCKED(&k->mutex);
        k->status.skips[reason_of(rc)]++;
    }
    tell_skip(k, ns, name, why);
}

void eb_kube_skips_add(struct eb_kube_skips *s, enum eb_rc rc, struct eb_str ns, struct eb_str name,
                       const char *why) {
    s->by_reason[reason_of(rc)]++;
    if (s->n < EB_KUBE_SKIPS_SHOWN) {
        (void)snprintf(s->shown[s->n].ns, sizeof s->shown[s->n].ns, "%.*s", EB_STR_ARG(ns));
        (void)snprintf(s->shown[s->n].name, sizeof s->shown[s->n].name, "%.*s", EB_STR_ARG(name));
        (void)snprintf(s->shown[s->n].why, sizeof s->shown[s->n].why, "%s", why);
    }
    s->n++;
}

struct listed {
    struct eb_kube *k;
    size_t drops;
};

static void on_new(void *ctx, const struct eb_kube_account *a) {
    struct listed *l = ctx;
    if (!a->drops)
        return;
    l->drops++;
    note(l->k, a);
}

size_t eb_kube_note_list(struct eb_kube *k) {
    struct eb_kube_skips *s = &k->follow.skips;
    struct listed l = {.k = k};
    for (size_t i = 0; i < s->n && i < EB_KUBE_SKIPS_SHOWN; i++)
        tell_skip(k, eb_str(s->shown[i].ns), eb_str(s->shown[i].name), s->shown[i].why);
    if (s->n > EB_KUBE_SKIPS_SHOWN)
        k->told.held += s->n - EB_KUBE_SKIPS_SHOWN;
    {
        EB_LOCKED(&k->mutex);
        for (size_t i = 0; i < EB_KUBE_SKIPS; i++)
            k->status.skips[i] += s->by_reason[i];
    }
    eb_kube_relist_each_new(k->follow.relist, on_new, &l);
    return l.drops;
}
