# shellcheck shell=bash
# topo_cluster.sh - firewalls that share an inside, an outside and a cluster segment.
#
#   client 10.1.0.100 … 103                                       web 192.0.2.80
#   fd00:1::100             ┌──────── fw1 ────────┐               2001:db8:2::80
#      │               .1   │ eth0           eth1 │ .1                │
#      │   10.1.0.0/24      │                     │   192.0.2.0/24    │
#      ├────────────────────┼──────── fw2 ────────┼───────────────────┤
#      │   fd00:1::/64   .2 │                     │ .2 2001:db8:2::/64│
#                           └──────── fw3 ────────┘
#                        .3        │ eth2 .3        .3
#                                  cluster 10.9.0.0/24 fd00:9::/64
#
# The way out and the way back are each chosen by routes: lab_path.

. "$LAB_TESTS/firewalls.sh"

CLIENT=10.1.0.100
CLIENT6=fd00:1::100
WEB=192.0.2.80
WEB6=2001:db8:2::80

# cluster_lay N: the network, without servers and without firewalls running.
cluster_lay() {
	local n=$1 i name
	net_bridge inside
	net_bridge outside
	net_bridge cluster
	net_host client web
	net_plug client eth0 inside 10.1.0.100/24 10.1.0.101/24 10.1.0.102/24 10.1.0.103/24 \
		fd00:1::100/64 fd00:1::101/64
	net_plug web eth0 outside 192.0.2.80/24 2001:db8:2::80/64
	run_in client sysctl -qw net.ipv4.fib_multipath_hash_policy=1 \
		net.ipv6.fib_multipath_hash_policy=1
	run_in web sysctl -qw net.ipv4.fib_multipath_hash_policy=1 \
		net.ipv6.fib_multipath_hash_policy=1
	for ((i = 1; i <= n; i++)); do
		name=fw$i
		net_host "$name"
		net_plug "$name" eth0 inside 10.1.0.$i/24 fd00:1::$i/64
		net_plug "$name" eth1 outside 192.0.2.$i/24 2001:db8:2::$i/64
		net_plug "$name" eth2 cluster 10.9.0.$i/24 fd00:9::$i/64
		fw_names+=("$name")
		fw_ports[$name]='inside=eth0 outside=eth1'
		fw_link[$name]=eth2
		fw_address[$name]=10.9.0.$i
		if [ "$LAB_BACKEND" = pcap ]; then
			net_offloads_off "$name" eth0
			net_offloads_off "$name" eth1
		fi
	done
	if [ "$LAB_BACKEND" = pcap ]; then
		net_offloads_off client eth0
		net_offloads_off web eth0
	fi
	lab_path fw1 fw1
	printf 'nameserver %s\noptions timeout:3\n' $WEB >"$LAB_DIR/resolv.conf"
	mount --bind "$LAB_DIR/resolv.conf" /etc/resolv.conf
}

# lab_virtual on|off: hosts route by addresses and MAC addresses of the daemons' own (.201 … and
# 02:fc:00:00:01:01 …), or by those that the kernel has on the devices.
lab_gateways=0
lab_virtual() {
	local name i
	lab_gateways=0
	[ "$1" = on ] && lab_gateways=200
	for name in "${fw_names[@]}"; do
		i=${name#fw}
		unset "fw_port[$name.inside]" "fw_port[$name.outside]"
		[ "$1" = on ] || continue
		fw_port[$name.inside]="
	addresses = { \"10.1.0.$((200 + i))/24\", \"fd00:1::$((200 + i))/64\" }
	mac = \"02:fc:00:00:01:0$i\""
		fw_port[$name.outside]="
	addresses = { \"192.0.2.$((200 + i))/24\", \"2001:db8:2::$((200 + i))/64\" }
	mac = \"02:fc:00:00:02:0$i\""
	done
	lab_path fw1 fw1
}

# lab_path OUT BACK: the client sends by member OUT, the server answers by member BACK.
lab_path() {
	lab_out "$1" && lab_back "$2"
}
lab_out() {
	local n=$((lab_gateways + ${1#fw}))
	ip -n client route replace default via "10.1.0.$n"
	ip -n client -6 route del default 2>/dev/null
	ip -n client -6 route add default via "fd00:1::$n"
}
lab_back() {
	local n=$((lab_gateways + ${1#fw}))
	ip -n web route replace 10.1.0.0/24 via "192.0.2.$n"
	ip -n web -6 route del fd00:1::/64 2>/dev/null
	ip -n web -6 route add fd00:1::/64 via "2001:db8:2::$n"
}

# lab_spread N: each connection takes a way out and a way back of its own.
lab_spread() {
	local i out=() out6=() back=() back6=()
	for ((i = 1; i <= $1; i++)); do
		out+=(nexthop via 10.1.0.$i)
		out6+=(nexthop via fd00:1::$i)
		back+=(nexthop via 192.0.2.$i)
		back6+=(nexthop via 2001:db8:2::$i)
	done
	ip -n client route replace default "${out[@]}"
	ip -n client -6 route del default
	ip -n client -6 route add default "${out6[@]}"
	ip -n web route replace 10.1.0.0/24 "${back[@]}"
	ip -n web -6 route del fd00:1::/64
	ip -n web -6 route add fd00:1::/64 "${back6[@]}"
}

. "$LAB_TESTS/servers.sh"
