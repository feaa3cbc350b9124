#!/bin/bash
# lab_dispatch.sh [bulk] [packets] [connects] [latency] - dispatchers beside HAProxy (TCP mode) and
# beside the kernel's own way to do the same: nftables' stateful forwarding (outer), hashed DNAT
# (l4/3), `fwd` at ingress with a hashed MAC address (l4/2). Same hosts, same generators, one after
# the other in turn, medians of the rounds. Without arguments: all. Only the ratios within one run
# mean anything. Prints markdown tables.
#
#   client 10.3.0.1 ── back ─┬─ box .254 ───────┬─ farm 10.4.0.0/24 ─┬─ web1 .11
#                            ├─ stage-a .101 ───┤                    └─ web2 .12
#                            └─ stage-b .102 ───┘        both hold the service's 198.51.100.80
#
# The client is its own firewall for l4/2 and l4/3: the box learns the path from its frames. For
# the outer role web1 is firewall and server in one. `2 stages` is l4/2 by stage-a, `3 stages` by
# stage-a and stage-b; answers leave by the last stage.
#
# BENCH_ROUNDS (3), BENCH_SECONDS (5), BENCH_KINDS (all).
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_TESTS/dispatchers.sh"
. "$LAB_TOP/tests/bench/lab_measure.sh"

ROUNDS=${BENCH_ROUNDS:-3}
SECONDS_EACH=${BENCH_SECONDS:-5}
read -ra KINDS <<<"${BENCH_KINDS:-nft-outer outer outer-offload nft-l42 l42 l42-offload nft-l43 l43 l43-offload haproxy stages2 stages2-offload stages3}"
UDPGEN=$BUILD/tests/bench/udpgen
TCPGEN=$BUILD/tests/bench/tcpgen
VIP=198.51.100.80
PORT=8000 BULK_PORT=5201
CLIENT=10.3.0.1
LAB_LOG=${LAB_LOG:-warning}

declare -A result=()
declare -A title_of=(
	[nft-outer]="nftables, stateful forwarding" [outer]="fwclusterd, outer"
	[nft-l42]="nftables, fwd at ingress" [l42]="fwclusterd, l4/2"
	[nft-l43]="nftables, hashed DNAT" [l43]="fwclusterd, l4/3"
	[haproxy]="HAProxy, TCP mode"
	[outer-offload]="fwclusterd, outer, offload" [l42-offload]="fwclusterd, l4/2, offload"
	[l43-offload]="fwclusterd, l4/3, offload" [stages2-offload]="fwclusterd, l4/2, 2 stages, offload"
	[stages2]="fwclusterd, l4/2, 2 stages" [stages3]="fwclusterd, l4/2, 3 stages"
)
# What a figure is compared with.
declare -A kernel_of=([outer]=nft-outer [l42]=nft-l42 [l43]=nft-l43 [stages2]=l42 [stages3]=stages2
	[outer-offload]=nft-outer [l42-offload]=nft-l42 [l43-offload]=nft-l43
	[stages2-offload]=l42-offload)
OFFLOAD= # an option of the ports

# --- the hosts -------------------------------------------------------------------------------

lay() {
	local host n
	net_bridge back
	net_bridge farm
	net_bridge cluster
	net_host client box stage-a stage-b web1 web2
	net_plug client eth0 back $CLIENT/24
	net_plug client direct farm 10.4.0.1/24
	ip -n client route add $VIP via 10.3.0.254
	for host in box stage-a stage-b; do
		net_plug $host back back
		net_plug $host farm farm
		net_plug $host cluster cluster
	done
	n=0
	for host in box stage-a stage-b; do
		n=$((n + 1))
		net_address $host cluster 10.9.0.$n/24
	done
	for n in 1 2; do
		net_plug web$n eth0 farm 10.4.0.$((10 + n))/24
		run_in web$n sysctl -qw net.ipv4.conf.all.arp_ignore=1 \
			net.ipv4.conf.all.arp_announce=2
		net_address web$n lo $VIP/32
	done
	for host in client box web1 web2; do
		run_in $host sysctl -qw net.ipv4.ip_local_port_range='1024 65000' \
			net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=8192
	done
	for n in 1 2; do
		start_in web$n tcpgen.web$n "$TCPGEN" -l $PORT
		start_in web$n iperf3.web$n iperf3 -s
		wait_for 10 "run_in web$n ss -lntH sport = :$PORT | grep -q ." || return 1
		wait_for 10 "run_in web$n ss -lntH sport = :$BULK_PORT | grep -q ." || return 1
	done
}

