/* proves: FC-13 */
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

static struct tcp_seg segment(const struct setup *u, const struct step *s)
{
	return (struct tcp_seg){.flags = s->flags,
				.seq = u->isn[s->from] + s->seq,
				.ack = u->isn[!s->from] + s->ack,
				.len = s->len,
				.win = (uint16_t)s->win,
				.wscale = s->flags & S ? u->scale[s->from] : NO_SCALE};
}

static bool play_step(struct tcp_track *t, const struct setup *u, const struct step *s, unsigned i)
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
static void play_scaled(const struct step *steps, uint8_t o_scale, uint8_t r_scale,
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

static void play(const struct step *steps)
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

/* ---- opening ---- */

START_TEST(a_whole_connection)
{
	play(STEPS(HANDSHAKE, {O, A, 1, 1, 500, 8000, PASS, OPEN},
		   {R, A, 1, 501, 1400, 8000, PASS, OPEN}, {O, A, 501, 1401, 0, 8000, PASS, OPEN},
		   {O, F | A, 501, 1401, 0, 8000, PASS, TCP_STATE_FIN_WAIT},
		   {R, A, 1401, 502, 0, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {R, F | A, 1401, 502, 0, 8000, PASS, TCP_STATE_LAST_ACK},
		   {O, A, 502, 1402, 0, 8000, PASS, TCP_STATE_TIME_WAIT},
		   {R, F | A, 1401, 502, 0, 8000, PASS, TCP_STATE_TIME_WAIT},
		   {O, A, 502, 1402, 0, 8000, PASS, TCP_STATE_TIME_WAIT}));
}
END_TEST

START_TEST(half_open_until_the_third_step)
{
	struct tcp_seg syn = {.seq = 1, .flags = S, .win = 100, .wscale = NO_SCALE};
	struct tcp_seg syn_ack = {.seq = 7, .ack = 2, .flags = S | A, .win = 9, .wscale = NO_SCALE};
	struct tcp_seg ack = {.seq = 2, .ack = 8, .flags = A, .win = 100};
	struct tcp_track t;
	bool reopened;

	tcp_track_open(&t, &syn);
	ck_assert(tcp_track_half_open(&t));
	ck_assert_int_eq(tcp_track_segment(&t, R, &syn_ack, &reopened), DROP_NONE);
	ck_assert(tcp_track_half_open(&t));
	ck_assert_int_eq(tcp_track_segment(&t, O, &ack, &reopened), DROP_NONE);
	ck_assert(!tcp_track_half_open(&t));
}
END_TEST

START_TEST(syn_sent_again)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, S, 0, 0, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED}, {O, A, 1, 1, 0, 8000, PASS, OPEN},
		   {R, S | A, 0, 1, 0, 8000, PASS, OPEN}, {O, A, 1, 1, 100, 8000, PASS, OPEN}));
	/* another try with other numbers */
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {O, S, 70000, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 70001, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 70001, 1, 0, 8000, PASS, OPEN}));
}
END_TEST

START_TEST(nothing_but_an_answer_to_the_syn)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {O, A, 1, 1, 0, 8000, BAD_STATE, SYN_SENT},
		   {O, A, 1, 1, 10, 8000, BAD_STATE, SYN_SENT},
		   {R, A, 1, 1, 10, 8000, BAD_STATE, SYN_SENT},
		   {R, F | A, 1, 1, 0, 8000, BAD_STATE, SYN_SENT},
		   {O, S | A, 0, 1, 0, 8000, BAD_STATE, SYN_SENT},
		   {R, S | F | A, 0, 1, 0, 8000, BAD_STATE, SYN_SENT},
		   {R, S | RST, 0, 1, 0, 8000, BAD_STATE, SYN_SENT}));
}
END_TEST

START_TEST(reset_must_acknowledge_the_syn)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {R, RST, 0, 1, 0, 0, BAD_RESET, SYN_SENT},
		   {R, RST | A, 0, 0, 0, 0, BAD_RESET, SYN_SENT},
		   {R, RST | A, 0, 2, 0, 0, BAD_RESET, SYN_SENT},
		   {O, RST, 5, 0, 0, 0, BAD_RESET, SYN_SENT},
		   {R, RST | A, 0, 1, 0, 0, PASS, CLOSED}));
}
END_TEST

