#!/bin/bash
# chaos.sh [MINUTES [SEED]] - everything fails at random, one thing after the other, under traffic of
# all kinds: the daemons of both dispatcher nodes and of three firewalls are killed, stopped and woken,
# ended in order, restarted, reloaded, drained and ordered about; nodes lose their power; links are cut
# both ways, one way, or lose a third of their packets; servers die. Each fault is mended, and all must
# be well again and every connection have got an answer before the next comes.
#
# What may be lost at a fault: connections that began less than YOUNG_MS before it (a flow's backup
# comes after a while), those whose server died or cannot be reached any more by the node that checks
# it, and those by L7 at a node that was lost. Anything else
# that does not end in order is a failure, and so is every byte that differs and every datagram that
# comes twice.
#
# Topology: topo_sandwich.sh; outer and inner take over for each other, the firewalls are a cluster.
# The traffic, and the judgement: tools/chaos_load.py. Ten minutes unless told; the seed is said.
# CHAOS_EVENTS='kill restart': only these kinds.
#
# proves: FC-17 HD-19 HD-23 HD-24
. "$(dirname "$0")/lib.sh"
MINUTES=${1:-10}
SEED=${2:-$((EPOCHSECONDS % 100000))}
YOUNG_MS=${YOUNG_MS:-2500}
SETTLE_S=${SETTLE_S:-40}
SW_TAKEOVER=1 SW_CLUSTER=1 SW_SERVERS=3 SW_FIREWALLS=cluster
LAB_CLUSTER='hello-interval = "200ms" dead-after = "1s" backup-delay = "500ms"
	source-rate = 20000
	source-burst = 4000'
. "$LAB_TESTS/topo_sandwich.sh"
dp_cluster='hello-interval = "200ms" dead-after = "1s"'
NODES='outer inner'
FIREWALLS='fw1 fw2 fw3'
LOAD=$LAB_DIR/load

[ "$LAB_FW" = daemon ] || { skipped "chaos" "needs fwclusterd"; finish; }

# --- the network -----------------------------------------------------------------------------

CHECK='check = "http"
	check-port = 80
	check-path = "/health"
	check-interval = "200ms"
	check-timeout = "1s"'
service() { # NAME VIP PROTOCOL TECHNOLOGY [MORE]
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\", \"$(vip6 "$2")\" }
	protocol = \"$3\"
	targets = { \"web1\", \"web2\", \"web3\" }
	technology = \"$4\"
	algorithm = \"round-robin\"
	${5:-}
}"
}
services() {
	service mac 0 tcp l4/2 'on-target-down = "reset"'
	service mac-udp 0 udp l4/2 'on-target-down = "move"'
	service rewritten 1 tcp l4/3 'on-target-down = "reset"'
	service rewritten-udp 1 udp l4/3 'on-target-down = "move"'
	service read 3 tcp l7/3 'ports = { "80" }'
	sw_targets "web1=$CHECK" "web2=$CHECK" "web3=$CHECK"
}
# Daemons run as services: tools/service.py is to them what systemd is.
real=$FWCLUSTERD
as_service() {
	printf '#!/bin/bash\nexec %s "%s" "${@: -1}.pid" "%s" "$@"\n' \
		"$PYTHON" "$LAB_TESTS/tools/service.py" "$real" >"$LAB_DIR/service"
	chmod 755 "$LAB_DIR/service"
	FWCLUSTERD=$LAB_DIR/service
}
begin() { # NAME: start that daemon
	case $1 in
	fw*) LAB_RULES=$SW_CLUSTER_RULES fw_start "$1" ;;
	*) dp_start "$1" ;;
	esac
}
daemon_pid() { cat "$LAB_DIR/$1.conf.pid"; }
links_of() { # NAME: its segments
	case $1 in
	fw*) echo front back cluster ;;
	*) echo outside front back farm cluster ;;
	esac
}
link_set() { ip -n switch link set "$1.$2" "$3"; } # NAME SEGMENT up|down: both ends see it

# drop NAME SEGMENT from|to|both [PERCENT]: frames from, or to, that host are lost in the switch.
drop() {
	local id=cut_${1}_$2 match=${4:+numgen random mod 100 < $4}
	{
		echo "table netdev $id {"
		[ "$3" = to ] || echo "chain in { type filter hook ingress device \"$1.$2\" priority -10; $match drop; }"
		[ "$3" = from ] || echo "chain out { type filter hook egress device \"$1.$2\" priority -10; $match drop; }"
		echo "}"
	} | run_in switch nft -f -
}
drop_end() { run_in switch nft delete table netdev "cut_${1}_$2"; }

