#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "firewall/classify.h"
#include "firewall/policy.h"

/* A set of rules under construction. */
#define MAX_RULES 400
#define MAX_ITEMS 4096

struct set {
	struct firewall_params params;
	struct rule_params rules[MAX_RULES];
	struct prefix prefixes[MAX_ITEMS];
	struct range ranges[MAX_ITEMS];
};

static struct set *set_new(void)
{
	struct set *s = calloc(1, sizeof(*s));

	ck_assert_ptr_nonnull(s);
	s->params = (struct firewall_params){.default_action = RULE_DROP,
					     .rules = s->rules,
					     .prefixes = s->prefixes,
					     .ranges = s->ranges};
	return s;
}

static struct rule_params *add_rule(struct set *s, const char *name, enum rule_action action)
{
	ck_assert_uint_lt(s->params.n_rules, MAX_RULES);
	struct rule_params *r = &s->rules[s->params.n_rules++];

	snprintf(r->name, sizeof(r->name), "%s", name);
	r->line = s->params.n_rules * 10;
	r->action = action;
	r->in_port = r->out_port = PARAMS_NO_PORT;
	return r;
}

static void add_prefix(struct set *s, struct slice *slice, const char *text)
{
	ck_assert_uint_lt(s->params.n_prefixes, MAX_ITEMS);
	if (slice->n == 0)
		slice->first = s->params.n_prefixes;
	ck_assert_int_eq(prefix_parse(&s->prefixes[s->params.n_prefixes++], text), 0);
	slice->n++;
}

static void add_range(struct set *s, struct slice *slice, unsigned lo, unsigned hi)
{
	ck_assert_uint_lt(s->params.n_ranges, MAX_ITEMS);
	if (slice->n == 0)
		slice->first = s->params.n_ranges;
	s->ranges[s->params.n_ranges++] = (struct range){(uint16_t)lo, (uint16_t)hi};
	slice->n++;
}

static struct pkt_tuple tuple(unsigned proto, const char *src, unsigned sport, const char *dst,
			      unsigned dport)
{
	struct pkt_tuple t = {
		.proto = (uint8_t)proto, .sport = (uint16_t)sport, .dport = (uint16_t)dport};

	ck_assert_int_eq(ipaddr_parse(&t.src, src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, dst), 0);
	return t;
}

/* The rule that judges a packet. */
static unsigned judge(const struct policy *p, struct pkt_tuple t, unsigned in, unsigned out)
{
	struct policy_packet pkt = {
		.tuple = &t, .in_port = (uint16_t)in, .out_port = (uint16_t)out};

	return policy_judge(p, &pkt).rule;
}

static unsigned judge_icmp(const struct policy *p, struct pkt_tuple t, unsigned type, unsigned code)
{
	struct policy_packet pkt = {
		.tuple = &t, .icmp_type = (uint8_t)type, .icmp_code = (uint8_t)code};

	return policy_judge(p, &pkt).rule;
}

static bool possible(const struct policy *p, struct pkt_tuple t, unsigned in, unsigned out)
{
	struct policy_packet pkt = {
		.tuple = &t, .in_port = (uint16_t)in, .out_port = (uint16_t)out};

	return policy_possible(p, &pkt);
}

#define NONE PARAMS_NO_PORT
#define DEFAULT POLICY_DEFAULT

/* proves: FC-12 */
START_TEST(no_rules)
{
	struct set *s = set_new();
	s->params.default_action = RULE_REJECT;
	s->params.default_log = true;
	struct policy *p = policy_new(&s->params);
	struct pkt_tuple t = tuple(6, "10.0.0.1", 1, "10.0.0.2", 2);
	struct policy_packet pkt = {.tuple = &t};
	struct policy_verdict v = policy_judge(p, &pkt);

	ck_assert_int_eq(v.action, RULE_REJECT);
	ck_assert(v.log);
	ck_assert_uint_eq(v.rule, POLICY_DEFAULT);
	ck_assert(!policy_possible(p, &pkt));
	ck_assert_uint_eq(policy_n_rules(p), 0);
	ck_assert_str_eq(policy_rule_name(p, POLICY_DEFAULT), "default");
	policy_free(p);
	free(s);
	policy_free(NULL);
}
END_TEST

