/*
 * l7_legs.c - connections of the servers' stack: the engine delivers them by MAC, so it is told of
 * each, and of its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/l7.h"

#define LEGS_FIRST 256

/* What is noted of a descriptor. NULL without memory. */
static struct l7_leg *leg_of(struct l7 *l, int fd)
{
	int n = l->n_legs ? l->n_legs : LEGS_FIRST;
	struct l7_leg *more;

	if (fd < l->n_legs)
		return &l->legs[fd];
	while (n <= fd)
		n *= 2;
	more = realloc(l->legs, (size_t)n * sizeof(*more));
	if (!more)
		return NULL;
	memset(more + l->n_legs, 0, (size_t)(n - l->n_legs) * sizeof(*more));
	l->legs = more;
	l->n_legs = n;
	return &l->legs[fd];
}

static int leg_begin(struct l7 *l, uint16_t target, int fd, const struct endpoint *to)
{
	struct l7_leg *leg = leg_of(l, fd);
	struct endpoint from;
	int rc = leg ? stack_near_end(fd, &from) : -ENOMEM;

	/* The SYN is under way, but this loop does not look at it before it is back. */
	if (rc == 0)
		rc = engine_l7_leg(l->daemon->engine, target, &from, to, daemon_now_ns());
	if (rc == 0)
		*leg = (struct l7_leg){.from = from, .to = *to, .used = true};
	return rc;
}

int l7_leg_connect(struct l7 *l, uint16_t target, const struct ipaddr *from,
		   const struct endpoint *to)
{
	struct stack_socket_request r = {.kind = STACK_CONNECT,
					 .local = {.addr = *from},
					 .remote = *to,
					 .transparent = true};
	int fd = l->servers ? stack_socket(l->servers, &r) : -EHOSTUNREACH;
	int rc = fd < 0 ? fd : leg_begin(l, target, fd, to);

	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

uint16_t l7_leg_accept(struct l7 *l, int fd, const struct endpoint *from, const struct endpoint *to)
{
	struct l7_leg *leg = leg_of(l, fd);
	uint16_t member;

	if (!leg)
		return PARAMS_NONE;
	member = engine_l7_leg_from(l->daemon->engine, from, to, daemon_now_ns());
	if (member != PARAMS_NONE)
		*leg = (struct l7_leg){.from = *from, .to = *to, .used = true};
	return member;
}

void l7_leg_end(struct l7 *l, int fd)
{
	struct l7_leg *leg = fd < l->n_legs ? &l->legs[fd] : NULL;

	if (!leg || !leg->used)
		return;
	leg->used = false;
	engine_l7_leg_end(l->daemon->engine, &leg->from, &leg->to, daemon_now_ns());
}

void l7_legs_free(struct l7 *l)
{
	free(l->legs);
	l->legs = NULL;
	l->n_legs = 0;
}