# --- what is well ----------------------------------------------------------------------------

# Prints what is not.
unwell() {
	local name
	for name in $NODES $FIREWALLS; do
		running "$name" || { echo "$name does not run"; return; }
		ctl "$name" status >"$LAB_DIR/status" 2>&1 || {
			echo "$name: $(grep -v '^health *ok' "$LAB_DIR/status" | grep -iE 'problem|health|down' | head -n 2 | tr -s ' \n' ' ')"
			return
		}
	done
	for name in $NODES; do
		json "$name" show dispatchers | jq -r --arg n "$name" '.dispatchers[] |
			(select(.takeover.state != (if .dispatcher == $n then "active" else "standby" end)) |
				"\($n): \(.dispatcher) is \(.takeover.state)"),
			(select(.takeover.synced | not) | "\($n): tables of \(.dispatcher) are not there"),
			(select(.dispatcher == $n) | .paths[] | select(.state != "up") | "\($n): \(.path) is \(.state)")' |
			grep . && return
	done
	json inner show targets | jq -r '.targets[] | select(.state != "up") | "\(.target) is \(.state)"' | grep . && return
}
# settle BEGIN MENDED: all is well, and every connection that was there at BEGIN has had an answer since
# MENDED; what may be lost is not waited for: what came a little before, what a server had that is lost
# and, when a node that reads requests was lost, what it read (who only listens, or has said all, waits
# in vain).
settle() {
	local end=$(($(now_ms) + SETTLE_S * 1000)) what
	while what=$(unwell | head -n 1); [ -n "$what" ]; do
		[ "$(now_ms)" -lt $end ] || { echo "$what"; return 1; }
		echo "$(($(now_ms) - $2)) ms: $what" >>"$LAB_DIR/unwell"
		pause 0.1
	done
	kill -USR1 "${lab_pid[load.in]}" "${lab_pid[load.out]}"
	[ "$l7" = 1 ] && l7_lost=$2
	while what=$(silent $(($1 - YOUNG_MS)) "$2"); [ -n "$what" ]; do
		[ "$(now_ms)" -lt $end ] || { echo "no answer: $what"; return 1; }
		echo "$(($(now_ms) - $2)) ms: no answer: $what" >>"$LAB_DIR/unwell"
		pause 0.1
	done
}
silent() { # BEFORE SINCE: one that began before, and had no answer since
	jq -rs --argjson before "$1" --argjson since "$2" --argjson l7_lost "$l7_lost" --arg servers "$servers" \
		--slurpfile at "$LOAD.in.at" '[.[].all[] |
		select(.[0] < $before and .[1] < $since) |
		select(.[0] > $l7_lost or (.[2] | contains(" by l7/") | not)) |
		select(. as $c | ($servers | split(",") | any(. == $c[3])) or $c[0] < ($at[0].servers[$c[3]] // 0) | not) |
		select(. as $c | $at[0].young | any($c[0] > .[0] and $c[0] <= .[1] and
			$c[1] <= .[1] + (if $c[2] | test("^(l7|download) ") then 20000 else 0 end)) | not)] |
		sort_by(.[1]) | first | select(. != null) |
		"\(.[2]), \(($since - .[0]) / 1000 | floor) s old"' "$LOAD.in.now" "$LOAD.out.now"
}

# --- faults ----------------------------------------------------------------------------------

# Chance: the whole run follows from the seed. A subshell would have dice of its own.
roll() { rolled=$((RANDOM % $1)); } # N: 0 … N - 1
one_of() { roll $#; shift $rolled; picked=$1; }
hold() {
	local seconds
	roll 3
	seconds=$((1 + rolled))
	roll 10
	pause "$seconds.$rolled"
}

# Each sets `what`, and `servers` or `l7` when connections may be lost for it.
fault_kill() {
	local name=$1
	what="kill -9 $name" l7=1
	kill -KILL "${lab_pid[$name]}" "$(daemon_pid "$name")"
	stop "$name" KILL
	hold
	begin "$name"
}
fault_power() {
	local name=$1 link
	what="power of $name" l7=1
	for link in $(links_of "$name"); do link_set "$name" "$link" down; done
	kill -KILL "${lab_pid[$name]}" "$(daemon_pid "$name")"
	stop "$name" KILL
	hold
	for link in $(links_of "$name"); do link_set "$name" "$link" up; done
	begin "$name"
}
fault_stall() {
	what="$1 stands still" l7=1
	kill -STOP "$(daemon_pid "$1")"
	roll 40
	pause "$((rolled / 10)).$((3 + rolled % 7))"
	kill -CONT "$(daemon_pid "$1")"
}
fault_term() {
	what="$1 leaves" l7=1
	stop "$1" TERM
	hold
	begin "$1"
}
fault_restart() {
	local before
	what="$1 restarts" l7=1
	before=$(daemon_pid "$1")
	kill -HUP "${lab_pid[$1]}"
	wait_for 20 "[ \$(daemon_pid '$1') != $before ] && ctl '$1' show version"
}
fault_reload() {
	local i
	what="$1 reloads 20 times"
	for i in {1..20}; do ctl "$1" reload >/dev/null; done
}
fault_takeover() {
	local other=inner
	[ "$1" = inner ] && other=outer
	what="takeover by $other" l7=1
	ctl "$other" takeover "$1"
	hold
	ctl "$1" takeover "$1"
}
fault_drain() {
	what="$1 is drained"
	ctl "$1" drain node
	hold
	ctl "$1" undrain node
}
fault_link() {
	what="link $1.$2 down" l7=1
	link_set "$1" "$2" down
	hold
	link_set "$1" "$2" up
}
fault_cut() { # NAME SEGMENT from|to|both
	what="cut $3 $1.$2" l7=1
	drop "$@"
	hold
	drop_end "$1" "$2"
}
fault_loss() {
	what="a third lost at $1.cluster" l7=1
	roll 20
	drop "$1" cluster both $((20 + rolled))
	hold
	drop_end "$1" cluster
}
fault_server() {
	what="server $1 dies" servers=$1
	farm_die "$1"
	hold
	hold
	farm_return "$1"
	pause 1.5 # until the last check has failed that began before
}

draw() { # KIND: sets fault: a function and its arguments
	one_of $NODES $NODES $FIREWALLS
	fault=("fault_$1" "$picked")
	case $1 in
	takeover) one_of $NODES; fault=(fault_takeover "$picked") ;;
	drain) one_of $FIREWALLS; fault=(fault_drain "$picked") ;;
	server) one_of web1 web2; fault=(fault_server "$picked") ;;
	link | cut)
		one_of $(links_of "$picked")
		fault+=("$picked")
		one_of from to both
		[ "$1" = link ] || fault+=("$picked")
		;;
	esac
}
ALL='kill kill power stall stall term restart restart reload takeover drain link cut loss server'

