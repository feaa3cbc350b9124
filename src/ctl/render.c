#include "ctl/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/rows.h"
#include "ctl/table.h"
#include "ctl/text.h"

/* 15 digits: doubles come out as they went in, 61.2 and not 61.200000000000003. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

struct render {
	FILE *out;
	const char *what;
	const struct render_style *style;
	const struct rows *rows; /* NULL: a paragraph, not a table */
	struct table *table;
	bool degraded;
	size_t n_printed; /* records so far */
	bool opened;	  /* JSON: head of the object has been printed */
};

struct render *render_new(FILE *out, const char *what, const struct render_style *style)
{
	struct render *r = text_realloc(NULL, sizeof(*r));

	*r = (struct render){.out = out, .what = what, .style = style, .rows = rows_of(what)};
	if (style->format == RENDER_TABLE && r->rows)
		r->table = table_new(out, style->colour, r->rows->columns, r->rows->n_columns);
	return r;
}

void render_free(struct render *r)
{
	if (!r)
		return;
	table_free(r->table);
	free(r);
}

/* A word, or in double quotes what would not be one word. */
static void print_word(FILE *out, const char *text)
{
	if (text[0] && !strpbrk(text, " \t\"=\\")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_pairs(FILE *out, const char *prefix, const json_t *record, bool *first);

/* "paths.0.name=fw1 paths.0.state=up paths.1.name=..." */
static void print_items(FILE *out, const char *prefix, const json_t *list, bool *first)
{
	char name[TEXT_ROOM];
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		snprintf(name, sizeof(name), "%.200s.%zu", prefix, i);
		print_pairs(out, name, item, first);
	}
}

static void print_pairs(FILE *out, const char *prefix, const json_t *record, bool *first)
{
	const char *key;
	json_t *value;
	char buf[TEXT_ROOM], name[TEXT_ROOM];

	json_object_foreach ((json_t *)record, key, value) {
		snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", key);
		if (json_is_object(value)) {
			print_pairs(out, name, value, first);
			continue;
		}
		if (json_is_object(json_array_get(value, 0))) {
			print_items(out, name, value, first);
			continue;
		}
		fprintf(out, "%s%s=", *first ? "" : " ", text_safe(buf, name));
		print_word(out, text_value(buf, value));
		*first = false;
	}
}

void render_record(FILE *out, const json_t *record)
{
	bool first = true;

	print_pairs(out, "", record, &first);
	fputc('\n', out);
}

/* The object's members before the records: schema and node. */
static void open_json(struct render *r, const json_t *answer)
{
	char *node = json_dumps(json_object_get(answer, "node"), JSON_ENCODE_ANY | JSON_COMPACT);

	fprintf(r->out, "{\"schema\":1,\"node\":%s,\"%s\":[", node ? node : "null", r->what);
	free(node);
	r->opened = true;
}

static void print_json(struct render *r, const json_t *record)
{
	if (r->n_printed > 0)
		fputc(',', r->out);
	json_dumpf(record, r->out, DUMP_FLAGS);
}

/* Records of another kind begin a table of their own. */
static void choose_table(struct render *r, const json_t *record)
{
	const struct rows *rows = rows_for(r->what, record);

	if (rows == r->rows)
		return;
	if (r->n_printed > 0) {
		table_flush(r->table);
		fputc('\n', r->out);
	}
	table_free(r->table);
	r->rows = rows;
	r->table = table_new(r->out, r->style->colour, rows->columns, rows->n_columns);
}

static void print(struct render *r, const json_t *record)
{
	if (r->table)
		choose_table(r, record);
	switch (r->style->format) {
	case RENDER_JSON:
		print_json(r, record);
		break;
	case RENDER_LINES:
		render_record(r->out, record);
		break;
	case RENDER_TABLE:
		if (r->table)
			r->rows->row(r->table, record);
		else
			rows_paragraph(r->out, r->what, record, r->style->colour);
		break;
	}
	r->n_printed++;
}

static bool wanted(const struct render *r, const json_t *record)
{
	/* Reasons that never happened are noise, but in JSON every counter has its place. */
	if (strcmp(r->what, "drops") == 0 && !r->style->all && r->style->format != RENDER_JSON &&
	    text_number(record, "packets") == 0)
		return false;
	return !r->style->filter || filter_match(r->style->filter, record);
}

int render_page(struct render *r, const json_t *answer)
{
	const json_t *records = json_object_get(answer, r->what);
	const json_t *record;
	size_t i;

	if (!json_is_array(records))
		return -EPROTO;
	if (r->style->format == RENDER_JSON && !r->opened)
		open_json(r, answer);
	json_array_foreach (records, i, record) {
		if (strcmp(text_field(record, "health", "ok"), "ok") != 0)
			r->degraded = true;
		if (wanted(r, record))
			print(r, record);
	}
	if (r->table)
		table_flush(r->table);
	return 0;
}

bool render_end(struct render *r)
{
	if (r->opened)
		fputs("]}\n", r->out);
	return !r->degraded;
}

/* "2026-11-22T10:00:00.123456Z" without its date and zone. */
static const char *time_of_day(const char *time)
{
	const char *t = strchr(time, 'T');

	return t ? t + 1 : time;
}

static enum tint event_tint(const char *event)
{
	static const char *const bad[] = {
		"member-down",	  "port-down", "duplicate-id", "wrong-key",	"home-conflict",
		"config-differs", "path-down", "target-down",  "address-taken", "lost"};
	static const char *const good[] = {"member-up", "port-up", "path-up", "target-up"};

	if (strcmp(event, "drop") == 0 || strcmp(event, "query-timeout") == 0)
		return TINT_WARN;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(event, good[i]) == 0)
			return TINT_GOOD;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strcmp(event, bad[i]) == 0)
			return TINT_BAD;
	return TINT_NONE;
}

