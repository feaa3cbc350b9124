/*
 * rows_dispatch.c - the tables of dispatchers: firewalls, services, targets and flows.
 */
#include <stdio.h>

#include "ctl/rows_cells.h"

static const struct column dispatcher_columns[] = {
	{"DISPATCHER", false}, {"ROLE", false},	  {"HERE", false}, {"PORT", false},
	{"ALGORITHM", false},  {"PATH", false},	  {"ID", true},	   {"ADDRESS", false},
	{"MAC", false},	       {"STATE", false},  {"SINCE", true}, {"WEIGHT", true},
	{"FLOWS", true},       {"PACKETS", true}, {"BYTES", true}, {"PROBE", false},
	{"WHY", false},
};

static void probe(struct table *t, const json_t *path)
{
	const json_t *p = json_object_get(path, "probe");
	const char *state = text_field(p, "state", "-");
	char buf[TEXT_ROOM];

	if (!json_is_object(p))
		table_cell(t, TINT_NONE, "-");
	else
		table_cellf(t, strcmp(state, "missed") == 0 ? TINT_WARN : TINT_NONE, "%.20s %s ago",
			    state, text_duration(buf, text_real(p, "age_s")));
}

/* What this node is of it: "active", "standby for fw-a", ... */
static void here(struct table *t, const json_t *record)
{
	const json_t *takeover = json_object_get(record, "takeover");
	const char *s = text_field(takeover, "state", "-");
	const char *active = text_field(takeover, "active", NULL);

	if (!json_is_object(takeover))
		table_cell(t, TINT_NONE, "alone");
	else if (json_is_true(json_object_get(takeover, "blind")))
		table_cellf(t, TINT_WARN, "%.20s, blind", s);
	else if (strcmp(s, "standby") == 0 && active)
		table_cellf(t, TINT_NONE, "standby for %.40s", active);
	else
		table_cell(t, strcmp(s, "active") == 0 ? TINT_GOOD : TINT_WARN, s);
}

static void path_row(struct table *t, const json_t *record, const json_t *path)
{
	word(t, record, "dispatcher");
	word(t, record, "role");
	here(t, record);
	word(t, record, "firewall_port");
	word(t, record, "algorithm");
	word(t, path, "path");
	word(t, path, "id");
	word(t, path, "address");
	word(t, path, "mac");
	state(t, path);
	duration(t, path, "since_s");
	word(t, path, "weight");
	count(t, path, "flows");
	both_ways(t, path, "packets");
	both_ways(t, path, "bytes");
	probe(t, path);
	word(t, path, "why");
}

/* The dispatcher itself, then one row for each of its firewalls. */
static void dispatcher_row(struct table *t, const json_t *record)
{
	const json_t *paths = json_object_get(record, "paths"), *path;
	size_t i, n_up = 0;

	json_array_foreach (paths, i, path)
		n_up += strcmp(text_field(path, "state", "-"), "up") == 0;
	word(t, record, "dispatcher");
	word(t, record, "role");
	here(t, record);
	word(t, record, "firewall_port");
	word(t, record, "algorithm");
	for (unsigned k = 0; k < 4; k++) /* path, id, address, mac */
		table_cell(t, TINT_NONE, "-");
	if (json_array_size(paths) == 0)
		table_cell(t, TINT_NONE, "-");
	else
		table_cellf(t, n_up == json_array_size(paths) ? TINT_GOOD : TINT_BAD,
			    "%zu of %zu up", n_up, json_array_size(paths));
	table_cell(t, TINT_NONE, "-"); /* since, weight */
	table_cell(t, TINT_NONE, "-");
	count(t, record, "flows");
	for (unsigned k = 0; k < 4; k++) /* packets, bytes, probe, why */
		table_cell(t, TINT_NONE, "-");
	json_array_foreach (paths, i, path)
		path_row(t, record, path);
}

static const struct column service_columns[] = {
	{"SERVICE", false},    {"PROTO", false},     {"ADDRESSES", false}, {"PORTS", false},
	{"TECHNOLOGY", false}, {"ALGORITHM", false}, {"AFFINITY", true},   {"FLOWS", true},
	{"REFUSED", true},     {"PACKETS", true},    {"BYTES", true},	   {"TARGETS", false},
};

