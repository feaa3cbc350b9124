/*
 * offload_map.h - memory that the engine and the kernel program (src/io/offload.bpf.c) share, and
 * the one rule that both apply: the window check of FC-13 on an established connection.
 *
 * Included by both, so it needs nothing but fixed-width integers. A slot is one flow of which the
 * engine has seen enough to leave its packets to the kernel, a direction at a time. The engine
 * writes a direction, then `lease_ns` last; the kernel program writes the traffic, `last_ns` and
 * the tracking. A lease ends by itself: then a packet comes to the daemon, which looks everything
 * up anew. So what the kernel does follows the daemon's knowledge within a lease even if nobody
 * remembers to void it, and stops when the daemon dies.
 */
#ifndef NODE_OFFLOAD_MAP_H
#define NODE_OFFLOAD_MAP_H

#include <stdint.h>

#define OFFLOAD_WINDOW_LEAST 65536u
#define OFFLOAD_WINDOW_MOST (1u << 30)

/* What packets of one direction look like on the wire. Ports in network order; an IPv4 address is
 * in the first four bytes, the others are zero. */
struct offload_key {
	uint32_t ifindex; /* where they come in */
	uint8_t version;  /* 4 or 6 */
	uint8_t proto;	  /* TCP or UDP */
	uint16_t sport, dport;
	uint16_t zero;
	uint8_t src[16], dst[16];
};

#define OFFLOAD_CHECK_SENDER 1 /* only from that MAC address */
#define OFFLOAD_TTL 2	       /* a hop: the TTL goes down by one */
#define OFFLOAD_SRC 4	       /* source address and port become those of `src`, `sport` */
#define OFFLOAD_DST 8	       /* likewise the destination */
#define OFFLOAD_TRACK 16       /* TCP: judge by offload_tcp_pass */

struct offload_dir {
	struct offload_key key;
	uint32_t out_ifindex;
	uint64_t lease_ns; /* CLOCK_MONOTONIC; 0 = the daemon's */
	/* what the kernel program has done so far */
	uint64_t packets, bytes; /* bytes of IP packets, a super-frame counts as one */
	uint64_t last_ns;	 /* CLOCK_MONOTONIC of the last one */
	uint32_t ack;		 /* TCP: the last number acknowledged */
	uint32_t mtu;		 /* of the way out: longest IP packet on the wire */
	uint8_t to[6], from[6];	 /* Ethernet addresses they come with */
	uint8_t out_to[6], out_from[6];
	uint16_t flags; /* OFFLOAD_* */
	uint16_t sport, dport;
	uint16_t zero;
	uint8_t src[16], dst[16];
};

/* As struct tcp_track (flow/tcp.h). */
struct offload_peer {
	uint32_t end, max_end, una;
};

struct offload_track {
	struct offload_peer peer[2]; /* by side */
	uint32_t max_win[2];	     /* unscaled */
	uint32_t scale[2];	     /* window shift, and OFFLOAD_MIDWAY */
};

/* The connection was picked up midway: what was in flight then is known by acknowledgements. */
#define OFFLOAD_MIDWAY 16

struct offload_slot {
	uint32_t generation; /* void unless equal to that of the control page */
	uint32_t zero;
	struct offload_track track;
	struct offload_dir dir[2]; /* by side: 0 = packets of the originator */
};

/* The one element of the control array. */
struct offload_control {
	uint32_t generation;
};

/* Value in the hash of keys: slot << 1 | side. */
#define OFFLOAD_VALUE(slot, side) ((slot) << 1 | (side))

static inline int offload_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline uint32_t offload_reach(const struct offload_track *t, unsigned side)
{
	uint32_t window = t->max_win[side] << (t->scale[side] & 15);

	return window > OFFLOAD_WINDOW_LEAST ? window : OFFLOAD_WINDOW_LEAST;
}

/* A segment with ACK and without SYN, FIN, RST from side `from` (0 or 1) of an established
 * connection: 1 and the tracking has moved on, as tcp_track_segment would have moved it, or 0 and
 * nothing changed. Numbers in host order; `len` bytes of payload, `win` as in the header. */
static inline int offload_tcp_pass(struct offload_track *t, unsigned from, uint32_t seq,
				   uint32_t len, uint32_t ack, uint16_t win)
{
	struct offload_peer *s = &t->peer[from & 1], *r = &t->peer[(from & 1) ^ 1];
	uint32_t end = seq + len, back = offload_reach(t, from & 1) * 2, limit;
	uint32_t most = t->scale[0] & OFFLOAD_MIDWAY ? r->max_end : r->end;

	if (back > OFFLOAD_WINDOW_MOST)
		back = OFFLOAD_WINDOW_MOST;
	if (offload_after(end, s->max_end + 1) ||
	    offload_after(s->una - offload_reach(t, (from & 1) ^ 1), end) ||
	    offload_after(ack, most) || offload_after(r->end - back, ack))
		return 0;
	if (offload_after(end, s->end))
		s->end = end;
	if (offload_after(s->end, s->max_end))
		s->max_end = s->end;
	if (offload_after(ack, r->end))
		r->end = ack;
	limit = ack + ((uint32_t)win << (t->scale[from & 1] & 15));
	if (offload_after(limit, r->max_end))
		r->max_end = limit;
	if (offload_after(ack, r->una))
		r->una = ack;
	if (win > t->max_win[from & 1])
		t->max_win[from & 1] = win;
	return 1;
}

#endif
