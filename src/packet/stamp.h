/*
 * stamp.h - the path of a flow, carried in the spare option room of a SYN (HD-14, HD-15).
 *
 *   +--------+--------+--------+--------+--------+--------+
 *   | kind   | length |      ExID       |   path id       |    RFC 6994: shared use of the
 *   | 253    |   6    |   0x4657 "FW"   |                 |    experimental kinds
 *   +--------+--------+--------+--------+--------+--------+   padded with two NOPs to 8 bytes
 *
 * Only SYNs (with or without ACK) are ever stamped. All functions keep pkt, the frame's length and
 * offload header, the IP length and all checksums (complete or partial) in step; the frame's bytes
 * in front of the TCP payload move through its headroom, so that data in the SYN stays in place.
 */
#ifndef PACKET_STAMP_H
#define PACKET_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/decode.h"

#define STAMP_SIZE 8
#define STAMP_EXID 0x4657
#define STAMP_RELAY 0 /* the mark of a dispatcher's relay, and no path (HD-18) */

/* Put a stamp in. False, and nothing changed, when it is no SYN, is a fragment, has no room for 8
 * more bytes of options, holds one already, or would exceed `mtu`. The frame must have STAMP_SIZE
 * bytes of headroom. */
bool stamp_insert(struct pkt *pkt, uint16_t path, uint32_t mtu);

/* The path id of the first stamp; 0 when there is none. Any other length of an option with that
 * kind and ExID counts as one without value (0), but is found by stamp_present. */
uint16_t stamp_read(const struct pkt *pkt);
bool stamp_present(const struct pkt *pkt);
/* Whether the first stamp is a whole one that says STAMP_RELAY. */
bool stamp_is_relay(const struct pkt *pkt);

/* Take every stamp out, whatever its length, and the padding with it where that leaves the header a
 * whole number of words (else NOPs fill it). Returns how many were there. */
unsigned stamp_remove(struct pkt *pkt);

/* In the segment that an ICMP error quotes, as far as it is quoted: put NOPs where stamps are. What
 * the quoted headers say of lengths and sums stays, since nothing can be checked there. Returns how
 * many there were. */
unsigned stamp_erase_quoted(struct pkt *pkt);

#endif
