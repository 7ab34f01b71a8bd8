/*
 * What the site's streams are specified to be: the four definitions that `eventbus render` writes to
 * streams.json, read from the file that mqtt.streams-file names. Immutable once loaded.
 */
#ifndef EB_SPECS_H
#define EB_SPECS_H

#include "base/err.h"
#include "base/findings.h"
#include "site/streams.h"

#define EB_SPECS_MAX ((size_t)8 << 20) /* bytes of the file: some 10,000 sources */

struct eb_specs; /* any thread */

/* Reads the file; every fault is a finding. EB_E_IO, EB_E_TOO_LARGE, EB_E_MALFORMED, EB_E_INVALID,
 * EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_specs_load(const char *path, struct eb_specs **ret, struct eb_findings *f);
struct eb_specs *eb_specs_ref(struct eb_specs *s);
void eb_specs_unref(struct eb_specs *s);
EB_DEFINE_CLEANUP(struct eb_specs, eb_specs_unref);
/* The definition of eb_stream_names[i], as STREAM.CREATE takes it; borrowed. */
const json_t *eb_specs_get(const struct eb_specs *s, size_t i);

#endif
