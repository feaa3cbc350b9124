#!/bin/bash
# relays.sh config|ask|both - a cookie's server that hangs on another dispatcher: the request is
# handed over by layer 2 to that dispatcher, and the answer comes back the same way.
#
#   client ─┬─ front ─┬─ near ── farm-near ── app1    (http_app.py on each)
#   100-131 │         └─ far  ── farm-far  ── app2
#           └ goes to near or far, as its route says
#
# How far is found: config - one file for both nodes, `via`; ask - each knows its own server alone;
# both - the same, and `via`.
#
# proves: HD-17 HD-18
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/dispatchers.sh"
HOW=${1:-both}
VIP=198.51.100.80 VIP6=2001:db8:51::80
TOOLS=$LAB_TESTS/tools

# --- network, servers, dispatchers -----------------------------------------------------------

lay() {
	local n i
	for n in front cluster farm-near farm-far; do net_bridge $n; done
	net_host client near far app1 app2
	net_plug client eth0 front 198.51.100.1/24 2001:db8:51::1/64
	for ((i = 100; i < 132; i++)); do
		ip -n client addr add 198.51.100.$i/24 dev eth0
		ip -n client addr add 2001:db8:51::$i/64 dev eth0 nodad
	done
	net_plug near front front
	net_plug far front front
	net_plug near farm farm-near 10.4.1.254/24 fd00:4:1::fe/64
	net_plug far farm farm-far 10.4.2.254/24 fd00:4:2::fe/64
	net_plug near cluster cluster 10.9.0.1/24
	net_plug far cluster cluster 10.9.0.2/24
	net_plug app1 eth0 farm-near 10.4.1.11/24 fd00:4:1::11/64
	net_plug app2 eth0 farm-far 10.4.2.12/24 fd00:4:2::12/64
	enter near
}

# enter near|far: by whom the client's connections come from now on.
enter() {
	local last=254
	[ "$1" = far ] && last=253
	ip -n client route replace $VIP/32 via 198.51.100.$last
	ip -n client -6 route replace $VIP6/128 via 2001:db8:51::$last
}

app_start() { # N
	start_in "app$1" "app$1" "$PYTHON" "$TOOLS/http_app.py" "app$1" 9000 -control 9001
	wait_for 10 "run_in app$1 curl -s -o /dev/null -m 1 http://127.0.0.1:9000/name"
}
counts() { # N FIELD: of http_app.py
	echo | run_in "app$1" nc -N 127.0.0.1 9001 | jq ".$2"
}

target() { # N NODE
	echo "target \"app$1\" {
	addresses = { \"10.4.$1.1$1\", \"fd00:4:$1::1$1\" }
	port = 9000
	check = \"tcp\"
	check-interval = \"200ms\"
	${2:+via = { \"$2\" \}}
}"
}
node_text() { # N OF-ITS-SERVER
	local targets="\"app$1\"" more=
	if [ "$HOW" != ask ]; then
		targets='"app1", "app2"'
		more="$(target 1 near)
$(target 2 far)"
	else
		more=$(target "$1" '')
	fi
	echo "
dispatcher \"stage\" {
	role = \"stage\"
	ports = { \"front\" }
	unknown = \"reset\"
}
service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	technology = \"l7/3\"
	targets = { $targets }
	cookie = \"insert\"
	cookie-name = \"SRV\"
	cookie-drain = \"3s\"
	forwarded = \"x-forwarded-for\"
	relay = \"$HOW\"
}
$more
l7 {
	access-log = \"json\"
	access-log-file = \"$LAB_DIR/access$1.log\"
}"
}
configure() {
	dp_names=(near far)
	dp_address=([near]=10.9.0.1 [far]=10.9.0.2)
	dp_ports=([near]=front [far]=front)
	dp_port[near.front]="addresses = { \"198.51.100.254/24\", \"2001:db8:51::254/64\" }"
	dp_port[far.front]="addresses = { \"198.51.100.253/24\", \"2001:db8:51::253/64\" }"
	dp_text[near]=$(node_text 1)
	dp_text[far]=$(node_text 2)
}

# --- questions -------------------------------------------------------------------------------

url() { case $1 in *:*) echo "http://[$1]/$2" ;; *) echo "http://$1/$2" ;; esac; }
get() { # ADDRESS PATH [CURL OPTION...]
	local address=$1 path=$2
	shift 2
	run_in client curl -s -S -m "${LAB_FETCH:-20}" "$@" "$(url "$address" "$path")"
}
jar() { # ADDRESS PATH [CURL OPTION...]: with cookies that are kept
	get "$@" -b "$LAB_DIR/jar" -c "$LAB_DIR/jar"
}
known() { # ADDRESS PATH [CURL OPTION...]: with far's cookie
	get "$@" -H "Cookie: $cookie"
}
cookie_of() { awk '$6 == "SRV" { print $6 "=" $7 }' "$LAB_DIR/$1"; } # JAR
relay_of() { # NODE MEMBER FIELD: of `show relays`
	json "$1" show relays | jq --arg m "$2" ".relays[] | select(.member == \$m) | .$3"
}
matching() { json "$1" show matching | jq -c ".matching[] | select(.kind == \"$2\")"; } # NODE KIND
served_up() { json "$1" show targets | jq -e --arg t "$2" \
	'.targets[] | select(.target == $t) | .state == "up"' >/dev/null; } # NODE TARGET
