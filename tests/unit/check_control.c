/*
 * The control socket: who may open it, lines in, answers out, and what each client can cost.
 */
#define _GNU_SOURCE 1

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "io/control.h"

static char dir[64];
static char path[108];
static char err[256];
static struct control *ctl;

/* What the handler saw. */
static unsigned n_requests;
static bool last_admin;

static void setup(void)
{
	strcpy(dir, "/tmp/check_control.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	ctl = control_new(path, "", err, sizeof(err));
	ck_assert_msg(ctl != NULL, "%s", err);
	n_requests = 0;
	last_admin = false;
}

static void teardown(void)
{
	control_free(ctl);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* Echoes the request; {"big":n} is answered with n bytes, {"mask":n} subscribes. */
static json_t *handler(void *arg, struct control_client *cl, const json_t *request, bool admin)
{
	json_int_t big = json_integer_value(json_object_get(request, "big"));
	json_int_t mask = json_integer_value(json_object_get(request, "mask"));

	(void)arg;
	n_requests++;
	last_admin = admin;
	if (mask)
		control_set_mask(cl, (unsigned)mask);
	if (big) {
		char *text = malloc((size_t)big + 1);
		memset(text, 'x', (size_t)big);
		text[big] = '\0';
		json_t *answer = json_pack("{s:i, s:s}", "schema", 1, "text", text);
		free(text);
		return answer;
	}
	return json_pack("{s:i, s:O}", "schema", 1, "echo", request);
}

static int connect_to(const char *where)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(name.sun_path, where, strlen(where) + 1);
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int join(struct control_client **cl)
{
	int fd = connect_to(path);

	ck_assert_int_ge(fd, 0);
	*cl = control_accept(ctl);
	ck_assert_ptr_nonnull(*cl);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What waits for the peer, as text; never blocks. */
static const char *hear(int fd)
{
	static char buf[200000];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static int serve(struct control_client *cl)
{
	return control_read(cl, handler, NULL);
}

START_TEST(socket_belongs_to_root_or_group)
{
	const struct group *gr = getgrgid(getgid());
	struct control *shared;
	char other[120];
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_ptr_nonnull(gr);
	snprintf(other, sizeof(other), "%s/shared", dir);
	mode_t old = umask(0077); /* must not matter */
	shared = control_new(other, gr->gr_name, err, sizeof(err));
	umask(old);
	ck_assert_msg(shared != NULL, "%s", err);
	ck_assert_int_eq(lstat(other, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0660);
	control_free(shared);
	ck_assert_int_eq(lstat(other, &st), -1);
}
END_TEST

START_TEST(unknown_group_is_refused)
{
	char other[120];

	snprintf(other, sizeof(other), "%s/other", dir);
	ck_assert_ptr_null(control_new(other, "no-such-group-here", err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "no group \"no-such-group-here\""));
	ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

START_TEST(living_socket_is_not_taken)
{
	ck_assert_ptr_null(control_new(path, "", err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "another daemon uses it"));
	struct control_client *cl;
	close(join(&cl)); /* still reachable */
}
END_TEST

START_TEST(stale_socket_is_replaced)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct control *c;
	struct stat st;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/stale", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd); /* nobody listens, the name stays */
	c = control_new(name.sun_path, "", err, sizeof(err));
	ck_assert_msg(c != NULL, "%s", err);
	control_free(c);
	ck_assert_int_eq(lstat(name.sun_path, &st), -1);
}
END_TEST

START_TEST(a_file_in_the_way_is_kept)
{
	char other[120];
	FILE *f;

	snprintf(other, sizeof(other), "%s/file", dir);
	f = fopen(other, "w");
	fclose(f);
	ck_assert_ptr_null(control_new(other, "", err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "a file is in the way"));
	ck_assert_int_eq(unlink(other), 0);
}
END_TEST

START_TEST(bad_paths_are_refused)
{
	char longer[200];

	memset(longer, 'a', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_ptr_null(control_new("relative", "", err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "absolute path"));
	ck_assert_ptr_null(control_new(longer, "", err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "at most 107"));
}
END_TEST

START_TEST(another_ones_socket_is_not_unlinked)
{
	struct control *second;

	/* Somebody removed our name and took it: closing must leave the newcomer alone. */
	ck_assert_int_eq(unlink(path), 0);
	second = control_new(path, "", err, sizeof(err));
	ck_assert_msg(second != NULL, "%s", err);
	control_free(ctl);
	ck_assert_int_eq(access(path, F_OK), 0);
	ctl = second;
}
END_TEST

START_TEST(request_is_answered)
{
	struct control_client *cl;
	int fd = join(&cl);

	say(fd, "{\"verb\":\"show\"}\n");
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{\"verb\":\"show\"}}\n");
	ck_assert(last_admin); /* same user */
	ck_assert(!control_client_wants_write(cl));
	close(fd);
	ck_assert_int_eq(serve(cl), -EPIPE);
}
END_TEST

START_TEST(bytes_may_come_one_by_one)
{
	static const char line[] = "{\"a\":1}\r\n";
	struct control_client *cl;
	int fd = join(&cl);

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		ck_assert_str_eq(hear(fd), "");
		ck_assert_int_eq(send(fd, line + i, 1, 0), 1);
		ck_assert_int_eq(serve(cl), 0);
	}
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{\"a\":1}}\n");
	close(fd);
}
END_TEST

START_TEST(one_request_per_turn)
{
	struct control_client *cl;
	int fd = join(&cl);
	struct pollfd p;

	say(fd, "{\"a\":1}\n\n  \n{\"b\":2}\n");
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{\"a\":1}}\n");
	/* The rest is still announced by the descriptor: a level-triggered loop comes back. */
	for (unsigned turns = 0; n_requests < 2; turns++) {
		p = (struct pollfd){.fd = control_client_fd(cl), .events = POLLIN};
		ck_assert_int_eq(poll(&p, 1, 0), 1);
		ck_assert_int_eq(serve(cl), 0);
		ck_assert_uint_lt(turns, 4);
	}
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{\"b\":2}}\n");
	close(fd);
}
END_TEST

START_TEST(last_line_may_lack_its_newline)
{
	struct control_client *cl;
	int fd = join(&cl);

	say(fd, "{\"a\":1}");
	shutdown(fd, SHUT_WR);
	/* Answered and fully written: nothing keeps the client any longer. */
	ck_assert_int_eq(serve(cl), -EPIPE);
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{\"a\":1}}\n");
	close(fd);
}
END_TEST

START_TEST(half_closed_peer_gets_the_whole_answer)
{
	struct control_client *cl;
	int fd = join(&cl);
	size_t got = 0;

	say(fd, "{\"big\":1000000}\n");
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_int_eq(serve(cl), 0); /* end of input, output waits */
	ck_assert(!control_client_wants_read(cl));
	int rc = 0;
	while (rc == 0) {
		got += strlen(hear(fd));
		rc = control_write(cl);
	}
	ck_assert_int_eq(rc, -EPIPE);
	for (size_t n; (n = strlen(hear(fd))) > 0;)
		got += n;
	ck_assert_uint_eq(got, 1000000 + strlen("{\"schema\":1,\"text\":\"\"}\n"));
	close(fd);
}
END_TEST

static const struct {
	const char *line, *error;
} refused[] = {
	{"nonsense\n", "expected near"},
	{"[1,2]\n", "not a JSON object"},
	{"17\n", "expected near"},
	{"{\"a\":1,\"a\":2}\n", "duplicate"},
	{"{\"a\":1\n", "expected"},
	{"{\"a\":1} {}\n", "end of file expected"},
	{"{\"a\":\"\xff\"}\n", "unable to decode"},
	{"{\"a\":\"\\u0000\"}\n", "not allowed"},
};

START_TEST(what_is_no_object_is_refused)
{
	struct control_client *cl;
	int fd = join(&cl);
	json_t *answer;
	const char *text;

	say(fd, refused[_i].line);
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_uint_eq(n_requests, 0);
	answer = json_loads(hear(fd), 0, NULL);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "schema")), 1);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "code")), "usage");
	text = json_string_value(json_object_get(answer, "error"));
	ck_assert_msg(text && strstr(text, refused[_i].error), "%s", text);
	json_decref(answer);
	/* ... and the client may go on. */
	say(fd, "{}\n");
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{}}\n");
	close(fd);
}
END_TEST

