#!/bin/bash
# offload.sh - flows that the kernel passes on by the daemon's orders: what the daemon still sees, what
# never passes, and that the orders end when they must. Topology: topo_cluster.sh with one firewall.
#
#   client ── eth0 [program] fw1 [program] eth1 ── web
#
# proves: FC-12 FC-13 FC-14 HD-22
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "offload" "needs fwclusterd"; finish; }
BIG=${LAB_BIG:-100}
LEASE=4 # seconds that an order holds
cluster_lay 1
offload_ports() { # on | off
	local text=''
	[ "$1" = off ] || text='offload = true'
	fw_port[fw1.inside]=$text
	fw_port[fw1.outside]=$text
}
offload_ports on
must "servers run" traffic_servers
must "it starts" fw_start fw1

offloaded() { counter fw1 offloaded; }
# seen PORT: frames that reached the daemon.
seen() { json fw1 show ports | jq ".ports[] | select(.name == \"$1\") | .rx_frames"; }
# more_offloaded N [SECONDS]: the kernel passes N more packets.
more_offloaded() { wait_for "${2:-5}" "[ \$(offloaded) -ge $(($(offloaded) + $1)) ]"; }
# flow SPORT FIELD: of the TCP or UDP flow from that port.
flow() { json fw1 show flows | jq -r "[.flows[] | select(.sport == $1)] | last | .$2"; }
ports_offload() { json fw1 show ports | jq -c '[.ports[].offload]'; }
n_filters() { run_in fw1 tc filter show dev "$1" ingress | grep -c 'handle 0x66776364'; }
clean_devices() { ! run_in fw1 tc qdisc show | grep clsact; }
hello() { run_in client curl -s --fail -m 2 http://$WEB/hello; }
said() { grep -q -- "$1" "$LAB_DIR/fw1.log"; }
drip_at() { cat "$LAB_DIR/$1.drip"; }
# drip_stuck NAME MILLISECONDS: it gets no further.
drip_stuck() {
	local at
	at=$(drip_at "$1")
	stays_for "$2" "[ \$(drip_at $1) -le $((at + 1)) ]"
}

title "the program is there"
check "both ports say so" equal "$(ports_offload)" "[true,true]"
check "one filter at each device" equal "$(n_filters eth0) $(n_filters eth1)" "1 1"
check "the daemon has given up what loading needed" holds \
	"! getpcaps ${lab_pid[fw1]} 2>&1 | grep -E 'bpf|perfmon|sys_admin'"

title "downloads and uploads, compared byte for byte"
for family in 4 6; do
	before=$(seen outside)
	check "$BIG MB over IPv$family" fetch big $family --local-port 4100$family
	check "the daemon has seen next to nothing of it" at_most $(($(seen outside) - before)) 150
	check "its flow counts every byte of it" wait_for 5 \
		"[ \$(flow 4100$family 'bytes[1]') -ge $((BIG * 1000000)) ]"
	check "and its end" equal "$(flow 4100$family state)" time-wait
done
check "the counters say so, too" at_least "$(counter fw1 offloaded-bytes)" $((BIG * 1900000))
check "up, IPv4" run_in client iperf3 -c $WEB -n 100M --connect-timeout 5000
check "up, IPv6" run_in client iperf3 -c $WEB6 -n 100M --connect-timeout 5000
check "down, IPv4, four at once" run_in client iperf3 -c $WEB -R -P 4 -n 100M --connect-timeout 5000
check "down, IPv6, four at once" run_in client iperf3 -c $WEB6 -R -P 4 -n 100M --connect-timeout 5000
check "both ways at once" run_in client iperf3 -c $WEB --bidir -t 2 --connect-timeout 5000
capture_start looked fw1 eth0 tcp port 80 # makes a copy of each packet first
check "with somebody looking on" fetch big 4
capture_stop looked || true
check "he has seen the packets" at_least "$(capture_count looked 'dst port 80')" 50
net_offloads_off client eth0
net_offloads_off web eth0
check "without super-frames, IPv4" run_in client iperf3 -c $WEB -n 30M --connect-timeout 5000
check "without super-frames, IPv6" run_in client iperf3 -c $WEB6 -R -n 30M --connect-timeout 5000
run_in client ethtool -K eth0 tso on gso on gro on tx on rx on >/dev/null 2>&1
run_in web ethtool -K eth0 tso on gso on gro on tx on rx on >/dev/null 2>&1

title "UDP"
before=$(offloaded)
check "300 datagrams, each answered once" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 300 64 41007
check "the same over IPv6" \
	run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB6 7007 300 64 41008
check "most of them by the kernel" wait_for 5 "[ \$(offloaded) -ge $((before + 1000)) ]"
check "their flows count all" wait_for 5 \
	"[ \$(flow 41007 'packets[0]') = 300 ] && [ \$(flow 41007 'packets[1]') = 300 ]"
check "the same over IPv6" wait_for 5 \
	"[ \$(flow 41008 'packets[0]') = 300 ] && [ \$(flow 41008 'packets[1]') = 300 ]"
check "of 8 kB, in fragments" run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" $WEB 7007 40 8000
many_names() {
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(run_in client dig +short +time=3 +tries=1 @$WEB web.example)" = $WEB ] || return 1
	done
}
check "a hundred questions for a name" many_names

title "what the daemon has to see, it sees"
check "a reset" run_in client "$PYTHON" "$LAB_TESTS/tools/tcp_reset.py" $WEB 7 41100
check "ends the flow" wait_for 5 "[ \$(flow 41100 state) = closed ]"
check "it has counted what the kernel had" at_least "$(flow 41100 'packets[0]')" 200
check "a TTL that expires is answered" run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ttl.py" $WEB 7007
check "the same over IPv6" run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ttl.py" $WEB6 7007
known_mtu() { ip -n client route get "$1" | grep -o 'mtu [0-9]*'; }
ip -n web route replace 10.1.0.0/24 via 192.0.2.1 advmss 1460
ip -n web -6 route replace fd00:1::/64 via 2001:db8:2::1 advmss 1440
for family in 4 6; do
	[ $family = 4 ] && address=$WEB || address=$WEB6
	start_in client "up$family" iperf3 -c "$address" -t 4 --connect-timeout 5000
	check "IPv$family: an upload is on its way" more_offloaded 1000
	ip -n fw1 link set eth1 mtu 1380
	ip -n web link set eth0 mtu 1380
	check "the way out becomes narrow: the client is told" wait_for 5 \
		"known_mtu $address | grep -q 1380"
	wait "${lab_pid[up$family]}"
	check "the upload comes to its end" equal $? 0
	ip -n fw1 link set eth1 mtu 1500
	ip -n web link set eth0 mtu 1500
	ip -n client route flush cache
	ip -n client -6 route flush cache
	wait_for 5 "json fw1 show ports | jq -e '.ports[] | select(.name == \"outside\") | .mtu == 1500'"
done
lab_path fw1 fw1

title "what nobody may send does not pass"
for family in 4 6; do
	[ $family = 4 ] && source=$CLIENT address=$WEB || source=fd00:1::101 address=$WEB6
	start_in client "mark$family" "$PYTHON" "$LAB_TESTS/tools/tcp_drip.py" "$address" 7 \
		"$LAB_DIR/mark$family.drip" 4120$family "$source"
	check "IPv$family: a connection" wait_for 5 "[ -s '$LAB_DIR/mark$family.drip' ]"
	check "by the kernel" more_offloaded 50
	capture_start "forged$family" web eth0 port 4120$family
	drops=$(drops fw1 tcp-window)
	check "forged resets and data, out of the window" run_in client "$PYTHON" \
		"$LAB_TESTS/tools/forge.py" eth0 "$source" 4120$family "$address" 7 50
	check "the daemon drops them" wait_for 5 "[ \$(drops fw1 tcp-window) -gt $drops ]"
	check "the connection goes on" drip_lives "mark$family"
	capture_stop "forged$family" || true
	check "none of them has passed" equal "$(tcpdump -n -A -r "$LAB_DIR/forged$family.pcap" 2>/dev/null |
		grep -cE 'forged|Flags \[R')" 0
	check "by the kernel again" more_offloaded 50
	check "it ends in order" stop "mark$family"
