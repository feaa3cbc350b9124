#!/bin/sh
# Tables of fwclusterctl(8), from the lists in the headers.
#
# usage: man_tables.sh drops|counters|events    print one table as mdoc rows
#        man_tables.sh --update PAGE            write all of them into PAGE, between its markers
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}

# "name" class "text" lines of an X-macro list: HEADER LIST CLASS-ARGUMENT...
rows()
{
	printf '#include "%s"\n#define X(sym, name, %s text) @@ name @@ %s @@ text @@@\n%s(X)\n' \
		"$1" "$3" "$4" "$2" |
		${CC:-cc} -std=gnu11 -E -P -I"$top/src" - |
		grep '^@@' | sed 's/@@@ */\n/g' | grep '^ *@@' |
		awk -F ' *@@ *' '{
			for (i = 2; i <= 4; i++) { sub(/ *$/, "", $i); gsub(/^"|"$/, "", $i) }
			gsub(/" *"/, "", $4) # a text in several pieces
			print ".It Cm " $2 ($3 == "" ? "" : " Pq " tolower($3)); print $4
		}'
}

table()
{
	case $1 in
	drops) rows base/drop.h DROP_LIST 'class,' class | sed '1,2d' ;; # "none" is no reason
	counters) rows base/counter.h COUNTER_LIST '' '' ;;
	events) rows engine/actions.h NOTE_LIST 'group,' group ;;
	*) echo "man_tables.sh: no table \"$1\"" >&2; exit 2 ;;
	esac
}

update()
{
	tmp=$(mktemp)
	trap 'rm -f "$tmp" "$tmp.rows"' EXIT
	for name in drops counters events; do
		table "$name" >"$tmp.rows"
		awk -v name="$name" -v rows="$tmp.rows" '
			$0 == ".\\\" begin " name {
				print
				while ((getline line < rows) > 0) print line
				inside = 1
				next
			}
			$0 == ".\\\" end " name { inside = 0 }
			!inside' "$1" >"$tmp"
		cat "$tmp" >"$1"
	done
}

case ${1:-} in
--update) update "$2" ;;
'') sed -n '2,6p' "$0" >&2; exit 2 ;;
*) table "$1" ;;
esac
