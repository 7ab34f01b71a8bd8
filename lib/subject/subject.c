#include "subject/subject.h"

#include "base/utf8.h"

#define QUOTE_MAX 80 /* bytes of a pattern that an error text quotes */

static struct eb_str quote(struct eb_str s) {
    size_t n = s.n < QUOTE_MAX ? s.n : QUOTE_MAX;
    while (n < s.n && n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--; /* not in the middle of a character */
    return (struct eb_str){s.p, n};
}

static bool is_token(struct eb_str token, char c) {
    return token.n == 1 && token.p[0] == c;
}

static enum eb_rc check_token(struct eb_str pattern, struct eb_str token, bool last, struct eb_err *reterr) {
    struct eb_str q = quote(pattern);
    if (token.n == 0)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "\"%.*s\" has an empty token: write one `.` between two tokens and none at the ends",
                       EB_STR_ARG(q));
    if (is_token(token, '>') && !last)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "`>` stands only at the end of \"%.*s\": write `*` for one token in the middle",
                       EB_STR_ARG(q));
    if (token.n > 1 && eb_str_has(token, '*'))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "\"%.*s\": `*` stands for a whole token only, inside one it is a plain letter: write it as a "
            "token of its own, as in `a.*`",
            EB_STR_ARG(q));
    if (token.n > 1 && eb_str_has(token, '>'))
        return EB_FAIL(
            reterr, EB_E_INVALID,
            "\"%.*s\": `>` stands for whole tokens only, inside one it is a plain letter: write it as the "
            "last token, as in `a.>`",
            EB_STR_ARG(q));
    return EB_OK;
}

bool eb_subject_is_plain(struct eb_str pattern) {
    size_t token = 0; /* where it begins */
    if (pattern.n > EB_SUBJECT_MAX)
        return false;
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        bool ends = i + 1 == pattern.n;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
            c == '_')
            continue;
        if (c == '.' && i > token)
            token = i + 1;
        else if (i != token || !(c == '*' ? ends || pattern.p[i + 1] == '.' : c == '>' && ends))
            return false;
    }
    return token < pattern.n;
}

enum eb_rc eb_subject_check(struct eb_str pattern, struct eb_err *reterr) {
    if (pattern.n == 0)
        return EB_FAIL(reterr, EB_E_INVALID,
                       "an empty subject: write tokens with `.` between them, as in `a.b`");
    if (pattern.n > EB_SUBJECT_MAX)
        return EB_FAIL(reterr, EB_E_INVALID, "a subject of %zu bytes: at most %d are taken", pattern.n,
                       EB_SUBJECT_MAX);
    if (!eb_utf8_valid(pattern))
        return EB_FAIL(reterr, EB_E_INVALID, "a subject that is not UTF-8: write it in UTF-8");
    if (eb_utf8_has_control(pattern))
        return EB_FAIL(reterr, EB_E_INVALID, "a subject with a control character: write it without");
    if (eb_str_has(pattern, ' ')) {
        struct eb_str q = quote(pattern);
        return EB_FAIL(reterr, EB_E_INVALID, "\"%.*s\" has a blank: write it without", EB_STR_ARG(q));
    }
    struct eb_str rest = pattern;
    while (rest.p) {
        struct eb_str token = eb_str_cut(&rest, '.');
        enum eb_rc rc = check_token(pattern, token, !rest.p, reterr);
        if (rc != EB_OK)
            return rc;
    }
    return EB_OK;
}

enum eb_rc eb_subject_check_literal(struct eb_str subject, struct eb_err *reterr) {
    enum eb_rc rc = eb_subject_check(subject, reterr);
    if (rc != EB_OK)
        return rc;
    /* A checked pattern has these only as wildcards. */
    if (eb_str_has(subject, '*') || eb_str_has(subject, '>')) {
        struct eb_str q = quote(subject);
        return EB_FAIL(reterr, EB_E_INVALID,
                       "\"%.*s\" has a wildcard: write one subject, without `*` and `>`", EB_STR_ARG(q));
    }
    return EB_OK;
}

bool eb_subject_match(struct eb_str pattern, struct eb_str subject) {
    struct eb_str p = pattern, s = subject;
    if (p.n == 0 || s.n == 0)
        return false;
    while (p.p && s.p) {
        struct eb_str a = eb_str_cut(&p, '.'), b = eb_str_cut(&s, '.');
        if (b.n == 0)
            return false;
        if (is_token(a, '>') && !p.p) {
            while (s.p && b.n)
                b = eb_str_cut(&s, '.');
            return b.n != 0;
        }
        if (!is_token(a, '*') && !eb_str_eq(a, b))
            return false;
    }
    return !p.p && !s.p;
}

/* A token of each of two patterns. */
struct pair {
    struct eb_str x, y;
    bool x_is_rest, y_is_rest; /* a last `>` */
};

/* The next pair; false where one of the patterns is at its end. */
static bool next_pair(struct eb_str *a, struct eb_str *b, struct pair *ret) {
    if (!a->p || !b->p)
        return false;
    ret->x = eb_str_cut(a, '.');
    ret->y = eb_str_cut(b, '.');
    ret->x_is_rest = !a->p && is_token(ret->x, '>');
    ret->y_is_rest = !b->p && is_token(ret->y, '>');
    return true;
}

bool eb_subject_overlap(struct eb_str a, struct eb_str b) {
    struct pair t;
    if (a.n == 0 || b.n == 0)
        return false;
    while (next_pair(&a, &b, &t)) {
        if (t.x_is_rest || t.y_is_rest)
            return true;
        if (!is_token(t.x, '*') && !is_token(t.y, '*') && !eb_str_eq(t.x, t.y))
            return false;
    }
    return !a.p && !b.p;
}

bool eb_subject_covers(struct eb_str a, struct eb_str b) {
    struct pair t;
    if (a.n == 0 || b.n == 0)
        return false;
    while (next_pair(&a, &b, &t)) {
        if (t.x_is_rest)
            return true;
        if (t.y_is_rest || (!is_token(t.x, '*') && !eb_str_eq(t.x, t.y)))
            return false;
    }
    return !a.p && !b.p;
}
