#!/bin/bash
# backup.sh - connections outlive their home: killed, leaving in order, cut off from the others.
# Topology: topo_cluster.sh with three members. The home is by itself, as it is where the hosts' way
# leads round it: both ways lead through the two others, which forward to it as long as it lives.
#
# proves: FC-17
. "$(dirname "$0")/lib.sh"
LAB_CLUSTER='hello-interval = "100ms" dead-after = "300ms" backup = true backup-delay = "500ms"'
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "backup" "needs fwclusterd"; finish; }

backed_up() { json "$1" status | jq '.status[0].backup.backed_up'; }
taken_over() { counter_all backup-promoted; }

# A connection that says nothing until the file comes, and is then asked whether it is alive.
idle_start() { # NAME
	rm -f "$LAB_DIR/$1.go" "$LAB_DIR/$1.done"
	start_in client "$1" "$PYTHON" -c 'import os, socket, sys, time
sock = socket.create_connection((sys.argv[1], 7), timeout=60)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
sock.sendall(b"still there?\n")
assert sock.recv(100) == b"still there?\n"
open(sys.argv[3], "w").write("yes")' "$WEB" "$LAB_DIR/$1.go" "$LAB_DIR/$1.done"
}
idle_lives() { # NAME
	touch "$LAB_DIR/$1.go"
	wait_for 10 "[ -e '$LAB_DIR/$1.done' ]"
}

# Three connections by HOME, then both ways by the other members.
begin() { # HOME OUT BACK
	lab_path "$1" "$1"
	check "connections by $1: one that talks" drip_start "drip-$1" $WEB
	check "one that is idle" idle_start "idle-$1"
	fetch big 4 --limit-rate 20M >"$LAB_DIR/fetch-$1.log" 2>&1 &
	download=$!
	check "and a download; $1 has them backed up" wait_for 10 "[ \$(backed_up $1) -ge 3 ]"
	lab_path "$2" "$3"
	check "they go on by the others" drip_lives "drip-$1"
}

go_on() { # HOME; the one that talks is left running
	check "the one that talks goes on" drip_lives "drip-$1"
	check "the idle one lives" idle_lives "idle-$1"
	check "the download is whole" wait "$download"
}

cluster_lay 3
must "servers run" traffic_servers
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3

title "the home is killed"
begin fw1 fw2 fw3
stop fw1 KILL
go_on fw1
stop drip-fw1 TERM
check "its flows were taken over" at_least "$(taken_over)" 3

title "it comes back, and takes nothing away"
check "a connection by the others" drip_start stay $WEB
must "fw1 starts" fw_start fw1
must "and all see each other" fw_meet fw1 fw2 fw3
check "it goes on" drip_lives stay
check "and fw1 is home of nothing" equal "$(flows fw1)" 0
stop stay TERM

title "the home leaves in order"
begin fw1 fw2 fw3
check "SIGTERM ends it with status 0" stop fw1 TERM
go_on fw1
stop drip-fw1 TERM
must "fw1 starts" fw_start fw1
must "and all see each other" fw_meet fw1 fw2 fw3

title "the home is cut off from the others for a while"
begin fw1 fw2 fw3
ip -n fw1 link set eth2 down
go_on fw1
ip -n fw1 link set eth2 up
must "all see each other again" fw_meet fw1 fw2 fw3
check "fw1 gives up what was taken over" wait_for 5 "[ \$(counter fw1 backup-taken) -ge 1 ]"
check "the one that talks goes on" drip_lives drip-fw1
stop drip-fw1 TERM
check "new connections work" run_in client curl -s --fail -m 5 http://$WEB/hello

check "they end cleanly" fw_end
finish
