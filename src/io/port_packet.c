/*
 * port_packet.c - the default backend: an AF_PACKET socket with PACKET_VNET_HDR.
 *
 * Super-frames and partial checksums pass through with the kernel's offload header, so offloads
 * stay on. Small frames are received by a ring in shared memory (port_ring.h), longer ones, and all
 * where there is no ring, by one recvmmsg; sending is one sendmmsg per batch. The socket is opened
 * anew at every attach, because a device that went away leaves it bound to nothing.
 *
 * PACKET_QDISC_BYPASS saves the queueing discipline, but the kernel then refuses super-frames
 * that the device cannot segment itself (it drops them with ENOBUFS instead of segmenting in
 * software). So the first refused super-frame switches it off until the next attach.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg, sendmmsg */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "io/port_backend.h"
#include "io/port_ring.h"

#define VLAN_TAG 4
#define MACS 12
#define TX_BUFFER (4 << 20) /* bytes; a handful of super-frames fill the kernel's default */

/* Bytes received at once: what has been received is still in the cache when it is sent. Counts for
 * super-frames only; fewer than four at a time would cost more in system calls. */
#define RX_BURST (256U << 10)
#define RX_BURST_LEAST 4

union control {
	char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct port_packet {
	struct port base;
	bool bypass;	/* PACKET_QDISC_BYPASS is on */
	unsigned burst; /* frames to receive at once, by the size of the last ones */
	struct port_ring ring;
	struct port_buffers buffers;
	struct mmsghdr rx_msgs[PORT_BATCH];
	struct iovec rx_iov[PORT_BATCH];
	union control rx_control[PORT_BATCH];
	struct mmsghdr tx_msgs[PORT_BATCH];
	struct iovec tx_iov[PORT_BATCH][2];
};

static const struct port_ops packet_ops;

static struct port_packet *packet_of(struct port *p)
{
	return (struct port_packet *)(void *)p;
}

/* The offload header is received right in front of the frame, so that one piece of memory takes
 * both; from there it is copied, and the place is headroom again. */
static uint8_t *rx_message(const struct port_packet *pp, unsigned i)
{
	return port_buffer(&pp->buffers, i) - sizeof(struct vnet);
}

static void init_messages(struct port_packet *pp)
{
	pp->burst = PORT_BATCH;
	for (unsigned i = 0; i < PORT_BATCH; i++) {
		struct msghdr *rx = &pp->rx_msgs[i].msg_hdr;
		pp->rx_iov[i].iov_base = rx_message(pp, i);
		pp->rx_iov[i].iov_len = sizeof(struct vnet) + FRAME_MAX;
		rx->msg_iov = &pp->rx_iov[i];
		rx->msg_iovlen = 1;
		rx->msg_control = &pp->rx_control[i];
		rx->msg_controllen = sizeof(pp->rx_control[i]);

		struct msghdr *tx = &pp->tx_msgs[i].msg_hdr;
		pp->tx_iov[i][0].iov_len = sizeof(struct vnet);
		tx->msg_iov = pp->tx_iov[i];
		tx->msg_iovlen = 2;
	}
}

struct port *port_packet_new(const struct port_params *params, uint16_t index, char *err,
			     size_t err_size)
{
	if (port_check_privilege(params, err, err_size) < 0)
		return NULL;
	struct port_packet *pp = calloc(1, sizeof(*pp));
	if (!pp || port_buffers_init(&pp->buffers) < 0) {
		snprintf(err, err_size, "port \"%s\": no memory for the receive buffers",
			 params->name);
		free(pp);
		return NULL;
	}
	port_base_init(&pp->base, &packet_ops, params, index);
	init_messages(pp);
	return &pp->base;
}

static void packet_free(struct port *p)
{
	struct port_packet *pp = packet_of(p);
	port_ring_fini(&pp->ring);
	port_buffers_fini(&pp->buffers);
	free(pp);
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* The limit of the system (net.core.rmem_max) is meant for unprivileged programs. */
static void set_buffers(int fd, uint32_t rx_buffer)
{
	int rx = rx_buffer > INT32_MAX / 2 ? INT32_MAX / 2 : (int)rx_buffer;
	if (rx > 0 && set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, rx) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, rx);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, TX_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, TX_BUFFER);
}

