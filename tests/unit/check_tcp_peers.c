/* proves: FC-13 */
/*
 * Two correct TCP hosts talk through the tracker over a network that loses, doubles, delays and
 * reorders on both sides of it. Whatever they do (window scaling or not, Fast Open, simultaneous
 * open, windows that close, probes, super-frames, half-close), no segment of theirs may be dropped,
 * and every forged one outside the window must be.
 *
 * Check's own assertions write to a file each time; the inner loops here compare for themselves.
 *
 *      host 0  ==== loss, delay ====  tracker  ==== loss, delay ====  host 1
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/tcp.h"

#define STREAM_MAX 200000
#define FLYING 512
#define NO_SCALE 0xff
#define NEVER UINT64_MAX
#define RUNS 10000

struct host {
	bool active;	 /* sends the first SYN */
	bool peer_known; /* its SYN has come */
	uint32_t isn, una, nxt, max;
	uint32_t edge; /* of the window the other side allows */
	uint32_t wl_seq, wl_ack;
	uint32_t total; /* bytes to send */
	uint32_t irs, rcv_nxt;
	uint32_t peer_fin; /* valid if fin_known */
	bool fin_known;
	uint32_t buffer, unread;
	uint8_t offered, shift, peer_shift;
	uint32_t chunk; /* largest segment it sends */
	uint32_t cwnd;
	bool bsd_probe; /* probes with a byte beyond the window, else with an old number */
	bool fast_open;
	uint64_t close_at, resend_at, ack_at, read_at, rto;
	uint8_t got[STREAM_MAX]; /* a byte is there: 1 */
};

struct flight {
	uint64_t at; /* NEVER = unused */
	unsigned from;
	bool past_tracker;
	struct tcp_seg seg;
};

struct world {
	uint64_t random, now;
	unsigned loss, doubling, jitter;
	bool opened;
	struct tcp_track track;
	struct host host[2];
	struct flight flying[FLYING];
	unsigned n_flying; /* none is used from there on */
	unsigned n_judged, n_forged;
	unsigned seed;
};

static uint32_t draw(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) * below >> 32);
}

static bool chance(struct world *w, unsigned percent)
{
	return draw(w, 100) < percent;
}

static bool after(uint32_t x, uint32_t y)
{
	return (int32_t)(x - y) > 0;
}

/* ---- the network ---- */

static void launch(struct world *w, unsigned from, const struct tcp_seg *seg, bool past)
{
	unsigned copies = chance(w, w->loss) ? 0 : chance(w, w->doubling) ? 2 : 1;

	for (unsigned i = 0; i < FLYING && copies > 0; i++) {
		struct flight *f = &w->flying[i];
		if (f->at != NEVER)
			continue;
		uint64_t delay = 5 + draw(w, w->jitter) + (chance(w, 3) ? draw(w, 100) : 0);
		*f = (struct flight){
			.at = w->now + delay, .from = from, .past_tracker = past, .seg = *seg};
		copies--;
		if (i >= w->n_flying)
			w->n_flying = i + 1;
	}
}

/* ---- a host ---- */

static uint32_t host_end(const struct host *h)
{
	return h->isn + 1 + h->total; /* the number of its FIN */
}

static bool host_opened(const struct host *h)
{
	return h->peer_known && after(h->una, h->isn);
}

static uint32_t host_window(const struct host *h, bool syn)
{
	uint32_t free = h->buffer - h->unread;
	uint32_t win = syn ? free : free >> h->shift;

	return win < 65535 ? win : 65535;
}

static void host_send(struct world *w, unsigned me, uint8_t flags, uint32_t seq, uint32_t len)
{
	struct host *h = &w->host[me];
	bool syn = flags & TCP_SYN;
	struct tcp_seg seg = {.flags = flags,
			      .seq = seq,
			      .len = len,
			      .ack = flags & TCP_ACK ? h->rcv_nxt : 0,
			      .win = (uint16_t)host_window(h, syn),
			      .wscale = NO_SCALE};

	/* an answer offers scaling only if it was offered */
	if (syn && (!(flags & TCP_ACK) || h->peer_shift != NO_SCALE))
		seg.wscale = h->offered;
	if (flags & TCP_ACK)
		h->ack_at = NEVER;
	uint32_t end = seq + len + (syn ? 1 : 0) + (flags & TCP_FIN ? 1 : 0);
	if (after(end, h->max))
		h->max = end;
	launch(w, me, &seg, false);
}

