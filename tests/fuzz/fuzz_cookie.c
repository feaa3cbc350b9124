/*
 * fuzz_cookie.c - values of Cookie fields, tokens and patterns. The input is a request's Cookie; up
 * to the first line feed, when there is one, it is also a pattern for what follows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct text part, struct text whole)
{
	return part.size == 0 || (part.p >= whole.p && part.p + part.size <= whole.p + whole.size);
}

static void pairs(struct text value)
{
	struct text rest = value;
	struct cookie_pair pair;

	while (cookie_next(&rest, &pair)) {
		struct text token = cookie_prefix(pair.value);

		if (!within(pair.name, value) || !within(pair.value, value) ||
		    !within(pair.whole, value) || text_find(pair.name, '=') != pair.name.size)
			abort();
		if (token.size > 0 && !cookie_is_token(token))
			abort();
	}
	pair = cookie_set_pair(value);
	if (!within(pair.name, value) || !within(pair.value, value))
		abort();
}

/* Nothing that was not made with the key is right. */
static void tokens(struct text value)
{
	static const uint8_t secret[COOKIE_SECRET] = {1, 2, 3};
	static struct cookie_keys keys;
	struct cookie_token t;
	enum cookie_verdict v;

	if (keys.n == 0) {
		cookie_keys_init(&keys, 1, 1);
		for (unsigned id = 0; id < COOKIE_KEYS; id++)
			cookie_keys_add(&keys, (uint8_t)id, secret, id == 0);
	}
	v = cookie_token_read(&t, &keys, text_first(value, COOKIE_TOKEN), 0);
	if (v == COOKIE_VALID || v == COOKIE_EXPIRED)
		abort();
}

static void pattern(struct text text, struct text value)
{
	struct cookie_pattern p;
	struct text server;

	if (cookie_pattern_compile(&p, text) != 0)
		return;
	if (cookie_pattern_match(&p, value, &server) &&
	    (!within(server, value) || server.size == 0 || !text_all(server, TEXT_HOST)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text all = {(const char *)data, size};
	size_t line = text_find(all, '\n');

	pairs(all);
	tokens(all);
	pattern(text_first(all, line), text_after(all, line + 1));
	return 0;
}
