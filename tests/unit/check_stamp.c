/*
 * check_stamp.c - the path in the options of a SYN. Options are put together from a list of items;
 * what is expected is made from the list without the stamps, or with one more, as a whole packet
 * with all its sums by the plain loop of packets.h.
 */
/* proves: HD-14 HD-15 HD-18 */
#include <check.h>

#include "guard.h"
#include "packet/checksum.h"
#include "packet/rewrite.h"
#include "packet/stamp.h"
#include "packets.h"

#define MTU 1500
#define CUT 64 /* bytes of the datagram in the first fragment */

struct options {
	uint8_t b[64];
	size_t size;
	size_t end; /* where an end-of-list option stands; size when there is none */
};

enum mode { WHOLE, PARTIAL, SUPER, FIRST, ATOMIC, N_MODES };

struct shape {
	unsigned version, flags;
	int vlan;
	bool ip_options;
	size_t data;
	enum mode mode;
};

static struct sample before, after;
static uint64_t random_state;

static uint32_t dice(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* The whole packet */

static void put_ip(struct sample *s, const struct shape *k)
{
	static const uint8_t v4[8] = {1, 0x94, 4, 0, 0, 1, 0, 9}, v6[6] = {1, 4};
	bool frag = k->mode == FIRST || k->mode == ATOMIC;
	unsigned next = frag ? 44 : 6;

	sample_eth(s, k->vlan, k->version == 4 ? ETH_IPV4 : ETH_IPV6);
	if (k->version == 4) {
		sample_ip4(s, 6, "192.0.2.1", "198.51.100.2", v4, k->ip_options ? 8 : 0);
		return;
	}
	sample_ip6(s, k->ip_options ? 60 : next, "2001:db8::1", "2001:db8:f::2");
	if (k->ip_options) {
		sample_u8(s, next);
		sample_u8(s, 0);
		sample_add(s, v6, 6);
	}
	if (frag) {
		sample_u8(s, 6);
		sample_u8(s, 0);
		sample_u16(s, k->mode == FIRST ? 1 : 0);
		sample_u32(s, 0xdeadbeef);
	}
}

static void leave_partial(struct sample *s)
{
	const uint8_t *ip = sample_data(s) + s->l3;
	uint32_t sum = s->version == 4 ? sample_words(0, ip + 12, 8) : sample_words(0, ip + 8, 32);

	sum += 6 + (uint32_t)(s->len - s->l4);
	sample_set16(s, s->l4 + 16, ~sample_fold(sum) & 0xffff);
}

static void make(struct sample *s, const struct shape *k, const struct options *o)
{
	put_ip(s, k);
	sample_tcp(s, k->flags, o->b, o->size);
	sample_fill(s, k->data);
	sample_data(s)[s->l4 + 12] |= 5; /* bits that others may give a meaning to */
	sample_end(s);
	if (k->mode == PARTIAL || k->mode == SUPER)
		leave_partial(s);
	if (k->mode == FIRST) {
		s->len = s->l4 + CUT;
		if (k->version == 4)
			sample_set16(s, s->l3 + 6, 0x2000);
		s->proto = 0; /* the checksum stays that of the whole */
		sample_end(s);
	}
}

static struct vnet offload(const struct sample *s, const struct shape *k, const struct options *o)
{
	struct vnet v = {0};

	if (k->mode != PARTIAL && k->mode != SUPER)
		return v;
	v.flags = VNET_F_NEEDS_CSUM;
	v.csum_start = (uint16_t)s->l4;
	v.csum_offset = 16;
	if (k->mode == SUPER) {
		v.gso_type = k->version == 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
		v.gso_size = 100;
		v.hdr_len = (uint16_t)(s->l4 + 20 + o->size);
	}
	return v;
}

/* A frame with exactly `room` bytes of headroom, in memory of its own that ends at an unreadable
 * page; in front of the headroom lies what nobody may change. */
#define FENCE 32
static uint8_t *memory;
static size_t memory_size;

static struct frame placed(struct sample *s, struct vnet v, size_t room)
{
	memory_size = FENCE + room + s->len;
	memory = guard_copy(NULL, memory_size);
	memset(memory, 0xe5, FENCE);
	memcpy(memory + FENCE + room, sample_data(s), s->len);
	return (struct frame){
		.data = memory + FENCE + room, .len = (uint32_t)s->len, .port = 3, .vnet = v};
}

static void release(void)
{
	bool kept = true;

	for (size_t i = 0; i < FENCE; i++)
		kept &= memory[i] == 0xe5;
	ck_assert(kept);
	guard_free(memory, memory_size);
}

/* The frame is what `s` is, ends where it did, and pkt says of it what decoding it says. */
static void assert_is(const struct pkt *pkt, struct sample *s, struct vnet v)
{
	struct frame f = *pkt->frame;
	struct pkt again;

	ck_assert_uint_eq(f.len, s->len);
	ck_assert_mem_eq(f.data, sample_data(s), s->len);
	ck_assert_mem_eq(&f.vnet, &v, sizeof(v));
	ck_assert_ptr_eq(f.data + f.len, memory + memory_size);
	ck_assert_str_eq(drop_name(pkt_decode(&again, &f)), "none");
	ck_assert_uint_eq(again.l3, pkt->l3);
	ck_assert_uint_eq(again.l4, pkt->l4);
	ck_assert_uint_eq(again.payload, pkt->payload);
	ck_assert_uint_eq(again.ip_len, pkt->ip_len);
	ck_assert_uint_eq(again.frag_len, pkt->frag_len);
	ck_assert_mem_eq(&again.tcp, &pkt->tcp, sizeof(pkt->tcp));
	ck_assert_mem_eq(&again.tuple, &pkt->tuple, sizeof(pkt->tuple));
}

/* Lists of options */

enum item {
	NOP,
	MSS,
	SCALE,
	SACK_OK,
	TIMESTAMP,
	OTHER_EXID,   /* same kind, somebody else's */
	OTHER_KIND,   /* the other experimental kind with our number */
	NO_EXID,      /* same kind, too short for a number */
	STAMP,	      /* with what follows as it comes */
	STAMP_PADDED, /* as we write it: with two NOPs, here one item */
	STAMP_BARE,   /* no value */
	STAMP_SHORT,
	STAMP_LONG,
	N_ITEMS
};

static const struct {
	uint8_t size, b[12];
} items[N_ITEMS] = {
	[NOP] = {1, {1}},
	[MSS] = {4, {2, 4, 5, 0xb4}},
	[SCALE] = {3, {3, 3, 7}},
	[SACK_OK] = {2, {4, 2}},
	[TIMESTAMP] = {10, {8, 10, 1, 2, 3, 4, 0, 0, 0, 0}},
	[OTHER_EXID] = {6, {253, 6, 0x46, 0x58, 0, 1}},
	[OTHER_KIND] = {6, {254, 6, 0x46, 0x57, 0, 1}},
	[NO_EXID] = {3, {253, 3, 0x46}},
	[STAMP] = {6, {253, 6, 0x46, 0x57, 0xab, 0xcd}},
	[STAMP_PADDED] = {8, {253, 6, 0x46, 0x57, 0x12, 0x34, 1, 1}},
	[STAMP_BARE] = {4, {253, 4, 0x46, 0x57}},
	[STAMP_SHORT] = {5, {253, 5, 0x46, 0x57, 9}},
	[STAMP_LONG] = {11, {253, 11, 0x46, 0x57, 1, 2, 3, 4, 5, 6, 7}},
};

static bool is_stamp(enum item i)
{
	return i >= STAMP;
}

static void add(struct options *o, const void *b, size_t size)
{
	memcpy(o->b + o->size, b, size);
	o->size += size;
}

static void add_nops(struct options *o, size_t n)
{
	while (n-- > 0)
		o->b[o->size++] = 1;
}

struct list {
	enum item v[40];
	unsigned n;
	uint8_t tail[40]; /* from the end-of-list option on */
	size_t n_tail;
};

static size_t list_size(const struct list *l)
{
	size_t size = l->n_tail;

	for (unsigned i = 0; i < l->n; i++)
		size += items[l->v[i]].size;
	return size;
}

static struct options build(const struct list *l)
{
	struct options o = {.size = 0};

	for (unsigned i = 0; i < l->n; i++)
		add(&o, items[l->v[i]].b, items[l->v[i]].size);
	o.end = o.size;
	add(&o, l->tail, l->n_tail);
	return o;
}

/* How many of the items behind item `i`, a stamp, are its padding. */
static unsigned padding(const struct list *l, unsigned i)
{
	unsigned need = (4u - items[l->v[i]].size % 4u) % 4u; /* STAMP_PADDED has it inside */

	for (unsigned j = 1; j <= need; j++) {
		if (i + j >= l->n || l->v[i + j] != NOP)
			return 0;
	}
	return need;
}

/* The same list without stamps. */
static struct options build_clean(const struct list *l, bool keep_size)
{
	struct options o = {.size = 0};

	for (unsigned i = 0; i < l->n; i++) {
		if (!is_stamp(l->v[i]))
			add(&o, items[l->v[i]].b, items[l->v[i]].size);
		else if (keep_size)
			add_nops(&o, items[l->v[i]].size);
		else
			i += padding(l, i);
	}
	while ((o.size + l->n_tail) % 4 != 0)
		add_nops(&o, 1);
	o.end = o.size;
	add(&o, l->tail, l->n_tail);
	return o;
}

/* An end-of-list option and any bytes behind it, at times such as look like a stamp. */
static void dice_tail(struct list *l, size_t size)
{
	while (l->n_tail < size)
		l->tail[l->n_tail++] = (uint8_t)dice(dice(2) ? 256 : 16);
	if (size > 0)
		l->tail[0] = 0;
	if (size > items[STAMP].size && dice(2))
		memcpy(l->tail + 1, items[STAMP].b, items[STAMP].size);
}

/* Options of a multiple of four bytes, at most 40; of the items `stamps` in a hundred are. */
static struct list dice_list(unsigned stamps)
{
	struct list l = {.n = 0};
	size_t size = 4 * dice(11);
	size_t end = dice(2) ? size : dice((uint32_t)size + 1);

	for (unsigned tries = 0; tries < 60; tries++) {
		enum item i = (enum item)(dice(100) < stamps ? STAMP + dice(N_ITEMS - STAMP)
							     : dice(STAMP));
		if (list_size(&l) + items[i].size <= end)
			l.v[l.n++] = i;
	}
	while (list_size(&l) < end)
		l.v[l.n++] = NOP;
	dice_tail(&l, size - end);
	return l;
}

static unsigned count_stamps(const struct list *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += is_stamp(l->v[i]);
	return n;
}

static unsigned first_path(const struct list *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (is_stamp(l->v[i]))
			return l->v[i] == STAMP ? 0xabcd : l->v[i] == STAMP_PADDED ? 0x1234 : 0;
	}
	return 0;
}

