/* proves: FC-9 */
#include <check.h>
#include <stdlib.h>

#include "flow/key.h"

static struct pkt_tuple tuple4(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
			       uint8_t proto)
{
	uint8_t s[4] = {(uint8_t)(src >> 24), (uint8_t)(src >> 16), (uint8_t)(src >> 8),
			(uint8_t)src};
	uint8_t d[4] = {(uint8_t)(dst >> 24), (uint8_t)(dst >> 16), (uint8_t)(dst >> 8),
			(uint8_t)dst};

	return (struct pkt_tuple){.src = ipaddr_v4(s),
				  .dst = ipaddr_v4(d),
				  .sport = sport,
				  .dport = dport,
				  .proto = proto};
}

static struct pkt_tuple tuple_text(const char *src, uint16_t sport, const char *dst, uint16_t dport,
				   uint8_t proto)
{
	struct pkt_tuple t = {.sport = sport, .dport = dport, .proto = proto};

	ck_assert_int_eq(ipaddr_parse(&t.src, src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, dst), 0);
	return t;
}

static struct pkt_tuple reverse(struct pkt_tuple t)
{
	return (struct pkt_tuple){
		.src = t.dst, .dst = t.src, .sport = t.dport, .dport = t.sport, .proto = t.proto};
}

static void check_tuple_eq(const struct pkt_tuple *x, const struct pkt_tuple *y)
{
	ck_assert(ipaddr_eq(&x->src, &y->src) && ipaddr_eq(&x->dst, &y->dst));
	ck_assert_uint_eq(x->sport, y->sport);
	ck_assert_uint_eq(x->dport, y->dport);
	ck_assert_uint_eq(x->proto, y->proto);
}

/* One key for both directions, and back to the tuple of each. */
static void check_both_ways(struct pkt_tuple t, uint8_t version)
{
	struct pkt_tuple r = reverse(t), back;
	struct flow_key x, y;
	struct hash_key secret = {.k0 = 3, .k1 = 4};

	memset(&x, 0xff, sizeof(x)); /* nothing of what was there may be left */
	unsigned dir = flow_key_make(&x, &t, version), rdir = flow_key_make(&y, &r, version);
	ck_assert(flow_key_eq(&x, &y));
	ck_assert_uint_eq(flow_key_hash(&x, &secret), flow_key_hash(&y, &secret));
	ck_assert_uint_le(dir, 1);
	if (!ipaddr_eq(&t.src, &t.dst) || t.sport != t.dport)
		ck_assert_uint_ne(dir, rdir);
	else
		ck_assert_uint_eq(dir, 0);
	back = flow_key_tuple(&x, dir);
	check_tuple_eq(&back, &t);
	back = flow_key_tuple(&x, rdir);
	check_tuple_eq(&back, &r);
	ck_assert_uint_eq(x.version, version);
	ck_assert_uint_eq(x.zone, 0);
}

START_TEST(same_key_both_ways)
{
	check_both_ways(tuple4(0x0a000001, 1234, 0xc0000201, 80, IPPROTO_NUM_TCP), 4);
	check_both_ways(tuple4(0xc0000201, 1234, 0x0a000001, 80, IPPROTO_NUM_TCP), 4);
	check_both_ways(tuple4(0x0a000001, 80, 0x0a000001, 81, IPPROTO_NUM_UDP), 4);
	check_both_ways(tuple4(0x0a000001, 80, 0x0a000001, 80, IPPROTO_NUM_UDP), 4);
	check_both_ways(tuple4(0x0a000001, 77, 0x0a000002, 77, IPPROTO_NUM_ICMP), 4);
	check_both_ways(tuple4(1, 0, 0xffffffff, 0, 47), 4);
	check_both_ways(tuple_text("2001:db8::1", 5, "2001:db8::2", 6, IPPROTO_NUM_TCP), 6);
	check_both_ways(tuple_text("2001:db9::1", 5, "2001:db8::2", 6, IPPROTO_NUM_UDP), 6);
}
END_TEST

