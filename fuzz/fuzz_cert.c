/*
 * A certificate chain in DER, one certificate behind the other, against a fixed CA (whose key was thrown
 * away); bytes that begin with `-` are PEM, a NUL byte between the certificates, and a CA file at the same
 * time.
 */
#include "base/buf.h"
#include "cert/leaf.h"
#include "cert/store.h"
#include "fuzz.h"

#define NOW 1767225600 /* 2026-01-01 */

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBSDCB76ADAgECAhQ+WvvuhnutQzSuSnYPv/EYYqfaqTAKBggqhkjOPQQDAjAS\n"
                             "MRAwDgYDVQQDDAdGdXp6IENBMB4XDTI0MDEwMTAwMDAwMFoXDTQ0MDEwMTAwMDAw\n"
                             "MFowEjEQMA4GA1UEAwwHRnV6eiBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
                             "BPDT+iMTxgvzfvN6c4r2YwTzsH0HlD0QsvlGoPvz0iy1SEU3P1ztHbNmFdJLQ1tP\n"
                             "xp7t2qIVIOybei4+Plxx/7yjIzAhMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/\n"
                             "BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIQCeQEyTVxzwl2KK192kAV+RFmIZsNbj\n"
                             "SRX78I1kJAQmVgIgXLKn6DiByyc+aR6B/ot544pDllh0h25moJf9SA+8NhE=\n"
                             "-----END CERTIFICATE-----\n";

static struct eb_cert_store *store;

/* Bytes of the DER value at p, all n where its length makes no sense. */
static size_t der_size(const uint8_t *p, size_t n) {
    if (n < 4 || p[0] != 0x30)
        return n;
    size_t size = p[1] == 0x82   ? 4 + (size_t)(p[2] << 8 | p[3])
                  : p[1] == 0x81 ? 3 + (size_t)p[2]
                  : p[1] < 0x80  ? 2 + (size_t)p[1]
                                 : n;
    return size < n ? size : n;
}

static void check_leaf(const struct eb_cert_leaf *l) {
    size_t cns = 0;
    for (size_t i = 0; i < l->ids_n; i++) {
        struct eb_str v = l->ids[i].value;
        FUZZ_MUST(v.n > 0 && !memchr(v.p, 0, v.n) && (i == 0 || l->ids[i].kind >= l->ids[i - 1].kind));
        cns += l->ids[i].kind == EB_ID_CN;
    }
    FUZZ_MUST(cns <= 1 && strlen(l->subject) < EB_CERT_SUBJECT);
}

static void verify(const struct eb_str *chain, size_t n) {
    for (int again = 0; again < 2; again++) {
        struct eb_cert_leaf l;
        struct eb_err err = {0};
        enum eb_rc rc = eb_cert_verify(store, chain, n, NOW, &l, &err);
        FUZZ_MUST(err.rc == rc && (rc == EB_OK || err.text[0]));
        if (rc != EB_OK)
            return;
        check_leaf(&l);
        FUZZ_MUST(l.ids_n &&
                  eb_str_eqz(l.ids[0].value, "fuzz-leaf")); /* the CA has signed no other good one */
        eb_cert_leaf_done(&l);
    }
}

static void pem(struct eb_str rest) {
    struct eb_str chain[EB_CERT_CHAIN + 1] = {EB_STR_NONE};
    size_t n = 0;
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *s = NULL;
    if (eb_cert_store_read(rest, &s, NULL) == EB_OK)
        FUZZ_MUST(eb_cert_store_count(s) > 0);
    while (rest.p && n < EB_COUNT_OF(chain))
        chain[n++] = eb_str_cut(&rest, '\0');
    verify(chain, n);
}

static void pem_of(struct eb_buf *to, const uint8_t *der, size_t n) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    eb_buf_z(to, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v =
            (uint32_t)der[i] << 16 | (left > 1 ? (uint32_t)der[i + 1] << 8 : 0) | (left > 2 ? der[i + 2] : 0);
        eb_buf_ch(to, letters[v >> 18]);
        eb_buf_ch(to, letters[v >> 12 & 63]);
        eb_buf_ch(to, left > 1 ? letters[v >> 6 & 63] : '=');
        eb_buf_ch(to, left > 2 ? letters[v & 63] : '=');
    }
    eb_buf_z(to, "\n-----END CERTIFICATE-----\n");
}

static void der(const uint8_t *data, size_t size) {
    struct eb_buf texts[EB_CERT_CHAIN + 1] = {{0}};
    struct eb_str chain[EB_CERT_CHAIN + 1] = {EB_STR_NONE};
    size_t n = 0;
    for (size_t at = 0, piece; at < size && n < EB_COUNT_OF(chain); at += piece) {
        piece = der_size(data + at, size - at);
        /* What a certificate says is read whoever signed it, so that this is reached by more than the seeds.
         */
        EB_CLEANUP(X509_freep) X509 *x = eb_cert_from_der(data + at, piece);
        struct eb_cert_leaf l;
        if (x && eb_cert_leaf_read(x, &l, NULL) == EB_OK) {
            check_leaf(&l);
            eb_cert_leaf_done(&l);
        }
        pem_of(&texts[n], data + at, piece);
        chain[n] = eb_buf_get(&texts[n]);
        n++;
    }
    verify(chain, n);
    for (size_t i = 0; i < n; i++)
        eb_buf_done(&texts[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!store)
        FUZZ_MUST(eb_cert_store_read(eb_str(ca_pem), &store, NULL) == EB_OK);
    if (size && data[0] == '-')
        pem(eb_str_n(data, size));
    else
        der(data, size);
    return 0;
}
