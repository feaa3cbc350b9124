/*
 * port.h - an attachment to one network interface, behind one small interface for all backends.
 *
 * Receive: port_rx borrows a batch of frames from the backend; they stay valid until port_release,
 * which gives all of them back. Send: port_tx hands frames over by reference; a backend that needs
 * the bytes beyond the call (AF_XDP) keeps them until the batch they came with is released, so the
 * caller sends first and releases after. The caller's loop is: rx, engine, tx, release.
 *
 * Backends: `packet` = AF_PACKET raw socket with PACKET_VNET_HDR, a receive ring and recvmmsg,
 * sendmmsg, offloads left on; `pcap` = libpcap in, libnet out, complete frames only; `file` =
 * capture files in and out.
 */
#ifndef IO_PORT_H
#define IO_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"
#include "packet/frame.h"

#define PORT_BATCH 64

struct port_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_dropped;   /* by the kernel, because this program was too slow */
	uint64_t rx_truncated; /* longer than the buffer, not delivered */
	uint64_t tx_full;      /* queue of the interface full (ENOBUFS, EAGAIN) */
	uint64_t tx_size;      /* too long for the backend or the interface (EMSGSIZE) */
	uint64_t tx_errors;    /* any other error */
};

struct port;

/* Never fails because the device is missing or down: such a port waits (port_fd is -1) until
 * port_attach succeeds. NULL only without memory or privilege; then `err` says what to do. */
struct port *port_new(const struct port_params *params, uint16_t index, char *err, size_t err_size);
void port_free(struct port *p);

/* Try to attach to the device `ifindex` (0: look the name up). 0, or negative errno with text in
 * `err`. Safe to call again after the device came back, with another ifindex too. */
int port_attach(struct port *p, unsigned ifindex, char *err, size_t err_size);
void port_detach(struct port *p);
bool port_attached(const struct port *p);

/* Descriptor to wait on for reading, or -1 (detached; a file: always readable until its end). */
int port_fd(const struct port *p);

/* Borrow up to `max` (<= PORT_BATCH) frames; the number, 0 when none wait, or negative errno:
 * -ENETDOWN and -ENODEV mean that the device is gone or down (the port has been detached). */
int port_rx(struct port *p, struct frame *frames, unsigned max);
void port_release(struct port *p);

/* Send; returns the number of frames accepted. Frames not accepted have been counted in the
 * statistics, never queued without bound, never blocked on. */
unsigned port_tx(struct port *p, const struct frame *frames, unsigned n);

/* True when frames with a GSO offload header may be handed to port_tx. */
bool port_takes_gso(const struct port *p);
/* True when frames with a partial checksum may be handed to port_tx. */
bool port_takes_partial_csum(const struct port *p);

/* True when the kernel puts received frames into memory that it shares with this program. */
bool port_has_ring(const struct port *p);

/* Attach with the program `filter` (io/offloader.h) in place of the port's own packet filter, from
 * the next port_attach on; -1 = not. Without effect on backends other than `packet`. */
void port_set_offload(struct port *p, int filter);
/* True when the port is attached with that program. */
bool port_offloads(const struct port *p);

void port_get_stats(struct port *p, struct port_stats *out);
/* Time of the newest frame of a capture file in ns, 0 for live ports. All frames of one batch from
 * a file have the same time. */
uint64_t port_file_time_ns(const struct port *p);
/* Time of the next frame of a capture file, UINT64_MAX at its end and for live ports. */
uint64_t port_file_next_ns(const struct port *p);
/* Time that frames sent to a capture file get from now on; without it the time of the newest frame
 * that this port read, or of the clock when it reads none. */
void port_file_set_time_ns(struct port *p, uint64_t now_ns);
bool port_file_ended(const struct port *p);

/* Backends (internal to src/io). */
struct port_ops {
	int (*attach)(struct port *p, unsigned ifindex, char *err, size_t err_size);
	void (*detach)(struct port *p);
	int (*rx)(struct port *p, struct frame *frames, unsigned max);
	void (*release)(struct port *p);
	unsigned (*tx)(struct port *p, const struct frame *frames, unsigned n);
	void (*stats)(struct port *p, struct port_stats *out);
	void (*free)(struct port *p);
};

#endif
