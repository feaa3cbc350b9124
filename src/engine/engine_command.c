/*
 * engine_command.c - what the daemon orders on somebody's behalf: leave, take over, forget, weigh;
 * and what it counts.
 */
#include <errno.h>

#include "engine/engine.h"
#include "engine/engine_priv.h"

bool engine_leave(struct engine *e, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	takeover_wake(&e->dispatch);
	e->next_ns = now_ns;
	return takeover_leave(&e->dispatch) | backup_leave(&e->firewall);
}

bool engine_leaving(const struct engine *e)
{
	return takeover_yielding(&e->dispatch) || backup_leaving(&e->firewall);
}

int engine_take_over(struct engine *e, const char *dispatcher, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	takeover_wake(&e->dispatch);
	e->next_ns = now_ns;
	return takeover_order(&e->dispatch, dispatcher);
}

int engine_drain_node(struct engine *e, bool drain, uint64_t now_ns, struct actions *out)
{
	int rc;

	node_begin(&e->node, now_ns, out);
	e->next_ns = now_ns;
	rc = backup_drain(&e->firewall, drain);
	if (rc < 0 && !takeover_any(&e->dispatch))
		return rc;
	if (drain)
		takeover_leave(&e->dispatch);
	else
		takeover_stay(&e->dispatch);
	if (drain != e->is_drained)
		e->drained_ns = now_ns;
	e->is_drained = drain;
	return 0;
}

void engine_goodbye(struct engine *e, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	if (e->channel) {
		answer_flush_releases(&e->firewall);
		backup_last_words(&e->firewall);
		channel_goodbye(e->channel);
	}
}

uint32_t engine_flush(struct engine *e, enum engine_flush what, uint64_t now_ns,
		      struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	switch (what) {
	case ENGINE_FLUSH_FLOWS:
		return firewall_flush_states(&e->firewall) + dispatch_flush(&e->dispatch);
	case ENGINE_FLUSH_FORWARDS:
		return firewall_flush_forwards(&e->firewall);
	case ENGINE_FLUSH_NEGATIVE:
		return e->firewall.negative ? negative_clear(e->firewall.negative) : 0;
	}
	return 0;
}

/* --- targets ---------------------------------------------------------------------------------- */

/* What follows from it (flows to move, others to tell) is done by the next tick, at once. */
static void engine_targets_begin(struct engine *e, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	e->next_ns = now_ns;
}

int engine_set_weight(struct engine *e, const char *target, uint32_t weight, uint64_t now_ns,
		      struct actions *out)
{
	engine_targets_begin(e, now_ns, out);
	return dispatch_set_weight(&e->dispatch, target, weight);
}

int engine_set_drain(struct engine *e, const char *target, bool drain, uint64_t now_ns,
		     struct actions *out)
{
	engine_targets_begin(e, now_ns, out);
	return dispatch_set_drain(&e->dispatch, target, drain);
}

void engine_target_health(struct engine *e, uint16_t target, bool up, const char *why,
			  uint64_t now_ns, struct actions *out)
{
	engine_targets_begin(e, now_ns, out);
	dispatch_target_health(&e->dispatch, target, up, why);
}

void engine_target_load(struct engine *e, uint16_t target, int word, uint64_t now_ns,
			struct actions *out)
{
	engine_targets_begin(e, now_ns, out);
	dispatch_target_load(&e->dispatch, target, word);
}

void engine_want_notes(struct engine *e, uint32_t mask)
{
	e->node.want_notes = mask;
}

const uint64_t *engine_counters(const struct engine *e)
{
	return e->node.counters;
}

const uint64_t *engine_drops(const struct engine *e)
{
	return e->node.drops;
}

uint32_t engine_held(const struct engine *e)
{
	return pool_used(e->node.pool);
}
