/*
 * decode.h - what a frame is.
 *
 * pkt_decode reads a frame once, through the cursor, and fills a flat description; nothing later
 * reads headers again except to rewrite them. Everything is checked here: header lengths, total
 * length, option and extension chains, flag combinations, addresses that may not be forwarded.
 * Ethernet padding behind the IP packet is cut off (frame->len shrinks).
 */
#ifndef PACKET_DECODE_H
#define PACKET_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/drop.h"
#include "packet/frame.h"

#define ETH_IPV4 0x0800
#define ETH_ARP 0x0806
#define ETH_VLAN 0x8100
#define ETH_IPV6 0x86dd
#define ETH_CLUSTER                                                                                \
	0x88b5 /* local experimental EtherType 1 (IEEE 802): sealed messages of members */

#define IPPROTO_NUM_ICMP 1
#define IPPROTO_NUM_TCP 6
#define IPPROTO_NUM_UDP 17
#define IPPROTO_NUM_ICMP6 58

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

enum pkt_kind {
	PKT_IP,	     /* IPv4 or IPv6, all fields valid */
	PKT_ARP,     /* use arp_parse on the frame */
	PKT_ND,	     /* ICMPv6 types 133..137: use nd_parse */
	PKT_CLUSTER, /* a message of a member begins at l3 */
};

struct tcp_seg {
	uint32_t seq;
	uint32_t ack;
	uint32_t len;	/* payload bytes, of a super-frame all of them */
	uint16_t win;	/* as in the header, unscaled */
	uint8_t flags;	/* TCP_FIN..TCP_URG; the ECN bits are left out */
	uint8_t wscale; /* of a SYN: 0..14, or 0xff when the option is absent */
};

/* Endpoints of a packet, or of the packet quoted inside an ICMP error. For ICMP echo both ports
 * are the identifier; for other protocols without ports both are 0. */
struct pkt_tuple {
	struct ipaddr src, dst;
	uint16_t sport, dport;
	uint8_t proto; /* ICMPv6 is IPPROTO_NUM_ICMP6 */
};

struct pkt {
	struct frame *frame;
	enum pkt_kind kind;
	uint8_t version;  /* 4 or 6 */
	uint8_t ttl;	  /* or hop limit */
	uint16_t vlan;	  /* VLAN id in the bytes, 0 = none */
	uint16_t l3;	  /* offsets from frame->data */
	uint16_t l4;	  /* 0 when this is a later fragment */
	uint16_t payload; /* first byte behind the transport header */
	uint32_t ip_len;  /* bytes of the whole IP packet, header included */
	struct macaddr eth_src, eth_dst;
	struct pkt_tuple tuple;
	/* fragments (RFC 791, RFC 8200 section 4.5) */
	bool fragment; /* part of a fragmented datagram (any part) */
	bool more_fragments;
	bool dont_fragment; /* IPv4 DF; always true for IPv6 */
	uint32_t frag_id;
	uint32_t frag_offset; /* bytes */
	uint32_t frag_len;    /* bytes of the datagram in this fragment */
	/* transport; not filled for later fragments (frag_offset > 0) */
	struct tcp_seg tcp;
	uint8_t icmp_type, icmp_code;
	bool icmp_error; /* an error of RFC 792 / RFC 4443: `inner` is valid */
	struct pkt_tuple inner;
	bool inner_fragment; /* the quoted packet is a later fragment: it has no ports */
	uint32_t inner_seq;  /* of a quoted TCP segment */
};

/* DROP_NONE and `pkt` filled, or the reason to drop. DROP_LINK_CONTROL for frames no firewall
 * forwards (LLDP, STP, IPv6 multicast control other than ND). The destination MAC is not judged
 * here. With DROP_NONE and kind PKT_IP all address checks of FC-14 that need no configuration have
 * passed (martians, link-local, multicast destinations, LAND), and a partial checksum is that of
 * the transport header or lies in its data. */
enum drop pkt_decode(struct pkt *pkt, struct frame *frame);

/* Decode a bare IP packet (a carried or tunnelled one) of `len` bytes at `data`+`l3`; eth fields
 * are left zero. */
enum drop pkt_decode_ip(struct pkt *pkt, struct frame *frame, uint16_t l3);

/* Largest IP packet this frame puts on a wire: ip_len, or of a super-frame headers + gso_size. */
uint32_t pkt_wire_len(const struct pkt *pkt);

/* ARP (RFC 826) for IPv4 over Ethernet. */
struct arp {
	uint16_t op; /* 1 request, 2 reply */
	struct macaddr sender_mac, target_mac;
	struct ipaddr sender_ip, target_ip;
};
enum drop arp_parse(struct arp *arp, const struct frame *frame, uint16_t l3);

/* Neighbour discovery (RFC 4861), hop limit 255 and checksum verified. */
struct nd {
	uint8_t type; /* 135 solicitation, 136 advertisement; others: ignored by the caller */
	struct ipaddr src, dst, target;
	bool has_mac; /* source or target link-layer address option present */
	struct macaddr mac;
	bool router, solicited, override;
};
enum drop nd_parse(struct nd *nd, const struct pkt *pkt);

#endif
