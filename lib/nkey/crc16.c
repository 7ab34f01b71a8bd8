#include "nkey/crc16.h"

/* One row a half byte: the table is one cache line, so that a seed leaves no trace in it. */
static _Alignas(64) const uint16_t row[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t eb_crc16(const uint8_t *p, size_t n) {
    uint16_t crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc = (uint16_t)(crc << 4 ^ row[(crc >> 12 ^ p[i] >> 4) & 15]);
        crc = (uint16_t)(crc << 4 ^ row[(crc >> 12 ^ p[i]) & 15]);
    }
    return crc;
}
