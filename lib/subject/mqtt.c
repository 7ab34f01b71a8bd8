#include "subject/subject.h"

#include "base/utf8.h"

/* `+` and `#` must each fill a level, and `#` the last one (MQTT 3.1.1 s4.7.1). */
static bool filter_ok(struct eb_str topic) {
    struct eb_str rest = topic;
    while (rest.p) {
        struct eb_str level = eb_str_cut(&rest, '/');
        if (eb_str_has(level, '+') && level.n != 1)
            return false;
        if (eb_str_has(level, '#') && (level.n != 1 || rest.p))
            return false;
    }
    return true;
}

static enum eb_rc check_topic(struct eb_str topic, struct eb_err *reterr) {
    if (topic.n == 0)
        return EB_FAIL(reterr, EB_E_INVALID, "an empty topic");
    if (topic.n > EB_SUBJECT_MAX)
        return EB_FAIL(reterr, EB_E_INVALID, "a topic of %zu bytes: at most %d are taken", topic.n,
                       EB_SUBJECT_MAX);
    if (!eb_utf8_valid(topic) || eb_utf8_has_control(topic))
        return EB_FAIL(reterr, EB_E_INVALID, "a topic with bytes that are no UTF-8 text");
    if (eb_str_has(topic, ' '))
        return EB_FAIL(reterr, EB_E_INVALID, "a topic with a blank: nats-server takes none");
    if (eb_str_has(topic, '*') || eb_str_has(topic, '>'))
        return EB_FAIL(reterr, EB_E_INVALID,
                       "a topic with `*` or `>`: nats-server takes none; MQTT's wildcards are `+` and `#`");
    if (!filter_ok(topic))
        return EB_FAIL(reterr, EB_E_INVALID, "`+` must fill a whole level of a topic, and `#` the last one");
    return EB_OK;
}

enum eb_rc eb_subject_from_mqtt(struct eb_str topic, struct eb_buf *to, struct eb_err *reterr) {
    enum eb_rc rc = check_topic(topic, reterr);
    if (rc != EB_OK)
        return rc;
    char last = '.'; /* what was written last; a `/` at the start is one behind an empty level */
    for (size_t i = 0; i < topic.n; i++) {
        char c = topic.p[i];
        if (c == '/' &&
            last == '.') { /* the level before is empty: a token needs something, and that is `/` */
            eb_buf_z(to, "/.");
            last = '.';
            continue;
        }
        if (c == '/' && i + 1 < topic.n && topic.p[i + 1] == '/') { /* the next level is empty */
            eb_buf_z(to, "./");
            last = '/';
            continue;
        }
        switch (c) {
        case '/': eb_buf_ch(to, '.'); break;
        case '.': eb_buf_z(to, "//"); break;
        case '+': eb_buf_ch(to, '*'); break;
        case '#': eb_buf_ch(to, '>'); break;
        default: eb_buf_ch(to, c); break;
        }
        last = c == '/' ? '.' : c == '.' ? '/' : c;
    }
    if (last == '.')
        eb_buf_ch(to, '/');
    return eb_buf_ok(to) ? EB_OK : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}