done

title "policy and flush"
check "a connection" drip_start drip $WEB
check "by the kernel" more_offloaded 50
rules=$LAB_RULES
LAB_RULES='
	rule "no-echo" {
		action = "drop"
		protocol = { "tcp" }
		ports = { "7" }
	}'"$rules"
fw_conf fw1
check "another policy" ctl fw1 reload
check "keeps the flow" drip_lives drip
check "with the kernel, too" more_offloaded 50
check "flush" ctl fw1 flush flows --yes
check "the flow stands still at once" drip_stuck drip 1500
stop drip KILL
LAB_RULES=$rules
fw_conf fw1
check "the old policy" ctl fw1 reload
check "a new connection" drip_start drip $WEB
check "by the kernel" more_offloaded 50
offload_ports off
fw_conf fw1
check "turning it off needs a restart" holds "ctl fw1 reload 2>&1 | grep -q 'needs a restart.*offload'"
check "and changes nothing" drip_lives drip
offload_ports on
fw_conf fw1

title "devices"
ip -n fw1 link set eth1 down
check "down: nothing passes" drip_stuck drip 500
ip -n fw1 link set eth1 up
net_address fw1 eth1 2001:db8:2::1/64 2>/dev/null
check "up: the connection goes on" drip_lives drip 20
check "by the kernel" more_offloaded 50
ip -n fw1 link del eth1
check "removed: nothing passes" drip_stuck drip 500
net_plug fw1 eth1 outside 192.0.2.1/24 2001:db8:2::1/64
check "made again: the connection goes on" drip_lives drip 20
check "by the kernel" more_offloaded 50
check "both ports say so" equal "$(ports_offload)" "[true,true]"

