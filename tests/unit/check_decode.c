/* Decoding of IP frames: what is accepted, and what is read. */
/* proves: FC-9 */
#include "decode_samples.h"

/* Every sample is accepted, every proper prefix of it refused, no byte beyond it read. */
START_TEST(every_prefix)
{
	struct pkt pkt;

	makers[_i]();
	for (size_t len = 0; len < s.len; len++) {
		enum drop d = decode_bytes(sample_data(&s), len, &pkt, (struct vnet){0});

		ck_assert_msg(d != DROP_NONE, "sample %d, %zu of %zu bytes", _i, len, s.len);
	}
	ACCEPTED(&pkt);
	ck_assert_int_eq(pkt.kind, PKT_IP);
	ck_assert_uint_eq(pkt.ip_len, s.len - pkt.l3);
}
END_TEST

/* The IP packet cut short, and its length field with it: headers that are not there. */
START_TEST(every_shorter_packet)
{
	struct pkt pkt;

	makers[_i]();
	size_t full = s.len, l3 = s.l3;
	size_t header = s.version == 4 ? 20 : 40;
	for (s.len = l3 + header; s.len < full; s.len++) {
		if (s.version == 4) {
			sample_set16(&s, l3 + 2, (unsigned)(s.len - l3));
			sample_ip4_sum(&s);
		} else {
			sample_set16(&s, l3 + 4, (unsigned)(s.len - l3 - 40));
		}
		if (decode(&pkt) == DROP_NONE) {
			ck_assert_uint_le(pkt.payload, s.len);
			ck_assert_uint_le(pkt.l4, pkt.payload);
		}
	}
}
END_TEST

/* Padding, however long, is cut off; frames as long as the MTU and with a tag. */
START_TEST(padding)
{
	makers[_i]();
	size_t real = s.len;
	for (size_t pad = 0; pad <= 64; pad++) {
		uint8_t *p = guard_copy(NULL, real + pad);
		struct frame f = {.data = p, .len = (uint32_t)(real + pad)};
		struct pkt pkt;

		memcpy(p, sample_data(&s), real);
		memset(p + real, 0xee, pad);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert_uint_eq(f.len, real);
		guard_free(p, real + pad);
	}
}
END_TEST

START_TEST(frames_of_mtu)
{
	struct pkt pkt;

	for (int vlan = -1; vlan <= 7; vlan += 8) {
		sample_eth(&s, vlan, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, NULL, 0);
		sample_udp(&s, 1500 - 28);
		sample_end(&s);
		ck_assert_uint_eq(s.len, vlan < 0 ? 1514 : 1518);
		ACCEPTED(&pkt);
		ck_assert_uint_eq(pkt.ip_len, 1500);
		ck_assert_uint_eq(pkt.vlan, vlan < 0 ? 0 : 7);
		s.len--;
		REFUSED(DROP_IP_LENGTH);
	}
	ck_assert_int_eq(decode_bytes(NULL, 0, &pkt, (struct vnet){0}), DROP_SHORT_FRAME);
	ck_assert_int_eq(decode_bytes((const uint8_t *)"", 1, &pkt, (struct vnet){0}),
			 DROP_SHORT_FRAME);
}
END_TEST