mac_of() { ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'; }

# --- the kernel, and HAProxy -----------------------------------------------------------------

box_addresses() { # add|del
	ip -n box addr "$1" 10.3.0.254/24 dev back
	ip -n box addr "$1" 10.4.0.254/24 dev farm
}

nft_outer() {
	run_in box sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
	ip -n box route add $VIP via 10.4.0.11
	run_in box nft -f - <<-END
		table inet fw {
			chain forward {
				type filter hook forward priority 0; policy drop;
				ct state established,related accept
				iifname "back" accept
			}
		}
	END
}

nft_l42() {
	local web1 web2 client
	web1=$(mac_of web1 eth0) web2=$(mac_of web2 eth0) client=$(mac_of client eth0)
	run_in box nft -f - <<-END
		table netdev balance {
			chain in {
				type filter hook ingress device "back" priority 0;
				ip daddr $VIP tcp dport $BULK_PORT ether daddr set $web1 fwd to "farm"
				ip daddr $VIP ether daddr set jhash ip saddr . th sport mod 2 \\
					map { 0 : $web1, 1 : $web2 } fwd to "farm"
			}
			chain out {
				type filter hook ingress device "farm" priority 0;
				ip saddr $VIP ether daddr set $client fwd to "back"
			}
		}
	END
}

nft_l43() {
	run_in box sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
	run_in box nft -f - <<-END
		table ip balance {
			chain in {
				type nat hook prerouting priority -100;
				ip daddr $VIP tcp dport $BULK_PORT dnat to 10.4.0.11
				ip daddr $VIP dnat to jhash ip saddr . th sport mod 2 \\
					map { 0 : 10.4.0.11, 1 : 10.4.0.12 }
			}
		}
	END
}

haproxy_start() {
	net_address box lo $VIP/32
	cat >"$LAB_DIR/haproxy.cfg" <<-END
		global
			maxconn 4000
		defaults
			mode tcp
			timeout connect 5s
			timeout client 1h
			timeout server 1h
		listen web
			bind $VIP:$PORT
			balance roundrobin
			server web1 10.4.0.11:$PORT
			server web2 10.4.0.12:$PORT
		listen bulk
			bind $VIP:$BULK_PORT
			server web1 10.4.0.11:$BULK_PORT
	END
	start_in box haproxy haproxy -db -f "$LAB_DIR/haproxy.cfg"
	wait_for 10 "run_in box ss -lntH sport = :$PORT | grep -q ."
}

# --- fwclusterd ------------------------------------------------------------------------------

# node NAME NUMBER: its ports, with MAC addresses of their own, as doc/performance.md recommends.
node() {
	dp_names+=("$1")
	dp_ports[$1]='back farm'
	dp_port[$1.back]="
	addresses = { \"10.3.0.$2/24\" }
	mac = \"02:fc:00:00:03:$(printf %02x "$2")\"
	$OFFLOAD"
	dp_port[$1.farm]="
	addresses = { \"10.4.0.$2/24\" }
	mac = \"02:fc:00:00:04:$(printf %02x "$2")\"
	$OFFLOAD"
}

service() { # TECHNOLOGY TARGETS BULK_TARGET
	local name protocol ports targets
	for name in web bulk udp; do
		protocol=tcp ports="ports = { \"$PORT\" }" targets=$2
		[ $name = bulk ] && ports="ports = { \"$BULK_PORT\" }" targets=$3
		[ $name = udp ] && protocol=udp ports=
		cat <<-END
			service "$name" {
				addresses = { "$VIP" }
				protocol = "$protocol"
				$ports
				technology = "$1"
				algorithm = "round-robin"
				targets = { $targets }
			}
		END
	done
	case $2 in
	*web*)
		echo 'target "web1" { addresses = { "10.4.0.11" } }'
		echo 'target "web2" { addresses = { "10.4.0.12" } }'
		;;
	*) echo "target $2 { member = $2 }" ;;
	esac
}

dispatcher() { # NAME ROLE FIREWALL_PORT PORT FIREWALL [OPTIONS]
	dp_text[$1]="
path \"fw1\" { id = 1 addresses = { \"$5\" } }
dispatcher \"$1\" {
	role = \"$2\"
	firewall-port = \"$3\"
	ports = { \"$4\" }
	max-flows = 500000
	${6:-}
}"
}

stages() { # HOW MANY
	local name next last number=254 previous=
	local names=(box stage-a stage-b)
	names=("${names[@]:0:$1}")
	last=${names[-1]}
	for name in "${names[@]}"; do
		node "$name" $number
		dp_address[$name]=10.9.0.${#dp_names[@]}
		next=${names[${#dp_names[@]}]:-}
		if [ -z "$previous" ]; then
			dispatcher "$name" inner back farm $CLIENT
		else
			dispatcher "$name" stage back farm $CLIENT "from = { \"$previous\" }"
		fi
		if [ "$name" = "$last" ]; then
			dp_text[$name]+=$'\n'$(service l4/2 '"web1", "web2"' '"web1"')
			gateway_of_servers=10.4.0.$number
		else
			dp_text[$name]+=$'\n'$(service l4/2 "\"$next\"" "\"$next\"")
		fi
		previous=$name
		[ $number = 254 ] && number=100
		number=$((number + 1))
	done
}

fwclusterd_up() { # KIND
	local name
	dp_names=() dp_address=() OFFLOAD=
	case $1 in *-offload) OFFLOAD="offload = true" ;; esac
	set -- "${1%-offload}"
	case $1 in
	outer)
		node box 254
		dispatcher box outer farm back 10.4.0.11
		;;
	l42 | l43)
		node box 254
		dispatcher box inner back farm $CLIENT
		dp_text[box]+=$'\n'$(service "l4/${1#l4}" '"web1", "web2"' '"web1"')
		;;
	stages*) stages "${1#stages}" ;;
	esac
	dp_start "${dp_names[@]}" || return 1
	for name in "${dp_names[@]}"; do
		[ ${#dp_address[@]} = 0 ] || wait_for 15 "[ \$(members_up $name) -ge $((${#dp_names[@]} - 1)) ]" ||
			return 1
		wait_for 10 "paths_up $name 1" || return 1
	done
}

# --- one after the other ---------------------------------------------------------------------

up() { # KIND
	local host
	gateway_of_servers=10.4.0.254
	case $1 in
	nft-* | haproxy) box_addresses add ;;
	esac
	case $1 in
	nft-outer) nft_outer ;;
	nft-l42) nft_l42 ;;
	nft-l43) nft_l43 ;;
	haproxy) haproxy_start ;;
	*) fwclusterd_up "$1" ;;
	esac || return 1
	for host in web1 web2; do
		ip -n $host route replace default via $gateway_of_servers
	done
	for host in client web1 web2; do
		ip -n $host neigh flush all 2>/dev/null
	done
	# Neighbours are found by the first connections.
	wait_for 10 "[ \$(run_in client $TCPGEN -d $VIP -p $PORT -c 1 -t 1 |
		awk '{ print \$2 }') -gt 10 ]"
}

