#include "flow/key.h"

#include <stdio.h>

struct pkt_tuple flow_key_tuple(const struct flow_key *key, unsigned dir)
{
	return (struct pkt_tuple){
		.src = dir ? key->b : key->a,
		.dst = dir ? key->a : key->b,
		.sport = dir ? key->bport : key->aport,
		.dport = dir ? key->aport : key->bport,
		.proto = key->proto,
	};
}

const char *flow_proto_text(char *buf, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NUM_ICMP:
		return "icmp";
	case IPPROTO_NUM_TCP:
		return "tcp";
	case IPPROTO_NUM_UDP:
		return "udp";
	case IPPROTO_NUM_ICMP6:
		return "icmp6";
	default:
		snprintf(buf, 8, "%u", proto);
		return buf;
	}
}

const char *flow_key_text(char *buf, const struct flow_key *key, unsigned dir)
{
	struct pkt_tuple t = flow_key_tuple(key, dir);
	char number[8], src[ADDR_TEXT], dst[ADDR_TEXT];
	const char *proto = flow_proto_text(number, t.proto);

	if (t.proto == IPPROTO_NUM_ICMP || t.proto == IPPROTO_NUM_ICMP6) {
		snprintf(buf, FLOW_KEY_TEXT, "%s %.48s %.48s id %u", proto,
			 ipaddr_text(src, &t.src), ipaddr_text(dst, &t.dst), t.sport);
	} else if (t.sport == 0 && t.dport == 0) {
		snprintf(buf, FLOW_KEY_TEXT, "%s %.48s %.48s", proto, ipaddr_text(src, &t.src),
			 ipaddr_text(dst, &t.dst));
	} else {
		struct endpoint from = {.addr = t.src, .port = t.sport};
		struct endpoint to = {.addr = t.dst, .port = t.dport};
		snprintf(buf, FLOW_KEY_TEXT, "%s %.48s %.48s", proto, endpoint_text(src, &from),
			 endpoint_text(dst, &to));
	}
	return buf;
}
