/* The main nats-server of a site: its listeners, JetStream, accounts and logins. */
#include <stdio.h>

#include "site/render_impl.h"

#define EXTRA_SHARE(n) ((n) / 4) /* of a server's JetStream, divided by the extra accounts */
#define LEAF_TIMEOUT_MAX 60      /* nats-server warns of more */

void eb_render_key(struct eb_buf *to, const struct eb_pubkeys *keys, const char *secret) {
    const char *key = eb_pubkeys_get(keys, secret);
    if (key)
        eb_buf_z(to, key);
    else
        to->failed = true;
}

void eb_render_features(struct eb_buf *to, const struct eb_site *site) {
    if (site->type == EB_SITE_CPC || site->cpc_ids.n)
        eb_buf_z(to, "\n# Stored messages cross between the sites (nats-server 2.14 or newer): answers and "
                     "flow control "
                     "are named\n# after the domain, so that the links can let through each one's own. On "
                     "all servers.\n"
                     "feature_flags { js_ack_fc_v2: true, js_api_reply_v2: true }\n");
}

void eb_render_server(struct eb_buf *to, const struct eb_placement *place, struct eb_str address,
                      unsigned nats, unsigned monitor) {
    eb_buf_z(to, "listen: ");
    eb_render_listen(to, address, nats);
    eb_buf_z(to, "\nhttp: ");
    eb_render_listen(to, address, monitor);
    eb_buf_printf(to,
                  "\nlogtime: true\n%s\n# a token of several KiB is part of the CONNECT line (default 4096)\n"
                  "max_control_line: 65536\n",
                  place->debug ? "debug: true\n" : "");
}

bool eb_render_has_tls(const struct eb_site_tls *tls) {
    return tls->ca.n || tls->cert.n || tls->key.n || tls->handshake_first;
}

void eb_render_tls(struct eb_buf *to, const struct eb_site_tls *tls, bool verify, unsigned indent) {
    const struct {
        const char *key;
        struct eb_str path;
    } files[] = {{"cert_file", tls->cert}, {"key_file", tls->key}, {"ca_file", tls->ca}};
    if (!eb_render_has_tls(tls))
        return;
    eb_render_indent(to, indent);
    eb_buf_z(to, "tls {\n");
    for (size_t i = 0; i < EB_COUNT_OF(files); i++) {
        if (!files[i].path.n)
            continue;
        eb_render_indent(to, indent + 2);
        eb_buf_printf(to, "%s: ", files[i].key);
        eb_render_quote(to, files[i].path);
        eb_buf_ch(to, '\n');
    }
    if (verify) {
        eb_render_indent(to, indent + 2);
        eb_buf_z(to, "verify: true\n");
    }
    if (tls->handshake_first) {
        eb_render_indent(to, indent + 2);
        eb_buf_z(to, "handshake_first: true\n");
    }
    eb_render_indent(to, indent + 2);
    eb_buf_z(to, "timeout: 30\n");
    eb_render_indent(to, indent);
    eb_buf_z(to, "}\n");
}

/* A login by an old key is there while the tree has one. */
static bool has_login(const struct eb_render *r, const struct eb_login *l) {
    return !l->old || eb_pubkeys_get(r->keys, l->secret);
}

void eb_render_callout(struct eb_buf *to, const struct eb_render *r, const char *account,
                       const struct eb_logins *exempt) {
    eb_buf_printf(
        to,
        "\n# Everybody is called out whom no login of auth_users fits: those stay in while auth-callout is "
        "down.\n# The timer is for the whole way in. A long one costs nothing while auth-callout answers, "
        "and lets thousands in\n# at once after an outage; the server's own 2 s would not.\n"
        "authorization {\n  timeout: %u\n  auth_callout {\n    issuer: ",
        r->place->auth_timeout);
    eb_render_key(to, r->keys, "nats-auth-signing");
    eb_buf_printf(to, "\n    account: %s\n    auth_users: [", account);
    for (size_t i = 0; i < exempt->n; i++) {
        if (!has_login(r, &exempt->v[i]))
            continue;
        eb_buf_z(to, i ? ",\n      " : "\n      ");
        eb_render_key(to, r->keys, exempt->v[i].secret);
    }
    eb_buf_z(to, "\n    ]\n");
    if (r->place->xkey) {
        eb_buf_z(to, "    xkey: ");
        eb_render_key(to, r->keys, "nats-xkey");
        eb_buf_ch(to, '\n');
    }
    eb_buf_z(to, "  }\n}\n");
}

/* ---- logins ---- */

