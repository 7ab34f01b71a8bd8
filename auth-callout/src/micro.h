/* Answers of the NATS services protocol ($SRV.PING/INFO/STATS), so that `nats micro` tools see the service.
 * Source: ADR-32. */
#ifndef EB_MICRO_H
#define EB_MICRO_H

#include "base/buf.h"
#include "base/err.h"

#define EB_MICRO_NAME "auth-callout"
#define EB_MICRO_SUBJECTS 9 /* three verbs, each for all, by name, by name and id */

struct eb_micro {
    char id[23];      /* unique for the process, NUL-terminated */
    char started[32]; /* RFC 3339 */
    char *texts[EB_MICRO_SUBJECTS];
    struct eb_str subjects[EB_MICRO_SUBJECTS];
};
EB_MUSTCHECK enum eb_rc eb_micro_init(struct eb_micro *m);
void eb_micro_done(struct eb_micro *m);
/* Appends the answer to a query on one of the subjects; false for another subject. Any thread. */
bool eb_micro_answer(const struct eb_micro *m, struct eb_str subject, struct eb_buf *to);

#endif
