/*
 * check_wire_backup.c - messages about backups: pinned bytes, every prefix refused, nothing
 * impossible accepted.
 *
 * proves: FC-15 FC-17
 */
#include <check.h>

#include "cluster/wire_backup.h"
#include "guard.h"

static struct flow_key key_of(uint8_t proto)
{
	uint8_t a[4] = {10, 1, 0, 5}, b[4] = {192, 0, 2, 80};
	struct pkt_tuple t = {.src = ipaddr_v4(a),
			      .dst = ipaddr_v4(b),
			      .sport = 0x1234,
			      .dport = 80,
			      .proto = proto};
	struct flow_key key;

	flow_key_make(&key, &t, 4);
	return key;
}

static const uint8_t backup_bytes[] = {
	0, 0,  1,    2,	   0,	 0,    0,  3,				   /* seq, epoch */
	4, 6,  0x12, 0x34, 0,	 80,   10, 1, 0, 5,    192, 0, 2,    80,   /* key */
	3, 7,  0xaa, 0xbb, 0xcc, 0xdd, 0,  0, 3, 0xe8, 0,   0, 0xea, 0x60, /* flags .. life */
	0, 0,  0,    1,	   0,	 0,    0,  2, 0, 0,    0,   3, 0,    0,
	0, 4,  7,    255,						 /* una, end, scales */
	4, 17, 0x12, 0x34, 0,	 80,   10, 1, 0, 5,    192, 0, 2,    80, /* UDP: no numbers */
	0, 0,  0,    0,	   0,	 0,    0,  0, 0, 1,    0,   0, 0,    9,
};

/* The same over IPv6, with "hand over"; and of ICMPv6, which has no numbers. */
#define A6 0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5
#define B6 0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80
static const uint8_t backup6_bytes[] = {
	0, 0,  1,    2,	   0,	 0,    0,  3,  /* seq, epoch */
	6, 6,  0,    80,   0x12, 0x34, B6, A6, /* key: the smaller endpoint first */
	7, 0,  0,    0,	   0,	 0,    0,  0,  3, 0xe8, 0, 0, 0xea, 0x60, /* flags .. life */
	0, 0,  0,    1,	   0,	 0,    0,  2,  0, 0,	0, 3, 0,    0,
	0, 4,  14,   0,			       /* una, end, scales */
	6, 58, 0x12, 0x34, 0x12, 0x34, B6, A6, /* ICMPv6 */
	2, 1,  0,    0,	   0,	 7,    0,  0,  0, 1,	0, 0, 0,    9,
};

static bool get_all(const uint8_t *data, size_t size, struct wire_backup_head *h,
		    struct wire_backup_flow *flows, unsigned *n)
{
	struct rcur c = rcur_init(data, size);

	*n = 0;
	if (!wire_get_backup_head(&c, h))
		return false;
	while (rcur_left(&c) > 0)
		if (!wire_get_backup_flow(&c, &flows[(*n)++]))
			return false;
	return true;
}

START_TEST(backup_pinned_and_round_trip)
{
	struct wire_backup_flow flows[4];
	struct wire_backup_head h;
	uint8_t out[256];
	struct wcur w = wcur_init(out, sizeof(out));
	unsigned n;

	ck_assert(get_all(backup_bytes, sizeof(backup_bytes), &h, flows, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(h.seq, 0x102);
	ck_assert_uint_eq(h.epoch, 3);
	ck_assert_uint_eq(flows[0].flags, WIRE_BACKUP_ORIGIN_B | WIRE_BACKUP_REPLIED);
	ck_assert_uint_eq(flows[0].term, 7);
	ck_assert_uint_eq(flows[0].rule, 0xaabbccdd);
	ck_assert_uint_eq(flows[0].age_ms, 1000);
	ck_assert_uint_eq(flows[0].life_ms, 60000);
	ck_assert_uint_eq(flows[0].una[0], 1);
	ck_assert_uint_eq(flows[0].end[0], 2);
	ck_assert_uint_eq(flows[0].una[1], 3);
	ck_assert_uint_eq(flows[0].end[1], 4);
	ck_assert_uint_eq(flows[0].scale[0], 7);
	ck_assert_uint_eq(flows[0].scale[1], 255);
	ck_assert_uint_eq(flows[1].key.proto, IPPROTO_NUM_UDP);
	wire_put_backup_head(&w, &h);
	wire_put_backup_flow(&w, &flows[0]);
	wire_put_backup_flow(&w, &flows[1]);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), sizeof(backup_bytes));
	ck_assert_mem_eq(out, backup_bytes, sizeof(backup_bytes));
}
END_TEST