down() { # KIND
	case $1 in
	nft-*)
		run_in box sysctl -qw net.ipv4.ip_forward=0
		run_in box nft flush ruleset
		run_in box conntrack -F >/dev/null 2>&1
		ip -n box route del $VIP 2>/dev/null
		;;
	haproxy)
		stop haproxy
		ip -n box addr del $VIP/32 dev lo
		;;
	*) dp_end ;;
	esac
	case $1 in
	nft-* | haproxy) box_addresses del ;;
	esac
}

# each WHAT COMMAND: in every round, with each kind at work. The command gets the kind.
each() {
	local round kind
	for ((round = 1; round <= ROUNDS; round++)); do
		for kind in "${KINDS[@]}"; do
			note "$1, round $round: $kind" >&2
			if up "$kind" >&2; then
				"$2" "$kind"
			else
				note "$kind does not work" >&2
			fi
			down "$kind" >&2
		done
	done
}

keep() { echo "$3" >>"$LAB_DIR/$1.$2"; } # WHAT KIND VALUE
value() { # WHAT KIND: the median
	[ -s "$LAB_DIR/$1.$2" ] && median <"$LAB_DIR/$1.$2"
}
ALSO=haproxy
# One row: each figure, with its ratio to the kernel's (to one stage less) and to those ALSO given. For
# figures that are better when lower the ratio is turned round.
row() { # KIND FORMAT FACTOR LOWER? WHAT...
	local kind=$1 format=$2 factor=$3 lower=$4 what figure of base
	shift 4
	printf '| %s |' "${title_of[$kind]}"
	for what in "$@"; do
		figure=$(value "$what" "$kind")
		if [ -z "$figure" ]; then
			printf ' - | - |%s' "${ALSO:+ - |}"
			continue
		fi
		# shellcheck disable=SC2059 # the format is ours
		printf " $format |" "$(awk -v v="$figure" -v f="$factor" 'BEGIN { print v * f }')"
		for base in "${kernel_of[$kind]:-none}" $ALSO; do
			of=$(value "$what" "$base")
			if [ -z "$of" ]; then
				printf ' - |'
			elif [ "$lower" = 1 ]; then
				printf ' %s |' "$(ratio "$of" "$figure")"
			else
				printf ' %s |' "$(ratio "$figure" "$of")"
			fi
		done
	done
	echo
}

