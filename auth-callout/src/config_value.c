#include "config_value.h"

#include <stdlib.h>

#include "base/num.h"

static void strs_free(struct eb_strs *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct eb_strs){0};
}

static bool strs_add(struct eb_strs *s, struct eb_str text) {
    char **v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v)
        return false;
    s->v = v;
    s->v[s->n] = eb_str_dup(text);
    return s->v[s->n] != NULL && ++s->n;
}

static void secrets_free(struct eb_secrets *s) {
    for (size_t i = 0; i < s->n; i++)
        eb_secret_free(s->v[i]);
    free(s->v);
    *s = (struct eb_secrets){0};
}

static bool secrets_add(struct eb_secrets *s, struct eb_str text) {
    struct eb_secret **v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v)
        return false;
    s->v = v;
    s->v[s->n] = eb_secret_new(text.p, text.n);
    return s->v[s->n] != NULL && ++s->n;
}

static void *field(void *base, const struct eb_option *o) {
    return (char *)base + o->at;
}

void eb_config_clear(void *base, const struct eb_option *o) {
    void *at = field(base, o);
    switch (o->type) {
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
    case EB_OPT_CHOICE:
        free(*(char **)at);
        *(char **)at = NULL;
        break;
    case EB_OPT_LIST:
    case EB_OPT_PATHS: strs_free(at); break;
    case EB_OPT_SECRET:
        eb_secret_free(*(struct eb_secret **)at);
        *(struct eb_secret **)at = NULL;
        break;
    case EB_OPT_SECRETS: secrets_free(at); break;
    case EB_OPT_BOOL: *(bool *)at = false; break;
    case EB_OPT_INT:
    case EB_OPT_DURATION:
    case EB_OPT_RATIO: *(int64_t *)at = 0; break;
    }
}

void eb_config_finding(struct eb_findings *f, const struct eb_config_source *src, const char *path,
                       const char *mend, const char *text) {
    eb_auto_buf struct eb_buf whole = {0};
    if (src->within && path)
        eb_buf_printf(&whole, "%s.%s", src->within, path);
    eb_findings_add(f, EB_ERROR, src->file, src->line, whole.p ? whole.p : path, mend, "%s%s%s",
                    src->what ? src->what : "", src->what ? ": " : "", text);
}

/* Takes one value in; false where it does not fit, with *ret_mend saying what would. */
static bool take(void *base, const struct eb_option *o, struct eb_str text, const char **ret_mend) {
    void *at = field(base, o);
    switch (o->type) {
    case EB_OPT_CHOICE:
        *ret_mend = o->choices;
        if (!eb_str_in(text, o->choices))
            return false;
        __attribute__((fallthrough));
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
        free(*(char **)at);
        *(char **)at = eb_str_dup(text);
        return *(char **)at != NULL;
    case EB_OPT_LIST:
    case EB_OPT_PATHS: return strs_add(at, text);
    case EB_OPT_SECRET:
        eb_secret_free(*(struct eb_secret **)at);
        *(struct eb_secret **)at = eb_secret_new(text.p, text.n);
        return *(struct eb_secret **)at != NULL;
    case EB_OPT_SECRETS: return secrets_add(at, text);
    case EB_OPT_BOOL:
        *ret_mend = "write true or false";
        *(bool *)at = eb_str_eqz(text, "true");
        return *(bool *)at || eb_str_eqz(text, "false");
    case EB_OPT_INT:
        *ret_mend = "write a whole number within the limits that --help shows";
        if (o->fallback && eb_str_eqz(text, o->fallback) && eb_str_eqz(text, "auto"))
            return *(int64_t *)at = 0, true;
        return eb_num_i64(text, o->min, o->max, at) == EB_OK;
    case EB_OPT_DURATION:
        *ret_mend = "write a duration such as 30s, 5m or 1h30m, within the limits that the reference names";
        return eb_num_duration(text, at) == EB_OK && *(int64_t *)at >= o->min && *(int64_t *)at <= o->max;
    case EB_OPT_RATIO:
        *ret_mend = "write a number from 0 to 1 with at most nine digits behind the point, 0.1 for instance";
        return eb_num_ratio(text, at) == EB_OK;
    }
    return false;
}

void eb_config_add(void *base, const struct eb_option *o, struct eb_str text,
                   const struct eb_config_source *src, struct eb_findings *f) {
    const char *mend = NULL;
    text = eb_str_trim(text);
    if (text.n == 0) {
        eb_config_finding(f, src, o->key, "remove the key, or give it a value", "the value is empty");
        return;
    }
    if (memchr(text.p, '\0', text.n)) {
        eb_config_finding(f, src, o->key, NULL, "the value holds a NUL byte");
        return;
    }
    if (take(base, o, text, &mend))
        return;
    eb_auto_buf struct eb_buf why = {0};
    if (eb_option_secret(o))
        eb_buf_z(&why, "not a value that fits");
    else
        eb_buf_printf(&why, "%.*s is no %s that fits", text.n > 80 ? 80 : (int)text.n, text.p,
                      eb_option_type_name(o->type));
    eb_config_finding(f, src, o->key, mend, why.p ? why.p : "out of memory");
}

void eb_config_set(void *base, const struct eb_option *o, struct eb_str text,
                   const struct eb_config_source *src, struct eb_findings *f) {
    eb_config_clear(base, o);
    if (!eb_option_list(o)) {
        eb_config_add(base, o, text, src, f);
        return;
    }
    struct eb_str rest = text;
    while (rest.p) {
        struct eb_str piece = eb_str_trim(eb_str_cut(&rest, ','));
        if (piece.n)
            eb_config_add(base, o, piece, src, f);
    }
}

static bool same_strs(const struct eb_strs *a, const struct eb_strs *b) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            return false;
    return true;
}

static bool same_secret(const struct eb_secret *a, const struct eb_secret *b) {
    return !a == !b && (!a || eb_str_eq(eb_secret_get(a), eb_secret_get(b)));
}

bool eb_config_same(const struct eb_option *o, const void *a, const void *b) {
    const void *x = (const char *)a + o->at, *y = (const char *)b + o->at;
    switch (o->type) {
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
    case EB_OPT_CHOICE: {
        const char *s = *(char *const *)x, *t = *(char *const *)y;
        return !s == !t && (!s || strcmp(s, t) == 0);
    }
    case EB_OPT_LIST:
    case EB_OPT_PATHS: return same_strs(x, y);
    case EB_OPT_BOOL: return *(const bool *)x == *(const bool *)y;
    case EB_OPT_INT:
    case EB_OPT_DURATION:
    case EB_OPT_RATIO: return *(const int64_t *)x == *(const int64_t *)y;
    case EB_OPT_SECRET: return same_secret(*(struct eb_secret *const *)x, *(struct eb_secret *const *)y);
    case EB_OPT_SECRETS: return true; /* none of them needs a restart */
    }
    return true;
}
