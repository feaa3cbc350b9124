/*
 * port_ring.h - a memory-mapped receive ring of an AF_PACKET socket. Internal to src/io.
 *
 * The kernel copies each frame into the next slot of memory that both share, so that receiving
 * takes no system call and no socket buffer per frame. What is longer than a slot (super-frames,
 * and whatever a large MTU brings) comes whole through the socket's queue as without a ring; its
 * slot then says that it has to be fetched from there, and keeps its place in the order. Slots
 * rather than blocks (TPACKET_V2, not V3): a frame is there as soon as it has come.
 *
 * Slots are borrowed by port_ring_next and given back, all at once, by port_ring_release.
 */
#ifndef IO_PORT_RING_H
#define IO_PORT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/frame.h"

struct port_ring {
	uint8_t *map; /* NULL = there is no ring */
	unsigned n_slots;
	unsigned next; /* slot that is read next */
	unsigned first, n_borrowed;
	size_t size;
};

/* Before the socket is bound. `bytes` = memory to use, within limits. 0 or negative errno; without
 * a ring the socket is as it was. */
int port_ring_init(struct port_ring *r, int fd, uint32_t bytes);
void port_ring_fini(struct port_ring *r);

enum port_ring_slot {
	PORT_RING_EMPTY, /* nothing has come yet */
	PORT_RING_FRAME, /* `f` has all but the port */
	PORT_RING_QUEUE, /* the next frame in the socket's queue; its length is f->len */
	PORT_RING_LOST	 /* too long for a slot, and the queue was full */
};

struct port_ring_tag {
	bool present;
	uint16_t tpid, tci; /* the VLAN tag that the kernel has taken out of the frame */
};

enum port_ring_slot port_ring_next(struct port_ring *r, struct frame *f, struct port_ring_tag *tag);
void port_ring_release(struct port_ring *r);

#endif
