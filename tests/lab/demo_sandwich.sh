#!/bin/bash
# demo_sandwich.sh - dispatchers around firewalls that know nothing of each other, and a server farm
# behind them, shown on real traffic; started by contrib/quickstart after demo.sh. Topology:
# topo_sandwich.sh. Exit status 0 only if everything was as it should.
. "$(dirname "$0")/lib.sh"
SW_STAGES='stage-a stage-b'
SW_CLUSTER=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TESTS/demo_lib.sh"

PROBE='probe-interval = "200ms"
	probe-timeout = "150ms"'
# service NAME VIP PROTOCOL 'PORTS' 'TARGETS' TECHNOLOGY [MORE]
service() {
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\", \"$(vip6 "$2")\" }
	protocol = \"$3\"
	${4:+ports = { $4 \}}
	targets = { $5 }
	technology = \"$6\"
	${7:-}
}"
}
CHECK='check = "http"
	check-port = 80
	check-path = "/health"
	check-interval = "200ms"'
member() { echo "target \"$1\" { member = \"$1\" }"; }

# link HOST.DEVICE rx|tx COUNTER: packets since the start.
link() { run_in switch nft -j list counter netdev lab "${1//-/_}.$2.$3" | jq '.nftables[1].counter.packets'; }
drawing() {
	printf '\n   packets to the virtual addresses ──▶ and answers ◀── so far, on each link\n\n'
	printf '   client ──▶ %6d ──▶ outer ──┬─▶ %6d fw1 ──┬─▶ %6d ──▶ inner ──┬─▶ %6d stage-a ──▶ web1, web3   (l4/2)\n' \
		"$(link outer.outside rx requests)" "$(link fw1.front rx requests)" \
		"$(link inner.back rx requests)" "$(link stage-a.stage rx requests)"
	printf '%33s├─▶ %6d fw2 ──┤%22s└─▶ %6d stage-b ──▶ web2, web4   (l4/3)\n' '' \
		"$(link fw2.front rx requests)" '' "$(link stage-b.stage rx requests)"
	printf '%33s└─▶ %6d fw3 ──┘\n' '' "$(link fw3.front rx requests)"
	printf '   client ◀── %6d ◀── outer ◀── fw1 %d, fw2 %d, fw3 %d ◀── stage-a %d, stage-b %d\n' \
		"$(link client.eth0 rx answers)" "$(link fw1.front tx answers)" \
		"$(link fw2.front tx answers)" "$(link fw3.front tx answers)" \
		"$(link stage-a.back tx answers)" "$(link stage-b.back tx answers)"
	printf '\n   answers that passed inner: %d\n\n' "$(link inner.back tx answers)"
}

head_line "Three firewalls that know nothing of each other, two dispatchers around them"
cat <<'END'
   client ── outer ──┬── fw1 ──┬── inner ──┬── stage-a ── web1, web3     l4/2: by MAC address
                     ├── fw2 ──┤           └── stage-b ── web2, web4     l4/3: addresses rewritten
                     └── fw3 ──┘                  │
                         ▲                        │
                         └── answers go straight to the firewall that the flow came through

   fw1 to fw3 are plain nftables boxes: stateful, default drop. A packet that comes to the wrong one
   is dropped there, and counted. The servers are nginx, vsftpd, dnsmasq.

END
sw_lay
sw_gateway web1 101
sw_gateway web3 101
sw_gateway web2 102
sw_gateway web4 102
must "servers run" farm_start web1 web2 web3 web4
farm_file big 60
sw_outer "algorithm = \"round-robin\"
	probe = \"10.3.0.254\"
	$PROBE"