static void host_send_syn(struct world *w, unsigned me)
{
	struct host *h = &w->host[me];
	uint32_t data = h->fast_open && h->active && !h->peer_known ? h->total : 0;

	host_send(w, me, h->peer_known ? TCP_SYN | TCP_ACK : TCP_SYN, h->isn,
		  data < 1000 ? data : 1000);
	h->resend_at = w->now + h->rto;
}

/* New data, and the FIN with or behind the last of it, as far as the window goes. */
static void host_output(struct world *w, unsigned me)
{
	struct host *h = &w->host[me];
	uint32_t fin = host_end(h);

	while (host_opened(h)) {
		uint32_t len = 1 + draw(w, h->chunk), room = 0;
		if (after(h->edge, h->nxt) && h->nxt - h->una < h->cwnd)
			room = h->edge - h->nxt;
		if (after(h->nxt, fin))
			break;
		if (len > fin - h->nxt)
			len = fin - h->nxt;
		if (len > room)
			len = room;
		bool last = h->nxt + len == fin && w->now >= h->close_at && room > len;
		if (len == 0 && !last)
			break;
		host_send(w, me, TCP_ACK | (last ? TCP_FIN : 0), h->nxt, len);
		h->nxt += len + last;
		if (h->resend_at == NEVER)
			h->resend_at = w->now + h->rto;
		if (last)
			break;
	}
}

static void host_resend(struct world *w, unsigned me)
{
	struct host *h = &w->host[me];
	uint32_t pending = h->max - h->una;

	h->rto = h->rto < 3000 ? h->rto * 2 : h->rto;
	h->resend_at = w->now + h->rto;
	if (!host_opened(h)) {
		if (h->active || h->peer_known)
			host_send_syn(w, me);
		return;
	}
	if (pending > 0 && after(h->edge, h->una)) {
		h->nxt = h->una; /* go back, with other borders than before */
		host_output(w, me);
	} else if (h->una != host_end(h) + 1 && (h->una != host_end(h) || w->now >= h->close_at)) {
		/* the window is shut */
		bool byte = h->bsd_probe && h->una != host_end(h);
		host_send(w, me, TCP_ACK, byte ? h->una : h->una - 1, byte);
	} else if (chance(w, 20)) {
		host_send(w, me, TCP_ACK, h->una - 1, draw(w, 2)); /* keep-alive */
	} else if (h->una == host_end(h) + 1) {
		h->resend_at = NEVER;
	}
}

static bool host_take_syn(struct world *w, unsigned me, const struct tcp_seg *seg)
{
	struct host *h = &w->host[me];
	bool mine_acked = seg->flags & TCP_ACK && seg->ack != h->isn;

	if (h->peer_known) {
		host_send(w, me, after(h->una, h->isn) ? TCP_ACK : TCP_SYN | TCP_ACK,
			  after(h->una, h->isn) ? h->max : h->isn, 0);
		return seg->flags & TCP_ACK;
	}
	h->peer_known = true;
	h->irs = seg->seq;
	h->rcv_nxt = seg->seq + 1;
	h->peer_shift = seg->wscale;
	if (!mine_acked)
		host_send_syn(w, me);
	else
		h->ack_at = w->now;
	return mine_acked;
}

static void host_take_ack(struct world *w, unsigned me, const struct tcp_seg *seg)
{
	struct host *h = &w->host[me];
	bool scaled = !(seg->flags & TCP_SYN);

	if (after(seg->ack, h->max) || after(h->una, seg->ack))
		return;
	if (h->una == h->isn && seg->ack != h->isn) { /* opened: both offers are known */
		bool both = h->offered != NO_SCALE && h->peer_shift != NO_SCALE;
		h->shift = both ? h->offered : 0;
		h->peer_shift = both ? h->peer_shift : 0;
		h->nxt = seg->ack;
		h->wl_seq = seg->seq;
		h->wl_ack = seg->ack;
		h->edge = seg->ack;
	}
	if (after(seg->ack, h->una)) {
		h->una = seg->ack;
		h->nxt = after(h->una, h->nxt) ? h->una : h->nxt;
		h->rto = 250;
		h->resend_at = w->now + h->rto;
	}
	if (h->una == h->isn || after(h->wl_seq, seg->seq) ||
	    (h->wl_seq == seg->seq && after(h->wl_ack, seg->ack)))
		return;
	h->wl_seq = seg->seq;
	h->wl_ack = seg->ack;
	h->edge = seg->ack + ((uint32_t)seg->win << (scaled ? h->peer_shift : 0));
}

