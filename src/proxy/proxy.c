/*
 * proxy.c - life of the proxy, its configuration, and who is told that something is ready.
 */
#include "proxy/proxy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name_id.h"
#include "l7/client_hello.h"
#include "l7/http_write.h"
#include "proxy/impl.h"

#define PIPES 64	    /* 16 MB in the kernel, a quarter of what it allows one user */
#define SPARE_BUFFERS 16    /* beside two for each client */
#define CHECK_NS 1000000000 /* between looks at the targets' standing */

/* --- what follows from the configuration ------------------------------------------------------ */

/* What is replaced as one. */
struct proxy_change {
	const struct params *params;
	uint32_t n_services;
	struct proxy_service *services;
	uint32_t *target_ids;
	struct server_target *targets;
	struct proxy_map map;
};

static const char *condition(const char *text)
{
	return text[0] ? text : NULL;
}

static struct http_route_rule rule_of(const struct l7_route_params *r, uint32_t pool)
{
	return (struct http_route_rule){
		.host = condition(r->host),
		.path = condition(r->path),
		.method = condition(r->method),
		.header = condition(r->header),
		.header_value = condition(r->header_value),
		.cookie = condition(r->cookie),
		.pool = pool,
	};
}

/* Without routes there is nothing to make. */
static int routes_make(struct proxy_service *s, const struct params *params, uint16_t service)
{
	struct http_route_rule rules[PARAMS_L7_ROUTES];
	size_t n = 0, bad;

	for (uint16_t i = 0; i < params->n_services && n < PARAMS_L7_ROUTES; i++)
		if (params->services[i].route_of == service)
			rules[n++] = rule_of(&params->services[i].route, i);
	if (n == 0)
		return 0;
	s->routes = http_route_new(rules, n, &bad);
	return s->routes ? 0 : -ENOMEM;
}

static int service_make(struct proxy_service *s, const struct params *params, uint16_t i)
{
	const struct service_params *sp = &params->services[i];
	struct text pattern = {sp->l7.cookie_pattern, strlen(sp->l7.cookie_pattern)};
	int rc;

	if (!technology_is_l7(sp->technology) || sp->route_of != PARAMS_NONE)
		return 0;
	rc = routes_make(s, params, i);
	if (rc == 0 && sp->l7.cookie == L7_COOKIE_OWN)
		rc = cookie_pattern_compile(&s->pattern, pattern);
	return rc;
}

static void services_free(struct proxy_service *services, uint32_t n)
{
	for (uint32_t i = 0; services && i < n; i++) {
		http_route_free(services[i].routes);
		cookie_keys_fini(&services[i].keys);
	}
	free(services);
}

static uint16_t service_by_name(const struct params *params, const char *name)
{
	for (uint16_t i = 0; i < params->n_services; i++)
		if (technology_is_l7(params->services[i].technology) &&
		    strcmp(params->services[i].name, name) == 0)
			return i;
	return PARAMS_NONE;
}

static uint16_t target_by_name(const struct params *params, const char *name)
{
	for (uint16_t i = 0; i < params->n_targets; i++)
		if (strcmp(params->targets[i].name, name) == 0)
			return i;
	return PARAMS_NONE;
}

static uint16_t member_by_name(const struct params *params, const char *name)
{
	for (uint16_t i = 0; i < params->n_members; i++)
		if (strcmp(params->members[i].name, name) == 0)
			return i;
	return PARAMS_NONE;
}

/* `old` NULL: there is none. */
static bool change_alloc(struct proxy_change *c, const struct params *old, const struct params *new)
{
	struct proxy_map *m = &c->map;

	c->params = new;
	c->n_services = new->n_services;
	c->services = calloc(new->n_services + 1, sizeof(*c->services));
	c->target_ids = calloc(new->n_targets + 1, sizeof(*c->target_ids));
	c->targets = server_targets_new(new);
	m->services = calloc(old ? old->n_services + 1 : 1, sizeof(*m->services));
	m->targets = calloc(old ? old->n_targets + 1 : 1, sizeof(*m->targets));
	return c->services && c->target_ids && c->targets && m->services && m->targets;
}

static bool is_moved(const struct target_params *x, const struct target_params *y)
{
	return x->has_v4 != y->has_v4 || x->has_v6 != y->has_v6 ||
	       (x->has_v4 && !ipaddr_eq(&x->v4, &y->v4)) ||
	       (x->has_v6 && !ipaddr_eq(&x->v6, &y->v6));
}

static void change_map(struct proxy_change *c, const struct params *old, const struct params *new)
{
	struct proxy_map *m = &c->map;

	m->n_targets = old->n_targets;
	m->n_members = old->n_members;
	for (uint16_t i = 0; i < old->n_services; i++)
		m->services[i] = service_by_name(new, old->services[i].name);
	for (uint16_t i = 0; i < old->n_targets; i++) {
		uint16_t to = target_by_name(new, old->targets[i].name);

		m->targets[i] = to;
		if (to != PARAMS_NONE)
			c->targets[to].moved = is_moved(&old->targets[i], &new->targets[to]);
	}
	for (uint16_t i = 0; i < old->n_members; i++)
		m->members[i] = member_by_name(new, old->members[i].name);
}

