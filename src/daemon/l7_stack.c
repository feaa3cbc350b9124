/*
 * l7_stack.c - the private stacks: the clients' side, with the addresses of the services, and the
 * servers' side, from which connections go by MAC address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/l7.h"

#define CLIENTS "clients"
#define SERVERS "servers"
#define ALL_ADDRESSES ((size_t)PARAMS_SERVICES * PARAMS_SERVICE_ADDRS)
#define PORT_FIRST 1024u

bool l7_wanted(const struct params *p)
{
	return p->stack_port != PARAMS_NO_PORT;
}

/* --- clients ---------------------------------------------------------------------------------- */

/* Addresses of the services, each once. To be freed; NULL without memory. */
static struct ipaddr *stack_addresses(const struct params *p, unsigned *n)
{
	struct ipaddr *v = calloc(ALL_ADDRESSES, sizeof(*v));

	*n = 0;
	for (uint16_t i = 0; v && i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		for (uint32_t k = 0; technology_is_l7(s->technology) && k < s->n_addresses; k++) {
			unsigned j = 0;

			while (j < *n && !ipaddr_eq(&v[j], &s->addresses[k]))
				j++;
			if (j == *n)
				v[(*n)++] = s->addresses[k];
		}
	}
	return v;
}

static struct stack *clients_open(const struct params *p, char *err, size_t err_size)
{
	struct stack_params sp = {
		.node = p->node, .name = CLIENTS, .user_changes = p->user[0] != 0};
	struct stack *s;
	struct ipaddr *v = stack_addresses(p, &sp.n_addresses);

	if (!v) {
		snprintf(err, err_size, "out of memory");
		return NULL;
	}
	sp.addresses = v;
	s = stack_new(&sp, err, err_size);
	free(v);
	return s;
}

/* --- servers ---------------------------------------------------------------------------------- */

/* Two dispatchers may speak for the same client to the same server, or to each other: each has
 * ports of its own. Who has which follows from the members' ids, which all know alike; where these
 * are small, most changes of the list of members change nothing. */
struct ports {
	uint16_t first, last;
};

static struct ports ports_of(const struct params *p)
{
	uint32_t share, rank = 0, n = 1, most = 1;

	for (uint32_t i = 0; i < p->n_members; i++) {
		rank += p->members[i].id < p->node_id;
		most = p->members[i].id > most ? p->members[i].id : most;
	}
	if (most <= PARAMS_MEMBERS)
		rank = p->node_id - 1u;
	else
		most = p->n_members;
	while (n < most)
		n *= 2;
	share = (65536 - PORT_FIRST) / n;
	return (struct ports){.first = (uint16_t)(PORT_FIRST + rank * share),
			      .last = (uint16_t)(PORT_FIRST + (rank + 1) * share - 1)};
}

static struct stack *servers_open(const struct params *p, char *err, size_t err_size)
{
	const struct ports ports = ports_of(p);
	struct stack_params sp = {.node = p->node,
				  .name = SERVERS,
				  .any = true,
				  .user_changes = p->user[0] != 0,
				  .first_port = ports.first,
				  .last_port = ports.last};

	return stack_new(&sp, err, err_size);
}

/* --- both ------------------------------------------------------------------------------------- */

/* The frames of a private stack wait for this process when there are many, which a control that
 * goes by the time of travel (BBR) takes for a slow link; the host's default may be one. */
static void set_congestion(struct l7 *l, const struct params *p)
{
	struct stack *const stacks[] = {l->clients, l->servers};
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++)
		rc = stacks[i] ? stack_set_congestion(stacks[i], p->l7.congestion) : 0;
	if (rc < 0)
		log_warning("l7: congestion-control \"%s\": %s; the host's default is used",
			    p->l7.congestion,
			    rc == -ENOENT ? "this kernel has none of that name" : strerror(-rc));
}

bool l7_stacks_open(struct l7 *l, const struct params *p)
{
	char err[256];

	l->clients = clients_open(p, err, sizeof(err));
	if (l->clients && p->legs_port != PARAMS_NO_PORT)
		l->servers = servers_open(p, err, sizeof(err));
	if (l->clients && (l->servers || p->legs_port == PARAMS_NO_PORT)) {
		set_congestion(l, p);
		return true;
	}
	log_error("l7: %s", err);
	l7_stacks_close(l);
	return false;
}

void l7_stacks_close(struct l7 *l)
{
	stack_free(l->clients);
	stack_free(l->servers);
	l->clients = l->servers = NULL;
}

static void adopt(const struct stack *s, struct params *p, uint16_t index)
{
	struct port_params *port;

	if (!s || index == PARAMS_NO_PORT)
		return;
	port = &p->ports[index];
	snprintf(port->device, sizeof(port->device), "%s", stack_device(s));
	port->has_mac = true;
	port->mac = stack_gateway_mac(s);
}

void l7_stacks_adopt(const struct l7 *l, struct params *p)
{
	adopt(l->clients, p, p->stack_port);
	adopt(l->servers, p, p->legs_port);
}

void l7_stacks_reload(struct l7 *l, const struct params *p)
{
	const struct ports ports = ports_of(p);
	char err[256];
	unsigned n;
	struct ipaddr *v = stack_addresses(p, &n);
	int rc;

	if (!v || stack_set_addresses(l->clients, v, n, err, sizeof(err)) < 0)
		log_error("l7: private stack: %s", v ? err : "out of memory");
	free(v);
	rc = l->servers ? stack_set_ports(l->servers, ports.first, ports.last) : 0;
	if (rc < 0)
		log_error("l7: private stack: cannot set the range of ports: %s", strerror(-rc));
}

void l7_link(const struct daemon *d, uint16_t port, struct engine_link *link)
{
	const struct stack *s = NULL;

	if (d->l7 && port == d->params->stack_port)
		s = d->l7->clients;
	if (d->l7 && port == d->params->legs_port)
		s = d->l7->servers;
	if (!s)
		return;
	link->has_peer = true;
	link->peer = stack_mac(s);
}

void l7_stacks_repair(struct l7 *l)
{
	struct stack *const stacks[] = {l->clients, l->servers};
	bool failed = false;
	char err[256];

	for (unsigned i = 0; i < 2; i++) {
		int rc = stacks[i] ? stack_repair(stacks[i], err, sizeof(err)) : 0;

		if (rc < 0 && !l->repair_said)
			log_error("l7: private stack: its device is gone, and cannot be made "
				  "again: %s",
				  err);
		else if (rc > 0)
			log_warning("l7: private stack: its device was gone; made again");
		failed |= rc < 0;
	}
	l->repair_said = failed;
}
