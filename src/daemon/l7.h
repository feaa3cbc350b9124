/*
 * l7.h - services by L7 in the daemon: the private stack, its listeners, and the proxy's world.
 *
 *   l7.c         life, reload, the stack and its port
 *   l7_listen.c  listeners in the stack
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
	bool keep; /* of the configuration that is being read */
};

struct l7_log_file;

struct l7 {
	struct daemon *daemon;
	struct stack *stack;
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

/* l7_listen.c */
/* Make the listeners those of d->params; the rest stays. Returns how many could not be made, which
 * is logged. */
unsigned l7_listen(struct l7 *l);
void l7_listen_close(struct l7 *l);
/* After the proxy has done something: stop accepting, or begin again. */
void l7_listen_pace(struct l7 *l);

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