/* "web1 web2(down) sorry1(sorry)" */
/* That a target is remote is no trouble. */
static void service_targets(struct table *t, const json_t *record)
{
	const json_t *list = json_object_get(record, "targets"), *x;
	char buf[TEXT_ROOM] = "";
	enum tint tint = TINT_NONE;
	size_t i, n = 0;

	json_array_foreach (list, i, x) {
		const char *s = text_field(x, "state", "-");
		bool up = strcmp(s, "up") == 0;

		tint = up || strcmp(s, "remote") == 0 ? tint : TINT_WARN;
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%.40s%s", i ? " " : "",
				      text_field(x, "target", "-"),
				      json_is_true(json_object_get(x, "sorry")) ? "(sorry)" : "");
		if (!up && n < sizeof(buf))
			n += (size_t)snprintf(buf + n, sizeof(buf) - n, "(%.10s)", s);
		if (n >= sizeof(buf))
			break;
	}
	table_cell(t, tint, buf);
}

static void service_row(struct table *t, const json_t *record)
{
	const json_t *ports = json_object_get(record, "ports");
	char buf[TEXT_ROOM];

	word(t, record, "service");
	word(t, record, "proto");
	word(t, record, "addresses");
	table_cell(t, TINT_NONE, json_array_size(ports) ? text_value(buf, ports) : "all");
	word(t, record, "technology");
	word(t, record, "algorithm");
	duration(t, record, "affinity_s");
	count(t, record, "flows_total");
	count(t, record, "refused");
	both_ways(t, record, "packets");
	both_ways(t, record, "bytes");
	service_targets(t, record);
}

static const struct column target_columns[] = {
	{"TARGET", false}, {"STATE", false},  {"SINCE", true},	{"ADDRESS", false},  {"OUT", false},
	{"WEIGHT", true},  {"SET-BY", false}, {"FLOWS", true},	{"TOTAL", true},     {"RATE", true},
	{"PACKETS", true}, {"BYTES", true},   {"CHECK", false}, {"SERVICES", false}, {"WHY", false},
};

/* "10.4.0.11,fd00:4::11 port 8080", or the member of the next stage, or the dispatchers that it is
 * connected to. */
static void target_address(struct table *t, const json_t *record)
{
	const json_t *port = json_object_get(record, "port");
	const json_t *via = json_object_get(record, "via");
	const char *member = text_field(record, "member", NULL);
	char buf[TEXT_ROOM];

	if (member)
		table_cellf(t, TINT_NONE, "member %.64s", member);
	else if (json_array_size(via) > 0)
		table_cellf(t, TINT_NONE, "via %.200s", text_value(buf, via));
	else if (json_is_integer(port))
		table_cellf(t, TINT_NONE, "%.200s port %" JSON_INTEGER_FORMAT,
			    text_value(buf, json_object_get(record, "addresses")),
			    json_integer_value(port));
	else
		word(t, record, "addresses");
}

/* What it gets, and of what: "0/4" when it is drained, "3/4" when its agent says 75 %. */
static void target_weight(struct table *t, const json_t *record)
{
	uint64_t effective = text_number(record, "effective");
	uint64_t weight = text_number(record, "weight");

	if (effective == weight)
		word(t, record, "weight");
	else
		table_cellf(t, TINT_WARN, "%llu/%llu", (unsigned long long)effective,
			    (unsigned long long)weight);
}

static void target_row(struct table *t, const json_t *record)
{
	word(t, record, "target");
	state(t, record);
	duration(t, record, "since_s");
	target_address(t, record);
	word(t, record, "out");
	target_weight(t, record);
	word(t, record, "set_by");
	count(t, record, "flows");
	count(t, record, "flows_total");
	count(t, record, "rate");
	both_ways(t, record, "packets");
	both_ways(t, record, "bytes");
	word(t, record, "check");
	word(t, record, "services");
	word(t, record, "why");
}

/* --- by L7 ------------------------------------------------------------------------------------ */

static const struct column l7_service_columns[] = {
	{"SERVICE", false}, {"ADDRESSES", false}, {"PORTS", false},	{"TECHNOLOGY", false},
	{"CONTENT", false}, {"RELAY", false},	  {"ALGORITHM", false}, {"AFFINITY", true},
	{"CLIENTS", true},  {"REQUESTS", true},	  {"OPEN", true},	{"4XX", true},
	{"5XX", true},	    {"ERRORS", true},	  {"UNROUTED", true},	{"RETRIES", true},
	{"QUEUED", true},   {"FIRST", true},	  {"TOTAL", true},	{"BYTES", true},
	{"TARGETS", false},
};

/* "1.3ms": on average over the requests that have ended. */
static void mean(struct table *t, const json_t *l7, const char *sum)
{
	uint64_t n = text_number(l7, "requests"), open = text_number(l7, "requests_open");
	double ms;

	if (n <= open) {
		table_cell(t, TINT_NONE, "-");
		return;
	}
	ms = (double)text_number(l7, sum) / (double)(n - open) / 1000.0;
	table_cellf(t, TINT_NONE, ms < 10 ? "%.1fms" : "%.0fms", ms);
}