static struct shape dice_shape(enum mode mode)
{
	struct shape k = {.version = dice(2) ? 6 : 4,
			  .flags = dice(2) ? TCP_SYN | 0xc0 : TCP_SYN | TCP_ACK,
			  .vlan = dice(2) ? 77 : -1,
			  .ip_options = dice(2),
			  .data = dice(3) ? 0 : dice(400),
			  .mode = mode};

	if (mode == SUPER || mode == FIRST)
		k.data = 150 + dice(100);
	return k;
}

START_TEST(remove_any)
{
	for (unsigned n = 0; n < 1000; n++) {
		struct shape k = dice_shape((enum mode)_i);
		struct list l = dice_list(n % 2 ? 40 : 0);
		struct options o, clean;
		struct pkt pkt;

		o = build(&l);
		clean = build_clean(&l, k.mode == FIRST);
		make(&before, &k, &o);
		make(&after, &k, &clean);
		struct vnet v = offload(&before, &k, &o);
		struct frame f = placed(&before, v, 0);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		unsigned stamps = count_stamps(&l);
		ck_assert_uint_eq(stamp_present(&pkt), stamps > 0);
		ck_assert_uint_eq(stamp_read(&pkt), first_path(&l));
		assert_is(&pkt, &before, v);
		ck_assert_uint_eq(stamp_remove(&pkt), stamps);
		assert_is(&pkt, &after, offload(&after, &k, &clean));
		ck_assert(!stamp_present(&pkt) && stamp_read(&pkt) == 0);
		ck_assert_uint_eq(stamp_remove(&pkt), 0);
		assert_is(&pkt, &after, offload(&after, &k, &clean));
		release();
	}
}
END_TEST

