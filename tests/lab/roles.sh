# shellcheck shell=bash
# roles.sh - who plays the outer and the inner dispatcher, of the nodes outer, inner and SW_SPARES;
# and connections that are to go on whoever does. For tests on topo_sandwich.sh.

# is NODE DISPATCHER STATE
is() { [ "$(role_of "$1" "$2")" = "$3" ]; }
has_tables() { json "$1" show dispatchers | jq -e '[.dispatchers[].takeover.synced] | all'; }

# Each dispatcher is with the node of its name, and every other node could take over.
both_home() {
	local node dispatcher state
	for node in outer inner $SW_SPARES; do
		for dispatcher in outer inner; do
			state=standby
			[ $node != $dispatcher ] || state=active
			is "$node" $dispatcher $state || return 1
		done
		has_tables "$node" || return 1
	done
}
settled() { wait_for "${1:-20}" both_home; } # [SECONDS]

connections=()
# connections_begin NAME=ADDRESS...: drips from the client, which stand for what may not end.
connections_begin() {
	local one
	connections=()
	for one in "$@"; do
		drip_start "${one%%=*}" "${one#*=}" || return 1
		connections+=("${one%%=*}")
	done
}
connections_end() {
	local name
	for name in "${connections[@]}"; do stop "$name" TERM; done
}
all_live() {
	local name
	for name in "${connections[@]}"; do
		drip_lives "$name" 10 || { echo "$name does not go on"; return 1; }
	done
}
