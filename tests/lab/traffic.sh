# shellcheck shell=bash
# traffic.sh - what a person does through the cluster, as checks that every topology can run.
# The topology has client, web, CLIENT, CLIENT6, WEB, WEB6 and a path laid; home and asker are the
# members by which the client's packets leave and the answers come back.

N_CONNECTS=${N_CONNECTS:-1000}

# traffic_servers: what these checks need on the far side.
traffic_servers() {
	servers_start web && servers_tcp_echo web || return 1
	servers_file big "${LAB_BIG:-100}"
	servers_file small 3
}

ask() { run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" "$@"; }
connects() { run_in client "$PYTHON" "$LAB_TESTS/tools/connects.py" "$@" -timeout 5; }

# SYNs and SYN-ACKs sent again, as the kernels of both ends count them.
retransmitted() {
	echo $(($(snmp client TcpExt.TCPSynRetrans) + $(snmp web TcpExt.TCPSynRetrans)))
}

# traffic_connects FAMILY: N_CONNECTS in a row, none of them retransmitted anything.
traffic_connects() {
	local family=$1 address=$WEB syn='tcp[13] == 2' synack='tcp[13] == 18' before out
	if [ "$family" = 6 ]; then
		address=$WEB6 syn='ip6[53] == 2' synack='ip6[53] == 18'
	fi
	LAB_SNAP=100 capture_start syn client eth0 "tcp port 80 or (ip6 and ip6[6] == 6)"
	LAB_SNAP=100 capture_start synack web eth0 "tcp port 80 or (ip6 and ip6[6] == 6)"
	before=$(retransmitted)
	out=$(connects "$address" 80 "$N_CONNECTS")
	check "IPv$family: $N_CONNECTS connections in a row work" \
		holds "echo '$out'; [[ '$out' == *' worked=$N_CONNECTS '* ]]"
	note "$out"
	check "IPv$family: the kernels of both ends sent no SYN or SYN-ACK again" \
		equal "$(retransmitted)" "$before"
	check "IPv$family: captures are complete" holds "capture_stop syn && capture_stop synack"
	check "IPv$family: one SYN each left the client" \
		equal "$(capture_count syn "$syn")" "$N_CONNECTS"
	check "IPv$family: one SYN each reached the server" \
		equal "$(capture_count synack "$syn")" "$N_CONNECTS"
	check "IPv$family: one SYN-ACK each left the server" \
		equal "$(capture_count synack "$synack")" "$N_CONNECTS"
	check "IPv$family: one SYN-ACK each reached the client" \
		equal "$(capture_count syn "$synack")" "$N_CONNECTS"
}

# traffic_datagrams: UDP, ping, fragments, ICMP errors; each datagram comes back exactly once.
traffic_datagrams() {
	check "UDP over IPv4, 200 datagrams, each back once" ask $WEB 7007 200
	check "UDP over IPv6, 200 datagrams, each back once" ask $WEB6 7007 200
	check "UDP of 8 kB in fragments, IPv4, each back once" ask $WEB 7007 20 8000
	check "UDP of 8 kB in fragments, IPv6, each back once" ask $WEB6 7007 20 8000
	check "first datagrams of 50 flows of their own, each back once" holds '
		for i in {1..50}; do ask $WEB 7007 1 100 $((20000 + i)) || exit 1; done'
	check "ping over IPv4, none lost, none doubled" ping_clean $WEB
	check "ping over IPv6, none lost, none doubled" ping_clean $WEB6
	check "ping of 4000 bytes in fragments, IPv4" ping_clean $WEB -s 4000
	check "ping of 4000 bytes in fragments, IPv6" ping_clean $WEB6 -s 4000
	check "an ICMP error finds its flow: closed port, IPv4" holds \
		"ask $WEB 9 1 | grep 'refused 1'"
	check "an ICMP error finds its flow: closed port, IPv6" holds \
		"ask $WEB6 9 1 | grep 'refused 1'"
	check "a refused connection is refused at once" holds \
		"begin=\$(now_ms); ! run_in client nc -w 5 $WEB 81 && [ \$((\$(now_ms) - begin)) -lt 900 ]"
}

ping_clean() {
	run_in client ping -c 20 -i 0.02 -W 2 "$@" >"$LAB_DIR/ping.out" 2>&1
	tail -n 3 "$LAB_DIR/ping.out"
	grep -q ' 0% packet loss' "$LAB_DIR/ping.out" && ! grep -qE 'DUP|duplicates' "$LAB_DIR/ping.out"
}

# traffic_bulk: downloads compared byte for byte.
traffic_bulk() {
	check "${LAB_BIG:-100} MB over IPv4, compared byte for byte" fetch big 4
	check "${LAB_BIG:-100} MB over IPv6, compared byte for byte" fetch big 6
	check "upload by iperf3" run_in client iperf3 -c $WEB -n 20M --connect-timeout 5000
}

# traffic_no_query HOME ASKER: one download asks once, everything after goes by the forward table.
traffic_no_query() {
	local home=$1 asker=$2 queries hits
	[ "$LAB_FW" = daemon ] || return 0
	queries=$(counter "$asker" query-sent)
	hits=$(counter "$asker" forward-hit)
	check "a download of 3 MB" fetch small
	check "it asked exactly once" equal $(($(counter "$asker" query-sent) - queries)) 1
	check "the rest went by the forward table" \
		at_least $(($(counter "$asker" forward-hit) - hits)) 20
	check "a connection that stays" drip_start stays $WEB
	check "the home lists the flow" at_least "$(flows "$home")" 1
	check "the forward entry names the home" at_least "$(forwards_to "$asker" "$home")" 1
	check "it ends in order" stop stays
}
