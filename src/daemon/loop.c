/*
 * loop.c - ports and cluster socket to the engine, its actions back to them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define LOOP_BATCHES 4 /* of one port in one wake-up, so that nobody starves the others */

/* --- time --------------------------------------------------------------------------------------
 */

void loop_arm(struct daemon *d)
{
	uint64_t next = d->offload_left ? 0 : engine_next(d->engine), now;
	struct timeval tv;

	if (next >= d->armed_ns)
		return;
	now = daemon_now_ns();
	next = next > now ? next - now : 0;
	tv.tv_sec = (time_t)(next / 1000000000ULL);
	tv.tv_usec = (suseconds_t)(next % 1000000000ULL / 1000);
	d->armed_ns = now + next;
	evtimer_add(d->timer, &tv);
}

/* --- actions -----------------------------------------------------------------------------------
 */

/* Whether all frames leave by one port, as most batches do. */
static bool loop_one_port(const struct actions *a)
{
	uint32_t i = 1;

	while (i < a->n_frames && a->frames[i].port == a->frames[0].port)
		i++;
	return i >= a->n_frames;
}

static void loop_send_frames(struct daemon *d)
{
	struct actions *a = d->actions;

	if (loop_one_port(a)) {
		port_tx(d->ports[a->frames[0].port].port, a->frames, a->n_frames);
		return;
	}
	for (uint32_t i = 0; i < a->n_frames; i++) {
		struct daemon_port *p = &d->ports[a->frames[i].port];
		p->tx[p->n_tx++] = a->frames[i];
	}
	for (uint32_t i = 0; i < d->params->n_ports; i++) {
		struct daemon_port *p = &d->ports[i];
		if (p->n_tx > 0)
			port_tx(p->port, p->tx, p->n_tx);
		p->n_tx = 0;
	}
}

void loop_carry_out(struct daemon *d)
{
	struct actions *a = d->actions;

	if (a->n_frames > 0)
		loop_send_frames(d);
	if (a->n_datagrams > 0 && d->udp)
		udp_tx(d->udp, a->datagrams, a->n_datagrams);
	if (a->n_notes > 0)
		notes_carry_out(d);
	actions_reset(a);
}

/* --- ports -------------------------------------------------------------------------------------
 */

static void loop_set_link(struct daemon *d, struct daemon_port *p, const struct engine_link *link)
{
	p->link = *link;
	engine_set_link(d->engine, p->index, link, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	loop_arm(d);
}

void loop_detach_port(struct daemon *d, struct daemon_port *p, const char *why)
{
	struct engine_link link = p->link;

	if (p->event)
		event_free(p->event);
	p->event = NULL;
	port_detach(p->port);
	offloads_detach(d, p);
	if (link.up)
		log_warning("port \"%s\": device \"%s\" %s, waiting for it",
			    d->params->ports[p->index].name, d->params->ports[p->index].device,
			    why);
	link.up = false;
	loop_set_link(d, p, &link);
}

/* Returns how many frames came. */
static int loop_port_batch(struct daemon *d, struct daemon_port *p)
{
	struct frame frames[PORT_BATCH];
	int n = port_rx(p->port, frames, PORT_BATCH);

	if (n < 0) {
		loop_detach_port(d, p, n == -ENETDOWN ? "is down" : "is gone");
		return 0;
	}
	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++) {
		frames[i].port = p->index;
		p->rx_bytes += frames[i].len;
	}
	engine_frames(d->engine, frames, (unsigned)n, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	port_release(p->port);
	d->rounds++;
	return n;
}

static void loop_port_readable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon_port *p = arg;
	struct daemon *d = p->daemon;

	int n = PORT_BATCH;

	(void)fd;
	(void)what;
	for (int i = 0; i < LOOP_BATCHES && n == PORT_BATCH; i++)
		n = loop_port_batch(d, p);
	/* What the kernel is told takes effect at once: nothing may wait here to be overtaken. The
	 * timer sees to it where there is always something. */
	for (int i = 0; i < LOOP_BATCHES && n > 0 && offloads_pending(d); i++)
		n = loop_port_batch(d, p);
	if (n == 0)
		offloads_carry_out(d);
	loop_arm(d);
}

/* A port that had little to give is left alone for longer, so that small frames come in batches; of
 * one that fills quickly nothing is to be lost. Never for long: to TCP that would be a slow link.
 */
#define DRAIN_FEW (32U << 10)
#define DRAIN_MANY (128U << 10)
#define DRAIN_TURNS 15

static void loop_drain_port(struct daemon *d, struct daemon_port *p)
{
	uint64_t before = p->rx_bytes, bytes;
	int n = 1;

	for (int i = 0; i < LOOP_BATCHES && n > 0; i++)
		n = loop_port_batch(d, p);
	bytes = p->rx_bytes - before;
	if (bytes < DRAIN_FEW && p->turns_between < DRAIN_TURNS)
		p->turns_between = (uint8_t)(2 * p->turns_between + 1);
	else if (bytes > DRAIN_MANY)
		p->turns_between /= 2;
	p->turns = 0;
}

