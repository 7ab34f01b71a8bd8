/*
 * Opening sealed requests and sealing their answers. The shared secret of a server's xkey and one of ours
 * costs a scalar multiplication; it is kept while the server lives, within a bound, the least recently used
 * going first.
 */
#ifndef EB_SEALING_H
#define EB_SEALING_H

#include "base/buf.h"
#include "signer.h"

#define EB_SEALING_PEERS 256 /* shared secrets kept */

struct eb_sealing; /* any thread */

struct eb_sealing *eb_sealing_new(void);
void eb_sealing_free(struct eb_sealing *s);
/*
 * Appends the plain bytes to `to`. peer: text of the server's X key. *ret_shared is the secret that opened
 * it: the answer is sealed with the same; the caller wipes it. EB_E_REQ_XKEY where no key of ours opens it.
 */
EB_MUSTCHECK enum eb_rc eb_sealing_open(struct eb_sealing *s, const struct eb_signer *signer,
                                        struct eb_str peer, struct eb_str sealed, struct eb_buf *to,
                                        struct eb_xkey_shared *ret_shared, struct eb_err *reterr);

#endif
