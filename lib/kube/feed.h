/*
 * Answers of the Kubernetes API as they arrive, in pieces of any size: pages of a list, and the lines of a
 * watch. Memory is that of one object, whatever the answer's length. Source: Kubernetes API concepts (chunked
 * lists, watches, bookmarks, 410 Gone).
 */
#ifndef EB_KUBE_FEED_H
#define EB_KUBE_FEED_H

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

/* Bytes of one object or watch line. etcd stores 1.5 MiB, of which JSON may escape every byte with six:
 * nobody who may edit objects can make one that is too large. */
#define EB_KUBE_OBJECT_MAX ((size_t)10 << 20)
#define EB_KUBE_VERSION_MAX 256   /* bytes of a resourceVersion */
#define EB_KUBE_CONTINUE_MAX 8192 /* bytes of a continue token */

/*
 * Gets each item of a page; the object is borrowed for the call. Anything but EB_OK ends the page with that
 * code. Items are given before the page is known to be whole: what they bring counts only after
 * eb_kube_page_end.
 */
typedef enum eb_rc (*eb_kube_item_fn)(void *ctx, const json_t *object, struct eb_err *reterr);

/* One page of a list: `{"kind":"…List","metadata":{…},"items":[…]}`. Not for several threads at once. */
struct eb_kube_page;
EB_MUSTCHECK enum eb_rc eb_kube_page_new(eb_kube_item_fn fn, void *ctx, struct eb_kube_page **ret,
                                         struct eb_err *reterr);
/* Told of each item that is passed over because it is no JSON that is taken; ns and name as
 * eb_kube_object_guess finds them, borrowed for the call. Set before the first byte; ctx is the page's. */
typedef void (*eb_kube_skip_fn)(void *ctx, struct eb_str ns, struct eb_str name);
void eb_kube_page_on_skip(struct eb_kube_page *p, eb_kube_skip_fn fn);
void eb_kube_page_free(struct eb_kube_page *p);
EB_DEFINE_CLEANUP(struct eb_kube_page, eb_kube_page_free);
/* Takes the next bytes. EB_E_MALFORMED, EB_E_TOO_LARGE, EB_E_NOMEM, or what fn returned; every later call
 * fails with the same code. */
EB_MUSTCHECK enum eb_rc eb_kube_page_feed(struct eb_kube_page *p, struct eb_str bytes, struct eb_err *reterr);
/*
 * The answer is over. *ret_version: resourceVersion of the list; *ret_continue: token of the next page, empty
 * on the last. Both borrowed until eb_kube_page_free. EB_E_MALFORMED where the page is not whole, or no list.
 */
EB_MUSTCHECK enum eb_rc eb_kube_page_end(struct eb_kube_page *p, struct eb_str *ret_version,
                                         struct eb_str *ret_continue, struct eb_err *reterr);
/* Items given so far; and items passed over, which were no JSON that is taken: nobody else's fault. */
size_t eb_kube_page_items(const struct eb_kube_page *p);
size_t eb_kube_page_skipped(const struct eb_kube_page *p);

enum eb_kube_event_type { EB_KUBE_ADDED, EB_KUBE_MODIFIED, EB_KUBE_DELETED, EB_KUBE_BOOKMARK, EB_KUBE_ERROR };
/* Borrowed for the call. */
struct eb_kube_event {
    enum eb_kube_event_type type;
    const json_t *object; /* never NULL */
    /* Where to go on after this event: keep it, bookmarks' too. {NULL, 0} for an ERROR. */
    struct eb_str version;
    /* ERROR only: of the Status. 0 and {NULL, 0} where absent. Code 410, or reason Expired or Gone: list
     * anew. */
    int64_t code;
    struct eb_str reason, message; /* message: the peer's words, cap and escape it in a log */
};
/* True for an ERROR that says that the version is too old: list anew. */
bool eb_kube_event_is_gone(const struct eb_kube_event *ev);

/* Anything but EB_OK ends the watch with that code. */
typedef enum eb_rc (*eb_kube_event_fn)(void *ctx, const struct eb_kube_event *ev, struct eb_err *reterr);

/* The lines of one watch. Not for several threads at once. */
struct eb_kube_watch;
EB_MUSTCHECK enum eb_rc eb_kube_watch_new(eb_kube_event_fn fn, void *ctx, struct eb_kube_watch **ret,
                                          struct eb_err *reterr);
void eb_kube_watch_free(struct eb_kube_watch *w);
EB_DEFINE_CLEANUP(struct eb_kube_watch, eb_kube_watch_free);
/*
 * Takes the next bytes and gives each whole line's event to fn. EB_E_MALFORMED (no event, or of an unknown
 * type, or without a resourceVersion), EB_E_TOO_LARGE, EB_E_NOMEM, or what fn returned: the reader lists
 * anew. Every later call fails with the same code. A last line without its end is no event: see
 * eb_kube_watch_is_cut.
 */
EB_MUSTCHECK enum eb_rc eb_kube_watch_feed(struct eb_kube_watch *w, struct eb_str bytes,
                                           struct eb_err *reterr);
/* True where the bytes so far end within a line: at the end of the stream, it was cut there. */
bool eb_kube_watch_is_cut(const struct eb_kube_watch *w);

#endif