/* What should be nought. */
static void trouble(struct table *t, const json_t *l7, const char *key)
{
	uint64_t n = text_number(l7, key);
	char buf[TEXT_ROOM];

	table_cell(t, n ? TINT_WARN : TINT_NONE, text_count(buf, n));
}

static void in_and_out(struct table *t, const json_t *l7)
{
	char in[TEXT_ROOM], out[TEXT_ROOM];

	table_cellf(t, TINT_NONE, "%s/%s", text_count(in, text_number(l7, "bytes_in")),
		    text_count(out, text_number(l7, "bytes_out")));
}

/* Of a route: it has neither. */
static void list_or_none(struct table *t, const json_t *record, const char *key)
{
	const json_t *list = json_object_get(record, key);
	char buf[TEXT_ROOM];

	table_cell(t, TINT_NONE, json_array_size(list) ? text_value(buf, list) : "-");
}

static void l7_service_row(struct table *t, const json_t *record)
{
	const json_t *l7 = json_object_get(record, "l7");

	word(t, record, "service");
	list_or_none(t, record, "addresses");
	list_or_none(t, record, "ports");
	word(t, record, "technology");
	word(t, l7, "content");
	word(t, l7, "relay");
	word(t, record, "algorithm");
	duration(t, record, "affinity_s");
	count(t, l7, "connections_open");
	count(t, l7, "requests");
	count(t, l7, "requests_open");
	count(t, l7, "status_4xx");
	trouble(t, l7, "status_5xx");
	trouble(t, l7, "server_errors");
	trouble(t, l7, "unrouted");
	count(t, l7, "retries");
	count(t, l7, "queued");
	mean(t, l7, "us_first_byte");
	mean(t, l7, "us_total");
	in_and_out(t, l7);
	service_targets(t, record);
}

static const struct column l7_target_columns[] = {
	{"TARGET", false}, {"STATE", false},	{"SINCE", true},     {"ADDRESS", false},
	{"WEIGHT", true},  {"SET-BY", false},	{"OPEN", true},	     {"IDLE", true},
	{"WAITING", true}, {"REQUESTS", true},	{"UNDER-WAY", true}, {"REUSED", true},
	{"ERRORS", true},  {"5XX", true},	{"FAILED", true},    {"BYTES", true},
	{"CHECK", false},  {"SERVICES", false}, {"WHY", false},
};

static void l7_target_row(struct table *t, const json_t *record)
{
	const json_t *l7 = json_object_get(record, "l7");

	word(t, record, "target");
	state(t, record);
	duration(t, record, "since_s");
	target_address(t, record);
	target_weight(t, record);
	word(t, record, "set_by");
	count(t, l7, "connections_open");
	count(t, l7, "connections_idle");
	count(t, l7, "requests_waiting");
	count(t, l7, "requests");
	count(t, l7, "requests_open");
	count(t, l7, "connections_reused");
	trouble(t, l7, "errors");
	trouble(t, l7, "status_5xx");
	trouble(t, l7, "connections_failed");
	in_and_out(t, l7);
	word(t, record, "check");
	word(t, record, "services");
	word(t, record, "why");
}

static const struct column cookie_columns[] = {
	{"SERVICE", false}, {"KIND", false},  {"NAME", false},	 {"MADE", true},    {"VALID", true},
	{"ABSENT", true},   {"FORGED", true}, {"UNKNOWN", true}, {"EXPIRED", true}, {"MOVED", true},
};

static void cookie_row(struct table *t, const json_t *record)
{
	word(t, record, "service");
	word(t, record, "kind");
	word(t, record, "name");
	count(t, record, "made");
	count(t, record, "valid");
	count(t, record, "absent");
	trouble(t, record, "forged");
	count(t, record, "unknown");
	count(t, record, "expired");
	count(t, record, "moved");
}

/* --- relays ----------------------------------------------------------------------------------- */

static const struct column relay_columns[] = {
	{"MEMBER", false},	 {"STATE", false},	{"FOUND", false},     {"REQUESTS", true},
	{"UNDER-WAY", true},	 {"OPEN", true},	{"IDLE", true},	      {"OPENED", true},
	{"FAILED", true},	 {"ERRORS", true},	{"BYTES", true},      {"FROM-OPEN", true},
	{"FROM-REQUESTS", true}, {"FROM-ERRORS", true}, {"FROM-BYTES", true},
};

/* Up, but on no segment in common: nothing can be relayed. */
static void relay_state(struct table *t, const json_t *record)
{
	bool up = strcmp(text_field(record, "state", "-"), "up") == 0;

	if (up && json_is_false(json_object_get(record, "reached")))
		table_cell(t, TINT_BAD, "unreached");
	else
		state(t, record);
}

