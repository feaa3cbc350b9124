/*
 * handover_states.c - the flows of a firewall that is restarted: its own, those whose home is
 * another member, and those that it holds for others (FC-17, doc/restart.md).
 */
#include <stdlib.h>
#include <string.h>

#include "base/handover.h"
#include "base/name_id.h"
#include "firewall/firewall.h"
#include "firewall/handover.h"

#define STATE_FLAGS_KEPT                                                                           \
	(STATE_ORIGIN_B | STATE_REPLIED | STATE_HALF_OPEN | STATE_PICKED_UP | STATE_DOUBTED |      \
	 STATE_TERM)
#define SCALE_MAX 14
#define SCALE_NONE 0xff
#define RULE_SLOTS 16384 /* a power of two, twice PARAMS_RULES */

static uint32_t now_ms(const struct firewall *f)
{
	return (uint32_t)(f->node->now_ns / 1000000);
}

static uint16_t member_id(const struct firewall *f, uint32_t member)
{
	return f->params->members[member].id;
}

/* Another member's index, or CHANNEL_ALL. */
static uint32_t member_of(const struct firewall *f, uint16_t id)
{
	for (uint32_t m = 0; f->channel && m < f->params->n_members; m++)
		if (f->params->members[m].id == id && m != f->params->self)
			return m;
	return CHANNEL_ALL;
}

static uint32_t port_id(const struct firewall *f, unsigned port)
{
	return port < f->params->n_ports ? name_id(f->params->ports[port].name) : 0;
}

static uint32_t rule_id(const struct firewall *f, uint16_t rule)
{
	return rule == POLICY_DEFAULT ? 0 : name_id(policy_rule_name(f->policy, rule));
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_tcp(struct wcur *c, const struct tcp_track *t)
{
	wcur_u8(c, t->state);
	wcur_u8(c, t->flags);
	for (unsigned i = 0; i < 2; i++) {
		wcur_u32(c, t->peer[i].end);
		wcur_u32(c, t->peer[i].max_end);
		wcur_u32(c, t->peer[i].una);
		wcur_u16(c, t->max_win[i]);
		wcur_u8(c, t->scale[i]);
	}
}

static void put_askers(struct wcur *c, const struct firewall *f, uint32_t askers)
{
	wcur_u8(c, (uint8_t)__builtin_popcount(askers));
	for (uint32_t m = 0; m < 32; m++)
		if (askers & 1u << m)
			wcur_u16(c, member_id(f, m));
}

static void put_state(struct wcur *c, const struct firewall *f, const struct state *s)
{
	wire_put_key(c, &s->entry.key);
	wcur_u8(c, s->flags & STATE_FLAGS_KEPT);
	wcur_u32(c, rule_id(f, s->rule));
	wcur_u32(c, now_ms(f) - s->created_ms);
	wcur_u32(c, flow_table_left_ms(f->states, s, f->node->now_ns));
	for (unsigned i = 0; i < 2; i++) {
		wcur_u32(c, s->packets[i]);
		wcur_u64(c, state_bytes(s, i));
	}
	wcur_u32(c, port_id(f, s->in_port));
	wcur_u32(c, port_id(f, s->out_port));
	wcur_u16(c, s->backup ? member_id(f, s->backup - 1u) : 0);
	wcur_u8(c, s->backup && backup_is_told(f, s));
	put_tcp(c, &s->tcp);
	put_askers(c, f, s->askers);
}

static void save_states(struct firewall *f, struct sections_out *out)
{
	struct state *s;

	sections_type(out, HANDOVER_STATES, HANDOVER_VERSION);
	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));) {
		home_offload_take(f, s);
		put_state(sections_item(out), f, s);
		sections_item_end(out);
	}
}

/* Only those whose home is there, as it was when it confirmed. */
static void save_forwards(const struct firewall *f, struct sections_out *out)
{
	const struct forward *fw;

	sections_type(out, HANDOVER_FORWARDS, HANDOVER_VERSION);
	for (uint32_t pos = 0; (fw = flow_table_next(f->forwards, &pos));) {
		const struct channel_member *m = channel_member(f->channel, fw->member);
		struct wcur *c;

		if (!m->up || m->generation != fw->generation)
			continue;
		c = sections_item(out);
		wire_put_key(c, &fw->entry.key);
		wcur_u16(c, member_id(f, fw->member));
		wcur_u64(c, fw->query_id);
		wcur_u32(c, now_ms(f) - fw->created_ms);
		wcur_u32(c, flow_table_left_ms(f->forwards, fw, f->node->now_ns));
		wcur_u32(c, fw->packets);
		wcur_u32(c, fw->home_age_ms);
		wcur_u8(c, fw->home_rank);
		wcur_u8(c, fw->dir);
		sections_item_end(out);
	}
}

