/*
 * leg_table.c - the connections that go by MAC from beginning to end: made for the daemon,
 * followed, ended, found again after a reload (HD-8, HD-18, HD-24).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/leg.h"

#define PER_CONNECTION 4 /* to the server, and those that linger */
#define LEAST 1024
#define EVICT_STEPS 4096
#define EXPIRE_BUDGET 1024
#define SWEEP_BUDGET 1024 /* a reset each, of the frames that one call may send */
#define LINGER_MS 120000  /* the end of a connection takes its time */
#define CLOSED_MS 10000
#define ACCEPT_MS 30000
#define LIVE_MS 3600000 /* looked at again, no more */

/* --- finding and making -------------------------------------------------------------------------
 */

struct leg *leg_find(const struct dispatch *d, const struct pkt_tuple *t, uint8_t version,
		     unsigned *side)
{
	struct flow_table *legs = d->legs->legs;
	struct flow_key key;
	unsigned dir;
	struct leg *leg;

	if (flow_table_count(legs) == 0)
		return NULL;
	dir = flow_key_make(&key, t, version);
	leg = flow_table_find(legs, &key, flow_table_hash(legs, &key));
	if (leg)
		*side = dir ^ (leg->flags & LEG_ORIGIN_B ? 1u : 0u);
	return leg;
}

/* Make room: the next one behind the hand whose descriptor is closed goes. */
static bool leg_evict(struct leg_table *t)
{
	uint32_t capacity = flow_table_capacity(t->legs);

	for (unsigned i = 0; i < EVICT_STEPS; i++) {
		struct leg *leg = flow_table_at(t->legs, t->evict_hand);

		t->evict_hand = t->evict_hand + 1 < capacity ? t->evict_hand + 1 : 0;
		if (leg && leg->flags & LEG_ENDED) {
			flow_table_remove(t->legs, leg);
			return true;
		}
	}
	return false;
}

struct leg *leg_new(struct dispatch *d, const struct pkt_tuple *t, uint8_t version,
		    enum leg_kind kind)
{
	struct flow_table *legs = d->legs->legs;
	struct flow_key key;
	unsigned dir = flow_key_make(&key, t, version);
	uint64_t hash = flow_table_hash(legs, &key);
	struct leg *leg = flow_table_find(legs, &key, hash);

	if (leg)
		flow_table_remove(legs, leg);
	leg = flow_table_insert(legs, &key, hash);
	if (!leg && leg_evict(d->legs))
		leg = flow_table_insert(legs, &key, hash);
	if (!leg)
		return NULL;
	leg->created_ms = (uint32_t)(d->node->now_ns / 1000000);
	leg->hop.neigh = NEIGH_NONE;
	leg->target = leg->member = PARAMS_NONE;
	leg->service = leg_service(d, &t->dst, t->dport);
	leg->port = PARAMS_NO_PORT;
	leg->kind = (uint8_t)kind;
	leg->flags = dir ? LEG_ORIGIN_B : 0;
	flow_table_arm(legs, leg, d->node->now_ns, kind == LEG_FROM_MEMBER ? ACCEPT_MS : LIVE_MS);
	return leg;
}

uint16_t leg_service(const struct dispatch *d, const struct ipaddr *to, uint16_t port)
{
	return service_find(d->services, to, IPPROTO_NUM_TCP, port);
}

bool leg_relayed(const struct dispatch *d, uint16_t service)
{
	return service != PARAMS_NONE &&
	       technology_is_l7(d->params->services[service].technology) &&
	       d->params->services[service].l7.relay != L7_RELAY_NONE;
}

/* --- following ----------------------------------------------------------------------------------
 */

static void leg_expects(struct leg *leg, unsigned side, uint32_t number)
{
	leg->ack[side] = number;
	leg->flags |= side ? LEG_ACKED_1 : LEG_ACKED_0;
}

