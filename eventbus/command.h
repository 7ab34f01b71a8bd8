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
    const char *arg;  /* name of its value, NULL for a flag */
    const char *help;
};

/* What the command line said. Borrowed from argv. */
struct eb_args {
    const char *value[EB_OPTIONS_MAX]; /* in the order of the command's options: NULL = not given, "" = a flag
                                          that is */
    const char *operand;               /* NULL = none */
};

struct eb_command {
    const char *words;   /* as typed behind `eventbus`, "key generate" */
    const char *summary; /* one line, no capital, no full stop */
    const char *synopsis;
    const char *description; /* paragraphs with an empty line between them */
    const struct eb_option *options;
    const char *operand; /* name of the one operand, NULL where the command takes none */
    bool operand_required;
    const char *examples;                                               /* lines, printed as they are */
    const char *failures;                                               /* what exit status 1 means */
    int (*run)(const struct eb_command *c, const struct eb_args *args); /* the exit status */
};

extern const struct eb_command eb_key_generate, eb_key_inspect, eb_key_public, eb_token, eb_token_decode;

#endif
