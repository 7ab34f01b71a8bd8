/* Reads a command's options: --name VALUE, --name=VALUE, --flag, -- before an operand that begins with a
 * dash. */
#ifndef EB_CLI_ARGS_H
#define EB_CLI_ARGS_H

#include "command.h"

/* argv begins behind the command's words. false after saying what is wrong and what to write; no value is
 * ever repeated there. */
bool eb_args_read(const struct eb_command *c, int argc, char **argv, struct eb_args *ret);
/* Frees what it holds, also after false. */
void eb_args_done(struct eb_args *args);

#endif