static void leg_track(struct leg *leg, const struct tcp_seg *seg, unsigned side)
{
	const uint8_t fins = LEG_FIN_0 | LEG_FIN_1;

	if (seg->flags & TCP_SYN && side == 0)
		leg->first = seg->seq;
	if (seg->flags & TCP_SYN) /* what has to be acknowledged */
		leg_expects(leg, !side, seg->seq + 1);
	if (seg->flags & TCP_ACK && !(seg->flags & TCP_RST))
		leg_expects(leg, side, seg->ack);
	if (seg->flags & TCP_FIN)
		leg->flags |= side ? LEG_FIN_1 : LEG_FIN_0;
	if (seg->flags & TCP_RST || (leg->flags & fins) == fins)
		leg->state = DFLOW_CLOSED;
	else if (leg->flags & fins && leg->state != DFLOW_CLOSED)
		leg->state = DFLOW_CLOSING;
	else if (leg->state == DFLOW_OPENING && side == 0 && !(seg->flags & TCP_SYN))
		leg->state = DFLOW_OPEN;
}

static void leg_linger(struct dispatch *d, struct leg *leg)
{
	flow_table_arm(d->legs->legs, leg, d->node->now_ns,
		       leg->state == DFLOW_CLOSED ? CLOSED_MS : LINGER_MS);
}

void leg_touch(struct dispatch *d, struct leg *leg, const struct pkt *pkt, unsigned side)
{
	uint8_t was = leg->state;

	leg->packets[side]++;
	leg->bytes[side] += pkt->ip_len;
	leg_track(leg, &pkt->tcp, side);
	if (leg->flags & LEG_ENDED && (leg->state != DFLOW_CLOSED || was != DFLOW_CLOSED))
		leg_linger(d, leg);
}

/* --- for the daemon -----------------------------------------------------------------------------
 */

static struct pkt_tuple leg_ends(const struct endpoint *from, const struct endpoint *to)
{
	return (struct pkt_tuple){.src = from->addr,
				  .dst = to->addr,
				  .sport = from->port,
				  .dport = to->port,
				  .proto = IPPROTO_NUM_TCP};
}

static uint8_t version_of(const struct endpoint *e)
{
	return ipaddr_is_v4(&e->addr) ? 4 : 6;
}

static struct leg *leg_between(const struct dispatch *d, const struct endpoint *from,
			       const struct endpoint *to)
{
	const struct pkt_tuple t = leg_ends(from, to);
	unsigned side;
	struct leg *leg = d->legs ? leg_find(d, &t, version_of(from), &side) : NULL;

	return leg && side == 0 ? leg : NULL;
}

bool legs_reach(const struct dispatch *d, uint16_t member)
{
	struct macaddr mac;
	uint16_t port;

	return d->channel && member < d->params->n_members && member != d->params->self &&
	       channel_member(d->channel, member)->up && stage_member_mac(d, member, &port, &mac);
}

static bool target_reached(const struct dispatch *d, uint16_t target)
{
	return target < d->params->n_targets && d->params->targets[target].n_via == 0 &&
	       d->params->targets[target].member == PARAMS_NONE &&
	       d->targets[target].port != PARAMS_NO_PORT;
}

int dispatch_l7_leg(struct dispatch *d, uint16_t target, const struct endpoint *from,
		    const struct endpoint *to)
{
	const struct pkt_tuple t = leg_ends(from, to);
	const bool relay = l7_is_relay(target);
	const uint16_t member = relay ? l7_relay_member(target) : PARAMS_NONE;
	struct leg *leg;

	if (!d->legs || !(relay ? legs_reach(d, member) : target_reached(d, target)))
		return -EHOSTUNREACH;
	leg = leg_between(d, from, to);
	if (leg && leg->kind == LEG_FROM_MEMBER && !(leg->flags & LEG_ENDED))
		return -EHOSTUNREACH; /* another dispatcher has taken the very port of the client */
	leg = leg_new(d, &t, version_of(from), relay ? LEG_TO_MEMBER : LEG_TO_SERVER);
	if (!leg)
		return -ENOMEM;
	leg->member = member;
	leg->target = relay ? PARAMS_NONE : target;
	if (relay)
		leg->generation = channel_member(d->channel, member)->generation;
	node_count(d->node, relay ? COUNTER_RELAY_OUT : COUNTER_LEG_OPENED);
	return 0;
}

