/* Attributes that let the compiler check what a declaration promises. */
#ifndef EB_BASE_ATTR_H
#define EB_BASE_ATTR_H

#define EB_MUSTCHECK __attribute__((warn_unused_result))
#define EB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define EB_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