/* The server still has an older connection: it answers with an ACK, the client resets that one and
 * sends its SYN again (RFC 9293, figure 9). */
START_TEST(old_connection_at_the_responder)
{
	play(STEPS(
		{O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {R, A, 900, 7777, 0, 8000, PASS, SYN_SENT},
		{O, RST, 7777, 0, 0, 0, PASS, SYN_SENT},
		{O, RST, 7778, 0, 0, 0, BAD_RESET, SYN_SENT}, {O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		{R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED}, {O, A, 1, 1, 0, 8000, PASS, OPEN}));
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 900, 7777, 0, 8000, PASS, SYN_SENT},
		   {O, RST, 7777, 0, 0, 0, PASS, SYN_SENT}, {O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 1, 1, 0, 8000, PASS, OPEN}));
}
END_TEST

START_TEST(simultaneous_open)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {R, S, 0, 0, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S, 0, 0, 0, 8000, PASS, SYN_RECEIVED},
		   {O, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 0, 1, 0, 8000, PASS, OPEN}, {R, A, 1, 1, 100, 8000, PASS, OPEN},
		   {O, A, 1, 101, 100, 8000, PASS, OPEN}));
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT}, {R, S, 0, 0, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, S | A, 0, 1, 0, 8000, PASS, OPEN}, {O, A, 1, 1, 100, 8000, PASS, OPEN}));
}
END_TEST

/* A server with SYN cookies has no memory of its first SYN-ACK. */
START_TEST(syn_ack_with_another_number)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 123456789, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 1, 123456790, 0, 8000, PASS, OPEN},
		   {R, A, 123456790, 1, 8000, 8000, PASS, OPEN},
		   {R, A, 123464790, 1, 2, 8000, BAD_WINDOW, OPEN}));
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 123456789, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 1, 1, 0, 8000, PASS, OPEN}, {R, A, 1, 1, 8000, 8000, PASS, OPEN},
		   {R, A, 8001, 1, 2, 8000, BAD_WINDOW, OPEN}));
}
END_TEST

START_TEST(data_in_the_syn)
{
	play(STEPS({O, S, 0, 0, 1000, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1001, 0, 8000, PASS, SYN_RECEIVED},
		   {R, A, 1, 1001, 1400, 8000, PASS, SYN_RECEIVED},
		   {O, A, 1001, 1401, 0, 8000, PASS, OPEN}));
	/* only the SYN was taken */
	play(STEPS({O, S, 0, 0, 1000, 500, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 500, PASS, SYN_RECEIVED},
		   {O, A, 1, 1, 1000, 500, PASS, OPEN}, {O, A, 1001, 1, 2, 500, BAD_WINDOW, OPEN}));
	play(STEPS({O, S, 0, 0, 1000, 500, PASS, SYN_SENT},
		   {R, RST | A, 0, 1001, 0, 0, PASS, CLOSED}));
}
END_TEST

/* ---- windows ---- */

START_TEST(scaling_when_both_offer_it)
{
	static const uint8_t none[][2] = {{NO_SCALE, NO_SCALE}, {7, NO_SCALE}, {NO_SCALE, 7}};

	/* the window of a SYN is not scaled, though */
	play_scaled(STEPS(HANDSHAKE, {R, A, 1, 1, 8001 * 128, 8000, BAD_WINDOW, OPEN},
			  {R, A, 1, 1, 8000 * 128, 100, PASS, OPEN},
			  {O, A, 1, 1, 100 * 128, 8000, PASS, OPEN},
			  {O, A, 12801, 1, 2, 8000, BAD_WINDOW, OPEN}),
		    7, 7, false);
	play_scaled(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
			  {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
			  {R, A, 1, 1, 8002, 8000, BAD_WINDOW, SYN_RECEIVED},
			  {R, A, 1, 1, 8000, 8000, PASS, SYN_RECEIVED}),
		    7, 7, false);
	for (size_t i = 0; i < 3; i++)
		play_scaled(STEPS(HANDSHAKE, {R, A, 1, 1, 8002, 8000, BAD_WINDOW, OPEN},
				  {R, A, 1, 1, 8000, 8000, PASS, OPEN}),
			    none[i][0], none[i][1], false);
	play_scaled(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
			  {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
			  {O, A, 1, 1, 0, 65535, PASS, OPEN},
			  {R, A, 1, 1, 0x3fffc000, 65535, PASS, OPEN}),
		    14, 14, false);
}
END_TEST

