#include "ctl/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/rows_cells.h"

static const struct column member_columns[] = {
	{"NAME", false}, {"ID", true},	  {"STATE", false}, {"ADDRESS", false}, {"SINCE", true},
	{"HEARD", true}, {"FLOWS", true}, {"PATH", false},  {"CONFIG", false},	{"SEGMENTS", false},
};

static void heard(struct table *t, const json_t *record)
{
	const json_t *ms = json_object_get(record, "heard_ms");
	char buf[TEXT_ROOM];
	double v = json_number_value(ms);

	if (!json_is_number(ms))
		table_cell(t, TINT_NONE, "-");
	else if (v < 1000)
		table_cellf(t, TINT_NONE, "%.0fms", v);
	else
		table_cell(t, TINT_NONE, text_duration(buf, v / 1000));
}

/* "inside=02:00:00:00:00:02": shared segments name our port, others stand in brackets. */
static void segments(struct table *t, const json_t *record)
{
	const json_t *list = json_object_get(record, "segments");
	const json_t *s;
	char buf[TEXT_ROOM] = "";
	size_t i, n = 0;

	json_array_foreach (list, i, s) {
		bool shared = json_is_string(json_object_get(s, "port"));
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s%.40s=%.20s%s", i ? " " : "",
				      shared ? "" : "(", text_field(s, "segment", "-"),
				      text_field(s, "mac", "-"), shared ? "" : ")");
		if (n >= sizeof(buf))
			break;
	}
	table_cell(t, TINT_NONE, buf);
}

static void member_row(struct table *t, const json_t *record)
{
	word(t, record, "name");
	word(t, record, "id");
	state(t, record);
	word(t, record, "address");
	duration(t, record, "since_s");
	heard(t, record);
	count(t, record, "flows");
	word(t, record, "path");
	word(t, record, "config");
	segments(t, record);
}

static const struct column flow_columns[] = {
	{"PROTO", false},  {"SOURCE", false}, {"DESTINATION", false}, {"STATE", false},
	{"IN", false},	   {"OUT", false},    {"RULE", false},	      {"AGE", true},
	{"EXPIRES", true}, {"PACKETS", true}, {"BYTES", true},	      {"HOME", false},
	{"ASKERS", false}, {"BACKUP", false}, {"BY", false},
};

static void flow_row(struct table *t, const json_t *record)
{
	word(t, record, "proto");
	endpoints(t, record);
	word(t, record, "state");
	word(t, record, "in");
	word(t, record, "out");
	word(t, record, "rule");
	duration(t, record, "age_s");
	duration(t, record, "expires_s");
	both_ways(t, record, "packets");
	both_ways(t, record, "bytes");
	word(t, record, "home");
	word(t, record, "askers");
	word(t, record, "backup");
	word(t, record, "by");
}

static const struct column forward_columns[] = {
	{"PROTO", false}, {"SOURCE", false}, {"DESTINATION", false}, {"HOME", false},
	{"VIA", false},	  {"AGE", true},     {"EXPIRES", true},	     {"PACKETS", true},
};

static void forward_row(struct table *t, const json_t *record)
{
	word(t, record, "proto");
	endpoints(t, record);
	word(t, record, "home");
	word(t, record, "via");
	duration(t, record, "age_s");
	duration(t, record, "expires_s");
	count(t, record, "packets");
}

static const struct column query_columns[] = {
	{"QUERY", false}, {"PROTO", false}, {"SOURCE", false}, {"DESTINATION", false},
	{"MODE", false},  {"AGE-MS", true}, {"TRIES", true},   {"HELD", true},
};

static void query_row(struct table *t, const json_t *record)
{
	word(t, record, "id");
	word(t, record, "proto");
	endpoints(t, record);
	word(t, record, "mode");
	count(t, record, "age_ms");
	count(t, record, "tries");
	count(t, record, "held");
}

static const struct column drop_columns[] = {
	{"REASON", false}, {"CLASS", false}, {"PACKETS", true}, {"MEANING", false}};

static void drop_row(struct table *t, const json_t *record)
{
	const char *class = text_field(record, "class", "-");
	bool some = text_number(record, "packets") > 0;
	enum tint tint = !some			    ? TINT_NONE
			 : !strcmp(class, "attack") ? TINT_BAD
			 : !strcmp(class, "error")  ? TINT_WARN
						    : TINT_NONE;
	char buf[TEXT_ROOM];

	word(t, record, "reason");
	table_cell(t, tint, class);
	/* Unscaled: these are compared with each other, and from call to call. */
	table_cell(t, TINT_NONE, text_value(buf, json_object_get(record, "packets")));
	word(t, record, "text");
}

static const struct column counter_columns[] = {
	{"COUNTER", false}, {"VALUE", true}, {"MEANING", false}};

static void counter_row(struct table *t, const json_t *record)
{
	word(t, record, "name");
	word(t, record, "value");
	word(t, record, "text");
}

