/*
 * backup_leave.c - a member hands its flows over before it goes, or because the operator says so
 * (FC-17).
 *
 *   this node                            the others
 *     ├── BACKUP_ACK, "takes none" ─────▶│ what it holds for them moves elsewhere
 *     ├── BACKUP, "hand over" ──────────▶│ one of them: a state of its own
 *     │◀───────────────────── TAKEN ─────┤ to all: they forward to the new home from now on
 *     │ the state becomes a forward entry
 *
 * What is under way when the new home speaks reaches it all the same: a packet that a member has
 * forwarded here goes on once more.
 */
#include <errno.h>

#include "firewall/backup.h"
#include "firewall/firewall.h"

/* Flows told in a second, at most, by a member that goes: it has not long to live. A message of
 * twenty to thirty flows each time; with TAKEN some 50 MB/s of the cluster link. */
#define LEAVE_RATE 500000
#define LEAVE_BURST 2000
/* So long after the last flow was given up packets are forwarded that members had sent before they
 * heard of it. */
#define LINGER_NS 20000000ULL
#define HANDED_MS 1000

static void speak_to_all(struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++)
		if (m != f->params->self && channel_member(f->channel, m)->up)
			backup_ack_send(f, m);
}

static void begin(struct firewall *f, enum backup_handing handing)
{
	struct backup *b = f->backup;

	b->handing = handing;
	b->handing_ns = f->node->now_ns;
	b->flush_ns = f->node->now_ns;
	speak_to_all(f);
	backup_flush(f, false);
}

static bool anybody_willing(const struct firewall *f)
{
	for (uint32_t m = 0; m < f->params->n_members; m++)
		if (m != f->params->self && f->backup->peers[m].willing &&
		    channel_member(f->channel, m)->up)
			return true;
	return false;
}

static bool has_any(const struct backup *b)
{
	for (unsigned i = BACKUP_READY; i < BACKUP_LISTS; i++)
		if (b->lists[i].first != FLOW_NO_INDEX)
			return true;
	return false;
}

bool backup_leave(struct firewall *f)
{
	struct backup *b = f->backup;

	if (!b || !anybody_willing(f))
		return false;
	bucket_init(&b->pace, LEAVE_RATE, LEAVE_BURST, f->node->now_ns);
	b->leave_ns = f->node->now_ns + BACKUP_LEAVE_NS;
	b->empty_ns = 0;
	begin(f, BACKUP_LEAVES);
	return true;
}

bool backup_leaving(const struct firewall *f)
{
	const struct backup *b = f->backup;

	return b && b->handing == BACKUP_LEAVES && f->node->now_ns < b->leave_ns &&
	       (b->empty_ns == 0 || f->node->now_ns < b->empty_ns + LINGER_NS);
}

void backup_leave_tick(struct firewall *f)
{
	struct backup *b = f->backup;

	if (b->handing != BACKUP_LEAVES)
		return;
	if (has_any(b))
		b->empty_ns = 0;
	else if (b->empty_ns == 0)
		b->empty_ns = f->node->now_ns;
}

uint64_t backup_leave_next(const struct firewall *f)
{
	const struct backup *b = f->backup;

	if (b->handing != BACKUP_LEAVES)
		return UINT64_MAX;
	if (b->empty_ns == 0)
		return has_any(b) ? b->leave_ns : f->node->now_ns;
	return b->empty_ns + LINGER_NS;
}

int backup_drain(struct firewall *f, bool drain)
{
	struct backup *b = f->backup;

	if (!b)
		return -EOPNOTSUPP;
	if (drain == (b->handing != BACKUP_STAYS))
		return 0;
	if (drain && !anybody_willing(f))
		return -ENETUNREACH;
	if (drain) {
		begin(f, BACKUP_DRAINED);
		return 0;
	}
	b->handing = BACKUP_STAYS;
	speak_to_all(f);
	return 0;
}

struct forward *backup_handed_on(struct firewall *f, const struct pkt *pkt, const struct lookup *l)
{
	uint32_t now_ms = (uint32_t)(f->node->now_ns / 1000000);
	struct forward *fw;

	if (!f->backup || f->backup->handing == BACKUP_STAYS || l->delivering ||
	    pkt->frame->port >= f->params->n_ports) /* it came from a segment not known here */
		return NULL;
	fw = relay_find(f, l);
	return fw && fw->handed && fw->member != l->from && now_ms - fw->created_ms < HANDED_MS
		       ? fw
		       : NULL;
}
