#!/bin/bash
# lab_takeover.sh [gap] [short] [link] [reload] - what hosts see when the node between them is lost
# and another takes its place: two nodes that play the outer and the inner dispatcher (fwclusterd,
# take-over), the members of a firewall cluster with backups (fwclusterd, cluster), and two
# firewalls of the kernel with keepalived (VRRP version 3) and conntrackd (FTFW) as its manual has
# them. All are up all the time and are measured in turn, event after event, with the same probes
# between the same two hosts. Without arguments: all. Prints markdown tables.
#
#   client ── outside ─┬─ outer, inner .254 ── front ── fw1, fw2 ── back ── outer, inner ─┬─ farm ─ web1 .11
#                      ├─ vrrp1, vrrp2 .230 ──────────────────────────────────────────────┤          .12
#                      └─ mem1 .221, mem2 .222, mem3 .223 ────────────────────────────────┘          .13
#
# web1 has an address for each; routes at the client and by source address at web1 lead there. The
# hosts of the cluster have a member as their next hop, as a router that spreads would: when that
# is lost the test gives them another at once. So that figure is of the cluster alone.
#
# Nobody prefers a node (take-back = false; nopreempt): who is lost stands by when it returns.
#   power     SIGKILL to its daemons, then all its links go down
#   kill      SIGKILL to its daemons alone; vrrp: the kernel there keeps addresses and forwards on
#   stall     SIGSTOP to its daemons until the gap has been measured
#   handover  SIGTERM
# gap: hello or advertisement every 100 ms, three of them missed; short: 50 ms. Each event is seen by
# 1,000 datagrams a second with answers, a TCP stream, and idle connections, older than a second, by
# which a byte is sent when it is over.
#
# BENCH_ROUNDS_TAKEOVER (20; other events than power: half of it), BENCH_ROUNDS_RELOAD (5),
# BENCH_IDLE (200), BENCH_EVENTS,
# BENCH_TAKEOVER_KINDS, BENCH_RAW (a file for each event's figures), BENCH_NICE (0): of all daemons that
# are measured, where the machine has other work to do.
# BENCH_FALSE=1: instead of all that BENCH_FALSE_MINUTES (20) with all processors busy and messages
# every BENCH_FALSE_MS (100): how often is a node replaced that was not lost?
. "$(dirname "$0")/../lab/lib.sh"
SW_FWS=2
SW_SERVERS=1
SW_CLUSTER=1
SW_TAKEOVER=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TOP/tests/bench/lab_measure.sh"

ROUNDS=${BENCH_ROUNDS_TAKEOVER:-20}
IDLE=${BENCH_IDLE:-200}
read -ra EVENTS <<<"${BENCH_EVENTS:-power kill stall handover}"
read -ra KINDS <<<"${BENCH_TAKEOVER_KINDS:-vrrp takeover cluster}"
RAW=${BENCH_RAW:-$LAB_DIR/takeover.raw}
GAP=$BUILD/tests/bench/gap
NICE=${BENCH_NICE:-0}
TCPGEN=$BUILD/tests/bench/tcpgen
UDP_PORT=7007 TCP_PORT=8001 SHORT_PORT=8002
LAB_LOG=${LAB_LOG:-notice}
declare -A target_of=([takeover]=10.4.0.11 [vrrp]=10.4.0.12 [cluster]=10.4.0.13)
declare -A title_of=([takeover]="fwclusterd, outer and inner" [vrrp]="keepalived, conntrackd"
	[cluster]="fwclusterd, firewall cluster")
declare -A nodes_of=([takeover]="outer inner" [vrrp]="vrrp1 vrrp2" [cluster]="mem1 mem2 mem3")
declare -A devices_of=([takeover]="outside front back farm stage cluster" [vrrp]="outside farm sync"
	[cluster]="outside farm members")
declare -A link_of=([takeover]=cluster [vrrp]=sync [cluster]=members)

