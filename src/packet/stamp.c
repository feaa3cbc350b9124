#include "packet/stamp.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/decode_parts.h"

#define OPT_END 0
#define OPT_NOP 1
#define OPT_EXPERIMENT 253 /* RFC 4727 */
#define OPT_WITH_EXID 4	   /* least length: kind, length, ExID */
#define OPT_STAMP 6
#define OPTIONS_MAX 40

static bool may_hold(const struct pkt *pkt)
{
	return pkt->kind == PKT_IP && pkt->l4 != 0 && pkt->tuple.proto == IPPROTO_NUM_TCP &&
	       pkt->tcp.flags & TCP_SYN;
}

static size_t options_size(const struct pkt *pkt)
{
	return (size_t)pkt->payload - pkt->l4 - TCP_HEADER;
}

static struct rcur options(const struct pkt *pkt)
{
	return rcur_init(pkt->frame->data + pkt->l4 + TCP_HEADER, options_size(pkt));
}

/* The next option, NULL behind the last one: then what is left begins with an end-of-list option,
 * or is nothing. */
static const uint8_t *next_option(struct rcur *c, size_t *size)
{
	struct rcur look = *c;
	uint8_t kind = rcur_u8(&look);

	if (!rcur_ok(&look) || kind == OPT_END)
		return NULL;
	*size = kind == OPT_NOP ? 1 : rcur_u8(&look);
	if (*size == 0 || *size > rcur_left(c)) /* decoding has refused this */
		return NULL;
	return rcur_take(c, *size);
}

static bool is_stamp(const uint8_t *option, size_t size)
{
	return size >= OPT_WITH_EXID && option[0] == OPT_EXPERIMENT &&
	       get_be16(option + 2) == STAMP_EXID;
}

static const uint8_t *find(const struct pkt *pkt, size_t *size)
{
	const uint8_t *option;

	if (!may_hold(pkt))
		return NULL;
	struct rcur c = options(pkt);
	while ((option = next_option(&c, size)) && !is_stamp(option, *size))
		;
	return option;
}

bool stamp_present(const struct pkt *pkt)
{
	size_t size;

	return find(pkt, &size) != NULL;
}

uint16_t stamp_read(const struct pkt *pkt)
{
	size_t size;
	const uint8_t *option = find(pkt, &size);

	return option && size == OPT_STAMP ? get_be16(option + 4) : 0;
}

bool stamp_is_relay(const struct pkt *pkt)
{
	size_t size;
	const uint8_t *option = find(pkt, &size);

	return option && size == OPT_STAMP && get_be16(option + 4) == STAMP_RELAY;
}

/* A header field that holds a length: `delta` more. Returns what that adds to a sum. */
static uint64_t add_length(uint8_t *field, int delta)
{
	uint16_t was, now;

	memcpy(&was, field, sizeof(was));
	put_be16(field, (uint16_t)(get_be16(field) + delta));
	memcpy(&now, field, sizeof(now));
	return csum_change16(was, now);
}

/* The IP header, the description and the offload header of a packet whose options have grown. */
static void add_lengths(struct pkt *pkt, int delta)
{
	struct vnet *v = &pkt->frame->vnet;
	uint8_t *ip = pkt->frame->data + pkt->l3;

	if (pkt->version == 4)
		csum_update(ip + 10, add_length(ip + 2, delta));
	else
		add_length(ip + 4, delta);
	if (v->hdr_len >= pkt->payload) /* else it is none, or does not say what it should */
		v->hdr_len = (uint16_t)(v->hdr_len + delta);
	pkt->payload = (uint16_t)(pkt->payload + delta);
	pkt->ip_len = (uint32_t)((int64_t)pkt->ip_len + delta);
	pkt->frag_len = (uint32_t)((int64_t)pkt->frag_len + delta);
	if (v->flags & VNET_F_NEEDS_CSUM && v->csum_start != pkt->l4) /* one inside the data */
		v->csum_start = (uint16_t)(v->csum_start + delta);
}

/* Length of transport header and data as the pseudo-header has it. */
static uint16_t pseudo_length(const struct pkt *pkt)
{
	uint8_t be[2];
	uint16_t v;

	put_be16(be, (uint16_t)(pkt->l3 + pkt->ip_len - pkt->l4));
	memcpy(&v, be, sizeof(v));
	return v;
}

/* The header from the byte that holds its length on. The checksum in it may be summed, too: it is
 * the same before and after. */
static uint64_t header_sum(const struct pkt *pkt, const uint8_t *l4)
{
	return csum_add(0, l4 + 12, (size_t)pkt->payload - pkt->l4 - 12);
}

/* Give the packet the options that `w` has collected, a whole number of words. What lies in front
 * of the options moves. */
static void set_options(struct pkt *pkt, const struct wcur *w)
{
	struct frame *frame = pkt->frame;
	int delta = (int)wcur_size(w) - (int)options_size(pkt);
	uint16_t length = pseudo_length(pkt);
	uint16_t before = csum_fold(header_sum(pkt, frame->data + pkt->l4));

	assert(wcur_ok(w) && wcur_size(w) % 4 == 0);
	memmove(frame->data - delta, frame->data, (size_t)pkt->l4 + TCP_HEADER);
	frame->data -= delta;
	frame->len = (uint32_t)((int64_t)frame->len + delta);
	uint8_t *l4 = frame->data + pkt->l4;
	memcpy(l4 + TCP_HEADER, w->start, wcur_size(w));
	l4[12] = (uint8_t)((l4[12] & 0x0f) | (TCP_HEADER + wcur_size(w)) / 4 << 4);
	add_lengths(pkt, delta);

	uint64_t change = csum_change16(length, pseudo_length(pkt));
	if (csum_is_partial(pkt))
		csum_update_partial(l4 + 16, change);
	else
		csum_update(l4 + 16, change + header_sum(pkt, l4) + before);
}

