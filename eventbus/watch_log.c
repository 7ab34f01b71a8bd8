/* Log lines of `eventbus streams watch`. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "watch.h"

void eb_watch_log(const char *level, const char *msg, const char *stream, const struct eb_stream_source *s,
                  int64_t waited_ms, int64_t took_ms, const char *error) {
    eb_auto_buf struct eb_buf b = {0};
    int64_t now = eb_streams_now_ns();
    time_t seconds = (time_t)(now / 1000000000);
    struct tm tm;
    char stamp[32] = "";
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    eb_buf_printf(&b, "{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"msg\":\"%s\"", stamp,
                  (int)(now / 1000000 % 1000), level, msg);
    if (stream)
        eb_buf_printf(&b, ",\"stream\":\"%s\"", stream);
    if (s) {
        eb_auto_buf struct eb_buf site = {0};
        eb_stream_source_site(&site, s->api);
        eb_buf_z(&b, ",\"from\":");
        eb_buf_json_str(&b, eb_buf_get(&site), 0);
        eb_buf_z(&b, ",\"filter\":");
        eb_buf_json_str(&b, eb_str(s->filter), 0);
    }
    if (waited_ms >= 0)
        eb_buf_printf(&b, ",\"waited_s\":%" PRId64 ".%03d", waited_ms / 1000, (int)(waited_ms % 1000));
    if (took_ms >= 0)
        eb_buf_printf(&b, ",\"took_ms\":%" PRId64, took_ms);
    if (error) {
        eb_buf_z(&b, ",\"error\":");
        eb_buf_json_str(&b, eb_str(error), 0);
    }
    eb_buf_z(&b, "}\n");
    if (eb_buf_ok(&b))
        (void)fputs(b.p, stderr);
}
