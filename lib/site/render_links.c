/* How a CPC hangs on the CSC: leaf remotes, and what crosses between its data account and the account of the
 * link; and what the data account hands to auth-callout. */
#include <ctype.h>
#include <stdio.h>

#include "site/render_impl.h"
#include "site/streams.h"

/* ---- seeds ---- */

static void upper(char *text) {
    for (; *text; text++)
        *text = (char)toupper((unsigned char)*text);
}

bool eb_render_seed(const struct eb_site *site, bool mtls, size_t i, char variable[96], char secret[96]) {
    static const char *const links[] = {"MTLS_LEAF", "MTLS_AUTHX_LEAF", "MTLS_SYS_LEAF"},
                             *const secrets[] = {"nats-mtls-leaf", "nats-mtls-authx-leaf",
                                                 "nats-mtls-sys-leaf"};
    if (mtls) {
        if (!site->mtls || i >= EB_COUNT_OF(links))
            return false;
        (void)snprintf(variable, 96, "%s", links[i]);
        (void)snprintf(secret, 96, "%s", secrets[i]);
        return true;
    }
    if (site->type != EB_SITE_CPC)
        return false;
    if (i == 0) {
        (void)snprintf(variable, 96, "LEAF_CSC");
        (void)snprintf(secret, 96, "nats-leaf-csc");
        return true;
    }
    for (size_t k = 0, seen = 0; k < site->extras_n; k++) {
        if (!site->extras[k].enabled || ++seen != i)
            continue;
        (void)snprintf(variable, 96, "LEAF_%.*s_CSC", EB_STR_ARG(site->extras[k].lower));
        (void)snprintf(secret, 96, "nats-leaf-%.*s-csc", EB_STR_ARG(site->extras[k].lower));
        upper(variable);
        return true;
    }
    return false;
}

/* ---- remotes ---- */

static void remote(struct eb_buf *to, const struct eb_site *site, struct eb_str account, size_t seed) {
    char variable[96], secret[96];
    if (!eb_render_seed(site, false, seed, variable, secret)) {
        to->failed = true;
        return;
    }
    eb_auto_buf struct eb_buf urls = {0};
    struct eb_str rest = site->csc_endpoint.s;
    while (rest.p) {
        eb_buf_str(&urls, eb_str_trim(eb_str_cut(&rest, ',')));
        eb_buf_ch(&urls, '\n');
    }
    eb_buf_z(to, "    {\n      urls: ");
    eb_render_list(to, &urls, 8);
    eb_buf_z(to, "\n      account: ");
    eb_render_quote(to, account);
    eb_buf_printf(to, "\n      nkey: $%s\n", variable);
    eb_render_tls(to, &site->leaf_client_tls, false, 6);
    eb_buf_z(to, "    }\n");
}

void eb_render_remotes(struct eb_buf *to, const struct eb_site *site) {
    size_t seed = 0;
    eb_buf_z(to,
             "  # Short, so that the link is back before the CSC first asks for stored messages after its "
             "restart: "
             "that question\n  # would wait 30 s for its answer.\n  reconnect: \"100ms\"\n  remotes: [\n");
    remote(to, site, EB_STR("CSC"), seed++);
    for (size_t i = 0; i < site->extras_n; i++)
        if (site->extras[i].enabled)
            remote(to, site, site->extras[i].name.s, seed++);
    eb_buf_z(to, "  ]\n");
}

/* ---- what crosses ---- */

/* One line of an exports or imports list. */
static void line(struct eb_buf *to, const char *kind, const char *from, const char *subject,
                 const char *other, const char *as) {
    eb_buf_z(to, "      { ");
    if (from) { /* imported */
        eb_buf_printf(to, "%s: { account: %s, subject: ", kind, from);
        eb_render_quote(to, eb_str(subject));
        eb_buf_z(to, " }");
        if (as) {
            eb_buf_z(to, ", to: ");
            eb_render_quote(to, eb_str(as));
        }
    } else {
        eb_buf_printf(to, "%s: ", kind);
        eb_render_quote(to, eb_str(subject));
        eb_buf_printf(to, ", accounts: [%s]", other);
    }
    eb_buf_z(to, " }\n");
}

/* Calls the line writer with a subject made of pieces. out: exported, else imported from `other`. */
static void cross(struct eb_buf *to, bool out, const char *other, const char *kind, const char *prefix,
                  struct eb_str pattern, const char *as) {
    eb_auto_buf struct eb_buf subject = {0};
    eb_buf_z(&subject, prefix);
    eb_buf_str(&subject, pattern);
    if (!eb_buf_ok(&subject)) {
        to->failed = true;
        return;
    }
    line(to, kind, out ? NULL : other, subject.p, other, as);
}

/* The questions by which the CSC pulls from this CPC, one for each source that it has here. */
static bool questions(const struct eb_site *cpc, struct eb_stream_source **ret, size_t *ret_n) {
    struct eb_site csc = *cpc;
    struct eb_site_text id = {.s = cpc->id};
    csc.type = EB_SITE_CSC;
    csc.id = EB_STR("");
    csc.cpc_ids = (struct eb_site_texts){.items = &id, .n = 1};
    return eb_stream_sources(&csc, ret, ret_n) == EB_OK;
}

