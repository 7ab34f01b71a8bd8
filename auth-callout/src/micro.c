#include "micro.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "link.h"
#include "metrics.h"
#include "version.h"

static const char *const verbs[] = {"PING", "INFO", "STATS"};

static void random_id(char id[23]) {
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < 22; i++)
        id[i] = letters[randombytes_uniform(sizeof letters - 1)];
    id[22] = '\0';
}

enum eb_rc eb_micro_init(struct eb_micro *m) {
    *m = (struct eb_micro){0};
    random_id(m->id);
    time_t now = time(NULL);
    struct tm utc;
    (void)gmtime_r(&now, &utc);
    (void)strftime(m->started, sizeof m->started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (size_t i = 0; i < EB_MICRO_SUBJECTS; i++) {
        eb_auto_buf struct eb_buf text = {0};
        eb_buf_printf(&text, "$SRV.%s", verbs[i / 3]);
        if (i % 3 > 0)
            eb_buf_z(&text, "." EB_MICRO_NAME);
        if (i % 3 > 1)
            eb_buf_printf(&text, ".%s", m->id);
        m->texts[i] = eb_buf_take(&text);
        if (!m->texts[i])
            return EB_E_NOMEM;
        m->subjects[i] = eb_str(m->texts[i]);
    }
    return EB_OK;
}

void eb_micro_done(struct eb_micro *m) {
    for (size_t i = 0; i < EB_MICRO_SUBJECTS; i++)
        free(m->texts[i]);
    *m = (struct eb_micro){0};
}

static void endpoint_stats(struct eb_buf *to) {
    uint64_t requests = eb_counter_get(EB_C_REQUESTS), processing = eb_observed_ns();
    eb_buf_printf(to,
                  ",\"num_requests\":%llu,\"num_errors\":%llu,\"last_error\":\"\",\"processing_time\":%llu,"
                  "\"average_processing_time\":%llu",
                  (unsigned long long)requests, (unsigned long long)eb_counter_get(EB_C_ERRORS),
                  (unsigned long long)processing, (unsigned long long)(requests ? processing / requests : 0));
}

bool eb_micro_answer(const struct eb_micro *m, struct eb_str subject, struct eb_buf *to) {
    size_t found = EB_MICRO_SUBJECTS;
    for (size_t i = 0; i < EB_MICRO_SUBJECTS; i++)
        if (eb_str_eq(subject, m->subjects[i]))
            found = i;
    if (found == EB_MICRO_SUBJECTS)
        return false;
    size_t verb = found / 3;
    static const char *const types[] = {"ping", "info", "stats"};
    eb_buf_printf(to,
                  "{\"type\":\"io.nats.micro.v1.%s_response\",\"name\":\"" EB_MICRO_NAME
                  "\",\"id\":\"%s\",\"version\":\"" EB_VERSION "\",\"metadata\":{}",
                  types[verb], m->id);
    if (verb == 1)
        eb_buf_z(to, ",\"description\":\"Authenticates every connection of the event bus\"");
    if (verb == 2)
        eb_buf_printf(to, ",\"started\":\"%s\"", m->started);
    if (verb > 0) {
        eb_buf_z(to, ",\"endpoints\":[{\"name\":\"default\",\"subject\":\"" EB_LINK_SUBJECT
                     "\",\"queue_group\":\"" EB_LINK_QUEUE "\"");
        if (verb == 1)
            eb_buf_z(to, ",\"metadata\":{}");
        else
            endpoint_stats(to);
        eb_buf_z(to, "}]");
    }
    eb_buf_ch(to, '}');
    return true;
}
