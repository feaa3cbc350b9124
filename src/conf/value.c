#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Leading digits of *text as a number; *text moves behind them. */
static int take_digits(uint64_t *out, const char **text)
{
	const char *p = *text;
	uint64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (n < UINT32_MAX) /* larger is out of any range anyway */
			n = n * 10 + (uint64_t)(*p - '0');
	*text = p;
	*out = n;
	return 0;
}

static int in_range(uint32_t *out, uint64_t n, uint32_t lo, uint32_t hi)
{
	if (n < lo || n > hi)
		return -ERANGE;
	*out = (uint32_t)n;
	return 0;
}

int value_number(uint32_t *out, const char *text, uint32_t lo, uint32_t hi)
{
	uint64_t n;

	if (take_digits(&n, &text) != 0 || *text != '\0')
		return -EINVAL;
	return in_range(out, n, lo, hi);
}

static int take_time(uint64_t *out_ms, const char *text)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	uint64_t n;

	if (take_digits(&n, &text) != 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text, units[i].unit) == 0) {
			*out_ms = n * units[i].ms;
			return 0;
		}
	return -EINVAL;
}

int value_time(uint32_t *out_ms, const char *text, uint32_t lo, uint32_t hi)
{
	uint64_t ms;

	return take_time(&ms, text) != 0 ? -EINVAL : in_range(out_ms, ms, lo, hi);
}

int value_seconds(uint32_t *out_s, const char *text, uint32_t lo, uint32_t hi)
{
	uint64_t ms;

	if (take_time(&ms, text) != 0 || ms % 1000 != 0)
		return -EINVAL;
	return in_range(out_s, ms / 1000, lo, hi);
}

int value_bool(bool *out, const char *text)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", NULL};
	uint32_t i;

	if (value_word(&i, text, words) != 0)
		return -EINVAL;
	*out = i & 1;
	return 0;
}

int value_word(uint32_t *out, const char *text, const char *const *words)
{
	for (uint32_t i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}

bool value_is_name(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= PARAMS_NAME || *text == '-' || *text == '.')
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("._-", *text))
			return false;
	return true;
}

/* As the kernel allows them: 15 characters, no slash, no white space. */
bool value_is_device(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 15 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text) || *text == '/' || *text == ':')
			return false;
	return true;
}

bool value_is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text))
			return false;
	return true;
}

bool value_is_host(const char *text)
{
	char before = '.';

	for (; *text; before = *text++)
		if (*text == '.' ? before == '.'
				 : !isalnum((unsigned char)*text) && *text != '-' && *text != '_')
			return false;
	return before != '.';
}

int value_ports(struct range *out, const char *text)
{
	uint64_t lo, hi;

	if (take_digits(&lo, &text) != 0)
		return -EINVAL;
	hi = lo;
	if (*text == '-') {
		text++;
		if (take_digits(&hi, &text) != 0)
			return -EINVAL;
	}
	if (*text != '\0')
		return -EINVAL;
	if (lo > hi || hi > 65535)
		return -ERANGE;
	*out = (struct range){.lo = (uint16_t)lo, .hi = (uint16_t)hi};
	return 0;
}

int value_protocol(uint32_t *out, const char *text)
{
	static const struct {
		const char *name;
		uint32_t number;
	} names[] = {
		{"any", VALUE_ANY_PROTOCOL}, {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmp6", 58}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i].name) == 0) {
			*out = names[i].number;
			return 0;
		}
	return value_number(out, text, 0, 255);
}

struct icmp_name {
	const char *name;
	uint16_t type;
};

static const struct icmp_name icmp_names[] = {
	{"echo-reply", 0},
	{"destination-unreachable", 3},
	{"redirect", 5},
	{"echo-request", 8},
	{"router-advertisement", 9},
	{"router-solicitation", 10},
	{"time-exceeded", 11},
	{"parameter-problem", 12},
	{"timestamp-request", 13},
	{"timestamp-reply", 14},
	{NULL, 0},
};

static const struct icmp_name icmp6_names[] = {
	{"destination-unreachable", 1},
	{"packet-too-big", 2},
	{"time-exceeded", 3},
	{"parameter-problem", 4},
	{"echo-request", 128},
	{"echo-reply", 129},
	{NULL, 0},
};

int value_icmp_type(struct range *out, const char *text, bool v6)
{
	uint64_t type, code = PARAMS_ANY_CODE;

	for (const struct icmp_name *n = v6 ? icmp6_names : icmp_names; n->name; n++)
		if (strcmp(text, n->name) == 0) {
			*out = (struct range){.lo = n->type, .hi = PARAMS_ANY_CODE};
			return 0;
		}
	if (take_digits(&type, &text) != 0)
		return -EINVAL;
	if (*text == '/') {
		text++;
		if (take_digits(&code, &text) != 0)
			return -EINVAL;
		if (code > 255)
			return -ERANGE;
	}
	if (*text != '\0')
		return -EINVAL;
	if (type > 255)
		return -ERANGE;
	*out = (struct range){.lo = (uint16_t)type, .hi = (uint16_t)code};
	return 0;
}