START_TEST(backup6_pinned_and_round_trip)
{
	static const uint8_t a6[] = {A6}, b6[] = {B6};
	struct wire_backup_flow flows[4];
	struct wire_backup_head h;
	struct ipaddr a = ipaddr_v6(a6), b = ipaddr_v6(b6);
	uint8_t out[256];
	struct wcur w = wcur_init(out, sizeof(out));
	unsigned n;

	ck_assert(get_all(backup6_bytes, sizeof(backup6_bytes), &h, flows, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(flows[0].key.version, 6);
	ck_assert(ipaddr_eq(&flows[0].key.a, &b));
	ck_assert(ipaddr_eq(&flows[0].key.b, &a));
	ck_assert_uint_eq(flows[0].key.aport, 80);
	ck_assert_uint_eq(flows[0].flags,
			  WIRE_BACKUP_ORIGIN_B | WIRE_BACKUP_REPLIED | WIRE_BACKUP_HAND_OVER);
	ck_assert_uint_eq(flows[0].scale[0], 14);
	ck_assert_uint_eq(flows[1].key.proto, IPPROTO_NUM_ICMP6);
	ck_assert_uint_eq(flows[1].term, 1);
	ck_assert_uint_eq(flows[1].life_ms, 9);
	wire_put_backup_head(&w, &h);
	wire_put_backup_flow(&w, &flows[0]);
	wire_put_backup_flow(&w, &flows[1]);
	ck_assert(wcur_ok(&w));
	ck_assert_uint_eq(wcur_size(&w), sizeof(backup6_bytes));
	ck_assert_mem_eq(out, backup6_bytes, sizeof(backup6_bytes));
	for (size_t size = 0; size < sizeof(backup6_bytes); size++) {
		uint8_t *copy = guard_copy(backup6_bytes, size);

		ck_assert_int_eq(get_all(copy, size, &h, flows, &n),
				 size == 8 + WIRE_BACKUP_FLOW_MAX);
		guard_free(copy, size);
	}
}
END_TEST

/* TAKEN: one that goes on and one that has ended, with its age. */
START_TEST(taken6)
{
	static const uint8_t bytes[] = {2, 6,  17,   0,	   80, 0x12, 0x34, B6, A6, 10, 6, 6,
					0, 80, 0x12, 0x34, B6, A6,   0x84, 0,  1,  2,  3};
	struct rcur c = rcur_init(bytes, sizeof(bytes));
	struct wire_taken got;
	uint8_t out[128];
	struct wcur w = wcur_init(out, sizeof(out));

	ck_assert(wire_get_taken(&c, &got));
	ck_assert_uint_eq(got.n, 2);
	ck_assert(!got.v[0].ended);
	ck_assert_uint_eq(got.v[0].rank, 10);
	ck_assert(got.v[1].ended);
	ck_assert_uint_eq(got.v[1].rank, 4);
	ck_assert_uint_eq(got.v[1].age_ms, 0x10203);
	wire_put_taken(&w, &got);
	ck_assert_uint_eq(wcur_size(&w), sizeof(bytes));
	ck_assert_mem_eq(out, bytes, sizeof(bytes));
	for (size_t size = 0; size < sizeof(bytes); size++) {
		uint8_t *copy = guard_copy(bytes, size);

		c = rcur_init(copy, size);
		ck_assert(!wire_get_taken(&c, &got));
		guard_free(copy, size);
	}
}
END_TEST

/* Every prefix but the one that ends with the first flow. */
START_TEST(backup_every_prefix)
{
	struct wire_backup_flow flows[4];
	struct wire_backup_head h;
	unsigned n;

	for (size_t size = 0; size < sizeof(backup_bytes); size++) {
		uint8_t *copy = guard_copy(backup_bytes, size);

		ck_assert_int_eq(get_all(copy, size, &h, flows, &n), size == 54);
		guard_free(copy, size);
	}
}
END_TEST

START_TEST(backup_impossible)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{22, 8}, {22, 0x80}, {52, 15}, {53, 254}, {23, 8}, {23, 255}, {8, 5}, {14, 200}};
	struct wire_backup_flow flows[4];
	struct wire_backup_head h;
	uint8_t copy[sizeof(backup_bytes)];
	unsigned n;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(copy, backup_bytes, sizeof(copy));
		copy[bad[i].at] = bad[i].value;
		ck_assert_msg(!get_all(copy, sizeof(copy), &h, flows, &n), "case %u", i);
	}
	memcpy(copy, backup_bytes, sizeof(copy));
	memset(copy + 32, 0, 4); /* no life */
	ck_assert(!get_all(copy, sizeof(copy), &h, flows, &n));
}
END_TEST

START_TEST(largest_flow)
{
	struct wire_backup_flow w = {.key = {.proto = IPPROTO_NUM_TCP, .version = 6}};
	uint8_t out[256];
	struct wcur c = wcur_init(out, sizeof(out));

	wire_put_backup_flow(&c, &w);
	ck_assert_uint_eq(wcur_size(&c), WIRE_BACKUP_FLOW_MAX);
}
END_TEST