cat >"$LAB_DIR/fwclusterd" <<END
#!/bin/sh
exec nice -n $NICE "$FWCLUSTERD" "\$@"
END
chmod 755 "$LAB_DIR/fwclusterd"
FWCLUSTERD=$LAB_DIR/fwclusterd

# --- the hosts -------------------------------------------------------------------------------

lay() {
	local n
	sw_lay
	net_bridge sync
	net_bridge members
	for n in 1 2; do
		net_router vrrp$n
		net_plug vrrp$n outside outside 198.51.100.$((230 + n))/24
		net_plug vrrp$n farm farm 10.4.0.$((230 + n))/24
		net_plug vrrp$n sync sync 10.9.1.$n/24
		run_in vrrp$n sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
		run_in vrrp$n nft -f - <<-END
			table inet fw {
				chain forward {
					type filter hook forward priority 0; policy drop;
					ct state established,related accept
					ct state new accept
				}
			}
		END
	done
	for n in 1 2 3; do
		net_host mem$n
		net_plug mem$n outside outside 198.51.100.$((220 + n))/24
		net_plug mem$n farm farm 10.4.0.$((220 + n))/24
		net_plug mem$n members members 10.9.2.$n/24
		fw_names+=(mem$n)
		fw_ports[mem$n]='outside=outside inside=farm'
		fw_link[mem$n]=members
		fw_address[mem$n]=10.9.2.$n
	done
	for n in 12 13; do
		net_address web1 farm 10.4.0.$n/24
		ip -n web1 rule add from 10.4.0.$n lookup $n
	done
	run_in client sysctl -qw net.ipv4.ip_local_port_range='1024 65000'
	ip -n client route add 10.4.0.12 via 198.51.100.230
	ip -n web1 route add 198.51.100.0/24 via 10.4.0.230 table 12
	way_of_cluster mem1
	start_in web1 gap.udp "$GAP" -l $UDP_PORT
	start_in web1 gap.tcp "$GAP" -l $TCP_PORT
	start_in web1 tcpgen "$TCPGEN" -l $SHORT_PORT
	for n in $TCP_PORT $SHORT_PORT; do
		wait_for 10 "run_in web1 ss -lntH sport = :$n | grep -q ." || return 1
	done
}

