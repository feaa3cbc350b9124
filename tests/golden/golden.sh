#!/bin/sh
# golden.sh - captures through the whole daemon: what it sends, frame by frame, and what it refuses,
# and why, must be what it was when a person looked at it.
#
# proves: FC-14
#
# For each CASE, CASE/inside.pcap and CASE/outside.pcap (made by make.py) are replayed together;
# CASE/inside-out.pcap, CASE/outside-out.pcap and CASE/summary.txt are expected. With --update they
# are written anew: look at the difference, by `tcpdump -env -r FILE`, before it is kept.
set -eu

here=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/golden
daemon=${top_builddir:-.}/fwclusterd
update=false
[ "${1:-}" != --update ] || update=true
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

fail()
{
	echo "golden.sh: $*" >&2
	failed=1
}

# Each frame of a pcap file as one line: seconds.fraction, length, bytes.
frames()
{
	od -An -v -tx1 "$1" | tr -d ' \n' | fold -w 2 | awk '
	function number(at,    i, n) {
		for (i = 0; i < 4; i++)
			n = n * 256 + hex(byte[little ? at + 3 - i : at + i])
		return n
	}
	function hex(text) {
		return (index(digits, substr(text, 1, 1)) - 1) * 16 + index(digits, substr(text, 2, 1)) - 1
	}
	BEGIN { digits = "0123456789abcdef" }
	{ byte[NR - 1] = $1 }
	END {
		little = byte[0] == "4d" || byte[0] == "d4"
		for (at = 24; at + 16 <= NR; at += 16 + length_) {
			length_ = number(at + 8)
			line = sprintf("%d.%09d %4d ", number(at), number(at + 4), length_)
			for (i = 0; i < length_; i++)
				line = line byte[at + 16 + i]
			print line
		}
		if (at != NR || NR == 0)
			print "cut off"
	}'
}

compare_frames()
{
	if [ ! -f "$here/$1" ]; then
		fail "$1: no golden capture"
		return
	fi
	frames "$here/$1" >"$dir/want"
	frames "$dir/$1" >"$dir/got"
	if ! diff -U0 "$dir/want" "$dir/got" >"$dir/diff"; then
		fail "$1: other frames are sent (- wanted, + sent; the numbers count frames)"
		cat "$dir/diff" >&2
	fi
}

# A replay ends by itself. It has no device and no cluster: nothing of it touches a network.
run_case()
{
	mkdir "$dir/$1"
	rc=0
	GOLDEN_IN=$here/$1 GOLDEN_OUT=$dir/$1 timeout 30 "$daemon" -n -f "$here/golden.conf" \
		>"$dir/$1/log" 2>&1 || rc=$?
	if [ "$rc" -ne 0 ]; then
		fail "$1: the daemon ended with $rc"
		cat "$dir/$1/log" >&2
		return
	fi
	if grep -q 'cut short' "$dir/$1/log"; then
		fail "$1: an input capture is damaged"
	fi
	sed -n 's/.*summary: //p' "$dir/$1/log" >"$dir/$1/summary.txt"
	if $update; then
		cp "$dir/$1/inside-out.pcap" "$dir/$1/outside-out.pcap" "$dir/$1/summary.txt" \
			"$here/$1/"
		return
	fi
	compare_frames "$1/inside-out.pcap"
	compare_frames "$1/outside-out.pcap"
	diff -u "$here/$1/summary.txt" "$dir/$1/summary.txt" >&2 ||
		fail "$1: other drop reasons or counters (- wanted, + counted)"
}

cases=0
for case in "$here"/*/inside.pcap; do
	case=${case%/inside.pcap}
	[ -d "$case" ] || continue
	run_case "${case##*/}"
	cases=$((cases + 1))
done
[ "$cases" -gt 0 ] || fail "no captures were found in $here"
[ "$failed" -ne 0 ] || echo "$cases captures replayed"
exit $failed
