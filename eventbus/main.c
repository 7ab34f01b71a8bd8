/* eventbus: the operator's command line. Finds the command, reads its options, runs it. */
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "base/nearest.h"
#include "command.h"
#include "manual.h"
#include "nkey/nkey.h"
#include "say.h"

static const struct eb_command *const commands[] = {
    &eb_key_generate,  &eb_key_public,     &eb_key_inspect,      &eb_token,          &eb_token_decode,
    &eb_check,         &eb_render,         &eb_secrets_generate, &eb_secrets_verify, &eb_secrets_manifests,
    &eb_streams_apply, &eb_streams_status, &eb_streams_watch,    &eb_operator_init,  &eb_operator_show,
};
enum { COMMANDS = EB_COUNT_OF(commands), PRIVATE_LEN = 108 };

/* Number of argv's words that are c's words; 0 where they are not. */
static int matches(const struct eb_command *c, int argc, char **argv) {
    struct eb_str rest = eb_str(c->words);
    int n = 0;
    while (rest.p) {
        struct eb_str word = eb_str_cut(&rest, ' ');
        if (n == argc || !eb_str_eqz(word, argv[n]))
            return 0;
        n++;
    }
    return n;
}

static const struct eb_command *find(int argc, char **argv, int *ret_words) {
    const struct eb_command *found = NULL;
    *ret_words = 0;
    for (size_t i = 0; i < COMMANDS; i++) {
        int n = matches(commands[i], argc, argv);
        if (n > *ret_words) {
            found = commands[i];
            *ret_words = n;
        }
    }
    return found;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* A seed or private key among the arguments is public from now on: it is wiped from there and the mend is
 * told. */
static bool has_secret(int argc, char **argv) {
    bool found = false;
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        char *word = equals && argv[i][0] == '-' ? equals + 1 : argv[i];
        size_t n = strlen(word);
        bool seed = n == EB_NKEY_SEED_LEN && word[0] == 'S' && strchr("ACNOUX", word[1]);
        if (seed || (n == PRIVATE_LEN && word[0] == 'P')) {
            sodium_memzero(word, n);
            found = true;
        }
    }
    return found;
}

static int print(struct eb_buf *page) {
    if (!eb_buf_ok(page)) {
        eb_say(NULL, "out of memory");
        return EB_EXIT_FAILED;
    }
    return eb_say_out(NULL, eb_buf_get(page)) ? EB_EXIT_OK : EB_EXIT_FAILED;
}

/* The first word is no command: a group's page, or what was meant instead. */
static int unknown(int argc, char **argv) {
    const char *first[COMMANDS];
    eb_auto_buf struct eb_buf page = {0};
    bool group = false;
    for (size_t i = 0; i < COMMANDS; i++) {
        first[i] = commands[i]->words;
        group = group || eb_manual_in_group(commands[i], argv[0]);
    }
    if (group && argc > 1 && is_help(argv[1])) {
        eb_manual_group(&page, argv[0], commands, COMMANDS);
        return print(&page);
    }
    if (group && argc == 1) {
        eb_manual_group(&page, argv[0], commands, COMMANDS);
        eb_say(NULL, "`%s` needs one more word:", argv[0]);
        (void)fputs(eb_buf_ok(&page) ? page.p : "", stderr);
        return EB_EXIT_USAGE;
    }
    eb_auto_buf struct eb_buf typed = {0};
    eb_buf_z(&typed, argv[0]);
    if (group)
        eb_buf_printf(&typed, " %s", argv[1]);
    char first_word[16] = "";
    if (group)
        (void)snprintf(first_word, sizeof first_word, "%s ", argv[0]);
    const char *near = eb_buf_ok(&typed) ? eb_nearest(eb_buf_get(&typed), first, COMMANDS) : NULL;
    eb_say(NULL, "`%.60s` is no command%s%s%s; see `eventbus %s--help`", typed.p ? typed.p : "",
           near ? ": did you mean `" : "", near ? near : "", near ? "`" : "", first_word);
    return EB_EXIT_USAGE;
}

/* `help` and the options of the program itself; -1 where argv is none of them. */
static int program(int argc, char **argv) {
    eb_auto_buf struct eb_buf page = {0};
    if (argc == 0) {
        eb_say(NULL, "no command; see `eventbus --help`");
        return EB_EXIT_USAGE;
    }
    if (is_help(argv[0]) || (argc == 1 && strcmp(argv[0], "help") == 0)) {
        eb_manual_program(&page, commands, COMMANDS);
        return print(&page);
    }
    if (strcmp(argv[0], "--version") == 0) {
        eb_buf_z(&page, "eventbus " EB_VERSION "\n");
        return print(&page);
    }
    if (argv[0][0] == '-') {
        eb_say(NULL, "a command comes before its options; see `eventbus --help`");
        return EB_EXIT_USAGE;
    }
    return -1;
}

static int run(int argc, char **argv) {
    int words, status = program(argc, argv);
    if (status >= 0)
        return status;
    bool help = strcmp(argv[0], "help") == 0;
    const struct eb_command *c = find(argc - help, argv + help, &words);
    if (!c)
        return unknown(argc - help, argv + help);
    for (int i = words; i < argc && strcmp(argv[i], "--") != 0; i++)
        help = help || is_help(argv[i]);
    if (help) {
        eb_auto_buf struct eb_buf page = {0};
        eb_manual_command(&page, c);
        return print(&page);
    }
    EB_CLEANUP(eb_args_done) struct eb_args args = {0};
    return eb_args_read(c, argc - words, argv + words, &args) ? c->run(c, &args) : EB_EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        eb_say(NULL, "a library did not start");
        return EB_EXIT_FAILED;
    }
    if (has_secret(argc, argv)) {
        eb_say(NULL, "a seed was given on the command line, where every user of this machine can read it. "
                     "Put it into a "
                     "file of mode 0600 and name that file; if others use this machine, make a new key");
        return EB_EXIT_USAGE;
    }
    int status = run(argc - 1, argv + 1);
    curl_global_cleanup();
    return status;
}