way_of_cluster() { # MEMBER: it is the hosts' next hop, both ways
	way=$1
	ip -n client route replace 10.4.0.13 via 198.51.100.$((220 + ${1#mem}))
	ip -n web1 route replace 198.51.100.0/24 via 10.4.0.$((220 + ${1#mem})) table 13
}

# --- keepalived and conntrackd ---------------------------------------------------------------

vrrp_conf() { # NODE
	local n=${1#vrrp} segment id=60
	sed -e "s|@NO_CACHE@|Off|; s|@ADDRESS@|10.9.1.$n|; s|@DIR@|$LAB_DIR|; s|@NAME@|$1|" \
		-e 's|Interface eth2|Interface sync|' \
		"$LAB_TESTS/servers/conntrackd.conf.in" >"$LAB_DIR/conntrackd.$1.conf"
	# What conntrackd(8) says to do as primary, as backup, and when faulty.
	cat >"$LAB_DIR/notify.$1" <<-END
		#!/bin/sh
		case \$1 in
		primary) what='-c -f -R -B' ;;
		backup) what='-t -n' ;;
		*) what=-t ;;
		esac
		for one in \$what; do
			conntrackd -C $LAB_DIR/conntrackd.$1.conf \$one
		done >>$LAB_DIR/notify.$1.log 2>&1
		echo \$1 >>$LAB_DIR/states.$1
	END
	chmod 755 "$LAB_DIR/notify.$1"
	{
		cat <<-END
			global_defs {
				router_id $1
				vrrp_version 3
				script_user root
			}
			vrrp_sync_group both {
				group {
					outside
					farm
				}
				notify_master "$LAB_DIR/notify.$1 primary"
				notify_backup "$LAB_DIR/notify.$1 backup"
				notify_fault "$LAB_DIR/notify.$1 fault"
			}
		END
		for segment in outside=198.51.100.230/24 farm=10.4.0.230/24; do
			id=$((id + 1))
			# High priorities make the skew small: 3 advertisements and 2 or 6 hundredths of one.
			cat <<-END
				vrrp_instance ${segment%=*} {
					state BACKUP
					nopreempt
					interface ${segment%=*}
					virtual_router_id $id
					priority $((256 - 5 * n))
					advert_int $(awk -v ms="$INTERVAL" 'BEGIN { print ms / 1000 }')
					virtual_ipaddress {
						${segment#*=}
					}
				}
			END
		done
	} >"$LAB_DIR/keepalived.$1.conf"
}

vrrp_start() { # NODE: with nothing left of what was before
	local conf=$LAB_DIR/conntrackd.$1.conf
	vrrp_conf "$1"
	ip -n "$1" addr del 198.51.100.230/24 dev outside 2>/dev/null
	ip -n "$1" addr del 10.4.0.230/24 dev farm 2>/dev/null
	run_in "$1" conntrack -F >/dev/null 2>&1
	rm -f "$LAB_DIR/conntrackd.$1.lock" "$LAB_DIR/conntrackd.$1.sock" "$LAB_DIR/keepalived.$1".*pid
	start_in "$1" "$1.conntrackd" conntrackd -C "$conf"
	wait_for 10 "run_in $1 conntrackd -C '$conf' -s" || return 1
	vrrp_start_keepalived "$1"
}
vrrp_start_keepalived() {
	start_in "$1" "$1" nice -n "$NICE" keepalived -n -l -P -f "$LAB_DIR/keepalived.$1.conf" \
		-p "$LAB_DIR/keepalived.$1.pid" -r "$LAB_DIR/keepalived.$1.vrrp.pid"
	wait_for 10 "[ -s '$LAB_DIR/keepalived.$1.vrrp.pid' ]"
}
vrrp_pids() { cat "$LAB_DIR/keepalived.$1.vrrp.pid"; echo "${lab_pid[$1]} ${lab_pid[$1.conntrackd]}"; }
vrrp_is_active() { ip -n "$1" -o addr show dev outside | grep -q 198.51.100.230/ &&
	ip -n "$1" -o addr show dev farm | grep -q 10.4.0.230/; }
vrrp_is_idle() { ! ip -n "$1" -o addr show | grep -qE '198.51.100.230/|10.4.0.230/'; }
vrrp_holds() { # NODE: flows that it could take over
	run_in "$1" conntrackd -C "$LAB_DIR/conntrackd.$1.conf" -e 2>/dev/null |
		grep -c ESTABLISHED
}
vrrp_stands_by() { vrrp_is_idle "$1" && grep -q backup "$LAB_DIR/states.$1"; }
vrrp_reload() { kill -HUP "${lab_pid[$1]}"; }
vrrp_restart() { # as its service is: conntrackd stays
	stop "$1" TERM
	: >"$LAB_DIR/states.$1"
	vrrp_start_keepalived "$1"
}
vrrp_replaced() { cat "$LAB_DIR"/states.vrrp? | grep -c primary; }

# --- fwclusterd, take-over -------------------------------------------------------------------

takeover_conf() {
	local role=outer probe=10.3.0.254 port=front other=outside
	dp_cluster="hello-interval = \"${INTERVAL}ms\" dead-after = \"$((3 * INTERVAL))ms\""
	dp_text[outer]="$sw_upstream
$(sw_paths)"
	for role in outer inner; do
		dp_text[outer]+="
dispatcher \"$role\" {
	role = \"$role\"
	firewall-port = \"$port\"
	ports = { \"$other\" }
	nodes = { \"outer\", \"inner\" }
	algorithm = \"round-robin\"
	take-back = false
	probe = \"$probe\"
	probe-interval = \"100ms\"
}"
		probe=10.2.0.254 port=back other=farm
	done
	dp_text[inner]=${dp_text[outer]}
	for role in outer inner; do
		dp_text[$role]+="
restart-state = \"$LAB_DIR/$role.tables\""
	done
}
takeover_start() { dp_start "$1"; }
takeover_pids() { echo "${lab_pid[$1]}"; }
# takeover_roles NODE: states of its roles, "active active".
takeover_roles() {
	json "$1" show dispatchers | jq -r '[.dispatchers[].takeover.state] | join(" ")'
}
takeover_is_active() { [ "$(takeover_roles "$1")" = "active active" ]; }
takeover_is_idle() { [ "$(takeover_roles "$1")" = "standby standby" ]; }
takeover_stands_by() {
	json "$1" show dispatchers | jq -e '[.dispatchers[].takeover |
		.state == "standby" and .able and .synced and .peers[0].hears_us] | all'
}
takeover_holds() { json "$1" show dispatchers | jq '[.dispatchers[].flows] | max'; }
takeover_reload() { ctl "$1" reload; }
takeover_restart() {
	stop "$1" RTMIN
	dp_start "$1"
}
takeover_replaced() {
	local node sum=0
	for node in outer inner; do
		sum=$((sum + $(json $node show dispatchers |
			jq '[.dispatchers[].takeover.times_active] | max')))
	done
	echo $sum
}

# --- fwclusterd, cluster ---------------------------------------------------------------------

cluster_conf() {
	LAB_CLUSTER="hello-interval = \"${INTERVAL}ms\" dead-after = \"$((3 * INTERVAL))ms\" backup = true"
	LAB_RULES='
	max-half-open = 16384
	rule "in" { action = "pass" in = "outside" out = "inside" }'
	local name
	for name in "${fw_names[@]}"; do
		fw_more[$name]="restart-state = \"$LAB_DIR/$name.tables\""
	done
}
cluster_start() { fw_start "$1"; }
cluster_pids() { echo "${lab_pid[$1]}"; }
cluster_is_active() { [ "$1" = "$way" ]; }
cluster_is_idle() { [ "$1" != "$way" ]; }
cluster_stands_by() { [ "$(members_up "$1")" = 2 ] && [ "$(members_up "$way")" = 2 ]; }
cluster_holds() { json "$way" show status | jq '.status[0].backup.backed_up'; }
cluster_reload() { ctl "$1" reload; }
cluster_restart() {
	stop "$1" RTMIN
	fw_start "$1"
}

# stolen BEFORE: since then, the share of the processors' time that this machine was not given, and
# that it was busy.
stat_now() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat; }
stolen() {
	# shellcheck disable=SC2046,SC2086 # three words each
	set -- $1 $(stat_now)
	awk -v busy=$(($4 - $1)) -v stolen=$(($5 - $2)) -v all=$(($6 - $3)) 'BEGIN {
		printf "Meanwhile the machine was %d %% busy and was not given %d %% of its time.\n\n",
			100 * busy / all, 100 * stolen / all }'
}

# --- an event --------------------------------------------------------------------------------

active_of() { # KIND
	local node
	for node in ${nodes_of[$1]}; do
		"$1_is_active" "$node" && echo "$node" && return
	done
}
# The one that is to replace NODE.
other_of() { # KIND NODE
	local names
	read -ra names <<<"${nodes_of[$1]}"
	[ "$2" = "${names[0]}" ] && echo "${names[1]}" || echo "${names[0]}"
}
settled() { # KIND: one plays everything, another stands by and has the tables
	local node
	node=$(active_of "$1")
	[ -n "$node" ] && "$1_stands_by" "$(other_of "$1" "$node")"
}
# Roles on two nodes come together again.
gather() { # KIND
	[ "$1" != takeover ] || [ -n "$(active_of "$1")" ] ||
		{ ctl outer takeover outer; ctl outer takeover inner; } >/dev/null 2>&1
	true
}

# An event begins after a second in which no processor of the machine stood still for more than 20 ms,
# or after a minute (BENCH_CALM) of waiting for one.
calm_second() { "$GAP" -c 20000 -t "${BENCH_CALM:-60}" >>"$LAB_DIR/calm"; }

links() { # KIND NODE up|down
	local device
	for device in ${devices_of[$1]}; do
		echo "link set $device $3"
	done >"$LAB_DIR/links.batch"
	ip -n "$2" -batch "$LAB_DIR/links.batch"
}

lose() { # KIND NODE EVENT
	local pids
	pids=$("$1_pids" "$2")
	# shellcheck disable=SC2086 # several
	case $3 in
	power)
		kill -KILL $pids
		links "$1" "$2" down
		;;
	kill) kill -KILL $pids ;;
	stall) kill -STOP $pids ;;
	handover) kill -TERM "${lab_pid[$2]}" ;;
	esac
	true
}

