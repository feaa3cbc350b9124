/*
 * check_port.c - the backends of a port, on real interfaces in a private network.
 *
 * Test frames carry the EtherType for local experiments; whatever else the kernel says on the wire
 * is passed over.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <net/if.h>
#include <sys/resource.h>

#include <pcap/pcap.h>

#include "io/port.h"
#include "packet/checksum.h"

#include "netns.h"

#define EXPERIMENT 0x88b5
#define ETH 14
#define GSO_SIZE 1400

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static char err[256];

/* How a test's ports work: BACKEND_PACKET with and without a receive ring, or BACKEND_PCAP. */
enum { RING, QUEUE, PCAP };

static enum port_backend backend_of(int kind)
{
	return kind == PCAP ? BACKEND_PCAP : BACKEND_PACKET;
}

/* Attach; for QUEUE no memory can be mapped meanwhile. */
static int attach(struct port *p, int kind)
{
	struct rlimit old, none;
	int rc;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
	none = (struct rlimit){.rlim_cur = 1, .rlim_max = old.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_AS, kind == QUEUE ? &none : &old), 0);
	rc = port_attach(p, 0, err, sizeof(err));
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
	ck_assert_msg(rc < 0 || port_has_ring(p) == (kind == RING), "%s ring",
		      kind == RING ? "no" : "a");
	return rc;
}

static struct port *make_port(int kind, const char *device)
{
	struct port_params params = {.backend = backend_of(kind), .rx_buffer = 4 << 20};
	snprintf(params.name, sizeof(params.name), "%s", device);
	snprintf(params.device, sizeof(params.device), "%s", device);
	struct port *p = port_new(&params, 7, err, sizeof(err));
	ck_assert_msg(p != NULL, "%s", err);
	return p;
}

static struct port *open_port(int kind, const char *device)
{
	struct port *p = make_port(kind, device);
	ck_assert_msg(attach(p, kind) == 0, "%s", err);
	ck_assert(port_attached(p));
	ck_assert_int_ge(port_fd(p), 0);
	return p;
}

/* An Ethernet frame of `len` bytes whose payload is told by `seed`. */
static struct frame make_frame(uint8_t *room, uint32_t len, const uint8_t *dst, uint8_t seed)
{
	struct frame f = {.data = room, .len = len};
	memcpy(room, dst, 6);
	memcpy(room + 6, "\x02\0\0\0\0\x01", 6);
	room[12] = EXPERIMENT >> 8;
	room[13] = EXPERIMENT & 0xff;
	for (uint32_t i = ETH; i < len; i++)
		room[i] = (uint8_t)(i * 7 + seed);
	return f;
}

static bool is_ours(const struct frame *f)
{
	uint32_t at = 12;
	if (f->data[at] == 0x81 && f->data[at + 1] == 0)
		at += 4;
	return (f->data[at] == EXPERIMENT >> 8 && f->data[at + 1] == (EXPERIMENT & 0xff)) ||
	       (f->data[at] == 8 && f->data[at + 1] == 0);
}

/* The next test frame, valid until port_release. */
static struct frame receive(struct port *p)
{
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	for (;;) {
		struct frame f;
		int n = port_rx(p, &f, 1);
		ck_assert_msg(n >= 0, "receive: %s", strerror(-n));
		if (n == 1 && is_ours(&f))
			return f;
		port_release(p);
		if (n == 0)
			netns_wait(port_fd(p), deadline);
	}
}

static void expect_frame(struct port *p, const struct frame *sent)
{
	struct frame got = receive(p);
	ck_assert_uint_eq(got.len, sent->len);
	ck_assert_mem_eq(got.data, sent->data, sent->len);
	ck_assert_uint_eq(got.port, 7);
	memset(got.data - FRAME_HEADROOM, 0x5a, FRAME_HEADROOM); /* headroom is writable */
	port_release(p);
}

/* Poll until receiving fails; the error. */
static int receive_error(struct port *p)
{
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	for (;;) {
		struct frame f[PORT_BATCH];
		int n = port_rx(p, f, PORT_BATCH);
		if (n < 0)
			return n;
		port_release(p);
		if (n == 0)
			netns_wait(port_fd(p), deadline);
	}
}

static void setup(void)
{
	netns_enter();
	netns_veth("a0", "a1");
}

