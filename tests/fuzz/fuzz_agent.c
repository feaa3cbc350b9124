/*
 * fuzz_agent.c - what a server may answer a check: any bytes, in any pieces.
 *
 * A parser is asked again with every byte that comes. Once it has made up its mind, bytes that come
 * later must not change it, and it must have done so when its limit is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_agent(const struct agent_answer *a, enum answer result)
{
	if (a->share != AGENT_NONE && (a->share < 0 || a->share > 100))
		abort();
	if (a->health != AGENT_NONE && a->health != AGENT_UP && a->health != AGENT_DOWN)
		abort();
	if (a->state != AGENT_NONE && a->state != AGENT_READY && a->state != AGENT_DRAIN &&
	    a->state != AGENT_MAINT)
		abort();
	if (result == ANSWER_OK && a->share == AGENT_NONE && a->health == AGENT_NONE &&
	    a->state == AGENT_NONE)
		abort();
}

/* Every prefix of a short input, some of a long one, and all of it. */
static size_t next_size(size_t n, size_t size)
{
	size_t next = n < 64 ? n + 1 : n + 41;

	return n < size && next > size ? size : next;
}

static void agent(const uint8_t *data, size_t size)
{
	struct agent_answer first = {0}, a;
	enum answer mind = ANSWER_MORE, result;

	for (size_t n = 0; n <= size; n = next_size(n, size)) {
		uint8_t *copy = malloc(n > 0 ? n : 1); /* so that one byte too far is seen */

		if (n > 0)
			memcpy(copy, data, n);
		result = agent_parse(&a, copy, n, false);
		judge_agent(&a, result);
		if (mind != ANSWER_MORE && (result != mind || memcmp(&a, &first, sizeof(a)) != 0))
			abort();
		if (mind == ANSWER_MORE && result != ANSWER_MORE)
			first = a;
		mind = result;
		if (n > AGENT_LINE_MAX && mind == ANSWER_MORE)
			abort();
		if (agent_parse(&a, copy, n, true) == ANSWER_MORE)
			abort();
		free(copy);
	}
}

static void http(const uint8_t *data, size_t size)
{
	enum answer mind = ANSWER_MORE, result;
	unsigned first = 0, status;

	for (size_t n = 0; n <= size; n = next_size(n, size)) {
		uint8_t *copy = malloc(n > 0 ? n : 1);

		if (n > 0)
			memcpy(copy, data, n);
		result = http_parse_status(&status, copy, n);
		if (result == ANSWER_OK && (status < 100 || status > 599))
			abort();
		if (mind != ANSWER_MORE &&
		    (result != mind || (result == ANSWER_OK && status != first)))
			abort();
		first = status;
		mind = result;
		if (n >= HTTP_STATUS_MAX && mind == ANSWER_MORE)
			abort();
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size = size < HTTP_STATUS_MAX + 8 ? size : HTTP_STATUS_MAX + 8;
	agent(data, size < AGENT_LINE_MAX + 8 ? size : AGENT_LINE_MAX + 8);
	http(data, size);
	return 0;
}
