#include "dispatch/agent.h"

#include <string.h>

#include "base/cursor.h"

/* --- agents ----------------------------------------------------------------------------------- */

struct word {
	const char *text;
	enum agent_word means;
};

static const struct word words[] = {
	{"up", AGENT_UP},	 {"down", AGENT_DOWN},	 {"failed", AGENT_DOWN},
	{"stopped", AGENT_DOWN}, {"drain", AGENT_DRAIN}, {"maint", AGENT_MAINT},
	{"ready", AGENT_READY},
};

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool word_is(const uint8_t *p, size_t size, const char *text)
{
	if (strlen(text) != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (lower(p[i]) != (uint8_t)text[i])
			return false;
	return true;
}

/* "75%", or AGENT_NONE. */
static int word_share(const uint8_t *p, size_t size)
{
	int n = 0;

	if (size < 2 || p[size - 1] != '%')
		return AGENT_NONE;
	for (size_t i = 0; i < size - 1; i++) {
		if (!is_digit(p[i]))
			return AGENT_NONE;
		n = n * 10 + (p[i] - '0');
		if (n > 100)
			n = 100; /* and stays there: every further digit makes it larger yet */
	}
	return n;
}

static void agent_word(struct agent_answer *out, const uint8_t *p, size_t size)
{
	int share = word_share(p, size);

	if (share != AGENT_NONE)
		out->share = share;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!word_is(p, size, words[i].text))
			continue;
		if (words[i].means == AGENT_UP || words[i].means == AGENT_DOWN)
			out->health = words[i].means;
		else
			out->state = words[i].means;
	}
}

/* Length of the line, its end not counted; `size` when there is none. */
static size_t line_length(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] == '\n' || data[i] == '\r')
			return i;
	return size;
}

static bool is_text(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((data[i] < 0x20 && data[i] != '\t') || data[i] == 0x7f)
			return false;
	return true;
}

static bool is_separator(uint8_t c)
{
	return c == ' ' || c == '\t' || c == ',';
}

enum answer agent_parse(struct agent_answer *out, const uint8_t *data, size_t size, bool closed)
{
	size_t length = line_length(data, size), begin = 0;

	*out = (struct agent_answer){AGENT_NONE, AGENT_NONE, AGENT_NONE};
	if (length > AGENT_LINE_MAX || !is_text(data, length))
		return ANSWER_BAD;
	if (length == size && !closed)
		return ANSWER_MORE;
	for (size_t i = 0; i <= length; i++) {
		bool ends = i == length || data[i] == '#';

		if (!ends && !is_separator(data[i]))
			continue;
		agent_word(out, data + begin, i - begin);
		begin = i + 1;
		if (ends)
			break;
	}
	return out->health == AGENT_NONE && out->state == AGENT_NONE && out->share == AGENT_NONE
		       ? ANSWER_BAD
		       : ANSWER_OK;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* Whether the next byte is what has to stand there; at the end of what has come it may yet be. */
static bool next_is(struct rcur *c, uint8_t lo, uint8_t hi, uint8_t *out)
{
	uint8_t byte;

	if (rcur_left(c) == 0) {
		rcur_skip(c, 1);
		return true;
	}
	byte = rcur_u8(c);
	*out = byte;
	return byte >= lo && byte <= hi;
}

/* "HTTP/1.", a minor version, a space, three digits. False: something else stands there. */
static bool status_head(struct rcur *c, unsigned *status)
{
	static const char head[] = "HTTP/1.";
	uint8_t byte = 0;

	for (const char *p = head; *p; p++)
		if (!next_is(c, (uint8_t)*p, (uint8_t)*p, &byte))
			return false;
	if (!next_is(c, '0', '1', &byte) || !next_is(c, ' ', ' ', &byte))
		return false;
	*status = 0;
	for (unsigned i = 0; i < 3; i++) {
		if (!next_is(c, i ? '0' : '1', i ? '9' : '5', &byte))
			return false;
		*status = *status * 10 + (byte - (unsigned)'0');
	}
	return true;
}

/* The rest of the line: nothing, or a space and the reason, of text alone. */
static enum answer status_rest(struct rcur *c)
{
	bool first = true;

	while (rcur_left(c) > 0) {
		uint8_t byte = rcur_u8(c);

		if (byte == '\n')
			return ANSWER_OK;
		if (byte == '\r')
			return rcur_left(c) == 0    ? ANSWER_MORE
			       : rcur_u8(c) == '\n' ? ANSWER_OK
						    : ANSWER_BAD;
		if ((first && byte != ' ') || !is_text(&byte, 1))
			return ANSWER_BAD;
		first = false;
	}
	return ANSWER_MORE;
}

enum answer http_parse_status(unsigned *status, const uint8_t *data, size_t size)
{
	struct rcur c = rcur_init(data, size < HTTP_STATUS_MAX ? size : HTTP_STATUS_MAX);
	enum answer a;

	*status = 0;
	if (!status_head(&c, status))
		return ANSWER_BAD;
	if (!rcur_ok(&c)) {
		*status = 0;
		return ANSWER_MORE;
	}
	a = status_rest(&c);
	return a == ANSWER_MORE && size >= HTTP_STATUS_MAX ? ANSWER_BAD : a;
}
