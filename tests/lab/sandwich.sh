#!/bin/bash
# sandwich.sh [nft|cluster] - outer and inner dispatcher around three firewalls: flows from both
# sides, five ways to choose, packets of no flow, nothing learnt, and all that IP needs beside.
# The firewalls are plain nftables boxes, or members of a firewall cluster (fwclusterd). Hosts are
# reached by their own addresses: no services here, both nodes only balance firewalls.
# Topology: topo_sandwich.sh.
#
# proves: HD-1 HD-2 HD-3 HD-4 HD-5 HD-20 HD-22
. "$(dirname "$0")/lib.sh"
SW_FIREWALLS=${1:-nft}
SW_SERVERS=2
. "$LAB_TESTS/topo_sandwich.sh"

WEB1=10.4.0.11 WEB1_6=fd00:4::11
BIG=${LAB_BIG:-60}

# way_clean TEXT: every packet of every flow went through the firewall that saw the flow begin.
way_clean() {
	if [ "$SW_FIREWALLS" = nft ]; then
		check "$1: no packet went through a wrong firewall" fw_none_wrong
	else
		# A query may still come of a last packet after its connection's end: nobody is its home.
		check "$1: no packet came to a member while another was its home" \
			equal "$(counter_all query-confirmed)" 0
	fi
}
# balance OUTER_OPTIONS [INNER_OPTIONS]: both dispatchers anew with these.
balance() {
	sw_outer "$1"
	sw_inner "${2:-$1}"
	dp_restart outer inner || return 1
	fw_reset_counts
}
# starts_outside N, starts_inside N: so many connections from either side.
starts_outside() { many "${2:-$WEB1}" $(($1 / SW_CLIENTS)); }
starts_inside() { run_in web1 "$PYTHON" "$LAB_TESTS/tools/connects.py" "${2:-$REMOTE}" 80 "$1" -timeout 5; }
# shares 'EXPECTED' [SLACK]: what each firewall has seen begin.
shares() {
	local got want i
	read -ra got <<<"$(fw_shares)"
	read -ra want <<<"$1"
	for i in "${!want[@]}"; do
		if ((got[i] < want[i] - ${2:-0} || got[i] > want[i] + ${2:-0})); then
			echo "flows per firewall: ${got[*]}, not ${want[*]}"
			return 1
		fi
	done
}
shares_all() { # AT_LEAST: each firewall has seen so many begin
	local n
	for n in $(fw_shares); do
		[ "$n" -ge "$1" ] || { fw_shares; return 1; }
	done
}

title "two dispatchers around $SW_FWS firewalls ($SW_FIREWALLS)"
sw_lay
must "servers run" farm_start web1 web2 remote
farm_file big "$BIG"
check "without the dispatchers nothing passes" not get $WEB1 name -m 1
must "the firewalls run" sw_firewalls_start
sw_outer 'algorithm = "round-robin"
	probe = "10.3.0.254"'
sw_inner 'algorithm = "round-robin"
	probe = "10.2.0.254"'
must "the dispatchers start" dp_start outer inner
check "each firewall has been probed through, from both" \
	wait_for 10 "paths_up outer $SW_FWS && paths_up inner $SW_FWS"
