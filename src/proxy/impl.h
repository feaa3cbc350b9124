/*
 * impl.h - what the files of src/proxy share. Internal to src/proxy.
 */
#ifndef PROXY_IMPL_H
#define PROXY_IMPL_H

#include "base/hash.h"
#include "l7/http_body.h"
#include "l7/http_head.h"
#include "l7/http_route.h"
#include "proxy/buffer.h"
#include "proxy/clock.h"
#include "proxy/proxy.h"
#include "proxy/server.h"

#define PROXY_PIPE_SIZE 262144
#define PROXY_SPLICE_MIN 16384 /* bytes of content that are worth a pipe */

enum watch_kind { WATCH_CLIENT, WATCH_SERVER };
enum timer_kind { TIMER_SESSION, TIMER_QUEUE, TIMER_SERVER };

/* What follows from the configuration of one service (not of a route). */
struct proxy_service {
	struct http_route *routes; /* NULL without routes; pool = index of the route's service */
	struct cookie_keys keys;
	struct cookie_pattern pattern;
};

struct proxy {
	const struct params *params;
	struct proxy_world world;
	uint64_t now_ns;
	struct clock clock;
	uint64_t check_due_ns;
	bool ending; /* by proxy_free: nothing is to be kept or begun */
	struct buffers buffers;
	struct stream_pipes pipes;
	struct http_head head; /* of the message that is being acted on; read again when needed */
	struct http_limits limits;
	struct http_body_limits body_limits;
	uint32_t n_services;
	struct proxy_service *services; /* those of routes are empty */
	uint32_t *target_ids;		/* proxy_name_id of each target */
	uint32_t salt;			/* of the next cookie */

	struct session *sessions;		/* list of all, by session.c */
	struct session *dead;			/* freed by proxy_settle */
	struct session *idle_first, *idle_last; /* between requests, for longest first */
	uint32_t n_sessions;

	struct ring finding; /* head of sessions that wait for word of a cookie's server */

	struct server_target *targets; /* of pool.h: of each target, then of each member's relay */
	struct server_target parted;   /* pools whose target is gone, or elsewhere */
	struct server_pool **buckets;  /* of all pools, by hash; NULL before the first */
	uint32_t n_buckets, n_pools;
	struct hash_key key;
	struct ring empty; /* head of pools that may be empty */
	struct ring told;  /* head of wishes that are to be told */

	struct {
		uint8_t id;
		bool active;
		uint8_t secret[COOKIE_SECRET];
	} cookie_keys[COOKIE_KEYS];
	unsigned n_cookie_keys;
};

/* Index so far -> index from now on, or PARAMS_NONE. */
struct proxy_map {
	uint16_t *services, *targets;
	uint16_t members[PARAMS_MEMBERS];
	uint32_t n_targets, n_members; /* so far */
};

static inline const struct service_params *proxy_service_params(const struct proxy *p, uint16_t i)
{
	return &p->params->services[i];
}

/* Nanoseconds from now, for a timeout of the configuration. */
static inline uint64_t proxy_in_ms(const struct proxy *p, uint32_t ms)
{
	return p->now_ns + (uint64_t)ms * 1000000;
}

/* Change what is waited for; cheap when it is the same. */
static inline void proxy_want(struct proxy *p, struct proxy_watch *w, uint8_t want)
{
	if (w->want == want)
		return;
	w->want = want;
	p->world.watch(p->world.arg, w);
}

/* Index of the target that cookies name so, or PARAMS_NONE. */
uint16_t proxy_target_by_id(const struct proxy *p, uint32_t id);

/* session.c */
/* NULL: no memory, and the descriptor is still the caller's. */
struct session *session_new(struct proxy *p, uint16_t service, int fd, const struct endpoint *from,
			    const struct endpoint *to, uint16_t relay);
void session_client_ready(struct proxy *p, struct proxy_watch *w, uint8_t what);
/* Readiness of a connection that a session has, or its timer (TIMER_SERVER while it has it): then
 * `what` is 0. */
void session_server_ready(struct proxy *p, struct server_conn *c, uint8_t what);
void session_due(struct proxy *p, struct timer *t);
void sessions_remap(struct proxy *p, const struct proxy_map *m);
/* Close the one that has been idle for longest. False: none is. */
bool sessions_displace(struct proxy *p);
/* Close all at once; and free those that have ended. */
void sessions_close(struct proxy *p);
void sessions_bury(struct proxy *p);

/* relay.c: whoever waits for word of a cookie's server asks again. */
void sessions_seek(struct proxy *p);

/* proxy.c: called at the end of every entry: tells wishes, frees what has ended. */
void proxy_settle(struct proxy *p);

#endif
