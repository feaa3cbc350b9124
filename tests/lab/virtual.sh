#!/bin/bash
# virtual.sh - two members with gateway addresses and MAC addresses of the daemons' own, beside those
# that the kernel has on the same devices; with both live backends. Topology: topo_cluster.sh.
#
#   client ──┬─ fw1 ─┬── web            out by fw1 (10.1.0.201, 02:fc:00:00:01:01)
#            └─ fw2 ─┘                  back by fw2 (192.0.2.202, 02:fc:00:00:02:02)
#
# proves: FC-2 FC-3 FC-14
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

N_CONNECTS=${N_CONNECTS:-200} LAB_BIG=${LAB_BIG:-20}
cluster_lay 2
lab_virtual on
must "servers run" traffic_servers

# neighbour HOST ADDRESS: the MAC address that HOST has for it, once it has one.
neighbour() { ip -n "$1" -j neigh show to "$2" | jq -r '[.[] | .lladdr // empty] | first'; }
device_mac() { ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'; }
received() { run_in "$1" awk '/^Ip: [0-9]/ { print $4 }' /proc/net/snmp; }
port_field() { json fw1 show ports | jq -r ".ports[0].$1"; }

own_addresses() {
	title "$1: who is where"
	check "ping to the daemon's address" run_in client ping -q -c 3 -i 0.1 -W 5 10.1.0.201
	check "the same, IPv6" run_in client ping -q -c 3 -i 0.1 -W 5 fd00:1::201
	check "it lies behind the daemon's MAC address" \
		equal "$(neighbour client 10.1.0.201)" 02:fc:00:00:01:01
	check "the same, IPv6" equal "$(neighbour client fd00:1::201)" 02:fc:00:00:01:01
	check "show ports tells both" equal "$(port_field mac) $(port_field host_mac)" \
		"02:fc:00:00:01:01 $(device_mac fw1 eth0)"
}

# The firewall asks for its neighbours from the kernel's addresses.
kernel_addresses() {
	title "$1: the kernel's own addresses"
	check "ping to the kernel's address" run_in client ping -q -c 3 -i 0.1 -W 5 10.1.0.1
	check "it stays behind the device's MAC address" \
		equal "$(neighbour client 10.1.0.1)" "$(device_mac fw1 eth0)"
	check "ping to the kernel's address, IPv6" \
		run_in client ping -q -c 3 -i 0.1 -W 5 fd00:1::1
	check "it stays there, too" equal "$(neighbour client fd00:1::1)" "$(device_mac fw1 eth0)"
	check "the kernel reaches the client" run_in fw1 ping -q -c 3 -i 0.1 -W 5 $CLIENT
	# some hosts still route by the kernel's address
	ip -n client route replace default via 10.1.0.1
	check "web by way of the kernel's address" run_in client curl -s --fail -m 5 http://$WEB/hello
}

for LAB_BACKEND in packet pcap; do
	if [ "$LAB_BACKEND" = pcap ]; then
		for host in client web fw1 fw2; do
			net_offloads_off $host eth0
			net_offloads_off $host eth1
		done
	fi
	title "$LAB_BACKEND: through it"
	ip -n client neigh flush dev eth0
	must "two members start" fw_start fw1 fw2
	must "and see each other" fw_meet fw1 fw2
	lab_path fw1 fw1
	before=$(received fw1)
	check "200 pings, none lost, none doubled" run_in client ping -q -c 200 -i 0.002 -W 2 $WEB
	check "the kernel has nothing to do with them" at_most $(($(received fw1) - before)) 50
	lab_path fw1 fw2
	traffic_connects 4
	traffic_connects 6
	check "members handed frames over by these MAC addresses" \
		at_least "$(counter fw2 forward-l2)" $((2 * N_CONNECTS))
	traffic_bulk
	own_addresses "$LAB_BACKEND"
	kernel_addresses "$LAB_BACKEND"
	check "they end cleanly" fw_end
done
finish