check "web from outside" equal "$(get $WEB1 name)" web1
check "web from outside, IPv6" equal "$(get $WEB1_6 name)" web1
check "web from inside" equal "$(run_in web1 curl -s -m 5 http://$REMOTE/name)" remote
check "web from inside, IPv6" equal "$(run_in web1 curl -s -m 5 "http://[$REMOTE6]/name")" remote
check "TLS from outside" equal "$(get_tls $WEB1 name)" web1
check "$BIG MB over IPv4, compared" get_file big $WEB1
check "$BIG MB over IPv6, compared" get_file big $WEB1_6
check "an upload of 20 MB" run_in client iperf3 -c $WEB1 -n 20M --connect-timeout 5000
check "DNS over UDP" equal "$(dns $WEB1)" web1
check "DNS over TCP and IPv6" equal "$(dns $WEB1_6 +tcp)" web1
check "UDP, 200 datagrams on one flow, each back once" ask $WEB1 7007 200
check "UDP, 40 flows" holds "for i in {1..40}; do ask $WEB1 7007 1 64 \$((20000 + i)) || return 1; done"
check "UDP of 8 kB in fragments" ask $WEB1 7007 10 8000
check "UDP of 8 kB in fragments, IPv6" ask $WEB1_6 7007 10 8000
check "UDP from inside" run_in web1 "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $REMOTE 7007 20
check "ping" run_in client ping -q -c 5 -i 0.05 -W 2 $WEB1
check "ping, IPv6" run_in client ping -q -c 5 -i 0.05 -W 2 $WEB1_6
check "ping of 4000 bytes, in fragments" run_in client ping -q -c 3 -i 0.05 -W 2 -s 4000 $WEB1
check "ping from inside" run_in web1 ping -q -c 5 -i 0.05 -W 2 $REMOTE
hops() { run_in client traceroute -n -q 1 -w 2 -m 6 "$@" | awk 'NR > 1 { printf "%s ", $2 }'; }
ROAD='^198.51.100.254 10.2.0.[123] 10.3.0.254 10.4.0.11 $'
check "traceroute by UDP shows outer, firewall, inner" holds "hops $WEB1 | tee /dev/stderr | grep -E '$ROAD'"
check "traceroute by ICMP" holds "hops -I $WEB1 | tee /dev/stderr | grep -E '$ROAD'"
check "traceroute by TCP" holds "hops -T -p 80 $WEB1 | tee /dev/stderr | grep -E '$ROAD'"
check "traceroute by UDP, IPv6" holds "hops $WEB1_6 | tee /dev/stderr |
	grep -E '^2001:db8:51::254 fd00:2::[123] fd00:3::254 fd00:4::11 $'"
check "a closed TCP port refuses at once" holds \
	"begin=\$(now_ms); ! run_in client nc -w 5 $WEB1 8000 && [ \$((\$(now_ms) - begin)) -lt 2500 ]"
check "a closed UDP port says so: the ICMP error finds its client" \
	holds "ask $WEB1 33434 1 | grep 'refused 1'"
way_clean "all this"

title "path MTU discovery, whoever meets the narrow link"
known_mtu() { ip -n "$1" route get "$2" | grep -o 'mtu [0-9]*'; }
routes_forget() {
	ip -n "$1" route flush cache
	ip -n "$1" -6 route flush cache
}
ip -n isp link set eth1 mtu 1300 # beyond outer: an error from outside finds the server
ip -n remote link set eth0 mtu 1300
ip -n remote route replace default via 203.0.113.1 advmss 1460
ip -n remote -6 route replace default via 2001:db8:cb::1 advmss 1440
check "a router outside: download by the remote client" holds "
	run_in remote curl -s -m 30 http://$WEB1/files/big | sha256sum | cmp - $LAB_DIR/web/big.sum"
check "the server was told" equal "$(known_mtu web1 $REMOTE)" "mtu 1300"
check "the same over IPv6" holds "
	run_in remote curl -s -m 30 'http://[$WEB1_6]/files/big' | sha256sum | cmp - $LAB_DIR/web/big.sum"