/* Members of either byte order agree on endpoint a: it is the lower one as read from the wire. */
START_TEST(order_is_that_of_the_wire)
{
	struct pkt_tuple t = tuple4(0x01000002, 9, 0x02000001, 5, IPPROTO_NUM_TCP);
	struct flow_key key;

	ck_assert_uint_eq(flow_key_make(&key, &t, 4), 0);
	t = reverse(t);
	ck_assert_uint_eq(flow_key_make(&key, &t, 4), 1);
	ck_assert_uint_eq(key.aport, 9);
	t = tuple_text("2001:db8:0:1::2", 9, "2001:db8:0:2::1", 5, IPPROTO_NUM_TCP);
	ck_assert_uint_eq(flow_key_make(&key, &t, 6), 0);
	t = tuple_text("2001:db8::2", 9, "2001:db8::1:0:0:1", 5, IPPROTO_NUM_TCP);
	ck_assert_uint_eq(flow_key_make(&key, &t, 6), 0);
}
END_TEST

START_TEST(every_part_tells_flows_apart)
{
	struct pkt_tuple base = tuple4(0x0a000001, 1234, 0xc0000201, 80, IPPROTO_NUM_TCP);
	struct pkt_tuple others[5] = {base, base, base, base, base};
	struct hash_key secret = {.k0 = 3, .k1 = 4}, other_secret = {.k0 = 3, .k1 = 5};
	struct flow_key x, y;

	others[0].src.b[15]++;
	others[1].dst.b[12]++;
	others[2].sport++;
	others[3].dport++;
	others[4].proto = IPPROTO_NUM_UDP;
	flow_key_make(&x, &base, 4);
	for (size_t i = 0; i < 5; i++) {
		flow_key_make(&y, &others[i], 4);
		ck_assert(!flow_key_eq(&x, &y));
		ck_assert_uint_ne(flow_key_hash(&x, &secret), flow_key_hash(&y, &secret));
	}
	ck_assert_uint_ne(flow_key_hash(&x, &secret), flow_key_hash(&x, &other_secret));
	/* ports swapped between the endpoints make another flow */
	y = x;
	y.aport = x.bport;
	y.bport = x.aport;
	ck_assert(!flow_key_eq(&x, &y));
	/* the two addresses of IPv6 are hashed whole */
	struct pkt_tuple six = tuple_text("2001:db8::1", 5, "2001:db8::2", 6, IPPROTO_NUM_TCP);
	struct pkt_tuple near = tuple_text("2001:db9::1", 5, "2001:db8::2", 6, IPPROTO_NUM_TCP);
	flow_key_make(&x, &six, 6);
	flow_key_make(&y, &near, 6);
	ck_assert_uint_ne(flow_key_hash(&x, &secret), flow_key_hash(&y, &secret));
}
END_TEST

static void check_text(struct pkt_tuple t, uint8_t version, const char *expected)
{
	struct flow_key key;
	char buf[FLOW_KEY_TEXT];
	unsigned dir = flow_key_make(&key, &t, version);

	ck_assert_str_eq(flow_key_text(buf, &key, dir), expected);
}

START_TEST(texts)
{
	char buf[8];

	check_text(tuple4(0xc0000201, 1234, 0x0a000001, 80, IPPROTO_NUM_TCP), 4,
		   "tcp 192.0.2.1:1234 10.0.0.1:80");
	check_text(tuple4(0x0a000001, 80, 0xc0000201, 1234, IPPROTO_NUM_UDP), 4,
		   "udp 10.0.0.1:80 192.0.2.1:1234");
	check_text(tuple4(0x0a000001, 7, 0xc0000201, 7, IPPROTO_NUM_ICMP), 4,
		   "icmp 10.0.0.1 192.0.2.1 id 7");
	check_text(tuple4(0x0a000001, 0, 0xc0000201, 0, 47), 4, "47 10.0.0.1 192.0.2.1");
	check_text(tuple_text("2001:db8::2", 65535, "2001:db8::1", 53, IPPROTO_NUM_UDP), 6,
		   "udp [2001:db8::2]:65535 [2001:db8::1]:53");
	check_text(tuple_text("2001:db8:1111:2222:3333:4444:5555:6666", 65535,
			      "2001:db8:1111:2222:3333:4444:5555:7777", 65534, 255),
		   6,
		   "255 [2001:db8:1111:2222:3333:4444:5555:6666]:65535 "
		   "[2001:db8:1111:2222:3333:4444:5555:7777]:65534");
	ck_assert_str_eq(flow_proto_text(buf, IPPROTO_NUM_ICMP6), "icmp6");
	ck_assert_str_eq(flow_proto_text(buf, 255), "255");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("key");
	TCase *tc = tcase_create("key");

	tcase_add_test(tc, same_key_both_ways);
	tcase_add_test(tc, order_is_that_of_the_wire);
	tcase_add_test(tc, every_part_tells_flows_apart);
	tcase_add_test(tc, texts);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
