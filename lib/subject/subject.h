/*
 * NATS subjects and patterns: tokens between dots, `*` one token, `>` one or more at the end; MQTT topics map
 * to them. Source: NATS protocol; the MQTT mapping of nats-server.
 */
#ifndef EB_SUBJECT_SUBJECT_H
#define EB_SUBJECT_SUBJECT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define EB_SUBJECT_MAX 1024 /* bytes of a subject or pattern */

/*
 * Checks a pattern: no empty token, `>` only last, no blank or control byte, valid UTF-8, at most
 * EB_SUBJECT_MAX. `*` and `>` count as wildcards only as whole tokens
 * (`a*` is a literal to the server; we refuse it, since it never means what was meant). The text says what to
 * write instead.
 */
EB_MUSTCHECK enum eb_rc eb_subject_check(struct eb_str pattern, struct eb_err *reterr);
/*
 * True for a pattern that the check takes and that holds nothing but letters, digits, `-`, `_` and whole
 * wildcards: nearly all do, and this is several times as fast. False says nothing.
 */
bool eb_subject_is_plain(struct eb_str pattern);
/* The same as eb_subject_check, and no wildcard. */
EB_MUSTCHECK enum eb_rc eb_subject_check_literal(struct eb_str subject, struct eb_err *reterr);
/* True where pattern matches the literal subject. */
bool eb_subject_match(struct eb_str pattern, struct eb_str subject);
/* True where some subject is matched by both. */
bool eb_subject_overlap(struct eb_str a, struct eb_str b);
/* True where every subject that b matches is matched by a. */
bool eb_subject_covers(struct eb_str a, struct eb_str b);
/* Appends the NATS subject of an MQTT topic or filter (`/` to `.`, `.` to `//`, `+` to `*`, `#` to `>`).
 * EB_E_INVALID for blanks and bad filters. */
EB_MUSTCHECK enum eb_rc eb_subject_from_mqtt(struct eb_str topic, struct eb_buf *to, struct eb_err *reterr);

#endif