check "the server was told, IPv6" equal "$(known_mtu web1 $REMOTE6)" "mtu 1300"
narrow() { # HOST DEVICE MTU, and the server's own link, which offers the full size
	ip -n "$1" link set "$2" mtu "$3"
	ip -n web1 link set farm mtu "$3"
	ip -n web1 route replace default via 10.4.0.254 advmss 1460
	ip -n web1 -6 route replace default via fd00:4::254 advmss 1440
	routes_forget client
	[ "$1" != inner ] || wait_for 5 \
		"json inner show ports | jq -e '.ports[] | select(.name == \"$2\") | .mtu == $3'"
}
narrow inner farm 1400
check "the inner dispatcher: upload over IPv4" run_in client iperf3 -c $WEB1 -n 5M --connect-timeout 5000
check "the client was told" equal "$(known_mtu client $WEB1)" "mtu 1400"
check "the inner dispatcher: upload over IPv6" run_in client iperf3 -c $WEB1_6 -n 5M --connect-timeout 5000
check "the client was told, IPv6" equal "$(known_mtu client $WEB1_6)" "mtu 1400"
check "ping that may not be fragmented is told by the dispatcher" holds "routes_forget client
	run_in client ping -M do -c 1 -W 2 -s 1420 $WEB1 | grep -E 'From 10.3.0.254 .*mtu ?= ?1400'"
narrow inner farm 1500
for i in 1 2 3; do
	narrow "fw$i" back 1380
done
check "the firewalls: upload over IPv4" run_in client iperf3 -c $WEB1 -n 5M --connect-timeout 5000
check "the client was told" equal "$(known_mtu client $WEB1)" "mtu 1380"
for i in 1 2 3; do
	narrow "fw$i" back 1500
done
way_clean "with errors about packets too long"

title "five ways to choose a firewall"
for family in 4 6; do
	server=$WEB1 far=$REMOTE
	[ $family = 4 ] || { server=$WEB1_6 far=$REMOTE6; }
	must "IPv$family: round robin" balance 'algorithm = "round-robin"'
	check "96 connections from outside work" starts_outside 96 $server
	check "each firewall got a third of them" shares "32 32 32"
	fw_reset_counts
	check "60 connections from inside work" starts_inside 60 $far
	check "each firewall got a third of them" shares "20 20 20"
	way_clean "round robin"
done
SW_WEIGHT_1=3 SW_WEIGHT_2=2 SW_WEIGHT_3=1
must "weighted round robin, 3 to 2 to 1" balance 'algorithm = "weighted-round-robin"'
check "96 connections from outside work" starts_outside 96
check "by their weights" shares "48 32 16" 1
fw_reset_counts
check "60 connections from inside work" starts_inside 60
check "by their weights" shares "30 20 10" 1
way_clean "weighted round robin"
unset SW_WEIGHT_1 SW_WEIGHT_2 SW_WEIGHT_3

must "least connections" balance 'algorithm = "least-connections"'
check "twelve connections that stay" holds \
	'for i in {1..12}; do drip_start d$i $WEB1 $((42000 + i)) || return 1; done'
check "four through each" shares "4 4 4"
closing=$(json outer show flows sport 42001 | jq -r '.flows[0].path')
for i in {1..12}; do # all through one of them end
	[ "$(flow_of outer $((42000 + i)) path)" != "$closing" ] || stop d$i
done
fw_reset_counts
check "four new ones" holds \
	'for i in {21..24}; do drip_start d$i $WEB1 $((42000 + i)) || return 1; done'
