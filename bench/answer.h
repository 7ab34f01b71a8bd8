/* Checks an answer as nats-server does, and that it grants what the permissions document says. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include "request.h"

/* What every entry of the bench's document grants, as lists of JSON. */
#define BENCH_PUB "[\"test.>\",\"perf.>\",\"cpc.*.test.>\"]"
#define BENCH_SUB "[\"test.>\",\"perf.>\",\"dummy.>\"]"
/* An MQTT client gets the parents too: its filter test/# covers test. */
#define BENCH_SUB_MQTT "[\"test.>\",\"perf.>\",\"dummy.>\",\"test\",\"perf\",\"dummy\"]"

/* NULL, or what is wrong with the sealed answer to r. Any thread. */
const char *answer_fault(const struct maker *m, const struct request *r, struct eb_str sealed);

#endif
