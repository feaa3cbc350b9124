/*
 * offload.c - which flows the kernel passes on, and what is known of them.
 */
#include "node/offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"

/* Unless it is renewed, one packet per lease and direction comes to the daemon, which looks at
 * everything anew. */
#define LEASE_NS 4000000000ULL
#define LEASE_FRESH_NS 3500000000ULL /* not worth writing anew */

/* A program that runs on another processor may still look at a slot that has been given back. */
#define REST_NS 20000000ULL

#define NO_SLOT 0 /* in slot_of; slots count from 1 there */

struct place {
	uint32_t owner;
	uint8_t kind;	/* enum offload_owner */
	bool used;	/* has an owner */
	bool queued;	/* among the changes */
	uint8_t known;	/* bit per side: its direction is filled in */
	uint8_t wanted; /* bit per side: its key is to be in the kernel's hash */
	uint8_t there;	/* bit per side: it is, as far as the changes have been asked for */
	uint64_t freed_ns;
	struct offload_traffic taken[2]; /* of what the slot counts */
};

/* A packet as it came; roles rewrite theirs. */
struct arrival {
	const struct pkt *pkt;
	struct pkt_tuple tuple;
	struct macaddr to, from;
	uint16_t port;
	uint8_t ttl;
	bool plain;
};

struct offload {
	struct offload_memory m;
	const struct node_link *links;
	struct place *places;
	uint32_t *slot_of[OFFLOAD_OWNERS];
	uint32_t n_owners[OFFLOAD_OWNERS];
	uint32_t *rested;	    /* stack of free slots that have been used before */
	uint32_t n_rested, n_fresh; /* n_fresh: slots from there on were never used */
	uint32_t *changed;	    /* ring of slots with changes */
	uint32_t change_head, n_changed;
	uint32_t n_used;
	struct arrival arrival;
};

struct offload *offload_new(const struct offload_memory *m, const uint32_t owners[OFFLOAD_OWNERS],
			    const struct node_link *links)
{
	struct offload *o = calloc(1, sizeof(*o));
	bool ok = o != NULL;

	if (!o)
		return NULL;
	o->m = *m;
	if (o->m.after == 0)
		o->m.after = OFFLOAD_AFTER;
	o->links = links;
	o->places = calloc(m->n_slots, sizeof(*o->places));
	o->rested = calloc(m->n_slots, sizeof(*o->rested));
	o->changed = calloc(m->n_slots, sizeof(*o->changed));
	for (unsigned k = 0; k < OFFLOAD_OWNERS; k++) {
		o->n_owners[k] = owners[k];
		o->slot_of[k] = calloc(owners[k] ? owners[k] : 1, sizeof(uint32_t));
		ok = ok && o->slot_of[k];
	}
	if (!ok || !o->places || !o->rested || !o->changed) {
		offload_free(o);
		return NULL;
	}
	offload_void(o);
	return o;
}

void offload_free(struct offload *o)
{
	if (!o)
		return;
	for (unsigned k = 0; k < OFFLOAD_OWNERS; k++)
		free(o->slot_of[k]);
	free(o->places);
	free(o->rested);
	free(o->changed);
	free(o);
}

bool offload_worth(const struct offload *o, uint32_t packets)
{
	return packets >= o->m.after;
}

void offload_void(struct offload *o)
{
	uint32_t next = o->m.control->generation + 1;

	__atomic_store_n(&o->m.control->generation, next ? next : 1, __ATOMIC_RELEASE);
}

/* --- slots ------------------------------------------------------------------------------------ */

static uint32_t slot_find(const struct offload *o, enum offload_owner kind, uint32_t owner)
{
	return owner < o->n_owners[kind] ? o->slot_of[kind][owner] : NO_SLOT;
}

static struct place *place_at(const struct offload *o, uint32_t slot)
{
	return &o->places[slot - 1];
}

static struct offload_slot *slot_at(const struct offload *o, uint32_t slot)
{
	return &o->m.slots[slot - 1];
}