START_TEST(nothing_beyond_the_window)
{
	play(STEPS(HANDSHAKE, {O, A, 1, 1, 8002, 8000, BAD_WINDOW, OPEN},
		   {O, A, 8001, 1, 2, 8000, BAD_WINDOW, OPEN},
		   {O, A, 100000, 1, 0, 8000, BAD_WINDOW, OPEN},
		   {O, A, 0x40000000, 1, 0, 8000, BAD_WINDOW, OPEN},
		   {O, A, 1, 1, 8000, 8000, PASS, OPEN}, {R, A, 1, 4001, 0, 8000, PASS, OPEN},
		   {O, A, 8001, 1, 4002, 8000, BAD_WINDOW, OPEN},
		   {O, A, 8001, 1, 4000, 8000, PASS, OPEN},
		   /* a window once given is not taken back */
		   {R, A, 1, 8001, 0, 10000, PASS, OPEN}, {R, A, 1, 12001, 0, 100, PASS, OPEN},
		   {O, A, 12001, 1, 6000, 8000, PASS, OPEN}));
}
END_TEST

START_TEST(nothing_acknowledged_that_was_not_sent)
{
	play(STEPS(HANDSHAKE, {R, A, 1, 1, 1000, 8000, PASS, OPEN},
		   {O, A, 1, 1002, 0, 8000, BAD_WINDOW, OPEN},
		   {O, A, 1, 1002, 100, 8000, BAD_WINDOW, OPEN},
		   {O, A, 1, 0x80000000, 100, 8000, BAD_WINDOW, OPEN},
		   {O, A, 1, 0u - 140000, 100, 8000, BAD_WINDOW, OPEN},
		   {R, F | A, 1001, 2, 0, 8000, BAD_WINDOW, OPEN},
		   {O, A, 1, 1001, 100, 8000, PASS, OPEN}));
}
END_TEST

START_TEST(old_data_within_a_window)
{
	const struct step *start = STEPS(
		{O, S, 0, 0, 0, 65535, PASS, SYN_SENT},
		{R, S | A, 0, 1, 0, 65535, PASS, SYN_RECEIVED}, {O, A, 1, 1, 0, 65535, PASS, OPEN},
		{O, A, 1, 1, 60000, 65535, PASS, OPEN}, {R, A, 1, 60001, 0, 65535, PASS, OPEN},
		{O, A, 60001, 1, 60000, 65535, PASS, OPEN}, {R, A, 1, 120001, 0, 65535, PASS, OPEN},
		{O, A, 120001, 1, 60000, 65535, PASS, OPEN},
		{O, A, 120001, 1, 1000, 65535, PASS, OPEN},
		{O, A, 119001, 1, 61000, 65535, PASS, OPEN},
		{O, A, 115001, 1, 1000, 65535, PASS, OPEN},
		{O, A, 54001, 1, 1000, 65535, PASS, OPEN},
		{O, A, 53001, 1, 1000, 65535, BAD_WINDOW, OPEN},
		{O, A, 1, 1, 1000, 65535, BAD_WINDOW, OPEN});
	play(start);
}
END_TEST

