#include "node/handover.h"

#include "base/handover.h"
#include "base/name_id.h"
#include "node/neigh.h"
#include "node/node_priv.h"

static void save_addresses(const struct node *n, struct sections_out *out)
{
	sections_type(out, HANDOVER_ADDRESSES, HANDOVER_VERSION);
	for (size_t i = n->n_host_addresses; i < n->n_addresses; i++) {
		const struct node_address *a = &n->addresses[i];
		struct wcur *c;

		if (a->is_probing || a->is_taken || a->is_silent || a->port >= n->params->n_ports)
			continue;
		c = sections_item(out);
		wcur_u32(c, name_id(n->params->ports[a->port].name));
		wcur_bytes(c, a->prefix.addr.b, sizeof(a->prefix.addr.b));
		sections_item_end(out);
	}
}

static void save_neighbours(const struct node *n, struct sections_out *out)
{
	const struct neigh *e;

	sections_type(out, HANDOVER_NEIGHBOURS, HANDOVER_VERSION);
	for (uint16_t i = 0; (e = neigh_at(n->neighbours, i)); i++) {
		struct wcur *c;

		if (!neigh_usable(e) || e->port >= n->params->n_ports ||
		    n->params->ports[e->port].is_stack)
			continue;
		c = sections_item(out);
		wcur_u32(c, name_id(n->params->ports[e->port].name));
		wcur_bytes(c, e->addr.b, sizeof(e->addr.b));
		wcur_bytes(c, e->mac.b, sizeof(e->mac.b));
		sections_item_end(out);
	}
}

void node_save(const struct node *n, struct sections_out *out)
{
	save_addresses(n, out);
	save_neighbours(n, out);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The port with that name id, or n_ports. */
static uint16_t port_of(const struct node *n, uint32_t id)
{
	uint16_t port = 0;

	while (port < n->params->n_ports && name_id(n->params->ports[port].name) != id)
		port++;
	return port;
}

bool node_restore_address(struct node *n, struct rcur *c)
{
	uint16_t port = port_of(n, rcur_u32(c));
	struct node_address *a;
	struct ipaddr addr;

	rcur_bytes(c, addr.b, sizeof(addr.b));
	a = rcur_ok(c) && port < n->params->n_ports ? announce_find(n, port, &addr) : NULL;
	if (a)
		announce_resume(n, a);
	return a != NULL;
}

/* Believed as if it had just been told; in use it is asked again after its time. */
bool node_restore_neighbour(struct node *n, struct rcur *c)
{
	uint16_t port = port_of(n, rcur_u32(c)), i;
	struct macaddr mac;
	struct ipaddr addr;
	bool evicted;

	rcur_bytes(c, addr.b, sizeof(addr.b));
	rcur_bytes(c, mac.b, sizeof(mac.b));
	if (!rcur_ok(c) || port == n->params->n_ports || mac.b[0] & 1)
		return false;
	i = neigh_get(n->neighbours, port, &addr, n->now_ns, &evicted);
	if (i == NEIGH_NONE)
		return false;
	if (neigh_learn(neigh_at(n->neighbours, i), &mac, n->now_ns))
		n->neighbour_changes++;
	return true;
}
