/* The manual pages, printed from the command table. */
#ifndef EB_CLI_MANUAL_H
#define EB_CLI_MANUAL_H

#include "base/buf.h"
#include "command.h"

void eb_manual_command(struct eb_buf *to, const struct eb_command *c);
/* The program's own page. */
void eb_manual_program(struct eb_buf *to, const struct eb_command *const *commands, size_t n);
/* The page of a first word that several commands share, "key". */
void eb_manual_group(struct eb_buf *to, const char *word, const struct eb_command *const *commands, size_t n);
/* True where c's words begin with word. */
bool eb_manual_in_group(const struct eb_command *c, const char *word);

#endif
