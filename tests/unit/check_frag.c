/* proves: FC-9 FC-13 */
#include <check.h>
#include <stdlib.h>

#include "flow/frag.h"

#define MS 1000000ULL
#define START 7000000000ULL
#define TIMEOUT 30000

static const struct hash_key secret = {.k0 = 1, .k1 = 2};

static struct frag_table *table_of(uint32_t capacity, uint32_t per_source)
{
	struct frag_params params = {
		.capacity = capacity, .per_source = per_source, .timeout_ms = TIMEOUT};
	struct frag_table *t = frag_table_new(&params, &secret, START);

	ck_assert_ptr_nonnull(t);
	return t;
}

/* One fragment of a UDP datagram with id `id` from host `host`. */
static struct pkt fragment(uint8_t version, uint32_t host, uint32_t id, uint32_t offset,
			   uint32_t len, bool more)
{
	uint8_t src[16] = {10, 0, (uint8_t)(host >> 8), (uint8_t)host}, dst[16] = {192, 0, 2, 1};
	struct pkt p = {.version = version,
			.fragment = true,
			.more_fragments = more,
			.frag_id = id,
			.frag_offset = offset,
			.frag_len = len};

	p.tuple.proto = IPPROTO_NUM_UDP;
	p.tuple.src = version == 4 ? ipaddr_v4(src) : ipaddr_v6(src);
	p.tuple.dst = version == 4 ? ipaddr_v4(dst) : ipaddr_v6(dst);
	if (offset == 0) {
		p.tuple.sport = 4000;
		p.tuple.dport = 53;
	}
	return p;
}

static enum drop see_at(struct frag_table *t, struct pkt p, uint64_t now_ns, struct frag **f)
{
	enum drop d = frag_table_see(t, &p, now_ns, f);

	ck_assert_int_eq(d == DROP_NONE, *f != NULL);
	return d;
}

static enum drop see(struct frag_table *t, struct pkt p)
{
	struct frag *f;

	return see_at(t, p, START, &f);
}

static struct frag *find(struct frag_table *t, struct pkt p)
{
	return frag_table_find(t, &p, START);
}

/* One step of a script: offset, length, more fragments, verdict. */
struct step {
	uint32_t offset, len;
	bool more;
	enum drop verdict;
};

#define SCRIPT(...)                                                                                \
	(const struct step[])                                                                      \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
		}                                                                                  \
	}

static void play(uint8_t version, const struct step *steps)
{
	struct frag_table *t = table_of(8, 8);

	for (unsigned i = 0; steps[i].len > 0 || steps[i].verdict != DROP_NONE; i++)
		ck_assert_msg(see(t, fragment(version, 1, 77, steps[i].offset, steps[i].len,
					      steps[i].more)) == steps[i].verdict,
			      "step %u of version %u", i, version);
	frag_table_free(t);
}

static void play_both(const struct step *steps)
{
	play(4, steps);
	play(6, steps);
}

/* ---- a datagram of four fragments in each of the 24 orders ---- */

static void in_order(uint8_t version, const unsigned order[4])
{
	struct frag_table *t = table_of(8, 8);
	struct flow_key key;
	bool first_seen = false;
	struct pkt whole = fragment(version, 1, 5, 0, 8, true);
	unsigned dir = flow_key_make(&key, &whole.tuple, version);

	for (unsigned i = 0; i < 4; i++) {
		struct frag *f;
		struct pkt p = fragment(version, 1, 5, order[i] * 64, order[i] == 3 ? 13 : 64,
					order[i] != 3);
		first_seen |= order[i] == 0;
		ck_assert_int_eq(see_at(t, p, START, &f), DROP_NONE);
		ck_assert_int_eq(f->known, first_seen);
		ck_assert_ptr_eq(find(t, p), f);
		if (!first_seen)
			continue;
		ck_assert(flow_key_eq(&f->key, &key));
		ck_assert_uint_eq(f->dir, dir);
		ck_assert_uint_eq(f->tuple.sport, 4000);
		ck_assert_uint_eq(f->tuple.dport, 53);
	}
	/* gone a second after it was complete */
	ck_assert_uint_eq(frag_table_count(t), 1);
	uint64_t next = frag_table_expire(t, START);
	ck_assert_uint_gt(next, START);
	while (next != UINT64_MAX && next <= START + 1010 * MS)
		next = frag_table_expire(t, next);
	ck_assert_uint_eq(frag_table_count(t), 0);
	frag_table_free(t);
}

