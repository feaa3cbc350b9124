#define _GNU_SOURCE 1 /* qsort_r */

#include "firewall/policy.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/classify.h"

#define N_PORTS (PARAMS_PORTS + 1) /* the last one: port not known */
#define N_PROTOCOLS 256

struct policy_rule {
	char name[PARAMS_NAME];
	uint32_t line;
	enum rule_action action;
	bool log;
	struct policy_rule_stats stats;
};

struct policy {
	uint32_t n_rules;
	struct policy_rule *rules; /* the default is the one behind the last */
	uint16_t *by_name;	   /* rules in the order of their names */
	struct rows rows;
	uint32_t all; /* row with every rule */
	uint32_t in[N_PORTS], out[N_PORTS];
	uint32_t protocol[N_PROTOCOLS];
	struct axis src, dst, sport, dport, icmp;
};

/* What the rows are made from: while a policy is built. */
struct builder {
	struct policy *p;
	const struct firewall_params *params;
	uint64_t *bits; /* one row */
	struct axis_span *spans;
	size_t n_spans;
};

static void clear(struct builder *b)
{
	memset(b->bits, 0, b->p->rows.words * sizeof(*b->bits));
	b->n_spans = 0;
}

static void set(struct builder *b, uint32_t rule)
{
	b->bits[rule / 64] |= 1ULL << (rule % 64);
}

static axis_key address_key(const struct ipaddr *a)
{
	uint64_t hi, lo;

	memcpy(&hi, a->b, 8);
	memcpy(&lo, a->b + 8, 8);
	return (axis_key)be64toh(hi) << 64 | be64toh(lo);
}

static void add_span(struct builder *b, axis_key lo, axis_key hi, uint32_t rule)
{
	b->spans[b->n_spans++] = (struct axis_span){.lo = lo, .hi = hi, .rule = rule};
}

/* An IPv6 prefix as short as ::/0 does not reach into the range of mapped IPv4 addresses. */
static void add_prefix(struct builder *b, const struct prefix *p, uint32_t rule)
{
	const axis_key v4 = (axis_key)0xffff << 32, v4_last = v4 | 0xffffffffu;
	axis_key mask = p->len == 0 ? 0 : ~(axis_key)0 << (128 - p->len);
	axis_key lo = address_key(&p->addr) & mask, hi = lo | ~mask;

	if (p->len < 96 && lo < v4 && hi > v4_last) {
		add_span(b, lo, v4 - 1, rule);
		add_span(b, v4_last + 1, hi, rule);
	} else if (p->len >= 96 || hi < v4 || lo > v4_last) {
		add_span(b, lo, hi, rule);
	}
}

static int build_addresses(struct builder *b, struct axis *axis, bool source)
{
	clear(b);
	for (uint32_t i = 0; i < b->params->n_rules; i++) {
		const struct rule_params *r = &b->params->rules[i];
		const struct slice *s = source ? &r->from : &r->to;
		if (s->n == 0)
			set(b, i);
		for (uint32_t j = 0; j < s->n; j++)
			add_prefix(b, &b->params->prefixes[s->first + j], i);
	}
	return axis_build(axis, &b->p->rows, b->bits, b->spans, b->n_spans);
}

static int build_ports(struct builder *b, struct axis *axis, bool source)
{
	clear(b);
	for (uint32_t i = 0; i < b->params->n_rules; i++) {
		const struct rule_params *r = &b->params->rules[i];
		const struct slice *s = source ? &r->sports : &r->dports;
		if (s->n == 0)
			set(b, i);
		for (uint32_t j = 0; j < s->n; j++) {
			const struct range *range = &b->params->ranges[s->first + j];
			add_span(b, range->lo, range->hi, i);
		}
	}
	return axis_build(axis, &b->p->rows, b->bits, b->spans, b->n_spans);
}

/* Key of a type and code; `type` has PARAMS_ICMP6 added for ICMPv6. */
static axis_key icmp_key(unsigned type, unsigned code)
{
	return type << 8 | code;
}

