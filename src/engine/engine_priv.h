/*
 * engine_priv.h - the inside of an engine, for engine.c, view.c and the tests that look into it.
 */
#ifndef ENGINE_ENGINE_PRIV_H
#define ENGINE_ENGINE_PRIV_H

#include "cluster/channel.h"
#include "dispatch/dispatch.h"
#include "engine/engine.h"
#include "firewall/firewall.h"
#include "node/node.h"

struct engine {
	const struct params *params;
	struct node node;
	struct channel *channel;
	struct firewall firewall;
	struct dispatch dispatch;
	uint64_t start_ns;
	uint64_t next_ns;
	bool firewall_ready, dispatch_ready;
	bool is_drained; /* by the operator */
	uint64_t drained_ns;
	uint32_t offload_pos; /* of the walk over the kernel's flows */
	uint64_t offload_due_ns;
};

#endif
