/*
 * agent.h - what servers say when they are asked for their health and load: the answers, parsed.
 *
 * Pure functions over bytes that a stranger may have written. A parser is given all bytes that have
 * come so far, and says when it needs more; it never looks further than its limit.
 */
#ifndef DISPATCH_AGENT_H
#define DISPATCH_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_LINE_MAX 255   /* bytes before the end of an agent's line */
#define HTTP_STATUS_MAX 1024 /* bytes of a status line, its end included */

enum answer {
	ANSWER_OK,
	ANSWER_MORE, /* not at its end yet */
	ANSWER_BAD,  /* no such answer, or too long */
};

/* Words of an agent for dispatch_target_load, where 0..100 is a share of the weight. What they set
 * stays until another word takes it back: UP takes back DOWN, READY takes back DRAIN and MAINT. */
enum agent_word {
	AGENT_DOWN = -1,  /* also "failed" and "stopped" */
	AGENT_DRAIN = -2, /* no new flows */
	AGENT_UP = -3,
	AGENT_READY = -4,
	AGENT_MAINT = -5, /* taken out by its administrator */
	AGENT_NONE = -6,  /* not said */
};

struct agent_answer {
	int health; /* AGENT_DOWN, AGENT_UP or AGENT_NONE */
	int state;  /* AGENT_DRAIN, AGENT_MAINT, AGENT_READY or AGENT_NONE */
	int share;  /* 0..100 or AGENT_NONE; more than 100 % counts as 100 */
};

/* One line of words as the agent-check of HAProxy has them, in any order and case, separated by
 * spaces, tabs or commas: "up", "down", "failed", "stopped", "drain", "maint", "ready", "75%". Of
 * two that disagree the later holds. Other words are skipped, '#' begins a remark. The line ends
 * with a line feed, a carriage return, or the connection (`closed`). ANSWER_BAD without any word
 * known here, or with a byte that is no text. */
enum answer agent_parse(struct agent_answer *out, const uint8_t *data, size_t size, bool closed);

/* The status code (100..599) of an HTTP/1.0 or 1.1 answer (RFC 9112 section 4): the status line,
 * strictly; nothing behind it is looked at. */
enum answer http_parse_status(unsigned *status, const uint8_t *data, size_t size);

#endif
