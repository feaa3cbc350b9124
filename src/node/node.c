#include "node/node_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NODE_NEIGHBOURS 4096
#define NODE_POOL_SMALL 8192
#define NODE_POOL_LARGE 256
#define NODE_DROP_NOTES 200 /* a second, and as burst */

static struct hash_key node_subkey(const uint64_t seed[2])
{
	return (struct hash_key){.k0 = seed[0], .k1 = seed[1]};
}

int node_init(struct node *n, const struct params *params, const uint64_t seed[6], uint64_t now_ns)
{
	struct hash_key neigh_key = node_subkey(seed + 2);

	memset(n, 0, sizeof(*n));
	n->secret = node_subkey(seed);
	n->rng.key = node_subkey(seed + 4);
	n->now_ns = now_ns;
	n->route_generation = 1;
	n->announce_due_ns = UINT64_MAX;
	n->neighbours = neigh_table_new(NODE_NEIGHBOURS, &neigh_key);
	n->pool = pool_new(NODE_POOL_SMALL, NODE_POOL_LARGE);
	n->build = build_new();
	if (!n->neighbours || !n->pool || !n->build || node_configure(n, params) < 0) {
		node_fini(n);
		return -ENOMEM;
	}
	bucket_init(&n->drop_notes, NODE_DROP_NOTES, NODE_DROP_NOTES, now_ns);
	return 0;
}

void node_fini(struct node *n)
{
	offload_free(n->offload);
	neigh_table_free(n->neighbours);
	pool_free(n->pool);
	build_free(n->build);
	route_table_free(n->routes);
	free(n->kernel_routes);
	free(n->addresses);
	memset(n, 0, sizeof(*n));
}

/* Routes that follow from an address: its own prefix is on link. */
static size_t node_connected_routes(const struct node *n, struct route *out)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n_own_addresses; i++) {
		const struct node_address *a = &n->addresses[i];
		if (!a->is_virtual || a->port == PARAMS_NO_PORT)
			continue;
		out[count++] = (struct route){.dst = a->prefix, .port = a->port, .metric = 0};
	}
	return count;
}

static int node_build_routes(struct node *n)
{
	const struct params *p = n->params;
	size_t max = n->n_kernel_routes + n->n_addresses + p->n_routes + 1;
	struct route *v = calloc(max, sizeof(*v));
	struct route_table *t;
	size_t count = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_routes; i++)
		v[count++] = (struct route){.dst = p->routes[i].dst,
					    .via = p->routes[i].via,
					    .port = p->routes[i].port,
					    .from_config = true};
	count += node_connected_routes(n, v + count);
	if (n->n_kernel_routes)
		memcpy(v + count, n->kernel_routes, n->n_kernel_routes * sizeof(*v));
	t = route_table_new(v, count + n->n_kernel_routes, &n->secret);
	free(v);
	if (!t)
		return -ENOMEM;
	route_table_free(n->routes);
	n->routes = t;
	n->route_generation++;
	node_void_offload(n);
	return 0;
}

/* What is known of an address that the configuration still has stays known. */
static void node_keep_address(struct node *n, struct node_address *a)
{
	const struct node_address *old = announce_find(n, a->port, &a->prefix.addr);

	if (!old) {
		announce_begin(n, a);
		return;
	}
	a->is_silent = old->is_silent;
	a->is_taken = old->is_taken;
	a->is_probing = old->is_probing;
	a->left = old->left;
	a->due_ns = old->due_ns;
	a->defended_ns = old->defended_ns;
}

/* Behind `count` addresses in `v`: the virtual ones of the configuration, then those passed on. */
static size_t node_virtual_addresses(struct node *n, struct node_address *v, size_t count)
{
	const struct port_params *ports = n->params->ports;
	size_t first = count;

	for (uint16_t port = 0; port < n->params->n_ports; port++)
		for (uint32_t i = 0; i < ports[port].n_addresses; i++)
			v[count++] = (struct node_address){.prefix = ports[port].addresses[i],
							   .port = port,
							   .is_virtual = true};
	n->n_own_addresses = count;
	for (uint16_t port = 0; port < n->params->n_ports; port++)
		for (uint32_t i = 0; i < ports[port].n_answers; i++)
			v[count++] = (struct node_address){
				.prefix = {.addr = ports[port].answers[i], .len = 128},
				.port = port,
				.is_virtual = true,
				.is_passed = true};
	for (size_t i = first; i < count; i++)
		node_keep_address(n, &v[i]);
	return count;
}

