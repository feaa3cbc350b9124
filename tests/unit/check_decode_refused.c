/* Decoding of frames: the exact reason of each refusal. */
/* proves: FC-14 */
#include "decode_samples.h"

START_TEST(link_layer)
{
	static const unsigned others[] = {0x0026, 0x05dc, 0x88cc, 0x8863, 0x0842, 0xffff};
	struct pkt p;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		make_tcp4_data();
		sample_set16(&s, 12, others[i]);
		REFUSED(DROP_LINK_CONTROL);
	}
	static const unsigned tags[] = {0x8100, 0x88a8, 0x9100};
	for (size_t i = 0; i < 3; i++) {
		make_tcp4_vlan();
		sample_set16(&s, 16, tags[i]); /* a tag behind the tag */
		REFUSED(DROP_BAD_VLAN);
	}
	make_tcp4_vlan();
	sample_set16(&s, 12, 0x88a8);
	REFUSED(DROP_BAD_VLAN);
	make_tcp4_vlan();
	sample_set16(&s, 14, 0xffff); /* VLAN 4095 is reserved */
	REFUSED(DROP_BAD_VLAN);
	make_tcp4_vlan();
	sample_set16(&s, 14, 0xe000); /* priority tag */
	ACCEPTED(&p);
	ck_assert_uint_eq(p.vlan, 0);
	ck_assert_uint_eq(p.l3, 18);
	make_tcp4_data();
	sample_set16(&s, 12, ETH_IPV6);
	REFUSED(DROP_IP_HEADER);
	make_tcp6();
	sample_set16(&s, 12, ETH_IPV4);
	REFUSED(DROP_IP_HEADER);
	sample_eth(&s, -1, ETH_ARP);
	ACCEPTED(&p);
	ck_assert_int_eq(p.kind, PKT_ARP);
	ck_assert_uint_eq(p.l3, 14);
}
END_TEST

START_TEST(ipv4_header)
{
	make_tcp4_data();
	sample_data(&s)[14] = 0x44;
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_HEADER);
	make_tcp4_data();
	sample_set16(&s, 16, 0);
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	make_tcp4_data();
	sample_set16(&s, 16, 19);
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	make_tcp4_data();
	sample_set16(&s, 16, (unsigned)(s.len - 14 + 1));
	sample_ip4_sum(&s);
	REFUSED(DROP_IP_LENGTH);
	for (size_t bit = 0; bit < 160; bit++) { /* any single bit */
		struct pkt p;

		make_tcp4_data();
		sample_data(&s)[14 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum drop d = decode(&p);
		ck_assert_msg(d == DROP_IP_CHECKSUM || bit < 8 || bit / 16 == 1, "bit %zu: %s", bit,
			      drop_name(d));
		ck_assert_int_ne(d, DROP_NONE);
	}
}
END_TEST

START_TEST(ipv4_options)
{
	static const struct {
		uint8_t bytes[8];
		enum drop reason;
	} rows[] = {
		{{131, 7, 4, 1, 2, 3, 4, 0}, DROP_IP_OPTION},
		{{137, 7, 4, 1, 2, 3, 4, 0}, DROP_IP_OPTION},
		{{1, 1, 1, 1, 131, 3, 4, 0}, DROP_IP_OPTION},
		{{7, 7, 4, 0, 0, 0, 0, 0}, DROP_NONE},
		{{0, 131, 7, 4, 1, 1, 1, 1}, DROP_NONE}, /* behind the end */
		{{7, 0, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{7, 1, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{7, 9, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
		{{1, 1, 1, 1, 1, 1, 1, 7}, DROP_IP_HEADER},
		{{7, 255, 0, 0, 0, 0, 0, 0}, DROP_IP_HEADER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_UDP, A4, B4, rows[i].bytes, 8);
		sample_udp(&s, 4);
		sample_end(&s);
		REFUSED(rows[i].reason);
	}
}
END_TEST

START_TEST(ipv4_fragments)
{
	frag4(17, 0x2000, 12); /* not a multiple of eight */
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 0x2000 | 100, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 100, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(47, 8189, 3); /* 65512 + 3 + 20 = 65535 */
	REFUSED(DROP_NONE);
	frag4(47, 8189, 4); /* one more */
	REFUSED(DROP_FRAG_BAD);
	frag4(17, 0x2000, 0);
	REFUSED(DROP_FRAG_BAD);
	frag4(6, 0x2000, 16);
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 1, 24); /* RFC 1858: begins inside the TCP header */
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 2, 24);
	REFUSED(DROP_FRAG_TINY);
	frag4(6, 3, 24);
	REFUSED(DROP_NONE);
	/* TCP header there, its options not */
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_SYN, mss_ws, 12);
	s.len = s.l4 + 24;
	sample_set16(&s, s.l3 + 6, 0x2000);
	sample_end(&s);
	REFUSED(DROP_FRAG_TINY);
	/* An ICMP error is never in fragments. */
	error4(3, 1);
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 12);
	sample_set16(&s, s.l3 + 6, 0x2000);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

START_TEST(ipv6_header)
{
	make_tcp6();
	sample_set16(&s, 18, (unsigned)(s.len - 54 + 1));
	REFUSED(DROP_IP_LENGTH);
	make_tcp6();
	sample_set16(&s, 18, 0); /* jumbogram, or nothing there */
	REFUSED(DROP_L4_HEADER);
	make_tcp6();
	sample_data(&s)[14] = 0x50;
	REFUSED(DROP_IP_HEADER);
}
END_TEST

static void chain6(unsigned first, const uint8_t *bytes, size_t size)
{
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, first, A6, B6);
	sample_add(&s, bytes, size);
	sample_udp(&s, 8);
	sample_end(&s);
}

