#!/bin/bash
# lab_bench.sh [bulk] [packets] [connects] - fwclusterd beside Linux' own stateful forwarding
# (nftables) and, for the cluster, beside two nftables firewalls with conntrackd. Same namespaces,
# same generators, one after the other in turn, medians of the rounds. Without arguments: all.
# Only the ratios within one run mean anything. Prints markdown tables; topology: topo_cluster.sh.
#
# BENCH_ROUNDS (3), BENCH_SECONDS (5), BENCH_CONNECTS (1000), BENCH_SLOW (40: connections of a
# peer each of which takes a second or more), BENCH_KERNEL_ONLY=1 (baselines alone).
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TOP/tests/bench/lab_measure.sh"

ROUNDS=${BENCH_ROUNDS:-3}
SECONDS_EACH=${BENCH_SECONDS:-5}
CONNECTS=${BENCH_CONNECTS:-1000}
SLOW=${BENCH_SLOW:-40}
FORWARDERS=(plain nft)
[ "${BENCH_KERNEL_ONLY:-0}" = 1 ] || FORWARDERS+=(fwclusterd offload)
UDPGEN=$LAB_DIR/udpgen

declare -A result=()

# --- forwarders ------------------------------------------------------------------------------

kernel_off() { # HOST...
	local host
	for host in "$@"; do
		run_in "$host" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
		run_in "$host" nft flush ruleset
		run_in "$host" conntrack -F >/dev/null 2>&1
	done
}

# "offload": fwclusterd with the packets of known flows left to the kernel.
bench_offload() { # HOST...
	local host port
	for host in "$@"; do
		for port in inside outside; do
			fw_port[$host.$port]+=$'\n\toffload = true'
		done
	done
}

forwarder_up() { # KIND HOST...
	local kind=$1
	shift
	case $kind in
	plain) LAB_FW=plain fw_start "$@" ;;
	nft) LAB_FW=nft fw_start "$@" ;;
	fwclusterd | offload) # as doc/performance.md recommends it
		lab_virtual on
		[ "$kind" = offload ] && bench_offload "$@"
		LAB_FW=daemon fw_start "$@" && LAB_FW=daemon fw_meet "$@"
		;;
	esac
}

forwarder_down() { # KIND HOST...
	local kind=$1
	shift
	if [ "$kind" = fwclusterd ] || [ "$kind" = offload ]; then
		fw_end
		lab_virtual off
	else
		kernel_off "$@"
	fi
}

# --- bulk TCP --------------------------------------------------------------------------------

bulk_once() { # prints Gbit/s
	run_in client iperf3 -J -c $WEB -t "$SECONDS_EACH" "$@" 2>/dev/null |
		jq '(.end.sum_received.bits_per_second // 0) / 1e9'
}

bulk() {
	local round kind what
	for ((round = 1; round <= ROUNDS; round++)); do
		for kind in "${FORWARDERS[@]}"; do
			note "bulk, round $round: $kind" >&2
			forwarder_up $kind fw1 >&2 || continue
			bulk_once >>"$LAB_DIR/bulk.$kind.up"
			bulk_once -R >>"$LAB_DIR/bulk.$kind.down"
			forwarder_down $kind fw1 >&2
		done
	done
	echo "### Bulk TCP through one firewall, one stream, offloads on"
	echo
	echo "| forwarder | upload Gbit/s | of nftables | download Gbit/s | of nftables |"
	echo "|---|---|---|---|---|"
	for kind in "${FORWARDERS[@]}"; do
		for what in up down; do
			result[bulk.$kind.$what]=$(median <"$LAB_DIR/bulk.$kind.$what")
		done
	done
	for kind in "${FORWARDERS[@]}"; do
		printf '| %s | %.2f | %s | %.2f | %s |\n' "$kind" \
			"${result[bulk.$kind.up]}" \
			"$(ratio "${result[bulk.$kind.up]}" "${result[bulk.nft.up]}")" \
			"${result[bulk.$kind.down]}" \
			"$(ratio "${result[bulk.$kind.down]}" "${result[bulk.nft.down]}")"
	done
	echo
}

# --- small packets ---------------------------------------------------------------------------

generate() { # FLOWS SECONDS: sets sent, busy and spent (ns of the whole machine, of the clock)
	local before after out
	before=$(busy_ns)
	out=$(run_in client "$UDPGEN" -i eth0 -m "$GATEWAY" -s $CLIENT -d $WEB -n "$1" -t "$2" \
		${BENCH_RATE:+-r $BENCH_RATE})
	after=$(busy_ns)
	sent=$(awk '{ print $2 }' <<<"$out")
	spent=$(awk '{ print $4 }' <<<"$out")
	busy=$((after - before))
}