START_TEST(fields_tcp4)
{
	struct pkt p;

	make_tcp4_data();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 40000, 443, 6);
	ck_assert_uint_eq(p.version, 4);
	ck_assert_uint_eq(p.ttl, 64);
	ck_assert_uint_eq(p.vlan, 0);
	ck_assert_uint_eq(p.l3, 14);
	ck_assert_uint_eq(p.l4, 34);
	ck_assert_uint_eq(p.payload, 66);
	ck_assert_uint_eq(p.tcp.seq, 0x01020304);
	ck_assert_uint_eq(p.tcp.ack, 0x0a0b0c0d);
	ck_assert_uint_eq(p.tcp.len, 100);
	ck_assert_uint_eq(p.tcp.win, 0x7000);
	ck_assert_uint_eq(p.tcp.flags, TCP_ACK | TCP_PSH);
	ck_assert_uint_eq(p.tcp.wscale, 0xff);
	ck_assert_uint_eq(p.eth_dst.b[5], 0xd);
	ck_assert_uint_eq(p.eth_src.b[5], 0x5);
	ck_assert(!p.fragment && !p.more_fragments && !p.dont_fragment && !p.icmp_error);
	ck_assert_uint_eq(p.frag_id, 0x1234);
	make_tcp4_syn();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.tcp.wscale, 7);
	ck_assert_uint_eq(p.tcp.flags, TCP_SYN);
	ck_assert_uint_eq(p.tcp.len, 31);
	make_tcp4_vlan();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.vlan, 77);
	ck_assert_uint_eq(p.l3, 18);
	ck_assert_uint_eq(p.l4, 38);
}
END_TEST

START_TEST(fields_others)
{
	struct pkt p;

	make_udp4_options();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 5353, 53, 17);
	ck_assert_uint_eq(p.l4, 42);
	ck_assert_uint_eq(p.payload, 50);
	make_echo4();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0x7701, 0x7701, 1);
	ck_assert_uint_eq(p.icmp_type, 8);
	make_echo6();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0x7701, 0x7701, 58);
	make_udp6_chain();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
	ck_assert_uint_eq(p.l4, 18 + 40 + 8 + 16 + 8 + 24);
	ck_assert(p.dont_fragment);
	make_tcp6();
	ACCEPTED(&p);
	ck_assert_uint_eq(p.tcp.len, 9);
	make_gre();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0, 0, 47);
	ck_assert_uint_eq(p.l4, 34);
}
END_TEST

START_TEST(fields_fragments)
{
	struct pkt p;

	make_frag4_last();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A4, B4, 0, 0, 17);
	ck_assert(p.fragment && !p.more_fragments);
	ck_assert_uint_eq(p.l4, 0);
	ck_assert_uint_eq(p.frag_offset, 800);
	ck_assert_uint_eq(p.frag_len, 13);
	make_frag6_first();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
	ck_assert(p.fragment && p.more_fragments);
	ck_assert_uint_eq(p.frag_id, 0xdeadbeef);
	ck_assert_uint_eq(p.frag_len, 48);
	ck_assert_uint_eq(p.l4, 14 + 40 + 8);
	make_frag6_last();
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0, 0, 17);
	ck_assert_uint_eq(p.frag_offset, 48);
	ck_assert_uint_eq(p.l4, 0);
	frag6(17, 0); /* atomic: a whole packet */
	sample_udp(&s, 3);
	s.proto = 0;
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert(!p.fragment);
	check_tuple(&p.tuple, A6, B6, 5353, 53, 17);
}
END_TEST

START_TEST(fields_icmp_errors)
{
	struct pkt p;

	make_error4();
	ACCEPTED(&p);
	ck_assert(p.icmp_error && !p.inner_fragment);
	check_tuple(&p.inner, A4, B4, 40000, 443, 6);
	check_tuple(&p.tuple, "203.0.113.9", A4, 0, 0, 1);
	ck_assert_uint_eq(p.inner_seq, 0x01020304);
	ck_assert_uint_eq(p.payload, p.l4 + 8);
	make_error6();
	ACCEPTED(&p);
	ck_assert(p.icmp_error);
	check_tuple(&p.inner, A6, B6, 40000, 443, 6);
	error4(11, 0); /* about a later fragment: no ports */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0x00b9, 8);
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert(p.icmp_error && p.inner_fragment);
	check_tuple(&p.inner, A4, B4, 0, 0, 17);
	error4(3, 1); /* about an echo request: its id is bytes 4 and 5 */
	quote4(IPPROTO_NUM_ICMP, A4, B4, 0, 0);
	sample_u16(&s, 0x0800);
	sample_u16(&s, 0);
	sample_u32(&s, 0x77010002);
	sample_end(&s);
	ACCEPTED(&p);
	check_tuple(&p.inner, A4, B4, 0x7701, 0x7701, 1);
}
END_TEST

