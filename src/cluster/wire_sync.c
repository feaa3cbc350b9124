#include "cluster/wire_sync.h"

#include <assert.h>

#define HEAD_FLAGS (WIRE_SYNC_MERGE | WIRE_SYNC_STATE)
#define FLOW_FLAGS 0xff
#define PATH_FLAGS (WIRE_SYNC_PATH_FAILED | WIRE_SYNC_PATH_MAC | WIRE_SYNC_PATH_JOINTLY)
#define BY_MAX 15

void wire_put_sync_head(struct wcur *c, const struct wire_sync_head *m)
{
	wcur_u32(c, m->dispatcher);
	wcur_u32(c, m->epoch);
	wcur_u32(c, m->seq);
	wcur_u8(c, m->flags);
}

bool wire_get_sync_head(struct rcur *c, struct wire_sync_head *m)
{
	m->dispatcher = rcur_u32(c);
	m->epoch = rcur_u32(c);
	m->seq = rcur_u32(c);
	m->flags = rcur_u8(c);
	return rcur_ok(c) && (m->flags & ~HEAD_FLAGS) == 0 && m->epoch != 0;
}

static void put_flow(struct wcur *c, const struct wire_sync_flow *m)
{
	assert(m->path_by <= BY_MAX && m->target_by <= BY_MAX);
	wire_put_key(c, &m->key);
	wcur_u8(c, m->flags);
	wcur_u8(c, m->state);
	wcur_u8(c, (uint8_t)(m->path_by << 4 | m->target_by));
	wcur_u16(c, m->path);
	wcur_u16(c, m->upstream);
	wcur_u32(c, m->service);
	wcur_u32(c, m->target);
	wcur_u32(c, m->life_ms);
	wcur_u32(c, m->age_ms);
	for (unsigned i = 0; i < 2; i++) {
		wcur_u32(c, m->ack[i]);
		wcur_u32(c, m->packets[i]);
		wcur_u64(c, m->bytes[i]);
	}
	if (m->flags & WIRE_SYNC_TWIN)
		wire_put_key(c, &m->twin);
}

static bool get_flow(struct rcur *c, struct wire_sync_flow *m)
{
	uint8_t by;

	if (!wire_get_key(c, &m->key))
		return false;
	m->flags = rcur_u8(c);
	m->state = rcur_u8(c);
	by = rcur_u8(c);
	m->path_by = by >> 4;
	m->target_by = by & 15;
	m->path = rcur_u16(c);
	m->upstream = rcur_u16(c);
	m->service = rcur_u32(c);
	m->target = rcur_u32(c);
	m->life_ms = rcur_u32(c);
	m->age_ms = rcur_u32(c);
	for (unsigned i = 0; i < 2; i++) {
		m->ack[i] = rcur_u32(c);
		m->packets[i] = rcur_u32(c);
		m->bytes[i] = rcur_u64(c);
	}
	if (!rcur_ok(c) || m->flags & ~FLOW_FLAGS || m->state >= WIRE_SYNC_STATES)
		return false;
	return !(m->flags & WIRE_SYNC_TWIN) || wire_get_key(c, &m->twin);
}

static void put_host(struct wcur *c, const struct ipaddr *a)
{
	bool v4 = ipaddr_is_v4(a);

	wcur_u8(c, v4 ? 4 : 6);
	wcur_bytes(c, v4 ? a->b + 12 : a->b, v4 ? 4 : 16);
}

static bool get_host(struct rcur *c, struct ipaddr *a)
{
	uint8_t version = rcur_u8(c), b[16];

	if (version != 4 && version != 6)
		return false;
	rcur_bytes(c, b, version == 4 ? 4 : 16);
	*a = version == 4 ? ipaddr_v4(b) : ipaddr_v6(b);
	return rcur_ok(c) && (version == 4 || !ipaddr_is_v4(a));
}

static void put_affinity(struct wcur *c, const struct wire_sync_affinity *m)
{
	put_host(c, &m->client);
	wcur_u32(c, m->service);
	wcur_u32(c, m->target);
	wcur_u16(c, m->path);
	wcur_u32(c, m->life_ms);
}

static bool get_affinity(struct rcur *c, struct wire_sync_affinity *m)
{
	if (!get_host(c, &m->client))
		return false;
	m->service = rcur_u32(c);
	m->target = rcur_u32(c);
	m->path = rcur_u16(c);
	m->life_ms = rcur_u32(c);
	return rcur_ok(c);
}

static bool get_path(struct rcur *c, struct wire_sync_path *m)
{
	m->id = rcur_u16(c);
	m->flags = rcur_u8(c);
	rcur_bytes(c, m->mac.b, sizeof(m->mac.b));
	return rcur_ok(c) && (m->flags & ~PATH_FLAGS) == 0 && m->id != 0;
}

void wire_put_sync(struct wcur *c, const struct wire_sync_record *m)
{
	wcur_u8(c, (uint8_t)m->kind);
	switch (m->kind) {
	case WIRE_SYNC_FLOW:
		put_flow(c, &m->flow);
		break;
	case WIRE_SYNC_GONE:
		wire_put_key(c, &m->gone);
		break;
	case WIRE_SYNC_AFFINITY:
		put_affinity(c, &m->affinity);
		break;
	case WIRE_SYNC_PATH:
		wcur_u16(c, m->path.id);
		wcur_u8(c, m->path.flags);
		wcur_bytes(c, m->path.mac.b, sizeof(m->path.mac.b));
		break;
	case WIRE_SYNC_BEGIN:
	case WIRE_SYNC_END:
		wcur_u32(c, m->bulk.number);
		wcur_u32(c, m->bulk.n);
		break;
	}
}

bool wire_get_sync(struct rcur *c, struct wire_sync_record *m)
{
	memset(m, 0, sizeof(*m));
	m->kind = (enum wire_sync_kind)rcur_u8(c);
	switch (m->kind) {
	case WIRE_SYNC_FLOW:
		return get_flow(c, &m->flow);
	case WIRE_SYNC_GONE:
		return wire_get_key(c, &m->gone);
	case WIRE_SYNC_AFFINITY:
		return get_affinity(c, &m->affinity);
	case WIRE_SYNC_PATH:
		return get_path(c, &m->path);
	case WIRE_SYNC_BEGIN:
	case WIRE_SYNC_END:
		m->bulk.number = rcur_u32(c);
		m->bulk.n = rcur_u32(c);
		return rcur_ok(c);
	}
	return false;
}

void wire_put_sync_ask(struct wcur *c, const struct wire_sync_ask *m)
{
	wcur_u32(c, m->dispatcher);
	wcur_u32(c, m->epoch);
}

bool wire_get_sync_ask(struct rcur *c, struct wire_sync_ask *m)
{
	m->dispatcher = rcur_u32(c);
	m->epoch = rcur_u32(c);
	return rcur_ok(c) && rcur_left(c) == 0;
}
