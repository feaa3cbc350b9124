#include "flow/tcp.h"

/*
 * The window rules, for a segment from S to R (after the idea of van Rooij, "Real Stateful TCP
 * Packet Filtering in IP Filter", 2001). `end` is the segment's last sequence number + 1.
 *
 *   1  end <= S.max_end + 1       nothing beyond what R has allowed, but one byte (window probe)
 *   2  end >= S.una - window(R)   nothing older than what R can have left unacknowledged
 *   3  ack <= R.end               nothing acknowledged that R never sent
 *   4  ack >= R.end - 2 window(S) and no older acknowledgement than RFC 5961 section 5 allows
 *
 * All segments of a connection pass here, so S can know no limit that is not known here.
 */

/* Flags. FIN_SENT: `end` of that side includes its FIN. SYN_ACKED: of a connection picked up
 * midway, that side has been heard. CHALLENGED, in SYN_SENT: the responder's `una` is the ACK it
 * answered with. ISN_UNSURE, in SYN_RECEIVED: there were SYN-ACKs with different numbers.
 * SYN_INSIDE: the originator's max_win is lent to the low half of the number that a SYN inside the
 * connection wants acknowledged. MIDWAY: picked up; its SYNs were not seen. */
#define FIN_SENT(side) (1U << (side))
#define SYN_ACKED(side) (4U << (side))
#define CHALLENGED 16U
#define ISN_UNSURE 32U
#define SYN_INSIDE 64U
#define MIDWAY 128U

#define SCALE_NONE TCP_SCALE_NONE
#define SCALE_MAX TCP_SCALE_MAX
#define WINDOW_LEAST 65536U
#define WINDOW_MOST (1U << 30)

enum { ORIGINATOR, RESPONDER };

static bool seq_after(uint32_t x, uint32_t y)
{
	return (int32_t)(x - y) > 0;
}

static uint32_t seq_max(uint32_t x, uint32_t y)
{
	return seq_after(x, y) ? x : y;
}

static uint32_t seg_end(const struct tcp_seg *seg)
{
	uint32_t marks = (seg->flags & TCP_SYN ? 1U : 0U) + (seg->flags & TCP_FIN ? 1U : 0U);

	return seg->seq + seg->len + marks;
}

const char *tcp_state_name(enum tcp_state s)
{
#define TCP_STATE_NAME(sym, name) name,
	static const char *const names[] = {TCP_STATE_LIST(TCP_STATE_NAME)};
#undef TCP_STATE_NAME

	return names[s];
}

/* ---- windows ---- */

static unsigned scale_shift(const struct tcp_track *t, unsigned side)
{
	return t->scale[side] == SCALE_NONE ? SCALE_MAX : t->scale[side];
}

/* The window a segment advertises; that of a SYN is never scaled (RFC 7323 section 2.2). */
static uint32_t seg_window(const struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_SYN)
		return seg->win;
	return (uint32_t)seg->win << scale_shift(t, from);
}

/* How far behind something sent under this side's window can lie. */
static uint32_t window_reach(const struct tcp_track *t, unsigned side)
{
	uint32_t raw = side == ORIGINATOR && t->flags & SYN_INSIDE ? UINT16_MAX : t->max_win[side];
	uint32_t window = raw << scale_shift(t, side);

	return window > WINDOW_LEAST ? window : WINDOW_LEAST;
}

static bool picked_up(const struct tcp_track *t)
{
	return t->flags & MIDWAY;
}

/* The highest acknowledgement that side `from` may send. What was in flight when a connection was
 * picked up is known only by that. */
static uint32_t ack_limit(const struct tcp_track *t, unsigned from)
{
	const struct tcp_peer *r = &t->peer[!from];

	return picked_up(t) && !(t->flags & FIN_SENT(!from)) ? r->max_end : r->end;
}

static bool in_window(const struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	const struct tcp_peer *s = &t->peer[from], *r = &t->peer[!from];
	uint32_t end = seg_end(seg);
	uint32_t ack_reach = window_reach(t, from) * 2;

	if (ack_reach > WINDOW_MOST)
		ack_reach = WINDOW_MOST;
	return !seq_after(end, s->max_end + 1) &&
	       !seq_after(s->una - window_reach(t, !from), end) &&
	       !seq_after(seg->ack, ack_limit(t, from)) && !seq_after(r->end - ack_reach, seg->ack);
}

/* ---- beginnings ---- */

/* Take a SYN of one side as the start of its numbers. */
static void peer_begin(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	t->peer[from].end = seg_end(seg);
	t->peer[from].max_end = seg_end(seg);
	t->peer[from].una = seg->seq;
	t->max_win[from] = seg->win;
	t->scale[from] =
		seg->wscale > SCALE_MAX && seg->wscale != SCALE_NONE ? SCALE_MAX : seg->wscale;
}

