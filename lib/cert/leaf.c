#include "cert/leaf.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/buf.h"
#include "base/utf8.h"

EB_DEFINE_CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free);
EB_DEFINE_CLEANUP(BIO, BIO_free_all);

/* Identities while they are gathered: values stand one behind another in text. */
struct gathered {
    struct {
        enum eb_cert_id_kind kind;
        size_t at, n;
    } ids[EB_CERT_IDS];
    size_t n;
    struct eb_buf text;
};

static void gathered_done(struct gathered *g) {
    eb_buf_done(&g->text);
}

void eb_cert_leaf_done(struct eb_cert_leaf *l) {
    free(l->ids);
    free(l->subject);
    *l = (struct eb_cert_leaf){.ids = NULL};
}

enum eb_rc eb_cert_time(const ASN1_TIME *t, int64_t *ret, struct eb_err *reterr) {
    struct tm tm;
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED, "a date of the certificate cannot be read");
    }
    *ret = (int64_t)timegm(&tm);
    return EB_OK;
}

static const char *kind_name(enum eb_cert_id_kind kind) {
    switch (kind) {
    case EB_ID_CN: return "CN";
    case EB_ID_EMAIL: return "email";
    case EB_ID_DNS: return "DNS name";
    case EB_ID_URI: return "URI";
    case EB_ID_O: return "O";
    case EB_ID_OU: return "OU";
    }
    return "identity";
}

static enum eb_rc add(struct gathered *g, enum eb_cert_id_kind kind, struct eb_str value,
                      struct eb_err *reterr) {
    if (value.n == 0)
        return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "an empty %s in the certificate", kind_name(kind));
    if (!eb_utf8_valid(value))
        return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "a %s in the certificate that is not UTF-8",
                       kind_name(kind));
    if (eb_utf8_has_control(value))
        return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "control characters in a %s of the certificate",
                       kind_name(kind));
    if (g->n == EB_CERT_IDS)
        return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "over %d identities in the certificate", EB_CERT_IDS);
    g->ids[g->n].kind = kind;
    g->ids[g->n].at = g->text.n;
    g->ids[g->n++].n = value.n;
    eb_buf_str(&g->text, value);
    return EB_OK;
}

static enum eb_rc add_subject(struct gathered *g, const X509_NAME *name, int nid, enum eb_cert_id_kind kind,
                              struct eb_err *reterr) {
    for (int at = -1, found = 0; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0; found++) {
        if (found && kind == EB_ID_CN)
            return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "several CNs in the certificate");
        unsigned char *utf8 = NULL;
        int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        if (n < 0) {
            ERR_clear_error();
            return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "a %s in the certificate is no text", kind_name(kind));
        }
        enum eb_rc rc = add(g, kind, eb_str_n(utf8, (size_t)n), reterr);
        OPENSSL_free(utf8);
        if (rc != EB_OK)
            return rc;
    }
    return EB_OK;
}

/* Names of one type. They are IA5String (RFC 5280 s4.2.1.6), so anything but ASCII is refused. */
static enum eb_rc add_names(struct gathered *g, const GENERAL_NAMES *names, int type,
                            enum eb_cert_id_kind kind, struct eb_err *reterr) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int got = 0;
        const ASN1_IA5STRING *s = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &got);
        if (got != type)
            continue;
        struct eb_str value = eb_str_n(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        for (size_t at = 0; at < value.n; at++)
            if (value.p[at] & 0x80)
                return EB_FAIL(reterr, EB_E_CERT_IDENTITY, "a %s in the certificate that is not ASCII",
                               kind_name(kind));
        enum eb_rc rc = add(g, kind, value, reterr);
        if (rc != EB_OK)
            return rc;
    }
    return EB_OK;
}

