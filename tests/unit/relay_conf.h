/*
 * relay_conf.h - what tests of relays have in common: a service whose cookies may name a server
 * that another dispatcher is connected to.
 */
#ifndef TESTS_RELAY_CONF_H
#define TESTS_RELAY_CONF_H

#include <stdio.h>
#include <string.h>

#include "base/name_id.h"
#include "proxy/impl.h"
#include "proxy_world.h"

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static uint16_t web, a, b, via, near, far;
static const uint8_t secret[COOKIE_SECRET] = {1, 2, 3};

/* Targets "a" and "b" of this node, "via" of another; "far" is a dispatcher, as is "near". */
static inline struct params *conf_new(void)
{
	struct params *conf = world_conf();
	struct l7_params *l7;

	near = world_member(conf, "near");
	far = world_member(conf, "far");
	web = world_service(conf, "web");
	l7 = world_l7(conf, web);
	l7->cookie = L7_COOKIE_INSERT;
	l7->relay = L7_RELAY_BOTH;
	l7->cookie_drain_s = 60;
	snprintf(l7->cookie_name, sizeof(l7->cookie_name), "SRV");
	snprintf(l7->cookie_pattern, sizeof(l7->cookie_pattern), "*.%%");
	a = world_target(conf, web, "a");
	b = world_target(conf, web, "b");
	via = world_target(conf, web, "via");
	conf->targets[via].n_via = 1;
	conf->targets[via].via[0] = far;
	return conf;
}

static inline struct world *start(struct params *conf)
{
	struct world *w = world_new(conf);

	ck_assert_int_eq(proxy_add_cookie_key(w->proxy, 1, secret, true), 0);
	w->targets[via].standing = L7_TARGET_DOWN;
	return w;
}

static inline struct world *start_found(struct params *conf)
{
	struct world *w = start(conf);

	w->find = (struct world_find){.found = L7_FOUND, .relay = world_relay(far)};
	return w;
}

static inline const struct l7_service_counts *counts(const struct world *w)
{
	return &w->services[web].counts;
}

/* A Cookie field that names the server. */
static inline const char *cookie(const struct world *w, const char *server)
{
	static char line[128];
	char token[COOKIE_TOKEN + 1];
	struct cookie_token t = {.server = name_id(server), .expires_s = 1700080000, .salt = 7};

	cookie_token_make(token, &w->proxy->services[web].keys, &t);
	snprintf(line, sizeof(line), "Cookie: SRV=%s\r\n", token);
	return line;
}

static inline const char *request(const struct world *w, const char *server)
{
	static char text[512];

	snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: x\r\n%s\r\n", cookie(w, server));
	return text;
}

static inline void expect_status(struct world *w, int client, unsigned status)
{
	char start[32];

	snprintf(start, sizeof(start), "HTTP/1.1 %u ", status);
	world_expect_start(w, client, start, NULL);
}

static inline int client_at(struct world *w, const char *address, uint16_t port)
{
	struct endpoint from = world_endpoint(address, port);

	return world_client_from(w, web, &from);
}

static inline bool is_from(struct world *w, int server, const char *address)
{
	struct ipaddr from = world_from(w, server);
	struct endpoint want = world_endpoint(address, 0);

	return ipaddr_eq(&from, &want.addr);
}

#endif
