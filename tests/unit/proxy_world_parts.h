/*
 * proxy_world_parts.h - between the files of the proxy's world in tests:
 *
 *	proxy_world.c		the world itself: what is ready, and the proxy's side of all sockets
 *	proxy_world_conf.c	configurations
 *	proxy_world_ends.c	the ends that the test plays
 */
#ifndef TESTS_PROXY_WORLD_PARTS_H
#define TESTS_PROXY_WORLD_PARTS_H

#include <sys/types.h>
#include <unistd.h>

#include "proxy_world.h"

#define WORLD_CLIENTS PARAMS_NONE /* `target` of a client's pair */
#define WORLD_NS_PER_MS UINT64_C(1000000)

struct world_pair {
	int test, proxy, dup; /* -1: closed */
	ino_t inode;	      /* of the proxy's end */
	uint16_t target;
	struct ipaddr from; /* as which client it was opened */
	struct endpoint to;
	bool taken;    /* by world_server */
	bool answered; /* not a connection that is silent */
	bool aborted;  /* the proxy closed it so */
};

struct world_inner {
	struct world_pair *pairs;
	unsigned n_pairs;
	struct proxy_watch **watches;
	unsigned n_watches;
	unsigned n_clients, n_descriptors;
};

/* One that is connected; the proxy's end is to be given to the proxy at once. Valid until the next
 * is made. */
struct world_pair *world_pair_new(struct world *w, uint16_t target);
/* That of which the test has that end. */
struct world_pair *world_pair_of(struct world *w, int fd);
/* After each call of the proxy: take note of what it has closed. */
void world_notice(struct world *w);

static inline void world_close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif
