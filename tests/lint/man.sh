#!/bin/sh
# Man pages: mandoc finds nothing to warn of; the tables of fwclusterctl(8) are those of the headers;
# every option letter of both programs is explained.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
failed=0

fail()
{
	echo "man.sh: $*" >&2
	failed=1
}

# Lines of PAGE between the markers of table NAME.
between()
{
	awk -v name="$2" '
		$0 == ".\\\" end " name { inside = 0 }
		inside
		$0 == ".\\\" begin " name { inside = 1 }' "$1"
}

check_lint()
{
	if ! command -v mandoc >/dev/null; then
		echo "man.sh: skipped the lint: mandoc is not installed"
		return
	fi
	for page in "$top"/man/*.[0-9]; do
		# What the index of installed pages lacks depends on the machine.
		said=$(mandoc -T lint -W warning "$page" 2>&1 | grep -v 'mandoc.db' || true)
		[ -z "$said" ] || fail "$said"
	done
}

check_tables()
{
	page=$top/man/fwclusterctl.8
	for table in drops counters events; do
		want=$(sh "$top/tests/lint/man_tables.sh" "$table")
		have=$(between "$page" "$table")
		[ -n "$want" ] || fail "no rows for $table: has a header changed its shape?"
		[ "$want" = "$have" ] ||
			fail "$page: table of $table is old; run tests/lint/man_tables.sh --update $page"
	done
}

# Every letter of the getopt string in SOURCE has an entry in PAGE.
check_options()
{
	letters=$(sed -n 's/.*getopt_long([^"]*"\([^"]*\)".*/\1/p' "$1" | tr -d ':+' | fold -w 1)
	[ -n "$letters" ] || fail "$1: no option string found"
	for letter in $letters; do
		grep -q "^\\.It Fl $letter\\( \\|\$\\)" "$2" || fail "$2: option -$letter is missing"
	done
}

check_lint
check_tables
check_options "$top/src/main.c" "$top/man/fwclusterd.8"
check_options "$top/src/ctl/options.c" "$top/man/fwclusterctl.8"
exit $failed
