/*
 * checks.c - are the targets well, and how loaded are they? Asked over TCP from the host's own
 * stack: a connection alone, an HTTP request, an agent's line (HD-12, HD-24).
 *
 * A job is one question to one target, again and again; jobs begin spread over their interval, so
 * that servers are not asked all at once. At most CHECKS_OPEN connections are open at a time; a job
 * that finds none free waits, and those behind it are served in turn. Each has one deadline for
 * all, however slowly a server drips. The engine counts the results and judges.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "dispatch/agent.h"
#include "io/connect.h"

#define CHECKS_OPEN 64
#define CHECKS_WARN_NS 60000000000ULL
#define NS_PER_MS 1000000ULL
#define NEVER UINT64_MAX

struct job {
	char name[PARAMS_NAME]; /* of the target */
	uint16_t target;
	bool agent, open;
	enum check_kind kind;
	struct endpoint to;
	uint32_t interval_ms, timeout_ms;
	uint64_t due_ns;
};

/* An open connection. */
struct check {
	struct checks *checks; /* NULL = free */
	uint32_t job;
	int fd;
	struct event *event;
	uint64_t deadline_ns;
	bool connected;
	size_t n_request, sent, received;
	char request[512];
	uint8_t answer[HTTP_STATUS_MAX];
};

struct checks {
	struct daemon *daemon;
	struct event *timer;
	struct job *jobs;
	uint32_t n_jobs, hand, n_open;
	uint64_t warned_ns;
	struct check open[CHECKS_OPEN];
};

/* --- what there is to do ---------------------------------------------------------------------- */

static bool service_has(const struct params *p, const struct service_params *s, uint16_t target)
{
	for (uint32_t i = 0; i < s->targets.n; i++)
		if (p->target_lists[s->targets.first + i] == target)
			return true;
	return s->sorry == target;
}

/* The target's own port, else the first of its services, those over TCP preferred. 0: none. */
static uint16_t job_port(const struct params *p, uint16_t target)
{
	const struct target_params *t = &p->targets[target];
	uint16_t port = 0;

	if (t->check.port)
		return t->check.port;
	if (t->port)
		return t->port;
	for (uint32_t i = 0; i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		if (s->n_ports == 0 || !service_has(p, s, target))
			continue;
		if (s->proto == IPPROTO_NUM_TCP)
			return s->ports[0].lo;
		if (port == 0)
			port = s->ports[0].lo;
	}
	return port || t->check.kind != CHECK_HTTP ? port : 80;
}

static void jobs_add(struct checks *c, const struct params *p, uint16_t target, bool agent)
{
	const struct target_params *t = &p->targets[target];
	struct job *job = &c->jobs[c->n_jobs];

	*job = (struct job){.target = target,
			    .agent = agent,
			    .kind = t->check.kind,
			    .to.addr = t->has_v4 ? t->v4 : t->v6,
			    .to.port = agent ? t->check.agent_port : job_port(p, target),
			    .interval_ms = t->check.interval_ms,
			    .timeout_ms = t->check.timeout_ms};
	snprintf(job->name, sizeof(job->name), "%s", t->name);
	if (job->to.port == 0) {
		log_warning("target \"%s\": no port to check, give it check-port; not checked",
			    t->name);
		return;
	}
	c->n_jobs++;
}

static int jobs_make(struct checks *c, const struct params *p, uint64_t now)
{
	c->n_jobs = c->hand = 0;
	c->jobs = calloc(2 * (size_t)p->n_targets + 1, sizeof(*c->jobs));
	if (!c->jobs)
		return -ENOMEM;
	for (uint16_t i = 0; i < p->n_targets; i++) {
		const struct target_params *t = &p->targets[i];

		if (!t->has_v4 && !t->has_v6)
			continue;
		if (t->check.kind != CHECK_NONE)
			jobs_add(c, p, i, false);
		if (t->check.agent_port != 0)
			jobs_add(c, p, i, true);
	}
	for (uint32_t i = 0; i < c->n_jobs; i++)
		c->jobs[i].due_ns = now + c->jobs[i].interval_ms * NS_PER_MS * i / c->n_jobs;
	return 0;
}

static void job_next(struct job *job, uint64_t now)
{
	job->due_ns += job->interval_ms * NS_PER_MS;
	if (job->due_ns <= now)
		job->due_ns = now + job->interval_ms * NS_PER_MS;
}

/* --- results ---------------------------------------------------------------------------------- */

static void checks_arm(struct checks *c);

static void check_close(struct check *k)
{
	struct checks *c = k->checks;

	if (k->event)
		event_free(k->event);
	if (k->fd >= 0)
		close(k->fd);
	c->jobs[k->job].open = false;
	c->n_open--;
	k->event = NULL;
	k->checks = NULL;
}

static void checks_carry_out(struct checks *c)
{
	loop_carry_out(c->daemon);
	loop_arm(c->daemon);
	checks_arm(c);
}

