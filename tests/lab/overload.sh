#!/bin/bash
# overload.sh - what happens when a resource is used up: a full table, a process that stands still
# while packets come, a log that nobody reads, a disk that is full, clocks that are far along. Each
# has an answer that is defined, and a count. Topology: topo_cluster.sh with two members.
#
# proves: FC-13 HD-23
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "overload" "needs fwclusterd"; finish; }
LAB_TIMEOUTS='tcp-time-wait = "3s" tcp-fin-wait = "5s" tcp-close-wait = "5s" tcp-last-ack = "3s"'
LAB_CLUSTER+='
	hello-interval = "100ms"
	dead-after = "500ms"
	backup = true'

problems() { json "$1" show status | jq -r '.status[0].problems[]'; }
log_lost() { json "$1" show status | jq '.status[0].log_lost'; }
rx_dropped() { json "$1" show ports | jq '[.ports[].rx_dropped] | add'; }
lost_of() { grep -c 'member-down:' "$LAB_DIR/$1.log"; } # how often it has missed the other
# hold NAME COUNT: connections to the echo server that are established and stay.
hold() {
	rm -f "$LAB_DIR/$1.held" "$LAB_DIR/$1.go" "$LAB_DIR/$1.said"
	start_in client "$1" "$PYTHON" -c 'import os, resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
address, count, base = sys.argv[1], int(sys.argv[2]), sys.argv[3]
held = []
for _ in range(count):
    try:
        held.append(socket.create_connection((address, 7), timeout=2))
    except OSError:
        break
open(base + ".held", "w").write(str(len(held)))
while not os.path.exists(base + ".go"):
    time.sleep(0.05)
said = 0
for s in held:
    try:
        s.sendall(b"still there?\n")
        said += s.recv(100) == b"still there?\n"
    except OSError:
        pass
open(base + ".said", "w").write(str(said))
while True:
    time.sleep(60)' "$WEB" "$2" "$LAB_DIR/$1"
}
held() { cat "$LAB_DIR/$1.held"; }
all_speak() { # NAME COUNT
	touch "$LAB_DIR/$1.go"
	wait_for 60 "[ -s '$LAB_DIR/$1.said' ]" && equal "$(cat "$LAB_DIR/$1.said")" "$2"
}

# The smallest table there is.
LAB_RULES+='
	max-flows = 1024'
cluster_lay 2
must "servers run" traffic_servers
must "two members start" fw_start fw1 fw2
must "and see each other" fw_meet fw1 fw2

title "a state table that is full of established flows"
check "1100 connections are wanted" hold many 1100
check "the table is full at 1024" wait_for 60 "[ -s '$LAB_DIR/many.held' ] &&
	[ \$(flows fw1) = 1024 ]"
check "so many connections stand" at_most "$(held many)" 1024
check "and nearly all" at_least "$(held many)" 1000
check "what found no room is counted" at_least "$(drops fw1 flow-table-full)" 1
check "fw1 says what is wrong" holds "problems fw1 | tee /dev/stderr | grep -q full"
check "a new flow is refused, by silence" not run_in client curl -s -o /dev/null -m 2 "http://$WEB/name"
check "every one that stands goes on" all_speak many "$(held many)"
stop many KILL
ended() { [ "$(flows fw1)" -lt 600 ]; }
check "they end, and there is room" wait_for 150 ended
check "a new flow works" run_in client curl -s -o /dev/null -m 10 "http://$WEB/name"

title "a process that stands still while packets come"
fw_port[fw1.inside]='	rx-buffer = 65536'
must "fw1 again, with a small buffer" holds 'stop fw1 TERM && fw_start fw1 && fw_meet fw1 fw2'
check "a connection that talks" drip_start talks $WEB
check "fw1 has no losses" equal "$(rx_dropped fw1)" 0
kill -STOP "${lab_pid[fw1]}"
check "fw2 takes it for dead" wait_for 5 "[ \$(members_up fw2) = 0 ]"
run_in client "$PYTHON" -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20000):
    s.sendto(b"x" * 1000, (sys.argv[1], 7007))' $WEB
kill -CONT "${lab_pid[fw1]}"
check "it is back" fw_meet fw1 fw2
check "what the buffer could not hold is counted" wait_for 5 "[ \$(rx_dropped fw1) -gt 100 ]"
check "the connection goes on" drip_lives talks
stop talks TERM
check "nobody was asked what both know" equal "$(counter fw1 home-conflict) $(counter fw2 home-conflict)" "0 0"

title "a log that nobody reads"
stop fw1 TERM
mkfifo "$LAB_DIR/log.fifo"
exec {fifo}<>"$LAB_DIR/log.fifo" # it has a reader, who never reads
LAB_LOG=debug fw_conf fw1
nsenter --net=/run/netns/fw1 -- "$FWCLUSTERD" -n -f "$LAB_DIR/fw1.conf" 2>"$LAB_DIR/log.fifo" </dev/null &
lab_pid[fw1]=$!
must "fw1 starts" fw_ready fw1
check "and sees fw2" fw_meet fw1 fw2
check "1000 connections pass, each worth lines of debug output" connects $WEB 80 1000
check "more than the pipe holds was said, and counted" wait_for 5 "[ \$(log_lost fw1) -gt 100 ]"
check "the loop has not stood still" equal "$(members_up fw2)" 1
head -c 60000 <&"$fifo" >"$LAB_DIR/read.log"
check "the first lines are there" grep -q 'node "fw1" started' "$LAB_DIR/read.log"
check "one more connection" run_in client curl -s -o /dev/null -m 5 "http://$WEB/name"
head -c 6000 <&"$fifo" >>"$LAB_DIR/read.log"
gap() {
	ctl fw1 log debug >/dev/null
	head -c 2000 <&"$fifo" >>"$LAB_DIR/read.log"
	grep -a -o 'log: [0-9]* lines lost' "$LAB_DIR/read.log"
}
check "and the reader is told of the gap" wait_for 20 gap
stop fw1 KILL
exec {fifo}>&-

title "a clock that is far along: 32 bits of milliseconds are used up under way"
uptime_s=$(cut -d. -f1 /proc/uptime)
nsenter --net=/run/netns/fw1 -- unshare --time --monotonic $((4294967 - uptime_s - 6)) -- \
	"$FWCLUSTERD" -n -f "$LAB_DIR/fw1.conf" >>"$LAB_DIR/fw1.log" 2>&1 </dev/null &
lab_pid[fw1]=$!
must "fw1 starts six seconds before" fw_ready fw1
check "and sees fw2" fw_meet fw1 fw2
check "a connection that talks" drip_start along $WEB
check "one that is idle" hold idle 3
lost=$(lost_of fw2)
began=$(now_ms)
over() { [ $(($(now_ms) - began)) -gt 9000 ]; }
check "past the turn it goes on" holds "wait_for 15 over && drip_lives along"
check "the idle ones, too" all_speak idle 3
check "fw2 has not missed fw1" equal "$(lost_of fw2)" "$lost"
check "a new connection" run_in client curl -s -o /dev/null -m 5 "http://$WEB/name"
ages() { json fw1 show flows | jq -e '[.flows[].age_s] | max < 60 and min >= 0'; }
check "no age is absurd" ages
stop along TERM
stop idle TERM

title "the end"
check "they end cleanly" fw_end
finish