/* What comes in: decided by the program of flow offload if there is one and the kernel takes it. */
static int set_filter(struct port *p, int fd)
{
	p->offloads = p->offload_filter >= 0 &&
		      set_int(fd, SOL_SOCKET, SO_ATTACH_BPF, p->offload_filter) == 0;
	return p->offloads ? 0 : port_set_filter(fd, &p->params);
}

/* Everything that must be set before frames flow in. Names the failing step in `*what`. */
static int configure(struct port_packet *pp, int fd, const char **what)
{
	int rc;
	*what = "PACKET_VNET_HDR";
	if ((rc = set_int(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) < 0)
		return rc;
	*what = "PACKET_AUXDATA";
	if ((rc = set_int(fd, SOL_PACKET, PACKET_AUXDATA, 1)) < 0)
		return rc;
	*what = "the packet filter";
	if ((rc = set_filter(&pp->base, fd)) < 0)
		return rc;
	(void)set_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	pp->bypass = set_int(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1) == 0;
	set_buffers(fd, pp->base.params.rx_buffer);
	/* It goes without. */
	pp->base.has_ring = port_ring_init(&pp->ring, fd, pp->base.params.rx_buffer) == 0;
	return 0;
}

static int bind_device(struct port_packet *pp, int fd, unsigned ifindex, const char **what)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)ifindex};
	socklen_t len = sizeof(sll);
	int error = 0;
	socklen_t error_len = sizeof(error);

	*what = "bind";
	if (bind(fd, (struct sockaddr *)&sll, len) < 0)
		return -errno;
	*what = "the device: it is down";
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
		return -errno;
	if (error)
		return -error;
	*what = "the device: it is no Ethernet interface";
	if (getsockname(fd, (struct sockaddr *)&sll, &len) < 0)
		return -errno;
	if (sll.sll_hatype != ARPHRD_ETHER && sll.sll_hatype != ARPHRD_LOOPBACK)
		return -EMEDIUMTYPE;
	return port_join(fd, ifindex, &pp->base.params, what);
}

static int packet_attach(struct port *p, unsigned ifindex, char *err, size_t err_size)
{
	struct port_packet *pp = packet_of(p);
	const char *what = "socket";
	int rc;
	port_ring_fini(&pp->ring); /* of the last attach, if a batch was never given back */
	/* Protocol 0: nothing is received before the options are set and the device is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		rc = -errno;
	else if ((rc = configure(pp, fd, &what)) == 0)
		rc = bind_device(pp, fd, ifindex, &what);
	if (rc < 0) {
		snprintf(err, err_size, "port \"%s\": device \"%s\": %s: %s", p->params.name,
			 p->params.device, what, strerror(-rc));
		if (fd >= 0)
			close(fd);
		port_ring_fini(&pp->ring);
		return rc;
	}
	p->fd = fd;
	return 0;
}

/* Reading PACKET_STATISTICS clears them in the kernel. */
static void packet_stats(struct port *p, struct port_stats *out)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		out->rx_dropped += st.tp_drops;
}

/* Frames that were borrowed stay where they are until they are given back. */
static void packet_detach(struct port *p)
{
	struct port_packet *pp = packet_of(p);

	packet_stats(p, &p->stats);
	close(p->fd);
	if (pp->ring.n_borrowed == 0)
		port_ring_fini(&pp->ring);
}

static void packet_release(struct port *p)
{
	struct port_packet *pp = packet_of(p);

	if (pp->ring.n_borrowed == 0)
		return;
	port_ring_release(&pp->ring);
	if (!p->attached)
		port_ring_fini(&pp->ring);
}

static const struct tpacket_auxdata *auxdata_of(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
	    c->cmsg_len < CMSG_LEN(sizeof(struct tpacket_auxdata)))
		return NULL;
	return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
}

/* The kernel takes the outer tag out of the bytes. Put it back, through the headroom. */
static void restore_tag(struct frame *f, uint16_t tpid, uint16_t tci)
{
	memmove(f->data - VLAN_TAG, f->data, MACS);
	f->data -= VLAN_TAG;
	f->len += VLAN_TAG;
	f->data[MACS] = (uint8_t)(tpid >> 8);
	f->data[MACS + 1] = (uint8_t)tpid;
	f->data[MACS + 2] = (uint8_t)(tci >> 8);
	f->data[MACS + 3] = (uint8_t)tci;
	if (f->vnet.flags & VNET_F_NEEDS_CSUM)
		f->vnet.csum_start = (uint16_t)(f->vnet.csum_start + VLAN_TAG);
	if (f->vnet.hdr_len)
		f->vnet.hdr_len = (uint16_t)(f->vnet.hdr_len + VLAN_TAG);
}

