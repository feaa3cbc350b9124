/*
 * packets.h - the packets of the simulations, built by hand so that nothing under test makes them.
 * Each carries an identity; all functions return the size of the IP packet.
 */
#ifndef SIM_PACKETS_H
#define SIM_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/decode.h"

struct sim_tcp {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t stamp; /* path id of a forged stamp (packet/stamp.h), 0 = none */
	bool full;	/* no room is left for options */
};
size_t sim_tcp(uint8_t *out, const struct pkt_tuple *t, const struct sim_tcp *h, uint32_t id,
	       size_t extra);
size_t sim_udp(uint8_t *out, const struct pkt_tuple *t, uint32_t id, size_t extra);
size_t sim_echo(uint8_t *out, const struct pkt_tuple *t, bool reply, uint32_t id);
/* "Port unreachable" about the IP packet `about` sent by its destination. */
size_t sim_unreachable(uint8_t *out, const uint8_t *about, size_t about_size, uint32_t id);
/* Fragment `index` of `n` of a UDP packet made by sim_udp; each carries its own identity. */
size_t sim_fragment(uint8_t *out, const struct pkt_tuple *t, unsigned index, unsigned n,
		    uint32_t frag_id, uint32_t id);
/* The identity in a delivered packet, or UINT32_MAX. */
uint32_t sim_identity(const struct pkt *pkt);

#endif
