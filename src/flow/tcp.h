/*
 * tcp.h - tracking of one TCP connection as a middle box sees it (RFC 9293, RFC 5961, RFC 7323),
 * requirement FC-13.
 *
 * A pure state machine: segment in, verdict and new state out. "Originator" (0) is the side that
 * sent the SYN, "responder" (1) the other. Windows follow the receiver's advertised limits, with
 * window scaling; super-frames are treated as the sum of their segments.
 */
#ifndef FLOW_TCP_H
#define FLOW_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/drop.h"
#include "packet/decode.h"

/* X(symbol, name) */
#define TCP_STATE_LIST(X)                                                                          \
	X(NONE, "none")                                                                            \
	X(SYN_SENT, "syn-sent")                                                                    \
	X(SYN_RECEIVED, "syn-received")                                                            \
	X(ESTABLISHED, "established")                                                              \
	X(FIN_WAIT, "fin-wait")	    /* one side has sent FIN */                                    \
	X(CLOSE_WAIT, "close-wait") /* that FIN is acknowledged */                                 \
	X(LAST_ACK, "last-ack")	    /* both have sent FIN */                                       \
	X(TIME_WAIT, "time-wait")   /* both FINs acknowledged */                                   \
	X(CLOSED, "closed")	    /* reset */

#define TCP_STATE_ENUM(sym, name) TCP_STATE_##sym,
enum tcp_state { TCP_STATE_LIST(TCP_STATE_ENUM) TCP_STATE_COUNT };
#undef TCP_STATE_ENUM

const char *tcp_state_name(enum tcp_state s);

/* A window shift that is not known. */
#define TCP_SCALE_NONE 0xff
#define TCP_SCALE_MAX 14

struct tcp_peer {
	uint32_t end;	  /* highest sequence number sent + 1 */
	uint32_t max_end; /* end of what the other side allows */
	uint32_t una;	  /* what the other side has acknowledged */
};

struct tcp_track {
	struct tcp_peer peer[2]; /* by originator / responder */
	uint16_t max_win[2];	 /* largest window each has advertised, unscaled */
	uint8_t scale[2]; /* window shift; 0xff = SYN not seen, or without the option so far */
	uint8_t state;	  /* enum tcp_state */
	uint8_t flags;	  /* private: FINs seen, SYNs acknowledged, ... */
};

_Static_assert(sizeof(struct tcp_track) == 32, "there may be a million of them");

/* Begin with the originator's SYN. */
void tcp_track_open(struct tcp_track *t, const struct tcp_seg *seg);

/* Begin in the middle of a connection whose SYN was not seen (exception "pass"): windows are
 * learnt from the first packets of each side. `from` = 0 when the sender is taken as originator. */
void tcp_track_pickup(struct tcp_track *t, unsigned from, const struct tcp_seg *seg);
/* The same for a connection whose window shifts are in `t` already (a flow taken over). */
void tcp_track_resume(struct tcp_track *t, unsigned from, const struct tcp_seg *seg);
/* Begun so: an acknowledgement may be of what never passed here. */
bool tcp_track_midway(const struct tcp_track *t);

/* Judge a segment from side `from` (0 originator, 1 responder). DROP_NONE = pass, state moved on;
 * else DROP_TCP_STATE, DROP_TCP_WINDOW or DROP_TCP_RESET and nothing changed.
 * A reset passes only with the very number its receiver expects: the sender's `end` or what the
 * other side has acknowledged (RFC 5961 section 3). A SYN inside a connection passes and changes
 * nothing, since a live host only answers it with an ACK (section 4); should the other side answer
 * with a SYN-ACK, both have forgotten the old connection, and the new one is tracked.
 * *reopened is set when a SYN from the originator begins a new connection on a closed entry
 * (TIME_WAIT or CLOSED): the caller applies policy again. */
enum drop tcp_track_segment(struct tcp_track *t, unsigned from, const struct tcp_seg *seg,
			    bool *reopened);

/* True until the handshake is complete. */
bool tcp_track_half_open(const struct tcp_track *t);

/* Established, with windows known as well as they ever will be: neither side has sent a FIN, no
 * SYN waits for its answer, and when picked up midway both sides have been heard. */
bool tcp_track_settled(const struct tcp_track *t);

/* Whether a segment quoted in an ICMP error (sent by side `from`) lies in what that side has sent:
 * an error about anything else is forged (RFC 5927 section 4.1). */
bool tcp_track_seq_plausible(const struct tcp_track *t, unsigned from, uint32_t seq);

#endif
