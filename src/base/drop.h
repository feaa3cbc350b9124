/*
 * drop.h - every way in which a frame can end without being sent on, in one list.
 *
 * The list makes the enum, the counter, the name that fwclusterctl prints and the row of the man
 * page (tests/lint compares them). Classes: INFO = the normal end of a frame that was for this
 * node or was carried by somebody else; POLICY = refused as configured; ERROR = could not be
 * handled; ATTACK = no well-behaved host sends this.
 */
#ifndef BASE_DROP_H
#define BASE_DROP_H

enum drop_class { DROP_CLASS_INFO, DROP_CLASS_POLICY, DROP_CLASS_ERROR, DROP_CLASS_ATTACK };

/* X(symbol, name, class, text) */
#define DROP_LIST(X)                                                                               \
	X(NONE, "none", INFO, "not dropped")                                                       \
	X(ARP, "arp", INFO, "ARP message, consumed")                                               \
	X(ND, "nd", INFO, "IPv6 neighbour discovery message, consumed")                            \
	X(CLUSTER, "cluster", INFO, "message of a member on a dispatcher's segment, consumed")     \
	X(TO_HOST, "to-host", INFO, "for an address of the host itself, left to the kernel")       \
	X(OTHER_HOST, "other-host", INFO, "destination MAC address of another host")               \
	X(LINK_CONTROL, "link-control", INFO, "link-local multicast or a non-IP protocol")         \
	X(HOME_DELIVERED, "home-delivered", INFO, "carried by the query, delivered by the home")   \
	X(TUNNELLED, "tunnelled", INFO, "sent to the home in a sealed datagram")                   \
	X(SHORT_FRAME, "short-frame", ERROR, "frame ends inside a header")                         \
	X(BAD_VLAN, "bad-vlan", ERROR, "VLAN tag that the port does not carry")                    \
	X(IP_HEADER, "ip-header", ATTACK, "IP header malformed")                                   \
	X(IP_LENGTH, "ip-length", ATTACK, "IP length disagrees with the frame")                    \
	X(IP_CHECKSUM, "ip-checksum", ERROR, "IPv4 header checksum wrong")                         \
	X(IP_OPTION, "ip-option", ATTACK, "source-route option or routing header")                 \
	X(IP6_CHAIN, "ip6-chain", ATTACK, "IPv6 extension header chain malformed or too long")     \
	X(L4_HEADER, "l4-header", ATTACK, "transport header malformed or cut short")               \
	X(L4_CHECKSUM, "l4-checksum", ERROR, "transport checksum wrong on a control packet")       \
	X(TCP_FLAGS, "tcp-flags", ATTACK, "impossible combination of TCP flags")                   \
	X(LAND, "land", ATTACK, "source and destination endpoint are the same")                    \
	X(MARTIAN, "martian", ATTACK, "address that may not be forwarded")                         \
	X(LINK_LOCAL, "link-local", ERROR, "link-local address, not forwarded")                    \
	X(SPOOFED, "spoofed", ATTACK, "source address belongs to this node")                       \
	X(PROTOCOL, "protocol", POLICY, "IP protocol that the firewall does not track")            \
	X(FRAG_OVERLAP, "frag-overlap", ATTACK, "fragments overlap, datagram dropped whole")       \
	X(FRAG_TINY, "frag-tiny", ATTACK, "first fragment without the whole transport header")     \
	X(FRAG_BAD, "frag-bad", ATTACK, "fragment offset or length impossible")                    \
	X(FRAG_LIMIT, "frag-limit", ERROR, "too many fragments waiting")                           \
	X(FRAG_TIMEOUT, "frag-timeout", ERROR, "first fragment never came")                        \
	X(POLICY, "policy", POLICY, "refused by a rule or by the default action")                  \
	X(REJECTED, "rejected", POLICY, "refused by a rule, and the sender was told")              \
	X(NO_FLOW, "no-flow", POLICY, "belongs to no known flow and starts none")                  \
	X(FLOW_TABLE_FULL, "flow-table-full", ERROR, "state table full")                           \
	X(HALF_OPEN_LIMIT, "half-open-limit", ATTACK, "half-open flow evicted or refused")         \
	X(SOURCE_LIMIT, "source-limit", ATTACK, "one source opened too many flows")                \
	X(TCP_STATE, "tcp-state", ERROR, "TCP segment does not fit the connection's state")        \
	X(TCP_WINDOW, "tcp-window", ATTACK, "TCP segment outside the window")                      \
	X(TCP_RESET, "tcp-reset", ATTACK, "TCP reset with a sequence number nobody would accept")  \
	X(ICMP_UNRELATED, "icmp-unrelated", ATTACK, "ICMP error that fits no known flow")          \
	X(NO_ROUTE, "no-route", ERROR, "no route to the destination")                              \
	X(TTL, "ttl", ERROR, "time to live or hop limit used up")                                  \
	X(TOO_BIG, "too-big", ERROR, "larger than the next link's MTU and not to be fragmented")   \
	X(NEIGHBOUR_FAILED, "neighbour-failed", ERROR, "next hop does not answer ARP or ND")       \
	X(NEIGHBOUR_QUEUE, "neighbour-queue", ERROR, "too many packets wait for one next hop")     \
	X(NO_MEMBER, "no-member", ERROR, "unknown flow, and no other member is alive")             \
	X(QUERY_TIMEOUT, "query-timeout", ERROR, "no member answered the query")                   \
	X(NEGATIVE, "negative", ERROR, "nobody answered for this flow a moment ago")               \
	X(QUERY_SOURCE_LIMIT, "query-source-limit", ATTACK,                                        \
	  "one source prefix causes too many queries")                                             \
	X(QUERY_RATE_LIMIT, "query-rate-limit", ATTACK, "budget of queries used up")               \
	X(QUERY_QUEUE, "query-queue", ERROR, "too many packets wait for one query")                \
	X(QUERY_TABLE, "query-table", ATTACK, "too many open queries")                             \
	X(NOT_HOME, "not-home", ERROR, "forwarded to this member, which has no state for it")      \
	X(NO_FORWARD_PATH, "no-forward-path", ERROR,                                               \
	  "home cannot be reached by layer 2 or tunnel")                                           \
	X(STANDBY, "standby", INFO, "for a dispatcher that another node plays")                    \
	X(UNKNOWN_PATH, "unknown-path", ATTACK,                                                    \
	  "came by the firewalls' segment from none of them")                                      \
	X(NO_PATH, "no-path", ERROR, "no firewall is up that the flow could run through")          \
	X(PATH_WAIT, "path-wait", ERROR, "the stage before never told the flow's firewall")        \
	X(NO_TARGET, "no-target", ERROR, "no target of the service is up")                         \
	X(NO_SERVICE, "no-service", POLICY, "for a service's address, but no service fits")        \
	X(NO_STACK, "no-stack", ERROR, "the private stack that serves it is not there")            \
	X(STACK_STRAY, "stack-stray", ERROR, "from the private stack, of no flow that it serves")  \
	X(NO_LEG, "no-leg", ERROR, "of a connection by MAC that is not, or no longer, known")      \
	X(RELAY_REFUSED, "relay-refused", ERROR,                                                   \
	  "relayed by a member for what is not relayed here")                                      \
	X(TARGET_DOWN, "target-down", ERROR, "the flow's target went down")                        \
	X(PATH_DOWN, "path-down", ERROR, "the flow's firewall went down")                          \
	X(NAT_FULL, "nat-full", ERROR, "no free port left to rewrite the source to")               \
	X(PROBE, "probe", INFO, "probe of a dispatcher, or its answer, consumed")                  \
	X(NO_BUFFER, "no-buffer", ERROR, "no buffer left to hold or build the packet")             \
	X(PORT_DOWN, "port-down", ERROR, "outgoing port is down")                                  \
	X(TX_SIZE, "tx-size", ERROR, "super-frame that the outgoing port cannot send")             \
	X(FLUSHED, "flushed", INFO, "waited for something that was flushed or shut down")

#define DROP_ENUM(sym, name, class, text) DROP_##sym,
enum drop { DROP_LIST(DROP_ENUM) DROP_COUNT };
#undef DROP_ENUM

/* Name, explanation and class of a reason. `d` must be one of the list. */
const char *drop_name(enum drop d);
const char *drop_text(enum drop d);
enum drop_class drop_class(enum drop d);
const char *drop_class_name(enum drop_class c);

/* The reason with that name, or DROP_COUNT. */
enum drop drop_by_name(const char *name);

#endif
