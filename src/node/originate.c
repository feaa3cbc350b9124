/*
 * originate.c - packets that the node makes itself: ICMP errors, resets, echoes.
 */
#include <string.h>

#include "node/node_priv.h"
#include "packet/checksum.h"

#define ICMP_TIME_EXCEEDED 11
#define ICMP_UNREACHABLE 3
#define ICMP_UNREACHABLE_HOST 1
#define ICMP_UNREACHABLE_PROHIBITED 13
#define ICMP_ECHO 8
#define ICMP_ECHO_REPLY 0
#define ICMP6_UNREACHABLE 1
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_UNREACHABLE_PROHIBITED 1
#define ICMP6_UNREACHABLE_ADDRESS 3
#define ICMP6_ECHO 128
#define ICMP6_ECHO_REPLY 129

#define ECHO_TTL 64

bool originate_frame(struct node *n, uint16_t port, uint8_t *data, size_t size)
{
	struct frame f = {.data = data, .len = (uint32_t)size};

	if (size == 0)
		return false;
	n->counters[COUNTER_FRAMES_MADE]++;
	return node_emit(n, &f, port);
}

bool originate_allowed(struct node *n)
{
	if (bucket_take(&n->originate, 1, n->now_ns))
		return true;
	node_count(n, COUNTER_ORIGINATE_LIMIT);
	return false;
}

/* Send an IP packet of this node's own by the route to its destination: the frame that caused it
 * may have been handed over by another member, so its sender's MAC address says nothing. */
static bool originate_ip(struct node *n, uint8_t *data, size_t size)
{
	struct frame f = {.data = data, .len = (uint32_t)size, .port = NODE_ORIGINATED};
	struct pkt pkt;

	if (size == 0 || pkt_decode(&pkt, &f) != DROP_NONE || pkt.kind != PKT_IP)
		return false;
	return forward_own(n, &pkt);
}

/* Whether answers about the packet go back to the MAC address it came from. */
static bool originate_back(const struct node *n, const struct pkt *pkt, struct build_eth *eth)
{
	uint16_t port = pkt->frame->port;

	if (port >= n->params->n_ports || !(n->back_ports & 1u << port) ||
	    (pkt->eth_src.b[0] & 1) || node_link_has(&n->links[port], &pkt->eth_src))
		return false;
	*eth = (struct build_eth){.dst = pkt->eth_src,
				  .src = n->links[port].mac,
				  .vlan = n->params->ports[port].vlan};
	return true;
}

/* FRAME_HEADROOM of arena memory before the bytes that a packet is built into. */
static uint8_t *originate_room(struct node *n)
{
	uint8_t *room = actions_room(n->out, BUILD_MAX + FRAME_HEADROOM);
	return room ? room + FRAME_HEADROOM : NULL;
}

/* Any own address of the peer's family: to one whom no route leads to, such as a private stack. */
static const struct ipaddr *originate_source(const struct node *n, const struct ipaddr *peer)
{
	const struct ipaddr *from = NULL;

	for (uint16_t port = 0; port < n->params->n_ports && !from; port++)
		from = node_source(n, port, peer);
	return from;
}

void node_icmp_error(struct node *n, const struct pkt *pkt, uint8_t type, uint8_t code,
		     uint32_t mtu)
{
	struct build_icmp icmp = {.type = type, .code = code, .mtu = mtu};
	struct build_eth eth = {.vlan = 0};
	const struct ipaddr *from;
	uint16_t port = pkt->frame->port;
	bool back = originate_back(n, pkt, &eth);
	uint8_t *room;
	size_t size;

	from = port < n->params->n_ports ? node_source(n, port, &pkt->tuple.src) : NULL;
	if (!from) {
		port = node_route_port(n, &pkt->tuple.src);
		from = port != PARAMS_NO_PORT ? node_source(n, port, &pkt->tuple.src) : NULL;
	}
	if (!from && back)
		from = originate_source(n, &pkt->tuple.src);
	if (!from || pkt->frame->port == NODE_ORIGINATED || !originate_allowed(n))
		return;
	room = originate_room(n);
	if (!room)
		return;
	icmp.from = *from;
	size = build_icmp_error(n->build, &eth, pkt, &icmp, room, BUILD_MAX);
	if (back ? originate_frame(n, pkt->frame->port, room, size) : originate_ip(n, room, size))
		node_count(n, COUNTER_ICMP_SENT);
}