title "somebody takes the program away"
run_in fw1 tc qdisc del dev eth0 clsact
check "the connection goes on" drip_lives drip
check "the program is there again" wait_for 5 "[ \$(n_filters eth0) = 1 ]"
check "that is said" wait_for 5 "said 'was removed.*attached anew'"
check "the connection is with the kernel again" more_offloaded 50 10
check "it goes on" drip_lives drip

title "the daemon is killed"
stop fw1 KILL
check "its program is still there" equal "$(n_filters eth0) $(n_filters eth1)" "1 1"
begin=$(now_ms)
check "but nothing passes any more" wait_for $((LEASE + 3)) "drip_stuck drip 600"
check "that took no longer than an order holds" at_most $(($(now_ms) - begin)) $((LEASE * 1000 + 1500))
stop drip KILL
check "nothing new passes" not hello
must "it starts again" fw_start fw1
check "one filter at each device" equal "$(n_filters eth0) $(n_filters eth1)" "1 1"
check "traffic passes" wait_for 5 hello
check "$BIG MB" fetch big 4
check "by the kernel" wait_for 5 "[ \$(counter fw1 offloaded-bytes) -ge $((BIG * 900000)) ]"
check "it ends cleanly" fw_end
check "and leaves nothing at the devices" clean_devices

title "without the capability"
fw_conf fw1
rm -f "$LAB_DIR/fw1.sock"
start_in fw1 fw1 setpriv --bounding-set -bpf,-sys_admin,-perfmon "$FWCLUSTERD" -n -f "$LAB_DIR/fw1.conf"
must "it starts" fw_ready fw1
check "it says that it works without" said 'offload: .*CAP_BPF.*working without'
check "no port has it" equal "$(ports_offload)" "[false,false]"
check "traffic passes" fetch big 4
check "by the daemon" equal "$(offloaded)" 0
check "it ends cleanly" fw_end
finish
