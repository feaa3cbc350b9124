#!/bin/bash
# demo.sh [--keep] - the firewall cluster shown on real traffic, for somebody who has not seen it.
# Three members, an inside network with a client, an outside network with real servers; started by
# contrib/quickstart. Topology: topo_cluster.sh. Exit status 0 only if everything was as it should.
# --keep leaves the network running and says how to look around in it.

if [ "${1:-}" = --keep ] && [ -z "${LAB_INSIDE:-}" ]; then
	LAB_DIR=${LAB_DIR:-$(mktemp -d /tmp/fwclusterd-demo.XXXXXX)} || exit 1
	export LAB_DIR
	rm -f "$LAB_DIR/status"
	DEMO_KEEP=1 setsid bash "$0" </dev/null &
	lab=$!
	until [ -s "$LAB_DIR/status" ] || ! kill -0 $lab 2>/dev/null; do
		read -rt 0.2 <> <(:)
	done
	[ -s "$LAB_DIR/status" ] || exit 1
	inner=$(pgrep -P $lab)
	cat >"$LAB_DIR/enter" <<-END
		#!/bin/sh
		# A shell (or the command given) inside the demo's network.
		exec nsenter -t $inner --mount --net --pid "\$@"
	END
	chmod +x "$LAB_DIR/enter"
	. "$LAB_DIR/ways"
	cat <<-END

		The network is still running. To look around:

		  $LAB_DIR/enter ip netns exec client curl http://web.example/hello
		  $LAB_DIR/enter ip netns exec client ping web.example
		  $ctl -s $LAB_DIR/fw1.sock show members
		  $ctl -s $LAB_DIR/fw2.sock show forwards
		  $ctl -s $LAB_DIR/fw2.sock monitor

		Hosts: client, fw1, fw2, fw3, web. The client sends by fw1, the server answers by fw2:
		  $LAB_DIR/enter ip -n web route replace 10.1.0.0/24 via 192.0.2.3     (now by fw3)
		Configurations and logs: $LAB_DIR
		To end it:  kill -9 $inner; rm -r $LAB_DIR
	END
	exit "$(cat "$LAB_DIR/status")"
fi

. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

N_CONNECTS=200
. "$LAB_TESTS/demo_lib.sh"

watch_events() { # NAME...
	local name
	for name in "$@"; do
		start_in "$name" "$name.monitor" "$FWCLUSTERCTL" -s "$LAB_DIR/$name.sock" monitor \
			flows queries members
		lab_seen[$name]=0
	done
}
declare -A lab_seen=()
# show_events NAME PATTERN: what it said since the last time that matches.
show_events() {
	local name=$1 pattern=$2 file=$LAB_DIR/$1.monitor.log
	printf '   %s$ fwclusterctl monitor\n' "$name"
	tail -n +$((${lab_seen[$name]} + 1)) "$file" | grep -E -- "$pattern" | head -n 6 |
		cut -c1-150 | sed 's/^/     /'
	lab_seen[$name]=$(wc -l <"$file")
	echo
}
said() { grep -qE -- "$2" "$LAB_DIR/$1.monitor.log"; }
# ask_from PORT: one request from a source port of the demo's choice, so that it is easy to find.
ask_from() { run_in client curl -s -S --fail -m 10 --local-port "$1" "http://$WEB/${2:-hello}"; }

cat <<'END'

   The network. Three firewalls share an inside, an outside and a cluster segment. They share no
   table of connections: each knows only those that began at it.

      client                                                             web
      10.1.0.100                                                         192.0.2.80
      fd00:1::100                                                        2001:db8:2::80
         │              ┌──────────── fw1 ───────────┐                      │
         │  inside      │ 10.1.0.1         192.0.2.1 │    outside           │
         ├──────────────┼──────────── fw2 ───────────┼──────────────────────┤
         │  10.1.0.0/24 │ 10.1.0.2         192.0.2.2 │    192.0.2.0/24      │
                        └──────────── fw3 ───────────┘    nginx, DNS, iperf3
                          10.1.0.3         192.0.2.3
                                       │
                           cluster 10.9.0.0/24 (sealed)

   Everything runs in network namespaces of this machine: its own network is not touched.
END

head_line "Three members find each other"
cluster_lay 3
must "servers run: nginx, dnsmasq, iperf3" traffic_servers
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3
watch_events fw1 fw2 fw3
for name in fw1 fw2 fw3; do # a monitor is there once it shows something: a member's own flow
	wait_for 5 "running $name.monitor"
done
show_ctl fw1 show members
outcome "3 members up, messages sealed"

head_line "A connection leaves by fw1, its answers come in by fw2"
lab_path fw1 fw2
say "Routes: the client sends to 10.1.0.1 (fw1), the server answers to 192.0.2.2 (fw2)." ""
show ip -n client route get $WEB
show ip -n web route get $CLIENT
queries=$(counter fw2 query-sent)
check "a connection of the client's to an echo server stands" drip_start drip $WEB 40001
check "fw1 became its home" wait_for 5 "said fw1 'home-created.*40001'"
show_events fw1 'home-created.*40001|answered.*40001'
say "fw2 got the server's SYN-ACK, knew nothing of it, and asked the others, once, with the packet:" ""
check "fw2 asked, fw1 answered" wait_for 5 "said fw2 'query.*40001' && said fw1 'answered.*40001'"
check "fw2 believed it and remembers fw1" wait_for 5 \
	"said fw2 'confirm.*40001' && said fw2 'forward-learnt.*40001'"
show_events fw2 '(query|confirm|forward-learnt).*40001'
show_ctl fw1 show flows sport 40001
show_ctl fw2 show forwards dport 40001
check "the entry names fw1" holds \
	"json fw2 show forwards | jq -e '.forwards | length == 1 and .[0].home == \"fw1\"'"
