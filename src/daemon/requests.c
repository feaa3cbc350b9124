/*
 * requests.c - the control socket: clients on the loop, and what they may ask.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"
#include "daemon/daemon.h"
#include "engine/view.h"

#define REQUEST_LIMIT 1000 /* entries per answer when the client names no limit */
#define REQUEST_LIMIT_MAX 10000

/* --- answers -----------------------------------------------------------------------------------
 */

static json_t *answer(const struct daemon *d, const char *key, json_t *list)
{
	return json_pack("{s:i, s:s, s:o}", "schema", 1, "node", d->params->node, key, list);
}

static json_t *refuse(const struct daemon *d, const char *code, const char *text)
{
	return json_pack("{s:i, s:s, s:s, s:s}", "schema", 1, "node", d->params->node, "error",
			 text, "code", code);
}

static json_t *show_ports(const struct daemon *d)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < d->params->n_ports; i++) {
		const struct daemon_port *p = &d->ports[i];
		json_t *o = view_port(d->engine, i), *more;
		struct port_stats s = {0};

		port_get_stats(p->port, &s);
		more = json_pack(
			"{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "offload",
			port_offloads(p->port), "rx_ring", port_has_ring(p->port), "rx_frames",
			(json_int_t)s.rx_frames, "rx_bytes", (json_int_t)s.rx_bytes, "tx_frames",
			(json_int_t)s.tx_frames, "tx_bytes", (json_int_t)s.tx_bytes, "rx_dropped",
			(json_int_t)s.rx_dropped, "rx_truncated", (json_int_t)s.rx_truncated,
			"tx_full", (json_int_t)s.tx_full, "tx_size", (json_int_t)s.tx_size,
			"tx_errors", (json_int_t)s.tx_errors);
		json_object_update(o, more);
		json_decref(more);
		if (p->missing_said &&
		    !netlink_link_by_name(d->netlink, d->params->ports[i].device))
			json_object_set_new(o, "state", json_string("missing"));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *show_status(const struct daemon *d, uint64_t now)
{
	json_t *list = view_status(d->engine, PACKAGE_VERSION, now);

	json_object_set_new(json_array_get(list, 0), "log_lost",
			    json_integer((json_int_t)log_lost()));
	return list;
}

static json_t *show_version(void)
{
	return json_pack("[{s:s, s:{s:s, s:s, s:s, s:s}}]", "version", PACKAGE_VERSION, "libraries",
			 "libevent", event_get_version(), "jansson", JANSSON_VERSION, "libsodium",
			 sodium_version_string(), "libpcap", pcap_lib_version());
}

static json_t *show_paged(const struct daemon *d, const char *what, const json_t *request)
{
	json_int_t limit = json_integer_value(json_object_get(request, "limit"));
	uint32_t cursor = (uint32_t)json_integer_value(json_object_get(request, "cursor"));
	uint64_t now = daemon_now_ns();
	json_t *list, *a;

	if (limit <= 0)
		limit = REQUEST_LIMIT;
	if (limit > REQUEST_LIMIT_MAX)
		limit = REQUEST_LIMIT_MAX;
	if (strcmp(what, "flows") == 0)
		list = view_flows(d->engine, &cursor, (uint32_t)limit, now);
	else if (strcmp(what, "matching") == 0)
		list = view_matching(d->engine, &cursor, (uint32_t)limit, now);
	else
		list = view_forwards(d->engine, &cursor, (uint32_t)limit, now);
	a = answer(d, what, list);
	if (cursor)
		json_object_set_new(a, "next", json_integer(cursor));
	return a;
}

static json_t *request_show(struct daemon *d, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "what"));
	uint64_t now = daemon_now_ns();

	if (!what)
		return refuse(d, "usage", "show what?");
	if (strcmp(what, "flows") == 0 || strcmp(what, "forwards") == 0 ||
	    strcmp(what, "matching") == 0)
		return show_paged(d, what, request);
	if (strcmp(what, "status") == 0)
		return answer(d, what, show_status(d, now));
	if (strcmp(what, "members") == 0)
		return answer(d, what, view_members(d->engine, now));
	if (strcmp(what, "queries") == 0)
		return answer(d, what, view_queries(d->engine, now));
	if (strcmp(what, "drops") == 0)
		return answer(d, what, view_drops(d->engine));
	if (strcmp(what, "counters") == 0)
		return answer(d, what, view_counters(d->engine));
	if (strcmp(what, "rules") == 0)
		return answer(d, what, view_rules(d->engine));
	if (strcmp(what, "neighbours") == 0)
		return answer(d, what, view_neighbours(d->engine, now));
	if (strcmp(what, "routes") == 0)
		return answer(d, what, view_routes(d->engine));
	if (strcmp(what, "dispatchers") == 0)
		return answer(d, what, view_dispatchers(d->engine, now));
	if (strcmp(what, "cookies") == 0)
		return answer(d, what, view_cookies(d->engine));
	if (strcmp(what, "relays") == 0)
		return answer(d, what, view_relays(d->engine));
	if (strcmp(what, "services") == 0)
		return answer(d, what, view_services(d->engine));
	if (strcmp(what, "targets") == 0)
		return answer(d, what, view_targets(d->engine, now));
	if (strcmp(what, "config") == 0)
		return answer(d, what, view_config(d->params));
	if (strcmp(what, "ports") == 0)
		return answer(d, what, show_ports(d));
	if (strcmp(what, "version") == 0)
		return answer(d, what, show_version());
	return refuse(d, "usage", "unknown table");
}

