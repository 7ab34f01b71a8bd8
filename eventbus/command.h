/* A command of `eventbus`: one row of the table in main.c. Its help, its options and the shell completion's
 * test come from it. */
#ifndef EB_CLI_COMMAND_H
#define EB_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum { EB_EXIT_OK = 0, EB_EXIT_FAILED = 1, EB_EXIT_USAGE = 2 };

#define EB_OPTIONS_MAX 16

struct eb_option {
    const char *name; /* without the dashes; NULL ends the list */
    const char
        *arg; /* name of its value, NULL for a flag; `FILE...` for one that may be given several times */
    const char *help;
};

/* What the command line said. Borrowed from argv. */
struct eb_args {
    const char *value[EB_OPTIONS_MAX]; /* in the order of the command's options: NULL = not given, "" = a flag
                                          that is */
    const char *operand;               /* the first; NULL = none */
    const char **operands;             /* all of them, in their order */
    size_t operands_n;
    struct eb_given *given; /* every option as it came, see eb_args_each */
    size_t given_n;
};
struct eb_given {
    size_t option; /* its place among the command's */
    const char *value;
};

struct eb_command {
    const char *words;   /* as typed behind `eventbus`, "key generate" */
    const char *summary; /* one line, no capital, no full stop */
    const char *synopsis;
    const char *description; /* paragraphs with an empty line between them */
    const struct eb_option *options;
    const char *operand; /* its name, NULL where the command takes none; `ID...` where it takes several */
    bool operand_required;
    const char *examples;                                               /* lines, printed as they are */
    const char *failures;                                               /* what exit status 1 means */
    int (*run)(const struct eb_command *c, const struct eb_args *args); /* the exit status */
};

/* The value at place i, from 0 on, of an option that may be given several times; NULL behind the last. */
const char *eb_args_each(const struct eb_command *c, const struct eb_args *args, const char *name, size_t i);

extern const struct eb_command eb_key_generate, eb_key_inspect, eb_key_public, eb_token, eb_token_decode;
extern const struct eb_command eb_secrets_generate, eb_secrets_manifests, eb_secrets_verify;
extern const struct eb_command eb_streams_apply, eb_streams_status, eb_streams_watch;
extern const struct eb_command eb_check, eb_render;
extern const struct eb_command eb_operator_init, eb_operator_show;

#endif