START_TEST(first_match_decides)
{
	struct set *s = set_new();
	struct rule_params *r = add_rule(s, "mail", RULE_REJECT);
	add_range(s, &r->protocols, 6, 6);
	add_range(s, &r->dports, 25, 25);
	r->log = true;
	r = add_rule(s, "lan", RULE_PASS);
	r->in_port = 0;
	r->out_port = 1;
	add_prefix(s, &r->from, "10.1.0.0/24");
	add_prefix(s, &r->from, "fd00:1::/64");
	r = add_rule(s, "rest", RULE_DROP);
	r->in_port = 0;
	struct policy *p = policy_new(&s->params);

	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 25), 0, 1), 0);
	ck_assert_uint_eq(judge(p, tuple(17, "10.1.0.9", 5, "192.0.2.1", 25), 0, 1), 1);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 25, "192.0.2.1", 26), 0, 1), 1);
	ck_assert_uint_eq(judge(p, tuple(6, "fd00:1::9", 5, "2001:db8::1", 80), 0, 1), 1);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.1.0", 5, "192.0.2.1", 80), 0, 1), 2);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 80), 0, 2), 2);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 80), 1, 0), DEFAULT);
	/* a port that is not known matches only rules that name none */
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 80), 0, NONE), 2);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 80), NONE, 1), DEFAULT);
	ck_assert_uint_eq(judge(p, tuple(6, "10.1.0.9", 5, "192.0.2.1", 25), NONE, NONE), 0);
	ck_assert_str_eq(policy_rule_name(p, 1), "lan");
	ck_assert_uint_eq(policy_rule_line(p, 1), 20);
	ck_assert_int_eq(policy_rule_action(p, 0), RULE_REJECT);
	ck_assert_int_eq(policy_rule_action(p, POLICY_DEFAULT), RULE_DROP);
	struct pkt_tuple t = tuple(6, "10.1.0.9", 5, "192.0.2.1", 25);
	ck_assert(policy_judge(p, &(struct policy_packet){.tuple = &t}).log);
	policy_free(p);
	free(s);
}
END_TEST

START_TEST(families)
{
	struct set *s = set_new();
	struct rule_params *r = add_rule(s, "all6", RULE_PASS);
	add_prefix(s, &r->from, "::/0");
	r = add_rule(s, "all4", RULE_PASS);
	add_prefix(s, &r->from, "0.0.0.0/0");
	struct policy *p = policy_new(&s->params);

	ck_assert_uint_eq(judge(p, tuple(6, "0.0.0.0", 5, "192.0.2.1", 80), 0, 1), 1);
	ck_assert_uint_eq(judge(p, tuple(6, "255.255.255.255", 5, "192.0.2.1", 80), 0, 1), 1);
	ck_assert_uint_eq(judge(p, tuple(6, "::", 5, "::1", 80), 0, 1), 0);
	ck_assert_uint_eq(judge(p, tuple(6, "::fffe:ffff:ffff", 5, "::1", 80), 0, 1), 0);
	ck_assert_uint_eq(judge(p, tuple(6, "::1:0:0:0", 5, "::1", 80), 0, 1), 0);
	ck_assert_uint_eq(
		judge(p, tuple(6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 5, "::1", 80), 0, 1),
		0);
	policy_free(p);
	free(s);
}
END_TEST

