/*
 * check_checks.c - checks and agents against real servers on the loopback, good, bad and hostile.
 * The engine is this file's: it writes down what it is told.
 *
 * proves: HD-12 HD-24
 */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "dispatch/agent.h"

#define TARGETS 200
#define MS 1000000ULL
#define DEADLINE_MS 20000

struct verdict {
	unsigned up, down;
	const char *why;
	uint64_t first_ns;
	int load[64];
	unsigned n_load;
};

static struct verdict verdicts[TARGETS];
static struct daemon d;

/* --- what the checks ask of others ------------------------------------------------------------ */

uint64_t daemon_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void loop_carry_out(struct daemon *daemon)
{
	(void)daemon;
}

void loop_arm(struct daemon *daemon)
{
	(void)daemon;
}

void engine_target_health(struct engine *e, uint16_t target, bool up, const char *why,
			  uint64_t now_ns, struct actions *out)
{
	struct verdict *v = &verdicts[target];

	(void)e;
	(void)out;
	v->up += up;
	v->down += !up;
	v->why = why;
	if (v->first_ns == 0)
		v->first_ns = now_ns;
}

void engine_target_load(struct engine *e, uint16_t target, int word, uint64_t now_ns,
			struct actions *out)
{
	struct verdict *v = &verdicts[target];

	(void)e;
	(void)now_ns;
	(void)out;
	if (v->n_load < 64)
		v->load[v->n_load++] = word;
}

/* --- servers ---------------------------------------------------------------------------------- */

/* What a server does with each connection: says `answer`, whole or (drip) a byte every 20 ms, then
 * closes or waits. */
struct server {
	int fd;
	struct event *event;
	uint16_t port;
	const char *answer;
	bool drip, stay, after_request;
	char request[1024];
	unsigned accepted, open, most_open;
};

struct conversation {
	struct server *server;
	int fd;
	struct event *event;
	size_t said;
	struct conversation *next;
};

static struct conversation *conversations;

static void hang_up(struct conversation *c)
{
	struct conversation **p = &conversations;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->server->open--;
	event_free(c->event);
	close(c->fd);
	free(c);
}

/* False: that was all, and it has hung up. */
static bool say(struct conversation *c, size_t n)
{
	const struct server *s = c->server;

	if (send(c->fd, s->answer + c->said, n, MSG_NOSIGNAL) != (ssize_t)n) {
		hang_up(c);
		return false;
	}
	c->said += n;
	if (s->answer[c->said] != '\0' || s->stay)
		return true;
	hang_up(c);
	return false;
}

static void on_talk(evutil_socket_t fd, short what, void *arg)
{
	struct conversation *c = arg;
	struct server *s = c->server;
	const struct timeval soon = {.tv_usec = 20000};

	if (what & EV_READ) {
		char more[1024];
		ssize_t n = recv(fd, more, sizeof(more) - 1, 0);

		if (n <= 0) {
			hang_up(c);
			return;
		}
		more[n] = '\0';
		snprintf(s->request, sizeof(s->request), "%s", more);
	}
	if (s->answer && s->answer[c->said] != '\0' &&
	    !say(c, s->drip ? 1 : strlen(s->answer + c->said)))
		return;
	event_add(c->event, s->drip ? &soon : NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct conversation *c = calloc(1, sizeof(*c));

	(void)what;
	*c = (struct conversation){.server = s, .fd = accept(fd, NULL, NULL)};
	ck_assert_int_ge(c->fd, 0);
	c->next = conversations;
	conversations = c;
	s->accepted++;
	if (++s->open > s->most_open)
		s->most_open = s->open;
	c->event = event_new(d.base, c->fd, EV_READ, on_talk, c);
	if (s->after_request)
		event_add(c->event, NULL);
	else
		on_talk(c->fd, 0, c);
}

/* `listens` false: a port that refuses. */
static void serve(struct server *s, bool v6, bool listens)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 ss = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t size = v6 ? sizeof(ss) : sizeof(v4);
	struct sockaddr *sa = v6 ? (struct sockaddr *)&ss : (struct sockaddr *)&v4;

	s->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->fd, sa, size), 0);
	ck_assert_int_eq(getsockname(s->fd, sa, &size), 0);
	s->port = ntohs(v6 ? ss.sin6_port : v4.sin_port);
	if (!listens)
		return;
	ck_assert_int_eq(listen(s->fd, 256), 0);
	s->event = event_new(d.base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	event_add(s->event, NULL);
}

static void unserve(struct server *s)
{
	if (s->event)
		event_free(s->event);
	close(s->fd);
}

