#!/bin/sh
# Requirement numbers and the tests that prove them, as a table. Fails when a number listed in
# tests/requirements.done has no test, when a test names something that is no number, or when a test
# that names one is run by nobody.
#
# A test names what it proves in a comment: proves: FC-3 FC-6, after /*, * or #.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top"
failed=0

find tests -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) ! -path 'tests/lint/*' |
	LC_ALL=C sort | xargs awk -v done=tests/requirements.done '
	BEGIN {
		while ((getline line < done) > 0)
			if (line !~ /^#/ && split(line, word, " ") > 0) {
				wanted[word[1]] = 1
				seen[word[1]] = 1
				n_wanted++
			}
		if (n_wanted == 0) {
			print "requirements.sh: " done " lists nothing"
			exit failed = 1
		}
	}
	/^[ \t]*(\/\*|\*|#|\/\/)[ \t]*proves:/ {
		sub(/.*proves:/, "")
		sub(/\*\/.*/, "")
		for (i = split($0, word, /[ \t,]+/); i > 0; i--) {
			if (word[i] == "")
				continue
			if (word[i] !~ /^(FC|HD)-[1-9][0-9]*$/) {
				print "requirements.sh: " FILENAME ":" FNR ": \"" word[i] "\" is no requirement"
				failed = 1
				continue
			}
			seen[word[i]] = 1
			if (!((word[i], FILENAME) in has)) {
				has[word[i], FILENAME] = 1
				name = FILENAME
				sub(/^tests\//, "", name)
				tests[word[i]] = tests[word[i]] " " name
			}
		}
	}
	function show(number,    n, name, i, line) {
		n = split(tests[number], name, " ")
		line = sprintf("%-6s", number)
		for (i = 1; i <= n; i++) {
			if (length(line) + length(name[i]) > 98) {
				print line
				line = sprintf("%-6s", "")
			}
			line = line " " name[i]
		}
		print n ? line : line " no test"
		if (!n && number in wanted) {
			print "requirements.sh: " number " is marked done and has no test"
			failed = 1
		}
	}
	END {
		for (kind = 1; kind <= 2 && n_wanted; kind++)
			for (i = 1; i < 100; i++) {
				number = (kind == 1 ? "FC-" : "HD-") i
				if (number in seen)
					show(number)
			}
		exit failed
	}' || failed=1

for test in $(grep -rlE '^[ \t]*(/\*|\*|#|//)[ \t]*proves:' tests); do
	name=${test##*/}
	name=${name%.*}
	case $test in
	tests/lab/*) list=tests/lab/run.sh ;;
	tests/lint/* | *.h) continue ;;
	*) list=Makefile.am ;;
	esac
	if ! grep -qw "$name" "$list"; then
		echo "requirements.sh: $test names requirements, but $list does not run it"
		failed=1
	fi
done
exit $failed
