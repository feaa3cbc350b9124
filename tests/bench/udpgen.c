/*
 * udpgen.c - sends small UDP datagrams of many flows as fast as it can, or at a given rate.
 *
 *   udpgen -i DEVICE -m GATEWAY_MAC [-a OWN_MAC] -s SOURCE -d DESTINATION [-n FLOWS]
 *          [-r PER_SECOND] [-t SECONDS]
 *
 * Frames of 60 bytes go out by an AF_PACKET socket, 64 a system call, round robin over the flows,
 * which differ in their ports. Prints "sent N ns N" when done. The sink is a counter in the
 * receiver's packet filter, so that no second program disturbs the measurement.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sendmmsg */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_packet.h>

#define BATCH 64
#define FRAME 60
#define PORTS 50000 /* source ports used, from 10000 */

struct options {
	unsigned device;
	uint8_t gateway[6];
	uint8_t own[6]; /* by default a locally administered address; nobody answers to it */
	struct in_addr source, destination;
	uint32_t n_flows;
	uint64_t rate; /* datagrams a second, 0 = no limit */
	uint64_t seconds;
};

static uint8_t frames[BATCH][FRAME];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned header_checksum(const uint8_t *ip)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += (unsigned)ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void make_frame(uint8_t *f, const struct options *o)
{
	uint8_t *ip = f + 14, *udp = ip + 20;

	memcpy(f, o->gateway, 6);
	memcpy(f + 6, o->own, 6);
	put16(f + 12, ETHERTYPE_IP);
	ip[0] = 0x45;
	put16(ip + 2, FRAME - 14);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &o->source, 4);
	memcpy(ip + 16, &o->destination, 4);
	put16(ip + 10, header_checksum(ip));
	put16(udp + 4, FRAME - 34);
}

static void set_flow(uint8_t *f, uint32_t flow)
{
	put16(f + 34, 10000 + flow % PORTS);
	put16(f + 36, 9000 + flow / PORTS);
}

static int usage(void)
{
	fputs("usage: udpgen -i DEVICE -m GATEWAY_MAC [-a OWN_MAC] -s SOURCE -d DESTINATION "
	      "[-n FLOWS] [-r PER_SECOND] [-t SECONDS]\n",
	      stderr);
	return 2;
}

static bool parse_mac(uint8_t mac[6], const char *text)
{
	unsigned b[6];

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
	bool ok = true;
	int c;

	while ((c = getopt(argc, argv, "i:m:a:s:d:n:r:t:")) != -1) {
		switch (c) {
		case 'i':
			o->device = if_nametoindex(optarg);
			break;
		case 'm':
			ok = ok && parse_mac(o->gateway, optarg);
			break;
		case 'a':
			ok = ok && parse_mac(o->own, optarg);
			break;
		case 's':
			ok = ok && inet_pton(AF_INET, optarg, &o->source) == 1;
			break;
		case 'd':
			ok = ok && inet_pton(AF_INET, optarg, &o->destination) == 1;
			break;
		case 'n':
			o->n_flows = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			o->rate = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = strtoull(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	return ok && o->device != 0 && o->n_flows > 0 && o->n_flows <= 50 * PORTS &&
	       o->source.s_addr != 0 && o->destination.s_addr != 0;
}

static int open_socket(unsigned device)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)device};
	int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

static uint64_t run(int fd, const struct options *o, uint64_t begin)
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	uint64_t sent = 0, end = begin + o->seconds * 1000000000u;
	uint32_t flow = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		make_frame(frames[i], o);
		iov[i] = (struct iovec){frames[i], FRAME};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	for (uint64_t now = begin; now < end; now = now_ns()) {
		uint64_t due = o->rate ? (now - begin) / 1000 * o->rate / 1000000 : UINT64_MAX;
		int n;

		if (due < sent + BATCH) {
			nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
			continue;
		}
		for (unsigned i = 0; i < BATCH; i++) {
			set_flow(frames[i], flow);
			flow = flow + 1 == o->n_flows ? 0 : flow + 1;
		}
		n = sendmmsg(fd, msgs, BATCH, 0);
		if (n < 0 && errno != ENOBUFS && errno != EAGAIN) {
			perror("udpgen: sendmmsg");
			exit(1);
		}
		sent += n > 0 ? (unsigned)n : 0;
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct options o = {.own = {2}, .n_flows = 1000, .seconds = 5};
	uint64_t begin, sent;
	int fd;

	if (!parse(&o, argc, argv))
		return usage();
	fd = open_socket(o.device);
	if (fd < 0) {
		perror("udpgen: socket");
		return 1;
	}
	begin = now_ns();
	sent = run(fd, &o, begin);
	printf("sent %" PRIu64 " ns %" PRIu64 "\n", sent, now_ns() - begin);
	return 0;
}
