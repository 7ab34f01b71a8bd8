/* CRC-16/XMODEM: polynomial 0x1021, start 0, not reflected, no final xor. */
#ifndef EB_NKEY_CRC16_H
#define EB_NKEY_CRC16_H

#include <stddef.h>
#include <stdint.h>

uint16_t eb_crc16(const uint8_t *p, size_t n);

#endif
