/* PEM certificates. Source: RFC 7468. Internal to cert/. */
#ifndef EB_CERT_PEM_H
#define EB_CERT_PEM_H

#include "base/err.h"
#include "base/str.h"

/*
 * The next block of *rest, which moves behind it: its label ("CERTIFICATE") and the text between the two
 * lines. *ret_label is {NULL, 0} where there is none. EB_E_MALFORMED for a block without an end.
 */
EB_MUSTCHECK enum eb_rc eb_pem_next(struct eb_str *rest, struct eb_str *ret_label, struct eb_str *ret_body,
                                    struct eb_err *reterr);
/* The bytes of a block's text; the caller frees *ret. EB_E_MALFORMED, EB_E_NOMEM. */
EB_MUSTCHECK enum eb_rc eb_pem_bytes(struct eb_str body, unsigned char **ret, size_t *ret_n,
                                     struct eb_err *reterr);

#endif
