#include "cert/pem.h"

#include <stdlib.h>

#include "base/base64url.h"
#include "base/cleanup.h"

/* Cuts the first line off *rest, without its line end and the blanks around it. */
static struct eb_str next_line(struct eb_str *rest) {
    return eb_str_trim(eb_str_cut(rest, '\n'));
}

/* The label of a line `-----BEGIN label-----`; {NULL, 0} for any other line. */
static struct eb_str label_of(struct eb_str line, struct eb_str start) {
    struct eb_str dashes = EB_STR("-----");
    if (line.n < start.n + dashes.n || !eb_str_starts(line, start) || !eb_str_ends(line, dashes))
        return EB_STR_NONE;
    return eb_str_n(line.p + start.n, line.n - start.n - dashes.n);
}

enum eb_rc eb_pem_next(struct eb_str *rest, struct eb_str *ret_label, struct eb_str *ret_body,
                       struct eb_err *reterr) {
    struct eb_str label = EB_STR_NONE;
    while (rest->p && !label.p)
        label = label_of(next_line(rest), EB_STR("-----BEGIN "));
    if (!label.p) {
        *ret_label = EB_STR_NONE;
        return EB_OK;
    }
    const char *from = rest->p;
    while (rest->p) {
        const char *at = rest->p;
        struct eb_str end = label_of(next_line(rest), EB_STR("-----END "));
        if (end.p && eb_str_eq(end, label)) {
            *ret_label = label;
            *ret_body = eb_str_n(from, (size_t)(at - from));
            return EB_OK;
        }
    }
    return EB_FAIL(reterr, EB_E_MALFORMED, "a PEM block without its END line");
}

enum eb_rc eb_pem_bytes(struct eb_str body, unsigned char **ret, size_t *ret_n, struct eb_err *reterr) {
    /* Rewritten to base64url without padding, whose reader is strict. */
    eb_auto_free char *text = malloc(body.n + 1);
    eb_auto_free unsigned char *bytes = malloc(body.n + 1);
    if (!text || !bytes)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    size_t n = 0, padding = 0, got = 0;
    bool ok = true;
    for (size_t i = 0; i < body.n; i++) {
        char c = body.p[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (c == '=')
            padding++;
        else
            text[n++] = (char)(c == '+' ? '-' : c == '/' ? '_' : c);
        ok = ok && c != '-' && c != '_' && (padding == 0 || c == '=');
    }
    if (!ok || n == 0 || padding > 2 || (n + padding) % 4 != 0 ||
        eb_base64url_decode(bytes, body.n, eb_str_n(text, n), &got) != EB_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the text of a PEM block is no base64");
    *ret = EB_TAKE(bytes);
    *ret_n = got;
    return EB_OK;
}