static struct options with_stamp(const struct options *o, unsigned path)
{
	const uint8_t stamp[8] = {253, 6, 0x46, 0x57, (uint8_t)(path >> 8), (uint8_t)path, 1, 1};
	struct options out = {.size = 0, .end = o->end + 8};

	add(&out, o->b, o->end);
	add(&out, stamp, 8);
	add(&out, o->b + o->end, o->size - o->end);
	return out;
}

START_TEST(insert_read_remove)
{
	unsigned inserted = 0, refused = 0;

	for (unsigned n = 0; n < 1000; n++) {
		struct shape k = dice_shape((enum mode)_i);
		struct list l = dice_list(0);
		struct options o = build(&l), more;
		uint16_t path = (uint16_t)(1 + dice(65535));
		struct pkt pkt;

		make(&before, &k, &o);
		struct vnet v = offload(&before, &k, &o);
		struct frame f = placed(&before, v, STAMP_SIZE);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		bool fits = o.size <= 32 && k.mode != FIRST;
		ck_assert_uint_eq(stamp_insert(&pkt, path, MTU), fits);
		if (!fits) {
			refused++;
			assert_is(&pkt, &before, v);
			release();
			continue;
		}
		inserted++;
		more = with_stamp(&o, path);
		make(&after, &k, &more);
		assert_is(&pkt, &after, offload(&after, &k, &more));
		ck_assert(stamp_present(&pkt));
		ck_assert_uint_eq(stamp_read(&pkt), path);
		ck_assert(!stamp_insert(&pkt, 7, MTU)); /* one is enough */
		assert_is(&pkt, &after, offload(&after, &k, &more));
		ck_assert_uint_eq(stamp_remove(&pkt), 1);
		assert_is(&pkt, &before, v);
		release();
	}
	ck_assert(_i == FIRST ? inserted == 0 : inserted > 400 && refused > 100);
}
END_TEST

