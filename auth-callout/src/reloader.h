/*
 * Brings changes into force: SIGHUP re-reads the whole configuration, a changed file is re-read by itself. A
 * bad new one changes nothing, and the log says why.
 */
#ifndef EB_RELOADER_H
#define EB_RELOADER_H

#include "live.h"
#include "watch.h"

struct eb_reloader;

/* How the configuration is read again; ctx as given. */
typedef enum eb_rc (*eb_reread_fn)(void *ctx, struct eb_config **ret, struct eb_findings *findings);

struct eb_reloader_options {
    struct eb_live *live;
    const struct eb_config *started;    /* what a restart would change is told against this; borrowed */
    const char *config_path, *hot_path; /* NULL = none; copied */
    int64_t since_ns;                   /* eb_watch_now_ns() before the files were first read */
    eb_reread_fn reread;
    void *ctx;
    void (*reloaded)(void *ctx); /* something new is in force; NULL = nobody waits for it */
    void *ctx_reloaded;
};

EB_MUSTCHECK enum eb_rc eb_reloader_start(const struct eb_reloader_options *opt, struct eb_reloader **ret,
                                          struct eb_err *reterr);
/* Re-reads the configuration and all that it names. Any thread. */
void eb_reloader_run(struct eb_reloader *r);
void eb_reloader_stop(struct eb_reloader *r);

/* One log line a finding. */
void eb_log_findings(const struct eb_findings *f, const char *what);

#endif