START_TEST(icmp_types)
{
	struct set *s = set_new();
	struct rule_params *r = add_rule(s, "ping", RULE_PASS);
	add_range(s, &r->protocols, 1, 1);
	add_range(s, &r->protocols, 58, 58);
	add_range(s, &r->icmp_types, 8, PARAMS_ANY_CODE);
	add_range(s, &r->icmp_types, PARAMS_ICMP6 + 128, 0);
	r = add_rule(s, "ports", RULE_PASS); /* has ports, so it is not for ICMP */
	add_range(s, &r->dports, 0, 65535);
	r = add_rule(s, "types", RULE_PASS); /* has types, so it is for ICMP only */
	add_range(s, &r->icmp_types, 13, 5);
	struct policy *p = policy_new(&s->params);
	struct pkt_tuple v4 = tuple(1, "10.0.0.1", 7, "10.0.0.2", 7);
	struct pkt_tuple v6 = tuple(58, "fd00::1", 7, "fd00::2", 7);

	ck_assert_uint_eq(judge_icmp(p, v4, 8, 0), 0);
	ck_assert_uint_eq(judge_icmp(p, v4, 8, 255), 0);
	ck_assert_uint_eq(judge_icmp(p, v4, 128, 0), DEFAULT);
	ck_assert_uint_eq(judge_icmp(p, v6, 128, 0), 0);
	ck_assert_uint_eq(judge_icmp(p, v6, 128, 1), DEFAULT);
	ck_assert_uint_eq(judge_icmp(p, v6, 8, 0), DEFAULT);
	ck_assert_uint_eq(judge_icmp(p, v4, 13, 5), 2);
	ck_assert_uint_eq(judge_icmp(p, v4, 13, 4), DEFAULT);
	ck_assert_uint_eq(judge_icmp(p, v4, 0, 0), DEFAULT);
	ck_assert_uint_eq(judge(p, tuple(6, "10.0.0.1", 7, "10.0.0.2", 0), 0, 0), 1);
	ck_assert_uint_eq(judge(p, tuple(47, "10.0.0.1", 0, "10.0.0.2", 0), 0, 0), DEFAULT);
	policy_free(p);
	free(s);
}
END_TEST

START_TEST(what_is_possible)
{
	struct set *s = set_new();
	struct rule_params *r = add_rule(s, "no-mail", RULE_DROP);
	add_range(s, &r->protocols, 6, 6);
	add_range(s, &r->dports, 25, 25);
	r = add_rule(s, "not-out-2", RULE_DROP);
	r->out_port = 2;
	r = add_rule(s, "lan", RULE_PASS);
	r->in_port = 0;
	r->out_port = 1;
	add_prefix(s, &r->from, "10.1.0.0/24");
	r = add_rule(s, "ping", RULE_PASS);
	add_range(s, &r->protocols, 1, 1);
	add_range(s, &r->icmp_types, 8, PARAMS_ANY_CODE);
	struct policy *p = policy_new(&s->params);
	struct pkt_tuple web = tuple(6, "10.1.0.9", 5, "192.0.2.1", 80);
	struct pkt_tuple mail = tuple(6, "10.1.0.9", 5, "192.0.2.1", 25);
	struct pkt_tuple alien = tuple(6, "10.2.0.9", 5, "192.0.2.1", 80);

	ck_assert(possible(p, web, 0, 1));
	ck_assert(possible(p, web, 0, NONE));
	ck_assert(possible(p, web, NONE, 1));
	ck_assert(possible(p, web, NONE, NONE));
	ck_assert(!possible(p, web, 1, NONE));
	ck_assert(!possible(p, web, 0, 2));
	/* refused before anything unknown could matter */
	ck_assert(!possible(p, mail, NONE, NONE));
	ck_assert(!possible(p, mail, 0, 1));
	ck_assert(!possible(p, alien, NONE, NONE));
	/* an echo reply belongs to a flow that a request may have begun */
	ck_assert(possible(p, tuple(1, "10.2.0.9", 5, "192.0.2.1", 5), 0, 1));
	ck_assert(!possible(p, tuple(58, "fd00::1", 5, "fd00::2", 5), NONE, NONE));
	policy_free(p);
	free(s);
}
END_TEST

