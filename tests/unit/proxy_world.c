/*
 * proxy_world.c - a world for a whole proxy in a test.
 *
 * Of each socket pair the world keeps a duplicate of the proxy's end. So after the proxy has closed
 * its descriptor, which the world sees by the inode behind the number, it can be asked whether a
 * reset was wanted; then the duplicate goes, and the other end sees that.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/stream.h"
#include "proxy_world_parts.h"

#define WALL_START_MS UINT64_C(1700000000000)

/* --- what the proxy is given ------------------------------------------------------------------ */

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

struct world_pair *world_pair_of(struct world *w, int fd)
{
	for (unsigned i = w->in->n_pairs; i-- > 0;)
		if (w->in->pairs[i].test == fd)
			return &w->in->pairs[i];
	ck_abort_msg("no such descriptor of the test's: %d", fd);
}

struct world_pair *world_pair_new(struct world *w, uint16_t target)
{
	struct world_inner *in = w->in;
	struct world_pair *x;
	int fds[2];

	in->pairs = realloc(in->pairs, (in->n_pairs + 1) * sizeof(*in->pairs));
	x = &in->pairs[in->n_pairs++];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	for (unsigned i = 0; w->buffer > 0 && i < 2; i++)
		ck_assert_int_eq(
			setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &w->buffer, sizeof(w->buffer)),
			0);
	*x = (struct world_pair){.test = fds[0],
				 .proxy = fds[1],
				 .dup = fcntl(fds[1], F_DUPFD_CLOEXEC, 0),
				 .inode = inode_of(fds[1]),
				 .target = target,
				 .answered = true};
	return x;
}

/* Take note of what the proxy has closed. */
void world_notice(struct world *w)
{
	for (unsigned i = 0; i < w->in->n_pairs; i++) {
		struct world_pair *x = &w->in->pairs[i];
		struct linger linger = {.l_onoff = 0};
		socklen_t size = sizeof(linger);

		if (x->proxy < 0 || inode_of(x->proxy) == x->inode)
			continue;
		getsockopt(x->dup, SOL_SOCKET, SO_LINGER, &linger, &size);
		x->aborted = linger.l_onoff && linger.l_linger == 0;
		x->proxy = -1;
		world_close_end(&x->dup);
	}
}

static void on_watch(void *arg, struct proxy_watch *watch)
{
	struct world *w = arg;
	struct world_inner *in = w->in;

	ck_assert_int_ge(watch->fd, 0);
	ck_assert_uint_le(watch->want, STREAM_READ | STREAM_WRITE);
	if (watch->armed)
		return;
	in->watches = realloc(in->watches, (in->n_watches + 1) * sizeof(struct proxy_watch *));
	in->watches[in->n_watches++] = watch;
	watch->armed = 1;
}

static void on_unwatch(void *arg, struct proxy_watch *watch)
{
	struct world *w = arg;
	struct world_inner *in = w->in;
	unsigned i = 0;

	ck_assert_int_ge(watch->fd, 0);
	w->n_unwatched++;
	if (!watch->armed)
		return;
	while (i < in->n_watches && in->watches[i] != watch)
		i++;
	ck_assert_uint_lt(i, in->n_watches);
	in->watches[i] = in->watches[--in->n_watches];
	watch->armed = 0;
}

/* An error that getsockopt(SO_ERROR) tells: the other end closed with something unread. */
static void refuse(struct world_pair *x)
{
	ck_assert_int_eq(send(x->proxy, "x", 1, MSG_NOSIGNAL), 1);
	world_close_end(&x->test);
}

struct world_target *world_at(struct world *w, uint16_t target)
{
	if (l7_is_relay(target)) {
		ck_assert_uint_lt(l7_relay_member(target), w->conf->n_members);
		return &w->peers[l7_relay_member(target)].relay;
	}
	ck_assert_uint_lt(target, w->conf->n_targets);
	return &w->targets[target];
}

/* As the client, to what it asked for; or to the target's own address. */
static void right_address(const struct world *w, uint16_t target, const struct ipaddr *from,
			  const struct endpoint *to)
{
	const struct target_params *params = &w->conf->targets[target];

	if (from) {
		ck_assert(!ipaddr_is_unspecified(from));
		ck_assert(ipaddr_eq(&to->addr, &w->conf->services[0].addresses[0]));
		ck_assert_uint_eq(to->port, w->conf->services[0].ports[0].lo);
		return;
	}
	ck_assert_uint_lt(target, w->conf->n_targets);
	ck_assert(ipaddr_eq(&to->addr, &params->v4) || ipaddr_eq(&to->addr, &params->v6));
	if (params->port)
		ck_assert_uint_eq(to->port, params->port);
}

