#!/bin/bash
# health.sh - firewalls and servers that die and return, are drained and weighed; reload, restart,
# and what is said when something is wrong. Topology: topo_sandwich.sh, all dispatchers in a cluster.
#
# proves: HD-10 HD-12 HD-24
. "$(dirname "$0")/lib.sh"
SW_STAGES=stage-a
SW_CLUSTER=1
. "$LAB_TESTS/topo_sandwich.sh"

ALL='"web1", "web2", "web3", "web4"'
PROBE='probe-interval = "200ms"
	probe-timeout = "150ms"'
# service NAME VIP PROTOCOL TARGETS [MORE]
service() {
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\", \"$(vip6 "$2")\" }
	protocol = \"$3\"
	targets = { $4 }
	technology = \"l4/2\"
	${5:-}
}"
}
CHECK='check = "http"
	check-port = 80
	check-path = "/health"
	check-interval = "200ms"
	check-timeout = "500ms"'
ON_PATH=move
lay_texts() {
	sw_outer "algorithm = \"round-robin\"
	on-path-down = \"$ON_PATH\"
	probe = \"10.3.0.254\"
	$PROBE"
	sw_inner "algorithm = \"round-robin\"
	on-path-down = \"$ON_PATH\"
	probe = \"10.2.0.254\"
	$PROBE" "$(
		service web 0 tcp "$ALL" 'on-target-down = "reset"'
		service udp 0 udp "$ALL" 'on-target-down = "move"'
		service two 1 tcp '"web1", "web2"'
		service sorry 2 tcp '"web1", "web2"' 'sorry = "web4"'
		service staged 3 tcp '"stage-a"'
		service direct 5 tcp '"web2", "web4"'
		sw_targets "web1=$CHECK" "web2=$CHECK" "web3=$CHECK" "web4=$CHECK"
		echo 'target "stage-a" { member = "stage-a" }'
	)"
	sw_stage_text stage-a '"inner"' '' "$(
		service staged 3 tcp '"web1", "web3"' 'algorithm = "weighted-round-robin"'
		sw_targets web3 web1
	)"
}

title "dispatchers that look after their firewalls and servers"
sw_lay
sw_gateway web3 101
must "servers run" farm_start web1 web2 web3 web4 remote
sw_gateway web3 254
lay_texts
must "the dispatchers start" dp_start outer inner stage-a
must "and see each other" fw_meet outer inner stage-a
check "all firewalls are up, as both see them" wait_for 10 "paths_up outer 3 && paths_up inner 3"
check "all servers are up" wait_for 10 "targets_up inner 5"
check "all is well" holds "ctl outer status && ctl inner status"
events outer
events inner

title "a firewall is killed under load"
run_in client "$PYTHON" "$LAB_TESTS/tools/many.py" $VIP 400 -from 100-107 -pause 10 -timeout 8 \
	>"$LAB_DIR/load.json" &
load=$!
for i in {1..6}; do
	drip_start "d$i" $VIP $((47000 + i))
done
check "UDP flows through each" holds 'for i in {1..6}; do ask $VIP 7007 1 64 $((21000 + i)) || return 1; done'
victim=$(flow_of outer 47001 path)
others=$(json outer show flows dport 7 |
	jq -r --arg p "$victim" '.flows[] | select(.path != $p) | .sport')
note "$victim is killed"
before=$(counter outer path-moved)
killed=$(now_ms)
fw_die "${victim#fw}"
check "outer and inner see it" wait_for 5 \
	"[ \$(path_state outer $victim) = down ] && [ \$(path_state inner $victim) = down ]"
note "after $(($(now_ms) - killed)) ms"
check "status says that something is wrong" not ctl outer status
check "and an event" wait_for 5 "[ \$(event_count outer path-down) -ge 1 ] && [ \$(event_count inner path-down) -ge 1 ]"
check "its flows were moved" wait_for 5 "[ \$(counter outer path-moved) -gt $before ]"
check "flows of the others go on" holds '
	for port in $others; do drip_lives d$((port - 47000)) || return 1; done'
