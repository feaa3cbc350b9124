/*
 * view.h - an engine's tables as JSON, in the shapes of contrib/schema/fwclusterctl.schema.json.
 *
 * Read-only. Every function returns a new reference to an array of objects, or NULL without memory.
 */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "engine/engine.h"

json_t *view_status(const struct engine *e, const char *version, uint64_t now_ns);
json_t *view_members(const struct engine *e, uint64_t now_ns);
json_t *view_queries(const struct engine *e, uint64_t now_ns);
json_t *view_drops(const struct engine *e);
json_t *view_counters(const struct engine *e);
json_t *view_rules(const struct engine *e);
json_t *view_neighbours(const struct engine *e, uint64_t now_ns);
json_t *view_routes(const struct engine *e);
json_t *view_config(const struct params *p);

json_t *view_dispatchers(const struct engine *e, uint64_t now_ns);
json_t *view_services(const struct engine *e);
/* What became of the cookies of each service by L7 that has any, those of its routes included. */
json_t *view_cookies(const struct engine *e);
/* Of each other dispatcher that relays go to or come from, or would. */
json_t *view_relays(const struct engine *e);
json_t *view_targets(const struct engine *e, uint64_t now_ns);
/* One short object for each dispatcher: how many firewalls and targets are up. */
json_t *view_dispatch_summary(const struct engine *e);
/* What this node is of one dispatcher, as the answer to "takeover". */
json_t *view_takeover(const struct engine *e, const char *dispatcher);
/* What became of the order to drain this node, or not. */
json_t *view_drain(const struct engine *e);
/* The weight of one target, as the answer to the commands that set it. */
json_t *view_weight(const struct engine *e, const char *target);

/* At most `limit` entries from *cursor on; *cursor is 0 when there are no more. Flows: those of
 * the firewall, then those of the dispatchers. */
json_t *view_flows(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns);
json_t *view_forwards(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns);
/* Connections by MAC: to servers by l7/2, and relays to and from other dispatchers (HD-18). */
json_t *view_matching(const struct engine *e, uint32_t *cursor, uint32_t limit, uint64_t now_ns);

/* What the engine knows of a port; the owner of the port adds its statistics. */
json_t *view_port(const struct engine *e, uint16_t port);

/* One event of `fwclusterctl monitor`; `time` is the wall clock as RFC 3339 text. */
json_t *view_event(const struct engine *e, const struct note *n, const char *time);

#endif
