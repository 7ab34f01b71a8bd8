#include "watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "clock.h"
#include "log.h"

/* File times come from a clock that moves in ticks of up to 10 ms. */
#define TICK_NS INT64_C(10000000)
enum {
    POLL_MS = 5000,
    SETTLE_MS = 20,
    QUIET_MS = 100,    /* without a write: a file that is written in place is taken for whole */
    WRITING_MS = 1000, /* longer than this nobody waits for it */
    EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE
};

/* What tells one content of a path from another. */
struct signature {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
    bool exists;
};

struct file {
    char *path;
    int tag;
    struct signature seen;
    bool renamed; /* something was renamed to its name since it was told last */
};

struct eb_watch {
    eb_watch_fn changed;
    void *ctx;
    pthread_t thread;
    int inotify, wake;
    bool warned;
    int64_t writing_since_ns; /* some file changed, and was not quiet for long enough; 0 = none */

    pthread_mutex_t mutex; /* guards what follows */
    struct file *files;
    size_t n;
    bool stopping;
};

static struct signature signature_of(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct signature){0};
    return (struct signature){st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim, true};
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same(const struct signature *a, const struct signature *b) {
    return a->exists == b->exists && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

static void watch_folder(struct eb_watch *w, const char *path) {
    eb_auto_free char *copy = eb_str_dup(eb_str(path));
    if (!copy || w->inotify < 0)
        return;
    const char *folder = dirname(copy);
    if (inotify_add_watch(w->inotify, folder, EVENTS) >= 0 || w->warned)
        return;
    w->warned = true;
    eb_log(EB_LOG_WARN, "%s cannot be watched (%s): looking every %d s instead", folder, strerror(errno),
           POLL_MS / 1000);
}

/* Watches the folders of a file and of what it links to; adding a folder twice is harmless. */
static void watch_file(struct eb_watch *w, const char *path) {
    watch_folder(w, path);
    char real[PATH_MAX];
    if (realpath(path, real))
        watch_folder(w, real);
}

/* True where the file was written just now. A time in the future is somebody's wish, not a write. */
static bool is_written(const struct signature *s) {
    int64_t age_ns = eb_watch_now_ns() - ((int64_t)s->mtime.tv_sec * 1000000000 + s->mtime.tv_nsec);
    return s->exists && age_ns < QUIET_MS * INT64_C(1000000) && age_ns > -TICK_NS;
}

/* Tags of what changed and is whole; the rest is left for the next look, which writing_since_ns asks for. */
static unsigned changed_tags(struct eb_watch *w) {
    EB_LOCKED(&w->mutex);
    unsigned tags = 0;
    bool writing = false,
         waited = w->writing_since_ns && eb_mono_ns() - w->writing_since_ns > WRITING_MS * INT64_C(1000000);
    for (size_t i = 0; i < w->n; i++) {
        struct file *f = &w->files[i];
        struct signature now = signature_of(f->path);
        if (same(&now, &f->seen))
            continue;
        if (!f->renamed && !waited && is_written(&now)) {
            writing = true;
            continue;
        }
        f->seen = now;
        f->renamed = false;
        tags |= 1U << f->tag;
        watch_file(w, f->path);
    }
    w->writing_since_ns = !writing ? 0 : w->writing_since_ns ? w->writing_since_ns : eb_mono_ns();
    return tags;
}

static void note_renamed(struct eb_watch *w, const char *name) {
    EB_LOCKED(&w->mutex);
    for (size_t i = 0; i < w->n; i++) {
        const char *slash = strrchr(w->files[i].path, '/');
        if (strcmp(slash ? slash + 1 : w->files[i].path, name) == 0)
            w->files[i].renamed = true;
    }
}

static void take_events(struct eb_watch *w) {
    _Alignas(struct inotify_event) char bytes[4096];
    for (ssize_t n; w->inotify >= 0 && (n = read(w->inotify, bytes, sizeof bytes)) > 0;) {
        const struct inotify_event *e;
        for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof *e + e->len)) {
            e = (const struct inotify_event *)(const void *)(bytes + at);
            if (e->mask & IN_MOVED_TO && e->len)
                note_renamed(w, e->name);
        }
    }
}