static int on_connect(void *arg, uint16_t target, const struct ipaddr *from,
		      const struct endpoint *to)
{
	struct world *w = arg;
	struct world_target *t = world_at(w, target);
	struct world_pair *x;

	right_address(w, target, from, to);
	t->n_connects++;
	if (t->connect == WORLD_FAILS)
		return -t->connect_error;
	x = world_pair_new(w, target);
	x->answered = t->connect != WORLD_SILENT;
	x->from = from ? *from : (struct ipaddr){.q = {0, 0}};
	x->to = *to;
	if (t->connect == WORLD_REFUSES)
		refuse(x);
	return x->proxy;
}

static uint16_t on_choose(void *arg, uint16_t service, const struct endpoint *client,
			  const struct endpoint *to)
{
	struct world *w = arg;
	const struct service_params *s = &w->conf->services[service];

	(void)client;
	(void)to;
	ck_assert_uint_lt(service, w->conf->n_services);
	w->services[service].n_chosen++;
	if (w->services[service].chosen != WORLD_BY_STANDING)
		return w->services[service].chosen;
	for (uint32_t i = 0; i < s->targets.n; i++) {
		uint16_t target = w->conf->target_lists[s->targets.first + i];

		if (w->targets[target].standing == L7_TARGET_TAKES)
			return target;
	}
	return s->sorry;
}

static enum l7_standing on_standing(void *arg, uint16_t target, uint64_t *since_ns)
{
	const struct world_target *t = world_at(arg, target);

	*since_ns = t->since_ns;
	return t->standing;
}

static void on_flow(void *arg, uint16_t target, bool begins)
{
	struct world_target *t = world_at(arg, target);

	t->flows += begins ? 1 : -1;
	t->n_flows += begins;
	ck_assert_int_ge(t->flows, 0);
}

static struct l7_service_counts *on_service_counts(void *arg, uint16_t service)
{
	struct world *w = arg;

	ck_assert_uint_lt(service, w->conf->n_services);
	return &w->services[service].counts;
}

static struct l7_target_counts *on_target_counts(void *arg, uint16_t target)
{
	return &world_at(arg, target)->counts;
}

static enum l7_found on_find(void *arg, uint16_t service, uint32_t server, uint16_t *target)
{
	struct world *w = arg;

	ck_assert_uint_lt(service, w->conf->n_services);
	ck_assert_int_ne(w->conf->services[service].l7.relay, L7_RELAY_NONE);
	w->find.n_asked++;
	w->find.server = server;
	if (w->find.found == L7_FOUND)
		*target = w->find.relay;
	return w->find.found;
}

static struct l7_relay_counts *on_relay_counts(void *arg, uint16_t member)
{
	struct world *w = arg;

	ck_assert_uint_lt(member, w->conf->n_members);
	return &w->peers[member].counts;
}

static void on_serves(void *arg, const struct endpoint *from, const struct endpoint *to,
		      uint16_t target)
{
	struct world *w = arg;

	ck_assert_uint_ne(to->port, 0);
	w->served = *from;
	w->serves = target;
	w->serving += target != PARAMS_NONE ? 1 : -1;
	ck_assert_int_ge(w->serving, 0);
}

static void copy(char *out, size_t size, struct text t)
{
	size_t n = t.size < size - 1 ? t.size : size - 1;

	if (n > 0)
		memcpy(out, t.p, n);
	out[n] = 0;
}

static void on_log(void *arg, uint16_t service, const struct access_record *r)
{
	struct world *w = arg;
	struct world_record *x;

	if (w->n_records++ >= WORLD_RECORDS)
		return;
	w->records = realloc(w->records, w->n_records * sizeof(*w->records));
	x = &w->records[w->n_records - 1];
	x->service = service;
	x->record = *r;
	copy(x->method, sizeof(x->method), r->method);
	copy(x->target, sizeof(x->target), r->target);
	copy(x->host, sizeof(x->host), r->host);
	copy(x->server, sizeof(x->server), r->server);
	copy(x->name, sizeof(x->name), r->service);
	snprintf(x->cookie, sizeof(x->cookie), "%s", r->cookie ? r->cookie : "");
	snprintf(x->reason, sizeof(x->reason), "%s", r->reason ? r->reason : "");
	x->record.method = x->record.target = x->record.host = (struct text){NULL, 0};
	x->record.referer = x->record.user_agent = x->record.service = (struct text){NULL, 0};
	x->record.server = (struct text){NULL, 0};
	x->record.cookie = x->record.reason = NULL;
}

static uint64_t on_wall_ms(void *arg)
{
	struct world *w = arg;

	return WALL_START_MS + w->now_ns / WORLD_NS_PER_MS;
}

/* --- life ------------------------------------------------------------------------------------- */

