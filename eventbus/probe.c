#include "probe.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "base/num.h"

enum { PENDING = 64 }; /* answers that may wait; more are of no use */

struct eb_probe {
    struct eb_js *js;
    natsSubscription *sub;
    char *subject; /* asked */
    char *reply;   /* answered to, without its last token: the time of the question */
};

void eb_probe_free(struct eb_probe *p) {
    if (!p)
        return;
    natsSubscription_Destroy(p->sub);
    free(p->subject);
    free(p->reply);
    free(p);
}

/* Where the far site may send its answer: at the CSC only what the CPC's leaf login may publish,
 * `$JSC.R.<id>.>`. */
static void reply_subject(struct eb_buf *to, struct eb_str api, size_t place) {
    static uint64_t nonce;
    while (nonce == 0)
        randombytes_buf(&nonce, sizeof nonce);
    struct eb_str rest = api;
    struct eb_str first = eb_str_cut(&rest, '.'), second = eb_str_cut(&rest, '.');
    if (eb_str_eqz(first, "$XL"))
        eb_buf_printf(to, "$JSC.R.%.*s", EB_STR_ARG(second));
    else
        eb_buf_z(to, "_INBOX");
    eb_buf_printf(to, ".probe%016" PRIx64 ".%zu", nonce, place);
}

enum eb_rc eb_probe_new(struct eb_js *js, const struct eb_stream_source *s, size_t place,
                        struct eb_probe **ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_probe_freep) struct eb_probe *p = calloc(1, sizeof *p);
    eb_auto_buf struct eb_buf subject = {0};
    eb_auto_buf struct eb_buf reply = {0};
    eb_auto_buf struct eb_buf pattern = {0};
    eb_buf_printf(&subject, "%s.CONSUMER.CREATE.%s.probe.%s", s->api, s->stream, s->filter);
    reply_subject(&reply, eb_str(s->api), place);
    eb_buf_printf(&pattern, "%s.*", reply.p ? reply.p : "");
    if (!p || !eb_buf_ok(&pattern))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    p->js = js;
    p->subject = eb_buf_take(&subject);
    p->reply = eb_buf_take(&reply);
    if (!p->subject || !p->reply)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    natsStatus st = natsConnection_SubscribeSync(&p->sub, eb_js_connection(js), pattern.p);
    if (st == NATS_OK)
        st = natsSubscription_SetPendingLimits(p->sub, PENDING, -1);
    if (st != NATS_OK)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", pattern.p, natsStatus_GetText(st));
    *ret = EB_TAKE(p);
    return EB_OK;
}

void eb_probe_send(struct eb_probe *p, int64_t now_ms) {
    eb_auto_buf struct eb_buf reply = {0};
    eb_buf_printf(&reply, "%s.%" PRId64, p->reply, now_ms);
    if (eb_buf_ok(&reply))
        (void)natsConnection_PublishRequestString(eb_js_connection(p->js), p->subject, reply.p, "{}");
}

static bool answers(natsMsg *m, int64_t now_ms) {
    const char *subject = natsMsg_GetSubject(m), *dot = subject ? strrchr(subject, '.') : NULL;
    int64_t sent = 0;
    if (natsMsg_IsNoResponders(m) || !dot || eb_num_i64(eb_str(dot + 1), 0, INT64_MAX, &sent) != EB_OK)
        return false;
    return now_ms - sent <= EB_PROBE_MS;
}

bool eb_probe_answered(struct eb_probe *p, int64_t now_ms) {
    bool yes = false;
    natsMsg *m = NULL;
    while (natsSubscription_NextMsg(&m, p->sub, 0) == NATS_OK) {
        yes = yes || answers(m, now_ms);
        natsMsg_Destroy(m);
        m = NULL;
    }
    return yes;
}