static int build_icmp(struct builder *b)
{
	clear(b);
	for (uint32_t i = 0; i < b->params->n_rules; i++) {
		const struct slice *s = &b->params->rules[i].icmp_types;
		if (s->n == 0)
			set(b, i);
		for (uint32_t j = 0; j < s->n; j++) {
			const struct range *t = &b->params->ranges[s->first + j];
			bool any = t->hi == PARAMS_ANY_CODE;
			add_span(b, icmp_key(t->lo, any ? 0 : t->hi),
				 icmp_key(t->lo, any ? 255 : t->hi), i);
		}
	}
	return axis_build(&b->p->icmp, &b->p->rows, b->bits, b->spans, b->n_spans);
}

static bool in_ranges(const struct firewall_params *f, const struct slice *s, unsigned n)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (f->ranges[s->first + i].lo <= n && n <= f->ranges[s->first + i].hi)
			return true;
	return s->n == 0;
}

/* Whether a rule can match a packet of that protocol: one with ports wants TCP or UDP, one with
 * ICMP types wants ICMP. */
static bool takes_protocol(const struct firewall_params *f, const struct rule_params *r,
			   unsigned number)
{
	bool has_ports = number == IPPROTO_NUM_TCP || number == IPPROTO_NUM_UDP;
	bool has_types = number == IPPROTO_NUM_ICMP || number == IPPROTO_NUM_ICMP6;

	if (!has_ports && (r->sports.n > 0 || r->dports.n > 0))
		return false;
	if (!has_types && r->icmp_types.n > 0)
		return false;
	return in_ranges(f, &r->protocols, number);
}

static int build_protocols(struct builder *b)
{
	for (unsigned number = 0; number < N_PROTOCOLS; number++) {
		clear(b);
		for (uint32_t i = 0; i < b->params->n_rules; i++)
			if (takes_protocol(b->params, &b->params->rules[i], number))
				set(b, i);
		b->p->protocol[number] = rows_intern(&b->p->rows, b->bits);
		if (b->p->protocol[number] == UINT32_MAX)
			return -ENOMEM;
	}
	return 0;
}

/* Rules for each port they may name; the last place is for a port that is not known. */
static int build_attachments(struct builder *b, uint32_t rows[N_PORTS], bool in)
{
	for (unsigned port = 0; port < N_PORTS; port++) {
		clear(b);
		for (uint32_t i = 0; i < b->params->n_rules; i++) {
			const struct rule_params *r = &b->params->rules[i];
			uint16_t named = in ? r->in_port : r->out_port;
			if (named == PARAMS_NO_PORT || named == port)
				set(b, i);
		}
		rows[port] = rows_intern(&b->p->rows, b->bits);
		if (rows[port] == UINT32_MAX)
			return -ENOMEM;
	}
	return 0;
}

static int build_all(struct builder *b)
{
	clear(b);
	for (uint32_t i = 0; i < b->params->n_rules; i++)
		set(b, i);
	b->p->all = rows_intern(&b->p->rows, b->bits);
	return b->p->all == UINT32_MAX ? -ENOMEM : 0;
}

/* The most spans that one field of all rules can need: a prefix may become two. */
static size_t most_spans(const struct firewall_params *f)
{
	size_t most = 1;
	size_t n[5] = {0};

	for (uint32_t i = 0; i < f->n_rules; i++) {
		n[0] += 2 * (size_t)f->rules[i].from.n;
		n[1] += 2 * (size_t)f->rules[i].to.n;
		n[2] += f->rules[i].sports.n;
		n[3] += f->rules[i].dports.n;
		n[4] += f->rules[i].icmp_types.n;
	}
	for (unsigned i = 0; i < 5; i++)
		if (n[i] > most)
			most = n[i];
	return most;
}

static int build(struct policy *p, const struct firewall_params *params)
{
	struct builder b = {.p = p, .params = params};
	int rc = rows_init(&p->rows, params->n_rules);

	b.bits = calloc(p->rows.words, sizeof(*b.bits));
	b.spans = calloc(most_spans(params), sizeof(*b.spans));
	if (rc == 0 && (!b.bits || !b.spans))
		rc = -ENOMEM;
	if (rc == 0)
		rc = build_all(&b);
	if (rc == 0)
		rc = build_attachments(&b, p->in, true);
	if (rc == 0)
		rc = build_attachments(&b, p->out, false);
	if (rc == 0)
		rc = build_protocols(&b);
	if (rc == 0)
		rc = build_addresses(&b, &p->src, true);
	if (rc == 0)
		rc = build_addresses(&b, &p->dst, false);
	if (rc == 0)
		rc = build_ports(&b, &p->sport, true);
	if (rc == 0)
		rc = build_ports(&b, &p->dport, false);
	if (rc == 0)
		rc = build_icmp(&b);
	free(b.bits);
	free(b.spans);
	return rc;
}