START_TEST(probes)
{
	play(STEPS(HANDSHAKE, {O, A, 1, 1, 8000, 8000, PASS, OPEN},
		   {R, A, 1, 8001, 0, 0, PASS, OPEN},
		   {O, A, 8000, 1, 0, 8000, PASS, OPEN}, /* as Linux probes */
		   {O, A, 8001, 1, 1, 8000, PASS, OPEN}, /* as BSD and Windows do */
		   {R, A, 1, 8001, 0, 0, PASS, OPEN}, {O, A, 8001, 1, 1, 8000, PASS, OPEN},
		   {O, A, 8001, 1, 2, 8000, PASS, OPEN}, {O, A, 8003, 1, 1, 8000, PASS, OPEN},
		   {O, A, 8004, 1, 2, 8000, BAD_WINDOW, OPEN}, {R, A, 1, 8001, 0, 4000, PASS, OPEN},
		   {O, A, 8001, 1, 4000, 8000, PASS, OPEN}, {R, A, 1, 12001, 0, 4000, PASS, OPEN},
		   {R, A, 0, 12001, 0, 4000, PASS, OPEN}, /* keep-alive */
		   {R, A, 0, 12001, 1, 4000, PASS, OPEN}, {O, A, 12001, 1, 0, 8000, PASS, OPEN}));
}
END_TEST

START_TEST(super_frames_and_wrap)
{
	struct setup u = {.scale = {9, 9}, .isn = {0xfffffff0, 0x7ffffff0}};
	struct step steps[] = {HANDSHAKE, {R, A, 1, 1, 0, 8000, PASS, OPEN}};
	struct tcp_seg syn = segment(&u, steps);
	struct tcp_track t;
	uint32_t at = 1;

	tcp_track_open(&t, &syn);
	play_step(&t, &u, &steps[1], 1);
	play_step(&t, &u, &steps[2], 2);
	play_step(&t, &u, &steps[3], 3);
	for (unsigned i = 4; i < 30000; i += 3, at += 65000) {
		struct step data = {O, A, at, 1, 65000, 8000, PASS, OPEN};
		struct step ack = {R, A, 1, at + 65000, 0, 8000, PASS, OPEN};
		struct step far = {O, A, at + 5000000, 1, 65000, 8000, BAD_WINDOW, OPEN};
		play_step(&t, &u, &data, i);
		play_step(&t, &u, &ack, i + 1);
		play_step(&t, &u, &far, i + 2);
	}
}
END_TEST

START_TEST(every_segment_carries_an_ack)
{
	play(STEPS(HANDSHAKE, {O, F, 1, 1, 0, 8000, BAD_STATE, OPEN},
		   {O, TCP_PSH, 1, 1, 10, 8000, BAD_STATE, OPEN},
		   {O, TCP_URG, 1, 1, 10, 8000, BAD_STATE, OPEN},
		   {O, S | F, 1, 1, 0, 8000, BAD_STATE, OPEN},
		   {O, S | RST, 1, 1, 0, 8000, BAD_STATE, OPEN}));
}
END_TEST

/* ---- resets ---- */

START_TEST(only_the_exact_reset_passes)
{
	const struct step *tail[] = {
		STEPS({O, RST, 501, 0, 0, 0, PASS, CLOSED}),	 /* end of what it sent */
		STEPS({O, RST | A, 501, 1, 0, 0, PASS, CLOSED}), /* with ACK */
		STEPS({O, RST, 301, 0, 0, 0, PASS, CLOSED}),	 /* what R has acknowledged */
		STEPS({R, RST, 1, 0, 0, 0, PASS, CLOSED}),
		STEPS({O, RST, 500, 0, 0, 0, BAD_RESET, OPEN},
		      {O, RST, 502, 0, 0, 0, BAD_RESET, OPEN},
		      {O, RST, 302, 0, 0, 0, BAD_RESET, OPEN},
		      {O, RST, 1, 0, 0, 0, BAD_RESET, OPEN},
		      {O, RST | A, 4000, 1, 0, 0, BAD_RESET, OPEN},
		      {O, RST, 0x80000000, 0, 0, 0, BAD_RESET, OPEN},
		      {R, RST, 0, 0, 0, 0, BAD_RESET, OPEN}, {R, RST, 2, 0, 0, 0, BAD_RESET, OPEN},
		      {R, RST, 501, 0, 0, 0, BAD_RESET, OPEN},
		      {O, A, 501, 1, 10, 8000, PASS, OPEN}),
	};
	for (size_t i = 0; i < sizeof(tail) / sizeof(*tail); i++) {
		struct step script[32] = {HANDSHAKE,
					  {O, A, 1, 1, 300, 8000, PASS, OPEN},
					  {R, A, 1, 301, 0, 8000, PASS, OPEN},
					  {O, A, 301, 1, 200, 8000, PASS, OPEN}};
		for (unsigned n = 0; tail[i][n].flags; n++)
			script[6 + n] = tail[i][n];
		play(script);
	}
}
END_TEST

