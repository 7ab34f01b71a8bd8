/* auth-callout: answers the auth callouts of NATS servers. */
#include <curl/curl.h>
#include <malloc.h>
#include <signal.h>
#include <openssl/ui.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "live.h"
#include "log.h"
#include "login.h"
#include "metrics.h"
#include "options.h"
#include "sandbox.h"
#include "service.h"
#include "version.h"

enum { EXIT_USAGE = 2 };

struct flags {
    int argc;
    char *const *argv;
};

static enum eb_rc reread(void *ctx, struct eb_config **ret, struct eb_findings *findings) {
    const struct flags *flags = ctx;
    return eb_config_load(flags->argc, flags->argv, ret, findings);
}

static void print(FILE *to, struct eb_buf *text) {
    (void)fwrite(text->p ? text->p : "", 1, text->n, to);
}

static int help(void) {
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_z(
        &text,
        "NAME\n"
        "  auth-callout - authenticates every connection of NATS servers and gives it an account and "
        "permissions\n\n"
        "SYNOPSIS\n"
        "  auth-callout [run] [--config FILE] [--KEY VALUE]...\n"
        "  auth-callout check-config [--config FILE] [--KEY VALUE]...\n"
        "  auth-callout generate-config [--markdown]\n"
        "  auth-callout --help | --version\n\n"
        "COMMANDS\n"
        "  run              Answers callouts until SIGTERM; SIGHUP reloads. The default.\n"
        "  check-config     Reads the configuration, the keys, the CA file and the permissions document as "
        "`run` would, and\n"
        "                   prints every finding with file, line and mend. Exit status 1 where one is an "
        "error.\n"
        "  generate-config  Prints every option with its default as YAML; with --markdown the reference "
        "page.\n\n"
        "CONFIGURATION\n"
        "  From lowest to highest: defaults, the file of --config or AUTH_CALLOUT_CONFIG, the file of\n"
        "  AUTH_CALLOUT_HOT_CONFIG (may be absent), environment, flags. Secrets are never given as flags.\n\n"
        "OPTIONS\n"
        "  --config <file>\n      The YAML configuration file.\n");
    eb_options_help(&text);
    eb_buf_z(&text,
             "\nEXIT STATUS\n  0 ended as asked; 1 the configuration or the start failed; 2 wrong usage.\n");
    print(stdout, &text);
    return 0;
}

static int generate_config(int argc, char *const *argv) {
    bool markdown = argc == 1 && strcmp(argv[0], "--markdown") == 0;
    if (argc > 1 || (argc == 1 && !markdown)) {
        (void)fprintf(stderr, "auth-callout: generate-config takes no argument but --markdown\n");
        return EXIT_USAGE;
    }
    eb_auto_buf struct eb_buf text = {0};
    if (markdown)
        eb_options_markdown(&text);
    else
        eb_options_yaml(&text);
    print(stdout, &text);
    return 0;
}

static void print_findings(const struct eb_findings *f) {
    eb_auto_buf struct eb_buf text = {0};
    eb_findings_print(f, &text);
    print(stderr, &text);
}

static int check_config(struct flags *flags) {
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *config = NULL;
    enum eb_rc rc = reread(flags, &config, &f);
    if (rc == EB_OK) {
        struct eb_err err = {0};
        EB_CLEANUP(eb_login_freep) struct eb_login *login = NULL;
        enum eb_rc login_rc = eb_login_load(config, &login, &err);
        if (login_rc != EB_OK)
            eb_findings_add(&f, EB_ERROR, NULL, 0, NULL,
                            "the file must hold a user seed (SU...) or credentials", "%s",
                            eb_err_text(&err, login_rc));
        struct eb_live *live = NULL;
        rc = eb_live_new(config, &live, &f);
        eb_live_free(live);
    }
    print_findings(&f);
    if (rc != EB_OK || f.errors)
        return 1;
    (void)printf("configuration OK%s\n", f.warnings ? ", with warnings" : "");
    return 0;
}

