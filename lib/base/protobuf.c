#include "base/protobuf.h"

#include "base/utf8.h"

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 };
enum { VARINT_MAX = 10, FIELD_MAX = 536870911 };

static size_t varint(uint64_t v, char to[VARINT_MAX]) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        to[n++] = (char)(v | 0x80);
    to[n++] = (char)v;
    return n;
}

static void add_varint(struct eb_buf *to, uint64_t v) {
    char text[VARINT_MAX];
    eb_buf_add(to, text, varint(v, text));
}

static void add_tag(struct eb_buf *to, unsigned field, enum wire wire) {
    add_varint(to, (uint64_t)field << 3 | wire);
}

/* Least significant byte first, whatever the machine has. */
static void add_fixed(struct eb_buf *to, uint64_t v, size_t n) {
    for (size_t i = 0; i < n; i++)
        eb_buf_ch(to, (char)(v >> (8 * i)));
}

void eb_pb_varint(struct eb_buf *to, unsigned field, uint64_t v) {
    add_tag(to, field, WIRE_VARINT);
    add_varint(to, v);
}

void eb_pb_fixed32(struct eb_buf *to, unsigned field, uint32_t v) {
    add_tag(to, field, WIRE_FIXED32);
    add_fixed(to, v, sizeof v);
}

void eb_pb_fixed64(struct eb_buf *to, unsigned field, uint64_t v) {
    add_tag(to, field, WIRE_FIXED64);
    add_fixed(to, v, sizeof v);
}

void eb_pb_bytes(struct eb_buf *to, unsigned field, struct eb_str v) {
    add_tag(to, field, WIRE_BYTES);
    add_varint(to, v.n);
    eb_buf_str(to, v);
}

void eb_pb_text(struct eb_buf *to, unsigned field, struct eb_str v) {
    if (eb_utf8_valid(v)) {
        eb_pb_bytes(to, field, v);
        return;
    }
    size_t begun = eb_pb_begin(to, field);
    while (v.n) {
        size_t n = eb_utf8_char(v);
        if (n)
            eb_buf_add(to, v.p, n);
        else
            eb_buf_z(to, "\xef\xbf\xbd");
        n = n ? n : 1;
        v = eb_str_n(v.p + n, v.n - n);
    }
    eb_pb_end(to, begun);
}

size_t eb_pb_begin(struct eb_buf *to, unsigned field) {
    add_tag(to, field, WIRE_BYTES);
    return to->n;
}

/* The length is known only now: what was written makes room for it. */
void eb_pb_end(struct eb_buf *to, size_t begun) {
    char length[VARINT_MAX];
    size_t size = to->n - begun, n = varint(size, length);
    eb_buf_add(to, length, n);
    if (!eb_buf_ok(to))
        return;
    memmove(to->p + begun + n, to->p + begun, size);
    memcpy(to->p + begun, length, n);
}

static bool take_varint(struct eb_str *s, uint64_t *ret) {
    uint64_t v = 0;
    for (size_t i = 0; i < VARINT_MAX && i < s->n; i++) {
        uint64_t bits = (unsigned char)s->p[i] & 0x7f;
        if (i == VARINT_MAX - 1 && bits > 1)
            return false; /* more than 64 bits */
        v |= bits << (7 * i);
        if ((unsigned char)s->p[i] & 0x80)
            continue;
        *s = eb_str_n(s->p + i + 1, s->n - i - 1);
        *ret = v;
        return true;
    }
    return false;
}

static bool take_fixed(struct eb_str *s, size_t n, uint64_t *ret) {
    if (s->n < n)
        return false;
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        *ret |= (uint64_t)(unsigned char)s->p[i] << (8 * i);
    *s = eb_str_n(s->p + n, s->n - n);
    return true;
}

bool eb_pb_next(struct eb_str *rest, struct eb_pb_field *ret) {
    struct eb_str s = *rest;
    struct eb_pb_field f = {0};
    uint64_t tag = 0;
    if (s.n == 0) {
        *rest = EB_STR_NONE;
        return false;
    }
    if (!take_varint(&s, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return false;
    f.number = (unsigned)(tag >> 3);
    switch (tag & 7) {
    case WIRE_VARINT:
        if (!take_varint(&s, &f.value))
            return false;
        break;
    case WIRE_FIXED64:
        if (!take_fixed(&s, 8, &f.value))
            return false;
        break;
    case WIRE_FIXED32:
        if (!take_fixed(&s, 4, &f.value))
            return false;
        break;
    case WIRE_BYTES:
        if (!take_varint(&s, &f.value) || f.value > s.n)
            return false;
        f.is_bytes = true;
        f.bytes = eb_str_n(s.p, (size_t)f.value);
        s = eb_str_n(s.p + f.bytes.n, s.n - f.bytes.n);
        break;
    default: return false; /* groups, which nobody writes any more, and what is no wire type */
    }
    *rest = s;
    *ret = f;
    return true;
}