/* What a SYN of Linux and of Windows looks like, byte by byte. */
START_TEST(pinned)
{
	static const uint8_t linux_syn[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					      0, 9, 0, 0,    0, 0, 1, 3,  3, 7};
	static const uint8_t stamped[28] = {2, 4, 5, 0xb4, 4, 2, 8,    10, 0,	0,   0, 9, 0, 0,
					    0, 0, 1, 3,	   3, 7, 0xfd, 6,  'F', 'W', 0, 3, 1, 1};
	static const uint8_t windows_syn[12] = {2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2};
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct options o = {.size = 0};
	struct pkt pkt;

	add(&o, linux_syn, 20);
	make(&before, &k, &o);
	struct frame f = placed(&before, (struct vnet){0}, STAMP_SIZE);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(stamp_insert(&pkt, 3, MTU));
	ck_assert_mem_eq(f.data + 54, stamped, 28);
	ck_assert_uint_eq(f.data[46], 0xc5); /* 12 words */
	release();
	o.size = 0;
	add(&o, windows_syn, 12);
	make(&before, &k, &o);
	f = placed(&before, (struct vnet){0}, STAMP_SIZE);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(stamp_insert(&pkt, 0xffff, MTU));
	ck_assert_uint_eq(stamp_read(&pkt), 0xffff);
	ck_assert_mem_eq(f.data + 54, windows_syn, 12);
	ck_assert_uint_eq(f.data[46], 0xa5);
	release();
}
END_TEST