sw_inner "probe = \"10.2.0.254\"
	$PROBE" "$(
	service web 0 tcp '"80", "443", "7"' '"stage-a", "stage-b"' l4/2
	service ftp 0 tcp '"21", "50000-50199"' '"stage-a", "stage-b"' l4/2 'affinity = "source"'
	service dns 0 udp '"53"' '"stage-a", "stage-b"' l4/2
	member stage-a
	member stage-b
)"
stage_services() { # TARGETS TECHNOLOGY
	service web 0 tcp '"80", "443", "7"' "$1" "$2"
	service ftp 0 tcp '"21", "50000-50199"' "$1" "$2" 'affinity = "source"'
	service dns 0 udp '"53"' "$1" "$2"
}
sw_stage_text stage-a '"inner"' '' "$(stage_services '"web1", "web3"' l4/2; sw_targets "web1=$CHECK" "web3=$CHECK")"
sw_stage_text stage-b '"inner"' '' "$(stage_services '"web2", "web4"' l4/3; sw_targets "web2=$CHECK" "web4=$CHECK")"
must "outer, inner and both stages start" dp_start outer inner stage-a stage-b
must "and see each other" fw_meet outer inner stage-a stage-b
check "outer and inner see each other through each firewall" \
	wait_for 10 "paths_up outer 3 && paths_up inner 3"
show_ctl outer show dispatchers
outcome "each firewall probed through, from both sides"

head_line "320 requests from 32 clients"
check "all are answered" many $VIP 10
check "by all four servers" equal "$(many_servers)" 4
drawing
check "each firewall has seen a third of the connections begin" holds \
	'for n in $(fw_shares); do [ $n -ge 80 ] || return 1; done'
check "no packet came to a firewall that did not know it" fw_none_wrong
check "no answer passed inner" equal "$(link inner.back tx answers)" 0
check "the path travelled in the SYN, and no server saw it" holds \
	'[ "$(counter inner stamp-sent)" -ge 320 ] && [ "$(link web1.farm rx stamps)" = 0 ] &&
		[ "$(link web2.farm rx stamps)" = 0 ]'
outcome "4 servers, 3 firewalls, none wrong; answers past inner"

head_line "What a flow looks like at each dispatcher"
check "a connection stands" drip_start d1 $VIP 41001
show_ctl outer show flows sport 41001
show_ctl inner show flows sport 41001
path=$(flow_of outer 41001 path)
check "both name $path" equal "$(flow_of inner 41001 path)" "$path"
outcome "firewall and target named, and how they were chosen"

head_line "Downloads, TLS, FTP, DNS, IPv6"
check "60 MB, every byte the same" get_file big $VIP
check "60 MB over IPv6" get_file big $VIP6
check "TLS, the certificate checked" get_tls $VIP name
check "FTP, passive: control and data at one server" ftp $VIP
check "FTP, active: the server calls back by the same firewall" ftp $VIP --ftp-port - --interface 198.51.100.101
check "DNS" holds "[ -n \"\$(dns $VIP)\" ]"
check "no packet came to a wrong firewall" fw_none_wrong
outcome "real programs, IPv4 and IPv6"

head_line "A firewall is killed in the middle"
say "Eight clients go on asking, 300 times each; then $path loses its power."
run_in client "$PYTHON" "$LAB_TESTS/tools/many.py" $VIP 300 -from 100-107 -pause 10 -timeout 8 \
	>"$LAB_DIR/load.json" &
load=$!
before=$(link outer.outside rx requests)
wait_for 10 "[ \$(link outer.outside rx requests) -gt $((before + 3000)) ]"
fw_die "${path#fw}"
check "outer and inner notice" wait_for 5 "paths_up outer 2 && paths_up inner 2"
show_ctl outer show dispatchers
check "new connections go by the others" many $VIP 2
wait $load
answered=$(jq .worked "$LAB_DIR/load.json")
check "of the 2400 requests meanwhile at least 2350 were answered" at_least "$answered" 2350
drawing
fw_return "${path#fw}"
check "it returns" wait_for 10 "paths_up outer 3 && paths_up inner 3"
check "and takes flows again" many $VIP 3
outcome "left out, taken back; $answered of 2400 requests answered"

head_line "A server is drained"
check "drain web1, at stage-a" ctl stage-a drain web1
check "requests" many $VIP 4
check "web1 gets none" equal "$(many_by web1)" 0
show_ctl stage-a show targets
check "undrain" ctl stage-a undrain web1
check "web1 gets its share again" holds "many $VIP 4 && [ \$(many_by web1) -gt 0 ]"
outcome "no new flows, then its share again"

drawing
stop d1 KILL
check "all dispatchers ran without a finding, and end in order" dp_end
demo_table
finish
