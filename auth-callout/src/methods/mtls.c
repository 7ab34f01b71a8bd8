/* Client certificates. The server has verified them; we verify the chain again, against our own CA file. */
#include "methods/methods.h"

/* "CN=", … as the permissions document writes them, in the order of enum eb_cert_id_kind. */
static const char *const id_prefixes[] = {
    [EB_ID_CN] = "CN=",   [EB_ID_EMAIL] = "EMAIL=", [EB_ID_DNS] = "DNS=",
    [EB_ID_URI] = "URI=", [EB_ID_O] = "O=",         [EB_ID_OU] = "OU=",
};

/* The server lists one chain per way to a root; the first is as good as any, since we build our own from what
 * it holds. */
static size_t first_chain(const json_t *chains, struct eb_str to[EB_CERT_CHAIN]) {
    const json_t *chain = json_array_get(chains, 0);
    size_t n = 0;
    size_t all = json_array_size(chain);
    for (size_t i = 0; i < all && n < EB_CERT_CHAIN; i++) {
        const json_t *pem = json_array_get(chain, i);
        to[n++] = eb_str_n(json_string_value(pem), json_string_length(pem));
    }
    return n;
}

static bool find_entry(struct eb_attempt *a, const struct eb_cert_leaf *leaf) {
    bool org = a->view->settings->config->mtls_allow_org_identity;
    for (size_t i = 0; i < leaf->ids_n; i++) {
        const struct eb_cert_id *id = &leaf->ids[i];
        if ((id->kind == EB_ID_O || id->kind == EB_ID_OU) && !org)
            continue;
        if (eb_policy_find_mtls(a->view->policy, eb_str(id_prefixes[id->kind]), id->value, &a->entry))
            return true;
    }
    return false;
}

enum eb_rc eb_method_mtls(struct eb_attempt *a) {
    a->method = EB_METHOD_MTLS;
    if (!a->view->cas)
        return EB_FAIL(&a->err, EB_E_METHOD_OFF, "a client certificate, and mtls.ca-path is not set");
    struct eb_str chain[EB_CERT_CHAIN];
    size_t n = first_chain(a->req->verified_chains, chain);
    if (n == 0)
        return EB_FAIL(&a->err, EB_E_CERT_UNTRUSTED, "a client certificate that the server did not verify");
    EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf leaf = {0};
    enum eb_rc rc = eb_cert_verify(a->view->cas, chain, n, a->now_s, &leaf, &a->err);
    if (rc != EB_OK)
        return rc;
    eb_attempt_identity(a, "%s", leaf.subject ? leaf.subject : "");
    a->expires_s = leaf.not_after;
    if (!find_entry(a, &leaf))
        return EB_FAIL(&a->err, EB_E_UNKNOWN_IDENTITY, "no mtls entry has an identity of this certificate");
    return eb_attempt_admit(a);
}
