#include "packet/bytes.h"
#include "packet/decode_parts.h"

#define TCP_FLAG_BITS 0x3f
#define TCP_OPT_END 0
#define TCP_OPT_NOP 1
#define TCP_OPT_WSCALE 3
#define TCP_OPT_TIMESTAMP 8
#define TCP_WSCALE_MAX 14 /* RFC 7323 section 2.3 */

/* One bit for each of the 64 combinations of FIN SYN RST PSH ACK URG that a well-behaved host
 * sends; PSH goes with any of them. */
#define FLAGS(f) (1ULL << (f) | 1ULL << ((f) | TCP_PSH))
#define FLAGS_LEGAL                                                                                \
	(FLAGS(TCP_SYN) | FLAGS(TCP_SYN | TCP_URG) | FLAGS(TCP_SYN | TCP_ACK) | FLAGS(TCP_RST) |   \
	 FLAGS(TCP_RST | TCP_ACK) | FLAGS(TCP_FIN | TCP_ACK) |                                     \
	 FLAGS(TCP_FIN | TCP_ACK | TCP_URG) | FLAGS(TCP_ACK) | FLAGS(TCP_ACK | TCP_URG))

/* A transport header that is not all there: in a first fragment the way past a port filter. */
static enum drop too_short(const struct pkt *pkt)
{
	return pkt->fragment ? DROP_FRAG_TINY : DROP_L4_HEADER;
}

/* Options are well-formed; the window scale of a SYN is noted. */
static bool tcp_options(struct tcp_seg *tcp, const uint8_t *options, size_t size)
{
	static const uint8_t usual[4] = {TCP_OPT_NOP, TCP_OPT_NOP, TCP_OPT_TIMESTAMP, 10};
	struct rcur c = rcur_init(options, size);

	if (size == 12 && memcmp(options, usual, sizeof(usual)) == 0)
		return true;
	while (rcur_left(&c) > 0) {
		uint8_t kind = rcur_u8(&c);

		if (kind == TCP_OPT_END)
			break;
		if (kind == TCP_OPT_NOP)
			continue;
		uint8_t len = rcur_u8(&c);
		const uint8_t *value = rcur_take(&c, len < 2 ? SIZE_MAX : len - 2u);
		if (!value)
			return false;
		if (kind == TCP_OPT_WSCALE && len == 3 && tcp->flags & TCP_SYN)
			tcp->wscale = value[0] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : value[0];
	}
	return true;
}

static enum drop decode_tcp(struct pkt *pkt, struct rcur *c)
{
	struct tcp_seg *tcp = &pkt->tcp;
	const uint8_t *h = rcur_take(c, TCP_HEADER);

	if (!h)
		return too_short(pkt);
	pkt->tuple.sport = get_be16(h);
	pkt->tuple.dport = get_be16(h + 2);
	tcp->seq = get_be32(h + 4);
	tcp->ack = get_be32(h + 8);
	tcp->flags = h[13] & TCP_FLAG_BITS;
	tcp->win = get_be16(h + 14);
	tcp->wscale = 0xff;
	if (h[12] >> 4 < 5)
		return DROP_L4_HEADER;
	size_t size = (h[12] >> 4) * 4u - TCP_HEADER;
	const uint8_t *options = rcur_take(c, size);
	if (!options)
		return too_short(pkt);
	if (!(FLAGS_LEGAL >> tcp->flags & 1))
		return DROP_TCP_FLAGS;
	if (size > 0 && !tcp_options(tcp, options, size))
		return DROP_L4_HEADER;
	tcp->len = (uint32_t)rcur_left(c);
	return DROP_NONE;
}

/* The length may be less than what IP carries (RFC 9868), never more. */
static enum drop decode_udp(struct pkt *pkt, struct rcur *c)
{
	size_t carried = rcur_left(c);
	const uint8_t *h = rcur_take(c, UDP_HEADER);

	if (!h)
		return too_short(pkt);
	pkt->tuple.sport = get_be16(h);
	pkt->tuple.dport = get_be16(h + 2);
	uint16_t len = get_be16(h + 4);
	if (len < UDP_HEADER || (!pkt->fragment && len > carried))
		return DROP_L4_HEADER;
	return DROP_NONE;
}

/* The rest of an error message: whom it is about. It goes to who sent the packet it quotes, else
 * somebody aims it at a flow that is not his (compare CVE-2019-5598). */
static enum drop decode_icmp_error(struct pkt *pkt, struct rcur *c)
{
	if (pkt->fragment) /* errors are short: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 */
		return DROP_ICMP_UNRELATED;
	enum drop reason = decode_inner(pkt, c);
	if (reason != DROP_NONE)
		return reason;
	if (!ipaddr_eq(&pkt->tuple.dst, &pkt->inner.src))
		return DROP_ICMP_UNRELATED;
	pkt->icmp_error = true;
	return DROP_NONE;
}

static const uint8_t *icmp_header(struct pkt *pkt, struct rcur *c)
{
	const uint8_t *h = rcur_take(c, ICMP_HEADER);

	if (h) {
		pkt->icmp_type = h[0];
		pkt->icmp_code = h[1];
	}
	return h;
}

static enum drop decode_icmp4(struct pkt *pkt, struct rcur *c)
{
	const uint8_t *h = icmp_header(pkt, c);

	if (!h)
		return too_short(pkt);
	switch (pkt->icmp_type) {
	case ICMP_ECHO:
	case ICMP_ECHO_REPLY:
		pkt->tuple.sport = pkt->tuple.dport = get_be16(h + 4);
		return DROP_NONE;
	case ICMP_UNREACH:
	case ICMP_QUENCH:
	case ICMP_EXCEEDED:
	case ICMP_PARAMETER:
		return decode_icmp_error(pkt, c);
	case ICMP_REDIRECT: /* only a router on the host's own link may send one */
		return DROP_ICMP_UNRELATED;
	default:
		return DROP_NONE;
	}
}

static enum drop decode_icmp6(struct pkt *pkt, struct rcur *c)
{
	const uint8_t *h = icmp_header(pkt, c);

	if (!h)
		return too_short(pkt);
	if (pkt->icmp_type >= ND_FIRST && pkt->icmp_type <= ND_LAST)
		pkt->kind = PKT_ND;
	else if (pkt->icmp_type == ICMP6_ECHO || pkt->icmp_type == ICMP6_ECHO_REPLY)
		pkt->tuple.sport = pkt->tuple.dport = get_be16(h + 4);
	else if (pkt->icmp_type >= 1 && pkt->icmp_type <= 4)
		return decode_icmp_error(pkt, c);
	return DROP_NONE;
}

enum drop decode_l4(struct pkt *pkt, struct rcur *c)
{
	enum drop reason = DROP_NONE;

	switch (pkt->tuple.proto) {
	case IPPROTO_NUM_TCP:
		reason = decode_tcp(pkt, c);
		break;
	case IPPROTO_NUM_UDP:
		reason = decode_udp(pkt, c);
		break;
	case IPPROTO_NUM_ICMP: /* each version has its own ICMP; the other's means nothing */
		reason = pkt->version == 4 ? decode_icmp4(pkt, c) : DROP_PROTOCOL;
		break;
	case IPPROTO_NUM_ICMP6:
		reason = pkt->version == 6 ? decode_icmp6(pkt, c) : DROP_PROTOCOL;
		break;
	default:
		return DROP_NONE;
	}
	if (reason == DROP_NONE)
		pkt->payload = pkt->icmp_error ? (uint16_t)(pkt->l4 + ICMP_HEADER)
					       : (uint16_t)(c->pos - pkt->frame->data);
	return reason;
}
