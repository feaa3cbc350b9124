/*
 * port_file.c - capture files as a port: read one (pcap or pcapng, through libpcap), write another.
 *
 * A batch holds only frames of one timestamp, so that the caller can set its clock to it and a
 * replay comes out the same every time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcap/pcap.h>

#include "io/port_backend.h"

#define ETHERNET_HEADER 14

struct port_file {
	struct port base;
	struct port_buffers buffers;
	pcap_t *in;
	struct pcap_pkthdr *next_hdr; /* frame read ahead, owned by libpcap; NULL = none */
	const uint8_t *next_data;
	bool ended;
	pcap_t *out_format;
	pcap_dumper_t *out;
	uint64_t read_ns;  /* time of the newest frame delivered */
	uint64_t write_ns; /* time for frames sent, 0 = not told */
};

static const struct port_ops file_ops;

static struct port_file *file_of(struct port *p)
{
	return (struct port_file *)(void *)p;
}

struct port *port_file_new(const struct port_params *params, uint16_t index, char *err,
			   size_t err_size)
{
	struct port_file *pf = calloc(1, sizeof(*pf));
	if (!pf || port_buffers_init(&pf->buffers) < 0) {
		snprintf(err, err_size, "port \"%s\": no memory for the receive buffers",
			 params->name);
		free(pf);
		return NULL;
	}
	port_base_init(&pf->base, &file_ops, params, index);
	return &pf->base;
}

static void file_free(struct port *p)
{
	struct port_file *pf = file_of(p);
	port_buffers_fini(&pf->buffers);
	free(pf);
}

/* In files with nanosecond precision libpcap keeps nanoseconds in tv_usec. */
static uint64_t time_of(const struct pcap_pkthdr *h)
{
	return (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec;
}

static void read_ahead(struct port_file *pf)
{
	int rc;

	pf->next_hdr = NULL;
	rc = pcap_next_ex(pf->in, &pf->next_hdr, &pf->next_data);
	if (rc == 1)
		return;
	pf->next_hdr = NULL;
	pf->ended = true;
	if (rc == PCAP_ERROR) /* the file ends inside a frame, or is no capture from here on */
		pf->base.stats.rx_truncated++;
}

static int open_in(struct port_file *pf, char *err, size_t err_size)
{
	const struct port_params *params = &pf->base.params;
	char text[PCAP_ERRBUF_SIZE] = "";

	pf->in = pcap_open_offline_with_tstamp_precision(params->file_in,
							 PCAP_TSTAMP_PRECISION_NANO, text);
	if (!pf->in) {
		snprintf(err, err_size, "port \"%s\": %s", params->name, text);
		return -EIO;
	}
	if (pcap_datalink(pf->in) != DLT_EN10MB) {
		snprintf(err, err_size, "port \"%s\": capture \"%s\" is not of Ethernet frames",
			 params->name, params->file_in);
		return -EMEDIUMTYPE;
	}
	read_ahead(pf);
	return 0;
}

static int open_out(struct port_file *pf, char *err, size_t err_size)
{
	const struct port_params *params = &pf->base.params;

	pf->out_format = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MAX,
							      PCAP_TSTAMP_PRECISION_NANO);
	if (!pf->out_format) {
		snprintf(err, err_size, "port \"%s\": no memory", params->name);
		return -ENOMEM;
	}
	pf->out = pcap_dump_open(pf->out_format, params->file_out);
	if (!pf->out) {
		snprintf(err, err_size, "port \"%s\": %s", params->name,
			 pcap_geterr(pf->out_format));
		return -EIO;
	}
	return 0;
}

static void file_detach(struct port *p)
{
	struct port_file *pf = file_of(p);
	if (pf->in)
		pcap_close(pf->in);
	if (pf->out)
		pcap_dump_close(pf->out);
	if (pf->out_format)
		pcap_close(pf->out_format);
	pf->in = NULL;
	pf->next_hdr = NULL;
	pf->out = NULL;
	pf->out_format = NULL;
}