/* Both directions, sizes from the shortest to the longest of the MTU, in one batch. */
START_TEST(test_both_ways)
{
	static const uint32_t sizes[] = {60, 61, 590, 1513, 1514};
	static uint8_t room[5][1514];
	struct frame f[5];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	struct port_stats st;

	for (unsigned i = 0; i < 5; i++)
		f[i] = make_frame(room[i], sizes[i], broadcast, (uint8_t)i);
	ck_assert_uint_eq(port_tx(a, f, 5), 5);
	for (unsigned i = 0; i < 5; i++)
		expect_frame(b, &f[i]);
	/* What a sent itself does not come back to it. */
	ck_assert_uint_eq(port_tx(b, f + 2, 1), 1);
	expect_frame(a, &f[2]);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_frames, 5);
	ck_assert_uint_eq(st.tx_bytes, 60 + 61 + 590 + 1513 + 1514);
	ck_assert_uint_ge(st.rx_frames, 1);
	ck_assert_uint_eq(st.rx_dropped + st.rx_truncated + st.tx_full + st.tx_size + st.tx_errors,
			  0);
	port_free(a);
	port_free(b);
}
END_TEST

/* More than one batch is sent whole, and received in batches without loss or disorder. */
START_TEST(test_batches)
{
	enum { N = 200 };
	static uint8_t room[N][100];
	struct frame f[N], got[PORT_BATCH];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	unsigned next = 0;

	for (unsigned i = 0; i < N; i++)
		f[i] = make_frame(room[i], 100, broadcast, (uint8_t)i);
	ck_assert_uint_eq(port_tx(a, f, N), N);
	while (next < N) {
		int n = port_rx(b, got, PORT_BATCH);
		ck_assert_int_ge(n, 0);
		for (int i = 0; i < n; i++)
			if (is_ours(&got[i]))
				ck_assert_mem_eq(got[i].data, room[next++], 100);
		port_release(b);
		if (n == 0)
			netns_wait(port_fd(b), deadline);
	}
	port_free(a);
	port_free(b);
}
END_TEST

/* Without promiscuous mode another host's frame is dropped early; multicast of any group, as for
 * the solicited-node address of a virtual address, is delivered. */
START_TEST(test_destinations)
{
	static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
	static const uint8_t group[6] = {0x33, 0x33, 0xff, 1, 2, 3};
	uint8_t room[2][60];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	struct frame f[2] = {make_frame(room[0], 60, other, 1), make_frame(room[1], 60, group, 2)};

	/* a veth delivers every group; other devices only when told to */
	netns_run("ip -d link show dev a1 | grep -q 'allmulti 1'");
	ck_assert_uint_eq(port_tx(a, f, 2), 2);
	expect_frame(b, &f[1]);
	port_free(b);
	struct port_params params = {.backend = backend_of(_i), .promiscuous = true};
	strcpy(params.device, "a1");
	b = port_new(&params, 7, err, sizeof(err));
	ck_assert_int_eq(attach(b, _i), 0);
	ck_assert_uint_eq(port_tx(a, f, 2), 2);
	expect_frame(b, &f[0]);
	expect_frame(b, &f[1]);
	port_free(a);
	port_free(b);
}
END_TEST

/* An Ethernet address of the port's own, beside the device's and next to others. */
START_TEST(test_own_mac)
{
	static const uint8_t own[6] = {2, 0xfc, 1, 2, 3, 4};
	static const uint8_t near[3][6] = {
		{2, 0xfc, 1, 2, 3, 5}, {2, 0xfc, 1, 3, 3, 4}, {0, 0xfc, 1, 2, 3, 4}};
	struct port_params params = {.backend = backend_of(_i), .has_mac = true};
	uint8_t room[6][60];
	struct frame f[6];
	struct port *a = open_port(_i, "a0");
	struct port_stats st;

	strcpy(params.device, "a1");
	memcpy(params.mac.b, own, sizeof(own));
	struct port *b = port_new(&params, 7, err, sizeof(err));
	ck_assert_msg(attach(b, _i) == 0, "%s", err);
	for (unsigned i = 0; i < 3; i++)
		f[i] = make_frame(room[i], 60, near[i], (uint8_t)i);
	f[3] = make_frame(room[3], 60, own, 3);
	f[4] = make_frame(room[4], 60, broadcast, 4);
	f[5] = make_frame(room[5], 60, broadcast, 5);
	netns_run("ip link set dev a1 address 02:aa:bb:cc:dd:ee");
	memcpy(room[5], "\x02\xaa\xbb\xcc\xdd\xee", 6);
	ck_assert_uint_eq(port_tx(a, f, 6), 6);
	for (unsigned i = 3; i < 6; i++)
		expect_frame(b, &f[i]);
	port_get_stats(b, &st);
	ck_assert_uint_eq(st.rx_dropped, 0);
	/* The device was told to let it in, while the port is attached: a veth has no filter for
	 * that, so it takes everything. */
	netns_run("ip -d link show dev a1 | grep -q 'promiscuity 1'");
	port_detach(b);
	netns_run("ip -d link show dev a1 | grep -q 'promiscuity 0'");
	port_free(a);
	port_free(b);
}
END_TEST