bring_back() { # KIND NODE EVENT
	# shellcheck disable=SC2046 # several
	case $3 in
	stall)
		kill -CONT $("$1_pids" "$2")
		return 0
		;;
	power) links "$1" "$2" up ;;
	esac
	stop "$2" KILL
	stop "$2.conntrackd" KILL
	[ "$1" != vrrp ] || : >"$LAB_DIR/states.$2"
	"$1_start" "$2"
}

probes_start() { # KIND
	local to=${target_of[$1]}
	rm -f "$LAB_DIR"/probe.{udp,tcp,idle,watch}.log
	start_in client probe.idle "$GAP" -d "$to" -p $TCP_PORT -i "$IDLE" -t 5
	wait_for 20 "grep -q ready '$LAB_DIR/probe.idle.log' || ! running probe.idle"
	start_in client probe.udp "$GAP" -d "$to" -p $UDP_PORT -u -t 120
	start_in client probe.tcp "$GAP" -d "$to" -p $TCP_PORT -s -t 120
	start_in client probe.watch "$GAP" -w -t 120
	running probe.idle
}
probes_end() {
	local name
	for name in udp tcp watch idle; do
		probe_end $name
	done
}
probe_end() { # NAME: tell it, and wait
	kill -USR1 "${lab_pid[probe.$1]}" 2>/dev/null
	wait "${lab_pid[probe.$1]}"
	unset "lab_pid[probe.$1]"
}

