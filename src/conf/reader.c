#define _GNU_SOURCE 1 /* vasprintf */

#include "conf/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

int reader_keep(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	size_t size = strlen(text) + 1;
	struct kept_value *v = malloc(sizeof(*v) + size);

	(void)opt;
	if (!v)
		return -1;
	v->line = (unsigned)cfg->line;
	memcpy(v->text, text, size);
	*(void **)result = v;
	return 0;
}

void reader_drop(void *value)
{
	free(value);
}

const struct kept_value *reader_value(cfg_t *section, const char *option, unsigned i)
{
	return cfg_getnptr(section, option, i);
}

struct report_pos reader_pos(const struct reader *r, const struct kept_value *v)
{
	return v ? scan_pos(r->scan, v->line) : scan_end(r->scan);
}

struct report_pos reader_section_pos(const struct reader *r, cfg_t *section)
{
	return section ? reader_pos(r, reader_value(section, SCHEMA_MARK, 0)) : scan_end(r->scan);
}

struct report_pos reader_option_pos(const struct reader *r, cfg_t *section, const char *option)
{
	const struct kept_value *v = section ? reader_value(section, option, 0) : NULL;

	return v ? reader_pos(r, v) : reader_section_pos(r, section);
}

cfg_t *reader_section(cfg_t *parent, const char *name)
{
	return cfg_size(parent, name) > 0 ? cfg_getnsec(parent, name, 0) : NULL;
}

static void say(struct reader *r, struct report_pos at, cfg_t *section, const char *option,
		bool warning, char *text)
{
	const char *name = section && section != r->root ? cfg_name(section) : "";
	const char *title = section ? cfg_title(section) : NULL;

	if (!text) {
		report_no_memory(r->report);
		return;
	}
	(warning ? report_warning : report_error)(r->report, at, "%s%s%.40s%s%s%s%s%s", name,
						  title ? " \"" : "", title ? title : "",
						  title ? "\"" : "", *name ? ": " : "",
						  option ? option : "", option ? ": " : "", text);
	free(text);
}

void reader_error(struct reader *r, struct report_pos at, cfg_t *section, const char *option,
		  const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	int rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	say(r, at, section, option, false, rc < 0 ? NULL : text);
}

void reader_warning(struct reader *r, struct report_pos at, cfg_t *section, const char *option,
		    const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	int rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	say(r, at, section, option, true, rc < 0 ? NULL : text);
}

static void bad_value(struct reader *r, cfg_t *section, const struct schema_option *o,
		      const struct kept_value *v, int error)
{
	char allowed[SCHEMA_ALLOWED];

	schema_allowed(allowed, o);
	if ((o->kind == SCHEMA_TIME || o->kind == SCHEMA_SECONDS) && error == -EINVAL && *v->text &&
	    strspn(v->text, "0123456789") == strlen(v->text))
		reader_error(
			r, reader_pos(r, v), section, o->name,
			"\"%.60s\" lacks its unit (\"%.20s%s\" or \"%.20s%s\"?); allowed is %s",
			v->text, v->text, o->kind == SCHEMA_TIME ? "ms" : "s", v->text,
			o->kind == SCHEMA_TIME ? "s" : "m", allowed);
	else
		reader_error(r, reader_pos(r, v), section, o->name,
			     "\"%.60s\" is %s; allowed is %s", v->text,
			     error == -ERANGE ? "out of range" : "not valid", allowed);
}

static void store_number(const struct schema_option *o, void *at, uint32_t n)
{
	if (o->size == sizeof(uint16_t))
		memcpy(at, &(uint16_t){(uint16_t)n}, sizeof(uint16_t));
	else if (o->size == sizeof(uint8_t))
		*(uint8_t *)at = (uint8_t)n;
	else if (o->size == sizeof(uint64_t))
		memcpy(at, &(uint64_t){n}, sizeof(uint64_t));
	else
		memcpy(at, &n, sizeof(n));
}

static int store_text(const struct schema_option *o, char *at, const char *text)
{
	size_t len = strlen(text);

	if (o->kind == SCHEMA_NAME && *text && !value_is_name(text))
		return -EINVAL;
	if (o->kind == SCHEMA_DEVICE && *text && !value_is_device(text))
		return -EINVAL;
	if (o->kind == SCHEMA_PATH && *text != '/' && (*text || *o->text))
		return -EINVAL;
	if (o->kind == SCHEMA_TOKEN && *text && !value_is_token(text))
		return -EINVAL;
	if (len >= o->size || (o->kind == SCHEMA_TOKEN && len > o->hi))
		return -ERANGE;
	memcpy(at, text, len + 1);
	return 0;
}

/* 0.0.0.0 and :: would pass for "not given". */
static int store_address(void *at, const char *text)
{
	struct ipaddr a;

	if (ipaddr_parse(&a, text) != 0 || ipaddr_is_unspecified(&a))
		return -EINVAL;
	memcpy(at, &a, sizeof(a));
	return 0;
}

/* A group address, and zero, which would pass for "not given", belong to no host. */
static int store_mac(void *at, const char *text)
{
	static const struct macaddr none;
	struct macaddr m;

	if (macaddr_parse(&m, text) != 0 || (m.b[0] & 1) || macaddr_eq(&m, &none))
		return -EINVAL;
	memcpy(at, &m, sizeof(m));
	return 0;
}