uint16_t dispatch_l7_leg_from(struct dispatch *d, const struct endpoint *from,
			      const struct endpoint *to)
{
	struct leg *leg = leg_between(d, from, to);

	if (!leg || leg->kind != LEG_FROM_MEMBER || leg->flags & (LEG_ENDED | LEG_GONE))
		return PARAMS_NONE;
	leg->flags |= LEG_ACCEPTED;
	return leg->member;
}

void dispatch_l7_leg_serves(struct dispatch *d, const struct endpoint *from,
			    const struct endpoint *to, uint16_t target)
{
	struct leg *leg = leg_between(d, from, to);

	if (leg && leg->kind == LEG_FROM_MEMBER)
		leg->target = target;
}

void dispatch_l7_leg_end(struct dispatch *d, const struct endpoint *from, const struct endpoint *to)
{
	struct leg *leg = leg_between(d, from, to);

	if (!leg || leg->flags & LEG_ENDED)
		return;
	leg->flags |= LEG_ENDED;
	leg_linger(d, leg);
}

const struct leg *legs_next(const struct dispatch *d, uint32_t *pos)
{
	return d->legs ? flow_table_next(d->legs->legs, pos) : NULL;
}

/* --- the other end is lost ----------------------------------------------------------------------
 */

static bool leg_lost(const struct dispatch *d, const struct leg *leg)
{
	const struct channel_member *m;

	if (leg->flags & LEG_GONE)
		return true;
	if (leg->kind == LEG_TO_SERVER)
		return false;
	m = channel_member(d->channel, leg->member);
	return !m->up || m->generation != leg->generation;
}

/* Whoever still has a descriptor is told; and the dispatcher that relays, if it is there. */
static void leg_abandon(struct dispatch *d, struct leg *leg)
{
	const unsigned side = leg_stack_side(leg);
	const bool both =
		leg->kind == LEG_FROM_MEMBER && (leg->flags & LEG_GONE || !leg_lost(d, leg));

	if (leg->state != DFLOW_CLOSED && !(leg->flags & LEG_ENDED)) {
		node_count(d->node, COUNTER_LEG_RESET);
		leg_reset_side(d, leg, side);
		if (both)
			leg_reset_side(d, leg, !side);
	}
	flow_table_remove(d->legs->legs, leg);
}

static void legs_sweep(struct dispatch *d)
{
	struct leg_table *t = d->legs;
	uint32_t capacity = flow_table_capacity(t->legs);

	for (unsigned i = 0; i < SWEEP_BUDGET && t->sweep_pos < capacity; i++) {
		struct leg *leg = flow_table_at(t->legs, t->sweep_pos++);

		if (leg && leg_lost(d, leg))
			leg_abandon(d, leg);
	}
	t->sweeping = t->sweep_pos < capacity;
}

static void legs_look(struct leg_table *t)
{
	t->sweeping = true;
	t->sweep_pos = 0;
}

void legs_members_lost(struct dispatch *d)
{
	if (d->legs)
		legs_look(d->legs);
}

static void leg_due(void *arg, void *entry)
{
	struct dispatch *d = arg;
	struct leg *leg = entry;

	if (leg->flags & LEG_ENDED)
		flow_table_remove(d->legs->legs, leg);
	else if (leg->kind == LEG_FROM_MEMBER && !(leg->flags & LEG_ACCEPTED))
		leg_abandon(d, leg);
	else
		flow_table_arm(d->legs->legs, leg, d->node->now_ns, LIVE_MS);
}

uint64_t legs_tick(struct dispatch *d)
{
	uint64_t next;

	if (!d->legs)
		return UINT64_MAX;
	next = flow_table_expire(d->legs->legs, d->node->now_ns, EXPIRE_BUDGET, leg_due, d);
	if (d->legs->sweeping)
		legs_sweep(d);
	return d->legs->sweeping ? d->node->now_ns : next;
}

/* --- life ---------------------------------------------------------------------------------------
 */

