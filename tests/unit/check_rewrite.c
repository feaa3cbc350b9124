/* In-place changes: Ethernet header, VLAN tag, TTL. */
/* proves: FC-14 */
#include <check.h>

#include "decode_samples.h"
#include "packet/rewrite.h"

static const struct macaddr to = {{2, 1, 1, 1, 1, 1}}, from = {{2, 2, 2, 2, 2, 2}};

/* What pkt says of the frame is what a fresh look at the frame says. */
static void check_in_step(const struct pkt *pkt, unsigned vlan)
{
	struct frame f = *pkt->frame;
	struct pkt again;

	ck_assert_int_eq(pkt_decode(&again, &f), DROP_NONE);
	ck_assert_uint_eq(f.len, pkt->frame->len);
	ck_assert_uint_eq(again.vlan, vlan);
	ck_assert_uint_eq(pkt->vlan, vlan);
	ck_assert_uint_eq(again.l3, pkt->l3);
	ck_assert_uint_eq(again.l4, pkt->l4);
	ck_assert_uint_eq(again.payload, pkt->payload);
	ck_assert_uint_eq(again.ttl, pkt->ttl);
	ck_assert_uint_eq(again.ip_len, pkt->ip_len);
	ck_assert(macaddr_eq(&again.eth_dst, &pkt->eth_dst));
	ck_assert(macaddr_eq(&again.eth_src, &pkt->eth_src));
	ck_assert_int_eq(memcmp(&again.tuple, &pkt->tuple, sizeof(again.tuple)), 0);
}

/* Every sample, from and to every kind of tag; the bytes of the IP packet do not move. */
START_TEST(ethernet)
{
	static const uint16_t vlans[] = {0, 9, 4094};

	for (size_t i = 0; i < 3; i++) {
		struct pkt pkt;

		makers[_i]();
		struct frame f = sample_frame(&s);
		const uint8_t *ip = f.data + s.l3;
		size_t ip_len = s.len - s.l3;
		uint8_t before[SAMPLE_MAX];
		memcpy(before, ip, ip_len);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		for (size_t j = 0; j < 6; j++) {
			uint16_t vlan = vlans[(i + j) % 3];

			rewrite_ethernet(&pkt, &to, &from, vlan);
			check_in_step(&pkt, vlan);
			ck_assert(macaddr_eq(&pkt.eth_dst, &to) && macaddr_eq(&pkt.eth_src, &from));
			ck_assert_ptr_eq(f.data + pkt.l3, ip);
			ck_assert_int_eq(memcmp(ip, before, ip_len), 0);
		}
	}
}
END_TEST

START_TEST(ethernet_swap)
{
	struct pkt pkt;

	make_tcp4_data();
	struct frame f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	struct macaddr dst = pkt.eth_dst, src = pkt.eth_src;
	rewrite_ethernet(&pkt, &pkt.eth_src, &pkt.eth_dst, 0);
	ck_assert(macaddr_eq(&pkt.eth_dst, &src) && macaddr_eq(&pkt.eth_src, &dst));
	check_in_step(&pkt, 0);
}
END_TEST

/* A priority tag is in the bytes although the VLAN is 0. */
START_TEST(ethernet_priority_tag)
{
	struct pkt pkt;

	make_tcp4_vlan();
	sample_set16(&s, 14, 0xe000);
	struct frame f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	rewrite_ethernet(&pkt, &to, &from, 0);
	ck_assert_uint_eq(f.len, s.len - 4);
	check_in_step(&pkt, 0);
}
END_TEST

START_TEST(ethernet_offload)
{
	struct pkt pkt;

	make_tcp4_data();
	struct frame f = sample_frame(&s);
	f.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
			       .gso_type = VNET_GSO_TCPV4,
			       .gso_size = 40,
			       .hdr_len = 66,
			       .csum_start = 34,
			       .csum_offset = 16};
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	rewrite_ethernet(&pkt, &to, &from, 5);
	ck_assert_uint_eq(f.vnet.csum_start, 38);
	ck_assert_uint_eq(f.vnet.csum_offset, 16);
	ck_assert_uint_eq(f.vnet.hdr_len, 70);
	rewrite_ethernet(&pkt, &to, &from, 0);
	ck_assert_uint_eq(f.vnet.csum_start, 34);
	ck_assert_uint_eq(f.vnet.hdr_len, 66);
}
END_TEST

/* A bare IP packet gets its Ethernet header wherever it lies. */
START_TEST(ethernet_for_bare_ip)
{
	for (unsigned l3 = 0; l3 <= 40; l3++) {
		for (uint16_t vlan = 0; vlan < 2; vlan++) {
			uint8_t room[FRAME_HEADROOM + 512];
			struct pkt pkt;

			makers[_i]();
			memset(room, 0xcc, sizeof(room));
			size_t ip_len = s.len - s.l3;
			memcpy(room + FRAME_HEADROOM + l3, sample_data(&s) + s.l3, ip_len);
			struct frame f = {.data = room + FRAME_HEADROOM,
					  .len = (uint32_t)(l3 + ip_len)};
			ck_assert_int_eq(pkt_decode_ip(&pkt, &f, (uint16_t)l3), DROP_NONE);
			rewrite_ethernet(&pkt, &to, &from, vlan);
			ck_assert_uint_eq(f.len, 14 + 4u * vlan + ip_len);
			check_in_step(&pkt, vlan);
		}
	}
}
END_TEST

/* All values of the words that the sum is made of: the updated sum is right, not only equal
 * modulo ffff. */
START_TEST(ttl4)
{
	for (unsigned id = 0; id < 65536; id += 17) {
		for (unsigned ttl = 1; ttl < 256; ttl += 127) {
			struct pkt pkt;

			tcp4(TCP_ACK);
			sample_set16(&s, s.l3 + 4, id);
			sample_data(&s)[s.l3 + 8] = (uint8_t)ttl;
			sample_ip4_sum(&s);
			struct frame f = sample_frame(&s);
			ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
			rewrite_ttl(&pkt);
			ck_assert_uint_eq(f.data[s.l3 + 8], ttl - 1);
			ck_assert_uint_eq(pkt.ttl, ttl - 1);
			unsigned updated = sample_get16(f.data + s.l3 + 10);
			sample_ip4_sum(&s);
			ck_assert_uint_eq(updated, sample_get16(f.data + s.l3 + 10));
		}
	}
}
END_TEST

START_TEST(ttl_every_sample)
{
	struct pkt pkt;

	makers[_i]();
	struct frame f = sample_frame(&s);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	for (unsigned ttl = 64; ttl > 1; ttl--) {
		rewrite_ttl(&pkt);
		check_in_step(&pkt, pkt.vlan);
	}
	ck_assert_uint_eq(pkt.ttl, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rewrite");
	TCase *t = tcase_create("rewrite");

	tcase_add_loop_test(t, ethernet, 0, N_MAKERS);
	tcase_add_test(t, ethernet_swap);
	tcase_add_test(t, ethernet_priority_tag);
	tcase_add_test(t, ethernet_offload);
	tcase_add_loop_test(t, ethernet_for_bare_ip, 0, N_MAKERS);
	tcase_add_test(t, ttl4);
	tcase_add_loop_test(t, ttl_every_sample, 0, N_MAKERS);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