static void check_verdict(struct check *k, bool up, const char *why)
{
	struct checks *c = k->checks;
	const struct job *job = &c->jobs[k->job];

	check_close(k);
	if (!job->agent) /* an agent that does not answer says nothing */
		engine_target_health(c->daemon->engine, job->target, up, why, daemon_now_ns(),
				     c->daemon->actions);
	checks_carry_out(c);
}

/* What is short here is no fault of the server's. */
static bool is_local_trouble(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	       error == EADDRNOTAVAIL || error == EAGAIN;
}

static const char *error_text(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
	case EPIPE:
		return "connection reset";
	case ETIMEDOUT:
		return "no answer in time";
	case EHOSTUNREACH:
		return "host unreachable";
	case ENETUNREACH:
		return "network unreachable";
	case EACCES:
	case EPERM:
		return "connection not permitted by this host";
	default:
		return "connection failed";
	}
}

static void check_failed(struct check *k, int error)
{
	struct checks *c = k->checks;
	const struct job *job = &c->jobs[k->job];
	uint64_t now = daemon_now_ns();

	if (!is_local_trouble(error)) {
		check_verdict(k, false, error_text(error));
		return;
	}
	if (c->warned_ns == 0 || now >= c->warned_ns + CHECKS_WARN_NS) {
		log_warning("target \"%s\": cannot be checked: %s; tried again", job->name,
			    strerror(error));
		c->warned_ns = now;
	}
	check_close(k);
	checks_arm(c);
}

static void check_agent_said(struct check *k, const struct agent_answer *a)
{
	struct checks *c = k->checks;
	uint16_t target = c->jobs[k->job].target;
	const int said[] = {a->share, a->health, a->state};

	check_close(k);
	for (unsigned i = 0; i < 3; i++)
		if (said[i] != AGENT_NONE)
			engine_target_load(c->daemon->engine, target, said[i], daemon_now_ns(),
					   c->daemon->actions);
	checks_carry_out(c);
}

static const char *status_text(unsigned status)
{
	static const char *const texts[] = {"HTTP status 1xx", "HTTP status 2xx", "HTTP status 3xx",
					    "HTTP status 4xx", "HTTP status 5xx"};
	return texts[status / 100 - 1];
}

/* --- one connection --------------------------------------------------------------------------- */

static void check_event(evutil_socket_t fd, short what, void *arg);

/* Wait for the socket until the deadline. */
static void check_wait(struct check *k, short what)
{
	uint64_t now = daemon_now_ns(), left = k->deadline_ns > now ? k->deadline_ns - now : 0;
	struct timeval tv = {.tv_sec = (time_t)(left / 1000000000ULL),
			     .tv_usec = (suseconds_t)(left % 1000000000ULL / 1000)};

	if (k->event)
		event_free(k->event);
	k->event = event_new(k->checks->daemon->base, k->fd, what, check_event, k);
	if (!k->event || event_add(k->event, &tv) < 0)
		check_failed(k, ENOMEM);
}

static void check_send(struct check *k)
{
	ssize_t n = send(k->fd, k->request + k->sent, k->n_request - k->sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		check_failed(k, errno);
		return;
	}
	k->sent += n > 0 ? (size_t)n : 0;
	check_wait(k, k->sent < k->n_request ? EV_WRITE : EV_READ);
}

static void check_http(struct check *k, bool closed)
{
	unsigned status;

	switch (http_parse_status(&status, k->answer, k->received)) {
	case ANSWER_OK:
		check_verdict(k, status >= 200 && status < 400, status_text(status));
		return;
	case ANSWER_MORE:
		if (closed)
			check_verdict(k, false, "closed without an HTTP answer");
		else
			check_wait(k, EV_READ);
		return;
	case ANSWER_BAD:
		check_verdict(k, false, "answer is no HTTP");
	}
}

static void check_agent(struct check *k, bool closed)
{
	struct agent_answer a;

	switch (agent_parse(&a, k->answer, k->received, closed)) {
	case ANSWER_OK:
		check_agent_said(k, &a);
		return;
	case ANSWER_MORE:
		check_wait(k, EV_READ);
		return;
	case ANSWER_BAD:
		check_verdict(k, false, "");
	}
}

/* The parsers end the conversation before the room does. */
static void check_receive(struct check *k)
{
	size_t room = sizeof(k->answer) - k->received;
	ssize_t n = recv(k->fd, k->answer + k->received, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		check_wait(k, EV_READ);
		return;
	}
	if (n < 0) {
		check_failed(k, errno);
		return;
	}
	k->received += (size_t)n;
	if (k->checks->jobs[k->job].agent)
		check_agent(k, n == 0);
	else
		check_http(k, n == 0);
}

static void check_connected(struct check *k)
{
	const struct job *job = &k->checks->jobs[k->job];
	int rc = connect_result(k->fd);

	k->connected = true;
	if (rc < 0)
		check_failed(k, -rc);
	else if (job->agent)
		check_wait(k, EV_READ);
	else if (job->kind == CHECK_TCP)
		check_verdict(k, true, "connected");
	else
		check_send(k);
}

