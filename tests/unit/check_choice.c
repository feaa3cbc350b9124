/*
 * check_choice.c - the algorithms by which a firewall or a target is chosen.
 *
 * proves: HD-1 HD-2 HD-12
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/choice.h"

#define MANY 1000

static const uint16_t in_order[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static struct candidate candidate(uint64_t identity, uint32_t weight)
{
	return (struct candidate){.identity = identity, .weight = weight, .up = true};
}

static struct choice *made(enum choice_algorithm algorithm, const struct candidate *all, uint32_t n)
{
	struct choice *c = choice_new(algorithm, 0, in_order, n);

	ck_assert_ptr_nonnull(c);
	choice_update(c, all);
	return c;
}

/* Pick again and again; each pick is a flow that stays. */
static void pick_flows(struct choice *c, struct candidate *all, unsigned n)
{
	while (n-- > 0) {
		uint16_t i = choice_pick(c, all, 0);
		ck_assert_uint_ne(i, PARAMS_NONE);
		all[i].n_flows++;
	}
}

/* The next picks as letters. */
static void picks_are(struct choice *c, const struct candidate *all, const char *wanted)
{
	char got[64] = "";
	size_t n = strlen(wanted);

	ck_assert_uint_lt(n, sizeof(got));
	for (size_t i = 0; i < n; i++) {
		uint16_t picked = choice_pick(c, all, 0);
		got[i] = picked == PARAMS_NONE ? '-' : (char)('a' + picked);
	}
	ck_assert_str_eq(got, wanted);
}

static struct flow_key key_of(const char *src, uint16_t sport, const char *dst, uint16_t dport,
			      unsigned *dir)
{
	struct pkt_tuple t = {.sport = sport, .dport = dport, .proto = IPPROTO_NUM_TCP};
	struct flow_key key;

	ck_assert_int_eq(ipaddr_parse(&t.src, src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, dst), 0);
	*dir = flow_key_make(&key, &t, ipaddr_is_v4(&t.src) ? 4 : 6);
	return key;
}

START_TEST(both_directions_alike)
{
	static const char *const pairs[][2] = {{"192.0.2.7", "198.51.100.80"},
					       {"203.0.113.200", "10.0.0.1"},
					       {"2001:db8::7", "2001:db8:1::80"}};

	for (unsigned i = 0; i < 3; i++)
		for (uint16_t port = 1024; port < 1124; port++) {
			unsigned there, back;
			struct flow_key x = key_of(pairs[i][0], port, pairs[i][1], 80, &there);
			struct flow_key y = key_of(pairs[i][1], 80, pairs[i][0], port, &back);
			ck_assert_uint_ne(there, back);
			ck_assert(choice_hash_flow(7, &x) == choice_hash_flow(7, &y));
			/* Each node numbers its dispatchers as it likes. */
			y.zone = 3;
			y.version = 9;
			ck_assert(choice_hash_flow(7, &x) == choice_hash_flow(7, &y));
			ck_assert(choice_hash_flow(7, &x) != choice_hash_flow(8, &x));
		}
}
END_TEST

START_TEST(every_field_counts)
{
	unsigned dir;
	struct flow_key key = key_of("192.0.2.7", 1024, "198.51.100.80", 80, &dir), x = key;
	uint64_t hash = choice_hash_flow(0, &key);

	x.aport++;
	ck_assert(choice_hash_flow(0, &x) != hash);
	x = key;
	x.bport++;
	ck_assert(choice_hash_flow(0, &x) != hash);
	x = key;
	x.proto = IPPROTO_NUM_UDP;
	ck_assert(choice_hash_flow(0, &x) != hash);
	for (unsigned i = 0; i < 16; i++) {
		x = key;
		x.a.b[i] ^= 1;
		ck_assert(choice_hash_flow(0, &x) != hash);
		x = key;
		x.b.b[i] ^= 0x80;
		ck_assert(choice_hash_flow(0, &x) != hash);
		ck_assert(choice_hash_address(0, &x.b) != choice_hash_address(0, &key.b));
	}
	ck_assert(choice_hash_address(0, &key.a) != choice_hash_address(1, &key.a));
}
END_TEST