static int compare_names(const void *x, const void *y, void *arg)
{
	const struct policy *p = arg;
	const uint16_t *a = x, *b = y;

	return strcmp(p->rules[*a].name, p->rules[*b].name);
}

static int copy_rules(struct policy *p, const struct firewall_params *params)
{
	p->rules = calloc((size_t)params->n_rules + 1, sizeof(*p->rules));
	p->by_name = calloc((size_t)params->n_rules + 1, sizeof(*p->by_name));
	if (!p->rules || !p->by_name)
		return -ENOMEM;
	p->n_rules = params->n_rules;
	for (uint32_t i = 0; i < params->n_rules; i++) {
		const struct rule_params *from = &params->rules[i];
		struct policy_rule *to = &p->rules[i];
		memcpy(to->name, from->name, sizeof(to->name));
		to->line = from->line;
		to->action = from->action;
		to->log = from->log;
		p->by_name[i] = (uint16_t)i;
	}
	struct policy_rule *last = &p->rules[p->n_rules];
	memcpy(last->name, "default", sizeof("default"));
	last->action = params->default_action;
	last->log = params->default_log;
	qsort_r(p->by_name, p->n_rules, sizeof(*p->by_name), compare_names, p);
	return 0;
}

struct policy *policy_new(const struct firewall_params *params)
{
	struct policy *p;

	if (params->n_rules > PARAMS_RULES)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	if (copy_rules(p, params) != 0 || build(p, params) != 0) {
		policy_free(p);
		return NULL;
	}
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	axis_fini(&p->src);
	axis_fini(&p->dst);
	axis_fini(&p->sport);
	axis_fini(&p->dport);
	axis_fini(&p->icmp);
	rows_fini(&p->rows);
	free(p->rules);
	free(p->by_name);
	free(p);
}

static unsigned port_place(uint16_t port)
{
	return port < PARAMS_PORTS ? port : PARAMS_PORTS;
}

/* One row for each field of the packet. */
enum field { IN, OUT, PROTOCOL, SRC, DST, SPORT, DPORT, N_FIELDS };
#define ICMP_TYPE SPORT /* ICMP has types where others have ports */

static void find_rows(const struct policy *p, const struct policy_packet *pkt,
		      const uint64_t *rows[N_FIELDS])
{
	const struct pkt_tuple *t = pkt->tuple;
	bool v6 = t->proto == IPPROTO_NUM_ICMP6;
	unsigned type = pkt->icmp_type + (v6 ? PARAMS_ICMP6 : 0u);

	rows[IN] = rows_at(&p->rows, p->in[port_place(pkt->in_port)]);
	rows[OUT] = rows_at(&p->rows, p->out[port_place(pkt->out_port)]);
	rows[PROTOCOL] = rows_at(&p->rows, p->protocol[t->proto]);
	rows[SRC] = rows_at(&p->rows, axis_find(&p->src, address_key(&t->src)));
	rows[DST] = rows_at(&p->rows, axis_find(&p->dst, address_key(&t->dst)));
	rows[SPORT] = rows[DPORT] = rows_at(&p->rows, p->all);
	if (t->proto == IPPROTO_NUM_TCP || t->proto == IPPROTO_NUM_UDP) {
		rows[SPORT] = rows_at(&p->rows, axis_find(&p->sport, t->sport));
		rows[DPORT] = rows_at(&p->rows, axis_find(&p->dport, t->dport));
	} else if (t->proto == IPPROTO_NUM_ICMP || v6) {
		rows[ICMP_TYPE] =
			rows_at(&p->rows, axis_find(&p->icmp, icmp_key(type, pkt->icmp_code)));
	}
}

/* Rules 64 * i ... 64 * i + 63 that match in every field. */
static uint64_t intersect(const uint64_t *const rows[N_FIELDS], uint32_t i)
{
	uint64_t w = rows[0][i];

	for (unsigned f = 1; f < N_FIELDS; f++)
		w &= rows[f][i];
	return w;
}

