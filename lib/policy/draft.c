#include <stdio.h>
#include <stdlib.h>

#include "policy/impl.h"

#define TEXT_MAX 512 /* bytes of an identity, key, account, … as written */
#define SRC_MAX 256  /* ranges of an entry */
#define CONNECTIONS_MAX 16

const char *const eb_field_name[EB_F_COUNT] = {"azp",      "subject",     "issuer",      "required_scope",
                                               "identity", "public_key",  "account",     "mqtt_client_id",
                                               "internal", "permissions", "connections", "src"};

enum {
    O = 1 << EB_POLICY_OAUTH2,
    M = 1 << EB_POLICY_MTLS,
    N = 1 << EB_POLICY_NKEY,
    ALL = O | M | N | 1 << EB_POLICY_NOAUTH
};
static const unsigned field_methods[EB_F_COUNT] = {O, O, O, O, M, N, ALL, ALL, N, ALL, ALL, ALL};

void eb_draft_reset(struct eb_draft *d, enum eb_policy_method method) {
    d->method = method;
    eb_buf_reset(&d->name);
    eb_buf_reset(&d->text);
    eb_buf_reset(&d->src);
    memset(d->line, 0, sizeof d->line);
    memset(d->len, 0, sizeof d->len);
    for (unsigned i = 0; i < EB_SIDES; i++)
        d->rules[i].n = 0;
    d->bad = d->no_mapping = d->internal = d->has_resp = false;
    d->connections = EB_CONN_NATS | EB_CONN_MQTT | EB_CONN_WEBSOCKET;
}

void eb_draft_done(struct eb_draft *d) {
    struct eb_buf *all[] = {&d->name, &d->text, &d->src, &d->grants, &d->scratch};
    for (unsigned i = 0; i < EB_COUNT_OF(all); i++)
        eb_buf_done(all[i]);
    for (unsigned i = 0; i < EB_F_TEXTS; i++)
        eb_buf_done(&d->expanded[i]);
    for (unsigned i = 0; i < EB_SIDES; i++)
        free(d->rules[i].v);
}

struct eb_str eb_draft_raw(const struct eb_draft *d, enum eb_field f) {
    return d->line[f] && d->len[f] != SIZE_MAX ? (struct eb_str){d->text.p + d->off[f], d->len[f]}
                                               : EB_STR_NONE;
}

bool eb_draft_list(struct eb_load *l, const struct eb_doc_event *first, const char *where, size_t max,
                   eb_draft_item_fn item, unsigned arg) {
    struct eb_doc_event ev = *first;
    if (eb_doc_is_null(&ev))
        return true;
    if (ev.kind != EB_DOC_LIST) {
        char quoted[100], mend[128];
        (void)snprintf(mend, sizeof mend,
                       ev.kind == EB_DOC_SCALAR ? "write it as [%s]" : "write a list: [a, b]",
                       eb_quote(quoted, ev.text));
        for (char *c = mend; *c; c++)
            if (*c == '`')
                *c = '"';
        eb_load_report(l, EB_ERROR, ev.line, where, mend, "no list");
        return eb_load_skip(l, &ev);
    }
    for (size_t i = 0;; i++) {
        if (!eb_load_next(l, &ev))
            return false;
        if (ev.kind == EB_DOC_LIST_END)
            return true;
        if (i == max)
            eb_load_report(l, EB_ERROR, ev.line, where,
                           "cover several with a wildcard, or write several entries", "more than %zu items",
                           max);
        if (i >= max || ev.kind != EB_DOC_SCALAR || eb_doc_is_null(&ev)) {
            char at[160];
            (void)snprintf(at, sizeof at, "%s[%zu]", where, i);
            if (i < max)
                eb_load_report(l, EB_ERROR, ev.line, at, "write a text", "no text");
            if (!eb_load_skip(l, &ev))
                return false;
            continue;
        }
        if (!item(l, &ev, i, arg))
            return false;
    }
}

