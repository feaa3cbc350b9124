#!/bin/bash
# demo_takeover.sh - two nodes that stand in for each other as outer and inner dispatcher, shown on real
# traffic; started by contrib/quickstart after demo_figure8.sh. Topology: topo_sandwich.sh. Exit status 0
# only if everything was as it should.
. "$(dirname "$0")/lib.sh"
SW_SERVERS=2
SW_CLUSTER=1
SW_TAKEOVER=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TESTS/demo_lib.sh"
dp_cluster='hello-interval = "100ms"
	dead-after = "500ms"'
OPTIONS='algorithm = "round-robin"
	probe-interval = "200ms"
	take-back-delay = "1s"'

# Both run as services: tools/service.py keeps descriptors for them as systemd does.
real=$FWCLUSTERD
printf '#!/bin/bash\nexec %s "%s" "${@: -1}.pid" "%s" "$@"\n' \
	"$PYTHON" "$LAB_TESTS/tools/service.py" "$real" >"$LAB_DIR/service"
chmod 755 "$LAB_DIR/service"
FWCLUSTERD=$LAB_DIR/service
daemon_pid() { cat "$LAB_DIR/$1.conf.pid"; }

is() { [ "$(role_of "$1" "$2")" = "$3" ]; }
settled() {
	is outer outer active && is inner inner active &&
		for node in outer inner; do
			json $node show dispatchers | jq -e '[.dispatchers[].takeover.synced] | all' || return 1
		done
}
plays() { # NODE: what it plays, or that it is dead
	running "$1" || { echo '(no power)'; return; }
	json "$1" show dispatchers |
		jq -r '[.dispatchers[] | select(.takeover.state == "active") | .dispatcher] | join(" and ") | if . == "" then "stands by" else . end'
}
drawing() {
	printf '\n     node "outer" plays:  %-18s  node "inner" plays:  %s\n\n' "$(plays outer)" "$(plays inner)"
}
probe_start() { # NAME udp|tcp PORT
	rm -f "$LAB_DIR/$1.probe"
	start_in client "$1" "$PYTHON" "$LAB_TESTS/tools/probe.py" "$2" $VIP "$3" "$LAB_DIR/$1.probe" 200
}
probe_end() { # NAME: sets gap
	stop "$1"
	gap=$(jq .gap_ms "$LAB_DIR/$1.probe")
	jq -e '.wrong == 0 and .doubled == 0 and .error == ""' "$LAB_DIR/$1.probe"
}
download_start() {
	start_in client download curl -s -S --fail --limit-rate 2M -o "$LAB_DIR/download" "http://$VIP/files/big"
}
download_end() { wait "${lab_pid[download]}" && sha256sum <"$LAB_DIR/download" | cmp - "$LAB_DIR/web/big.sum"; }
links() { # up|down: the cables of node outer
	local segment
	for segment in outside front back farm stage cluster; do
		ip -n switch link set "outer.$segment" "$1"
	done
}

head_line "Two nodes; either can play outer, inner or both"
cat <<'END'
                    ┌──────────── fw1 ────────────┐
   clients ─┬───────┼──────────── fw2 ────────────┼─────┬── web1
            │       └──────────── fw3 ────────────┘     └── web2
            │          │                   │             │
            ├── node "outer" ──────────────┴─────────────┤     both nodes are on all segments,
            └── node "inner" ──────────────┴─────────────┘     and have the same configuration but
                                                               for the line `node = ...`

   A hello each 100 ms; who is not heard for 500 ms is lost. fw1 to fw3 are plain nftables boxes that
   drop what they have not seen begin.

END
sw_lay
must "servers run" farm_start web1 web2
farm_file big 16
sw_both "$OPTIONS
	probe = \"10.3.0.254\"" "$OPTIONS
	probe = \"10.2.0.254\"" "
service \"web\" {
	addresses = { \"$VIP\" }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	targets = { \"web1\", \"web2\" }
	technology = \"l4/2\"
}
service \"udp\" {
	addresses = { \"$VIP\" }
	protocol = \"udp\"
	targets = { \"web1\", \"web2\" }
	technology = \"l4/2\"
}
$(sw_targets web1 web2)"
must "both start" dp_start outer inner
must "each plays its own, and has a copy of the other's tables" wait_for 20 settled
check "firewalls are up" wait_for 10 "paths_up outer 3 && paths_up inner 3"
check "requests from 32 clients" many $VIP 2
show_ctl outer show dispatchers
drawing
outcome "each plays one, and stands by for the other"

head_line "The node that plays outer loses its power"
say "A connection and a UDP dialog say something 200 times a second; a download of 16 MB runs."
check "they run" holds 'probe_start udp udp 7007 && probe_start tcp tcp 7 && download_start &&
	wait_for 5 "[ -s $LAB_DIR/download ]"'
pause 1
links down
kill -KILL "${lab_pid[outer]}" "$(daemon_pid outer)"
stop outer KILL
check "inner plays both" wait_for 5 "is inner outer active && is inner inner active"
drawing
show_ctl inner show dispatchers
pause 1
check "the UDP dialog went on, nothing came twice" probe_end udp
udp_gap=$gap
check "the connection went on, every byte as it was sent" probe_end tcp
tcp_gap=$gap
check "the download is whole" download_end
check "no firewall saw a packet of another's flow" fw_none_wrong
say "longest silence: UDP $udp_gap ms, TCP $tcp_gap ms"
outcome "silence of $udp_gap ms (UDP), $tcp_gap ms (TCP); nothing lost"

head_line "It returns"
check "the dialogs run" holds 'probe_start udp udp 7007 && probe_start tcp tcp 7'
pause 0.5
links up
must "it starts" dp_start outer
check "it gets the tables first, then takes its role back" wait_for 20 settled
drawing
pause 0.5
check "UDP" probe_end udp
udp_gap=$gap
check "TCP" probe_end tcp
outcome "its role taken back with the tables; silence of $udp_gap ms"

head_line "The daemon is restarted, as for an upgrade"
check "the dialogs run" holds 'probe_start udp udp 7007 && probe_start tcp tcp 7'
pause 0.5
before=$(daemon_pid outer)
kill -HUP "${lab_pid[outer]}"
check "process $before is followed by another" wait_for 10 "[ \$(daemon_pid outer) != $before ] && ctl outer show version"
check "it has the tables of the one before, and plays outer still" holds 'is outer outer active && [ $(counter outer restart-kept) -ge 2 ]'
pause 0.5
check "UDP" probe_end udp
udp_gap=$gap
check "TCP" probe_end tcp
outcome "tables handed over; silence of $udp_gap ms, nobody took over"

head_line "By order"
check "a connection" probe_start tcp tcp 7
pause 0.3
printf '   inner$ fwclusterctl takeover outer\n'
check "inner takes outer over" holds 'ctl inner takeover outer && wait_for 2 "is inner outer active"'
drawing
check "and gives it back" holds 'ctl outer takeover outer && wait_for 2 "is outer outer active"'
check "the connection went on" probe_end tcp
outcome "handed over and back; longest silence $gap ms"

check "both ran without a finding, and end in order" dp_end
demo_table
finish