static void tables_new(struct world *w)
{
	w->targets = calloc(w->conf->n_targets + 1, sizeof(*w->targets));
	w->services = calloc(w->conf->n_services + 1, sizeof(*w->services));
	for (uint32_t i = 0; i < w->conf->n_targets; i++)
		w->targets[i].standing = L7_TARGET_TAKES;
	for (uint32_t i = 0; i < PARAMS_MEMBERS; i++)
		w->peers[i] = (struct world_peer){.relay = {.standing = L7_TARGET_TAKES}};
	for (uint32_t i = 0; i < w->conf->n_services; i++)
		w->services[i].chosen = WORLD_BY_STANDING;
}

struct world *world_new(struct params *conf)
{
	struct world *w = calloc(1, sizeof(*w));
	struct proxy_world world = {.arg = w,
				    .watch = on_watch,
				    .unwatch = on_unwatch,
				    .connect = on_connect,
				    .choose = on_choose,
				    .standing = on_standing,
				    .flow = on_flow,
				    .service_counts = on_service_counts,
				    .target_counts = on_target_counts,
				    .find = on_find,
				    .relay_counts = on_relay_counts,
				    .serves = on_serves,
				    .log = on_log,
				    .wall_ms = on_wall_ms};

	signal(SIGPIPE, SIG_IGN); /* as io/stream.h asks */
	w->conf = conf;
	w->serves = PARAMS_NONE;
	w->in = calloc(1, sizeof(*w->in));
	w->in->n_descriptors = open_descriptors();
	w->now_ns = 1000 * WORLD_NS_PER_MS;
	w->max_step = 2000000;
	tables_new(w);
	w->proxy = proxy_new(conf, &world, 1, w->now_ns);
	ck_assert_ptr_nonnull(w->proxy);
	return w;
}

static void nothing_at(const struct world_target *t)
{
	ck_assert_uint_eq(t->counts.open, 0);
	ck_assert_uint_eq(t->counts.idle, 0);
	ck_assert_uint_eq(t->counts.waiting, 0);
	ck_assert_uint_eq(t->counts.requests_open, 0);
	ck_assert_int_eq(t->flows, 0);
}

static void nothing_left(struct world *w)
{
	ck_assert_uint_eq(w->in->n_watches, 0);
	for (unsigned i = 0; i < w->in->n_pairs; i++)
		ck_assert_msg(w->in->pairs[i].proxy < 0, "descriptor %d was left open",
			      w->in->pairs[i].proxy);
	for (uint32_t i = 0; i < w->conf->n_services; i++) {
		ck_assert_uint_eq(w->services[i].counts.connections_open, 0);
		ck_assert_uint_eq(w->services[i].counts.requests_open, 0);
	}
	for (uint32_t i = 0; i < w->conf->n_targets; i++)
		nothing_at(&w->targets[i]);
	for (uint32_t i = 0; i < w->conf->n_members; i++) {
		nothing_at(&w->peers[i].relay);
		ck_assert_uint_eq(w->peers[i].counts.connections_open, 0);
		ck_assert_uint_eq(w->peers[i].counts.requests_open, 0);
	}
	ck_assert_int_eq(w->serving, 0);
}

void world_free(struct world *w)
{
	proxy_free(w->proxy);
	world_notice(w);
	nothing_left(w);
	for (unsigned i = 0; i < w->in->n_pairs; i++) {
		world_close_end(&w->in->pairs[i].test);
		world_close_end(&w->in->pairs[i].dup);
	}
	if (!w->not_alone)
		ck_assert_uint_eq(open_descriptors(), w->in->n_descriptors);
	world_conf_free(w->conf);
	free(w->in->pairs);
	free(w->in->watches);
	free(w->in);
	free(w->targets);
	free(w->services);
	free(w->records);
	free(w);
}

/* As an engine finds its counters again. */
static void carry_over(struct world *w, const struct params *old,
		       const struct world_target *targets, const struct world_service *services,
		       const struct world_peer *peers)
{
	for (uint32_t i = 0; i < w->conf->n_members; i++)
		for (uint32_t k = 0; k < old->n_members; k++)
			if (strcmp(w->conf->members[i].name, old->members[k].name) == 0)
				w->peers[i] = peers[k];
	for (uint32_t i = 0; i < w->conf->n_targets; i++)
		for (uint32_t k = 0; k < old->n_targets; k++)
			if (strcmp(w->conf->targets[i].name, old->targets[k].name) == 0)
				w->targets[i] = targets[k];
	for (uint32_t i = 0; i < w->conf->n_services; i++)
		for (uint32_t k = 0; k < old->n_services; k++)
			if (strcmp(w->conf->services[i].name, old->services[k].name) == 0)
				w->services[i].counts = services[k].counts;
}