# The MAC address that the client's packets for the server go to.
gateway() {
	local via
	via=$(ip -n client -j route get $WEB | jq -r '.[0].gateway')
	# A daemon answers for its addresses once it has probed them.
	wait_for 5 "run_in client ping -q -c 1 -W 1 $via >/dev/null" || return 1
	GATEWAY=$(ip -n client -j neigh show to "$via" | jq -r '.[0].lladdr')
}

# What generating alone costs: the firewall's interface drops everything.
calibrate() {
	local sent busy spent
	gateway || return 1
	count_at fw1 eth0
	generate 1000 "$SECONDS_EACH"
	count_off fw1
	awk -v b="$busy" -v s="$sent" 'BEGIN { print b / s }'
}

packets_once() { # KIND FLOWS: appends "delivered/s ns-per-delivered-packet share" to a file
	local kind=$1 n=$2 sent busy spent got before
	forwarder_up "$kind" fw1 >&2 || return 1
	if ! gateway; then # one left running would forward beside the next
		forwarder_down "$kind" fw1 >&2
		return 1
	fi
	count_at web eth0
	generate "$n" 2 # the flows come into being
	before=$(counted web)
	generate "$n" "$SECONDS_EACH"
	got=$(($(counted web) - before))
	count_off web
	forwarder_down "$kind" fw1 >&2
	awk -v s="$sent" -v b="$busy" -v t="$spent" -v g="$got" -v c="$GENERATOR" 'BEGIN {
		if (g == 0) exit
		own = b - c * s
		print g / (t / 1e9), own / g, g / s }' >>"$LAB_DIR/packets.$kind.$n"
}

packets() {
	local round kind n file
	gcc -O2 -o "$UDPGEN" "$LAB_TOP/tests/bench/udpgen.c" || return 1
	for ((round = 1; round <= ROUNDS; round++)); do
		GENERATOR=$(calibrate)
		note "packets, round $round: generating costs $GENERATOR ns a packet" >&2
		for n in 1000 100000; do
			for kind in "${FORWARDERS[@]}"; do
				note "packets, round $round: $kind, $n flows" >&2
				packets_once "$kind" $n
			done
		done
	done
	echo "### 60-byte UDP through one firewall"
	echo
	echo "CPU = busy time of the whole machine less what generating costs (measured with the"
	echo "firewall's interface dropping everything)."
	echo
	echo "| flows | forwarder | delivered/s | of nftables | ns CPU per packet | packets per busy CPU second | of nftables | delivered share |"
	echo "|---|---|---|---|---|---|---|---|"
	for n in 1000 100000; do
		for kind in "${FORWARDERS[@]}"; do
			file=$LAB_DIR/packets.$kind.$n
			[ -s "$file" ] || { echo "| $n | $kind | - | - | - | - | - | - |"; continue; }
			result[rate.$kind]=$(cut -d' ' -f1 "$file" | median)
			result[cost.$kind]=$(cut -d' ' -f2 "$file" | median)
			result[share.$kind]=$(cut -d' ' -f3 "$file" | median)
		done
		for kind in "${FORWARDERS[@]}"; do
			[ -n "${result[rate.$kind]:-}" ] || continue
			printf '| %s | %s | %.0f | %s | %.0f | %.0f | %s | %.2f |\n' $n "$kind" \
				"${result[rate.$kind]}" \
				"$(ratio "${result[rate.$kind]}" "${result[rate.nft]}")" \
				"${result[cost.$kind]}" \
				"$(awk -v c="${result[cost.$kind]}" 'BEGIN { printf "%d", (c > 0 ? 1e9 / c : 0) }')" \
				"$(ratio "${result[cost.nft]}" "${result[cost.$kind]}")" \
				"${result[share.$kind]}"
		done
	done
	echo
}

# --- connections over two firewalls -------------------------------------------------------------

conntrackd_start() { # NO_CACHE
	local n
	for n in 1 2; do
		sed -e "s|@NO_CACHE@|$1|; s|@ADDRESS@|10.9.0.$n|; s|@DIR@|$LAB_DIR|; s|@NAME@|fw$n|" \
			"$LAB_TESTS/servers/conntrackd.conf.in" >"$LAB_DIR/conntrackd.fw$n.conf"
		# As its own manual advises for firewalls that share flows.
		run_in fw$n sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
		start_in fw$n conntrackd.fw$n.out conntrackd -C "$LAB_DIR/conntrackd.fw$n.conf"
	done
	for n in 1 2; do
		wait_for 10 "run_in fw$n conntrackd -C '$LAB_DIR/conntrackd.fw$n.conf' -s" || return 1
	done
}