static bool read_text(struct eb_load *l, const struct eb_doc_event *ev, enum eb_field f) {
    struct eb_draft *d = &l->draft;
    bool b;
    if (ev->kind != EB_DOC_SCALAR || eb_doc_is_null(ev) || eb_doc_bool(ev, &b)) {
        eb_load_report(l, EB_ERROR, ev->line, eb_field_name[f],
                       "write a text, in quotes where YAML would read something else", "no text");
        return eb_load_skip(l, ev);
    }
    if (ev->text.n > TEXT_MAX) {
        eb_load_report(l, EB_ERROR, ev->line, eb_field_name[f], NULL, "%zu bytes: at most %d are taken",
                       ev->text.n, TEXT_MAX);
        return true;
    }
    d->off[f] = d->text.n;
    d->len[f] = ev->text.n;
    eb_buf_str(&d->text, ev->text);
    return eb_buf_ok(&d->text) || eb_load_nomem(l);
}

static bool read_internal(struct eb_load *l, const struct eb_doc_event *ev) {
    if (!eb_doc_bool(ev, &l->draft.internal))
        eb_load_report(l, EB_ERROR, ev->line, "internal", "write true or false, without quotes",
                       "neither true nor false");
    return eb_load_skip(l, ev);
}

static bool add_connection(struct eb_load *l, const struct eb_doc_event *ev, size_t i, unsigned arg) {
    (void)arg;
    static const char *const kinds[] = {"nats", "mqtt", "websocket", "leaf"};
    char at[40], quoted[100];
    (void)snprintf(at, sizeof at, "connections[%zu]", i);
    for (unsigned k = 0; k < EB_COUNT_OF(kinds); k++) {
        if (!eb_str_eqz(ev->text, kinds[k]))
            continue;
        if (1U << k == EB_CONN_LEAF && l->draft.method != EB_POLICY_NKEY)
            eb_load_report(l, EB_ERROR, ev->line, at, "give the leaf an entry under nkey",
                           "leaf connections log in with an nkey; %s entries never get one",
                           eb_policy_method_name(l->draft.method));
        if (1U << k == EB_CONN_MQTT && l->draft.method == EB_POLICY_NKEY)
            eb_load_report(l, EB_WARNING, ev->line, at, "leave it out",
                           "an MQTT client cannot log in with an nkey");
        l->draft.connections |= 1U << k;
        return true;
    }
    eb_auto_buf struct eb_buf mend = {0};
    eb_nearest_mend(ev->text, kinds, EB_COUNT_OF(kinds), &mend);
    eb_load_report(l, EB_ERROR, ev->line, at, mend.p, "unknown kind of connection %s",
                   eb_quote(quoted, ev->text));
    return true;
}

static bool read_connections(struct eb_load *l, const struct eb_doc_event *ev) {
    l->draft.connections = 0;
    size_t line = ev->line, errors = l->findings->errors;
    if (!eb_draft_list(l, ev, "connections", CONNECTIONS_MAX, add_connection, 0))
        return false;
    if (l->draft.connections == 0 && l->findings->errors == errors)
        eb_load_report(l, EB_ERROR, line, "connections",
                       "list the kinds, or leave the key out for all but leaf",
                       "an empty list lets nobody in");
    return true;
}

static bool add_src(struct eb_load *l, const struct eb_doc_event *ev, size_t i, unsigned arg) {
    (void)arg;
    char at[40], quoted[100];
    struct eb_cidr c = {0};
    l->err.rc = EB_OK;
    if (eb_cidr_parse(ev->text, &c, &l->err) != EB_OK) {
        (void)snprintf(at, sizeof at, "src[%zu]", i);
        eb_load_report(l, EB_ERROR, ev->line, at, NULL, "%s: %s", eb_quote(quoted, ev->text), l->err.text);
        return true;
    }
    eb_buf_add(&l->draft.src, &c, sizeof c);
    return eb_buf_ok(&l->draft.src) || eb_load_nomem(l);
}