static enum eb_rc gather(X509 *x, struct gathered *g, struct eb_err *reterr) {
    const X509_NAME *subject = X509_get_subject_name(x);
    int critical = 0;
    EB_CLEANUP(GENERAL_NAMES_freep)
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, &critical, NULL);
    if (!names && critical != -1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED,
                       "the certificate's subjectAltName cannot be read, or there are several");
    }
    enum eb_rc rc = add_subject(g, subject, NID_commonName, EB_ID_CN, reterr);
    if (rc == EB_OK)
        rc = add_names(g, names, GEN_EMAIL, EB_ID_EMAIL, reterr);
    if (rc == EB_OK)
        rc = add_names(g, names, GEN_DNS, EB_ID_DNS, reterr);
    if (rc == EB_OK)
        rc = add_names(g, names, GEN_URI, EB_ID_URI, reterr);
    if (rc == EB_OK)
        rc = add_subject(g, subject, NID_organizationName, EB_ID_O, reterr);
    if (rc == EB_OK)
        rc = add_subject(g, subject, NID_organizationalUnitName, EB_ID_OU, reterr);
    if (rc == EB_OK && !eb_buf_ok(&g->text))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    return rc;
}

/* One block of memory: the array and behind it the texts. */
static struct eb_cert_id *ids_new(size_t n, size_t text_n, char **ret_text) {
    struct eb_cert_id *ids = malloc(n * sizeof *ids + text_n + 1);
    if (ids)
        *ret_text = (char *)(ids + n);
    return ids;
}

static char *subject_text(X509 *x) {
    EB_CLEANUP(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    /* RFC 2253 form escapes controls and all that is not ASCII, so that it can be cut anywhere. */
    if (!bio || X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) < 0) {
        ERR_clear_error();
        return eb_str_dup(EB_STR("(cannot be shown)"));
    }
    long n = BIO_get_mem_data(bio, &p);
    return eb_str_dup(eb_str_n(p, n < EB_CERT_SUBJECT ? (size_t)n : EB_CERT_SUBJECT - 1));
}

enum eb_rc eb_cert_leaf_read(X509 *x, struct eb_cert_leaf *ret, struct eb_err *reterr) {
    EB_CLEANUP(gathered_done) struct gathered g = {.n = 0};
    EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf l = {.ids = NULL};
    enum eb_rc rc = gather(x, &g, reterr);
    if (rc == EB_OK)
        rc = eb_cert_time(X509_get0_notBefore(x), &l.not_before, reterr);
    if (rc == EB_OK)
        rc = eb_cert_time(X509_get0_notAfter(x), &l.not_after, reterr);
    if (rc != EB_OK)
        return rc;
    char *text = NULL;
    l.ids = ids_new(g.n, g.text.n, &text);
    l.subject = subject_text(x);
    if (!l.ids || !l.subject)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    l.ids_n = g.n;
    if (g.text.n)
        memcpy(text, g.text.p, g.text.n);
    for (size_t i = 0; i < g.n; i++)
        l.ids[i] = (struct eb_cert_id){g.ids[i].kind, eb_str_n(text + g.ids[i].at, g.ids[i].n)};
    *ret = l;
    l = (struct eb_cert_leaf){.ids = NULL};
    return EB_OK;
}

bool eb_cert_leaf_dup(const struct eb_cert_leaf *l, struct eb_cert_leaf *ret) {
    size_t text_n = 0;
    for (size_t i = 0; i < l->ids_n; i++)
        text_n += l->ids[i].value.n;
    char *text = NULL;
    struct eb_cert_leaf copy = *l;
    copy.ids = ids_new(l->ids_n, text_n, &text);
    copy.subject = eb_str_dup(eb_str(l->subject));
    if (!copy.ids || !copy.subject) {
        eb_cert_leaf_done(&copy);
        return false;
    }
    for (size_t i = 0; i < l->ids_n; i++) {
        memcpy(text, l->ids[i].value.p, l->ids[i].value.n);
        copy.ids[i] = (struct eb_cert_id){l->ids[i].kind, eb_str_n(text, l->ids[i].value.n)};
        text += l->ids[i].value.n;
    }
    *ret = copy;
    return true;
}
