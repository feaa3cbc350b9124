# shellcheck shell=bash
# dispatchers.sh - the dispatchers of a topology: their configuration, start, stop and questions.
#
# A topology says for each node its ports, which are named as their devices, and its cluster
# address, and gives the text of its sections:
#   dp_ports[inner]='back farm'    dp_port[inner.farm]='addresses = { ... }'
#   dp_address[inner]=10.9.0.2     dp_text[inner]='dispatcher "inner" { ... } service ...'
# Nodes without a dp_address are in no cluster. fwclusterctl is asked with the words of
# firewalls.sh (ctl, json, counter, drops, members_up).
#
# dp_cluster: more options of everybody's cluster section.
#
# LAB_OFFLOAD=1 leaves the packets of known flows to the kernel, at all ports.
# LAB_FW=plain puts the kernel's forwarding in the place of all dispatchers, which tests the lab
# itself: everything goes by fw1 to web1.

. "$LAB_TESTS/firewalls.sh"

declare -A dp_ports=() dp_port=() dp_address=() dp_text=()
dp_names=()

dp_conf() { # NAME: writes its configuration
	local name=$1 port member id=0
	{
		echo "node = \"$name\""
		echo "user = \"\""
		echo "seccomp = \"${LAB_SECCOMP:-enforce}\""
		for port in ${dp_ports[$name]}; do
			echo "port \"$port\" {"
			echo "	device = \"$port\""
			echo "${dp_port[$name.$port]:-}"
			[ "${LAB_OFFLOAD:-0}" = 0 ] || echo "	offload = true"
			echo "}"
		done
		if [ -n "${dp_address[$name]:-}" ]; then
			[ -e "$LAB_DIR/dispatchers.key" ] || fw_make_key "$LAB_DIR/dispatchers.key" 1
			echo "cluster {"
			echo "	id = 2"
			echo "	device = \"cluster\""
			echo "	key-file = \"$LAB_DIR/dispatchers.key\""
			echo "	${dp_cluster:-}"
			echo "}"
			for member in "${dp_names[@]}"; do
				id=$((id + 1))
				echo "member \"$member\" {"
				echo "	id = $id"
				echo "	address = \"${dp_address[$member]}\""
				echo "}"
			done
		fi
		echo "${dp_text[$name]:-}"
		echo "control {"
		echo "	socket = \"$LAB_DIR/$name.sock\""
		echo "}"
		echo "log {"
		echo "	target = \"stderr\""
		echo "	level = \"${LAB_LOG:-info}\""
		echo "}"
	} >"$LAB_DIR/$name.conf"
}

dp_start() { # NAME...
	local name
	[ "$LAB_FW" = daemon ] || return 0
	for name in "$@"; do
		dp_conf "$name"
		rm -f "$LAB_DIR/$name.sock"
		start_in "$(dp_host "$name")" "$name" "$FWCLUSTERD" -n -f "$LAB_DIR/$name.conf"
	done
	for name in "$@"; do
		fw_ready "$name" || return 1
	done
}

# The namespace a node runs in; a topology may put two on one host.
dp_host() { echo "$1"; }

# dp_reload NAME...: with what dp_text and dp_port say now.
dp_reload() {
	local name
	for name in "$@"; do
		dp_conf "$name"
		ctl "$name" reload || return 1
	done
}

# dp_restart NAME...: stopped in order, started with what the texts say now.
dp_restart() {
	local name
	for name in "$@"; do
		stop "$name" TERM || return 1
	done
	dp_start "$@"
}

# dp_end: every dispatcher that runs ends with status 0 and without a finding.
dp_end() {
	local name status
	for name in "${dp_names[@]}"; do
		running "$name" || continue
		stop "$name" TERM
		status=$?
		[ $status = 0 ] || { echo "$name ended with status $status"; return 1; }
	done
	dp_clean
}
dp_clean() {
	local name
	for name in "${dp_names[@]}"; do
		if grep -E 'ERROR: (Address|Leak|Undefined)|runtime error:|Assertion' \
			"$LAB_DIR/$name.log"; then
			return 1
		fi
	done
}

# --- questions -------------------------------------------------------------------------------

# path_state NODE PATH, target_state NODE TARGET: "up" or "down".
path_state() {
	json "$1" show dispatchers | jq -r --arg p "$2" \
		'[.dispatchers[].paths[] | select(.path == $p) | .state] | first'
}
target_state() {
	json "$1" show targets | jq -r --arg t "$2" '.targets[] | select(.target == $t) | .state'
}
# target_value NODE TARGET FIELD, path_value NODE PATH FIELD, service_value NODE SERVICE FIELD
target_value() {
	json "$1" show targets | jq -r --arg t "$2" --arg f "$3" \
		'.targets[] | select(.target == $t) | .[$f]'
}
path_value() {
	json "$1" show dispatchers | jq -r --arg p "$2" --arg f "$3" \
		'[.dispatchers[].paths[] | select(.path == $p) | .[$f]] | first'
}
service_value() {
	json "$1" show services | jq -r --arg s "$2" --arg f "$3" \
		'.services[] | select(.service == $s) | .[$f]'
}
# flow_of NODE SOURCE_PORT FIELD: of the flow that a client began from that port.
flow_of() {
	json "$1" show flows sport "$2" | jq -r --arg f "$3" '.flows[0][$f]'
}
# paths_up NODE N, targets_up NODE N: so many are up.
paths_up() {
	equal "$(json "$1" show dispatchers |
		jq '[.dispatchers[0].paths[] | select(.state == "up")] | length')" "$2"
}
targets_up() {
	equal "$(json "$1" show targets | jq '[.targets[] | select(.state == "up")] | length')" "$2"
}
