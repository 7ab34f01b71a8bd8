/* What nats-server would say to a subject. */
#ifndef EB_TEST_SERVER_SAYS_H
#define EB_TEST_SERVER_SAYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "subject/subject.h"

static inline bool any_matches(const json_t *list, const char *subject, const char *queue, bool *ret_queue) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct eb_str q = eb_str(json_string_value(item)), s = eb_str_cut(&q, ' ');
        if (!eb_subject_covers(s, eb_str(subject)))
            continue;
        if (!q.p)
            return true;
        *ret_queue |= queue && eb_str_eqz(q, queue);
    }
    return false;
}

/* Permissions as nats-server reads them: an empty allow list allows, deny wins, MQTT clients get their own
 * delivery implicitly. */
static inline bool server_says(const char *grants, bool sub, bool mqtt, const char *subject,
                               const char *queue) {
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_printf(&text, "{%s}", grants);
    assert_true(eb_buf_ok(&text));
    json_t *root = json_loads(text.p, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    const json_t *side = json_object_get(root, sub ? "sub" : "pub"), *allow = json_object_get(side, "allow");
    assert_non_null(side);
    bool by_queue = false, denied_queue = false;
    bool ok = json_array_size(allow) == 0 || any_matches(allow, subject, queue, &by_queue) || by_queue;
    if (sub && mqtt &&
        (strncmp(subject, "$MQTT.sub.", 10) == 0 || strncmp(subject, "$MQTT.deliver.pubrel.", 21) == 0))
        ok = true;
    if (any_matches(json_object_get(side, "deny"), subject, queue, &denied_queue) || denied_queue)
        ok = false;
    json_decref(root);
    return ok;
}

#endif
