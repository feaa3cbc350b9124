/* proves: FC-13 */
/* How connections end, begin again, and are picked up midway. */
#include "tcp_script.h"

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

int main(void)
{
	Suite *suite = suite_create("tcp_end");
	TCase *tc = tcase_create("tcp_end");

	tcase_set_timeout(tc, 60);
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
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
