#!/bin/sh
# run.sh - the protocols as Promela models, checked by spin in all their states (doc/model.md).
#
# proves: HD-19 HD-23 FC-5 FC-17
#
# Three kinds of lines in the tables below:
#   pass MODEL NAME "OPTIONS" "STATES"  no assertion fails in any state, the search is complete, and
#                                       all the interesting situations STATES are reached
#   fail MODEL NAME "OPTIONS"           a wrong protocol: an assertion must fail
# With the name of a model only that one.
# Spin, a compiler, and a minute or two are needed; without spin this fails.
set -eu

here=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/model
cc=${CC:-cc}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
only=${1:-}
failed=0
n=0
turn=0
share=${SIM_SHARE:-1} # every so many searches: where another compiler's check has run all of them

if ! command -v spin >/dev/null; then
	echo "run.sh: spin is not installed (Debian: spin)" >&2
	exit 1
fi

report()
{
	n=$((n + 1))
	echo "$1 $n - $2"
	[ "$1" = ok ] || failed=1
}

# build MODEL OPTIONS: $dir/pan
build()
{
	rm -f "$dir"/pan* "$dir"/*.trail
	# shellcheck disable=SC2086 # options are several words
	(cd "$dir" && spin $2 -a "$here/$1.pml") >"$dir/spin.log" 2>&1 &&
		! grep -qi 'error' "$dir/spin.log" &&
		(cd "$dir" && $cc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1000 -o pan pan.c) \
			>>"$dir/spin.log" 2>&1 && return 0
	cat "$dir/spin.log" >&2
	return 1
}

pass()
{
	turn=$((turn + 1))
	[ $((turn % share)) = 0 ] || return 0
	[ -z "$only" ] || [ "$only" = "$1" ] || return 0
	if ! build "$1" "$3"; then
		report "not ok" "$1: $2: does not compile"
		return
	fi
	(cd "$dir" && ./pan -E -m2000000 >out 2>&1) || true
	if ! grep -q 'errors: 0' "$dir/out" || grep -Eq 'not completed|too small' "$dir/out"; then
		grep -E 'pan:|error|reached:|stored' "$dir/out" >&2 || true
		report "not ok" "$1: $2 ($3)"
		return
	fi
	missing=
	for state in $4; do
		grep -q "^reached: $(echo "$state" | tr _ ' ')\$" "$dir/out" ||
			missing="$missing $state"
	done
	if [ -n "$missing" ]; then
		report "not ok" "$1: $2: never reached:$missing"
		return
	fi
	report ok "$1: $2: $(awk '/states, stored/ { print $1 }' "$dir/out") states"
}

fail()
{
	turn=$((turn + 1))
	[ $((turn % share)) = 0 ] || return 0
	[ -z "$only" ] || [ "$only" = "$1" ] || return 0
	if ! build "$1" "$3"; then
		report "not ok" "$1: $2: does not compile"
		return
	fi
	(cd "$dir" && ./pan -E -m2000000 >out 2>&1) || true
	if grep -q 'assertion violated' "$dir/out"; then
		report ok "$1: without this it fails: $2"
	else
		report "not ok" "$1: a wrong protocol passes: $2 ($3)"
	fi
}

# --- take-over ------------------------------------------------------------------------------------

pass takeover "two nodes; links cut and healed, messages lost, crashes, without bound" \
	"-DN=2 -DCUTS=99 -DLOSSES=99 -DCRASHES=99" \
	"elected settled two_active yields_to_one_that_does_not_hear_it yields_to_a_preferred_one
	settled_with_a_link_cut none_active handed_over"
pass takeover "never two, and nobody taken for lost who is not; a crash, stalls" \
	"-DN=2 -DALWAYS_ONE -DCRASHES=1 -DSTALLS=3" \
	"elected settled waits_after_a_stall none_active"
pass takeover "the same; stalls without bound" "-DN=2 -DALWAYS_ONE -DSTALLS=99" \
	"waits_after_a_stall settled"
pass takeover "hand-over and leaving leave no gap" \
	"-DN=2 -DNO_GAP -DORDERS=99 -DLEAVES=99" \
	"elected settled hands_over_to_one_that_wants_it handed_over leaves"
pass takeover "the preferred node has it in the end; leaving, crashes" \
	"-DN=2 -DTAKEBACK=1 -DLEAVES=99 -DCRASHES=99" \
	"elected settled hands_over_to_one_that_wants_it handed_over leaves"
pass takeover "ports go down and up" \
	"-DN=2 -DPORTS=99 -DCRASHES=1 -DTAKEBACK=1" "settled yields_with_a_port_down handed_over"
pass takeover "two nodes; all faults together" \
	"-DN=2 -DCUTS=2 -DSTALLS=1 -DLOSSES=1 -DCRASHES=1" \
	"settled waits_after_a_stall two_active settled_with_a_link_cut"
pass takeover "three nodes; a link cut" "-DN=3 -DCUTS=1" "elected settled settled_with_a_link_cut"
pass takeover "three nodes; two do not hear each other, the third hears both" \
	"-DN=3 -DPAIR -DCUTS=4 -DALWAYS_ONE" "settled settled_with_a_link_cut"

fail takeover "no lease after a stall" "-DN=2 -DALWAYS_ONE -DSTALLS=99 -DMUTANT_LEASE"
fail takeover "the lease runs from the last ROLE" "-DN=2 -DALWAYS_ONE -DSTALLS=99 -DMUTANT_LEASE_ANY"
fail takeover "own stall is nobody's silence" \
	"-DN=2 -DALWAYS_ONE -DCRASHES=1 -DSTALLS=99 -DMUTANT_STALL_SILENCE"
fail takeover "who leaves waits for one that can" "-DN=2 -DNO_GAP -DORDERS=99 -DLEAVES=99 -DMUTANT_LEAVE"
fail takeover "who is not heard yields" "-DN=2 -DCUTS=4 -DMUTANT_ORDER_ONLY"
fail takeover "one of two yields" "-DN=2 -DCUTS=4 -DMUTANT_NEVER_YIELDS"
fail takeover "a boot is challenged" "-DN=2 -DCRASHES=2 -DMUTANT_BOOT"
fail takeover "who starts listens first" "-DN=2 -DALWAYS_ONE -DCRASHES=2 -DMUTANT_LISTEN"
fail takeover "what others hear counts" "-DN=3 -DPAIR -DCUTS=4 -DALWAYS_ONE -DMUTANT_HEARSAY"
fail takeover "yields with a port down" "-DN=2 -DPORTS=3 -DMUTANT_PORT"

# --- home query and backup homes ------------------------------------------------------------------

pass home_query "messages lost" "-DLOSSES=1" "asked confirmed asked_again delivered settled"
pass home_query "links cut and healed" "-DCUTS=2" \
	"taken_over two_homes gives_way not_home rescued back_with_its_boot settled delivered"
pass home_query "members crash and start" "-DCRASHES=1" \
	"taken_over another_boot_is_proven not_home settled delivered"
pass home_query "the flow ends" "-DENDS=1" "ends settled_without_a_home not_home"

fail home_query "a term larger than before" "-DCUTS=2 -DMUTANT_TERM"
fail home_query "a repeated query delivers nothing" "-DLOSSES=1 -DMUTANT_SEEN"
fail home_query "what was delivered is not forwarded" "-DMUTANT_DELIVERED"
fail home_query "who is not home says so" "-DENDS=1 -DLOSSES=1 -DMUTANT_NOT_HOME"
fail home_query "a boot is challenged" "-DCRASHES=1 -DMUTANT_BOOT"

echo "1..$n"
exit $failed
