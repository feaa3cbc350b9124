/*
 * fuzz_proxy.c - whole proxies, with clients and servers that say and do what the input says.
 *
 * The input is a list of steps: who (a client, a server), what, and the bytes it sends. Whatever
 * happens, the proxy ends with nothing left behind (world_free), and bytes do not change hands: in
 * what a client or server sends, bytes above 0x7f are replaced by 0x80 + the client they belong to.
 * A client must never see another's; between two heads that a server gets, only those of the two
 * heads' clients may be.
 *
 * Servers are connected to as the node, or as the client (l7/2); clients' cookies may name a server
 * of another dispatcher, which is then one of the servers (its relay); and some clients'
 * connections are what another dispatcher relays. What is connected as one client never serves
 * another.
 *
 * A server knows whose request it has by the X-Forwarded-For that the proxy writes. So that no
 * client writes one of these itself, clients have no '9'.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../unit/proxy_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK "X-Forwarded-For: 198.51.100."
#define MARK_SIZE (sizeof(MARK) - 1)
#define CLIENTS 4  /* at once */
#define SERVERS 32 /* connections to servers that are looked at */
#define NOBODY 127
#define MAX_STEPS 400
#define TARGETS 4 /* two of HTTP, one of TLS, and a relay */

struct peer {
	int fd;		 /* -1: closed */
	uint8_t owner;	 /* of what it sends: a client's number */
	int foreign;	 /* server: another client's byte since the last head, or -1 */
	size_t matched;	 /* bytes of MARK at the end of what it got */
	unsigned digits; /* the number that follows MARK, while it is read */
	bool in_digits;
	uint8_t client; /* as which it was connected to, or NOBODY */
	bool plain; /* behind TLS: nobody can tell whose connection it is, and nothing is marked */
};

struct play {
	struct world *w;
	uint16_t web, tls, targets[TARGETS];
	struct peer clients[CLIENTS], servers[SERVERS];
	unsigned n_clients, n_servers;
	const uint8_t *at, *end;
};

static const char *const requests[] = {
	"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /r/a HTTP/1.1\r\nHost: x\r\nCookie: \x80\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\x80\x80\x80\x80",
	("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	 "3\r\n\x80\x80\x80\r\n0\r\n\r\n"),
	"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x80",
	"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 40000\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nCookie: s=far\r\n\r\n",
	("PUT /r HTTP/1.1\r\nHost: x\r\nCookie: s=far\r\nContent-Length: 4\r\n\r\n"
	 "\x80\x80\x80\x80"),
	"GET / HTTP/1.1\r\nHost: x\r\nCookie: s=b; s=other\r\n\r\n",
	("GET / HTTP/1.1\r\nHost: x\r\nCookie: s=far\r\nConnection: Upgrade\r\n"
	 "Upgrade: websocket\r\n\r\n\x80"),
};

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x80\x80\x80\x80",
	("HTTP/1.1 200 OK\r\nX: \x80\r\nTransfer-Encoding: chunked\r\n\r\n"
	 "2\r\n\x80\x80\r\n0\r\n\r\n"),
	"HTTP/1.1 204 No Content\r\nSet-Cookie: s=\x80\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n\x80",
	"HTTP/1.0 200 OK\r\n\r\n\x80",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x80",
	"\x80\x80\x80\x80\x80\x80\x80\x80\r\n0\r\n\r\n",
};

static unsigned next(struct play *p)
{
	return p->at < p->end ? *p->at++ : 0;
}

static _Noreturn void wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* The world asserts by Check, of which nothing else is here: no suite runs. */
void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: %s: ", file, line, expr);
	va_start(ap, msg);
	if (msg)
		vfprintf(stderr, msg, ap);
	va_end(ap);
	wrong("");
}

/* --- whose bytes ------------------------------------------------------------------------------ */

static void send_marked(struct play *p, struct peer *x, const void *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	memcpy(copy, data, size);
	for (size_t i = 0; i < size; i++) {
		if (copy[i] & 0x80)
			copy[i] = x->plain ? 0x7f : (uint8_t)(0x80 | x->owner);
		if (copy[i] == '9' && x >= p->clients && x < p->clients + CLIENTS)
			copy[i] = '8';
	}
	(void)world_send_some(p->w, x->fd, copy, size);
	free(copy);
}

