# bash completion for fwclusterctl(8): the tool itself knows what may follow.

_fwclusterctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i socket=${FWCLUSTERCTL_SOCKET-}
	local -a words=()

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-w | --watch) return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-1 -a -h -j -q -s -V -w -y --all --help --json \
			--lines --quiet --socket --version --watch --yes" -- "$cur")
		return
	fi
	# Options and their values are no part of the sentence.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) socket=${COMP_WORDS[++i]} ;;
		-w | --watch) ((i++)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	# Names of targets, services and paths come from the daemon.
	mapfile -t COMPREPLY < <(FWCLUSTERCTL_SOCKET=$socket \
		"${COMP_WORDS[0]}" __complete "${words[@]}" "$cur" 2>/dev/null)
}

complete -F _fwclusterctl fwclusterctl