static char *padded(size_t size, bool newline)
{
	char *line = malloc(size + 2);

	memset(line, ' ', size);
	line[0] = '{';
	line[size - 1] = '}';
	line[size] = newline ? '\n' : '\0';
	line[size + 1] = '\0';
	return line;
}

static int feed(struct control_client *cl, int fd, const char *text)
{
	int rc = 0;

	for (size_t left = strlen(text); left > 0 && rc == 0;) {
		ssize_t n = send(fd, text, left > 8192 ? 8192 : left, MSG_NOSIGNAL);
		ck_assert_int_gt(n, 0);
		text += n;
		left -= (size_t)n;
		rc = serve(cl);
	}
	return rc;
}

START_TEST(longest_line_is_taken_a_longer_one_not)
{
	struct control_client *cl;
	int fd = join(&cl);
	char *line = padded(CONTROL_LINE - 1, true);

	ck_assert_int_eq(feed(cl, fd, line), 0);
	ck_assert_uint_eq(n_requests, 1);
	ck_assert_str_eq(hear(fd), "{\"schema\":1,\"echo\":{}}\n");
	free(line);
	line = padded(CONTROL_LINE, false);
	ck_assert_int_eq(feed(cl, fd, line), -EMSGSIZE);
	ck_assert_uint_eq(n_requests, 1);
	ck_assert_str_eq(hear(fd),
			 "{\"schema\":1,\"error\":\"line too long\",\"code\":\"usage\"}\n");
	free(line);
	close(fd);
}
END_TEST

