/*
 * tcp_script.h - TCP connections as scripts: segments in relative numbers, and for each the verdict
 * and the state the tracker must come to.
 */
#ifndef TESTS_TCP_SCRIPT_H
#define TESTS_TCP_SCRIPT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/tcp.h"

#define O 0 /* originator */
#define R 1 /* responder */
#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define RST TCP_RST
#define NO_SCALE 0xff

/* One segment and what becomes of it. Numbers are relative to the initial ones of their side. */
struct step {
	unsigned from;
	uint8_t flags;
	uint32_t seq, ack, len, win;
	enum drop verdict;
	enum tcp_state state;
};

#define PASS DROP_NONE
#define BAD_STATE DROP_TCP_STATE
#define BAD_WINDOW DROP_TCP_WINDOW
#define BAD_RESET DROP_TCP_RESET
#define OPEN TCP_STATE_ESTABLISHED

struct setup {
	uint8_t scale[2];
	uint32_t isn[2];
};

static inline struct tcp_seg segment(const struct setup *u, const struct step *s)
{
	return (struct tcp_seg){.flags = s->flags,
				.seq = u->isn[s->from] + s->seq,
				.ack = u->isn[!s->from] + s->ack,
				.len = s->len,
				.win = (uint16_t)s->win,
				.wscale = s->flags & S ? u->scale[s->from] : NO_SCALE};
}

static inline bool play_step(struct tcp_track *t, const struct setup *u, const struct step *s,
			     unsigned i)
{
	struct tcp_track before = *t;
	struct tcp_seg seg = segment(u, s);
	bool reopened = true;
	enum drop d = tcp_track_segment(t, s->from, &seg, &reopened);

	/* not ck_assert, which writes to a file even when all is well */
	if (d != s->verdict)
		ck_abort_msg("step %u: %s instead of %s", i, drop_name(d), drop_name(s->verdict));
	if (t->state != s->state)
		ck_abort_msg("step %u: state %s instead of %s", i, tcp_state_name(t->state),
			     tcp_state_name(s->state));
	if (d != DROP_NONE && memcmp(t, &before, sizeof(before)) != 0)
		ck_abort_msg("step %u changed it", i);
	return reopened;
}

/* The first step is the SYN that opens. Everything is played with numbers that wrap, too. */
static inline void play_scaled(const struct step *steps, uint8_t o_scale, uint8_t r_scale,
			       bool expect_reopen)
{
	static const uint32_t isns[][2] = {
		{1000, 5000}, {0xfffffffe, 0x7fffffff}, {0x7ffffff0, 0xffffff00}, {0, 0xffffffff}};

	for (size_t n = 0; n < sizeof(isns) / sizeof(*isns); n++) {
		struct setup u = {.scale = {o_scale, r_scale}, .isn = {isns[n][0], isns[n][1]}};
		struct tcp_track t;
		struct tcp_seg syn = segment(&u, steps);
		bool reopened = false;
		tcp_track_open(&t, &syn);
		ck_assert_int_eq(t.state, TCP_STATE_SYN_SENT);
		for (unsigned i = 1; steps[i].flags != 0; i++)
			reopened |= play_step(&t, &u, &steps[i], i);
		ck_assert_int_eq(reopened, expect_reopen);
	}
}

static inline void play(const struct step *steps)
{
	play_scaled(steps, NO_SCALE, NO_SCALE, false);
}

#define STEPS(...) ((const struct step[]){__VA_ARGS__, {.flags = 0}})
#define SYN_SENT TCP_STATE_SYN_SENT
#define SYN_RECEIVED TCP_STATE_SYN_RECEIVED
#define CLOSED TCP_STATE_CLOSED

#define HANDSHAKE                                                                                  \
	{O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},      \
	{                                                                                          \
		O, A, 1, 1, 0, 8000, PASS, OPEN                                                    \
	}

#endif
