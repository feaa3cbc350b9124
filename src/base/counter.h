/*
 * counter.h - named counters of one engine, in one list, as drop.h has the drop reasons.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdint.h>

/* X(symbol, name, text) */
#define COUNTER_LIST(X)                                                                            \
	X(FRAMES_IN, "frames-in", "frames received on all ports")                                  \
	X(FRAMES_TUNNEL_IN, "frames-tunnel-in", "frames received from members in datagrams")       \
	X(FRAMES_MADE, "frames-made", "frames that this node originated or cut from larger ones")  \
	X(FRAMES_OUT, "frames-out", "frames handed to the ports")                                  \
	X(BYTES_IN, "bytes-in", "bytes received on all ports")                                     \
	X(BYTES_OUT, "bytes-out", "bytes handed to the ports")                                     \
	X(STATE_HIT, "state-hit", "packets of flows that this node is home of")                    \
	X(FORWARD_HIT, "forward-hit", "packets forwarded by the forward table")                    \
	X(FLOWS_CREATED, "flows-created", "flows this node became home of")                        \
	X(FLOWS_ENDED, "flows-ended", "flows that closed or timed out")                            \
	X(OFFLOADED, "offloaded", "packets that the kernel has passed on by the daemon's orders")  \
	X(OFFLOADED_BYTES, "offloaded-bytes", "bytes of those packets")                            \
	X(FLOWS_EVICTED, "flows-evicted", "half-open flows evicted to make room")                  \
	X(QUERY_SENT, "query-sent", "queries sent")                                                \
	X(QUERY_RETRIED, "query-retried", "queries sent again")                                    \
	X(QUERY_HEADER_ONLY, "query-header-only", "queries sent without the packet")               \
	X(QUERY_CONFIRMED, "query-confirmed", "queries answered by a home")                        \
	X(QUERY_TIMEOUT, "query-timeout", "queries that nobody answered")                          \
	X(QUERY_RECEIVED, "query-received", "queries received from other members")                 \
	X(QUERY_ANSWERED, "query-answered", "queries this node answered as home")                  \
	X(QUERY_DELIVERED, "query-delivered", "carried packets this node delivered as home")       \
	X(QUERY_DUPLICATE, "query-duplicate",                                                      \
	  "repeated queries answered without delivering again")                                    \
	X(CONFIRM_UNEXPECTED, "confirm-unexpected", "confirms that match no open query")           \
	X(HOME_CONFLICT, "home-conflict", "flows that two members were home of, resolved")         \
	X(NOT_HOME_SENT, "not-home-sent", "not-home messages sent")                                \
	X(NOT_HOME_RECEIVED, "not-home-received", "not-home messages received and obeyed")         \
	X(RELEASE_SENT, "release-sent", "release messages sent")                                   \
	X(RELEASE_RECEIVED, "release-received", "forward entries ended by a release")              \
	X(FORWARD_EXPIRED, "forward-expired", "forward entries that expired unused")               \
	X(BACKUP_SENT, "backup-sent", "flows told to their backup, refreshed ones again")          \
	X(BACKUP_REPEATED, "backup-repeated", "messages of backups sent again: not acknowledged")  \
	X(BACKUP_DEFERRED, "backup-deferred", "times that backups had to wait for the pace")       \
	X(BACKUP_HANDED, "backup-handed",                                                          \
	  "flows handed over to another member: drained, or leaving")                              \
	X(BACKUP_RECEIVED, "backup-received", "flows received as their backup")                    \
	X(BACKUP_ENDED, "backup-ended", "flows whose backup this node no longer is: their home's") \
	X(BACKUP_REFUSED, "backup-refused", "flows not backed up here: the table was full")        \
	X(BACKUP_PROMOTED, "backup-promoted", "flows taken over from a home that was lost")        \
	X(BACKUP_TAKEN, "backup-taken", "flows given up to the member that had taken them over")   \
	X(FORWARD_L2, "forward-l2", "frames forwarded to a home by layer 2")                       \
	X(FORWARD_TUNNEL, "forward-tunnel", "frames forwarded to a home by sealed datagram")       \
	X(MSG_IN, "msg-in", "cluster messages received and accepted")                              \
	X(MSG_OUT, "msg-out", "cluster messages sent")                                             \
	X(MSG_BYTES_IN, "msg-bytes-in", "bytes of cluster messages received")                      \
	X(MSG_BYTES_OUT, "msg-bytes-out", "bytes of cluster messages sent")                        \
	X(MSG_SHORT, "msg-short", "cluster message too short or with a wrong length")              \
	X(MSG_MAGIC, "msg-magic", "datagram that is no cluster message")                           \
	X(MSG_VERSION, "msg-version", "protocol version not spoken here")                          \
	X(MSG_CLUSTER_ID, "msg-cluster-id", "message of another cluster")                          \
	X(MSG_OWN, "msg-own", "this node's own message came back")                                 \
	X(MSG_UNKNOWN_MEMBER, "msg-unknown-member", "sender is not in the member list")            \
	X(MSG_DUPLICATE_ID, "msg-duplicate-id", "another node uses this node's id")                \
	X(MSG_UNKNOWN_KEY, "msg-unknown-key", "key id not loaded here")                            \
	X(MSG_CIPHER, "msg-cipher", "cipher not available here")                                   \
	X(MSG_WRONG_KEY, "msg-wrong-key", "authentication failed: wrong key or altered message")   \
	X(MSG_STALE_BOOT, "msg-stale-boot", "message of an earlier boot of its sender")            \
	X(MSG_UNPROVEN_BOOT, "msg-unproven-boot", "boot id not yet proven by a challenge")         \
	X(MSG_BOOT_LIMIT, "msg-boot-limit", "too many new boot ids")                               \
	X(MSG_REPLAY, "msg-replay", "message already seen")                                        \
	X(MSG_TOO_OLD, "msg-too-old", "message older than the replay window")                      \
	X(MSG_TYPE, "msg-type", "unknown message type")                                            \
	X(MSG_MALFORMED, "msg-malformed", "authentic message with impossible content")             \
	X(MSG_CHALLENGE, "msg-challenge", "challenges answered")                                   \
	X(MSG_CHALLENGE_BAD, "msg-challenge-bad", "answers to a challenge that was not open")      \
	X(DISPATCH_HIT, "dispatch-hit", "packets of flows that a dispatcher knows")                \
	X(DISPATCH_STATIC, "dispatch-static", "packets sent by the static choice, without a flow") \
	X(DISPATCH_NEW, "dispatch-new", "flows a dispatcher has begun to remember")                \
	X(DISPATCH_ENDED, "dispatch-ended", "flows of dispatchers that closed or timed out")       \
	X(DISPATCH_EVICTED, "dispatch-evicted", "opening flows evicted to make room")              \
	X(DISPATCH_BYPASS, "dispatch-bypass",                                                      \
	  "answers a later stage sent straight to the flow's firewall")                            \
	X(DISPATCH_BACK, "dispatch-back", "answers sent back to the stage before")                 \
	X(PATH_LEARNT, "path-learnt", "flows whose firewall was learnt from its frame")            \
	X(PATH_MOVED, "path-moved", "flows moved to another firewall")                             \
	X(TARGET_MOVED, "target-moved", "flows moved to another target")                           \
	X(FLOWS_RESET, "flows-reset", "flows reset because their firewall or target went down")    \
	X(UNKNOWN_PASSED, "unknown-passed", "packets of no known flow passed to a firewall")       \
	X(STAMP_SENT, "stamp-sent", "SYNs stamped with their path")                                \
	X(STAMP_TAKEN, "stamp-taken", "stamps of the stage before, read and removed")              \
	X(STAMP_STRIPPED, "stamp-stripped", "stamps removed unread: not from a dispatcher")        \
	X(PATH_SENT, "path-sent", "path messages sent to a next stage")                            \
	X(PATH_RECEIVED, "path-received", "path messages received and obeyed")                     \
	X(PATH_ASKED, "path-asked", "times a stage asked the one before for a path")               \
	X(PATH_REFUSED, "path-refused", "path messages from members that are no stage before")     \
	X(TARGETS_SENT, "targets-sent", "weights told to the other dispatchers")                   \
	X(TARGETS_RECEIVED, "targets-received", "weights taken over from other dispatchers")       \
	X(WHO_HAS_SENT, "who-has-sent", "questions for a cookie's server sent to other members")   \
	X(WHO_HAS_RECEIVED, "who-has-received", "questions for a cookie's server received")        \
	X(HAVE_SENT, "have-sent", "such questions answered")                                       \
	X(HAVE_RECEIVED, "have-received", "answers to such questions received")                    \
	X(HAVE_UNASKED, "have-unasked", "answers to questions that are not open")                  \
	X(FIND_NOBODY, "find-nobody", "servers of cookies that no other member is connected to")   \
	X(FIND_LIMITED, "find-limited", "questions withheld or not answered: too many")            \
	X(LEG_OPENED, "leg-opened", "connections by MAC to servers of services by l7/2")           \
	X(RELAY_OUT, "relay-out", "connections to members that serve a request of this node's")    \
	X(RELAY_IN, "relay-in", "connections of members whose requests this node serves")          \
	X(LEG_RESET, "leg-reset", "connections by MAC reset because their other end was lost")     \
	X(ROLE_SENT, "role-sent", "messages to the other nodes of this node's dispatchers")        \
	X(ROLE_RECEIVED, "role-received", "such messages received and obeyed")                     \
	X(ROLE_LATE, "role-late", "such messages that a later one has overtaken")                  \
	X(TAKEN_OVER, "taken-over", "times this node came to play a dispatcher")                   \
	X(YIELDED, "yielded", "times it gave one up to another node")                              \
	X(ROLE_CONFLICT, "role-conflict", "times another node played the same one at once")        \
	X(SYNC_SENT, "sync-sent", "messages of tables to nodes that stand by")                     \
	X(SYNC_RECEIVED, "sync-received", "such messages received and obeyed")                     \
	X(SYNC_ASKED, "sync-asked", "times this node asked for all of the tables")                 \
	X(SYNC_BULKS, "sync-bulks", "times it was asked, or told all")                             \
	X(SYNC_GAPS, "sync-gaps", "times messages of tables were missed")                          \
	X(SYNC_LATE, "sync-late", "messages of tables that came too late")                         \
	X(SYNC_SKIPPED, "sync-skipped",                                                            \
	  "flows told that do not fit this node's configuration or tables")                        \
	X(STALLED, "stalled", "times this process stood still for longer than others wait")        \
	X(RESTART_KEPT, "restart-kept", "flows handed over by the process before a restart")       \
	X(RESTART_LOST, "restart-lost", "such flows that did not fit: gone, over, no room")        \
	X(RESTART_REFUSED, "restart-refused", "tables of a process before that were refused")      \
	X(PROBE_SENT, "probe-sent", "probes sent through firewalls")                               \
	X(PROBE_ANSWERED, "probe-answered", "probes of this node that came back")                  \
	X(PROBE_UNEXPECTED, "probe-unexpected", "answers to no open probe")                        \
	X(ADDRESS_TAKEN, "address-taken", "answers for an address withheld: another host has it")  \
	X(ADDRESS_CLAIMED, "address-claimed", "claims of other hosts to an address of this node")  \
	X(NEIGHBOUR_ASKED, "neighbour-asked", "ARP requests and neighbour solicitations sent")     \
	X(NEIGHBOUR_ANSWERED, "neighbour-answered", "ARP and ND requests answered by the daemon")  \
	X(ICMP_SENT, "icmp-sent", "ICMP errors originated")                                        \
	X(RESET_SENT, "reset-sent", "TCP resets originated")                                       \
	X(ORIGINATE_LIMIT, "originate-limit", "ICMP errors and resets withheld by the rate limit") \
	X(NOTE_LIMIT, "note-limit", "events withheld by the rate limit")

#define COUNTER_ENUM(sym, name, text) COUNTER_##sym,
enum counter { COUNTER_LIST(COUNTER_ENUM) COUNTER_COUNT };
#undef COUNTER_ENUM

/* Name and explanation. `c` must be one of the list. */
const char *counter_name(enum counter c);
const char *counter_text(enum counter c);

#endif
