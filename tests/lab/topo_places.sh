# shellcheck shell=bash
# topo_places.sh - members in different places: no shared segment, no multicast between them.
#
#   client 10.1.0.100 ─── insideA ─── fwA ─── outsideA 192.0.2.0/24 ─────┐
#          fd00:1::100                 │ eth2 10.9.1.1  fd00:9:1::1      │
#                                     wan (a router)                    net (a router) ─── web
#                                      │ eth2 10.9.2.1  fd00:9:2::1      │       198.51.100.80
#   client2 10.2.0.100 ── insideB ─── fwB ─── outsideB 203.0.113.0/24 ───┘       2001:db8:5::80
#           fd00:2::100
#
# The client's packets leave by place A; `net` sends the answers to place B (lab_path).

. "$LAB_TESTS/firewalls.sh"

CLIENT=10.1.0.100
CLIENT6=fd00:1::100
WEB=198.51.100.80
WEB6=2001:db8:5::80

place_lay() { # LETTER NUMBER OUTSIDE4 OUTSIDE6 CLIENT
	local fw=fw$1 n=$2 client=$5
	net_bridge "inside$1"
	net_host "$fw" "$client"
	net_plug "$client" eth0 "inside$1" 10.$n.0.100/24 fd00:$n::100/64
	net_plug "$fw" eth0 "inside$1" 10.$n.0.1/24 fd00:$n::1/64
	net_link "$fw" eth1 net "place$1"
	net_address "$fw" eth1 "$3.1/24"
	net_address "$fw" eth1 "$4::1/64"
	net_address net "place$1" "$3.254/24"
	net_address net "place$1" "$4::fe/64"
	net_link "$fw" eth2 wan "place$1"
	net_address "$fw" eth2 10.9.$n.1/24
	net_address "$fw" eth2 fd00:9:$n::1/64
	net_address wan "place$1" 10.9.$n.254/24
	net_address wan "place$1" fd00:9:$n::fe/64
	ip -n "$client" route add default via 10.$n.0.1
	ip -n "$client" -6 route add default via fd00:$n::1
	ip -n "$fw" route add default via "$3.254"
	ip -n "$fw" -6 route add default via "$4::fe"
	ip -n "$fw" route add 10.9.0.0/16 via 10.9.$n.254
	ip -n "$fw" -6 route add fd00:9::/32 via fd00:9:$n::fe
	fw_names+=("$fw")
	fw_ports[$fw]="inside=eth0@inside$1 outside=eth1@outside$1"
	fw_link[$fw]=eth2
	fw_address[$fw]=10.9.$n.1
	[ "${LAB_LINK:-4}" = 4 ] || fw_address[$fw]=fd00:9:$n::1
}

places_lay() {
	LAB_TRANSPORT=unicast
	net_router net wan
	net_host web
	place_lay A 1 192.0.2 2001:db8:2 client
	place_lay B 2 203.0.113 2001:db8:3 client2
	net_link net eth0 web eth0
	net_address net eth0 198.51.100.1/24
	net_address net eth0 2001:db8:5::1/64
	net_address web eth0 198.51.100.80/24
	net_address web eth0 2001:db8:5::80/64
	ip -n web route add default via 198.51.100.1
	ip -n web -6 route add default via 2001:db8:5::1
	ip -n net route add 10.2.0.0/24 via 203.0.113.1
	ip -n net -6 route add fd00:2::/64 via 2001:db8:3::1
	lab_path fwA fwA
	printf 'nameserver %s\noptions timeout:3\n' $WEB >"$LAB_DIR/resolv.conf"
	mount --bind "$LAB_DIR/resolv.conf" /etc/resolv.conf
}

# lab_path OUT BACK: the client always leaves by place A; `net` sends the answers to BACK.
lab_path() {
	ip -n net -6 route del fd00:1::/64 2>/dev/null
	case $2 in
	fwA)
		ip -n net route replace 10.1.0.0/24 via 192.0.2.1
		ip -n net -6 route add fd00:1::/64 via 2001:db8:2::1
		;;
	fwB)
		ip -n net route replace 10.1.0.0/24 via 203.0.113.1
		ip -n net -6 route add fd00:1::/64 via 2001:db8:3::1
		;;
	esac
}

. "$LAB_TESTS/servers.sh"