/* The kernel takes the tag out of the bytes on receive; the port puts it back. */
START_TEST(test_vlan)
{
	uint8_t room[200];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	struct frame f = make_frame(room, 200, broadcast, 3);

	memcpy(room + 12, "\x81\0\x60\x2a\x88\xb5", 6); /* priority 3, VLAN 42 */
	ck_assert_uint_eq(port_tx(a, &f, 1), 1);
	expect_frame(b, &f);
	port_free(a);
	port_free(b);
}
END_TEST

/* Ethernet, IPv4, TCP and payload, with the checksum left to the offload header. */
static struct frame make_tcp(uint8_t *room, uint32_t payload, unsigned vlan)
{
	uint32_t tag = vlan ? 4 : 0, l3 = ETH + tag, l4 = l3 + 20;
	struct frame f = make_frame(room, l4 + 20 + payload, broadcast, 9);
	uint8_t *ip = room + l3, *tcp = room + l4;
	uint32_t len = 40 + payload;
	struct ipaddr src = ipaddr_v4("\x0a\0\0\1"), dst = ipaddr_v4("\x0a\0\0\2");

	if (vlan)
		memcpy(room + 12, "\x81\0\0\x2a", 4);
	memcpy(room + 12 + tag, "\x08\0", 2);
	memset(ip, 0, 40);
	ip[0] = 0x45;
	ip[2] = (uint8_t)(len >> 8);
	ip[3] = (uint8_t)len;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, src.b + 12, 4);
	memcpy(ip + 16, dst.b + 12, 4);
	uint16_t sum = csum_fold(csum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	tcp[1] = 80;
	tcp[3] = 90;
	tcp[12] = 0x50;
	tcp[13] = TCP_ACK;
	/* partial: the sum of the pseudo-header, not complemented */
	sum = (uint16_t)~csum_fold(csum_pseudo(&src, &dst, 6, 20 + payload));
	memcpy(tcp + 16, &sum, 2);
	f.vnet = (struct vnet){.flags = VNET_F_NEEDS_CSUM,
			       .hdr_len = (uint16_t)(l4 + 20),
			       .csum_start = (uint16_t)l4,
			       .csum_offset = 16};
	return f;
}

START_TEST(test_partial_checksum)
{
	static uint8_t room[2000];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");

	for (unsigned vlan = 0; vlan < 2; vlan++) {
		struct frame f = make_tcp(room, 100, vlan);
		ck_assert_uint_eq(port_tx(a, &f, 1), 1);
		struct frame got = receive(b);
		ck_assert_uint_eq(got.len, f.len);
		ck_assert_mem_eq(got.data, f.data, f.len);
		ck_assert_uint_eq(got.vnet.flags & VNET_F_NEEDS_CSUM, VNET_F_NEEDS_CSUM);
		ck_assert_uint_eq(got.vnet.csum_start, f.vnet.csum_start);
		ck_assert_uint_eq(got.vnet.csum_offset, 16);
		port_release(b);
	}
	port_free(a);
	port_free(b);
}
END_TEST

static struct frame make_super(uint8_t *room, uint32_t payload)
{
	struct frame f = make_tcp(room, payload, 0);
	f.vnet.gso_type = VNET_GSO_TCPV4;
	f.vnet.gso_size = GSO_SIZE;
	return f;
}

/* A super-frame passes whole, twice: what was received can be sent on as it is. */
START_TEST(test_super_frame)
{
	static uint8_t room[FRAME_MAX];
	static const uint32_t payloads[] = {3 * GSO_SIZE, 30000, 64000};
	netns_veth("b0", "b1");
	struct port *a = open_port(_i, "a0"), *b = open_port(_i, "a1");
	struct port *c = open_port(_i, "b0"), *d = open_port(_i, "b1");

	ck_assert(port_takes_gso(a) && port_takes_partial_csum(a));
	for (unsigned i = 0; i < 3; i++) {
		struct frame f = make_super(room, payloads[i]);
		ck_assert_uint_eq(port_tx(a, &f, 1), 1);
		struct frame got = receive(b);
		ck_assert_uint_eq(got.len, f.len);
		ck_assert_uint_eq(port_tx(c, &got, 1), 1);
		port_release(b);
		got = receive(d);
		ck_assert_uint_eq(got.len, f.len);
		ck_assert_mem_eq(got.data, f.data, f.len);
		ck_assert_uint_eq(got.vnet.gso_type, VNET_GSO_TCPV4);
		ck_assert_uint_eq(got.vnet.gso_size, GSO_SIZE);
		ck_assert_uint_eq(got.vnet.csum_start, ETH + 20);
		port_release(d);
	}
	port_free(a);
	port_free(b);
	port_free(c);
	port_free(d);
}
END_TEST