/* Both SYNs are known: scaling counts only when both offered it (RFC 7323 section 1.3), and each
 * side may fill the window of the other's SYN. */
static void peers_join(struct tcp_track *t)
{
	bool scaling = t->scale[0] != SCALE_NONE && t->scale[1] != SCALE_NONE;

	for (unsigned side = 0; side < 2; side++) {
		struct tcp_peer *other = &t->peer[!side];
		other->max_end = seq_max(other->end, other->max_end + t->max_win[side]);
		t->scale[side] = scaling ? t->scale[side] : 0;
		t->max_win[side] = (uint16_t)((t->max_win[side] + (1U << t->scale[side]) - 1) >>
					      t->scale[side]);
	}
	t->state = TCP_STATE_SYN_RECEIVED;
}

void tcp_track_open(struct tcp_track *t, const struct tcp_seg *seg)
{
	*t = (struct tcp_track){.state = TCP_STATE_SYN_SENT};
	peer_begin(t, ORIGINATOR, seg);
}

void tcp_track_resume(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	struct tcp_peer *s = &t->peer[from], *r = &t->peer[!from];

	*t = (struct tcp_track){
		.state = TCP_STATE_ESTABLISHED,
		.scale = {t->scale[0], t->scale[1]},
		.flags = (uint8_t)(MIDWAY | SYN_ACKED(from)),
	};
	t->max_win[from] = t->max_win[!from] = seg->win;
	s->una = seg->seq;
	s->end = seg_end(seg);
	s->max_end = s->end + WINDOW_MOST;
	r->una = r->end = seg->ack;
	r->max_end = seg->ack + seg_window(t, from, seg);
	if (seg->flags & TCP_FIN) {
		t->flags |= (uint8_t)FIN_SENT(from);
		t->state = TCP_STATE_FIN_WAIT;
	}
}

void tcp_track_pickup(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	t->scale[0] = t->scale[1] = SCALE_NONE;
	tcp_track_resume(t, from, seg);
}

bool tcp_track_midway(const struct tcp_track *t)
{
	return picked_up(t);
}

/* ---- progress ---- */

/* The side's FIN, when sent, is the last number of all, so it is acknowledged with that. */
static bool fin_acked(const struct tcp_track *t, unsigned side)
{
	return t->flags & FIN_SENT(side) && t->peer[side].una == t->peer[side].end;
}

static enum tcp_state state_of(const struct tcp_track *t)
{
	unsigned syns = SYN_ACKED(0) | SYN_ACKED(1), fins = FIN_SENT(0) | FIN_SENT(1);

	if (t->state == TCP_STATE_CLOSED)
		return TCP_STATE_CLOSED;
	if (t->state == TCP_STATE_SYN_RECEIVED && (t->flags & syns) != syns)
		return TCP_STATE_SYN_RECEIVED;
	if ((t->flags & fins) == fins)
		return fin_acked(t, 0) && fin_acked(t, 1) ? TCP_STATE_TIME_WAIT
							  : TCP_STATE_LAST_ACK;
	if (t->flags & fins)
		return fin_acked(t, 0) || fin_acked(t, 1) ? TCP_STATE_CLOSE_WAIT
							  : TCP_STATE_FIN_WAIT;
	return TCP_STATE_ESTABLISHED;
}

static void advance(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	struct tcp_peer *s = &t->peer[from], *r = &t->peer[!from];
	uint32_t limit = seg->ack + seg_window(t, from, seg);

	s->end = seq_max(s->end, seg_end(seg));
	s->max_end = seq_max(s->max_end, s->end);
	r->end = seq_max(r->end, seg->ack); /* moves only when picked up */
	r->max_end = seq_max(r->max_end, limit);
	if (seq_after(seg->ack, r->una)) {
		r->una = seg->ack;
		t->flags |= (uint8_t)SYN_ACKED(!from);
	}
	if (seg->flags & TCP_FIN)
		t->flags |= (uint8_t)FIN_SENT(from);
	if (!(seg->flags & TCP_SYN)) {
		if (from == ORIGINATOR && t->flags & SYN_INSIDE) {
			t->flags &= (uint8_t)~SYN_INSIDE;
			t->max_win[from] = 0;
		}
		if (seg->win > t->max_win[from])
			t->max_win[from] = seg->win;
	}
	t->state = (uint8_t)state_of(t);
}

/* A side of a picked-up connection speaks for the first time: take its word for where the other
 * side stands, within reason. */