/* Waits for signals and does what they ask; returns at SIGTERM or SIGINT. */
static void serve(struct eb_service *s, const sigset_t *signals) {
    for (;;) {
        siginfo_t info;
        int sig = sigwaitinfo(signals, &info);
        if (sig == SIGHUP) {
            eb_log(EB_LOG_INFO, "SIGHUP: reloading");
            eb_service_reload(s);
        } else if (sig == SIGTERM || sig == SIGINT) {
            eb_log(EB_LOG_INFO, "%s: leaving the queue group and finishing what is in flight",
                   sig == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
    }
}

/* --config, or AUTH_CALLOUT_CONFIG; for the watch and the sandbox. */
static const char *config_path(const struct flags *flags) {
    const char *path = getenv("AUTH_CALLOUT_CONFIG");
    for (int i = 0; i < flags->argc; i++) {
        if (strncmp(flags->argv[i], "--config=", 9) == 0)
            path = flags->argv[i] + 9;
        else if (strcmp(flags->argv[i], "--config") == 0 && i + 1 < flags->argc)
            path = flags->argv[i + 1];
    }
    return path && *path ? path : NULL;
}

/* unsent: answers that could not be sent before the stop began. */
static void tell_the_end(uint64_t unsent) {
    uint64_t unanswered = eb_counter_get(EB_C_DROPPED_STOP) + eb_counter_get(EB_C_PUBLISH_FAILURES) - unsent;
    struct eb_log_line l;
    eb_log_begin(&l, unanswered ? EB_LOG_WARN : EB_LOG_INFO, "stopped");
    if (unanswered)
        eb_log_int(&l, "unanswered", (int64_t)unanswered);
    eb_log_end(&l);
}

static int run(struct flags *flags) {
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Reloads of large documents go through few arenas, so that what they free goes back. */
    (void)mallopt(M_ARENA_MAX, 2);

    eb_auto_findings struct eb_findings f = {0};
    struct eb_err err = {0};
    struct eb_config *config = NULL;
    enum eb_rc rc = reread(flags, &config, &f);
    if (rc != EB_OK) {
        print_findings(&f);
        return 1;
    }
    eb_log_set_level(config->log_level);
    const char *path = config_path(flags), *hot = getenv("AUTH_CALLOUT_HOT_CONFIG");
    if (hot && !*hot)
        hot = NULL;
    rc = eb_sandbox_apply(config, path, hot, &err);
    if (rc != EB_OK) {
        eb_log(EB_LOG_ERROR, "%s", err.text);
        eb_config_free(config);
        return 1;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    eb_log_start();
    struct eb_service *s = NULL;
    bool ended = true;
    rc = eb_service_start(config, path, hot, reread, flags, &s, &f, &err);
    if (rc == EB_OK) {
        serve(s, &signals);
        uint64_t unsent = eb_counter_get(EB_C_PUBLISH_FAILURES);
        ended = eb_service_stop(s);
        tell_the_end(unsent);
    } else if (err.rc != EB_OK) {
        eb_log(EB_LOG_ERROR, "cannot start: %s", err.text);
    }
    eb_log_stop();
    if (rc != EB_OK)
        print_findings(&f);
    natsStatus library = ended ? nats_CloseAndWait(1000) : NATS_ILLEGAL_STATE;
    if (library != NATS_OK && library != NATS_NOT_INITIALIZED)
        _exit(rc == EB_OK ? 0 : 1); /* at an exit libraries free what those threads use */
    curl_global_cleanup();
    return rc == EB_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    eb_sandbox_early();
    if (sodium_init() < 0) {
        (void)fprintf(stderr, "auth-callout: libsodium cannot be initialised\n");
        return 1;
    }
    eb_json_wipe_freed();
    UI_set_default_method(UI_null()); /* a key with a passphrase is refused, and nobody asked for it */
    struct flags flags = {argc - 1, argv + 1};
    const char *command = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help();
    if (strcmp(command, "--version") == 0) {
        (void)printf("auth-callout %s\n", EB_VERSION);
        return 0;
    }
    if (strcmp(command, "help") == 0)
        return help();
    if (command[0] && command[0] != '-') {
        flags.argc--;
        flags.argv++;
    }
    if (strcmp(command, "generate-config") == 0)
        return generate_config(flags.argc, flags.argv);
    if (strcmp(command, "check-config") == 0)
        return check_config(&flags);
    if (command[0] == '\0' || command[0] == '-' || strcmp(command, "run") == 0)
        return run(&flags);
    (void)fprintf(stderr, "auth-callout: unknown command %s; see auth-callout --help\n", command);
    return EXIT_USAGE;
}
