/*
 * engine_l7.c - what the reader of requests asks the engine.
 */
#include <assert.h>

#include "engine/engine_priv.h"

uint16_t engine_l7_choose(struct engine *e, uint16_t service, const struct endpoint *client,
			  const struct endpoint *to, uint64_t now_ns)
{
	e->node.now_ns = now_ns;
	return dispatch_l7_choose(&e->dispatch, service, client, to);
}

enum l7_standing engine_l7_standing(const struct engine *e, uint16_t target, uint64_t *since_ns)
{
	return dispatch_l7_standing(&e->dispatch, target, since_ns);
}

void engine_l7_flow(struct engine *e, uint16_t target, bool begins)
{
	dispatch_l7_flow(&e->dispatch, target, begins);
}

struct l7_service_counts *engine_l7_service_counts(struct engine *e, uint16_t service)
{
	assert(service < e->params->n_services);
	return &e->dispatch.service_states[service].l7;
}

struct l7_target_counts *engine_l7_target_counts(struct engine *e, uint16_t target)
{
	if (l7_is_relay(target))
		return &e->dispatch.relays[l7_relay_member(target)].to;
	assert(target < e->params->n_targets);
	return &e->dispatch.targets[target].l7;
}

struct l7_relay_counts *engine_l7_relay_counts(struct engine *e, uint16_t member)
{
	assert(member < PARAMS_MEMBERS);
	return &e->dispatch.relays[member].from;
}

int engine_l7_leg(struct engine *e, uint16_t target, const struct endpoint *from,
		  const struct endpoint *to, uint64_t now_ns)
{
	e->node.now_ns = now_ns;
	return dispatch_l7_leg(&e->dispatch, target, from, to);
}

uint16_t engine_l7_leg_from(struct engine *e, const struct endpoint *from,
			    const struct endpoint *to, uint64_t now_ns)
{
	e->node.now_ns = now_ns;
	return dispatch_l7_leg_from(&e->dispatch, from, to);
}

void engine_l7_leg_serves(struct engine *e, const struct endpoint *from, const struct endpoint *to,
			  uint16_t target)
{
	dispatch_l7_leg_serves(&e->dispatch, from, to, target);
}

void engine_l7_leg_end(struct engine *e, const struct endpoint *from, const struct endpoint *to,
		       uint64_t now_ns)
{
	e->node.now_ns = now_ns;
	dispatch_l7_leg_end(&e->dispatch, from, to);
}

enum l7_found engine_l7_find(struct engine *e, uint16_t service, uint32_t server, uint16_t *target,
			     uint64_t now_ns)
{
	enum l7_found found;

	e->node.now_ns = now_ns;
	found = dispatch_l7_find(&e->dispatch, service, server, target);
	if (finds_next(&e->dispatch) < e->next_ns)
		e->next_ns = finds_next(&e->dispatch);
	return found;
}

uint32_t engine_l7_news(const struct engine *e)
{
	return dispatch_l7_news(&e->dispatch);
}