START_TEST(every_order)
{
	for (unsigned n = 0; n < 256; n++) {
		unsigned order[4] = {n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3};
		unsigned set = 1U << order[0] | 1U << order[1] | 1U << order[2] | 1U << order[3];
		if (set != 15)
			continue;
		in_order(4, order);
		in_order(6, order);
	}
}
END_TEST

/* ---- duplicates and overlaps ---- */

START_TEST(duplicates_pass_but_not_of_the_first)
{
	play_both(SCRIPT({0, 64, true, DROP_NONE}, {64, 64, true, DROP_NONE},
			 {64, 64, true, DROP_NONE}, {0, 64, true, DROP_FRAG_OVERLAP},
			 {128, 8, false, DROP_NONE}, {128, 8, false, DROP_NONE},
			 {64, 64, true, DROP_NONE}));
}
END_TEST

START_TEST(overlap_condemns_the_datagram)
{
	/* behind, in front, inside, around, the first one, the last one */
	play_both(SCRIPT({0, 64, true, DROP_NONE}, {56, 64, true, DROP_FRAG_OVERLAP},
			 {64, 64, true, DROP_FRAG_OVERLAP}, {0, 64, true, DROP_FRAG_OVERLAP}));
	play_both(SCRIPT({64, 64, true, DROP_NONE}, {0, 72, true, DROP_FRAG_OVERLAP},
			 {0, 64, true, DROP_FRAG_OVERLAP}));
	play_both(SCRIPT({64, 64, true, DROP_NONE}, {72, 8, true, DROP_FRAG_OVERLAP},
			 {0, 64, true, DROP_FRAG_OVERLAP}));
	play_both(SCRIPT({64, 64, true, DROP_NONE}, {56, 80, true, DROP_FRAG_OVERLAP}));
	play_both(SCRIPT({0, 64, true, DROP_NONE}, {0, 56, true, DROP_FRAG_OVERLAP},
			 {64, 8, false, DROP_FRAG_OVERLAP}));
	play_both(SCRIPT({64, 60, false, DROP_NONE}, {64, 64, false, DROP_FRAG_OVERLAP}));
	/* two gaps bridged by one */
	play_both(SCRIPT({8, 8, true, DROP_NONE}, {24, 8, true, DROP_NONE},
			 {8, 24, true, DROP_FRAG_OVERLAP}));
}
END_TEST

START_TEST(condemned_flow_is_not_known)
{
	struct frag_table *t = table_of(8, 8);
	struct pkt first = fragment(4, 1, 9, 0, 64, true);

	ck_assert_int_eq(see(t, first), DROP_NONE);
	ck_assert(find(t, first)->known);
	ck_assert_int_eq(see(t, fragment(4, 1, 9, 8, 64, true)), DROP_FRAG_OVERLAP);
	ck_assert(!find(t, first)->known);
	ck_assert_int_eq(find(t, first)->condemned, DROP_FRAG_OVERLAP);
	ck_assert_int_eq(see(t, fragment(4, 1, 10, 8, 64, true)), DROP_NONE);
	frag_table_free(t);
}
END_TEST

