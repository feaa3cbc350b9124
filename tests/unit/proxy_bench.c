/*
 * proxy_bench.c - a proxy with sessions that are nothing but wishes.
 */
#include "proxy_bench.h"

#include <stdlib.h>

struct bench *bench;
uint16_t web, a, b;

void session_granted(struct proxy *p, struct server_wish *w)
{
	struct user *u = (struct user *)w;

	ck_assert_int_eq(w->state, WISH_HAS);
	ck_assert_ptr_eq(w->conn->wish, w);
	ck_assert(w->conn->connected);
	u->granted = ++bench->n_granted;
	if (u->forgets)
		server_forget(p, &u->forgets->wish);
}

void session_denied(struct proxy *p, struct server_wish *w)
{
	struct user *u = (struct user *)w;

	(void)p;
	ck_assert_int_eq(w->state, WISH_NONE);
	ck_assert_ptr_null(w->conn);
	u->n_denied++;
}

void session_server_ready(struct proxy *p, struct server_conn *c, uint8_t what)
{
	struct user *u = (struct user *)c->wish;

	u->n_ready += what != 0;
	u->n_due += what == 0;
	proxy_want(p, &c->watch, 0);
}

struct session *session_new(struct proxy *p, uint16_t service, int fd, const struct endpoint *from,
			    const struct endpoint *to, uint16_t relay)
{
	(void)p, (void)service, (void)fd, (void)from, (void)to, (void)relay;
	bench->n_accepted++;
	return NULL;
}

void session_stranded(struct proxy *p, struct server_wish *w)
{
	(void)p;
	((struct user *)w)->n_stranded++;
}

void session_client_ready(struct proxy *p, struct proxy_watch *w, uint8_t what)
{
	(void)p, (void)w, (void)what;
}

void session_due(struct proxy *p, struct timer *t)
{
	(void)p, (void)t;
}

void sessions_remap(struct proxy *p, const struct proxy_map *m)
{
	(void)p, (void)m;
}

void sessions_seek(struct proxy *p)
{
	(void)p;
}

bool sessions_displace(struct proxy *p)
{
	(void)p;
	return false;
}

void sessions_close(struct proxy *p)
{
	for (unsigned i = 0; i < USERS; i++) {
		struct server_wish *w = &bench->users[i].wish;

		if (w->state == WISH_HAS)
			server_close(p, w, false);
		else
			server_forget(p, w);
	}
}

void sessions_bury(struct proxy *p)
{
	(void)p;
}

/* --- the bench -------------------------------------------------------------------------------- */

struct params *conf_new(void)
{
	struct params *conf = world_conf();

	web = world_service(conf, "web");
	a = world_target(conf, web, "a");
	b = world_target(conf, web, "b");
	return conf;
}

struct world *bench_new(struct params *conf)
{
	bench = calloc(1, sizeof(*bench));
	return world_new(conf);
}

void bench_free(struct world *w)
{
	world_free(w);
	free(bench);
	bench = NULL;
}

struct user *user(unsigned i)
{
	return &bench->users[i];
}

static enum wish_answer ask_to(struct world *w, unsigned i, uint16_t target,
			       const struct endpoint *to, const struct ipaddr *from)
{
	enum wish_answer answer;

	user(i)->wish.service = web;
	user(i)->wish.target = target;
	user(i)->granted = 0;
	answer = server_ask(w->proxy, &user(i)->wish, to, from);
	proxy_settle(w->proxy);
	world_run(w);
	return answer;
}

enum wish_answer ask_at(struct world *w, unsigned i, uint16_t target, uint16_t port)
{
	struct endpoint to = {.addr = w->conf->targets[target].v4, .port = port};

	return ask_to(w, i, target, &to, NULL);
}

enum wish_answer ask_as(struct world *w, unsigned i, uint16_t target, const char *client)
{
	const struct service_params *s = &w->conf->services[web];
	struct endpoint to = {.addr = s->addresses[0], .port = s->ports[0].lo};
	struct endpoint from = world_endpoint(client, 0);

	return ask_to(w, i, target, &to, &from.addr);
}

enum wish_answer ask(struct world *w, unsigned i, uint16_t target)
{
	return ask_at(w, i, target, w->conf->targets[target].port);
}

void give_back(struct world *w, unsigned i)
{
	server_return(w->proxy, &user(i)->wish);
	proxy_settle(w->proxy);
	world_run(w);
}

void finish(struct world *w, unsigned i)
{
	server_close(w->proxy, &user(i)->wish, false);
	proxy_settle(w->proxy);
	world_run(w);
}

void forget(struct world *w, unsigned i)
{
	server_forget(w->proxy, &user(i)->wish);
	proxy_settle(w->proxy);
	world_run(w);
}

int get(struct world *w, unsigned i, uint16_t target)
{
	unsigned n = w->targets[target].n_connects;

	ck_assert_int_eq(ask(w, i, target), WISH_WAITS);
	ck_assert_uint_gt(user(i)->granted, 0);
	ck_assert_uint_eq(w->targets[target].n_connects, n + 1);
	return world_server(w, target);
}

bool denied(unsigned i, enum server_trouble why)
{
	return user(i)->n_denied == 1 && user(i)->wish.denied == why;
}

const struct l7_target_counts *counts(const struct world *w, uint16_t target)
{
	return &w->targets[target].counts;
}
