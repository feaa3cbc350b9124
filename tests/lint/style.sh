#!/bin/sh
# House style, as far as it can be counted: functions of at most 80 lines, source files of at most
# 600, nothing left for later, no test that sleeps, and everything formatted by clang-format.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top"
MAX_FUNCTION=80
MAX_FILE=600
failed=0

fail()
{
	echo "style.sh: $*" >&2
	failed=1
}

files=$(find src tests -name '*.[ch]' | LC_ALL=C sort)

check_functions()
{
	if ! ctags --version 2>/dev/null | grep -q 'Universal Ctags'; then
		echo "style.sh: skipped the length of functions: universal-ctags is not installed"
		return
	fi
	long=$(echo "$files" | ctags -L - --languages=C --langmap=C:.c.h --kinds-C=f --fields=ne -o - |
		awk -F '\t' -v max=$MAX_FUNCTION '
		/^!/ { next }
		{
			begin = end = 0
			for (i = 4; i <= NF; i++) {
				if ($i ~ /^line:/) begin = substr($i, 6)
				if ($i ~ /^end:/) end = substr($i, 5)
			}
			n++
			if (end - begin + 1 > max)
				print $2 ":" begin ": " $1 " has " end - begin + 1 " lines, at most " max
		}
		END { if (n < 100) print "only " n " functions found: does ctags still speak this format?" }')
	[ -z "$long" ] || fail "$long"
}

check_files()
{
	# shellcheck disable=SC2016
	long=$(find src -name '*.[ch]' -exec awk -v max=$MAX_FILE \
		'FNR == max + 1 { print FILENAME " has more than " max " lines" }' {} +)
	[ -z "$long" ] || fail "$long"
}

# Words that mean "not done". The brackets keep this script from finding itself.
check_leftovers()
{
	left=$(grep -rnE '\b(TO[D]O|FIX[M]E|HA[C]K)\b' src tests contrib etc man doc || true)
	[ -z "$left" ] || fail "left for later:
$left"
}

# Tests wait for conditions with a deadline. What the generators of traffic (tests/bench,
# tests/lab/tools) do between packets is a rate, not a wait.
check_sleeps()
{
	slept=$({
		find tests -name '*.[ch]' ! -path 'tests/bench/*' -exec \
			grep -HnE '\b(u|nano|clock_nano)?sl[e]ep\(' {} +
		# shellcheck disable=SC2016
		find tests -name '*.sh' -exec \
			grep -HnE '(^|[^-_[:alnum:].])sl[e]ep([[:space:]]+[-"$0-9]|$)' {} +
		find tests -name '*.py' ! -path 'tests/lab/tools/*' -exec \
			grep -HnE '\bsl[e]ep\(' {} +
	} | grep -vE '^[^:]*:[0-9]*:[[:space:]]*#' || true)
	[ -z "$slept" ] || fail "a test sleeps:
$slept"
}

# Releases of clang-format differ in details: the one of Debian 12 decides.
check_format()
{
	version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
	if [ "$version" != 14 ]; then
		echo "style.sh: skipped the format: clang-format 14 is not installed"
		return
	fi
	# shellcheck disable=SC2086
	said=$(clang-format --dry-run -Werror $files 2>&1 | grep 'error:' || true)
	[ -z "$said" ] || fail "clang-format -i would change:
$(echo "$said" | cut -d: -f1-2 | head -n 20)"
}

check_functions
check_files
check_leftovers
check_sleeps
check_format
exit $failed
