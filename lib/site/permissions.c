/* The permissions in a site document: what the site has to say of them, and how they are handed to who judges
 * the rest. */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "site/impl.h"

/* Names that the infrastructure's own entries have: those of their secrets. */
#define INFRASTRUCTURE "nats-"

static bool has_item(const struct eb_node *list, const char *text) {
    for (const struct eb_node *n = list && list->kind == EB_DOC_LIST ? list->first : NULL; n; n = n->next)
        if (n->kind == EB_DOC_SCALAR && eb_str_eqz(n->text, text))
            return true;
    return false;
}

static const struct eb_site_extra *find_extra(const struct eb_site *s, struct eb_str account) {
    for (size_t i = 0; i < s->extras_n; i++)
        if (eb_str_eq(s->extras[i].name.s, account))
            return &s->extras[i];
    return NULL;
}

/* The accounts that clients of the site may be in, for a mend. */
static void tell_accounts(struct eb_buf *to, const struct eb_site *s, struct eb_str meant) {
    const char *names[EB_SITE_EXTRAS + 1] = {s->account.p ? s->account.p : "CSC"};
    size_t n = 1;
    for (size_t i = 0; i < s->extras_n; i++)
        if (s->extras[i].enabled && n < EB_COUNT_OF(names))
            names[n++] = s->extras[i].name.s.p;
    const char *near = eb_nearest(meant, names, n);
    if (near && n > 1) {
        eb_buf_printf(to, "write `%s`", near);
        return;
    }
    eb_buf_z(to, n == 1 ? "write" : "accounts here:");
    for (size_t i = 0; i < n; i++)
        eb_buf_printf(to, "%s `%s`", i ? "," : "", names[i]);
}

static void check_account(struct eb_reading *r, const struct eb_node *n, const char *path,
                          const struct eb_site *s) {
    static const char *const others[] = {"SYS", "AUTHX", "AUTH"}; /* the permissions' own rules judge these */
    const struct eb_site_extra *x = find_extra(s, n->text);
    char quoted[100];
    if (eb_str_eq(n->text, s->account) || (x && x->enabled))
        return;
    /* it is replaced where auth-callout reads the permissions: none of the rules here could be kept then */
    if (memmem(n->text.p, n->text.n, "${", 2)) {
        eb_reading_report(r, EB_ERROR, n->line, path, "write the account's name",
                          "accounts are not taken from the environment in a site document: what an entry may "
                          "do depends on its account, and is written here");
        return;
    }
    for (size_t i = 0; i < EB_COUNT_OF(others); i++)
        if (eb_str_eqz(n->text, others[i]))
            return;
    eb_auto_buf struct eb_buf mend = {0};
    if (x)
        eb_buf_printf(&mend, "write enabled: true at extraAccounts.%s", x->name.s.p);
    else
        tell_accounts(&mend, s, n->text);
    if (s->type == EB_SITE_CPC && eb_str_eqz(n->text, "CSC"))
        eb_reading_report(
            r, EB_ERROR, n->line, path, "write `CPC`",
            "the account CSC at a CPC is the link's alone: what its users publish would count as the CSC's");
    else
        eb_reading_report(r, EB_ERROR, n->line, path, mend.p,
                          x ? "the extra account %s is not enabled" : "%s is no account of this site",
                          eb_node_quote(quoted, n->text));
}

static void check_entry(struct eb_reading *r, const struct eb_node *entry, const char *path,
                        const struct eb_site *s, bool typed, bool certificate) {
    const struct eb_node *account = eb_node_get(entry, "account"),
                         *connections = eb_node_get(entry, "connections");
    char at[EB_PATH_MAX];
    if (!typed || !account || account->kind != EB_DOC_SCALAR || !account->text.n)
        return;
    check_account(r, account, eb_path(at, path, "account"), s);
    const struct eb_site_extra *x = find_extra(s, account->text);
    if (!x || !x->enabled)
        return;
    if (certificate)
        eb_reading_report(r, EB_ERROR, account->line, at,
                          "give it the site's own account, or another kind of credential",
                          "certificates are presented to the mTLS server, which has no extra accounts");
    else if (has_item(connections, "mqtt") && !eb_site_account_mqtt(s, account->text))
        eb_reading_report(
            r, EB_ERROR, connections->line, eb_path(at, path, "connections"),
            s->type == EB_SITE_CSC ? "write jetstream: true at the extra account, or leave mqtt out"
                                   : "leave mqtt out: its MQTT clients connect to the CSC",
            "MQTT needs JetStream in the account, and `%.*s` has none at this site: a login would "
            "hang for 5 s and fail",
            EB_STR_ARG(x->name.s));
}

