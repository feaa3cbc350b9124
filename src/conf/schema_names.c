#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"

static size_t count_options(const struct schema_section *s)
{
	size_t n = 0;

	while (s->options[n].name)
		n++;
	return n;
}

static size_t count_sections(const struct schema_section *s)
{
	size_t n = 0;

	while (s->sections && s->sections[n])
		n++;
	return n;
}

cfg_opt_t *schema_options(const struct schema_section *s, cfg_callback_t keep, cfg_free_func_t drop)
{
	size_t n_options = count_options(s), n_sections = count_sections(s);
	cfg_opt_t *out = calloc(n_options + n_sections + 2, sizeof(*out));
	cfg_opt_t *o = out;

	if (!out)
		return NULL;
	*o++ = (cfg_opt_t)CFG_PTR_CB(SCHEMA_MARK, NULL, CFGF_NODEFAULT, keep, drop);
	for (size_t i = 0; i < n_options; i++) {
		const struct schema_option *from = &s->options[i];
		bool list = from->kind == SCHEMA_LIST;
		*o++ = (cfg_opt_t)CFG_PTR_CB(from->name, NULL,
					     CFGF_NODEFAULT | (list ? CFGF_LIST : 0), keep, drop);
	}
	for (size_t i = 0; i < n_sections; i++) {
		const struct schema_section *from = s->sections[i];
		cfg_opt_t *below = schema_options(from, keep, drop);
		*o = (cfg_opt_t)CFG_SEC(from->name, below,
					CFGF_MULTI | (from->titled ? CFGF_TITLE : 0));
		if (!below) {
			schema_free(out);
			return NULL;
		}
		o++;
	}
	*o = (cfg_opt_t)CFG_END();
	return out;
}

void schema_free(cfg_opt_t *options)
{
	if (!options)
		return;
	for (cfg_opt_t *o = options; o->name; o++)
		schema_free(o->subopts);
	free(options);
}