static void host_take_data(struct host *h, const struct tcp_seg *seg)
{
	uint32_t begin = seg->seq + (seg->flags & TCP_SYN ? 1 : 0), end = begin + seg->len;
	uint32_t edge = h->rcv_nxt + (h->buffer - h->unread), base = h->irs + 1;
	uint32_t from = after(h->rcv_nxt, begin) ? h->rcv_nxt : begin;
	uint32_t to = after(end, edge) ? edge : end;

	if (after(to, from) && to - base <= STREAM_MAX)
		memset(h->got + (from - base), 1, to - from);
	if (seg->flags & TCP_FIN) {
		h->fin_known = true;
		h->peer_fin = end;
	}
	uint32_t at = h->rcv_nxt - base;
	if (at < STREAM_MAX) {
		const uint8_t *gap = memchr(h->got + at, 0, STREAM_MAX - at);
		uint32_t n = gap ? (uint32_t)(gap - h->got) - at : STREAM_MAX - at;
		h->rcv_nxt += n;
		h->unread += n;
	}
	if (h->fin_known && h->rcv_nxt == h->peer_fin)
		h->rcv_nxt++;
}

static void host_receive(struct world *w, unsigned me, const struct tcp_seg *seg)
{
	struct host *h = &w->host[me];
	bool occupies = seg->len > 0 || seg->flags & (TCP_FIN | TCP_SYN);

	if (seg->flags & TCP_SYN && !host_take_syn(w, me, seg) && !h->fast_open)
		return;
	if (!h->peer_known)
		return;
	if (seg->flags & TCP_ACK)
		host_take_ack(w, me, seg);
	if (occupies && (!(seg->flags & TCP_SYN) || h->fast_open))
		host_take_data(h, seg);
	if (!host_opened(h))
		return;
	if (occupies || after(h->rcv_nxt, seg->seq))
		h->ack_at = chance(w, 60) ? w->now : w->now + draw(w, 40);
	host_output(w, me);
}

static void host_read(struct world *w, unsigned me)
{
	struct host *h = &w->host[me];
	bool shut = host_window(h, false) == 0;

	h->read_at = w->now + 1 + draw(w, 60);
	h->unread -= chance(w, 50) ? h->unread : draw(w, h->unread + 1);
	if (shut && host_opened(h) && host_window(h, false) > 0)
		h->ack_at = w->now;
}

static void host_timers(struct world *w, unsigned me)
{
	struct host *h = &w->host[me];

	if (h->read_at <= w->now)
		host_read(w, me);
	if (h->resend_at <= w->now)
		host_resend(w, me);
	if (h->close_at <= w->now && h->nxt == host_end(h))
		host_output(w, me);
	if (h->ack_at <= w->now && host_opened(h))
		host_send(w, me, TCP_ACK, h->nxt, 0);
}

/* ---- the tracker in between ---- */

static void forge(struct world *w)
{
	struct tcp_track before = w->track;
	unsigned from = draw(w, 2);
	const struct tcp_peer *s = &w->track.peer[from], *r = &w->track.peer[!from];
	struct tcp_seg seg = {.flags = TCP_ACK, .seq = s->end, .ack = r->end, .win = 1000};
	bool reopened;

	if (w->track.state < TCP_STATE_ESTABLISHED)
		return;
	switch (draw(w, 4)) {
	case 0: /* beyond the window */
		seg.seq = s->max_end + 2 + draw(w, 1U << 30);
		break;
	case 1: /* acknowledges what was never sent */
		seg.ack = r->end + 1 + draw(w, 1U << 30);
		break;
	case 2: /* far behind */
		seg.seq = s->una - (1U << 30) - draw(w, 1U << 29);
		break;
	default:
		seg.flags = TCP_RST;
		seg.seq = s->end + 1 + draw(w, 1U << 31);
		if (seg.seq == s->una)
			return;
	}
	w->n_forged++;
	enum drop d = tcp_track_segment(&w->track, from, &seg, &reopened);
	if (d == DROP_NONE || memcmp(&before, &w->track, sizeof(before)) != 0)
		ck_abort_msg("seed %u at %u ms: forged segment passed or changed the state",
			     w->seed, (unsigned)w->now);
}

static void tracker(struct world *w, unsigned from, const struct tcp_seg *seg)
{
	bool reopened = false;

	if (!w->opened) { /* in a simultaneous open, whose SYN comes here first is the originator */
		w->opened = true;
		if (from == 1) {
			struct host swap = w->host[0];
			w->host[0] = w->host[1];
			w->host[1] = swap;
			for (unsigned i = 0; i < FLYING; i++)
				w->flying[i].from = !w->flying[i].from;
			from = 0;
		}
		tcp_track_open(&w->track, seg);
	} else {
		enum drop d = tcp_track_segment(&w->track, from, seg, &reopened);
		if (d != DROP_NONE || reopened)
			ck_abort_msg(
				"seed %u at %u ms: %s, side %u flags %#x seq +%u len %u ack +%u, "
				"state %s",
				w->seed, (unsigned)w->now, drop_name(d), from, seg->flags,
				seg->seq - w->host[from].isn, seg->len,
				seg->ack - w->host[!from].isn, tcp_state_name(w->track.state));
	}
	w->n_judged++;
	if (chance(w, 20))
		forge(w);
	launch(w, from, seg, true);
}

