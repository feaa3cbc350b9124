/*
 * relay.c - the forward table and the two ways to a home: layer 2 and sealed tunnel (FC-2, FC-6,
 * FC-8, FC-11).
 */
#include <string.h>

#include "firewall/firewall.h"
#include "packet/checksum.h"
#include "packet/segment.h"

#define RELAY_EXPIRE_BUDGET 4096

struct forward *relay_find(struct firewall *f, const struct lookup *l)
{
	struct forward *fw;
	const struct channel_member *m;

	if (!f->forwards)
		return NULL;
	fw = flow_table_find(f->forwards, &l->key, l->hash);
	if (!fw)
		return NULL;
	m = channel_member(f->channel, fw->member);
	if (m->up && m->generation == fw->generation)
		return fw;
	relay_remove(f, fw, "home is gone");
	return NULL;
}

static void relay_note(struct firewall *f, enum note_type type, const struct forward *fw,
		       const char *detail)
{
	struct note *note = node_note(f->node, type);

	if (!note)
		return;
	note->has_flow = true;
	note->key = fw->entry.key;
	note->dir = fw->dir;
	note->member = fw->member;
	note->query_id = fw->query_id;
	note->detail = detail;
}

void relay_remove(struct firewall *f, struct forward *fw, const char *why)
{
	relay_note(f, NOTE_FORWARD_ENDED, fw, why);
	flow_table_remove(f->forwards, fw);
}

struct forward *relay_learn(struct firewall *f, const struct flow_key *key, unsigned dir,
			    uint32_t member, const struct wire_confirm *c)
{
	uint64_t hash = flow_table_hash(f->forwards, key);
	struct forward *fw = flow_table_find(f->forwards, key, hash);

	if (!fw)
		fw = flow_table_insert(f->forwards, key, hash);
	if (!fw)
		return NULL; /* full: the next packet asks again, nothing is lost but the shortcut
			      */
	fw->member = member;
	fw->generation = channel_member(f->channel, member)->generation;
	fw->created_ms = (uint32_t)(f->node->now_ns / 1000000);
	fw->query_id = c->id;
	fw->home_rank = c->rank;
	fw->home_age_ms = c->age_ms;
	fw->dir = (uint8_t)dir;
	fw->handed = false;
	flow_table_arm(f->forwards, fw, f->node->now_ns, f->params->cluster.forward_ms);
	relay_note(f, NOTE_FORWARD_LEARNT, fw, NULL);
	return fw;
}

void relay_member_gone(struct firewall *f, uint32_t member)
{
	struct forward *fw;
	uint32_t pos = 0;

	while (f->forwards && (fw = flow_table_next(f->forwards, &pos)))
		if (fw->member == member)
			relay_remove(f, fw, "home is gone");
}

static void relay_due(void *arg, void *entry)
{
	struct firewall *f = arg;

	node_count(f->node, COUNTER_FORWARD_EXPIRED);
	relay_remove(f, entry, "expired");
}

uint64_t relay_tick(struct firewall *f)
{
	return flow_table_expire(f->forwards, f->node->now_ns, RELAY_EXPIRE_BUDGET, relay_due, f);
}

/* --- members on a segment -------------------------------------------------------------------- */

uint32_t relay_member_by_mac(const struct firewall *f, uint16_t port, const struct macaddr *mac)
{
	if (!f->channel || port >= f->params->n_ports)
		return NOTE_NO_MEMBER;
	return channel_member_by_mac(f->channel, f->segment_ids[port], mac);
}

uint16_t relay_port_of_segment(const struct firewall *f, uint64_t segment)
{
	for (uint16_t i = 0; i < f->params->n_ports; i++)
		if (f->segment_ids[i] == segment)
			return i;
	return PARAMS_NO_PORT;
}

/* --- the tunnel ------------------------------------------------------------------------------ */

static bool relay_datagram(struct firewall *f, const uint8_t *packet, uint32_t size, uint16_t port,
			   uint32_t member)
{
	struct wire_forward m = {
		.segment = f->segment_ids[port], .packet = packet, .packet_len = (uint16_t)size};
	struct wcur body;

	if (!channel_begin(f->channel, size + 64, &body))
		return false;
	wire_put_forward(&body, &m);
	if (!channel_send(f->channel, WIRE_FORWARD, &body, member))
		return false;
	node_count(f->node, COUNTER_FORWARD_TUNNEL);
	return true;
}

/* A super-frame is cut into the segments that the receivers would see. */
static bool relay_segments(struct firewall *f, struct pkt *pkt, uint32_t member)
{
	unsigned n;
	size_t size = segment_gso_size(pkt, &n);
	struct frame *pieces = (void *)actions_room(f->node->out, n * sizeof(*pieces));
	uint8_t *room = pieces ? actions_room(f->node->out, size) : NULL;
	bool sent = true;
	int count;

	if (!room)
		return false;
	count = segment_gso(pkt, pieces, n, room, size);
	for (int i = 0; i < count; i++)
		sent &= relay_datagram(f, pieces[i].data + pkt->l3, pieces[i].len - pkt->l3,
				       pkt->frame->port, member);
	return sent && count > 0;
}

static void relay_tunnel(struct firewall *f, struct pkt *pkt, uint32_t member)
{
	bool sent;

	if (pkt->frame->vnet.gso_type != VNET_GSO_NONE) {
		sent = relay_segments(f, pkt, member);
	} else {
		csum_complete(pkt->frame);
		sent = relay_datagram(f, pkt->frame->data + pkt->l3, pkt->frame->len - pkt->l3,
				      pkt->frame->port, member);
	}
	node_drop(f->node, pkt, sent ? DROP_TUNNELLED : DROP_NO_BUFFER);
}

void relay_to_home(struct firewall *f, struct pkt *pkt, uint32_t member, struct forward *fw)
{
	enum cluster_forward mode = f->params->cluster.forward;
	const struct wire_segment *s = NULL;

	if (mode != FORWARD_TUNNEL)
		s = channel_segment(f->channel, member, f->segment_ids[pkt->frame->port]);
	if (fw)
		fw->tunnel = !s;
	if (s) {
		if (node_send_l2(f->node, pkt, pkt->frame->port, &s->mac) == DROP_NONE)
			node_count(f->node, COUNTER_FORWARD_L2);
	} else if (mode == FORWARD_L2) {
		node_drop(f->node, pkt, DROP_NO_FORWARD_PATH);
	} else {
		relay_tunnel(f, pkt, member);
	}
}
