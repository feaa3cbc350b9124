#!/bin/bash
# tree.sh - a tree of dispatchers: inner as first stage with a server of its own, stage-a (l4/2) and
# stage-b (l4/3) as second stages, stage-c behind stage-a as a third; answers go from the stage that
# owns the server straight to the flow's firewall; the path travels in the SYN, never further.
# Topology: topo_sandwich.sh.
#
#   inner ─┬─ web1                      web1's gateway is inner, web2's stage-c,
#          ├─ stage-a ─┬─ web3          web3's stage-a, web4's stage-b
#          │           └─ stage-c ── web2
#          └─ stage-b ── web4 (and web1, with the source rewritten)
#
# proves: HD-8 HD-9 HD-10 HD-13 HD-14 HD-15
. "$(dirname "$0")/lib.sh"
SW_STAGES='stage-a stage-b stage-c'
SW_CLUSTER=1
SW_MAC=1
. "$LAB_TESTS/topo_sandwich.sh"

BIG=${LAB_BIG:-60}
# service NAME PROTOCOL TARGETS TECHNOLOGY [MORE]
service() {
	echo "service \"$1\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"$2\"
	targets = { $3 }
	technology = \"$4\"
	on-target-down = \"keep\"
	${5:-}
}"
}
# services TARGETS TECHNOLOGY [MORE]: the same services at every stage. FTP tells addresses in its
# control connection, so that its servers must know the virtual one: l4/2.
services() {
	service web tcp "$1" "$2" "ports = { \"7\", \"53\", \"80\", \"443\" }
	${3:-}"
	service bulk tcp "$1" "$2" "ports = { \"5201\" }
	${3:-algorithm = \"source\"}"
	service ftp tcp "$1" l4/2 'ports = { "21", "50000-50199" }
	affinity = "source"'
	service udp udp "$1" "$2" "${3:-}"
}
member() { echo "target \"$1\" { member = \"$1\" }"; }
# tree TARGETS_OF_INNER [BYPASS]
tree() {
	sw_outer 'algorithm = "round-robin"'
	sw_inner 'algorithm = "round-robin"' "$(services "$1" l4/2; sw_targets web1
		member stage-a; member stage-b)"
	sw_stage_text stage-a '"inner"' "bypass = ${2:-true}" "$(services '"web3", "stage-c"' l4/2
		sw_targets web3; member stage-c)"
	# By a static algorithm, which finds the same server again after a restart.
	sw_stage_text stage-b '"inner"' "bypass = ${2:-true}" "$(
		services '"web4"' l4/3 'algorithm = "static"'
		sw_targets web4
	)"
	sw_stage_text stage-c '"stage-a"' "bypass = ${2:-true}" "$(services '"web2"' l4/2; sw_targets web2)"
}
everything() { # ADDRESS: what a person does
	check "128 requests" many "$1" 4
	check "128 requests by TLS" many "$1" 4 -tls "$LAB_DIR/farm.crt"
	check "downloads of $BIG MB, compared, as many as servers" holds "
		for i in 1 2 3 4; do get_file big $1 || return 1; done"
	check "an upload" run_in client iperf3 -c "$1" -n 10M --connect-timeout 5000
	check "names over UDP and TCP" holds "dns $1 | grep web && dns $1 +tcp | grep web"
	check "UDP, 100 datagrams on one flow" ask "$1" 7007 100
	check "first datagrams of 40 flows of their own, each back once" holds \
		"for i in {1..40}; do ask $1 7007 1 100 \$((20000 + i)) || return 1; done"
	check "UDP in fragments" ask "$1" 7007 10 8000
	check "an ICMP error finds its client" holds "ask $1 33434 1 | grep 'refused 1'"
	check "FTP, passive and active, from 6 clients each" holds "
		for i in {100..105}; do
			ftp $1 --interface ${2}\$i && ftp $1 --interface ${2}\$i --ftp-port - || return 1
		done"
}

title "three stages of dispatchers"
sw_lay
sw_gateway web2 103
sw_gateway web3 101
sw_gateway web4 102
must "servers run" farm_start web1 web2 web3 web4 remote
farm_file big "$BIG"
tree '"web1", "stage-a", "stage-b"'
must "the dispatchers start" dp_start outer inner stage-a stage-b stage-c
must "and see each other" fw_meet outer inner stage-a stage-b stage-c
LAB_SNAP=200 capture_start server web3 farm 'tcp[13] & 2 != 0 or (ip6 and ip6[53] & 2 != 0)'
LAB_SNAP=200 capture_start staged stage-a stage 'tcp[13] & 2 != 0 or (ip6 and ip6[53] & 2 != 0)'
everything $VIP 198.51.100.
check "requests went to all four servers" holds "many $VIP 4; equal \$(many_servers) 4"
everything $VIP6 2001:db8:51::
check "requests went to all four servers" holds "many $VIP6 4; equal \$(many_servers) 4"
check "no packet went through a wrong firewall" fw_none_wrong

