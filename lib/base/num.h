/* The only number and duration parsers. Whole input, no sign tricks, no blanks. */
#ifndef EB_BASE_NUM_H
#define EB_BASE_NUM_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Decimal integer within [min, max]; EB_E_INVALID else. */
EB_MUSTCHECK enum eb_rc eb_num_i64(struct eb_str text, int64_t min, int64_t max, int64_t *ret);
/*
 * A duration as Go writes it: one or more of number+unit with units ns us ms s m h (`1h30m`, `250ms`,
 * `1.5s`), or a plain number of seconds; 0 alone too. Result in nanoseconds, 0..~292 years; EB_E_INVALID
 * else.
 */
EB_MUSTCHECK enum eb_rc eb_num_duration(struct eb_str text, int64_t *ret_ns);
/* A part of a whole, `0` to `1` with up to nine digits behind the point, in parts of EB_RATIO_ONE;
 * EB_E_INVALID else. */
#define EB_RATIO_ONE INT64_C(1000000000)
EB_MUSTCHECK enum eb_rc eb_num_ratio(struct eb_str text, int64_t *ret);
/* A finite JSON number of seconds since the epoch as whole seconds, rounded down; NaN, negative and huge
 * (over 2^53) are EB_E_INVALID. */
EB_MUSTCHECK enum eb_rc eb_num_epoch(double seconds, int64_t *ret_s);

#endif
