#include "conf/schema.h"

#define MINUTE 60000u
#define HOUR 3600000u
#define HOUR_S 3600u
#define DAY_S 86400u

_Static_assert(sizeof(enum port_backend) == 4, "words are stored as 32-bit numbers");

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define NUMBER(name, type, field, flags, lo, hi, def)                                              \
	{                                                                                          \
		name, SCHEMA_NUMBER, flags, AT(type, field), lo, hi, def, NULL, NULL               \
	}
#define TIME(name, type, field, flags, lo, hi, def)                                                \
	{                                                                                          \
		name, SCHEMA_TIME, flags, AT(type, field), lo, hi, def, NULL, NULL                 \
	}
#define SECONDS(name, type, field, lo, hi, def)                                                    \
	{                                                                                          \
		name, SCHEMA_SECONDS, 0, AT(type, field), lo, hi, def, NULL, NULL                  \
	}
#define WEIGHT(type, field)                                                                        \
	{                                                                                          \
		"weight", SCHEMA_NUMBER, 0, AT(type, field), 0, PARAMS_WEIGHT_MAX, 1,              \
			"takes nothing new", NULL                                                  \
	}
#define TOKEN(name, type, field, max)                                                              \
	{                                                                                          \
		name, SCHEMA_TOKEN, 0, AT(type, field), 0, max, 0, "", NULL                        \
	}
#define BOOL(name, type, field, flags, def)                                                        \
	{                                                                                          \
		name, SCHEMA_BOOL, flags, AT(type, field), 0, 1, def, NULL, NULL                   \
	}
#define WORD(name, type, field, flags, first, words, def)                                          \
	{                                                                                          \
		name, SCHEMA_WORD, flags, AT(type, field), first, 0, def, NULL, words              \
	}
#define TEXT(kind, name, type, field, flags, def)                                                  \
	{                                                                                          \
		name, kind, flags, AT(type, field), 0, 0, 0, def, NULL                             \
	}
#define PORT(name, type, field, flags)                                                             \
	{                                                                                          \
		name, SCHEMA_PORT, flags, AT(type, field), 0, 0, PARAMS_NO_PORT, NULL, NULL        \
	}
#define NAMED(kind, name, type, field, flags)                                                      \
	{                                                                                          \
		name, kind, flags, AT(type, field), 0, 0, PARAMS_NONE, NULL, NULL                  \
	}
#define LIST(name, text)                                                                           \
	{                                                                                          \
		name, SCHEMA_LIST, 0, 0, 0, 0, 0, 0, text, NULL                                    \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, SCHEMA_LIST, 0, 0, 0, 0, 0, 0, NULL, NULL                                    \
	}

static const char *const seccomp_words[] = {"off", "log", "enforce", NULL};
static const char *const backend_words[] = {"packet", "pcap", "file", NULL};
static const char *const transport_words[] = {"multicast", "unicast", NULL};
static const char *const cipher_words[] = {"chacha20-poly1305", "aes-256-gcm", NULL};
static const char *const query_words[] = {"carry", "hold", NULL};
static const char *const forward_words[] = {"auto", "l2", "tunnel", NULL};
static const char *const exception_words[] = {"drop", "reset", "pass", NULL};
static const char *const tracking_words[] = {"loose", "strict", NULL};
static const char *const action_words[] = {"pass", "drop", "reject", NULL};
static const char *const refusal_words[] = {"drop", "reject", NULL};
static const char *const role_words[] = {"outer", "inner", "stage", NULL};
/* the last one looks at the client alone, which says nothing of a firewall */
static const char *const path_algorithm_words[] = {
	"static",	 "round-robin", "weighted-round-robin", "least-connections",
	"least-packets", NULL};
static const char *const algorithm_words[] = {
	"static", "round-robin", "weighted-round-robin", "least-connections", "least-packets",
	"source", NULL};