/* As in check_rendezvous: dispatchers of all versions and machines must agree. */
START_TEST(vectors)
{
	unsigned dir;
	struct flow_key v4 = key_of("192.0.2.7", 1024, "198.51.100.80", 80, &dir);
	struct flow_key v6 = key_of("2001:db8::7", 1024, "2001:db8:1::80", 443, &dir);

	ck_assert_uint_eq(choice_identity(""), 0xcbf29ce484222325ULL);
	ck_assert_uint_eq(choice_identity("foobar"), 0x85944171f73967e8ULL); /* FNV's own */
	ck_assert_uint_eq(choice_hash_flow(0, &v4), 0x85ac39f41f823192ULL);
	ck_assert_uint_eq(choice_hash_flow(77, &v6), 0x85d1877cbac75798ULL);
	ck_assert_uint_eq(choice_hash_address(0, &v4.a), 0x65321ccbc3425259ULL);
}
END_TEST

/* Flows of real keys, not buckets, over firewalls of different weights. */
START_TEST(static_shares)
{
	struct candidate all[3] = {candidate(1, 1), candidate(2, 2), candidate(3, 3)};
	struct choice *c = made(CHOICE_STATIC, all, 3);
	uint32_t got[3] = {0};

	for (uint32_t i = 0; i < 60000; i++) {
		unsigned dir;
		char src[32];
		snprintf(src, sizeof(src), "10.%u.%u.7", i % 7, i / 7 % 251);
		struct flow_key key =
			key_of(src, (uint16_t)(1024 + i / 1757), "198.51.100.80", 80, &dir);
		uint16_t picked = choice_pick(c, all, choice_hash_flow(0, &key));
		if (picked > 2)
			ck_abort_msg("picked %u", picked);
		got[picked]++;
	}
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_double_eq_tol(got[i] / 60000.0, (i + 1) / 6.0, 0.015);
	choice_free(c);
}
END_TEST

/* Two dispatchers list the same firewalls in different orders, among others that are down. */
START_TEST(static_agrees)
{
	struct candidate x[4] = {candidate(11, 3), candidate(22, 2), candidate(33, 1),
				 candidate(44, 0)};
	struct candidate y[5] = {candidate(99, 8), x[2], candidate(98, 5), x[0], x[1]};
	static const uint16_t some[] = {4, 1, 0, 3}; /* and one that is not listed at all */
	struct choice *a = choice_new(CHOICE_STATIC, 5, in_order, 4);
	struct choice *b = choice_new(CHOICE_STATIC, 5, some, 4);
	struct choice *other = choice_new(CHOICE_LEAST_FLOWS, 5, some, 4);
	struct rng rng = {.counter = 1};

	y[0].up = false;
	choice_update(a, x);
	choice_update(b, y);
	choice_update(other, y);
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t hash = rng_u64(&rng);
		uint16_t p = choice_pick(a, x, hash), q = choice_pick(b, y, hash);
		ck_assert_uint_lt(p, 3);
		ck_assert(x[p].identity == y[q].identity);
		/* the algorithm of last resort of all others, too */
		ck_assert_uint_eq(choice_pick_static(other, y, hash), q);
		ck_assert_uint_eq(choice_pick_static(b, y, hash), q);
	}
	choice_free(a);
	choice_free(b);
	choice_free(other);
}
END_TEST

