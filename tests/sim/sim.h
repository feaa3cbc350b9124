/*
 * sim.h - several engines in one process, on a scripted wire with a virtual clock.
 *
 *      inside world ──┬── m0 ──┬── outside world        (two segments, every member on both)
 *                     ├── m1 ──┤
 *                     └── m2 ──┘
 *                     cluster link: loses, repeats, delays, is cut in two
 *
 * The worlds are all hosts of their side: they answer ARP and ND for every address, and send each
 * packet through the member that the schedule says. Every packet carries an identity in its
 * payload; what arrives where, and how often, is recorded. A seed makes the whole schedule.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/engine_priv.h"
#include "heap.h"
#include "kernel.h"
#include "packets.h"

#define SIM_MEMBERS 16
#define SIM_IDS 4096 /* packets of one schedule */
#define SIM_MS 1000000ULL
#define SIM_SOCKETS 3 /* of a member: one for each port, one for the cluster link */

enum sim_side { SIM_INSIDE, SIM_OUTSIDE };

struct sim_params {
	uint64_t seed;
	unsigned n_members;
	unsigned loss;	    /* of a cluster datagram, in thousandths */
	unsigned duplicate; /* the same */
	uint64_t jitter_ns; /* a cluster datagram takes up to so long more: reordering */
	bool hold;	    /* query = hold */
	bool tunnel;	    /* forward = tunnel */
	bool unicast;	    /* transport = unicast */
	uint32_t query_timeout_ms;
	uint32_t forward_ms;
	const char *cluster; /* more options of section "cluster", or NULL */
	const char *rules;   /* more of section "firewall", or NULL */
	bool offload;	     /* the kernels of members pass on what they are told to */
};

struct sim_packet {
	unsigned sent;
	unsigned delivered;
	unsigned relayed; /* times it went from member to member by layer 2 */
	int flow;	  /* index of the script's flow, or -1 */
	enum sim_side to;
};

struct sim;
struct sim_event;

/* Called when a packet reaches the world it was meant for. */
typedef void sim_arrival(void *arg, struct sim *sim, uint32_t id, const struct pkt *pkt);

struct sim_member {
	struct params *params;
	struct engine *engine;
	struct kernel *kernel; /* or NULL: it passes nothing on */
	unsigned boots;
	bool dead;
	unsigned group; /* members of different groups do not hear each other */
	bool stalled;
	uint64_t tick_ns;			/* no tick before */
	struct sim_event *waiting[SIM_SOCKETS]; /* what has come meanwhile, the last one first */
};

struct sim {
	struct sim_params params;
	uint64_t now_ns;
	struct rng rng;
	struct sim_member members[SIM_MEMBERS];
	struct actions *actions;
	struct heap heap;
	struct sim_packet packets[SIM_IDS];
	uint32_t n_packets;
	uint64_t n_query_notes, n_conflicts;
	uint64_t kernel_passed; /* packets, by kernels that are gone */
	bool trace;
	bool disturbed; /* something was lost, repeated, cut or restarted */
	void (*conflict)(void *arg, const struct flow_key *key);
	/* Sees each datagram as it is sent; nothing is lost before it. */
	void (*tap)(void *arg, unsigned from, const struct datagram *d);
	sim_arrival *arrival;
	void *arg;
};

struct sim *sim_new(const struct sim_params *params);
void sim_free(struct sim *s);

/* Let time pass until `until_ns`, or until nothing is left to happen before. */
void sim_run(struct sim *s, uint64_t until_ns);

/* The next identity; at most SIM_IDS. */
uint32_t sim_packet_new(struct sim *s, int flow, enum sim_side to);

/* Send an IP packet of `size` bytes into the cluster by `member` from the world opposite to `to`,
 * after `delay_ns`. */
void sim_send(struct sim *s, uint32_t id, unsigned member, const uint8_t *ip, size_t size,
	      uint64_t delay_ns);

/* kill -9; and start again with empty tables and a new boot id. */
void sim_kill(struct sim *s, unsigned member);
void sim_start(struct sim *s, unsigned member);

/* SIGSTOP, and SIGCONT after `for_ns`. What comes meanwhile waits, and is read then, one socket
 * after the other, with what is due before, after or between. Its kernel goes on. */
void sim_stall(struct sim *s, unsigned member, uint64_t for_ns);

/* Read a member's configuration again, with those members in that order and other options of
 * section "cluster". */
void sim_reload(struct sim *s, unsigned member, const unsigned *members, unsigned n,
		const char *cluster);

/* Packets that kernels have passed on so far. */
uint64_t sim_kernel_passed(const struct sim *s);

/* Call `fn` at a time. */
void sim_at(struct sim *s, uint64_t when_ns, void (*fn)(struct sim *s, uint64_t word),
	    uint64_t word);

/* A datagram out of nowhere for `to`, as if `from` had sent it. */
void sim_inject(struct sim *s, unsigned from, unsigned to, const uint8_t *data, size_t size,
		bool multicast);

/* Carry out what a call to a member's engine made by the test itself has left in s->actions. */
void sim_carry_out(struct sim *s, unsigned member);

/* Frames in = frames out + held + drops, for every member; aborts the test with the figures. */
bool sim_balanced(const struct sim *s, char *why, size_t size);

#endif