/* --- the daemon around them ------------------------------------------------------------------- */

static struct params *params_new(void)
{
	struct params *p = calloc(1, sizeof(*p));

	p->targets = calloc(TARGETS, sizeof(*p->targets));
	p->services = calloc(4, sizeof(*p->services));
	p->target_lists = calloc(TARGETS, sizeof(*p->target_lists));
	return p;
}

static void params_free(struct params *p)
{
	free(p->targets);
	free(p->services);
	free(p->target_lists);
	free(p);
}

static struct target_params *add(struct params *p, const struct server *s, enum check_kind kind)
{
	struct target_params *t = &p->targets[p->n_targets];

	snprintf(t->name, sizeof(t->name), "t%u", p->n_targets++);
	t->has_v4 = true;
	ipaddr_parse(&t->v4, "127.0.0.1");
	t->member = PARAMS_NONE;
	t->check = (struct check_params){
		.kind = kind, .port = s->port, .path = "/", .interval_ms = 100, .timeout_ms = 300};
	return t;
}

static void start(struct params *p)
{
	d.params = p;
	ck_assert_int_eq(checks_open(&d), 0);
}

static void set_up(void)
{
	memset(verdicts, 0, sizeof(verdicts));
	memset(&d, 0, sizeof(d));
	d.base = event_base_new();
	log_init(LOG_TARGET_STDERR, LOG_LVL_ERROR, "check_checks");
}

static void tear_down(void)
{
	checks_close(&d);
	while (conversations)
		hang_up(conversations);
	event_base_free(d.base);
	params_free(d.params);
}

