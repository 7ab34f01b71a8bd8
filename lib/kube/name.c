#include "kube/name.h"

static bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One piece of a name between dots, of any length above 0. */
static bool is_piece(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_lower_alnum(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n && is_lower_alnum(s.p[0]) && is_lower_alnum(s.p[s.n - 1]);
}

bool eb_kube_is_label(struct eb_str s) {
    return s.n <= EB_KUBE_LABEL_MAX && is_piece(s);
}

bool eb_kube_is_subdomain(struct eb_str s) {
    struct eb_str rest = s;
    if (s.n == 0 || s.n > EB_KUBE_NAME_MAX)
        return false;
    while (rest.p)
        if (!is_piece(eb_str_cut(&rest, '.')))
            return false;
    return true;
}

bool eb_kube_is_uid(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F)
            return false;
    return s.n > 0 && s.n <= EB_KUBE_UID_MAX;
}