START_TEST(source_keeps_clients_together)
{
	struct candidate all[5];
	uint32_t got[5] = {0};
	struct ipaddr client;
	char text[32];

	for (uint16_t i = 0; i < 5; i++)
		all[i] = candidate(choice_identity("web") + i, 1);
	struct choice *c = made(CHOICE_SOURCE, all, 5);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 250, i % 250);
		ck_assert_int_eq(ipaddr_parse(&client, text), 0);
		uint64_t hash = choice_hash_address(0, &client);
		uint16_t picked = choice_pick(c, all, hash);
		got[picked]++;
		all[picked].n_flows++; /* does not matter */
		ck_assert_uint_eq(choice_pick(c, all, hash), picked);
	}
	for (unsigned i = 0; i < 5; i++)
		ck_assert_double_eq_tol(got[i], 1000, 150);
	choice_free(c);
}
END_TEST

/* Down, weight 0, both, before the first update: nobody is picked by any algorithm. */
START_TEST(nobody_is_up)
{
	struct candidate all[3] = {candidate(1, 0), candidate(2, 5), candidate(3, 0)};
	struct choice *c = choice_new((enum choice_algorithm)_i, 0, in_order, 3);
	struct choice *empty = choice_new((enum choice_algorithm)_i, 0, NULL, 0);

	all[1].up = all[2].up = false;
	ck_assert_uint_eq(choice_pick(c, all, 1), PARAMS_NONE);
	ck_assert_uint_eq(choice_pick_static(c, all, 1), PARAMS_NONE);
	choice_update(c, all);
	ck_assert_uint_eq(choice_pick(c, all, 1), PARAMS_NONE);
	ck_assert_uint_eq(choice_pick_static(c, all, 1), PARAMS_NONE);
	all[1].up = true;
	choice_update(c, all);
	for (uint64_t i = 0; i < 10; i++) {
		ck_assert_uint_eq(choice_pick(c, all, i << 60), 1);
		ck_assert_uint_eq(choice_pick_static(c, all, i << 60), 1);
	}
	all[1].weight = 0;
	choice_update(c, all);
	ck_assert_uint_eq(choice_pick(c, all, 1), PARAMS_NONE);
	choice_update(empty, all);
	ck_assert_uint_eq(choice_pick(empty, all, 1), PARAMS_NONE);
	ck_assert_uint_eq(choice_pick_static(empty, all, 1), PARAMS_NONE);
	choice_free(c);
	choice_free(empty);
	choice_free(NULL);
}
END_TEST

START_TEST(round_robin)
{
	struct candidate all[4] = {candidate(1, 1), candidate(2, 7), candidate(3, 0),
				   candidate(4, 1)};
	struct choice *c = made(CHOICE_ROUND_ROBIN, all, 4);

	picks_are(c, all, "abdabda");
	all[2].weight = 9;
	all[1].up = false;
	choice_update(c, all);
	picks_are(c, all, "cdacd");
	choice_free(c);
}
END_TEST

START_TEST(weighted_is_smooth)
{
	struct candidate all[3] = {candidate(1, 5), candidate(2, 1), candidate(3, 1)};
	struct choice *c = made(CHOICE_WEIGHTED, all, 3);

	picks_are(c, all, "aabacaaaabacaa");
	all[0].weight = 2;
	choice_update(c, all);
	picks_are(c, all, "abcaabca");
	all[0].up = false;
	choice_update(c, all);
	picks_are(c, all, "bcbc");
	choice_free(c);
}
END_TEST

/* Who comes back begins at nothing, whatever he was due when he went. */
START_TEST(weighted_comes_back)
{
	struct candidate all[2] = {candidate(1, 1), candidate(2, 10)};
	struct choice *c = made(CHOICE_WEIGHTED, all, 2);

	picks_are(c, all, "bbbbb");
	all[0].up = false;
	choice_update(c, all);
	picks_are(c, all, "bbb");
	all[0].up = true;
	choice_update(c, all);
	picks_are(c, all, "bbabb");
	choice_free(c);
}
END_TEST