conntrackd_stop() {
	stop conntrackd.fw1.out
	stop conntrackd.fw2.out
}

link_both() { echo $(($(link_bytes fw1 eth2) + $(link_bytes fw2 eth2))); }

# connects_once LABEL COUNT TIMEOUT: one row of the table.
connects_once() {
	local label=$1 count=$2 timeout=$3 idle begin bytes retrans out took
	# What the link carries when nothing happens: two seconds of it.
	begin=$(link_both)
	pause 2
	idle=$((($(link_both) - begin) / 2))
	retrans=$(($(snmp client Tcp.RetransSegs) + $(snmp web Tcp.RetransSegs)))
	begin=$(link_both)
	took=$(now_ms)
	out=$(run_in client "$PYTHON" "$LAB_TESTS/tools/connects.py" $WEB 80 "$count" -json \
		-all -timeout "$timeout")
	took=$(($(now_ms) - took))
	bytes=$(($(link_both) - begin - idle * took / 1000))
	retrans=$(($(snmp client Tcp.RetransSegs) + $(snmp web Tcp.RetransSegs) - retrans))
	jq -r --arg what "$label" --argjson bytes "$bytes" --argjson retrans "$retrans" '
		"| \($what) | \(.count) | \(.worked) | \(.median_ms // "-") | \(.p99_ms // "-") | " +
		"\((.late + .count - .worked) / .count * 100 | floor) % | \($retrans) | " +
		"\($bytes / .count * 1000 / 1000 | floor) kB |"' <<<"$out"
}

connects_pair() { # LABEL COUNT TIMEOUT: symmetric, then asymmetric
	lab_path fw1 fw1
	connects_once "$1, symmetric" "$CONNECTS" 10
	lab_path fw1 fw2
	connects_once "$1, asymmetric" "$2" "$3"
	lab_path fw1 fw1
}

connects() {
	local cache query forward
	echo "### Connections over two firewalls, one after the other, one request each"
	echo
	echo "Asymmetric: out by the first firewall, answers in by the second. Late = connect() took"
	echo "longer than the first retransmission timer, or failed. Link bytes are those above idle."
	echo
	echo "| firewalls | connections | worked | median ms | p99 ms | late or failed | segments retransmitted | link bytes per 1,000 |"
	echo "|---|---|---|---|---|---|---|---|"
	forwarder_up plain fw1 fw2
	connects_pair "plain forwarding, no state" "$CONNECTS" 10
	forwarder_down plain fw1 fw2
	for cache in On Off; do
		forwarder_up nft fw1 fw2
		if conntrackd_start $cache >&2; then
			# DisableExternalCache On = external cache off
			connects_pair "nftables + conntrackd, external cache $([ $cache = On ] && echo off || echo on)" \
				"$([ $cache = On ] && echo "$SLOW" || echo $((SLOW / 4)))" 4
		fi
		conntrackd_stop
		forwarder_down nft fw1 fw2
	done
	[ "${BENCH_KERNEL_ONLY:-0}" = 1 ] && return
	for query in carry hold; do
		for forward in l2 tunnel; do
			LAB_QUERY=$query LAB_FORWARD=$forward
			forwarder_up fwclusterd fw1 fw2 >&2 || continue
			connects_pair "fwclusterd, $query, $forward" "$CONNECTS" 10
			forwarder_down fwclusterd fw1 fw2 >&2
		done
	done
	echo
}

# --- all ---------------------------------------------------------------------------------------

LAB_LOG=${LAB_LOG:-warning}
cluster_lay 2
servers_start web >&2 || exit 1
both=("${fw_names[@]}")
quiet_machine | tee -a "$LAB_DIR/bench.md"
for part in "${@:-bulk packets connects}"; do
	for word in $part; do
		# One firewall alone has no cluster.
		fw_names=("${both[@]}")
		[ "$word" = connects ] || fw_names=(fw1)
		"$word" | tee -a "$LAB_DIR/bench.md"
	done
done
[ "$LAB_MADE" = 1 ] && [ "${LAB_KEEP:-0}" != 1 ] && rm -rf "$LAB_DIR"
exit 0
