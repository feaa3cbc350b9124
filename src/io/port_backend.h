/*
 * port_backend.h - what the backends of a port share. Internal to src/io.
 *
 * A backend's own state begins with a struct port. The backend creates it with port_base_init,
 * frees it in its `free`, and keeps `fd` at -1 while it is detached.
 */
#ifndef IO_PORT_BACKEND_H
#define IO_PORT_BACKEND_H

#include "io/port.h"

struct port {
	const struct port_ops *ops;
	struct port_params params;
	uint16_t index;
	unsigned ifindex; /* of the device attached to, 0 = detached */
	int fd;		  /* descriptor to wait on, or -1 */
	bool attached;
	bool has_ring;
	int offload_filter; /* program that decides instead of port_set_filter's, or -1 */
	bool offloads;	    /* it does */
	struct port_stats stats;
};

/* Receive buffers, allocated once: PORT_BATCH of them, each for one frame of FRAME_MAX bytes. */
struct port_buffers {
	uint8_t *area;
	size_t size;
};

int port_buffers_init(struct port_buffers *b);
void port_buffers_fini(struct port_buffers *b);

/* A frame begins on a cache line, with room in front for the headroom and for the VLAN tag that the
 * kernel has taken out. */
#define PORT_LEAD 128
_Static_assert(PORT_LEAD >= FRAME_HEADROOM + 4, "headroom is left in front of a restored tag");

/* A buffer begins 192 bytes later than a multiple of 64 kB after the one before. With a power of
 * two as distance the first bytes of all buffers, the only ones a small frame touches, would
 * compete for the same sets of the caches; so they lie in neighbouring ones, like an array. */
#define PORT_STRIDE (65536 + 192)
_Static_assert(PORT_STRIDE >= PORT_LEAD + FRAME_MAX, "a frame and its headroom fit a buffer");

/* Where buffer `i`'s frame begins. */
static inline uint8_t *port_buffer(const struct port_buffers *b, unsigned i)
{
	return b->area + (size_t)i * PORT_STRIDE + PORT_LEAD;
}

void port_base_init(struct port *p, const struct port_ops *ops, const struct port_params *params,
		    uint16_t index);

/* Whether this process may open raw sockets: 0, or negative errno with text in `err`. */
int port_check_privilege(const struct port_params *params, char *err, size_t err_size);

/* Put a filter on an AF_PACKET socket: frames for other hosts are dropped before they cost a copy,
 * unless `promiscuous`, or sent to the port's own MAC address, which the kernel takes for another
 * host's; frames that leave the host always, for kernels that cannot be told with
 * PACKET_IGNORE_OUTGOING. 0 or negative errno. */
int port_set_filter(int fd, const struct port_params *params);

/* Have a bound AF_PACKET socket's device let in what the port needs beside frames for the host: all
 * multicast (the solicited-node groups of virtual IPv6 addresses are unknown to the kernel), the
 * port's own MAC address, and everything if promiscuous. Names the failing step in `*what`. */
int port_join(int fd, unsigned ifindex, const struct port_params *params, const char **what);

/* Count a frame that was not accepted because of `error` (a positive errno). */
void port_count_tx_error(struct port *p, int error);

/* True when `error` says that the device is down or gone. */
bool port_error_is_gone(int error);

struct port *port_packet_new(const struct port_params *params, uint16_t index, char *err,
			     size_t err_size);
struct port *port_pcap_new(const struct port_params *params, uint16_t index, char *err,
			   size_t err_size);
struct port *port_file_new(const struct port_params *params, uint16_t index, char *err,
			   size_t err_size);

/* Of a port of BACKEND_FILE. */
uint64_t port_file_backend_time_ns(const struct port *p);
uint64_t port_file_backend_next_ns(const struct port *p);
void port_file_backend_set_time_ns(struct port *p, uint64_t now_ns);
bool port_file_backend_ended(const struct port *p);

#endif