static void save_peers(const struct firewall *f, struct sections_out *out)
{
	const struct backup *b = f->backup;
	struct wcur *c;

	sections_type(out, HANDOVER_BACKUP, HANDOVER_VERSION);
	c = sections_item(out);
	wcur_u32(c, b->seq);
	wcur_u32(c, b->epoch);
	sections_item_end(out);
	sections_type(out, HANDOVER_PEERS, HANDOVER_VERSION);
	for (uint32_t m = 0; m < f->params->n_members; m++) {
		const struct backup_peer *p = &b->peers[m];

		if (m == f->params->self)
			continue;
		c = sections_item(out);
		wcur_u16(c, member_id(f, m));
		wcur_bytes(c, p->boot_id, WIRE_BOOT_ID);
		wcur_u8(c, p->willing);
		wcur_u32(c, p->in_epoch);
		wcur_u32(c, p->out_epoch);
		sections_item_end(out);
	}
}

static void save_held(const struct firewall *f, struct sections_out *out)
{
	const struct backup *b = f->backup;
	const struct backup_flow *e;

	sections_type(out, HANDOVER_HELD, HANDOVER_VERSION);
	for (uint32_t pos = 0; (e = flow_table_next(b->flows, &pos));) {
		struct wcur *c = sections_item(out);

		wire_put_key(c, &e->entry.key);
		wcur_u16(c, member_id(f, e->member));
		wcur_u8(c, e->boot == b->peers[e->member].boot);
		wcur_u32(c, e->epoch);
		wcur_u32(c, now_ms(f) - e->created_ms);
		wcur_u32(c, flow_table_left_ms(b->flows, e, f->node->now_ns));
		wcur_u32(c, rule_id(f, e->rule));
		wcur_u8(c, e->flags);
		wcur_u8(c, e->term);
		for (unsigned i = 0; i < 2; i++) {
			wcur_u32(c, e->una[i]);
			wcur_u32(c, e->end[i]);
		}
		for (unsigned i = 0; i < 2; i++) /* 0 = not known */
			wcur_u8(c, e->scale[i] == SCALE_NONE ? 0 : (uint8_t)(e->scale[i] + 1));
		sections_item_end(out);
	}
}

void firewall_save(struct firewall *f, struct sections_out *out)
{
	if (f->backup)
		save_peers(f, out);
	save_states(f, out);
	if (f->forwards)
		save_forwards(f, out);
	if (f->backup)
		save_held(f, out);
}