START_TEST(too_many_clients_are_turned_away)
{
	struct control_client *cl[CONTROL_CLIENTS];
	int fd[CONTROL_CLIENTS], extra;
	unsigned n = 0;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		fd[i] = join(&cl[i]);
		control_set_mask(cl[i], i);
	}
	extra = connect_to(path);
	ck_assert_ptr_null(control_accept(ctl));
	ck_assert_ptr_nonnull(strstr(hear(extra), "too many clients"));
	close(extra);
	for (struct control_client *c = control_next(ctl, NULL); c; c = control_next(ctl, c))
		ck_assert_uint_eq(control_mask(c), n++);
	ck_assert_uint_eq(n, CONTROL_CLIENTS);
	control_close(cl[7]); /* its place is free again */
	close(fd[7]);
	fd[7] = join(&cl[7]);
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		close(fd[i]);
	ck_assert_ptr_null(control_accept(ctl));
}
END_TEST

START_TEST(slow_monitor_is_told_what_it_lost)
{
	struct control_client *cl;
	int fd = join(&cl);
	char *filler = padded(50000, false);
	json_t *event =
		json_pack("{s:i, s:s, s:s}", "schema", 1, "event", "drop", "detail", filler);
	json_t *late = json_pack("{s:i, s:s}", "schema", 1, "event", "late");
	unsigned pushed = 0, got = 0;
	json_int_t lost = 0;
	char *text = calloc(1, CONTROL_OUT + (1u << 20));
	size_t len;

	for (; pushed < 400; pushed++)
		control_push(cl, event);
	ck_assert(control_client_wants_write(cl));
	/* Room again, but the gap keeps its place: nothing newer may come before its report. */
	len = strlen(strcpy(text, hear(fd)));
	ck_assert_int_eq(control_write(cl), 0);
	control_push(cl, late);
	pushed++;
	for (int rc = 0; rc == 0;) {
		const char *part = hear(fd);
		memcpy(text + len, part, strlen(part));
		len += strlen(part);
		rc = control_write(cl);
		ck_assert_int_eq(rc, 0);
		if (part[0] == '\0' && !control_client_wants_write(cl))
			break;
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *e = json_loads(line, 0, NULL);
		ck_assert_ptr_nonnull(e);  /* never a part of one */
		ck_assert_int_eq(lost, 0); /* the report comes after what was kept */
		ck_assert_str_ne(json_string_value(json_object_get(e, "event")), "late");
		lost = json_integer_value(json_object_get(e, "lost"));
		got += !lost;
		json_decref(e);
	}
	ck_assert_int_gt(lost, 0);
	ck_assert_int_eq(lost + got, pushed);
	control_push(cl, event); /* and it goes on */
	ck_assert_int_eq(control_write(cl), 0);
	ck_assert_ptr_nonnull(strstr(hear(fd), "\"drop\""));
	json_decref(event);
	json_decref(late);
	free(filler);
	free(text);
	close(fd);
}
END_TEST

START_TEST(client_that_does_not_read_is_not_served_on)
{
	struct control_client *cl;
	int fd = join(&cl);
	unsigned asked = 0;

	while (control_client_wants_read(cl)) {
		say(fd, "{\"big\":100000}\n");
		asked++;
		ck_assert_int_eq(serve(cl), 0);
		ck_assert_uint_lt(asked, 100);
	}
	say(fd, "{\"big\":100000}\n");
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_uint_eq(n_requests, asked); /* left where it is */
	while (!control_client_wants_read(cl)) {
		(void)hear(fd);
		ck_assert_int_eq(control_write(cl), 0);
	}
	ck_assert_int_eq(serve(cl), 0);
	ck_assert_uint_eq(n_requests, asked + 1);
	close(fd);
}
END_TEST

START_TEST(answer_that_fits_nowhere_ends_the_client)
{
	struct control_client *cl;
	int fd = join(&cl);
	char line[64];

	snprintf(line, sizeof(line), "{\"big\":%u}\n", CONTROL_OUT + 1);
	say(fd, line);
	ck_assert_int_eq(serve(cl), -ENOBUFS);
	close(fd);
}
END_TEST