# event KIND EVENT: one line of figures goes to the raw file and into the tables' files.
event() {
	local kind=$1 what=$2 node other
	gather "$kind"
	wait_for 40 settled "$kind" >&2 || return 1
	node=$(active_of "$kind")
	[ -n "$node" ] || return 1 # it has just changed
	other=$(other_of "$kind" "$node")
	if ! probes_start "$kind"; then
		stop probe.udp KILL
		stop probe.tcp KILL
		stop probe.watch KILL
		return 1
	fi
	pause 1.5 # older than a second
	case $kind in
	cluster) wait_for 5 "[ \$(cluster_holds) -ge $IDLE ]" >&2 ;;
	*) wait_for 5 "[ \$(${kind}_holds $other) -ge $IDLE ]" >&2 ;;
	esac
	calm_second
	# Who is lost must be the one that plays; it may have changed when the machine stood still.
	if [ "$(active_of "$kind")" != "$node" ]; then
		probes_end
		return 1
	fi
	lose "$kind" "$node" "$what" 2>/dev/null # the shell tells of processes that were killed
	[ "$kind" != cluster ] || way_of_cluster "$other"
	# A gap that lasts until the end is as long as it took until then.
	# keepalived that was killed alone keeps its addresses: two have them then.
	wait_for 5 "${kind}_is_active $other" >&2
	pause 2.5
	probes_end
	bring_back "$kind" "$node" "$what" >&2
	keep_event "$kind" "$what"
}

keep_event() { # KIND EVENT
	local file=$LAB_DIR/events.$INTERVAL.$1.$2 line
	line=$(cat "$LAB_DIR"/probe.{udp,tcp,idle,watch}.log | grep -v ready | tr '\n' ' ')
	echo "$INTERVAL $1 $2 $line" >>"$RAW"
	note "$INTERVAL ms, $1, $2: $line" >&2
	awk '{ for (i = 1; i < NF; i += 2) v[++n] = $(i + 1) } END {
		# datagrams answered lost twice late gap | stream gap wrong reset | idle lived reset silent | stood
		if (n == 15) print v[6] / 1000, v[8] / 1000, v[3], v[4], v[5], v[10], v[11], v[12], v[13],
			v[9], v[15] / 1000
	}' <<<"$line" >>"$file"
}