/* A device that cannot segment: the kernel does it, although the queueing discipline is bypassed
 * for everything else. Frames in front of and behind the super-frame keep their order. */
START_TEST(test_super_frame_without_tso)
{
	enum { PAYLOAD = 10 * GSO_SIZE };
	static uint8_t room[FRAME_MAX], small[2][60];
	netns_run("ethtool -K a0 tso off gso off >/dev/null");
	struct port *a = open_port(_i, "a0"), *b = open_port(_i, "a1");
	struct frame f[3] = {make_frame(small[0], 60, broadcast, 1), make_super(room, PAYLOAD),
			     make_frame(small[1], 60, broadcast, 2)};
	struct port_stats st;

	ck_assert_uint_eq(port_tx(a, f, 3), 3);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_frames, 3);
	ck_assert_uint_eq(st.tx_full, 0);
	expect_frame(b, &f[0]);
	for (uint32_t done = 0; done < PAYLOAD; done += GSO_SIZE) {
		struct frame got = receive(b);
		ck_assert_uint_eq(got.len, ETH + 40 + GSO_SIZE);
		ck_assert_mem_eq(got.data + ETH + 40, room + ETH + 40 + done, GSO_SIZE);
		port_release(b);
	}
	expect_frame(b, &f[2]);
	port_free(a);
	port_free(b);
}
END_TEST

/* Complete frames only, where there is no offload header. */
START_TEST(test_no_offloads)
{
	static uint8_t room[FRAME_MAX], small[60];
	struct port *a = open_port(PCAP, "a0"), *b = open_port(PCAP, "a1");
	struct frame f[3] = {make_super(room, 5000), make_tcp(room, 100, 0),
			     make_frame(small, 60, broadcast, 2)};
	struct port_stats st;

	ck_assert(!port_takes_gso(a) && !port_takes_partial_csum(a));
	f[0] = make_super(room, 5000);
	ck_assert_uint_eq(port_tx(a, f, 3), 1);
	expect_frame(b, &f[2]);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_size, 2);
	port_free(a);
	port_free(b);
}
END_TEST

/* A frame that is too long costs itself, not the batch. */
START_TEST(test_too_long)
{
	static uint8_t room[3][3000];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	struct frame f[3] = {make_frame(room[0], 100, broadcast, 1),
			     make_frame(room[1], 3000, broadcast, 2),
			     make_frame(room[2], 200, broadcast, 3)};
	struct port_stats st;

	ck_assert_uint_eq(port_tx(a, f, 3), 2);
	expect_frame(b, &f[0]);
	expect_frame(b, &f[2]);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_size, 1);
	ck_assert_uint_eq(st.tx_frames, 2);
	port_free(a);
	port_free(b);
}
END_TEST

/* No carrier: the kernel refuses every frame with ENOBUFS. The batch is given up, all counted. */
START_TEST(test_full)
{
	uint8_t room[60];
	struct frame f[5];
	struct port *a = open_port(RING, "a0");
	struct port_stats st;

	netns_run("ip link set dev a1 down");
	for (unsigned i = 0; i < 5; i++)
		f[i] = make_frame(room, 60, broadcast, 1);
	ck_assert_uint_eq(port_tx(a, f, 5), 0);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_full, 5);
	ck_assert(port_attached(a));
	port_free(a);
}
END_TEST

START_TEST(test_down_and_up)
{
	uint8_t room[60];
	struct port *a = open_port(_i, "a0");
	struct port *b = open_port(_i, "a1");
	struct frame f = make_frame(room, 60, broadcast, 1), got;

	netns_run("ip link set dev a0 down");
	ck_assert_int_eq(receive_error(a), -ENETDOWN);
	ck_assert(!port_attached(a));
	ck_assert_int_eq(port_fd(a), -1);
	ck_assert_int_eq(port_rx(a, &got, 1), -ENETDOWN);
	ck_assert_int_eq(attach(a, _i), -ENETDOWN);
	ck_assert_ptr_nonnull(strstr(err, "a0"));
	netns_run("ip link set dev a0 up");
	ck_assert_int_eq(attach(a, _i), 0);
	/* The carrier of a veth comes back a moment after "up". */
	int64_t deadline = netns_now_ms() + NETNS_DEADLINE_MS;
	while (port_tx(b, &f, 1) != 1)
		ck_assert_int_lt(netns_now_ms(), deadline);
	expect_frame(a, &f);
	port_free(a);
	port_free(b);
}
END_TEST

