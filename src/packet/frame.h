/*
 * frame.h - one frame as it travels through the program.
 *
 * A frame is a borrowed view: the bytes belong to the port's batch (or to a pool of the engine) and
 * live until the batch is released. `data` points at the Ethernet header; at least FRAME_HEADROOM
 * writable bytes lie before it, so that a VLAN tag can be put in without moving the payload. What
 * must outlive the batch is copied.
 *
 * The offload header is the kernel's virtio_net_hdr (10 bytes, host order), the same on every
 * PACKET_VNET_HDR socket, so it passes from port to port. All zero = an ordinary complete frame.
 */
#ifndef PACKET_FRAME_H
#define PACKET_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADROOM 64
#define FRAME_MAX (65536 + 64) /* longest super-frame a port can deliver */

#define VNET_F_NEEDS_CSUM 1
#define VNET_F_DATA_VALID 2
#define VNET_GSO_NONE 0
#define VNET_GSO_TCPV4 1
#define VNET_GSO_UDP 3
#define VNET_GSO_TCPV6 4
#define VNET_GSO_UDP_L4 5
#define VNET_GSO_ECN 0x80

struct vnet {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;  /* from `data` */
	uint16_t csum_offset; /* from csum_start */
};

_Static_assert(sizeof(struct vnet) == 10, "the kernel's virtio_net_hdr has 10 bytes");

struct frame {
	uint8_t *data;
	uint32_t len;
	uint16_t port; /* index of the port it came by, or leaves by */
	struct vnet vnet;
};

#endif