# --- tables ----------------------------------------------------------------------------------

all_up() { # MILLISECONDS: everything, with this interval
	local kind node
	INTERVAL=$1
	takeover_conf
	cluster_conf
	for kind in "${KINDS[@]}"; do
		for node in ${nodes_of[$kind]}; do
			rm -f "$LAB_DIR/states.$node"
			"${kind}_start" "$node" || return 1
		done
	done
	for kind in "${KINDS[@]}"; do
		wait_for 30 settled "$kind" || return 1
		# Neighbours and paths are found.
		wait_for 20 "run_in client ping -q -c 3 -i 0.1 -W 1 ${target_of[$kind]}" ||
			[ "$kind" = cluster ] || return 1
	done
}
all_down() {
	local kind node
	for kind in "${KINDS[@]}"; do
		for node in ${nodes_of[$kind]}; do
			stop "$node" TERM
			stop "$node.conntrackd" TERM
		done
	done
}

events() { # ROUNDS EVENT
	local round kind
	for ((round = 1; round <= $1; round++)); do
		for kind in "${KINDS[@]}"; do
			event "$kind" "$2" || note "$kind, $2, round $round: not measured" >&2
		done
	done
}

column() { cut -d' ' -f"$2" "$1"; }
nth() { # SHARE: nearest rank
	sort -g | awk -v p="$1" '{ v[NR] = $1 } END {
		i = int(NR * p); if (i < NR * p) i++
		if (NR) printf "%.0f", v[i]; else printf "-" }'
}
sum() { awk '{ s += $1 } END { print s + 0 }'; }

gap_row() { # KIND EVENT
	local file=$LAB_DIR/events.$INTERVAL.$1.$2
	[ -s "$file" ] || { echo "| ${title_of[$1]} | $2 | 0 | - | - | - | - | - | - | - | - | - |"; return; }
	printf '| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "${title_of[$1]}" "$2" \
		"$(wc -l <"$file")" \
		"$(column "$file" 1 | nth 0.5)" "$(column "$file" 1 | nth 0.99)" \
		"$(column "$file" 2 | nth 0.5)" "$(column "$file" 2 | nth 0.99)" \
		"$(column "$file" 3 | nth 0.5), $(column "$file" 4 | sum), $(column "$file" 5 | sum)" \
		"$(awk '{ n += $7; l += $8 } END { printf "%.2f %%", 100 * l / n }' "$file")" \
		"$(awk '{ s += $6 + $9; w += $10 } END { print s (w ? ", wrong bytes: " w : "") }' "$file")" \
		"$(column "$file" 11 | nth 0.5), $(column "$file" 11 | nth 1)" \
		"$(awk '$11 <= 20' "$file" | wc -l): $(awk '$11 <= 20 { print $1 }' "$file" | nth 0.5), $(
			awk '$11 <= 20 { print $1 }' "$file" | nth 0.99)"
}

gap_head() {
	echo "| what | event | rounds | gap, median | 99th | TCP gap, median | 99th | lost, twice, late | survived | resets | machine stood still, median, longest | calm rounds: gap, median, 99th |"
	echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
}

gap_table() { # EVENT...
	local what kind
	echo "### Take-over: what hosts see, an advertisement or hello every $INTERVAL ms, lost after three"
	echo
	echo "Gap of 1,000 datagrams a second and of a TCP stream, ms; the 99th percentile of fewer than"
	echo "100 rounds is the longest. Lost (median), twice, late (sums): datagrams. Survived: idle TCP"
	echo "connections older than a second, $IDLE a round. Resets: of these and of streams, all rounds."
	echo "The cluster's hosts get another next hop at once. The machine stood still: how late, in ms,"
	echo "a process that goes before others was at worst in a round, on any processor. No round is left"
	echo "out for it; those in which it was at most 20 ms are in the last column once more."
	echo
	gap_head
	for what in "$@"; do
		for kind in "${KINDS[@]}"; do
			gap_row "$kind" "$what"
		done
	done
	echo
}

