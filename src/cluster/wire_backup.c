#include "cluster/wire_backup.h"

#include <assert.h>

#define BACKUP_FLAGS (WIRE_BACKUP_ORIGIN_B | WIRE_BACKUP_REPLIED | WIRE_BACKUP_HAND_OVER)
#define SCALE_MAX 14
#define SCALE_NONE 255
#define TAKEN_ENDED 0x80 /* bit of the rank */
#define ACK_FLAGS WIRE_ACK_WILLING

static bool complete(const struct rcur *c)
{
	return rcur_ok(c) && rcur_left(c) == 0;
}

void wire_put_backup_head(struct wcur *c, const struct wire_backup_head *m)
{
	wcur_u32(c, m->seq);
	wcur_u32(c, m->epoch);
}

bool wire_get_backup_head(struct rcur *c, struct wire_backup_head *m)
{
	m->seq = rcur_u32(c);
	m->epoch = rcur_u32(c);
	return rcur_ok(c) && rcur_left(c) > 0;
}

void wire_put_backup_flow(struct wcur *c, const struct wire_backup_flow *m)
{
	assert(m->term <= WIRE_TERM_MAX);
	wire_put_key(c, &m->key);
	wcur_u8(c, m->flags);
	wcur_u8(c, m->term);
	wcur_u32(c, m->rule);
	wcur_u32(c, m->age_ms);
	wcur_u32(c, m->life_ms);
	if (m->key.proto != IPPROTO_NUM_TCP)
		return;
	for (unsigned i = 0; i < 2; i++) {
		wcur_u32(c, m->una[i]);
		wcur_u32(c, m->end[i]);
	}
	wcur_u8(c, m->scale[0]);
	wcur_u8(c, m->scale[1]);
}

static uint8_t get_scale(struct rcur *c, bool *good)
{
	uint8_t scale = rcur_u8(c);

	*good = *good && (scale <= SCALE_MAX || scale == SCALE_NONE);
	return scale;
}

bool wire_get_backup_flow(struct rcur *c, struct wire_backup_flow *m)
{
	bool good = true;

	memset(m, 0, sizeof(*m));
	if (!wire_get_key(c, &m->key))
		return false;
	m->flags = rcur_u8(c);
	m->term = rcur_u8(c);
	m->rule = rcur_u32(c);
	m->age_ms = rcur_u32(c);
	m->life_ms = rcur_u32(c);
	for (unsigned i = 0; i < 2 && m->key.proto == IPPROTO_NUM_TCP; i++) {
		m->una[i] = rcur_u32(c);
		m->end[i] = rcur_u32(c);
	}
	for (unsigned i = 0; i < 2 && m->key.proto == IPPROTO_NUM_TCP; i++)
		m->scale[i] = get_scale(c, &good);
	return good && rcur_ok(c) && (m->flags & ~BACKUP_FLAGS) == 0 && m->term <= WIRE_TERM_MAX &&
	       m->life_ms > 0;
}

void wire_put_backup_end(struct wcur *c, uint32_t seq, const struct wire_keys *keys)
{
	wcur_u32(c, seq);
	wire_put_keys(c, keys);
}

bool wire_get_backup_end(struct rcur *c, uint32_t *seq, struct wire_keys *keys)
{
	*seq = rcur_u32(c);
	return wire_get_keys(c, keys);
}

void wire_put_taken(struct wcur *c, const struct wire_taken *m)
{
	assert(m->n > 0 && m->n <= WIRE_TAKEN_MAX);
	wcur_u8(c, m->n);
	for (unsigned i = 0; i < m->n; i++) {
		wire_put_key(c, &m->v[i].key);
		assert(m->v[i].rank < TAKEN_ENDED);
		wcur_u8(c, (uint8_t)(m->v[i].rank | (m->v[i].ended ? TAKEN_ENDED : 0)));
		if (m->v[i].ended)
			wcur_u32(c, m->v[i].age_ms);
	}
}

bool wire_get_taken(struct rcur *c, struct wire_taken *m)
{
	memset(m, 0, sizeof(*m));
	m->n = rcur_u8(c);
	if (m->n == 0 || m->n > WIRE_TAKEN_MAX)
		return false;
	for (unsigned i = 0; i < m->n; i++) {
		if (!wire_get_key(c, &m->v[i].key))
			return false;
		m->v[i].rank = rcur_u8(c);
		m->v[i].ended = m->v[i].rank & TAKEN_ENDED;
		m->v[i].rank &= (uint8_t)~TAKEN_ENDED;
		if (m->v[i].ended)
			m->v[i].age_ms = rcur_u32(c);
	}
	return complete(c);
}

void wire_put_backup_ack(struct wcur *c, const struct wire_backup_ack *m)
{
	assert(m->n <= WIRE_ACKS_MAX);
	wcur_u8(c, m->flags);
	wcur_u32(c, m->epoch);
	wcur_u8(c, m->n);
	for (unsigned i = 0; i < m->n; i++)
		wcur_u32(c, m->seq[i]);
}

bool wire_get_backup_ack(struct rcur *c, struct wire_backup_ack *m)
{
	memset(m, 0, sizeof(*m));
	m->flags = rcur_u8(c);
	m->epoch = rcur_u32(c);
	m->n = rcur_u8(c);
	if (m->n > WIRE_ACKS_MAX)
		return false;
	for (unsigned i = 0; i < m->n; i++)
		m->seq[i] = rcur_u32(c);
	return complete(c) && (m->flags & ~ACK_FLAGS) == 0;
}
