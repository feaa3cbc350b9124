# shellcheck shell=bash
# topo_figure8.sh - dispatchers around three firewalls, a first stage by l4/2, behind it two stages
# that read requests and one that does not; servers of two makes, some on two dispatchers.
#
#                      ┌── fw1 ──┐                  ┌── l7a ── farm-a ──┬── s1, s2
#   clients ── outer ──┼── fw2 ──┼── inner ─ stage ─┤   ║               └── s3 ──┐
#              .254    └── fw3 ──┘   .254  l4/2     │   ║ relays                │
#                   front       back                ├── l7b ── farm-b ──┬───────┘
#                                                   │                   ├── s4
#                                                   │                   └── s5 ──┐
#                                                   └── l4c ── farm-c ──┬────────┘
#                                                                       └── s6
#
# The outside and the firewalls are those of topo_sandwich.sh. l7a is .101 on back and stage, l7b
# .102, l4c .103. Each farm is a segment of its own, to which one dispatcher and its servers are
# plugged and nothing else; all use 10.4.0.0/24 and fd00:4::/64: server sN is .1N on each of its
# farms, the kernels of the dispatchers are .201, .202 and .203 there, the daemon of l4c is .254.
#
#   web    VIP port 80     inner by l4/2 to l7a and l7b, in turn; these by l7/3 to s1 … s5, with
#                          a cookie inserted; how they find each other's servers: F8_RELAY
#   files  VIP port 8080   inner by l4/2 to l4c; l4c by l4/3 to s5 and s6
#
# s1, s3 and s5 are nginx, s2, s4 and s6 lighttpd. F8_RELAY: config - both read one file with all
# servers and their `via`; ask - each has its own servers alone; both - that file, and questions.

. "$LAB_TESTS/l7_servers.sh"

F8_RELAY=${F8_RELAY:-both}
F8_DISPATCHERS='outer inner l7a l7b l4c'
F8_SERVERS='s1 s2 s3 s4 s5 s6'
declare -A f8_farms=([s1]=farm-a [s2]=farm-a [s3]='farm-a farm-b' [s4]=farm-b
	[s5]='farm-b farm-c' [s6]=farm-c)
declare -A f8_number=([l7a]=101 [l7b]=102 [l4c]=103)
# As `via` says it, and the targets of each dispatcher.
declare -A f8_via=([s1]='"l7a"' [s2]='"l7a"' [s3]='"l7a", "l7b"' [s4]='"l7b"' [s5]='"l7b"')
declare -A f8_own=([l7a]='s1 s2 s3' [l7b]='s3 s4 s5' [l4c]='s5 s6')
SW_MAC=1 SW_CLUSTER=1

f8_lay() {
	local name i
	for name in outside front back stage cluster farm-a farm-b farm-c; do
		net_bridge $name
	done
	sw_clients
	net_host outer inner
	sw_plug outer outside front cluster
	sw_plug inner back stage cluster
	dp_names=(outer inner)
	dp_ports[outer]='outside front'
	dp_port[outer.outside]="
	addresses = { \"198.51.100.254/24\", \"2001:db8:51::254/64\" }
	answer-for = { \"$VIP\", \"$VIP6\" }"
	dp_port[outer.front]='
	addresses = { "10.2.0.254/24", "fd00:2::254/64" }'
	dp_ports[inner]='back stage'
	dp_port[inner.back]='
	addresses = { "10.3.0.254/24", "fd00:3::254/64" }'
	dp_port[inner.stage]='
	addresses = { "10.5.0.254/24", "fd00:5::254/64" }'
	for ((i = 1; i <= SW_FWS; i++)); do
		sw_firewall "$i"
	done
	f8_stage l7a farm-a
	f8_stage l7b farm-b
	f8_stage l4c farm-c
	sw_cluster
	for name in "${dp_names[@]}"; do
		sw_host "$name"
	done
	for name in $F8_SERVERS; do
		f8_server $name
	done
	sw_links_count
	f8_relays_count
	f8_syns_count
}

f8_stage() { # NAME FARM
	local n=${f8_number[$1]}
	net_host "$1"
	sw_plug "$1" back stage "$2" cluster
	net_address "$1" "$2" 10.4.0.$((n + 100))/24
	net_address "$1" "$2" fd00:4::$((n + 100))/64
	dp_names+=("$1")
	dp_ports[$1]='stage back'
	dp_port[$1.back]="
	addresses = { \"10.3.0.$n/24\", \"fd00:3::$n/64\" }"
	dp_port[$1.stage]="
	addresses = { \"10.5.0.$n/24\", \"fd00:5::$n/64\" }"
	[ "$1" = l4c ] || return 0
	dp_ports[$1]+=" $2"
	dp_port[$1.$2]='
	addresses = { "10.4.0.254/24", "fd00:4::254/64" }'
}

# f8_server NAME: on its farms, with the same address; a way to their dispatchers and nowhere else,
# but from farm-c to the clients, by l4c.
f8_server() {
	local farm n=${1#s}
	local -A kernel=([farm-a]=201 [farm-b]=202 [farm-c]=203)
	net_host "$1"
	run_in "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	for farm in ${f8_farms[$1]}; do
		sw_plug "$1" $farm
		net_address "$1" $farm 10.4.0.1$n/32
		net_address "$1" $farm fd00:4::1$n/128
		ip -n "$1" route add 10.4.0.${kernel[$farm]} dev $farm src 10.4.0.1$n
		ip -n "$1" -6 route add fd00:4::${kernel[$farm]} dev $farm
		[ $farm = farm-c ] || continue
		ip -n "$1" route add 10.4.0.254 dev $farm src 10.4.0.1$n
		ip -n "$1" -6 route add fd00:4::254 dev $farm
		ip -n "$1" route add default via 10.4.0.254 dev $farm src 10.4.0.1$n
		ip -n "$1" -6 route add default via fd00:4::254 dev $farm
	done
}

# --- configuration ---------------------------------------------------------------------------

f8_target() { # NAME [MORE]
	echo "target \"$1\" {
	addresses = { \"10.4.0.1${1#s}\", \"fd00:4::1${1#s}\" }
	port = 8080
	$L7_CHECK
	${2:-}
}"
}
f8_quoted() { local list=${*/#/\"}; list=${list// /\", }; echo "$list\""; } # NAME...: as a list
f8_web() { # TARGETS
	echo "service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	technology = \"l7/3\"
	algorithm = \"round-robin\"
	targets = { $1 }
	cookie = \"insert\"
	cookie-name = \"SRV\"
	cookie-drain = \"3s\"
	forwarded = \"x-forwarded-for\"
	relay = \"$F8_RELAY\"
}"
}
# The part that l7a and l7b have in common.
f8_shared() {
	local name
	f8_web "$(f8_quoted s1 s2 s3 s4 s5)"
	for name in s1 s2 s3 s4 s5; do
		f8_target $name "via = { ${f8_via[$name]} }"
	done
}
f8_stage_text() { # NAME SERVICES
	local ports='"stage"'
	[ "$1" != l4c ] || ports='"stage", "farm-c"'
	dp_text[$1]="
$(sw_paths)
dispatcher \"$1\" {
	role = \"stage\"
	firewall-port = \"back\"
	ports = { $ports }
	from = { \"inner\" }
}
$2"
}
f8_text() {
	local name
	sw_outer 'algorithm = "round-robin"'
	dp_text[inner]="
$(sw_paths)
dispatcher \"inner\" {
	role = \"inner\"
	firewall-port = \"back\"
	ports = { \"stage\" }
}
$(f8_first web 80 l7a l7b)
$(f8_first files 8080 l4c)
target \"l7a\" { member = \"l7a\" }
target \"l7b\" { member = \"l7b\" }
target \"l4c\" { member = \"l4c\" }"
	f8_shared >"$LAB_DIR/shared.inc"
	for name in l7a l7b; do
		f8_stage_text $name "$(
			if [ "$F8_RELAY" = ask ]; then
				f8_web "$(f8_quoted ${f8_own[$name]})"
				for target in ${f8_own[$name]}; do
					f8_target "$target"
				done
			else
				echo "include(\"$LAB_DIR/shared.inc\")"
			fi
			echo "l7 {
	access-log = \"json\"
	access-log-file = \"$LAB_DIR/$name.access.log\"
}"
		)"
	done
	f8_stage_text l4c "service \"files\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"8080\" }
	technology = \"l4/3\"
	algorithm = \"round-robin\"
	targets = { \"s5\", \"s6\" }
}
$(f8_target s5)
$(f8_target s6)"
}
f8_first() { # NAME PORT TARGETS: a service of the first stage
	echo "service \"$1\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"$2\" }
	technology = \"l4/2\"
	algorithm = \"round-robin\"
	targets = { $(f8_quoted "${@:3}") }
}"
}

# f8_start: all dispatchers, until each is ready for what comes.
f8_start() { f8_start_only $F8_DISPATCHERS; }
f8_start_only() { # NAME...
	dp_start "$@" && fw_meet $F8_DISPATCHERS && f8_servers_up
}
f8_servers_up() {
	local name server
	for name in l7a l7b l4c; do
		for server in ${f8_own[$name]}; do
			wait_for 10 "[ \$(target_state $name $server) = up ]" || return 1
		done
	done
}

# --- servers ---------------------------------------------------------------------------------

f8_servers_start() {
	local name
	farm_certificate || return 1
	mkdir -p "$LAB_DIR/web/files"
	for name in $F8_SERVERS; do
		mkdir -p "$LAB_DIR/$name/tmp" "$LAB_DIR/$name/www"
		echo "$name" >"$LAB_DIR/$name/www/name"
		echo well >"$LAB_DIR/$name/www/health"
		cp "$LAB_DIR/farm.crt" "$LAB_DIR/$name/tls.crt"
		cp "$LAB_DIR/farm.key" "$LAB_DIR/$name/tls.key"
		farm_fill l7_nginx.conf $name
		farm_fill l7_lighttpd.conf $name
		start_in $name $name.app "$PYTHON" "$L7_TOOLS/http_app.py" $name 9000
		f8_server_start $name || return 1
	done
	for name in $F8_SERVERS; do
		wait_for 10 "grep -q ready '$LAB_DIR/$name.app.log'" || return 1
	done
}
f8_make() { case $1 in s[135]) echo nginx ;; *) echo lighttpd ;; esac; }
f8_server_start() { # NAME: its web server
	case $(f8_make "$1") in
	nginx)
		start_in "$1" "$1.web" nginx -p "$LAB_DIR/$1" -c "$LAB_DIR/$1/l7_nginx.conf" \
			-g "pid nginx.pid; user root;"
		;;
	*) start_in "$1" "$1.web" lighttpd -D -f "$LAB_DIR/$1/l7_lighttpd.conf" ;;
	esac
	wait_for 10 "[ \$(run_in $1 curl -s http://127.0.0.1:8080/name) = $1 ]"
}
f8_server_kill() { # NAME: with nginx's worker, which would outlive its master
	local worker
	worker=$(pgrep -P "${lab_pid[$1.web]}")
	stop "$1.web" KILL
	[ -z "$worker" ] || kill -KILL $worker 2>/dev/null
	wait_for 2 "! run_in $1 curl -s -m 1 -o /dev/null http://127.0.0.1:8080/name"
}

# --- counts ----------------------------------------------------------------------------------

f8_mac() { echo "${sw_mac[$1.$2]}"; } # HOST DEVICE

# Frames on the stages' segment that pass between l7a and l7b: by MAC addresses of these two, and
# of those what does not go to, or come from, a virtual address.
f8_relays_count() {
	local one other
	for one in l7a l7b; do
		other=l7b
		[ $one = l7a ] || other=l7a
		echo "table netdev relays {
	counter $one.requests { }
	counter $one.answers { }
	counter $one.strange { }
	chain $one { type filter hook ingress device \"$one.stage\" priority 1;
		ether daddr != $(f8_mac $other stage) return
		ip daddr $VIPS tcp dport 80 counter name $one.requests return
		ip6 daddr $VIPS6 tcp dport 80 counter name $one.requests return
		ip saddr $VIPS tcp sport 80 counter name $one.answers return
		ip6 saddr $VIPS6 tcp sport 80 counter name $one.answers return
		ether type { ip, ip6 } meta l4proto tcp counter name $one.strange
	}
}"
	done | run_in switch nft -f -
	# What inner sends to the firewalls from a virtual address and is no reset of its own: nothing.
	run_in switch nft -f - <<-END
		table netdev relays {
			counter inner.answers { }
			chain inner { type filter hook ingress device "inner.back" priority 1;
				ip saddr $VIPS tcp flags & rst == 0 counter name inner.answers
				ip6 saddr $VIPS6 tcp flags & rst == 0 counter name inner.answers
			}
		}
	END
}
# relay_frames l7a|l7b requests|answers|strange: sent by it to the other; relay_frames inner answers:
# sent by inner to firewalls.
relay_frames() {
	run_in switch nft -j list counter netdev relays "$1.$2" |
		jq '.nftables[] | .counter? // empty | .packets'
}