/* up: what the CSC asks for. In the data account with the API's own name, in the transit account with that of
 * the CSC's. */
static void up_questions(struct eb_buf *to, const struct eb_site *site, bool transit) {
    struct eb_stream_source *s = NULL;
    size_t n = 0;
    if (!questions(site, &s, &n)) {
        to->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        eb_auto_buf struct eb_buf own = {0};
        eb_auto_buf struct eb_buf as = {0};
        eb_buf_printf(&own, "$JS.API.CONSUMER.CREATE.%s.*.%s", s[i].stream, s[i].filter);
        eb_buf_printf(&as, "%s.CONSUMER.CREATE.%s.*.%s", s[i].api, s[i].stream, s[i].filter);
        if (eb_buf_ok(&own) && eb_buf_ok(&as))
            line(to, "service", transit ? site->account.p : NULL, own.p, "CSC", transit ? as.p : NULL);
        else
            to->failed = true;
    }
    eb_stream_sources_free(s, n);
}

/* Down: the CSC to this CPC. transit: in the account of the link, which exports what the data account
 * imports. */
static void down(struct eb_buf *to, const struct eb_site *site, bool transit) {
    const struct eb_site_texts *all = &site->lists[EB_SITE_CSC_EXPORTS],
                               *own = &site->lists[EB_SITE_CSC_PREFIXED];
    const char *other = transit ? site->account.p : "CSC";
    char prefix[64], messages[64];
    (void)snprintf(prefix, sizeof prefix, "cpc.%.*s.", EB_STR_ARG(site->id));
    (void)snprintf(messages, sizeof messages, "$XL.down.%.*s.>", EB_STR_ARG(site->id));
    for (size_t i = 0; i < all->n; i++)
        cross(to, transit, other, "stream", "", all->items[i].s, NULL);
    for (size_t i = 0; i < own->n; i++)
        cross(to, transit, other, "stream", prefix, own->items[i].s, transit ? NULL : own->items[i].s.p);
    if (all->n + own->n == 0)
        return;
    eb_buf_z(to, "      # stored messages: they, the questions for them, their flow control\n");
    cross(to, transit, other, "stream", messages, EB_STR(""), NULL);
    cross(to, transit, other, "service", "$JS.CSC.API.CONSUMER.CREATE.>", EB_STR(""), NULL);
    cross(to, transit, other, "service", "$JS.FC.CSC.>", EB_STR(""), NULL);
}

/* Up: this CPC to the CSC. transit: the account of the link, which imports what the data account exports. */
static void up(struct eb_buf *to, const struct eb_site *site, bool transit) {
    const struct eb_site_texts *list = &site->lists[EB_SITE_CPC_EXPORTS];
    const char *other = transit ? site->account.p : "CSC";
    char messages[64], flow[64];
    (void)snprintf(messages, sizeof messages, "$XL.up.%.*s.>", EB_STR_ARG(site->id));
    (void)snprintf(flow, sizeof flow, "$JS.FC.%.*s.>", EB_STR_ARG(site->domain));
    for (size_t i = 0; i < list->n; i++) {
        eb_auto_buf struct eb_buf as = {0};
        eb_buf_printf(&as, "cpc.%.*s.%.*s", EB_STR_ARG(site->id), EB_STR_ARG(list->items[i].s));
        if (eb_buf_ok(&as))
            cross(to, !transit, other, "stream", "", list->items[i].s, transit ? as.p : NULL);
        else
            to->failed = true;
    }
    if (list->n == 0)
        return;
    eb_buf_z(to, "      # stored messages: they, the questions for them, their flow control\n");
    cross(to, !transit, other, "stream", messages, EB_STR(""), NULL);
    up_questions(to, site, transit);
    cross(to, !transit, other, "service", flow, EB_STR(""), NULL);
}

void eb_render_stream_infos(struct eb_buf *to, const struct eb_site *site, bool out) {
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        cross(to, out, out ? "AUTHX" : site->account.p, "service", "$JS.API.STREAM.INFO.",
              eb_str(eb_stream_names[i]), NULL);
}

void eb_render_data_links(struct eb_buf *to, const struct eb_site *site) {
    eb_buf_z(to, "    exports: [\n      # whether the streams are there: auth-callout asks\n");
    eb_render_stream_infos(to, site, true);
    if (site->type == EB_SITE_CSC) {
        eb_buf_z(to, "    ]\n");
        return;
    }
    up(to, site, false);
    eb_buf_z(to, "    ]\n    imports: [\n");
    down(to, site, false);
    eb_buf_z(to, "    ]\n");
}

void eb_render_transit(struct eb_buf *to, const struct eb_site *site) {
    eb_buf_z(to, "  # The way to the CSC, whose account it joins: what crosses is here, under the CSC's "
                 "names, and nothing else. "
                 "Nobody\n  # logs in to it, since what is published here counts as the site's own.\n"
                 "  CSC {\n    exports: [\n");
    down(to, site, true);
    eb_buf_z(to, "    ]\n    imports: [\n");
    up(to, site, true);
    eb_buf_z(to, "    ]\n  }\n");
}
