# shellcheck shell=bash
# firewalls.sh - the firewalls of a topology: their configuration, start, stop and questions.
#
# A topology says for each member its ports and its cluster address:
#   fw_ports[fw1]='inside=eth0 outside=eth1'   fw_link[fw1]=eth2   fw_address[fw1]=10.9.0.1
# (inside=eth0@SEGMENT where the segment is not named as the port), and may add, for one member or
# for all, text to parts of the configuration:
#   fw_more[fw1]=...  (top level)   fw_cluster[fw1]=...   LAB_CLUSTER=...   LAB_RULES=...
#   fw_port[fw1.inside]=...
#
# LAB_FW=nft puts the kernel's stateful forwarding in the daemon's place, LAB_FW=plain the kernel's
# stateless one: with them the lab itself is tested.

LAB_QUERY=${LAB_QUERY:-carry}
LAB_FORWARD=${LAB_FORWARD:-auto}
LAB_TRANSPORT=${LAB_TRANSPORT:-multicast}
LAB_BACKEND=${LAB_BACKEND:-packet}
LAB_EXCEPTION=${LAB_EXCEPTION:-drop}
# One server answers hundreds of connections a second here, and all of them come from one source.
LAB_CLUSTER=${LAB_CLUSTER:-'
	source-rate = 20000
	source-burst = 4000'}
LAB_TIMEOUTS=${LAB_TIMEOUTS:-}
LAB_RULES=${LAB_RULES:-'
	rule "to-inside-refused" {
		action = "reject"
		in = "outside"
		out = "inside"
		protocol = { "tcp" }
		ports = { "2222" }
	}
	rule "out" {
		action = "pass"
		in = "inside"
		out = "outside"
	}'}

declare -A fw_ports=() fw_port=() fw_link=() fw_address=() fw_more=() fw_cluster=() fw_key=()
fw_names=()

# fw_make_key FILE ID...: a key file; the first id is the active one.
fw_make_key() {
	local file=$1 id active=' active'
	shift
	for id in "$@"; do
		echo "$id $(fw_key_bytes "$id")$active"
		active=
	done >"$file"
	chmod 600 "$file"
}

# The 32 bytes of key ID are the same in every file of one lab.
fw_key_bytes() {
	local file=$LAB_DIR/key.$1
	[ -s "$file" ] || od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$file"
	cat "$file"
}

fw_conf() { # NAME: writes its configuration
	local name=$1 port device member id=0
	fw_key[$name]=${fw_key[$name]:-$LAB_DIR/cluster.key}
	[ -e "${fw_key[$name]}" ] || fw_make_key "${fw_key[$name]}" 1
	{
		echo "node = \"$name\""
		echo "user = \"\""
		echo "seccomp = \"${LAB_SECCOMP:-enforce}\""
		for port in ${fw_ports[$name]}; do
			echo "port \"${port%=*}\" {"
			device=${port#*=}
			echo "	device = \"${device%@*}\""
			[ "$device" = "${device%@*}" ] || echo "	segment = \"${device#*@}\""
			echo "	backend = \"$LAB_BACKEND\""
			echo "${fw_port[$name.${port%%=*}]:-}"
			[ "${LAB_OFFLOAD:-0}" = 0 ] || echo "	offload = true"
			echo "}"
		done
		echo "${fw_more[$name]:-}"
		if [ ${#fw_names[@]} -gt 1 ]; then
			echo "cluster {"
			echo "	id = 1"
			echo "	device = \"${fw_link[$name]}\""
			echo "	transport = \"$LAB_TRANSPORT\""
			echo "	key-file = \"${fw_key[$name]}\""
			echo "	query = \"$LAB_QUERY\""
			echo "	forward = \"$LAB_FORWARD\""
			echo "	exception = \"$LAB_EXCEPTION\""
			echo "$LAB_CLUSTER"
			echo "${fw_cluster[$name]:-}"
			echo "}"
			for member in "${fw_names[@]}"; do
				id=$((id + 1))
				echo "member \"$member\" {"
				echo "	id = $id"
				echo "	address = \"${fw_address[$member]}\""
				echo "}"
			done
		fi
		echo "firewall {"
		[ -z "$LAB_TIMEOUTS" ] || echo "timeouts { $LAB_TIMEOUTS }"
		echo "$LAB_RULES"
		echo "}"
		echo "control {"
		echo "	socket = \"$LAB_DIR/$name.sock\""
		echo "}"
		echo "log {"
		echo "	target = \"stderr\""
		echo "	level = \"${LAB_LOG:-info}\""
		echo "}"
	} >"$LAB_DIR/$name.conf"
}

fw_nft_rules() { # the same policy as LAB_RULES, for the kernel
	cat <<-'END'
	table inet fw {
		chain forward {
			type filter hook forward priority 0; policy drop;
			ct state established,related accept
			iifname "eth1" tcp dport 2222 reject with icmpx admin-prohibited
			iifname "eth0" ct state new accept
		}
	}
	END
}

fw_start() { # NAME...
	local name
	for name in "$@"; do
		case $LAB_FW in
		daemon)
			fw_conf "$name"
			rm -f "$LAB_DIR/$name.sock"
			start_in "$name" "$name" "$FWCLUSTERD" -n -f "$LAB_DIR/$name.conf"
			;;
		nft)
			run_in "$name" nft -f - < <(fw_nft_rules)
			;&
		plain)
			run_in "$name" sysctl -qw net.ipv4.ip_forward=1 \
				net.ipv6.conf.all.forwarding=1 \
				net.ipv4.conf.all.send_redirects=0 \
				net.ipv4.conf.eth0.send_redirects=0 \
				net.ipv4.conf.eth1.send_redirects=0
			;;
		esac
	done
	for name in "$@"; do
		fw_ready "$name" || return 1
	done
}

fw_ready() {
	[ "$LAB_FW" = daemon ] || return 0
	# Not `show status`: a member alone in its cluster says "degraded" with its exit status.
	wait_for 10 "ctl '$1' show version || ! running '$1'"
	ctl "$1" show version >/dev/null
}

ctl() { # NAME ARGUMENT...
	local name=$1
	shift
	"$FWCLUSTERCTL" -s "$LAB_DIR/$name.sock" "$@"
}
json() { # NAME VERB... | as JSON
	local name=$1
	shift
	ctl "$name" -j "$@"
}

# counter NAME COUNTER, drops NAME REASON: their values, 0 when not listed.
counter() {
	json "$1" show counters |
		jq --arg n "$2" '[.counters[] | select(.name == $n) | .value] | add // 0'
}
drops() {
	json "$1" show drops |
		jq --arg n "$2" '[.drops[] | select(.reason == $n) | .packets] | add // 0'
}
flows() { json "$1" show flows | jq '.flows | length'; }
# forwards_to NAME HOME: its forward entries that name HOME.
forwards_to() {
	json "$1" show forwards | jq --arg home "$2" '[.forwards[] | select(.home == $home)] | length'
}
forwards() { json "$1" show forwards | jq '.forwards | length'; }

# counter_all COUNTER: the sum over all members.
counter_all() {
	local name sum=0
	for name in "${fw_names[@]}"; do
		running "$name" && sum=$((sum + $(counter "$name" "$1")))
	done
	echo "$sum"
}

members_up() { # NAME: how many other members it sees
	json "$1" show members |
		jq --arg self "$1" '[.members[] | select(.name != $self and (.state == "up" or .up == true))] | length'
}

# fw_meet NAME...: wait until these all see each other.
fw_meet() {
	local name
	[ "$LAB_FW" = daemon ] || return 0
	for name in "$@"; do
		wait_for 15 "[ \$(members_up '$name') -ge $(($# - 1)) ]" || {
			json "$name" show members
			return 1
		}
	done
}

# events NAME: begin to record its events in NAME.events.log, one JSON object a line.
events() {
	start_in "$1" "$1.events" "$FWCLUSTERCTL" -s "$LAB_DIR/$1.sock" -j monitor
}
event_count() { # NAME EVENT
	grep -c "\"$2\"" "$LAB_DIR/$1.events.log" || true
}

# daemon_check: like check, where the kernel plays the firewall it has nothing to ask.
daemon_check() {
	if [ "$LAB_FW" = daemon ]; then
		check "$@"
	else
		skipped "$1" "no fwclusterd here"
	fi
}

# clean NAME: it runs, and its log shows no finding of a sanitizer.
fw_clean() {
	local name
	for name in "${fw_names[@]}"; do
		if grep -E 'ERROR: (Address|Leak|Undefined)|runtime error:|Assertion' \
			"$LAB_DIR/$name.log"; then
			return 1
		fi
	done
}

# fw_end: every member that runs says goodbye and ends with status 0.
fw_end() {
	local name status
	for name in "${fw_names[@]}"; do
		running "$name" || continue
		stop "$name" TERM
		status=$?
		[ $status = 0 ] || { echo "$name ended with status $status"; return 1; }
	done
	fw_clean
}