START_TEST(counters_survive_reload)
{
	struct set *a = set_new(), *b = set_new();
	add_rule(a, "one", RULE_PASS);
	add_rule(a, "two", RULE_PASS);
	add_rule(a, "three", RULE_DROP);
	add_rule(b, "zero", RULE_DROP);
	add_rule(b, "three", RULE_PASS);
	add_rule(b, "one", RULE_PASS);
	struct policy *p = policy_new(&a->params), *q = policy_new(&b->params);

	policy_count(p, 0, 1, 100);
	policy_count(p, 0, 2, 50);
	policy_count(p, 2, 5, 500);
	policy_count(p, POLICY_DEFAULT, 9, 900);
	/* the policy refers to nothing in its parameters */
	memset(a, 0xff, sizeof(*a));
	free(a);
	memset(b, 0xff, sizeof(*b));
	free(b);
	policy_inherit(q, p);
	ck_assert_uint_eq(policy_stats(q, 0)->packets, 0);
	ck_assert_uint_eq(policy_stats(q, 1)->packets, 5);
	ck_assert_uint_eq(policy_stats(q, 2)->packets, 3);
	ck_assert_uint_eq(policy_stats(q, 2)->bytes, 150);
	ck_assert_uint_eq(policy_stats(q, POLICY_DEFAULT)->bytes, 900);
	ck_assert_uint_eq(policy_map_rule(q, p, 0), 2);
	ck_assert_uint_eq(policy_map_rule(q, p, 1), POLICY_DEFAULT);
	ck_assert_uint_eq(policy_map_rule(q, p, 2), 1);
	ck_assert_uint_eq(policy_map_rule(q, p, POLICY_DEFAULT), POLICY_DEFAULT);
	policy_free(p);
	policy_free(q);
}
END_TEST

/* The same question answered without any cleverness. */

static bool in_prefixes(const struct set *s, const struct slice *slice, const struct ipaddr *a)
{
	for (uint32_t i = 0; i < slice->n; i++)
		if (prefix_contains(&s->prefixes[slice->first + i], a))
			return true;
	return slice->n == 0;
}

static bool in_ranges(const struct set *s, const struct slice *slice, unsigned n)
{
	for (uint32_t i = 0; i < slice->n; i++)
		if (s->ranges[slice->first + i].lo <= n && n <= s->ranges[slice->first + i].hi)
			return true;
	return slice->n == 0;
}

static bool in_types(const struct set *s, const struct slice *slice, const struct policy_packet *k)
{
	unsigned type = k->icmp_type + (k->tuple->proto == 58 ? PARAMS_ICMP6 : 0u);

	for (uint32_t i = 0; i < slice->n; i++) {
		const struct range *t = &s->ranges[slice->first + i];
		if (t->lo == type && (t->hi == PARAMS_ANY_CODE || t->hi == k->icmp_code))
			return true;
	}
	return slice->n == 0;
}

#define YES 2u	 /* matches whatever is not known */
#define MAYBE 1u /* matches for some value of it */

static unsigned naive_match(const struct set *s, const struct rule_params *r,
			    const struct policy_packet *k, bool types_known)
{
	const struct pkt_tuple *t = k->tuple;
	bool ports = t->proto == 6 || t->proto == 17, types = t->proto == 1 || t->proto == 58;
	unsigned out = YES;

	if (!in_prefixes(s, &r->from, &t->src) || !in_prefixes(s, &r->to, &t->dst) ||
	    !in_ranges(s, &r->protocols, t->proto))
		return 0;
	if (!ports && (r->sports.n || r->dports.n))
		return 0;
	if (ports && (!in_ranges(s, &r->sports, t->sport) || !in_ranges(s, &r->dports, t->dport)))
		return 0;
	if (!types && r->icmp_types.n)
		return 0;
	if (types && types_known && !in_types(s, &r->icmp_types, k))
		return 0;
	if (types && !types_known && r->icmp_types.n)
		out = MAYBE;
	if (r->in_port != NONE && k->in_port == NONE)
		out = MAYBE;
	else if (r->in_port != NONE && r->in_port != k->in_port)
		return 0;
	if (r->out_port != NONE && k->out_port == NONE)
		out = MAYBE;
	else if (r->out_port != NONE && r->out_port != k->out_port)
		return 0;
	return out;
}