static const struct column port_columns[] = {
	{"NAME", false},    {"DEVICE", false},	  {"STATE", false},    {"BACKEND", false},
	{"MAC", false},	    {"MTU", true},	  {"SEGMENT", false},  {"RX-FRAMES", true},
	{"RX-BYTES", true}, {"RX-LOST", true},	  {"TX-FRAMES", true}, {"TX-BYTES", true},
	{"TX-LOST", true},  {"ADDRESSES", false},
};

/* The port's own, then those it answers for; "!" before one that another host answers for. */
static void port_addresses(struct table *t, const json_t *record)
{
	static const char *const keys[] = {"addresses", "answers"};
	const json_t *taken = json_object_get(record, "taken"), *a, *b;
	char buf[TEXT_ROOM] = "";
	size_t i, k, n = 0;

	for (unsigned l = 0; l < 2; l++)
		json_array_foreach (json_object_get(record, keys[l]), i, a) {
			const char *text = json_is_string(a) ? json_string_value(a) : "-";
			bool lost = false;

			json_array_foreach (taken, k, b) {
				const char *other = json_is_string(b) ? json_string_value(b) : "-";
				size_t len = strlen(other);
				lost |= strncmp(text, other, len) == 0 &&
					(text[len] == '/' || !text[len]);
			}
			if (n < sizeof(buf))
				n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s%.60s",
						      n ? "," : "", lost ? "!" : "", text);
		}
	table_cell(t, json_array_size(taken) ? TINT_BAD : TINT_NONE, buf);
}

static void port_row(struct table *t, const json_t *record)
{
	char buf[TEXT_ROOM];
	uint64_t rx = text_number(record, "rx_dropped") + text_number(record, "rx_truncated");
	uint64_t tx = text_number(record, "tx_full") + text_number(record, "tx_size") +
		      text_number(record, "tx_errors");

	word(t, record, "name");
	word(t, record, "device");
	state(t, record);
	word(t, record, "backend");
	word(t, record, "mac");
	word(t, record, "mtu");
	word(t, record, "segment");
	count(t, record, "rx_frames");
	count(t, record, "rx_bytes");
	table_cell(t, rx ? TINT_WARN : TINT_NONE, text_count(buf, rx));
	count(t, record, "tx_frames");
	count(t, record, "tx_bytes");
	table_cell(t, tx ? TINT_WARN : TINT_NONE, text_count(buf, tx));
	port_addresses(t, record);
}

static const struct column rule_columns[] = {
	{"RULE", false}, {"ACTION", false}, {"LINE", true}, {"PACKETS", true}, {"BYTES", true}};

static void rule_row(struct table *t, const json_t *record)
{
	word(t, record, "rule");
	word(t, record, "action");
	word(t, record, "line");
	count(t, record, "packets");
	count(t, record, "bytes");
}

static const struct column neighbour_columns[] = {{"ADDRESS", false}, {"PORT", false},
						  {"MAC", false},     {"STATE", false},
						  {"AGE", true},      {"WAITING", true}};

static void neighbour_row(struct table *t, const json_t *record)
{
	word(t, record, "address");
	word(t, record, "port");
	word(t, record, "mac");
	state(t, record);
	duration(t, record, "age_s");
	count(t, record, "waiting");
}

static const struct column route_columns[] = {
	{"PREFIX", false}, {"VIA", false}, {"PORT", false}, {"FROM", false}, {"METRIC", true}};

static void route_row(struct table *t, const json_t *record)
{
	word(t, record, "prefix");
	word(t, record, "via");
	word(t, record, "port");
	word(t, record, "from");
	word(t, record, "metric");
}

static const struct column config_columns[] = {{"SETTING", false}, {"VALUE", false}};

static void config_row(struct table *t, const json_t *record)
{
	word(t, record, "key");
	word(t, record, "value");
}

const struct rows *rows_of(const char *what)
{
#define ROWS(name, columns, row)                                                                   \
	{                                                                                          \
		name, columns, sizeof(columns) / sizeof(columns[0]), row                           \
	}
	static const struct rows all[] = {
		ROWS("members", member_columns, member_row),
		ROWS("flows", flow_columns, flow_row),
		ROWS("forwards", forward_columns, forward_row),
		ROWS("queries", query_columns, query_row),
		ROWS("drops", drop_columns, drop_row),
		ROWS("counters", counter_columns, counter_row),
		ROWS("ports", port_columns, port_row),
		ROWS("rules", rule_columns, rule_row),
		ROWS("neighbours", neighbour_columns, neighbour_row),
		ROWS("routes", route_columns, route_row),
		ROWS("config", config_columns, config_row),
	};
#undef ROWS
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].what, what) == 0)
			return &all[i];
	return rows_of_dispatch(what);
}

const struct rows *rows_for(const char *what, const json_t *record)
{
	bool l7 = json_is_object(json_object_get(record, "l7"));

	if (strcmp(what, "flows") == 0 && json_object_get(record, "dispatcher"))
		return rows_of_dispatch("dispatched flows");
	if (strcmp(what, "services") == 0 && l7)
		return rows_of_dispatch("l7 services");
	if (strcmp(what, "targets") == 0 && l7)
		return rows_of_dispatch("l7 targets");
	return rows_of(what);
}

