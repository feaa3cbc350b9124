#include "kernel.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "packet/nat.h"
#include "packet/rewrite.h"

struct kernel *kernel_new(struct engine *e)
{
	struct kernel *k = calloc(1, sizeof(*k));
	struct offload_memory m;

	if (!k)
		abort();
	m = (struct offload_memory){.slots = k->slots,
				    .n_slots = KERNEL_SLOTS,
				    .control = &k->control,
				    .after = KERNEL_AFTER};
	if (engine_set_offload(e, &m) < 0)
		abort();
	return k;
}

void kernel_free(struct kernel *k)
{
	free(k);
}

/* --- the hash ----------------------------------------------------------------------------------
 */

static struct offload_change *find(struct kernel *k, const struct offload_key *key)
{
	for (unsigned i = 0; i < k->n_keys; i++)
		if (memcmp(&k->keys[i].key, key, sizeof(*key)) == 0)
			return &k->keys[i];
	return NULL;
}

void kernel_apply(struct kernel *k, struct engine *e)
{
	struct offload_change c;

	while (engine_offload_change(e, &c)) {
		struct offload_change *there = find(k, &c.key);
		if (!c.add) { /* each was added once, and nobody else's is taken out */
			if (!there || there->value != c.value)
				abort();
			*there = k->keys[--k->n_keys];
		} else if (there || k->n_keys == 2 * KERNEL_SLOTS) {
			engine_offload_failed(e, &c);
		} else {
			k->keys[k->n_keys++] = c;
		}
	}
}

/* --- a packet ------------------------------------------------------------------------------------
 */

static void address(uint8_t out[16], const struct ipaddr *a, uint8_t version)
{
	memset(out, 0, 16);
	memcpy(out, version == 4 ? a->b + 12 : a->b, version == 4 ? 4 : 16);
}

static struct ipaddr unaddress(const uint8_t in[16], uint8_t version)
{
	struct ipaddr a;

	if (version == 4)
		return ipaddr_v4(in);
	memcpy(a.b, in, 16);
	return a;
}

static bool judge(struct kernel *k, const struct pkt *pkt, uint32_t value, uint64_t now_ns)
{
	struct offload_slot *s = &k->slots[value >> 1];
	const struct offload_dir *d = &s->dir[value & 1];

	if (s->generation != k->control.generation || d->lease_ns <= now_ns)
		return false;
	if (memcmp(pkt->eth_dst.b, d->to, 6) != 0 ||
	    (d->flags & OFFLOAD_CHECK_SENDER && memcmp(pkt->eth_src.b, d->from, 6) != 0))
		return false;
	if ((d->flags & OFFLOAD_TTL && pkt->ttl <= 1) || pkt_wire_len(pkt) > d->mtu)
		return false;
	if (pkt->tuple.proto != IPPROTO_NUM_TCP)
		return true;
	if ((pkt->tcp.flags & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) != TCP_ACK)
		return false;
	return !(d->flags & OFFLOAD_TRACK) ||
	       offload_tcp_pass(&s->track, value & 1, pkt->tcp.seq, pkt->tcp.len, pkt->tcp.ack,
				pkt->tcp.win);
}

static void pass(struct offload_dir *d, struct pkt *pkt, uint64_t now_ns)
{
	struct macaddr to, from;
	struct pkt_tuple t = pkt->tuple;

	d->packets++;
	d->bytes += pkt->ip_len;
	d->last_ns = now_ns;
	d->ack = pkt->tcp.ack;
	if (d->flags & OFFLOAD_TTL)
		rewrite_ttl(pkt);
	t.src = unaddress(d->src, pkt->version);
	t.dst = unaddress(d->dst, pkt->version);
	t.sport = ntohs(d->sport);
	t.dport = ntohs(d->dport);
	if (d->flags & (OFFLOAD_SRC | OFFLOAD_DST))
		nat_rewrite(pkt, &t);
	memcpy(to.b, d->out_to, 6);
	memcpy(from.b, d->out_from, 6);
	rewrite_ethernet(pkt, &to, &from, 0);
	pkt->frame->port = (uint16_t)(d->out_ifindex - 1);
}

bool kernel_pass(struct kernel *k, struct frame *frame, uint64_t now_ns)
{
	struct offload_change *c;
	struct offload_key key;
	struct pkt pkt;

	if (pkt_decode(&pkt, frame) != DROP_NONE || pkt.kind != PKT_IP || pkt.fragment ||
	    pkt.vlan || (pkt.tuple.proto != IPPROTO_NUM_TCP && pkt.tuple.proto != IPPROTO_NUM_UDP))
		return false;
	memset(&key, 0, sizeof(key));
	key.ifindex = frame->port + 1u;
	key.version = pkt.version;
	key.proto = pkt.tuple.proto;
	key.sport = htons(pkt.tuple.sport);
	key.dport = htons(pkt.tuple.dport);
	address(key.src, &pkt.tuple.src, pkt.version);
	address(key.dst, &pkt.tuple.dst, pkt.version);
	c = find(k, &key);
	if (!c || !judge(k, &pkt, c->value, now_ns))
		return false;
	pass(&k->slots[c->value >> 1].dir[c->value & 1], &pkt, now_ns);
	k->passed++;
	return true;
}
