/*
 * takeover_talk.c - what the nodes of a dispatcher tell each other.
 */
#include <string.h>

#include "base/name_id.h"
#include "dispatch/dispatch.h"
#include "dispatch/takeover.h"

/* --- what must agree ---------------------------------------------------------------------------
 */

struct digest {
	uint32_t sum;
};

static void digest_bytes(struct digest *h, const void *data, size_t size)
{
	const uint8_t *b = data;

	while (size-- > 0)
		h->sum = (h->sum ^ *b++) * 16777619U; /* FNV-1a */
}

static void digest_number(struct digest *h, uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	digest_bytes(h, b, sizeof(b));
}

static void digest_services(struct digest *h, const struct params *p)
{
	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		digest_number(h, name_id(s->name));
		digest_number(h, s->proto);
		digest_number(h, s->technology);
		digest_number(h, s->algorithm);
		for (uint32_t k = 0; k < s->n_addresses; k++)
			digest_bytes(h, s->addresses[k].b, sizeof(s->addresses[k].b));
		for (uint32_t k = 0; k < s->targets.n; k++)
			digest_number(
				h, name_id(p->targets[p->target_lists[s->targets.first + k]].name));
	}
}

/* All nodes that play a dispatcher must choose alike, or flows change hands with it. Weights are
 * told at run time, and what a node's own devices are called is its own business. */
static uint32_t config_hash(const struct params *p, const struct dispatcher_params *x)
{
	struct digest h = {.sum = 2166136261U};

	digest_number(&h, x->role);
	digest_number(&h, x->algorithm);
	digest_number(&h, (uint32_t)x->seed);
	digest_number(&h, x->learn);
	for (uint32_t i = 0; i < x->n_nodes; i++)
		digest_number(&h, p->members[x->nodes[i]].id);
	for (uint32_t i = 0; i < p->n_paths; i++)
		digest_number(&h, p->paths[i].id);
	if (x->role != DISPATCH_OUTER)
		digest_services(&h, p);
	return h.sum;
}

void takeover_hash(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		d->takeover->config[i] = config_hash(d->params, &d->params->dispatchers[i]);
}

/* --- saying ------------------------------------------------------------------------------------
 */

bool takeover_fresh(const struct dispatch *d, uint32_t member, uint32_t dispatcher)
{
	const struct takeover_peer *p = &d->takeover->peers[member];

	return p->heard && p->roles[dispatcher].plays &&
	       d->node->now_ns - p->heard_ns < takeover_dead_ns(d);
}

uint64_t takeover_says_by(const struct dispatch *d, uint32_t member)
{
	const struct channel_member *m = channel_member(d->channel, member);
	const struct takeover_peer *p = &d->takeover->peers[member];

	if (!m->up || member == d->params->self || (p->heard && p->heard_ns >= m->since_ns))
		return 0;
	return m->since_ns + takeover_hello_ns(d);
}

uint8_t takeover_flags(const struct dispatch *d, uint32_t i)
{
	const struct takeover_role *r = &d->takeover->roles[i];

	return (uint8_t)((r->able ? WIRE_ROLE_ABLE : 0) |
			 (d->params->dispatchers[i].role == DISPATCH_OUTER ? WIRE_ROLE_OUTER : 0) |
			 (takeover_synced(d, i) ? WIRE_ROLE_SYNCED : 0) |
			 (r->sees ? WIRE_ROLE_SEES : 0) |
			 (takeover_is_blind(r) ? WIRE_ROLE_BLIND : 0) |
			 (r->wants ? WIRE_ROLE_WANTS : 0) |
			 (r->forced && (r->wants || r->state == WIRE_ROLE_ACTIVE) ? WIRE_ROLE_FORCED
										  : 0));
}

static void fill_roles(const struct dispatch *d, struct wire_role *m)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		if (!takeover_is_shared(&d->params->dispatchers[i]))
			continue;
		m->roles[m->n_roles++] = (struct wire_role_one){
			.dispatcher = name_id(d->params->dispatchers[i].name),
			.state = d->takeover->roles[i].state,
			.flags = takeover_flags(d, i),
			.active = takeover_active_id(d, i),
			.config = d->takeover->config[i]};
	}
	for (uint32_t k = 0; k < d->params->n_members; k++) {
		const struct takeover_peer *p = &d->takeover->peers[k];

		if (p->heard && d->node->now_ns - p->heard_ns < takeover_dead_ns(d))
			m->heard[m->n_heard++] = d->params->members[k].id;
	}
}

/* By the cluster channel, and on every segment of the dispatchers concerned: sealed apart, so that
 * who gets it twice takes neither for a replay. */
void takeover_send(struct dispatch *d)
{
	struct takeover *t = d->takeover;
	uint64_t hello = takeover_hello_ns(d);
	struct wire_role m = {.seq = ++t->seq};
	struct wcur body;

	t->changed = false;
	t->send_ns = d->node->now_ns + hello - rng_u64(&d->node->rng) % (hello / 8 + 1);
	fill_roles(d, &m);
	node_count(d->node, COUNTER_ROLE_SENT);
	if (channel_begin(d->channel, WIRE_ROLE_MAX, &body)) {
		wire_put_role(&body, &m);
		channel_send(d->channel, WIRE_ROLE, &body, CHANNEL_ALL);
	}
	for (uint16_t port = 0; port < d->params->n_ports; port++) {
		struct endpoint way = channel_segment_way(port);

		if (!(t->ports & 1u << port) || !d->node->links[port].up ||
		    d->params->ports[port].is_stack ||
		    !channel_begin(d->channel, WIRE_ROLE_MAX, &body))
			continue;
		wire_put_role(&body, &m);
		channel_send_way(d->channel, WIRE_ROLE, &body, &way);
	}
}