START_TEST(after_a_reset)
{
	/* what was in flight still passes, and so do the resets it is answered with */
	play(STEPS(HANDSHAKE, {O, RST, 1, 0, 0, 0, PASS, CLOSED},
		   {R, A, 1, 1, 1000, 8000, PASS, CLOSED}, {O, RST, 1, 0, 0, 0, PASS, CLOSED},
		   {R, A, 100000, 1, 1000, 8000, BAD_WINDOW, CLOSED},
		   {O, RST, 2, 0, 0, 0, BAD_RESET, CLOSED}, {R, S, 5, 0, 0, 0, BAD_STATE, CLOSED}));
	play_scaled(STEPS(HANDSHAKE, {O, RST, 1, 0, 0, 0, PASS, CLOSED},
			  {O, S, 77, 0, 0, 8000, PASS, SYN_SENT},
			  {R, S | A, 9, 78, 0, 8000, PASS, SYN_RECEIVED},
			  {O, A, 78, 10, 0, 8000, PASS, OPEN}),
		    NO_SCALE, NO_SCALE, true);
}
END_TEST

START_TEST(reset_during_the_handshake)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, RST, 0, 0, 0, 0, BAD_RESET, SYN_RECEIVED},
		   {O, RST, 1, 0, 0, 0, PASS, CLOSED}));
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {R, RST, 5, 0, 0, 0, BAD_RESET, SYN_RECEIVED},
		   {R, RST, 1, 0, 0, 0, PASS, CLOSED}));
}
END_TEST

/* ---- closing ---- */

