/* A borrowed slice of bytes. Not NUL-terminated; embedded NULs are refused where text goes to a library. */
#ifndef EB_BASE_STR_H
#define EB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct eb_str {
    const char *p;
    size_t n;
};

#define EB_STR(literal) ((struct eb_str){"" literal, sizeof(literal) - 1})
#define EB_STR_NONE ((struct eb_str){NULL, 0})
/* For printf: "%.*s", EB_STR_ARG(s). s is evaluated several times: no call. Clamp lengths of peer text
 * before. */
#define EB_STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct eb_str eb_str(const char *z) {
    return (struct eb_str){z, z ? strlen(z) : 0};
}
static inline struct eb_str eb_str_n(const void *p, size_t n) {
    return (struct eb_str){(const char *)p, n};
}
static inline bool eb_str_eq(struct eb_str a, struct eb_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool eb_str_eqz(struct eb_str a, const char *z) {
    return (!z || !a.n || a.p[0] == z[0]) && eb_str_eq(a, eb_str(z));
}
static inline bool eb_str_starts(struct eb_str s, struct eb_str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool eb_str_ends(struct eb_str s, struct eb_str suffix) {
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
static inline bool eb_str_has(struct eb_str s, char c) {
    return s.n && memchr(s.p, c, s.n) != NULL;
}
/* The slice without blanks, tabs and line ends at both sides. */
struct eb_str eb_str_trim(struct eb_str s);
/*
 * Cuts *rest at the first sep and returns the piece before it; *rest moves behind sep. Without a sep the
 * whole is returned and *rest becomes {NULL, 0}. Loop: `while (rest.p) { piece = eb_str_cut(&rest, ','); …
 * }`.
 */
struct eb_str eb_str_cut(struct eb_str *rest, char sep);
/* True where s is one of the texts of list, which commas separate. */
bool eb_str_in(struct eb_str s, const char *list);
/* A NUL-terminated copy, caller frees; NULL when out of memory. */
char *eb_str_dup(struct eb_str s);

#endif