# Connections that servers have accepted from dispatchers, those of checks left out.
f8_syns_count() {
	local name farm
	for name in $F8_SERVERS; do
		for farm in ${f8_farms[$name]}; do
			echo "table netdev syns {
	counter $name.${farm/-/_} { }
	chain $name.${farm/-/_} { type filter hook egress device \"$name.$farm\" priority 1;
		tcp dport 8080 tcp flags & (syn | ack) == syn counter name $name.${farm/-/_}
	}
}" | sed "s/chain $name\\./chain ${name}_/"
		done
	done | run_in switch nft -f -
}
f8_syns() { # all of them
	run_in switch nft -j list counters table netdev syns |
		jq '[.nftables[] | .counter? // empty | .packets] | add'
}

# --- clients and questions -------------------------------------------------------------------

F8_JARS=$LAB_DIR/jars
mkdir -p "$F8_JARS"
# jar N ADDRESS PATH [CURL OPTION...]: client N, with its cookie jar and its own address; each time
# a new connection, which the first stage gives to either of l7a and l7b.
jar() {
	local n=$1 address=$2 path=$3 from=198.51.100.
	shift 3
	[[ $address != *:* ]] || from=2001:db8:51::
	get "$address" "$path" -b "$F8_JARS/$n" -c "$F8_JARS/$n" --interface "$from$((100 + n))" "$@"
}
# jars_ask ADDRESS N...: "N SERVER" for each.
jars_ask() {
	local address=$1 n
	shift
	for n in "$@"; do
		echo "$n $(jar "$n" "$address" name)"
	done
}
jars_forget() { rm -f "$F8_JARS"/*; }
token() { awk '$6 == "SRV" { print $7 }' "$F8_JARS/$1"; } # N
# jar_of SERVER ADDRESS: a jar with a cookie of that server, its number in $jar_number.
jar_of() {
	local n
	for n in {20..31}; do
		rm -f "$F8_JARS/$n"
		[ "$(jar $n "$2" name)" = "$1" ] || continue
		jar_number=$n
		return 0
	done
	return 1
}
# relay_of NODE MEMBER FIELD: of `show relays`; 0 when there is no line for that member.
relay_of() {
	json "$1" show relays | jq --arg m "$2" "[.relays[] | select(.member == \$m) | .$3] | add // 0"
}
relays_both() { # how many requests have been relayed, either way
	echo $(($(relay_of l7a l7b to.requests) + $(relay_of l7b l7a to.requests)))
}
# relays_are N: so many still; false when that was not a number, as when nobody could be asked.
relays_are() { [[ $1 =~ ^[0-9]+$ ]] && equal "$(relays_both)" "$1"; }
matching() { # NODE KIND
	json "$1" show matching | jq -c --arg k "$2" '.matching[] | select(.kind == $k)'
}
# entered CLIENT_ADDRESS: how many of its requests came to l7a and to l7b, as "3 4". One that was
# relayed is in both logs; in that of the dispatcher it came to, the other one is named as its server.
entered() {
	local a b from_a from_b
	a=$(f8_logged l7a "$1" '"')
	b=$(f8_logged l7b "$1" '"')
	from_a=$(f8_logged l7a "$1" '"server":"l7b"')
	from_b=$(f8_logged l7b "$1" '"server":"l7a"')
	echo "$((a - from_b)) $((b - from_a))"
}
f8_logged() { # NODE CLIENT_ADDRESS WORDS: lines of its access log
	grep -F "\"client\":\"$2\"" "$LAB_DIR/$1.access.log" | grep -cF "$3"
}
# entered_all CLIENT_ADDRESS N: as soon as its N requests are in the logs.
entered_all() {
	local at
	at=$(entered "$1")
	[ $((${at% *} + ${at#* })) = "$2" ]
}
