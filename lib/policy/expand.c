#include "policy/impl.h"

#include "base/utf8.h"

#define VAR_NAME_MAX 128

static bool name_char(char c, bool first) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* What is wrong with a value, NULL for nothing. */
static const char *bad_value(struct eb_str v) {
    if (v.n == 0)
        return "is empty";
    if (eb_str_has(v, '*') || eb_str_has(v, '>'))
        return "holds a wildcard (`*` or `>`)";
    if (!eb_utf8_valid(v))
        return "is not UTF-8";
    if (eb_utf8_has_control(v))
        return "holds a control character";
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == ' ' || (v.p[i] == '\xc2' && i + 1 < v.n && v.p[i + 1] == '\xa0'))
            return "holds a blank";
    return NULL;
}

static bool expand_one(struct eb_load *l, enum eb_field f, const char *name, struct eb_buf *to) {
    const struct eb_policy_options *opt = l->opt;
    size_t line = l->draft.line[f];
    bool secret = false;
    const char *value = opt->env ? opt->env(opt->env_ctx, name, &secret) : NULL;
    if (secret) {
        eb_load_report(l, EB_ERROR, line, eb_field_name[f], "put the value into a variable of its own",
                       "`${%s}` names a secret, which is never copied into another field", name);
        return false;
    }
    if (!value) {
        eb_load_report(l, EB_ERROR, line, eb_field_name[f], "set the variable, or write the value itself",
                       "`${%s}` is not set", name);
        return false;
    }
    const char *bad = bad_value(eb_str(value));
    if (bad) {
        eb_load_report(l, EB_ERROR, line, eb_field_name[f], "set it to a plain value",
                       "the value of `${%s}` %s", name, bad);
        return false;
    }
    eb_buf_z(to, value);
    return true;
}

bool eb_expand(struct eb_load *l, enum eb_field f, struct eb_str raw, struct eb_buf *to) {
    size_t at = 0;
    eb_buf_reset(to);
    while (at < raw.n) {
        if (raw.p[at] != '$' || at + 1 == raw.n || raw.p[at + 1] != '{') {
            eb_buf_ch(to, raw.p[at++]);
            continue;
        }
        char name[VAR_NAME_MAX + 1];
        size_t n = 0;
        at += 2;
        while (at < raw.n && n < VAR_NAME_MAX && name_char(raw.p[at], n == 0))
            name[n++] = raw.p[at++];
        name[n] = '\0';
        if (n == 0 || at == raw.n || raw.p[at] != '}') {
            eb_load_report(l, EB_ERROR, l->draft.line[f], eb_field_name[f],
                           "write it as ${NAME}: letters, digits and `_`", "`${` begins no variable here");
            return false;
        }
        at++;
        if (!expand_one(l, f, name, to))
            return false;
    }
    return eb_buf_ok(to) || eb_load_nomem(l);
}
