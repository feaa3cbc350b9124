#!/bin/bash
# device.sh - interfaces that are not there at start, go down, disappear and come back: said once,
# waited for, recovered. Topology: topo_cluster.sh with two members.
#
# proves: FC-11 FC-14 HD-22
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "device" "needs fwclusterd"; finish; }
cluster_lay 2
must "servers run" traffic_servers
lab_path fw1 fw1
hello() { run_in client curl -s --fail -m 2 http://$WEB/hello; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/${lab_pid[$1]}/stat"; }
# idle NAME: it does not spin: below a tenth of a processor for a second.
idle() {
	local before
	before=$(cpu_ticks "$1")
	pause 1
	at_most $(($(cpu_ticks "$1") - before)) 10
}
outside_back() { # HOST
	net_plug "$1" eth1 outside "192.0.2.${1#fw}/24" "2001:db8:2::${1#fw}/64"
}

title "a device that does not exist at start"
ip -n fw1 link del eth1
must "it starts without it" fw_start fw1 fw2
check "it says so, by name" wait_for 5 "grep -q eth1 '$LAB_DIR/fw1.log'"
check "and only once" holds "stays_for 1500 '[ \$(grep -ciE \"(no such|missing|not exist|wait).*eth1|eth1.*(no such|missing|not exist|wait)\" \"$LAB_DIR/fw1.log\") -le 1 ]'"
check "it does not spin" idle fw1
outside_back fw1
check "when it comes, traffic passes" wait_for 10 hello

title "down and up"
check "a connection" drip_start drip $WEB
ip -n fw1 link set eth1 down
check "nothing passes" not hello
check "the port is shown as down" wait_for 5 \
	"json fw1 show ports | jq -e '.ports[] | select(.name == \"outside\") | .state != \"up\"'"
check "it does not spin" idle fw1
ip -n fw1 link set eth1 up
net_address fw1 eth1 2001:db8:2::1/64 2>/dev/null
check "traffic passes again" wait_for 10 hello
check "the old connection goes on" drip_lives drip 20
check "IPv6 too" wait_for 10 "run_in client curl -s --fail -m 2 'http://[$WEB6]/hello'"

title "removed and made again, with another index"
before=$(ip -n fw1 -j link show dev eth1 | jq '.[0].ifindex')
ip -n fw1 link del eth1
check "nothing passes" not hello
check "it does not spin" idle fw1
outside_back fw1
check "another interface of that name" not equal \
	"$(ip -n fw1 -j link show dev eth1 | jq '.[0].ifindex')" "$before"
check "traffic passes again" wait_for 10 hello
check "the old connection goes on" drip_lives drip 20
check "it ends in order" stop drip

title "the cluster link, removed and made again"
must "members see each other" fw_meet fw1 fw2
ip -n fw1 link del eth2
check "both see the other go" wait_for 10 "[ \$(members_up fw1) = 0 ] && [ \$(members_up fw2) = 0 ]"
check "each alone works on" hello
check "it does not spin" idle fw1
net_plug fw1 eth2 cluster 10.9.0.1/24 fd00:9::1/64
check "they find each other again" fw_meet fw1 fw2
lab_path fw1 fw2
check "asymmetric connections work" wait_for 10 hello

title "addresses, routes and neighbours that change"
run_in web sysctl -qw net.ipv4.conf.eth0.arp_notify=1 # it announces itself
ip -n web link set eth0 address 02:00:00:00:00:99
ip -n web neigh flush all
check "the server got another MAC address" wait_for 15 hello
lab_path fw1 fw1
ip -n fw1 addr del 192.0.2.1/24 dev eth1
ip -n fw1 addr add 192.0.2.11/24 dev eth1
ip -n web route replace 10.1.0.0/24 via 192.0.2.11
check "the firewall got another address" wait_for 15 hello

title "what the host does wrong is said at start"
stop fw2
run_in fw2 sysctl -qw net.ipv4.ip_forward=1
must "it starts" fw_start fw2
check "ip_forward is on: said, with the command that mends it" \
	wait_for 5 "grep -E 'ip_forward ?= ?0' '$LAB_DIR/fw2.log'"
run_in fw2 sysctl -qw net.ipv4.ip_forward=0
check "they end cleanly" fw_end
finish