static bool first_heard(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	struct tcp_peer *s = &t->peer[from], *r = &t->peer[!from];
	uint32_t off = seg->ack - r->end + WINDOW_MOST;

	if (!picked_up(t) || t->state == TCP_STATE_SYN_RECEIVED ||
	    t->flags & (SYN_ACKED(from) | FIN_SENT(!from)) || off > 2 * WINDOW_MOST ||
	    seq_after(seg_end(seg), s->max_end + 1) ||
	    seq_after(s->una - window_reach(t, !from), seg_end(seg)))
		return false;
	t->flags |= (uint8_t)SYN_ACKED(from);
	r->end = seq_max(r->end, seg->ack);
	r->max_end = seq_max(r->end, seg->ack + seg_window(t, from, seg));
	return true;
}

/* Any segment with ACK once both SYNs were seen. */
static enum drop judge_ack(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	uint32_t end = seg_end(seg), old_end = t->peer[from].end;
	bool fin = seg->flags & TCP_FIN, fin_sent = t->flags & FIN_SENT(from);

	/* nothing comes after a FIN, and a FIN not before what was sent already */
	if (fin_sent && seq_after(end, old_end))
		return DROP_TCP_STATE;
	if (fin && seq_after(old_end, end))
		return DROP_TCP_STATE;
	if (!first_heard(t, from, seg) && !in_window(t, from, seg))
		return DROP_TCP_WINDOW;
	advance(t, from, seg);
	return DROP_NONE;
}

static enum drop judge_reset(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	const struct tcp_peer *s = &t->peer[from];

	if (seg->seq != s->end && seg->seq != s->una)
		return DROP_TCP_RESET;
	t->state = TCP_STATE_CLOSED;
	return DROP_NONE;
}

/* ---- the handshake ---- */

static bool acks_syn(const struct tcp_track *t, const struct tcp_seg *seg)
{
	const struct tcp_peer *o = &t->peer[ORIGINATOR];

	return seg->flags & TCP_ACK && seq_after(seg->ack, o->una) && !seq_after(seg->ack, o->end);
}

static enum drop syn_sent_originator(struct tcp_track *t, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_RST) {
		/* the answer to a challenge ends whatever the responder still had, not this SYN */
		if (t->flags & CHALLENGED && seg->seq == t->peer[RESPONDER].una)
			return DROP_NONE;
		if (seg->seq != t->peer[ORIGINATOR].end)
			return DROP_TCP_RESET;
		t->state = TCP_STATE_CLOSED;
		return DROP_NONE;
	}
	if ((seg->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return DROP_TCP_STATE;
	uint8_t challenged = t->flags & CHALLENGED;
	uint32_t number = t->peer[RESPONDER].una;
	tcp_track_open(t, seg); /* the same SYN again, or that of another try */
	t->flags = challenged;
	t->peer[RESPONDER].una = number;
	return DROP_NONE;
}

static enum drop syn_sent_responder(struct tcp_track *t, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_RST) {
		if (!acks_syn(t, seg))
			return DROP_TCP_RESET;
		t->state = TCP_STATE_CLOSED;
		return DROP_NONE;
	}
	if (seg->flags & TCP_SYN && (!(seg->flags & TCP_ACK) || acks_syn(t, seg))) {
		t->flags = 0;
		peer_begin(t, RESPONDER, seg); /* without ACK: both open at the same time */
		if (seg->flags & TCP_ACK)
			t->peer[ORIGINATOR].max_end = seg->ack;
		peers_join(t);
		if (seg->flags & TCP_ACK)
			advance(t, RESPONDER, seg);
		return DROP_NONE;
	}
	if (seg->len > 0 || (seg->flags & (TCP_ACK | TCP_FIN)) != TCP_ACK)
		return DROP_TCP_STATE;
	/* The responder still has an older connection with these ports and says so; the originator
	 * will reset that and try again (RFC 9293 section 3.5.1, half-open connections). */
	t->flags |= CHALLENGED;
	t->peer[RESPONDER].una = seg->ack;
	return DROP_NONE;
}

/* The SYN-ACK came again with another number, as from a server with SYN cookies. Which one the
 * originator took, its ACK will tell. */
static bool other_isn(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	struct tcp_peer *r = &t->peer[RESPONDER];

	if (t->state != TCP_STATE_SYN_RECEIVED || from != RESPONDER || seg->seq == r->una ||
	    t->flags & SYN_ACKED(RESPONDER) || seg->ack != t->peer[ORIGINATOR].una)
		return false;
	r->max_end += seg_end(seg) - r->end;
	r->end = seg_end(seg);
	r->una = seg->seq;
	t->flags |= ISN_UNSURE;
	return true;
}

