#!/bin/bash
# asymmetric.sh [carry|hold [l2|tunnel]] - out by one member, answers in by another; without
# arguments all four combinations. Topology: topo_cluster.sh, with a narrow link behind a router:
#
#   client ──┬─ fw1 ─┬── web            fw1 = home: the client's packets leave by it
#            ├─ fw2 ─┤                  fw2 = asker: all answers come in by it
#            └─ fw3 ─┴── mid ── far     mid sends answers and ICMP errors to fw2 as well
#
# proves: FC-1 FC-2 FC-3 FC-4 FC-5 FC-6 FC-7 FC-9
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

cluster_lay 3
net_router mid
net_host far
net_plug mid eth0 outside 192.0.2.50/24 2001:db8:2::50/64
[ "$LAB_BACKEND" != pcap ] || net_offloads_off mid eth0
net_link mid eth1 far eth0
net_address mid eth1 198.51.100.1/24
net_address mid eth1 2001:db8:5::1/64
net_address far eth0 198.51.100.80/24
net_address far eth0 2001:db8:5::80/64
ip -n mid link set eth1 mtu 1400
ip -n far route add default via 198.51.100.1
ip -n far -6 route add default via 2001:db8:5::1
ip -n mid route add 10.1.0.0/24 via 192.0.2.2
ip -n mid -6 route add fd00:1::/64 via 2001:db8:2::2
for fw in fw1 fw2 fw3; do
	ip -n $fw route add 198.51.100.0/24 via 192.0.2.50
	ip -n $fw -6 route add 2001:db8:5::/64 via 2001:db8:2::50
done
must "servers run" traffic_servers
start_in far iperf3.far iperf3 -s
wait_for 10 "run_in far ss -lntH sport = :5201 | grep -q ."

symmetric() {
	title "symmetric first: nobody is asked"
	lab_path fw1 fw1
	check "web" run_in client curl -s --fail -m 5 http://$WEB/hello
	check "web over IPv6" run_in client curl -s --fail -m 5 "http://[$WEB6]/hello"
	check "ping" ping_clean $WEB
	daemon_check "no query was sent" equal "$(counter_all query-sent 2>/dev/null)" 0
}

counters_connects() { # one query per connection, none retried, each confirmed and delivered once
	local n=$((2 * N_CONNECTS)) forwarded=forward-l2 other=forward-tunnel
	[ "$LAB_FW" = daemon ] || return 0
	[ "$LAB_FORWARD" = tunnel ] && forwarded=forward-tunnel other=forward-l2
	check "each connection was asked for once" equal "$(counter fw2 query-sent)" $n
	check "no query was sent again" equal "$(counter fw2 query-retried)" 0
	check "each was confirmed" equal "$(counter fw2 query-confirmed)" $n
	check "the home answered each" equal "$(counter fw1 query-answered)" $n
	check "the third member answered none" equal "$(counter fw3 query-answered)" 0
	check "the third member heard each" equal "$(counter fw3 query-received)" $n
	if [ "$LAB_QUERY" = carry ]; then
		check "the home delivered each carried SYN-ACK" \
			equal "$(counter fw1 query-delivered)" $n
	else
		check "the home delivered none, the asker forwarded" \
			equal "$(counter fw1 query-delivered)" 0
		check "queries were header-only" equal "$(counter fw2 query-header-only)" $n
	fi
	check "later packets were forwarded by $LAB_FORWARD" at_least "$(counter fw2 $forwarded)" $n
	check "and none the other way" equal "$(counter fw2 $other)" 0
}

path_errors() {
	title "ICMP errors that come in by the other member"
	check "traceroute through it" equal \
		"$(run_in client traceroute -n -q 1 -w 2 -m 5 198.51.100.80 |
			awk 'NR > 1 { printf "%s ", $2 }')" "10.1.0.1 192.0.2.50 198.51.100.80 "
	check "traceroute by ICMP through it, IPv6" equal \
		"$(run_in client traceroute -I -n -q 1 -w 2 -m 5 2001:db8:5::80 |
			awk 'NR > 1 { printf "%s ", $2 }')" "fd00:1::1 2001:db8:2::50 2001:db8:5::80 "
	ip -n client route flush cache
	ip -n client -6 route flush cache
	check "path MTU found over IPv4" holds "run_in client iperf3 -c 198.51.100.80 -n 3M &&
		ip -n client route get 198.51.100.80 | grep 'mtu 1400'"
	check "path MTU found over IPv6" holds "run_in client iperf3 -c 2001:db8:5::80 -n 3M &&
		ip -n client route get 2001:db8:5::80 | grep 'mtu 1400'"
}

moving() {
	title "a connection whose packets change their way"
	lab_path fw1 fw2
	check "a connection by fw1 and fw2" drip_start drip $WEB
	lab_path fw3 fw2
	check "its outgoing packets come to fw3 now" drip_lives drip
	lab_path fw3 fw1
	check "its answers come to fw1, the home" drip_lives drip
	lab_path fw2 fw3
	check "out by fw2, back by fw3, home is neither" drip_lives drip
	check "it ends in order" stop drip
	lab_path fw1 fw2
}

spread() {
	title "every connection by ways of its own, over three members"
	lab_spread 3
	check "200 connections" connects $WEB 80 200
	check "200 connections over IPv6" connects $WEB6 80 200
	check "eight downloads at once" holds '
		for i in 1 2 3 4 5 6 7 8; do fetch small 4 & jobs+=($!); done
		for i in "${jobs[@]}"; do wait "$i" || exit 1; done'
}

combination() {
	LAB_QUERY=$1 LAB_FORWARD=$2
	title "query = $1, forward = $2"
	must "three members start" fw_start fw1 fw2 fw3
	must "and see each other" fw_meet fw1 fw2 fw3
	symmetric
	title "$1, $2: asymmetric TCP"
	lab_path fw1 fw2
	traffic_connects 4
	traffic_connects 6
	counters_connects
	traffic_no_query fw1 fw2
	traffic_bulk
	title "$1, $2: datagrams, fragments, ICMP"
	traffic_datagrams
	path_errors
	moving
	spread
	daemon_check "nobody delivered twice, nobody conflicted" \
		equal "$(counter_all home-conflict 2>/dev/null)" 0
	daemon_check "they end cleanly" fw_end
}

for query in ${1:-carry hold}; do
	for forward in ${2:-l2 tunnel}; do
		combination "$query" "$forward"
	done
done
finish
