#!/bin/bash
# l72.sh - requests that are read, and servers that are reached by MAC address: they hold the virtual
# addresses, see each client's own address, and answer from the service's.
#
#   clients ── outside ── [ box ] ── farm ── web1, web2 (nginx), web3 (lighttpd), VIPs on lo
#
# Addresses: topo_sandwich.sh, its node box.
#
# proves: HD-8
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"

lay() {
	SW_BOX=1 SW_FWS=0 SW_SERVERS=3 SW_MAC=1
	sw_lay
	dp_names=(box)
	dp_ports[box]='outside farm'
	dp_port[box.outside]=${dp_port[outer.outside]}
	dp_port[box.farm]=${dp_port[inner.farm]}
	# The keys of cookies are made of a cluster's.
	dp_address[box]=10.9.0.1
	net_address box cluster 10.9.0.1/24
}
# Servers by MAC address are asked at the port of the service.
servers_start() {
	local name
	farm_certificate || return 1
	mkdir -p "$LAB_DIR/web/files"
	for name in web1 web2 web3; do
		mkdir -p "$LAB_DIR/$name/tmp" "$LAB_DIR/$name/www"
		echo $name >"$LAB_DIR/$name/www/name"
		echo well >"$LAB_DIR/$name/www/health"
		cp "$LAB_DIR/farm.crt" "$LAB_DIR/$name/tls.crt"
		cp "$LAB_DIR/farm.key" "$LAB_DIR/$name/tls.key"
		farm_fill l7_nginx.conf $name
		farm_fill l7_lighttpd.conf $name
		sed -i 's/8080/80/' "$LAB_DIR/$name/"l7_*.conf
		start_in $name $name.app "$PYTHON" "$L7_TOOLS/http_app.py" $name 9000
		server_start $name || return 1
		wait_for 10 "grep -q ready '$LAB_DIR/$name.app.log'" || return 1
	done
}
server_start() { # NAME
	case $1 in
	web3) start_in $1 $1.web lighttpd -D -f "$LAB_DIR/$1/l7_lighttpd.conf" ;;
	*)
		start_in $1 $1.web nginx -p "$LAB_DIR/$1" -c "$LAB_DIR/$1/l7_nginx.conf" \
			-g "pid nginx.pid; user root;"
		;;
	esac
	wait_for 10 "[ \$(run_in $1 curl -s http://127.0.0.1/name) = $1 ]"
}
server_kill() { # NAME
	local worker
	worker=$(pgrep -P "${lab_pid[$1.web]}")
	stop "$1.web" KILL
	[ -z "$worker" ] || kill -KILL $worker 2>/dev/null
	wait_for 2 "! run_in $1 curl -s -m 1 -o /dev/null http://127.0.0.1/name"
}
text() {
	dp_text[box]="
$sw_upstream
dispatcher \"alone\" {
	role = \"stage\"
	ports = { \"outside\", \"farm\" }
}
service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	technology = \"l7/2\"
	algorithm = \"round-robin\"
	targets = { \"web1\", \"web2\", \"web3\" }
	cookie = \"insert\"
	cookie-name = \"SRV\"
	cookie-drain = \"3s\"
	idle-timeout = \"5s\"
	max-idle = 256
}
$(for n in 1 2 3; do
		echo "target \"web$n\" {
	addresses = { \"10.4.0.1$n\", \"fd00:4::1$n\" }
	$L7_CHECK
}"
	done)"
}
mkdir -p "$LAB_DIR/jars"
jar() { # N ADDRESS PATH [CURL OPTION...]
	local n=$1 address=$2 path=$3 from=198.51.100.
	shift 3
	[[ $address != *:* ]] || from=2001:db8:51::
	get "$address" "$path" -b "$LAB_DIR/jars/$n" -c "$LAB_DIR/jars/$n" \
		--interface "$from$((100 + n))" "$@"
}
jars() { # ADDRESS
	local n
	for n in {0..9}; do
		printf '%s ' "$(jar $n "$1" name)"
	done
}
matching() { json box show matching | jq -c '.matching[] | select(.kind == "server")'; }
syns() { # SYNs that the servers' links have carried to a virtual address
	run_in switch nft -j list counters table netdev l72 |
		jq '[.nftables[] | .counter? // empty | .packets] | add'
}
count_syns() {
	local name
	for name in web1 web2 web3; do
		echo "table netdev l72 {
	counter $name { }
	chain $name { type filter hook egress device \"$name.farm\" priority 1;
		tcp dport 80 tcp flags & (syn | ack) == syn counter name $name
	}
}"
	done | run_in switch nft -f -
}

title "one node in front of servers that hold the virtual addresses"
lay
count_syns
must "servers run" servers_start
farm_file big 20
text
must "the node starts" dp_start box
must "all servers are found well" wait_for 10 "targets_up box 3"
check "no virtual address is on the host" not holds \
	"ip -n box -o addr | grep -E ' (198\.51\.100\.8[0-7]|2001:db8:51::8[0-7])/'"