/* Over any whole number of rounds exactly in proportion, and never far from it between. */
START_TEST(weighted_is_exact)
{
	static const uint32_t weights[6] = {256, 100, 1, 33, 7, 0};
	struct candidate all[6];
	uint32_t got[6] = {0}, sum = 397;

	for (unsigned i = 0; i < 6; i++)
		all[i] = candidate(i, weights[i]);
	struct choice *c = made(CHOICE_WEIGHTED, all, 6);
	for (uint32_t n = 1; n <= 3 * sum; n++) {
		got[choice_pick(c, all, 0)]++;
		for (unsigned i = 0; i < 6; i++) {
			double off = got[i] - (double)n * weights[i] / sum;
			if (off > 2 || off < -2)
				ck_abort_msg("%u has %u of %u", i, got[i], n);
		}
	}
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(got[i], 3 * weights[i]);
	choice_free(c);
}
END_TEST

START_TEST(least_flows_for_the_weight)
{
	struct candidate all[3] = {candidate(1, 1), candidate(2, 2), candidate(3, 4)};
	struct choice *c = made(CHOICE_LEAST_FLOWS, all, 3);

	pick_flows(c, all, 700);
	ck_assert_uint_eq(all[0].n_flows, 100);
	ck_assert_uint_eq(all[1].n_flows, 200);
	ck_assert_uint_eq(all[2].n_flows, 400);
	/* One loses its flows: it gets all new ones until it is level with the others. */
	all[1].n_flows = 0;
	pick_flows(c, all, 199);
	ck_assert_uint_eq(all[1].n_flows, 199);
	pick_flows(c, all, 71);
	ck_assert_uint_eq(all[0].n_flows, 110);
	ck_assert_uint_eq(all[1].n_flows, 220);
	ck_assert_uint_eq(all[2].n_flows, 440);
	/* down ones get none, however few they have */
	all[0].n_flows = 0;
	all[0].up = false;
	choice_update(c, all);
	pick_flows(c, all, 30);
	ck_assert_uint_eq(all[0].n_flows, 0);
	choice_free(c);
}
END_TEST

/* Those alike take turns, also when no flow ever stays. */
START_TEST(least_in_turn)
{
	struct candidate all[4] = {candidate(1, 2), candidate(2, 2), candidate(3, 2),
				   candidate(4, 1)};
	struct choice *c = made(CHOICE_LEAST_FLOWS, all, 4);

	picks_are(c, all, "abcabca");
	all[1].n_flows = 1;
	picks_are(c, all, "caca");
	choice_free(c);
}
END_TEST

START_TEST(least_flows_of_many)
{
	struct candidate all[2] = {candidate(1, UINT32_MAX), candidate(2, UINT32_MAX)};
	struct choice *c = made(CHOICE_LEAST_FLOWS, all, 2);

	all[0].n_flows = UINT32_MAX;
	all[1].n_flows = UINT32_MAX - 9;
	picks_are(c, all, "bbb");
	all[1].n_flows = UINT32_MAX;
	picks_are(c, all, "aba");
	choice_free(c);
}
END_TEST

START_TEST(least_packets_for_the_weight)
{
	struct candidate all[3] = {candidate(1, 1), candidate(2, 1), candidate(3, 10)};
	struct choice *c = made(CHOICE_LEAST_PACKETS, all, 3);

	all[0].rate = 900;
	all[1].rate = 500;
	all[2].rate = 6000;
	picks_are(c, all, "bbb"); /* no flows known: the new ones count little */
	all[2].rate = 4000;
	picks_are(c, all, "ccc");
	all[2].up = false;
	all[1].rate = 1000;
	choice_update(c, all);
	picks_are(c, all, "aaa");
	choice_free(c);
}
END_TEST

