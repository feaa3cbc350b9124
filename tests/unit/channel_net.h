/*
 * channel_net.h - up to four channels on a wire in memory, with a virtual clock.
 *
 * A datagram sent is delivered at the same instant, after those sent before it, unless the filter
 * takes it. Everything sent is recorded, so that it can be sent again. Inputs end at an unreadable
 * page, and so does the room that a message is written to.
 */
#ifndef TESTS_CHANNEL_NET_H
#define TESTS_CHANNEL_NET_H

#include <stdio.h>

#include "cluster/channel.h"
#include "cluster/seal.h"
#include "guard.h"

#define NET_NODES 4
#define NET_QUEUE 4096
#define NET_RECORD 20000
#define NET_PORT 4242
#define NET_MS 1000000ULL
#define NET_HELLO_MS 200
#define NET_DEAD_MS 1000
#define NET_EVENTS (CHANNEL_VERSION_DIFFERS + 1)

#define NET_KEY1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NET_KEY2 "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f"
#define NET_KEYS "1 " NET_KEY1 " active\n2 " NET_KEY2 "\n"
#define NET_KEYS_2 "1 " NET_KEY1 "\n2 " NET_KEY2 " active\n"

struct net_datagram {
	unsigned from;
	bool multicast;
	struct endpoint to;
	size_t size;
	uint8_t *data;
};

struct net;

struct net_node {
	struct net *net;
	unsigned index;
	struct params params;
	struct channel *ch; /* NULL = not running */
	const char *keys;
	uint8_t boots; /* how often it was started */
	uint8_t boot_id[WIRE_BOOT_ID];
	uint64_t next_ns;
	bool stalled; /* neither reads nor ticks */
	uint64_t counters[COUNTER_COUNT];
	unsigned events[NET_EVENTS][PARAMS_MEMBERS];
	uint64_t event_ns[NET_EVENTS][PARAMS_MEMBERS];
	unsigned received[256]; /* messages handed up, by type */
	uint8_t last_body[64];
	uint32_t last_member;
	uint8_t *room;
	size_t room_size;
};

struct net {
	uint64_t now_ns;
	unsigned n;
	struct net_node nodes[NET_NODES];
	/* Whether this datagram reaches that node; NULL = all do. */
	bool (*filter)(struct net *net, const struct net_datagram *d, unsigned to);
	struct rng rng; /* for filters */
	struct net_datagram *queue;
	unsigned n_queue, next;
	struct net_datagram *record;
	unsigned n_record;
};

static inline struct endpoint net_endpoint(unsigned index)
{
	uint8_t b[4] = {10, 0, 0, (uint8_t)(index + 1)};
	return (struct endpoint){.addr = ipaddr_v4(b), .port = NET_PORT};
}

static inline uint16_t net_id(unsigned index)
{
	return (uint16_t)(10 * (index + 1));
}

static inline uint8_t *net_room(void *arg, size_t size)
{
	struct net_node *node = arg;

	if (node->room)
		guard_free(node->room, node->room_size);
	node->room = guard_copy(NULL, size);
	node->room_size = size;
	return node->room;
}

static inline void net_push(struct net *net, unsigned from, const struct endpoint *to,
			    const void *data, size_t size)
{
	struct net_datagram *d;

	if (net->n_queue == NET_QUEUE || net->n_record == NET_RECORD)
		abort();
	d = &net->record[net->n_record++];
	*d = (struct net_datagram){.from = from, .multicast = !to, .size = size};
	if (to)
		d->to = *to;
	d->data = malloc(size + 1);
	memcpy(d->data, data, size);
	net->queue[net->n_queue++] = *d;
}

static inline void net_emit(void *arg, const struct endpoint *to, const uint8_t *data, size_t size)
{
	struct net_node *node = arg;
	net_push(node->net, node->index, to, data, size);
}

static inline void net_event(void *arg, enum channel_event event, uint32_t member)
{
	struct net_node *node = arg;
	node->events[event][member]++;
	node->event_ns[event][member] = node->net->now_ns;
}

/* Hand a datagram to a node as if it had come from `from`; true when it was handed up. */
static inline bool net_input(struct net *net, unsigned to, const struct endpoint *from,
			     bool multicast, const void *data, size_t size)
{
	struct net_node *node = &net->nodes[to];
	struct channel_message msg;
	uint8_t *copy = guard_copy(data, size);
	bool up = channel_input(node->ch, copy, size, from, multicast, net->now_ns, &msg);

	if (up) {
		size_t n = rcur_left(&msg.body);

		node->received[msg.type]++;
		node->last_member = msg.member;
		memset(node->last_body, 0, sizeof(node->last_body));
		rcur_bytes(&msg.body, node->last_body, n < 64 ? n : 64);
	}
	guard_free(copy, size);
	return up;
}

static inline void net_deliver(struct net *net)
{
	while (net->next < net->n_queue) {
		struct net_datagram d = net->queue[net->next++];
		struct endpoint from = net_endpoint(d.from);

		for (unsigned i = 0; i < net->n; i++) {
			struct endpoint own = net_endpoint(i);
			bool mine = d.multicast ? i != d.from : ipaddr_eq(&own.addr, &d.to.addr);

			if (mine && net->nodes[i].ch && !net->nodes[i].stalled &&
			    (!net->filter || net->filter(net, &d, i)))
				net_input(net, i, &from, d.multicast, d.data, d.size);
		}
	}
	net->next = net->n_queue = 0;
}

