/*
 * host.c - what the kernel tells by netlink, to the engine.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "io/hostcheck.h"

static uint16_t host_port_of(const struct daemon *d, unsigned ifindex)
{
	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		const struct netlink_link *l =
			netlink_link_by_name(d->netlink, d->params->ports[i].device);
		if (l && l->ifindex == ifindex)
			return i;
	}
	return PARAMS_NO_PORT;
}

static void host_addresses(void *arg)
{
	struct daemon *d = arg;
	size_t n;
	const struct netlink_addr *v = netlink_addresses(d->netlink, &n);
	struct engine_address *out = calloc(n ? n : 1, sizeof(*out));

	if (!out)
		return;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct engine_address){.prefix = v[i].prefix,
						 .port = host_port_of(d, v[i].ifindex)};
	engine_set_addresses(d->engine, out, n);
	free(out);
}

static void host_routes(void *arg)
{
	struct daemon *d = arg;
	size_t n, used = 0;
	const struct netlink_route *v = netlink_routes(d->netlink, &n);
	struct engine_route *out = calloc(n ? n : 1, sizeof(*out));

	if (!out)
		return;
	for (size_t i = 0; i < n; i++) {
		uint16_t port = host_port_of(d, v[i].ifindex);
		if (port == PARAMS_NO_PORT)
			continue;
		out[used++] = (struct engine_route){
			.dst = v[i].dst, .via = v[i].via, .port = port, .metric = v[i].metric};
	}
	if (engine_set_routes(d->engine, out, used) < 0)
		log_error("routes: out of memory, the old ones stay");
	free(out);
}

void host_tell_engine(struct daemon *d)
{
	host_addresses(d);
	host_routes(d);
}

static void host_port_link(struct daemon *d, struct daemon_port *p, const struct netlink_link *link,
			   bool gone)
{
	struct engine_link now;

	if (gone || !link->up) {
		if (port_attached(p->port))
			loop_detach_port(d, p, gone ? "is gone" : "is down");
		return;
	}
	if (port_attached(p->port) && p->ifindex != link->ifindex)
		loop_detach_port(d, p, "was replaced");
	if (port_attached(p->port) && link->mtu != p->link.mtu &&
	    d->params->ports[p->index].backend == BACKEND_PCAP)
		loop_detach_port(d, p, "has another MTU"); /* libpcap sized its buffers by it */
	if (!port_attached(p->port)) {
		loop_attach_port(d, p);
		return;
	}
	now = p->link;
	now.mac = link->mac;
	now.mtu = link->mtu;
	if (memcmp(&now.mac, &p->link.mac, sizeof(now.mac)) == 0 && now.mtu == p->link.mtu)
		return;
	p->link = now;
	engine_set_link(d->engine, p->index, &now, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	loop_arm(d);
}

static void host_link(void *arg, const struct netlink_link *link, bool gone)
{
	struct daemon *d = arg;

	for (uint16_t i = 0; d->ports && i < d->params->n_ports; i++)
		if (strcmp(d->params->ports[i].device, link->name) == 0)
			host_port_link(d, &d->ports[i], link, gone);
	if (d->udp && strcmp(d->params->cluster.device, link->name) == 0) {
		d->udp_attached = d->udp_attached && !gone && link->up;
		if (!gone && link->up) {
			loop_attach_cluster(d);
			loop_cluster_mtu(d);
		}
	}
}

static void host_readable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	int rc = netlink_read(d->netlink);

	(void)fd;
	(void)what;
	if (rc < 0)
		log_warning("netlink: %s", strerror(-rc));
	d->rounds++;
}

int host_open(struct daemon *d)
{
	struct netlink_events events = {
		.arg = d, .link = host_link, .addresses = host_addresses, .routes = host_routes};
	char err[256];

	d->netlink = netlink_open(&events, err, sizeof(err));
	if (!d->netlink) {
		log_error("netlink: %s", err);
		return -1;
	}
	d->netlink_event =
		event_new(d->base, netlink_fd(d->netlink), EV_READ | EV_PERSIST, host_readable, d);
	event_add(d->netlink_event, NULL);
	return 0;
}

void host_close(struct daemon *d)
{
	if (d->netlink_event)
		event_free(d->netlink_event);
	netlink_close(d->netlink);
	d->netlink = NULL;
}

static void host_say(void *arg, const char *problem, const char *mend)
{
	(void)arg;
	log_warning("host: %s; mend it with: %s", problem, mend);
}

void host_check(struct daemon *d)
{
	if (d->params->check_host)
		hostcheck_run(d->params, host_say, NULL);
}
