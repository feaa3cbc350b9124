/*
 * handover.h - all that one process of a node knows, as bytes for the next one (FC-17, HD-24;
 * doc/restart.md).
 *
 *   0        8        12        16        20        24         40        48
 *   ├─ magic ┼─ version ┼─ node id, ┼─ node name ┼─ 0 ─┼─ machine ┼─ when ─┼─ sections ... ┤ sum
 *                        cluster id    (name id)         boot 16    ns BOOTTIME         BLAKE2b 32
 *
 * Two numbers of the version: bytes of another major one are not read; a minor one has sections or
 * fields more, which older programs skip (base/sections.h, base/handover.h).
 *
 * The bytes are believed from this very node, machine and boot of the machine, for
 * HANDOVER_MAX_AGE_NS, and when their sum is right. They hold no key.
 */
#ifndef ENGINE_HANDOVER_H
#define ENGINE_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/handover.h"
#include "base/sections.h"
#include "engine/engine.h"

#define HANDOVER_MAJOR 1
#define HANDOVER_MINOR 0
#define HANDOVER_MACHINE 16
#define HANDOVER_MAX_AGE_NS 10000000000ULL

/* Where and when: the kernel's random id of this boot of the machine, and CLOCK_BOOTTIME. */
struct handover_place {
	uint8_t machine[HANDOVER_MACHINE];
	uint64_t boottime_ns;
};

/* Before the last call: messages that the other members are to have before this process ends. */
void engine_settle(struct engine *e, uint64_t now_ns, struct actions *out);
/* Everything, through `put`, a block at a time. Nothing may be sealed after that. 0 or negative
 * errno. */
int engine_save(struct engine *e, uint64_t now_ns, struct actions *out,
		const struct handover_place *place, sections_put *put, void *arg);

/* Once, when links, addresses and routes are known and before the first tick, frame or message.
 * 0: *report says what was taken. Else nothing was, *why (static text) says why not: -EBADMSG,
 * -EPROTONOSUPPORT (another major version), -ESTALE (another boot, or too old), -EXDEV (another
 * node), -ENOMEM. */
int engine_restore(struct engine *e, uint64_t now_ns, struct actions *out,
		   const struct handover_place *place, const void *data, size_t size,
		   struct handover_report *report, const char **why);

#endif