/* The mark of a relay is a whole stamp with no path in it, and the first. */
START_TEST(a_relays_mark)
{
	static const struct {
		uint8_t b[16];
		size_t size;
		bool is;
	} marks[] = {
		{{0xfd, 6, 'F', 'W', 0, 0, 1, 1}, 8, true},
		{{0xfd, 6, 'F', 'W', 0, 3, 1, 1}, 8, false},
		{{0xfd, 6, 'F', 'W', 1, 0, 1, 1}, 8, false},
		{{0xfd, 4, 'F', 'W'}, 4, false},
		{{0xfd, 5, 'F', 'W', 0, 1, 1, 1}, 8, false},
		{{0xfd, 8, 'F', 'W', 0, 0, 0, 0}, 8, false},
		{{0xfd, 6, 'F', 'X', 0, 0, 1, 1}, 8, false},
		{{0xfe, 6, 'F', 'W', 0, 0, 1, 1}, 8, false},
		{{0xfd, 6, 'F', 'W', 0, 3, 0xfd, 6, 'F', 'W', 0, 0}, 12, false},
		{{0xfd, 6, 'F', 'W', 0, 0, 0xfd, 6, 'F', 'W', 0, 3}, 12, true},
		{{1, 1, 1, 1}, 4, false},
	};
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct options o = {.size = 0};
	struct pkt pkt;

	add(&o, marks[_i].b, marks[_i].size);
	make(&before, &k, &o);
	struct frame f = placed(&before, (struct vnet){0}, STAMP_SIZE);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert_int_eq(stamp_is_relay(&pkt), marks[_i].is);
	stamp_remove(&pkt);
	ck_assert(!stamp_is_relay(&pkt));
	if (marks[_i].is) {
		ck_assert(stamp_insert(&pkt, STAMP_RELAY, MTU));
		ck_assert(stamp_is_relay(&pkt));
		ck_assert_uint_eq(stamp_read(&pkt), 0);
	}
	release();
}
END_TEST

/* Data in the SYN (TCP Fast Open) is not touched, not even by copying it. */
START_TEST(data_stays)
{
	struct shape k = {.version = 6, .flags = TCP_SYN, .vlan = 5, .data = 700};
	struct options o = {.size = 0};
	struct pkt pkt;

	add(&o, items[MSS].b, 4);
	make(&before, &k, &o);
	struct frame f = placed(&before, (struct vnet){0}, STAMP_SIZE);
	const uint8_t *data = f.data + f.len - k.data;
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert_ptr_eq(f.data + pkt.payload, data);
	ck_assert(stamp_insert(&pkt, 1, MTU));
	ck_assert_ptr_eq(f.data + pkt.payload, data);
	ck_assert_uint_eq(pkt.tcp.len, k.data);
	stamp_remove(&pkt);
	ck_assert_ptr_eq(f.data + pkt.payload, data);
	release();
}
END_TEST

/* The link's limit counts what goes out: of a super-frame its longest segment. */
START_TEST(mtu)
{
	struct shape k = {.version = _i & 1 ? 6u : 4u,
			  .flags = TCP_SYN,
			  .vlan = -1,
			  .data = 200,
			  .mode = _i & 2 ? SUPER : WHOLE};
	struct options o = {.size = 0};
	struct pkt pkt;

	make(&before, &k, &o);
	struct vnet v = offload(&before, &k, &o);
	uint32_t wire = (uint32_t)(before.len - before.l3) - (k.mode == SUPER ? 100 : 0);
	for (uint32_t limit = 0; limit < 2000; limit++) {
		struct frame f = placed(&before, v, STAMP_SIZE);

		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert_uint_eq(stamp_insert(&pkt, 1, limit), limit >= wire + STAMP_SIZE);
		if (limit < wire + STAMP_SIZE)
			assert_is(&pkt, &before, v);
		release();
	}
}
END_TEST

