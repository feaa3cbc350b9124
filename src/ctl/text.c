#include "ctl/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *text_tint(enum tint tint, bool colour)
{
	static const char *const sequence[] = {
		[TINT_NONE] = "",	  [TINT_HEAD] = "\033[1m", [TINT_GOOD] = "\033[32m",
		[TINT_WARN] = "\033[33m", [TINT_BAD] = "\033[31m", [TINT_DIM] = "\033[2m",
	};
	return colour ? sequence[tint] : "";
}

const char *text_plain(bool colour)
{
	return colour ? "\033[0m" : "";
}

const char *text_count(char *buf, uint64_t n)
{
	static const char unit[] = "kMGTPE";
	double v = (double)n;
	unsigned u = 0;

	if (n < 100000) {
		snprintf(buf, TEXT_ROOM, "%" PRIu64, n);
		return buf;
	}
	v /= 1000;
	/* 999.5 would be printed as 1000 of the smaller unit. */
	for (; v >= 999.5 && unit[u + 1]; u++)
		v /= 1000;
	snprintf(buf, TEXT_ROOM, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit[u]);
	return buf;
}

const char *text_duration(char *buf, double seconds)
{
	uint64_t s;

	if (!(seconds > 0))
		seconds = 0;
	if (seconds > 1e12)
		seconds = 1e12;
	s = (uint64_t)seconds;
	if (s < 10)
		snprintf(buf, TEXT_ROOM, "%.1fs", (double)(uint64_t)(seconds * 10) / 10);
	else if (s < 60)
		snprintf(buf, TEXT_ROOM, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, TEXT_ROOM, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, TEXT_ROOM, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, TEXT_ROOM, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

const char *text_safe(char *buf, const char *text)
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p && n + 1 < TEXT_ROOM; p++) {
		/* C0 and DEL, and C1 in its UTF-8 form: a terminal would obey them. */
		if (*p < 0x20 || *p == 0x7f) {
			buf[n++] = '?';
		} else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			buf[n++] = '?';
			p++;
		} else {
			buf[n++] = (char)*p;
		}
	}
	/* Do not end in the middle of a character. */
	if (n + 1 == TEXT_ROOM)
		while (n > 0 && ((unsigned char)buf[n - 1] & 0x80))
			n--;
	buf[n] = '\0';
	return buf;
}

size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

const char *text_endpoint(char *buf, const json_t *record, const char *addr, const char *port)
{
	const char *a = json_string_value(json_object_get(record, addr));
	const json_t *p = json_object_get(record, port);
	char safe[TEXT_ROOM];

	if (!a)
		return strcpy(buf, "-");
	text_safe(safe, a);
	if (!json_is_integer(p))
		snprintf(buf, TEXT_ROOM, "%s", safe);
	else if (strchr(safe, ':'))
		snprintf(buf, TEXT_ROOM, "[%.255s]:%" JSON_INTEGER_FORMAT, safe,
			 json_integer_value(p));
	else
		snprintf(buf, TEXT_ROOM, "%.255s:%" JSON_INTEGER_FORMAT, safe,
			 json_integer_value(p));
	return buf;
}

static const char *join(char *buf, const json_t *array)
{
	char part[TEXT_ROOM];
	size_t i, n = 0;
	json_t *v;

	buf[0] = '\0';
	json_array_foreach (array, i, v) {
		text_value(part, v);
		n += (size_t)snprintf(buf + n, TEXT_ROOM - n, "%s%s", i ? "," : "", part);
		if (n >= TEXT_ROOM)
			break;
	}
	return i ? buf : strcpy(buf, "-");
}

const char *text_value(char *buf, const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		return text_safe(buf, json_string_value(value));
	case JSON_INTEGER:
		snprintf(buf, TEXT_ROOM, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return buf;
	case JSON_REAL:
		snprintf(buf, TEXT_ROOM, "%.15g", json_real_value(value));
		return buf;
	case JSON_TRUE:
		return strcpy(buf, "true");
	case JSON_FALSE:
		return strcpy(buf, "false");
	case JSON_ARRAY:
		return join(buf, value);
	case JSON_OBJECT: {
		char *dump = json_dumps(value, JSON_COMPACT);
		text_safe(buf, dump ? dump : "-");
		free(dump);
		return buf;
	}
	case JSON_NULL:
	default:
		return strcpy(buf, "-");
	}
}

const char *text_field(const json_t *record, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(record, key));

	return s ? s : fallback;
}

double text_real(const json_t *record, const char *key)
{
	double v = json_number_value(json_object_get(record, key));

	return v > 0 ? v : 0;
}

uint64_t text_number(const json_t *record, const char *key)
{
	const json_t *v = json_object_get(record, key);

	if (json_is_integer(v))
		return json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
	return (uint64_t)text_real(record, key);
}

void *text_realloc(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p) {
		fputs("fwclusterctl: out of memory\n", stderr);
		exit(1);
	}
	return p;
}
