/*
 * offload.bpf.c - the kernel's part of flow offload: packets of flows that the daemon has judged go
 * from one interface to another without it.
 *
 * Two programs see each packet that comes in, one right after the other, on the same processor and
 * without another packet between them:
 *
 *   packet socket ── offload_filter: judges ──┬── the daemon's: delivered to it
 *         │                                   └── not: a verdict is left behind, nothing delivered
 *   TC ingress ───── offload_ingress: a verdict? rewrite and redirect, else on to the host's stack
 *
 * offload_filter first does what the socket's classic filter does (port_set_filter). It leaves a
 * packet to the daemon whenever there is any doubt: all that the daemon's decoder would discard,
 * all that may change the state of a connection, all that does not fit. So it is short, and nothing
 * here has a policy of its own.
 *
 * If a verdict is still there when the next packet comes, something took the packet away before
 * offload_ingress (the program was removed, or another one stands in front of it), and it is lost.
 * That happens once: then everything goes to the daemon until it has seen to it.
 *
 * What the engine writes meanwhile: it voids a direction's lease before it changes anything else
 * there. The verdict holds the lease that was judged by, and it has to be the same before and after
 * the direction has been read.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "io/offload_prog.h"

#define TAKE 0xffffffff
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8
#define IPV4_DF 0x4000
#define SHORTEST_FRAME 60 /* padded to that */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_URG 0x20

#define OPTIONS_TIME 0x0101080a /* NOP NOP timestamp: what every segment of a connection has */
#define OPTIONS_TIME_SIZE 12
#define OPTIONS_SACK 0x01010500 /* NOP NOP SACK, and the length of the last */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader's business */
	__type(key, struct offload_key);
	__type(value, __u32);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* likewise */
	__type(key, __u32);
	__type(value, struct offload_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct offload_page);
} page SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OFFLOAD_PORTS);
	__type(key, __u32);
	__type(value, struct offload_port);
} ports SEC(".maps");

struct verdict {
	__u64 lease_ns;
	__u32 ifindex;
	__u32 value; /* OFFLOAD_VALUE + 1; 0 = none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

/* The headers as they are on the wire, so placed that those of IP can be read by words. */
struct head {
	__u8 unused[2];
	__u8 to[6], from[6];
	__be16 type;
	union {
		__u8 bytes[IPV6_HEADER];
		__be16 half[IPV6_HEADER / 2];
		__be32 word[IPV6_HEADER / 4];
	} ip;
};

struct packet {
	struct head head;
	struct offload_key key;
	__u32 l4; /* offset in the frame */
};

#define HEAD(p) (&(p)->head.to) /* where the frame begins */

static __always_inline int parse_ipv4(struct packet *p)
{
	__u32 fragment = bpf_ntohs(p->head.ip.half[3]);

	if (p->head.ip.bytes[0] != 0x45 || fragment & ~IPV4_DF)
		return 0;
	p->key.version = 4;
	p->key.proto = p->head.ip.bytes[9];
	__builtin_memcpy(p->key.src, &p->head.ip.word[3], 4);
	__builtin_memcpy(p->key.dst, &p->head.ip.word[4], 4);
	p->l4 = ETH_HLEN + IPV4_HEADER;
	return 1;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	if (p->head.ip.bytes[0] >> 4 != 6 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + IPV4_HEADER, &p->head.ip.bytes[IPV4_HEADER],
			       IPV6_HEADER - IPV4_HEADER) < 0)
		return 0;
	p->key.version = 6;
	p->key.proto = p->head.ip.bytes[6];
	__builtin_memcpy(p->key.src, &p->head.ip.word[2], 16);
	__builtin_memcpy(p->key.dst, &p->head.ip.word[6], 16);
	p->l4 = ETH_HLEN + IPV6_HEADER;
	return 1;
}