static void settle_isn(struct tcp_track *t, const struct tcp_seg *seg)
{
	struct tcp_peer *r = &t->peer[RESPONDER];

	t->flags &= (uint8_t)~ISN_UNSURE;
	if (seg->seq != t->peer[ORIGINATOR].una)
		return;
	r->max_end += seg->ack - r->end;
	r->end = seg->ack;
	r->una = seg->ack - 1;
}

/* ---- SYNs inside a connection ---- */

static bool may_reopen(const struct tcp_track *t, const struct tcp_seg *seg)
{
	switch (t->state) {
	case TCP_STATE_CLOSED:
		return true;
	case TCP_STATE_LAST_ACK: /* only an ACK is missing, which may have been lost */
	case TCP_STATE_TIME_WAIT:
		return seq_after(seg->seq, t->peer[ORIGINATOR].end); /* RFC 9293 section 3.6.1 */
	default:
		return false;
	}
}

static enum drop judge_syn(struct tcp_track *t, unsigned from, const struct tcp_seg *seg,
			   bool *reopened)
{
	const struct tcp_peer *o = &t->peer[ORIGINATOR];

	if (from == ORIGINATOR && may_reopen(t, seg)) {
		tcp_track_open(t, seg);
		*reopened = true;
		return DROP_NONE;
	}
	if (t->state >= TCP_STATE_TIME_WAIT && from == RESPONDER)
		return DROP_TCP_STATE;
	bool again = seg->seq == o->una || seg->seq + 1 == o->una;
	if (from == ORIGINATOR && (t->state >= TCP_STATE_ESTABLISHED || !again)) {
		t->flags |= SYN_INSIDE;
		t->max_win[ORIGINATOR] = (uint16_t)(seg->seq + 1);
	}
	return DROP_NONE;
}

/* The responder accepts a SYN that was passed inside a connection. */
static bool begins_anew(const struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	return from == RESPONDER && t->flags & SYN_INSIDE &&
	       (uint16_t)seg->ack == t->max_win[ORIGINATOR] && seg->ack != t->peer[ORIGINATOR].una;
}

static enum drop judge_syn_ack(struct tcp_track *t, unsigned from, const struct tcp_seg *seg)
{
	if (begins_anew(t, from, seg)) {
		/* the SYN's window and scale were not kept: as good as picked up */
		tcp_track_pickup(t, RESPONDER, seg);
		t->state = TCP_STATE_SYN_RECEIVED;
		t->flags = (uint8_t)(MIDWAY | SYN_ACKED(ORIGINATOR));
		return DROP_NONE;
	}
	if (other_isn(t, from, seg))
		return DROP_NONE;
	if (!in_window(t, from, seg))
		return DROP_TCP_WINDOW;
	advance(t, from, seg);
	return DROP_NONE;
}

/* ---- */

enum drop tcp_track_segment(struct tcp_track *t, unsigned from, const struct tcp_seg *seg,
			    bool *reopened)
{
	*reopened = false;
	if (seg->flags & TCP_SYN && seg->flags & (TCP_RST | TCP_FIN))
		return DROP_TCP_STATE;
	if (t->state == TCP_STATE_NONE)
		return DROP_TCP_STATE;
	if (t->state == TCP_STATE_SYN_SENT)
		return from == ORIGINATOR ? syn_sent_originator(t, seg)
					  : syn_sent_responder(t, seg);
	if (seg->flags & TCP_RST)
		return judge_reset(t, from, seg);
	if (!(seg->flags & TCP_ACK))
		return seg->flags & TCP_SYN ? judge_syn(t, from, seg, reopened) : DROP_TCP_STATE;
	if (seg->flags & TCP_SYN)
		return judge_syn_ack(t, from, seg);
	if (t->flags & ISN_UNSURE && from == ORIGINATOR)
		settle_isn(t, seg);
	return judge_ack(t, from, seg);
}

bool tcp_track_half_open(const struct tcp_track *t)
{
	return t->state == TCP_STATE_SYN_SENT || t->state == TCP_STATE_SYN_RECEIVED;
}

bool tcp_track_seq_plausible(const struct tcp_track *t, unsigned from, uint32_t seq)
{
	const struct tcp_peer *s = &t->peer[from];

	if (t->state == TCP_STATE_NONE || (t->state == TCP_STATE_SYN_SENT && from == RESPONDER))
		return false;
	/* a keep-alive carries the last acknowledged number once more */
	return !seq_after(s->una - 1, seq) && !seq_after(seq, s->end);
}

bool tcp_track_settled(const struct tcp_track *t)
{
	const unsigned heard = SYN_ACKED(0) | SYN_ACKED(1);

	return t->state == TCP_STATE_ESTABLISHED &&
	       (!picked_up(t) || (t->flags & heard) == heard) &&
	       !(t->flags & (FIN_SENT(0) | FIN_SENT(1) | SYN_INSIDE));
}