START_TEST(stranger_is_no_admin)
{
	struct control_client *cl = NULL;
	struct control *shared;
	char other[120];
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		printf("skipped: stranger_is_no_admin needs root to become somebody else\n");
		return;
	}
	snprintf(other, sizeof(other), "%s/shared", dir);
	shared = control_new(other, "nogroup", err, sizeof(err));
	ck_assert_msg(shared != NULL, "%s", err);
	ck_assert_int_eq(chmod(dir, 0711), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(1);
		if (connect_to(path) != -EACCES) /* 0600: root only */
			_exit(2);
		int fd = connect_to(other);
		if (fd < 0 || send(fd, "{}\n", 3, 0) != 3)
			_exit(3);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	cl = control_accept(shared);
	ck_assert_ptr_nonnull(cl);
	last_admin = true;
	(void)serve(cl); /* the peer has gone: the answer may fail, the question counts */
	ck_assert_uint_eq(n_requests, 1);
	ck_assert(!last_admin);
	control_free(shared);
}
END_TEST

static const char *const samples[] = {"{}\n", "a\r\nb\n", "\n\n\n", "\r\n", "abc", "", "x\ry\n"};

/* However the bytes are cut, the lines are the same. */
START_TEST(splitter_does_not_care_for_cuts)
{
	static struct control_line line;
	const char *text = samples[_i];
	size_t size = strlen(text);
	char want[64] = "", got[64];

	for (size_t cut = 0; cut <= size; cut++) {
		size_t pos = 0;

		got[0] = '\0';
		line.len = 0;
		while (pos < size) {
			size_t end = pos < cut ? cut : size, used;
			uint8_t *p = guard_copy(text + pos, end - pos);
			enum control_split rc =
				control_split(&line, (const char *)p, end - pos, &used);
			guard_free(p, end - pos);
			ck_assert_uint_gt(used, 0);
			ck_assert_uint_le(used, end - pos);
			pos += used;
			if (rc == CONTROL_MORE)
				continue;
			ck_assert_int_eq(rc, CONTROL_READY);
			sprintf(got + strlen(got), "[%.*s]", (int)line.len, line.text);
			line.len = 0;
		}
		if (cut == 0)
			strcpy(want, got);
		ck_assert_str_eq(got, want);
	}
}
END_TEST

START_TEST(splitter_limit)
{
	static struct control_line line;
	static char full[CONTROL_LINE + 1];
	size_t used;

	memset(full, 'x', sizeof(full));
	line.len = 0;
	ck_assert_int_eq(control_split(&line, full, CONTROL_LINE - 1, &used), CONTROL_MORE);
	ck_assert_int_eq(control_split(&line, "\n", 1, &used), CONTROL_READY);
	ck_assert_uint_eq(line.len, CONTROL_LINE - 1);
	line.len = 0;
	ck_assert_int_eq(control_split(&line, full, CONTROL_LINE, &used), CONTROL_TOO_LONG);
	line.len = 0;
	ck_assert_int_eq(control_split(&line, full, CONTROL_LINE + 1, &used), CONTROL_TOO_LONG);
	line.len = 0;
	full[CONTROL_LINE] = '\n';
	ck_assert_int_eq(control_split(&line, full, CONTROL_LINE + 1, &used), CONTROL_TOO_LONG);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, socket_belongs_to_root_or_group);
	tcase_add_test(tc, unknown_group_is_refused);
	tcase_add_test(tc, living_socket_is_not_taken);
	tcase_add_test(tc, stale_socket_is_replaced);
	tcase_add_test(tc, a_file_in_the_way_is_kept);
	tcase_add_test(tc, bad_paths_are_refused);
	tcase_add_test(tc, another_ones_socket_is_not_unlinked);
	tcase_add_test(tc, request_is_answered);
	tcase_add_test(tc, bytes_may_come_one_by_one);
	tcase_add_test(tc, one_request_per_turn);
	tcase_add_test(tc, last_line_may_lack_its_newline);
	tcase_add_test(tc, half_closed_peer_gets_the_whole_answer);
	tcase_add_loop_test(tc, what_is_no_object_is_refused, 0,
			    (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(tc, longest_line_is_taken_a_longer_one_not);
	tcase_add_test(tc, too_many_clients_are_turned_away);
	tcase_add_test(tc, slow_monitor_is_told_what_it_lost);
	tcase_add_test(tc, client_that_does_not_read_is_not_served_on);
	tcase_add_test(tc, answer_that_fits_nowhere_ends_the_client);
	tcase_add_test(tc, stranger_is_no_admin);
	tcase_add_loop_test(tc, splitter_does_not_care_for_cuts, 0,
			    (int)(sizeof(samples) / sizeof(samples[0])));
	tcase_add_test(tc, splitter_limit);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
