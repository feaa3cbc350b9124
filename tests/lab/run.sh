#!/bin/bash
# run.sh [TEST...] - runs the tests of the lab, each in a network of its own, one after the other.
# A TEST is a script here, perhaps with its arguments: run.sh single 'asymmetric carry l2'.
# Prints a line for each and at the end `N passed, N failed` (single checks). The output, logs and
# captures of failed tests are kept in LAB_LOGS (default: lab-logs below the build directory).
#
# LAB_RETRY=1: a test that fails is run once more, and that is said: many checks are about time, and a
# machine that others use, too, may stall. Logs of the first attempt are kept.
# LAB_TIMEOUT: seconds for one test (300; sanitizers make everything slower).

cd "$(dirname "$0")" || exit 1
TOP=$(cd ../.. && pwd)
LOGS=${LAB_LOGS:-${top_builddir:-$TOP/build}/lab-logs}
TIMEOUT=${LAB_TIMEOUT:-300}
ALL=(
	single
	'asymmetric carry l2' 'asymmetric carry tunnel' 'asymmetric hold l2' 'asymmetric hold tunnel'
	'places 4' 'places 6'
	heal backup leaving 'restart cluster' 'restart sandwich' overload full_disk unknown keys attack reload device virtual offload
	'backends single' 'backends asymmetric'
	'sandwich nft' 'sandwich cluster' onebox farm tree health takeover cut spare flood
	'l7 balancer' 'l7 sandwich' l7_cookies l7_corners
	l72 'relays config' 'relays ask' 'figure8 both'
	'chaos 2 1'
)

[ "$(id -u)" = 0 ] || { echo "run.sh: needs root, to make network namespaces" >&2; exit 77; }
[ $# -gt 0 ] || set -- "${ALL[@]}"
rm -rf "$LOGS"
mkdir -p "$LOGS" || exit 1

# run_test NAME WORD...: sets passed and failed.
run_test() {
	local dir=$LOGS/$1 status last
	shift
	mkdir -p "$dir"
	LAB_DIR=$dir timeout -k 10 "$TIMEOUT" "./$1.sh" "${@:2}" >"$dir/output" 2>&1 </dev/null
	status=$?
	last=$(tail -n 1 "$dir/output")
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
	else
		passed=$(grep -c '^   ok ' "$dir/output") failed=$(grep -c '^   FAIL ' "$dir/output")
		[ $status = 124 ] && echo "   FAIL  $name: not done after $TIMEOUT s" >>"$dir/output"
		[ $status != 124 ] && echo "   FAIL  $name: ended with status $status" >>"$dir/output"
		failed=$((failed + 1))
	fi
	[ $status = 0 ] || [ "$failed" -gt 0 ] || failed=1
	[ "$failed" -gt 0 ] || rm -rf "$dir"
}

show_failures() { grep -A 4 '^   FAIL ' "$LOGS/$1/output" | cut -c1-160 | head -n 40; }

n_passed=0 n_failed=0 n=0 repeated=()
for test in "$@"; do
	n=$((n + 1))
	name=${test// /-}
	read -ra words <<<"$test"
	printf '[%d/%d] %-26s ' $n $# "$test"
	begin=$EPOCHSECONDS
	run_test "$name" "${words[@]}"
	if [ "$failed" -gt 0 ] && [ "${LAB_RETRY:-0}" = 1 ]; then
		printf '%4d passed, %d failed, %d s; once more\n' "$passed" "$failed" \
			$((EPOCHSECONDS - begin))
		show_failures "$name"
		mv "$LOGS/$name" "$LOGS/$name.first"
		repeated+=("$test")
		printf '      %-26s ' "again: $test"
		begin=$EPOCHSECONDS
		run_test "$name" "${words[@]}"
	fi
	n_passed=$((n_passed + passed))
	n_failed=$((n_failed + failed))
	printf '%4d passed, %d failed, %d s\n' "$passed" "$failed" $((EPOCHSECONDS - begin))
	[ "$failed" = 0 ] || show_failures "$name"
done
[ ${#repeated[@]} = 0 ] || printf 'failed at first and were repeated: %s\n' "${repeated[*]}"
[ $n_failed = 0 ] || echo "logs of the failures: $LOGS"
echo "$n_passed passed, $n_failed failed"
[ $n_failed = 0 ]
