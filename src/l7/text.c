#include "l7/text.h"

#define T TEXT_TOKEN
#define G TEXT_TARGET
#define V TEXT_VALUE
#define D (TEXT_DIGIT | TEXT_HEX | TEXT_TOKEN | TEXT_TARGET | TEXT_VALUE | TEXT_HOST | TEXT_COOKIE)
#define H TEXT_HOST
#define C TEXT_COOKIE
#define A (TEXT_TOKEN | TEXT_TARGET | TEXT_VALUE | TEXT_HOST | TEXT_COOKIE)
#define X (A | TEXT_HEX)

const uint8_t text_classes[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T | G | V | C,
	['"'] = V,
	['#'] = T | V | C,
	['$' ... '\''] = T | G | V | C,
	['(' ... ')'] = G | V | C,
	['*' ... '+'] = T | G | V | C,
	[','] = G | V,
	['-' ... '.'] = T | G | V | H | C,
	['/'] = G | V | C,
	['0' ... '9'] = D,
	[':'] = G | V | C,
	[';'] = G | V,
	['<'] = V | C,
	['='] = G | V | C,
	['>'] = V | C,
	['?' ... '@'] = G | V | C,
	['A' ... 'F'] = X,
	['G' ... 'Z'] = A,
	['['] = G | V | C,
	['\\'] = G | V,
	[']'] = G | V | C,
	['^'] = T | G | V | C,
	['_'] = A,
	['`'] = T | G | V | C,
	['a' ... 'f'] = X,
	['g' ... 'z'] = A,
	['{'] = G | V | C,
	['|'] = T | G | V | C,
	['}'] = G | V | C,
	['~'] = T | G | V | C,
	[0x80 ... 0xff] = V,
};

bool text_eq_nocase(struct text x, struct text y)
{
	if (x.size != y.size)
		return false;
	for (size_t i = 0; i < x.size; i++)
		if (text_lower(x.p[i]) != text_lower(y.p[i]))
			return false;
	return true;
}

bool text_all(struct text t, enum text_class class)
{
	for (size_t i = 0; i < t.size; i++)
		if (!text_is((uint8_t)t.p[i], class))
			return false;
	return true;
}

size_t text_find(struct text t, char c)
{
	const char *found = t.size > 0 ? memchr(t.p, c, t.size) : NULL;

	return found ? (size_t)(found - t.p) : t.size;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct text text_trim(struct text t)
{
	while (t.size > 0 && is_space(t.p[0])) {
		t.p++;
		t.size--;
	}
	while (t.size > 0 && is_space(t.p[t.size - 1]))
		t.size--;
	return t;
}

bool text_next(struct text *list, struct text *member)
{
	while (list->size > 0) {
		size_t end = text_find(*list, ',');

		*member = text_trim(text_first(*list, end));
		*list = text_after(*list, end + 1);
		if (member->size > 0)
			return true;
	}
	return false;
}

bool text_decimal(struct text t, uint64_t *out)
{
	uint64_t n = 0;

	if (t.size == 0)
		return false;
	for (size_t i = 0; i < t.size; i++) {
		if (!text_is((uint8_t)t.p[i], TEXT_DIGIT) || __builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(t.p[i] - '0'), &n) || n > INT64_MAX)
			return false;
	}
	*out = n;
	return true;
}

int text_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = text_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
