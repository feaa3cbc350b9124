/*
 * segment.h - cutting frames: a super-frame into the segments it stands for, and an IPv4 packet
 * into fragments (RFC 791).
 *
 * Both write the pieces one after the other into caller's memory; each piece is preceded by
 * FRAME_HEADROOM bytes and is a complete frame with an empty offload header and full checksums.
 */
#ifndef PACKET_SEGMENT_H
#define PACKET_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "packet/decode.h"

/* Cut a GSO super-frame (TCPv4, TCPv6, UDP_L4) into segments of vnet.gso_size payload bytes:
 * sequence numbers, IPv4 ids, PSH/FIN only on the last, CWR only on the first. Returns the number
 * of frames written to `out` (at most `max`), or -ENOSPC when `room` or `max` do not suffice, or
 * -EINVAL when the frame is no super-frame of these kinds. */
int segment_gso(const struct pkt *pkt, struct frame *out, unsigned max, uint8_t *room, size_t size);

/* Bytes of `room` that segment_gso needs, and the number of segments (into *n). */
size_t segment_gso_size(const struct pkt *pkt, unsigned *n);

/* Cut an IPv4 packet without DF into fragments for `mtu`. Returns and errors as above; -EINVAL
 * for IPv6, DF, or an mtu below 68. A packet that is a fragment itself is cut further. */
int segment_fragment(const struct pkt *pkt, uint32_t mtu, struct frame *out, unsigned max,
		     uint8_t *room, size_t size);

#endif
