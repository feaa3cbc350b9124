#!/bin/bash
# heal.sh - forward entries die when they should, and traffic heals: the home killed, restarted,
# leaving in order, forgetting its flows; entries that expire, are released, are flushed.
# Topology: topo_cluster.sh with three members.
#
# proves: FC-6 FC-10 FC-11
. "$(dirname "$0")/lib.sh"
LAB_TIMEOUTS='tcp-time-wait = "1s" tcp-closed = "1s" udp-new = "60s" udp-stream = "60s"'
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "heal" "needs fwclusterd"; finish; }
cluster_lay 3
must "servers run" traffic_servers
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3
lab_path fw1 fw2

title "release: the home says when a flow ends"
before=$(counter fw2 release-received)
check "a connection, opened and closed" run_in client curl -s --fail -m 5 http://$WEB/hello
check "the asker is told to forget it" \
	wait_for 10 "[ \$(counter fw2 release-received) -gt $before ] && [ \$(forwards fw2) = 0 ]"
check "the home has forgotten it too" wait_for 10 "[ \$(flows fw1) = 0 ]"

title "flush forwards: the next packet asks again, nothing breaks"
check "a connection" drip_start drip $WEB
queries=$(counter fw2 query-sent)
check "flush" ctl fw2 flush forwards --yes
check "it goes on" drip_lives drip
check "by one more query" equal $(($(counter fw2 query-sent) - queries)) 1
check "a download while they are flushed, over and over" holds '
	fetch big & pid=$!
	while kill -0 $pid 2>/dev/null; do ctl fw2 flush forwards --yes; pause 0.05; done
	wait $pid'

title "the home forgets: not-home, and one more query"
# UDP: the client's next datagram makes fw1 home again; only the way back must heal.
run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 3 64 30001 >/dev/null
check "the asker has an entry" wait_for 5 "[ \$(forwards fw2) -ge 2 ]"
check "flush flows at the home" ctl fw1 flush flows --yes
check "the connection it held is dead" not drip_lives drip 2
stop drip KILL
check "a UDP flow heals at once, nothing lost" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 10 64 30001
check "the asker was told: not-home or release" holds \
	"[ \$((\$(counter fw2 not-home-received) + \$(counter fw2 release-received))) -gt $before ]"
check "new connections work" run_in client curl -s --fail -m 5 http://$WEB/hello

title "the home is killed"
events fw2
check "a connection" drip_start drip $WEB
check "the asker has its entry" wait_for 5 "[ \$(forwards fw2) -ge 1 ]"
stop fw1 KILL
check "the asker sees it go down" wait_for 5 "grep -q member-down '$LAB_DIR/fw2.events.log'"
check "and its entries with it" wait_for 2 "[ \$(forwards_to fw2 fw1) = 0 ]" ||
	ctl fw2 show forwards | indent
lab_path fw3 fw2
check "new connections by fw3 and fw2 work at once" \
	run_in client curl -s --fail -m 5 http://$WEB/hello
check "a download" fetch small
stop drip KILL

title "it comes back"
must "fw1 starts" fw_start fw1
check "and all see each other" fw_meet fw1 fw2 fw3
lab_path fw1 fw2
check "new connections by it" run_in client curl -s --fail -m 5 http://$WEB/hello

title "it restarts so fast that nobody misses it"
check "a connection" drip_start drip $WEB
check "the asker has its entry" wait_for 5 "[ \$(forwards fw2) -ge 1 ]"
stop fw1 KILL
must "fw1 starts" fw_start fw1
check "the asker notices" wait_for 5 \
	"grep -qE 'member-restart' '$LAB_DIR/fw2.events.log' || [ \$(forwards fw2) = 0 ]"
check "its entries died" wait_for 5 "[ \$(forwards_to fw2 fw1) = 0 ] || ! drip_lives drip 1"
check "all see each other" fw_meet fw1 fw2 fw3
check "new connections work" run_in client curl -s --fail -m 5 http://$WEB/hello
stop drip KILL

title "it leaves in order"
check "a connection" drip_start drip $WEB
check "the asker has its entry" wait_for 5 "[ \$(forwards fw2) -ge 1 ]"
check "SIGTERM ends it with status 0" stop fw1 TERM
check "the others hear its goodbye" wait_for 2 "grep -q member-left '$LAB_DIR/fw2.events.log'"
check "and its entries are gone" wait_for 2 "[ \$(forwards_to fw2 fw1) = 0 ]" ||
	ctl fw2 show forwards | indent
stop drip KILL
must "fw1 starts again" fw_start fw1
check "and all see each other" fw_meet fw1 fw2 fw3

title "an entry that is not used expires"
stop fw2
fw_cluster[fw2]='forward-ttl = "1s"'
must "fw2 starts with forward-ttl = 1s" fw_start fw2
must "all see each other" fw_meet fw1 fw2 fw3
run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 3 64 30002 >/dev/null
check "it has an entry" at_least "$(forwards fw2)" 1
check "it expires" wait_for 5 "[ \$(counter fw2 forward-expired) -ge 1 ] && [ \$(forwards fw2) = 0 ]"
check "and comes back with the next packet" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 3 64 30002

title "packets lost on the cluster link: queries are repeated"
run_in fw1 nft -f - <<-END
	table netdev loss {
		chain in {
			type filter hook ingress device eth2 priority 0;
			udp dport 7067 numgen random mod 100 < 20 drop
		}
	}
END
out=$(connects $WEB 80 200)
note "$out"
check "200 connections while every fifth message is lost" \
	holds "[[ '$out' == *' worked=200 '* ]]"
check "queries were sent again" at_least "$(counter fw2 query-retried)" 1
check "datagrams are never doubled" holds "ask $WEB 7007 100 | grep -E 'twice 0 strange 0'"
run_in fw1 nft delete table netdev loss

check "they end cleanly" fw_end
finish