gap() {
	local what rounds
	all_up 100 >&2 || return 1
	for what in "${EVENTS[@]}"; do
		rounds=$ROUNDS
		[ "$what" = power ] || rounds=$(((ROUNDS + 1) / 2))
		events "$rounds" "$what"
	done
	all_down
	gap_table "${EVENTS[@]}"
}

short() {
	all_up 50 >&2 || return 1
	events "$ROUNDS" power
	all_down
	gap_table power
}

# --- bytes on the link -----------------------------------------------------------------------

link_sum() { # KIND: bytes sent so far, all nodes
	local node sum=0
	for node in ${nodes_of[$1]}; do
		sum=$((sum + $(link_bytes "$node" "${link_of[$1]}")))
	done
	echo $sum
}
# link_quiet KIND: what earlier flows left to say has been said.
link_quiet() {
	local before=-1000000 now=0 end=$(($(now_ms) + 30000))
	while [ $((now - before)) -gt 15000 ] && [ "$(now_ms)" -lt $end ]; do
		before=$now
		pause 1
		now=$(link_sum "$1")
	done
}
# link_once KIND COMMAND: sets above, bytes until it is quiet again above those without flows.
link_once() {
	local begin took idle
	link_quiet "$1"
	begin=$(link_sum "$1") took=$(now_ms)
	pause 3
	took=$(($(now_ms) - took))
	idle=$(awk -v b="$(($(link_sum "$1") - begin))" -v t=$took 'BEGIN { print b / t }')
	begin=$(link_sum "$1") took=$(now_ms)
	"$2" "$1"
	link_quiet "$1"
	took=$(($(now_ms) - took))
	above=$(awk -v b="$(($(link_sum "$1") - begin))" -v t=$took -v i="$idle" \
		'BEGIN { print b - i * t }')
	idle_rate=$(awk -v i="$idle" 'BEGIN { printf "%.1f", i }') # kB/s
}
flows_held() { # KIND: 1,000 connections that are held for four seconds
	rm -f "$LAB_DIR/probe.idle.log"
	start_in client probe.idle "$GAP" -d "${target_of[$1]}" -p $TCP_PORT -i 1000 -t 5
	wait_for 20 "grep -q ready '$LAB_DIR/probe.idle.log'" >&2
	n_flows=1000
	pause 4
	stop probe.idle KILL
}
flows_short() { # KIND
	n_flows=$(run_in client "$TCPGEN" -d "${target_of[$1]}" -p $SHORT_PORT -c 1 -t 2 |
		awk '{ print $2 }')
	pause 1
}

link_figure() { # what varies from second to second may be more than what was added: then 0
	median <"$LAB_DIR/link.$1" | awk '{ printf "%.0f", $1 < 0.5 ? 0 : $1 }'
}

link() {
	local round kind what
	all_up 100 >&2 || return 1
	for ((round = 1; round <= 3; round++)); do
		for kind in "${KINDS[@]}"; do
			for what in held short; do
				link_once "$kind" flows_$what
				awk -v a="$above" -v n="$n_flows" 'BEGIN { if (n > 0) print a / n }' \
					>>"$LAB_DIR/link.$kind.$what"
				echo "$idle_rate" >>"$LAB_DIR/link.$kind.idle"
				note "link, $kind, $what: $above bytes, $n_flows flows, idle $idle_rate kB/s" >&2
			done
		done
	done
	all_down
	echo "### Take-over: bytes on the link between the nodes"
	echo
	echo "Medians of three rounds, until the link is quiet again, above what it carries without flows."
	echo "Held: 1,000 TCP connections, a byte there and back, four seconds, then closed; short: one"
	echo "after the other, closed at once. What is said when the rest of a closed connection times out,"
	echo "minutes later, is not in it. VRRP's own messages are on the segments, not on the link."
	echo
	echo "| what | a flow held | a short flow | without flows, kB/s |"
	echo "|---|---|---|---|"
	for kind in "${KINDS[@]}"; do
		printf '| %s | %s | %s | %.1f |\n' "${title_of[$kind]}" \
			"$(link_figure "$kind.held")" "$(link_figure "$kind.short")" \
			"$(median <"$LAB_DIR/link.$kind.idle")"
	done
	echo
}

