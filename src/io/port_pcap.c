/*
 * port_pcap.c - the reference backend: libpcap receives, libnet sends, complete frames only.
 *
 * There is no offload header here. Super-frames and unfinished checksums that offloads of the
 * device (or of a veth peer) leave behind cannot be told from complete frames, so offloads must be
 * off on such a device; io/hostcheck.h says so at start.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libnet.h>
#include <pcap/pcap.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#include "io/port_backend.h"

#define ETHERNET_HEADER 14
#define BUFFER_MIN (2 << 20)
#define BUFFER_MAX (1 << 30)
#define TAGS 8 /* two VLAN tags */

struct port_pcap {
	struct port base;
	struct port_buffers buffers;
	pcap_t *in;
	libnet_t *out;
	unsigned drops_seen;  /* of pcap_stats, which counts from the attach on */
	struct frame *frames; /* of the rx that runs */
	unsigned n;
};

static const struct port_ops pcap_ops;

static struct port_pcap *pcap_port_of(struct port *p)
{
	return (struct port_pcap *)(void *)p;
}

struct port *port_pcap_new(const struct port_params *params, uint16_t index, char *err,
			   size_t err_size)
{
	if (port_check_privilege(params, err, err_size) < 0)
		return NULL;
	struct port_pcap *pp = calloc(1, sizeof(*pp));
	if (!pp || port_buffers_init(&pp->buffers) < 0) {
		snprintf(err, err_size, "port \"%s\": no memory for the receive buffers",
			 params->name);
		free(pp);
		return NULL;
	}
	port_base_init(&pp->base, &pcap_ops, params, index);
	return &pp->base;
}

static void pcap_port_free(struct port *p)
{
	struct port_pcap *pp = pcap_port_of(p);
	port_buffers_fini(&pp->buffers);
	free(pp);
}

/* Close what is open. */
static void pcap_port_close(struct port_pcap *pp)
{
	if (pp->in)
		pcap_close(pp->in);
	if (pp->out)
		libnet_destroy(pp->out);
	pp->in = NULL;
	pp->out = NULL;
	pp->base.fd = -1;
}

static int error_of(int pcap_error)
{
	switch (pcap_error) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return -ENODEV;
	case PCAP_ERROR_IFACE_NOT_UP:
		return -ENETDOWN;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return -EPERM;
	default:
		return -EIO;
	}
}

static int buffer_size(uint32_t wanted)
{
	if (wanted < BUFFER_MIN)
		return BUFFER_MIN;
	return wanted > BUFFER_MAX ? BUFFER_MAX : (int)wanted;
}

/* Frames the wire can carry. libpcap divides its buffer into slots of this length, so with the
 * longest super-frame there would be a few dozen of them; and a longer frame could not be sent on
 * anyway: it is counted as truncated. */
static int snap_length(const char *device)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int length = FRAME_MAX;

	if (fd < 0)
		return length;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, device);
	if (ioctl(fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu < FRAME_MAX - ETHERNET_HEADER - TAGS)
		length = ifr.ifr_mtu + ETHERNET_HEADER + TAGS;
	close(fd);
	return length;
}

static int open_in(struct port_pcap *pp, unsigned ifindex, char *text)
{
	const struct port_params *params = &pp->base.params;
	const char *what;

	pp->in = pcap_create(params->device, text);
	if (!pp->in)
		return -EIO;
	pcap_set_snaplen(pp->in, snap_length(params->device));
	pcap_set_promisc(pp->in, params->promiscuous);
	pcap_set_immediate_mode(pp->in, 1);
	pcap_set_buffer_size(pp->in, buffer_size(params->rx_buffer));
	int rc = pcap_activate(pp->in);
	if (rc < 0) {
		snprintf(text, PCAP_ERRBUF_SIZE, "%s", pcap_statustostr(rc));
		return error_of(rc);
	}
	if (pcap_datalink(pp->in) != DLT_EN10MB) {
		snprintf(text, PCAP_ERRBUF_SIZE, "it is no Ethernet interface");
		return -EMEDIUMTYPE;
	}
	if (pcap_setdirection(pp->in, PCAP_D_IN) < 0) {
		snprintf(text, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(pp->in));
		return -EIO;
	}
	/* Not by pcap_setfilter: it would also run the filter in user space on the first frames,
	 * where the packet type is unknown, and lose them. */
	rc = port_set_filter(pcap_fileno(pp->in), params);
	if (rc < 0) {
		snprintf(text, PCAP_ERRBUF_SIZE, "the packet filter: %s", strerror(-rc));
		return rc;
	}
	rc = port_join(pcap_fileno(pp->in), ifindex, params, &what);
	if (rc < 0) {
		snprintf(text, PCAP_ERRBUF_SIZE, "%s: %s", what, strerror(-rc));
		return rc;
	}
	return pcap_setnonblock(pp->in, 1, text) < 0 ? -EIO : 0;
}

