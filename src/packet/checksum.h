/*
 * checksum.h - the Internet checksum (RFC 1071) and its update (RFC 1624).
 *
 * Partial sums are unfolded 32/64-bit sums of 16-bit words in memory order; csum_fold makes the
 * 16-bit value to be stored, also in memory order.
 */
#ifndef PACKET_CHECKSUM_H
#define PACKET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "packet/decode.h"

/* Add `size` bytes to a sum. All but the last piece must have an even size. */
uint64_t csum_add(uint64_t sum, const void *data, size_t size);

static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Sum of the pseudo-header (RFC 793, RFC 8200 section 8.1); `len` = transport header + data. */
uint64_t csum_pseudo(const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
		     uint32_t len);

/* Whether the transport checksum of a complete, unfragmented packet is right. A frame with
 * VNET_F_NEEDS_CSUM or VNET_F_DATA_VALID counts as right. */
bool csum_l4_ok(const struct pkt *pkt);

/* Complete a partial checksum (VNET_F_NEEDS_CSUM) in place and clear the flag. A super-frame is
 * left as it is: its segments get their own. */
void csum_complete(struct frame *frame);

#endif
