/*
 * nat.h - other addresses and ports in a decoded packet (l4/3: HD-8), RFC 3022, RFC 1624.
 *
 * Checksums are updated incrementally; a partial one (VNET_F_NEEDS_CSUM: the field holds the
 * un-complemented sum of the pseudo-header) as what it is; an IPv4 UDP checksum of zero stays zero
 * and one that becomes zero is sent as 0xffff. Super-frames are rewritten as one. Later fragments
 * get new addresses only, a first fragment ports, too. pkt->tuple and pkt->inner follow.
 */
#ifndef PACKET_NAT_H
#define PACKET_NAT_H

#include <stdint.h>

#include "packet/decode.h"

/* New source and destination: `to` has the packet's protocol and family. For ICMP echo the ports
 * (both the identifier) are left as they are. */
void nat_rewrite(struct pkt *pkt, const struct pkt_tuple *to);

/* An ICMP error: `inner` = what the quoted packet is to say, `src` and `dst` the addresses of the
 * error itself. The quoted IPv4 header checksum and, where it is quoted, the transport checksum
 * follow, and the ICMP checksum with them. A quoted later fragment has no ports. */
void nat_rewrite_error(struct pkt *pkt, const struct ipaddr *src, const struct ipaddr *dst,
		       const struct pkt_tuple *inner);

#endif