/* Sending notices it too. */
START_TEST(test_send_when_down)
{
	uint8_t room[60];
	struct port *a = open_port(_i, "a0");
	struct frame f[3];
	struct port_stats st;

	for (unsigned i = 0; i < 3; i++)
		f[i] = make_frame(room, 60, broadcast, 1);
	netns_run("ip link set dev a0 down");
	ck_assert_uint_eq(port_tx(a, f, 3), 0);
	ck_assert(!port_attached(a));
	ck_assert_uint_eq(port_tx(a, f, 3), 0);
	port_get_stats(a, &st);
	ck_assert_uint_eq(st.tx_errors, 6);
	port_free(a);
}
END_TEST

START_TEST(test_recreated)
{
	uint8_t room[60];
	struct port *a = open_port(_i, "a0");
	struct frame f = make_frame(room, 60, broadcast, 1);
	unsigned old = if_nametoindex("a0");

	netns_run("ip link del dev a0");
	int rc = receive_error(a);
	ck_assert_msg(rc == -ENETDOWN || rc == -ENODEV, "receive: %s", strerror(-rc));
	ck_assert(!port_attached(a));
	ck_assert_int_eq(port_attach(a, 0, err, sizeof(err)), -ENODEV);
	ck_assert_int_lt(port_attach(a, old, err, sizeof(err)), 0);
	netns_veth("a0", "a1");
	ck_assert_uint_ne(if_nametoindex("a0"), old);
	ck_assert_msg(port_attach(a, if_nametoindex("a0"), err, sizeof(err)) == 0, "%s", err);
	struct port *b = open_port(_i, "a1");
	ck_assert_uint_eq(port_tx(b, &f, 1), 1);
	expect_frame(a, &f);
	port_free(a);
	port_free(b);
}
END_TEST

START_TEST(test_missing_device)
{
	struct port *p = make_port(_i, "none0");
	ck_assert(!port_attached(p));
	ck_assert_int_eq(port_fd(p), -1);
	ck_assert_int_eq(port_attach(p, 0, err, sizeof(err)), -ENODEV);
	ck_assert_ptr_nonnull(strstr(err, "none0"));
	port_free(p);
}
END_TEST

/* Not an Ethernet interface: a tunnel has no MAC header to forward by. */
START_TEST(test_no_ethernet)
{
	netns_run("ip tuntap add mode tun dev t0 && ip link set dev t0 up");
	struct port *p = make_port(_i, "t0");
	int rc = port_attach(p, 0, err, sizeof(err));
	ck_assert_int_eq(rc, -EMEDIUMTYPE);
	port_free(p);
}
END_TEST

/* Frames this program is too slow for are lost in the kernel, and counted there. */
START_TEST(test_kernel_drops)
{
	enum { N = 4096 };
	static uint8_t room[1000];
	struct port_params params = {.backend = BACKEND_PACKET, .rx_buffer = 65536};
	struct port *a = open_port(_i, "a0");
	struct frame f = make_frame(room, 1000, broadcast, 1), got[PORT_BATCH];
	struct port_stats st;
	unsigned received = 0;

	strcpy(params.device, "a1");
	struct port *b = port_new(&params, 7, err, sizeof(err));
	ck_assert_int_eq(attach(b, _i), 0);
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(port_tx(a, &f, 1), 1);
	for (int n; (n = port_rx(b, got, PORT_BATCH)) > 0; port_release(b))
		received += (unsigned)n;
	port_detach(b); /* the count outlives the socket */
	port_get_stats(b, &st);
	ck_assert_uint_gt(st.rx_dropped, 0);
	ck_assert_uint_ge(received + st.rx_dropped, N);
	ck_assert_uint_le(received + st.rx_dropped, N + 64);
	port_free(a);
	port_free(b);
}
END_TEST

/* --- the receive ring --- */

static uint32_t mixed_len(unsigned i)
{
	static const uint32_t lens[] = {60, 1514, 5000, 64000, 1000, 20000};

	return lens[i % 6];
}

/* Frames that lie in slots and frames that come by the queue, with and without a tag, keep their
 * order and their bytes, also when the ring has wrapped many times. */
