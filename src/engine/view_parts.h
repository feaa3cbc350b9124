/*
 * view_parts.h - how single values look as JSON, for the files behind view.h.
 */
#ifndef ENGINE_VIEW_PARTS_H
#define ENGINE_VIEW_PARTS_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/engine_priv.h"

static inline json_t *text(const char *s)
{
	json_t *j = json_string(s);
	return j ? j : json_string("?");
}

static inline double seconds(uint64_t now_ns, uint64_t since_ns)
{
	uint64_t ms = now_ns > since_ns ? (now_ns - since_ns) / 1000000 : 0;
	return (double)ms / 1000.0;
}

static inline double age_s(uint64_t now_ns, uint32_t created_ms)
{
	return (double)((uint32_t)(now_ns / 1000000) - created_ms) / 1000.0;
}

static inline json_t *hex64(uint64_t v)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%016llx", (unsigned long long)v);
	return json_string(buf);
}

static inline json_t *address(const struct ipaddr *a)
{
	char buf[ADDR_TEXT];
	return text(ipaddr_text(buf, a));
}

static inline json_t *mac(const struct macaddr *m)
{
	char buf[ADDR_TEXT];
	return text(macaddr_text(buf, m));
}

static inline json_t *port_name(const struct params *p, uint16_t port)
{
	return port < p->n_ports ? text(p->ports[port].name) : json_null();
}

static inline const char *member_name(const struct params *p, uint32_t member)
{
	return member < p->n_members ? p->members[member].name : "?";
}

/* proto, src, sport, dst, dport of a flow as travelled in direction `dir`. */
static inline json_t *flow_object(const struct flow_key *key, unsigned dir)
{
	struct pkt_tuple t = flow_key_tuple(key, dir);
	char buf[8];

	return json_pack("{s:s, s:o, s:i, s:o, s:i}", "proto", flow_proto_text(buf, t.proto), "src",
			 address(&t.src), "sport", (int)t.sport, "dst", address(&t.dst), "dport",
			 (int)t.dport);
}

/* Who passes on the packets of a flow: "daemon", or by its orders "kernel". */
static inline const char *passed_by(const struct engine *e, enum offload_owner kind, uint32_t index)
{
	return e->node.offload && offload_has(e->node.offload, kind, index) ? "kernel" : "daemon";
}

/* Join `more`, whose reference is taken, into `o`. */
static inline json_t *with(json_t *o, json_t *more)
{
	json_object_update(o, more);
	json_decref(more);
	return o;
}

/* Two counts, one for each way. */
static inline json_t *both(uint64_t x, uint64_t y)
{
	return json_pack("[I,I]", (json_int_t)x, (json_int_t)y);
}

/* One row of `show config`. */
static inline void setting(json_t *list, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static inline void setting(json_t *list, const char *key, const char *fmt, ...)
{
	char value[PARAMS_PATH];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_pack("{s:s, s:s}", "key", key, "value", value));
}

/* view_dispatch.c, for view.c: what dispatchers add to other tables. The cursor is as view.h has
 * it. */
void view_dispatch_flows(const struct engine *e, json_t *list, uint32_t *cursor, uint32_t limit,
			 uint64_t now_ns);
void view_dispatch_problems(const struct engine *e, json_t *problems);
void view_dispatch_config(const struct params *p, json_t *list);

/* view_l7.c, for view_dispatch.c: what is counted of a service or target, null where nothing is. */
json_t *view_l7_service(const struct engine *e, uint16_t service);
json_t *view_l7_target(const struct engine *e, uint16_t target);
void view_l7_config(const struct params *p, json_t *list);
/* Whether requests may go to the target. */
bool view_l7_has(const struct params *p, uint16_t target);

#endif
