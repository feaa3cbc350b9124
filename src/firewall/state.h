/*
 * state.h - the entries of the two tables: flows this node is home of, and flows whose home is
 * another member.
 *
 * Laid out so that a million flows stay near 128 bytes each, index included: byte counters are 48
 * bits in two parts, next hops are indices.
 */
#ifndef FIREWALL_STATE_H
#define FIREWALL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"
#include "flow/table.h"
#include "flow/tcp.h"
#include "node/node.h"

#define STATE_ORIGIN_B 1  /* endpoint b of the key is the originator */
#define STATE_REPLIED 2	  /* the responder has answered */
#define STATE_HALF_OPEN 4 /* counted among the half-open flows */
#define STATE_PICKED_UP 8 /* taken over in the middle (exception "pass") */
#define STATE_DOUBTED 16  /* its backup was cut off from here, and may have taken it over */
#define STATE_TERM 0xe0	  /* how often the flow has been taken over (FC-17), at most 7 */
#define STATE_TERM_SHIFT 5

/* Ranks of flows that have come all the way begin here; each take-over adds one. */
#define STATE_RANK_COMPLETE 3

struct state {
	struct flow_entry entry; /* first */
	struct tcp_track tcp;
	uint32_t packets[2]; /* by originator / responder */
	uint32_t bytes_lo[2];
	uint16_t bytes_hi[2];
	uint32_t created_ms; /* node clock, ms */
	uint32_t askers;     /* members a confirm was sent to */
	uint16_t hop[2];     /* neighbour towards the responder / the originator */
	uint16_t hop_generation;
	uint16_t rule;
	uint8_t flags;
	uint8_t in_port, out_port;
	uint8_t backup; /* index of the member that holds its backup + 1, or 0 */
};

_Static_assert(sizeof(struct state) == 128, "there may be a million of them");

struct forward {
	struct flow_entry entry; /* first */
	uint64_t query_id;
	uint32_t member;     /* index of the home */
	uint32_t generation; /* of that member when it confirmed */
	uint32_t created_ms;
	uint32_t packets;
	uint32_t home_age_ms; /* as confirmed; decides between two homes */
	uint8_t home_rank;
	uint8_t dir; /* direction of the packet that asked */
	bool tunnel; /* how the last packet went */
	bool handed; /* the flow was this node's, until it handed it over (FC-17) */
};

/* 0 originator, 1 responder: the side that sends packets of direction `dir`. */
static inline unsigned state_side(const struct state *s, unsigned dir)
{
	return dir ^ (s->flags & STATE_ORIGIN_B ? 1u : 0u);
}

static inline uint8_t state_term(const struct state *s)
{
	return s->flags >> STATE_TERM_SHIFT;
}

/* The flow is another member's: what ends here is this state, not the flow. */
static inline void state_clear_term(struct state *s)
{
	s->flags &= (uint8_t)~STATE_TERM;
}

static inline void state_count(struct state *s, unsigned side, uint32_t bytes)
{
	uint32_t before = s->bytes_lo[side];

	s->packets[side]++;
	s->bytes_lo[side] += bytes;
	if (s->bytes_lo[side] < before)
		s->bytes_hi[side]++;
}

static inline void state_count_many(struct state *s, unsigned side, uint32_t packets,
				    uint64_t bytes)
{
	uint64_t sum = ((uint64_t)s->bytes_hi[side] << 32 | s->bytes_lo[side]) + bytes;

	s->packets[side] += packets;
	s->bytes_lo[side] = (uint32_t)sum;
	s->bytes_hi[side] = (uint16_t)(sum >> 32);
}

static inline uint64_t state_bytes(const struct state *s, unsigned side)
{
	return (uint64_t)s->bytes_hi[side] << 32 | s->bytes_lo[side];
}

/* A TCP connection that has ended and is only remembered (TIME_WAIT, closed). */
bool state_is_over(const struct state *s);
/* How far a flow has come: what decides between two homes before age does. A flow that has been
 * taken over is further than it was with the home that was thought lost. */
uint8_t state_rank(const struct state *s);
/* Milliseconds after the last packet at which the flow ends. */
uint32_t state_timeout(const struct state *s, const struct timeout_params *t);
/* "established", "syn-sent", ...; for others "new" or "replied". */
const char *state_name(const struct state *s);

#endif
