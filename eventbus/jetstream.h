/*
 * One connection to NATS as the site's `nats-streams` user, and questions to its JetStream API. One thread
 * uses it; nats.c has threads of its own behind it. Nothing that is sent while the server is away is kept for
 * later: a late STREAM.UPDATE would undo what others did meanwhile.
 */
#ifndef EB_CLI_JETSTREAM_H
#define EB_CLI_JETSTREAM_H

#include <jansson.h>
#include <nats/nats.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "clock.h"
#include "hello.h"

struct eb_js_options {
    const char *urls;      /* with commas between them; borrowed */
    const char *seed_file; /* of the user's nkey; read anew at each new connection */
    const char *ca;        /* file of CA certificates for tls:// URLs; NULL = the system's */
    const char *name;      /* of the connection, for the server's lists */
};

struct eb_js;

/* Reads the seed and checks the URLs, does not connect. EB_E_IO, EB_E_BAD_KEY, EB_E_INVALID with the mend. */
EB_MUSTCHECK enum eb_rc eb_js_new(const struct eb_js_options *opt, struct eb_js **ret, struct eb_err *reterr);
void eb_js_free(struct eb_js *js);
EB_DEFINE_CLEANUP(struct eb_js, eb_js_free);
/* Ends the threads of nats.c, once no connection is left. Where one waits for a server that is silent, the
 * process ends here with this status: at an exit the library would free what that thread uses. */
void eb_js_library_end(int status);

/*
 * True where it is connected. Else starts or goes on connecting in the background, for ever: call it again.
 * May wait two seconds for one attempt.
 */
bool eb_js_up(struct eb_js *js);
/* Why it is not connected, for people, with the server's words; "" where unknown. */
const char *eb_js_trouble(struct eb_js *js);
/* Grows with each connection that was built anew: subscriptions of an older one are dead. */
unsigned eb_js_generation(const struct eb_js *js);
/* Another number after each connection that was made, also where nats.c made it by itself: who answers now
 * may be another server. */
uint64_t eb_js_session(const struct eb_js *js);
/* Lent, never NULL after eb_js_up was true. */
natsConnection *eb_js_connection(struct eb_js *js);

/* Codes of the JetStream API that are acted on. */
enum { EB_JS_NO_ANSWER = 1, EB_JS_STREAM_MISSING = 10059, EB_JS_STREAM_EXISTS = 10058 };

/*
 * Asks $JS.API.<name>, `STREAM.INFO.$MQTT_msgs` for example; body NULL = empty. EB_OK with the answer (a new
 * reference). EB_E_IO: nobody answered in time, or JetStream cannot just now; EB_E_INVALID: refused, with the
 * server's words; EB_E_MALFORMED: no answer of JetStream. *ret_code (NULL allowed): 0, EB_JS_NO_ANSWER, or
 * the server's err_code.
 */
EB_MUSTCHECK enum eb_rc eb_js_ask(struct eb_js *js, const char *name, const json_t *body, int64_t timeout_ms,
                                  json_t **ret, int *ret_code, struct eb_err *reterr);

/* What the server that is connected says of itself, asked over a connection of its own. EB_E_IO. */
EB_MUSTCHECK enum eb_rc eb_js_server(struct eb_js *js, struct eb_hello *ret, struct eb_err *reterr);
/* True where version ("2.15.2", "v2.14.0-RC.1") is at least major.minor. */
bool eb_js_version_at_least(const char *version, unsigned major, unsigned minor);

#endif
