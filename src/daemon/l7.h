/*
 * l7.h - services by L7 in the daemon: the private stack, its listeners, and the proxy's world.
 *
 *   l7.c         life, reload
 *   l7_stack.c   the private stacks and their ports
 *   l7_listen.c  listeners in the stacks
 *   l7_legs.c    connections of the servers' stack: what the engine is told of them
 *   l7_world.c   what the proxy is given: readiness, connections, the engine's word
 *   l7_log.c     the access log
 *
 * All of it does nothing on a node without services by L7.
 */
#ifndef DAEMON_L7_H
#define DAEMON_L7_H

#include "daemon/daemon.h"
#include "io/stack.h"
#include "proxy/proxy.h"

struct l7_listener {
	struct l7 *l7;
	int fd;
	struct event *event;
	uint16_t service;
	struct endpoint at;
	bool relay; /* in the servers' stack: for what other dispatchers relay */
	bool keep;  /* of the configuration that is being read */
};

/* The ends of a descriptor's connection, where that is one of the servers' stack. */
struct l7_leg {
	struct endpoint from, to;
	bool used;
};

struct l7_log_file;

struct l7 {
	struct daemon *daemon;
	struct stack *clients;
	struct stack *servers; /* NULL when nothing goes by MAC */
	struct l7_leg *legs;   /* by descriptor */
	int n_legs;
	uint32_t news; /* of the engine's, that the proxy was told of */
	bool asks;     /* the engine has something to send */
	struct proxy *proxy;
	struct proxy_change *change; /* of a reload that is under way */
	struct event *timer;	     /* of the proxy; also brings paused listeners back */
	uint64_t armed_ns;
	struct l7_listener **listeners;
	uint32_t n_listeners;
	bool paused;
	uint64_t paused_until_ns; /* no descriptors were left; 0 = paused because the proxy is full
				   */
	uint64_t said_ns;	  /* when trouble of that kind was last said */
	bool repair_said;
	struct l7_log_file *log;
};

/* l7_stack.c */
bool l7_wanted(const struct params *p);
/* False: it was said why. */
bool l7_stacks_open(struct l7 *l, const struct params *p);
void l7_stacks_close(struct l7 *l);
/* Devices and MAC addresses of the stacks' ports, which the configuration does not know. */
void l7_stacks_adopt(const struct l7 *l, struct params *p);
void l7_stacks_reload(struct l7 *l, const struct params *p);
void l7_stacks_repair(struct l7 *l);

/* l7_listen.c */
/* Make the listeners those of d->params; the rest stays. Returns how many could not be made, which
 * is logged. */
unsigned l7_listen(struct l7 *l);
void l7_listen_close(struct l7 *l);
/* After the proxy has done something: stop accepting, or begin again. */
void l7_listen_pace(struct l7 *l);

/* l7_legs.c */
/* A descriptor that is connecting out of the servers' stack, as a client, to a target or relay; or
 * negative errno. */
int l7_leg_connect(struct l7 *l, uint16_t target, const struct ipaddr *from,
		   const struct endpoint *to);
/* One that was accepted there: the member that relays it, or PARAMS_NONE. */
uint16_t l7_leg_accept(struct l7 *l, int fd, const struct endpoint *from,
		       const struct endpoint *to);
/* The descriptor is about to be closed. Nothing when it is no leg's. */
void l7_leg_end(struct l7 *l, int fd);
void l7_legs_free(struct l7 *l);

/* l7_world.c */
void l7_world(struct l7 *l, struct proxy_world *world);
void l7_arm(struct l7 *l);

/* l7_log.c */
/* NULL: no log is wanted, or it cannot be opened, which is said. */
struct l7_log_file *l7_log_open(const struct params *p);
void l7_log_close(struct l7_log_file *g);
/* Open the file anew, since it may have been rotated; by these parameters. The old one stays when
 * that cannot be. NULL is allowed for `g`. */
struct l7_log_file *l7_log_reopen(struct l7_log_file *g, const struct params *p);
void l7_log_record(struct l7_log_file *g, const struct access_record *r);
/* Write what has gathered. */
void l7_log_flush(struct l7_log_file *g);

#endif
