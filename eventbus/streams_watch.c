/* eventbus streams watch */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "say.h"
#include "watch.h"

static const struct eb_option options[] = {EB_STREAMS_OPTION_ROWS, {NULL, NULL, NULL}};

enum { DOWN_TOLD_MS = 2000, DOWN_AGAIN_MS = 60000 };

/* The site document as a file that may be replaced. */
struct seen_file {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

static bool changed(const char *path, struct seen_file *f) {
    struct stat st;
    if (stat(path, &st) != 0)
        return false; /* being replaced */
    bool same = st.st_dev == f->dev && st.st_ino == f->ino && st.st_size == f->size &&
                st.st_mtim.tv_sec == f->mtime.tv_sec && st.st_mtim.tv_nsec == f->mtime.tv_nsec;
    *f = (struct seen_file){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return !same;
}

static void read_again(const char *path, struct eb_watch *w) {
    eb_auto_plan struct eb_plan plan = {0};
    eb_auto_findings struct eb_findings findings = {0};
    eb_auto_buf struct eb_buf text = {0};
    if (!eb_plan_load(path, &plan, &findings)) {
        eb_findings_print(&findings, &text);
        eb_watch_log("error", "the changed site document is not used, the old one stays in force", NULL, NULL,
                     -1, -1, text.p);
    } else if (!eb_str_eq(plan.site->name, eb_watch_site(w))) {
        eb_buf_printf(&text, "it is of the site %.*s, this supervisor is of %.*s",
                      EB_STR_ARG(plan.site->name), EB_STR_ARG(eb_watch_site(w)));
        eb_watch_log("error", "the changed site document is not used, the old one stays in force", NULL, NULL,
                     -1, -1, text.p);
    } else if (eb_watch_plan(w, &plan)) {
        eb_watch_log("info", "the changed site document is in force", NULL, NULL, -1, -1, NULL);
    } else {
        eb_watch_log("error", "the changed site document is not used, the old one stays in force", NULL, NULL,
                     -1, -1, "out of memory");
    }
}

/* Waits, at most ms; true where the process is to end. */
static bool told_to_end(const sigset_t *signals, int64_t ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    int got = sigtimedwait(signals, NULL, ms > 0 ? &t : &(struct timespec){0, 0});
    return got == SIGTERM || got == SIGINT;
}

static sigset_t ending_signals(void) {
    sigset_t s;
    (void)sigemptyset(&s);
    (void)sigaddset(&s, SIGTERM);
    (void)sigaddset(&s, SIGINT);
    return s;
}

struct link_state {
    bool up;
    int64_t down_ms, told_ms;
};

/* Tells when the connection comes and goes. */
static bool connected(struct eb_js *js, struct link_state *l) {
    bool up = eb_js_up(js);
    int64_t now = eb_mono_ms();
    if (up && !l->up)
        eb_watch_log("info", "connected to NATS", NULL, NULL, -1, -1, NULL);
    if (!up && (l->up || l->down_ms == 0)) {
        l->down_ms = now;
        l->told_ms = 0;
    }
    if (!up && now - l->down_ms >= DOWN_TOLD_MS && (l->told_ms == 0 || now - l->told_ms >= DOWN_AGAIN_MS)) {
        const char *why = eb_js_trouble(js);
        l->told_ms = now;
        eb_watch_log("warn", "no connection to NATS; trying for ever", NULL, NULL, now - l->down_ms, -1,
                     *why ? why : "no server answers");
    }
    l->up = up;
    return up;
}

static void watch(struct eb_js *js, struct eb_watch *w, const char *path, const sigset_t *signals) {
    struct seen_file file = {0};
    struct link_state link = {0};
    (void)changed(path, &file);
    for (bool end = false; !end;) {
        int64_t begun = eb_mono_ms();
        if (changed(path, &file))
            read_again(path, w);
        enum eb_watch_pace pace = connected(js, &link) ? eb_watch_round(w) : EB_WATCH_CALM;
        int64_t next = begun + (pace == EB_WATCH_QUICK ? EB_WATCH_QUICK_MS : EB_WATCH_ROUND_MS);
        do {
            int64_t left = next - eb_mono_ms();
            if (pace != EB_WATCH_CALM)
                eb_watch_step(w);
            end = told_to_end(signals,
                              pace != EB_WATCH_CALM && left > EB_WATCH_STEP_MS ? EB_WATCH_STEP_MS : left);
        } while (!end && eb_mono_ms() < next);
    }
    eb_watch_log("info", "told to end", NULL, NULL, -1, -1, NULL);
}

static int work(const struct eb_command *c, const struct eb_args *args, struct eb_plan *plan,
                struct eb_js *js) {
    sigset_t signals = ending_signals();
    struct eb_watch *w = eb_watch_new(js, plan);
    if (!w) {
        eb_say(c, "out of memory");
        return EB_EXIT_FAILED;
    }
    watch(js, w, args->value[EB_STREAMS_SITE], &signals);
    eb_watch_free(w);
    return EB_EXIT_OK;
}

static int run(const struct eb_command *c, const struct eb_args *args) {
    sigset_t signals =
        ending_signals(); /* before nats.c starts its threads, so that none of them takes one */
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* the document is read anew by itself when it changes */
    return eb_streams_run(c, args, work);
}

const struct eb_command eb_streams_watch = {
    .words = "streams watch",
    .summary = "keep what a site pulls from others going, as a service",
    .synopsis = "eventbus streams watch --site FILE --server URL --seed-file FILE",
    .description = "After an interruption nats-server alone takes 10 to 70 s until it pulls from another "
                   "site again. This watches the "
                   "sources of the site document, and where one is silent for 2.2 s while its far end "
                   "answers, takes it out of its "
                   "stream and in again: nothing is lost or doubled by that, and it goes on within 3 s.\n\n"
                   "On streams with several replicas it has the leader step down instead, at the earliest 4 "
                   "s after the last change "
                   "of leader. Sources that the document has and a stream has not are put in; what the "
                   "document does not name is "
                   "left alone, and so is every other part of a stream's configuration. Two of them on one "
                   "site do no harm.\n\n"
                   "It waits for ever for a server that is away, reads the site document anew when it "
                   "changes, writes one JSON line "
                   "to standard error for each cure, and ends with status 0 on SIGTERM.",
    .options = options,
    .operand = NULL,
    .operand_required = false,
    .examples = "eventbus streams watch --site csc.yaml --server nats://127.0.0.1:4222 \\\n"
                "    --seed-file deploy/secrets/csc/nkeys/nats-streams/seed",
    .failures = "the site document or the seed could not be read at the start",
    .run = run,
};
