/* What was asked lately and what came back: bounded, each answer for a short time. For the asks of one
 * cluster.
 */
#ifndef EB_KUBE_MEMO_H
#define EB_KUBE_MEMO_H

#include "kube/kube.h"

#define EB_KUBE_MEMO_KEY EB_KUBE_KEY
#define EB_KUBE_MEMO_PLACES 8192

struct eb_kube_memo; /* the caller locks */

struct eb_kube_memo *eb_kube_memo_new(void); /* NULL: out of memory */
void eb_kube_memo_free(struct eb_kube_memo *m);

/* True and the answer where one is known at now_ns; EB_KUBE_WAIT is kept until it is replaced, its until_ns
 * (not 0) is the caller's. */
bool eb_kube_memo_get(const struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY], int64_t now_ns,
                      enum eb_kube_answer *ret);
/*
 * Keeps an answer until until_ns, in the place of what was known of key, of something that is over, or of the
 * answer of its set that ends first. False where all of its set are EB_KUBE_WAIT.
 */
bool eb_kube_memo_put(struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY], enum eb_kube_answer answer,
                      int64_t now_ns, int64_t until_ns);
/* The until_ns that was put with key; 0 where nothing is known of it. */
int64_t eb_kube_memo_until(const struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY]);
void eb_kube_memo_drop(struct eb_kube_memo *m, const uint8_t key[EB_KUBE_MEMO_KEY]);

#endif