static json_t *request_monitor(struct daemon *d, struct control_client *cl, const json_t *request)
{
	json_t *groups = json_object_get(request, "groups"), *g, *told = json_array();
	unsigned mask = 0;
	size_t i;

	json_array_foreach (groups, i, g) {
		unsigned m = json_is_string(g) ? notes_group_mask(json_string_value(g)) : 0;
		if (m == 0) {
			json_decref(told);
			return refuse(d, "usage",
				      "groups are flows, queries, members, ports, dispatch, "
				      "health, drops, all");
		}
		mask |= m;
		json_array_append(told, g);
	}
	if (mask == 0) {
		mask = notes_group_mask("all");
		json_array_append_new(told, json_string("all"));
	}
	control_set_mask(cl, mask);
	engine_want_notes(d->engine, notes_wanted(d));
	return answer(d, "monitor", told);
}

static json_t *request_flush(struct daemon *d, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "what"));
	enum engine_flush which;
	uint32_t n;

	if (what && strcmp(what, "flows") == 0)
		which = ENGINE_FLUSH_FLOWS;
	else if (what && strcmp(what, "forwards") == 0)
		which = ENGINE_FLUSH_FORWARDS;
	else if (what && strcmp(what, "negative") == 0)
		which = ENGINE_FLUSH_NEGATIVE;
	else
		return refuse(d, "usage", "flush flows, forwards or negative");
	n = engine_flush(d->engine, which, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	log_notice("flush: %s, %u entries, by the control socket", what, n);
	return answer(d, "flushed", json_pack("[{s:s, s:I}]", "what", what, "n", (json_int_t)n));
}

static json_t *request_reload(struct daemon *d)
{
	char message[512];
	bool ok = daemon_reload(d, message, sizeof(message));
	json_t *a = answer(d, "reload", json_pack("[{s:b, s:s}]", "ok", ok, "message", message));

	if (!ok) {
		json_object_set_new(a, "error", json_string(message));
		json_object_set_new(a, "code", json_string("refused"));
	}
	return a;
}

static json_t *request_log(struct daemon *d, const json_t *request)
{
	static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
	const char *level = json_string_value(json_object_get(request, "level"));

	for (unsigned i = 0; level && i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(level, levels[i]) != 0)
			continue;
		log_set_level((enum log_level)i);
		engine_want_notes(d->engine, notes_wanted(d));
		return answer(d, "log", json_pack("[{s:s}]", "level", level));
	}
	return refuse(d, "usage", "log error, warning, notice, info or debug");
}

/* --- drain, undrain: this node -----------------------------------------------------------------
 */

