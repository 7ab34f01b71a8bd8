/* Memory that is freed as one: what a document was read into. Inside lib/site only. */
#ifndef EB_SITE_MEM_H
#define EB_SITE_MEM_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/str.h"

struct eb_mem_block;

/* Zero-initialised ({0}) is empty. Latches failure, as eb_buf does. */
struct eb_mem {
    struct eb_mem_block *blocks;
    bool failed;
};

void eb_mem_done(struct eb_mem *m);
#define eb_auto_mem EB_CLEANUP(eb_mem_done)

/* n zeroed bytes, aligned for anything; NULL when out of memory. */
void *eb_mem_new(struct eb_mem *m, size_t n);
/* A copy with a NUL behind it; "" when out of memory. */
struct eb_str eb_mem_str(struct eb_mem *m, struct eb_str s);
struct eb_str eb_mem_printf(struct eb_mem *m, const char *fmt, ...) EB_PRINTF(2, 3);

#endif