/* The host's addresses stay first in the array. */
static int node_build_addresses(struct node *n, const struct node_address *host, size_t count)
{
	struct node_address *v;
	size_t max = count + (size_t)PARAMS_PORTS * (PARAMS_PORT_ADDRS + PARAMS_PORT_ANSWERS);

	v = calloc(max, sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (count)
		memcpy(v, host, count * sizeof(*v));
	n->n_addresses = node_virtual_addresses(n, v, count);
	n->n_host_addresses = count;
	free(n->addresses);
	n->addresses = v;
	n->address_filter = 0;
	for (size_t i = 0; i < n->n_own_addresses; i++)
		n->address_filter |= node_address_bit(&v[i].prefix.addr);
	return 0;
}

int node_configure(struct node *n, const struct params *params)
{
	uint32_t rate = params->firewall.originate_rate;
	int rc;

	n->params = params;
	bucket_init(&n->originate, rate, rate, n->now_ns);
	rc = node_build_addresses(n, n->addresses, n->n_host_addresses);
	return rc < 0 ? rc : node_build_routes(n);
}

int node_set_addresses(struct node *n, const struct node_address *v, size_t count)
{
	int rc = node_build_addresses(n, v, count);
	return rc < 0 ? rc : node_build_routes(n);
}

int node_set_routes(struct node *n, const struct route *v, size_t count)
{
	struct route *copy = calloc(count ? count : 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, v, count * sizeof(*copy));
	free(n->kernel_routes);
	n->kernel_routes = copy;
	n->n_kernel_routes = count;
	return node_build_routes(n);
}

static void node_drop_waiting(struct node *n, uint16_t port, enum drop reason)
{
	for (uint16_t i = 0; i < neigh_capacity(n->neighbours); i++) {
		struct neigh *e = neigh_at(n->neighbours, i);
		if (e->port == port)
			node_drop_queue(n, &e->waiting, reason);
	}
}

void node_set_link(struct node *n, uint16_t port, const struct node_link *link)
{
	struct node_link *l = &n->links[port];
	bool was_up = l->up;
	bool moved = was_up && link->up && !macaddr_eq(&l->mac, &link->mac);

	*l = *link;
	node_void_offload(n);
	if (n->params->ports[port].mtu && n->params->ports[port].mtu < l->mtu)
		l->mtu = n->params->ports[port].mtu;
	if (was_up && !l->up) {
		node_drop_waiting(n, port, DROP_PORT_DOWN);
		neigh_reset_port(n->neighbours, port);
		n->neighbour_changes++;
	}
	if (was_up != l->up)
		announce_link(n, port);
	if (moved)
		announce_again(n, port);
}

void node_set_roles(struct node *n, uint32_t elected, uint32_t silent, uint32_t shut)
{
	uint32_t changed = (elected ^ n->elected_ports) | (silent ^ n->silent_ports);
	uint32_t newly_shut = shut & ~n->shut_ports;

	if (shut != n->shut_ports || changed)
		node_void_offload(n);
	n->elected_ports = elected;
	n->silent_ports = silent;
	n->shut_ports = shut;
	for (uint16_t port = 0; changed && port < n->params->n_ports; port++)
		if (changed & 1u << port)
			announce_link(n, port);
	for (uint16_t port = 0; newly_shut && port < n->params->n_ports; port++)
		if (newly_shut & 1u << port)
			node_drop_waiting(n, port, DROP_STANDBY);
}

const struct node_address *node_address_search(const struct node *n, const struct ipaddr *a)
{
	for (size_t i = 0; i < n->n_own_addresses; i++)
		if (!n->addresses[i].is_taken && !n->addresses[i].is_silent &&
		    ipaddr_eq(&n->addresses[i].prefix.addr, a))
			return &n->addresses[i];
	return NULL;
}

bool node_answers_for(const struct node *n, const struct ipaddr *a)
{
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++)
		if (node_address_answers(&n->addresses[i]) &&
		    ipaddr_eq(&n->addresses[i].prefix.addr, a))
			return true;
	return false;
}

static bool node_address_covers(const struct node_address *own, const struct ipaddr *a)
{
	struct prefix net = {.addr = ipaddr_mask(own->prefix.addr, own->prefix.len),
			     .len = own->prefix.len};

	return prefix_contains(&net, a);
}

