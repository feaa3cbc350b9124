/*
 * build.h - packets that the daemon originates, built with libnet (no socket is opened: libnet
 * runs in its construct-only mode).
 *
 * Every function writes a complete Ethernet frame, checksums done, into `out` of `size` bytes and
 * returns its length, or 0 when it does not fit or may not be sent (see each). The caller gives
 * MAC addresses; `vlan` 0 = untagged.
 */
#ifndef PACKET_BUILD_H
#define PACKET_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "packet/decode.h"

struct build; /* holds the libnet context; one per engine */
struct build *build_new(void);
void build_free(struct build *b);

struct build_eth {
	struct macaddr dst, src;
	uint16_t vlan;
};

#define BUILD_MAX 1400

/* ARP request / reply (RFC 826). A gratuitous ARP is a request with sender == target. */
size_t build_arp(struct build *b, const struct build_eth *eth, const struct arp *arp, uint8_t *out,
		 size_t size);

/* Neighbour solicitation (with source link-layer address option) / advertisement (with target
 * link-layer address option), RFC 4861; nd->type chooses. */
size_t build_nd(struct build *b, const struct build_eth *eth, const struct nd *nd, uint8_t *out,
		size_t size);

/* TCP reset that the sender of `pkt` accepts (RFC 9293 section 3.10.7.1), from pkt's destination;
 * 0 for a packet that is itself a reset, or is no TCP. */
size_t build_tcp_reset(struct build *b, const struct build_eth *eth, const struct pkt *pkt,
		       uint8_t *out, size_t size);

/* ICMP or ICMPv6 error about `pkt` from address `from` (RFC 1812 section 4.3.2, RFC 4443 section
 * 2.4): quotes as much as fits (at most 548 bytes of IPv4, the IPv6 minimum MTU 1280). `mtu` is put
 * in for "fragmentation needed" / "packet too big". 0 when no error may be sent about it: an ICMP
 * error, a later fragment, a multicast or broadcast source or destination. */
struct build_icmp {
	uint8_t type, code;
	uint32_t mtu;
	struct ipaddr from;
};
size_t build_icmp_error(struct build *b, const struct build_eth *eth, const struct pkt *pkt,
			const struct build_icmp *icmp, uint8_t *out, size_t size);

/* ICMP or ICMPv6 echo request (RFC 792, RFC 4443 section 4.1) with `size` bytes of data. */
struct build_echo {
	struct ipaddr from, to;
	uint16_t id, seq;
	const uint8_t *data;
	size_t size;
};
size_t build_echo(struct build *b, const struct build_eth *eth, const struct build_echo *echo,
		  uint8_t *out, size_t size);

#endif