/* The length fields have 16 bits. */
START_TEST(longest)
{
	struct shape k = {.version = (unsigned)_i, .flags = TCP_SYN, .vlan = -1};
	struct options o = {.size = 0};
	struct pkt pkt;

	for (size_t spare = 0; spare < 16; spare++) {
		k.data = (_i == 4 ? 65495u : 65515u) - spare;
		make(&before, &k, &o);
		struct frame f = placed(&before, (struct vnet){0}, STAMP_SIZE);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		ck_assert_uint_eq(stamp_insert(&pkt, 1, UINT32_MAX), spare >= 8);
		ck_assert(csum_l4_ok(&pkt));
		release();
	}
}
END_TEST

static void assert_untouched(struct sample *s)
{
	struct frame f = placed(s, (struct vnet){0}, STAMP_SIZE);
	struct pkt pkt;

	ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
	ck_assert(!stamp_present(&pkt));
	ck_assert_uint_eq(stamp_read(&pkt), 0);
	ck_assert_uint_eq(stamp_remove(&pkt), 0);
	ck_assert(!stamp_insert(&pkt, 1, MTU));
	ck_assert_uint_eq(f.len, s->len);
	ck_assert_mem_eq(f.data, sample_data(s), s->len);
	release();
}

/* Nothing but a SYN holds one. */
START_TEST(no_syn)
{
	static const unsigned flags[] = {TCP_ACK, TCP_RST, TCP_FIN | TCP_ACK, TCP_ACK | TCP_PSH};
	struct options o = {.size = 0};

	add(&o, items[STAMP_PADDED].b, 8);
	for (unsigned i = 0; i < 4; i++) {
		struct shape k = {.version = i & 1 ? 6 : 4, .flags = flags[i], .vlan = -1};

		make(&before, &k, &o);
		assert_untouched(&before);
	}
	sample_eth(&before, -1, ETH_IPV4);
	sample_ip4(&before, IPPROTO_NUM_UDP, "192.0.2.1", "198.51.100.2", NULL, 0);
	sample_udp(&before, 30);
	sample_end(&before);
	assert_untouched(&before);
	struct shape syn = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	make(&after, &syn, &o);
	sample_eth(&before, -1, ETH_IPV4); /* a SYN quoted in an error */
	sample_ip4(&before, IPPROTO_NUM_ICMP, "203.0.113.1", "192.0.2.1", NULL, 0);
	sample_icmp(&before, 3, 1, 0);
	sample_add(&before, sample_data(&after) + after.l3, after.len - after.l3);
	sample_end(&before);
	assert_untouched(&before);
	sample_eth(&before, -1, ETH_IPV4); /* a later fragment: its data look like one */
	sample_ip4(&before, IPPROTO_NUM_TCP, "192.0.2.1", "198.51.100.2", NULL, 0);
	sample_set16(&before, before.l3 + 6, 0x2004);
	sample_add(&before, sample_data(&after) + after.l4, 24);
	before.proto = 0;
	sample_end(&before);
	assert_untouched(&before);
	sample_eth(&before, -1, ETH_ARP);
	sample_fill(&before, 60);
	assert_untouched(&before);
}
END_TEST

static void make_error(struct sample *s, unsigned version, const uint8_t *quoted, size_t size)
{
	sample_eth(s, -1, version == 4 ? ETH_IPV4 : ETH_IPV6);
	if (version == 4)
		sample_ip4(s, IPPROTO_NUM_ICMP, "203.0.113.1", "192.0.2.1", NULL, 0);
	else
		sample_ip6(s, IPPROTO_NUM_ICMP6, "2001:db8:f::9", "2001:db8::1");
	sample_icmp(s, 3, 1, 0);
	sample_add(s, quoted, size);
	sample_end(s);
}