static bool read_src(struct eb_load *l, const struct eb_doc_event *ev) {
    size_t line = ev->line, errors = l->findings->errors;
    if (!eb_draft_list(l, ev, "src", SRC_MAX, add_src, 0))
        return false;
    if (l->draft.src.n == 0 && l->findings->errors == errors)
        eb_load_report(l, EB_ERROR, line, "src", "list address ranges, or leave the key out for any address",
                       "an empty list lets nobody in");
    return true;
}

/* The field of a key, EB_F_COUNT and reported where it is none of this method. */
static enum eb_field find_field(struct eb_load *l, const struct eb_doc_event *ev) {
    struct eb_draft *d = &l->draft;
    char quoted[100], key[100];
    for (unsigned f = 0; f < EB_F_COUNT; f++) {
        bool here = field_methods[f] >> d->method & 1;
        if (!eb_str_eqz(ev->text, eb_field_name[f]))
            continue;
        if (here && !d->line[f]) {
            d->line[f] = ev->line;
            d->len[f] = SIZE_MAX; /* until its text was read */
            return (enum eb_field)f;
        }
        if (here)
            eb_load_report(l, EB_ERROR, ev->line, eb_field_name[f], "keep one",
                           "the key is here a second time (first on line %zu)", d->line[f]);
        else
            eb_load_report(l, EB_ERROR, ev->line, eb_field_name[f], "leave it out",
                           "`%s` has no meaning for %s entries, only for %s", eb_field_name[f],
                           eb_policy_method_name(d->method),
                           field_methods[f] == O   ? "oauth2"
                           : field_methods[f] == M ? "mtls"
                                                   : "nkey");
        return EB_F_COUNT;
    }
    const char *known[EB_F_COUNT];
    size_t known_n = 0;
    for (unsigned f = 0; f < EB_F_COUNT; f++)
        if (field_methods[f] >> d->method & 1)
            known[known_n++] = eb_field_name[f];
    eb_auto_buf struct eb_buf mend = {0};
    eb_nearest_mend(ev->text, known, known_n, &mend);
    eb_load_report(l, EB_ERROR, ev->line, eb_key_path(key, ev->text), mend.p, "unknown key %s",
                   eb_quote(quoted, ev->text));
    return EB_F_COUNT;
}

static bool read_field(struct eb_load *l, enum eb_field f, const struct eb_doc_event *ev) {
    switch (f) {
    case EB_F_INTERNAL: return read_internal(l, ev);
    case EB_F_PERMISSIONS: return eb_draft_permissions(l, ev);
    case EB_F_CONNECTIONS: return read_connections(l, ev);
    case EB_F_SRC: return read_src(l, ev);
    case EB_F_COUNT: return eb_load_skip(l, ev);
    case EB_F_AZP:
    case EB_F_SUBJECT:
    case EB_F_ISSUER:
    case EB_F_SCOPE:
    case EB_F_IDENTITY:
    case EB_F_PUBLIC_KEY:
    case EB_F_ACCOUNT:
    case EB_F_CLIENT_ID: break;
    }
    return read_text(l, ev, f);
}

bool eb_draft_read(struct eb_load *l, const struct eb_doc_event *first) {
    struct eb_doc_event ev = *first;
    if (ev.kind != EB_DOC_MAP) {
        eb_load_report(l, EB_ERROR, ev.line, NULL, "write a mapping: { account: …, … }",
                       "no mapping with the fields of an entry");
        l->draft.no_mapping = true;
        return eb_load_skip(l, &ev);
    }
    for (;;) {
        if (!eb_load_next(l, &ev))
            return false;
        if (ev.kind != EB_DOC_SCALAR)
            return true;
        enum eb_field f = find_field(l, &ev);
        if (!eb_load_next(l, &ev) || !read_field(l, f, &ev))
            return false;
    }
}
