#!/bin/bash
# single.sh - one firewall, and everything a person does through it.
#
#   client ── fw1 ── mid (a router) ── web          fw1 ── outside ── mid ── 1280..1400 ── far
#
# proves: FC-12 FC-13 FC-14 HD-22
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"

title "one firewall between an inside and an outside network"
cluster_lay 1
# Behind a router with a narrow link: path MTU discovery has something to discover.
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
ip -n far link set eth0 mtu 1400
ip -n far route add default via 198.51.100.1
ip -n far -6 route add default via 2001:db8:5::1
ip -n mid route add 10.1.0.0/24 via 192.0.2.1
ip -n mid -6 route add fd00:1::/64 via 2001:db8:2::1
ip -n fw1 route add 198.51.100.0/24 via 192.0.2.50
ip -n fw1 -6 route add 2001:db8:5::/64 via 2001:db8:2::50

must "servers run" servers_start web
must "ssh server runs" servers_ssh web
servers_file big "${LAB_BIG:-100}"
servers_file small 3
start_in far iperf3.far iperf3 -s
wait_for 10 "run_in far ss -lntH sport = :5201 | grep -q ."

title "before the firewall runs, nothing passes"
check "no way without it" not run_in client curl -s -m 1 http://$WEB/hello
must "the firewall starts" fw_start fw1

title "web, names, ssh"
check "web over IPv4" run_in client curl -s -S --fail -m 10 http://$WEB/hello
check "web over IPv6" run_in client curl -s -S --fail -m 10 "http://[$WEB6]/hello"
check "web by name" run_in client curl -s -S --fail -m 10 http://web.example/hello
check "DNS over UDP" equal "$(run_in client dig +short +time=3 +tries=1 @$WEB web.example)" $WEB
check "DNS over TCP" equal "$(run_in client dig +tcp +short +time=3 +tries=1 @$WEB web.example)" $WEB
check "DNS over UDP and IPv6" \
	equal "$(run_in client dig +short +time=3 +tries=1 @$WEB6 web.example AAAA)" $WEB6
check "ssh over IPv4" run_in client "${SSH[@]}" root@$WEB true
check "ssh over IPv6, 10 MB through its pipe" holds \
	"[ \$(run_in client ${SSH[*]} root@$WEB6 head -c 10M /dev/zero | wc -c) = 10485760 ]"
check "UDP, 200 datagrams, each answered once" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 200
check "UDP of 8 kB, in fragments, IPv4" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 20 8000
check "UDP of 8 kB, in fragments, IPv6" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB6 7007 20 8000

title "large downloads, compared byte for byte"
check "${LAB_BIG:-100} MB over IPv4" fetch big 4
check "${LAB_BIG:-100} MB over IPv6" fetch big 6
check "an upload of 50 MB by iperf3" \
	run_in client iperf3 -c $WEB -n 50M --connect-timeout 5000
check "ten downloads at once" holds '
	for i in 1 2 3 4 5 6 7 8 9 10; do fetch small 4 & jobs+=($!); done
	for i in "${jobs[@]}"; do wait "$i" || exit 1; done'

title "ping and traceroute"
check "ping over IPv4" run_in client ping -q -c 5 -i 0.05 -W 2 $WEB
check "ping over IPv6" run_in client ping -q -c 5 -i 0.05 -W 2 $WEB6
check "ping of 4000 bytes, in fragments" run_in client ping -q -c 3 -i 0.05 -W 2 -s 4000 $WEB
check "ping of 4000 bytes, in fragments, IPv6" \
	run_in client ping -q -c 3 -i 0.05 -W 2 -s 4000 $WEB6
hops() { run_in client traceroute -n -q 1 -w 2 -m 5 "$@" | awk 'NR > 1 { printf "%s ", $2 }'; }
check "traceroute by UDP shows the firewall" equal "$(hops 198.51.100.80)" \
	"10.1.0.1 192.0.2.50 198.51.100.80 "
check "traceroute by ICMP" equal "$(hops -I 198.51.100.80)" "10.1.0.1 192.0.2.50 198.51.100.80 "
check "traceroute by TCP" equal "$(hops -T -p 80 198.51.100.80)" \
	"10.1.0.1 192.0.2.50 198.51.100.80 "
check "traceroute by UDP, IPv6" equal "$(hops 2001:db8:5::80)" \
	"fd00:1::1 2001:db8:2::50 2001:db8:5::80 "
