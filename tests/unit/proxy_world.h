/*
 * proxy_world.h - a world for a whole proxy in a test: socket pairs instead of networks, a clock
 * that the test moves, servers and clients that the test plays.
 *
 *	struct params *conf = world_conf();
 *	uint16_t web = world_service(conf, "web"), a = world_target(conf, web, "a");
 *	struct world *w = world_new(conf);
 *	int client = world_client(w, web), server;
 *
 *	world_send(w, client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
 *	server = world_server(w, a);
 *	world_expect(w, server, "GET / ...");
 *	world_send(w, server, "HTTP/1.1 204 No Content\r\n\r\n");
 *	world_expect(w, client, "HTTP/1.1 204 ...");
 *	world_free(w);
 *
 * Whatever is wrong fails the test: bytes that differ, a proxy that spins, and, in world_free,
 * watches, descriptors, flows or open counters that are left behind.
 *
 * A program that uses it is made of proxy_world.c, proxy_world_conf.c and proxy_world_ends.c, too.
 *
 * The sockets are AF_UNIX: they know no reset by SO_LINGER. The world sees what the proxy asked for
 * before it closed, and world_expect_abort asserts it. A peer that closes (world_close) while bytes
 * that the proxy sent have not been read makes the proxy see ECONNRESET; else it sees the end.
 */
#ifndef TESTS_PROXY_WORLD_H
#define TESTS_PROXY_WORLD_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/proxy.h"

#define WORLD_BY_STANDING 0xfffe /* the first target of the service's that takes */

/* --- configurations: taken over by the world, or freed by world_conf_free --- */

/* No services; limits as the configuration's defaults. */
struct params *world_conf(void);
void world_conf_free(struct params *conf);
/* HTTP, no cookies, all timeouts by default, room for 16 idle connections and 16 in the queue. To
 * be altered through world_l7. All services first, then targets. */
uint16_t world_service(struct params *conf, const char *name);
/* "service/name", directly behind its service's other routes; to be called before the next service
 * is added. What it asks for is altered in conf->services[].route. */
uint16_t world_route(struct params *conf, uint16_t service, const char *name);
struct l7_params *world_l7(struct params *conf, uint16_t service);
/* A target of that name, made when it is new, added to the service's or route's list. */
uint16_t world_target(struct params *conf, uint16_t service, const char *name);
/* Another dispatcher, by index; its relay is at world_relay. */
uint16_t world_member(struct params *conf, const char *name);

static inline uint16_t world_relay(uint16_t member)
{
	return (uint16_t)(L7_RELAY + member);
}

/* --- the world --- */

enum world_connect {
	WORLD_ANSWERS, /* connected at once */
	WORLD_REFUSES, /* the connection fails a moment later (with ECONNRESET) */
	WORLD_SILENT,  /* it stays connecting, until world_answer */
	WORLD_FAILS,   /* connect() says `connect_error` (positive errno) */
};

struct world_target {
	enum l7_standing standing; /* L7_TARGET_TAKES at first; see world_stand */
	uint64_t since_ns;
	enum world_connect connect;
	int connect_error;
	unsigned n_connects; /* asked for, ever */
	int flows;	     /* begun and not ended */
	unsigned n_flows;    /* begun, ever */
	struct l7_target_counts counts;
};

/* Of a dispatcher. */
struct world_peer {
	struct world_target relay; /* to it */
	struct l7_relay_counts counts;
};

/* What `find` says, and what it was asked. */
struct world_find {
	enum l7_found found; /* NOBODY at first */
	uint16_t relay;	     /* FOUND */
	unsigned n_asked;
	uint32_t server; /* the last one */
};

struct world_service {
	uint16_t chosen;   /* what `choose` says: a target, PARAMS_NONE or WORLD_BY_STANDING */
	unsigned n_chosen; /* times asked */
	struct l7_service_counts counts;
};

/* Of the access log; texts are cut at their room. */
struct world_record {
	uint16_t service;
	struct access_record record; /* its texts are empty */
	char method[32], target[256], host[256], server[64], name[64], cookie[16], reason[64];
};

#define WORLD_RECORDS 4096 /* kept; more are only counted */