START_TEST(ends)
{
	static const uint8_t bytes[] = {0,  0,	0, 9, 1, 4,   6, 0x12, 0x34, 0,
					80, 10, 1, 0, 5, 192, 0, 2,    80};
	struct wire_keys keys = {.n = 1, .keys = {key_of(IPPROTO_NUM_TCP)}}, got;
	uint8_t out[64];
	struct wcur w = wcur_init(out, sizeof(out));
	struct rcur c = rcur_init(bytes, sizeof(bytes));
	uint32_t seq;

	wire_put_backup_end(&w, 9, &keys);
	ck_assert_uint_eq(wcur_size(&w), sizeof(bytes));
	ck_assert_mem_eq(out, bytes, sizeof(bytes));
	ck_assert(wire_get_backup_end(&c, &seq, &got));
	ck_assert_uint_eq(seq, 9);
	ck_assert(flow_key_eq(&got.keys[0], &keys.keys[0]));
	for (size_t size = 0; size < sizeof(bytes); size++) {
		uint8_t *copy = guard_copy(bytes, size);

		c = rcur_init(copy, size);
		ck_assert(!wire_get_backup_end(&c, &seq, &got));
		guard_free(copy, size);
	}
}
END_TEST

START_TEST(taken)
{
	static const uint8_t bytes[] = {1, 4, 6, 0x12, 0x34, 0, 80, 10, 1, 0, 5, 192, 0, 2, 80, 4};
	struct wire_taken m = {.n = 1}, got;
	uint8_t out[64], more[sizeof(bytes) + 1];
	struct wcur w = wcur_init(out, sizeof(out));
	struct rcur c = rcur_init(bytes, sizeof(bytes));

	m.v[0].key = key_of(IPPROTO_NUM_TCP);
	m.v[0].rank = 4;
	wire_put_taken(&w, &m);
	ck_assert_uint_eq(wcur_size(&w), sizeof(bytes));
	ck_assert_mem_eq(out, bytes, sizeof(bytes));
	ck_assert(wire_get_taken(&c, &got));
	ck_assert_uint_eq(got.v[0].rank, 4);
	for (size_t size = 0; size < sizeof(bytes); size++) {
		uint8_t *copy = guard_copy(bytes, size);

		c = rcur_init(copy, size);
		ck_assert(!wire_get_taken(&c, &got));
		guard_free(copy, size);
	}
	memcpy(more, bytes, sizeof(bytes));
	more[sizeof(bytes)] = 0;
	c = rcur_init(more, sizeof(more));
	ck_assert(!wire_get_taken(&c, &got)); /* bytes behind it */
	more[0] = WIRE_TAKEN_MAX + 1;
	c = rcur_init(more, sizeof(more));
	ck_assert(!wire_get_taken(&c, &got));
}
END_TEST

START_TEST(acks)
{
	static const uint8_t bytes[] = {1, 0, 0, 0, 7, 2, 0, 0, 0, 1, 0xff, 0, 0, 0};
	struct wire_backup_ack got;
	uint8_t out[64], bad[sizeof(bytes)];
	struct wcur w = wcur_init(out, sizeof(out));
	struct rcur c = rcur_init(bytes, sizeof(bytes));

	ck_assert(wire_get_backup_ack(&c, &got));
	ck_assert_uint_eq(got.flags, WIRE_ACK_WILLING);
	ck_assert_uint_eq(got.epoch, 7);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_uint_eq(got.seq[0], 1);
	ck_assert_uint_eq(got.seq[1], 0xff000000);
	wire_put_backup_ack(&w, &got);
	ck_assert_uint_eq(wcur_size(&w), sizeof(bytes));
	ck_assert_mem_eq(out, bytes, sizeof(bytes));
	for (size_t size = 0; size < sizeof(bytes); size++) {
		uint8_t *copy = guard_copy(bytes, size);

		c = rcur_init(copy, size);
		ck_assert(!wire_get_backup_ack(&c, &got));
		guard_free(copy, size);
	}
	memcpy(bad, bytes, sizeof(bad));
	bad[0] = 2;
	c = rcur_init(bad, sizeof(bad));
	ck_assert(!wire_get_backup_ack(&c, &got));
	bad[0] = 1;
	bad[5] = WIRE_ACKS_MAX + 1;
	c = rcur_init(bad, sizeof(bad));
	ck_assert(!wire_get_backup_ack(&c, &got));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire backup");
	TCase *t = tcase_create("wire backup");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, backup_pinned_and_round_trip);
	tcase_add_test(t, backup6_pinned_and_round_trip);
	tcase_add_test(t, taken6);
	tcase_add_test(t, backup_every_prefix);
	tcase_add_test(t, backup_impossible);
	tcase_add_test(t, largest_flow);
	tcase_add_test(t, ends);
	tcase_add_test(t, taken);
	tcase_add_test(t, acks);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