static struct proxy_change *change_new(const struct params *old, const struct params *new)
{
	struct proxy_change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (!change_alloc(c, old, new))
		goto fail;
	for (uint16_t i = 0; i < new->n_services; i++)
		if (service_make(&c->services[i], new, i) < 0)
			goto fail;
	for (uint16_t i = 0; i < new->n_targets; i++)
		c->target_ids[i] = proxy_name_id(new->targets[i].name);
	if (old)
		change_map(c, old, new);
	return c;
fail:
	proxy_change_free(c);
	return NULL;
}

void proxy_change_free(struct proxy_change *c)
{
	if (!c)
		return;
	services_free(c->services, c->n_services);
	free(c->target_ids);
	free(c->targets);
	free(c->map.services);
	free(c->map.targets);
	free(c);
}

struct proxy_change *proxy_prepare(const struct proxy *p, const struct params *params)
{
	return change_new(p->params, params);
}

static void limits_set(struct proxy *p)
{
	/* Buffers that are in use keep their size: a head may grow no further than it. */
	uint32_t room = p->buffers.size - HTTP_WRITE_ROOM, head = p->params->l7.max_head;

	p->limits = (struct http_limits)HTTP_LIMITS_DEFAULT;
	p->limits.bytes = head < room ? head : room;
	if (p->limits.target > p->limits.bytes)
		p->limits.target = p->limits.bytes;
	p->body_limits = (struct http_body_limits)HTTP_BODY_LIMITS_DEFAULT;
	if (p->body_limits.trailer.bytes > p->limits.bytes)
		p->body_limits.trailer.bytes = p->limits.bytes;
	p->buffers.max = 2 * p->params->l7.max_connections + SPARE_BUFFERS;
}

static void keys_load(struct proxy *p)
{
	for (uint16_t i = 0; i < p->params->n_services; i++) {
		const struct service_params *s = proxy_service_params(p, i);
		struct cookie_keys *k = &p->services[i].keys;

		cookie_keys_fini(k);
		cookie_keys_init(k, proxy_name_id(s->name), s->l7.cookie_epoch);
		for (unsigned j = 0; j < p->n_cookie_keys; j++)
			(void)cookie_keys_add(k, p->cookie_keys[j].id, p->cookie_keys[j].secret,
					      p->cookie_keys[j].active);
	}
}

/* What is new is the proxy's from now on; what was is left in the change. */
static void change_swap(struct proxy *p, struct proxy_change *c)
{
	struct proxy_change new = *c;

	c->n_services = p->n_services;
	c->services = p->services;
	c->target_ids = p->target_ids;
	c->targets = p->targets;
	p->params = new.params;
	p->n_services = new.n_services;
	p->services = new.services;
	p->target_ids = new.target_ids;
	p->targets = new.targets;
	limits_set(p);
	keys_load(p);
}

void proxy_apply(struct proxy *p, struct proxy_change *c, uint64_t now_ns)
{
	p->now_ns = now_ns;
	change_swap(p, c);
	servers_remap(p, &c->map, c->targets);
	sessions_remap(p, &c->map);
	proxy_change_free(c);
	sessions_seek(p);
	proxy_settle(p);
}

int proxy_configure(struct proxy *p, const struct params *params, uint64_t now_ns)
{
	struct proxy_change *c = proxy_prepare(p, params);

	if (!c)
		return -ENOMEM;
	proxy_apply(p, c, now_ns);
	return 0;
}

/* --- cookie keys ------------------------------------------------------------------------------ */

void proxy_forget_cookie_keys(struct proxy *p)
{
	explicit_bzero(p->cookie_keys, sizeof(p->cookie_keys));
	p->n_cookie_keys = 0;
	keys_load(p);
}

int proxy_add_cookie_key(struct proxy *p, uint8_t id, const uint8_t secret[COOKIE_SECRET],
			 bool active)
{
	for (unsigned i = 0; i < p->n_cookie_keys; i++)
		if (p->cookie_keys[i].id == id)
			return -EEXIST;
	if (p->n_cookie_keys == COOKIE_KEYS)
		return -ENOSPC;
	p->cookie_keys[p->n_cookie_keys].id = id;
	p->cookie_keys[p->n_cookie_keys].active = active;
	memcpy(p->cookie_keys[p->n_cookie_keys].secret, secret, COOKIE_SECRET);
	p->n_cookie_keys++;
	keys_load(p);
	return 0;
}

uint32_t proxy_name_id(const char *name)
{
	return name_id(name);
}