void firewall_settle(struct firewall *f)
{
	if (f->channel)
		answer_flush_releases(f);
	if (f->backup) {
		backup_ends_flush(f);
		backup_requeue_all(f);
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Rules by the ids of their names: a million flows look one up each. */
struct rule_ids {
	uint16_t slots[RULE_SLOTS]; /* index + 1, 0 = free */
	uint32_t ids[PARAMS_RULES];
};

struct firewall_restore {
	struct firewall *f;
	struct handover_report *report;
	bool members; /* the channel goes on, so what is said of members holds */
	struct rule_ids rules;
};

static void rule_ids_make(struct rule_ids *r, const struct policy *p)
{
	for (uint16_t i = 0; i < policy_n_rules(p); i++) {
		uint32_t id = name_id(policy_rule_name(p, i)), slot = id & (RULE_SLOTS - 1);

		while (r->slots[slot])
			slot = (slot + 1) & (RULE_SLOTS - 1);
		r->slots[slot] = (uint16_t)(i + 1);
		r->ids[i] = id;
	}
}

static uint16_t rule_of(const struct rule_ids *r, uint32_t id)
{
	if (id == 0)
		return POLICY_DEFAULT;
	for (uint32_t slot = id & (RULE_SLOTS - 1); r->slots[slot];
	     slot = (slot + 1) & (RULE_SLOTS - 1))
		if (r->ids[r->slots[slot] - 1] == id)
			return (uint16_t)(r->slots[slot] - 1);
	return POLICY_DEFAULT;
}

struct firewall_restore *firewall_restore_new(struct firewall *f, struct handover_report *report,
					      bool members)
{
	struct firewall_restore *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->f = f;
	r->report = report;
	r->members = members;
	rule_ids_make(&r->rules, f->policy);
	return r;
}

void firewall_restore_free(struct firewall_restore *r)
{
	if (r && r->f->channel)
		firewall_members_changed(r->f);
	free(r);
}

/* What is left of a time after the restart. */
static uint32_t left_of(const struct firewall_restore *r, uint32_t left_ms)
{
	uint32_t elapsed = handover_elapsed_ms(r->report);

	return left_ms > elapsed ? left_ms - elapsed : 0;
}

static uint32_t created_of(const struct firewall_restore *r, uint32_t age_ms)
{
	return now_ms(r->f) - age_ms - handover_elapsed_ms(r->report);
}

static bool get_tcp(struct rcur *c, struct tcp_track *t)
{
	bool good = true;

	t->state = rcur_u8(c);
	t->flags = rcur_u8(c);
	for (unsigned i = 0; i < 2; i++) {
		t->peer[i].end = rcur_u32(c);
		t->peer[i].max_end = rcur_u32(c);
		t->peer[i].una = rcur_u32(c);
		t->max_win[i] = rcur_u16(c);
		t->scale[i] = rcur_u8(c);
		good &= t->scale[i] <= SCALE_MAX || t->scale[i] == SCALE_NONE;
	}
	return rcur_ok(c) && good && t->state < TCP_STATE_COUNT;
}

static uint32_t get_askers(struct rcur *c, const struct firewall_restore *r)
{
	uint32_t askers = 0;
	uint8_t n = rcur_u8(c);

	for (unsigned i = 0; i < n && rcur_ok(c); i++) {
		uint32_t m = member_of(r->f, rcur_u16(c));

		if (m != CHANNEL_ALL && r->members)
			askers |= 1u << m;
	}
	return askers;
}

/* The port with that name, or as it is. */
static uint8_t port_of(const struct firewall *f, uint32_t id, uint8_t otherwise)
{
	for (uint32_t i = 0; i < f->params->n_ports; i++)
		if (name_id(f->params->ports[i].name) == id)
			return (uint8_t)i;
	return otherwise;
}

struct saved_state {
	struct state s; /* the fields that are copied */
	uint64_t bytes[2];
	uint32_t rule, age_ms, left_ms, in_port, out_port;
	uint16_t backup;
	bool told;
};

static bool get_state(struct rcur *c, const struct firewall_restore *r, struct saved_state *v)
{
	memset(v, 0, sizeof(*v));
	if (!wire_get_key(c, &v->s.entry.key))
		return false;
	v->s.flags = rcur_u8(c) & STATE_FLAGS_KEPT;
	v->rule = rcur_u32(c);
	v->age_ms = rcur_u32(c);
	v->left_ms = rcur_u32(c);
	for (unsigned i = 0; i < 2; i++) {
		v->s.packets[i] = rcur_u32(c);
		v->bytes[i] = rcur_u64(c);
	}
	v->in_port = rcur_u32(c);
	v->out_port = rcur_u32(c);
	v->backup = rcur_u16(c);
	v->told = rcur_u8(c);
	if (!get_tcp(c, &v->s.tcp))
		return false;
	v->s.askers = get_askers(c, r);
	return rcur_ok(c);
}

static void place_state(struct firewall_restore *r, struct state *s, const struct saved_state *v)
{
	struct firewall *f = r->f;
	uint32_t member = member_of(f, v->backup);

	s->flags = v->s.flags;
	if (s->flags & STATE_HALF_OPEN)
		f->n_half_open++;
	s->tcp = v->s.tcp;
	s->askers = v->s.askers;
	s->created_ms = created_of(r, v->age_ms);
	s->in_port = port_of(f, v->in_port, s->in_port);
	s->out_port = port_of(f, v->out_port, s->out_port);
	for (unsigned i = 0; i < 2; i++) {
		s->packets[i] = v->s.packets[i];
		s->bytes_lo[i] = (uint32_t)v->bytes[i];
		s->bytes_hi[i] = (uint16_t)(v->bytes[i] >> 32);
	}
	flow_table_arm(f->states, s, f->node->now_ns, left_of(r, v->left_ms));
	if (r->members && member != CHANNEL_ALL)
		backup_resumed(f, s, member, v->told);
	else
		backup_settled(f, s);
}

static bool restore_state(struct firewall_restore *r, struct rcur *c)
{
	struct firewall *f = r->f;
	struct saved_state v;
	struct lookup l;
	struct state *s;

	if (!get_state(c, r, &v) || left_of(r, v.left_ms) == 0)
		return false;
	l.key = v.s.entry.key;
	l.hash = flow_table_hash(f->states, &l.key);
	if (home_find(f, &l))
		return false;
	s = home_place(f, &l.key, rule_of(&r->rules, v.rule), v.s.flags & STATE_ORIGIN_B);
	if (!s)
		return false;
	place_state(r, s, &v);
	return true;
}

static bool restore_forward(struct firewall_restore *r, struct rcur *c)
{
	struct firewall *f = r->f;
	struct wire_confirm w = {0};
	struct flow_key key;
	struct forward *fw;
	uint32_t member, age, left, packets;
	uint8_t dir;

	if (!wire_get_key(c, &key))
		return false;
	member = member_of(f, rcur_u16(c));
	w.id = rcur_u64(c);
	age = rcur_u32(c);
	left = left_of(r, rcur_u32(c));
	packets = rcur_u32(c);
	w.age_ms = rcur_u32(c);
	w.rank = rcur_u8(c);
	dir = rcur_u8(c) & 1;
	if (!rcur_ok(c) || !r->members || !f->forwards || left == 0 || member == CHANNEL_ALL ||
	    !channel_member(f->channel, member)->up)
		return false;
	fw = relay_learn(f, &key, dir, member, &w);
	if (!fw)
		return false;
	fw->packets = packets;
	fw->created_ms = created_of(r, age);
	flow_table_arm(f->forwards, fw, f->node->now_ns, left);
	return true;
}

static bool restore_backup(struct firewall_restore *r, struct rcur *c)
{
	struct backup *b = r->f->backup;
	uint32_t seq = rcur_u32(c), epoch = rcur_u32(c);

	if (!rcur_ok(c) || !b || !r->members)
		return false;
	b->seq = seq;
	b->epoch = epoch;
	for (unsigned i = 0; i < PARAMS_MEMBERS; i++)
		b->peers[i].out_epoch = epoch;
	return true;
}

static bool restore_peer(struct firewall_restore *r, struct rcur *c)
{
	uint32_t member = member_of(r->f, rcur_u16(c)), in_epoch, out_epoch;
	uint8_t boot_id[WIRE_BOOT_ID];
	struct backup_peer *p;
	bool willing;

	rcur_bytes(c, boot_id, sizeof(boot_id));
	willing = rcur_u8(c);
	in_epoch = rcur_u32(c);
	out_epoch = rcur_u32(c);
	if (!rcur_ok(c) || !r->f->backup || !r->members || member == CHANNEL_ALL)
		return false;
	p = &r->f->backup->peers[member];
	memcpy(p->boot_id, boot_id, WIRE_BOOT_ID);
	p->boot = 1; /* orphans of an earlier boot have 0 */
	p->willing = willing;
	p->in_epoch = in_epoch;
	p->out_epoch = out_epoch;
	return true;
}

static bool get_held(struct rcur *c, struct firewall_restore *r, struct backup_flow *e,
		     uint32_t *left_ms)
{
	uint32_t member;

	memset(e, 0, sizeof(*e));
	if (!wire_get_key(c, &e->entry.key))
		return false;
	member = member_of(r->f, rcur_u16(c));
	e->boot = rcur_u8(c) ? 1 : 0;
	e->epoch = rcur_u32(c);
	e->created_ms = created_of(r, rcur_u32(c));
	*left_ms = left_of(r, rcur_u32(c));
	e->rule = rule_of(&r->rules, rcur_u32(c));
	e->flags = rcur_u8(c) & (WIRE_BACKUP_ORIGIN_B | WIRE_BACKUP_REPLIED);
	e->term = rcur_u8(c);
	for (unsigned i = 0; i < 2; i++) {
		e->una[i] = rcur_u32(c);
		e->end[i] = rcur_u32(c);
	}
	for (unsigned i = 0; i < 2; i++) {
		uint8_t scale = rcur_left(c) > 0 ? rcur_u8(c) : 0;
		e->scale[i] = scale == 0 || scale > SCALE_MAX + 1 ? SCALE_NONE : scale - 1;
	}
	e->member = (uint8_t)member;
	return rcur_ok(c) && member != CHANNEL_ALL && e->term <= WIRE_TERM_MAX;
}

static bool restore_held(struct firewall_restore *r, struct rcur *c)
{
	struct backup *b = r->f->backup;
	struct backup_flow v, *e;
	struct flow_entry entry;
	uint32_t left_ms;
	uint64_t hash;

	if (!get_held(c, r, &v, &left_ms) || !b || !r->members || left_ms == 0)
		return false;
	hash = flow_table_hash(b->flows, &v.entry.key);
	if (flow_table_find(b->flows, &v.entry.key, hash))
		return false;
	e = flow_table_insert(b->flows, &v.entry.key, hash);
	if (!e)
		return false;
	entry = e->entry;
	*e = v;
	e->entry = entry;
	flow_table_arm(b->flows, e, r->f->node->now_ns, left_ms);
	return true;
}

bool firewall_restore_item(struct firewall_restore *r, uint16_t type, struct rcur *item)
{
	switch (type) {
	case HANDOVER_BACKUP:
		return restore_backup(r, item);
	case HANDOVER_PEERS:
		return restore_peer(r, item);
	case HANDOVER_STATES:
		return restore_state(r, item);
	case HANDOVER_FORWARDS:
		return restore_forward(r, item);
	case HANDOVER_HELD:
		return restore_held(r, item);
	default:
		return false;
	}
}
