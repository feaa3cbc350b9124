/*
 * proxy_bench.h - a proxy in its world (proxy_world.h) with sessions that are nothing but wishes:
 * they ask for connections to servers, and note what they are told. For tests of what is below
 * sessions; programs that use it are not linked with session.c.
 *
 * One bench is there at a time.
 */
#ifndef TESTS_PROXY_BENCH_H
#define TESTS_PROXY_BENCH_H

#include "proxy/impl.h"
#include "proxy_world.h"

#define USERS 64

struct user {
	struct server_wish wish; /* first */
	struct user *forgets;	 /* when it is granted something, another one goes */
	unsigned granted;	 /* order among all, from 1; 0 = not */
	unsigned n_denied, n_ready, n_due, n_stranded;
};

struct bench {
	struct user users[USERS];
	unsigned n_granted, n_accepted;
};

/* The bench, and the indices of the service and the targets of conf_new(). */
extern struct bench *bench;
extern uint16_t web, a, b;

/* A service "web" with the targets "a" and "b". */
struct params *conf_new(void);
struct world *bench_new(struct params *conf);
void bench_free(struct world *w);
struct user *user(unsigned i);
/* server_ask and so on for one user; what comes of it has been told when these return. */
enum wish_answer ask_at(struct world *w, unsigned i, uint16_t target, uint16_t port);
/* As that client, by MAC: at the address that it asked for. */
enum wish_answer ask_as(struct world *w, unsigned i, uint16_t target, const char *client);
enum wish_answer ask(struct world *w, unsigned i, uint16_t target);
void give_back(struct world *w, unsigned i);
void finish(struct world *w, unsigned i);
void forget(struct world *w, unsigned i);
/* Asks, and gets a new connection: the test's end. */
int get(struct world *w, unsigned i, uint16_t target);
bool denied(unsigned i, enum server_trouble why);
const struct l7_target_counts *counts(const struct world *w, uint16_t target);

#endif
