/* What the program tells: errors on standard error, and texts of others so that they cannot steer a terminal.
 */
#ifndef EB_CLI_SAY_H
#define EB_CLI_SAY_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/findings.h"
#include "command.h"

/* One line on standard error, "eventbus <command>: …"; c NULL = the program itself. Bytes that could steer a
 * terminal are escaped. */
void eb_say(const struct eb_command *c, const char *fmt, ...) EB_PRINTF(2, 3);
/* Appends text with control characters (C0, DEL, C1, direction marks) and bytes that are not UTF-8 as \uXXXX
 * or \xXX. */
void eb_say_safe(struct eb_buf *to, struct eb_str text);
/* Findings on standard error, a line each, by file and line; what was beyond their limit is counted. Sorts
 * them. */
void eb_say_findings(const struct eb_command *c, struct eb_findings *f);
/* Writes all bytes to standard output, not through stdio, so that a secret leaves no copy there. false after
 * saying why it could not. */
bool eb_say_out(const struct eb_command *c, struct eb_str bytes);

#endif