/* What the header's length fields can still say, and the link can carry. */
static bool fits(const struct pkt *pkt, uint32_t mtu)
{
	uint32_t most = pkt->version == 4 ? UINT16_MAX : UINT16_MAX + IPV6_HEADER;

	return options_size(pkt) + STAMP_SIZE <= OPTIONS_MAX && pkt->ip_len + STAMP_SIZE <= most &&
	       mtu >= STAMP_SIZE && pkt_wire_len(pkt) <= mtu - STAMP_SIZE;
}

bool stamp_insert(struct pkt *pkt, uint16_t path, uint32_t mtu)
{
	uint8_t room[OPTIONS_MAX];
	struct wcur w = wcur_init(room, sizeof(room));
	size_t size;

	if (!may_hold(pkt) || pkt->fragment || stamp_present(pkt) || !fits(pkt, mtu))
		return false;
	struct rcur c = options(pkt);
	const uint8_t *first = c.pos;
	while (next_option(&c, &size))
		;
	/* In front of an end-of-list option: nobody reads what is behind it. */
	wcur_bytes(&w, first, (size_t)(c.pos - first));
	wcur_u8(&w, OPT_EXPERIMENT);
	wcur_u8(&w, OPT_STAMP);
	wcur_u16(&w, STAMP_EXID);
	wcur_u16(&w, path);
	wcur_u8(&w, OPT_NOP);
	wcur_u8(&w, OPT_NOP);
	wcur_bytes(&w, c.pos, rcur_left(&c));
	set_options(pkt, &w);
	return true;
}

/* The NOPs that bring a stamp of `size` bytes to a whole number of words, when they are there. */
static void skip_padding(struct rcur *c, size_t size)
{
	struct rcur look = *c;

	for (; size % 4 != 0; size++) {
		if (rcur_u8(&look) != OPT_NOP)
			return;
	}
	*c = look;
}

static void put_nops(struct wcur *w, size_t n)
{
	while (n-- > 0)
		wcur_u8(w, OPT_NOP);
}

/* A fragment keeps its length, or the datagram would have a hole. */
unsigned stamp_remove(struct pkt *pkt)
{
	uint8_t room[OPTIONS_MAX];
	struct wcur w = wcur_init(room, sizeof(room));
	const uint8_t *option;
	unsigned n = 0;
	size_t size;

	if (!stamp_present(pkt))
		return 0;
	struct rcur c = options(pkt);
	while ((option = next_option(&c, &size))) {
		if (!is_stamp(option, size)) {
			wcur_bytes(&w, option, size);
			continue;
		}
		n++;
		if (pkt->fragment)
			put_nops(&w, size);
		else
			skip_padding(&c, size);
	}
	put_nops(&w, (4 - (wcur_size(&w) + rcur_left(&c)) % 4) % 4);
	wcur_bytes(&w, c.pos, rcur_left(&c));
	set_options(pkt, &w);
	return n;
}

/* The options of a quoted segment, as far as they are there. */
static struct wcur quoted_options(struct pkt *pkt)
{
	uint8_t *ip = pkt->frame->data + pkt->payload;
	const uint8_t *l4;
	size_t size = find_quoted_l4(pkt, ip, &l4), header;

	if (size <= TCP_HEADER)
		return wcur_init(ip, 0);
	header = (size_t)(l4[12] >> 4) * 4;
	if (header < size)
		size = header;
	return wcur_init(ip + (l4 - ip) + TCP_HEADER, size > TCP_HEADER ? size - TCP_HEADER : 0);
}

/* Length of the option at `o`, of which `left` bytes are there; `left` when its end is cut off. 0:
 * there is none. */
static size_t quoted_size(const uint8_t *o, size_t left)
{
	if (left == 0 || o[0] == OPT_END)
		return 0;
	if (o[0] == OPT_NOP)
		return 1;
	if (left < 2 || o[1] > left)
		return left;
	return o[1] < 2 ? 0 : o[1];
}

unsigned stamp_erase_quoted(struct pkt *pkt)
{
	struct wcur w;
	uint16_t before;
	unsigned n = 0;
	size_t size;

	if (!pkt->icmp_error || pkt->inner.proto != IPPROTO_NUM_TCP)
		return 0;
	w = quoted_options(pkt);
	before = csum_fold(csum_add(0, w.start, wcur_left(&w)));
	for (; (size = quoted_size(w.pos, wcur_left(&w))) > 0; wcur_room(&w, size)) {
		if (!is_stamp(w.pos, size))
			continue;
		memset(w.pos, OPT_NOP, size);
		n++;
	}
	/* A partial sum has only the pseudo-header in it. */
	if (n > 0 && !csum_is_partial(pkt))
		csum_update(pkt->frame->data + pkt->l4 + 2,
			    csum_add(0, w.start, (size_t)(w.end - w.start)) + before);
	return n;
}