# --- bulk TCP --------------------------------------------------------------------------------

bulk_once() { # KIND
	local direction option figure
	for direction in up down; do
		option=
		[ $direction = down ] && option=-R
		# shellcheck disable=SC2086 # one option or none
		figure=$(run_in client iperf3 -J -c $VIP -p $BULK_PORT -t "$SECONDS_EACH" $option 2>/dev/null |
			jq '(.end.sum_received.bits_per_second // 0) / 1e9')
		keep bulk.$direction "$1" "${figure:-0}"
	done
}

bulk() {
	local kind
	each bulk bulk_once
	echo "### Dispatchers: bulk TCP, one stream, offloads on"
	echo
	echo "The kernel's: the row above that does the same; for more stages: one stage less."
	echo
	echo "| dispatcher | upload Gbit/s | of the kernel's | of HAProxy's | download Gbit/s | of the kernel's | of HAProxy's |"
	echo "|---|---|---|---|---|---|---|"
	for kind in "${KINDS[@]}"; do
		row "$kind" %.2f 1 0 bulk.up bulk.down
	done
	echo
}

# --- small packets ---------------------------------------------------------------------------

generate() { # SECONDS: sets sent, busy and spent (ns of the whole machine, of the clock)
	local before after out mac
	run_in client ping -q -c 1 -W 1 10.3.0.254 >/dev/null
	mac=$(ip -n client -j neigh show to 10.3.0.254 | jq -r '.[0].lladdr')
	before=$(busy_ns)
	out=$(run_in client "$UDPGEN" -i eth0 -m "$mac" -a "$(mac_of client eth0)" -s $CLIENT -d $VIP -n "$FLOWS" -t "$1" \
		${BENCH_RATE:+-r $BENCH_RATE})
	after=$(busy_ns)
	read -r _ sent _ spent _ <<<"$out"
	busy=$((after - before))
}

packets_once() { # KIND
	local sent busy spent got before
	[ "$1" = haproxy ] && return 0 # knows no UDP
	count_at web1 eth0
	count_at web2 eth0
	generate 2 # the flows come into being
	before=$(($(counted web1) + $(counted web2)))
	generate "$SECONDS_EACH"
	got=$(($(counted web1) + $(counted web2) - before))
	count_off web1
	count_off web2
	[ $got -gt 0 ] || return 0
	keep packets.rate "$1" "$(awk -v g=$got -v t="$spent" 'BEGIN { print g / (t / 1e9) }')"
	keep packets.cost "$1" \
		"$(awk -v s="$sent" -v b=$busy -v g=$got -v c="$GENERATOR" 'BEGIN { print (b - c * s) / g }')"
}

# What generating alone costs: the box's interface drops everything.
calibrate() {
	local sent busy spent
	box_addresses add
	count_at box back
	generate "$SECONDS_EACH"
	count_off box
	box_addresses del
	GENERATOR=$(awk -v b="$busy" -v s="$sent" 'BEGIN { print b / s }')
	note "generating costs $GENERATOR ns a packet" >&2
}