static void check_event(evutil_socket_t fd, short what, void *arg)
{
	struct check *k = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		check_failed(k, ETIMEDOUT);
	else if (!k->connected)
		check_connected(k);
	else if (what & EV_WRITE)
		check_send(k);
	else
		check_receive(k);
}

/* --- beginning one ---------------------------------------------------------------------------- */

static void check_make_request(struct check *k, const struct job *job)
{
	const struct check_params *p = &k->checks->daemon->params->targets[job->target].check;
	struct endpoint host = job->to;
	char buf[ADDR_TEXT];
	int n;

	endpoint_text(buf, &host);
	if (host.port == 80) /* the port is named when it is another than HTTP's own */
		*strrchr(buf, ':') = '\0';
	n = snprintf(k->request, sizeof(k->request),
		     "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: fwclusterd\r\nAccept: */*\r\n"
		     "Connection: close\r\n\r\n",
		     p->path, p->host[0] ? p->host : buf);
	k->n_request = (size_t)n;
}

static void check_begin(struct checks *c, uint32_t i, uint64_t now)
{
	struct job *job = &c->jobs[i];
	struct check *k = c->open;

	while (k->checks)
		k++;
	memset(k, 0, sizeof(*k));
	k->checks = c;
	k->job = i;
	k->deadline_ns = now + job->timeout_ms * NS_PER_MS;
	job->open = true;
	job_next(job, now);
	c->n_open++;
	if (!job->agent && job->kind == CHECK_HTTP)
		check_make_request(k, job);
	k->fd = connect_start(&job->to);
	if (k->fd < 0)
		check_failed(k, -k->fd);
	else
		check_wait(k, EV_WRITE);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void checks_arm(struct checks *c)
{
	uint64_t next = NEVER, now = daemon_now_ns(), wait;
	struct timeval tv;

	if (c->n_open == CHECKS_OPEN) /* called again when one ends */
		return;
	for (uint32_t i = 0; i < c->n_jobs; i++)
		if (!c->jobs[i].open && c->jobs[i].due_ns < next)
			next = c->jobs[i].due_ns;
	if (next == NEVER)
		return;
	wait = next > now ? next - now : 0;
	tv = (struct timeval){.tv_sec = (time_t)(wait / 1000000000ULL),
			      .tv_usec = (suseconds_t)(wait % 1000000000ULL / 1000)};
	evtimer_add(c->timer, &tv);
}

static void checks_timer(evutil_socket_t fd, short what, void *arg)
{
	struct checks *c = arg;
	uint64_t now = daemon_now_ns();
	uint32_t begin = c->hand;

	(void)fd;
	(void)what;
	for (uint32_t i = 0; i < c->n_jobs && c->n_open < CHECKS_OPEN; i++) {
		uint32_t j = (begin + i) % c->n_jobs;

		c->hand = j + 1;
		if (!c->jobs[j].open && c->jobs[j].due_ns <= now)
			check_begin(c, j, now);
	}
	checks_arm(c);
}

int checks_open(struct daemon *d)
{
	struct checks *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	d->checks = c;
	c->daemon = d;
	c->timer = evtimer_new(d->base, checks_timer, c);
	if (!c->timer || jobs_make(c, d->params, daemon_now_ns()) < 0) {
		log_error("checks: out of memory");
		checks_close(d);
		return -ENOMEM;
	}
	checks_arm(c);
	return 0;
}

static void checks_abandon(struct checks *c)
{
	for (unsigned i = 0; i < CHECKS_OPEN; i++)
		if (c->open[i].checks) {
			c->jobs[c->open[i].job].due_ns = 0; /* again, and soon */
			check_close(&c->open[i]);
		}
}

/* A job that was there before keeps its place in time. */
static void job_keep(struct job *job, const struct job *old, uint32_t n, uint64_t now)
{
	uint64_t latest = now + job->interval_ms * NS_PER_MS;

	for (uint32_t i = 0; i < n; i++)
		if (old[i].agent == job->agent && strcmp(old[i].name, job->name) == 0)
			job->due_ns = old[i].due_ns < latest ? old[i].due_ns : latest;
}

void checks_reload(struct daemon *d)
{
	struct checks *c = d->checks;
	struct job *old;
	uint64_t now = daemon_now_ns();
	uint32_t n_old;

	if (!c)
		return;
	checks_abandon(c);
	old = c->jobs;
	n_old = c->n_jobs;
	if (jobs_make(c, d->params, now) < 0)
		log_error("checks: out of memory, targets are no longer checked");
	for (uint32_t i = 0; i < c->n_jobs; i++)
		job_keep(&c->jobs[i], old, n_old, now);
	free(old);
	checks_arm(c);
}

void checks_close(struct daemon *d)
{
	struct checks *c = d->checks;

	if (!c)
		return;
	checks_abandon(c);
	if (c->timer)
		event_free(c->timer);
	free(c->jobs);
	free(c);
	d->checks = NULL;
}