START_TEST(impossible_lengths)
{
	play_both(SCRIPT({0, 64, true, DROP_NONE}, {64, 60, true, DROP_FRAG_BAD},
			 {64, 64, true, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, 8, true, DROP_NONE}, {0, 64, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, 8, false, DROP_NONE}, {72, 8, true, DROP_FRAG_BAD},
			 {0, 64, true, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, 8, false, DROP_NONE}, {72, 8, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, 8, false, DROP_NONE}, {32, 8, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, 8, true, DROP_NONE}, {64, 8, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({65528, 8, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({65528, 7, false, DROP_NONE}));
	play_both(SCRIPT({UINT32_MAX - 7, 16, true, DROP_FRAG_BAD}));
	play_both(SCRIPT({64, UINT32_MAX, false, DROP_FRAG_BAD}));
	play_both(SCRIPT({8, 0, false, DROP_FRAG_BAD}));
}
END_TEST

START_TEST(tiny_first_fragments)
{
	struct frag_table *t = table_of(8, 8);
	struct pkt p;

	play_both(SCRIPT({0, 8, true, DROP_NONE}));
	p = fragment(4, 1, 1, 0, 4, false);
	ck_assert_int_eq(see(t, p), DROP_FRAG_TINY);
	p = fragment(4, 1, 1, 0, 16, true);
	p.tuple.proto = IPPROTO_NUM_TCP;
	ck_assert_int_eq(see(t, p), DROP_FRAG_TINY);
	p.frag_len = 24;
	ck_assert_int_eq(see(t, p), DROP_NONE);
	p.frag_offset = 8; /* RFC 3128: writes over the flags */
	ck_assert_int_eq(see(t, p), DROP_FRAG_TINY);
	p.frag_offset = 16;
	ck_assert_int_eq(see(t, p), DROP_FRAG_TINY);
	p.frag_offset = 24;
	ck_assert_int_eq(see(t, p), DROP_NONE);
	ck_assert_uint_eq(frag_table_count(t), 1);
	frag_table_free(t);
}
END_TEST

/* ---- which fragments belong together ---- */

START_TEST(datagrams_are_told_apart)
{
	struct frag_table *t = table_of(8, 8);
	struct pkt a = fragment(4, 1, 1, 0, 64, true), b = a;

	ck_assert_int_eq(see(t, a), DROP_NONE);
	b = fragment(4, 1, 1, 64, 64, true);
	ck_assert(find(t, b)->known);
	b.frag_id = 2;
	ck_assert_ptr_null(find(t, b));
	b = fragment(4, 2, 1, 64, 64, true);
	ck_assert_ptr_null(find(t, b));
	b = fragment(4, 1, 1, 64, 64, true);
	b.tuple.proto = IPPROTO_NUM_ICMP;
	ck_assert_ptr_null(find(t, b));
	b.tuple = (struct pkt_tuple){
		.src = a.tuple.dst, .dst = a.tuple.src, .proto = IPPROTO_NUM_UDP};
	ck_assert_ptr_null(find(t, b));
	frag_table_free(t);
}
END_TEST

/* The fragment header of a later fragment may name an extension header. */
START_TEST(ipv6_goes_by_id_alone)
{
	struct frag_table *t = table_of(8, 8);
	struct pkt p = fragment(6, 1, 0xdeadbeef, 0, 64, true);

	ck_assert_int_eq(see(t, p), DROP_NONE);
	p = fragment(6, 1, 0xdeadbeef, 64, 64, true);
	p.tuple.proto = 60;
	struct frag *f;
	ck_assert_int_eq(see_at(t, p, START, &f), DROP_NONE);
	ck_assert(f->known);
	ck_assert_uint_eq(f->key.proto, IPPROTO_NUM_UDP);
	p.frag_id = 0x1eadbeef;
	ck_assert_ptr_null(find(t, p));
	frag_table_free(t);
}
END_TEST

START_TEST(tag_is_kept)
{
	struct frag_table *t = table_of(8, 8);
	struct pkt p = fragment(4, 1, 1, 64, 64, true);

	ck_assert_int_eq(see(t, p), DROP_NONE);
	ck_assert_uint_eq(find(t, p)->tag, 0);
	find(t, p)->tag = 0xabcd;
	ck_assert_int_eq(see(t, fragment(4, 1, 1, 0, 64, true)), DROP_NONE);
	ck_assert_uint_eq(find(t, p)->tag, 0xabcd);
	frag_table_free(t);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_source_has_a_limit)
{
	struct frag_table *t = table_of(16, 4);

	for (uint32_t id = 0; id < 4; id++)
		ck_assert_int_eq(see(t, fragment(4, 1, id, 0, 64, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 4, 0, 64, true)), DROP_FRAG_LIMIT);
	ck_assert_int_eq(see(t, fragment(4, 2, 4, 0, 64, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 3, 64, 8, false)), DROP_NONE);
	/* those of host 1 end, one after a second, three after thirty */
	frag_table_expire(t, START + 1020 * MS);
	ck_assert_int_eq(see(t, fragment(4, 1, 5, 0, 64, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 6, 0, 64, true)), DROP_FRAG_LIMIT);
	frag_table_free(t);
}
END_TEST

START_TEST(the_oldest_incomplete_gives_way)
{
	struct frag_table *t = table_of(4, 4);

	for (uint32_t host = 0; host < 4; host++)
		ck_assert_int_eq(see(t, fragment(4, host, 1, 0, 64, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 0, 1, 64, 8, false)), DROP_NONE); /* complete */
	ck_assert_int_eq(see(t, fragment(4, 4, 1, 0, 64, true)), DROP_NONE);
	ck_assert_uint_eq(frag_table_count(t), 4);
	ck_assert_ptr_nonnull(find(t, fragment(4, 0, 1, 64, 8, true)));
	ck_assert_ptr_null(find(t, fragment(4, 1, 1, 64, 8, true)));
	ck_assert_ptr_nonnull(find(t, fragment(4, 2, 1, 64, 8, true)));
	for (uint32_t host = 2; host < 5; host++)
		ck_assert_int_eq(see(t, fragment(4, host, 1, 64, 8, false)), DROP_NONE);
	/* all are complete: the one that is so longest goes */
	ck_assert_int_eq(see(t, fragment(4, 9, 1, 0, 64, true)), DROP_NONE);
	ck_assert_ptr_null(find(t, fragment(4, 0, 1, 64, 8, true)));
	frag_table_free(t);
}
END_TEST

/* The limit holds for a flood of any kind, and the counts stay right through it. */
START_TEST(flood)
{
	struct frag_table *t = table_of(64, 8);
	unsigned random = 1, refused = 0;
	uint64_t now = START;
	struct frag *f;

	for (unsigned i = 0; i < 50000; i++) {
		random = random * 1664525U + 1013904223U;
		unsigned r = random >> 8;
		struct pkt p = fragment(r & 1 ? 4 : 6, r >> 1 & 3, r >> 6 & 15, (r >> 10 & 7) * 8,
					8 + (r >> 13 & 1) * 8, r >> 14 & 3);
		refused += see_at(t, p, now, &f) == DROP_FRAG_LIMIT;
		ck_assert_uint_le(frag_table_count(t), 64);
		now += 10 * MS;
		if ((r >> 16 & 63) == 0)
			frag_table_expire(t, now);
	}
	ck_assert_uint_gt(refused, 0);
	while ((now = frag_table_expire(t, now)) != UINT64_MAX)
		;
	ck_assert_uint_eq(frag_table_count(t), 0);
	for (uint32_t id = 0; id < 8; id++) /* no source was left with a count */
		for (uint32_t host = 0; host < 8; host++)
			ck_assert_int_eq(see(t, fragment(4, host, id, 0, 64, true)), DROP_NONE);
	frag_table_free(t);
}
END_TEST

/* 65535 bytes in fragments of 8, more than are remembered one by one. */
START_TEST(many_small_fragments)
{
	struct frag_table *t = table_of(8, 8);
	struct frag *f;

	for (uint32_t offset = 0; offset < 65528; offset += 8)
		ck_assert_int_eq(see(t, fragment(4, 1, 1, offset, 8, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 1, 160, 8, true)), DROP_FRAG_OVERLAP);
	ck_assert_int_eq(see(t, fragment(4, 1, 1, 65528, 7, false)), DROP_NONE);
	ck_assert_int_eq(see_at(t, fragment(4, 1, 1, 65528, 7, false), START + 900 * MS, &f),
			 DROP_NONE);
	frag_table_expire(t, START + 1010 * MS);
	ck_assert_uint_eq(frag_table_count(t), 0);
	/* with holes between them there is no joining */
	for (uint32_t i = 0; i < FRAG_RANGES; i++)
		ck_assert_int_eq(see(t, fragment(4, 1, 2, i * 16, 8, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 2, FRAG_RANGES * 16, 8, true)), DROP_FRAG_LIMIT);
	ck_assert_int_eq(see(t, fragment(4, 1, 2, 8, 8, true)), DROP_FRAG_LIMIT);
	frag_table_free(t);
}
END_TEST

/* ---- time ---- */

START_TEST(an_unfinished_datagram_ends)
{
	struct frag_table *t = table_of(8, 8);
	struct frag *f;
	uint64_t next;

	ck_assert_uint_eq(frag_table_expire(t, START), UINT64_MAX);
	ck_assert_int_eq(see(t, fragment(4, 1, 1, 0, 64, true)), DROP_NONE);
	/* more fragments do not prolong its life */
	ck_assert_int_eq(see_at(t, fragment(4, 1, 1, 64, 64, true), START + 20000 * MS, &f),
			 DROP_NONE);
	for (next = START; next < START + TIMEOUT * MS; next = frag_table_expire(t, next))
		ck_assert_uint_eq(frag_table_count(t), 1);
	ck_assert_uint_le(next, START + (TIMEOUT + 10) * MS);
	ck_assert_uint_eq(frag_table_expire(t, next), UINT64_MAX);
	ck_assert_uint_eq(frag_table_count(t), 0);
	frag_table_free(t);
}
END_TEST

/* The same id after the old datagram's time, though nobody has swept yet. */
START_TEST(id_used_again_after_the_timeout)
{
	struct frag_table *t = table_of(8, 8);
	uint64_t later = START + (TIMEOUT + 1) * MS;
	struct frag *f;

	ck_assert_int_eq(see(t, fragment(4, 1, 1, 0, 64, true)), DROP_NONE);
	ck_assert_int_eq(see(t, fragment(4, 1, 1, 8, 64, true)), DROP_FRAG_OVERLAP);
	ck_assert_int_eq(see_at(t, fragment(4, 1, 1, 32, 64, true), later, &f), DROP_NONE);
	ck_assert(!f->known);
	ck_assert_int_eq(see_at(t, fragment(4, 1, 1, 0, 32, true), later, &f), DROP_NONE);
	ck_assert(f->known);
	frag_table_free(t);
}
END_TEST

/* A fast sender comes round to the same id while the complete datagram is remembered. */
START_TEST(id_used_again_after_completion)
{
	struct frag_table *t = table_of(8, 8);
	struct frag *f;

	for (uint16_t port = 1000; port < 1010; port++) {
		struct pkt p = fragment(4, 1, 1, 0, 64, true);
		p.tuple.sport = port;
		ck_assert_int_eq(see_at(t, p, START, &f), DROP_NONE);
		ck_assert_uint_eq(f->tuple.sport, port);
		ck_assert_int_eq(see_at(t, fragment(4, 1, 1, 64, port, false), START, &f),
				 DROP_NONE);
		ck_assert_uint_eq(f->tuple.sport, port);
		ck_assert_int_eq(see(t, fragment(4, 1, 1, 32, 64, true)), DROP_FRAG_OVERLAP);
	}
	ck_assert_uint_eq(frag_table_count(t), 1);
	frag_table_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frag");
	TCase *tc = tcase_create("frag");

	tcase_add_test(tc, every_order);
	tcase_add_test(tc, duplicates_pass_but_not_of_the_first);
	tcase_add_test(tc, overlap_condemns_the_datagram);
	tcase_add_test(tc, condemned_flow_is_not_known);
	tcase_add_test(tc, impossible_lengths);
	tcase_add_test(tc, tiny_first_fragments);
	tcase_add_test(tc, datagrams_are_told_apart);
	tcase_add_test(tc, ipv6_goes_by_id_alone);
	tcase_add_test(tc, tag_is_kept);
	tcase_add_test(tc, a_source_has_a_limit);
	tcase_add_test(tc, the_oldest_incomplete_gives_way);
	tcase_add_test(tc, flood);
	tcase_add_test(tc, many_small_fragments);
	tcase_add_test(tc, an_unfinished_datagram_ends);
	tcase_add_test(tc, id_used_again_after_the_timeout);
	tcase_add_test(tc, id_used_again_after_completion);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
