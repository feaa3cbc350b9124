#!/bin/sh
# Layers: every folder of src/ includes only what lies below it, and the engine and all below it
# neither make system calls nor read a clock nor write a log. doc/engine.md draws the layers.
set -eu

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top/src"
failed=0

fail()
{
	echo "layers.sh: $*" >&2
	failed=1
}

# Folders of src/ that the files of a folder may include from.
folders_of()
{
	case $1 in
	base) echo base ;;
	packet) echo base packet ;;
	flow) echo base packet flow ;;
	l7) echo base l7 ;;
	cluster) echo base packet flow cluster ;;
	node) echo base packet flow node ;;
	firewall) echo base packet flow cluster node firewall ;;
	dispatch) echo base packet flow l7 cluster node dispatch ;;
	engine) echo base packet flow l7 cluster node firewall dispatch engine ;;
	io) echo base packet io ;;
	proxy) echo base l7 io proxy ;;
	conf) echo base conf ;;
	ctl) echo base ctl ;;
	daemon) echo base packet flow l7 cluster node firewall dispatch engine io proxy conf daemon ;;
	main.c) echo base daemon ;;
	esac
}

# Headers besides: actions.h is the vocabulary of what is to be done, and has no code behind it that
# knows more than flow/; offload_map.h is memory shared with the kernel; config.h is what configure
# found.
extra_of()
{
	case $1 in
	node | firewall | dispatch) echo engine/actions.h ;;
	io) echo engine/actions.h node/offload_map.h config.h ;;
	conf) echo config.h ;;
	ctl | daemon | main.c) echo config.h ;;
	esac
}

is_pure()
{
	case $1 in
	base | packet | flow | l7 | cluster | node | firewall | dispatch | engine) return 0 ;;
	esac
	return 1
}

# Headers in <> that compute and nothing else.
PURE=' assert.h ctype.h endian.h errno.h inttypes.h limits.h stdarg.h stdbool.h stddef.h stdint.h'
PURE="$PURE stdio.h stdlib.h string.h "

# May FILE (a path below src/) of the pure layers include <HEADER>?
pure_may()
{
	case $PURE in
	*" $2 "*) return 0 ;;
	esac
	case "$1 $2" in
	'base/addr.c arpa/inet.h') ;; # addresses to and from text
	'base/pages.c sys/mman.h' | 'base/pages.c sanitizer/asan_interface.h') ;; # as malloc does
	'base/log.c '*) ;;            # the sink that the outer layers write to
	'packet/build.c libnet.h') ;; # packets the daemon originates
	'flow/table.c sys/mman.h') ;; # memory for the tables
	'cluster/'*' sodium.h') ;;
	'l7/cookie_token.c sodium.h') ;;
	'l7/http_judge.c llhttp.h') ;;
	'engine/view'*.[ch]' jansson.h') ;;
	*) return 1 ;;
	esac
}

# Libraries that only one place knows.
outer_may()
{
	case $2 in
	event.h | evutil.h | event2/*) [ "$1" = daemon ] ;;
	confuse.h) [ "$1" = conf ] ;;
	systemd/*) [ "$1" = daemon ] ;;
	bpf/* | libmnl/* | seccomp.h | cap-ng.h | linux/* | net/* | netinet/*) [ "$1" = io ] ;;
	libnet.h) [ "$1" = io ] ;;
	pcap.h | pcap/*) [ "$1" = io ] || [ "$1" = daemon ] ;;
	sodium.h) [ "$1" = daemon ] ;;
	jansson.h) [ "$1" = io ] || [ "$1" = daemon ] || [ "$1" = ctl ] ;;
	esac
}

check_own()
{
	[ "$3" = config.h ] || [ -e "$3" ] || fail "$1:$2: \"$3\" is not rooted at src/"
	if [ "$3" = base/log.h ] && is_pure "$layer" && [ "$layer" != base ]; then
		fail "$1:$2: $layer does not log"
	fi
	for folder in $(folders_of "$layer"); do
		[ "$folder" != "${3%%/*}" ] || return 0
	done
	for header in $(extra_of "$layer"); do
		[ "$header" != "$3" ] || return 0
	done
	fail "$1:$2: $layer may not include \"$3\""
}

check_system()
{
	if is_pure "$layer"; then
		pure_may "$1" "$3" || fail "$1:$2: <$3> is nothing for this layer"
	else
		outer_may "$layer" "$3" || fail "$1:$2: <$3> does not belong to $layer"
	fi
}

includes=$(find . -name '*.[ch]' | sed 's|^\./||' | LC_ALL=C sort | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include')
[ -n "$includes" ] || fail "no include found"
while IFS= read -r found; do
	file=${found%%:*}
	line=${found#*:}
	line=${line%%:*}
	layer=${file%%/*}
	[ -n "$(folders_of "$layer")" ] || fail "$file: a folder that this script does not know"
	case $found in
	*'"'*'"'*) check_own "$file" "$line" "$(echo "$found" | sed 's/[^"]*"\([^"]*\)".*/\1/')" ;;
	*'<'*'>'*) check_system "$file" "$line" "$(echo "$found" | sed 's/[^<]*<\([^>]*\)>.*/\1/')" ;;
	*) fail "$found: neither \"\" nor <>" ;;
	esac
done <<END
$includes
END

# What needs no header of its own to be wrong here. The log writes; and it alone.
calls='printf|fprintf|vfprintf|puts|fputs|perror|fopen|fread|fwrite|getenv|system|rand|random|srand|exit|log_[a-z]+'
calls="$calls|time|clock|clock_gettime|gettimeofday|getrandom|read|write|open|close|socket|send|recv|ioctl"
for folder in base packet flow l7 cluster node firewall engine; do
	bad=$(find $folder -name '*.[ch]' ! -path base/log.c ! -path base/log.h -exec \
		grep -HnE "(^|[^A-Za-z0-9_.>])($calls)\(" {} + | grep -vE '^[^:]*:[0-9]*:[[:space:]]*(/?\*|//)' || true)
	[ -z "$bad" ] || fail "a call that has no place in $folder:
$bad"
done
exit $failed