START_TEST(ipv6_chain)
{
	static const struct {
		unsigned first;
		size_t size;
		uint8_t bytes[32];
		enum drop reason;
	} rows[] = {
		{43, 8, {17, 0, 0, 0}, DROP_IP_OPTION}, /* type 0 */
		{43, 8, {17, 0, 4, 1}, DROP_IP_OPTION}, /* segments left */
		{43, 8, {17, 0, 4, 0}, DROP_NONE},	/* used up */
		{43, 8, {17, 9, 4, 0}, DROP_IP6_CHAIN}, /* longer than the packet */
		{60, 8, {0, 0, 1, 4}, DROP_IP6_CHAIN},	/* hop-by-hop not first */
		{0, 16, {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4}, DROP_IP6_CHAIN},
		{0, 8, {17, 0, 0xc2, 4, 0, 1, 0, 0}, DROP_IP_LENGTH}, /* jumbo payload */
		{60, 8, {17, 0, 5, 5, 0, 0, 0, 0}, DROP_IP6_CHAIN},   /* option too long */
		{60, 8, {17, 0, 0, 0, 0, 0, 0, 5}, DROP_IP6_CHAIN},   /* its length missing */
		{60, 8, {17, 0, 0, 0, 0, 0, 0, 0}, DROP_NONE},
		{51, 12, {17, 1}, DROP_NONE},
		{51, 8, {17, 0}, DROP_IP6_CHAIN}, /* AH of less than twelve bytes */
		{51, 12, {17, 99}, DROP_IP6_CHAIN},
		{44, 16, {44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1}, DROP_IP6_CHAIN},
		{44, 16, {44, 0, 0, 1, 0, 0, 0, 1, 17, 0, 0, 1, 0, 0, 0, 1}, DROP_IP6_CHAIN},
		{44, 8, {17, 0, 0xff, 0xf8}, DROP_FRAG_BAD},
		{44, 8, {6, 0, 0, 8}, DROP_FRAG_TINY},
		{44, 8, {6, 0, 0, 1}, DROP_FRAG_TINY},
		{44, 8, {60, 0, 0, 1}, DROP_FRAG_TINY}, /* RFC 7112: chain not complete */
		{44, 8, {60, 0, 0, 0}, DROP_IP6_CHAIN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pkt p;

		chain6(rows[i].first, rows[i].bytes, rows[i].size);
		enum drop d = decode(&p);
		ck_assert_msg(d == rows[i].reason, "row %zu: %s", i, drop_name(d));
	}
}
END_TEST

START_TEST(ipv6_chain_limits)
{
	struct pkt p;
	unsigned n;

	for (n = 1; n <= 10; n++) { /* headers of eight bytes */
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, 60, A6, B6);
		for (unsigned i = 1; i <= n; i++) {
			sample_u8(&s, i == n ? 17 : 60);
			sample_add(&s, "\0\1\4\0\0\0\0", 7);
		}
		sample_udp(&s, 0);
		sample_end(&s);
		ck_assert_int_eq(decode(&p), n <= 8 ? DROP_NONE : DROP_IP6_CHAIN);
	}
	for (n = 62; n <= 66; n++) { /* one header of n * 8 bytes */
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, 60, A6, B6);
		sample_u8(&s, 17);
		sample_u8(&s, n - 1);
		memset(sample_data(&s) + s.len, 0, n * 8);
		s.len += n * 8 - 2;
		sample_udp(&s, 0);
		sample_end(&s);
		ck_assert_int_eq(decode(&p), n <= 64 ? DROP_NONE : DROP_IP6_CHAIN);
	}
	sample_eth(&s, -1, ETH_IPV6);
	sample_ip6(&s, 59, A6, B6); /* no next header */
	sample_end(&s);
	ACCEPTED(&p);
	check_tuple(&p.tuple, A6, B6, 0, 0, 59);
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *src, *dst;
		enum drop reason;
	} rows[] = {
		{"0.0.0.0", B4, DROP_MARTIAN},
		{"0.1.2.3", B4, DROP_MARTIAN},
		{"127.0.0.1", B4, DROP_MARTIAN},
		{"224.0.0.1", B4, DROP_MARTIAN},
		{"239.1.1.1", B4, DROP_MARTIAN},
		{"240.0.0.1", B4, DROP_MARTIAN},
		{"255.255.255.255", B4, DROP_MARTIAN},
		{A4, "0.0.0.0", DROP_MARTIAN},
		{A4, "127.0.0.1", DROP_MARTIAN},
		{A4, "240.0.0.1", DROP_MARTIAN},
		{A4, "255.255.255.254", DROP_MARTIAN},
		{A4, "224.0.0.5", DROP_LINK_CONTROL},
		{A4, "239.255.255.250", DROP_LINK_CONTROL},
		{A4, "255.255.255.255", DROP_LINK_CONTROL},
		{"0.0.0.0", "255.255.255.255", DROP_LINK_CONTROL}, /* DHCP */
		{"169.254.1.1", B4, DROP_LINK_LOCAL},
		{A4, "169.254.1.1", DROP_LINK_LOCAL},
		{A4, A4, DROP_LAND},
		{"10.0.0.1", "172.16.0.1", DROP_NONE},
		{"223.255.255.255", "128.0.0.1", DROP_NONE},
		{"::", B6, DROP_MARTIAN},
		{"::1", B6, DROP_MARTIAN},
		{"::192.0.2.1", B6, DROP_MARTIAN},
		{"ff02::1", B6, DROP_MARTIAN},
		{A6, "::", DROP_MARTIAN},
		{A6, "::1", DROP_MARTIAN},
		{A6, "ff02::2", DROP_LINK_CONTROL},
		{A6, "ff0e::1", DROP_LINK_CONTROL},
		{"::", "ff02::16", DROP_LINK_CONTROL}, /* MLD before it has an address */
		{"fe80::1", B6, DROP_LINK_LOCAL},
		{A6, "fe80::1", DROP_LINK_LOCAL},
		{A6, A6, DROP_LAND},
		{"fd00::1", "64:ff9b::1", DROP_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool v4 = strchr(rows[i].src, ':') == NULL;
		struct pkt p;

		sample_eth(&s, -1, v4 ? ETH_IPV4 : ETH_IPV6);
		if (v4)
			sample_ip4(&s, 17, rows[i].src, rows[i].dst, NULL, 0);
		else
			sample_ip6(&s, 17, rows[i].src, rows[i].dst);
		sample_udp(&s, 5);
		sample_end(&s);
		enum drop d = decode(&p);
		ck_assert_msg(d == rows[i].reason, "%s > %s: %s", rows[i].src, rows[i].dst,
			      drop_name(d));
	}
}
END_TEST