START_TEST(half_close)
{
	play(STEPS(HANDSHAKE, {O, F | A, 1, 1, 300, 8000, PASS, TCP_STATE_FIN_WAIT},
		   {R, A, 1, 301, 0, 8000, PASS, TCP_STATE_FIN_WAIT},
		   {R, A, 1, 302, 8000, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {O, A, 302, 8001, 0, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {R, A, 8001, 302, 8000, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {O, A, 302, 16001, 0, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {O, A, 302, 16001, 1, 8000, BAD_STATE, TCP_STATE_CLOSE_WAIT},
		   {O, F | A, 302, 16001, 0, 8000, BAD_STATE, TCP_STATE_CLOSE_WAIT},
		   {O, F | A, 301, 16001, 0, 8000, PASS, TCP_STATE_CLOSE_WAIT},
		   {R, F | A, 16001, 302, 100, 8000, PASS, TCP_STATE_LAST_ACK},
		   {R, F | A, 16001, 302, 100, 8000, PASS, TCP_STATE_LAST_ACK},
		   {O, A, 302, 16101, 0, 8000, PASS, TCP_STATE_LAST_ACK},
		   {O, A, 302, 16102, 0, 8000, PASS, TCP_STATE_TIME_WAIT}));
}
END_TEST

START_TEST(simultaneous_close)
{
	play(STEPS(HANDSHAKE, {O, F | A, 1, 1, 0, 8000, PASS, TCP_STATE_FIN_WAIT},
		   {R, F | A, 1, 1, 0, 8000, PASS, TCP_STATE_LAST_ACK},
		   {R, A, 2, 2, 0, 8000, PASS, TCP_STATE_LAST_ACK},
		   {O, A, 2, 2, 0, 8000, PASS, TCP_STATE_TIME_WAIT}));
}
END_TEST

START_TEST(fin_in_the_middle_is_none)
{
	play(STEPS(HANDSHAKE, {O, A, 1, 1, 1000, 8000, PASS, OPEN},
		   {O, F | A, 500, 1, 0, 8000, BAD_STATE, OPEN},
		   {O, F | A, 1001, 1, 0, 8000, PASS, TCP_STATE_FIN_WAIT}));
	/* the FIN may overtake data, and come before the handshake's end */
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {R, F | A, 1, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, F | A, 501, 1, 0, 8000, PASS, TCP_STATE_LAST_ACK},
		   {O, A, 1, 1, 500, 8000, PASS, TCP_STATE_LAST_ACK}));
}
END_TEST

#define CLOSE                                                                                      \
	{O, F | A, 1, 1, 0, 8000, PASS, TCP_STATE_FIN_WAIT},                                       \
		{R, F | A, 1, 2, 0, 8000, PASS, TCP_STATE_LAST_ACK},                               \
	{                                                                                          \
		O, A, 2, 2, 0, 8000, PASS, TCP_STATE_TIME_WAIT                                     \
	}

START_TEST(time_wait_is_opened_again)
{
	play_scaled(STEPS(HANDSHAKE, CLOSE, {O, S, 3, 0, 0, 8000, PASS, SYN_SENT},
			  {R, S | A, 99, 4, 0, 8000, PASS, SYN_RECEIVED},
			  {O, A, 4, 100, 0, 8000, PASS, OPEN}),
		    3, 3, true);
	/* a lower number does not, but the host answers for itself */
	play(STEPS(HANDSHAKE, CLOSE, {O, S, 1, 0, 0, 8000, PASS, TCP_STATE_TIME_WAIT},
		   {R, A, 2, 2, 0, 8000, PASS, TCP_STATE_TIME_WAIT},
		   {O, RST, 2, 0, 0, 0, PASS, CLOSED}));
	play(STEPS(HANDSHAKE, CLOSE, {R, S, 50000, 0, 0, 8000, BAD_STATE, TCP_STATE_TIME_WAIT}));
	/* the last ACK was lost before it came here */
	play_scaled(STEPS(HANDSHAKE, {O, F | A, 1, 1, 0, 8000, PASS, TCP_STATE_FIN_WAIT},
			  {R, F | A, 1, 2, 0, 8000, PASS, TCP_STATE_LAST_ACK},
			  {O, S, 70000, 0, 0, 8000, PASS, SYN_SENT}),
		    NO_SCALE, NO_SCALE, true);
}
END_TEST

/* ---- SYNs inside a connection ---- */

START_TEST(syn_inside_changes_nothing)
{
	play(STEPS(HANDSHAKE, {O, S, 12345, 0, 0, 8000, PASS, OPEN},
		   {R, A, 1, 1, 0, 8000, PASS, OPEN}, {R, S, 12345, 0, 0, 8000, PASS, OPEN},
		   {O, A, 1, 1, 8000, 8000, PASS, OPEN}, {R, A, 1, 8001, 8000, 8000, PASS, OPEN},
		   {R, S | A, 54321, 12346, 0, 8000, BAD_WINDOW, OPEN},
		   {R, S | A, 0, 1, 0, 8000, PASS, OPEN}));
	/* the answer to a SYN of a client that has forgotten: an ACK, then its exact reset */
	play_scaled(STEPS(HANDSHAKE, {O, S, 0x12345678, 0, 0, 8000, PASS, OPEN},
			  {R, A, 1, 1, 0, 8000, PASS, OPEN}, {O, RST, 1, 0, 0, 0, PASS, CLOSED},
			  {O, S, 0x12345678, 0, 0, 8000, PASS, SYN_SENT}),
		    NO_SCALE, NO_SCALE, true);
}
END_TEST

START_TEST(both_sides_have_forgotten)
{
	play(STEPS(HANDSHAKE, {O, S, 0x12345678, 0, 0, 8000, PASS, OPEN},
		   {R, S | A, 0x23456789, 0x12345678, 0, 8000, BAD_WINDOW, OPEN},
		   {R, S | A, 0x23456789, 0x12345679, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 0x12345679, 0x2345678a, 0, 8000, PASS, OPEN},
		   {O, A, 0x12345679, 0x2345678a, 8000, 8000, PASS, OPEN},
		   {R, A, 0x2345678a, 0x123475b9, 8000, 8000, PASS, OPEN},
		   {R, A, 1, 1, 10, 8000, BAD_WINDOW, OPEN}));
}
END_TEST

/* The client begins anew in the middle of the handshake; that is no way past it. */
START_TEST(another_syn_during_the_handshake)
{
	play(STEPS({O, S, 0, 0, 0, 8000, PASS, SYN_SENT},
		   {R, S | A, 0, 1, 0, 8000, PASS, SYN_RECEIVED},
		   {O, S, 500000, 0, 0, 8000, PASS, SYN_RECEIVED},
		   {R, S | A, 700000, 500001, 0, 8000, PASS, SYN_RECEIVED},
		   {R, A, 700001, 500001, 0, 8000, PASS, SYN_RECEIVED},
		   {O, A, 500001, 700001, 0, 8000, PASS, OPEN}));
}
END_TEST

/* ---- picked up midway ---- */

static void picked_up_from(unsigned from)
{
	struct setup u = {.isn = {0xffffff00, 0x7fffff00}};
	struct step first = {from, A, 5000, 9000, 1000, 500, PASS, OPEN};
	struct tcp_seg seg = segment(&u, &first);
	unsigned to = !from;
	/* the other side has 20000 bytes in flight which nobody here has seen */
	const struct step steps[] = {{from, A, 6000, 12000, 1000, 500, PASS, OPEN},
				     {to, A, 29000, 4000, 1000, 500, PASS, OPEN},
				     {to, A, 10000, 5500, 1000, 500, PASS, OPEN},
				     {from, A, 7000, 30000, 1000, 500, PASS, OPEN},
				     {to, A, 30000, 20000, 0, 500, BAD_WINDOW, OPEN},
				     {to, A, 0x50000000, 8000, 0, 500, BAD_WINDOW, OPEN},
				     {from, RST, 7500, 0, 0, 0, BAD_RESET, OPEN},
				     {from, F | A, 8000, 30000, 0, 500, PASS, TCP_STATE_FIN_WAIT},
				     {to, A, 30000, 8002, 0, 500, BAD_WINDOW, TCP_STATE_FIN_WAIT},
				     {to, A, 30000, 8001, 0, 500, PASS, TCP_STATE_CLOSE_WAIT},
				     {to, F | A, 30000, 8001, 0, 500, PASS, TCP_STATE_LAST_ACK},
				     {from, A, 8001, 30001, 0, 500, PASS, TCP_STATE_TIME_WAIT}};
	struct tcp_track t;

	/* the first word of the other side decides */
	tcp_track_pickup(&t, from, &seg);
	ck_assert(!tcp_track_half_open(&t));
	for (unsigned i = 0; i < 4; i++)
		play_step(&t, &u, &steps[i], i);
	ck_assert_uint_eq(t.peer[to].end, u.isn[to] + 30000);
	for (unsigned i = 5; i < sizeof(steps) / sizeof(*steps); i++)
		play_step(&t, &u, &steps[i], i);
}

START_TEST(picked_up)
{
	picked_up_from(O);
	picked_up_from(R);
}
END_TEST

START_TEST(picked_up_at_its_fin)
{
	struct tcp_seg fin = {.seq = 10, .ack = 20, .flags = F | A, .win = 100};
	struct tcp_seg ack = {.seq = 20, .ack = 11, .flags = A, .win = 100};
	struct tcp_track t;
	bool reopened;

	tcp_track_pickup(&t, R, &fin);
	ck_assert_int_eq(t.state, TCP_STATE_FIN_WAIT);
	ck_assert_int_eq(tcp_track_segment(&t, O, &ack, &reopened), DROP_NONE);
	ck_assert_int_eq(t.state, TCP_STATE_CLOSE_WAIT);
}
END_TEST

/* ---- what an ICMP error quotes ---- */

START_TEST(plausible_quotes)
{
	struct tcp_seg syn = {.seq = 1000, .flags = S, .win = 8000, .wscale = NO_SCALE};
	struct tcp_seg syn_ack = {
		.seq = 1, .ack = 1001, .flags = S | A, .win = 8000, .wscale = 255};
	struct tcp_seg data = {.seq = 1001, .ack = 2, .len = 500, .flags = A, .win = 8000};
	struct tcp_seg ack = {.seq = 2, .ack = 1401, .flags = A, .win = 8000};
	struct tcp_track t;
	bool reopened;

	tcp_track_open(&t, &syn);
	ck_assert(tcp_track_seq_plausible(&t, O, 1000));
	ck_assert(!tcp_track_seq_plausible(&t, O, 1002));
	ck_assert(!tcp_track_seq_plausible(&t, O, 900));
	ck_assert(!tcp_track_seq_plausible(&t, R, 0));
	ck_assert_int_eq(tcp_track_segment(&t, R, &syn_ack, &reopened), DROP_NONE);
	ck_assert(tcp_track_seq_plausible(&t, R, 1));
	ck_assert_int_eq(tcp_track_segment(&t, O, &data, &reopened), DROP_NONE);
	ck_assert_int_eq(tcp_track_segment(&t, R, &ack, &reopened), DROP_NONE);
	ck_assert(tcp_track_seq_plausible(&t, O, 1401));
	ck_assert(tcp_track_seq_plausible(&t, O, 1400)); /* keep-alive */
	ck_assert(tcp_track_seq_plausible(&t, O, 1500));
	ck_assert(!tcp_track_seq_plausible(&t, O, 1502));
	ck_assert(!tcp_track_seq_plausible(&t, O, 1001));
	memset(&t, 0, sizeof(t));
	ck_assert(!tcp_track_seq_plausible(&t, O, 0));
	ck_assert_int_eq(tcp_track_segment(&t, O, &data, &reopened), DROP_TCP_STATE);
}
END_TEST

START_TEST(names)
{
	for (int s = 0; s < TCP_STATE_COUNT; s++)
		ck_assert_uint_gt(strlen(tcp_state_name((enum tcp_state)s)), 3);
	ck_assert_str_eq(tcp_state_name(TCP_STATE_LAST_ACK), "last-ack");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp");
	TCase *tc = tcase_create("tcp");

	tcase_add_test(tc, a_whole_connection);
	tcase_add_test(tc, half_open_until_the_third_step);
	tcase_add_test(tc, syn_sent_again);
	tcase_add_test(tc, nothing_but_an_answer_to_the_syn);
	tcase_add_test(tc, reset_must_acknowledge_the_syn);
	tcase_add_test(tc, old_connection_at_the_responder);
	tcase_add_test(tc, simultaneous_open);
	tcase_add_test(tc, syn_ack_with_another_number);
	tcase_add_test(tc, data_in_the_syn);
	tcase_add_test(tc, scaling_when_both_offer_it);
	tcase_add_test(tc, nothing_beyond_the_window);
	tcase_add_test(tc, nothing_acknowledged_that_was_not_sent);
	tcase_add_test(tc, old_data_within_a_window);
	tcase_add_test(tc, probes);
	tcase_add_test(tc, super_frames_and_wrap);
	tcase_add_test(tc, every_segment_carries_an_ack);
	tcase_add_test(tc, only_the_exact_reset_passes);
	tcase_add_test(tc, after_a_reset);
	tcase_add_test(tc, reset_during_the_handshake);
	tcase_add_test(tc, half_close);
	tcase_add_test(tc, simultaneous_close);
	tcase_add_test(tc, fin_in_the_middle_is_none);
	tcase_add_test(tc, time_wait_is_opened_again);
	tcase_add_test(tc, syn_inside_changes_nothing);
	tcase_add_test(tc, both_sides_have_forgotten);
	tcase_add_test(tc, another_syn_during_the_handshake);
	tcase_add_test(tc, picked_up);
	tcase_add_test(tc, picked_up_at_its_fin);
	tcase_add_test(tc, plausible_quotes);
	tcase_add_test(tc, names);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
