# shellcheck shell=bash
# topo_sandwich.sh - dispatchers around firewalls that share nothing, a tree of them over servers.
#
#  client 198.51.100.100 … 131      isp .1 ── 203.0.113.0/24 ── remote .10
#      │                             │
#      ├─── outside 198.51.100.0/24, 2001:db8:51::/64 ───┤        VIPs: 198.51.100.80 … 87,
#      │                                                          2001:db8:51::80 … 87
#    outer .254
#      │
#      ├─── front 10.2.0.0/24, fd00:2::/64 ───┐
#      │                │                     │
#     fw1 .1          fw2 .2                fw3 .3                stateful, default drop
#      │                │                     │
#      ├─── back 10.3.0.0/24, fd00:3::/64 ────┴─────────┬─────────────────┬──────────────┐
#      │                                                │                 │              │
#    inner .254                                   stage-a .101      stage-b .102   stage-c .103
#      │ │                                          │    │            │    │         │    │
#      │ └─── stage 10.5.0.0/24, fd00:5::/64 ───────┘    │            ┘    │         ┘    │
#      │                                                 │                 │              │
#      ├─── farm 10.4.0.0/24, fd00:4::/64 ───────────────┴─────────────────┴──────────────┘
#      │          │          │          │
#    web1 .11   web2 .12   web3 .13   web4 .14                    VIPs on lo, not answered by ARP
#
#  outer .1, inner .2, stage-a .3, stage-b .4, stage-c .5 on cluster 10.9.0.0/24 (sealed)
#
# The dispatchers' addresses are the daemons' own; inner and the stages have kernel addresses on
# the farm, too, for their checks (.253, .201 …). Firewalls know the dispatchers as routers and
# nothing of each other. Addresses to rewrite sources to: inner's 10.4.0.240 and .241, those of the
# stages .151 …. A packet that comes to a firewall which did not see its flow begin is
# dropped there and counted as `invalid` (or `notnew`): they prove that no packet took a wrong way.
# Flows that each has seen begin are counted as `opened`.
# sw_links counts what passes each link, for each direction, by packet.
#
# Options, set before sw_lay: SW_FWS, SW_SERVERS, SW_STAGES ('stage-a stage-b'), SW_FIREWALLS
# (nft, or cluster: members of a firewall cluster by fwclusterd), SW_BOX=1 (outer and inner on one
# host, box), SW_TAKEOVER=1 (outer and inner each have all the segments of both, and take over for
# each other: sw_both; needs SW_CLUSTER=1), SW_SPARES ('spare': more nodes that take over for both),
# SW_CLUSTER=1 (the dispatchers are members of a cluster), SW_MAC=1 (their ports have MAC
# addresses of the daemons' own).

. "$LAB_TESTS/dispatchers.sh"
. "$LAB_TESTS/farm_servers.sh"

SW_FWS=${SW_FWS:-3}
SW_SERVERS=${SW_SERVERS:-4}
SW_STAGES=${SW_STAGES:-}
SW_FIREWALLS=${SW_FIREWALLS:-nft}
SW_BOX=${SW_BOX:-0}
SW_TAKEOVER=${SW_TAKEOVER:-0}
SW_SPARES=${SW_SPARES:-}
SW_CLUSTER=${SW_CLUSTER:-0}
SW_CLIENTS=${SW_CLIENTS:-32}
SW_MAC=${SW_MAC:-0}

VIP=198.51.100.80  VIP6=2001:db8:51::80
VIPS=198.51.100.80/29
VIPS6=2001:db8:51::80/125
CLIENT=198.51.100.100 CLIENT6=2001:db8:51::100
REMOTE=203.0.113.10 REMOTE6=2001:db8:cb::10
sw_links=()
declare -A sw_mac=() # link -> MAC address of the daemon's own there

# vip N, vip6 N: the Nth virtual address (0 … 7).
vip() { echo "198.51.100.$((80 + $1))"; }
vip6() { echo "2001:db8:51::$((80 + $1))"; }