static void paragraph_backup(FILE *out, const json_t *b)
{
	fprintf(out,
		"backups   of %" PRIu64 " flows with others, of %" PRIu64
		" of theirs here, %" PRIu64 " taken over\n",
		text_number(b, "backed_up"), text_number(b, "held"), text_number(b, "taken_over"));
}

static void paragraph_dispatcher(FILE *out, const json_t *r)
{
	char name[TEXT_ROOM], role[TEXT_ROOM];

	fprintf(out, "dispatch  %s (%s)", text_safe(name, text_field(r, "dispatcher", "-")),
		text_safe(role, text_field(r, "role", "-")));
	if (text_number(r, "paths") > 0)
		fprintf(out, ", %" PRIu64 " of %" PRIu64 " firewalls up",
			text_number(r, "paths_up"), text_number(r, "paths"));
	if (text_number(r, "targets") > 0)
		fprintf(out, ", %" PRIu64 " of %" PRIu64 " targets up",
			text_number(r, "targets_up"), text_number(r, "targets"));
	fprintf(out, ", %" PRIu64, text_number(r, "flows"));
	if (text_number(r, "max_flows") > 0)
		fprintf(out, " of %" PRIu64, text_number(r, "max_flows"));
	fprintf(out, " flows\n");
}

static void paragraph_status(FILE *out, const json_t *r, bool colour)
{
	const char *health = text_field(r, "health", "-");
	char a[TEXT_ROOM], b[TEXT_ROOM], c[TEXT_ROOM];
	uint64_t flows = text_number(r, "flows"), max = text_number(r, "max_flows");
	const json_t *problems = json_object_get(r, "problems");
	const json_t *problem, *dispatcher;
	/* A node that only dispatches has no table of the firewall's. */
	bool firewall = !json_is_false(json_object_get(r, "firewall"));
	size_t i;

	fprintf(out, "node      %s", text_safe(a, text_field(r, "node", "-")));
	fprintf(out, " (id %" PRIu64 "), version %s, up %s\n", text_number(r, "id"),
		text_safe(a, text_field(r, "version", "unknown")),
		text_duration(b, text_real(r, "uptime_s")));
	fprintf(out, "health    %s%s%s\n", text_tint(state_tint(health), colour),
		text_safe(a, health), text_plain(colour));
	json_array_foreach (problems, i, problem)
		fprintf(out, "problem   %s\n", text_value(a, problem));
	if (json_is_number(json_object_get(r, "drained_s")))
		fprintf(out,
			"drained   for %s: flows are handed over as soon as they are answered\n",
			text_duration(a, text_real(r, "drained_s")));
	json_array_foreach (json_object_get(r, "dispatchers"), i, dispatcher)
		paragraph_dispatcher(out, dispatcher);
	if (json_is_true(json_object_get(r, "cluster")))
		fprintf(out, "cluster   %" PRIu64 " of %" PRIu64 " members up\n",
			text_number(r, "members_up"), text_number(r, "members"));
	else
		fprintf(out, "cluster   none, this node is alone\n");
	if (firewall)
		fprintf(out, "flows     %" PRIu64 " of %" PRIu64 " (%.1f%%)\n", flows, max,
			max ? 100.0 * (double)flows / (double)max : 0.0);
	if (json_is_object(json_object_get(r, "backup")))
		paragraph_backup(out, json_object_get(r, "backup"));
	if (text_number(r, "max_offloaded") > 0)
		fprintf(out, "offload   %" PRIu64 " of %" PRIu64 " flows passed on by the kernel\n",
			text_number(r, "offloaded"), text_number(r, "max_offloaded"));
	if (firewall)
		fprintf(out,
			"forwards  %" PRIu64 "\nqueries   %" PRIu64 " open, %" PRIu64
			" packets held\n",
			text_number(r, "forwards"), text_number(r, "queries_open"),
			text_number(r, "held"));
	else
		fprintf(out, "held      %" PRIu64 " packets\n", text_number(r, "held"));
	fprintf(out, "frames    %s in, %s out, %s dropped\n",
		text_count(a, text_number(r, "frames_in")),
		text_count(b, text_number(r, "frames_out")),
		text_count(c, text_number(r, "drops")));
}

static void paragraph_version(FILE *out, const json_t *r)
{
	json_t *libraries = json_object_get(r, "libraries");
	char buf[TEXT_ROOM], name[TEXT_ROOM];
	const char *key;
	json_t *v;

	fprintf(out, "fwclusterd    %s\n", text_safe(buf, text_field(r, "version", "-")));
	json_object_foreach (libraries, key, v)
		fprintf(out, "%-13s %s\n", text_safe(name, key), text_value(buf, v));
}

void rows_paragraph(FILE *out, const char *what, const json_t *record, bool colour)
{
	if (strcmp(what, "status") == 0)
		paragraph_status(out, record, colour);
	else
		paragraph_version(out, record);
}
