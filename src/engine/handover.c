#include "engine/handover.h"

#include <errno.h>
#include <string.h>

#include "base/name_id.h"
#include "cluster/digest.h"
#include "dispatch/handover.h"
#include "engine/engine_priv.h"
#include "firewall/handover.h"
#include "node/handover.h"

#define HEAD 48
#define SUM DIGEST
#define COUNTER_SHIFT 24 /* messages in a millisecond: far more than can be sealed */

static const uint8_t magic[8] = {'F', 'W', 'C', 'T', 'A', 'B', 'L', 'E'};

/* --- writing ---------------------------------------------------------------------------------- */

struct writer {
	struct digest sum;
	sections_put *put;
	void *arg;
	struct sections_out out;
};

static int write_summed(void *arg, const void *data, size_t size)
{
	struct writer *w = arg;

	digest_add(&w->sum, data, size);
	return w->put(w->arg, data, size);
}

static int write_head(struct writer *w, const struct params *p, const struct handover_place *place)
{
	uint8_t head[HEAD];
	struct wcur c = wcur_init(head, sizeof(head));

	wcur_bytes(&c, magic, sizeof(magic));
	wcur_u16(&c, HANDOVER_MAJOR);
	wcur_u16(&c, HANDOVER_MINOR);
	wcur_u16(&c, p->node_id);
	wcur_u16(&c, p->cluster.id);
	wcur_u32(&c, name_id(p->node));
	wcur_u32(&c, 0);
	wcur_bytes(&c, place->machine, sizeof(place->machine));
	wcur_u64(&c, place->boottime_ns);
	return write_summed(w, head, sizeof(head));
}

static int write_all(struct writer *w, struct engine *e, const struct handover_place *place)
{
	uint8_t sum[SUM];
	int rc;

	if (!digest_begin(&w->sum))
		return -ENOSYS;
	rc = write_head(w, e->params, place);
	if (rc < 0)
		return rc;
	sections_begin(&w->out, write_summed, w);
	if (e->channel) /* first: what follows names members */
		channel_save(e->channel, &w->out, e->node.now_ns);
	node_save(&e->node, &w->out);
	firewall_save(&e->firewall, &w->out);
	dispatch_save(&e->dispatch, &w->out);
	rc = sections_end(&w->out);
	digest_end(&w->sum, sum);
	return rc < 0 ? rc : w->put(w->arg, sum, sizeof(sum));
}

void engine_settle(struct engine *e, uint64_t now_ns, struct actions *out)
{
	node_begin(&e->node, now_ns, out);
	firewall_settle(&e->firewall);
}