/* --- hearing -----------------------------------------------------------------------------------
 */

static void note_differs(struct dispatch *d, uint32_t member, uint32_t i)
{
	struct note *note = node_note(d->node, NOTE_CONFIG_DIFFERS);

	if (!note)
		return;
	note->member = member;
	note->dispatcher = (uint16_t)i;
	note->detail = "its firewalls, services or nodes of that dispatcher are others";
}

static void hear_one(struct dispatch *d, uint32_t member, const struct wire_role_one *one)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		const struct dispatcher_params *x = &d->params->dispatchers[i];
		struct takeover_said *s = &d->takeover->peers[member].roles[i];

		if (!takeover_is_shared(x) || name_id(x->name) != one->dispatcher ||
		    takeover_rank(x, member) == PARAMS_NODES)
			continue;
		if (one->state == WIRE_ROLE_YIELDING && s->state != WIRE_ROLE_YIELDING &&
		    d->takeover->roles[i].state == WIRE_ROLE_ACTIVE)
			takeover_announce(d, i);
		if (one->state == WIRE_ROLE_ACTIVE &&
		    d->takeover->roles[i].state == WIRE_ROLE_ACTIVE &&
		    (s->state != WIRE_ROLE_ACTIVE || !d->takeover->peers[member].hears_us))
			d->takeover->changed = true; /* one of the two is to yield: it hears now */
		s->plays = true;
		s->state = one->state;
		s->flags = one->flags;
		s->active = one->active;
		s->differs = one->config != d->takeover->config[i];
		if (s->differs && !s->differs_told)
			note_differs(d, member, i);
		s->differs_told = s->differs;
	}
}

static void hear(struct dispatch *d, uint32_t member, const struct wire_role *m)
{
	struct takeover_peer *p = &d->takeover->peers[member];

	p->hears_us = false;
	for (unsigned i = 0; i < m->n_heard; i++)
		if (m->heard[i] == d->params->node_id)
			p->hears_us = true;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		p->roles[i].plays = false;
	for (unsigned i = 0; i < m->n_roles; i++)
		hear_one(d, member, &m->roles[i]);
}

/* It was not heard for a while, in which it may have played what this node plays. To come to do so
 * and to yield takes two words at least. */
static void may_have_played(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		if (takeover_shared(d, i) && d->takeover->roles[i].state == WIRE_ROLE_ACTIVE)
			takeover_announce(d, i);
}

/* It is to know at once that this node hears it, and all that it says is news. */
static void heard_anew(struct dispatch *d, struct takeover_peer *p)
{
	d->takeover->changed = true;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		p->roles[i].state = WIRE_ROLE_WAITING;
}

void takeover_message(struct dispatch *d, struct channel_message *msg)
{
	const struct channel_member *member = channel_member(d->channel, msg->member);
	struct takeover_peer *p;
	struct wire_role m;
	bool missed;

	if (!wire_get_role(&msg->body, &m)) {
		node_count(d->node, COUNTER_MSG_MALFORMED);
		return;
	}
	stage_hear(d, msg->member, member->boot_id, &m);
	if (!d->takeover || !d->takeover->any)
		return;
	p = &d->takeover->peers[msg->member];
	if (!p->heard || memcmp(p->boot_id, member->boot_id, WIRE_BOOT_ID) != 0) {
		memset(p, 0, sizeof(*p));
		memcpy(p->boot_id, member->boot_id, WIRE_BOOT_ID);
		p->seq = m.seq - 1;
	}
	if ((int32_t)(m.seq - p->seq) < 0) {
		node_count(d->node, COUNTER_ROLE_LATE);
		return;
	}
	p->node_id = d->params->members[msg->member].id;
	if (!p->heard || d->node->now_ns - p->heard_ns >= takeover_dead_ns(d))
		heard_anew(d, p);
	missed = !p->heard || m.seq - p->seq > 2;
	p->heard = true;
	p->heard_ns = d->node->now_ns;
	if (msg->segment < PARAMS_PORTS)
		p->segment_ns[msg->segment] = d->node->now_ns;
	if (m.seq == p->seq) /* the same by another way */
		return;
	p->seq = m.seq;
	node_count(d->node, COUNTER_ROLE_RECEIVED);
	if (missed)
		may_have_played(d);
	hear(d, msg->member, &m);
	takeover_judge(d);
	if (d->takeover->changed)
		takeover_send(d);
}

/* Whom it was handed to is lost: nobody waits for that one, and who still yields takes it again. */
static void successor_gone(struct dispatch *d, uint32_t i, uint16_t node_id)
{
	struct takeover_role *r = &d->takeover->roles[i];

	if (r->successor != node_id)
		return;
	r->successor = 0;
	r->successor_ns = 0;
}

void takeover_member_gone(struct dispatch *d, uint32_t member)
{
	if (!d->takeover || !d->takeover->any)
		return;
	d->takeover->peers[member].heard = false;
	for (uint32_t i = 0; i < d->n_dispatchers; i++)
		successor_gone(d, i, d->params->members[member].id);
	takeover_judge(d);
}
