#!/bin/bash
# run.sh [FILE] - every benchmark, one after the other, into one markdown file (default:
# bench.md in the build directory). The lab needs root and is left out without.
#
# BENCH_FULL=1: a long run of the engine's tables. BENCH_ROUNDS, BENCH_SECONDS, ...: see
# lab_bench.sh, lab_dispatch.sh, lab_l7.sh and lab_takeover.sh. With valgrind installed, instructions
# per packet are counted exactly, which other work on the machine does not disturb.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/../../build}
programs=$build/tests/bench
file=${1:-$build/bench.md}
[ "${BENCH_FULL:-0}" = 1 ] && quick= || quick=--quick
status=0

say() { echo "bench: $*" >&2; }

code() { # a program's text as it is
	echo '```'
	"$@" || status=1
	echo '```'
	echo
}

machine() {
	echo "$(uname -sr), $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
		"load $(cut -d' ' -f1 /proc/loadavg), $(date -u +%F)"
	echo
}

# instructions PROGRAM CASE FLOWS: one row
instructions() {
	local out n=64000
	[ "$3" -gt "$n" ] && n=$3
	out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=measured \
		"$programs/$1" --one "$2" "$3" "$n" 2>&1) || return 1
	awk -v what="$2" -v flows="$3" '/ packets,/ { n = $1 } / Collected :/ { c = $NF }
		END { if (n && c) printf "| %s | %d | %.0f |\n", what, flows, c / n }' <<<"$out"
}

table_instructions() {
	local what
	echo "### Instructions per packet (callgrind)"
	echo
	if ! command -v valgrind >/dev/null; then
		echo "- (valgrind is not installed)"
		echo
		return
	fi
	echo "| case | flows | instructions |"
	echo "|---|---|---|"
	for what in state-udp state-tcp forward-udp forward-tcp tunnel-udp new-udp new-tcp miss; do
		instructions bench_engine $what 1000 || status=1
	done
	instructions bench_engine state-udp 100000 || status=1
	for what in outer-udp outer-tcp outer-back-tcp outer-new-tcp outer-static \
		l42-udp l42-tcp l42-back-tcp l42-new-udp l42-new-tcp \
		l43-udp l43-tcp l43-back-tcp l43-new-tcp \
		stage-tcp stage-back-tcp stage-new-tcp stage-new-udp; do
		instructions bench_dispatch $what 1000 || status=1
	done
	echo
}

lab() {
	if [ "$(id -u)" != 0 ]; then
		echo "The lab needs root: left out."
		return
	fi
	# All datagrams of the test go one way: let as many flows be unanswered as there are.
	top_builddir=$build LAB_RULES=${LAB_RULES:-'
	max-half-open = 262144
	rule "out" {
		action = "pass"
		in = "inside"
		out = "outside"
	}'} bash "$here/lab_bench.sh" || status=1
	top_builddir=$build bash "$here/lab_dispatch.sh" || status=1
	top_builddir=$build bash "$here/lab_l7.sh" || status=1
	top_builddir=$build bash "$here/lab_takeover.sh" || status=1
}

{
	echo "# Benchmarks"
	echo
	machine
	say "flow table"
	echo "### Flow table"
	echo
	code "$programs/bench_table" $quick
	say "choice"
	echo "### Choice of a firewall or target"
	echo
	code "$programs/bench_choice" $quick
	say "engine"
	"$programs/bench_engine" $quick || status=1
	"$programs/bench_dispatch" $quick || status=1
	say "instructions"
	table_instructions
	say "lab"
	lab
} >"$file.new" || status=1
mv "$file.new" "$file"
say "written to $file"
exit $status
