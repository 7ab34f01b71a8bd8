#include "base/str.h"

#include <stdlib.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct eb_str eb_str_trim(struct eb_str s) {
    while (s.n && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct eb_str eb_str_cut(struct eb_str *rest, char sep) {
    struct eb_str whole = *rest;
    const char *at = whole.n ? memchr(whole.p, sep, whole.n) : NULL;
    if (!at) {
        *rest = EB_STR_NONE;
        return whole;
    }
    size_t n = (size_t)(at - whole.p);
    *rest = (struct eb_str){at + 1, whole.n - n - 1};
    return (struct eb_str){whole.p, n};
}

bool eb_str_in(struct eb_str s, const char *list) {
    struct eb_str rest = eb_str(list);
    while (rest.p)
        if (eb_str_eq(s, eb_str_cut(&rest, ',')))
            return true;
    return false;
}

char *eb_str_dup(struct eb_str s) {
    char *z = malloc(s.n + 1);
    if (!z)
        return NULL;
    if (s.n)
        memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return z;
}