static void client_got(const struct peer *x, uint8_t byte)
{
	/* What a server says before it ever got a request belongs to nobody else. */
	if (byte & 0x80 && byte != (0x80 | x->owner) && byte != (0x80 | NOBODY))
		wrong("a client has got what belongs to another");
}

static void head_seen(struct peer *x)
{
	uint8_t owner = (uint8_t)(x->digits - 1);

	if (x->client != NOBODY && x->client != owner)
		wrong("a connection of one client is used for another");
	if (x->foreign >= 0 && x->foreign != owner)
		wrong("a server has got what belongs to neither request");
	x->owner = owner;
	x->foreign = -1;
	x->in_digits = false;
}

static void server_got(struct peer *x, uint8_t byte)
{
	uint8_t owner = byte & 0x7f;

	if (byte & 0x80 && x->client != NOBODY && owner != x->client)
		wrong("a server has got what belongs to another client than its connection");
	if (byte & 0x80 && owner != x->owner) {
		if (x->foreign >= 0 && x->foreign != owner)
			wrong("a server has got what belongs to two others");
		x->foreign = owner;
	}
	if (x->in_digits && byte >= '0' && byte <= '9') {
		x->digits = x->digits * 10 + byte - '0';
		return;
	}
	if (x->in_digits)
		head_seen(x);
	x->matched = byte == MARK[x->matched] ? x->matched + 1 : byte == MARK[0];
	if (x->matched < MARK_SIZE)
		return;
	x->matched = 0;
	x->digits = 0;
	x->in_digits = true;
}

