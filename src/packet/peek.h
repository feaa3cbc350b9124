/*
 * peek.h - what a packet means: whether it begins a flow, and the TCP header of one of which only
 * the beginning is at hand (a header-only query).
 */
#ifndef PACKET_PEEK_H
#define PACKET_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/decode.h"

/* `data`: the first `size` bytes of an IP packet. False when it is no TCP segment, a fragment, or
 * the TCP header (20 bytes) is not within those bytes. seg->wscale is not looked for. */
bool peek_tcp(const uint8_t *data, size_t size, struct tcp_seg *seg);

/* Whether a decoded packet would begin a flow: a first SYN, an echo request, anything of a protocol
 * that does not tell; never an ICMP error or a later fragment. */
bool pkt_starts_flow(const struct pkt *pkt);

#endif
