/*
 * channel.h - the sealed channel between the members: who is there, and nothing unproven gets in.
 *
 * Does no I/O. Datagrams go in through channel_input and out through the callbacks of struct
 * channel_io. The channel owns keys, counters, replay windows, boot challenges and liveness; it
 * handles HELLO, CHALLENGE, RESPONSE and GOODBYE itself and hands every other proven message up.
 *
 * Sealing (THREATS section 4): key per sender per boot = BLAKE2b-256(key = cluster key, "fwcl/1 tx"
 * | cipher | cluster id | node id | boot id); nonce = type (4 bytes) | counter (8 bytes);
 * additional data = the 40 header bytes. Order of checks on input: length, magic, version, cluster
 * id, node id, key id, boot id known, replay window, then the tag; the window moves only after the
 * tag passed. A new boot id is believed only after it answered a challenge; its predecessor is then
 * retired.
 */
#ifndef CLUSTER_CHANNEL_H
#define CLUSTER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/counter.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/params.h"
#include "base/sections.h"
#include "cluster/keyring.h"
#include "cluster/wire.h"

struct channel;

enum channel_event {
	CHANNEL_MEMBER_UP,	 /* first proven hello (of this boot) */
	CHANNEL_MEMBER_RESTART,	 /* a new boot id was proven while the old one was up */
	CHANNEL_MEMBER_DOWN,	 /* silent for dead_ms */
	CHANNEL_MEMBER_LEFT,	 /* said goodbye */
	CHANNEL_DUPLICATE_ID,	 /* somebody else uses our node id (once per 10 s) */
	CHANNEL_CONFIG_DIFFERS,	 /* the member's config_hash differs (once per change) */
	CHANNEL_WRONG_KEY,	 /* authentication failed for a configured member (once per 10 s) */
	CHANNEL_VERSION_DIFFERS, /* it speaks, or could speak, another version (once per change;
				    where it cannot be understood, once per 10 s) */
};

#define CHANNEL_ALL UINT32_MAX /* every member */

struct channel_io {
	void *arg;
	/* Room for a datagram of `size` bytes, at any alignment, that stays valid until the actions
	 * are carried out; NULL = none left. */
	uint8_t *(*room)(void *arg, size_t size);
	/* Send `size` bytes (inside a room given before). `to` NULL = the multicast group; it may
	 * be a segment (channel_is_segment). */
	void (*emit)(void *arg, const struct endpoint *to, const uint8_t *data, size_t size);
	/* Something happened to member `member` (index into params->members). */
	void (*event)(void *arg, enum channel_event event, uint32_t member);
	uint64_t *counters; /* COUNTER_COUNT of them, MSG_* are counted here */
};

struct channel_member {
	const struct member_params *params;
	bool up;
	bool proven;	 /* its boot id has answered a challenge */
	bool by_unicast; /* multicast does not reach it or us: unicast copies are sent */
	bool has_endpoint;
	struct endpoint endpoint; /* configured, or where its proven messages come from */
	uint64_t heard_ns;	  /* last proven message */
	uint64_t since_ns;	  /* up or down since */
	uint32_t generation;	  /* grows whenever its forward entries must die */
	uint32_t n_flows;	  /* as its last hello said */
	bool config_differs;	  /* as its last hello said */
	uint8_t version;	  /* the highest it speaks, 0 = not known; else of a hello... */
	bool unreadable;	  /* ...or of datagrams from its address that nobody could read */
	uint8_t boot_id[WIRE_BOOT_ID];
	uint8_t n_segments;
	struct wire_segment segments[PARAMS_PORTS];
};

/* `boot_id` and `rng` come from the kernel's random source by way of the caller. The keyring is
 * owned by the channel from here on. NULL when memory does not suffice. A configured cipher that
 * this machine lacks (seal_available in seal.h) is replaced by chacha20-poly1305. */
struct channel *channel_new(const struct params *params, struct keyring *keys,
			    const uint8_t boot_id[WIRE_BOOT_ID], struct rng rng,
			    const struct channel_io *io, uint64_t now_ns);
void channel_free(struct channel *ch);