START_TEST(every_protocol)
{
	struct pkt p;

	for (unsigned proto = 0; proto < 256; proto++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, proto, A4, B4, NULL, 0);
		s.proto = 0;
		sample_fill(&s, 40);
		sample_end(&s);
		enum drop d = decode(&p);
		if (proto == 58) {
			ck_assert_int_eq(d, DROP_PROTOCOL);
		} else if (proto != 1 && proto != 6 && proto != 17) {
			ck_assert_msg(d == DROP_NONE, "protocol %u", proto);
			check_tuple(&p.tuple, A4, B4, 0, 0, proto);
		}
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, proto, A6, B6);
		s.proto = 0;
		sample_fill(&s, 40);
		sample_end(&s);
		d = decode(&p);
		if (proto == 1) {
			ck_assert_int_eq(d, DROP_PROTOCOL);
		} else if (proto != 0 && proto != 6 && proto != 17 && proto != 43 && proto != 44 &&
			   proto != 51 && proto != 58 && proto != 60) {
			ck_assert_msg(d == DROP_NONE, "protocol %u", proto);
			check_tuple(&p.tuple, A6, B6, 0, 0, proto);
		}
	}
}
END_TEST

/* Bare IP packets, as they come in cluster messages. */
START_TEST(bare_ip)
{
	for (size_t i = 0; i < N_MAKERS; i++) {
		makers[i]();
		for (unsigned l3 = 0; l3 <= 18; l3 += 9) {
			size_t ip = s.len - s.l3, len = l3 + ip;
			uint8_t *d = guard_copy(NULL, len);
			struct frame f = {.data = d, .len = (uint32_t)len};
			struct pkt p;

			memcpy(d + l3, sample_data(&s) + s.l3, ip);
			ck_assert_int_eq(pkt_decode_ip(&p, &f, (uint16_t)l3), DROP_NONE);
			ck_assert_uint_eq(p.l3, l3);
			ck_assert_uint_eq(p.vlan, 0);
			ck_assert_uint_eq(p.eth_src.b[0] | p.eth_dst.b[0], 0);
			for (f.len = 0; f.len < len; f.len++) {
				struct frame cut = f;

				ck_assert_int_ne(pkt_decode_ip(&p, &cut, (uint16_t)l3), DROP_NONE);
			}
			guard_free(d, len);
		}
	}
	struct frame f = {.data = (uint8_t[]){0x55, 0}, .len = 2};
	struct pkt p;
	ck_assert_int_eq(pkt_decode_ip(&p, &f, 0), DROP_IP_HEADER);
}
END_TEST

START_TEST(wire_len)
{
	struct frame f;
	struct pkt p;

	make_tcp4_data(); /* 20 + 32 + 100 */
	f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&p, &f), DROP_NONE);
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet = (struct vnet){.gso_type = VNET_GSO_TCPV4, .gso_size = 30};
	ck_assert_uint_eq(pkt_wire_len(&p), 82);
	f.vnet.gso_size = 100;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet.gso_size = 1448;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
	f.vnet.gso_size = 0;
	ck_assert_uint_eq(pkt_wire_len(&p), 152);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode");
	TCase *t = tcase_create("decode");

	tcase_add_loop_test(t, every_prefix, 0, N_MAKERS);
	tcase_add_loop_test(t, every_shorter_packet, 0, N_MAKERS);
	tcase_add_loop_test(t, padding, 0, N_MAKERS);
	tcase_add_test(t, frames_of_mtu);
	tcase_add_test(t, fields_tcp4);
	tcase_add_test(t, fields_others);
	tcase_add_test(t, fields_fragments);
	tcase_add_test(t, fields_icmp_errors);
	tcase_add_test(t, every_protocol);
	tcase_add_test(t, bare_ip);
	tcase_add_test(t, wire_len);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