sw_lay() {
	local segment name i
	for segment in outside front back farm stage cluster; do
		net_bridge $segment
	done
	sw_clients
	if [ "$SW_BOX" = 1 ]; then
		net_host box
		sw_plug box outside front back farm cluster
		dp_host() {
			case $1 in
			outer | inner) echo box ;;
			*) echo "$1" ;;
			esac
		}
	elif [ "$SW_TAKEOVER" = 1 ]; then
		net_host outer inner
		sw_plug outer outside front back farm stage cluster
		sw_plug inner outside front back farm stage cluster
		net_address outer farm 10.4.0.252/24
		net_address outer farm fd00:4::252/64
	else
		net_host outer inner
		sw_plug outer outside front cluster
		sw_plug inner back farm stage cluster
	fi
	sw_dispatchers
	for ((i = 1; i <= SW_FWS; i++)); do
		sw_firewall "$i"
	done
	for segment in $SW_STAGES; do
		sw_stage "$segment"
	done
	i=250
	for name in $SW_SPARES; do
		sw_spare "$name" $((i--))
	done
	sw_cluster
	for name in "${dp_names[@]}"; do
		sw_host "$name"
	done
	for ((i = 1; i <= SW_SERVERS; i++)); do
		sw_server "web$i" "$((10 + i))"
	done
	[ "$LAB_FW" = daemon ] || sw_plain
	sw_links_count
}

# sw_plug HOST SEGMENT...: devices named as the segments.
sw_plug() {
	local host=$1 segment
	shift
	for segment in "$@"; do
		net_plug "$host" "$segment" "$segment" || return 1
		sw_links+=("$host.$segment")
	done
}

sw_clients() {
	local i batch=$LAB_DIR/addresses
	net_host client remote
	net_router isp
	# Tests choose source ports outside of these.
	run_in client sysctl -qw net.ipv4.ip_local_port_range='25000 39999'
	net_plug client eth0 outside
	net_plug isp eth0 outside 198.51.100.1/24 2001:db8:51::1/64
	sw_links+=(client.eth0 isp.eth0)
	for ((i = 100; i < 100 + SW_CLIENTS; i++)); do
		echo "addr add 198.51.100.$i/24 dev eth0"
		echo "addr add 2001:db8:51::$i/64 dev eth0 nodad"
	done >"$batch"
	ip -n client -batch "$batch"
	net_link isp eth1 remote eth0
	net_address isp eth1 203.0.113.1/24
	net_address isp eth1 2001:db8:cb::1/64
	net_address remote eth0 203.0.113.10/24
	net_address remote eth0 2001:db8:cb::10/64
	ip -n remote route add default via 203.0.113.1
	ip -n remote -6 route add default via 2001:db8:cb::1
	# The inside is behind the outer dispatcher.
	for i in client isp; do
		ip -n "$i" route add 10.0.0.0/8 via 198.51.100.254
		ip -n "$i" -6 route add fd00::/16 via 2001:db8:51::254
	done
	ip -n client route add 203.0.113.0/24 via 198.51.100.1
	ip -n client -6 route add 2001:db8:cb::/64 via 2001:db8:51::1
}