/* A plain Ethernet frame with TCP or UDP in a plain IP packet: 1. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *p)
{
	int plain;

	if (skb->vlan_present || bpf_skb_load_bytes(skb, 0, HEAD(p), ETH_HLEN + IPV4_HEADER) < 0)
		return 0;
	__builtin_memset(&p->key, 0, sizeof(p->key));
	p->key.ifindex = skb->ifindex;
	if (p->head.type == bpf_htons(ETH_P_IP))
		plain = parse_ipv4(p);
	else if (p->head.type == bpf_htons(ETH_P_IPV6))
		plain = parse_ipv6(skb, p);
	else
		return 0;
	if (!plain || (p->key.proto != IPPROTO_TCP && p->key.proto != IPPROTO_UDP))
		return 0;
	return bpf_skb_load_bytes(skb, p->l4, &p->key.sport, 4) == 0;
}

static __always_inline int same_key(const struct offload_key *x, const struct offload_key *y)
{
	const __u32 *a = (const __u32 *)x, *b = (const __u32 *)y;
	__u32 difference = 0;

#pragma unroll
	for (unsigned i = 0; i < sizeof(*x) / 4; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static __always_inline int same_mac(const __u8 *x, const __u8 *y)
{
	__u8 difference = 0;

#pragma unroll
	for (unsigned i = 0; i < ETH_ALEN; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}

static __always_inline struct offload_page *the_page(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&page, &zero);
}

static __always_inline struct verdict *the_verdict(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&verdicts, &zero);
}

/* The slot of a value of the hash, unless it is void. */
static __always_inline struct offload_slot *slot_of(__u32 value)
{
	struct offload_page *pg = the_page();
	__u32 index = value >> 1;
	struct offload_slot *s = bpf_map_lookup_elem(&slots, &index);

	if (!s || !pg)
		return NULL;
	if (*(volatile __u32 *)&s->generation != *(volatile __u32 *)&pg->control.generation)
		return NULL;
	return s;
}

static __always_inline struct offload_dir *dir_of(struct offload_slot *s, __u32 value)
{
	return value & 1 ? &s->dir[1] : &s->dir[0];
}

static __always_inline __u64 lease_of(const struct offload_dir *d)
{
	return *(volatile const __u64 *)&d->lease_ns;
}

/* --- judging ------------------------------------------------------------------------------------
 */

static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u32 ipv4_sum(const struct packet *p)
{
	__u32 sum = 0;

#pragma unroll
	for (unsigned i = 0; i < IPV4_HEADER / 2; i++)
		sum += p->head.ip.half[i];
	return fold(sum);
}

/* Length of the IP packet; 0 = the header is not to be believed, or contradicts the frame. */
static __always_inline __u32 ip_length(struct __sk_buff *skb, const struct packet *p)
{
	__u32 ip, frame = skb->len - ETH_HLEN;

	if (p->key.version == 4) {
		ip = bpf_ntohs(p->head.ip.half[1]);
		if (ipv4_sum(p) != 0xffff)
			return 0;
	} else {
		ip = IPV6_HEADER + bpf_ntohs(p->head.ip.half[2]);
	}
	if (ip == frame || (ip < frame && skb->len <= SHORTEST_FRAME))
		return ip;
	return 0;
}

static __always_inline int allowed_to_hop(const struct packet *p, const struct offload_dir *d)
{
	__u8 ttl = p->key.version == 4 ? p->head.ip.bytes[8] : p->head.ip.bytes[7];

	return ttl > (d->flags & OFFLOAD_TTL ? 1 : 0);
}

static __always_inline int from_whom_and_to_us(const struct packet *p, const struct offload_dir *d)
{
	return same_mac(p->head.to, d->to) &&
	       (!(d->flags & OFFLOAD_CHECK_SENDER) || same_mac(p->head.from, d->from));
}

/* Options that hosts send all the time. Others may be malformed: the daemon finds out. */
static __always_inline int usual_options(struct __sk_buff *skb, __u32 at, __u32 size)
{
	__be32 word;

	if (size == 0)
		return 1;
	if (bpf_skb_load_bytes(skb, at, &word, sizeof(word)) < 0)
		return 0;
	if (word == bpf_htonl(OPTIONS_TIME)) {
		if (size == OPTIONS_TIME_SIZE)
			return 1;
		if (size < OPTIONS_TIME_SIZE)
			return 0;
		at += OPTIONS_TIME_SIZE;
		size -= OPTIONS_TIME_SIZE;
		if (bpf_skb_load_bytes(skb, at, &word, sizeof(word)) < 0)
			return 0;
	}
	/* some blocks of 8 bytes, after kind and length, after two NOPs */
	return size >= 12 && (size - 4) % 8 == 0 &&
	       word == bpf_htonl(OPTIONS_SACK | ((size - 2) & 0xff));
}

struct segment {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 win;
};

static __always_inline int judge_tcp(struct __sk_buff *skb, const struct packet *p, __u32 ip_len,
				     struct offload_slot *s, struct offload_dir *d, __u32 side)
{
	__u32 headers, ip_header = p->l4 - ETH_HLEN, gso = skb->gso_size;
	struct segment tcp;

