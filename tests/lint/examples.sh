#!/bin/sh
# What the documents show works: the configuration in README and the examples of
# fwclusterd.conf(5) can be read, and every file that README and doc/ name is there. The files in
# etc/ are read by options.sh, with the same helper.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
helper=${OPTIONS:-${top_builddir:-.}/tests/lint/options}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

fail()
{
	echo "examples.sh: $*" >&2
	failed=1
}

# The indented block that begins with the node's name.
awk '/^ +node = / { inside = 1 } inside && /^ ? ? ?[^ ]/ { exit } inside' "$top/README" \
	>"$dir/readme.conf"

# The displays of EXAMPLES; the second one adds to the first.
awk '/^\.Sh/ { here = $2 == "EXAMPLES" }
	/^\.Ed/ { inside = 0 }
	here && inside
	/^\.Bd/ { inside = 1 }' "$top/man/fwclusterd.conf.5" >"$dir/man.conf"
echo 'node = "fw1"' >>"$dir/man.conf"

for file in "$dir/readme.conf" "$dir/man.conf"; do
	grep -q 'firewall {' "$file" && grep -q 'member ' "$file" || fail "${file##*/}: nothing found"
	"$helper" "$file" || fail "${file##*/} has errors"
done

names=$(grep -hoE '(^|[^/A-Za-z0-9])(src|doc|etc|man|tests|contrib)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' \
	"$top/README" "$top"/doc/*.md | sed 's/^[^a-z]//' | LC_ALL=C sort -u)
for name in $names; do
	[ -e "$top/$name" ] || fail "README or doc/ names $name, which is not there"
done
for name in $(grep -hoE '\b(base|packet|flow|cluster|node|firewall|dispatch|engine|io|conf|daemon)/[a-z_]+\.[ch]\b' \
	"$top/README" "$top"/doc/*.md | LC_ALL=C sort -u); do
	[ -e "$top/src/$name" ] || fail "README or doc/ names $name, which is not there"
done
exit $failed
