# shellcheck shell=bash
# lib.sh - a network of namespaces on one machine, and the words its tests are written in.
#
# Source it first. The script then starts again inside private mount, network and process
# namespaces: the host's network is never touched, and when the script ends everything it started
# ends with it. Hosts are named network namespaces; cables are veth pairs; segments are bridges in
# a namespace `switch`. Nothing here sleeps for a guess: wait_for polls a condition to a deadline.
#
# Environment: LAB_DIR (where configurations, logs and captures go; made when unset), LAB_KEEP=1
# (keep it also after success), FWCLUSTERD and FWCLUSTERCTL (the programs under test), LAB_FW
# (`daemon`; or `nft` and `plain`: the kernel in the daemon's place, which tests the lab itself).

set -u
umask 022
LAB_TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_TOP=$(cd "$LAB_TESTS/../.." && pwd)

if [ -z "${LAB_INSIDE:-}" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "$0: needs root, to make network namespaces" >&2
		exit 77
	fi
	if [ -z "${LAB_DIR:-}" ]; then
		LAB_DIR=$(mktemp -d /tmp/fwclusterd-lab.XXXXXX) || exit 1
		LAB_MADE=1
	fi
	mkdir -p "$LAB_DIR" || exit 1
	export LAB_INSIDE=1 LAB_DIR LAB_MADE="${LAB_MADE:-0}" LC_ALL=C
	exec unshare --mount --net --pid --fork --mount-proc --kill-child \
		bash "$0" "$@"
fi

BUILD=${top_builddir:-$LAB_TOP/build}
FWCLUSTERD=${FWCLUSTERD:-$BUILD/fwclusterd}
FWCLUSTERCTL=${FWCLUSTERCTL:-$BUILD/fwclusterctl}
LAB_FW=${LAB_FW:-daemon}
PYTHON=/usr/bin/python3 # where Debian's python3-scapy is
export PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:exitcode=99}

n_passed=0
n_failed=0
n_skipped=0
declare -A lab_pid=()   # log name -> process id of what start_in started

mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/sshd || exit 1
ip link set lo up
exec {lab_pause_fd}<> <(:)

# --- words of a test -------------------------------------------------------------------------

title() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
indent() { sed 's/^/      | /'; }

# pause SECONDS: no process is started for it; used by polling loops only.
pause() { read -rt "$1" -u "$lab_pause_fd"; return 0; }

