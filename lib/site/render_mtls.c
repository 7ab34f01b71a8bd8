/* The nats-server for devices with client certificates: no JetStream and no users of its own, it hangs on the
 * main one. */
#include <stdio.h>

#include "site/render_impl.h"

/* The main server's leaf listener, as its own mTLS server reaches it: with the site's own certificate, where
 * it has one. */
static void remotes(struct eb_buf *to, const struct eb_render *r) {
    const struct eb_site *site = r->site;
    const struct eb_str accounts[] = {site->account, EB_STR("AUTHX"), EB_STR("SYS")};
    eb_auto_buf struct eb_buf urls = {0};
    for (size_t i = 0; i < r->place->mtls_main.n; i++) {
        eb_buf_str(&urls, r->place->mtls_main.items[i].s);
        eb_buf_ch(&urls, '\n');
    }
    eb_buf_z(to, "leafnodes {\n  remotes: [\n");
    for (size_t i = 0; i < EB_COUNT_OF(accounts); i++) {
        char variable[96], secret[96];
        if (!eb_render_seed(site, true, i, variable, secret)) {
            to->failed = true;
            return;
        }
        eb_buf_z(to, "    {\n      urls: ");
        eb_render_list(to, &urls, 8);
        eb_buf_printf(to, "\n      account: %s\n      nkey: $%s\n", accounts[i].p, variable);
        eb_render_tls(to, &site->leaf_server_tls, false, 6);
        eb_buf_z(to, "    }\n");
    }
    eb_buf_z(to, "  ]\n}\n");
}

void eb_render_mtls(struct eb_buf *to, const struct eb_render *r) {
    const struct eb_site *site = r->site;
    const struct eb_placement *p = r->place;
    eb_buf_printf(to,
                  "# The mTLS nats-server of site %s. Written by `eventbus render` from the site document: "
                  "change that.\n"
                  "server_name: \"%s-mtls\"\n",
                  site->name.p, site->name.p);
    eb_render_server(to, p, p->mtls_address, p->mtls_nats, p->mtls_monitor);
    eb_render_features(to, site);
    eb_buf_z(to, "\n# No JetStream here: sessions and stored messages are the main server's, reached by leaf "
                 "in its domain.\n"
                 "mqtt {\n  listen: ");
    eb_render_listen(to, p->mtls_address, p->mtls_mqtt);
    eb_buf_z(to, "\n  js_domain: ");
    eb_render_quote(to, site->domain);
    eb_buf_printf(to, "\n  stream_replicas: %u\n", site->streams_replicas);
    eb_render_tls(to, &p->mtls_tls, true, 2);
    eb_buf_z(to, "}\n\n# the seeds of the three links\ninclude \"mtls-seeds.conf\"\n");
    remotes(to, r);
    eb_buf_z(to, "\nsystem_account: SYS\naccounts {\n  SYS { users: [ { nkey: ");
    eb_render_key(to, r->keys, "nats-sys-admin");
    eb_buf_printf(to,
                  " } ] }\n"
                  "  # the callout account here: its leaf ends in AUTHX of the main server, where the "
                  "service is. What logins "
                  "this server\n  # refused is told here, and crosses by that leaf, too\n"
                  "  AUTHX {}\n  %s {}\n}\n",
                  site->account.p);
    struct eb_login admin = {.secret = "nats-sys-admin"};
    struct eb_logins exempt = {.v = &admin, .n = 1};
    eb_render_callout(to, r, "AUTHX", &exempt);
}