static void rights(struct eb_buf *to, const struct eb_login *l, unsigned side, const char *name) {
    const struct eb_buf *allow = &l->rights[side], *deny = &l->rights[side + 1];
    eb_buf_printf(to, "          %s: {", name);
    if (allow->n) {
        eb_buf_z(to, " allow: ");
        eb_render_list(to, allow, 12);
    }
    if (deny->n) {
        eb_buf_z(to, allow->n ? ", deny: " : " deny: ");
        eb_render_list(to, deny, 12);
    } else if (!allow->n) {
        eb_buf_z(to, " deny: [\">\"]"); /* an empty allow list would be all */
    }
    eb_buf_z(to, " }\n");
}

static void login(struct eb_buf *to, const struct eb_render *r, const struct eb_login *l) {
    eb_buf_printf(to, "      # %s\n      { nkey: ", l->what);
    eb_render_key(to, r->keys, l->secret);
    if (l->unlimited) {
        eb_buf_z(to, " }\n");
        return;
    }
    eb_buf_printf(to, ", allowed_connection_types: [%s], permissions: {\n",
                  l->leaf ? "LEAFNODE" : "STANDARD");
    rights(to, l, EB_PUB_ALLOWS, "publish");
    rights(to, l, EB_SUB_ALLOWS, "subscribe");
    if (l->answers)
        eb_buf_printf(to, "          allow_responses: { max: 1, expires: \"%us\" }\n",
                      r->place->auth_timeout + 60);
    eb_buf_z(to, "      } }\n");
}

static void logins(struct eb_buf *to, const struct eb_render *r, const struct eb_logins *all,
                   const char *account) {
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->v[i].account, account) != 0 || !has_login(r, &all->v[i]))
            continue;
        if (!any)
            eb_buf_z(to, "    users: [\n");
        any = true;
        login(to, r, &all->v[i]);
    }
    if (any)
        eb_buf_z(to, "    ]\n");
}

/* ---- accounts ---- */

static void auth_accounts(struct eb_buf *to, const struct eb_render *r, const struct eb_logins *all) {
    eb_buf_z(to, "  SYS {\n");
    logins(to, r, all, "SYS");
    eb_buf_z(to, "  }\n  # Callouts arrive in AUTH and are handed to AUTHX, where the service lives. The "
                 "callouts of the mTLS "
                 "server come\n  # straight into AUTHX by its leaf: they could not be published in AUTH, a "
                 "server denies that "
                 "to everybody there.\n  AUTH {\n    imports: [\n"
                 "      { service: { account: AUTHX, subject: \"$SYS.REQ.USER.AUTH\" } }\n"
                 "      { service: { account: AUTHX, subject: \"$SRV.>\" } }\n    ]\n"
                 "    # here a server tells each login that it refused; auth-callout counts them\n"
                 "    exports: [\n"
                 "      { stream: \"$SYS.ACCOUNT.CLIENT.AUTH.ERR\", accounts: [AUTHX] }\n    ]\n");
    logins(to, r, all, "AUTH");
    eb_buf_z(to,
             "  }\n  AUTHX {\n    exports: [\n"
             "      { service: \"$SYS.REQ.USER.AUTH\", accounts: [AUTH] }\n"
             "      { service: \"$SRV.>\", response: stream, accounts: [AUTH] }\n    ]\n"
             "    # auth-callout asks whether the site's streams are there before it lets MQTT clients in\n"
             "    imports: [\n");
    eb_render_stream_infos(to, r->site, false);
    eb_buf_z(to, "      { stream: { account: AUTH, subject: \"$SYS.ACCOUNT.CLIENT.AUTH.ERR\" } }\n    ]\n");
    logins(to, r, all, "AUTHX");
    eb_buf_z(to, "  }\n");
}

static void account_jetstream(struct eb_buf *to, int64_t memory, int64_t file) {
    eb_buf_z(to, "    jetstream: { max_memory: ");
    eb_render_bytes(to, memory);
    eb_buf_z(to, ", max_file: ");
    eb_render_bytes(to, file);
    eb_buf_z(to, " }\n");
}

static size_t jetstream_extras(const struct eb_site *site) {
    size_t n = 0;
    for (size_t i = 0; i < site->extras_n; i++)
        n += site->extras[i].enabled && site->extras[i].jetstream;
    return n;
}

static void extra_account(struct eb_buf *to, const struct eb_render *r, const struct eb_logins *all,
                          const struct eb_site_extra *extra) {
    const struct eb_placement *p = r->place;
    int64_t servers = (int64_t)p->nodes_n, n = (int64_t)jetstream_extras(r->site);
    eb_buf_z(to, "  ");
    eb_render_quote(to, extra->name.s);
    eb_buf_z(to, " {\n");
    if (extra->jetstream && r->site->type == EB_SITE_CSC)
        account_jetstream(to, EXTRA_SHARE(p->js_max_memory) / n * servers,
                          EXTRA_SHARE(p->js_max_file) / n * servers);
    else if (extra->jetstream)
        eb_buf_z(to, "    # its JetStream is the CSC's\n    mappings: {\n"
                     "      \"$JS.API.>\": \"$JS.CSC.API.>\"\n"
                     "      \"$KV.>\": \"$JS.CSC.API.$KV.>\"\n"
                     "      \"$OBJ.>\": \"$JS.CSC.API.$OBJ.>\"\n    }\n");
    logins(to, r, all, extra->name.s.p);
    eb_buf_z(to, "  }\n");
}