void node_reset(struct node *n, const struct pkt *pkt)
{
	struct build_eth eth = {.vlan = 0};
	bool back = originate_back(n, pkt, &eth);
	uint8_t *room;
	size_t size;

	if (pkt->frame->port == NODE_ORIGINATED || !originate_allowed(n))
		return;
	room = originate_room(n);
	if (!room)
		return;
	size = build_tcp_reset(n->build, &eth, pkt, room, BUILD_MAX);
	if (back ? originate_frame(n, pkt->frame->port, room, size) : originate_ip(n, room, size))
		node_count(n, COUNTER_RESET_SENT);
}

void node_reject(struct node *n, const struct pkt *pkt)
{
	if (pkt->tuple.proto == IPPROTO_NUM_TCP && pkt->l4)
		node_reset(n, pkt);
	else if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROHIBITED, 0);
	else
		node_icmp_error(n, pkt, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_PROHIBITED, 0);
}

bool node_ttl_expired(struct node *n, struct pkt *pkt)
{
	if (pkt->ttl > 1)
		return false;
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_TIME_EXCEEDED, 0, 0);
	else
		node_icmp_error(n, pkt, ICMP6_TIME_EXCEEDED, 0, 0);
	node_drop(n, pkt, DROP_TTL);
	return true;
}

void originate_host_unreachable(struct node *n, const struct pkt *pkt)
{
	if (pkt->version == 4)
		node_icmp_error(n, pkt, ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST, 0);
	else
		node_icmp_error(n, pkt, ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_ADDRESS, 0);
}

/* What was left of the request's time to live need not suffice for the way back. */
static void echo_fresh_ttl(struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;
	uint16_t sum;

	pkt->ttl = ECHO_TTL;
	if (pkt->version == 6) {
		ip[7] = ECHO_TTL;
		return;
	}
	ip[8] = ECHO_TTL;
	memset(ip + 10, 0, 2);
	sum = csum_fold(csum_add(0, ip, (size_t)(ip[0] & 15) * 4));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* Turn the request around in place: swapping addresses leaves every checksum as it is, and the
 * type changes it by a constant (RFC 1624). */
void node_echo_answer(struct node *n, struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->l3;
	uint8_t *icmp = pkt->frame->data + pkt->l4;
	size_t addr = pkt->version == 4 ? 12 : 8, len = pkt->version == 4 ? 4 : 16;
	uint8_t tmp[16];
	uint32_t sum;

	csum_complete(pkt->frame);
	memcpy(tmp, ip + addr, len);
	memcpy(ip + addr, ip + addr + len, len);
	memcpy(ip + addr + len, tmp, len);
	icmp[0] = pkt->version == 4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY;
	sum = (uint32_t)(icmp[2] << 8 | icmp[3]);
	sum = pkt->version == 4 ? sum + 0x0800 : (sum + 0xffff - 0x0100);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	echo_fresh_ttl(pkt);
	node_send_l2(n, pkt, pkt->frame->port, &pkt->eth_src);
}

bool node_is_echo(const struct pkt *pkt, bool *request)
{
	bool v4 = pkt->version == 4;

	if (pkt->kind != PKT_IP || !pkt->l4 || pkt->fragment || pkt->icmp_code != 0 ||
	    pkt->tuple.proto != (v4 ? IPPROTO_NUM_ICMP : IPPROTO_NUM_ICMP6))
		return false;
	*request = pkt->icmp_type == (v4 ? ICMP_ECHO : ICMP6_ECHO);
	return *request || pkt->icmp_type == (v4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY);
}

void node_echo(struct node *n, struct pkt *pkt)
{
	const struct node_address *own = node_address_find(n, &pkt->tuple.dst);
	bool request;

	if (node_is_echo(pkt, &request) && request && own && node_address_answers(own) &&
	    originate_allowed(n))
		node_echo_answer(n, pkt);
	else
		node_drop(n, pkt, DROP_TO_HOST);
}

bool node_send_echo(struct node *n, uint16_t port, const struct macaddr *mac,
		    const struct pkt_tuple *to, uint16_t seq, const uint8_t *data, size_t size)
{
	struct build_eth eth = {
		.dst = *mac, .src = n->links[port].mac, .vlan = n->params->ports[port].vlan};
	struct build_echo echo = {.from = to->src,
				  .to = to->dst,
				  .id = to->sport,
				  .seq = seq,
				  .data = data,
				  .size = size};
	uint8_t *room = n->links[port].up ? originate_room(n) : NULL;

	return room &&
	       originate_frame(n, port, room, build_echo(n->build, &eth, &echo, room, BUILD_MAX));
}
