/*
 * check_log.c - the log never waits for its reader, and says what got lost.
 *
 * proves: HD-23
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static int reader;

/* Standard error becomes `writer`; what is written there comes out of `from`. */
static void attach(int writer, int from)
{
	ck_assert_int_eq(dup2(writer, STDERR_FILENO), STDERR_FILENO);
	close(writer);
	reader = from;
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	log_init(LOG_TARGET_STDERR, LOG_LVL_INFO, "unit");
}

static void attach_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	attach(fds[1], fds[0]);
}

static void attach_stream(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	attach(fds[1], fds[0]);
}

/* All that is there to read, and how many lines that is. */
static char *drain(unsigned *lines)
{
	static char buf[1 << 22];
	size_t n = 0;
	ssize_t got;

	while ((got = read(reader, buf + n, sizeof(buf) - 1 - n)) > 0)
		n += (size_t)got;
	buf[n] = '\0';
	*lines = 0;
	for (size_t i = 0; i < n; i++)
		*lines += buf[i] == '\n';
	return buf;
}

#define LINES 20000 /* more than a pipe or a socket holds */

static void slow_reader(void)
{
	const uint64_t before = log_lost();
	uint64_t lost;
	unsigned kept;
	char *text, expected[96];

	alarm(20); /* a log that waits would wait for ever */
	for (unsigned i = 0; i < LINES; i++)
		log_notice("line %u", i);
	lost = log_lost() - before;
	ck_assert_uint_gt(lost, 0);
	text = drain(&kept);
	ck_assert_uint_eq(kept + lost, LINES);
	ck_assert(strncmp(text, "unit: line 0\nunit: line 1\n", 26) == 0);
	log_notice("after");
	text = drain(&kept);
	snprintf(expected, sizeof(expected),
		 "unit: warning: log: %llu lines lost, since nobody read them\nunit: after\n",
		 (unsigned long long)lost);
	ck_assert_str_eq(text, expected);
	log_notice("once is enough");
	ck_assert_str_eq(drain(&kept), "unit: once is enough\n");
	ck_assert_uint_eq(log_lost() - before, lost);
}

START_TEST(pipe_that_nobody_reads)
{
	attach_pipe();
	slow_reader();
}
END_TEST

START_TEST(stream_that_nobody_reads)
{
	attach_stream();
	slow_reader();
}
END_TEST

START_TEST(reader_that_has_gone)
{
	const uint64_t before = log_lost();

	signal(SIGPIPE, SIG_IGN);
	attach_pipe();
	close(reader);
	log_error("nobody");
	ck_assert_uint_eq(log_lost() - before, 1);
}
END_TEST

START_TEST(full_disk)
{
	const uint64_t before = log_lost();
	int fd = open("/dev/full", O_WRONLY);

	ck_assert_int_ge(fd, 0);
	attach(fd, open("/dev/null", O_RDONLY));
	log_error("no room");
	ck_assert_uint_eq(log_lost() - before, 1);
}
END_TEST

START_TEST(levels_and_forged_lines)
{
	unsigned lines;

	attach_pipe();
	log_debug("not wanted");
	log_info("a\nerror: forged\x7f");
	log_error("bad");
	log_set_level(LOG_LVL_DEBUG);
	log_debug("wanted");
	ck_assert_str_eq(drain(&lines),
			 "unit: a?error: forged?\nunit: error: bad\nunit: debug: wanted\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_test(t, pipe_that_nobody_reads);
	tcase_add_test(t, stream_that_nobody_reads);
	tcase_add_test(t, reader_that_has_gone);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, levels_and_forged_lines);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
