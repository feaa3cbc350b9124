/*
 * server.h - connections to servers: kept, shared between clients, limited, waited for. Internal to
 * src/proxy.
 *
 * A session wishes for a connection to a target, or to the dispatcher of a relay, as itself (l7/3)
 * or as its client (l7/2, relays): as one client none is used that was made as another. It gets an
 * idle one of the target's pool (the one used last, so that the others age), or one is opened, or
 * it waits in line until one is returned or may be opened: at most `max_connections` of a target
 * are open, at most `max_queue` wait, and no longer than queue-timeout. Idle connections are
 * watched: one that the server closes, or on which anything arrives, is closed. They end after
 * idle-timeout, when the target is down, and when another needs the place: of max-connections or of
 * max-idle, the one that has been idle for longest goes first.
 *
 * What a wish waits for is told by session_granted and session_denied, and only from proxy_settle,
 * never from inside a call of this file.
 */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "io/stream.h"
#include "proxy/clock.h"
#include "proxy/proxy.h"
#include "proxy/ring.h"

struct session;
struct server_pool;

struct server_conn {
	struct proxy_watch watch; /* first */
	struct stream stream;
	struct timer
		timer;	  /* connect-timeout, idle-timeout; free for the session while it has it */
	struct ring link; /* in the pool's list of idle ones, or of all others */
	struct ring in_target; /* in the target's list of idle ones */
	struct server_pool *pool;
	struct server_wish *wish; /* who has it, or waits for it to connect; NULL = idle */
	uint32_t requests;	  /* it has served before */
	uint16_t service;	  /* for which it was had last */
	bool connected;
	bool idle;    /* connected, and in the pool's list of idle ones */
	bool private; /* of one client only: never idle, never shared (PROXY protocol, tunnels) */
	uint64_t began_ns;
};

/* Of a target, or relay: what its pools are together. Internal to server.c, standing.c, pool.c. */
struct server_target {
	struct ring pools;	    /* head */
	struct ring idle;	    /* head of connections of all pools; the one used last first */
	struct ring queue;	    /* head of wishes; who came first is first */
	struct server_pool *recent; /* asked for last, or NULL */
	uint32_t n_open, n_idle, n_queue;
	bool moved; /* by the last reload: another machine has its name */
};

static inline struct server_conn *server_conn_of_timer(struct timer *t)
{
	return (struct server_conn *)(void *)((char *)t - offsetof(struct server_conn, timer));
}

enum wish_state { WISH_NONE, WISH_QUEUED, WISH_CONNECTING, WISH_SETTLED, WISH_HAS };

/* Embedded in a session, all zero at first. */
struct server_wish {
	struct ring link; /* in the queue, or in the list of what is to be told */
	struct server_pool *pool;
	struct server_conn *conn;
	struct timer timer; /* queue-timeout */
	uint8_t state;	    /* enum wish_state */
	uint8_t denied;	    /* WISH_SETTLED: enum server_trouble */
	bool private, fresh;
	uint16_t service, target;
	int error; /* SERVER_REFUSED: positive errno */
	uint64_t asked_ns;
};

enum server_trouble {
	SERVER_FINE,
	SERVER_QUEUE_FULL,    /* 503 */
	SERVER_QUEUE_TIMEOUT, /* 503 */
	SERVER_REFUSED, /* the connection could not be opened: 502 (503 by EMFILE and the like) */
	SERVER_TIMEOUT, /* no answer to the SYN in time: 504 */
	SERVER_GONE,	/* the target is no more */
};

enum wish_answer { WISH_GRANTED, WISH_WAITS, WISH_DENIED };

/* `to`: where the target is reached; `from`: as that client, or NULL. `fresh`: no idle connection
 * will do (a retry). GRANTED: a connected one is in w->conn, and its watch is the session's.
 * DENIED: w->denied says why. */
enum wish_answer server_ask(struct proxy *p, struct server_wish *w, const struct endpoint *to,
			    const struct ipaddr *from);
/* The session has lost its interest: out of the queue, or a connection under way is kept for the
 * next. Nothing when nothing is wished. Not for WISH_HAS. */
void server_forget(struct proxy *p, struct server_wish *w);
/* A response is complete and the connection may serve again: it goes to the next that waits, or
 * idle. */
void server_return(struct proxy *p, struct server_wish *w);
/* It may not. `abort`: the server is to see that the request was not finished. */
void server_close(struct proxy *p, struct server_wish *w, bool abort);

/* Readiness of a connection that no session has; a deadline of such a one or of a queue. */
void server_ready(struct proxy *p, struct server_conn *c, uint8_t what);
void server_due(struct proxy *p, struct timer *t);
/* Tell what has been granted and denied since. */
void servers_settle(struct proxy *p);

/* --- standing.c --- */
void servers_init(struct proxy *p);
/* All sessions have ended. */
void servers_fini(struct proxy *p);
/* What is kept of the targets and relays of a configuration; NULL without memory. */
struct server_target *server_targets_new(const struct params *params);
/* Index from now on of what had the index `i`. */
struct proxy_map;
uint16_t proxy_map_service(const struct proxy_map *m, uint16_t i);
uint16_t proxy_map_target(const struct proxy_map *m, uint16_t i);
/* The configuration is another already, and p->targets are of it, `old` those before it.
 * Connections to targets that are gone, or elsewhere, end when they are not in use. w->service and
 * w->target of every wish that is not WISH_NONE are changed here. */
void servers_remap(struct proxy *p, const struct proxy_map *m, struct server_target *old);
/* Targets that have gone down lose their idle connections, and whoever waits for them is told;
 * asked from time to time. */
void servers_check(struct proxy *p);

/* --- implemented by session.c --- */
void session_granted(struct proxy *p, struct server_wish *w);
void session_denied(struct proxy *p, struct server_wish *w);
/* The target of the connection that the wish has is down. The session may keep it. */
void session_stranded(struct proxy *p, struct server_wish *w);

#endif