bool node_on_link(const struct node *n, uint16_t port, const struct ipaddr *a)
{
	for (size_t i = 0; i < n->n_own_addresses; i++)
		if (n->addresses[i].port == port && node_address_covers(&n->addresses[i], a))
			return true;
	return false;
}

const struct ipaddr *node_source(const struct node *n, uint16_t port, const struct ipaddr *peer)
{
	const struct ipaddr *best = NULL;
	bool v4 = ipaddr_is_v4(peer);

	for (size_t i = 0; i < n->n_own_addresses; i++) {
		const struct node_address *a = &n->addresses[i];
		if (a->port != port || ipaddr_is_v4(&a->prefix.addr) != v4 || a->is_taken ||
		    a->is_probing || a->is_silent)
			continue;
		if (node_address_covers(a, peer))
			return &a->prefix.addr;
		if (!best || ipaddr_is_link_local(best))
			best = &a->prefix.addr;
	}
	return best;
}

uint16_t node_route_port(const struct node *n, const struct ipaddr *dst)
{
	const struct route *r = route_table_find(n->routes, dst);
	return r ? r->port : PARAMS_NO_PORT;
}

struct note *node_note(struct node *n, enum note_type type)
{
	struct note *note;

	if (!(n->want_notes & (1u << type)))
		return NULL;
	if (n->out->n_notes == ACTIONS_NOTES) {
		node_count(n, COUNTER_NOTE_LIMIT);
		return NULL;
	}
	note = &n->out->notes[n->out->n_notes++];
	*note = (struct note){.type = type,
			      .now_ns = n->now_ns,
			      .member = NOTE_NO_MEMBER,
			      .port = PARAMS_NO_PORT,
			      .rule = 0xffff,
			      .path = PARAMS_NONE,
			      .target = PARAMS_NONE,
			      .service = PARAMS_NONE,
			      .dispatcher = PARAMS_NONE};
	return note;
}

static void node_note_drop(struct node *n, const struct pkt *pkt, enum drop reason, uint16_t port)
{
	struct note *note;

	if (!(n->want_notes & (1u << NOTE_DROP)) || drop_class(reason) == DROP_CLASS_INFO)
		return;
	if (!bucket_take(&n->drop_notes, 1, n->now_ns)) {
		node_count(n, COUNTER_NOTE_LIMIT);
		return;
	}
	note = node_note(n, NOTE_DROP);
	if (!note)
		return;
	note->reason = reason;
	note->port = port;
	if (pkt && pkt->kind == PKT_IP) {
		note->has_flow = true;
		note->dir = (uint8_t)flow_key_make(&note->key, &pkt->tuple, pkt->version);
	}
}

enum drop node_drop(struct node *n, const struct pkt *pkt, enum drop reason)
{
	n->drops[reason]++;
	node_note_drop(n, pkt, reason, pkt->frame->port);
	return reason;
}

enum drop node_drop_frame(struct node *n, const struct frame *frame, enum drop reason)
{
	n->drops[reason]++;
	node_note_drop(n, NULL, reason, frame->port);
	return reason;
}

void node_drop_held(struct node *n, struct held *h, enum drop reason)
{
	node_drop_frame(n, &h->frame, reason);
	pool_drop(n->pool, h);
}

void node_drop_queue(struct node *n, struct held_queue *q, enum drop reason)
{
	struct held *h;

	while ((h = held_pop(q)))
		node_drop_held(n, h, reason);
}

struct held *node_hold(struct node *n, const struct pkt *pkt)
{
	return pool_hold(n->pool, pkt->frame);
}

bool node_emit(struct node *n, const struct frame *frame, uint16_t port)
{
	struct actions *out = n->out;

	if (out->n_frames == ACTIONS_FRAMES) {
		n->drops[DROP_NO_BUFFER]++;
		return false;
	}
	out->frames[out->n_frames] = *frame;
	out->frames[out->n_frames++].port = port;
	n->counters[COUNTER_FRAMES_OUT]++;
	n->counters[COUNTER_BYTES_OUT] += frame->len;
	return true;
}

uint64_t node_tick(struct node *n)
{
	uint64_t announce = announce_tick(n); /* first: neighbours are asked from these addresses */
	uint64_t next = neighbour_tick(n);

	return announce < next ? announce : next;
}