/* One received message as a frame; false when it is not to be delivered. */
static bool take_message(struct port_packet *pp, unsigned i, struct frame *f)
{
	struct msghdr *msg = &pp->rx_msgs[i].msg_hdr;
	size_t got = pp->rx_msgs[i].msg_len;
	const struct tpacket_auxdata *aux = auxdata_of(msg);

	msg->msg_controllen = sizeof(pp->rx_control[i]); /* for the next time */
	if (msg->msg_flags & MSG_TRUNC || got < sizeof(struct vnet) + ETH_HLEN) {
		pp->base.stats.rx_truncated++;
		return false;
	}
	f->data = port_buffer(&pp->buffers, i);
	f->len = (uint32_t)(got - sizeof(struct vnet));
	f->port = pp->base.index;
	memcpy(&f->vnet, rx_message(pp, i), sizeof(f->vnet));
	if (aux && aux->tp_status & TP_STATUS_VLAN_VALID)
		restore_tag(f,
			    aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid
								       : ETH_P_8021Q,
			    aux->tp_vlan_tci);
	pp->base.stats.rx_bytes += f->len;
	return true;
}

/* `bytes` came in `n` messages; there will be more of that kind. */
static void set_burst(struct port_packet *pp, uint64_t bytes, unsigned n)
{
	uint64_t fit = bytes ? (uint64_t)RX_BURST * n / bytes : PORT_BATCH;

	if (fit < RX_BURST_LEAST)
		fit = RX_BURST_LEAST;
	pp->burst = fit < PORT_BATCH ? (unsigned)fit : PORT_BATCH;
}

static int queue_receive(struct port_packet *pp, unsigned max)
{
	int got = recvmmsg(pp->base.fd, pp->rx_msgs, max, MSG_DONTWAIT, NULL);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return got;
}

/* All frames, where there is no ring. */
static int queue_rx(struct port_packet *pp, struct frame *frames, unsigned max)
{
	uint64_t before = pp->base.stats.rx_bytes;
	int n = 0, got = queue_receive(pp, max < pp->burst ? max : pp->burst);

	for (int i = 0; i < got; i++)
		if (take_message(pp, (unsigned)i, &frames[n]))
			n++;
	if (got > 0)
		set_burst(pp, pp->base.stats.rx_bytes - before, (unsigned)got);
	return got < 0 ? got : n;
}

/* The frames of the next slots. Those that wait in the socket's queue have no data yet; their
 * places are listed. */
static unsigned ring_scan(struct port_packet *pp, struct frame *frames, unsigned max,
			  uint8_t *places, unsigned *n_places)
{
	struct port_ring_tag tag;
	uint64_t queued = 0;
	unsigned n = 0;

	while (n < max && queued < RX_BURST) {
		struct frame *f = &frames[n];
		switch (port_ring_next(&pp->ring, f, &tag)) {
		case PORT_RING_EMPTY:
			return n;
		case PORT_RING_LOST:
			pp->base.stats.rx_dropped++;
			break;
		case PORT_RING_QUEUE:
			f->data = NULL;
			queued += f->len;
			places[(*n_places)++] = (uint8_t)n++;
			break;
		case PORT_RING_FRAME:
			f->port = pp->base.index;
			if (tag.present)
				restore_tag(f, tag.tpid, tag.tci);
			pp->base.stats.rx_bytes += f->len;
			n++;
			break;
		}
	}
	return n;
}

/* Fill the places that wait; the number of frames that there are then, or negative errno. */
static int ring_fetch(struct port_packet *pp, struct frame *frames, unsigned n,
		      const uint8_t *places, unsigned n_places)
{
	unsigned all = 0;
	int got = queue_receive(pp, n_places);

	if (got < 0) {
		port_ring_release(&pp->ring);
		return got;
	}
	for (unsigned i = 0; i < (unsigned)got; i++)
		if (!take_message(pp, i, &frames[places[i]]))
			frames[places[i]].data = NULL;
	for (unsigned i = 0; i < n; i++)
		if (frames[i].data)
			frames[all++] = frames[i];
	return (int)all;
}