packets() {
	local kind ALSO=
	for FLOWS in 1000 100000; do
		rm -f "$LAB_DIR"/packets.*
		calibrate
		each "packets, $FLOWS flows" packets_once
		echo "### Dispatchers: 60-byte UDP, $FLOWS flows"
		echo
		echo "CPU = busy time of the whole machine less what generating costs. Ratios of CPU are"
		echo "turned round: more is better, as packets per busy CPU second."
		echo
		echo "| dispatcher | delivered/s | of the kernel's | ns CPU per packet | of the kernel's |"
		echo "|---|---|---|---|---|"
		for kind in "${KINDS[@]}"; do
			[ "$kind" = haproxy ] && continue
			printf '%s%s\n' "$(row "$kind" %.0f 1 0 packets.rate)" \
				"$(row "$kind" %.0f 1 1 packets.cost | cut -d'|' -f3-)"
		done
		echo
	done
}

# --- connections -----------------------------------------------------------------------------

connects_once() { # KIND
	local out before busy
	before=$(busy_ns)
	out=$(run_in client "$TCPGEN" -d $VIP -p $PORT -c 64 -t "$SECONDS_EACH")
	busy=$(($(busy_ns) - before))
	keep connects.rate "$1" "$(awk '{ print $2 / ($4 / 1e9) }' <<<"$out")"
	keep connects.cost "$1" "$(awk -v b=$busy '{ if ($2) print b / $2 }' <<<"$out")"
}

connects() {
	local kind
	each connects connects_once
	echo "### Dispatchers: new connections, 64 at once, one byte there and back"
	echo
	echo "CPU = busy time of the whole machine, client and servers included; its ratios are turned"
	echo "round (more is better)."
	echo
	echo "| dispatcher | connections/s | of the kernel's | of HAProxy's | us CPU each | of the kernel's | of HAProxy's |"
	echo "|---|---|---|---|---|---|---|"
	for kind in "${KINDS[@]}"; do
		printf '%s%s\n' "$(row "$kind" %.0f 1 0 connects.rate)" \
			"$(row "$kind" %.1f 0.001 1 connects.cost | cut -d'|' -f3-)"
	done
	echo
}

# --- latency ---------------------------------------------------------------------------------

echoes() { # ADDRESS KIND
	local out
	out=$(run_in client "$TCPGEN" -d "$1" -p $PORT -e 500 -t "$SECONDS_EACH")
	keep latency.median "$2" "$(awk '{ print $4 / 1000 }' <<<"$out")"
	keep latency.p99 "$2" "$(awk '{ print $6 / 1000 }' <<<"$out")"
}
latency_once() { # KIND: the cable alone just before, so that both see the same machine
	echoes 10.4.0.11 direct
	echoes $VIP "$1"
}

latency() {
	local kind what
	each latency latency_once
	echo "### Dispatchers: added latency, 500 echoes a second over one connection"
	echo
	echo "Microseconds of a round trip, less those of the cable alone (measured in turn)."
	echo
	echo "| dispatcher | median | added | 99th percentile | added |"
	echo "|---|---|---|---|---|"
	for kind in direct "${KINDS[@]}"; do
		printf '| %s |' "${title_of[$kind]:-the cable alone}"
		for what in median p99; do
			awk -v a="$(value latency.$what "$kind")" -v b="$(value latency.$what direct)" \
				'BEGIN { printf " %.0f | %.0f |", a, a - b }'
		done
		echo
	done
	echo
}

# --- all -------------------------------------------------------------------------------------

lay >&2 || exit 1
if ! command -v haproxy >/dev/null; then
	echo "(HAProxy is not installed: left out.)"
	for i in "${!KINDS[@]}"; do
		[ "${KINDS[i]}" = haproxy ] && unset "KINDS[i]"
	done
fi
quiet_machine
for part in "${@:-bulk packets connects latency}"; do
	for word in $part; do
		"$word" | tee -a "$LAB_DIR/bench.md"
	done
done
[ "$LAB_MADE" = 1 ] && [ "${LAB_KEEP:-0}" != 1 ] && rm -rf "$LAB_DIR"
exit 0
