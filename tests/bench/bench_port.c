/*
 * bench_port.c - what a port costs: forwards all frames between two ports and tells how many.
 *
 *     bench_port [-b packet|pcap] [-t SECONDS] [-m DST1,DST2] DEVICE1 DEVICE2
 *
 * Prints one line: frames each way, frames per second, bits per second, busy share of one CPU,
 * nanoseconds of CPU per frame, what was lost and where. With -m the destination MAC of what
 * leaves by DEVICE1 (DEVICE2) is rewritten, as a forwarder does.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "io/port.h"

struct bench {
	struct port *port[2];
	bool rewrite;
	struct macaddr dst[2];
	uint64_t wakeups;
	struct frame frames[PORT_BATCH];
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int parse_mac(struct macaddr *m, const char *text)
{
	unsigned v[6];
	if (sscanf(text, "%x:%x:%x:%x:%x:%x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6)
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		m->b[i] = (uint8_t)v[i];
	return 0;
}

static void forward(struct bench *b, unsigned from)
{
	int n = port_rx(b->port[from], b->frames, PORT_BATCH);
	if (n < 0) {
		fprintf(stderr, "bench_port: receive: %s\n", strerror(-n));
		exit(1);
	}
	if (b->rewrite)
		for (int i = 0; i < n; i++)
			memcpy(b->frames[i].data, b->dst[!from].b, 6);
	if (n > 0)
		port_tx(b->port[!from], b->frames, (unsigned)n);
	port_release(b->port[from]);
}

static void run(struct bench *b, unsigned seconds)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + seconds * 1000000000ull;
	struct pollfd fds[2] = {{.fd = port_fd(b->port[0]), .events = POLLIN},
				{.fd = port_fd(b->port[1]), .events = POLLIN}};
	while (now_ns(CLOCK_MONOTONIC) < end) {
		if (poll(fds, 2, 100) <= 0)
			continue;
		b->wakeups++;
		for (unsigned i = 0; i < 2; i++)
			if (fds[i].revents)
				forward(b, i);
	}
}

static void report(struct bench *b, uint64_t wall_ns, uint64_t cpu_ns)
{
	struct port_stats s[2];
	port_get_stats(b->port[0], &s[0]);
	port_get_stats(b->port[1], &s[1]);
	uint64_t sent = s[0].tx_frames + s[1].tx_frames;
	uint64_t bytes = s[0].tx_bytes + s[1].tx_bytes;
	double seconds = (double)wall_ns / 1e9;
	printf("rx %lu+%lu sent %lu (%.0f/s, %.3f Gbit/s) busy %.2f, %.0f ns/frame, %.1f "
	       "frames/wakeup, rx-dropped %lu tx-full %lu tx-size %lu tx-errors %lu\n",
	       s[0].rx_frames, s[1].rx_frames, sent, (double)sent / seconds,
	       (double)bytes * 8 / (double)wall_ns, (double)cpu_ns / (double)wall_ns,
	       sent ? (double)cpu_ns / (double)sent : 0,
	       b->wakeups ? (double)sent / (double)b->wakeups : 0,
	       s[0].rx_dropped + s[1].rx_dropped, s[0].tx_full + s[1].tx_full,
	       s[0].tx_size + s[1].tx_size, s[0].tx_errors + s[1].tx_errors);
}

static int open_ports(struct bench *b, enum port_backend backend, char **devices)
{
	char err[256];
	for (uint16_t i = 0; i < 2; i++) {
		struct port_params params = {.backend = backend, .rx_buffer = 4 << 20};
		snprintf(params.name, sizeof(params.name), "%s", devices[i]);
		snprintf(params.device, sizeof(params.device), "%s", devices[i]);
		b->port[i] = port_new(&params, i, err, sizeof(err));
		if (!b->port[i] || port_attach(b->port[i], 0, err, sizeof(err)) < 0) {
			fprintf(stderr, "bench_port: %s\n", err);
			return -1;
		}
	}
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench_port [-b packet|pcap] [-t SECONDS] [-m DST1,DST2] "
			"DEVICE1 DEVICE2\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct bench b;
	enum port_backend backend = BACKEND_PACKET;
	unsigned seconds = 5;
	int opt;

	while ((opt = getopt(argc, argv, "b:t:m:")) != -1) {
		const char *comma;
		switch (opt) {
		case 'b':
			backend = strcmp(optarg, "pcap") == 0 ? BACKEND_PCAP : BACKEND_PACKET;
			break;
		case 't':
			seconds = (unsigned)atoi(optarg);
			break;
		case 'm':
			comma = strchr(optarg, ',');
			if (!comma || parse_mac(&b.dst[0], optarg) < 0 ||
			    parse_mac(&b.dst[1], comma + 1) < 0)
				return usage();
			b.rewrite = true;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 2)
		return usage();
	if (open_ports(&b, backend, argv + optind) < 0)
		return 1;
	uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	run(&b, seconds);
	report(&b, now_ns(CLOCK_MONOTONIC) - wall, now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	port_free(b.port[0]);
	port_free(b.port[1]);
	return 0;
}