check "go where four have ended" equal "$(fw_count "${closing#fw}" opened)" 4
way_clean "least connections"
for i in {1..24}; do
	stop "d$i" KILL
done

must "least packet throughput" balance 'algorithm = "least-packets"'
# An even stream: a download with a limited rate comes in bursts, with seconds of nothing between.
run_in client ping -q -i 0.002 -e 43001 -w 60 $WEB1 >/dev/null 2>&1 &
stream=$!
check "a stream of packets runs" wait_for 5 "[ \$(flow_of outer 43001 path) != null ]"
busy=$(flow_of outer 43001 path)
note "it runs through $busy"
# the rate is taken once a second
check "its firewall is known as busy" wait_for 5 "[ \$(path_value outer $busy rate) -gt 100 ]"
fw_reset_counts
check "eight connections meanwhile" many $WEB1 1 -from 100-107
# Until the rates are taken again a new one counts for as much as the others on average.
check "they avoid it" at_most "$(fw_count "${busy#fw}" opened)" 2
check "both others are used" holds "[ \$(fw_sum opened) = 8 ] && ! fw_shares | grep -qw 8"
kill $stream
way_clean "least packets"

must "static: by addresses and ports, and learning nothing" balance 'algorithm = "static"
	learn = false'
check "96 connections from outside work" starts_outside 96
check "each firewall gets some" shares_all 12
check "60 connections from inside work" starts_inside 60
check "IPv6 from outside" starts_outside 32 $WEB1_6
check "a download, compared" get_file big $WEB1
check "UDP" ask $WEB1 7007 50
check "UDP in fragments" ask $WEB1 7007 10 8000
check "ping" run_in client ping -q -c 5 -i 0.05 -W 2 $WEB1
check "a closed port says so by ICMP" holds "ask $WEB1 33434 1 | grep 'refused 1'"
check "no flow is remembered" equal "$(flows outer) $(flows inner)" "0 0"
check "what was sent was sent by choice" at_least "$(counter outer dispatch-static)" 1000
way_clean "static without tables: both sides chose alike"
drip_start still $WEB1
dp_restart inner
check "so a dispatcher may restart in the middle" drip_lives still
way_clean "after the restart"
stop still

must "static, with a table" balance 'algorithm = "static"'
check "96 connections from outside work" starts_outside 96
way_clean "static with a table"
must "one by turns, the other static: the other side learns from the frame" \
	balance 'algorithm = "round-robin"' 'algorithm = "static"'
check "96 connections from outside work" starts_outside 96
check "a third each" shares "32 32 32"
fw_reset_counts
check "60 connections from inside work" starts_inside 60
drip_start learnt $WEB1 44001
check "inner says that it learnt the firewall" equal "$(flow_of inner 44001 path_by)" learnt
check "both name the same one" equal "$(flow_of inner 44001 path)" "$(flow_of outer 44001 path)"
check "outer says that it chose it" equal "$(flow_of outer 44001 path_by)" algorithm
stop learnt
way_clean "learnt"

title "packets of no known flow"
stray() { run_in client "$PYTHON" "$LAB_TESTS/tools/stray.py" $CLIENT 45001 $WEB1 80 "${1:-5}"; }
stray6() { run_in client "$PYTHON" "$LAB_TESTS/tools/stray.py" $CLIENT6 45001 $WEB1_6 80 "${1:-5}"; }
must "dropped: the default" balance 'algorithm = "round-robin"'
before=$(drops outer no-flow)
capture_start stray client eth0 "tcp port 45001"
stray && stray6
check "counted" wait_for 5 "[ \$(drops outer no-flow) = $((before + 10)) ]"
capture_stop stray
way_clean "strays"
check "the sender was not told" equal "$(capture_count stray 'src port 80')" 0
must "reset" balance 'algorithm = "round-robin"
	unknown = "reset"'
capture_start stray client eth0 "tcp port 45001"
stray 1 && stray6 1
check "the sender is reset" wait_for 5 \
	"[ \$(capture_count stray 'ip and src port 80 and tcp[13] & 4 != 0') = 1 ]"
check "the sender is reset, IPv6" wait_for 5 \
	"[ \$(capture_count stray 'ip6 and src port 80 and ip6[53] & 4 != 0') = 1 ]"
capture_stop stray
way_clean "strays"
check "new connections work" starts_outside 32
must "passed to a firewall" balance 'algorithm = "round-robin"
	unknown = "pass"'
stray
check "they came to firewalls, which dropped them as they should" wait_for 5 \
	"[ '$SW_FIREWALLS' = cluster ] || [ \$(fw_sum invalid notnew) = 5 ]"
check "outer has counted them" at_least "$(counter outer unknown-passed)" 5
check "new connections work" starts_outside 32

title "the end"
check "they end cleanly" dp_end
[ "$SW_FIREWALLS" = nft ] || check "the firewalls end cleanly" fw_end
finish