	if (bpf_skb_load_bytes(skb, p->l4, &tcp, sizeof(tcp)) < 0)
		return 0;
	headers = ip_header + (tcp.offset >> 4) * 4;
	if (headers < ip_header + TCP_HEADER || headers > ip_len)
		return 0;
	if ((tcp.flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG)) != TCP_ACK)
		return 0;
	if ((gso ? gso + headers : ip_len) > d->mtu)
		return 0;
	if (!usual_options(skb, p->l4 + TCP_HEADER, headers - ip_header - TCP_HEADER))
		return 0;
	if (d->flags & OFFLOAD_TRACK &&
	    !offload_tcp_pass(&s->track, side, bpf_ntohl(tcp.seq), ip_len - headers,
			      bpf_ntohl(tcp.ack), bpf_ntohs(tcp.win)))
		return 0;
	d->ack = bpf_ntohl(tcp.ack);
	return 1;
}

/* A super-frame may hold a tunnel's packets, of which nobody here knows the size. */
static __always_inline int judge_udp(struct __sk_buff *skb, const struct packet *p, __u32 ip_len,
				     const struct offload_dir *d)
{
	__be16 length;

	if (skb->gso_size || ip_len > d->mtu ||
	    bpf_skb_load_bytes(skb, p->l4 + 4, &length, sizeof(length)) < 0)
		return 0;
	return bpf_ntohs(length) >= UDP_HEADER && p->l4 - ETH_HLEN + bpf_ntohs(length) == ip_len;
}

/* 1: the kernel is to pass this packet on; counted, and the verdict written. */
static __always_inline int judge(struct __sk_buff *skb, struct verdict *v)
{
	struct packet p;
	struct offload_slot *s;
	struct offload_dir *d;
	__u64 lease, now;
	__u32 *value, side, ip_len;

	if (!parse(skb, &p))
		return 0;
	value = bpf_map_lookup_elem(&keys, &p.key);
	if (!value)
		return 0;
	side = *value & 1;
	s = slot_of(*value);
	if (!s)
		return 0;
	d = dir_of(s, side);
	lease = lease_of(d);
	now = bpf_ktime_get_ns();
	/* the hash may have given the place of this key to another one meanwhile */
	if (now >= lease || !same_key(&d->key, &p.key))
		return 0;
	ip_len = ip_length(skb, &p);
	if (!ip_len || !from_whom_and_to_us(&p, d) || !allowed_to_hop(&p, d))
		return 0;
	if (p.key.proto == IPPROTO_TCP ? !judge_tcp(skb, &p, ip_len, s, d, side)
				       : !judge_udp(skb, &p, ip_len, d))
		return 0;
	__sync_fetch_and_add(&d->packets, 1);
	__sync_fetch_and_add(&d->bytes, ip_len);
	d->last_ns = now;
	v->lease_ns = lease;
	v->ifindex = p.key.ifindex;
	v->value = *value + 1;
	return 1;
}

/* A frame to another host that the port wants nevertheless. */
static __always_inline int wants_others(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct offload_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	__u8 to[ETH_ALEN];

	if (!port)
		return 0;
	if (port->promiscuous)
		return 1;
	return port->has_mac && bpf_skb_load_bytes(skb, 0, to, sizeof(to)) == 0 &&
	       same_mac(to, port->mac);
}

SEC("socket")
int offload_filter(struct __sk_buff *skb)
{
	struct verdict *v = the_verdict();
	struct offload_page *pg = the_page();

	if (skb->pkt_type == PACKET_OUTGOING)
		return 0;
	if (v && pg && v->value) {
		pg->broken_ifindex = v->ifindex;
		v->value = 0;
	}
	if (skb->pkt_type == PACKET_OTHERHOST && !wants_others(skb))
		return 0;
	if (!v || !pg || *(volatile __u32 *)&pg->broken_ifindex)
		return TAKE;
	return judge(skb, v) ? 0 : TAKE;
}

/* --- rewriting ----------------------------------------------------------------------------------
 */

/* What of a direction the rewriting needs, read once. */
struct orders {
	__u8 out_to[6], out_from[6];
	__u32 out_ifindex;
	__be32 src[4], dst[4];
	__be16 sport, dport;
	__u16 flags;
};

static __always_inline void read_orders(struct orders *o, const struct offload_dir *d)
{
	__builtin_memcpy(o->out_to, d->out_to, sizeof(o->out_to));
	__builtin_memcpy(o->out_from, d->out_from, sizeof(o->out_from));
	__builtin_memcpy(o->src, d->flags & OFFLOAD_SRC ? d->src : d->key.src, sizeof(o->src));
	__builtin_memcpy(o->dst, d->flags & OFFLOAD_DST ? d->dst : d->key.dst, sizeof(o->dst));
	o->sport = d->flags & OFFLOAD_SRC ? d->sport : d->key.sport;
	o->dport = d->flags & OFFLOAD_DST ? d->dport : d->key.dport;
	o->out_ifindex = d->out_ifindex;
	o->flags = d->flags;
}