/* An IPv6 packet must not pass for one of an IPv4 host. */
START_TEST(mapped_addresses)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};

	for (unsigned at = 8; at <= 24; at += 16) {
		make_tcp6();
		memcpy(sample_data(&s) + s.l3 + at, mapped, 16);
		sample_l4(&s);
		REFUSED(DROP_MARTIAN);
	}
	make_error6(); /* the quoted packet's destination */
	memcpy(sample_data(&s) + s.l4 + 8 + 24, mapped, 16);
	sample_l4(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

START_TEST(tcp_flags)
{
	static const uint8_t legal[] = {
		TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK,
	};

	for (unsigned flags = 0; flags < 256; flags++) {
		unsigned f = flags & 0x17; /* PSH, and the ECN bits, go with anything */
		bool ok = false;
		struct pkt p;

		for (size_t i = 0; i < sizeof(legal); i++)
			ok |= f == legal[i];
		if (flags & TCP_URG && (f == (TCP_SYN | TCP_ACK) || f & TCP_RST))
			ok = false;
		tcp4(flags);
		enum drop d = decode(&p);
		ck_assert_msg(d == (ok ? DROP_NONE : DROP_TCP_FLAGS), "%02x: %s", flags,
			      drop_name(d));
	}
}
END_TEST

START_TEST(tcp_header)
{
	struct pkt p;

	for (unsigned words = 0; words < 16; words++) {
		make_tcp4_data(); /* 132 bytes of TCP */
		sample_data(&s)[s.l4 + 12] = (uint8_t)(words << 4);
		memset(sample_data(&s) + s.l4 + 20, 1, 40);
		sample_l4(&s);
		ck_assert_int_eq(decode(&p), words < 5 ? DROP_L4_HEADER : DROP_NONE);
	}
	static const struct {
		uint8_t bytes[8];
		int wscale; /* -1: refused */
	} rows[] = {
		{{3, 3, 0, 0}, 0},
		{{3, 3, 14, 0}, 14},
		{{3, 3, 15, 0}, 14},
		{{3, 3, 255, 0}, 14},
		{{1, 1, 1, 3, 3, 9, 0}, 9},
		{{0, 3, 3, 9}, 0xff},
		{{3, 2, 1, 1}, 0xff},
		{{3, 4, 9, 9, 1, 1, 1, 1}, 0xff},
		{{3, 0, 0, 0}, -1},
		{{3, 1, 0, 0}, -1},
		{{8, 10, 0, 0}, -1},
		{{1, 1, 1, 1, 1, 1, 1, 3}, -1},
		{{253, 8, 1, 2, 3, 4, 5, 6}, 0xff},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample_eth(&s, -1, ETH_IPV4);
		sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
		sample_tcp(&s, TCP_SYN, rows[i].bytes, 8);
		sample_end(&s);
		enum drop d = decode(&p);
		ck_assert_int_eq(d, rows[i].wscale < 0 ? DROP_L4_HEADER : DROP_NONE);
		if (d == DROP_NONE)
			ck_assert_int_eq(p.tcp.wscale, rows[i].wscale);
	}
	/* Only a SYN's scale counts. */
	sample_eth(&s, -1, ETH_IPV4);
	sample_ip4(&s, IPPROTO_NUM_TCP, A4, B4, NULL, 0);
	sample_tcp(&s, TCP_ACK, mss_ws, 12);
	sample_end(&s);
	ACCEPTED(&p);
	ck_assert_int_eq(p.tcp.wscale, 0xff);
}
END_TEST

START_TEST(udp_length)
{
	static const struct {
		unsigned len;
		enum drop reason;
	} rows[] = {
		{0, DROP_L4_HEADER}, {7, DROP_L4_HEADER}, {8, DROP_NONE},
		{40, DROP_NONE},     {41, DROP_NONE},	  {42, DROP_L4_HEADER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_udp4_options(); /* 41 bytes of UDP */
		sample_set16(&s, s.l4 + 4, rows[i].len);
		REFUSED(rows[i].reason);
	}
}
END_TEST

/* Wrong checksums: refused where the packet could change state, left alone where not. */
START_TEST(transport_checksums)
{
	static const struct {
		void (*make)(void);
		enum drop reason;
	} rows[] = {
		{make_tcp4_syn, DROP_L4_CHECKSUM}, {make_tcp6, DROP_L4_CHECKSUM},
		{make_echo4, DROP_L4_CHECKSUM},	   {make_echo6, DROP_L4_CHECKSUM},
		{make_error4, DROP_L4_CHECKSUM},   {make_error6, DROP_L4_CHECKSUM},
		{make_tcp4_data, DROP_NONE},	   {make_udp4_options, DROP_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vnet partial = {.flags = VNET_F_NEEDS_CSUM};

		struct vnet valid = {.flags = VNET_F_DATA_VALID};
		struct vnet gso = {.gso_type = VNET_GSO_TCPV4, .gso_size = 1000};
		struct pkt p;

		rows[i].make();
		partial.csum_start = (uint16_t)s.l4;
		partial.csum_offset = (uint16_t)sample_sum_at(s.proto);
		sample_data(&s)[s.l4 + sample_sum_at(s.proto)] ^= 1;
		ck_assert_int_eq(decode(&p), rows[i].reason);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, partial), DROP_NONE);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, valid), DROP_NONE);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, gso), DROP_NONE);
	}
}
END_TEST

