/*
 * channel_verdict.h - for tests that throw datagrams at a channel and ask how they were counted.
 *
 * Three nodes on a wire, all up; datagrams made by hand go to node 0 as if from node 1.
 */
#ifndef TESTS_CHANNEL_VERDICT_H
#define TESTS_CHANNEL_VERDICT_H

#include <check.h>

#include "channel_net.h"

static struct net *net;
static uint64_t before[NET_NODES][COUNTER_COUNT];

static uint8_t key1[KEYRING_KEY], key2[KEYRING_KEY];
static const uint8_t foreign_key[KEYRING_KEY] = {0x55};

static inline void setup(void)
{
	for (unsigned i = 0; i < KEYRING_KEY; i++)
		key1[i] = (uint8_t)i;
	struct keyring *k = net_keys(NET_KEYS);
	memcpy(key2, keyring_find(k, 2), KEYRING_KEY);
	keyring_free(k);
	net = net_new(3, TRANSPORT_MULTICAST, true);
	net_start_all(net);
	net_run(net, 1000);
	ck_assert(net_complete(net));
}

static inline void teardown(void)
{
	net_free(net);
	net = NULL;
}

static inline void snapshot(void)
{
	for (unsigned i = 0; i < net->n; i++)
		memcpy(before[i], net->nodes[i].counters, sizeof(before[i]));
}

static inline bool is_verdict(unsigned c)
{
	return c == COUNTER_MSG_IN || (c >= COUNTER_MSG_SHORT && c <= COUNTER_MSG_CHALLENGE_BAD &&
				       c != COUNTER_MSG_CHALLENGE);
}

/* Since the snapshot, `node` has counted `n` datagrams under `verdict` and none under any other. */
static inline void assert_only(unsigned node, enum counter verdict, uint64_t n)
{
	for (unsigned c = 0; c < COUNTER_COUNT; c++) {
		uint64_t d = net->nodes[node].counters[c] - before[node][c];

		if (is_verdict(c))
			ck_assert_msg(d == (c == verdict ? n : 0), "counter %u: %u", c,
				      (unsigned)d);
	}
}

/* Header of a message that node 1 could send next to node 0. */
static inline struct wire_header header(uint8_t type)
{
	struct wire_header h = {
		.version = WIRE_VERSION,
		.version_max = WIRE_VERSION,
		.type = type,
		.key_id = 1,
		.cluster_id = 7,
		.node_id = net_id(1),
		.counter = 1000,
	};
	memcpy(h.boot_id, net->nodes[1].boot_id, WIRE_BOOT_ID);
	return h;
}

static inline void inject(const void *data, size_t size)
{
	struct endpoint from = net_endpoint(1);
	net_input(net, 0, &from, false, data, size);
}

static inline void inject_forged(struct wire_header *h, const uint8_t *key, size_t size)
{
	uint8_t payload[512] = {0}, data[600];
	inject(data, net_forge(data, h, key, payload, size));
}

#endif
