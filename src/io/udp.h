/*
 * udp.h - the UDP socket of the cluster channel: one group or unicast peers, IPv4 or IPv6.
 *
 * Multicast: bound to the configured device, joined there, TTL / hop limit 1, no loopback; leaves
 * and joins again when the device comes back. Unicast: any interface, the kernel's routes. Path MTU
 * discovery is off (long forwards may be fragmented by the kernel; queries never are that long).
 */
#ifndef IO_UDP_H
#define IO_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/params.h"
#include "engine/actions.h"

#define UDP_BATCH 32

struct udp;

struct udp_datagram {
	uint8_t *data; /* writable; valid until the next udp_rx */
	size_t size;
	struct endpoint from;
	bool multicast; /* destination was the group */
};

/* Two sockets in multicast mode (group and unicast traffic), one otherwise; udp_attach opens them.
 * `local`: this node's own address from the member list or NULL. It need not be configured on the
 * device yet. NULL with text in `err`. */
struct udp *udp_new(const struct cluster_params *params, const struct ipaddr *local, char *err,
		    size_t err_size);
void udp_free(struct udp *u);
/* Open the sockets and join on the device; when they are open and the device is still the same one,
 * only join again. 0, or negative errno with text in `err` (-ENODEV: the device is missing).
 * Called at start and when the link changes. The descriptors may be others afterwards, or closed:
 * stop watching them before. */
int udp_attach(struct udp *u, char *err, size_t err_size);

int udp_fd(const struct udp *u, unsigned which); /* which = 0, 1; -1 when there is none */
/* Up to `max` (<= UDP_BATCH) datagrams from socket `which`; 0 when none wait, or negative errno. */
int udp_rx(struct udp *u, unsigned which, struct udp_datagram *out, unsigned max);
/* Send a batch (sendmmsg); returns the number accepted, the rest is counted. */
unsigned udp_tx(struct udp *u, const struct datagram *v, unsigned n);
uint64_t udp_tx_errors(const struct udp *u);
/* Datagrams that the kernel dropped because this program was too slow. */
uint64_t udp_rx_dropped(const struct udp *u);

#endif
