#!/bin/sh
# systemd units: no unknown settings, and an exposure of at most 2.0.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}

if ! command -v systemd-analyze >/dev/null; then
	echo "unit.sh: skipped: systemd-analyze is not installed"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# Stands in for the daemon, which is not installed where this runs.
cp /bin/true "$dir/fwclusterd"

for unit in fwclusterd.service fwclusterd@.service; do
	# An instance, where the unit is a template.
	file=$dir/$(echo "$unit" | sed 's/@\./@test./')
	sed -e "s|@sbindir@|$dir|g" -e 's|@sysconfdir@|/etc|g' \
		"$top/contrib/systemd/$unit.in" >"$file"
	if grep -n '@[a-z]*dir@' "$file"; then
		echo "unit.sh: $unit: a placeholder nobody fills in" >&2
		failed=1
	fi
	# Man pages and other units of the machine are not the question.
	said=$(systemd-analyze verify --man=no "$file" 2>&1 | grep "^$file\\|$unit" || true)
	if [ -n "$said" ]; then
		echo "unit.sh: $said" >&2
		failed=1
	fi
	if ! systemd-analyze security --offline=true --threshold=20 --no-pager "$file" \
		>"$dir/exposure" 2>&1; then
		tail -n 1 "$dir/exposure" >&2
		echo "unit.sh: $unit: exposure above 2.0" >&2
		failed=1
	fi
done
exit $failed
