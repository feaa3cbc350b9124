#!/bin/sh
# Every option of the configuration file stands in its section of the man page with its default and
# whether it needs a restart, and nothing else does; every example can be read.
#
# Usage: options.sh [helper]; the helper is built from options.c. srcdir is the top of the sources.
set -eu

top=${srcdir:-.}
helper=${1:-${OPTIONS:-tests/lint/options}}
man=$top/man/fwclusterd.conf.5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# "section.option default restart", as the program has them. Texts are compared without quotes.
"$helper" | cut -f 1-3 | sort >"$dir/schema"

# The same from the man page: sections are marked by a comment, options are .It Cm lines. A default
# is what follows "Default:" in the option's text, on its line or as the macro on the next.
awk '
function flush() {
	if (name != "")
		printf "%s\t%s\t%s\n", name, value == "" ? "-" : value, restart
	name = ""
}
/^\.\\" section:/ { flush(); section = $3 == "" ? "" : $3 "."; inside = 1; next }
/^\.Sh/ { flush(); inside = 0 }
!inside { next }
/^\.It Cm/ { flush(); name = section $3; value = ""; restart = "-"; next }
/^\.El/ { flush() }
name == "" { next }
/^\.Em restart/ { restart = "restart" }
wanted { value = $2; if ($1 == ".Qq" && $2 == ".") value = "-"; wanted = 0; next }
/^Default:$/ { wanted = 1; next }
/^Default: none\.$/ { next } # as a word it would be one of those allowed
/^Default: [^ ]*$/ { value = $2; sub(/\.$/, "", value) }
' "$man" | sort >"$dir/man"

if ! diff -u "$dir/schema" "$dir/man" >"$dir/diff"; then
	echo "options.sh: the program (-) and $man (+) differ:"
	grep '^[-+][^-+]' "$dir/diff"
	failed=1
fi

for file in "$top"/etc/fwclusterd.conf "$top"/etc/examples/*.conf; do
	if ! "$helper" "$file"; then
		echo "options.sh: $file has errors"
		failed=1
	fi
done

# A commented-out option of the shipped file shows the default, so it must be one.
sed -n 's/^[[:space:]]*#\([a-z][a-z-]* = .*\)/\1/p' "$top/etc/fwclusterd.conf" | sed 's/ *#.*//' |
	while read -r name _ value; do
		value=$(echo "$value" | tr -d '"{}')
		case $name in node | device | address | id | via | port) continue ;; esac
		if ! grep -q "^\(.*\.\)*$name	${value:--}	" "$dir/schema"; then
			echo "options.sh: etc/fwclusterd.conf shows $name = \"$value\", no default"
			echo bad >"$dir/bad"
		fi
	done
[ ! -e "$dir/bad" ] || failed=1
exit $failed