with_cookie() { # COMMAND...: at the client; every request has far's cookie
	HTTP_COOKIE=$cookie run_in client "$@"
}

# --- the test --------------------------------------------------------------------------------

title "$HOW: two dispatchers, each with a server of its own"
must "the network is laid" lay
must "servers run" holds "app_start 1 && app_start 2"
configure
must "the dispatchers start" dp_start near far
must "and see each other" fw_meet near far
must "their servers are found well" wait_for 10 "served_up near app1 && served_up far app2"
for address in $VIP $VIP6; do
	must "the client reaches the service at $address" wait_for 5 "get $address name >/dev/null"
done

title "clients with cookies"
for address in $VIP $VIP6; do
	rm -f "$LAB_DIR/jar"
	enter far
	check "who comes by far is served by app2" equal "$(jar $address name)" app2
	enter near
	check "and by app2 too when it comes by near" equal "$(jar $address name)" app2
	check "20 times more" equal "$(for i in {1..20}; do jar $address name; done | sort -u)" app2
	check "who has no cookie is served by app1 there" equal "$(get $address name)" app1
	check "the server is told whose request it is, once" equal \
		"$(jar $address head | grep -i '^x-forwarded-for' | tr -d '\r')" \
		"X-Forwarded-For: $(run_in client ip -j route get $address | jq -r '.[0].prefsrc')"
	check "the service's cookie does not reach it" not holds \
		"jar $address head | grep -i '^cookie'"
	check "and the client's keeps its value" equal "$(jar $address name -D - |
		grep -ci '^set-cookie')" 0
done
cookie=$(cookie_of jar)
check "near has counted them" at_least "$(relay_of near far to.requests)" 40
check "far, too" equal "$(relay_of far near from.requests)" "$(relay_of near far to.requests)"
[ "$HOW" = config ] || check "near had to ask only once or twice" at_most \
	"$(counter near who-has-sent)" 2
[ "$HOW" = config ] && check "nobody was asked" equal "$(counter near who-has-sent)" 0
check "the matching table of far: by whose MAC address each came" holds \
	"matching far from | jq -e -s --arg mac \"\$(ip -n near -j link show front |
		jq -r '.[0].address')\" 'length > 0 and all(.mac == \$mac and .member == \"near\")'"
forged=SRV=$(cookie_of jar | cut -c5- | tr 'A-Za-z' 'B-ZAb-za')
before=$(relay_of near far to.requests)
check "a forged cookie is nobody's" equal "$(get $VIP name -H "Cookie: $forged")" app1
check "nothing was relayed for it" equal "$(relay_of near far to.requests)" "$before"

title "frames"
# What the daemon sends itself is not seen where it sends it.
capture_start near near front "host $VIP"
capture_start far far front "host $VIP"
known $VIP tag/on-the-wire/100000 -o /dev/null
capture_stop near
capture_stop far
mac_of() { ip -n "$1" -j link show front | jq -r '.[0].address'; }
check "requests go to far's MAC address, for the service's address" at_least \
	"$(capture_count far "ether src $(mac_of near) and ether dst $(mac_of far) and dst host $VIP")" 2
