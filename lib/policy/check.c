#include <stdio.h>

#include "base/utf8.h"
#include "nkey/nkey.h"
#include "policy/impl.h"

#define ACCOUNT_MAX 128
#define SCOPE_MAX 256

static void report(struct eb_load *l, enum eb_field f, const char *mend, const char *text) {
    size_t line = l->draft.line[f] ? l->draft.line[f] : l->draft.entry_line;
    eb_load_report(l, EB_ERROR, line, eb_field_name[f], mend, "%s", text);
}

/* Findings of a value that a variable had a part in must not show it. */
static bool is_expanded(const struct eb_draft *d, enum eb_field f) {
    return d->expanded[f].n != 0;
}

static bool is_given(const struct eb_draft *d, enum eb_field f) {
    return d->line[f] != 0;
}

/* The value of a text field, ${NAME} replaced; {NULL, 0} where it is absent or was reported. */
static struct eb_str value_of(struct eb_load *l, enum eb_field f) {
    struct eb_draft *d = &l->draft;
    struct eb_str raw = eb_draft_raw(d, f);
    eb_buf_reset(&d->expanded[f]);
    if (!raw.p)
        return EB_STR_NONE;
    if (raw.n == 0) {
        report(l, f, "write the value, or leave the key out", "an empty text");
        return EB_STR_NONE;
    }
    if (eb_utf8_has_control(raw) || !eb_utf8_valid(raw)) {
        report(l, f, "write it without", "a control character");
        return EB_STR_NONE;
    }
    bool may_expand = f != EB_F_ISSUER && f != EB_F_SCOPE && f != EB_F_CLIENT_ID;
    if (!memmem(raw.p, raw.n, "${", 2))
        return raw;
    if (!may_expand) {
        report(l, f, "write the value itself", "names are replaced in identities, keys and accounts only");
        return EB_STR_NONE;
    }
    return eb_expand(l, f, raw, &d->expanded[f]) ? eb_buf_get(&d->expanded[f]) : EB_STR_NONE;
}

static bool name_char_ok(char c) {
    switch (c) {
    case '*':
    case '>':
    case '.':
    case ' ':
    case '"':
    case '\'':
    case '`':
    case '\\': return false;
    default: return true;
    }
}

static void check_name(struct eb_load *l) {
    struct eb_str name = eb_buf_get(&l->draft.name);
    const char *bad = NULL;
    if (name.n == 0)
        bad = "the name is empty";
    else if (name.n > EB_POLICY_NAME_MAX)
        bad = "the name has more than 128 bytes";
    else if (eb_utf8_has_control(name) || !eb_utf8_valid(name))
        bad = "the name has a control character";
    for (size_t i = 0; i < name.n && !bad; i++)
        if (!name_char_ok(name.p[i]))
            bad = "the name has a `*`, `>`, `.`, a blank, a quote or a backslash";
    if (bad)
        eb_load_report(l, EB_ERROR, l->draft.entry_line, NULL, "use letters, digits, `-` and `_`", "%s", bad);
}

