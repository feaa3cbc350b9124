/*
 * check_agent.c - what servers answer: agents' lines and HTTP status lines, well-made and not.
 *
 * proves: HD-12 HD-24
 */
#include <check.h>

#include "dispatch/agent.h"
#include "guard.h"

/* The bytes at the end of a page that is followed by none. */
static enum answer agent(struct agent_answer *out, const char *text, size_t size, bool closed)
{
	uint8_t *p = guard_copy(text, size);
	enum answer a = agent_parse(out, p, size, closed);

	guard_free(p, size);
	return a;
}

static enum answer http(unsigned *status, const char *text, size_t size)
{
	uint8_t *p = guard_copy(text, size);
	enum answer a = http_parse_status(status, p, size);

	guard_free(p, size);
	return a;
}

struct line {
	const char *text;
	enum answer result;
	int health, state, share;
};

#define NONE AGENT_NONE

static const struct line lines[] = {
	{"up\n", ANSWER_OK, AGENT_UP, NONE, NONE},
	{"down\n", ANSWER_OK, AGENT_DOWN, NONE, NONE},
	{"failed\n", ANSWER_OK, AGENT_DOWN, NONE, NONE},
	{"stopped\r\n", ANSWER_OK, AGENT_DOWN, NONE, NONE},
	{"drain\n", ANSWER_OK, NONE, AGENT_DRAIN, NONE},
	{"maint\n", ANSWER_OK, NONE, AGENT_MAINT, NONE},
	{"ready\n", ANSWER_OK, NONE, AGENT_READY, NONE},
	{"75%\n", ANSWER_OK, NONE, NONE, 75},
	{"0%\n", ANSWER_OK, NONE, NONE, 0},
	{"007%\n", ANSWER_OK, NONE, NONE, 7},
	{"100%\r", ANSWER_OK, NONE, NONE, 100},
	{"101%\n", ANSWER_OK, NONE, NONE, 100},
	{"99999999999999999999999999%\n", ANSWER_OK, NONE, NONE, 100},
	{"UP Ready 30%\n", ANSWER_OK, AGENT_UP, AGENT_READY, 30},
	{"30%,drain\tdown\n", ANSWER_OK, AGENT_DOWN, AGENT_DRAIN, 30},
	{",, \tup \t,\n", ANSWER_OK, AGENT_UP, NONE, NONE},
	{"up down 1% up 2%\n", ANSWER_OK, AGENT_UP, NONE, 2},
	{"drain maint ready maint\n", ANSWER_OK, NONE, AGENT_MAINT, NONE},
	{"maxconn:30 up\n", ANSWER_OK, AGENT_UP, NONE, NONE},
	{"down # the disk is ready 50%\n", ANSWER_OK, AGENT_DOWN, NONE, NONE},
	{"down#ready\n", ANSWER_OK, AGENT_DOWN, NONE, NONE},
	{"up\ndown\n", ANSWER_OK, AGENT_UP, NONE, NONE},
	{"caf\xc3\xa9 up\n", ANSWER_OK, AGENT_UP, NONE, NONE},
	{"\n", ANSWER_BAD, NONE, NONE, NONE},
	{"\r\nup\n", ANSWER_BAD, NONE, NONE, NONE},
	{"#up\n", ANSWER_BAD, NONE, NONE, NONE},
	{"upp\n", ANSWER_BAD, NONE, NONE, NONE},
	{"u p\n", ANSWER_BAD, NONE, NONE, NONE},
	{"%\n", ANSWER_BAD, NONE, NONE, NONE},
	{"-5%\n", ANSWER_BAD, NONE, NONE, NONE},
	{"5.5%\n", ANSWER_BAD, NONE, NONE, NONE},
	{"5 %\n", ANSWER_BAD, NONE, NONE, NONE},
	{"75\n", ANSWER_BAD, NONE, NONE, NONE},
	{"up \x01\n", ANSWER_BAD, NONE, NONE, NONE},
	{"up \x7f\n", ANSWER_BAD, NONE, NONE, NONE},
};

#define N_LINES (sizeof(lines) / sizeof(lines[0]))

START_TEST(agent_lines)
{
	const struct line *l = &lines[_i];
	struct agent_answer a;

	ck_assert_msg(agent(&a, l->text, strlen(l->text), false) == l->result, "%s", l->text);
	if (l->result != ANSWER_OK)
		return;
	ck_assert_int_eq(a.health, l->health);
	ck_assert_int_eq(a.state, l->state);
	ck_assert_int_eq(a.share, l->share);
}
END_TEST

/* Before its end a line means nothing yet, unless the connection is its end. */
START_TEST(agent_prefixes)
{
	const char *text = "up 75% drain";
	struct agent_answer a;

	for (size_t n = 0; n <= strlen(text); n++)
		ck_assert_int_eq(agent(&a, text, n, false), ANSWER_MORE);
	ck_assert_int_eq(agent(&a, text, 0, true), ANSWER_BAD);
	ck_assert_int_eq(agent(&a, text, 1, true), ANSWER_BAD);
	ck_assert_int_eq(agent(&a, text, 2, true), ANSWER_OK);
	ck_assert_int_eq(a.health, AGENT_UP);
	ck_assert_int_eq(agent(&a, text, 5, true), ANSWER_OK);
	ck_assert_int_eq(a.share, AGENT_NONE); /* "75" without its % */
	ck_assert_int_eq(agent(&a, text, strlen(text), true), ANSWER_OK);
	ck_assert_int_eq(a.health, AGENT_UP);
	ck_assert_int_eq(a.share, 75);
	ck_assert_int_eq(a.state, AGENT_DRAIN);
}
END_TEST