int engine_save(struct engine *e, uint64_t now_ns, struct actions *out,
		const struct handover_place *place, sections_put *put, void *arg)
{
	struct writer w = {.put = put, .arg = arg};

	node_begin(&e->node, now_ns, out);
	return write_all(&w, e, place);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int refuse(const char **why, int error, const char *text)
{
	*why = text;
	return error;
}

static int check_version(const uint8_t *data, size_t size, const char **why)
{
	struct rcur c = rcur_init(data, size);
	const uint8_t *m = rcur_take(&c, sizeof(magic));
	uint16_t major = rcur_u16(&c);

	if (size < HEAD + SUM || !m || memcmp(m, magic, sizeof(magic)) != 0)
		return refuse(why, -EBADMSG, "they are no tables");
	if (major != HANDOVER_MAJOR)
		return refuse(why, -EPROTONOSUPPORT, "their format is of another version");
	return 0;
}

static int check_sum(const uint8_t *data, size_t size, const char **why)
{
	if (!digest_is(data + size - SUM, data, size - SUM))
		return refuse(why, -EBADMSG, "they are damaged");
	return 0;
}

static int check_head(const struct params *p, const struct handover_place *place,
		      const uint8_t *data, struct handover_report *report, const char **why)
{
	struct rcur c = rcur_init(data + 12, HEAD - 12);
	uint16_t node_id = rcur_u16(&c);
	uint8_t machine[HANDOVER_MACHINE];
	uint64_t when;
	uint32_t name;

	rcur_skip(&c, 2); /* the cluster's id: flows do not depend on it */
	name = rcur_u32(&c);
	rcur_skip(&c, 4);
	rcur_bytes(&c, machine, sizeof(machine));
	when = rcur_u64(&c);
	if (node_id != p->node_id || name != name_id(p->node))
		return refuse(why, -EXDEV, "they are another node's");
	if (memcmp(machine, place->machine, sizeof(machine)) != 0)
		return refuse(why, -ESTALE,
			      "they are of another machine, or an earlier boot of it");
	if (when > place->boottime_ns || place->boottime_ns - when > HANDOVER_MAX_AGE_NS)
		return refuse(why, -ESTALE, "they are too old");
	report->elapsed_ns = place->boottime_ns - when;
	return 0;
}

static uint16_t cluster_id_of(const uint8_t *data)
{
	struct rcur c = rcur_init(data + 14, 2);

	return rcur_u16(&c);
}

struct reader {
	struct engine *e;
	struct handover_report *report;
	struct firewall_restore *firewall;
	struct dispatch_restore *dispatch;
	uint64_t floor; /* of the counter of sealed messages; 0: the channel does not go on */
	bool members;
};

/* The channel comes first, and tells whether what others say of members holds. */
static int read_begin(struct reader *r)
{
	if (r->firewall)
		return 0;
	r->firewall = firewall_restore_new(&r->e->firewall, r->report, r->members);
	r->dispatch = dispatch_restore_new(&r->e->dispatch, r->report, r->members);
	return r->firewall && r->dispatch ? 0 : -ENOMEM;
}

static bool read_item(struct reader *r, uint16_t type, struct rcur *item)
{
	struct engine *e = r->e;

	switch (type) {
	case HANDOVER_CHANNEL:
		r->members =
			!r->firewall && r->floor > 0 && channel_resume(e->channel, item, r->floor);
		return r->members;
	case HANDOVER_MEMBERS:
		return r->members && channel_restore_member(e->channel, item, e->node.now_ns);
	case HANDOVER_NEIGHBOURS:
		return node_restore_neighbour(&e->node, item);
	case HANDOVER_ADDRESSES:
		return node_restore_address(&e->node, item);
	case HANDOVER_BACKUP:
	case HANDOVER_PEERS:
	case HANDOVER_STATES:
	case HANDOVER_FORWARDS:
	case HANDOVER_HELD:
		return read_begin(r) == 0 && firewall_restore_item(r->firewall, type, item);
	default:
		return read_begin(r) == 0 && dispatch_restore_item(r->dispatch, type, item);
	}
}

static int read_all(struct reader *r, const uint8_t *data, size_t size)
{
	struct sections_in in = sections_read(data, size);
	struct rcur item;

	while (sections_next(&in)) {
		if (in.type == 0 || in.type >= HANDOVER_TYPES) {
			r->report->unknown++;
			continue;
		}
		while (sections_next_item(&in, &item)) {
			if (read_item(r, in.type, &item))
				r->report->kept[in.type]++;
			else
				r->report->lost[in.type]++;
		}
	}
	return sections_ok(&in) ? 0 : -EBADMSG;
}

int engine_restore(struct engine *e, uint64_t now_ns, struct actions *out,
		   const struct handover_place *place, const void *data, size_t size,
		   struct handover_report *report, const char **why)
{
	struct reader r = {.e = e, .report = report};
	int rc;

	*report = (struct handover_report){0};
	*why = NULL;
	rc = check_version(data, size, why);
	if (rc == 0)
		rc = check_head(e->params, place, data, report, why);
	if (rc == 0)
		rc = check_sum(data, size, why);
	if (rc < 0) {
		node_count(&e->node, COUNTER_RESTART_REFUSED);
		return rc;
	}
	node_begin(&e->node, now_ns, out);
	if (e->channel && cluster_id_of(data) == e->params->cluster.id)
		r.floor = place->boottime_ns / 1000000 << COUNTER_SHIFT;
	rc = read_all(&r, (const uint8_t *)data + HEAD, size - HEAD - SUM);
	dispatch_restore_free(r.dispatch);
	firewall_restore_free(r.firewall);
	e->next_ns = now_ns;
	for (unsigned i = 0; i < HANDOVER_TYPES; i++) {
		if (!handover_is_flows(i))
			continue;
		e->node.counters[COUNTER_RESTART_KEPT] += report->kept[i];
		e->node.counters[COUNTER_RESTART_LOST] += report->lost[i];
	}
	if (rc < 0)
		*why = "they make no sense after a while; what came before was taken";
	return rc;
}