bool eb_policy_account_ok(struct eb_str a) {
    for (size_t i = 0; i < a.n; i++) {
        char c = a.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return a.n > 0 && a.n <= ACCOUNT_MAX;
}

static bool is_allowed_account(const struct eb_policy_options *opt, struct eb_str account) {
    for (size_t i = 0; i < opt->allowed_accounts_n; i++)
        if (eb_str_eq(opt->allowed_accounts[i], account))
            return true;
    return opt->allowed_accounts_n == 0;
}

static void check_account(struct eb_load *l, struct eb_str a) {
    struct eb_draft *d = &l->draft;
    if (!is_given(d, EB_F_ACCOUNT))
        report(l, EB_F_ACCOUNT, "write account: and the name of an account", "the account is missing");
    if (!a.p)
        return;
    bool internal_nkey = d->method == EB_POLICY_NKEY && d->internal;
    char quoted[100];
    if (!eb_policy_account_ok(a))
        report(l, EB_F_ACCOUNT, "use up to 128 letters, digits, `-` and `_`", "not the name of an account");
    else if (eb_str_eqz(a, "AUTH"))
        report(l, EB_F_ACCOUNT, "name a data account",
               "no client may be placed into AUTH, where the callouts are");
    else if (eb_str_eqz(a, "SYS") && !internal_nkey)
        report(l, EB_F_ACCOUNT, "name a data account, or make it an nkey entry with internal: true",
               "only an nkey entry with internal: true may be placed into SYS");
    else if (eb_str_eqz(a, "AUTHX") && !(internal_nkey && d->connections == EB_CONN_LEAF))
        report(l, EB_F_ACCOUNT, "name a data account",
               "only an nkey entry with internal: true and connections: [leaf] may be placed into AUTHX");
    else if (!is_allowed_account(l->opt, a))
        eb_load_report(l, EB_ERROR, d->line[EB_F_ACCOUNT], "account", "name one of them, or add it there",
                       "%s is not in allowed-accounts", eb_quote(quoted, eb_draft_raw(d, EB_F_ACCOUNT)));
}

static void warn_wildcard(struct eb_load *l, enum eb_field f, struct eb_str v) {
    if (eb_str_has(v, '*'))
        eb_load_report(l, EB_WARNING, l->draft.line[f], eb_field_name[f], NULL,
                       "`*` is no wildcard here: the text is compared byte for byte");
}

static void check_oauth2(struct eb_load *l, struct eb_policy_rec *r, struct eb_str subject,
                         struct eb_str azp) {
    struct eb_draft *d = &l->draft;
    if (!is_given(d, EB_F_SUBJECT) && !is_given(d, EB_F_AZP))
        eb_load_report(l, EB_ERROR, d->entry_line, NULL, "write azp: or subject:, or both",
                       "the entry names no client");
    warn_wildcard(l, EB_F_SUBJECT, subject);
    warn_wildcard(l, EB_F_AZP, azp);
    struct eb_str scope = value_of(l, EB_F_SCOPE), issuer = value_of(l, EB_F_ISSUER);
    if (scope.p &&
        (scope.n > SCOPE_MAX || eb_str_has(scope, ' ') || eb_str_has(scope, '"') || eb_str_has(scope, '\\')))
        report(l, EB_F_SCOPE, "write one scope, without blanks and quotes", "not the name of one scope");
    size_t i = 0;
    while (issuer.p && i < l->opt->issuers_n && !eb_str_eq(l->opt->issuers[i], issuer))
        i++;
    if (issuer.p && i == l->opt->issuers_n) {
        char quoted[100];
        eb_auto_buf struct eb_buf mend = {0};
        eb_buf_z(&mend, l->opt->issuers_n ? "known:" : "leave it out: none but the jwks block is configured");
        for (size_t k = 0; k < l->opt->issuers_n && k < 16; k++)
            eb_buf_printf(&mend, "%s `%.*s`", k ? "," : "", EB_STR_ARG(l->opt->issuers[k]));
        eb_load_report(l, EB_ERROR, d->line[EB_F_ISSUER], "issuer", mend.p,
                       "%s is not the name of a configured oauth2 issuer", eb_quote(quoted, issuer));
    }
    r->issuer = issuer.p ? (uint16_t)(i + 1) : 0;
}

/* Cuts the type off the identity. */
static void check_mtls(struct eb_load *l, struct eb_policy_rec *r, struct eb_str *id) {
    struct eb_draft *d = &l->draft;
    if (!is_given(d, EB_F_IDENTITY))
        report(l, EB_F_IDENTITY, "write identity: \"CN=…\" as in the certificate", "the identity is missing");
    if (!id->p)
        return;
    for (unsigned k = 0; k < EB_ID_KINDS; k++) {
        struct eb_str prefix = eb_str(eb_identity_prefix[k]);
        if (!eb_str_starts(*id, prefix))
            continue;
        *id = (struct eb_str){id->p + prefix.n, id->n - prefix.n};
        if (id->n == 0)
            report(l, EB_F_IDENTITY, "write the name behind `=`", "the identity is empty");
        else if (eb_str_trim(*id).n != id->n)
            report(l, EB_F_IDENTITY, "write it without: it is compared byte for byte",
                   "a blank at the start or end of the name");
        if ((k == EB_ID_O || k == EB_ID_OU) && !l->opt->allow_org_identity)
            report(l, EB_F_IDENTITY, "use CN=, EMAIL=, DNS= or URI=, or set mtls.allow-org-identity: true",
                   "an organisation is no identity: everybody in it would be one client");
        warn_wildcard(l, EB_F_IDENTITY, *id);
        r->id_kind = (uint8_t)k;
        return;
    }
    char quoted[100], mend[160];
    (void)snprintf(mend, sizeof mend, "begin it with CN=, EMAIL=, DNS= or URI=, as in \"CN=%s\"",
                   eb_key_path(quoted, eb_draft_raw(d, EB_F_IDENTITY)));
    report(l, EB_F_IDENTITY,
           eb_str_has(eb_draft_raw(d, EB_F_IDENTITY), '=')
               ? "begin it with CN=, EMAIL=, DNS= or URI=, in capitals"
               : mend,
           "the identity has no type");
    *id = EB_STR_NONE;
}

/* Returns the key, {NULL, 0} where it was reported. */
static struct eb_str check_nkey(struct eb_load *l, struct eb_str text, uint8_t ret_key[EB_NKEY_RAW_LEN]) {
    struct eb_draft *d = &l->draft;
    l->err.rc = EB_OK;
    if (!is_given(d, EB_F_PUBLIC_KEY))
        report(l, EB_F_PUBLIC_KEY, "write public_key: U…", "the public key is missing");
    if (!text.p)
        return EB_STR_NONE;
    if (eb_nkey_public_decode(text, EB_NKEY_USER, NULL, ret_key, &l->err) == EB_OK)
        return eb_str_n(ret_key, EB_NKEY_RAW_LEN);
    char quoted[100];
    if (is_expanded(d, EB_F_PUBLIC_KEY)) /* the reason could show a part of the value */
        eb_load_report(l, EB_ERROR, d->line[EB_F_PUBLIC_KEY], "public_key",
                       "set it to the public key of a user: U…", "%s does not give the public key of a user",
                       eb_quote(quoted, eb_draft_raw(d, EB_F_PUBLIC_KEY)));
    else
        report(l, EB_F_PUBLIC_KEY, "write the public key of a user: U…, 56 characters", l->err.text);
    return EB_STR_NONE;
}

static void check_client_id(struct eb_load *l, struct eb_str id) {
    struct eb_draft *d = &l->draft;
    if (!id.p) {
        d->len[EB_F_CLIENT_ID] = SIZE_MAX;
        return;
    }
    bool was_bad = d->bad;
    d->bad = false;
    if (id.n > EB_POLICY_CLIENT_ID_MAX)
        report(l, EB_F_CLIENT_ID, "shorten it with `*`", "more than 128 bytes");
    else if (eb_str_has(id, '.') || eb_str_has(id, '>') || eb_str_has(id, ' '))
        report(l, EB_F_CLIENT_ID, "write it without `.`, `>` and blanks; `*` stands for any text",
               "nats-server takes no such client id");
    else if (strspn(id.p, "*") >= id.n)
        report(l, EB_F_CLIENT_ID, "leave the key out: any id that nobody else binds may be used then",
               "the pattern would bind every client id");
    if (d->bad) /* nothing to compare with others */
        d->len[EB_F_CLIENT_ID] = SIZE_MAX;
    d->bad |= was_bad;
    if (!(d->connections & EB_CONN_MQTT))
        report(l, EB_F_CLIENT_ID, "add mqtt to connections, or leave it out",
               "the connections of the entry leave mqtt out");
    else if (d->method == EB_POLICY_NKEY)
        eb_load_report(l, EB_WARNING, d->line[EB_F_CLIENT_ID], "mqtt_client_id", "leave it out",
                       "an MQTT client cannot log in with an nkey");
}

static uint32_t find_name(const struct eb_load *l, uint64_t hash, unsigned method, struct eb_str name) {
    const struct eb_policy *p = l->policy;
    uint32_t at = eb_index_start(&l->names, hash), v;
    while ((v = eb_index_next(&l->names, hash, &at)) != 0) {
        const struct eb_policy_rec *r = eb_policy_rec(p, v - 1);
        if (r->method == method && eb_str_eq(eb_policy_str(p, r->name), name))
            return v;
    }
    return 0;
}

/* No other entry may have the name or the identity. */
static void check_twice(struct eb_load *l, const struct eb_policy_rec *like, uint64_t name_hash,
                        uint64_t id_hash, struct eb_str a, struct eb_str b) {
    const struct eb_policy *p = l->policy;
    const struct eb_draft *d = &l->draft;
    uint32_t other = find_name(l, name_hash, d->method, eb_buf_get(&d->name));
    if (other)
        eb_load_report(l, EB_ERROR, d->entry_line, NULL, "give each entry a name of its own",
                       "the name is here a second time (first on line %u)",
                       (unsigned)eb_policy_rec(p, other - 1)->line);
    if (d->method == EB_POLICY_NOAUTH || (!a.p && !b.p))
        return;
    other = eb_policy_find_id(p, id_hash, like, a, b);
    if (!other)
        return;
    const struct eb_policy_rec *o = eb_policy_rec(p, other - 1);
    struct eb_str name = eb_policy_str(p, o->name);
    eb_load_report(l, EB_ERROR, d->entry_line, NULL, "keep one of them, with the permissions of both",
                   "entry `%.*s` (line %u) has the same identity", EB_STR_ARG(name), (unsigned)o->line);
}

/* Most entries have the account of the one before. */
static bool intern_account(struct eb_load *l, struct eb_str account, eb_ref *ret) {
    const struct eb_policy *p = l->policy;
    eb_ref last = p->n ? eb_policy_rec(p, p->n - 1)->account : 0;
    if (!last || !eb_str_eq(eb_policy_str(p, last), account))
        return eb_load_intern(l, account, ret);
    *ret = last;
    return true;
}

/* A bad entry is kept too, so that later ones are compared with it; the policy never leaves the loader then.
 */
static bool store(struct eb_load *l, struct eb_policy_rec *r, uint64_t name_hash, uint64_t id_hash,
                  struct eb_str a, struct eb_str b, struct eb_str account) {
    struct eb_policy *p = l->policy;
    const struct eb_draft *d = &l->draft;
    struct eb_str scope = eb_draft_raw(d, EB_F_SCOPE), client_id = eb_draft_raw(d, EB_F_CLIENT_ID);
    if (!eb_pages_grow(&p->recs, (p->n + 1) * sizeof *r) ||
        !eb_arena_add(&p->arena, eb_buf_get(&d->name), &r->name) ||
        (a.n && !eb_arena_add(&p->arena, a, &r->id_a)) || (b.n && !eb_arena_add(&p->arena, b, &r->id_b)) ||
        (client_id.n && !eb_arena_add(&p->arena, client_id, &r->client_id)))
        return eb_load_nomem(l);
    if ((!d->bad && !eb_load_intern(l, eb_buf_get(&d->grants), &r->grants)) ||
        !intern_account(l, account, &r->account) || (scope.n && !eb_load_intern(l, scope, &r->scope)) ||
        (d->src.n && !eb_load_intern(l, eb_buf_get(&d->src), &r->src)))
        return false;
    *eb_policy_rec(p, p->n) = *r;
    uint32_t place = ++p->n;
    p->count[d->method]++;
    if (d->method == EB_POLICY_NOAUTH)
        p->noauth = place;
    else if ((a.n || b.n) && !eb_index_add(&p->by_identity, id_hash, place))
        return eb_load_nomem(l);
    return eb_index_add(&l->names, name_hash, place) || eb_load_nomem(l);
}

bool eb_draft_commit(struct eb_load *l) {
    struct eb_draft *d = &l->draft;
    const struct eb_policy *p = l->policy;
    struct eb_policy_rec r = {.method = (uint8_t)d->method,
                              .connections = (uint8_t)d->connections,
                              .internal = d->internal,
                              .line = d->entry_line > UINT32_MAX ? 0 : (uint32_t)d->entry_line};
    uint8_t key[EB_NKEY_RAW_LEN] = {0};
    struct eb_str account = value_of(l, EB_F_ACCOUNT), a = EB_STR_NONE, b = EB_STR_NONE;
    uint64_t id_hash = 0;
    check_name(l);
    check_account(l, account);
    switch (d->method) {
    case EB_POLICY_OAUTH2:
        a = value_of(l, EB_F_SUBJECT);
        b = value_of(l, EB_F_AZP);
        check_oauth2(l, &r, a, b);
        id_hash = eb_policy_hash_oauth2(p, r.issuer, a, b);
        break;
    case EB_POLICY_MTLS:
        a = value_of(l, EB_F_IDENTITY);
        check_mtls(l, &r, &a);
        id_hash = eb_policy_hash(p, EB_HASH_MTLS, r.id_kind, a);
        break;
    case EB_POLICY_NKEY:
        a = check_nkey(l, value_of(l, EB_F_PUBLIC_KEY), key);
        id_hash = eb_policy_hash(p, EB_HASH_NKEY, 0, a);
        break;
    case EB_POLICY_NOAUTH: break;
    }
    check_client_id(l, value_of(l, EB_F_CLIENT_ID));
    eb_draft_check_rules(l);
    if (l->rc != EB_OK)
        return false;
    uint64_t name_hash = eb_policy_hash(p, EB_HASH_NAME, d->method, eb_buf_get(&d->name));
    check_twice(l, &r, name_hash, id_hash, a, b);
    if (!d->bad)
        eb_grants_write(l);
    if (l->rc != EB_OK)
        return false;
    return store(l, &r, name_hash, id_hash, a, b, account);
}
