#include "io/port_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define TAG_ROOM 4

/* Slots lie 33 cache lines apart, in large blocks: with a power of two as distance the lines that
 * a small frame touches would compete for a few sets of the caches. Less the kernel's header and
 * the headroom, 1.9 kB are left for a frame. */
#define SLOT 2112
#define BLOCK (1u << 20)
#define BLOCK_SLOTS (BLOCK / SLOT)
#define SLOTS_MIN 128
#define SLOTS_MAX 8192

/* Where the kernel puts a frame without VLAN tag, about; and how many slots ahead of the one that
 * is read the next ones are fetched into the cache. */
#define FRAME_AT 128
#define AHEAD 6

_Static_assert(SLOT % TPACKET_ALIGNMENT == 0, "the kernel wants its slots aligned");

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A ring of less than one block is one smaller block. */
static struct tpacket_req shape(uint32_t bytes)
{
	unsigned slots = bytes / SLOT, blocks;
	struct tpacket_req req = {.tp_block_size = BLOCK, .tp_frame_size = SLOT};

	slots = slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots;
	blocks = (slots + BLOCK_SLOTS - 1) / BLOCK_SLOTS;
	if (slots < BLOCK_SLOTS)
		req.tp_block_size = (slots * SLOT + 65535) & ~65535u; /* whole pages of any size */
	req.tp_block_nr = blocks;
	req.tp_frame_nr = req.tp_block_size / SLOT * blocks;
	return req;
}

int port_ring_init(struct port_ring *r, int fd, uint32_t bytes)
{
	struct tpacket_req req = shape(bytes), none = {0};
	int rc;

	*r = (struct port_ring){0};
	if ((rc = set_int(fd, PACKET_VERSION, TPACKET_V2)) < 0 ||
	    (rc = set_int(fd, PACKET_RESERVE, FRAME_HEADROOM + TAG_ROOM)) < 0 ||
	    (rc = set_int(fd, PACKET_COPY_THRESH, 1)) < 0)
		return rc;
	if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return -errno;
	r->size = (size_t)req.tp_block_size * req.tp_block_nr;
	void *map = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		rc = -errno;
		(void)setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof(none));
		return rc;
	}
	r->map = map;
	r->n_slots = req.tp_frame_nr;
	return 0;
}

void port_ring_fini(struct port_ring *r)
{
	if (r->map)
		munmap(r->map, r->size);
	*r = (struct port_ring){0};
}

static struct tpacket2_hdr *slot_at(const struct port_ring *r, unsigned i)
{
	size_t at = (size_t)(i / BLOCK_SLOTS) * BLOCK + (size_t)(i % BLOCK_SLOTS) * SLOT;

	return (struct tpacket2_hdr *)(void *)(r->map + at);
}

static unsigned after(const struct port_ring *r, unsigned i)
{
	return i + 1 < r->n_slots ? i + 1 : 0;
}

static void read_tag(const struct tpacket2_hdr *h, uint32_t status, struct port_ring_tag *tag)
{
	tag->present = status & TP_STATUS_VLAN_VALID;
	if (!tag->present)
		return;
	tag->tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;
	tag->tci = h->tp_vlan_tci;
}

/* The kernel has written these lines on whatever processor the frame came to. */
static void prefetch(const struct port_ring *r, unsigned i)
{
	const uint8_t *slot = (const uint8_t *)slot_at(r, i < r->n_slots ? i : i - r->n_slots);

	__builtin_prefetch(slot);
	__builtin_prefetch(slot + FRAME_AT);
	__builtin_prefetch(slot + FRAME_AT + 64);
}

enum port_ring_slot port_ring_next(struct port_ring *r, struct frame *f, struct port_ring_tag *tag)
{
	struct tpacket2_hdr *h = slot_at(r, r->next);
	uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

	prefetch(r, r->next + AHEAD);

	if (!(status & TP_STATUS_USER))
		return PORT_RING_EMPTY;
	if (r->n_borrowed++ == 0)
		r->first = r->next;
	r->next = after(r, r->next);
	f->len = h->tp_len;
	if (status & TP_STATUS_COPY)
		return PORT_RING_QUEUE;
	if (h->tp_snaplen < h->tp_len)
		return PORT_RING_LOST;
	f->data = (uint8_t *)h + h->tp_mac;
	memcpy(&f->vnet, f->data - sizeof(f->vnet), sizeof(f->vnet));
	read_tag(h, status, tag);
	return PORT_RING_FRAME;
}

void port_ring_release(struct port_ring *r)
{
	for (unsigned i = r->first; r->n_borrowed > 0; r->n_borrowed--) {
		__atomic_store_n(&slot_at(r, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		i = after(r, i);
	}
}