START_TEST(test_mixed)
{
	enum { N = 60, ROUNDS = 20 };
	static uint8_t room[N][FRAME_MAX];
	static struct frame sent[N];
	struct port_params params = {.backend = BACKEND_PACKET, .rx_buffer = 65536};
	struct port *a = open_port(_i, "a0");
	struct port_stats st;

	strcpy(params.device, "a1");
	params.rx_buffer = 2 << 20;
	struct port *b = port_new(&params, 7, err, sizeof(err));
	ck_assert_int_eq(attach(b, _i), 0);
	for (unsigned i = 0; i < N; i++) {
		sent[i] = make_tcp(room[i], mixed_len(i) - 58, i % 4 == 1 ? 42 : 0);
		room[i][sent[i].len - 1] = (uint8_t)i;
		if (sent[i].len > 1518) {
			sent[i].vnet.gso_type = VNET_GSO_TCPV4;
			sent[i].vnet.gso_size = GSO_SIZE;
		}
	}
	for (unsigned k = 0; k < N * ROUNDS; k += 10) {
		struct frame got[PORT_BATCH];
		unsigned at = k % N, seen = 0;
		ck_assert_uint_eq(port_tx(a, &sent[at], 10), 10);
		while (seen < 10) {
			int n = port_rx(b, got, PORT_BATCH);
			ck_assert_int_ge(n, 0);
			for (int i = 0; i < n; i++, seen++) {
				const struct frame *want = &sent[at + seen];
				ck_assert_uint_eq(got[i].len, want->len);
				ck_assert_mem_eq(got[i].data, want->data, want->len);
				ck_assert_mem_eq(&got[i].vnet.gso_type, &want->vnet.gso_type, 1);
				memset(got[i].data - FRAME_HEADROOM, 0x5a, FRAME_HEADROOM);
			}
			port_release(b);
			if (n == 0)
				netns_wait(port_fd(b), netns_now_ms() + NETNS_DEADLINE_MS);
		}
	}
	port_get_stats(b, &st);
	ck_assert_uint_eq(st.rx_frames, N * ROUNDS);
	ck_assert_uint_eq(st.rx_dropped + st.rx_truncated, 0);
	port_free(a);
	port_free(b);
}
END_TEST

/* Super-frames that neither a slot nor the full queue had room for are counted as lost. */
START_TEST(test_long_frames_lost)
{
	enum { N = 100 };
	static uint8_t room[FRAME_MAX];
	struct port_params params = {.backend = BACKEND_PACKET, .rx_buffer = 262144};
	struct port *a = open_port(RING, "a0");
	struct frame f = make_super(room, 60000), got[PORT_BATCH];
	struct port_stats st;
	unsigned received = 0;

	strcpy(params.device, "a1");
	struct port *b = port_new(&params, 7, err, sizeof(err));
	ck_assert_int_eq(attach(b, RING), 0);
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(port_tx(a, &f, 1), 1);
	for (int n; (n = port_rx(b, got, PORT_BATCH)) > 0; port_release(b)) {
		ck_assert_mem_eq(got[0].data, f.data, f.len);
		received += (unsigned)n;
	}
	port_get_stats(b, &st);
	ck_assert_uint_gt(received, 0);
	ck_assert_uint_gt(st.rx_dropped, 0);
	ck_assert_uint_eq(received + st.rx_dropped, N);
	port_free(a);
	port_free(b);
}
END_TEST

/* What was borrowed stays until it is given back, even if the port is detached meanwhile: other
 * ports may have yet to send it. */
START_TEST(test_borrowed_over_detach)
{
	uint8_t room[2][60];
	struct port *a = open_port(_i, "a0"), *b = open_port(_i, "a1");
	struct frame f = make_frame(room[0], 60, broadcast, 1), again, got;

	for (unsigned i = 0; i < 2; i++) { /* released, and not */
		ck_assert_uint_eq(port_tx(a, &f, 1), 1);
		got = receive(b);
		port_detach(b);
		ck_assert(!port_has_ring(b));
		ck_assert_mem_eq(got.data, f.data, f.len);
		got.data[0] = 1;
		if (i == 0)
			port_release(b);
		ck_assert_int_eq(attach(b, _i), 0);
		again = make_frame(room[1], 60, broadcast, 2);
		ck_assert_uint_eq(port_tx(a, &again, 1), 1);
		expect_frame(b, &again);
	}
	ck_assert_uint_eq(port_tx(a, &f, 1), 1);
	receive(b);
	port_free(a);
	port_free(b);
}
END_TEST