void loop_drain(struct daemon *d)
{
	bool any = false;

	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		struct daemon_port *p = &d->ports[i];

		if (!p->event || p->turns++ < p->turns_between)
			continue;
		loop_drain_port(d, p);
		any = true;
	}
	if (any)
		loop_arm(d);
}

static bool loop_is_file(const struct daemon *d, const struct daemon_port *p)
{
	return d->params->ports[p->index].backend == BACKEND_FILE;
}

/* The port whose capture has the earliest frame left, or NULL: captures taken at the same time are
 * replayed as what they were, one conversation. */
static struct daemon_port *loop_replay_next(struct daemon *d)
{
	struct daemon_port *first = NULL;
	uint64_t first_ns = UINT64_MAX;

	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		uint64_t ns = port_file_next_ns(d->ports[i].port);
		if (ns < first_ns) {
			first = &d->ports[i];
			first_ns = ns;
		}
	}
	return first;
}

static void loop_replay_frame(struct daemon *d, struct daemon_port *p, uint64_t now)
{
	struct frame frame;

	if (port_rx(p->port, &frame, 1) <= 0)
		return;
	for (uint16_t i = 0; i < d->params->n_ports; i++)
		port_file_set_time_ns(d->ports[i].port, port_file_time_ns(p->port));
	frame.port = p->index;
	engine_tick(d->engine, now, d->actions); /* what has run out meanwhile is gone */
	loop_carry_out(d);
	engine_frames(d->engine, &frame, 1, now, d->actions);
	loop_carry_out(d);
	port_release(p->port);
}

static void loop_replay_warn(struct daemon *d)
{
	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		struct port_stats stats;
		port_get_stats(d->ports[i].port, &stats);
		if (loop_is_file(d, &d->ports[i]) && stats.rx_truncated > 0)
			log_warning("port \"%s\": capture \"%s\": %llu frames are cut short, "
				    "left out",
				    d->params->ports[i].name, d->params->ports[i].file_in,
				    (unsigned long long)stats.rx_truncated);
	}
}

/* Captures are read to their end in one go. The engine's clock goes on from where it is, by the
 * time between the frames, and never back. */
static void loop_replay(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct daemon_port *p = loop_replay_next(d);
	uint64_t start = daemon_now_ns(), now = start;
	uint64_t first = p ? port_file_next_ns(p->port) : 0;

	(void)fd;
	(void)what;
	for (; p; p = loop_replay_next(d)) {
		uint64_t ns = port_file_next_ns(p->port);
		if (ns > first && start + (ns - first) > now)
			now = start + (ns - first);
		loop_replay_frame(d, p, now);
	}
	evtimer_del(d->timer); /* it knows nothing of the captures' clock */
	loop_replay_warn(d);
	log_notice("the captures are at their end");
	notes_summary(d);
	event_base_loopexit(d->base, NULL);
}

static void loop_attach_file(struct daemon *d, struct daemon_port *p)
{
	struct engine_link link = {.up = true,
				   .mac = {{2, 0, 0, 0, 0, (uint8_t)(p->index + 1)}},
				   .mtu = d->params->ports[p->index].mtu,
				   .is_capture = true};

	if (link.mtu == 0)
		link.mtu = 1500;
	loop_set_link(d, p, &link);
}

/* One event for all captures, with the first port that has one. */
static void loop_start_replay(struct daemon *d)
{
	struct timeval now = {0, 0};

	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		if (!d->params->ports[i].file_in[0] || !loop_is_file(d, &d->ports[i]))
			continue;
		d->ports[i].event = evtimer_new(d->base, loop_replay, d);
		evtimer_add(d->ports[i].event, &now);
		return;
	}
}

static int loop_attach_live(struct daemon *d, struct daemon_port *p, unsigned ifindex, char *err,
			    size_t err_size)
{
	int rc;

	offloads_attach(d, p, ifindex);
	rc = port_attach(p->port, ifindex, err, err_size);
	offloads_attached(d, p);
	return rc;
}