/* A checksum to be completed is not written over headers, nor behind the packet. */
START_TEST(partial_checksum_place)
{
	make_udp4_options(); /* 41 bytes at 42 */
	sample_fill(&s, 9);  /* padding */
	for (unsigned start = 0; start < 100; start++) {
		for (unsigned offset = 0; offset < 60; offset++) {
			struct vnet v = {.flags = VNET_F_NEEDS_CSUM,
					 .csum_start = (uint16_t)start,
					 .csum_offset = (uint16_t)offset};
			struct pkt p;
			bool own = start == 42 && offset == 6;
			bool ok = own || (start >= 50 && start + offset + 2 <= 83);

			ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, v),
					 ok ? DROP_NONE : DROP_L4_CHECKSUM);
		}
	}
}
END_TEST

/* Compare CVE-2019-5598: an error is for whom it quotes. */
START_TEST(icmp_error_for_somebody_else)
{
	error4(3, 3);
	quote4(IPPROTO_NUM_UDP, "192.0.2.99", B4, 0, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
	error6(1, 4);
	quote6(IPPROTO_NUM_UDP, "2001:db8::99", B6, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

START_TEST(icmp_errors_malformed)
{
	error4(3, 3); /* seven bytes of transport */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 7);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error6(1, 4);
	quote6(IPPROTO_NUM_UDP, A6, B6, 7);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error4(3, 3); /* quoted version, header length, total length */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 8);
	sample_data(&s)[s.l4 + 8] = 0x65;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x44;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x4f;
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	sample_data(&s)[s.l4 + 8] = 0x45;
	sample_set16(&s, s.l4 + 10, 19);
	sample_end(&s);
	REFUSED(DROP_L4_HEADER);
	error4(3, 3); /* an error about an error */
	quote4(IPPROTO_NUM_ICMP, A4, B4, 0, 0);
	sample_u16(&s, 0x0b00);
	sample_fill(&s, 6);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
	error4(5, 1); /* a redirect is not for forwarding */
	quote4(IPPROTO_NUM_UDP, A4, B4, 0, 8);
	sample_end(&s);
	REFUSED(DROP_ICMP_UNRELATED);
}
END_TEST

/* A later fragment has no transport header: no checksum is at offset 0 (or anywhere in front of its
 * data) that could be completed. */
START_TEST(partial_checksum_of_later_fragment)
{
	static const uint8_t protos[] = {IPPROTO_NUM_TCP, IPPROTO_NUM_UDP};

	for (unsigned i = 0; i < 2; i++) {
		struct vnet v = {.flags = VNET_F_NEEDS_CSUM,
				 .csum_offset = (uint16_t)sample_sum_at(protos[i])};
		struct pkt p;

		frag4(protos[i], 100, 40);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, v), DROP_L4_CHECKSUM);
		frag6(protos[i], 800);
		s.proto = 0;
		sample_fill(&s, 40);
		sample_end(&s);
		ck_assert_int_eq(decode_bytes(sample_data(&s), s.len, &p, v), DROP_L4_CHECKSUM);
	}
}
END_TEST