static void lease_set(struct offload_dir *dir, uint64_t ns)
{
	__atomic_store_n(&dir->lease_ns, ns, __ATOMIC_RELEASE);
}

static uint64_t lease_of(const struct offload_dir *dir)
{
	return __atomic_load_n(&dir->lease_ns, __ATOMIC_RELAXED);
}

static uint32_t slot_take(struct offload *o, uint64_t now_ns)
{
	if (o->n_rested > 0) {
		uint32_t slot = o->rested[o->n_rested - 1];
		if (place_at(o, slot)->freed_ns + REST_NS <= now_ns) {
			o->n_rested--;
			return slot;
		}
	}
	return o->n_fresh < o->m.n_slots ? ++o->n_fresh : NO_SLOT;
}

static uint32_t slot_begin(struct offload *o, const struct offload_offer *w, uint64_t now_ns)
{
	uint32_t slot;

	if (w->owner >= o->n_owners[w->kind])
		return NO_SLOT;
	slot = slot_take(o, now_ns);
	if (slot == NO_SLOT)
		return NO_SLOT;
	*place_at(o, slot) =
		(struct place){.owner = w->owner, .kind = (uint8_t)w->kind, .used = true};
	memset(slot_at(o, slot), 0, sizeof(struct offload_slot));
	o->slot_of[w->kind][w->owner] = slot;
	o->n_used++;
	return slot;
}

static void slot_give_back(struct offload *o, uint32_t slot, uint64_t now_ns)
{
	place_at(o, slot)->freed_ns = now_ns;
	o->rested[o->n_rested++] = slot;
}

static void change_queue(struct offload *o, uint32_t slot)
{
	struct place *p = place_at(o, slot);

	if (p->queued)
		return;
	p->queued = true;
	o->changed[(o->change_head + o->n_changed++) % o->m.n_slots] = slot;
}

static void slot_end(struct offload *o, uint32_t slot)
{
	struct place *p = place_at(o, slot);

	for (unsigned side = 0; side < 2; side++)
		lease_set(&slot_at(o, slot)->dir[side], 0);
	o->slot_of[p->kind][p->owner] = NO_SLOT;
	o->n_used--;
	p->used = false;
	p->wanted = 0;
	change_queue(o, slot); /* given back when that has been carried out */
}

void offload_end(struct offload *o, enum offload_owner kind, uint32_t owner)
{
	uint32_t slot = slot_find(o, kind, owner);

	if (slot != NO_SLOT)
		slot_end(o, slot);
}

bool offload_has(const struct offload *o, enum offload_owner kind, uint32_t owner)
{
	uint32_t slot = slot_find(o, kind, owner);

	return slot != NO_SLOT && place_at(o, slot)->there;
}

uint32_t offload_count(const struct offload *o)
{
	return o->n_used;
}

uint32_t offload_capacity(const struct offload *o)
{
	return o->m.n_slots;
}

/* --- changes of the kernel's hash --------------------------------------------------------------
 */

bool offload_pending(const struct offload *o)
{
	return o->n_changed > 0;
}

bool offload_next_change(struct offload *o, uint64_t now_ns, struct offload_change *c)
{
	while (o->n_changed > 0) {
		uint32_t slot = o->changed[o->change_head];
		struct place *p = place_at(o, slot);

		for (unsigned side = 0; side < 2; side++) {
			uint8_t bit = (uint8_t)(1u << side);
			if (!((p->wanted ^ p->there) & bit))
				continue;
			p->there ^= bit;
			c->add = p->there & bit;
			c->key = slot_at(o, slot)->dir[side].key;
			c->value = OFFLOAD_VALUE(slot - 1, side);
			return true;
		}
		o->change_head = (o->change_head + 1) % o->m.n_slots;
		o->n_changed--;
		p->queued = false;
		if (!p->used)
			slot_give_back(o, slot, now_ns);
	}
	return false;
}

