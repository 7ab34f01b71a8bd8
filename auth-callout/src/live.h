/*
 * What is in force: settings, signing keys, permissions, trusted CAs. Each is immutable and replaced as a
 * whole; a bad new one never replaces a good one.
 */
#ifndef EB_LIVE_H
#define EB_LIVE_H

#include "cert/cert.h"
#include "config.h"
#include "issuer.h"
#include "policy/policy.h"
#include "signer.h"
#include "specs.h"

/* The configuration, with what callouts need of it prepared. */
struct eb_settings {
    _Atomic int refs;
    struct eb_config *config;
    struct eb_issuer *issuers; /* a token's iss chooses */
    size_t issuers_n;
    struct eb_str *accounts; /* allowed-accounts; accounts_n 0 = those of the document */
    size_t accounts_n;
};

/* A consistent view for one callout; every member is a reference. policy and cas may be NULL (cas: mtls is
 * off). */
struct eb_view {
    struct eb_settings *settings;
    struct eb_signer *signer;
    struct eb_policy *policy;
    struct eb_cert_store *cas;
};
void eb_view_done(struct eb_view *v);

struct eb_live; /* any thread */

/*
 * Loads everything that config (taken over, also on failure) names. Errors are findings; where there are any,
 * EB_E_INVALID. For check-config and for the start.
 */
EB_MUSTCHECK enum eb_rc eb_live_new(struct eb_config *config, struct eb_live **ret,
                                    struct eb_findings *findings);
void eb_live_free(struct eb_live *l);
void eb_live_view(struct eb_live *l, struct eb_view *ret);
/* The key sources of the issuers that the first configuration named, for the service to start and to stop;
 * they are freed with l. */
struct eb_sources *eb_live_sources(struct eb_live *l);

/* The definitions of the site's streams in force, a reference; NULL where mqtt.streams-file is unset. Not
 * part of a view: no callout needs them. */
struct eb_specs *eb_live_specs(struct eb_live *l);

/* Re-reads one thing; on failure the old stays in force, the reasons are findings, and the failure is
 * counted. */
EB_MUSTCHECK enum eb_rc eb_live_reload_policy(struct eb_live *l, struct eb_findings *findings);
EB_MUSTCHECK enum eb_rc eb_live_reload_cas(struct eb_live *l, struct eb_findings *findings);
EB_MUSTCHECK enum eb_rc eb_live_reload_seeds(struct eb_live *l, struct eb_findings *findings);
EB_MUSTCHECK enum eb_rc eb_live_reload_specs(struct eb_live *l, struct eb_findings *findings);
/* Takes a whole new configuration (taken over) and re-reads all that it names: all of it comes into force, or
 * nothing. */
EB_MUSTCHECK enum eb_rc eb_live_reconfigure(struct eb_live *l, struct eb_config *config,
                                            struct eb_findings *findings);

#endif