struct world {
	struct proxy *proxy;
	struct params *conf;
	uint64_t now_ns;
	bool not_alone; /* there is another world: descriptors that are left cannot be counted */
	int buffer;	/* bytes of each socket's send buffer made from now on; 0 = the kernel's */
	unsigned n_unwatched; /* descriptors, ever */
	unsigned n_calls;     /* of proxy_ready, ever */
	unsigned max_step;    /* world_run fails the test after so many calls; 2,000,000 at first */
	struct world_target *targets;		 /* by index */
	struct world_peer peers[PARAMS_MEMBERS]; /* by index */
	struct world_find find;
	uint16_t serves; /* what was told last, of which client */
	struct endpoint served;
	int serving;			/* told and not yet ended */
	struct world_service *services; /* by index */
	struct world_record *records;
	unsigned n_records;
	struct world_inner *in;
};

struct world *world_new(struct params *conf);
/* Ends the proxy and asserts that nothing is left. Closes the test's own ends, too. */
void world_free(struct world *w);
/* proxy_configure, asserted; counters, standings and so on are carried over by name. */
void world_configure(struct world *w, struct params *conf);

void world_stand(struct world *w, uint16_t target, enum l7_standing standing);
/* Connections that are silent become connected. */
void world_answer(struct world *w, uint16_t target);

/* Until nothing is ready. All functions below do so, before and after. */
void world_run(struct world *w);
/* Time passes, deadline by deadline. */
void world_advance(struct world *w, uint64_t ms);
/* One call of proxy_ready, of the ready descriptor that `pick` makes first; false: none is. */
bool world_step(struct world *w, unsigned pick);

/* A new client: the test's end. From 198.51.100.1, the port 1024 and up. */
int world_client(struct world *w, uint16_t service);
int world_client_from(struct world *w, uint16_t service, const struct endpoint *from);
/* One that another dispatcher relays. */
int world_client_relayed(struct world *w, uint16_t service, const struct endpoint *from,
			 uint16_t member);
/* An address, which has to be right, and a port. */
struct endpoint world_endpoint(const char *address, uint16_t port);
/* proxy_found. */
void world_found(struct world *w);
/* As which client the connection was opened, and to what; unspecified: as the node. */
struct ipaddr world_from(struct world *w, int fd);
struct endpoint world_to(struct world *w, int fd);
/* A target or relay. */
struct world_target *world_at(struct world *w, uint16_t target);
/* The next connection that the proxy has opened to a target or relay: the test's end. _try: -1 =
 * none. */
int world_server(struct world *w, uint16_t target);
int world_server_try(struct world *w, uint16_t target);

/* Send all, while the proxy runs; fails the test when it takes them no more. */
void world_send(struct world *w, int fd, const char *text);
void world_send_bytes(struct world *w, int fd, const void *data, size_t size);
/* Send what can be sent without the proxy running. How many bytes. */
size_t world_send_some(struct world *w, int fd, const void *data, size_t size);
/* Close for good, or this direction. The descriptor is not to be used again. */
void world_close(struct world *w, int fd);
void world_shutdown(struct world *w, int fd);

/* All that has come, at most `room` bytes; how many. */
size_t world_recv(struct world *w, int fd, void *buf, size_t room);
/* Exactly that has come, and no more so far. */
void world_expect(struct world *w, int fd, const char *text);
/* What has come begins with that; all of it is taken. The rest, with a zero, stays in `rest` (NULL,
 * or room for 65536). */
void world_expect_start(struct world *w, int fd, const char *start, char *rest);
void world_expect_nothing(struct world *w, int fd);
/* The proxy has closed, or only its direction: the end, behind nothing that has not been read. */
void world_expect_end(struct world *w, int fd);
/* The proxy has closed with a reset (bytes that had come before are thrown away). */
void world_expect_abort(struct world *w, int fd);
/* Whether the proxy's end is open. */
bool world_is_open(struct world *w, int fd);
/* A file of a body moved through: read `size` bytes while the proxy runs, return a hash of them. */
uint64_t world_recv_hash(struct world *w, int fd, uint64_t size);
/* The same hash, of bytes in memory; begin with 0. */
uint64_t world_hash(uint64_t hash, const void *data, size_t size);

/* The newest record; fails the test when there is none. */
const struct world_record *world_last(const struct world *w);

#endif