/* Name number `i` of what an option of that kind refers to, NULL behind the last. */
static const char *name_at(const struct params *p, enum schema_kind kind, uint32_t i)
{
	if (kind == SCHEMA_PORT)
		return i < p->n_ports ? p->ports[i].name : NULL;
	if (kind == SCHEMA_MEMBER)
		return i < p->n_members ? p->members[i].name : NULL;
	return i < p->n_targets ? p->targets[i].name : NULL;
}

int reader_find(const struct params *p, enum schema_kind kind, const char *name)
{
	const char *at;

	for (uint32_t i = 0; *name && (at = name_at(p, kind, i)); i++)
		if (strcmp(at, name) == 0)
			return (int)i;
	return -1;
}

static int store_index(const struct params *p, enum schema_kind kind, void *at, const char *text)
{
	int i = reader_find(p, kind, text);

	if (i < 0)
		return -ENOENT;
	memcpy(at, &(uint16_t){(uint16_t)i}, sizeof(uint16_t));
	return 0;
}

static int store_protocol(void *at, const char *text)
{
	uint32_t n;

	if (value_protocol(&n, text) != 0 || (n != 6 && n != 17))
		return -EINVAL;
	*(uint8_t *)at = (uint8_t)n;
	return 0;
}

static int store(struct reader *r, const struct schema_option *o, void *at, const char *text)
{
	uint32_t n = 0;
	int rc = -EINVAL;

	switch (o->kind) {
	case SCHEMA_NUMBER:
		rc = value_number(&n, text, o->lo, o->hi);
		break;
	case SCHEMA_TIME:
		rc = value_time(&n, text, o->lo, o->hi);
		break;
	case SCHEMA_SECONDS:
		rc = value_seconds(&n, text, o->lo, o->hi);
		break;
	case SCHEMA_WORD:
		rc = value_word(&n, text, o->words);
		n += o->lo;
		break;
	case SCHEMA_BOOL:
		return value_bool(at, text);
	case SCHEMA_ADDRESS:
		return *text ? store_address(at, text) : 0;
	case SCHEMA_MAC:
		return *text ? store_mac(at, text) : 0;
	case SCHEMA_PROTOCOL:
		return *text ? store_protocol(at, text) : 0;
	case SCHEMA_PORT:
	case SCHEMA_MEMBER:
	case SCHEMA_TARGET:
		return store_index(r->params, o->kind, at, text);
	case SCHEMA_TEXT:
	case SCHEMA_NAME:
	case SCHEMA_TOKEN:
	case SCHEMA_DEVICE:
	case SCHEMA_PATH:
		return store_text(o, at, text);
	case SCHEMA_LIST:
		return 0;
	}
	if (rc == 0)
		store_number(o, at, n);
	return rc;
}

/* Every default is a valid value; the unit test stores them all. */
static void store_default(struct reader *r, const struct schema_option *o, void *at)
{
	switch (o->kind) {
	case SCHEMA_NUMBER:
	case SCHEMA_TIME:
	case SCHEMA_SECONDS:
	case SCHEMA_WORD:
	case SCHEMA_PORT:
	case SCHEMA_MEMBER:
	case SCHEMA_TARGET:
		store_number(o, at, o->def);
		break;
	case SCHEMA_BOOL:
		*(bool *)at = o->def;
		break;
	case SCHEMA_LIST:
		break;
	default:
		(void)store(r, o, at, o->text);
	}
}

void reader_unknown(struct reader *r, cfg_t *section, const char *option, enum schema_kind kind,
		    const struct kept_value *v)
{
	const char *what = kind == SCHEMA_PORT	   ? "port"
			   : kind == SCHEMA_MEMBER ? "member"
						   : "target";
	char names[SCHEMA_ALLOWED] = "";
	const char *name;
	size_t n = 0;

	for (uint32_t i = 0; n < sizeof(names) && (name = name_at(r->params, kind, i)); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", name);
	if (n > 0)
		reader_error(r, reader_pos(r, v), section, option,
			     "no %s \"%.40s\"; the %ss are %s", what, v->text, what, names);
	else
		reader_error(r, reader_pos(r, v), section, option,
			     "no %s \"%.40s\"; there is no section %s \"name\" { } at all", what,
			     v->text, what);
}

static void read_option(struct reader *r, cfg_t *section, const struct schema_option *o, void *at)
{
	const struct kept_value *v = section ? reader_value(section, o->name, 0) : NULL;
	int rc;

	store_default(r, o, at);
	if (!v) {
		if (section && (o->flags & SCHEMA_REQUIRED))
			reader_error(r, reader_section_pos(r, section), section, NULL,
				     "option \"%s\" is missing; it has no default", o->name);
		return;
	}
	rc = store(r, o, at, v->text);
	if (rc == -ENOENT)
		reader_unknown(r, section, o->name, o->kind, v);
	else if (rc != 0)
		bad_value(r, section, o, v, rc);
}

void reader_options(struct reader *r, cfg_t *section, const struct schema_section *schema,
		    void *target)
{
	for (const struct schema_option *o = schema->options; o->name; o++)
		if (o->kind != SCHEMA_LIST)
			read_option(r, section, o, (char *)target + o->offset);
}

void reader_title(struct reader *r, cfg_t *section, char name[PARAMS_NAME])
{
	const char *title = cfg_title(section);

	name[0] = '\0';
	if (title && value_is_name(title))
		memcpy(name, title, strlen(title) + 1);
	else
		reader_error(r, reader_section_pos(r, section), section, NULL,
			     "not valid as a name; allowed are up to %d letters, digits, '.', '_', "
			     "'-', not beginning with '.' or '-'",
			     PARAMS_NAME - 1);
}