/* Let things happen until `condition` holds, or too much time has gone by. */
#define await(condition)                                                                           \
	do {                                                                                       \
		uint64_t until = daemon_now_ns() + DEADLINE_MS * MS;                               \
		while (!(condition) && daemon_now_ns() < until)                                    \
			event_base_loop(d.base, EVLOOP_ONCE);                                      \
		ck_assert_msg(condition, "%s", #condition);                                        \
	} while (0)

static unsigned n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(tcp)
{
	struct server good = {.stay = true}, six = {.stay = true}, dead = {0};
	struct params *p = params_new();
	struct target_params *t;

	serve(&good, false, true);
	serve(&six, true, true);
	serve(&dead, false, false);
	add(p, &good, CHECK_TCP);
	add(p, &dead, CHECK_TCP);
	t = add(p, &six, CHECK_TCP);
	t->has_v4 = false;
	t->has_v6 = true;
	ipaddr_parse(&t->v6, "::1");
	add(p, &good, CHECK_NONE);
	start(p);
	await(verdicts[0].up > 2 && verdicts[1].down > 2 && verdicts[2].up > 2);
	ck_assert_str_eq(verdicts[0].why, "connected");
	ck_assert_str_eq(verdicts[1].why, "connection refused");
	ck_assert_uint_eq(verdicts[0].down + verdicts[1].up + verdicts[2].down, 0);
	ck_assert_uint_eq(verdicts[3].up + verdicts[3].down, 0);
	unserve(&good);
	unserve(&six);
	unserve(&dead);
}
END_TEST

struct http_case {
	const char *answer;
	bool up, drip, stay;
	const char *why;
};

static const struct http_case http_cases[] = {
	{"HTTP/1.1 200 OK\r\n\r\nhello", true, false, false, "HTTP status 2xx"},
	{"HTTP/1.0 301 Moved\r\n", true, false, true, "HTTP status 3xx"},
	{"HTTP/1.0 204\r\n", true, true, true, "HTTP status 2xx"},
	{"HTTP/1.1 404 Not Found\r\n\r\n", false, false, false, "HTTP status 4xx"},
	{"HTTP/1.1 500 Oh\r\n", false, false, false, "HTTP status 5xx"},
	{"HTTP/1.1 100 Continue\r\n", false, false, false, "HTTP status 1xx"},
	{"220 ftp.example ready\r\n", false, false, true, "answer is no HTTP"},
	{"HTTP/1.1 200 OK", false, false, false, "closed without an HTTP answer"},
	{"HTTP/1.1 200 OK", false, false, true, "no answer in time"},
	{NULL, false, false, true, "no answer in time"},
	{"HTTP/1.1 200 a very long reason that comes one byte after the other\r\n", false, true,
	 true, "no answer in time"},
};

#define N_HTTP (sizeof(http_cases) / sizeof(http_cases[0]))

START_TEST(http)
{
	const struct http_case *c = &http_cases[_i];
	struct server s = {
		.answer = c->answer, .drip = c->drip, .stay = c->stay, .after_request = true};
	struct params *p = params_new();
	struct verdict *v = &verdicts[0];
	uint64_t begun = daemon_now_ns();

	serve(&s, false, true);
	add(p, &s, CHECK_HTTP)->check.timeout_ms = c->up ? 5000 : 400;
	start(p);
	await(v->up + v->down > 0);
	ck_assert_uint_eq(v->up, c->up);
	ck_assert_str_eq(v->why, c->why);
	/* libevent counts from when the loop last looked at the clock. */
	if (strcmp(c->why, "no answer in time") == 0)
		ck_assert_uint_ge(v->first_ns - begun, 380 * MS);
	unserve(&s);
}
END_TEST

START_TEST(http_request)
{
	struct server s = {.answer = "HTTP/1.0 200 OK\r\n", .after_request = true};
	struct params *p = params_new();
	struct target_params *t;
	char expected[256], host[32];

	serve(&s, false, true);
	t = add(p, &s, CHECK_HTTP);
	snprintf(t->check.path, sizeof(t->check.path), "/health?x=1");
	if (_i)
		snprintf(t->check.host, sizeof(t->check.host), "www.example");
	start(p);
	await(verdicts[0].up > 0);
	snprintf(host, sizeof(host), "127.0.0.1:%u", s.port);
	snprintf(expected, sizeof(expected),
		 "GET /health?x=1 HTTP/1.0\r\nHost: %s\r\nUser-Agent: fwclusterd\r\n"
		 "Accept: */*\r\nConnection: close\r\n\r\n",
		 _i ? "www.example" : host);
	ck_assert_str_eq(s.request, expected);
	unserve(&s);
}
END_TEST

START_TEST(agents)
{
	struct server words = {.answer = "75% up ready\n"}, mute = {.stay = true},
		      noise = {.answer = "\x01\x02\x03"}, dead = {0}, short_ = {.answer = "drain"};
	const struct server *servers[] = {&words, &mute, &noise, &dead, &short_};
	struct params *p = params_new();

	serve(&words, false, true);
	serve(&mute, false, true);
	serve(&noise, false, true);
	serve(&dead, false, false);
	serve(&short_, false, true);
	for (unsigned i = 0; i < 5; i++)
		add(p, &dead, CHECK_NONE)->check.agent_port = servers[i]->port;
	start(p);
	await(verdicts[0].n_load >= 6 && verdicts[4].n_load >= 2 && mute.accepted > 2 &&
	      noise.accepted > 2);
	ck_assert_int_eq(verdicts[0].load[0], 75);
	ck_assert_int_eq(verdicts[0].load[1], AGENT_UP);
	ck_assert_int_eq(verdicts[0].load[2], AGENT_READY);
	ck_assert_int_eq(verdicts[0].load[3], 75);
	ck_assert_int_eq(verdicts[4].load[0], AGENT_DRAIN);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(verdicts[i].up + verdicts[i].down, 0);
		ck_assert(i == 0 || i == 4 || verdicts[i].n_load == 0);
	}
	unserve(&words);
	unserve(&mute);
	unserve(&noise);
	unserve(&dead);
	unserve(&short_);
}
END_TEST

static bool all_judged(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (verdicts[i].up + verdicts[i].down == 0)
			return false;
	return true;
}

/* All hang: no more than 64 at a time, and none waits for ever. */
START_TEST(bounded)
{
	struct server hangs = {.stay = true, .after_request = true};
	struct params *p = params_new();

	serve(&hangs, false, true);
	for (unsigned i = 0; i < TARGETS; i++)
		add(p, &hangs, CHECK_HTTP);
	start(p);
	await(all_judged(TARGETS));
	ck_assert_uint_gt(hangs.most_open, 32);
	ck_assert_uint_le(hangs.most_open, 64 + 1); /* the server may learn of one's end late */
	unserve(&hangs);
}
END_TEST

/* Not all at once: the first round takes as long as the interval, or nearly. */
START_TEST(spread)
{
	struct server good = {.stay = true};
	struct params *p = params_new();
	uint64_t first = UINT64_MAX, last = 0;

	serve(&good, false, true);
	for (unsigned i = 0; i < 20; i++)
		add(p, &good, CHECK_TCP)->check.interval_ms = 1000;
	start(p);
	await(all_judged(20));
	for (unsigned i = 0; i < 20; i++) {
		first = verdicts[i].first_ns < first ? verdicts[i].first_ns : first;
		last = verdicts[i].first_ns > last ? verdicts[i].first_ns : last;
	}
	ck_assert_uint_gt(last - first, 400 * MS);
	unserve(&good);
}
END_TEST