/* Ports, and the checksum over them and the addresses. A partial checksum is one of the addresses
 * alone: the helper knows. One of UDP that is absent stays so. */
static __always_inline int rewrite_l4(struct __sk_buff *skb, const struct packet *p,
				      const struct orders *o)
{
	struct {
		__be32 src[4], dst[4];
	} old, new;
	struct {
		__be16 sport, dport;
	} ports_new = {o->sport, o->dport};
	__u32 sum = p->l4 + (p->key.proto == IPPROTO_TCP ? 16 : 6), before, after;
	__u64 flags = p->key.proto == IPPROTO_TCP ? 0 : BPF_F_MARK_MANGLED_0;
	__s64 difference;

	__builtin_memcpy(old.src, p->key.src, sizeof(old.src));
	__builtin_memcpy(old.dst, p->key.dst, sizeof(old.dst));
	__builtin_memcpy(new.src, o->src, sizeof(new.src));
	__builtin_memcpy(new.dst, o->dst, sizeof(new.dst));
	difference = bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&new, sizeof(new), 0);
	if (difference < 0 ||
	    bpf_l4_csum_replace(skb, sum, 0, difference, flags | BPF_F_PSEUDO_HDR) < 0)
		return -1;
	__builtin_memcpy(&before, &p->key.sport, sizeof(before));
	__builtin_memcpy(&after, &ports_new, sizeof(after));
	if (before == after)
		return 0;
	if (bpf_l4_csum_replace(skb, sum, before, after, flags | sizeof(after)) < 0)
		return -1;
	return (int)bpf_skb_store_bytes(skb, p->l4, &ports_new, sizeof(ports_new), 0);
}

/* The checksum of the header makes up for every change in it, so that the sum of the whole frame
 * stays what the device may have said it is. */
static __always_inline int rewrite_ipv4(struct __sk_buff *skb, struct packet *p,
					const struct orders *o)
{
	if (o->flags & OFFLOAD_TTL)
		p->head.ip.bytes[8]--;
	p->head.ip.word[3] = o->src[0];
	p->head.ip.word[4] = o->dst[0];
	p->head.ip.half[5] = 0;
	p->head.ip.half[5] = (__be16)~ipv4_sum(p);
	return (int)bpf_skb_store_bytes(skb, 0, HEAD(p), ETH_HLEN + IPV4_HEADER, 0);
}

static __always_inline int rewrite_ipv6(struct __sk_buff *skb, struct packet *p,
					const struct orders *o)
{
	__u32 size = o->flags & (OFFLOAD_SRC | OFFLOAD_DST) ? 34 : 2;

	if (bpf_skb_store_bytes(skb, 0, HEAD(p), ETH_HLEN, 0) < 0)
		return -1;
	if (o->flags & OFFLOAD_TTL)
		p->head.ip.bytes[7]--;
	__builtin_memcpy(&p->head.ip.word[2], o->src, sizeof(o->src));
	__builtin_memcpy(&p->head.ip.word[6], o->dst, sizeof(o->dst));
	return (int)bpf_skb_store_bytes(skb, ETH_HLEN + 6, &p->head.ip.half[3], size,
					BPF_F_RECOMPUTE_CSUM);
}

SEC("tc")
int offload_ingress(struct __sk_buff *skb)
{
	struct verdict *v = the_verdict(), verdict;
	struct offload_slot *s;
	struct offload_dir *d;
	struct packet p;
	struct orders o;

	if (!v || !v->value)
		return TC_ACT_UNSPEC;
	verdict = *v;
	v->value = 0;
	s = slot_of(verdict.value - 1);
	if (!s || !parse(skb, &p))
		return TC_ACT_UNSPEC;
	d = dir_of(s, verdict.value - 1);
	if (lease_of(d) != verdict.lease_ns || !same_key(&d->key, &p.key))
		return TC_ACT_UNSPEC;
	read_orders(&o, d);
	if (lease_of(d) != verdict.lease_ns)
		return TC_ACT_UNSPEC;
	__builtin_memcpy(p.head.to, o.out_to, sizeof(p.head.to));
	__builtin_memcpy(p.head.from, o.out_from, sizeof(p.head.from));
	if (o.flags & (OFFLOAD_SRC | OFFLOAD_DST) && rewrite_l4(skb, &p, &o) < 0)
		return TC_ACT_SHOT;
	if ((p.key.version == 4 ? rewrite_ipv4(skb, &p, &o) : rewrite_ipv6(skb, &p, &o)) < 0)
		return TC_ACT_SHOT;
	return (int)bpf_redirect(o.out_ifindex, 0);
}

char offload_license[] SEC("license") = "GPL";