# --- reload ----------------------------------------------------------------------------------

# Twenty reloads of the active node, a fifth of a second apart; one restart; or as much time without.
reload_once() { # KIND reload|restart|none
	local i node
	node=$(active_of "$1")
	[ -n "$node" ] || return 1
	probes_start "$1" || return 1
	calm_second
	[ "$2" != restart ] || "$1_restart" "$node" >&2
	for i in {1..20}; do
		[ "$2" != reload ] || "$1_reload" "$node" >/dev/null
		pause 0.2
	done
	probes_end
	keep_event "$1" "$2"
}

reload() {
	local round kind what
	all_up 100 >&2 || return 1
	for ((round = 1; round <= ${BENCH_ROUNDS_RELOAD:-5}; round++)); do
		for what in reload restart none; do
			for kind in "${KINDS[@]}"; do
				wait_for 30 settled "$kind" >&2 && reload_once "$kind" $what ||
					note "$kind, $what, round $round: not measured" >&2
			done
		done
	done
	all_down
	echo "### Take-over: twenty reloads of the active node in four seconds, and a restart"
	echo
	echo "As above; four seconds without any event are the rows of none. A restart of keepalived is a"
	echo "hand-over; fwclusterd's takes its tables along."
	echo
	gap_head
	for what in reload restart none; do
		for kind in "${KINDS[@]}"; do
			gap_row "$kind" $what
		done
	done
	echo
}

# --- false take-overs ------------------------------------------------------------------------

false_ones() {
	local minutes=${BENCH_FALSE_MINUTES:-20} n kind
	declare -A before=()
	local start
	start=$(stat_now)
	all_up "${BENCH_FALSE_MS:-100}" >&2 || return 1
	for kind in vrrp takeover; do
		before[$kind]=$("${kind}_replaced")
	done
	for ((n = 0; n < $(nproc); n++)); do
		start_in client busy.$n sh -c 'while :; do :; done'
	done
	pause $((60 * minutes))
	echo "### Take-over: false ones in $minutes minutes, all processors busy, every $INTERVAL ms, lost after three"
	echo
	echo "| what | replaced though alive |"
	echo "|---|---|"
	for kind in vrrp takeover; do
		echo "| ${title_of[$kind]} | $(($("${kind}_replaced") - ${before[$kind]})) |"
	done
	echo
	stolen "$start"
	for ((n = 0; n < $(nproc); n++)); do
		stop busy.$n KILL
	done
	all_down
}

# --- all -------------------------------------------------------------------------------------

lay >&2 || exit 1
if ! command -v keepalived >/dev/null || ! command -v conntrackd >/dev/null; then
	echo "(keepalived or conntrackd is not installed: left out.)"
	for i in "${!KINDS[@]}"; do
		[ "${KINDS[i]}" = vrrp ] && unset "KINDS[i]"
	done
fi
if [ "${BENCH_FALSE:-0}" = 1 ]; then
	KINDS=(vrrp takeover)
	false_ones
	exit
fi
quiet_machine
status=0
for part in "${@:-gap short link reload}"; do
	for word in $part; do
		before=$(stat_now)
		"$word" >"$LAB_DIR/part.md" || { status=1 && note "$word: does not work" >&2; }
		cat "$LAB_DIR/part.md"
		stolen "$before"
	done
done
[ $status = 0 ] && [ "$LAB_MADE" = 1 ] && [ "${LAB_KEEP:-0}" != 1 ] && rm -rf "$LAB_DIR"
exit $status