static inline void net_run(struct net *net, unsigned ms)
{
	uint64_t end = net->now_ns + ms * NET_MS;

	net_deliver(net);
	for (;;) {
		struct net_node *due = NULL;

		for (unsigned i = 0; i < net->n; i++) {
			struct net_node *node = &net->nodes[i];

			if (node->ch && !node->stalled && (!due || node->next_ns < due->next_ns))
				due = node;
		}
		if (!due || due->next_ns > end)
			break;
		if (due->next_ns > net->now_ns)
			net->now_ns = due->next_ns;
		due->next_ns = channel_tick(due->ch, net->now_ns);
		net_deliver(net);
	}
	net->now_ns = end;
}

static inline void net_configure(struct net *net, unsigned index, enum cluster_transport transport,
				 bool addresses)
{
	static const uint8_t group[4] = {239, 1, 2, 3};
	struct params *p = &net->nodes[index].params;

	memset(p, 0, sizeof(*p));
	p->node_id = net_id(index);
	p->self = index;
	p->cluster.enabled = true;
	p->cluster.id = 7;
	p->cluster.transport = transport;
	p->cluster.group = ipaddr_v4(group);
	p->cluster.udp_port = NET_PORT;
	p->cluster.hello_ms = NET_HELLO_MS;
	p->cluster.dead_ms = NET_DEAD_MS;
	p->n_members = net->n;
	for (unsigned i = 0; i < net->n; i++) {
		snprintf(p->members[i].name, PARAMS_NAME, "fw%u", i);
		p->members[i].id = net_id(i);
		p->members[i].has_address = addresses;
		p->members[i].address = net_endpoint(i).addr;
	}
}

static inline struct net *net_new(unsigned n, enum cluster_transport transport, bool addresses)
{
	struct net *net = calloc(1, sizeof(*net));

	net->n = n;
	net->now_ns = 1000 * NET_MS;
	net->rng.key.k0 = 1;
	net->queue = calloc(NET_QUEUE, sizeof(*net->queue));
	net->record = calloc(NET_RECORD, sizeof(*net->record));
	for (unsigned i = 0; i < n; i++) {
		net->nodes[i].net = net;
		net->nodes[i].index = i;
		net->nodes[i].keys = NET_KEYS;
		net_configure(net, i, transport, addresses);
	}
	return net;
}

static inline struct keyring *net_keys(const char *text)
{
	char err[128];
	struct keyring *k = keyring_parse(text, strlen(text), err, sizeof(err));

	if (!k)
		abort();
	return k;
}

/* Start a node, or start it anew: another boot id, counters and events from zero. */
static inline void net_start(struct net *net, unsigned index)
{
	struct net_node *node = &net->nodes[index];
	struct channel_io io = {node, net_room, net_emit, net_event, node->counters};
	struct rng rng = {.key = {index + 1, ++node->boots}};

	channel_free(node->ch);
	memset(node->counters, 0, sizeof(node->counters));
	memset(node->events, 0, sizeof(node->events));
	memset(node->received, 0, sizeof(node->received));
	memset(node->boot_id, 0xb0 + (int)index, WIRE_BOOT_ID);
	node->boot_id[0] = node->boots;
	node->ch = channel_new(&node->params, net_keys(node->keys), node->boot_id, rng, &io,
			       net->now_ns);
	node->next_ns = net->now_ns;
	node->stalled = false;
}

static inline void net_start_all(struct net *net)
{
	for (unsigned i = 0; i < net->n; i++)
		net_start(net, i);
}

static inline void net_stop(struct net *net, unsigned index)
{
	channel_free(net->nodes[index].ch);
	net->nodes[index].ch = NULL;
}

static inline void net_forget(struct net *net)
{
	while (net->n_record > 0)
		free(net->record[--net->n_record].data);
}

static inline void net_free(struct net *net)
{
	for (unsigned i = 0; i < net->n; i++) {
		net_stop(net, i);
		if (net->nodes[i].room)
			guard_free(net->nodes[i].room, net->nodes[i].room_size);
	}
	net_forget(net);
	free(net->queue);
	free(net->record);
	free(net);
}

static inline const struct channel_member *net_member(const struct net *net, unsigned node,
						      unsigned member)
{
	return channel_member(net->nodes[node].ch, member);
}

/* Whether every running node sees every other running one up and nobody else. */
static inline bool net_complete(const struct net *net)
{
	for (unsigned i = 0; i < net->n; i++) {
		for (unsigned j = 0; j < net->n && net->nodes[i].ch; j++) {
			if (i != j && net_member(net, i, j)->up != (net->nodes[j].ch != NULL))
				return false;
		}
	}
	return true;
}

/* Send a message of `type` with `size` bytes of `fill`. */
static inline bool net_send(struct net *net, unsigned from, uint8_t type, uint8_t fill, size_t size,
			    uint32_t to)
{
	struct wcur body;
	uint8_t *p;

	if (!channel_begin(net->nodes[from].ch, size, &body))
		return false;
	p = wcur_room(&body, size);
	if (p)
		memset(p, fill, size);
	return channel_send(net->nodes[from].ch, type, &body, to);
}

/* A datagram made by hand: header `h` as given (its length is filled in), `size` bytes of payload,
 * sealed with key bytes `key`. Returns its size; `out` needs WIRE_OVERHEAD + size bytes. */
static inline size_t net_forge(uint8_t *out, struct wire_header *h, const uint8_t key[KEYRING_KEY],
			       const void *payload, size_t size)
{
	struct seal_owner owner = {h->cluster_id, h->node_id, h->boot_id};
	struct wcur head = wcur_init(out, WIRE_HEADER);
	struct seal seal;

	h->length = (uint16_t)(size + WIRE_OVERHEAD);
	wire_put_header(&head, h);
	if (size > 0)
		memcpy(out + WIRE_HEADER, payload, size);
	seal_init(&seal, key, h->cipher, &owner);
	seal_close(&seal, h, out, size + WIRE_OVERHEAD);
	seal_fini(&seal);
	return size + WIRE_OVERHEAD;
}

#endif
