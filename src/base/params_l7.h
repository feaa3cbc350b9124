/*
 * params_l7.h - the part of the configuration that services by L7 use (HD-8, HD-16, HD-17).
 * Included by params_dispatch.h.
 *
 * Such a service ends the client's TCP in the node's private stack and sends each request to a
 * target. Its routes are services, too: entries of params.services without addresses, with targets,
 * an algorithm and counters of their own, that name the service they belong to. So whatever chooses
 * among the targets of a service chooses among those of a route.
 *
 * Connections that go by MAC address are made in a second private stack, that of the servers' side:
 * by l7/2 from the client's address to the service's, at a server that holds that; and to another
 * dispatcher that is connected to the server of a cookie, likewise (HD-18).
 */
#ifndef BASE_PARAMS_L7_H
#define BASE_PARAMS_L7_H

#include <stdbool.h>
#include <stdint.h>

#define PARAMS_L7_ROUTES 64 /* of one service */
#define PARAMS_L7_PORTS 64  /* of one service, all ranges together */

enum l7_content {
	L7_CONTENT_HTTP, /* requests are read */
	L7_CONTENT_TLS,	 /* the server name is read, the rest passes as it is */
};

/* How a client's cookie names its server (l7/cookie.h). */
enum l7_cookie { L7_COOKIE_NONE, L7_COOKIE_INSERT, L7_COOKIE_PREFIX, L7_COOKIE_OWN };

/* How the server of a cookie is found that is connected to another dispatcher; all but NONE also
 * serve what others relay (HD-18). */
enum l7_relay {
	L7_RELAY_NONE,	 /* not at all: the cookie is unknown */
	L7_RELAY_CONFIG, /* by `via` of the target */
	L7_RELAY_ASK,	 /* the others are asked who is connected to it */
	L7_RELAY_BOTH,	 /* the others are asked when the configuration does not tell */
};

enum l7_forwarded {
	L7_FORWARDED_NONE,
	L7_FORWARDED_X,	      /* X-Forwarded-For */
	L7_FORWARDED_RFC7239, /* Forwarded */
	L7_FORWARDED_BOTH,
};

/* X(field, configuration key, default) - all milliseconds; each is the longest wait of its kind */
#define L7_TIMEOUT_LIST(X)                                                                         \
	X(head, "head-timeout", 10000)	     /* first byte of a request to the end of its head */  \
	X(keep, "keep-timeout", 60000)	     /* between two requests of a client */                \
	X(client, "client-timeout", 30000)   /* client neither sends nor takes anything */         \
	X(connect, "connect-timeout", 4000)  /* a server's answer to a SYN */                      \
	X(server, "server-timeout", 60000)   /* server neither sends nor takes anything */         \
	X(queue, "queue-timeout", 10000)     /* wait for a place at a server */                    \
	X(idle, "idle-timeout", 30000)	     /* connection to a server without a request */        \
	X(tunnel, "tunnel-timeout", 3600000) /* WebSocket or TLS, nothing either way */            \
	X(relay, "relay-timeout", 500)	     /* word of who is connected to a cookie's server */

/* Of a service. */
struct l7_params {
	uint32_t content;	 /* enum l7_content */
	uint32_t cookie;	 /* enum l7_cookie */
	char cookie_name[68];	 /* at most 64 */
	char cookie_pattern[68]; /* L7_COOKIE_OWN: where the server's name is, see l7/cookie.h */
	char cookie_domain[128]; /* "" = none */
	uint32_t cookie_age_s; /* 0 = until the browser ends; what it holds is right for a day then
				*/
	uint32_t cookie_epoch; /* another number makes all cookies so far unknown */
	uint32_t cookie_drain_s; /* a drained target keeps its cookies' clients so long */
	bool cookie_secure;
	bool forwarded_believe; /* what such fields say already is kept and added to */
	bool proxy_protocol;	/* version 2, in front of each connection to a server */
	uint32_t forwarded;	/* enum l7_forwarded */
	uint32_t relay;		/* enum l7_relay */
	uint32_t max_idle;	/* idle connections kept to one target */
	uint32_t max_queue;	/* requests that wait for one target */
#define L7_TIMEOUT_FIELD(field, key, def) uint32_t field##_ms;
	L7_TIMEOUT_LIST(L7_TIMEOUT_FIELD)
#undef L7_TIMEOUT_FIELD
};

/* What a request must be to take a route; "" = anything. See l7/http_route.h. */
struct l7_route_params {
	char host[256];
	char path[256];
	char method[32];
	char header[64];
	char header_value[256];
	char cookie[68];
};

/* Of the node. */
enum l7_log { L7_LOG_NONE, L7_LOG_COMBINED, L7_LOG_JSON };

struct l7_node_params {
	uint32_t max_connections; /* of clients */
	uint32_t max_head;	  /* bytes of a request's or response's head */
	char congestion[16];	  /* TCP's congestion control in the private stacks */
	uint32_t log;		  /* enum l7_log */
	char log_file[256];	  /* "" = the daemon's own log */
};

#endif