static json_t *request_drain_node(struct daemon *d, bool drain)
{
	int rc = engine_drain_node(d->engine, drain, daemon_now_ns(), d->actions);

	if (rc == -EOPNOTSUPP)
		return refuse(d, "refused",
			      "nobody can take over what this node does: no backup homes (option "
			      "\"backup\"), no dispatcher with other nodes");
	if (rc < 0)
		return refuse(d, "refused", "no other member that takes flows is up");
	loop_carry_out(d);
	loop_arm(d);
	log_notice("%s: this node, by the control socket", drain ? "drain" : "undrain");
	return answer(d, "drain", view_drain(d->engine));
}

/* --- targets: weight, drain, undrain -----------------------------------------------------------
 */

static json_t *refuse_target(const struct daemon *d, const char *name)
{
	const struct params *p = d->params;
	char text[1024];
	size_t n;

	if (p->n_targets == 0)
		return refuse(d, "refused", "this node has no targets");
	/* A longer one is no name at all. */
	n = (size_t)snprintf(text, sizeof(text), "no target \"%s\"; there %s",
			     strlen(name) < PARAMS_NAME ? name : "...",
			     p->n_targets == 1 ? "is" : "are");
	for (uint32_t i = 0; i < p->n_targets && n < sizeof(text) - 80; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s", i ? "," : "",
				      p->targets[i].name);
	if (n >= sizeof(text) - 80)
		snprintf(text + n, sizeof(text) - n, ", ...: see \"show targets\"");
	return refuse(d, "refused", text);
}

/* Returns -ENOENT, -EINVAL or 0, as the engine does. */
static int target_command(struct daemon *d, const char *verb, const char *target,
			  const json_t *weight)
{
	json_int_t n = json_integer_value(weight);
	uint64_t now = daemon_now_ns();

	if (strcmp(verb, "weight") != 0)
		return engine_set_drain(d->engine, target, strcmp(verb, "drain") == 0, now,
					d->actions);
	if (!json_is_integer(weight) || n < 0 || n > PARAMS_WEIGHT_MAX)
		return -EINVAL;
	return engine_set_weight(d->engine, target, (uint32_t)n, now, d->actions);
}

static json_t *request_target(struct daemon *d, const char *verb, const json_t *request)
{
	const char *target = json_string_value(json_object_get(request, "target"));
	const json_t *weight = json_object_get(request, "weight");
	int rc;

	if (json_is_true(json_object_get(request, "node")) && strcmp(verb, "weight") != 0)
		return request_drain_node(d, strcmp(verb, "drain") == 0);
	if (!target)
		return refuse(d, "usage", "which target?");
	rc = target_command(d, verb, target, weight);
	if (rc == -ENOENT)
		return refuse_target(d, target);
	if (rc < 0)
		return refuse(d, "usage", "a weight is a number from 0 to 256");
	loop_carry_out(d);
	if (strcmp(verb, "weight") == 0)
		log_notice("weight: target \"%s\" set to %d, by the control socket", target,
			   (int)json_integer_value(weight));
	else
		log_notice("%s: target \"%s\", by the control socket", verb, target);
	return answer(d, "weight", view_weight(d->engine, target));
}

/* --- takeover ----------------------------------------------------------------------------------
 */

static json_t *refuse_takeover(const struct daemon *d, const char *name, int rc)
{
	char text[256];

	if (strlen(name) >= PARAMS_NAME)
		name = "...";
	if (rc == -ENOENT)
		snprintf(text, sizeof(text), "no dispatcher \"%s\"; see \"show dispatchers\"",
			 name);
	else if (rc == -EINVAL)
		snprintf(text, sizeof(text),
			 "dispatcher \"%s\" has no other node (option \"nodes\"): it is played "
			 "here",
			 name);
	else if (rc == -EHOSTUNREACH)
		snprintf(text, sizeof(text),
			 "no server or no firewall of dispatcher \"%s\" answers here", name);
	else
		snprintf(text, sizeof(text), "a port of dispatcher \"%s\" is down here", name);
	return refuse(d, "refused", text);
}

