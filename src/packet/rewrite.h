/*
 * rewrite.h - in-place changes to a decoded frame before it is sent on.
 *
 * All functions keep `pkt` and the frame's offload header in step with the bytes.
 */
#ifndef PACKET_REWRITE_H
#define PACKET_REWRITE_H

#include <stdint.h>

#include "packet/decode.h"

/* New Ethernet header: addresses, and the tag of VLAN `vlan` (0 = none) put in or taken out
 * through the frame's headroom; csum_start follows. */
void rewrite_ethernet(struct pkt *pkt, const struct macaddr *dst, const struct macaddr *src,
		      uint16_t vlan);

/* TTL or hop limit minus one, IPv4 checksum updated incrementally. The caller has seen ttl > 1. */
void rewrite_ttl(struct pkt *pkt);

#endif