# What all nodes know of the connection that TEXT names, and what they drop.
autopsy() { # TEXT
	local port=${1##*from port } name
	port=${port%%[!0-9]*}
	for name in $NODES $FIREWALLS; do
		echo "$name"
		[ -z "$port" ] || ctl "$name" show flows sport "$port"
		[ -z "$port" ] || ctl "$name" show forwards sport "$port"
		ctl "$name" show drops
	done >>"$LAB_DIR/autopsy" 2>&1
}

n=0
l7_lost=0 # when a node that reads requests was lost last
event() { # FAULT [ARGUMENT...]
	local begin mended verdict out servers=none l7=0 what=
	begin=$(now_ms)
	"$@" >"$LAB_DIR/fault.out" 2>&1
	[[ $2 != fw* ]] || l7=0
	mended=$(now_ms)
	echo "-- $what" >>"$LAB_DIR/unwell"
	out=$(settle "$begin" "$mended")
	local status=$? settled=$(($(now_ms) - mended))
	verdict=$("$PYTHON" "$LAB_TESTS/tools/chaos_load.py" judge "$LOAD.in,$LOAD.out" "$begin" \
		"$YOUNG_MS" "$servers" "$l7")
	jq -c --arg what "${1#fault_}" --argjson settled "$settled" '. + {what: $what, settled: $settled}' \
		<<<"$verdict" >>"$LAB_DIR/events"
	[ $l7 = 0 ] || l7_lost=$(now_ms)
	n=$((n + 1))
	printf '   %4d s  %-30s %s\n' $(((begin - started) / 1000)) "$what, $(((mended - begin) / 100))00 ms" \
		"$(jq -r --arg s "$settled" '"settled after \($s) ms; gap UDP \(.gap.udp // 0), TCP \(.gap.tcp // 0) ms; \(.alive) live; lost: " +
			([(.allowed | to_entries[] | "\(.value) \(.key)"), (if .failed != [] then "\(.failed | length) NOT ALLOWED" else empty end)] |
			if . == [] then "none" else join(", ") end)' <<<"$verdict")"
	if [ $status != 0 ] || jq -e '.failed != []' <<<"$verdict" >/dev/null; then
		failed "$what: ${out:-lost what may not be lost}"
		jq -r '.failed[]' <<<"$verdict" | head -n 12 | indent
		head -n 5 "$LAB_DIR/fault.out" | cut -c1-200 | indent
		autopsy "${out:-$(jq -r '.failed[0]' <<<"$verdict")}"
		[ $status = 0 ] || return 1
	else
		n_passed=$((n_passed + 1))
	fi
}

# --- the run ---------------------------------------------------------------------------------

rm -f "$LOAD".* "$LAB_DIR/unwell"
title "chaos for $MINUTES minutes, seed $SEED"
RANDOM=$SEED
sw_lay
must "servers run" farm_start web1 web2 web3 remote
farm_file chaos 3
for name in web1 web2 web3 remote; do
	start_in $name $name.lines "$PYTHON" "$LAB_TESTS/tools/chaos_load.py" serve 8000 $name
	must "$name says its name" wait_for 10 "grep -q ready '$LAB_DIR/$name.lines.log'"
done
as_service
must "the firewalls run" sw_firewalls_start
probe='algorithm = "round-robin"
	probe-interval = "200ms"
	probe-timeout = "190ms"
	take-back-delay = "1s"'
sw_both "$probe probe = \"10.3.0.254\"" "$probe probe = \"10.2.0.254\"" "$(services)"
must "the dispatchers start" dp_start outer inner
must "all is well" wait_for 30 '[ -z "$(unwell)" ]'

tcp='[["'$(vip 0)'","l4/2"],["'$(vip6 0)'","l4/2"],["'$(vip 1)'","l4/3"],["'$(vip6 1)'","l4/3"]]'
l7='[["'$(vip 3)'","l7/3"],["'$(vip6 3)'","l7/3"]]'
request="${tcp%]},${l7#[}"
sum=$(cut -d ' ' -f 1 "$LAB_DIR/web/chaos.sum")
start_in client load.in "$PYTHON" "$LAB_TESTS/tools/chaos_load.py" load "$LOAD.in" "$SEED" \
	'{"drip":{"n":24,"to":'"$tcp"'},"idle":{"n":12,"to":'"$tcp"'},"udp":{"n":8,"to":'"$tcp"'},
	"download":{"n":5,"to":'"$tcp"'},"l7":{"n":3,"to":'"$l7"'},"request":{"n":6,"to":'"$request"'},
	"sha256":"'"$sum"'"}'
start_in web3 load.out "$PYTHON" "$LAB_TESTS/tools/chaos_load.py" load "$LOAD.out" $((SEED + 1)) \
	'{"drip":{"n":6,"to":[["'$REMOTE'","out"],["'$REMOTE6'","out"]]},"idle":{"n":4,"to":[["'$REMOTE'","out"],["'$REMOTE6'","out"]]}}'
must "traffic flows" wait_for 20 "[ \$(jq .n_alive '$LOAD.in.now') -ge 52 ] && [ \$(jq .n_alive '$LOAD.out.now') -ge 10 ]"
note "$(jq -rc .alive "$LOAD.in.now")"
pause 3
started=$(now_ms)
: >"$LAB_DIR/events"
for i in in out; do
	echo '{"ends": 0, "gaps": 0, "l7_lost": 0, "servers": {}, "young": []}' >"$LOAD.$i.at"
done
echo
read -ra kinds <<<"${CHAOS_EVENTS:-$ALL}"
while [ $(($(now_ms) - started)) -lt $((MINUTES * 60000)) ]; do
	one_of "${kinds[@]}"
	draw "$picked"
	event "${fault[@]}" || break
	pause 1
done

title "the account, seed $SEED"
check "traffic ends" holds 'stop load.in; stop load.out'
"$PYTHON" "$LAB_TESTS/tools/chaos_load.py" judge "$LOAD.in,$LOAD.out" "$(now_ms)" 60000 none 1 >"$LAB_DIR/last"
check "what was open ended in order" jq -e '.failed == []' "$LAB_DIR/last"
"$PYTHON" "$LAB_TESTS/tools/chaos_load.py" account "$LOAD.in,$LOAD.out" "$LAB_DIR/events"
echo
check "$n faults, and none but those were seen" at_least $n 1
check "the dispatchers end in order" dp_end
check "the firewalls end in order" fw_end
finish