title "the stamp: where it is, and where it never is"
capture_stop server
capture_stop staged
stamps_in() { tcpdump -n -v -r "$LAB_DIR/$1.pcap" 2>/dev/null | grep -cE 'exp-?(opt)?-?4657|exp|unknown-253'; }
check "SYNs to the stages carried it" at_least "$(link_count inner.stage tx stamps)" 100
check "and to the third stage" at_least "$(link_count stage-a.stage tx stamps)" 30
check "tcpdump has seen it there, too" at_least "$(stamps_in staged)" 50
check "tcpdump has seen SYNs at web3" at_least "$(capture_count server '')" 50
check "none with a stamp" equal "$(stamps_in server)" 0
check "no server's link has carried one" equal \
	"$(stamps_on web1.farm web2.farm web3.farm web4.farm)" 0
check "nor has the outside or a firewall" equal \
	"$(stamps_on client.eth0 isp.eth0 outer.outside outer.front fw1.front fw2.front fw3.front \
		fw1.back fw2.back fw3.back inner.back)" 0
check "the stages took out what the stage before put in" equal \
	"$(counter stage-a stamp-taken) $(counter stage-b stamp-taken)" \
	"$(target_value inner stage-a flows_total | grep -q . && counter stage-a stamp-taken) $(counter stage-b stamp-taken)"
check "UDP had its path told by message" holds \
	"[ \$(counter inner path-sent) -ge 40 ] && [ \$(counter stage-a path-received) -ge 10 ]"

title "answers go past the first stage"
links_reset
check "128 requests" many $VIP 4
check "a download" get_file big $VIP
check "128 requests, IPv6" many $VIP6 4
check "DNS" dns $VIP
check "requests came by the stages' segment" at_least "$(link_count inner.stage tx requests)" 200
check "no answer came back by it" equal \
	"$(link_count inner.stage rx answers) $(link_count stage-a.stage tx answers) $(link_count stage-b.stage tx answers) $(link_count stage-c.stage tx answers)" "0 0 0 0"
check "inner got answers from its own server only" equal \
	"$(link_count inner.farm rx answers)" "$(link_count web1.farm tx answers)"
check "the stages sent theirs to the firewalls" holds '
	for s in a b c; do [ $(link_count stage-$s.back tx answers) -ge 30 ] || return 1; done'
check "all of them" equal "$(link_count stage-c.back tx answers)" "$(link_count web2.farm tx answers)"
check "counted as such" at_least "$(counter stage-a dispatch-bypass)" 30
check "no packet went through a wrong firewall" fw_none_wrong
for address in $VIP $VIP6; do
	port=48000
	[ "$address" = $VIP ] || port=48010
	for name in one two three; do
		port=$((port + 1))
		drip_start $name "$address" $port
	done
	for port in $((port - 2)) $((port - 1)) $port; do
		stage=$(flow_of inner $port target)
		path=$(flow_of outer $port path)
		note "port $port: $path, inner, $stage"
		[ "$stage" != web1 ] || continue
		check "the stage knows the flow's firewall from the stamp" equal \
			"$(flow_of "$stage" $port path) $(flow_of "$stage" $port path_by)" "$path stamp"
	done
	for name in one two three; do
		stop $name
	done
done

title "a SYN without room for a stamp"
gateway=${sw_mac[outer.outside]}
full() { run_in client "$PYTHON" "$LAB_TESTS/tools/stamped.py" eth0 "$gateway" "$1" "$2" "$3" 80 full; }
before=$(counter inner path-sent)
capture_start full client eth0 'src port 80'
for i in 1 2 3 4 5 6; do
	full $CLIENT $((49000 + i)) $VIP
	full $CLIENT6 $((49000 + i)) $VIP6
done
check "all are answered" wait_for 5 "[ \$(capture_count full 'tcp[13] == 18') = 6 ] &&
	[ \$(capture_count full 'ip6[53] == 18') = 6 ]"
capture_stop full
check "the path went by message" at_least "$(counter inner path-sent)" $((before + 4))
check "no packet went through a wrong firewall" fw_none_wrong

title "forged stamps"
fw_reset_counts
links_reset
before=$(counter outer stamp-stripped)
stamped() { run_in "$1" "$PYTHON" "$LAB_TESTS/tools/stamped.py" "${@:2}"; }
mac_of() { echo "${sw_mac[$1.$2]}"; }
capture_start forged client eth0 'src port 80'
stamped client eth0 "$gateway" $CLIENT 49101 $VIP 80 stamp 2
stamped client eth0 "$gateway" $CLIENT 49102 $VIP 80 twice 3
stamped client eth0 "$gateway" $CLIENT 49103 $VIP 80 tfo 1
stamped client eth0 "$gateway" $CLIENT6 49104 $VIP6 80 stamp 2
check "from outside: taken out at the outer edge" wait_for 5 \
	"[ \$(counter outer stamp-stripped) -ge $((before + 4)) ]"
check "no firewall has seen one" equal "$(link_count outer.front tx stamps)" 0
check "the SYNs themselves were answered" wait_for 5 "[ \$(capture_count forged 'tcp[13] == 18') = 3 ]"
capture_stop forged
before=$(counter inner stamp-stripped)
stamped web1 farm "$(mac_of inner farm)" 10.4.0.11 49105 $REMOTE 80 stamp 2
check "from a server: taken out by inner" wait_for 5 \
	"[ \$(counter inner stamp-stripped) -gt $before ]"
