# shellcheck shell=bash
# demo_lib.sh - how a demo talks: numbered steps, commands with what they print, a table at the end.

shown=() # what | outcome
step=0
BOLD='' PLAIN=''
[ -t 1 ] && BOLD=$'\e[1m' PLAIN=$'\e[0m'

say() { printf '   %s\n' "$@"; }
head_line() {
	step=$((step + 1))
	step_failed=$n_failed
	step_text=$*
	printf '\n%s%d. %s%s\n\n' "$BOLD" $step "$*" "$PLAIN"
}
# outcome TEXT: closes the step; the outcome counts only if every check in it passed.
outcome() {
	if [ $n_failed = "$step_failed" ]; then
		shown+=("$step_text|$1|ok")
	else
		shown+=("$step_text|see above|FAILED")
	fi
}
show() { # a command of the operator's and what it prints
	printf '   $ %s\n' "$*"
	"${@}" 2>&1 | head -n "${SHOW_LINES:-12}" | cut -c1-150 | sed 's/^/     /'
	echo
}
show_ctl() { # NAME ARGUMENT...
	local name=$1
	shift
	printf '   %s$ fwclusterctl %s\n' "$name" "$*"
	ctl "$name" "$@" 2>&1 | head -n "${SHOW_LINES:-12}" | cut -c1-150 | sed 's/^/     /'
	echo
}

# The table of what was shown.
demo_table() {
	printf '\n%sWhat was shown%s\n\n' "$BOLD" "$PLAIN"
	printf '   %-64s %-58s %s\n' what outcome ''
	for line in "${shown[@]}"; do
		IFS='|' read -r what result state <<<"$line"
		printf '   %-64s %-58s %s\n' "${what:0:63}" "$result" "$state"
	done
	echo
}
