/*
 * backup_reload.c - backups while the configuration changes: switched on and off, members that move
 * in the list, come and go (FC-17).
 */
#include <errno.h>
#include <string.h>

#include "firewall/backup.h"
#include "firewall/firewall.h"

/* --- on and off ------------------------------------------------------------------------------ */

static int switch_on(struct firewall *f, const struct params *params)
{
	struct hash_key flows = {rng_u64(&f->node->rng), rng_u64(&f->node->rng)};
	struct hash_key secret = {rng_u64(&f->node->rng), rng_u64(&f->node->rng)};
	int rc = backup_init(f, params, &flows, &secret);

	if (rc == 0)
		backup_all_ready(f);
	return rc;
}

/* The others must not hold for this node what it tells of no longer, nor tell it any more. */
static void switch_off(struct firewall *f, const struct params *params)
{
	backup_void(f);
	f->backup->handing = BACKUP_LEAVES; /* takes none */
	for (uint32_t m = 0; m < params->n_members; m++)
		if (m != params->self && channel_member(f->channel, m)->up)
			backup_ack_send(f, m);
	backup_fini(f);
}

int backup_configure(struct firewall *f, const struct params *params)
{
	bool wanted = backup_wanted(f, params);

	if (wanted && !f->backup)
		return switch_on(f, params);
	if (!wanted && f->backup)
		switch_off(f, params);
	return 0;
}

/* --- members --------------------------------------------------------------------------------- */

#define GONE UINT8_MAX

/* Where each member of the old list is in the new one. */
static void map_members(const struct params *from, const struct params *to,
			uint8_t map[PARAMS_MEMBERS])
{
	for (uint32_t i = 0; i < from->n_members; i++) {
		map[i] = GONE;
		for (uint32_t j = 0; j < to->n_members; j++)
			if (to->members[j].id == from->members[i].id)
				map[i] = (uint8_t)j;
	}
}

static void move_peers(struct firewall *f, const struct params *from, const uint8_t *map)
{
	struct backup *b = f->backup;
	struct backup_peer old[PARAMS_MEMBERS];

	memcpy(old, b->peers, sizeof(old));
	memset(b->peers, 0, sizeof(b->peers));
	for (uint32_t i = 0; i < PARAMS_MEMBERS; i++) {
		b->peers[i].out_epoch = b->epoch;
		b->peers[i].offer_ns = f->node->now_ns;
	}
	for (uint32_t i = 0; i < from->n_members; i++)
		if (map[i] != GONE)
			b->peers[map[i]] = old[i];
}

static void move_pending(struct backup *b, const uint8_t *map)
{
	for (uint32_t i = 0; i < b->n_pending; i++) {
		struct backup_pending *p = &b->pending[(b->pending_head + i) % BACKUP_PENDING];

		if (map[p->member] == GONE)
			p->n = 0;
		else
			p->member = map[p->member];
	}
}

/* What a member held that is not of the cluster any more was put to other members when that was
 * noticed; what is held for it is lost to it, and an orphan here. */
static void move_flows(struct firewall *f, const struct params *to, const uint8_t *map)
{
	struct backup *b = f->backup;
	struct backup_flow *e;
	struct state *s;

	for (uint32_t pos = 0; (s = flow_table_next(f->states, &pos));)
		if (s->backup)
			s->backup = (uint8_t)(map[s->backup - 1] + 1);
	for (uint32_t pos = 0; (e = flow_table_next(b->flows, &pos));) {
		if (e->other)
			e->other = (uint8_t)(map[e->other - 1] + 1); /* GONE: none */
		if (map[e->member] != GONE) {
			e->member = map[e->member];
		} else {
			e->member = (uint8_t)to->self;
			e->boot = (uint16_t)(b->peers[to->self].boot + 1);
		}
	}
}

void backup_move_members(struct firewall *f, const struct params *from, const struct params *to)
{
	uint8_t map[PARAMS_MEMBERS];

	if (!f->backup)
		return;
	if (from->node_id != to->node_id) {
		backup_forget_members(f);
		return;
	}
	map_members(from, to, map);
	move_peers(f, from, map);
	move_pending(f->backup, map);
	move_flows(f, to, map);
	backup_exhume(f);
}

void backup_remap_rules(struct firewall *f, const struct policy *policy)
{
	struct backup_flow *e;

	if (!f->backup)
		return;
	for (uint32_t pos = 0; (e = flow_table_next(f->backup->flows, &pos));)
		e->rule = policy_map_rule(policy, f->policy, e->rule);
}
