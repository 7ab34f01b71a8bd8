/*
 * The wire format of Protocol Buffers, as far as a message is fields of numbers, bytes and messages
 * (https://protobuf.dev/programming-guides/encoding/). Field numbers are 1 to 536870911.
 */
#ifndef EB_BASE_PROTOBUF_H
#define EB_BASE_PROTOBUF_H

#include "base/buf.h"
#include "base/err.h"

/* ---- writing: appends one field ---- */
void eb_pb_varint(struct eb_buf *to, unsigned field, uint64_t v); /* int32, int64, uint64, bool, enum */
void eb_pb_fixed32(struct eb_buf *to, unsigned field, uint32_t v);
void eb_pb_fixed64(struct eb_buf *to, unsigned field, uint64_t v);
void eb_pb_bytes(struct eb_buf *to, unsigned field, struct eb_str v);
/* A string: bytes that are no UTF-8, for which a reader may refuse the whole message, become U+FFFD. */
void eb_pb_text(struct eb_buf *to, unsigned field, struct eb_str v);
/* Between the two, the fields of an embedded message; they nest. */
EB_MUSTCHECK size_t eb_pb_begin(struct eb_buf *to, unsigned field);
void eb_pb_end(struct eb_buf *to, size_t begun);

/* ---- reading ---- */
struct eb_pb_field {
    unsigned number;
    bool is_bytes;       /* bytes, text or a message; else a number */
    struct eb_str bytes; /* borrowed */
    uint64_t value;
};
/*
 * The next field of *rest, which moves behind it; false at the end (*rest is {NULL, 0} then) and where what
 * follows is no field (*rest is left there).
 */
EB_MUSTCHECK bool eb_pb_next(struct eb_str *rest, struct eb_pb_field *ret);

#endif
