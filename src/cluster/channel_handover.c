/*
 * channel_handover.c - the channel of a node that is restarted goes on under the same boot id
 * (doc/restart.md), so that for the other members nothing has happened.
 */
#include "base/handover.h"
#include "cluster/channel_impl.h"

#define MEMBER_UP 1
#define MEMBER_PROVEN 2
#define MEMBER_HELLO 4
#define MEMBER_HEARS_US 8
#define MEMBER_MULTICAST 16
#define MEMBER_BY_UNICAST 32
#define MEMBER_ENDPOINT 64

/* --- writing ---------------------------------------------------------------------------------- */

static uint8_t member_flags(const struct member *m)
{
	return (uint8_t)((m->pub.up ? MEMBER_UP : 0) | (m->pub.proven ? MEMBER_PROVEN : 0) |
			 (m->has_hello ? MEMBER_HELLO : 0) | (m->hears_us ? MEMBER_HEARS_US : 0) |
			 (m->multicast_heard ? MEMBER_MULTICAST : 0) |
			 (m->pub.by_unicast ? MEMBER_BY_UNICAST : 0) |
			 (m->pub.has_endpoint ? MEMBER_ENDPOINT : 0));
}

static void put_member(struct wcur *c, const struct member *m, uint64_t now_ns)
{
	wcur_u16(c, m->pub.params->id);
	wcur_u8(c, member_flags(m));
	wcur_bytes(c, m->pub.endpoint.addr.b, sizeof(m->pub.endpoint.addr.b));
	wcur_u16(c, m->pub.endpoint.port);
	wcur_u32(c, (uint32_t)((now_ns - m->pub.since_ns) / NS_PER_MS));
	wcur_u32(c, m->pub.n_flows);
	wcur_bytes(c, m->live.boot_id, WIRE_BOOT_ID);
	wcur_u8(c, m->pub.n_segments);
	for (unsigned i = 0; i < m->pub.n_segments; i++) {
		wcur_u64(c, m->pub.segments[i].name);
		wcur_bytes(c, m->pub.segments[i].mac.b, sizeof(m->pub.segments[i].mac.b));
		wcur_u16(c, m->pub.segments[i].vlan);
	}
	wcur_u8(c, (uint8_t)m->n_retired);
	for (unsigned i = 0; i < m->n_retired; i++)
		wcur_bytes(c, m->retired[i], WIRE_BOOT_ID);
	wcur_u64(c, m->live.replay.last);
	wcur_u16(c, REPLAY_BLOCKS);
	for (unsigned i = 0; i < REPLAY_BLOCKS; i++)
		wcur_u64(c, m->live.replay.bits[i]);
}