int legs_init(struct dispatch *d, const struct hash_key *secret)
{
	uint64_t capacity = (uint64_t)d->params->l7.max_connections * PER_CONNECTION;

	if (d->params->legs_port == PARAMS_NO_PORT)
		return 0;
	if (capacity < LEAST)
		capacity = LEAST;
	d->legs = calloc(1, sizeof(*d->legs));
	if (d->legs)
		d->legs->legs = flow_table_new(sizeof(struct leg), (uint32_t)capacity, secret,
					       d->node->now_ns);
	return d->legs && d->legs->legs ? 0 : -ENOMEM;
}

void legs_fini(struct dispatch *d)
{
	if (d->legs)
		flow_table_free(d->legs->legs);
	free(d->legs);
	d->legs = NULL;
}

struct leg_maps {
	uint16_t targets[PARAMS_TARGETS], services[PARAMS_SERVICES], members[PARAMS_MEMBERS];
};

/* The same server, and still this node's. */
static bool same_server(const struct target_params *a, const struct target_params *b)
{
	return strcmp(a->name, b->name) == 0 && b->n_via == 0 && a->has_v4 == b->has_v4 &&
	       a->has_v6 == b->has_v6 && (!a->has_v4 || ipaddr_eq(&a->v4, &b->v4)) &&
	       (!a->has_v6 || ipaddr_eq(&a->v6, &b->v6));
}

static void leg_maps_make(struct leg_maps *m, const struct params *old, const struct params *new)
{
	memset(m, 0xff, sizeof(*m)); /* PARAMS_NONE */
	for (uint32_t i = 0; i < old->n_targets; i++)
		for (uint16_t j = 0; j < new->n_targets; j++)
			if (same_server(&old->targets[i], &new->targets[j]))
				m->targets[i] = j;
	for (uint32_t i = 0; i < old->n_services; i++)
		for (uint16_t j = 0; j < new->n_services; j++)
			if (strcmp(old->services[i].name, new->services[j].name) == 0)
				m->services[i] = j;
	for (uint32_t i = 0; i < old->n_members; i++)
		for (uint16_t j = 0; j < new->n_members; j++)
			if (old->members[i].id == new->members[j].id && j != new->self)
				m->members[i] = j;
}

static uint16_t leg_map(const uint16_t *m, uint16_t index)
{
	return index == PARAMS_NONE ? PARAMS_NONE : m[index];
}

/* Whether the leg's other end is still there, and the service, if it is that which the stack is. */
static bool leg_remap(const struct dispatch *d, struct leg *leg, const struct leg_maps *m)
{
	const struct pkt_tuple t = leg_tuple(leg, 0);

	leg->target = leg_map(m->targets, leg->target);
	leg->member = leg_map(m->members, leg->member);
	leg->service = leg_map(m->services, leg->service);
	leg->hop.neigh = NEIGH_NONE;
	switch ((enum leg_kind)leg->kind) {
	case LEG_TO_SERVER:
		return leg->target != PARAMS_NONE;
	case LEG_TO_MEMBER:
		return leg->member != PARAMS_NONE;
	case LEG_FROM_MEMBER:
		break;
	}
	return leg->member != PARAMS_NONE && leg_relayed(d, leg->service) &&
	       leg_service(d, &t.dst, t.dport) == leg->service;
}

static void relays_remap(struct dispatch *d, const struct params *old, const struct leg_maps *m)
{
	struct relay was[PARAMS_MEMBERS];

	memcpy(was, d->relays, sizeof(was));
	memset(d->relays, 0, sizeof(d->relays));
	for (uint32_t i = 0; i < old->n_members; i++)
		if (m->members[i] != PARAMS_NONE)
			d->relays[m->members[i]] = was[i];
}

void legs_configure(struct dispatch *d, const struct params *old)
{
	struct leg_maps m;
	uint32_t pos = 0;
	struct leg *leg;

	leg_maps_make(&m, old, d->params);
	relays_remap(d, old, &m);
	if (!d->legs)
		return;
	while ((leg = flow_table_next(d->legs->legs, &pos)))
		if (leg->flags & LEG_GONE || !leg_remap(d, leg, &m))
			leg->flags |= LEG_GONE;
	legs_look(d->legs);
}
