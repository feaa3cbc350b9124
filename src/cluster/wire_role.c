#include "cluster/wire_role.h"

#include <assert.h>

void wire_put_role(struct wcur *c, const struct wire_role *m)
{
	assert(m->n_roles <= PARAMS_DISPATCHERS && m->n_heard <= PARAMS_MEMBERS);
	wcur_u32(c, m->seq);
	wcur_u8(c, m->n_roles);
	for (unsigned i = 0; i < m->n_roles; i++) {
		wcur_u32(c, m->roles[i].dispatcher);
		wcur_u8(c, m->roles[i].state);
		wcur_u8(c, m->roles[i].flags);
		wcur_u16(c, m->roles[i].active);
		wcur_u32(c, m->roles[i].config);
	}
	wcur_u8(c, m->n_heard);
	for (unsigned i = 0; i < m->n_heard; i++)
		wcur_u16(c, m->heard[i]);
}

/* Flags that a later version may have are nothing to refuse a message for: nodes that do not
 * understand each other's roles would all play the dispatcher while they are upgraded in turn. */
static bool get_one(struct rcur *c, struct wire_role_one *m)
{
	m->dispatcher = rcur_u32(c);
	m->state = rcur_u8(c);
	m->flags = rcur_u8(c);
	m->active = rcur_u16(c);
	m->config = rcur_u32(c);
	return rcur_ok(c) && m->state < WIRE_ROLE_STATES;
}

bool wire_get_role(struct rcur *c, struct wire_role *m)
{
	memset(m, 0, sizeof(*m));
	m->seq = rcur_u32(c);
	m->n_roles = rcur_u8(c);
	if (!rcur_ok(c) || m->n_roles > PARAMS_DISPATCHERS)
		return false;
	for (unsigned i = 0; i < m->n_roles; i++)
		if (!get_one(c, &m->roles[i]))
			return false;
	m->n_heard = rcur_u8(c);
	if (!rcur_ok(c) || m->n_heard > PARAMS_MEMBERS)
		return false;
	for (unsigned i = 0; i < m->n_heard; i++)
		m->heard[i] = rcur_u16(c);
	return rcur_ok(c) && rcur_left(c) == 0;
}