void offload_failed(struct offload *o, const struct offload_change *c)
{
	uint32_t slot = (c->value >> 1) + 1;
	struct place *p = place_at(o, slot);

	p->there = (uint8_t)(p->there & ~(1u << (c->value & 1)));
	if (p->used)
		slot_end(o, slot);
}

/* --- offers ------------------------------------------------------------------------------------
 */

/* Nothing but an untagged Ethernet header, a plain IP header and TCP or UDP. */
static bool is_plain(const struct pkt *pkt)
{
	unsigned ip = pkt->version == 4 ? 20 : 40;

	return pkt->kind == PKT_IP && pkt->l3 == 14 && pkt->l4 == 14 + ip && !pkt->fragment &&
	       (pkt->tuple.proto == IPPROTO_NUM_TCP || pkt->tuple.proto == IPPROTO_NUM_UDP);
}

void offload_arrived(struct offload *o, const struct pkt *pkt)
{
	struct arrival *a = &o->arrival;

	a->plain = is_plain(pkt);
	if (!a->plain)
		return;
	a->pkt = pkt;
	a->tuple = pkt->tuple;
	a->to = pkt->eth_dst;
	a->from = pkt->eth_src;
	a->port = pkt->frame->port;
	a->ttl = pkt->ttl;
}

static uint16_t net16(uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	uint16_t net;

	memcpy(&net, b, sizeof(net));
	return net;
}

static void put_address(uint8_t out[16], const struct ipaddr *a, uint8_t version)
{
	if (version == 4) {
		memset(out, 0, 16);
		memcpy(out, a->b + 12, 4);
	} else {
		memcpy(out, a->b, 16);
	}
}

/* What the kernel program is to do, from how the packet came and how it left. False: it cannot. */
static bool dir_fill(const struct offload *o, const struct offload_offer *w, struct offload_dir *d)
{
	const struct arrival *a = &o->arrival;
	const struct pkt_tuple *in = &a->tuple, *out;
	struct frame frame = *w->sent;
	const struct node_link *from, *to;
	struct pkt left;

	if (!a->plain || a->pkt != w->pkt || a->port >= PARAMS_PORTS || frame.port >= PARAMS_PORTS)
		return false;
	from = &o->links[a->port];
	to = &o->links[frame.port];
	if (!from->offload || !to->offload || pkt_decode(&left, &frame) != DROP_NONE ||
	    !is_plain(&left) || left.version != w->pkt->version)
		return false;
	out = &left.tuple;
	memset(d, 0, sizeof(*d));
	d->key = (struct offload_key){.ifindex = from->ifindex,
				      .version = left.version,
				      .proto = out->proto,
				      .sport = net16(in->sport),
				      .dport = net16(in->dport)};
	put_address(d->key.src, &in->src, left.version);
	put_address(d->key.dst, &in->dst, left.version);
	d->out_ifindex = to->ifindex;
	d->mtu = to->mtu;
	memcpy(d->to, a->to.b, 6);
	memcpy(d->from, a->from.b, 6);
	memcpy(d->out_to, left.eth_dst.b, 6);
	memcpy(d->out_from, left.eth_src.b, 6);
	d->sport = net16(out->sport);
	d->dport = net16(out->dport);
	put_address(d->src, &out->src, left.version);
	put_address(d->dst, &out->dst, left.version);
	if (left.ttl + 1 == a->ttl)
		d->flags |= OFFLOAD_TTL;
	else if (left.ttl != a->ttl)
		return false;
	if (!ipaddr_eq(&in->src, &out->src) || in->sport != out->sport)
		d->flags |= OFFLOAD_SRC;
	if (!ipaddr_eq(&in->dst, &out->dst) || in->dport != out->dport)
		d->flags |= OFFLOAD_DST;
	if (w->check_sender)
		d->flags |= OFFLOAD_CHECK_SENDER;
	if (w->track)
		d->flags |= OFFLOAD_TRACK;
	return true;
}

