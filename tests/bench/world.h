/*
 * world.h - engines on a wire without delay or loss, for the benchmarks.
 *
 * Member m has the MAC addresses 02:00:00:<port>:00:<m+1> and two ports, 0 inside and 1 outside.
 * Whoever is asked for by ARP answers at once from one MAC address per side. The clock is virtual:
 * world_run moves it, nothing else does.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "packet/decode.h"

#define WORLD_MEMBERS 16
#define WORLD_BATCH 64
#define WORLD_SLOT 256 /* bytes of a batch for one frame, its headroom included */
#define WORLD_FRAME 60

enum { WORLD_INSIDE, WORLD_OUTSIDE };

struct world_params {
	unsigned n_members;
	uint32_t n_flows; /* capacity of the tables of flows and forwards */
	bool alone;	  /* no cluster section */
	bool unicast, tunnel;
};

struct world {
	struct world_params params;
	uint64_t now_ns;
	struct params *conf[WORLD_MEMBERS];
	struct engine *engines[WORLD_MEMBERS];
	struct actions *actions;
	struct build *build;
	uint8_t *bytes; /* WORLD_BATCH slots */
	struct frame frames[WORLD_BATCH];
};

struct world *world_new(const struct world_params *params);
void world_free(struct world *w);

/* Let time pass: ticks, and everything that they send is delivered. */
void world_run(struct world *w, uint64_t ns);

/* Flow `i`: UDP or TCP from a client inside to a server outside. */
struct pkt_tuple world_tuple(uint32_t i, uint8_t proto);

struct world_tcp {
	uint32_t seq, ack;
	uint8_t flags;
};

/* Make frames[k] a frame of WORLD_FRAME bytes for member `m`: of side WORLD_INSIDE the tuple as it
 * is, of WORLD_OUTSIDE its answer. `tcp` is for TCP only. */
void world_frame(struct world *w, unsigned k, unsigned m, const struct pkt_tuple *t, uint16_t side,
		 const struct world_tcp *tcp);

/* Hand the first `n` frames to member `m` and carry out what it wants, ARP answers included. */
void world_send(struct world *w, unsigned m, unsigned n);

struct endpoint world_endpoint(unsigned m);

/* WORLD_FRAME bytes at `eth`: a packet of that tuple (`tcp` NULL = UDP). */
void world_put(uint8_t *eth, const struct macaddr *dst, const struct macaddr *src,
	       const struct pkt_tuple *t, const struct world_tcp *tcp);
/* The tuple of packets the other way. */
struct pkt_tuple world_answer(const struct pkt_tuple *t);

#endif
