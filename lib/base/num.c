#include "base/num.h"

#include <math.h>

enum eb_rc eb_num_i64(struct eb_str text, int64_t min, int64_t max, int64_t *ret) {
    bool negative = text.n && text.p[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == text.n)
        return EB_E_INVALID;
    int64_t v = 0;
    for (; at < text.n; at++) {
        if (text.p[at] < '0' || text.p[at] > '9')
            return EB_E_INVALID;
        int64_t digit = text.p[at] - '0';
        if (__builtin_mul_overflow(v, 10, &v) ||
            (negative ? __builtin_sub_overflow(v, digit, &v) : __builtin_add_overflow(v, digit, &v)))
            return EB_E_INVALID;
    }
    if (v < min || v > max)
        return EB_E_INVALID;
    *ret = v;
    return EB_OK;
}

static int64_t unit_ns(struct eb_str unit) {
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},         {"us", 1000},         {"\xc2\xb5s", 1000},   {"ms", 1000000},
                 {"s", 1000000000}, {"m", 60000000000LL}, {"h", 3600000000000LL}};
    for (size_t i = 0; i < EB_COUNT_OF(units); i++)
        if (eb_str_eqz(unit, units[i].name))
            return units[i].ns;
    return 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Adds the part at the start of *s to *ns and moves on; false where it is none. */
static bool take_part(struct eb_str *s, int64_t *ns) {
    int64_t whole = 0, fraction = 0, scale = 1;
    size_t at = 0, digits = 0;
    for (; at < s->n && is_digit(s->p[at]); at++, digits++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, s->p[at] - '0', &whole))
            return false;
    if (at < s->n && s->p[at] == '.') {
        for (at++; at < s->n && is_digit(s->p[at]); at++, digits++) {
            if (scale < 1000000000) {
                fraction = fraction * 10 + (s->p[at] - '0');
                scale *= 10;
            }
        }
    }
    size_t unit_at = at;
    while (at < s->n && !is_digit(s->p[at]) && s->p[at] != '.')
        at++;
    struct eb_str unit = {s->p + unit_at, at - unit_at};
    int64_t factor = unit.n || at < s->n ? unit_ns(unit) : 1000000000;
    int64_t part = 0;
    if (digits == 0 || factor == 0 || __builtin_mul_overflow(whole, factor, &part))
        return false;
    int64_t below = (int64_t)((long double)fraction / (long double)scale * (long double)factor);
    if (__builtin_add_overflow(part, below, &part) || __builtin_add_overflow(*ns, part, ns))
        return false;
    *s = (struct eb_str){s->p + at, s->n - at};
    return true;
}

enum eb_rc eb_num_duration(struct eb_str text, int64_t *ret_ns) {
    int64_t ns = 0;
    bool first = true;
    if (text.n == 0)
        return EB_E_INVALID;
    for (; text.n; first = false) {
        bool has_unit = false;
        for (size_t i = 0; i < text.n; i++)
            has_unit |= !is_digit(text.p[i]) && text.p[i] != '.';
        /* A bare number is seconds only where it stands alone: `1h30` is no duration. */
        if ((!has_unit && !first) || !take_part(&text, &ns))
            return EB_E_INVALID;
    }
    *ret_ns = ns;
    return EB_OK;
}

enum eb_rc eb_num_ratio(struct eb_str text, int64_t *ret) {
    if (text.n == 0 || (text.p[0] != '0' && text.p[0] != '1') || (text.n > 1 && text.p[1] != '.') ||
        text.n == 2)
        return EB_E_INVALID;
    int64_t v = (text.p[0] - '0') * EB_RATIO_ONE, unit = EB_RATIO_ONE;
    for (size_t at = 2; at < text.n; at++) {
        unit /= 10;
        if (!is_digit(text.p[at]) || unit == 0)
            return EB_E_INVALID;
        v += (text.p[at] - '0') * unit;
    }
    if (v > EB_RATIO_ONE)
        return EB_E_INVALID;
    *ret = v;
    return EB_OK;
}

enum eb_rc eb_num_epoch(double seconds, int64_t *ret_s) {
    if (!(seconds >= 0) || !(seconds <= 9007199254740992.0))
        return EB_E_INVALID;
    *ret_s = (int64_t)floor(seconds);
    return EB_OK;
}
