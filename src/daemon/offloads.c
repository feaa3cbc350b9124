/*
 * offloads.c - flow offload: the engine's orders to the kernel program, and the program's upkeep.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"

/* Changes carried out at once; a flush of everything must not hold up the frames. */
#define CHANGES 256
#define REPAIRS 3 /* of what somebody else undoes again and again */

static bool wanted(const struct params *p)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (p->ports[i].offload)
			return true;
	return false;
}

void offloads_open(struct daemon *d)
{
	struct offload_memory m;
	char err[256];

	if (!wanted(d->params))
		return;
	d->offloader = offloader_open(d->params->offload_flows, err, sizeof(err));
	if (!d->offloader) {
		log_warning("offload: %s: working without", err);
		return;
	}
	m = (struct offload_memory){.slots = offloader_slots(d->offloader),
				    .n_slots = offloader_n_slots(d->offloader),
				    .control = offloader_control(d->offloader)};
	if (engine_set_offload(d->engine, &m) < 0) {
		log_warning("offload: out of memory; lower offload-flows: working without");
		offloads_close(d);
	}
}

/* After the engine, which writes into the memory. */
void offloads_close(struct daemon *d)
{
	offloader_close(d->offloader);
	d->offloader = NULL;
}

void offloads_attach(struct daemon *d, struct daemon_port *p, unsigned ifindex)
{
	const struct port_params *params = &d->params->ports[p->index];
	char err[256];

	port_set_offload(p->port, -1);
	if (!d->offloader || !params->offload)
		return;
	offloads_detach(d, p);
	if (offloader_attach(d->offloader, ifindex, params, err, sizeof(err)) < 0) {
		if (!p->offload_said)
			log_warning("%s: working without", err);
		p->offload_said = true;
		return;
	}
	p->offload_said = false;
	p->offload_ifindex = ifindex;
	port_set_offload(p->port, offloader_filter(d->offloader));
}

void offloads_attached(struct daemon *d, struct daemon_port *p)
{
	if (p->offload_ifindex == 0 || port_offloads(p->port))
		return;
	if (port_attached(p->port))
		log_warning("port \"%s\": offload: the socket does not take the program: working "
			    "without",
			    d->params->ports[p->index].name);
	offloads_detach(d, p);
}

void offloads_detach(struct daemon *d, struct daemon_port *p)
{
	if (p->offload_ifindex == 0)
		return;
	offloader_detach(d->offloader, p->offload_ifindex);
	p->offload_ifindex = 0;
}

static bool carry_out(struct daemon *d, const struct offload_change *c)
{
	int rc;

	if (!c->add) {
		(void)offloader_remove(d->offloader, &c->key);
		return true;
	}
	rc = offloader_put(d->offloader, &c->key, c->value);
	if (rc == 0)
		return true;
	if (!d->offload_failed_said)
		log_warning("offload: the kernel does not take a flow: %s", strerror(-rc));
	d->offload_failed_said = true;
	return false;
}

bool offloads_pending(const struct daemon *d)
{
	return d->offloader && engine_offload_pending(d->engine);
}

void offloads_carry_out(struct daemon *d)
{
	struct offload_change c;
	unsigned n = 0;

	if (!d->offloader)
		return;
	while (n < CHANGES && engine_offload_change(d->engine, &c)) {
		if (!carry_out(d, &c))
			engine_offload_failed(d->engine, &c);
		n++;
	}
	d->offload_left = n == CHANGES;
}

static struct daemon_port *port_at(struct daemon *d, unsigned ifindex)
{
	for (uint32_t i = 0; i < d->params->n_ports; i++)
		if (d->ports[i].offload_ifindex == ifindex)
			return &d->ports[i];
	return NULL;
}

static bool repair(struct daemon *d, struct daemon_port *p)
{
	const struct port_params *params = &d->params->ports[p->index];
	char err[256];

	if (++p->offload_repairs > REPAIRS) {
		log_warning(
			"port \"%s\": offload: packets do not reach the program at TC ingress of "
			"device \"%s\", whatever is done: working without on all ports",
			params->name, params->device);
		return false;
	}
	if (offloader_attach(d->offloader, p->offload_ifindex, params, err, sizeof(err)) < 0) {
		log_warning("%s: working without on all ports", err);
		return false;
	}
	log_warning("port \"%s\": offload: the program at TC ingress of device \"%s\" was removed, "
		    "or another one stands in front of it: attached anew",
		    params->name, params->device);
	return true;
}

void offloads_check(struct daemon *d)
{
	unsigned ifindex = d->offloader ? offloader_broken(d->offloader) : 0;
	struct daemon_port *p;

	if (ifindex == 0 || d->offload_given_up)
		return;
	p = port_at(d, ifindex); /* none: the device has been detached from meanwhile */
	if (!p || repair(d, p))
		offloader_mended(d->offloader);
	else
		d->offload_given_up = true;
}