uint16_t proxy_target_by_id(const struct proxy *p, uint32_t id)
{
	for (uint16_t i = 0; i < p->params->n_targets; i++)
		if (p->target_ids[i] == id)
			return i;
	return PARAMS_NONE;
}

/* The first message of TLS has to fit whatever heads may have. */
static uint32_t buffer_size(const struct params *params)
{
	uint32_t head = params->l7.max_head + HTTP_WRITE_ROOM;

	return head > CLIENT_HELLO_MAX ? head : CLIENT_HELLO_MAX;
}

/* --- life ------------------------------------------------------------------------------------- */

struct proxy *proxy_new(const struct params *params, const struct proxy_world *world, uint64_t seed,
			uint64_t now_ns)
{
	struct proxy_change *c = change_new(NULL, params);
	struct proxy *p = calloc(1, sizeof(*p));

	if (!c || !p)
		goto fail;
	if (stream_pipes_init(&p->pipes, PIPES, PROXY_PIPE_SIZE) < 0)
		goto fail;
	p->world = *world;
	p->now_ns = p->check_due_ns = now_ns;
	p->salt = (uint32_t)(seed ^ seed >> 32);
	p->key = (struct hash_key){.k0 = seed, .k1 = ~seed};
	clock_init(&p->clock, now_ns);
	buffers_init(&p->buffers, buffer_size(params), 0);
	servers_init(p);
	ring_init(&p->finding);
	change_swap(p, c);
	proxy_change_free(c);
	return p;
fail:
	proxy_change_free(c);
	free(p);
	return NULL;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	p->ending = true;
	sessions_close(p);
	sessions_bury(p);
	servers_fini(p);
	assert(p->clock.n == 0);
	buffers_fini(&p->buffers);
	stream_pipes_fini(&p->pipes);
	services_free(p->services, p->n_services);
	free(p->target_ids);
	explicit_bzero(p->cookie_keys, sizeof(p->cookie_keys));
	free(p);
}

uint32_t proxy_connections(const struct proxy *p)
{
	return p->n_sessions;
}

bool proxy_full(const struct proxy *p)
{
	return p->n_sessions >= p->params->l7.max_connections && !p->idle_first;
}

/* --- what happens ----------------------------------------------------------------------------- */

void proxy_settle(struct proxy *p)
{
	servers_settle(p);
	sessions_bury(p);
}

void proxy_accept(struct proxy *p, uint16_t service, int fd, const struct endpoint *from,
		  const struct endpoint *to, uint16_t relay, uint64_t now_ns)
{
	struct proxy_watch none = {.fd = fd, .kind = WATCH_CLIENT};

	p->now_ns = now_ns;
	/* An idle client comes again when it has something to say; who waits is here now. */
	while (p->n_sessions >= p->params->l7.max_connections && sessions_displace(p))
		;
	if (proxy_full(p) || !session_new(p, service, fd, from, to, relay)) {
		/* The world may have noted something of it. */
		p->world.unwatch(p->world.arg, &none);
		close(fd);
	}
	proxy_settle(p);
}

void proxy_found(struct proxy *p, uint64_t now_ns)
{
	p->now_ns = now_ns;
	sessions_seek(p);
	proxy_settle(p);
}

static bool session_has(const struct server_conn *c)
{
	return c->wish && c->wish->state == WISH_HAS;
}

void proxy_ready(struct proxy *p, struct proxy_watch *w, uint8_t what, uint64_t now_ns)
{
	struct server_conn *c = (struct server_conn *)(void *)w;

	p->now_ns = now_ns;
	if (w->kind == WATCH_CLIENT)
		session_client_ready(p, w, what);
	else if (session_has(c))
		session_server_ready(p, c, what);
	else
		server_ready(p, c, what);
	proxy_settle(p);
}

static void on_due(void *arg, struct timer *t)
{
	struct proxy *p = arg;
	struct server_conn *c;

	if (t->kind == TIMER_SESSION) {
		session_due(p, t);
		return;
	}
	c = t->kind == TIMER_SERVER ? server_conn_of_timer(t) : NULL;
	if (c && session_has(c))
		session_server_ready(p, c, 0);
	else
		server_due(p, t);
}

uint64_t proxy_tick(struct proxy *p, uint64_t now_ns)
{
	p->now_ns = now_ns;
	clock_run(&p->clock, now_ns, on_due, p);
	if (now_ns >= p->check_due_ns) {
		servers_check(p);
		p->check_due_ns = now_ns + CHECK_NS;
	}
	proxy_settle(p);
	return proxy_next(p);
}

uint64_t proxy_next(const struct proxy *p)
{
	uint64_t next = clock_next(&p->clock);

	/* Targets are looked at for the connections to them. */
	return p->n_pools > 0 && p->check_due_ns < next ? p->check_due_ns : next;
}