udp_refused() { run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" "$1" 9 1 | grep 'refused 1'; }
check "a closed UDP port says so" udp_refused $WEB
check "a closed UDP port says so, IPv6" udp_refused $WEB6
check "a closed TCP port refuses at once" holds \
	"! timeout 2 nsenter --net=/run/netns/client nc -w 5 $WEB 81; [ \$? != 124 ]"

title "path MTU discovery through a link of 1400 bytes"
known_mtu() { ip -n client route get "$1" | grep -o 'mtu [0-9]*'; }
ip -n far link set eth0 mtu 1500 # the far end sends and offers full size, the router refuses
check "upload over IPv4" run_in client iperf3 -c 198.51.100.80 -n 5M
check "the client was told: IPv4" equal "$(known_mtu 198.51.100.80)" "mtu 1400"
check "upload over IPv6" run_in client iperf3 -c 2001:db8:5::80 -n 5M
check "the client was told: IPv6" equal "$(known_mtu 2001:db8:5::80)" "mtu 1400"
check "too big, not to be fragmented: ping is told" holds \
	"ip -n client route flush cache
	 run_in client ping -M do -c 1 -W 2 -s 1450 198.51.100.80 | grep -E 'From 192.0.2.50 .*mtu ?= ?1400'"
ip -n client route flush cache
ip -n client -6 route flush cache

title "path MTU discovery where the firewall itself meets the narrow link"
# The server's own link is as narrow, but it offers the full size.
ip -n fw1 link set eth1 mtu 1380
ip -n web link set eth0 mtu 1380
ip -n web route replace 10.1.0.0/24 via 192.0.2.1 advmss 1460
ip -n web -6 route replace fd00:1::/64 via 2001:db8:2::1 advmss 1440
[ "$LAB_FW" = daemon ] && wait_for 5 \
	"json fw1 show ports | jq -e '.ports[] | select(.name == \"outside\") | .mtu == 1380'"
check "IPv4: the firewall says fragmentation needed" holds \
	"run_in client ping -M do -c 1 -W 2 -s 1400 $WEB | grep -E 'From 10.1.0.1 .*mtu ?= ?1380'"
check "IPv6: the firewall says packet too big" holds \
	"run_in client ping -M do -c 1 -W 2 -s 1400 $WEB6 | grep -E 'From fd00:1::1 .*mtu ?= ?1380'"
check "IPv4 that may be fragmented is fragmented" \
	run_in client ping -M dont -q -c 3 -i 0.05 -W 2 -s 1400 $WEB
check "TCP finds its size: upload over IPv4" run_in client iperf3 -c $WEB -n 5M
check "TCP finds its size: upload over IPv6" run_in client iperf3 -c $WEB6 -n 5M
ip -n fw1 link set eth1 mtu 1500
ip -n web link set eth0 mtu 1500
lab_path fw1 fw1
ip -n client route flush cache
ip -n client -6 route flush cache

title "policy"
web_start client
check "inbound is denied, silently" holds \
	"run_in web curl -s -m 1 http://$CLIENT/hello; [ \$? = 28 ]"
check "inbound is denied over IPv6" holds \
	"run_in web curl -s -m 1 'http://[$CLIENT6]/hello'; [ \$? = 28 ]"
check "a reject is seen at once" holds \
	"begin=\$(now_ms); ! run_in web nc -w 5 $CLIENT 2222 && [ \$((\$(now_ms) - begin)) -lt 2500 ]"
check "a reject is seen at once, IPv6" holds \
	"begin=\$(now_ms); ! run_in web nc -w 5 $CLIENT6 2222 && [ \$((\$(now_ms) - begin)) -lt 2500 ]"
check "inbound ping is denied" not run_in web ping -q -c 2 -i 0.05 -W 1 $CLIENT
daemon_check "policy drops are counted" holds "[ \$(drops fw1 policy) -ge 3 ]"
daemon_check "rejects are counted" holds "[ \$(drops fw1 rejected) -ge 2 ]"
daemon_check "no packet was queried" equal "$([ "$LAB_FW" = daemon ] && counter fw1 query-sent)" 0

title "the end"
daemon_check "flows are listed" holds "[ \$(flows fw1) -ge 1 ]"
daemon_check "it ends cleanly" fw_end
finish
