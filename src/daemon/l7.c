/*
 * l7.c - services by L7: the private stack and its port, the proxy, and their life.
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

#define STACK_NAME "clients"
#define SPARE_FILES 256 /* beside those of connections and pipes */
#define ALL_ADDRESSES ((size_t)PARAMS_SERVICES * PARAMS_SERVICE_ADDRS)

static bool wanted(const struct params *p)
{
	return p->stack_port != PARAMS_NO_PORT;
}

/* --- the stack -------------------------------------------------------------------------------- */

/* Addresses of the services, each once. To be freed; NULL without memory. */
static struct ipaddr *stack_addresses(const struct params *p, unsigned *n)
{
	struct ipaddr *v = calloc(ALL_ADDRESSES, sizeof(*v));

	*n = 0;
	for (uint16_t i = 0; v && i < p->n_services; i++) {
		const struct service_params *s = &p->services[i];

		for (uint32_t k = 0; technology_is_l7(s->technology) && k < s->n_addresses; k++) {
			unsigned j = 0;

			while (j < *n && !ipaddr_eq(&v[j], &s->addresses[k]))
				j++;
			if (j == *n)
				v[(*n)++] = s->addresses[k];
		}
	}
	return v;
}

static struct stack *stack_open(const struct params *p, char *err, size_t err_size)
{
	struct stack_params sp = {.node = p->node, .name = STACK_NAME};
	struct stack *s;
	struct ipaddr *v = stack_addresses(p, &sp.n_addresses);

	if (!v) {
		snprintf(err, err_size, "out of memory");
		return NULL;
	}
	sp.addresses = v;
	sp.user_changes = p->user[0] != 0;
	s = stack_new(&sp, err, err_size);
	free(v);
	return s;
}

/* The configuration does not know what the stack's port is made of. */
static void adopt(const struct l7 *l, struct params *p)
{
	struct port_params *port;

	if (!wanted(p))
		return;
	port = &p->ports[p->stack_port];
	snprintf(port->device, sizeof(port->device), "%s", stack_device(l->stack));
	port->has_mac = true;
	port->mac = stack_gateway_mac(l->stack);
}

void l7_adopt(const struct daemon *d, struct params *p)
{
	if (d->l7)
		adopt(d->l7, p);
}

void l7_link(const struct daemon *d, uint16_t port, struct engine_link *link)
{
	if (!d->l7 || port != d->params->stack_port)
		return;
	link->has_peer = true;
	link->peer = stack_mac(d->l7->stack);
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* Each client may have a connection to a server beside its own. */
static void raise_files(const struct params *p)
{
	rlim_t need = 2 * (rlim_t)p->l7.max_connections + SPARE_FILES;
	struct rlimit limit;

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
	char err[256];
	struct l7 *l;

	if (!wanted(d->params))
		return 0;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	raise_files(d->params);
	l->daemon = d;
	l->armed_ns = UINT64_MAX;
	l->stack = stack_open(d->params, err, sizeof(err));
	if (!l->stack) {
		log_error("l7: private stack: %s", err);
		free(l);
		return -EIO;
	}
	d->l7 = l;
	adopt(l, d->params);
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
	struct ipaddr *v;
	char err[256];
	unsigned n;

	if (!l)
		return;
	v = stack_addresses(d->params, &n);
	if (!v || stack_set_addresses(l->stack, v, n, err, sizeof(err)) < 0)
		log_error("l7: private stack: %s", v ? err : "out of memory");
	free(v);
	proxy_apply(l->proxy, l->change, daemon_now_ns());
	l->change = NULL;
	if (keys)
		tell_keys(l, keys);
	l7_listen(l);
	l->log = l7_log_reopen(l->log, d->params);
	l7_arm(l);
}

/* From time to time. */
void l7_check(struct daemon *d)
{
	struct l7 *l = d->l7;
	char err[256];
	int rc;

	if (!l)
		return;
	rc = stack_repair(l->stack, err, sizeof(err));
	if (rc < 0 && !l->repair_said)
		log_error("l7: private stack: its device is gone, and cannot be made again: %s",
			  err);
	else if (rc > 0)
		log_warning("l7: private stack: its device was gone; made again");
	l->repair_said = rc < 0;
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
	stack_free(l->stack);
	free(l);
	d->l7 = NULL;
}