/* ---- a run ---- */

static void host_init(struct world *w, struct host *h)
{
	static const uint32_t sizes[] = {1, 100, 3000, 40000, STREAM_MAX - 1};
	bool scaling = chance(w, 70);

	memset(h, 0, sizeof(*h));
	h->isn = h->una = h->nxt = h->max =
		(uint32_t)(chance(w, 30) ? 0U - draw(w, 50000) : draw(w, UINT32_MAX));
	h->total = draw(w, sizes[draw(w, 5)]);
	h->offered = scaling ? (uint8_t)draw(w, 15) : NO_SCALE;
	h->peer_shift = NO_SCALE;
	h->buffer = 1000 + draw(w, chance(w, 50) ? 5000 : 150000);
	/* a buffer of less than one unit of the scale would never be open */
	if (h->offered != NO_SCALE && h->buffer < 4U << h->offered)
		h->buffer = 4U << h->offered;
	h->chunk = chance(w, 50) ? 1460 : 20000;
	h->cwnd = 3000 + draw(w, 40000);
	h->bsd_probe = chance(w, 50);
	h->close_at = draw(w, 1500);
	h->rto = 250;
	h->resend_at = h->ack_at = NEVER;
}

static bool all_done(const struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		if (w->host[i].una != host_end(&w->host[i]) + 1)
			return false;
	return true;
}

static uint64_t earliest(const struct world *w)
{
	uint64_t at = NEVER;

	for (unsigned i = 0; i < w->n_flying; i++)
		at = w->flying[i].at < at ? w->flying[i].at : at;
	for (unsigned i = 0; i < 2; i++) {
		const struct host *h = &w->host[i];
		at = h->resend_at < at ? h->resend_at : at;
		at = h->ack_at < at && host_opened(h) ? h->ack_at : at;
		at = h->read_at < at ? h->read_at : at;
	}
	return at > w->now ? at : w->now + 1;
}

static void deliver(struct world *w)
{
	while (w->n_flying > 0 && w->flying[w->n_flying - 1].at == NEVER)
		w->n_flying--;
	for (unsigned i = 0; i < w->n_flying; i++) {
		struct flight f = w->flying[i];
		if (f.at > w->now)
			continue;
		w->flying[i].at = NEVER;
		if (f.past_tracker)
			host_receive(w, !f.from, &f.seg);
		else
			tracker(w, f.from, &f.seg);
	}
}

static void run(struct world *w, unsigned seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->random = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (unsigned i = 0; i < 20; i++)
		(void)draw(w, 2);
	w->loss = chance(w, 30) ? 0 : draw(w, 20);
	w->doubling = draw(w, 10);
	w->jitter = 1 + draw(w, chance(w, 50) ? 3 : 60);
	for (unsigned i = 0; i < FLYING; i++)
		w->flying[i].at = NEVER;
	host_init(w, &w->host[0]);
	host_init(w, &w->host[1]);
	w->host[0].fast_open = w->host[1].fast_open = chance(w, 20);
	w->host[0].active = true;
	w->host[1].active = chance(w, 5);
	for (unsigned i = 0; i < 2; i++)
		if (w->host[i].active)
			host_send_syn(w, i);
	while (!all_done(w)) {
		if (w->now > 2000000)
			ck_abort_msg("seed %u does not end", seed);
		w->now = earliest(w);
		deliver(w);
		host_timers(w, 0);
		host_timers(w, 1);
	}
	/* both FINs are acknowledged, and the tracker has seen it first */
	ck_assert_int_eq(w->track.state, TCP_STATE_TIME_WAIT);
}

START_TEST(no_honest_segment_is_dropped)
{
	struct world *w = malloc(sizeof(*w));
	unsigned judged = 0, forged = 0;

	for (unsigned seed = 1; seed <= RUNS / 4; seed++) {
		run(w, (unsigned)_i * RUNS + seed);
		judged += w->n_judged;
		forged += w->n_forged;
	}
	ck_assert_uint_gt(judged, RUNS * 5);
	ck_assert_uint_gt(forged, RUNS);
	free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_peers");
	TCase *tc = tcase_create("tcp_peers");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, no_honest_segment_is_dropped, 0, 4);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
