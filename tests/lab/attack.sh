#!/bin/bash
# attack.sh - crafted packets at the outside, and a stranger on the cluster link. Everything lands
# in its own counter, and the traffic of known flows does not suffer.
#
#   client ──┬─ fw1 ─┬── web              mallory has a leg on the outside (eth0) and one on the
#            ├─ fw2 ─┤── mallory eth0     cluster segment (eth1), and no key.
#            └─ fw3 ─┘   mallory eth1 ── cluster
#
# proves: FC-5 FC-10 FC-13 FC-15 FC-16
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "attack" "needs fwclusterd"; finish; }
RATE=2000 # queries a second that the members allow themselves here
LAB_CLUSTER="query-rate = $RATE
	query-burst = 500
	query-kbytes = 400
	source-rate = 200
	source-burst = 100"
FLOOD=${LAB_FLOOD:-15000}
cluster_lay 3
# What is recorded on the cluster link must be whole to be sent again: no checksums left to others.
for name in fw1 fw2 fw3; do
	net_offloads_off $name eth2
done
net_host mallory
net_plug mallory eth0 outside 192.0.2.66/24 2001:db8:2::66/64
net_plug mallory eth1 cluster
must "servers run" traffic_servers
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3
lab_path fw1 fw2
mac_of() { ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'; }
GATE=$(mac_of fw2 eth1)
attack() { run_in mallory "$PYTHON" "$LAB_TESTS/tools/attack.py" "$@"; }
mbits() { run_in client iperf3 -J -R -c $WEB -t "$1" | jq '.end.sum_received.bits_per_second / 1e6 | floor'; }

title "a flood of segments that belong to nothing, while a download runs"
check "a connection" drip_start drip $WEB
quiet=$(mbits 3)
sent=$(counter fw2 query-sent)
link=$(link_bytes fw2 eth2)
begin=$(now_ms)
start_in mallory flood "$PYTHON" "$LAB_TESTS/tools/attack.py" flood eth0 "$GATE" 10.1.0.0 8 "$FLOOD"
wait_for 10 "[ \$((\$(counter fw2 query-sent) - $sent)) -gt 100 ]"
flooded=$(mbits 3)
check "the connection goes on" drip_lives drip
# By one member both ways: a connection that needs a query competes with the flood for the budget.
lab_path fw2 fw2
check "new connections by the flooded member work meanwhile: 50 of 50" connects $WEB 80 50
lab_path fw1 fw2
wait "${lab_pid[flood]}"
unset 'lab_pid[flood]'
took=$(($(now_ms) - begin))
link=$((($(link_bytes fw2 eth2) - link) * 1000 / took))
queries=$((($(counter fw2 query-sent) - sent) * 1000 / took))
note "download: $quiet Mbit/s alone, $flooded under the flood ($(cat "$LAB_DIR/flood.log"))"
note "queries $queries/s, cluster link $link bytes/s"
check "known flows keep at least a third of their throughput" at_least "$flooded" $((quiet / 3))
check "the queries keep their budget" at_most "$queries" $((RATE + RATE / 4))
check "the cluster link keeps its budget" at_most "$link" 1500000
check "what was too much is counted" holds \
	"[ \$((\$(drops fw2 query-rate-limit) + \$(drops fw2 query-source-limit))) -gt 0 ]"
check "the members kept each other" equal "$(members_up fw1) $(members_up fw2)" "2 2"

title "fragments that overlap, are too small, end beyond the end"
for family in 4 6; do
	source=192.0.2.66 destination=$CLIENT
	[ $family = 6 ] && source=2001:db8:2::66 destination=$CLIENT6
	bad=$(($(drops fw2 frag-overlap) + $(drops fw2 frag-tiny) + $(drops fw2 frag-bad)))
	check "IPv$family: sent" attack fragments eth0 "$GATE" $source $destination
	for reason in frag-tiny frag-bad frag-overlap; do
		check "IPv$family: counted as $reason" wait_for 3 "[ \$(drops fw2 $reason) -ge 1 ]"
	done
	check "IPv$family: more than before" wait_for 3 \
		"[ \$((\$(drops fw2 frag-overlap) + \$(drops fw2 frag-tiny) + \$(drops fw2 frag-bad))) -gt $bad ]"
done
check "honest fragments pass" ping_clean $WEB -s 4000
check "honest fragments pass, IPv6" ping_clean $WEB6 -s 4000

title "spoofed and broken packets"
check "sent" attack spoofed eth0 "$GATE" $CLIENT
for reason in martian spoofed land ip-option tcp-flags ip-header ip-length ip-checksum; do
	check "counted as $reason" wait_for 3 "[ \$(drops fw2 $reason) -ge 3 ]" ||
		json fw2 show drops | jq -c '[.drops[] | select(.packets > 0) | .reason]' | indent
done
check "the connection goes on" drip_lives drip

title "a stranger on the cluster link, without a key"
LAB_SNAP=0 capture_start cluster mallory eth1 'udp port 7067'
check "a conversation to record" connects $WEB 80 20
check "it is recorded" capture_stop cluster
before=$(counter fw1 flows-created) sent=$(counter fw2 query-sent)
check "changed messages, sent" attack messages "$LAB_DIR/cluster.pcap" eth1
for name in msg-magic msg-version msg-cluster-id msg-unknown-member msg-unknown-key msg-short msg-wrong-key; do
	check "counted as $name" wait_for 3 "[ \$(counter_all $name) -ge 1 ]"
done
delivered=$(counter_all query-delivered) confirmed=$(counter_all query-confirmed)
answered=$(counter_all query-answered)
check "the whole conversation again" attack replay "$LAB_DIR/cluster.pcap" eth1
check "counted as msg-replay or msg-too-old" wait_for 3 \
	"[ \$((\$(counter_all msg-replay) + \$(counter_all msg-too-old))) -ge 20 ]"
check "nothing of it was delivered, answered or believed" equal \
	"$(counter_all query-delivered) $(counter_all query-answered) $(counter_all query-confirmed)" \
	"$delivered $answered $confirmed"
check "the members kept each other" equal "$(members_up fw1) $(members_up fw2)" "2 2"
check "the connection goes on" drip_lives drip

title "yesterday's conversation after a restart"
stop drip
fw_end >/dev/null
must "all start again" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3
check "the conversation again" attack replay "$LAB_DIR/cluster.pcap" eth1
check "counted as messages of an earlier or unproven boot" wait_for 3 \
	"[ \$((\$(counter_all msg-stale-boot) + \$(counter_all msg-unproven-boot) + \$(counter_all msg-boot-limit))) -ge 10 ]"
check "nothing was delivered, answered or believed" equal \
	"$(counter_all query-delivered) $(counter_all query-answered) $(counter_all query-confirmed)" "0 0 0"
check "the members kept each other" equal "$(members_up fw1) $(members_up fw2)" "2 2"
check "asymmetric connections work" connects $WEB 80 20
check "they end cleanly" fw_end
finish
