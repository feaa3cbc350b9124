#!/bin/sh
# replay.sh - every fuzz target over its corpus and its past findings.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}" "${FUZZERS:?}"
n=0
for f in $FUZZERS; do
	name=$(basename "$f" | sed 's/^fuzz_//')
	"$top_builddir/$f" "$top_srcdir/tests/fuzz/corpus/$name"
	n=$((n + 1))
done
[ "$n" -gt 0 ] || { echo "no fuzz target was replayed" >&2; exit 1; }
echo "$n fuzz targets replayed"
