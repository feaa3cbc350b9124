/* proves: FC-13 */
#include "tcp_script.h"

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

	tcase_set_timeout(tc, 60);
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
	tcase_add_test(tc, plausible_quotes);
	tcase_add_test(tc, names);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