/* All that has come so far, without the proxy running. */
static void take(struct peer *x, bool is_server)
{
	uint8_t buf[4096];
	ssize_t n;

	while (x->fd >= 0 && (n = recv(x->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (is_server)
				server_got(x, buf[i]);
			else
				client_got(x, buf[i]);
		}
}

static void take_all(struct play *p)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		take(&p->clients[i], false);
	for (unsigned i = 0; i < p->n_servers; i++)
		take(&p->servers[i], true);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void client_new(struct play *p, struct peer *x, uint16_t service, uint16_t relay)
{
	struct endpoint from = {.port = 1024};
	char address[ADDR_TEXT];

	if (p->n_clients >= NOBODY - 1)
		return;
	snprintf(address, sizeof(address), "198.51.100.%u", p->n_clients + 1);
	if (ipaddr_parse(&from.addr, address) < 0)
		abort();
	*x = (struct peer){
		.owner = (uint8_t)p->n_clients++, .client = NOBODY, .foreign = -1, .fd = -1};
	x->fd = world_client_relayed(p->w, service, &from, relay);
}

static void peer_close(struct play *p, struct peer *x)
{
	if (x->fd < 0)
		return;
	world_close(p->w, x->fd);
	x->fd = -1;
}

/* What was opened as a client belongs to that one from the beginning. */
static struct peer server_of(struct play *p, int fd, unsigned target)
{
	struct peer x = {.fd = fd, .client = NOBODY, .foreign = -1, .plain = target == 2};
	struct ipaddr from = world_from(p->w, fd);

	if (!ipaddr_is_unspecified(&from))
		x.client = (uint8_t)(from.b[15] - 1);
	x.owner = x.client;
	return x;
}

static void servers_new(struct play *p)
{
	for (unsigned t = 0; t < TARGETS; t++) {
		int fd;

		while (p->n_servers < SERVERS && (fd = world_server_try(p->w, p->targets[t])) >= 0)
			p->servers[p->n_servers++] = server_of(p, fd, t);
	}
}

/* The same for both kinds: something of the input, something that is right, an end. */
static void act(struct play *p, struct peer *x, unsigned what, const char *const *texts,
		unsigned n_texts)
{
	const char *text = texts[(what >> 3) % n_texts];
	size_t size;

	if (x->fd < 0)
		return;
	switch (what & 7) {
	case 0:
		size = next(p);
		if (size > (size_t)(p->end - p->at))
			size = (size_t)(p->end - p->at);
		send_marked(p, x, p->at, size);
		p->at += size;
		break;
	case 1:
		shutdown(x->fd, SHUT_WR);
		break;
	case 2:
		peer_close(p, x);
		break;
	case 3: /* cut short */
		size = next(p);
		send_marked(p, x, text, size < strlen(text) ? size : strlen(text));
		break;
	case 4: { /* much */
		uint8_t much[20000];

		memset(much, x->plain ? 0x7f : 0x80 | x->owner, sizeof(much));
		(void)world_send_some(p->w, x->fd, much, sizeof(much));
		break;
	}
	default:
		send_marked(p, x, text, strlen(text));
	}
}

static struct params *conf_new(struct play *p, unsigned options)
{
	struct params *conf = world_conf();
	struct l7_params *l7;
	uint16_t route;

	p->web = world_service(conf, "web");
	l7 = world_l7(conf, p->web);
	l7->forwarded = L7_FORWARDED_X;
	l7->cookie = options & 1      ? L7_COOKIE_INSERT
		     : options & 2    ? L7_COOKIE_PREFIX
		     : options & 0x80 ? L7_COOKIE_OWN
				      : L7_COOKIE_NONE;
	l7->relay = options & 0x80 ? L7_RELAY_BOTH : L7_RELAY_NONE;
	snprintf(l7->cookie_name, sizeof(l7->cookie_name), "s");
	snprintf(l7->cookie_pattern, sizeof(l7->cookie_pattern), "%%");
	if (options & 0x40)
		conf->services[p->web].technology = TECHNOLOGY_L7_2;
	l7->max_queue = 2;
	l7->max_idle = options & 4 ? 0 : 2;
	route = world_route(conf, p->web, "r");
	snprintf(conf->services[route].route.path, sizeof(conf->services[route].route.path), "/r");
	p->tls = world_service(conf, "tls");
	world_l7(conf, p->tls)->content = L7_CONTENT_TLS;
	p->targets[0] = world_target(conf, p->web, "a");
	p->targets[1] = world_target(conf, route, "b");
	p->targets[2] = world_target(conf, p->tls, "c");
	p->targets[3] = world_relay(world_member(conf, "far"));
	conf->targets[p->targets[0]].max_connections = options >> 3 & 3;
	conf->l7.max_head = options & 0x20 ? 512 : 16384;
	return conf;
}

static void circumstance(struct play *p, unsigned what)
{
	uint16_t target = p->targets[what % TARGETS];
	struct world_target *t = world_at(p->w, target);

	switch (what >> 2 & 7) {
	case 0:
		t->connect = (enum world_connect)(next(p) % 4);
		t->connect_error = ECONNREFUSED;
		break;
	case 1:
		world_answer(p->w, target);
		break;
	case 2:
		world_stand(p->w, target, (enum l7_standing)(next(p) % 3));
		break;
	case 3:
		world_advance(p->w, 20);
		break;
	case 4:
		world_advance(p->w, (uint64_t)next(p) * 100);
		break;
	case 5:
		p->w->find.found = (enum l7_found)(next(p) % 3);
		p->w->find.relay = p->targets[3];
		if (what & 0x80)
			world_found(p->w);
		break;
	case 6:
		world_configure(p->w, conf_new(p, next(p)));
		break;
	default:
		(void)world_step(p->w, next(p));
	}
}

static void step(struct play *p)
{
	unsigned who = next(p), what = next(p);
	struct peer *x;

	take_all(p);
	switch (who & 3) {
	case 0:
		x = &p->clients[who >> 2 & 3];
		if (x->fd < 0)
			client_new(p, x, who & 0x80 ? p->tls : p->web,
				   who & 0x40 && !(who & 0x80) ? 0 : PARAMS_NONE);
		act(p, x, what, requests, sizeof(requests) / sizeof(requests[0]));
		break;
	case 1:
		if (p->n_servers > 0) {
			x = &p->servers[(who >> 2) % p->n_servers];
			take(x, true);
			act(p, x, what, responses, sizeof(responses) / sizeof(responses[0]));
		}
		break;
	case 2:
		circumstance(p, what);
		break;
	default:
		world_run(p->w);
		servers_new(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[COOKIE_SECRET] = {1};
	struct play *p = calloc(1, sizeof(*p));

	p->at = data;
	p->end = data + size;
	for (unsigned i = 0; i < CLIENTS; i++)
		p->clients[i].fd = -1;
	p->w = world_new(conf_new(p, next(p)));
	if (proxy_add_cookie_key(p->w->proxy, 1, secret, true) < 0)
		abort();
	for (unsigned i = 0; i < MAX_STEPS && p->at < p->end; i++)
		step(p);
	world_run(p->w);
	take_all(p);
	world_free(p->w);
	free(p);
	return 0;
}
