/*
 * policy.h - the ordered rules of the firewall (FC-12), compiled for look-up.
 *
 * First match decides; no match is the default action. Rules judge the packet that starts a flow;
 * everything else follows the flow's state. Compiled rules refer to nothing in params, so a reload
 * builds a new policy and swaps the pointer; rule counters are carried over by name.
 */
#ifndef FIREWALL_POLICY_H
#define FIREWALL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/params.h"
#include "packet/decode.h"

struct policy;

struct policy_rule_stats {
	uint64_t packets, bytes;
};

struct policy_verdict {
	enum rule_action action;
	bool log;
	uint16_t rule; /* index, or POLICY_DEFAULT */
};
#define POLICY_DEFAULT 0xffff

struct policy_packet {
	const struct pkt_tuple *tuple;
	uint16_t in_port, out_port; /* PARAMS_NO_PORT = not known: matches only rules that name none
				       ... unless `possible` is asked */
	uint8_t icmp_type, icmp_code;
};

struct policy *policy_new(const struct firewall_params *params);
void policy_free(struct policy *p);

/* Judge the first packet of a flow. Does not count. */
struct policy_verdict policy_judge(const struct policy *p, const struct policy_packet *pkt);

/* Could any packet of a flow with these endpoints be admitted, in this direction? Unknown ports and
 * ICMP types match every rule. Used before a query (DESIGN section 5). */
bool policy_possible(const struct policy *p, const struct policy_packet *pkt);

void policy_count(struct policy *p, uint16_t rule, uint64_t packets, uint64_t bytes);
const struct policy_rule_stats *policy_stats(const struct policy *p, uint16_t rule);
const char *policy_rule_name(const struct policy *p, uint16_t rule); /* "default" too */
uint32_t policy_rule_line(const struct policy *p, uint16_t rule);
enum rule_action policy_rule_action(const struct policy *p, uint16_t rule);
uint32_t policy_n_rules(const struct policy *p);

/* Carry the counters of rules with the same name over from `old`. */
void policy_inherit(struct policy *p, const struct policy *old);

/* The rule of `p` with the name that `rule` had in `old`, or POLICY_DEFAULT. */
uint16_t policy_map_rule(const struct policy *p, const struct policy *old, uint16_t rule);

#endif
