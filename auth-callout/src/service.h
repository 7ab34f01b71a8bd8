/* The running service: links, queue, workers, key source, watch, health; started in order and stopped in
 * reverse. */
#ifndef EB_SERVICE_H
#define EB_SERVICE_H

#include "config.h"
#include "reloader.h"

struct eb_service;

/* config is taken over. Findings of the documents are added; EB_E_INVALID for them, EB_E_IO for a port that
 * is taken. */
EB_MUSTCHECK enum eb_rc eb_service_start(struct eb_config *config, const char *config_path,
                                         const char *hot_path, eb_reread_fn reread, void *ctx,
                                         struct eb_service **ret, struct eb_findings *findings,
                                         struct eb_err *reterr);
/* Re-reads the configuration and everything it names; a bad one changes nothing. */
void eb_service_reload(struct eb_service *s);
/* Leaves the queue group, finishes what is in flight, ends everything; within 5 s. False where threads of
 * nats.c wait for silent servers still: the process is to end without what runs at an exit. */
EB_MUSTCHECK bool eb_service_stop(struct eb_service *s);

#endif