/* A batch is no longer than asked for, and what is left is not lost. */
START_TEST(test_small_batches)
{
	static uint8_t room[10][60];
	struct port *a = open_port(_i, "a0"), *b = open_port(_i, "a1");
	struct frame f[10], got[PORT_BATCH];
	unsigned seen = 0;

	for (unsigned i = 0; i < 10; i++)
		f[i] = make_frame(room[i], 60, broadcast, (uint8_t)i);
	ck_assert_uint_eq(port_tx(a, f, 10), 10);
	while (seen < 10) {
		int n = port_rx(b, got, 3);
		ck_assert_int_ge(n, 0);
		ck_assert_int_le(n, 3);
		for (int i = 0; i < n; i++)
			ck_assert_mem_eq(got[i].data, room[seen++], 60);
		port_release(b);
		if (n == 0)
			netns_wait(port_fd(b), netns_now_ms() + NETNS_DEADLINE_MS);
	}
	port_free(a);
	port_free(b);
}
END_TEST

/* --- capture files --- */

static char dir[64];

static void setup_files(void)
{
	strcpy(dir, "/tmp/check_port.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown_files(void)
{
	netns_run("rm -r %s", dir);
}

static struct port *file_port(const char *in, const char *out)
{
	struct port_params params = {.backend = BACKEND_FILE, .name = "file"};
	if (in)
		snprintf(params.file_in, sizeof(params.file_in), "%s/%s", dir, in);
	if (out)
		snprintf(params.file_out, sizeof(params.file_out), "%s/%s", dir, out);
	struct port *p = port_new(&params, 7, err, sizeof(err));
	ck_assert_msg(p != NULL, "%s", err);
	return p;
}

START_TEST(test_file_round_trip)
{
	static uint8_t room[3][FRAME_MAX];
	struct frame f[3] = {make_frame(room[0], 60, broadcast, 1),
			     make_frame(room[1], 1514, broadcast, 2),
			     make_frame(room[2], 65000, broadcast, 3)};
	struct frame got[PORT_BATCH];
	struct port *out = file_port(NULL, "x.pcap");

	ck_assert_int_eq(port_attach(out, 0, err, sizeof(err)), 0);
	ck_assert_int_eq(port_fd(out), -1);
	ck_assert(port_file_ended(out));
	port_file_set_time_ns(out, 1700000000123456789u);
	ck_assert_uint_eq(port_tx(out, f, 2), 2);
	port_file_set_time_ns(out, 1700000001000000001u);
	ck_assert_uint_eq(port_tx(out, f + 2, 1), 1);
	port_free(out);

	struct port *in = file_port("x.pcap", NULL);
	ck_assert_msg(port_attach(in, 0, err, sizeof(err)) == 0, "%s", err);
	ck_assert(!port_file_ended(in));
	/* one batch per timestamp */
	ck_assert_int_eq(port_rx(in, got, PORT_BATCH), 2);
	ck_assert_uint_eq(port_file_time_ns(in), 1700000000123456789u);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].len, f[i].len);
		ck_assert_mem_eq(got[i].data, f[i].data, f[i].len);
	}
	port_release(in);
	ck_assert(!port_file_ended(in));
	ck_assert_int_eq(port_rx(in, got, PORT_BATCH), 1);
	ck_assert_mem_eq(got[0].data, f[2].data, f[2].len);
	ck_assert_uint_eq(port_file_time_ns(in), 1700000001000000001u);
	ck_assert(port_file_ended(in));
	ck_assert_int_eq(port_rx(in, got, PORT_BATCH), 0);
	port_free(in);
}
END_TEST

static void write_file(const char *name, const void *data, size_t size)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	fclose(f);
}

