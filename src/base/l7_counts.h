/*
 * l7_counts.h - what is counted of services by L7 and of their targets, and how these stand.
 *
 * The engine keeps them beside its own counters of a service or target, so that they live as long
 * (a reload finds them again by name) and are shown together; src/proxy counts.
 */
#ifndef BASE_L7_COUNTS_H
#define BASE_L7_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"

/* X(field, JSON name) */
#define L7_SERVICE_COUNT_LIST(X)                                                                   \
	X(connections, "connections") /* of clients, ever */                                       \
	X(connections_open, "connections_open")                                                    \
	X(displaced, "connections_displaced") /* idle ones, closed to make room for others */      \
	X(requests, "requests")                                                                    \
	X(requests_open, "requests_open")                                                          \
	X(status_1xx, "status_1xx") /* sent to clients */                                          \
	X(status_2xx, "status_2xx")                                                                \
	X(status_3xx, "status_3xx")                                                                \
	X(status_4xx, "status_4xx")                                                                \
	X(status_5xx, "status_5xx")                                                                \
	X(refused, "refused")		    /* requests that HTTP or a limit forbids */            \
	X(unrouted, "unrouted")		    /* no target was up */                                 \
	X(retries, "retries")		    /* sent again on another connection */                 \
	X(queued, "queued")		    /* had to wait for a place at a server */              \
	X(queue_timeouts, "queue_timeouts") /* in vain */                                          \
	X(server_errors, "server_errors")   /* no, or no proper, response: 502 and 504 */          \
	X(aborted_client, "aborted_client") /* the client went before the response's end */        \
	X(aborted_server, "aborted_server") /* the server went in the middle of its response */    \
	X(tunnels, "tunnels")		    /* WebSocket, TLS */                                   \
	X(bytes_in, "bytes_in")		    /* content of requests */                              \
	X(bytes_out, "bytes_out")	    /* content of responses */                             \
	X(cookie_absent, "cookie_absent")                                                          \
	X(cookie_forged, "cookie_forged")                                                          \
	X(cookie_unknown, "cookie_unknown")                                                        \
	X(cookie_expired, "cookie_expired")                                                        \
	X(cookie_valid, "cookie_valid")                                                            \
	X(cookie_moved, "cookie_moved") /* right, but its server is down or drained */             \
	X(cookie_made, "cookie_made")                                                              \
	X(us_queue, "us_queue") /* sums over requests, in microseconds */                          \
	X(us_connect, "us_connect")                                                                \
	X(us_first_byte, "us_first_byte")                                                          \
	X(us_total, "us_total")

#define L7_TARGET_COUNT_LIST(X)                                                                    \
	X(opened, "connections_opened") /* to it, ever */                                          \
	X(open, "connections_open")                                                                \
	X(idle, "connections_idle")                                                                \
	X(reused, "connections_reused") /* requests sent on one that had served before */          \
	X(connect_failed, "connections_failed")                                                    \
	X(requests, "requests")                                                                    \
	X(requests_open, "requests_open")                                                          \
	X(waiting, "requests_waiting")                                                             \
	X(errors, "errors") /* responses that did not come, or were none */                        \
	X(status_5xx, "status_5xx")                                                                \
	X(bytes_in, "bytes_in")                                                                    \
	X(bytes_out, "bytes_out")

/* Of what another dispatcher relays to this one. What this one relays to it is counted as of a
 * target. */
#define L7_RELAY_COUNT_LIST(X)                                                                     \
	X(connections, "connections") /* ever */                                                   \
	X(connections_open, "connections_open")                                                    \
	X(requests, "requests")                                                                    \
	X(requests_open, "requests_open")                                                          \
	X(errors, "errors") /* answered 502, 503 or 504, or not to the end */                      \
	X(bytes_in, "bytes_in")                                                                    \
	X(bytes_out, "bytes_out")

/* In the place of a target's index: the dispatcher that is connected to the target, as index into
 * members[] (HD-18). */
#define L7_RELAY 0xff00u

static inline bool l7_is_relay(uint16_t target)
{
	return target >= L7_RELAY && target < L7_RELAY + PARAMS_MEMBERS;
}

static inline uint16_t l7_relay_member(uint16_t target)
{
	return (uint16_t)(target - L7_RELAY);
}

/* Who is connected to the server of a cookie? */
enum l7_found {
	L7_FOUND_NOBODY,
	L7_FOUND,
	L7_FOUND_LATER, /* the others are being asked */
};

/* Whether a target may be given requests. */
enum l7_standing {
	L7_TARGET_DOWN,
	L7_TARGET_DRAINED, /* up, but takes nobody new */
	L7_TARGET_TAKES,
};

struct l7_service_counts {
#define L7_COUNT_FIELD(field, name) uint64_t field;
	L7_SERVICE_COUNT_LIST(L7_COUNT_FIELD)
};

struct l7_target_counts {
	L7_TARGET_COUNT_LIST(L7_COUNT_FIELD)
};

struct l7_relay_counts {
	L7_RELAY_COUNT_LIST(L7_COUNT_FIELD)
#undef L7_COUNT_FIELD
};

#endif