/* WORLD_CLIENTS when it is gone. */
static uint16_t target_now(const struct params *conf, const struct params *old, uint16_t target)
{
	const char *name;

	if (target == WORLD_CLIENTS)
		return WORLD_CLIENTS;
	if (l7_is_relay(target)) {
		name = old->members[l7_relay_member(target)].name;
		for (uint16_t i = 0; i < conf->n_members; i++)
			if (strcmp(conf->members[i].name, name) == 0)
				return world_relay(i);
		return WORLD_CLIENTS;
	}
	name = old->targets[target].name;
	for (uint16_t i = 0; i < conf->n_targets; i++)
		if (strcmp(conf->targets[i].name, name) == 0)
			return i;
	return WORLD_CLIENTS;
}

void world_configure(struct world *w, struct params *conf)
{
	struct proxy_change *change = proxy_prepare(w->proxy, conf);
	struct world_target *targets = w->targets;
	struct world_service *services = w->services;
	struct params *old = w->conf;
	struct world_peer peers[PARAMS_MEMBERS];

	ck_assert_ptr_nonnull(change);
	memcpy(peers, w->peers, sizeof(peers));
	w->conf = conf;
	tables_new(w);
	carry_over(w, old, targets, services, peers);
	for (unsigned i = 0; i < w->in->n_pairs; i++)
		w->in->pairs[i].target = target_now(conf, old, w->in->pairs[i].target);
	free(targets);
	free(services);
	world_conf_free(old);
	proxy_apply(w->proxy, change, w->now_ns);
	world_notice(w);
	world_run(w);
}

void world_stand(struct world *w, uint16_t target, enum l7_standing standing)
{
	world_at(w, target)->standing = standing;
	world_at(w, target)->since_ns = w->now_ns;
}

void world_answer(struct world *w, uint16_t target)
{
	for (unsigned i = 0; i < w->in->n_pairs; i++)
		if (w->in->pairs[i].target == target)
			w->in->pairs[i].answered = true;
	world_run(w);
}

/* --- what is ready ---------------------------------------------------------------------------- */

static bool is_answered(const struct world *w, int fd)
{
	for (unsigned i = 0; i < w->in->n_pairs; i++)
		if (w->in->pairs[i].proxy == fd)
			return w->in->pairs[i].answered;
	return true;
}

static short events_of(const struct world *w, const struct proxy_watch *watch)
{
	if (!is_answered(w, watch->fd))
		return 0;
	return (short)((watch->want & STREAM_READ ? POLLIN : 0) |
		       (watch->want & STREAM_WRITE ? POLLOUT : 0));
}

/* An error or the end of everything wakes whatever is waited for, as epoll does. */
static uint8_t ready_of(const struct proxy_watch *watch, const struct pollfd *p)
{
	uint8_t what = 0;

	if (p->events == 0)
		return 0;
	if (p->revents & (POLLIN | POLLHUP | POLLERR))
		what |= STREAM_READ;
	if (p->revents & (POLLOUT | POLLHUP | POLLERR))
		what |= STREAM_WRITE;
	return what & watch->want;
}

bool world_step(struct world *w, unsigned pick)
{
	unsigned n = w->in->n_watches, first = n > 0 ? pick % n : 0;
	struct pollfd *polled = calloc(n + 1, sizeof(*polled));
	struct proxy_watch *watch = NULL;
	uint8_t what = 0;

	for (unsigned i = 0; i < n; i++)
		polled[i] = (struct pollfd){.fd = w->in->watches[i]->fd,
					    .events = events_of(w, w->in->watches[i])};
	ck_assert_int_ge(poll(polled, n, 0), 0);
	for (unsigned i = 0; i < n && !what; i++) {
		unsigned k = (first + i) % n;

		ck_assert_int_eq(polled[k].revents & POLLNVAL, 0);
		watch = w->in->watches[k];
		what = ready_of(watch, &polled[k]);
	}
	free(polled);
	if (!what)
		return false;
	if (what == (STREAM_READ | STREAM_WRITE))
		what = pick / (n + 1) % 2 ? STREAM_WRITE : STREAM_READ;
	w->n_calls++;
	proxy_ready(w->proxy, watch, what, w->now_ns);
	world_notice(w);
	return true;
}

void world_run(struct world *w)
{
	world_notice(w); /* a test may have called the proxy itself */
	for (unsigned n = 0; world_step(w, w->n_calls); n++)
		ck_assert_msg(n < w->max_step, "the proxy spins");
}

void world_advance(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_ns + ms * WORLD_NS_PER_MS, next;

	world_run(w);
	for (unsigned n = 0; (next = proxy_next(w->proxy)) <= end; n++) {
		ck_assert_msg(n < w->max_step, "the proxy's clock spins");
		if (w->now_ns < next)
			w->now_ns = next;
		proxy_tick(w->proxy, w->now_ns);
		world_notice(w);
		world_run(w);
	}
	w->now_ns = end;
	proxy_tick(w->proxy, w->now_ns);
	world_notice(w);
	world_run(w);
}