void channel_save(const struct channel *ch, struct sections_out *out, uint64_t now_ns)
{
	struct wcur *c;

	sections_type(out, HANDOVER_CHANNEL, HANDOVER_VERSION);
	c = sections_item(out);
	wcur_bytes(c, ch->boot_id, WIRE_BOOT_ID);
	wcur_u64(c, ch->counter);
	sections_item_end(out);
	sections_type(out, HANDOVER_MEMBERS, HANDOVER_VERSION);
	for (uint32_t i = 0; i < ch->params->n_members; i++) {
		const struct member *m = ch->members[i];

		if (channel_is_self(ch, m) || !m->live.used)
			continue;
		put_member(sections_item(out), m, now_ns);
		sections_item_end(out);
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

bool channel_resume(struct channel *ch, struct rcur *c, uint64_t floor)
{
	uint8_t boot_id[WIRE_BOOT_ID];
	uint64_t counter;

	rcur_bytes(c, boot_id, sizeof(boot_id));
	counter = rcur_u64(c);
	if (!rcur_ok(c) || ch->counter > 0 || counter >= floor)
		return false;
	memcpy(ch->boot_id, boot_id, WIRE_BOOT_ID);
	memcpy(ch->members[ch->params->self]->pub.boot_id, boot_id, WIRE_BOOT_ID);
	ch->counter = floor;
	channel_set_key(ch);
	return true;
}

static bool get_segments(struct rcur *c, struct channel_member *pub)
{
	pub->n_segments = rcur_u8(c);
	if (pub->n_segments > PARAMS_PORTS)
		return false;
	for (unsigned i = 0; i < pub->n_segments; i++) {
		pub->segments[i].name = rcur_u64(c);
		rcur_bytes(c, pub->segments[i].mac.b, sizeof(pub->segments[i].mac.b));
		pub->segments[i].vlan = rcur_u16(c);
	}
	return rcur_ok(c);
}

static bool get_retired(struct rcur *c, struct member *m)
{
	m->n_retired = rcur_u8(c);
	if (m->n_retired > CHANNEL_RETIRED)
		return false;
	for (unsigned i = 0; i < m->n_retired; i++)
		rcur_bytes(c, m->retired[i], WIRE_BOOT_ID);
	m->next_retired = m->n_retired % CHANNEL_RETIRED;
	return rcur_ok(c);
}

/* A window of another size is taken for full: only what is newer passes. */
static bool get_replay(struct rcur *c, struct replay *r)
{
	uint64_t last = rcur_u64(c);
	uint16_t n = rcur_u16(c);

	replay_init(r);
	if (n != REPLAY_BLOCKS) {
		rcur_skip(c, 8u * n);
		replay_floor(r, last);
		return rcur_ok(c);
	}
	r->last = last;
	for (unsigned i = 0; i < REPLAY_BLOCKS; i++)
		r->bits[i] = rcur_u64(c);
	return rcur_ok(c);
}

static void set_flags(struct member *m, uint8_t flags)
{
	m->pub.proven = flags & MEMBER_PROVEN;
	m->pub.up = m->pub.proven && flags & MEMBER_UP;
	m->has_hello = flags & MEMBER_HELLO;
	m->hears_us = flags & MEMBER_HEARS_US;
	m->multicast_heard = flags & MEMBER_MULTICAST;
	m->pub.by_unicast = flags & MEMBER_BY_UNICAST;
}

static bool get_member(struct rcur *c, struct member *m, uint64_t now_ns)
{
	struct endpoint from;
	uint8_t flags = rcur_u8(c);

	rcur_bytes(c, from.addr.b, sizeof(from.addr.b));
	from.port = rcur_u16(c);
	m->pub.since_ns = now_ns - rcur_u32(c) * NS_PER_MS;
	m->pub.n_flows = rcur_u32(c);
	rcur_bytes(c, m->live.boot_id, WIRE_BOOT_ID);
	if (!get_segments(c, &m->pub) || !get_retired(c, m) || !get_replay(c, &m->live.replay))
		return false;
	set_flags(m, flags);
	if (!m->pub.params->has_address && flags & MEMBER_ENDPOINT) {
		m->pub.has_endpoint = true;
		m->pub.endpoint = from;
	}
	memcpy(m->pub.boot_id, m->live.boot_id, WIRE_BOOT_ID);
	m->live.used = true;
	m->pub.heard_ns = m->multicast_ns = now_ns;
	return true;
}

bool channel_restore_member(struct channel *ch, struct rcur *c, uint64_t now_ns)
{
	uint16_t id = rcur_u16(c);
	struct member *m = NULL, before;
	bool good;

	for (uint32_t i = 0; i < ch->params->n_members; i++)
		if (ch->params->members[i].id == id)
			m = ch->members[i];
	if (!rcur_ok(c) || !m || channel_is_self(ch, m) || m->live.used)
		return false;
	before = *m;
	good = get_member(c, m, now_ns);
	if (!good)
		*m = before;
	ch->resumed_ns = now_ns; /* it has its time to be heard */
	ch->next_hello_ns = ch->due_ns = now_ns;
	return good;
}