sw_dispatchers() {
	local i answers=
	for i in {0..7}; do
		answers+="${answers:+, }\"$(vip "$i")\", \"$(vip6 "$i")\""
	done
	dp_names=(outer inner)
	dp_ports[outer]='outside front'
	dp_port[outer.outside]="
	addresses = { \"198.51.100.254/24\", \"2001:db8:51::254/64\" }
	answer-for = { $answers }"
	dp_port[outer.front]='
	addresses = { "10.2.0.254/24", "fd00:2::254/64" }'
	dp_ports[inner]='farm back'
	[ -z "$SW_STAGES" ] || dp_ports[inner]="stage ${dp_ports[inner]}"
	dp_port[inner.back]='
	addresses = { "10.3.0.254/24", "fd00:3::254/64" }'
	dp_port[inner.farm]='
	addresses = { "10.4.0.254/24", "fd00:4::254/64" }
	answer-for = { "10.4.0.240", "10.4.0.241", "fd00:4::240" }'
	dp_port[inner.stage]='
	addresses = { "10.5.0.254/24", "fd00:5::254/64" }'
	if [ "$SW_TAKEOVER" = 1 ]; then
		dp_ports[inner]="outside front ${dp_ports[inner]}"
		dp_ports[outer]=${dp_ports[inner]}
		for i in back farm stage; do
			dp_port[outer.$i]=${dp_port[inner.$i]}
		done
		for i in outside front; do
			dp_port[inner.$i]=${dp_port[outer.$i]}
		done
	fi
	net_address "$(dp_host inner)" farm 10.4.0.253/24
	net_address "$(dp_host inner)" farm fd00:4::253/64
}

# What every outer dispatcher's configuration needs beside its own words.
sw_upstream='
	route "0.0.0.0/0" { via = "198.51.100.1" port = "outside" }
	route "::/0" { via = "2001:db8:51::1" port = "outside" }'

sw_paths() { # the sections of all firewalls
	local i weight
	for ((i = 1; i <= SW_FWS; i++)); do
		weight=SW_WEIGHT_$i
		cat <<-END
			path "fw$i" {
				id = $i
				addresses = { "10.2.0.$i", "10.3.0.$i", "fd00:2::$i", "fd00:3::$i" }
				weight = ${!weight:-1}
			}
		END
	done
}

# sw_outer [OPTIONS], sw_inner [OPTIONS] [SERVICES]: their dp_text. Later options win.
sw_outer() {
	dp_text[outer]="
$sw_upstream
$(sw_paths)
dispatcher \"outer\" {
	role = \"outer\"
	firewall-port = \"front\"
	ports = { \"outside\" }
	${1:-}
}"
}
sw_inner() {
	local ports='"farm"'
	[ -z "$SW_STAGES" ] || ports='"farm", "stage"'
	dp_text[inner]="
$(sw_paths)
dispatcher \"inner\" {
	role = \"inner\"
	firewall-port = \"back\"
	ports = { $ports }
	${1:-}
}
${2:-}"
}
# sw_both OUTER_OPTIONS INNER_OPTIONS [SERVICES]: the same text for both nodes, each of which may
# play both dispatchers.
sw_both() {
	local ports='"farm"' spares= name
	[ -z "$SW_STAGES" ] || ports='"farm", "stage"'
	for name in $SW_SPARES; do
		spares+=", \"$name\""
	done
	dp_text[outer]="
$sw_upstream
$(sw_paths)
dispatcher \"outer\" {
	role = \"outer\"
	firewall-port = \"front\"
	ports = { \"outside\" }
	nodes = { \"outer\", \"inner\"$spares }
	${1:-}
}
dispatcher \"inner\" {
	role = \"inner\"
	firewall-port = \"back\"
	ports = { $ports }
	nodes = { \"inner\", \"outer\"$spares }
	${2:-}
}
${3:-}"
	for name in inner $SW_SPARES; do
		dp_text[$name]=${dp_text[outer]}
	done
}
# role_of NODE DISPATCHER: what the node is of it: active, standby, ...
role_of() {
	json "$1" show dispatchers | jq -r --arg d "$2" \
		'.dispatchers[] | select(.dispatcher == $d) | .takeover.state'
}
# sw_stage_text NAME FROM [OPTIONS] [SERVICES]
sw_stage_text() {
	dp_text[$1]="
$(sw_paths)
dispatcher \"$1\" {
	role = \"stage\"
	firewall-port = \"back\"
	ports = { \"stage\", \"farm\" }
	from = { $2 }
	${3:-}
}
${4:-}"
}

# sw_targets NAME...: target sections of servers, as plain as they can be; `NAME=more text`.
sw_targets() {
	local word name n
	for word in "$@"; do
		name=${word%%=*} n=${word%%=*}
		n=$((10 + ${n#web}))
		[ "$word" = "$name" ] && word=$name=
		cat <<-END
			target "$name" {
				addresses = { "10.4.0.$n", "fd00:4::$n" }
				${word#*=}
			}
		END
	done
}

# sw_spare NAME N: it stands by for both; .N is its kernel's address on the farm.
sw_spare() {
	local port
	net_host "$1"
	sw_plug "$1" outside front back farm stage cluster
	net_address "$1" farm "10.4.0.$2/24"
	net_address "$1" farm "fd00:4::$2/64"
	dp_names+=("$1")
	dp_ports[$1]=${dp_ports[inner]}
	for port in ${dp_ports[inner]}; do
		dp_port[$1.$port]=${dp_port[inner.$port]}
	done
}

sw_stage() { # NAME
	local n=$((101 + $(printf %d "'${1: -1}") - $(printf %d "'a")))
	net_host "$1"
	sw_plug "$1" back stage farm cluster
	net_address "$1" farm 10.4.0.$((n + 100))/24
	net_address "$1" farm fd00:4::$((n + 100))/64
	dp_names+=("$1")
	dp_ports[$1]='stage farm back'
	dp_port[$1.back]="
	addresses = { \"10.3.0.$n/24\", \"fd00:3::$n/64\" }"
	dp_port[$1.stage]="
	addresses = { \"10.5.0.$n/24\", \"fd00:5::$n/64\" }"
	dp_port[$1.farm]="
	addresses = { \"10.4.0.$n/24\", \"fd00:4::$n/64\" }
	answer-for = { \"10.4.0.$((n + 50))\", \"fd00:4::$((n + 50))\" }"
}

# sw_host NODE: what its host needs. A kernel without a way out tells senders so for every copy of
# an IPv6 packet it gets; not where the daemon has a MAC address of its own, or with a blackhole.
sw_host() {
	local port
	if [ "$SW_MAC" = 0 ]; then
		ip -n "$(dp_host "$1")" -6 route replace blackhole default metric 65535
		return 0
	fi
	for port in ${dp_ports[$1]}; do
		sw_mac[$(dp_host "$1").$port]=$(printf '02:fc:00:00:00:%02x' $((${#sw_mac[@]} + 1)))
		dp_port[$1.$port]+="
	mac = \"${sw_mac[$(dp_host "$1").$port]}\""
	done
}

sw_cluster() {
	local name n=0
	[ "$SW_CLUSTER" = 1 ] || return 0
	for name in "${dp_names[@]}"; do
		n=$((n + 1))
		dp_address[$name]=10.9.0.$n
		net_address "$(dp_host "$name")" cluster 10.9.0.$n/24
	done
}

# --- firewalls -------------------------------------------------------------------------------

sw_firewall() { # N
	local name=fw$1
	if [ "$SW_FIREWALLS" = cluster ]; then
		net_host "$name"
	else
		net_router "$name"
	fi
	sw_plug "$name" front back
	net_address "$name" front "10.2.0.$1/24"
	net_address "$name" front "fd00:2::$1/64"
	net_address "$name" back "10.3.0.$1/24"
	net_address "$name" back "fd00:3::$1/64"
	ip -n "$name" route add default via 10.2.0.254
	ip -n "$name" -6 route add default via fd00:2::254
	ip -n "$name" route add 10.4.0.0/24 via 10.3.0.254
	ip -n "$name" -6 route add fd00:4::/64 via fd00:3::254
	ip -n "$name" route add $VIPS via 10.3.0.254
	ip -n "$name" -6 route add $VIPS6 via fd00:3::254
	if [ "$SW_FIREWALLS" = cluster ]; then
		sw_plug "$name" cluster
		net_address "$name" cluster "10.9.0.$((100 + $1))/24"
		fw_names+=("$name")
		fw_ports[$name]='outside=front inside=back'
		fw_link[$name]=cluster
		fw_address[$name]=10.9.0.$((100 + $1))
		return 0
	fi
	# One that has not seen a connection begin must not take it up in the middle.
	run_in "$name" sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
	sw_rules | run_in "$name" nft -f -
}

SW_TCP='7, 21, 53, 80, 443, 5201, 8000-8099, 50000-50199'
SW_UDP='53, 7007, 33434-33534'
sw_rules() {
	cat <<-END
		table inet fw {
			counter invalid { }
			counter notnew { }
			counter refused { }
			counter opened { }
			counter passed { }
			ct helper ftp4 { type "ftp" protocol tcp; l3proto ip; }
			ct helper ftp6 { type "ftp" protocol tcp; l3proto ip6; }
			chain forward {
				type filter hook forward priority 0; policy drop;
				ct state invalid counter name invalid drop
				ct state established,related counter name passed accept
				meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn \\
					counter name notnew drop
				meta l4proto icmp icmp type != echo-request counter name notnew drop
				meta l4proto icmpv6 icmpv6 type != echo-request counter name notnew drop
				# answers of servers to questions this firewall did not see
				iifname "back" udp sport { 53, 7007 } counter name notnew drop
				# active FTP: only what the control connection told this firewall
				iifname "back" tcp sport 20 counter name notnew drop
				tcp dport 21 meta nfproto ipv4 ct helper set "ftp4"
				tcp dport 21 meta nfproto ipv6 ct helper set "ftp6"
				meta l4proto { icmp, icmpv6 } counter name passed accept
				iifname "back" counter name opened accept
				tcp dport { $SW_TCP } counter name opened accept
				udp dport { $SW_UDP } counter name opened accept
				counter name refused drop
			}
		}
	END
}

# The same policy for members of a firewall cluster.
SW_CLUSTER_RULES='
	rule "out" { action = "pass" in = "inside" out = "outside" }
	rule "probes" { action = "pass" protocol = { "icmp", "icmp6" } }
	rule "tcp" {
		action = "pass"
		in = "outside"
		out = "inside"
		protocol = { "tcp" }
		ports = { "7", "21", "53", "80", "443", "5201", "8000-8099", "50000-50199" }
	}
	rule "udp" {
		action = "pass"
		in = "outside"
		out = "inside"
		protocol = { "udp" }
		ports = { "53", "7007", "33434-33534" }
	}'
sw_firewalls_start() {
	local i names=()
	[ "$SW_FIREWALLS" = cluster ] || return 0
	for ((i = 1; i <= SW_FWS; i++)); do
		names+=("fw$i")
	done
	LAB_RULES=$SW_CLUSTER_RULES fw_start "${names[@]}" && fw_meet "${names[@]}"
}

# fw_count N COUNTER: packets (of `opened`: flows). Members of a cluster have their own counters.
declare -A fw_before=()
fw_count() {
	if [ "$SW_FIREWALLS" = cluster ]; then
		[ "$2" = opened ] || { echo 0; return 0; }
		echo $(($(counter "fw$1" flows-created) - ${fw_before[$1]:-0}))
		return 0
	fi
	run_in "fw$1" nft -j list counter inet fw "$2" | jq '.nftables[] | .counter? // empty | .packets'
}
# fw_sum COUNTER...: over all firewalls.
fw_sum() {
	local i name sum=0
	for ((i = 1; i <= SW_FWS; i++)); do
		for name in "$@"; do
			sum=$((sum + $(fw_count "$i" "$name")))
		done
	done
	echo $sum
}
# No packet came to a firewall that had not seen its flow begin.
fw_none_wrong() {
	local i bad=0
	for ((i = 1; i <= SW_FWS; i++)); do
		if [ "$(fw_count "$i" invalid) $(fw_count "$i" notnew)" != "0 0" ]; then
			echo "fw$i: invalid $(fw_count "$i" invalid), notnew $(fw_count "$i" notnew)"
			bad=1
		fi
	done
	return $bad
}
# fw_shares: TCP and UDP flows that each has seen begin, as "10 10 10".
fw_shares() {
	local i
	for ((i = 1; i <= SW_FWS; i++)); do
		((i == 1)) || printf ' '
		printf '%d' "$(fw_count "$i" opened)"
	done
}
fw_reset_counts() {
	local i
	for ((i = 1; i <= SW_FWS; i++)); do
		if [ "$SW_FIREWALLS" = cluster ]; then
			fw_before[$i]=$(counter "fw$i" flows-created)
		else
			run_in "fw$i" nft reset counters >/dev/null
		fi
	done
}
# fw_die N, fw_return N: a firewall loses its power: its state, too.
fw_die() {
	ip -n "fw$1" link set front down
	ip -n "fw$1" link set back down
}
fw_return() {
	run_in "fw$1" conntrack -F >/dev/null 2>&1
	ip -n "fw$1" link set front up
	ip -n "fw$1" link set back up
	# Addresses and routes of IPv6 went with the links.
	net_address "fw$1" front "fd00:2::$1/64" 2>/dev/null
	net_address "fw$1" back "fd00:3::$1/64" 2>/dev/null
	ip -n "fw$1" route replace default via 10.2.0.254
	ip -n "fw$1" -6 route replace default via fd00:2::254
	ip -n "fw$1" route replace 10.4.0.0/24 via 10.3.0.254
	ip -n "fw$1" -6 route replace fd00:4::/64 via fd00:3::254
	ip -n "fw$1" route replace $VIPS via 10.3.0.254
	ip -n "fw$1" -6 route replace $VIPS6 via fd00:3::254
}

# --- links -----------------------------------------------------------------------------------

# On each link, in each direction: all frames, those to a virtual address, those from one, and TCP
# segments with a stamp. `tx` is what the host sends, `rx` what reaches it (by its MAC address).
sw_links_count() {
	local link id mac
	for link in "${sw_links[@]}"; do
		id=${link//-/_}
		mac=$(ip -n "${link%.*}" -j link show dev "${link##*.}" | jq -r '.[0].address')
		sw_link_chain "$link" "$id.tx" ingress ''
		mac+=${sw_mac[$link]:+, ${sw_mac[$link]}}
		sw_link_chain "$link" "$id.rx" egress "ether daddr { $mac } "
	done >"$LAB_DIR/links.nft"
	run_in switch nft -f "$LAB_DIR/links.nft"
}
sw_link_chain() { # LINK ID HOOK MATCH
	local name
	echo "table netdev lab {"
	for name in all requests answers stamps; do
		echo "	counter $2.$name { }"
	done
	cat <<-END
			chain ${2//./_} {
				type filter hook $3 device "$1" priority 0;
				${4}counter name $2.all
				${4}ip daddr $VIPS counter name $2.requests
				${4}ip6 daddr $VIPS6 counter name $2.requests
				${4}ip saddr $VIPS counter name $2.answers
				${4}ip6 saddr $VIPS6 counter name $2.answers
				${4}tcp option 253 exists counter name $2.stamps
			}
		}
	END
}
# link_count LINK tx|rx all|requests|answers|stamps: packets so far.
link_count() {
	run_in switch nft -j list counter netdev lab "${1//-/_}.$2.$3" |
		jq '.nftables[] | .counter? // empty | .packets'
}
links_reset() { run_in switch nft reset counters >/dev/null; }
# stamps_on LINK...: SYNs with a stamp on these links, both directions.
stamps_on() {
	local link sum=0
	for link in "$@"; do
		sum=$((sum + $(link_count "$link" tx stamps) + $(link_count "$link" rx stamps)))
	done
	echo $sum
}

# --- servers ---------------------------------------------------------------------------------

sw_server() { # NAME HOST_NUMBER
	local i
	net_host "$1"
	sw_plug "$1" farm
	run_in "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	net_address "$1" farm "10.4.0.$2/24"
	net_address "$1" farm "fd00:4::$2/64"
	for i in {0..7}; do
		net_address "$1" lo "$(vip "$i")/32"
		net_address "$1" lo "$(vip6 "$i")/128"
	done
	sw_gateway "$1" 254
}

# sw_gateway SERVER N: its answers leave by the dispatcher with that number on the farm.
sw_gateway() {
	ip -n "$1" route replace default via "10.4.0.$2"
	ip -n "$1" -6 route replace default via "fd00:4::$2"
}

# The kernel in the place of outer and inner: everything by fw1 to web1.
sw_plain() {
	local host
	for host in outer inner; do
		run_in "$host" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.outside.proxy_arp=1 \
			2>/dev/null
	done
	net_address outer outside 198.51.100.254/24
	net_address outer outside 2001:db8:51::254/64
	net_address outer front 10.2.0.254/24
	net_address outer front fd00:2::254/64
	net_address inner back 10.3.0.254/24
	net_address inner back fd00:3::254/64
	net_address inner farm 10.4.0.254/24
	net_address inner farm fd00:4::254/64
	ip -n outer route add default via 198.51.100.1
	ip -n outer -6 route add default via 2001:db8:51::1
	ip -n outer route add 10.0.0.0/8 via 10.2.0.1
	ip -n outer -6 route add fd00::/16 via fd00:2::1
	ip -n outer route add $VIPS via 10.2.0.1
	ip -n outer -6 route add $VIPS6 via fd00:2::1
	run_in outer sysctl -qw net.ipv6.conf.all.proxy_ndp=1 net.ipv6.conf.outside.proxy_ndp=1
	for host in {0..7}; do
		ip -n outer -6 neigh add proxy "$(vip6 "$host")" dev outside
	done
	ip -n inner route add default via 10.3.0.1
	ip -n inner -6 route add default via fd00:3::1
	ip -n inner route add $VIPS via 10.4.0.11
	ip -n inner -6 route add $VIPS6 via fd00:4::11
}