/* Targets have other places and one is gone; a check that is under way counts for nobody. */
START_TEST(reload)
{
	struct server good = {.stay = true}, dead = {0},
		      hangs = {.stay = true, .after_request = true};
	struct params *before = params_new(), *after = params_new();

	serve(&good, false, true);
	serve(&dead, false, false);
	serve(&hangs, false, true);
	add(before, &good, CHECK_TCP);
	add(before, &dead, CHECK_TCP);
	add(before, &hangs, CHECK_HTTP)->check.timeout_ms = 1000000;
	add(after, &dead, CHECK_TCP);
	add(after, &good, CHECK_TCP);
	memcpy(after->targets[0].name, "t1", 3);
	memcpy(after->targets[1].name, "t0", 3);
	start(before);
	await(verdicts[0].up > 0 && verdicts[1].down > 0 && hangs.open == 1);
	d.params = after;
	checks_reload(&d);
	params_free(before);
	memset(verdicts, 0, sizeof(verdicts));
	await(verdicts[0].down > 2 && verdicts[1].up > 2 && hangs.open == 0);
	ck_assert_uint_eq(verdicts[0].up + verdicts[1].down + verdicts[2].up + verdicts[2].down, 0);
	unserve(&good);
	unserve(&dead);
	unserve(&hangs);
}
END_TEST

/* Nothing is left open at the end, whatever was under way. */
START_TEST(closed)
{
	struct server hangs = {.stay = true, .after_request = true};
	struct params *p = params_new();
	unsigned before = n_fds();

	serve(&hangs, false, true);
	for (unsigned i = 0; i < 10; i++)
		add(p, &hangs, CHECK_HTTP)->check.timeout_ms = 1000000;
	start(p);
	await(hangs.open == 10);
	checks_close(&d);
	await(hangs.open == 0);
	unserve(&hangs);
	ck_assert_uint_eq(n_fds(), before);
}
END_TEST

/* That this process has no descriptor left is not the server's fault. */
START_TEST(no_descriptors)
{
	struct server good = {.stay = true};
	struct params *p = params_new();
	struct rlimit limit, none;
	uint64_t end;

	serve(&good, false, true);
	add(p, &good, CHECK_TCP);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	log_set_level(LOG_LVL_ERROR);
	start(p);
	setrlimit(RLIMIT_NOFILE, &none);
	end = daemon_now_ns() + 300 * MS;
	await(daemon_now_ns() > end);
	ck_assert_uint_eq(verdicts[0].up + verdicts[0].down, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	await(verdicts[0].up > 0);
	ck_assert_uint_eq(verdicts[0].down, 0);
	unserve(&good);
}
END_TEST

/* The port asked: the check's own, the target's, or the first of its services. */
START_TEST(ports)
{
	struct server good = {.stay = true};
	struct params *p = params_new();

	serve(&good, false, true);
	for (uint16_t i = 0; i < 4; i++) {
		add(p, &good, CHECK_TCP)->check.port = 0;
		p->target_lists[i] = i;
	}
	p->n_services = 3;
	p->services[0] = (struct service_params){.proto = IPPROTO_NUM_UDP,
						 .n_ports = 1,
						 .ports = {{1, 1}},
						 .targets = {1, 1},
						 .sorry = PARAMS_NONE};
	p->services[1] = (struct service_params){
		.proto = IPPROTO_NUM_TCP, .targets = {0, 4}, .sorry = PARAMS_NONE};
	p->services[2] = (struct service_params){.proto = IPPROTO_NUM_TCP,
						 .n_ports = 1,
						 .ports = {{good.port, 65535}},
						 .targets = {1, 1},
						 .sorry = 2};
	p->targets[0].port = good.port;
	start(p);
	await(verdicts[0].up > 1 && verdicts[1].up > 1 && verdicts[2].up > 1);
	ck_assert_uint_eq(verdicts[3].up + verdicts[3].down, 0); /* has none */
	unserve(&good);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checks");
	TCase *t = tcase_create("checks");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, tcp);
	tcase_add_loop_test(t, http, 0, N_HTTP);
	tcase_add_loop_test(t, http_request, 0, 2);
	tcase_add_test(t, agents);
	tcase_add_test(t, bounded);
	tcase_add_test(t, spread);
	tcase_add_test(t, reload);
	tcase_add_test(t, closed);
	tcase_add_test(t, no_descriptors);
	tcase_add_test(t, ports);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
