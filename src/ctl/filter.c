#include "ctl/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/drop.h"

const char *filter_word(enum filter_kind kind)
{
#define FILTER_WORD(sym, word, value) [FILTER_##sym] = word,
	static const char *const words[] = {FILTER_LIST(FILTER_WORD)};
#undef FILTER_WORD
	return words[kind];
}

const char *filter_value(enum filter_kind kind)
{
#define FILTER_VALUE(sym, word, value) [FILTER_##sym] = value,
	static const char *const values[] = {FILTER_LIST(FILTER_VALUE)};
#undef FILTER_VALUE
	return values[kind];
}

static int parse_port(uint16_t *out, const char *text)
{
	unsigned long v = 0;

	if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	v = strtoul(text, NULL, 10);
	if (v > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

int filter_add(struct filter *f, enum filter_kind kind, const char *value)
{
	struct filter_term term = {.kind = kind, .text = value};
	int rc = 0;

	switch (kind) {
	case FILTER_SRC:
	case FILTER_DST:
	case FILTER_HOST:
		rc = prefix_parse(&term.prefix, value);
		break;
	case FILTER_SPORT:
	case FILTER_DPORT:
	case FILTER_PORT:
		rc = parse_port(&term.port, value);
		break;
	case FILTER_REASON:
		rc = drop_by_name(value) == DROP_COUNT ? -EINVAL : 0;
		break;
	case FILTER_PROTO:
	case FILTER_STATE:
	case FILTER_HOME:
	case FILTER_PATH:
	case FILTER_SERVICE:
	case FILTER_TARGET:
	case FILTER_EVENT:
	case FILTER_COUNT:
		rc = value[0] ? 0 : -EINVAL;
		break;
	}
	if (rc < 0)
		return -EINVAL;
	if (f->n == FILTER_TERMS)
		return -E2BIG;
	f->terms[f->n++] = term;
	return 0;
}

static bool has_addr(const json_t *flow, const char *key, const struct prefix *p)
{
	const char *text = json_string_value(json_object_get(flow, key));
	struct ipaddr a;

	return text && ipaddr_parse(&a, text) == 0 && prefix_contains(p, &a);
}

static bool has_port(const json_t *flow, const char *key, uint16_t port)
{
	const json_t *v = json_object_get(flow, key);

	return json_is_integer(v) && json_integer_value(v) == port;
}

static bool has_text(const json_t *record, const char *key, const char *text)
{
	const char *v = json_string_value(json_object_get(record, key));

	return v && strcasecmp(v, text) == 0;
}

/* "service" of a flow, "services" of a target. */
static bool has_one(const json_t *record, const char *key, const char *keys, const char *text)
{
	const json_t *v;
	size_t i;

	if (has_text(record, key, text))
		return true;
	json_array_foreach (json_object_get(record, keys), i, v) {
		const char *name = json_is_object(v) ? json_string_value(json_object_get(v, key))
						     : json_string_value(v);
		if (name && strcasecmp(name, text) == 0)
			return true;
	}
	return false;
}

static bool endpoint_match(const struct filter_term *t, const json_t *flow)
{
	switch (t->kind) {
	case FILTER_SRC:
		return has_addr(flow, "src", &t->prefix);
	case FILTER_DST:
		return has_addr(flow, "dst", &t->prefix);
	case FILTER_HOST:
		return has_addr(flow, "src", &t->prefix) || has_addr(flow, "dst", &t->prefix);
	case FILTER_SPORT:
		return has_port(flow, "sport", t->port);
	case FILTER_DPORT:
		return has_port(flow, "dport", t->port);
	case FILTER_PORT:
		return has_port(flow, "sport", t->port) || has_port(flow, "dport", t->port);
	default:
		return false;
	}
}

static bool term_match(const struct filter_term *t, const json_t *record, const json_t *flow)
{
	switch (t->kind) {
	case FILTER_SRC:
	case FILTER_DST:
	case FILTER_HOST:
	case FILTER_SPORT:
	case FILTER_DPORT:
	case FILTER_PORT:
		/* As clients see the flow, or, rewritten, its server. */
		return endpoint_match(t, flow) ||
		       endpoint_match(t, json_object_get(record, "server"));
	case FILTER_PROTO:
		return has_text(flow, "proto", t->text);
	case FILTER_STATE:
		return has_text(record, "state", t->text);
	case FILTER_PATH:
		return has_one(record, "path", "paths", t->text);
	case FILTER_SERVICE:
		return has_one(record, "service", "services", t->text);
	case FILTER_TARGET:
		return has_one(record, "target", "targets", t->text);
	case FILTER_HOME:
		return has_text(record, "home", t->text) || has_text(record, "member", t->text);
	case FILTER_REASON:
		return has_text(record, "reason", t->text);
	case FILTER_EVENT:
		return has_text(record, "event", t->text);
	case FILTER_COUNT:
		break;
	}
	return false;
}

bool filter_match(const struct filter *f, const json_t *record)
{
	const json_t *flow = json_object_get(record, "flow");

	/* An event carries its flow inside; any other record is the flow. */
	if (!flow)
		flow = record;
	for (unsigned i = 0; i < f->n; i++)
		if (!term_match(&f->terms[i], record, flow))
			return false;
	return true;
}
