/*
 * handover_roles.c - a node that is restarted goes on playing its dispatchers (HD-19), when that
 * took no longer than the others wait.
 */
#include "base/name_id.h"
#include "dispatch/handover.h"
#include "dispatch/takeover.h"

#define MS_NS 1000000ULL

/* Since the others were last told: as long as that is, they have waited. */
static uint32_t silent_ms(const struct dispatch *d)
{
	uint64_t next = d->takeover->send_ns, said = d->node->now_ns + takeover_hello_ns(d);

	return said > next ? (uint32_t)((said - next) / MS_NS) : 0;
}

void takeover_save(const struct dispatch *d, struct sections_out *out)
{
	if (!d->takeover)
		return;
	sections_type(out, HANDOVER_ROLES, HANDOVER_VERSION);
	for (uint32_t i = 0; i < d->n_dispatchers; i++) {
		const struct takeover_role *r = &d->takeover->roles[i];
		struct wcur *c;

		if (!takeover_shared(d, i))
			continue;
		c = sections_item(out);
		wcur_u32(c, name_id(d->params->dispatchers[i].name));
		wcur_u8(c, r->state);
		wcur_u8(c, r->forced);
		wcur_u32(c, r->n_active);
		wcur_u32(c, (uint32_t)((d->node->now_ns - r->since_ns) / MS_NS));
		wcur_u32(c, silent_ms(d));
		wcur_u32(c, d->takeover->seq);
		sections_item_end(out);
	}
}

/* As in takeover_wake: what stood still for longer than the others wait plays nothing. */
static bool not_missed(const struct dispatch *d, uint32_t still_ms,
		       const struct handover_report *report)
{
	uint64_t lease = takeover_dead_ns(d) - takeover_hello_ns(d);

	return still_ms * MS_NS + report->elapsed_ns <= lease;
}

bool takeover_restore(struct dispatch *d, struct rcur *c, const struct handover_report *report)
{
	uint32_t id = rcur_u32(c), n_active, age_ms, still_ms, seq;
	uint8_t state = rcur_u8(c);
	bool forced = rcur_u8(c);
	struct takeover_role *r = NULL;
	uint32_t i;

	n_active = rcur_u32(c);
	age_ms = rcur_u32(c);
	still_ms = rcur_u32(c);
	seq = rcur_u32(c);
	for (i = 0; i < d->n_dispatchers && !r; i++)
		if (takeover_shared(d, i) && name_id(d->params->dispatchers[i].name) == id)
			r = &d->takeover->roles[i];
	if (!rcur_ok(c) || !r)
		return false;
	i--;
	d->takeover->seq = seq; /* under the same boot id an earlier number would be late */
	r->n_active = n_active;
	r->cold = false; /* the others may have missed this node */
	if (state != WIRE_ROLE_ACTIVE || !not_missed(d, still_ms, report))
		return state != WIRE_ROLE_ACTIVE;
	takeover_become(d, i, WIRE_ROLE_ACTIVE, CHANNEL_ALL, NULL);
	r->forced = forced;
	r->since_ns = d->node->now_ns - age_ms * MS_NS - report->elapsed_ns;
	return true;
}