void loop_attach_port(struct daemon *d, struct daemon_port *p)
{
	const struct port_params *pp = &d->params->ports[p->index];
	const struct netlink_link *l;
	struct engine_link link;
	char err[256];

	if (port_attached(p->port))
		return;
	if (loop_is_file(d, p)) {
		if (port_attach(p->port, 0, err, sizeof(err)) == 0)
			loop_attach_file(d, p);
		else
			log_error("%s", err);
		return;
	}
	l = netlink_link_by_name(d->netlink, pp->device);
	if (!l || !l->up || loop_attach_live(d, p, l->ifindex, err, sizeof(err)) < 0) {
		if (!p->missing_said)
			log_warning("port \"%s\": device \"%s\" %s, waiting for it", pp->name,
				    pp->device,
				    !l	     ? "does not exist"
				    : !l->up ? "is down"
					     : err);
		p->missing_said = true;
		return;
	}
	p->missing_said = false;
	p->ifindex = l->ifindex;
	link = (struct engine_link){.up = true,
				    .mac = l->mac,
				    .mtu = l->mtu,
				    .ifindex = l->ifindex,
				    .offload = port_offloads(p->port),
				    .takes_gso = port_takes_gso(p->port),
				    .takes_partial_csum = port_takes_partial_csum(p->port)};
	l7_link(d, p->index, &link);
	p->event =
		event_new(d->base, port_fd(p->port), EV_READ | EV_PERSIST, loop_port_readable, p);
	event_add(p->event, NULL);
	log_notice("port \"%s\": device \"%s\" attached%s", pp->name, pp->device,
		   link.offload ? ", with offload" : "");
	loop_set_link(d, p, &link);
}

int loop_open_ports(struct daemon *d)
{
	char err[256];

	d->ports = calloc(d->params->n_ports, sizeof(*d->ports));
	if (!d->ports)
		return -ENOMEM;
	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		struct daemon_port *p = &d->ports[i];
		p->daemon = d;
		p->index = i;
		p->port = port_new(&d->params->ports[i], i, err, sizeof(err));
		if (!p->port) {
			log_error("%s", err);
			return -EINVAL;
		}
	}
	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		loop_attach_port(d, &d->ports[i]);
		if (loop_is_file(d, &d->ports[i]) && !port_attached(d->ports[i].port))
			return -EIO; /* unlike a device, a capture will not come by itself */
	}
	loop_start_replay(d);
	return 0;
}

void loop_close_ports(struct daemon *d)
{
	for (uint16_t i = 0; d->ports && i < d->params->n_ports; i++) {
		if (d->ports[i].event)
			event_free(d->ports[i].event);
		port_free(d->ports[i].port);
	}
	free(d->ports);
	d->ports = NULL;
}

/* --- cluster socket ----------------------------------------------------------------------------
 */

static void loop_udp_readable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct udp_datagram v[UDP_BATCH];
	unsigned which = udp_fd(d->udp, 1) == fd;
	int n;

	(void)what;
	for (int round = 0; round < LOOP_BATCHES; round++) {
		n = udp_rx(d->udp, which, v, UDP_BATCH);
		for (int i = 0; i < n; i++)
			engine_datagram(d->engine, v[i].data, v[i].size, &v[i].from, v[i].multicast,
					daemon_now_ns(), d->actions);
		loop_carry_out(d);
		d->rounds++;
		if (n < UDP_BATCH)
			break;
	}
	l7_news(d);
	loop_arm(d);
}

/* What fits one datagram follows the device of the cluster link, unless configured. */
void loop_cluster_mtu(struct daemon *d)
{
	const struct netlink_link *l = netlink_link_by_name(d->netlink, d->params->cluster.device);

	if (d->params->cluster.mtu)
		engine_set_cluster_mtu(d->engine, d->params->cluster.mtu);
	else if (l)
		engine_set_cluster_mtu(d->engine, l->mtu);
}

void loop_attach_cluster(struct daemon *d)
{
	char err[256];

	if (!d->udp || d->udp_attached)
		return;
	for (unsigned i = 0; i < 2; i++) { /* attaching may change the descriptors */
		if (d->udp_events[i])
			event_free(d->udp_events[i]);
		d->udp_events[i] = NULL;
	}
	if (udp_attach(d->udp, err, sizeof(err)) < 0) {
		if (!d->udp_said)
			log_warning("cluster: device \"%s\": %s, waiting for it",
				    d->params->cluster.device, err);
		d->udp_said = true;
		return;
	}
	d->udp_attached = true;
	d->udp_said = false;
	loop_cluster_mtu(d);
	for (unsigned i = 0; i < 2; i++) {
		if (udp_fd(d->udp, i) < 0)
			continue;
		d->udp_events[i] = event_new(d->base, udp_fd(d->udp, i), EV_READ | EV_PERSIST,
					     loop_udp_readable, d);
		event_add(d->udp_events[i], NULL);
	}
}

int loop_open_cluster(struct daemon *d)
{
	const struct member_params *self = &d->params->members[d->params->self];
	char err[256];

	if (!d->params->cluster.enabled)
		return 0;
	d->udp = udp_new(&d->params->cluster, self->has_address ? &self->address : NULL, err,
			 sizeof(err));
	if (!d->udp) {
		log_error("cluster: %s", err);
		return -EINVAL;
	}
	loop_attach_cluster(d);
	return 0;
}

void loop_close_cluster(struct daemon *d)
{
	for (unsigned i = 0; i < 2; i++)
		if (d->udp_events[i])
			event_free(d->udp_events[i]);
	udp_free(d->udp);
	d->udp = NULL;
}