const struct schema_option *schema_find_option(const struct schema_section *s, const char *name)
{
	for (const struct schema_option *o = s->options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

const struct schema_section *schema_find_section(const struct schema_section *s, const char *name)
{
	for (size_t i = 0; s->sections && s->sections[i]; i++)
		if (strcmp(s->sections[i]->name, name) == 0)
			return s->sections[i];
	return NULL;
}

static const struct schema_section *home_below(const struct schema_section *s, const char *name)
{
	if (schema_find_option(s, name) || schema_find_section(s, name))
		return s;
	for (size_t i = 0; s->sections && s->sections[i]; i++) {
		const struct schema_section *found = home_below(s->sections[i], name);
		if (found)
			return found;
	}
	return NULL;
}

const struct schema_section *schema_home(const char *name)
{
	return home_below(&schema_root, name);
}

#define NAME_MAX_LEN 32

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Letters to change, add, drop or exchange with their neighbour (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
		return UINT32_MAX;
	for (size_t i = 0; i <= na; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++)
		for (size_t j = 1; j <= nb; j++) {
			unsigned change = a[i - 1] != b[j - 1];
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[na][nb];
}

static void consider(const char *name, const char *candidate, unsigned *best, const char **found)
{
	unsigned d = distance(name, candidate);

	if (d < *best) {
		*best = d;
		*found = candidate;
	}
}

const char *schema_suggest(const struct schema_section *s, const char *name)
{
	unsigned best = strlen(name) < 4 ? 2 : 3;
	const char *found = NULL;

	for (const struct schema_option *o = s->options; o->name; o++)
		consider(name, o->name, &best, &found);
	for (size_t i = 0; s->sections && s->sections[i]; i++)
		consider(name, s->sections[i]->name, &best, &found);
	return found;
}

/* Milliseconds with the largest unit that divides them, 0 with the smallest of them, `least`. */
static void print_time(char *buf, size_t size, uint64_t ms, unsigned least)
{
	static const struct {
		uint32_t ms;
		const char *unit;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	unsigned i = 0;

	while (i < least && (ms % units[i].ms != 0 || ms < units[i].ms))
		i++;
	snprintf(buf, size, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
}

#define LEAST_MS 4 /* of the units of print_time */
#define LEAST_S 3

static void allowed_time(char *buf, const struct schema_option *o)
{
	bool ms = o->kind == SCHEMA_TIME;
	unsigned least = ms ? LEAST_MS : LEAST_S, factor = ms ? 1 : 1000;
	char lo[24], hi[24];

	print_time(lo, sizeof(lo), (uint64_t)o->lo * factor, least);
	print_time(hi, sizeof(hi), (uint64_t)o->hi * factor, least);
	snprintf(buf, SCHEMA_ALLOWED, "a time %s..%s, with its unit %ss, m, h or d", lo, hi,
		 ms ? "ms, " : "");
}

static void allowed_words(char *buf, const struct schema_option *o)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; o->words[i] && n < SCHEMA_ALLOWED; i++)
		n += (size_t)snprintf(buf + n, SCHEMA_ALLOWED - n, "%s%s", i == 0 ? "" : ", ",
				      o->words[i]);
}

const char *schema_allowed(char *buf, const struct schema_option *o)
{
	switch (o->kind) {
	case SCHEMA_NUMBER:
		snprintf(buf, SCHEMA_ALLOWED, "a number %u..%u%s%s", o->lo, o->hi,
			 o->text ? "; 0 " : "", o->text ? o->text : "");
		break;
	case SCHEMA_TIME:
	case SCHEMA_SECONDS:
		allowed_time(buf, o);
		break;
	case SCHEMA_WORD:
		allowed_words(buf, o);
		break;
	case SCHEMA_BOOL:
		snprintf(buf, SCHEMA_ALLOWED, "true, false");
		break;
	case SCHEMA_NAME:
		snprintf(buf, SCHEMA_ALLOWED,
			 "up to %zu letters, digits, '.', '_', '-', not beginning with '.' or '-'",
			 o->size - 1);
		break;
	case SCHEMA_TOKEN:
		snprintf(buf, SCHEMA_ALLOWED,
			 "up to %u letters, digits and characters out of !#$%%&'*+-.^_`|~", o->hi);
		break;
	case SCHEMA_DEVICE:
		snprintf(buf, SCHEMA_ALLOWED, "the name of an interface, up to 15 characters");
		break;
	case SCHEMA_PATH:
		snprintf(buf, SCHEMA_ALLOWED, "an absolute path of up to %zu characters",
			 o->size - 1);
		break;
	case SCHEMA_TEXT:
		snprintf(buf, SCHEMA_ALLOWED, "up to %zu characters", o->size - 1);
		break;
	case SCHEMA_ADDRESS:
		snprintf(buf, SCHEMA_ALLOWED, "an IPv4 or IPv6 address");
		break;
	case SCHEMA_MAC:
		snprintf(buf, SCHEMA_ALLOWED,
			 "the MAC address of one host, such as \"02:00:5e:10:00:01\"");
		break;
	case SCHEMA_PROTOCOL:
		snprintf(buf, SCHEMA_ALLOWED, "tcp, udp");
		break;
	case SCHEMA_PORT:
		snprintf(buf, SCHEMA_ALLOWED, "the name of a port section");
		break;
	case SCHEMA_MEMBER:
		snprintf(buf, SCHEMA_ALLOWED, "the name of a member section");
		break;
	case SCHEMA_TARGET:
		snprintf(buf, SCHEMA_ALLOWED, "the name of a target section");
		break;
	case SCHEMA_LIST:
		snprintf(buf, SCHEMA_ALLOWED, "%s", o->text);
		break;
	}
	return buf;
}

const char *schema_default(char *buf, const struct schema_option *o)
{
	buf[0] = '\0';
	if (o->flags & SCHEMA_REQUIRED)
		return buf;
	if (o->kind == SCHEMA_NUMBER)
		snprintf(buf, SCHEMA_ALLOWED, "%u", o->def);
	else if (o->kind == SCHEMA_TIME)
		print_time(buf, SCHEMA_ALLOWED, o->def, LEAST_MS);
	else if (o->kind == SCHEMA_SECONDS)
		print_time(buf, SCHEMA_ALLOWED, (uint64_t)o->def * 1000, LEAST_S);
	else if (o->kind == SCHEMA_BOOL)
		snprintf(buf, SCHEMA_ALLOWED, "%s", o->def ? "true" : "false");
	else if (o->kind == SCHEMA_WORD)
		snprintf(buf, SCHEMA_ALLOWED, "%s", o->words[o->def - o->lo]);
	else if (o->kind != SCHEMA_LIST && o->text)
		snprintf(buf, SCHEMA_ALLOWED, "%s", o->text);
	return buf;
}
