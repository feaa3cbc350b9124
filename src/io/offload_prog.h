/*
 * offload_prog.h - what the loader (io/offloader.h) and the kernel program (io/offload.bpf.c) share
 * beside the slots (node/offload_map.h).
 *
 * Maps of the program: "keys" (hash: struct offload_key to the value of offload_map.h), "slots"
 * (array of struct offload_slot) and "page" (one struct offload_page), both mapped into the daemon,
 * "ports" (hash: ifindex to struct offload_port).
 */
#ifndef IO_OFFLOAD_PROG_H
#define IO_OFFLOAD_PROG_H

#include "node/offload_map.h"

#define OFFLOAD_PORTS 64 /* more than a node has: one may be taken away late */

struct offload_page {
	struct offload_control control;
	/* An interface where a packet was promised to the TC program and never reached it. Then all
	 * packets of all ports are the daemon's until it has written 0. */
	uint32_t broken_ifindex;
};

/* What the port wants of frames that are not sent to the device's own address. */
struct offload_port {
	uint8_t promiscuous; /* all */
	uint8_t has_mac;     /* those to `mac` */
	uint8_t mac[6];
};

#endif