/* Neighbour discovery keeps its odd addresses; with a fragment header it is refused (RFC 6980). */
START_TEST(neighbour_discovery)
{
	struct pkt p;

	for (unsigned type = 130; type <= 138; type++) {
		sample_eth(&s, -1, ETH_IPV6);
		sample_ip6(&s, IPPROTO_NUM_ICMP6, "::", "ff02::1:ff00:1");
		sample_icmp(&s, type, 0, 0);
		sample_fill(&s, 16);
		sample_end(&s);
		bool nd = type >= 133 && type <= 137;
		ck_assert_int_eq(decode(&p), nd ? DROP_NONE : DROP_LINK_CONTROL);
		ck_assert_int_eq(p.kind, nd ? PKT_ND : PKT_IP);
	}
	for (unsigned more = 0; more < 2; more++) {
		frag6(58, more);
		sample_icmp(&s, 135, 0, 0);
		sample_fill(&s, 16);
		sample_end(&s);
		REFUSED(DROP_IP6_CHAIN);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode_refused");
	TCase *t = tcase_create("decode_refused");

	tcase_add_test(t, link_layer);
	tcase_add_test(t, ipv4_header);
	tcase_add_test(t, ipv4_options);
	tcase_add_test(t, ipv4_fragments);
	tcase_add_test(t, ipv6_header);
	tcase_add_test(t, ipv6_chain);
	tcase_add_test(t, ipv6_chain_limits);
	tcase_add_test(t, addresses);
	tcase_add_test(t, mapped_addresses);
	tcase_add_test(t, tcp_flags);
	tcase_add_test(t, tcp_header);
	tcase_add_test(t, udp_length);
	tcase_add_test(t, transport_checksums);
	tcase_add_test(t, partial_checksum_place);
	tcase_add_test(t, partial_checksum_of_later_fragment);
	tcase_add_test(t, icmp_error_for_somebody_else);
	tcase_add_test(t, icmp_errors_malformed);
	tcase_add_test(t, neighbour_discovery);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