/* "web3,web4" of the configuration, "2 asked" of answers. */
static void relay_found(struct table *t, const json_t *record)
{
	const json_t *targets = json_object_get(record, "targets");
	uint64_t asked = text_number(record, "asked");
	bool some = json_array_size(targets) > 0;
	char buf[TEXT_ROOM];
	const char *names = some ? text_value(buf, targets) : "";

	if (asked > 0)
		table_cellf(t, TINT_NONE, "%.200s%s%llu asked", names, some ? ", " : "",
			    (unsigned long long)asked);
	else
		table_cell(t, TINT_NONE, some ? names : "-");
}

static void relay_row(struct table *t, const json_t *record)
{
	const json_t *to = json_object_get(record, "to");
	const json_t *from = json_object_get(record, "from");

	word(t, record, "member");
	relay_state(t, record);
	relay_found(t, record);
	count(t, to, "requests");
	count(t, to, "requests_open");
	count(t, to, "connections_open");
	count(t, to, "connections_idle");
	count(t, to, "connections_opened");
	trouble(t, to, "connections_failed");
	trouble(t, to, "errors");
	in_and_out(t, to);
	count(t, from, "connections_open");
	count(t, from, "requests");
	trouble(t, from, "errors");
	in_and_out(t, from);
}

static const struct column matching_columns[] = {
	{"KIND", false},   {"CLIENT", false}, {"ADDRESS", false}, {"SERVICE", false},
	{"MEMBER", false}, {"TARGET", false}, {"MAC", false},	  {"PORT", false},
	{"STATE", false},  {"AGE", true},     {"PACKETS", true},  {"BYTES", true},
};

static void matching_row(struct table *t, const json_t *record)
{
	word(t, record, "kind");
	endpoints(t, record);
	word(t, record, "service");
	word(t, record, "member");
	word(t, record, "target");
	word(t, record, "mac");
	word(t, record, "port");
	word(t, record, "state");
	duration(t, record, "age_s");
	both_ways(t, record, "packets");
	both_ways(t, record, "bytes");
}

/* --- flows ------------------------------------------------------------------------------------ */

static const struct column flow_columns[] = {
	{"PROTO", false},      {"SOURCE", false}, {"DESTINATION", false}, {"STATE", false},
	{"DISPATCHER", false}, {"PATH", false},	  {"SERVICE", false},	  {"TECHNOLOGY", false},
	{"TARGET", false},     {"SERVER", false}, {"AGE", true},	  {"IDLE", true},
	{"PACKETS", true},     {"BYTES", true},	  {"BY", false},
};

/* "fw1 (stamp, inner)": whom, how chosen, and for a later stage which one before said so. */
static void chosen(struct table *t, const json_t *record, const char *key, const char *by_key,
		   const char *from_key)
{
	const char *name = text_field(record, key, NULL), *by = text_field(record, by_key, NULL);
	const char *from = from_key ? text_field(record, from_key, NULL) : NULL;

	if (name && by)
		table_cellf(t, TINT_NONE, "%.64s (%.32s%s%.64s)", name, by, from ? ", " : "",
			    from ? from : "");
	else
		word(t, record, key);
}

static void flow_row(struct table *t, const json_t *record)
{
	char buf[TEXT_ROOM];

	word(t, record, "proto");
	endpoints(t, record);
	word(t, record, "state");
	word(t, record, "dispatcher");
	chosen(t, record, "path", "path_by", "upstream");
	word(t, record, "service");
	word(t, record, "technology");
	chosen(t, record, "target", "target_by", NULL);
	table_cell(t, TINT_NONE,
		   text_endpoint(buf, json_object_get(record, "server"), "dst", "dport"));
	duration(t, record, "age_s");
	duration(t, record, "idle_s");
	both_ways(t, record, "packets");
	both_ways(t, record, "bytes");
	word(t, record, "by");
}

const struct rows *rows_of_dispatch(const char *what)
{
#define ROWS(name, columns, row)                                                                   \
	{                                                                                          \
		name, columns, sizeof(columns) / sizeof(columns[0]), row                           \
	}
	static const struct rows all[] = {
		ROWS("dispatchers", dispatcher_columns, dispatcher_row),
		ROWS("services", service_columns, service_row),
		ROWS("targets", target_columns, target_row),
		ROWS("cookies", cookie_columns, cookie_row),
		ROWS("relays", relay_columns, relay_row),
		ROWS("matching", matching_columns, matching_row),
		ROWS("l7 services", l7_service_columns, l7_service_row),
		ROWS("l7 targets", l7_target_columns, l7_target_row),
		ROWS("dispatched flows", flow_columns, flow_row),
	};
#undef ROWS
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].what, what) == 0)
			return &all[i];
	return NULL;
}