title "whose request it is"
for address in $VIP $VIP6; do
	rm -f "$LAB_DIR/jars/"*
	first=$(jars $address)
	note "$first"
	check "ten clients are spread over the servers" equal \
		"$(tr ' ' '\n' <<<"$first" | grep . | sort -u | tr '\n' ' ')" "web1 web2 web3 "
	check "each stays at the server of its cookie" equal "$(jars $address)" "$first"
	for n in 0 1 2 3 4 5; do
		server=$(jar $n $address name) from=198.51.100.$((100 + n))
		[ $address = $VIP ] || from=2001:db8:51::$((100 + n))
		case $server in
		# mod_proxy tells http_app.py.
		web3) check "lighttpd sees client $n" holds "jar $n $address app/head | tr -d '\r' |
			tee /dev/stderr | grep -ix 'x-forwarded-for: $from'" ;;
		*) check "nginx sees client $n" holds "jar $n $address seen | tee /dev/stderr |
			grep -F '$server from=$from host='" ;;
		esac
	done
done
check "the matching table says by which MAC address" holds \
	"matching | jq -e -s --arg mac \"\$(ip -n web1 -j link show farm | jq -r '.[0].address')\" \
		'length > 0 and any(.mac == \$mac and .target == \"web1\")'"
capture_start wire web1 farm 'tcp port 80'
check "20 requests" holds "for i in {1..20}; do get $VIP name --interface 198.51.100.121 || return 1; done"
capture_stop wire
check "from the client to the virtual address, by MAC" at_least \
	"$(capture_count wire 'src host 198.51.100.121 and dst host 198.51.100.80')" 5
check "answered from the virtual address" at_least \
	"$(capture_count wire 'dst host 198.51.100.121 and src host 198.51.100.80')" 5
check "and nothing of any other kind" equal \
	"$(capture_count wire 'tcp port 80 and not host 198.51.100.80 and not ip6')" 0

title "connections are kept, for each client"
for address in $VIP $VIP6; do
	before=$(syns)
	check "600 requests of 30 clients, each on a new connection" http load $address -clients 30 \
		-requests 20 -per 1
	made=$(($(syns) - before))
	note "$made connections to the servers"
	check "at most four for a client and server" at_most $made 200
done
check "no connection was shared between clients" holds "
	for name in web1 web2; do
		awk '{ if (\$1 in of && of[\$1] != \$3) exit 1; of[\$1] = \$3 }' '$LAB_DIR/'\$name/access.log || return 1
	done"

title "load"
check "32 clients at once, contents up to 1 MB, both ways, by hash" http load $VIP -clients 32 \
	-requests 8 -size 1000000
check "IPv6, too" http load $VIP6 -clients 32 -requests 8 -size 1000000
check "clients that leave in the middle" http load $VIP -clients 16 -requests 20 -abort 20
check "WebSocket" http ws $VIP 80 /app/ws 40
check "WebSocket over IPv6" http ws $VIP6 80 /app/ws 40
check "20 MB, every byte the same" get_file big $VIP
check "ab: 3000 requests, 16 at once, kept alive" holds "
	run_in client ab -q -k -n 3000 -c 16 '$(url $VIP name)' | tee '$LAB_DIR/ab' &&
		grep -q '^Failed requests: *0' '$LAB_DIR/ab' && not grep -q '^Non-2xx' '$LAB_DIR/ab'"
check "ab: 1000, each on a new connection" holds "
	run_in client ab -q -n 1000 -c 16 '$(url $VIP name)' | tee '$LAB_DIR/ab' &&
		grep -q '^Failed requests: *0' '$LAB_DIR/ab' && not grep -q '^Non-2xx' '$LAB_DIR/ab'"
check "wrk for 3 seconds: no error of a socket, no status but 200" holds "
	run_in client wrk -t 2 -c 32 -d 3 '$(url $VIP name)' | tee '$LAB_DIR/wrk' &&
		not grep -E 'Socket errors|Non-2xx' '$LAB_DIR/wrk'"

title "a server is drained, and killed"
rm -f "$LAB_DIR/jars/"*
first=$(jars $VIP)
check "drain web1" ctl box drain web1
check "its clients stay" equal "$(jars $VIP)" "$first"
check "and move when their time is over" wait_for 10 "! jars $VIP | grep web1"
check "undrain" ctl box undrain web1
rm -f "$LAB_DIR/jars/"*
first=$(jars $VIP)
start_in client loading "$PYTHON" "$L7_TOOLS/http_load.py" $VIP -clients 8 -requests 60 -pause 20 \
	-send 0 -may 502 503 504 -broken 8
must "web2 is killed" server_kill web2
check "its clients are served by others" not holds "jars $VIP | tee /dev/stderr | grep web2"
check "found to be down" wait_for 10 "[ \$(target_state box web2) = down ]"
wait "${lab_pid[loading]}"
status=$?
note "$(tail -n 1 "$LAB_DIR/loading.log" | cut -c1-200)"
check "requests under way: nothing cut unseen or mixed up" equal $status 0
must "it comes back" server_start web2
check "found to be up" wait_for 10 "[ \$(target_state box web2) = up ]"
check "and serves again" wait_for 5 "names $VIP name 6 | grep web2"

title "the end"
check "legs that nobody uses end" wait_for 20 "! matching | grep '\"state\":\"open\"'"
check "it ends cleanly" dp_end
check "the private stacks are gone" equal "$(l7_devices)" 0
finish