/* The order matters: the program must never see half of a new direction under a lease. What the
 * program itself counts stays. */
static void dir_write(struct offload_dir *d, const struct offload_dir *new)
{
	lease_set(d, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	d->key = new->key;
	d->out_ifindex = new->out_ifindex;
	d->mtu = new->mtu;
	memcpy(d->to, new->to, sizeof(d->to));
	memcpy(d->from, new->from, sizeof(d->from));
	memcpy(d->out_to, new->out_to, sizeof(d->out_to));
	memcpy(d->out_from, new->out_from, sizeof(d->out_from));
	memcpy(d->src, new->src, sizeof(d->src));
	memcpy(d->dst, new->dst, sizeof(d->dst));
	d->sport = new->sport;
	d->dport = new->dport;
	d->flags = new->flags;
}

static bool power_of_two(uint32_t n)
{
	return (n & (n - 1)) == 0;
}

/* Directions that were written before the last offload_void must not come back by the other's
 * lease. */
static void slot_renew(const struct offload *o, struct place *p, struct offload_slot *s)
{
	uint32_t generation = __atomic_load_n(&o->m.control->generation, __ATOMIC_RELAXED);

	if (s->generation == generation)
		return;
	for (unsigned side = 0; side < 2; side++)
		lease_set(&s->dir[side], 0);
	p->known = 0;
	__atomic_store_n(&s->generation, generation, __ATOMIC_RELEASE);
}

static bool same_key(const struct offload_key *x, const struct offload_key *y)
{
	return memcmp(x, y, sizeof(*x)) == 0;
}

static void slot_lease(struct offload *o, uint32_t slot, const struct offload_offer *w,
		       uint64_t now_ns)
{
	struct place *p = place_at(o, slot);
	struct offload_slot *s = slot_at(o, slot);

	if (w->track)
		offload_sync(o, w->kind, w->owner, w->track);
	for (unsigned side = 0; side < 2; side++)
		if (p->known & 1u << side && (side == w->side || lease_of(&s->dir[side]) == 0))
			lease_set(&s->dir[side], now_ns + LEASE_NS);
	if ((p->wanted & p->known) != p->known) {
		p->wanted |= p->known;
		change_queue(o, slot);
	}
}

/* Nothing is to be learnt from this packet: its direction has just been written, or waits for the
 * other one. */
static bool is_fresh(const struct offload *o, uint32_t slot, const struct offload_offer *w,
		     uint64_t now_ns)
{
	const struct offload_slot *s = slot_at(o, slot);
	uint64_t lease = lease_of(&s->dir[w->side]);

	return place_at(o, slot)->known & 1u << w->side &&
	       s->generation == o->m.control->generation &&
	       (lease > now_ns + LEASE_FRESH_NS || (lease == 0 && w->both));
}

bool offload_offer(struct offload *o, const struct offload_offer *w, uint64_t now_ns)
{
	uint32_t slot = slot_find(o, w->kind, w->owner);
	struct offload_dir new, *d;
	struct place *p;

	if (slot == NO_SLOT ? !power_of_two(w->packets) : is_fresh(o, slot, w, now_ns))
		return true;
	if (w->sent->data != w->pkt->frame->data) /* an error about it, or a question */
		return true;
	if (!dir_fill(o, w, &new))
		return slot == NO_SLOT;
	if (slot == NO_SLOT)
		slot = slot_begin(o, w, now_ns);
	if (slot == NO_SLOT)
		return true;
	p = place_at(o, slot);
	d = &slot_at(o, slot)->dir[w->side];
	if (p->there & 1u << w->side && !same_key(&d->key, &new.key))
		return false;
	slot_renew(o, p, slot_at(o, slot));
	dir_write(d, &new);
	p->known |= (uint8_t)(1u << w->side);
	if (!w->both || p->known == 3)
		slot_lease(o, slot, w, now_ns);
	return true;
}

void offload_renew(struct offload *o, enum offload_owner kind, uint32_t owner, unsigned side,
		   const struct macaddr *mac, uint64_t now_ns)
{
	uint32_t slot = slot_find(o, kind, owner);
	struct offload_slot *s;

	if (slot == NO_SLOT)
		return;
	s = slot_at(o, slot);
	if (s->generation == o->m.control->generation && lease_of(&s->dir[side]) != 0 &&
	    memcmp(s->dir[side].out_to, mac->b, sizeof(mac->b)) == 0)
		lease_set(&s->dir[side], now_ns + LEASE_NS);
}

/* --- what the kernel has done -------------------------------------------------------------------
 */

static uint32_t later(uint32_t x, uint32_t y)
{
	return (int32_t)(x - y) > 0 ? x : y;
}

static void sync_number(uint32_t *x, uint32_t *y, bool known)
{
	uint32_t n = known ? later(*x, *y) : *x;

	*x = *y = n;
}

/* An unknown shift counts as the largest, as it does for the daemon. */
static uint32_t scale_word(const struct tcp_track *t, unsigned side)
{
	uint32_t scale = t->scale[side] == TCP_SCALE_NONE ? TCP_SCALE_MAX : t->scale[side];

	return scale | (tcp_track_midway(t) ? OFFLOAD_MIDWAY : 0);
}

void offload_sync(struct offload *o, enum offload_owner kind, uint32_t owner, struct tcp_track *t)
{
	uint32_t slot = slot_find(o, kind, owner);
	struct offload_track *k;
	bool known;

	if (slot == NO_SLOT)
		return;
	k = &slot_at(o, slot)->track;
	known = place_at(o, slot)->wanted != 0; /* else nothing has been written there yet */
	for (unsigned side = 0; side < 2; side++) {
		struct offload_peer *p = &k->peer[side];
		uint32_t win = known && k->max_win[side] > t->max_win[side] ? k->max_win[side]
									    : t->max_win[side];
		sync_number(&t->peer[side].end, &p->end, known);
		sync_number(&t->peer[side].max_end, &p->max_end, known);
		sync_number(&t->peer[side].una, &p->una, known);
		t->max_win[side] = (uint16_t)win;
		k->max_win[side] = win;
		k->scale[side] = scale_word(t, side);
	}
}

bool offload_take(struct offload *o, enum offload_owner kind, uint32_t owner,
		  struct offload_traffic t[2], uint64_t *last_ns)
{
	uint32_t slot = slot_find(o, kind, owner);
	bool any = false;

	*last_ns = 0;
	if (slot == NO_SLOT)
		return false;
	for (unsigned side = 0; side < 2; side++) {
		const struct offload_dir *d = &slot_at(o, slot)->dir[side];
		struct offload_traffic *taken = &place_at(o, slot)->taken[side];
		struct offload_traffic now = {
			.packets = __atomic_load_n(&d->packets, __ATOMIC_RELAXED),
			.bytes = __atomic_load_n(&d->bytes, __ATOMIC_RELAXED)};
		uint64_t last = __atomic_load_n(&d->last_ns, __ATOMIC_RELAXED);

		t[side] = (struct offload_traffic){.packets = now.packets - taken->packets,
						   .bytes = now.bytes - taken->bytes,
						   .ack = d->ack};
		*taken = now;
		any = any || t[side].packets > 0;
		if (last > *last_ns)
			*last_ns = last;
	}
	return any;
}

bool offload_next(struct offload *o, uint32_t *pos, unsigned *budget, enum offload_owner *kind,
		  uint32_t *owner)
{
	if (*pos >= o->n_fresh)
		*pos = 0;
	while (*budget > 0 && *pos < o->n_fresh) {
		const struct place *p = &o->places[(*pos)++];

		(*budget)--;
		if (!p->used || !p->wanted)
			continue;
		*kind = p->kind;
		*owner = p->owner;
		return true;
	}
	return false;
}
