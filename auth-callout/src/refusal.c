#include "refusal.h"

#include <strings.h>

#include "base/json.h"
#include "log.h"

/* What the client says of itself is in it, escaped; as long as max_control_line lets it be. */
#define EVENT_MAX (1u << 20)

/* Of nats-server, before the error text of an answer. */
static const char answered[] = "auth callout service returned an error";

/* *ret_event is a new reference, NULL or no object where the event cannot be read. */
static enum eb_refusal read_event(struct eb_str event, json_t **ret_event) {
    struct eb_str reason;
    if (eb_json_object_of_peers(event, EVENT_MAX, ret_event, NULL) != EB_OK)
        return EB_REFUSAL_OTHER;
    if (eb_json_get_str(*ret_event, "reason", &reason) != EB_JSON_OK)
        return EB_REFUSAL_OTHER;
    if (reason.n == 0)
        return EB_REFUSAL_TIMEOUT;
    size_t n = sizeof answered - 1; /* servers begin it with a capital, some do not */
    return reason.n >= n && strncasecmp(reason.p, answered, n) == 0 ? EB_REFUSAL_REFUSED : EB_REFUSAL_OTHER;
}

enum eb_refusal eb_refusal_of(struct eb_str event) {
    eb_auto_json json_t *root = NULL;
    return read_event(event, &root);
}

/* As decisions are logged, so that one search finds both. The user name is left out: some hold a token. */
static void tell(enum eb_refusal why, const json_t *event, size_t bytes) {
    const json_t *client = json_object_get(event, "client"), *server = json_object_get(event, "server");
    struct eb_str kind = eb_json_str(client, "client_type"), mqtt_id = eb_json_str(client, "client_id");
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN,
                 why == EB_REFUSAL_TIMEOUT ? "a login timed out at the server"
                                           : "the server refused a login by itself");
    bool readable = json_is_object(event);
    if (!readable)
        eb_log_z(&l, "error", "what it tells of it cannot be read");
    else if (why == EB_REFUSAL_OTHER)
        eb_log_peer(&l, "error", eb_json_str(event, "reason"));
    if (readable) {
        eb_log_peer(&l, "host", eb_json_str(client, "host"));
        eb_log_int(&l, "client_id", json_integer_value(json_object_get(client, "id")));
        eb_log_peer(&l, "kind", kind.n ? kind : eb_json_str(client, "kind"));
        if (mqtt_id.n)
            eb_log_peer(&l, "mqtt_id", mqtt_id);
        eb_log_peer(&l, "server", eb_json_str(server, "name"));
    } else {
        eb_log_int(&l, "bytes", (int64_t)bytes);
    }
    eb_log_end(&l);
}

void eb_refusal_take(struct eb_str event) {
    eb_auto_json json_t *root = NULL;
    enum eb_refusal why = read_event(event, &root);
    eb_count_refusal(why);
    if (why != EB_REFUSAL_REFUSED)
        tell(why, root, event.n);
}
