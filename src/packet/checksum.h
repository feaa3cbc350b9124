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
#include <string.h>

#include "base/addr.h"
#include "packet/decode.h"

/* Add `size` bytes to a sum. All but the last piece must have an even size. */
uint64_t csum_add(uint64_t sum, const void *data, size_t size);

/* A word plus itself with its halves swapped: the upper half is the sum of both, and the carry that
 * comes up from the lower half is the one that goes around the end. */
static inline uint16_t csum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t) ~((half + (half << 16 | half >> 16)) >> 16);
}

/* Sum of the pseudo-header (RFC 793, RFC 8200 section 8.1); `len` = transport header + data. */
uint64_t csum_pseudo(const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto,
		     uint32_t len);

/* What replacing `was` by `now` adds to a sum; both as they lie in memory, at an even place. */
static inline uint64_t csum_change16(uint16_t was, uint16_t now)
{
	return (uint64_t)(uint16_t)~was + now;
}

static inline uint64_t csum_change32(uint32_t was, uint32_t now)
{
	return (uint64_t)(uint32_t)~was + now;
}

/* The checksum at `field` after `change` of what it covers: RFC 1624 equation 3, so the result is
 * never 0xffff. */
static inline void csum_update(uint8_t *field, uint64_t change)
{
	uint16_t sum;

	memcpy(&sum, field, sizeof(sum));
	sum = csum_fold((uint16_t)~sum + change);
	memcpy(field, &sum, sizeof(sum));
}

/* The same for a partial checksum, the sum of the pseudo-header itself. */
static inline void csum_update_partial(uint8_t *field, uint64_t change)
{
	uint16_t sum;

	memcpy(&sum, field, sizeof(sum));
	sum = (uint16_t)~csum_fold(sum + change);
	memcpy(field, &sum, sizeof(sum));
}

/* Whether the transport header's own checksum is the one left to the device; else that is one
 * inside the data. */
static inline bool csum_is_partial(const struct pkt *pkt)
{
	const struct vnet *v = &pkt->frame->vnet;

	return v->flags & VNET_F_NEEDS_CSUM && v->csum_start == pkt->l4;
}

/* Whether the transport checksum of a complete, unfragmented packet is right. A frame with
 * VNET_F_NEEDS_CSUM or VNET_F_DATA_VALID counts as right. */
bool csum_l4_ok(const struct pkt *pkt);

/* Complete a partial checksum (VNET_F_NEEDS_CSUM) in place and clear the flag. A super-frame is
 * left as it is: its segments get their own. */
void csum_complete(struct frame *frame);

#endif
