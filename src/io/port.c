/*
 * port.c - the part of a port that is the same for all backends.
 */
#include "io/port.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#include "io/port_backend.h"

int port_buffers_init(struct port_buffers *b)
{
	b->size = (size_t)PORT_BATCH * PORT_STRIDE;
	b->area = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->area == MAP_FAILED) {
		b->area = NULL;
		return -errno;
	}
	/* Three entries of the TLB instead of 64; without huge pages it works all the same. */
	(void)madvise(b->area, b->size, MADV_HUGEPAGE);
	return 0;
}

void port_buffers_fini(struct port_buffers *b)
{
	if (b->area)
		munmap(b->area, b->size);
	b->area = NULL;
}

void port_base_init(struct port *p, const struct port_ops *ops, const struct port_params *params,
		    uint16_t index)
{
	p->ops = ops;
	p->params = *params;
	p->index = index;
	p->fd = -1;
	p->offload_filter = -1;
}

int port_check_privilege(const struct port_params *params, char *err, size_t err_size)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		int error = errno;
		snprintf(err, err_size, "port \"%s\": cannot open a raw socket (%s)%s",
			 params->name, strerror(error),
			 error == EPERM ? ": run as root or with CAP_NET_RAW and CAP_NET_ADMIN"
					: "");
		return -error;
	}
	close(fd);
	return 0;
}

static uint32_t be_bytes(const uint8_t *b, unsigned n)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | b[i];
	return v;
}

#define FILTER_TYPE BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
#define FILTER_IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define FILTER_TAKE BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)
#define FILTER_DROP BPF_STMT(BPF_RET | BPF_K, 0)