now_ms() {
	local t=$EPOCHREALTIME
	echo $(((10#${t%.*} * 1000) + (10#${t#*.} / 1000)))
}

# wait_for SECONDS 'condition': true as soon as the condition is, false at the deadline.
wait_for() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	while ! eval "$*" >/dev/null 2>&1; do
		if [ "$(now_ms)" -ge "$end" ]; then
			echo "waited in vain for: $*"
			return 1
		fi
		pause 0.05
	done
}

# stays_for MILLISECONDS 'condition': true when the condition holds all that time. For what must
# not happen.
stays_for() {
	local end=$(($(now_ms) + $1))
	shift
	while [ "$(now_ms)" -lt "$end" ]; do
		if ! eval "$*" >/dev/null 2>&1; then
			echo "did not stay true: $*"
			return 1
		fi
		pause 0.05
	done
}

passed() { n_passed=$((n_passed + 1)); printf '   ok    %s\n' "$1"; }
failed() { n_failed=$((n_failed + 1)); printf '   FAIL  %s\n' "$1"; }
skipped() { n_skipped=$((n_skipped + 1)); printf '   skip  %s (%s)\n' "$1" "$2"; }

# check TEXT COMMAND...: one thing that must be so. The command's output is shown when it fails.
check() {
	local text=$1 out=$LAB_DIR/check.out
	shift
	if "$@" >"$out" 2>&1; then
		passed "$text"
		return 0
	fi
	failed "$text"
	echo "'$*' failed" | indent
	tail -n "${LAB_TAIL:-15}" "$out" | cut -c1-400 | indent
	return 1
}

# must TEXT COMMAND...: like check, but without it the rest of the test means nothing.
must() { check "$@" || finish; }

# For `check`: negation, comparison, and a shell expression.
not() { ! "$@"; }
equal() { [ "$1" = "$2" ] || { echo "got '$1', not '$2'"; return 1; }; }
at_least() { [ "$1" -ge "$2" ] || { echo "got $1, less than $2"; return 1; }; }
at_most() { [ "$1" -le "$2" ] || { echo "got $1, more than $2"; return 1; }; }
holds() { eval "$*"; }

finish() {
	local status=0 name
	if [ $n_failed -gt 0 ]; then
		status=1
		for name in "$LAB_DIR"/*.log; do
			[ -s "$name" ] || continue
			echo "   --- $(basename "$name"), last lines"
			tail -n 25 "$name" | cut -c1-300 | indent
		done
		echo "   configurations, logs and captures: $LAB_DIR"
	elif [ "${LAB_MADE:-0}" = 1 ] && [ "${LAB_KEEP:-0}" != 1 ]; then
		rm -rf "$LAB_DIR"
	fi
	[ $n_skipped -eq 0 ] || printf '%d skipped\n' $n_skipped
	printf '%d passed, %d failed\n' $n_passed $n_failed
	exit $status
}
trap 'failed "interrupted"; finish' INT TERM

# --- hosts, cables, segments -----------------------------------------------------------------

net_host() {
	local host
	for host in "$@"; do
		ip netns add "$host" || return 1
		ip -n "$host" link set lo up
		# Duplicate address detection would make every address wait a second.
		run_in "$host" sysctl -qw \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
			net.ipv4.conf.all.accept_redirects=0 \
			net.ipv4.conf.default.accept_redirects=0 \
			net.ipv6.conf.all.accept_redirects=0 \
			net.ipv6.conf.default.accept_redirects=0
	done
}

# A router of the kernel's.
net_router() {
	net_host "$@"
	local host
	for host in "$@"; do
		run_in "$host" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
	done
}

# net_link HOST IF HOST IF: a cable.
net_link() {
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3" || return 1
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

# net_bridge NAME: a segment. Snooping is off, as multicast without a querier would age out.
net_bridge() {
	if [ ! -e /run/netns/switch ]; then
		ip netns add switch
		run_in switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
			net.ipv6.conf.default.disable_ipv6=1
		# A bridge here is a piece of cable: the host may have told its own to look into IP.
		run_in switch sysctl -qw net.bridge.bridge-nf-call-iptables=0 \
			net.bridge.bridge-nf-call-ip6tables=0 net.bridge.bridge-nf-call-arptables=0 \
			2>/dev/null || true
	fi
	ip -n switch link add name "$1" type bridge mcast_snooping "${2:-0}" || return 1
	ip -n switch link set "$1" up
}

# net_plug HOST IF BRIDGE [ADDRESS/LEN...]: the host's interface, its cable, its addresses.
net_plug() {
	local host=$1 dev=$2 bridge=$3 address
	shift 3
	ip link add "$dev" netns "$host" type veth peer name "$host.$dev" netns switch || return 1
	ip -n switch link set "$host.$dev" master "$bridge" up
	ip -n "$host" link set "$dev" up
	for address in "$@"; do
		net_address "$host" "$dev" "$address"
	done
}

net_address() {
	case $3 in
	*:*) ip -n "$1" addr add "$3" dev "$2" nodad ;;
	*) ip -n "$1" addr add "$3" dev "$2" ;;
	esac
}

net_offloads_off() {
	run_in "$1" ethtool -K "$2" tso off gso off gro off tx off rx off >/dev/null 2>&1
}

# --- processes -------------------------------------------------------------------------------

run_in() {
	local host=$1
	shift
	nsenter --net="/run/netns/$host" -- "$@"
}

# start_in HOST LOGNAME COMMAND...: in the background; its process id is ${lab_pid[LOGNAME]}.
start_in() {
	local host=$1 name=$2
	shift 2
	nsenter --net="/run/netns/$host" -- "$@" >>"$LAB_DIR/$name.log" 2>&1 </dev/null &
	lab_pid[$name]=$!
}

running() { [ -n "${lab_pid[$1]:-}" ] && kill -0 "${lab_pid[$1]}" 2>/dev/null; }

# stop NAME [SIGNAL]: and wait for its end; its exit status.
stop() {
	local pid=${lab_pid[$1]:-} status
	[ -n "$pid" ] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	status=$?
	unset "lab_pid[$1]"
	return $status
}

# --- captures --------------------------------------------------------------------------------

# capture_start NAME HOST IF [FILTER]
capture_start() {
	local name=$1 host=$2 dev=$3
	shift 3
	rm -f "$LAB_DIR/$name.pcap" "$LAB_DIR/$name.tcpdump.log"
	start_in "$host" "$name.tcpdump" tcpdump -Z root -n -p -U --immediate-mode -B 16384 \
		-s "${LAB_SNAP:-200}" -i "$dev" -w "$LAB_DIR/$name.pcap" "$@"
	wait_for 10 "grep -q 'listening on' '$LAB_DIR/$name.tcpdump.log'"
}

# capture_stop NAME: false when the capture is not complete.
capture_stop() {
	local file=$LAB_DIR/$1.pcap size=-1 end=$(($(now_ms) + 2000))
	# The kernel hands over what it still has: wait until the file has stopped growing. On a
	# link that is never silent that does not come; what was asked for is long written then.
	until [ "$(stat -c %s "$file")" = "$size" ] || [ "$(now_ms)" -ge "$end" ]; do
		size=$(stat -c %s "$file")
		pause 0.2
	done
	stop "$1.tcpdump"
	grep -q '^0 packets dropped by kernel' "$LAB_DIR/$1.tcpdump.log"
}

# capture_count NAME FILTER: packets in the capture that match.
capture_count() { tcpdump -n -r "$LAB_DIR/$1.pcap" "$2" 2>/dev/null | wc -l; }

# --- small measurements ----------------------------------------------------------------------

# snmp HOST FIELD: a counter of /proc/net/snmp or netstat, as TcpExt.TCPSynRetrans or Tcp.RetransSegs.
snmp() {
	run_in "$1" cat /proc/net/snmp /proc/net/netstat | awk -v want="$2" '
		{ sub(":", "", $1) }
		head != $1 { head = $1; n = split($0, name, " "); next }
		{ for (i = 2; i <= n; i++) if (head "." name[i] == want) print $i; head = "" }'
}

link_bytes() { # HOST IF: bytes sent
	ip -n "$1" -j -s link show dev "$2" | jq '.[0].stats64.tx.bytes'
}
