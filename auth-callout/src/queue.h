/* The bounded queue between NATS callbacks and workers. Full: the oldest is handed back to be dropped. */
#ifndef EB_QUEUE_H
#define EB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct eb_queue; /* any thread */

/* room > 0. NULL when out of memory. */
struct eb_queue *eb_queue_new(size_t room);
/* The queue must be empty and nobody waiting. */
void eb_queue_free(struct eb_queue *q);
/* Never blocks. Returns the item that had to make room, NULL where there was room; after eb_queue_close the
 * item itself. */
EB_MUSTCHECK void *eb_queue_push(struct eb_queue *q, void *item);
/* Waits for an item; NULL once the queue is closed and empty. */
EB_MUSTCHECK void *eb_queue_pop(struct eb_queue *q);
/* No more items; those inside are still handed out. */
void eb_queue_close(struct eb_queue *q);
size_t eb_queue_depth(struct eb_queue *q);

#endif
