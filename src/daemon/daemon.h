/*
 * daemon.h - the process: one libevent loop around one engine.
 *
 *   daemon.c    life: start, loop, stop, reload, signals, systemd
 *   loop.c      ports and cluster socket to the engine, its actions back to them
 *   host.c      what the kernel tells by netlink, to the engine
 *   notes.c     the engine's notes, to monitors and the log
 *   requests.c  the control socket
 *   checks.c    health and load of targets
 *   offloads.c  flows that the kernel passes on by the engine's orders
 *   handover.c  tables from one process to the next, at a restart
 *   l7*.c       services by L7: private stack, listeners, proxy (l7.h)
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"
#include "engine/actions.h"
#include "engine/engine.h"
#include "io/control.h"
#include "io/netlink.h"
#include "io/offloader.h"
#include "io/port.h"
#include "io/udp.h"

#define DAEMON_SIGNALS 8
/* The next process goes on with the tables (RestartKillSignal= of the unit). */
#define DAEMON_RESTART SIGRTMIN

struct daemon_options {
	const char *file;
	bool test;
	bool foreground;
	int debug;
};

struct daemon;

struct daemon_port {
	struct daemon *daemon;
	struct port *port;
	struct event *event;
	uint16_t index;
	unsigned ifindex;
	bool missing_said;
	unsigned offload_ifindex; /* where the kernel program is attached, 0 = nowhere */
	unsigned offload_repairs;
	bool offload_said;
	struct engine_link link;
	uint8_t turns, turns_between; /* loop_drain: since it was read, until it is */
	uint64_t rx_bytes;
	uint32_t n_tx;
	struct frame tx[ACTIONS_FRAMES]; /* frames of one call that leave by this port */
};

struct daemon_client {
	struct daemon_client *next;
	struct daemon *daemon;
	struct control_client *client;
	struct event *read, *write;
};

struct daemon {
	struct daemon_options options;
	struct params *params;
	struct engine *engine;
	struct actions *actions;
	struct event_base *base;
	struct event *timer, *watchdog, *retry, *netlink_event, *control_event;
	struct event *signals[DAEMON_SIGNALS];
	struct event *udp_events[2];
	uint64_t armed_ns;
	uint64_t start_ns;
	struct daemon_port *ports;
	struct udp *udp;
	bool udp_attached, udp_said;
	struct netlink *netlink;
	struct control *control;
	struct daemon_client *clients;
	struct checks *checks;
	struct l7 *l7;		     /* or NULL */
	const struct keyring *keys;  /* the engine's, or NULL */
	struct offloader *offloader; /* or NULL */
	bool offload_left;	     /* changes are waiting for the next round */
	bool offload_failed_said, offload_given_up;
	uint64_t rounds, rounds_seen; /* progress of the loop, for the watchdog */
	uint64_t status_ns;
	int exit_status;
	bool reloading, leaving, restarting;
};

/* Runs until told to stop; the exit status. */
int daemon_run(const struct daemon_options *options);
uint64_t daemon_now_ns(void);
/* Read the configuration again; false, with the reason in `message`, when the old one stays. */
bool daemon_reload(struct daemon *d, char *message, size_t size);

/* handover.c */
/* Whether anybody keeps the tables while no process runs. */
bool handover_possible(const struct daemon *d);
/* The last thing before the end: false, said in the log, when nobody has them now. */
bool handover_save(struct daemon *d);
/* After all has been opened, and before the first round: what the process before has left. */
void handover_take(struct daemon *d);

/* loop.c */
int loop_open_ports(struct daemon *d);
void loop_close_ports(struct daemon *d);
int loop_open_cluster(struct daemon *d);
void loop_close_cluster(struct daemon *d);
void loop_carry_out(struct daemon *d);
void loop_arm(struct daemon *d);
/* After each turn of other work, while more of it waits: takes what has come by ports meanwhile. */
void loop_drain(struct daemon *d);
void loop_attach_port(struct daemon *d, struct daemon_port *p);
void loop_detach_port(struct daemon *d, struct daemon_port *p, const char *why);
void loop_attach_cluster(struct daemon *d);
void loop_cluster_mtu(struct daemon *d);

/* host.c */
int host_open(struct daemon *d);
void host_close(struct daemon *d);
void host_tell_engine(struct daemon *d);
void host_check(struct daemon *d);

/* notes.c */
void notes_carry_out(struct daemon *d);
uint32_t notes_wanted(const struct daemon *d);
/* Bits of a monitor group ("all" too), 0 for a name that is none. */
unsigned notes_group_mask(const char *group);
void notes_summary(struct daemon *d);

/* requests.c */
int requests_open(struct daemon *d);
void requests_close(struct daemon *d);
void requests_watch(struct daemon_client *c);

/* offloads.c; all of them do nothing where nothing is to be offloaded */
void offloads_open(struct daemon *d);
void offloads_close(struct daemon *d);
/* Before a port is attached to the device, and after, whether that worked or not. */
void offloads_attach(struct daemon *d, struct daemon_port *p, unsigned ifindex);
void offloads_attached(struct daemon *d, struct daemon_port *p);
/* After a port was detached. */
void offloads_detach(struct daemon *d, struct daemon_port *p);
/* Whether the engine has changes for the kernel; and give them to it. */
bool offloads_pending(const struct daemon *d);
void offloads_carry_out(struct daemon *d);
/* From time to time: is the kernel program still where it was put? */
void offloads_check(struct daemon *d);

/* l7.c; all of them do nothing where no service is by L7 */
/* Before the engine: makes the private stack, and puts its device into d->params. */
int l7_open(struct daemon *d);
/* After the ports. */
int l7_start(struct daemon *d, const struct keyring *keys);
/* What only the daemon knows of the stack's port, into another configuration. */
void l7_adopt(const struct daemon *d, struct params *p);
/* Who is at the other end of the stack's port. */
void l7_link(const struct daemon *d, uint16_t port, struct engine_link *link);
/* All that another configuration needs memory for: 0, or -ENOMEM. Then either l7_forget, or, when
 * d->params is that one, l7_reload; `keys` NULL: the same as before. */
int l7_prepare(struct daemon *d, const struct params *new);
void l7_forget(struct daemon *d);
void l7_reload(struct daemon *d, const struct keyring *keys);
/* From time to time: is the stack's device still there? */
void l7_news(struct daemon *d);
void l7_check(struct daemon *d);
void l7_close(struct daemon *d);

/* checks.c */
int checks_open(struct daemon *d);
/* The configuration is another now: results so far stay, jobs go on in their time. */
void checks_reload(struct daemon *d);
void checks_close(struct daemon *d);

#endif