check "UDP goes on at once, by the others" holds \
	'for i in {1..6}; do ask $VIP 7007 5 64 $((21000 + i)) || return 1; done'
check "new connections work" many $VIP 3
check "the load ran on" holds "
	wait $load
	jq -e '.requests == 3200 and .worked >= 3100' '$LAB_DIR/load.json' || { jq -c 'del(.clients)' '$LAB_DIR/load.json'; false; }"
note "$(jq -c 'del(.clients)' "$LAB_DIR/load.json")"
fw_return "${victim#fw}"
check "it comes back" wait_for 10 "paths_up outer 3 && paths_up inner 3"
fw_reset_counts
check "and is used again" holds "many $VIP 3; [ \$(fw_count ${victim#fw} opened) -ge 20 ]"
for i in {1..6}; do
	stop "d$i" KILL
done

title "the same where flows are reset"
ON_PATH=reset
lay_texts
must "reload" dp_reload outer inner stage-a
for i in {1..6}; do
	drip_start "d$i" $VIP $((47100 + i))
done
victim=$(flow_of outer 47101 path)
through=$(json outer show flows dport 7 | jq -r --arg p "$victim" '.flows[] |
	select(.path == $p and .sport > 47100) | .sport')
fw_die "${victim#fw}"
check "connections through it end at once" holds '
	for port in $through; do drip_broken d$((port - 47100)) 5 || return 1; done'
check "counted" at_least "$(counter outer flows-reset)" 1
check "new connections work" wait_for 5 "many $VIP 1"
fw_return "${victim#fw}"
check "it comes back" wait_for 10 "paths_up outer 3 && paths_up inner 3"
for i in {1..6}; do
	stop "d$i" KILL
done
ON_PATH=move
lay_texts
must "reload" dp_reload outer inner stage-a

title "a firewall that is alive but passes nothing"
run_in fw2 nft add table inet cut
run_in fw2 nft add chain inet cut forward '{ type filter hook forward priority -10; policy drop; }'
check "the probe through it tells" wait_for 5 \
	"[ \$(path_state outer fw2) = down ] && [ \$(path_state inner fw2) = down ]"
check "new connections work" many $VIP 3
run_in fw2 nft delete table inet cut
check "it comes back" wait_for 5 "paths_up outer 3 && paths_up inner 3"

title "a firewall whose MAC address changes"
drip_start d1 $VIP 47201
victim=$(flow_of outer 47201 path)
n=${victim#fw}
# A replaced network card; the kernel announces it.
run_in "$victim" sysctl -qw net.ipv4.conf.all.arp_notify=1 net.ipv6.conf.all.ndisc_notify=1 \
	net.ipv4.conf.front.arp_notify=1 net.ipv4.conf.back.arp_notify=1 \
	net.ipv6.conf.front.ndisc_notify=1 net.ipv6.conf.back.ndisc_notify=1
ip -n "$victim" link set front address 02:00:00:00:77:0$n
ip -n "$victim" link set back address 02:00:00:00:88:0$n
check "both dispatchers know the new ones" wait_for 20 \
	"[ \$(path_value outer $victim mac) = 02:00:00:00:77:0$n ] && [ \$(path_value inner $victim mac) = 02:00:00:00:88:0$n ]"
check "its flow goes on" drip_lives d1 10
check "through the same firewall" equal "$(flow_of outer 47201 path)" "$victim"
check "new connections work" wait_for 10 "paths_up outer 3 && many $VIP 2"
stop d1

title "all firewalls are down"
before=$(drops outer no-path)
for i in 1 2 3; do
	fw_die $i
done
check "both say so" wait_for 5 "paths_up outer 0 && paths_up inner 0"
run_in client curl -s -m 1 http://$VIP/name
check "named: no-path" at_least "$(drops outer no-path)" $((before + 1))
for i in 1 2 3; do
	fw_return $i
done
check "they come back" wait_for 10 "paths_up outer 3 && paths_up inner 3"
check "all works" many $VIP 1

title "a server is killed"
for i in {1..8}; do
	drip_start "d$i" $VIP $((47300 + i))
done
on_web2=$(json inner show flows dport 7 | jq -r '.flows[] |
	select(.target == "web2" and .sport > 47300) | .sport')
other=$(json inner show flows dport 7 | jq -r '.flows[] |
	select(.target != "web2" and .sport > 47300) | .sport')
check "UDP flows" holds 'for i in {1..8}; do ask $VIP 7007 1 64 $((22000 + i)) || return 1; done'
farm_die web2
check "the check tells" wait_for 5 "[ \$(target_state inner web2) = down ]"
note "why: $(target_value inner web2 why)"
check "event" wait_for 5 "[ \$(event_count inner target-down) -ge 1 ]"
check "its connections are reset at once" holds '
	for port in $on_web2; do drip_broken d$((port - 47300)) 5 || return 1; done'
check "the others go on" holds 'for port in $other; do drip_lives d$((port - 47300)) || return 1; done'
check "UDP flows move" holds 'for i in {1..8}; do ask $VIP 7007 2 64 $((22000 + i)) || return 1; done'
check "new connections go to the others" holds "many $VIP 3 && [ \$(many_by web2) = 0 ]"
farm_return web2
check "it comes back" wait_for 5 "[ \$(target_state inner web2) = up ]"
check "and is used again" holds "many $VIP 3; [ \$(many_by web2) -ge 12 ]"
for i in {1..8}; do
	stop "d$i" KILL
done

title "a server that answers, and says that it is sick"
touch "$LAB_DIR/web3/sick"
check "the check tells" wait_for 5 "[ \$(target_state inner web3) = down ]"
note "why: $(target_value inner web3 why)"
check "new connections go to the others" holds "many $VIP 2 && [ \$(many_by web3) = 0 ]"
rm "$LAB_DIR/web3/sick"
check "it comes back" wait_for 5 "[ \$(target_state inner web3) = up ]"

title "all servers of a service are down"
touch "$LAB_DIR/web1/sick" "$LAB_DIR/web2/sick"
check "both are down" wait_for 5 "[ \$(target_state inner web1) = down ] && [ \$(target_state inner web2) = down ]"
before=$(drops inner no-target)
run_in client curl -s -m 1 "http://$(vip 1)/name"
check "named: no-target" at_least "$(drops inner no-target)" $((before + 1))
check "refused connections are counted" at_least "$(service_value inner two refused)" 1
check "where there is one, the sorry server answers" equal "$(get "$(vip 2)" name)" web4
check "status says that something is wrong" not ctl inner status
rm "$LAB_DIR/web1/sick" "$LAB_DIR/web2/sick"
check "both come back" wait_for 5 "targets_up inner 5"
check "and serve" holds "many $(vip 2) 1 && [ \$(many_by web4) = 0 ]"

title "a server is drained"
for i in {1..8}; do
	drip_start "d$i" $VIP $((47400 + i))
done
check "drain web1" ctl inner drain web1
check "new connections go to the others" holds "many $VIP 2 && [ \$(many_by web1) = 0 ]"
check "old ones go on" holds 'for i in {1..8}; do drip_lives d$i || return 1; done'
check "its drained state is shown" equal "$(target_state inner web1)" drained
check "undrain web1" ctl inner undrain web1
check "it is used again" holds "many $VIP 3; [ \$(many_by web1) -ge 12 ]"
for i in {1..8}; do
	stop "d$i"
done

title "weights reach the other dispatchers, and survive a restart"
check "weight web1 7, said to inner" ctl inner weight web1 7
check "stage-a has it" wait_for 5 "[ \$(target_value stage-a web1 weight) = 7 ]"
check "drain web3, said to stage-a" ctl stage-a drain web3
check "inner has it" wait_for 5 "[ \$(target_state inner web3) = drained ]"
check "inner restarts" dp_restart inner
check "it is told" wait_for 10 \
	"[ \$(target_value inner web1 weight) = 7 ] && [ \$(target_state inner web3) = drained ]"
events inner
check "stage-a restarts" dp_restart stage-a
check "it is told" wait_for 10 \
	"[ \$(target_value stage-a web1 weight) = 7 ] && [ \$(target_state stage-a web3) = drained ]"
check "a reload keeps them" holds "dp_reload inner && [ \$(target_value inner web1 weight) = 7 ]"
check "weight web1 1, undrain web3" holds "ctl stage-a weight web1 1 && ctl inner undrain web3"
check "both have it" wait_for 5 "[ \$(target_value inner web1 weight) = 1 ] &&
	[ \$(target_state stage-a web3) = up ]"

title "reload keeps every flow"
must "all is up" wait_for 10 "paths_up outer 3 && paths_up inner 3 && targets_up inner 5"
for i in {1..8}; do
	drip_start "d$i" $VIP $((47500 + i))
done
before=$(json inner show flows dport 7 | jq -c '[.flows[] | [.sport, .path, .target]] | sort')
text=${dp_text[inner]}
# Firewalls, servers and services in another order, one new, one gone.
dp_text[inner]="$(service another 4 tcp "$ALL")
${text//'"web1", "web2", "web3", "web4"'/'"web4", "web3", "web1"'}"
check "another order, a new service, a server gone" dp_reload inner
check "flows are where they were" equal \
	"$(json inner show flows dport 7 | jq -c '[.flows[] | [.sport, .path, .target]] | sort')" "$before"
check "all go on" holds 'for i in {1..8}; do drip_lives d$i || return 1; done'
check "the new service works" many "$(vip 4)" 1
check "twenty reloads in a row" holds 'for i in {1..20}; do ctl inner reload && ctl outer reload || return 1; done'
dp_text[inner]=$text
check "the old one again" dp_reload inner
check "all go on" holds 'for i in {1..8}; do drip_lives d$i || return 1; done'
check "a broken configuration is refused, with file and line" holds "
	cp '$LAB_DIR/inner.conf' '$LAB_DIR/good.conf'
	echo 'service \"x\" { targets = { \"web9\" } }' >>'$LAB_DIR/inner.conf'
	! ctl inner reload >'$LAB_DIR/out' 2>&1
	! '$FWCLUSTERD' -t -f '$LAB_DIR/inner.conf' 2>>'$LAB_DIR/out' && grep -E 'inner.conf:[0-9]+:' '$LAB_DIR/out'"
cp "$LAB_DIR/good.conf" "$LAB_DIR/inner.conf"
check "all go on" holds 'for i in {1..8}; do drip_lives d$i || return 1; done'
for i in {1..8}; do
	stop "d$i"
done

title "a second stage restarts in the middle of flows"
sw_gateway web1 101
sw_gateway web3 101
check "connections by stage-a" holds 'for i in 1 2 3 4; do drip_start s$i "$(vip 3)" $((47600 + i)) || return 1; done'
check "and others" holds 'for i in 1 2; do drip_start d$i "$(vip 5)" $((47610 + i)) || return 1; done'
check "stage-a restarts" dp_restart stage-a
check "the members meet" fw_meet outer inner stage-a
check "inner serves by it again" wait_for 10 "[ \$(target_state inner stage-a) = up ]"
check "flows by other ways go on" holds 'drip_lives d1 && drip_lives d2'
check "new connections work" wait_for 5 "many $(vip 3) 1"
for i in 1 2 3 4; do
	stop "s$i" KILL
done
stop d1
stop d2
sw_gateway web1 254
sw_gateway web3 254

title "an address that another host has"
net_host twin
net_plug twin eth0 outside 198.51.100.86/24 2001:db8:51::86/64
ip -n client neigh flush dev eth0
check "outer restarts" dp_restart outer
check "it says so" wait_for 10 "grep -i '198.51.100.86' '$LAB_DIR/outer.log'"
check "the other host keeps it" holds "
	run_in client ping -q -c 2 -i 0.1 -W 1 198.51.100.86
	ip -n client neigh show 198.51.100.86 | grep -i \$(ip -n twin -j link show dev eth0 | jq -r '.[0].address')"
check "answers withheld are counted" at_least "$(counter outer address-taken)" 1
check "the other addresses are answered" wait_for 10 "many $VIP 1"

title "the end"
check "no finding in the logs" dp_clean
check "they end cleanly" dp_end
finish
