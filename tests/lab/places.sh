#!/bin/bash
# places.sh [4|6] - members in different places, the cluster's traffic over a routed network of that
# IP version. Topology: topo_places.sh.
#
# proves: FC-8 FC-2 FC-4 FC-6 FC-9 FC-11 FC-15
LAB_LINK=${1:-4}
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_places.sh"
. "$LAB_TESTS/traffic.sh"

title "two places, the cluster's traffic over IPv$LAB_LINK"
places_lay
# The kernel alone needs a way from place B to place A's inside; the cluster must not.
if [ "$LAB_FW" = plain ]; then
	ip -n fwB route add 10.1.0.0/24 via 10.9.2.254
	ip -n fwB -6 route add fd00:1::/64 via fd00:9:2::fe
	ip -n wan route add 10.1.0.0/24 via 10.9.1.1
	ip -n wan -6 route add fd00:1::/64 via fd00:9:1::1
fi
must "servers run" traffic_servers

for LAB_QUERY in carry hold; do
	title "query = $LAB_QUERY"
	must "two members start" fw_start fwA fwB
	must "and see each other" fw_meet fwA fwB
	lab_path fwA fwA
	# What hosts still send on connections of before the restart may be asked for.
	asked=$(counter_all query-sent 2>/dev/null)
	check "symmetric: web" run_in client curl -s --fail -m 5 http://$WEB/hello
	daemon_check "nobody was asked" equal "$(counter_all query-sent 2>/dev/null)" "$asked"
	lab_path fwA fwB
	traffic_connects 4
	traffic_connects 6
	traffic_no_query fwA fwB
	daemon_check "everything went through the tunnel" holds \
		"[ \$(counter fwB forward-tunnel) -ge $((2 * N_CONNECTS)) ] && [ \$(counter fwB forward-l2) = 0 ]"
	traffic_bulk
	traffic_datagrams
	if [ "$LAB_FW" = daemon ]; then
		LAB_SNAP=400 capture_start link wan placeA
		check "pages through the tunnel" connects $WEB 80 20
		check "its capture is complete" capture_stop link
		check "nothing in clear on the link" not \
			grep -qaE 'HTTP/1|hello from' "$LAB_DIR/link.pcap"
	fi
	check "a connection" drip_start drip $WEB
	lab_path fwA fwA
	check "its answers come to its home now" drip_lives drip
	lab_path fwA fwB
	check "and to the other place again" drip_lives drip
	check "it ends in order" stop drip
	if [ "$LAB_FW" = daemon ]; then
		title "the places lose each other and find each other"
		check "a connection" drip_start drip $WEB
		run_in wan nft 'table inet cut { chain forward { type filter hook forward priority 0; policy drop; }; }'
		check "each sees the other go" \
			wait_for 10 "[ \$(members_up fwA) = 0 ] && [ \$(members_up fwB) = 0 ]"
		check "no forward entry outlives it" wait_for 5 "[ \$(forwards_to fwB fwA) = 0 ]"
		run_in wan nft delete table inet cut
		check "they are back" fw_meet fwA fwB
		check "and so is the connection" drip_lives drip 30
		stop drip
	fi
	daemon_check "they end cleanly" fw_end
done
finish
