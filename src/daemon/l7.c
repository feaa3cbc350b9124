/*
 * l7.c - services by L7: the proxy and its life.
 */
#include "daemon/l7.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/log.h"

#define SPARE_FILES 256
#define STACK_FILES 1024 /* sockets that a stack keeps ready */

void l7_adopt(const struct daemon *d, struct params *p)
{
	if (d->l7)
		l7_stacks_adopt(d->l7, p);
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* Each client may have a connection to a server beside its own. */
static void raise_files(const struct params *p)
{
	rlim_t need = 2 * (rlim_t)p->l7.max_connections + SPARE_FILES;
	const unsigned n_stacks = p->legs_port != PARAMS_NO_PORT ? 2 : 1;
	struct rlimit limit;

	need += (rlim_t)n_stacks * STACK_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need;
	if (limit.rlim_max < need)
		limit.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	log_warning("l7: %llu open files are allowed, l7 max-connections asks for %llu; raise the "
		    "limit (LimitNOFILE= of the service)",
		    (unsigned long long)limit.rlim_cur, (unsigned long long)need);
}

/* --- cookies ---------------------------------------------------------------------------------- */

/* Keys for cookies are made of the cluster's: all dispatchers have these, and they are rotated in
 * the same way. */
static void tell_keys(struct l7 *l, const struct keyring *keys)
{
	proxy_forget_cookie_keys(l->proxy);
	for (unsigned id = 1; keys && id <= 255; id++) {
		uint8_t secret[COOKIE_SECRET];

		if (!keyring_derive(keys, (uint8_t)id, "fwcookie", secret))
			continue;
		if (proxy_add_cookie_key(l->proxy, (uint8_t)id, secret,
					 keyring_active(keys) == id) < 0)
			log_warning("l7: more than %u cluster keys: cookies made by key %u are not "
				    "known here",
				    COOKIE_KEYS, id);
		sodium_memzero(secret, sizeof(secret));
	}
}

/* --- life ------------------------------------------------------------------------------------- */

void l7_arm(struct l7 *l)
{
	uint64_t next = proxy_next(l->proxy), now;
	struct timeval tv;

	if (l->asks) {
		l->asks = false;
		loop_arm(l->daemon);
	}
	if (next >= l->armed_ns)
		return;
	now = daemon_now_ns();
	next = next > now ? next - now : 0;
	l->armed_ns = now + next;
	tv.tv_sec = (time_t)(next / 1000000000);
	tv.tv_usec = (suseconds_t)(next % 1000000000 / 1000 + 1);
	evtimer_add(l->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct l7 *l = arg;

	(void)fd;
	(void)what;
	l->armed_ns = UINT64_MAX;
	proxy_tick(l->proxy, daemon_now_ns());
	l7_listen_pace(l);
	l7_arm(l);
	l->daemon->rounds++;
}

int l7_open(struct daemon *d)
{
	struct l7 *l;

	if (!l7_wanted(d->params))
		return 0;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	raise_files(d->params);
	l->daemon = d;
	l->armed_ns = UINT64_MAX;
	if (!l7_stacks_open(l, d->params)) {
		free(l);
		return -EIO;
	}
	d->l7 = l;
	l7_stacks_adopt(l, d->params);
	return 0;
}

int l7_start(struct daemon *d, const struct keyring *keys)
{
	struct l7 *l = d->l7;
	struct proxy_world world;
	uint64_t seed;

	if (!l)
		return 0;
	l7_world(l, &world);
	l->timer = evtimer_new(d->base, on_timer, l);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || !l->timer)
		return -EIO;
	l->proxy = proxy_new(d->params, &world, seed, daemon_now_ns());
	if (!l->proxy) {
		log_error("l7: out of memory; lower l7 max-connections");
		return -ENOMEM;
	}
	tell_keys(l, keys);
	l->log = l7_log_open(d->params);
	if (d->params->l7.log != L7_LOG_NONE && !l->log)
		return -EIO;
	return l7_listen(l) > 0 ? -EIO : 0;
}

int l7_prepare(struct daemon *d, const struct params *new)
{
	if (!d->l7)
		return 0;
	d->l7->change = proxy_prepare(d->l7->proxy, new);
	return d->l7->change ? 0 : -ENOMEM;
}

void l7_forget(struct daemon *d)
{
	if (!d->l7)
		return;
	proxy_change_free(d->l7->change);
	d->l7->change = NULL;
}

void l7_reload(struct daemon *d, const struct keyring *keys)
{
	struct l7 *l = d->l7;

	if (!l)
		return;
	l7_stacks_reload(l, d->params);
	proxy_apply(l->proxy, l->change, daemon_now_ns());
	l->change = NULL;
	if (keys)
		tell_keys(l, keys);
	l7_listen(l);
	l->log = l7_log_reopen(l->log, d->params);
	l7_arm(l);
}

/* The engine may know of somebody now that the proxy has asked for. */
void l7_news(struct daemon *d)
{
	struct l7 *l = d->l7;
	uint32_t news;

	if (!l || !l->proxy)
		return;
	news = engine_l7_news(d->engine);
	if (news == l->news)
		return;
	l->news = news;
	proxy_found(l->proxy, daemon_now_ns());
	l7_listen_pace(l);
	l7_arm(l);
}

/* From time to time. */
void l7_check(struct daemon *d)
{
	struct l7 *l = d->l7;

	if (!l)
		return;
	l7_stacks_repair(l);
	l7_log_flush(l->log);
	l7_listen_pace(l);
}

void l7_close(struct daemon *d)
{
	struct l7 *l = d->l7;

	if (!l)
		return;
	l7_listen_close(l);
	proxy_free(l->proxy);
	if (l->timer)
		event_free(l->timer);
	l7_log_close(l->log);
	l7_legs_free(l);
	l7_stacks_close(l);
	free(l);
	d->l7 = NULL;
}