int port_set_filter(int fd, const struct port_params *params)
{
	const uint8_t *mac = params->mac.b;
	struct sock_filter all[] = {FILTER_TYPE, FILTER_IF(PACKET_OUTGOING, 0, 1), FILTER_DROP,
				    FILTER_TAKE};
	struct sock_filter host[] = {FILTER_TYPE, FILTER_IF(PACKET_OUTGOING, 1, 0),
				     FILTER_IF(PACKET_OTHERHOST, 0, 1), FILTER_DROP, FILTER_TAKE};
	struct sock_filter own[] = {
		FILTER_TYPE,
		FILTER_IF(PACKET_OUTGOING, 5, 0),
		FILTER_IF(PACKET_OTHERHOST, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the destination, at the very front */
		FILTER_IF(be_bytes(mac, 4), 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		FILTER_IF(be_bytes(mac + 4, 2), 1, 0),
		FILTER_DROP,
		FILTER_TAKE,
	};
	struct sock_fprog prog = {.len = sizeof(host) / sizeof(host[0]), .filter = host};
	if (params->promiscuous)
		prog = (struct sock_fprog){.len = sizeof(all) / sizeof(all[0]), .filter = all};
	else if (params->has_mac)
		prog = (struct sock_fprog){.len = sizeof(own) / sizeof(own[0]), .filter = own};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static int join(int fd, struct packet_mreq *mreq, uint16_t type)
{
	mreq->mr_type = type;
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, mreq, sizeof(*mreq)) < 0 ? -errno
											  : 0;
}

int port_join(int fd, unsigned ifindex, const struct port_params *params, const char **what)
{
	struct packet_mreq mreq = {.mr_ifindex = (int)ifindex, .mr_alen = sizeof(params->mac.b)};
	int rc;

	memcpy(mreq.mr_address, params->mac.b, sizeof(params->mac.b));
	*what = "PACKET_MR_ALLMULTI";
	rc = join(fd, &mreq, PACKET_MR_ALLMULTI);
	if (rc == 0 && params->has_mac) {
		*what = "PACKET_MR_UNICAST";
		rc = join(fd, &mreq, PACKET_MR_UNICAST);
	}
	if (rc == 0 && params->promiscuous) {
		*what = "PACKET_MR_PROMISC";
		rc = join(fd, &mreq, PACKET_MR_PROMISC);
	}
	return rc;
}

bool port_error_is_gone(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV;
}

void port_count_tx_error(struct port *p, int error)
{
	switch (error) {
	case ENOBUFS:
	case EAGAIN:
		p->stats.tx_full++;
		break;
	case EMSGSIZE:
		p->stats.tx_size++;
		break;
	default:
		p->stats.tx_errors++;
	}
}

struct port *port_new(const struct port_params *params, uint16_t index, char *err, size_t err_size)
{
	switch (params->backend) {
	case BACKEND_PACKET:
		return port_packet_new(params, index, err, err_size);
	case BACKEND_PCAP:
		return port_pcap_new(params, index, err, err_size);
	case BACKEND_FILE:
		return port_file_new(params, index, err, err_size);
	}
	snprintf(err, err_size, "port \"%s\": unknown backend", params->name);
	return NULL;
}

void port_free(struct port *p)
{
	if (!p)
		return;
	port_detach(p);
	p->ops->free(p);
}

int port_attach(struct port *p, unsigned ifindex, char *err, size_t err_size)
{
	port_detach(p);
	if (ifindex == 0 && p->params.backend != BACKEND_FILE) {
		ifindex = if_nametoindex(p->params.device);
		if (ifindex == 0) {
			snprintf(err, err_size, "port \"%s\": device \"%s\" does not exist",
				 p->params.name, p->params.device);
			return -ENODEV;
		}
	}
	int rc = p->ops->attach(p, ifindex, err, err_size);
	if (rc < 0)
		return rc;
	p->ifindex = ifindex;
	p->attached = true;
	return 0;
}

void port_detach(struct port *p)
{
	if (!p->attached)
		return;
	p->ops->detach(p);
	p->attached = false;
	p->ifindex = 0;
	p->fd = -1;
}

bool port_attached(const struct port *p)
{
	return p->attached;
}

int port_fd(const struct port *p)
{
	return p->fd;
}

int port_rx(struct port *p, struct frame *frames, unsigned max)
{
	if (!p->attached)
		return -ENETDOWN;
	int n = p->ops->rx(p, frames, max < PORT_BATCH ? max : PORT_BATCH);
	if (n < 0 && port_error_is_gone(-n))
		port_detach(p);
	return n;
}

void port_release(struct port *p)
{
	if (p->ops->release)
		p->ops->release(p);
}

unsigned port_tx(struct port *p, const struct frame *frames, unsigned n)
{
	if (!p->attached) {
		p->stats.tx_errors += n;
		return 0;
	}
	return p->ops->tx(p, frames, n);
}

bool port_takes_gso(const struct port *p)
{
	return p->params.backend == BACKEND_PACKET;
}

bool port_takes_partial_csum(const struct port *p)
{
	return p->params.backend == BACKEND_PACKET;
}

bool port_has_ring(const struct port *p)
{
	return p->attached && p->has_ring;
}

void port_set_offload(struct port *p, int filter)
{
	p->offload_filter = filter;
}

bool port_offloads(const struct port *p)
{
	return p->attached && p->offloads;
}

void port_get_stats(struct port *p, struct port_stats *out)
{
	if (p->attached && p->ops->stats)
		p->ops->stats(p, &p->stats);
	*out = p->stats;
}

uint64_t port_file_time_ns(const struct port *p)
{
	return p->params.backend == BACKEND_FILE ? port_file_backend_time_ns(p) : 0;
}

uint64_t port_file_next_ns(const struct port *p)
{
	return p->params.backend == BACKEND_FILE ? port_file_backend_next_ns(p) : UINT64_MAX;
}

void port_file_set_time_ns(struct port *p, uint64_t now_ns)
{
	if (p->params.backend == BACKEND_FILE)
		port_file_backend_set_time_ns(p, now_ns);
}

bool port_file_ended(const struct port *p)
{
	return p->params.backend == BACKEND_FILE && port_file_backend_ended(p);
}