static void print_flow(FILE *out, const json_t *flow)
{
	char src[TEXT_ROOM], dst[TEXT_ROOM], proto[TEXT_ROOM];

	if (!json_is_object(flow))
		return;
	fprintf(out, " %s %s > %s", text_safe(proto, text_field(flow, "proto", "-")),
		text_endpoint(src, flow, "src", "sport"), text_endpoint(dst, flow, "dst", "dport"));
}

static void event_line(FILE *out, const json_t *event, bool colour)
{
	static const char *const words[] = {"member",  "port", "path",	 "service", "target",
					    "address", "rule", "reason", "query"};
	const char *name = text_field(event, "event", "-");
	const json_t *detail = json_object_get(event, "detail");
	char time[TEXT_ROOM], node[TEXT_ROOM], what[TEXT_ROOM], buf[TEXT_ROOM];
	size_t len;

	if (json_object_get(event, "lost")) {
		fprintf(out, "%s%" PRIu64 " events lost, they came faster than they were read%s\n",
			text_tint(TINT_BAD, colour), text_number(event, "lost"),
			text_plain(colour));
		return;
	}
	text_safe(time, time_of_day(text_field(event, "time", "--:--:--.------")));
	len = strlen(time);
	if (len > 0 && time[len - 1] == 'Z')
		time[len - 1] = '\0';
	fprintf(out, "%s %s %s%-16s%s", time, text_safe(node, text_field(event, "node", "-")),
		text_tint(event_tint(name), colour), text_safe(what, name), text_plain(colour));
	print_flow(out, json_object_get(event, "flow"));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const json_t *v = json_object_get(event, words[i]);
		if (v)
			fprintf(out, "  %s %s", words[i], text_value(buf, v));
	}
	if (detail)
		fprintf(out, "  %s", text_value(buf, detail));
	fputc('\n', out);
}

void render_event(FILE *out, const json_t *event, const struct render_style *style)
{
	switch (style->format) {
	case RENDER_JSON:
		json_dumpf(event, out, DUMP_FLAGS);
		fputc('\n', out);
		break;
	case RENDER_LINES:
		render_record(out, event);
		break;
	case RENDER_TABLE:
		event_line(out, event, style->colour);
		break;
	}
}