static const char *const unknown_words[] = {"drop", "reset", "pass", NULL};
static const char *const down_words[] = {"move", "reset", "keep", NULL};
static const char *const technology_words[] = {"l4/2", "l4/3", "l7/3", "l7/2", NULL};
static const char *const content_words[] = {"http", "tls", NULL};
static const char *const cookie_words[] = {"none", "insert", "prefix", "own", NULL};
static const char *const relay_words[] = {"none", "config", "ask", "both", NULL};
static const char *const forwarded_words[] = {"none", "x-forwarded-for", "forwarded", "both", NULL};
static const char *const access_log_words[] = {"none", "combined", "json", NULL};
static const char *const affinity_words[] = {"none", "source", NULL};
static const char *const check_words[] = {"none", "tcp", "http", NULL};
static const char *const level_words[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const target_words[] = {"stderr", "syslog", "journal", NULL};

#define ALLOWED_HOSTS "addresses of hosts, such as \"192.0.2.80\" and \"2001:db8::80\""

static const struct schema_option root_options[] = {
	TEXT(SCHEMA_NAME, "node", params, node, SCHEMA_RESTART, ""),
	TEXT(SCHEMA_NAME, "user", params, user, SCHEMA_RESTART, ""),
	WORD("seccomp", params, seccomp, SCHEMA_RESTART, SECCOMP_OFF, seccomp_words, SECCOMP_LOG),
	BOOL("check-host", params, check_host, 0, true),
	TEXT(SCHEMA_PATH, "restart-state", params, restart_state, 0, ""),
	NUMBER("offload-flows", params, offload_flows, SCHEMA_RESTART, 1024, 1048576, 65536),
	END,
};

static const struct schema_option port_options[] = {
	TEXT(SCHEMA_DEVICE, "device", port_params, device, SCHEMA_RESTART, ""),
	WORD("backend", port_params, backend, SCHEMA_RESTART, BACKEND_PACKET, backend_words,
	     BACKEND_PACKET),
	TEXT(SCHEMA_NAME, "segment", port_params, segment, 0, ""),
	NUMBER("vlan", port_params, vlan, SCHEMA_RESTART, 0, 4094, 0),
	NUMBER("mtu", port_params, mtu, 0, 0, 65535, 0),
	LIST("addresses", "addresses with the length of their network, such as \"10.1.0.254/24\""),
	LIST("answer-for", ALLOWED_HOSTS),
	NUMBER("rx-buffer", port_params, rx_buffer, SCHEMA_RESTART, 65536, 1073741824, 16777216),
	BOOL("promiscuous", port_params, promiscuous, SCHEMA_RESTART, false),
	BOOL("offload", port_params, offload, SCHEMA_RESTART, false),
	TEXT(SCHEMA_MAC, "mac", port_params, mac, SCHEMA_RESTART, ""),
	TEXT(SCHEMA_TEXT, "file-in", port_params, file_in, SCHEMA_RESTART, ""),
	TEXT(SCHEMA_TEXT, "file-out", port_params, file_out, SCHEMA_RESTART, ""),
	END,
};

static const struct schema_option route_options[] = {
	TEXT(SCHEMA_ADDRESS, "via", route_params, via, 0, ""),
	PORT("port", route_params, port, SCHEMA_REQUIRED),
	END,
};

static const struct schema_option cluster_options[] = {
	NUMBER("id", cluster_params, id, SCHEMA_RESTART, 1, 65535, 1),
	TEXT(SCHEMA_DEVICE, "device", cluster_params, device, SCHEMA_RESTART, ""),
	WORD("transport", cluster_params, transport, SCHEMA_RESTART, TRANSPORT_MULTICAST,
	     transport_words, TRANSPORT_MULTICAST),
	TEXT(SCHEMA_ADDRESS, "group", cluster_params, group, SCHEMA_RESTART, "239.255.70.67"),
	NUMBER("udp-port", cluster_params, udp_port, SCHEMA_RESTART, 1, 65535, 7067),
	TEXT(SCHEMA_PATH, "key-file", cluster_params, key_file, 0, "/etc/fwclusterd/cluster.key"),
	WORD("cipher", cluster_params, cipher, SCHEMA_RESTART, CIPHER_CHACHA20_POLY1305,
	     cipher_words, CIPHER_CHACHA20_POLY1305),
	WORD("query", cluster_params, query, 0, QUERY_CARRY, query_words, QUERY_CARRY),
	WORD("forward", cluster_params, forward, 0, FORWARD_AUTO, forward_words, FORWARD_AUTO),
	WORD("exception", cluster_params, exception, 0, EXCEPTION_DROP, exception_words,
	     EXCEPTION_DROP),
	TIME("hello-interval", cluster_params, hello_ms, 0, 10, MINUTE, 200),
	TIME("dead-after", cluster_params, dead_ms, 0, 30, 10 * MINUTE, 1000),
	TIME("query-timeout", cluster_params, query_timeout_ms, 0, 1, 10000, 20),
	NUMBER("query-retries", cluster_params, query_retries, 0, 0, 10, 3),
	NUMBER("query-queue", cluster_params, query_queue, SCHEMA_RESTART, 1, 1024, 32),
	NUMBER("max-queries", cluster_params, max_queries, SCHEMA_RESTART, 16, 1048576, 4096),
	TIME("negative-ttl", cluster_params, negative_ms, 0, 10, HOUR, 1000),
	TIME("forward-ttl", cluster_params, forward_ms, 0, 1000, 24 * HOUR, 30000),
	NUMBER("max-forwards", cluster_params, max_forwards, SCHEMA_RESTART, PARAMS_FLOWS_MIN,
	       PARAMS_FLOWS_MAX, 262144),
	NUMBER("query-rate", cluster_params, query_rate, 0, 1, 10000000, 20000),
	NUMBER("query-burst", cluster_params, query_burst, 0, 1, 10000000, 4000),
	NUMBER("query-kbytes", cluster_params, query_kbytes, 0, 1, 4000000, 8000),
	NUMBER("source-rate", cluster_params, source_rate, 0, 1, 10000000, 5000),
	NUMBER("source-burst", cluster_params, source_burst, 0, 1, 10000000, 2000),
	NUMBER("mtu", cluster_params, mtu, 0, 0, 65535, 0),
	BOOL("backup", cluster_params, backup, 0, 1),
	TIME("backup-delay", cluster_params, backup_delay_ms, 0, 0, HOUR, 1000),
	TIME("backup-refresh", cluster_params, backup_refresh_ms, 0, 100, HOUR, 15000),
	WORD("backup-tracking", cluster_params, backup_tracking, 0, TRACKING_LOOSE, tracking_words,
	     TRACKING_LOOSE),
	END,
};

static const struct schema_option member_options[] = {
	NUMBER("id", member_params, id, SCHEMA_REQUIRED, 1, 65535, 0),
	TEXT(SCHEMA_ADDRESS, "address", member_params, address, 0, ""),
	NUMBER("udp-port", member_params, udp_port, 0, 0, 65535, 0),
	END,
};

static const struct schema_option firewall_options[] = {
	NUMBER("max-flows", firewall_params, max_flows, SCHEMA_RESTART, PARAMS_FLOWS_MIN,
	       PARAMS_FLOWS_MAX, 262144),
	NUMBER("max-half-open", firewall_params, max_half_open, 0, 0, PARAMS_FLOWS_MAX, 0),
	NUMBER("max-per-source", firewall_params, max_per_source, 0, 0, PARAMS_FLOWS_MAX, 0),
	NUMBER("max-fragments", firewall_params, max_fragments, SCHEMA_RESTART, 16, 1048576, 4096),
	NUMBER("originate-rate", firewall_params, originate_rate, 0, 0, 1000000, 100),
	WORD("default", firewall_params, default_action, 0, RULE_DROP, refusal_words, RULE_DROP),
	BOOL("default-log", firewall_params, default_log, 0, false),
	END,
};

static const struct schema_option timeouts_options[] = {
#define TIMEOUT_OPTION(field, key, def) TIME(key, timeout_params, field, 0, 100, 168 * HOUR, def),
	TIMEOUT_LIST(TIMEOUT_OPTION)
#undef TIMEOUT_OPTION
		END,
};

#define ALLOWED_ADDRESSES "addresses, networks such as \"10.0.0.0/8\", and sets such as \"@lan\""
#define ALLOWED_PORTS "ports 0..65535 and ranges such as \"8000-8100\""

static const struct schema_option set_options[] = {
	LIST("addresses", "addresses and networks such as \"10.0.0.0/8\""),
	END,
};

static const struct schema_option rule_options[] = {
	WORD("action", rule_params, action, SCHEMA_REQUIRED, RULE_PASS, action_words, RULE_PASS),
	PORT("in", rule_params, in_port, 0),
	PORT("out", rule_params, out_port, 0),
	LIST("from", ALLOWED_ADDRESSES),
	LIST("to", ALLOWED_ADDRESSES),
	LIST("protocol", "tcp, udp, icmp, icmp6, any, or a number 0..255"),
	LIST("source-ports", ALLOWED_PORTS),
	LIST("ports", ALLOWED_PORTS),
	LIST("icmp-types", "a name such as \"echo-request\", a type 0..255, or \"type/code\""),
	BOOL("log", rule_params, log, 0, false),
	END,
};

static const struct schema_option path_options[] = {
	NUMBER("id", path_params, id, SCHEMA_REQUIRED, 1, 65535, 0),
	LIST("addresses", ALLOWED_HOSTS),
	WEIGHT(path_params, weight),
	END,
};

#define FLOW_TIMEOUT(name, field, def) TIME(name, dispatcher_params, field, 0, 100, 168 * HOUR, def)

static const struct schema_option dispatcher_options[] = {
	WORD("role", dispatcher_params, role, SCHEMA_REQUIRED | SCHEMA_RESTART, DISPATCH_OUTER,
	     role_words, DISPATCH_OUTER),
	PORT("firewall-port", dispatcher_params, firewall_port, 0),
	LIST("ports", "names of port sections"),
	WORD("algorithm", dispatcher_params, algorithm, 0, CHOICE_STATIC, path_algorithm_words,
	     CHOICE_STATIC),
	BOOL("learn", dispatcher_params, learn, 0, true),
	WORD("unknown", dispatcher_params, unknown, 0, UNKNOWN_DROP, unknown_words, UNKNOWN_DROP),
	WORD("on-path-down", dispatcher_params, path_down, 0, DOWN_MOVE, down_words, DOWN_MOVE),
	LIST("from", "names of member sections"),
	LIST("nodes", "names of member sections, the preferred one first"),
	BOOL("take-back", dispatcher_params, take_back, 0, true),
	TIME("take-back-delay", dispatcher_params, take_back_ms, 0, 0, HOUR, 10000),
	BOOL("bypass", dispatcher_params, bypass, 0, true),
	NUMBER("hash-seed", dispatcher_params, seed, 0, 0, UINT32_MAX, 0),
	NUMBER("max-flows", dispatcher_params, max_flows, SCHEMA_RESTART, PARAMS_FLOWS_MIN,
	       PARAMS_FLOWS_MAX, 262144),
	NUMBER("max-affinities", dispatcher_params, max_affinities, SCHEMA_RESTART, 16,
	       PARAMS_FLOWS_MAX, 65536),
	NUMBER("max-fragments", dispatcher_params, max_fragments, SCHEMA_RESTART, 16, 1048576,
	       1024),
	FLOW_TIMEOUT("tcp-open-timeout", tcp_open_ms, 30000),
	FLOW_TIMEOUT("tcp-timeout", tcp_ms, 2 * HOUR),
	FLOW_TIMEOUT("tcp-close-timeout", tcp_close_ms, 2 * MINUTE),
	FLOW_TIMEOUT("udp-timeout", udp_ms, 3 * MINUTE),
	FLOW_TIMEOUT("other-timeout", other_ms, 30000),
	TIME("path-wait", dispatcher_params, path_wait_ms, 0, 1, 10000, 20),
	TEXT(SCHEMA_ADDRESS, "probe", dispatcher_params, probe.to, 0, ""),
	TIME("probe-interval", dispatcher_params, probe.interval_ms, 0, 10, MINUTE, 500),
	TIME("probe-timeout", dispatcher_params, probe.timeout_ms, 0, 1, MINUTE, 250),
	NUMBER("probe-rise", dispatcher_params, probe.rise, 0, 1, 100, 2),
	NUMBER("probe-fall", dispatcher_params, probe.fall, 0, 1, 100, 3),
	END,
};

static const struct schema_option service_options[] = {
	LIST("addresses", ALLOWED_HOSTS),
	TEXT(SCHEMA_PROTOCOL, "protocol", service_params, proto, SCHEMA_REQUIRED, ""),
	LIST("ports", "ports 1..65535 and ranges such as \"8000-8100\""),
	WORD("technology", service_params, technology, SCHEMA_REQUIRED, TECHNOLOGY_L4_2,
	     technology_words, TECHNOLOGY_L4_2),
	WORD("algorithm", service_params, algorithm, 0, CHOICE_STATIC, algorithm_words,
	     CHOICE_ROUND_ROBIN),
	WORD("affinity", service_params, affinity, 0, false, affinity_words, false),
	TIME("affinity-timeout", service_params, affinity_ms, 0, 1000, 24 * HOUR, 5 * MINUTE),
	LIST("targets", "names of target sections"),
	NAMED(SCHEMA_TARGET, "sorry", service_params, sorry, 0),
	LIST("sources", ALLOWED_HOSTS),
	WORD("on-target-down", service_params, target_down, 0, DOWN_MOVE, down_words, DOWN_RESET),
	WORD("content", service_params, l7.content, 0, L7_CONTENT_HTTP, content_words,
	     L7_CONTENT_HTTP),
	WORD("cookie", service_params, l7.cookie, 0, L7_COOKIE_NONE, cookie_words, L7_COOKIE_NONE),
	TOKEN("cookie-name", service_params, l7.cookie_name, 64),
	TEXT(SCHEMA_TEXT, "cookie-pattern", service_params, l7.cookie_pattern, 0, ""),
	TEXT(SCHEMA_TEXT, "cookie-domain", service_params, l7.cookie_domain, 0, ""),
	SECONDS("cookie-age", service_params, l7.cookie_age_s, 0, 365 * DAY_S, 0),
	BOOL("cookie-secure", service_params, l7.cookie_secure, 0, false),
	NUMBER("cookie-epoch", service_params, l7.cookie_epoch, 0, 0, UINT32_MAX, 0),
	SECONDS("cookie-drain", service_params, l7.cookie_drain_s, 0, 30 * DAY_S, HOUR_S),
	WORD("forwarded", service_params, l7.forwarded, 0, L7_FORWARDED_NONE, forwarded_words,
	     L7_FORWARDED_NONE),
	BOOL("forwarded-believe", service_params, l7.forwarded_believe, 0, false),
	BOOL("proxy-protocol", service_params, l7.proxy_protocol, 0, false),
	WORD("relay", service_params, l7.relay, 0, L7_RELAY_NONE, relay_words, L7_RELAY_NONE),
	NUMBER("max-idle", service_params, l7.max_idle, 0, 0, 65536, 1024),
	NUMBER("max-queue", service_params, l7.max_queue, 0, 0, 65536, 1024),
#define L7_TIMEOUT_OPTION(field, key, def)                                                         \
	TIME(key, service_params, l7.field##_ms, 0, 10, 168 * HOUR, def),
	L7_TIMEOUT_LIST(L7_TIMEOUT_OPTION)
#undef L7_TIMEOUT_OPTION
		END,
};

static const struct schema_option l7_route_options[] = {
	TEXT(SCHEMA_TEXT, "host", service_params, route.host, 0, ""),
	TEXT(SCHEMA_TEXT, "path", service_params, route.path, 0, ""),
	TOKEN("method", service_params, route.method, 31),
	TOKEN("header", service_params, route.header, 63),
	TEXT(SCHEMA_TEXT, "header-value", service_params, route.header_value, 0, ""),
	TOKEN("cookie", service_params, route.cookie, 64),
	WORD("algorithm", service_params, algorithm, 0, CHOICE_STATIC, algorithm_words,
	     CHOICE_ROUND_ROBIN),
	LIST("targets", "names of target sections"),
	NAMED(SCHEMA_TARGET, "sorry", service_params, sorry, 0),
	END,
};

static const struct schema_option l7_options[] = {
	NUMBER("max-connections", params, l7.max_connections, SCHEMA_RESTART, 16, 1048576, 8192),
	NUMBER("max-head", params, l7.max_head, SCHEMA_RESTART, 4096, 65536, 16384),
	TEXT(SCHEMA_NAME, "congestion-control", params, l7.congestion, SCHEMA_RESTART, "cubic"),
	WORD("access-log", params, l7.log, 0, L7_LOG_NONE, access_log_words, L7_LOG_NONE),
	TEXT(SCHEMA_PATH, "access-log-file", params, l7.log_file, 0, ""),
	END,
};

static const struct schema_option target_options[] = {
	LIST("addresses", "one IPv4 address, one IPv6 address, or one of each"),
	NAMED(SCHEMA_MEMBER, "member", target_params, member, 0),
	LIST("via", "names of member sections"),
	NUMBER("port", target_params, port, 0, 0, 65535, 0),
	WEIGHT(target_params, weight),
	NUMBER("max-connections", target_params, max_connections, 0, 0, 1048576, 0),
	WORD("check", target_params, check.kind, 0, CHECK_NONE, check_words, CHECK_NONE),
	NUMBER("check-port", target_params, check.port, 0, 0, 65535, 0),
	TEXT(SCHEMA_PATH, "check-path", target_params, check.path, 0, "/"),
	TEXT(SCHEMA_TEXT, "check-host", target_params, check.host, 0, ""),
	TIME("check-interval", target_params, check.interval_ms, 0, 100, HOUR, 2000),
	TIME("check-timeout", target_params, check.timeout_ms, 0, 10, MINUTE, 1000),
	NUMBER("check-rise", target_params, check.rise, 0, 1, 100, 2),
	NUMBER("check-fall", target_params, check.fall, 0, 1, 100, 3),
	NUMBER("agent-port", target_params, check.agent_port, 0, 0, 65535, 0),
	END,
};

static const struct schema_option control_options[] = {
	TEXT(SCHEMA_PATH, "socket", params, control_socket, SCHEMA_RESTART,
	     "/run/fwclusterd/control.sock"),
	TEXT(SCHEMA_NAME, "group", params, control_group, SCHEMA_RESTART, ""),
	END,
};

static const struct schema_option log_options[] = {
	WORD("level", params, log_level, 0, 0, level_words, 3),
	WORD("target", params, log_target, SCHEMA_RESTART, LOG_TARGET_STDERR, target_words,
	     LOG_TARGET_STDERR),
	END,
};

const struct schema_section schema_port = {"port", true, port_options, NULL};
const struct schema_section schema_route = {"route", true, route_options, NULL};
const struct schema_section schema_cluster = {"cluster", false, cluster_options, NULL};
const struct schema_section schema_member = {"member", true, member_options, NULL};
const struct schema_section schema_timeouts = {"timeouts", false, timeouts_options, NULL};
const struct schema_section schema_set = {"set", true, set_options, NULL};
const struct schema_section schema_rule = {"rule", true, rule_options, NULL};
const struct schema_section schema_path = {"path", true, path_options, NULL};
const struct schema_section schema_dispatcher = {"dispatcher", true, dispatcher_options, NULL};
const struct schema_section schema_l7 = {"l7", false, l7_options, NULL};
const struct schema_section schema_l7_route = {"route", true, l7_route_options, NULL};
const struct schema_section schema_target = {"target", true, target_options, NULL};
const struct schema_section schema_control = {"control", false, control_options, NULL};
const struct schema_section schema_log = {"log", false, log_options, NULL};

static const struct schema_section *const firewall_sections[] = {&schema_timeouts, &schema_set,
								 &schema_rule, NULL};
const struct schema_section schema_firewall = {"firewall", false, firewall_options,
					       firewall_sections};

static const struct schema_section *const service_sections[] = {&schema_l7_route, NULL};
const struct schema_section schema_service = {"service", true, service_options, service_sections};

static const struct schema_section *const root_sections[] = {&schema_port,
							     &schema_route,
							     &schema_cluster,
							     &schema_member,
							     &schema_firewall,
							     &schema_path,
							     &schema_target,
							     &schema_service,
							     &schema_dispatcher,
							     &schema_l7,
							     &schema_control,
							     &schema_log,
							     NULL};
const struct schema_section schema_root = {"", false, root_options, root_sections};