check "no firewall has seen it" equal "$(link_count inner.back tx stamps)" 0
before=$(counter stage-a stamp-stripped)
stamped web3 farm "$(mac_of stage-a farm)" 10.4.0.13 49106 $REMOTE 80 stamp 2
check "from a server to its stage: taken out" wait_for 5 \
	"[ \$(counter stage-a stamp-stripped) -gt $before ]"
check "no firewall has seen it" equal "$(link_count stage-a.back tx stamps)" 0
net_host mallory
net_plug mallory stage stage 10.5.0.66/24 fd00:5::66/64
before=$(counter stage-a stamp-stripped)
received=$(counter stage-a stamp-taken)
stamped mallory stage "$(mac_of stage-a stage)" 10.5.0.66 49107 $VIP 80 stamp 2
check "from a stranger on the stages' segment: not believed" wait_for 5 \
	"[ \$(counter stage-a stamp-stripped) -gt $before ] && [ \$(counter stage-a stamp-taken) = $received ]"
check "no server has seen any of them" equal "$(stamps_on web1.farm web2.farm web3.farm web4.farm)" \
	"$(($(link_count web1.farm tx stamps) + $(link_count web3.farm tx stamps)))"
check "connections work as before" many $VIP 2
check "no packet of theirs went through a wrong firewall" equal "$(fw_sum invalid)" 0

title "path MTU discovery through the tree"
known_mtu() { ip -n client route get "$1" | grep -o 'mtu [0-9]*'; }
narrow() { # MTU of the last links of both second stages
	local host
	for host in stage-a stage-b stage-c web1 web2 web3 web4 inner; do
		ip -n $host link set farm mtu "$1"
	done
	for host in web1=254 web2=103 web3=101 web4=102; do
		ip -n ${host%=*} route replace default via 10.4.0.${host#*=} advmss 1460
		ip -n ${host%=*} -6 route replace default via fd00:4::${host#*=} advmss 1440
	done
	for host in stage-a stage-b stage-c inner; do
		wait_for 5 "json $host show ports | jq -e '.ports[] | select(.name == \"farm\") | .mtu == $1'"
	done
}
narrow 1400
for address in $VIP $VIP6; do
	check "six uploads to $address" holds "for i in {1..6}; do
		run_in client iperf3 -c $address -n 2M --connect-timeout 5000 || return 1; done"
	check "the client was told" equal "$(known_mtu $address)" "mtu 1400"
done
narrow 1500
ip -n client route flush cache
ip -n client -6 route flush cache
check "no packet went through a wrong firewall" fw_none_wrong

title "a second stage restarts in the middle of flows"
for i in {1..6}; do
	drip_start "d$i" $VIP $((48100 + i))
done
sent=$(for i in {1..6}; do echo "d$i=$(flow_of inner $((48100 + i)) target)"; done)
note "$(echo $sent)"
must "stage-b restarts" dp_restart stage-b
must "the members meet again" fw_meet outer inner stage-a stage-b stage-c
check "flows by other ways go on" holds '
	for one in $sent; do
		[ "${one#*=}" = stage-b ] || drip_lives "${one%%=*}" || return 1
	done'
check "flows by stage-b go on: it asked inner for their firewalls" holds '
	for one in $sent; do
		[ "${one#*=}" != stage-b ] || drip_lives "${one%%=*}" 10 || return 1
	done'
check "new connections work" many $VIP 3
check "no packet went through a wrong firewall" fw_none_wrong
for i in {1..6}; do
	stop "d$i"
done

title "a server that is attached to two dispatchers"
sw_stage_text stage-b '"inner"' '' "$(
	services '"web4", "web1"' l4/3 'algorithm = "source"
	sources = { "10.4.0.152", "fd00:4::152" }'
	sw_targets web4 web1
)"
must "stage-b serves by web1, too, with its source rewritten" dp_reload stage-b
check "160 requests" many $VIP 5
check "by stage-b to web1" at_least "$(target_value stage-b web1 flows_total)" 10
check "by inner to web1" at_least "$(target_value inner web1 flows_total)" 40
check "no packet went through a wrong firewall" fw_none_wrong

title "without the bypass, answers go back the way they came"
tree '"web1", "stage-a", "stage-b"' false
must "reload" dp_reload outer inner stage-a stage-b stage-c
links_reset
check "128 requests" many $VIP 4
check "128 requests, IPv6" many $VIP6 4
check "a download" get_file big $VIP
check "answers pass the stages' segment" at_least "$(link_count inner.stage rx answers)" 100
check "none leave a stage for a firewall" equal \
	"$(link_count stage-a.back tx answers) $(link_count stage-b.back tx answers) $(link_count stage-c.back tx answers)" "0 0 0"
check "no packet went through a wrong firewall" fw_none_wrong

title "the end"
check "they end cleanly" dp_end
finish