static void accounts(struct eb_buf *to, const struct eb_render *r, const struct eb_logins *all) {
    const struct eb_site *site = r->site;
    const struct eb_placement *p = r->place;
    eb_buf_z(to, "\nsystem_account: SYS\naccounts {\n");
    auth_accounts(to, r, all);
    eb_buf_printf(to, "  %s {\n", site->account.p);
    account_jetstream(to, eb_placement_data_bytes(p, true), eb_placement_data_bytes(p, false));
    logins(to, r, all, site->account.p);
    eb_render_data_links(to, site);
    eb_buf_z(to, "  }\n");
    if (site->type == EB_SITE_CPC)
        eb_render_transit(to, site);
    for (size_t i = 0; i < site->extras_n; i++)
        if (site->extras[i].enabled)
            extra_account(to, r, all, &site->extras[i]);
    eb_buf_z(to, "}\n");
}

/* ---- listeners ---- */

static void leafnodes(struct eb_buf *to, const struct eb_render *r, struct eb_str address) {
    const struct eb_site *site = r->site;
    unsigned timeout = r->place->auth_timeout + 5;
    eb_buf_z(to, "leafnodes {\n  listen: ");
    eb_render_listen(to, address, r->place->leaf);
    eb_buf_printf(
        to,
        "\n  # whoever links to this server keeps to the addresses that it was given\n  no_advertise: true\n"
        "  # only the timer, which runs beside that of the callout: users here would bypass it\n"
        "  authorization { timeout: %u }\n",
        timeout < LEAF_TIMEOUT_MAX ? timeout : LEAF_TIMEOUT_MAX);
    eb_render_tls(to, &site->leaf_server_tls, site->leaf_server_tls.ca.n != 0, 2);
    if (site->type == EB_SITE_CPC)
        eb_render_remotes(to, site);
    eb_buf_z(to, "}\n");
}

static void cluster(struct eb_buf *to, const struct eb_render *r, size_t node) {
    const struct eb_placement *p = r->place;
    if (p->nodes_n < 2)
        return;
    eb_buf_z(
        to,
        "# Whoever reaches this port is one of the servers: close it to all others.\ncluster {\n  name: ");
    eb_render_quote(to, r->site->name);
    eb_buf_z(to, "\n  listen: ");
    eb_render_listen(to, p->nodes[node].address, p->cluster);
    eb_buf_z(to, "\n  no_advertise: true\n  routes: [\n");
    for (size_t i = 0; i < p->nodes_n; i++) {
        if (i == node)
            continue;
        eb_buf_z(to, "    ");
        eb_render_url(to, "nats-route", p->nodes[i].address, p->cluster);
        eb_buf_ch(to, '\n');
    }
    eb_buf_z(to, "  ]\n}\n");
}

void eb_render_main(struct eb_buf *to, const struct eb_render *r, size_t node) {
    const struct eb_placement *p = r->place;
    const struct eb_placement_node *n = &p->nodes[node];
    eb_auto_logins struct eb_logins all = {0};
    eb_logins_of(r->site, &all);
    if (all.failed)
        to->failed = true;
    eb_buf_printf(to,
                  "# The main nats-server of site %s. Written by `eventbus render` from the site document: "
                  "change that.\n",
                  r->site->name.p);
    eb_buf_z(to, "server_name: ");
    eb_render_quote(to, n->name);
    eb_buf_ch(to, '\n');
    eb_render_server(to, p, n->address, p->nats, p->monitor);
    eb_render_features(to, r->site);
    eb_buf_z(to, "\njetstream {\n  domain: ");
    eb_render_quote(to, r->site->domain);
    eb_buf_z(to, "\n  store_dir: ");
    eb_render_quote(to, n->data_dir);
    eb_buf_z(to, "\n  max_memory_store: ");
    eb_render_bytes(to, p->js_max_memory);
    eb_buf_z(to, "\n  max_file_store: ");
    eb_render_bytes(to, p->js_max_file);
    eb_buf_z(to, "\n}\nmqtt {\n  listen: ");
    eb_render_listen(to, n->address, p->mqtt);
    eb_buf_printf(to, "\n  stream_replicas: %u\n}\n", r->site->streams_replicas);
    if (r->site->type == EB_SITE_CPC)
        eb_buf_z(to, "# the seeds of the links to the CSC\ninclude \"main-seeds.conf\"\n");
    leafnodes(to, r, n->address);
    cluster(to, r, node);
    accounts(to, r, &all);
    eb_render_callout(to, r, "AUTH", &all);
}
