/*
 * Tells when files change: inotify on their folders (so that renames and ConfigMap symlink swaps count), and
 * a look every 5 s besides, which is all there is where inotify fails.
 *
 * A file that was renamed into its place is whole, and told at once. One that is written in place may be half
 * written: it is told when nothing was written to it for 100 ms, or after a second of writing.
 */
#ifndef EB_WATCH_H
#define EB_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct eb_watch; /* any thread */

struct eb_watched {
    const char *path;
    int tag;
};
/* Called on the watch's thread, once for all changes that came together: bit 1 << tag is set for every tag
 * with a changed file. */
typedef void (*eb_watch_fn)(void *ctx, unsigned tags);

EB_MUSTCHECK enum eb_rc eb_watch_start(eb_watch_fn changed, void *ctx, struct eb_watch **ret,
                                       struct eb_err *reterr);
/*
 * Replaces the list; paths are copied. A file of the old list is told if it changed since it was last looked
 * at. What the others are now counts as seen, but for those that changed at or after since_ns (wall clock,
 * nanoseconds since the epoch, when the caller began to read them): these are told again. So no change falls
 * between reading and watching.
 */
void eb_watch_set(struct eb_watch *w, const struct eb_watched *files, size_t n, int64_t since_ns);
/* The wall clock for since_ns. */
int64_t eb_watch_now_ns(void);
void eb_watch_stop(struct eb_watch *w);

#endif
