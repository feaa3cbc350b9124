#include "firewall/state.h"

#define RANK_OVER 0
#define RANK_STARTED 1
#define RANK_ANSWERED 2

bool state_is_over(const struct state *s)
{
	return s->entry.key.proto == IPPROTO_NUM_TCP &&
	       (s->tcp.state == TCP_STATE_TIME_WAIT || s->tcp.state == TCP_STATE_CLOSED);
}

uint8_t state_rank(const struct state *s)
{
	if (state_is_over(s))
		return RANK_OVER;
	if (s->entry.key.proto == IPPROTO_NUM_TCP) {
		if (s->tcp.state == TCP_STATE_SYN_SENT)
			return RANK_STARTED;
		return s->tcp.state == TCP_STATE_SYN_RECEIVED
			       ? RANK_ANSWERED
			       : (uint8_t)(STATE_RANK_COMPLETE + state_term(s));
	}
	return s->flags & STATE_REPLIED ? (uint8_t)(STATE_RANK_COMPLETE + state_term(s))
					: RANK_STARTED;
}

static uint32_t tcp_timeout(const struct state *s, const struct timeout_params *t)
{
	if ((s->flags & STATE_PICKED_UP) && (s->flags & STATE_HALF_OPEN))
		return t->tcp_syn_sent; /* one side only has been seen */
	switch ((enum tcp_state)s->tcp.state) {
	case TCP_STATE_SYN_SENT:
		return t->tcp_syn_sent;
	case TCP_STATE_SYN_RECEIVED:
		return t->tcp_syn_received;
	case TCP_STATE_ESTABLISHED:
		return t->tcp_established;
	case TCP_STATE_FIN_WAIT:
		return t->tcp_fin_wait;
	case TCP_STATE_CLOSE_WAIT:
		return t->tcp_close_wait;
	case TCP_STATE_LAST_ACK:
		return t->tcp_last_ack;
	case TCP_STATE_TIME_WAIT:
		return t->tcp_time_wait;
	case TCP_STATE_NONE: /* taken over, and nothing of it seen so far */
		return t->tcp_established;
	case TCP_STATE_CLOSED:
	case TCP_STATE_COUNT:
		break;
	}
	return t->tcp_closed;
}

uint32_t state_timeout(const struct state *s, const struct timeout_params *t)
{
	switch (s->entry.key.proto) {
	case IPPROTO_NUM_TCP:
		return tcp_timeout(s, t);
	case IPPROTO_NUM_ICMP:
	case IPPROTO_NUM_ICMP6:
		return t->icmp;
	default:
		return s->flags & STATE_REPLIED ? t->udp_stream : t->udp_new;
	}
}

const char *state_name(const struct state *s)
{
	if (s->entry.key.proto == IPPROTO_NUM_TCP)
		return s->tcp.state == TCP_STATE_NONE
			       ? "taken-over"
			       : tcp_state_name((enum tcp_state)s->tcp.state);
	return s->flags & STATE_REPLIED ? "replied" : "new";
}
