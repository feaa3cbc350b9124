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
	assert(target < e->params->n_targets);
	return &e->dispatch.targets[target].l7;
}