static json_t *request_takeover(struct daemon *d, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "dispatcher"));
	int rc;

	if (!name)
		return refuse(d, "usage", "which dispatcher?");
	rc = engine_take_over(d->engine, name, daemon_now_ns(), d->actions);
	if (rc < 0)
		return refuse_takeover(d, name, rc);
	loop_carry_out(d);
	loop_arm(d);
	log_notice("takeover: dispatcher \"%s\", by the control socket", name);
	return answer(d, "takeover", view_takeover(d->engine, name));
}

static bool is_target_verb(const char *verb)
{
	return strcmp(verb, "weight") == 0 || strcmp(verb, "drain") == 0 ||
	       strcmp(verb, "undrain") == 0;
}

static json_t *request_handle(void *arg, struct control_client *cl, const json_t *request,
			      bool admin)
{
	struct daemon *d = arg;
	const char *verb = json_string_value(json_object_get(request, "verb"));

	if (!verb)
		return refuse(d, "usage", "a request needs a verb");
	if (strcmp(verb, "show") == 0)
		return request_show(d, request);
	if (strcmp(verb, "monitor") == 0)
		return request_monitor(d, cl, request);
	if (strcmp(verb, "flush") != 0 && strcmp(verb, "reload") != 0 && strcmp(verb, "log") != 0 &&
	    strcmp(verb, "takeover") != 0 && !is_target_verb(verb))
		return refuse(d, "usage", "unknown verb");
	if (!admin)
		return refuse(d, "refused", "only root and the daemon's own user may do that");
	if (strcmp(verb, "flush") == 0)
		return request_flush(d, request);
	if (strcmp(verb, "reload") == 0)
		return request_reload(d);
	if (is_target_verb(verb))
		return request_target(d, verb, request);
	if (strcmp(verb, "takeover") == 0)
		return request_takeover(d, request);
	return request_log(d, request);
}

/* --- clients -----------------------------------------------------------------------------------
 */

static void client_close(struct daemon_client *c)
{
	struct daemon *d = c->daemon;
	struct daemon_client **link = &d->clients;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	event_free(c->read);
	event_free(c->write);
	control_close(c->client);
	free(c);
	engine_want_notes(d->engine, notes_wanted(d));
}

/* Watch for what the client can do now: one that asks but does not read is not read from. */
void requests_watch(struct daemon_client *c)
{
	if (control_client_wants_read(c->client))
		event_add(c->read, NULL);
	else
		event_del(c->read);
	if (control_client_wants_write(c->client))
		event_add(c->write, NULL);
}

static void client_writable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon_client *c = arg;

	(void)fd;
	(void)what;
	if (control_write(c->client) < 0)
		client_close(c);
	else
		requests_watch(c);
}

static void client_readable(evutil_socket_t fd, short what, void *arg)
{
	struct daemon_client *c = arg;

	(void)fd;
	(void)what;
	c->daemon->rounds++;
	if (control_read(c->client, request_handle, c->daemon) < 0)
		client_close(c);
	else
		requests_watch(c);
}

static void client_accept(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct control_client *client;

	(void)fd;
	(void)what;
	while ((client = control_accept(d->control))) {
		struct daemon_client *c = calloc(1, sizeof(*c));
		if (!c) {
			control_close(client);
			return;
		}
		c->daemon = d;
		c->client = client;
		c->read = event_new(d->base, control_client_fd(client), EV_READ | EV_PERSIST,
				    client_readable, c);
		c->write =
			event_new(d->base, control_client_fd(client), EV_WRITE, client_writable, c);
		c->next = d->clients;
		d->clients = c;
		event_add(c->read, NULL);
	}
}

int requests_open(struct daemon *d)
{
	char err[256];

	if (!d->params->control_socket[0])
		return 0;
	d->control =
		control_new(d->params->control_socket, d->params->control_group, err, sizeof(err));
	if (!d->control) {
		log_error("%s", err);
		return -1;
	}
	d->control_event =
		event_new(d->base, control_fd(d->control), EV_READ | EV_PERSIST, client_accept, d);
	event_add(d->control_event, NULL);
	return 0;
}

void requests_close(struct daemon *d)
{
	while (d->clients)
		client_close(d->clients);
	if (d->control_event)
		event_free(d->control_event);
	control_free(d->control);
	d->control = NULL;
}
