#include "trace/span.h"

#include <sodium.h>

static const char *const verdict_names[] = {
    [EB_VERDICT_DROPPED] = "dropped", [EB_VERDICT_ALLOWED] = "allowed", [EB_VERDICT_DENIED] = "denied"};

const char *eb_verdict_name(enum eb_verdict v) {
    return verdict_names[v];
}

static uint64_t rotl(uint64_t v, int by) {
    return v << by | v >> (64 - by);
}

/*
 * xoshiro256** (Blackman and Vigna), seeded once a thread. Ids must be unlikely to meet, not unknown to
 * anybody: the generator of secrets would cost a system call each time.
 */
static uint64_t next_random(void) {
    static _Thread_local struct {
        uint64_t s[4];
        bool seeded;
    } own;
    uint64_t *s = own.s;
    if (!own.seeded) {
        randombytes_buf(own.s, sizeof own.s);
        own.seeded = true;
    }
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void eb_span_begin(struct eb_span *s, int64_t arrived_ns) {
    uint64_t id[3] = {next_random(), next_random(), next_random()};
    /* An id of zeros says that there is none. */
    id[0] += id[0] == 0;
    id[2] += id[2] == 0;
    /* The texts stay as they are but for their length: most of the span's bytes are theirs. */
    memcpy(s->trace_id, id, sizeof s->trace_id);
    memcpy(s->span_id, &id[2], sizeof s->span_id);
    s->arrived_ns = arrived_ns;
    s->start_ns = s->end_ns = 0;
    s->method = EB_METHOD_NONE;
    s->verdict = EB_VERDICT_DROPPED;
    s->reason = s->error = NULL;
    s->conn = 0;
    s->client_id = 0;
    s->wait_ns = 0;
    s->parked = false;
    s->entry.n = s->account.n = s->host.n = s->server_name.n = s->server_id.n = 0;
}

uint64_t eb_span_lot(const struct eb_span *s) {
    uint64_t lot = 0;
    for (size_t i = EB_TRACE_ID - 7; i < EB_TRACE_ID; i++)
        lot = lot << 8 | s->trace_id[i];
    return lot;
}

void eb_span_set(struct eb_span_text *to, struct eb_str text) {
    to->n = text.n > EB_SPAN_TEXT ? EB_SPAN_TEXT : (unsigned char)text.n;
    if (to->n)
        memcpy(to->p, text.p, to->n);
}

void eb_span_hex(const struct eb_span *s, char to[2 * EB_TRACE_ID + 1]) {
    (void)sodium_bin2hex(to, 2 * EB_TRACE_ID + 1, s->trace_id, EB_TRACE_ID);
}