static int file_attach(struct port *p, unsigned ifindex, char *err, size_t err_size)
{
	struct port_file *pf = file_of(p);
	int rc = 0;

	(void)ifindex;
	pf->ended = p->params.file_in[0] == 0;
	if (p->params.file_in[0])
		rc = open_in(pf, err, err_size);
	if (rc == 0 && p->params.file_out[0])
		rc = open_out(pf, err, err_size);
	if (rc < 0)
		file_detach(p);
	return rc;
}

/* The frame read ahead, as buffer `i`; false when the capture does not hold all of it. */
static bool take_next(struct port_file *pf, unsigned i, struct frame *f)
{
	const struct pcap_pkthdr *h = pf->next_hdr;
	if (h->caplen < h->len || h->caplen > FRAME_MAX || h->caplen < ETHERNET_HEADER) {
		pf->base.stats.rx_truncated++;
		return false;
	}
	*f = (struct frame){
		.data = port_buffer(&pf->buffers, i), .len = h->caplen, .port = pf->base.index};
	memcpy(f->data, pf->next_data, h->caplen);
	pf->base.stats.rx_bytes += h->caplen;
	return true;
}

static int file_rx(struct port *p, struct frame *frames, unsigned max)
{
	struct port_file *pf = file_of(p);
	unsigned n = 0;

	while (n < max && pf->next_hdr && (n == 0 || time_of(pf->next_hdr) == pf->read_ns)) {
		pf->read_ns = time_of(pf->next_hdr);
		if (take_next(pf, n, &frames[n]))
			n++;
		read_ahead(pf);
	}
	p->stats.rx_frames += n;
	return (int)n;
}

static uint64_t write_time_ns(const struct port_file *pf)
{
	struct timespec ts;
	if (pf->write_ns)
		return pf->write_ns;
	if (pf->in)
		return pf->read_ns;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool is_complete(const struct frame *f)
{
	return f->vnet.gso_type == VNET_GSO_NONE && !(f->vnet.flags & VNET_F_NEEDS_CSUM);
}

static unsigned file_tx(struct port *p, const struct frame *frames, unsigned n)
{
	struct port_file *pf = file_of(p);
	uint64_t now_ns = write_time_ns(pf);
	unsigned accepted = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		struct pcap_pkthdr h = {.caplen = frames[i].len, .len = frames[i].len};
		if (!is_complete(&frames[i])) {
			port_count_tx_error(p, EMSGSIZE);
			continue;
		}
		h.ts.tv_sec = (time_t)(now_ns / 1000000000u);
		h.ts.tv_usec = (suseconds_t)(now_ns % 1000000000u);
		if (pf->out)
			pcap_dump((u_char *)pf->out, &h, frames[i].data);
		accepted++;
		bytes += frames[i].len;
	}
	if (pf->out && pcap_dump_flush(pf->out) < 0) {
		p->stats.tx_errors += accepted;
		return 0;
	}
	p->stats.tx_frames += accepted;
	p->stats.tx_bytes += bytes;
	return accepted;
}

uint64_t port_file_backend_time_ns(const struct port *p)
{
	return ((const struct port_file *)(const void *)p)->read_ns;
}

uint64_t port_file_backend_next_ns(const struct port *p)
{
	const struct port_file *pf = (const struct port_file *)(const void *)p;
	return pf->next_hdr ? time_of(pf->next_hdr) : UINT64_MAX;
}

void port_file_backend_set_time_ns(struct port *p, uint64_t now_ns)
{
	file_of(p)->write_ns = now_ns;
}

bool port_file_backend_ended(const struct port *p)
{
	return ((const struct port_file *)(const void *)p)->ended;
}

static const struct port_ops file_ops = {
	.attach = file_attach,
	.detach = file_detach,
	.rx = file_rx,
	.tx = file_tx,
	.free = file_free,
};