START_TEST(agent_line_length)
{
	char text[AGENT_LINE_MAX + 3];
	struct agent_answer a;

	memset(text, ' ', sizeof(text));
	memcpy(text, "up", 2);
	text[AGENT_LINE_MAX] = '\n';
	ck_assert_int_eq(agent(&a, text, AGENT_LINE_MAX, false), ANSWER_MORE);
	ck_assert_int_eq(agent(&a, text, AGENT_LINE_MAX, true), ANSWER_OK);
	ck_assert_int_eq(agent(&a, text, AGENT_LINE_MAX + 1, false), ANSWER_OK);
	text[AGENT_LINE_MAX] = ' ';
	text[AGENT_LINE_MAX + 1] = '\n';
	ck_assert_int_eq(agent(&a, text, AGENT_LINE_MAX + 1, false), ANSWER_BAD);
	ck_assert_int_eq(agent(&a, text, AGENT_LINE_MAX + 2, false), ANSWER_BAD);
	ck_assert_int_eq(a.health, AGENT_NONE);
}
END_TEST

struct status_line {
	const char *text;
	enum answer result;
	unsigned status;
};

static const struct status_line status_lines[] = {
	{"HTTP/1.0 200 OK\r\n", ANSWER_OK, 200},
	{"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", ANSWER_OK, 200},
	{"HTTP/1.1 399 \r\n", ANSWER_OK, 399},
	{"HTTP/1.1 503\r\n", ANSWER_OK, 503},
	{"HTTP/1.1 100 Continue\n", ANSWER_OK, 100},
	{"HTTP/1.1 599 caf\xc3\xa9\tx\n", ANSWER_OK, 599},
	{"HTTP/1.2 200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/2.0 200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/2 200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.10 200 OK\r\n", ANSWER_BAD, 0},
	{"http/1.1 200 OK\r\n", ANSWER_BAD, 0},
	{" HTTP/1.1 200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1  200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1\t200 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 099 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 600 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 20 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 2000 OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 20a OK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 200\tOK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 200 O\rK\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 200 O\x01K\r\n", ANSWER_BAD, 0},
	{"HTTP/1.1 200 OK\r\r\n", ANSWER_BAD, 0},
	{"<html>", ANSWER_BAD, 0},
	{"\r\n", ANSWER_BAD, 0},
	{"SSH-2.0-x\r\n", ANSWER_BAD, 0},
};

#define N_STATUS_LINES (sizeof(status_lines) / sizeof(status_lines[0]))

START_TEST(http_lines)
{
	const struct status_line *l = &status_lines[_i];
	unsigned status;

	ck_assert_msg(http(&status, l->text, strlen(l->text)) == l->result, "%s", l->text);
	if (l->result == ANSWER_OK)
		ck_assert_uint_eq(status, l->status);
}
END_TEST

/* Every prefix of a good line wants more, up to its end. */
START_TEST(http_prefixes)
{
	const struct status_line *l = &status_lines[_i];
	size_t end = strcspn(l->text, "\n") + 1;
	unsigned status;

	if (l->result != ANSWER_OK)
		return;
	for (size_t n = 0; n < end; n++)
		ck_assert_msg(http(&status, l->text, n) == ANSWER_MORE, "%.*s", (int)n, l->text);
	ck_assert_int_eq(http(&status, l->text, end), ANSWER_OK);
}
END_TEST

START_TEST(http_line_length)
{
	char text[HTTP_STATUS_MAX + 1];
	unsigned status;

	memset(text, 'x', sizeof(text));
	memcpy(text, "HTTP/1.1 200 ", 13);
	ck_assert_int_eq(http(&status, text, HTTP_STATUS_MAX - 1), ANSWER_MORE);
	ck_assert_int_eq(http(&status, text, HTTP_STATUS_MAX), ANSWER_BAD);
	text[HTTP_STATUS_MAX - 1] = '\r';
	ck_assert_int_eq(http(&status, text, HTTP_STATUS_MAX), ANSWER_BAD);
	text[HTTP_STATUS_MAX - 1] = '\n';
	ck_assert_int_eq(http(&status, text, HTTP_STATUS_MAX), ANSWER_OK);
	text[HTTP_STATUS_MAX - 1] = 'x';
	text[HTTP_STATUS_MAX] = '\n';
	ck_assert_int_eq(http(&status, text, HTTP_STATUS_MAX + 1), ANSWER_BAD);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("agent");
	TCase *t = tcase_create("agent");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, agent_lines, 0, N_LINES);
	tcase_add_test(t, agent_prefixes);
	tcase_add_test(t, agent_line_length);
	tcase_add_loop_test(t, http_lines, 0, N_STATUS_LINES);
	tcase_add_loop_test(t, http_prefixes, 0, N_STATUS_LINES);
	tcase_add_test(t, http_line_length);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