static struct policy_verdict verdict(const struct policy *p, uint16_t rule)
{
	const struct policy_rule *r = &p->rules[rule == POLICY_DEFAULT ? p->n_rules : rule];

	return (struct policy_verdict){.action = r->action, .log = r->log, .rule = rule};
}

struct policy_verdict policy_judge(const struct policy *p, const struct policy_packet *pkt)
{
	const uint64_t *rows[N_FIELDS];

	find_rows(p, pkt, rows);
	for (uint32_t i = 0; i < p->rows.words; i++) {
		uint64_t w = intersect(rows, i);
		if (w)
			return verdict(p, (uint16_t)(i * 64 + (uint32_t)__builtin_ctzll(w)));
	}
	return verdict(p, POLICY_DEFAULT);
}

bool policy_possible(const struct policy *p, const struct policy_packet *pkt)
{
	const uint64_t *sure[N_FIELDS];	 /* rules that match whatever is not known */
	const uint64_t *maybe[N_FIELDS]; /* rules that may match */
	const uint64_t *all = rows_at(&p->rows, p->all);
	bool icmp = pkt->tuple->proto == IPPROTO_NUM_ICMP || pkt->tuple->proto == IPPROTO_NUM_ICMP6;

	find_rows(p, pkt, sure);
	memcpy(maybe, sure, sizeof(maybe));
	if (pkt->in_port == PARAMS_NO_PORT)
		maybe[IN] = all;
	if (pkt->out_port == PARAMS_NO_PORT)
		maybe[OUT] = all;
	if (icmp) {
		/* the key behind all types has the rules that name none */
		sure[ICMP_TYPE] = rows_at(&p->rows, axis_find(&p->icmp, icmp_key(512, 0)));
		maybe[ICMP_TYPE] = all;
	}
	for (uint32_t i = 0; i < p->rows.words; i++) {
		uint64_t certain = intersect(sure, i);
		for (uint64_t w = intersect(maybe, i); w; w &= w - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(w);
			if (p->rules[i * 64 + bit].action == RULE_PASS)
				return true;
			if (certain >> bit & 1)
				return false;
		}
	}
	return p->rules[p->n_rules].action == RULE_PASS;
}

static uint32_t index_of(const struct policy *p, uint16_t rule)
{
	return rule < p->n_rules ? rule : p->n_rules;
}

void policy_count(struct policy *p, uint16_t rule, uint64_t packets, uint64_t bytes)
{
	struct policy_rule *r = &p->rules[index_of(p, rule)];

	r->stats.packets += packets;
	r->stats.bytes += bytes;
}

const struct policy_rule_stats *policy_stats(const struct policy *p, uint16_t rule)
{
	return &p->rules[index_of(p, rule)].stats;
}

const char *policy_rule_name(const struct policy *p, uint16_t rule)
{
	return p->rules[index_of(p, rule)].name;
}

uint32_t policy_rule_line(const struct policy *p, uint16_t rule)
{
	return p->rules[index_of(p, rule)].line;
}

enum rule_action policy_rule_action(const struct policy *p, uint16_t rule)
{
	return p->rules[index_of(p, rule)].action;
}

uint32_t policy_n_rules(const struct policy *p)
{
	return p->n_rules;
}

static uint16_t find_name(const struct policy *p, const char *name)
{
	uint32_t lo = 0, hi = p->n_rules;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = strcmp(p->rules[p->by_name[mid]].name, name);
		if (c == 0)
			return p->by_name[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return POLICY_DEFAULT;
}

void policy_inherit(struct policy *p, const struct policy *old)
{
	for (uint32_t i = 0; i < p->n_rules; i++) {
		uint16_t was = find_name(old, p->rules[i].name);
		if (was != POLICY_DEFAULT)
			p->rules[i].stats = old->rules[was].stats;
	}
	p->rules[p->n_rules].stats = old->rules[old->n_rules].stats;
}

uint16_t policy_map_rule(const struct policy *p, const struct policy *old, uint16_t rule)
{
	return rule < old->n_rules ? find_name(p, old->rules[rule].name) : POLICY_DEFAULT;
}