static bool stopping(struct eb_watch *w) {
    EB_LOCKED(&w->mutex);
    return w->stopping;
}

static void *watch_main(void *arg) {
    struct eb_watch *w = arg;
    while (!stopping(w)) {
        struct pollfd fds[] = {{.fd = w->wake, .events = POLLIN}, {.fd = w->inotify, .events = POLLIN}};
        int n = poll(fds, 2, w->writing_since_ns ? QUIET_MS : POLL_MS);
        if (n > 0) {
            /* Files written together are read together. */
            (void)poll(NULL, 0, SETTLE_MS);
            uint64_t woken;
            (void)!read(w->wake, &woken, sizeof woken);
            take_events(w);
        }
        unsigned tags = stopping(w) ? 0 : changed_tags(w);
        if (tags)
            w->changed(w->ctx, tags);
    }
    return NULL;
}

enum eb_rc eb_watch_start(eb_watch_fn changed, void *ctx, struct eb_watch **ret, struct eb_err *reterr) {
    struct eb_watch *w = calloc(1, sizeof *w);
    if (!w)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    w->changed = changed;
    w->ctx = ctx;
    (void)pthread_mutex_init(&w->mutex, NULL);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->inotify < 0)
        eb_log(EB_LOG_WARN, "files cannot be watched (inotify: %s): looking every %d s instead",
               strerror(errno), POLL_MS / 1000);
    if (w->wake < 0 || pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        enum eb_rc rc = EB_FAIL(reterr, EB_E_INTERNAL, "files cannot be watched: %s", strerror(errno));
        eb_close_fdp(&w->wake);
        eb_close_fdp(&w->inotify);
        free(w);
        return rc;
    }
    *ret = w;
    return EB_OK;
}

static void files_free(struct file *files, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(files[i].path);
    free(files);
}

static void wake_up(struct eb_watch *w) {
    uint64_t one = 1;
    (void)!write(w->wake, &one, sizeof one);
}

int64_t eb_watch_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool changed_since(const struct signature *s, int64_t since_ns) {
    return s->exists && (int64_t)s->ctime.tv_sec * 1000000000 + s->ctime.tv_nsec + TICK_NS >= since_ns;
}

/* How a file looked when it was last looked at, NULL where it was not watched. With the mutex held. */
static const struct signature *seen_before(const struct eb_watch *w, const char *path) {
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->files[i].path, path) == 0)
            return &w->files[i].seen;
    return NULL;
}

void eb_watch_set(struct eb_watch *w, const struct eb_watched *files, size_t n, int64_t since_ns) {
    EB_LOCKED(&w->mutex);
    struct file *fresh = calloc(n + 1, sizeof *fresh);
    if (!fresh) {
        eb_log(EB_LOG_ERROR, "out of memory: new files are not watched, the old list stays");
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        char *path = eb_str_dup(eb_str(files[i].path));
        if (!path)
            continue;
        watch_file(w, path);
        fresh[kept] = (struct file){.path = path, .tag = files[i].tag, .seen = signature_of(path)};
        /* A swap of links brings a file that is older than the swap: for what was watched already, the last
         * look counts. */
        const struct signature *before = seen_before(w, path);
        if (before ? !same(before, &fresh[kept].seen) : changed_since(&fresh[kept].seen, since_ns)) {
            fresh[kept].seen = before ? *before : (struct signature){0};
            wake_up(w);
        }
        kept++;
    }
    files_free(w->files, w->n);
    w->files = fresh;
    w->n = kept;
}

void eb_watch_stop(struct eb_watch *w) {
    if (!w)
        return;
    {
        EB_LOCKED(&w->mutex);
        w->stopping = true;
    }
    wake_up(w);
    (void)pthread_join(w->thread, NULL);
    eb_close_fdp(&w->wake);
    eb_close_fdp(&w->inotify);
    files_free(w->files, w->n);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}