/* A stamped SYN in an error of which every length is quoted, the stamp at every place. */
static void try_quote(const struct shape *k, size_t at, size_t quote)
{
	static struct sample syn, want;
	struct options o = {.size = 0};
	uint8_t quoted[256];
	size_t ip, size, there;
	struct pkt pkt;

	add_nops(&o, at);
	add(&o, items[STAMP].b, 6);
	add_nops(&o, 4 - (at + 6) % 4);
	add(&o, (const uint8_t[]){2, 4, 5, 180}, 4);
	make(&syn, k, &o);
	ip = syn.l4 - syn.l3;
	size = ip + quote < syn.len - syn.l3 ? ip + quote : syn.len - syn.l3;
	memcpy(quoted, sample_data(&syn) + syn.l3, size);
	make_error(&before, k->version, quoted, size);
	there = size > ip + 20 + at ? size - ip - 20 - at : 0;
	there = there < 6 ? there : 6;
	if (there >= 4) /* else nobody could tell what it is, nor the path */
		memset(quoted + ip + 20 + at, 1, there);
	make_error(&want, k->version, quoted, size);
	struct frame f = placed(&before, (struct vnet){0}, 0);
	ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
	ck_assert(pkt.icmp_error);
	ck_assert_uint_eq(stamp_erase_quoted(&pkt), there >= 4);
	ck_assert_uint_eq(f.len, want.len);
	ck_assert_mem_eq(f.data, sample_data(&want), want.len);
	ck_assert_uint_eq(stamp_erase_quoted(&pkt), 0);
	release();
}

/* proves: HD-14 */
START_TEST(quoted_stamps_are_erased)
{
	for (unsigned version = 4; version <= 6; version += 2) {
		struct shape k = {.version = version, .flags = TCP_SYN, .vlan = -1, .data = 12};

		for (size_t at = 0; at < 12; at++)
			for (size_t quote = 8; quote < 70; quote++)
				try_quote(&k, at, quote);
	}
}
END_TEST

/* Whatever stands where options should, nothing is read behind it, and nothing else changes. */
START_TEST(quoted_rubbish_stays)
{
	static struct sample syn;
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct options o = {.size = 0};
	struct pkt pkt;

	add_nops(&o, 12);
	for (unsigned i = 0; i < 3000; i++) {
		make(&syn, &k, &o);
		for (size_t j = 0; j < 12; j++)
			sample_data(&syn)[syn.l4 + 20 + j] = (uint8_t)dice(8);
		sample_data(&syn)[syn.l4 + 12] = (uint8_t)(dice(16) << 4);
		make_error(&before, 4, sample_data(&syn) + syn.l3, syn.len - syn.l3 - dice(12));
		struct frame f = placed(&before, (struct vnet){0}, 0);
		ck_assert_str_eq(drop_name(pkt_decode(&pkt, &f)), "none");
		ck_assert_uint_eq(stamp_erase_quoted(&pkt), 0);
		ck_assert_mem_eq(f.data, sample_data(&before), before.len);
		release();
	}
}
END_TEST

/* Every place that a whole list has room for it, and path ids of all sizes at one of them. */
START_TEST(every_place_and_path)
{
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct pkt pkt;

	for (size_t at = 0; at <= 32; at++) {
		for (unsigned path = 1; path < 65536; path += at == 7 ? 7 : 9973) {
			struct options o = {.size = 0};

			add_nops(&o, at);
			add(&o, items[STAMP].b, 4);
			o.b[o.size++] = (uint8_t)(path >> 8);
			o.b[o.size++] = (uint8_t)path;
			add_nops(&o, 40 - o.size);
			make(&before, &k, &o);
			struct frame f = sample_frame(&before);
			ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
			ck_assert_uint_eq(stamp_read(&pkt), path);
			ck_assert_uint_eq(stamp_remove(&pkt), 1);
			ck_assert_uint_eq(pkt.payload, pkt.l4 + 20 + 32);
			ck_assert(csum_l4_ok(&pkt));
		}
	}
}
END_TEST

