/*
 * proxy.h - services by L7: requests of clients, read and sent on to servers over connections that
 * are kept and shared (HD-8, HD-16, HD-17, HD-18).
 *
 *	client ══ session ── request ──▶ server_conn ══ server
 *	             │  ◀── response ──      │
 *	             └ head, route, cookie   └ pool of a target: idle connections, queue
 *
 * Works on descriptors that the world hands it (src/io/stream), and knows neither libevent nor the
 * engine nor a clock: the world says what is ready and what time it is, chooses targets, and writes
 * the log. So a test drives it with socket pairs and a clock of its own.
 *
 *	proxy.c      life, configuration, what becomes of readiness
 *	clock.c      deadlines of many connections, moved at every byte at no cost
 *	buffer.c     buffers of one size, held only while there is something in them
 *	server.c     connections to servers: limits, queues, ageing
 *	standing.c   those to servers that are down, gone or elsewhere
 *	pool.c       the pools that they are kept in
 *	session.c    one client's connection: from head to head
 *	request.c    what a request's head says: refusals, route, cookie, target
 *	sticky.c     cookies: which target they name, and which the client gets
 *	relay.c      those of servers that another dispatcher is connected to (HD-18)
 *	response.c   what comes back, and what the client is told
 *	body.c       bodies, by splice where nobody has to look at them
 *	tunnel.c     what passes unread: WebSocket, TLS
 *	account.c    the log's record and the counters
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/l7_counts.h"
#include "base/params.h"
#include "l7/access_log.h"
#include "l7/cookie.h"

struct proxy;

/* A descriptor that the world waits for. Embedded in what it belongs to. */
struct proxy_watch {
	int fd;
	uint8_t want;  /* STREAM_READ, STREAM_WRITE (io/stream.h): what proxy_ready is to be told */
	uint8_t kind;  /* the proxy's own */
	uint8_t armed; /* the world's own, as is `event`; zero at first */
	void *event;
};

struct proxy_world {
	void *arg; /* first argument of all */
	/* `want` has changed; it may be 0. Level-triggered: told again while it is so. */
	void (*watch)(void *arg, struct proxy_watch *w);
	/* The descriptor is about to be closed, the watch to go; also one that was never watched.
	 */
	void (*unwatch)(void *arg, struct proxy_watch *w);
	/* A non-blocking socket that is connecting to the target, or the dispatcher of a relay
	 * (base/l7_counts.h), at `to`; or negative errno. `from`: as which client, or NULL. */
	int (*connect)(void *arg, uint16_t target, const struct ipaddr *from,
		       const struct endpoint *to);
	/* As the functions of engine/engine.h with these names. */
	uint16_t (*choose)(void *arg, uint16_t service, const struct endpoint *client,
			   const struct endpoint *to);
	enum l7_standing (*standing)(void *arg, uint16_t target, uint64_t *since_ns);
	void (*flow)(void *arg, uint16_t target, bool begins);
	struct l7_service_counts *(*service_counts)(void *arg, uint16_t service);
	struct l7_target_counts *(*target_counts)(void *arg, uint16_t target);
	/* Whom the server is connected to that a cookie names and this node is not. */
	enum l7_found (*find)(void *arg, uint16_t service, uint32_t server, uint16_t *target);
	struct l7_relay_counts *(*relay_counts)(void *arg, uint16_t member);
	/* A relayed connection's request is served by that target; PARAMS_NONE: no longer. */
	void (*serves)(void *arg, const struct endpoint *from, const struct endpoint *to,
		       uint16_t target);
	/* A request has ended, however it did. */
	void (*log)(void *arg, uint16_t service, const struct access_record *r);
	uint64_t (*wall_ms)(void *arg); /* since 1970, for the log and cookies */
};

/* `params` outlives the proxy, or is replaced by proxy_configure. `seed` from the kernel. NULL
 * without memory. */
struct proxy *proxy_new(const struct params *params, const struct proxy_world *world, uint64_t seed,
			uint64_t now_ns);
/* Closes everything at once. NULL is allowed. */
void proxy_free(struct proxy *p);

/* Another configuration: connections stay; services, routes and targets are found again by name.
 * What is under way is finished by the old one's rules; clients of a service that is gone are
 * closed behind their request, connections to a target that is gone behind theirs. 0 or -ENOMEM,
 * and then the old one stays. */
int proxy_configure(struct proxy *p, const struct params *params, uint64_t now_ns);

/* The same in two steps, for those who can go back no more when they have changed others as well.
 * All memory is had first: NULL without it. The configuration so far must be there for the first
 * step; for the second, which cannot fail and ends the change, it need not be. `params` must. */
struct proxy_change;
struct proxy_change *proxy_prepare(const struct proxy *p, const struct params *params);
void proxy_apply(struct proxy *p, struct proxy_change *change, uint64_t now_ns);
/* Instead of the second step. NULL is allowed. */
void proxy_change_free(struct proxy_change *change);

/* Keys for cookies, the same on every dispatcher that knows them: as cookie_keys_add. */
void proxy_forget_cookie_keys(struct proxy *p);
int proxy_add_cookie_key(struct proxy *p, uint8_t id, const uint8_t secret[COOKIE_SECRET],
			 bool active);

/* A connection that a client has opened to `to` of that service. Takes the descriptor over.
 * `relay`: the member that has opened it on the client's behalf, since this node is connected to
 * the client's server; or PARAMS_NONE. */
void proxy_accept(struct proxy *p, uint16_t service, int fd, const struct endpoint *from,
		  const struct endpoint *to, uint16_t relay, uint64_t now_ns);
/* Somebody may have been found that `find` was told of LATER. */
void proxy_found(struct proxy *p, uint64_t now_ns);
/* No further connection is to be accepted for now: there are as many as may be, and none of them is
 * idle. */
bool proxy_full(const struct proxy *p);

/* `what` is ready on a watched descriptor. The watch may be gone when this returns, and others as
 * well: the world looks up none that it has noted before. */
void proxy_ready(struct proxy *p, struct proxy_watch *w, uint8_t what, uint64_t now_ns);
/* Deadlines. Returns when to call next, UINT64_MAX = nothing is due. */
uint64_t proxy_tick(struct proxy *p, uint64_t now_ns);
uint64_t proxy_next(const struct proxy *p);

uint32_t proxy_connections(const struct proxy *p);

/* The id by which cookies name a target, and that of a service: made of its name, the same on every
 * dispatcher; never 0. */
uint32_t proxy_name_id(const char *name);

#endif