static unsigned naive_judge(const struct set *s, const struct policy_packet *k)
{
	for (unsigned i = 0; i < s->params.n_rules; i++)
		if (naive_match(s, &s->rules[i], k, true) == YES)
			return i;
	return DEFAULT;
}

static bool naive_possible(const struct set *s, const struct policy_packet *k)
{
	for (unsigned i = 0; i < s->params.n_rules; i++) {
		unsigned m = naive_match(s, &s->rules[i], k, false);
		if (m && s->rules[i].action == RULE_PASS)
			return true;
		if (m == YES)
			return false;
	}
	return false;
}

/* Random rules and packets out of few values, so that they meet. */

static unsigned pick(struct rng *rng, unsigned n)
{
	return (unsigned)(rng_u64(rng) % n);
}

static const char *const networks[] = {
	"0.0.0.0/0",	 "10.0.0.0/8",	  "10.1.0.0/16", "10.1.0.0/24",	 "10.1.0.7",
	"10.1.0.8/29",	 "10.1.255.0/24", "192.0.2.1",	 "192.0.2.0/25", "::/0",
	"2001:db8::/32", "fd00:1::/64",	  "fd00:1::7",	 "::/1",	 "8000::/1",
	"fd00::/8",	 "128.0.0.0/1",
};
static const char *const hosts[] = {
	"10.1.0.7", "10.1.0.8",	     "10.1.0.15", "10.1.0.16",	  "10.1.255.255", "10.2.0.0",
	"11.0.0.0", "9.255.255.255", "192.0.2.1", "192.0.2.127",  "192.0.2.128",  "255.255.255.255",
	"0.0.0.0",  "fd00:1::7",     "fd00:1::8", "fd00:1:0:1::", "2001:db8::1",  "2001:db9::",
	"::",	    "::1:0:0:0",     "ffff::",	  "7fff::",	  "128.0.0.0",
};
static const unsigned protocols[] = {1, 6, 17, 58, 47};
static const unsigned values[] = {0, 1, 3, 8, 80, 128, 255, 443, 1023, 1024, 65534, 65535};

#define PICK(rng, array) ((array)[pick(rng, sizeof(array) / sizeof((array)[0]))])

static void random_ranges(struct set *s, struct slice *slice, struct rng *rng)
{
	for (unsigned n = pick(rng, 3); n > 0; n--) {
		unsigned a = PICK(rng, values), b = PICK(rng, values);
		add_range(s, slice, a < b ? a : b, a < b ? b : a);
	}
}

static void random_types(struct set *s, struct slice *slice, struct rng *rng)
{
	for (unsigned n = pick(rng, 3); n > 0; n--)
		add_range(s, slice, (PICK(rng, values) & 0xff) + (pick(rng, 2) ? PARAMS_ICMP6 : 0),
			  pick(rng, 2) ? PARAMS_ANY_CODE : pick(rng, 3));
}

static void random_rule(struct set *s, struct rng *rng)
{
	static const enum rule_action actions[] = {RULE_PASS, RULE_DROP, RULE_REJECT};
	char name[16];

	snprintf(name, sizeof(name), "r%u", s->params.n_rules);
	struct rule_params *r = add_rule(s, name, PICK(rng, actions));
	if (pick(rng, 2))
		r->in_port = (uint16_t)pick(rng, 3);
	if (pick(rng, 2))
		r->out_port = (uint16_t)pick(rng, 3);
	for (unsigned n = pick(rng, 4); n > 0; n--)
		add_prefix(s, &r->from, PICK(rng, networks));
	for (unsigned n = pick(rng, 4); n > 0; n--)
		add_prefix(s, &r->to, PICK(rng, networks));
	for (unsigned n = pick(rng, 3); n > 0; n--) {
		unsigned p = PICK(rng, protocols);
		add_range(s, &r->protocols, p, p);
	}
	if (pick(rng, 2))
		random_ranges(s, &r->sports, rng);
	if (pick(rng, 2))
		random_ranges(s, &r->dports, rng);
	if (pick(rng, 3) == 0)
		random_types(s, &r->icmp_types, rng);
}

