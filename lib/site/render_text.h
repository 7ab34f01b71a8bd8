/* Texts of both formats that render writes, NATS configuration and YAML: they quote alike. Internal to
 * lib/site. */
#ifndef EB_SITE_RENDER_TEXT_H
#define EB_SITE_RENDER_TEXT_H

#include "base/buf.h"
#include "site/site.h"

/* Appends s in double quotes, so that neither format reads anything into it. */
void eb_render_quote(struct eb_buf *to, struct eb_str s);
/* Appends spaces. */
void eb_render_indent(struct eb_buf *to, unsigned n);
/*
 * Appends a list of quoted texts, which `lines` holds one a line: `["a", "b"]`, or, where that is long, one a
 * line, indented by `indent` and ended with the bracket at `indent - 2`. Good in both formats.
 */
void eb_render_list(struct eb_buf *to, const struct eb_buf *lines, unsigned indent);
/* Appends "address:port" in quotes; an IPv6 address gets its brackets. */
void eb_render_listen(struct eb_buf *to, struct eb_str address, unsigned port);
/* Appends "scheme://address:port" in quotes. */
void eb_render_url(struct eb_buf *to, const char *scheme, struct eb_str address, unsigned port);
/* Appends a number of bytes as nats-server reads it: 256MB, or all its digits where it is no round one. */
void eb_render_bytes(struct eb_buf *to, int64_t n);

#endif