check "answers come back by it" at_least \
	"$(capture_count near "ether src $(mac_of far) and ether dst $(mac_of near) and src host $VIP")" 2
check "and none of them goes anywhere else" equal \
	"$(capture_count near "ether src $(mac_of far) and not ether dst $(mac_of near) and src host $VIP")" 0

title "HTTP through a relay"
for address in $VIP $VIP6; do
	check "the corners that http_try.py knows" with_cookie "$PYTHON" "$TOOLS/http_try.py" \
		$address $(run_in client "$PYTHON" "$TOOLS/http_try.py" $address list)
	check "WebSocket" equal "$(with_cookie "$PYTHON" "$TOOLS/http_ws.py" $address 80 /ws 20 0)" app2
done
load() { with_cookie "$PYTHON" "$TOOLS/http_load.py" "$@" >"$LAB_DIR/load.json" ||
	{ cat "$LAB_DIR/load.json"; return 1; }; }
count=$(counts 2 total)
for address in $VIP $VIP6; do
	check "20 clients at once, contents up to 1 MB, both ways" load $address -clients 20 -requests 8 \
		-size 1000000
	check "32 clients, small ones, in rows of four" load $address -clients 32 -requests 40 -deep 4
	check "clients that leave in the middle" load $address -clients 16 -requests 20 -abort 20
done
check "all of it was app2's" at_least $(($(counts 2 total) - count)) 3000
check "connections are kept: far more requests than relays" at_least \
	$(($(relay_of near far to.requests) / $(relay_of near far to.connections_opened))) 5

title "a server is drained, and killed"
check "app2 is drained" ctl far drain app2
check "its cookies hold for a while" equal "$(known $VIP name)" app2
stop app2 KILL
check "when it is gone, who comes has another server" wait_for 10 "known $VIP name |
	grep -q app1"
must "it comes back" holds "app_start 2 && ctl far undrain app2 && wait_for 10 'served_up far app2'"

title "far dies in the middle"
enter far
rm -f "$LAB_DIR/jar"
must "a cookie of app2" equal "$(jar $VIP name)" app2
cookie=$(cookie_of jar)
enter near
load_background() {
	HTTP_COOKIE=$cookie start_in client load "$PYTHON" "$TOOLS/http_load.py" $VIP -clients 12 \
		-requests 60 -pause 20 -size 300000 -may 502 503 504 -broken 10
	pause 1
}
load_background
stop far KILL
check "no client got anything that was not its own" wait "${lab_pid[load]}"
grep -o '"statuses[^}]*}' "$LAB_DIR/load.log" | indent
check "the next request is app1's, in little time" holds \
	"[ \"\$(LAB_FETCH=3 known $VIP name)\" = app1 ]"
check "and no leg is left" wait_for 5 "[ -z \"\$(matching near to)\" ]"
must "far starts again" holds "dp_start far && fw_meet near far && wait_for 10 'served_up far app2'"
check "and serves its cookies again" wait_for 10 \
	"[ \"\$(known $VIP name)\" = app2 ]"

title "near dies in the middle"
load_background
stop near KILL
wait "${lab_pid[load]}" 2>/dev/null
check "far forgets what it relayed" wait_for 10 "[ -z \"\$(matching far from)\" ]"
must "near starts again" holds "dp_start near && fw_meet near far && wait_for 10 'served_up near app1'"
check "and relays again" wait_for 10 "[ \"\$(known $VIP name)\" = app2 ]"

title "restart of far under load: nothing mixed up"
load_background
stop far
must "it starts again" holds "dp_start far && fw_meet near far"
check "no client got anything that was not its own" wait "${lab_pid[load]}"
check "relays work" wait_for 10 "[ \"\$(known $VIP name)\" = app2 ]"

title "the end"
check "reload keeps the relays" holds "dp_reload near far &&
	[ \"\$(known $VIP name)\" = app2 ]"
dp_end
finish
