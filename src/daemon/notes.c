/*
 * notes.c - the engine's notes, as events for monitors and lines of the log.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "engine/view.h"

_Static_assert(NOTE_COUNT <= 32, "masks of notes have 32 bits");

static unsigned group_bit(enum note_type t)
{
	static const char *const groups[] = {"flows",	 "queries", "members", "ports",
					     "dispatch", "health",  "drops"};

	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(groups[i], note_group(t)) == 0)
			return 1u << i;
	return 0;
}

unsigned notes_group_mask(const char *group)
{
	unsigned mask = 0;

	for (unsigned t = 0; t < NOTE_COUNT; t++)
		if (strcmp(group, "all") == 0 || strcmp(group, note_group(t)) == 0)
			mask |= group_bit(t);
	return mask;
}

/* Which notes somebody reads: the log takes the rare ones always, debug takes all. */
uint32_t notes_wanted(const struct daemon *d)
{
	unsigned groups = notes_group_mask("members") | notes_group_mask("ports") |
			  notes_group_mask("health");
	uint32_t mask = 1u << NOTE_RULE | 1u << NOTE_HOME_CONFLICT;

	if (log_get_level() >= LOG_LVL_DEBUG)
		groups = notes_group_mask("all");
	for (const struct daemon_client *c = d->clients; c; c = c->next)
		groups |= control_mask(c->client);
	for (unsigned t = 0; t < NOTE_COUNT; t++)
		if (groups & group_bit(t))
			mask |= 1u << t;
	return mask;
}

static enum log_level note_level(enum note_type t)
{
	switch (t) {
	case NOTE_MEMBER_DOWN:
	case NOTE_DUPLICATE_ID:
	case NOTE_CONFIG_DIFFERS:
	case NOTE_WRONG_KEY:
	case NOTE_FLOWS_TAKEN_OVER:
	case NOTE_PATH_DOWN:
	case NOTE_TARGET_DOWN:
	case NOTE_ADDRESS_TAKEN:
		return LOG_LVL_WARNING;
	case NOTE_MEMBER_UP:
	case NOTE_MEMBER_LEFT:
	case NOTE_MEMBER_RESTART:
	case NOTE_ROLE:
	case NOTE_PORT_UP:
	case NOTE_PORT_DOWN:
	case NOTE_PATH_UP:
	case NOTE_TARGET_UP:
	case NOTE_WEIGHT:
		return LOG_LVL_NOTICE;
	case NOTE_RULE:
	case NOTE_HOME_CONFLICT:
		return LOG_LVL_INFO;
	default:
		return LOG_LVL_DEBUG;
	}
}

static const char *note_hint(const struct note *n)
{
	switch (n->type) {
	case NOTE_WRONG_KEY:
		return ", its messages are ignored; compare the key files";
	case NOTE_DUPLICATE_ID:
		return ", give every member an id of its own";
	case NOTE_CONFIG_DIFFERS:
		return n->detail ? "" : ", compare the member lists and cluster sections";
	default:
		return "";
	}
}

struct line {
	char text[512];
	size_t n;
};

static void line_add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line_add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n += (size_t)n < sizeof(l->text) - l->n ? (size_t)n : sizeof(l->text) - l->n - 1;
}

/* What the note is about, as far as it says. */
static void line_subjects(struct line *l, const struct params *p, const struct note *n)
{
	char flow[FLOW_KEY_TEXT], address[ADDR_TEXT];

	if (n->member != NOTE_NO_MEMBER && n->member < p->n_members)
		line_add(l, ": member \"%s\"", p->members[n->member].name);
	if (n->port != PARAMS_NO_PORT && n->port < p->n_ports)
		line_add(l, ": port \"%s\"", p->ports[n->port].name);
	if (n->dispatcher < p->n_dispatchers)
		line_add(l, ": dispatcher \"%s\"", p->dispatchers[n->dispatcher].name);
	if (n->path < p->n_paths)
		line_add(l, ": path \"%s\"", p->paths[n->path].name);
	if (n->service < p->n_services)
		line_add(l, ": service \"%s\"", p->services[n->service].name);
	if (n->target < p->n_targets)
		line_add(l, ": target \"%s\"", p->targets[n->target].name);
	if (n->has_address)
		line_add(l, ": %s", ipaddr_text(address, &n->address));
	if (n->has_flow)
		line_add(l, ": %s", flow_key_text(flow, &n->key, n->dir));
	if (n->n_flows > 0)
		line_add(l, ": %u flows", n->n_flows);
	if (n->detail)
		line_add(l, ", %s", n->detail);
	if (n->reason != DROP_NONE)
		line_add(l, ": %s", drop_name(n->reason));
}

static void note_log(const struct daemon *d, const struct note *n)
{
	struct line line = {.n = 0};
	char fields[256];

	if (note_level(n->type) > log_get_level())
		return;
	line_add(&line, "%s", note_name(n->type));
	line_subjects(&line, d->params, n);
	snprintf(fields, sizeof(fields), "FWC_EVENT=%s\nFWC_REASON=%s", note_name(n->type),
		 drop_name(n->reason));
	log_event(note_level(n->type), fields, "%s%s", line.text, note_hint(n));
}

/* The only use of the wall clock: what a person reads. */
static const char *wall_time(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	char day[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, size, "%s.%06ldZ", day, ts.tv_nsec / 1000);
	return buf;
}

void notes_carry_out(struct daemon *d)
{
	for (uint32_t i = 0; i < d->actions->n_notes; i++) {
		const struct note *n = &d->actions->notes[i];
		json_t *event = NULL;
		char time[64];

		note_log(d, n);
		for (struct daemon_client *c = d->clients; c; c = c->next) {
			if (!(control_mask(c->client) & group_bit(n->type)))
				continue;
			if (!event)
				event = view_event(d->engine, n, wall_time(time, sizeof(time)));
			control_push(c->client, event);
			requests_watch(c);
		}
		json_decref(event);
	}
}

static void summary_dispatchers(const struct daemon *d)
{
	json_t *list = view_dispatch_summary(d->engine), *x;
	size_t i;

	json_array_foreach (list, i, x) {
		const char *name = "", *role = "";
		int paths_up = 0, paths = 0, targets_up = 0, targets = 0;
		struct line line = {.n = 0};
		json_int_t flows = 0;

		json_unpack(x, "{s:s, s:s, s:i, s:i, s:i, s:i, s:I}", "dispatcher", &name, "role",
			    &role, "paths_up", &paths_up, "paths", &paths, "targets_up",
			    &targets_up, "targets", &targets, "flows", &flows);
		line_add(&line, "summary: dispatcher \"%s\" (%s)", name, role);
		if (paths > 0)
			line_add(&line, ", %d of %d firewalls up", paths_up, paths);
		if (targets > 0)
			line_add(&line, ", %d of %d targets up", targets_up, targets);
		log_notice("%s, %lld flows", line.text, (long long)flows);
	}
	json_decref(list);
}

void notes_summary(struct daemon *d)
{
	const uint64_t *c = engine_counters(d->engine), *drops = engine_drops(d->engine);

	summary_dispatchers(d);

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (c[i])
			log_notice("summary: %s %llu", counter_name(i), (unsigned long long)c[i]);
	for (unsigned i = 1; i < DROP_COUNT; i++)
		if (drops[i])
			log_notice("summary: drop %s %llu", drop_name(i),
				   (unsigned long long)drops[i]);
}