/* After a reload: new member list, timings and keys. Members that stay keep their state; those
 * that are gone are reported CHANNEL_MEMBER_LEFT first. `keys` NULL = keep. `params` must live as
 * long as the channel uses it. Indices follow the new params->members. */
void channel_configure(struct channel *ch, const struct params *params, struct keyring *keys,
		       uint64_t now_ns);

/* What our hellos say of us. */
void channel_set_segments(struct channel *ch, const struct wire_segment *segments, unsigned n);
void channel_set_flows(struct channel *ch, uint32_t n_flows);
/* MTU of the cluster link's device, used when the configuration gives none (1500 until set). */
void channel_set_mtu(struct channel *ch, uint32_t mtu);

/* Beside the cluster link, messages of dispatchers that take over for each other travel on the
 * segments of their ports (HD-19). Such a way has the form of an endpoint without an address, whose
 * port is that of the node. */
static inline struct endpoint channel_segment_way(uint16_t port)
{
	return (struct endpoint){.port = port};
}
static inline bool channel_is_segment(const struct endpoint *e)
{
	return ipaddr_is_unspecified(&e->addr);
}

struct channel_message {
	uint8_t type;	  /* enum wire_type, one of those not handled here */
	uint32_t member;  /* index of the sender, named by the key that verified */
	uint16_t segment; /* the port that it came by; PARAMS_NO_PORT: the cluster link */
	struct rcur body; /* opened payload, inside the caller's buffer */
};

/* A datagram has arrived: `data` is opened in place. True when *msg holds a proven message for the
 * caller; everything else has been handled or counted. `multicast`: it came by the group. `from` a
 * segment: only ROLE, and what proves its sender, is taken, and it says nothing of the cluster
 * link.
 */
bool channel_input(struct channel *ch, uint8_t *data, size_t size, const struct endpoint *from,
		   bool multicast, uint64_t now_ns, struct channel_message *msg);

/* Begin a message of at most `max` payload bytes: *body is where it is written. False when there is
 * no room. channel_send seals and emits it to member `to` or CHANNEL_ALL: one multicast, or one
 * unicast copy per live member; false (and nothing sent) when it was too long or nobody is there.
 */
bool channel_begin(struct channel *ch, size_t max, struct wcur *body);
bool channel_send(struct channel *ch, uint8_t type, struct wcur *body, uint32_t to);
/* The same by a way given: a segment. */
bool channel_send_way(struct channel *ch, uint8_t type, struct wcur *body,
		      const struct endpoint *way);

/* Largest payload that fits one unfragmented datagram on the cluster link (its MTU less IP, UDP and
 * WIRE_OVERHEAD). */
size_t channel_room(const struct channel *ch);

/* Hellos, liveness, challenges again. Returns when to call next; a caller that comes much later
 * than that (it was stopped) first hears its members again before it takes them for dead. */
uint64_t channel_tick(struct channel *ch, uint64_t now_ns);

/* What a restarted node goes on with (channel_handover.c; doc/restart.md): its boot id, and what is
 * known of the members that are proven. */
void channel_save(const struct channel *ch, struct sections_out *out, uint64_t now_ns);
/* Go on under the boot id of HANDOVER_CHANNEL, with the first counter after `floor`, which must be
 * larger than any that was ever used with it. Before anything is sealed or opened. False: the bytes
 * make no sense, or the counter is not below `floor`; then nothing has changed. */
bool channel_resume(struct channel *ch, struct rcur *item, uint64_t floor);
/* An item of HANDOVER_MEMBERS, after that. False: there is no such member. */
bool channel_restore_member(struct channel *ch, struct rcur *item, uint64_t now_ns);

/* Tell everybody that this node leaves. */
void channel_goodbye(struct channel *ch);

uint32_t channel_n_members(const struct channel *ch);
/* What a member's hello says of the segment with that name (wire_segment_id), or NULL; and which
 * other member has that MAC address on it, or CHANNEL_ALL. */
const struct wire_segment *channel_segment(const struct channel *ch, uint32_t member,
					   uint64_t name);
uint32_t channel_member_by_mac(const struct channel *ch, uint64_t name, const struct macaddr *mac);
const struct channel_member *channel_member(const struct channel *ch, uint32_t index);
unsigned channel_n_up(const struct channel *ch); /* live members other than this node */

#endif