static void compare_once(const struct set *s, const struct policy *p, struct rng *rng)
{
	struct pkt_tuple t = tuple(PICK(rng, protocols), PICK(rng, hosts), PICK(rng, values),
				   PICK(rng, hosts), PICK(rng, values));
	struct policy_packet k = {.tuple = &t,
				  .in_port = (uint16_t)(pick(rng, 4) ? pick(rng, 3) : NONE),
				  .out_port = (uint16_t)(pick(rng, 4) ? pick(rng, 3) : NONE),
				  .icmp_type = (uint8_t)PICK(rng, values),
				  .icmp_code = (uint8_t)pick(rng, 3)};
	struct policy_verdict v = policy_judge(p, &k);
	unsigned rule = naive_judge(s, &k);

	ck_assert_uint_eq(v.rule, rule);
	ck_assert_int_eq(v.action, rule == DEFAULT ? RULE_DROP : s->rules[rule].action);
	ck_assert_int_eq(policy_possible(p, &k), naive_possible(s, &k));
}

/* proves: FC-12 */
START_TEST(as_a_naive_evaluator)
{
	/* around the 64 rules of a word, and many */
	static const unsigned sizes[] = {1, 2, 5, 17, 63, 64, 65, 128, 130, MAX_RULES};
	struct rng rng = {.key = {1, (uint64_t)_i}};

	for (unsigned round = 0; round < 6; round++) {
		struct set *s = set_new();
		for (unsigned n = PICK(&rng, sizes); n > 0; n--)
			random_rule(s, &rng);
		struct policy *p = policy_new(&s->params);
		ck_assert_ptr_nonnull(p);
		for (unsigned n = 0; n < 1000; n++)
			compare_once(s, p, &rng);
		policy_free(p);
		free(s);
	}
}
END_TEST

START_TEST(too_many_rules)
{
	struct set *s = set_new();

	s->params.n_rules = PARAMS_RULES + 1;
	ck_assert_ptr_null(policy_new(&s->params));
	free(s);
}
END_TEST

/* An axis by itself: adjacent, nested and repeated spans, and both ends of the range. */
START_TEST(axis)
{
	const axis_key last = ~(axis_key)0;
	const struct axis_span spans[] = {
		{0, 9, 0}, {5, 20, 1}, {5, 20, 1}, {10, 10, 0}, {15, 30, 1}, {last - 1, last, 2},
	};
	static const struct {
		axis_key key;
		uint64_t bits;
	} want[] = {{0, 1},  {4, 1},  {5, 3},  {9, 3},	{10, 3},  {11, 2},
		    {20, 2}, {21, 2}, {30, 2}, {31, 0}, {1000, 0}};
	struct rows rows;
	struct axis a;
	uint64_t any = 8;

	ck_assert_int_eq(rows_init(&rows, 4), 0);
	ck_assert_int_eq(axis_build(&a, &rows, &any, spans, 6), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_uint_eq(*rows_at(&rows, axis_find(&a, want[i].key)), want[i].bits | 8);
	ck_assert_uint_eq(*rows_at(&rows, axis_find(&a, last - 2)), 8);
	ck_assert_uint_eq(*rows_at(&rows, axis_find(&a, last)), 4 | 8);
	axis_fini(&a);
	rows_fini(&rows);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("policy");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_rules);
	tcase_add_test(t, first_match_decides);
	tcase_add_test(t, families);
	tcase_add_test(t, icmp_types);
	tcase_add_test(t, what_is_possible);
	tcase_add_test(t, counters_survive_reload);
	tcase_add_loop_test(t, as_a_naive_evaluator, 0, 8);
	tcase_add_test(t, too_many_rules);
	tcase_add_test(t, axis);
	suite_add_tcase(s, t);

	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