/* Between two measurements not everything goes to the one that had least at the first. */
START_TEST(least_packets_does_not_stampede)
{
	struct candidate all[3] = {candidate(1, 1), candidate(2, 1), candidate(3, 1)};
	struct choice *c = made(CHOICE_LEAST_PACKETS, all, 3);
	uint32_t got[3] = {0};

	for (unsigned i = 0; i < 3; i++) {
		all[i].n_flows = 100;
		all[i].rate = 1000 - 100 * i; /* 9 packets per second of a flow */
	}
	for (unsigned i = 0; i < 333; i++)
		got[choice_pick(c, all, 0)]++;
	ck_assert_uint_eq(got[0] + 11, got[1]);
	ck_assert_uint_eq(got[1] + 11, got[2]);
	/* Measured anew: the flows are in the rates now. */
	all[0].rate = all[1].rate = all[2].rate = 2000;
	got[0] = got[1] = got[2] = 0;
	for (unsigned i = 0; i < 30; i++)
		got[choice_pick(c, all, 0)]++;
	ck_assert_uint_eq(got[0], 10);
	ck_assert_uint_eq(got[1], 10);
	choice_free(c);
}
END_TEST

START_TEST(least_packets_of_many)
{
	struct candidate all[3] = {candidate(1, UINT32_MAX), candidate(2, UINT32_MAX),
				   candidate(3, UINT32_MAX)};
	struct choice *c = made(CHOICE_LEAST_PACKETS, all, 3);

	for (unsigned i = 0; i < 3; i++) {
		all[i].n_flows = 1;
		all[i].rate = UINT32_MAX;
	}
	picks_are(c, all, "abcabcabc");
	choice_free(c);
}
END_TEST

/* A load that moves the weight moves the share of new flows with it (HD-12). */
START_TEST(weight_moves_the_share)
{
	struct candidate all[2] = {candidate(1, 100), candidate(2, 100)};
	uint32_t got[2] = {0};
	struct rng rng = {.counter = 5};
	struct choice *c = made((enum choice_algorithm)_i, all, 2);

	all[1].weight = 25;
	choice_update(c, all);
	for (unsigned i = 0; i < 5000; i++) {
		uint16_t p = choice_pick(c, all, rng_u64(&rng));
		got[p]++;
		all[p].n_flows++;
	}
	if (_i == CHOICE_ROUND_ROBIN)
		ck_assert_uint_eq(got[0], got[1]);
	else
		ck_assert_double_eq_tol(got[1], 1000, 100);
	choice_free(c);
}
END_TEST

START_TEST(memory_is_told)
{
	uint16_t which[MANY];

	for (uint16_t i = 0; i < MANY; i++)
		which[i] = i;
	struct choice *few = choice_new(CHOICE_STATIC, 0, which, 3);
	struct choice *many = choice_new(CHOICE_STATIC, 0, which, MANY);
	struct choice *turns = choice_new(CHOICE_WEIGHTED, 0, which, MANY);
	ck_assert_uint_lt(choice_memory(few), 400000);
	ck_assert_uint_lt(choice_memory(many), 3000000);
	ck_assert_uint_lt(choice_memory(turns), 200000);
	choice_free(few);
	choice_free(many);
	choice_free(turns);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("choice");
	TCase *t = tcase_create("choice");

	tcase_add_test(t, both_directions_alike);
	tcase_add_test(t, every_field_counts);
	tcase_add_test(t, vectors);
	tcase_add_test(t, static_shares);
	tcase_add_test(t, static_agrees);
	tcase_add_test(t, source_keeps_clients_together);
	tcase_add_loop_test(t, nobody_is_up, CHOICE_STATIC, CHOICE_SOURCE + 1);
	tcase_add_test(t, round_robin);
	tcase_add_test(t, weighted_is_smooth);
	tcase_add_test(t, weighted_comes_back);
	tcase_add_test(t, weighted_is_exact);
	tcase_add_test(t, least_flows_for_the_weight);
	tcase_add_test(t, least_in_turn);
	tcase_add_test(t, least_flows_of_many);
	tcase_add_test(t, least_packets_for_the_weight);
	tcase_add_test(t, least_packets_does_not_stampede);
	tcase_add_test(t, least_packets_of_many);
	tcase_add_loop_test(t, weight_moves_the_share, CHOICE_STATIC, CHOICE_SOURCE + 1);
	tcase_add_test(t, memory_is_told);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