check "the connection goes on" drip_lives drip
check "one query was sent, although it has said many things by now" \
	equal $(($(counter fw2 query-sent) - queries)) 1
check "it ends in order, and fw1 tells fw2 to forget it" holds \
	"stop drip && wait_for 5 '[ \$(forwards fw2) = 0 ]'"
outcome "home fw1, query and confirm seen, forward entry stored"

head_line "Later packets do not ask"
queries=$(counter fw2 query-sent) hits=$(counter fw2 forward-hit)
check "a download of 3 MB" fetch small
queries=$(($(counter fw2 query-sent) - queries)) hits=$(($(counter fw2 forward-hit) - hits))
say "fw2 sent $queries query and forwarded $hits frames to fw1 by its forward table."
check "one query" equal $queries 1
check "the rest by the forward table" at_least $hits 20
outcome "$queries query, $hits frames forwarded"

head_line "First packets are neither lost nor sent again: 2 x $N_CONNECTS times"
traffic_connects 4
traffic_connects 6
outcome "no SYN or SYN-ACK retransmitted"

head_line "A download of 100 MB over three members"
say "It leaves by fw1; the answers come by fw2, and, while it runs, by fw3 instead."
fetch_moving() {
	local file=$LAB_DIR/download size
	rm -f "$file"
	run_in client curl -s -S --fail -m 90 --limit-rate 20M -o "$file" "http://$WEB/big" &
	local pid=$!
	wait_for 20 "[ \$(stat -c %s '$file' 2>/dev/null || echo 0) -gt 30000000 ]" || return 1
	lab_back fw3
	wait $pid || return 1
	sha256sum <"$file" | cmp - "$LAB_DIR/web/big.sum"
}
hits=$(counter fw3 forward-hit)
check "it arrives, every byte the same" fetch_moving
hits=$(($(counter fw3 forward-hit) - hits))
check "fw3 carried a part of it to fw1" at_least $hits 100
lab_path fw1 fw2
check "and at full speed over IPv6" fetch big 6
outcome "100 MB identical; fw3 forwarded $hits frames"

head_line "UDP, DNS and ping take the same way"
check "DNS: web.example is $WEB" equal \
	"$(run_in client dig +short +time=3 +tries=1 @$WEB web.example)" $WEB
check "DNS over IPv6" equal \
	"$(run_in client dig +short +time=3 +tries=1 @$WEB6 web.example AAAA)" $WEB6
check "200 datagrams, each answered once" ask $WEB 7007 200
check "datagrams of 8 kB, in fragments" ask $WEB 7007 10 8000
check "ping: none lost, none doubled" ping_clean $WEB
check "ping over IPv6" ping_clean $WEB6
check "traceroute shows the home" holds "run_in client traceroute -n -q 1 -w 2 $WEB | grep '10.1.0.1 '"
check "ssh-like: a connection whose way changes twice goes on" holds '
	drip_start drip $WEB && lab_path fw3 fw1 && drip_lives drip &&
	lab_path fw2 fw3 && drip_lives drip && lab_path fw1 fw2 && drip_lives drip && stop drip'
outcome "IPv4 and IPv6, each datagram exactly once"

head_line "A packet of a connection that nobody knows"
say "The server sends a segment from the middle of a connection that does not exist:"
timeouts=$(counter fw2 query-timeout) negative=$(drops fw2 negative)
run_in web "$PYTHON" "$LAB_TESTS/tools/stray.py" $WEB 80 $CLIENT 40777
check "fw2 asked, and nobody answered" wait_for 5 "[ \$(counter fw2 query-timeout) = $((timeouts + 1)) ]"
run_in web "$PYTHON" "$LAB_TESTS/tools/stray.py" $WEB 80 $CLIENT 40777
check "it remembers: the next one is dropped without a query" \
	wait_for 5 "[ \$(drops fw2 negative) -gt $negative ]"
show_events fw2 '40777'
show_ctl fw2 show drops
outcome "asked, waited, dropped, remembered; all counted"

head_line "A member with the wrong key"
stop fw3
fw_key[fw3]=$LAB_DIR/wrong.key
echo "1 $(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n') active" >"$LAB_DIR/wrong.key"
chmod 600 "$LAB_DIR/wrong.key"
stop fw3.monitor
must "fw3 starts with another key" fw_start fw3
check "its messages are refused and counted" \
	wait_for 10 "[ \$(counter fw1 msg-wrong-key) -gt 0 ] && [ \$(counter fw2 msg-wrong-key) -gt 0 ]"
check "it is no member" holds "[ \$(members_up fw3) = 0 ] && [ \$(members_up fw1) = 1 ]"
show_ctl fw1 show members
say "fw1 counted $(counter fw1 msg-wrong-key) messages as msg-wrong-key."
check "the other two work on" ask_from 40003
stop fw3
fw_key[fw3]=$LAB_DIR/cluster.key
must "with the right key" fw_start fw3
check "it is a member again" fw_meet fw1 fw2 fw3
outcome "refused, counted, no harm; back with the right key"

check "all members ran without a finding" fw_clean
if [ "${DEMO_KEEP:-0}" != 1 ]; then
	check "they end in order" fw_end
fi

demo_table
if [ "${DEMO_KEEP:-0}" = 1 ]; then
	printf '%d passed, %d failed\n' $n_passed $n_failed
	echo "ctl=$FWCLUSTERCTL" >"$LAB_DIR/ways"
	[ $n_failed = 0 ]
	echo $? >"$LAB_DIR/status"
	exec >/dev/null 2>&1
	while :; do pause 3600; done
fi
finish