/* libnet's socket would also receive every frame, for nobody: let it take none. */
static int open_out(struct port_pcap *pp, char *text)
{
	struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog prog = {.len = 1, .filter = none};

	pp->out = libnet_init(LIBNET_LINK_ADV, pp->base.params.device, text);
	if (!pp->out)
		return -EIO;
	int fd = libnet_getfd(pp->out);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0) {
		int error = errno;
		snprintf(text, LIBNET_ERRBUF_SIZE, "%s", strerror(error));
		return -error;
	}
	return 0;
}

static int pcap_port_attach(struct port *p, unsigned ifindex, char *err, size_t err_size)
{
	struct port_pcap *pp = pcap_port_of(p);
	char text[PCAP_ERRBUF_SIZE > LIBNET_ERRBUF_SIZE ? PCAP_ERRBUF_SIZE : LIBNET_ERRBUF_SIZE] =
		"";
	int rc = open_in(pp, ifindex, text);
	if (rc == 0)
		rc = open_out(pp, text);
	if (rc < 0) {
		snprintf(err, err_size, "port \"%s\": device \"%s\": %s", p->params.name,
			 p->params.device, text);
		pcap_port_close(pp);
		return rc;
	}
	pp->drops_seen = 0;
	p->fd = pcap_get_selectable_fd(pp->in);
	return 0;
}

static void pcap_port_stats(struct port *p, struct port_stats *out)
{
	struct port_pcap *pp = pcap_port_of(p);
	struct pcap_stat st;
	if (pcap_stats(pp->in, &st) < 0)
		return;
	out->rx_dropped += st.ps_drop - pp->drops_seen;
	pp->drops_seen = st.ps_drop;
}

static void pcap_port_detach(struct port *p)
{
	pcap_port_stats(p, &p->stats);
	pcap_port_close(pcap_port_of(p));
}

/* libpcap takes its buffer back when this returns, so the frame is copied out. */
static void take_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct port_pcap *pp = (struct port_pcap *)(void *)user;
	struct frame *f = &pp->frames[pp->n];

	if (h->caplen < h->len || h->caplen > FRAME_MAX || h->caplen < ETHERNET_HEADER) {
		pp->base.stats.rx_truncated++;
		return;
	}
	*f = (struct frame){
		.data = port_buffer(&pp->buffers, pp->n), .len = h->caplen, .port = pp->base.index};
	memcpy(f->data, data, h->caplen);
	pp->base.stats.rx_bytes += h->caplen;
	pp->n++;
}

/* libpcap waits in silence for an interface that went down to come up again; ask the kernel. */
static int device_state(struct port_pcap *pp)
{
	struct ifreq ifr = {0};
	int fd = libnet_getfd(pp->out);

	ifr.ifr_ifindex = (int)pp->base.ifindex;
	if (ioctl(fd, SIOCGIFNAME, &ifr) < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -ENODEV;
	return ifr.ifr_flags & IFF_UP ? 0 : -ENETDOWN;
}

static int pcap_port_rx(struct port *p, struct frame *frames, unsigned max)
{
	struct port_pcap *pp = pcap_port_of(p);

	if (max == 0)
		return 0;
	pp->frames = frames;
	pp->n = 0;
	int rc = pcap_dispatch(pp->in, (int)max, take_frame, (u_char *)pp);
	p->stats.rx_frames += pp->n;
	if (pp->n > 0)
		return (int)pp->n;
	int state = device_state(pp);
	if (state < 0)
		return state;
	return rc < 0 ? -EIO : 0;
}

static unsigned pcap_port_tx(struct port *p, const struct frame *frames, unsigned n)
{
	struct port_pcap *pp = pcap_port_of(p);
	unsigned accepted = 0, n_full = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		int error = EMSGSIZE;
		if (f->vnet.gso_type == VNET_GSO_NONE && !(f->vnet.flags & VNET_F_NEEDS_CSUM)) {
			errno = 0;
			int sent = libnet_adv_write_link(pp->out, f->data, f->len);
			error = sent == (int)f->len ? 0 : errno;
		}
		if (error == 0) {
			accepted++;
			p->stats.tx_bytes += f->len;
			continue;
		}
		port_count_tx_error(p, error);
		bool full = error == ENOBUFS || error == EAGAIN;
		bool gone = port_error_is_gone(error);
		if (gone || (full && ++n_full > 1)) {
			for (i++; i < n; i++)
				port_count_tx_error(p, error);
			if (gone)
				port_detach(p);
		}
	}
	p->stats.tx_frames += accepted;
	return accepted;
}

static const struct port_ops pcap_ops = {
	.attach = pcap_port_attach,
	.detach = pcap_port_detach,
	.rx = pcap_port_rx,
	.tx = pcap_port_tx,
	.stats = pcap_port_stats,
	.free = pcap_port_free,
};
