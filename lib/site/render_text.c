#include "site/render_text.h"

#define LINE_MAX 100 /* columns that a list may take in one line */

void eb_render_quote(struct eb_buf *to, struct eb_str s) {
    eb_buf_ch(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            eb_buf_ch(to, '\\');
        if (c < 0x20 || c == 0x7f)
            eb_buf_printf(to, "\\x%02x", (unsigned)c);
        else
            eb_buf_ch(to, (char)c);
    }
    eb_buf_ch(to, '"');
}

void eb_render_indent(struct eb_buf *to, unsigned n) {
    while (n--)
        eb_buf_ch(to, ' ');
}

void eb_render_list(struct eb_buf *to, const struct eb_buf *lines, unsigned indent) {
    bool whole = lines->n + indent <= LINE_MAX;
    struct eb_str rest = eb_buf_get(lines);
    if (!eb_buf_ok(lines))
        to->failed = true;
    eb_buf_ch(to, '[');
    for (bool first = true; rest.n; first = false) {
        struct eb_str item = eb_str_cut(&rest, '\n');
        if (!first)
            eb_buf_z(to, whole ? ", " : ",");
        if (!whole) {
            eb_buf_ch(to, '\n');
            eb_render_indent(to, indent);
        }
        eb_render_quote(to, item);
    }
    if (!whole) {
        eb_buf_ch(to, '\n');
        eb_render_indent(to, indent - 2);
    }
    eb_buf_ch(to, ']');
}

static void host(struct eb_buf *to, struct eb_str address) {
    bool bare6 = eb_str_has(address, ':') && address.p[0] != '[';
    if (bare6)
        eb_buf_ch(to, '[');
    eb_buf_str(to, address);
    if (bare6)
        eb_buf_ch(to, ']');
}

void eb_render_url(struct eb_buf *to, const char *scheme, struct eb_str address, unsigned port) {
    eb_auto_buf struct eb_buf url = {0};
    if (*scheme)
        eb_buf_printf(&url, "%s://", scheme);
    host(&url, address);
    eb_buf_printf(&url, ":%u", port);
    if (!eb_buf_ok(&url))
        to->failed = true;
    eb_render_quote(to, eb_buf_get(&url));
}

void eb_render_listen(struct eb_buf *to, struct eb_str address, unsigned port) {
    eb_render_url(to, "", address, port);
}

void eb_render_bytes(struct eb_buf *to, int64_t n) {
    const int64_t mib = (int64_t)1 << 20;
    bool round = n >= mib && n % mib == 0;
    eb_buf_i64(to, round ? n / mib : n);
    if (round)
        eb_buf_z(to, "MB");
}