/* An option that claims more than there is never gets here: decoding refuses it. */
START_TEST(cut_short)
{
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct pkt pkt;

	for (size_t len = 7; len < 256; len++) {
		struct options o = {.size = 0};

		add(&o, items[STAMP].b, 6);
		o.b[1] = (uint8_t)len;
		add_nops(&o, 2);
		make(&before, &k, &o);
		struct frame f = sample_frame(&before);
		ck_assert_int_eq(pkt_decode(&pkt, &f), len <= 8 ? DROP_NONE : DROP_L4_HEADER);
	}
	for (size_t size = 1; size < 6; size++) { /* the list ends inside it */
		struct options o = {.size = 0};

		add_nops(&o, 8 - size);
		add(&o, items[STAMP].b, size);
		make(&before, &k, &o);
		struct frame f = sample_frame(&before);
		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_L4_HEADER);
	}
}
END_TEST

/* A stamped frame can still be tagged, and an offloaded checksum inside the data moves along. */
START_TEST(partial_inside_the_data)
{
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1, .data = 80};
	struct options o = {.size = 0};
	struct pkt pkt;

	make(&before, &k, &o);
	struct vnet v = {.flags = VNET_F_NEEDS_CSUM,
			 .csum_start = (uint16_t)(before.l4 + 20 + 30),
			 .csum_offset = 6};
	struct frame f = placed(&before, v, STAMP_SIZE + 4);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	ck_assert(stamp_insert(&pkt, 9, MTU));
	ck_assert_uint_eq(f.vnet.csum_start, v.csum_start + STAMP_SIZE);
	f.vnet.flags = 0;
	ck_assert(csum_l4_ok(&pkt));
	f.vnet.flags = v.flags;
	rewrite_ethernet(&pkt, &pkt.eth_dst, &pkt.eth_src, 9);
	ck_assert_uint_eq(f.vnet.csum_start, v.csum_start + STAMP_SIZE + 4);
	stamp_remove(&pkt);
	rewrite_ethernet(&pkt, &pkt.eth_dst, &pkt.eth_src, 0);
	assert_is(&pkt, &before, v);
	release();
}
END_TEST

/* A header length that is shorter than the headers must not become 65,000 when some go. */
START_TEST(header_length_too_short)
{
	struct shape k = {.version = 4, .flags = TCP_SYN, .vlan = -1};
	struct options o = {.size = 0};
	struct pkt pkt;

	add(&o, items[STAMP_PADDED].b, 8);
	add(&o, items[STAMP_PADDED].b, 8);
	make(&before, &k, &o);
	for (uint16_t len = 0; len < before.len; len++) {
		struct frame f = placed(&before, (struct vnet){.hdr_len = len}, 0);

		ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
		ck_assert_uint_eq(stamp_remove(&pkt), 2);
		ck_assert_uint_eq(f.vnet.hdr_len, len);
		release();
	}
	struct frame f = placed(&before, (struct vnet){.hdr_len = (uint16_t)before.len}, 0);
	ck_assert_int_eq(pkt_decode(&pkt, &f), DROP_NONE);
	stamp_remove(&pkt);
	ck_assert_uint_eq(f.vnet.hdr_len, f.len);
	release();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stamp");
	TCase *t = tcase_create("stamp");

	random_state = 0x5eed;
	tcase_add_loop_test(t, remove_any, 0, N_MODES);
	tcase_add_loop_test(t, insert_read_remove, 0, N_MODES);
	tcase_add_test(t, pinned);
	tcase_add_loop_test(t, a_relays_mark, 0, 11);
	tcase_add_test(t, data_stays);
	tcase_add_loop_test(t, mtu, 0, 4);
	tcase_add_loop_test(t, longest, 4, 5);
	tcase_add_loop_test(t, longest, 6, 7);
	tcase_add_test(t, no_syn);
	tcase_add_test(t, quoted_stamps_are_erased);
	tcase_add_test(t, quoted_rubbish_stays);
	tcase_add_test(t, every_place_and_path);
	tcase_add_test(t, cut_short);
	tcase_add_test(t, partial_inside_the_data);
	tcase_add_test(t, header_length_too_short);
	suite_add_tcase(suite, t);
	SRunner *sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