/* pcapng: section header, Ethernet interface, one packet of 14 bytes at 1 s (microseconds). */
START_TEST(test_file_pcapng)
{
	static const uint8_t bytes[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
		/* interface description, link type 1 */
		1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0,
		/* enhanced packet */
		6, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 14, 0, 0, 0,
		14, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 0, 0,
		48, 0, 0, 0};
	struct frame got[PORT_BATCH];

	write_file("x.pcapng", bytes, sizeof(bytes));
	struct port *in = file_port("x.pcapng", NULL);
	ck_assert_msg(port_attach(in, 0, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(port_rx(in, got, PORT_BATCH), 1);
	ck_assert_uint_eq(got[0].len, 14);
	ck_assert_uint_eq(port_file_time_ns(in), 1000000000u);
	port_free(in);
}
END_TEST

/* Frames cut by a capture length, or too short for Ethernet, are counted, not delivered. */
START_TEST(test_file_cut_frames)
{
	static const uint8_t bytes[] = {
		0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,	 0, 0, 0, 0,  0,  0,  4,  0,  1,
		0,    0,    0,	  1,	0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 60, 0,  0,  0,  0,  0,
		0,    0,    0,	  0,	0, 0, 0, 0, 0, 0, 0, 0,	 1, 0, 0, 0,  0,  0,  0,  0,  4,
		0,    0,    0,	  4,	0, 0, 0, 9, 9, 9, 9, 2,	 0, 0, 0, 0,  0,  0,  0,  14, 0,
		0,    0,    14,	  0,	0, 0, 1, 2, 3, 4, 5, 6,	 7, 8, 9, 10, 11, 12, 13, 14};
	struct frame got[PORT_BATCH];
	struct port_stats st;

	/* Every prefix of the file: refused at attach, or read without harm to its end. */
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		write_file("cut.pcap", bytes, size);
		struct port *in = file_port("cut.pcap", NULL);
		int rc = port_attach(in, 0, err, sizeof(err)), n = 0;
		ck_assert_int_eq(rc, size < 24 ? -EIO : 0);
		while (rc == 0 && !port_file_ended(in))
			n += port_rx(in, got, PORT_BATCH);
		ck_assert_int_eq(n, size == sizeof(bytes));
		port_get_stats(in, &st);
		if (size == sizeof(bytes))
			ck_assert_uint_eq(st.rx_truncated, 2);
		port_free(in);
	}
}
END_TEST

START_TEST(test_file_errors)
{
	static const uint8_t raw_ip[24] = {0xd4, 0xc3, 0xb2, 0xa1,     2,
					   0,	 4,    0,    [18] = 4, [20] = 101};
	struct port *p = file_port("none.pcap", NULL);
	ck_assert_int_eq(port_attach(p, 0, err, sizeof(err)), -EIO);
	ck_assert_ptr_nonnull(strstr(err, "none.pcap"));
	port_free(p);
	write_file("raw.pcap", raw_ip, sizeof(raw_ip));
	p = file_port("raw.pcap", NULL);
	ck_assert_int_eq(port_attach(p, 0, err, sizeof(err)), -EMEDIUMTYPE);
	port_free(p);
	p = file_port(NULL, "no/such/dir.pcap");
	ck_assert_int_eq(port_attach(p, 0, err, sizeof(err)), -EIO);
	port_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("port");
	TCase *live = tcase_create("live");
	TCase *files = tcase_create("files");

	tcase_add_checked_fixture(live, setup, NULL);
	tcase_set_timeout(live, 60);
	tcase_add_loop_test(live, test_both_ways, RING, PCAP + 1);
	tcase_add_loop_test(live, test_batches, RING, PCAP + 1);
	tcase_add_loop_test(live, test_destinations, RING, PCAP + 1);
	tcase_add_loop_test(live, test_own_mac, RING, PCAP + 1);
	tcase_add_loop_test(live, test_vlan, RING, PCAP + 1);
	tcase_add_loop_test(live, test_partial_checksum, RING, QUEUE + 1);
	tcase_add_loop_test(live, test_super_frame, RING, QUEUE + 1);
	tcase_add_loop_test(live, test_super_frame_without_tso, RING, QUEUE + 1);
	tcase_add_test(live, test_no_offloads);
	tcase_add_loop_test(live, test_too_long, RING, PCAP + 1);
	tcase_add_test(live, test_full);
	tcase_add_loop_test(live, test_down_and_up, RING, PCAP + 1);
	tcase_add_loop_test(live, test_send_when_down, RING, PCAP + 1);
	tcase_add_loop_test(live, test_recreated, RING, PCAP + 1);
	tcase_add_loop_test(live, test_missing_device, RING, PCAP + 1);
	tcase_add_loop_test(live, test_no_ethernet, RING, PCAP + 1);
	tcase_add_loop_test(live, test_kernel_drops, RING, QUEUE + 1);
	tcase_add_loop_test(live, test_mixed, RING, QUEUE + 1);
	tcase_add_test(live, test_long_frames_lost);
	tcase_add_loop_test(live, test_borrowed_over_detach, RING, QUEUE + 1);
	tcase_add_loop_test(live, test_small_batches, RING, QUEUE + 1);
	suite_add_tcase(s, live);
	tcase_add_checked_fixture(files, setup_files, teardown_files);
	tcase_add_test(files, test_file_round_trip);
	tcase_add_test(files, test_file_pcapng);
	tcase_add_test(files, test_file_cut_frames);
	tcase_add_test(files, test_file_errors);
	suite_add_tcase(s, files);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
