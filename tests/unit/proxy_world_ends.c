/*
 * proxy_world_ends.c - clients and servers, played by the test.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy_world_parts.h"

int world_client_relayed(struct world *w, uint16_t service, const struct endpoint *from,
			 uint16_t member)
{
	const struct service_params *s = &w->conf->services[service];
	struct endpoint to = {.addr = s->addresses[0], .port = s->ports[0].lo};
	struct world_pair *x = world_pair_new(w, WORLD_CLIENTS);
	int fd = x->test;

	proxy_accept(w->proxy, service, x->proxy, from, &to, member, w->now_ns);
	world_notice(w);
	world_run(w);
	return fd;
}

int world_client_from(struct world *w, uint16_t service, const struct endpoint *from)
{
	return world_client_relayed(w, service, from, PARAMS_NONE);
}

struct endpoint world_endpoint(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};

	ck_assert_int_eq(ipaddr_parse(&e.addr, address), 0);
	return e;
}

void world_found(struct world *w)
{
	proxy_found(w->proxy, w->now_ns);
	world_notice(w);
	world_run(w);
}

struct ipaddr world_from(struct world *w, int fd)
{
	return world_pair_of(w, fd)->from;
}

struct endpoint world_to(struct world *w, int fd)
{
	return world_pair_of(w, fd)->to;
}

int world_client(struct world *w, uint16_t service)
{
	struct endpoint from = {.port = (uint16_t)(1024 + w->in->n_clients++ % 60000)};

	ck_assert_int_eq(ipaddr_parse(&from.addr, "198.51.100.1"), 0);
	return world_client_from(w, service, &from);
}

int world_server_try(struct world *w, uint16_t target)
{
	world_run(w);
	for (unsigned i = 0; i < w->in->n_pairs; i++) {
		struct world_pair *x = &w->in->pairs[i];

		if (x->target != target || x->taken || x->test < 0)
			continue;
		x->taken = true;
		return x->test;
	}
	return -1;
}

int world_server(struct world *w, uint16_t target)
{
	int fd = world_server_try(w, target);

	ck_assert_msg(fd >= 0, "no connection to %s \"%s\" has been opened",
		      l7_is_relay(target) ? "relay" : "target",
		      l7_is_relay(target) ? w->conf->members[l7_relay_member(target)].name
					  : w->conf->targets[target].name);
	return fd;
}

size_t world_send_some(struct world *w, int fd, const void *data, size_t size)
{
	ssize_t n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)w;
	return n > 0 ? (size_t)n : 0;
}

void world_send_bytes(struct world *w, int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	world_run(w);
	while (size > 0) {
		size_t n = world_send_some(w, fd, at, size);

		world_run(w);
		if (n == 0)
			n = world_send_some(w, fd, at, size);
		ck_assert_msg(n > 0, "%zu bytes are not taken: %s", size, strerror(errno));
		at += n;
		size -= n;
	}
	world_run(w);
}

void world_send(struct world *w, int fd, const char *text)
{
	world_send_bytes(w, fd, text, strlen(text));
}

void world_close(struct world *w, int fd)
{
	world_close_end(&world_pair_of(w, fd)->test);
	world_run(w);
}

void world_shutdown(struct world *w, int fd)
{
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	world_run(w);
}

size_t world_recv(struct world *w, int fd, void *buf, size_t room)
{
	size_t n = 0;

	world_run(w);
	while (n < room) {
		ssize_t got = recv(fd, (uint8_t *)buf + n, room - n, MSG_DONTWAIT);

		if (got <= 0)
			break;
		n += (size_t)got;
		world_run(w);
	}
	return n;
}

void world_expect(struct world *w, int fd, const char *text)
{
	size_t room = strlen(text) + 4096, n;
	char *buf = calloc(1, room + 1);

	n = world_recv(w, fd, buf, room);
	ck_assert_msg(n == strlen(text) && memcmp(buf, text, n) == 0, "expected\n%s\ngot\n%s", text,
		      buf);
	free(buf);
}

void world_expect_start(struct world *w, int fd, const char *start, char *rest)
{
	size_t size = strlen(start), n;
	char *buf = calloc(1, size + 65536);

	n = world_recv(w, fd, buf, size + 65535);
	ck_assert_msg(n >= size && memcmp(buf, start, size) == 0, "expected\n%s...\ngot\n%s", start,
		      buf);
	if (rest)
		memcpy(rest, buf + size, n - size + 1);
	free(buf);
}

void world_expect_nothing(struct world *w, int fd)
{
	char byte;

	world_run(w);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

void world_expect_end(struct world *w, int fd)
{
	const struct world_pair *x;
	char byte;

	world_run(w);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), 0);
	x = world_pair_of(w, fd);
	ck_assert_msg(!x->aborted, "closed with a reset");
}

void world_expect_abort(struct world *w, int fd)
{
	const struct world_pair *x = world_pair_of(w, fd);
	char buf[4096];
	ssize_t n;

	world_run(w);
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	x = world_pair_of(w, fd);
	ck_assert_msg(x->proxy < 0, "still open");
	ck_assert_msg(x->aborted || (n < 0 && errno == ECONNRESET), "closed without a reset");
}

bool world_is_open(struct world *w, int fd)
{
	world_run(w);
	return world_pair_of(w, fd)->proxy >= 0;
}

uint64_t world_hash(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *p = data;

	if (hash == 0)
		hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t world_recv_hash(struct world *w, int fd, uint64_t size)
{
	uint8_t buf[65536];
	uint64_t hash = 0;

	while (size > 0) {
		size_t n = world_recv(w, fd, buf, size < sizeof(buf) ? size : sizeof(buf));

		ck_assert_msg(n > 0, "%llu bytes have not come", (unsigned long long)size);
		hash = world_hash(hash, buf, n);
		size -= n;
	}
	return hash;
}

const struct world_record *world_last(const struct world *w)
{
	ck_assert_uint_gt(w->n_records, 0);
	ck_assert_uint_le(w->n_records, WORLD_RECORDS);
	return &w->records[w->n_records - 1];
}
