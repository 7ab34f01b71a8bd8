#include "manual.h"

#include <string.h>

enum { WIDTH = 79, INDENT = 4, DEEP = 8, COLUMN = 20 };

static void spaces(struct eb_buf *to, size_t n) {
    while (n--)
        eb_buf_ch(to, ' ');
}

/* Paragraphs, broken between words; an empty line stays. */
static void paragraphs(struct eb_buf *to, const char *text, size_t indent) {
    struct eb_str rest = eb_str(text);
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        size_t column = 0;
        while (line.p) {
            struct eb_str word = eb_str_cut(&line, ' ');
            if (word.n == 0)
                continue;
            if (column && column + 1 + word.n > WIDTH) {
                eb_buf_ch(to, '\n');
                column = 0;
            }
            if (column)
                eb_buf_ch(to, ' ');
            else
                spaces(to, indent);
            column = column ? column + 1 + word.n : indent + word.n;
            eb_buf_str(to, word);
        }
        eb_buf_ch(to, '\n');
    }
}

/* Lines as they are, each moved to the right. */
static void verbatim(struct eb_buf *to, const char *text) {
    struct eb_str rest = eb_str(text);
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        spaces(to, line.n ? INDENT : 0);
        eb_buf_str(to, line);
        eb_buf_ch(to, '\n');
    }
}

static void head(struct eb_buf *to, const char *title) {
    eb_buf_printf(to, "%s%s\n", to->n ? "\n" : "", title);
}

static void status(struct eb_buf *to, const char *failures) {
    head(to, "EXIT STATUS");
    eb_buf_printf(to, "    0   done\n    1   %s\n    2   the command line is wrong; nothing was done\n",
                  failures);
}

static void option(struct eb_buf *to, const char *name, const char *arg, const char *help) {
    eb_buf_printf(to, "    --%s%s%s\n", name, arg ? " " : "", arg ? arg : "");
    paragraphs(to, help, DEEP);
}

void eb_manual_command(struct eb_buf *to, const struct eb_command *c) {
    head(to, "NAME");
    eb_buf_printf(to, "    eventbus %s - %s\n", c->words, c->summary);
    head(to, "SYNOPSIS");
    verbatim(to, c->synopsis);
    head(to, "DESCRIPTION");
    paragraphs(to, c->description, INDENT);
    head(to, "OPTIONS");
    for (const struct eb_option *o = c->options; o->name; o++)
        option(to, o->name, o->arg, o->help);
    option(to, "help", NULL, "Prints this page.");
    head(to, "EXAMPLES");
    verbatim(to, c->examples);
    status(to, c->failures);
}

static void list(struct eb_buf *to, const struct eb_command *const *commands, size_t n, const char *word) {
    head(to, "COMMANDS");
    for (size_t i = 0; i < n; i++) {
        if (word && !eb_manual_in_group(commands[i], word))
            continue;
        size_t len = strlen(commands[i]->words);
        spaces(to, INDENT);
        eb_buf_z(to, commands[i]->words);
        spaces(to, len + 1 < COLUMN ? COLUMN - len : 1);
        eb_buf_printf(to, "%s\n", commands[i]->summary);
    }
}

bool eb_manual_in_group(const struct eb_command *c, const char *word) {
    size_t n = strlen(word);
    return strncmp(c->words, word, n) == 0 && (c->words[n] == ' ' || c->words[n] == '\0');
}

void eb_manual_group(struct eb_buf *to, const char *word, const struct eb_command *const *commands,
                     size_t n) {
    head(to, "NAME");
    eb_buf_printf(to, "    eventbus %s - commands that begin with this word\n", word);
    head(to, "SYNOPSIS");
    eb_buf_printf(to, "    eventbus %s COMMAND [OPTION...]\n", word);
    list(to, commands, n, word);
    eb_buf_printf(to, "\n    `eventbus %s COMMAND --help` explains each.\n", word);
}

void eb_manual_program(struct eb_buf *to, const struct eb_command *const *commands, size_t n) {
    head(to, "NAME");
    eb_buf_z(to, "    eventbus - the operator's command line of the event bus\n");
    head(to, "SYNOPSIS");
    eb_buf_z(to, "    eventbus COMMAND [OPTION...]\n"
                 "    eventbus COMMAND --help\n"
                 "    eventbus --help | --version\n");
    head(to, "DESCRIPTION");
    paragraphs(
        to,
        "Makes and looks at the keys of an event bus, and gets and reads the tokens with which clients log "
        "in.\n\n"
        "Secrets are never taken from the command line, where every user of the machine could read them: "
        "they come from files, from standard input, or from the environment.",
        INDENT);
    list(to, commands, n, NULL);
    head(to, "OPTIONS");
    option(to, "help", NULL, "Prints this page; behind a command, that command's page.");
    option(to, "version", NULL, "Prints the version.");
    head(to, "EXAMPLES");
    verbatim(to, "eventbus key generate --user --out service.nk\n"
                 "eventbus token --issuer http://127.0.0.1:8180 --client-id mqtt-client \\\n"
                 "    --client-secret-file secret.txt | eventbus token decode");
    status(to, "the command failed; standard error says why");
}