static int ring_rx(struct port_packet *pp, struct frame *frames, unsigned max)
{
	uint8_t places[PORT_BATCH];
	unsigned n_places = 0;
	unsigned n = ring_scan(pp, frames, max, places, &n_places);

	if (n == 0) { /* a device that went down makes the socket readable, too */
		int error = 0;
		socklen_t len = sizeof(error);
		if (getsockopt(pp->base.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			return -errno;
		return -error;
	}
	return n_places > 0 ? ring_fetch(pp, frames, n, places, n_places) : (int)n;
}

static int packet_rx(struct port *p, struct frame *frames, unsigned max)
{
	struct port_packet *pp = packet_of(p);
	int n = pp->ring.map ? ring_rx(pp, frames, max) : queue_rx(pp, frames, max);

	if (n > 0)
		p->stats.rx_frames += (unsigned)n;
	return n;
}

static void fill_messages(struct port_packet *pp, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pp->tx_iov[i][0].iov_base = (void *)(uintptr_t)&frames[i].vnet;
		pp->tx_iov[i][1].iov_base = frames[i].data;
		pp->tx_iov[i][1].iov_len = frames[i].len;
	}
}

static void count_sent(struct port *p, const struct frame *frames, unsigned n)
{
	p->stats.tx_frames += n;
	for (unsigned i = 0; i < n; i++)
		p->stats.tx_bytes += frames[i].len;
}

/* How a batch goes on after its frame `i` was refused. */
enum verdict { NEXT_FRAME, SAME_FRAME, GIVE_UP };

static enum verdict judge_error(struct port_packet *pp, const struct frame *f, int error,
				unsigned *n_full)
{
	struct port *p = &pp->base;
	if (error == EINTR)
		return SAME_FRAME;
	if (error == ENOBUFS && pp->bypass && (f->vnet.gso_type & ~VNET_GSO_ECN) != VNET_GSO_NONE &&
	    set_int(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 0) == 0) {
		pp->bypass = false;
		return SAME_FRAME;
	}
	port_count_tx_error(p, error);
	if (port_error_is_gone(error))
		return GIVE_UP;
	/* A full queue may have room for what comes next, but is asked no more than once. */
	if ((error == ENOBUFS || error == EAGAIN) && ++*n_full > 1)
		return GIVE_UP;
	return NEXT_FRAME;
}

/* Up to PORT_BATCH frames. Returns the number accepted, and in `*error` why the rest is lost. */
static unsigned send_batch(struct port_packet *pp, const struct frame *frames, unsigned n)
{
	struct port *p = &pp->base;
	unsigned accepted = 0, i = 0, n_full = 0;

	fill_messages(pp, frames, n);
	while (i < n) {
		int sent = sendmmsg(p->fd, pp->tx_msgs + i, n - i, MSG_DONTWAIT);
		if (sent > 0) {
			count_sent(p, frames + i, (unsigned)sent);
			accepted += (unsigned)sent;
			i += (unsigned)sent;
			continue;
		}
		int error = sent < 0 ? errno : EAGAIN;
		enum verdict v = judge_error(pp, &frames[i], error, &n_full);
		if (v != SAME_FRAME)
			i++;
		if (v == GIVE_UP) {
			for (; i < n; i++)
				port_count_tx_error(p, error);
			if (port_error_is_gone(error))
				port_detach(p);
		}
	}
	return accepted;
}

static unsigned packet_tx(struct port *p, const struct frame *frames, unsigned n)
{
	unsigned accepted = 0;
	for (unsigned done = 0; done < n; done += PORT_BATCH) {
		unsigned part = n - done < PORT_BATCH ? n - done : PORT_BATCH;
		if (!p->attached) {
			p->stats.tx_errors += n - done;
			break;
		}
		accepted += send_batch(packet_of(p), frames + done, part);
	}
	return accepted;
}

static const struct port_ops packet_ops = {
	.attach = packet_attach,
	.detach = packet_detach,
	.rx = packet_rx,
	.release = packet_release,
	.tx = packet_tx,
	.stats = packet_stats,
	.free = packet_free,
};
