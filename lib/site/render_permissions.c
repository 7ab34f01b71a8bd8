/* The permissions document of a site: its own entries, and after them those of its servers and services. */
#include <stdio.h>

#include "base/json.h"
#include "site/render_impl.h"
#include "site/render_mapped.h"

#define DEPTH_MAX 24 /* of the site's own entries; the reader of the document takes no more */

/* ---- a tree as YAML ---- */

/* Texts that YAML takes for a boolean or null are quoted, as is what is more than letters, digits, `-` and
 * `_`. */
static void key(struct eb_buf *to, const char *name) {
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
    bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');
    for (const char *c = name; *c && plain; c++)
        plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                *c == '-' || *c == '_';
    for (size_t i = 0; i < EB_COUNT_OF(words) && plain; i++)
        plain = strcasecmp(name, words[i]) != 0;
    if (plain)
        eb_buf_z(to, name);
    else
        eb_render_quote(to, eb_str(name));
    eb_buf_ch(to, ':');
}

static void scalar(struct eb_buf *to, const json_t *v) {
    if (json_is_string(v)) {
        eb_render_quote(to, eb_str_n(json_string_value(v), json_string_length(v)));
        return;
    }
    eb_auto_free char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        eb_buf_z(to, text);
    else
        to->failed = true;
}

/* A list of texts, which most are; false for another. */
static bool texts(const json_t *list, struct eb_buf *lines) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        if (!json_is_string(item) || memchr(json_string_value(item), '\n', json_string_length(item)))
            return false;
        eb_buf_str(lines, eb_str_n(json_string_value(item), json_string_length(item)));
        eb_buf_ch(lines, '\n');
    }
    return true;
}

static void members(struct eb_buf *to, json_t *object, unsigned indent, unsigned depth) {
    const char *name;
    json_t *v;
    if (depth > DEPTH_MAX) {
        to->failed = true;
        return;
    }
    json_object_foreach(object, name, v) {
        eb_render_indent(to, indent);
        key(to, name);
        if (json_object_size(v)) {
            eb_buf_ch(to, '\n');
            members(to, v, indent + 2, depth + 1);
            continue;
        }
        eb_buf_ch(to, ' ');
        eb_auto_buf struct eb_buf lines = {0};
        if (json_is_array(v) && texts(v, &lines))
            eb_render_list(to, &lines, indent + 2);
        else
            scalar(to, v);
        eb_buf_ch(to, '\n');
    }
}

/* ---- the site's own entries ---- */

static const struct eb_site_extra *extra_of(const struct eb_site *site, const json_t *entry) {
    struct eb_str account = eb_json_str(entry, "account");
    for (size_t i = 0; i < site->extras_n; i++)
        if (site->extras[i].enabled && eb_str_eq(site->extras[i].name.s, account))
            return &site->extras[i];
    return NULL;
}

/*
 * Writes into an entry what its account asks for. MQTT needs JetStream in the account: without `connections`,
 * an entry is for the other clients then, so that MQTT ones are refused at once, and with that reason.
 */
static bool fit(const struct eb_site *site, json_t *entry) {
    const struct eb_site_extra *x = extra_of(site, entry);
    if (!x)
        return true;
    if (x->jetstream && !eb_render_map_entry(entry))
        return false;
    return json_object_get(entry, "connections") || eb_site_account_mqtt(site, x->name.s) ||
           json_object_set_new(entry, "connections", json_pack("[s, s]", "nats", "websocket")) == 0;
}

static json_t *own_entries(const struct eb_site *site) {
    static const char *const sections[] = {"oauth2", "mtls", "nkey"};
    eb_auto_json json_t *all = site->permissions ? json_deep_copy(site->permissions) : json_object();
    bool ok = all && json_is_object(all);
    for (size_t i = 0; i < EB_COUNT_OF(sections) && ok; i++) {
        const char *name;
        json_t *entry;
        json_object_foreach(json_object_get(all, sections[i]), name, entry) {
            (void)name;
            ok = ok && fit(site, entry);
        }
    }
    if (ok && json_object_get(all, "noauth"))
        ok = fit(site, json_object_get(all, "noauth"));
    return ok ? EB_TAKE(all) : NULL;
}

static void section(struct eb_buf *to, json_t *all, const char *name) {
    json_t *entries = json_object_get(all, name);
    if (!json_object_size(entries))
        return;
    eb_buf_printf(to, "\n%s:\n", name);
    members(to, entries, 2, 1);
}

/* ---- the infrastructure's ---- */

static void side(struct eb_buf *to, const struct eb_login *l, unsigned first, const char *name) {
    const struct eb_buf *allow = &l->rights[first], *deny = &l->rights[first + 1];
    eb_buf_printf(to, "      %s:", name);
    eb_buf_z(to, allow->n ? "\n" : " {}\n");
    if (!allow->n)
        return;
    eb_buf_z(to, "        allow: ");
    eb_render_list(to, allow, 10);
    eb_buf_ch(to, '\n');
    if (deny->n) {
        eb_buf_z(to, "        deny: ");
        eb_render_list(to, deny, 10);
        eb_buf_ch(to, '\n');
    }
}

static void login(struct eb_buf *to, const struct eb_render *r, const struct eb_login *l) {
    eb_buf_printf(to, "  # %s\n  %s:\n    public_key: ", l->what, l->secret);
    eb_render_key(to, r->keys, l->secret);
    eb_buf_z(to, "\n    account: ");
    eb_render_quote(to, eb_str(l->account));
    eb_buf_printf(to, "\n    internal: true\n    connections: [%s]\n    permissions:\n",
                  l->leaf ? "leaf" : "nats");
    side(to, l, EB_PUB_ALLOWS, "pub");
    side(to, l, EB_SUB_ALLOWS, "sub");
}

void eb_render_permissions(struct eb_buf *to, const struct eb_render *r) {
    const struct eb_site *site = r->site;
    eb_auto_logins struct eb_logins all = {0};
    eb_auto_json json_t *own = own_entries(site);
    eb_logins_of(site, &all);
    if (all.failed || !own) {
        to->failed = true;
        return;
    }
    eb_buf_printf(
        to,
        "# Who may do what on site %s. Written by `eventbus render` from the site document: change that.\n"
        "# auth-callout re-reads it when it changes. Subjects are in NATS form: the MQTT topic test/a is the "
        "subject "
        "test.a.\n",
        site->name.p);
    if (site->type == EB_SITE_CPC && site->extras_n)
        eb_buf_z(
            to,
            "# The JetStream of the extra accounts is the CSC's, and MQTT needs JetStream: without "
            "`connections`, "
            "their entries are\n# for the other clients. And their rules stand here under the mapped names "
            "($JS.CSC.API.…) too.\n");
    section(to, own, "oauth2");
    section(to, own, "mtls");
    section(to, own, "nkey");
    eb_buf_printf(
        to, "%s  # The infrastructure: users of the server's configuration too, with the same permissions.\n",
        json_object_size(json_object_get(own, "nkey")) ? "\n" : "\nnkey:\n");
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].entry)
            login(to, r, &all.v[i]);
    if (json_object_get(own, "noauth")) {
        eb_buf_z(to, "\n# clients that present nothing\nnoauth:\n");
        members(to, json_object_get(own, "noauth"), 2, 1);
    }
}
