/*
 * bytes.h - network-order fields of a header whose bytes the cursor has already granted.
 *
 * Private to src/packet: `p` comes from rcur_take or wcur_room for the whole header, or points
 * into a packet that pkt_decode has accepted.
 */
#ifndef PACKET_BYTES_H
#define PACKET_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get_be16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap16(v);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	v = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	v = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

#endif