void eb_site_check_permissions(struct eb_reading *r, const struct eb_node *permissions,
                               const struct eb_site *s) {
    static const char *const sections[] = {"oauth2", "mtls", "nkey"};
    bool typed = s->account.p != NULL; /* else the type of the cluster was reported */
    for (size_t i = 0; i < EB_COUNT_OF(sections); i++) {
        const struct eb_node *section = eb_node_get(permissions, sections[i]);
        for (const struct eb_node *e = section && section->kind == EB_DOC_MAP ? section->first : NULL; e;
             e = e->next) {
            char key[100], under[EB_PATH_MAX], path[EB_PATH_MAX];
            (void)eb_path(under, "auth.permissions", sections[i]);
            (void)eb_path(path, under, eb_node_plain(key, e->key));
            check_entry(r, e, path, s, typed, i == 1);
            if (i == 2 && eb_str_starts(e->key, EB_STR(INFRASTRUCTURE)))
                eb_reading_report(r, EB_ERROR, e->line, path, "name it otherwise",
                                  "names that begin with nats- are kept for the keys of the site's own "
                                  "servers and services");
        }
    }
    const struct eb_node *noauth = eb_node_get(permissions, "noauth");
    if (noauth)
        check_entry(r, noauth, "auth.permissions.noauth", s, typed, false);
}

/* Moves into the value of the key in the mapping that *ev began; false in *ret_found at its end. */
static enum eb_rc descend(struct eb_doc *doc, struct eb_doc_event *ev, const char *key, bool *ret_found,
                          struct eb_err *reterr) {
    enum eb_rc rc;
    *ret_found = false;
    if (ev->kind != EB_DOC_MAP)
        return EB_OK;
    for (;;) {
        if ((rc = eb_doc_next(doc, ev, reterr)) != EB_OK)
            return rc;
        if (ev->kind != EB_DOC_SCALAR)
            return EB_OK;
        bool found = eb_str_eqz(ev->text, key);
        if ((rc = eb_doc_next(doc, ev, reterr)) != EB_OK)
            return rc;
        *ret_found = found;
        if (found)
            return EB_OK;
        if ((rc = eb_doc_skip_rest(doc, ev, reterr)) != EB_OK)
            return rc;
    }
}

static void write_scalar(struct eb_buf *to, const struct eb_doc_event *ev) {
    bool yes;
    int64_t whole;
    double real;
    if (ev->is_key || ev->quoted)
        eb_buf_json_str(to, ev->text, 0);
    else if (eb_doc_is_null(ev))
        eb_buf_z(to, "null");
    else if (eb_doc_bool(ev, &yes) || eb_node_number(ev->text, &whole, &real) != EB_NO_NUMBER)
        eb_buf_str(to, ev->text);
    else
        eb_buf_json_str(to, ev->text, 0);
}

enum eb_rc eb_site_permissions_text(struct eb_doc *doc, struct eb_buf *to, struct eb_err *reterr) {
    static const char *const way[] = {"global", "eventBus", "auth", "permissions"};
    struct eb_doc_event ev;
    bool found = true, first = true, after_key = false;
    enum eb_rc rc = eb_doc_next(doc, &ev, reterr);
    for (size_t i = 0; rc == EB_OK && found && i < EB_COUNT_OF(way); i++)
        rc = descend(doc, &ev, way[i], &found, reterr);
    if (rc != EB_OK || !found || eb_doc_is_null(&ev))
        return rc;
    size_t depth = 0, line = 1;
    for (;;) {
        bool end = ev.kind == EB_DOC_MAP_END || ev.kind == EB_DOC_LIST_END;
        if (!first && !after_key && !end)
            eb_buf_ch(to, ',');
        for (; line < ev.line && !end; line++)
            eb_buf_ch(to, '\n');
        after_key = false;
        first = ev.kind == EB_DOC_MAP || ev.kind == EB_DOC_LIST;
        if (ev.kind == EB_DOC_SCALAR) {
            write_scalar(to, &ev);
            after_key = ev.is_key;
            if (after_key)
                eb_buf_ch(to, ':');
        } else {
            eb_buf_z(to, ev.kind == EB_DOC_MAP       ? "{"
                         : ev.kind == EB_DOC_LIST    ? "["
                         : ev.kind == EB_DOC_MAP_END ? "}"
                                                     : "]");
            depth += first;
            depth -= end;
        }
        if (depth == 0)
            break;
        if ((rc = eb_doc_next(doc, &ev, reterr)) != EB_OK)
            return rc;
    }
    return eb_buf_ok(to) ? EB_OK : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}
