#!/bin/bash
# leaving.sh - a member is stopped, or drained, and nothing is lost: not a connection, not a datagram.
# Backups while the configuration changes, with flows that the kernel passes on, and flows that end
# while their old home is cut off. Topology: topo_cluster.sh with three members.
#
# proves: FC-17 FC-14
. "$(dirname "$0")/lib.sh"
LAB_CLUSTER='hello-interval = "100ms" dead-after = "300ms" backup-delay = "500ms"
	backup-refresh = "1s"'
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "leaving" "needs fwclusterd"; finish; }

status_of() { json "$1" status | jq ".status[0].$2"; }
backed_up() { status_of "$1" backup.backed_up; }
established() {
	json "$1" show flows | jq '[.flows[] | select(.state == "established")] | length'
}
handed() { counter "$1" backup-handed; }

# steady_start NAME tcp|udp: a message each millisecond.
steady_start() {
	local address=$WEB port=7
	[ "$2" = udp ] && port=7007
	rm -f "$LAB_DIR/$1.steady"
	start_in client "$1" "$PYTHON" "$LAB_TESTS/tools/steady.py" "$2" "$address" "$port" \
		"$LAB_DIR/$1.steady"
}
# steady_all HOME OUT BACK: both kinds, by HOME, and then by the others.
steady_all() {
	lab_path "$1" "$1"
	check "TCP and UDP by $1, a message each millisecond" holds \
		"steady_start tcp tcp && steady_start udp udp"
	check "$1 is their home" wait_for 5 "[ \$(flows $1) -ge 2 ]"
	lab_path "$2" "$3"
}
# steady_whole NAME: nothing was lost by TCP, and of 1000 datagrams a second hardly any, though the
# machine may be too busy to read them all; what gaps there were shows in the figures.
steady_whole() {
	local words
	stop "$1" TERM
	wait_for 5 "[ -s '$LAB_DIR/$1.steady' ]" || return 1
	read -r -a words <"$LAB_DIR/$1.steady"
	if [ "$1" = tcp ]; then
		equal "${words[3]:-none}" 0
	else
		at_most "${words[3]:-9999}" "${LAB_LOST:-100}"
	fi && at_most "${words[5]%.*}" "${LAB_GAP:-5000}"
}

steady_both() {
	check "TCP has lost nothing" steady_whole tcp
	note "$(cat "$LAB_DIR/tcp.steady")"
	check "UDP has lost hardly anything" steady_whole udp
	note "$(cat "$LAB_DIR/udp.steady")"
}

cluster_lay 3
must "servers run" traffic_servers
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3

title "the home is stopped"
steady_all fw1 fw2 fw3
check "flows that are as old as the delay have a backup" wait_for 5 "[ \$(backed_up fw1) -ge 2 ]"
lab_path fw1 fw1
check "and there is one that is not" drip_start young $WEB
lab_path fw2 fw3
begin=$(now_ms)
check "SIGTERM ends it with status 0" stop fw1 TERM
note "it took $(($(now_ms) - begin)) ms"
check "the young one goes on" drip_lives young
steady_both
stop young TERM
must "fw1 starts" fw_start fw1
must "and all see each other" fw_meet fw1 fw2 fw3

title "the home is drained, and the hosts go on sending by it"
steady_all fw1 fw1 fw1
check "drain" ctl fw1 drain node
check "it is home of nothing, at once" wait_for 2 "[ \$(handed fw1) -ge 2 ] && [ \$(flows fw1) = 0 ]"
check "it says so" holds "ctl fw1 status | grep -q '^drained '"
check "and is well" holds "ctl fw1 status | grep -q '^health *ok'"
check "drained once more is no change" ctl fw1 drain node
check "what begins there is handed over" holds \
	"drip_start later $WEB && wait_for 2 '[ \$(handed fw1) -ge 3 ] && [ \$(flows fw1) = 0 ]'"
lab_path fw2 fw3
check "stopped now, nobody notices" stop fw1 TERM
steady_both
check "the later one goes on" drip_lives later
stop later TERM
must "fw1 starts" fw_start fw1
must "and all see each other" fw_meet fw1 fw2 fw3

title "drained, and not"
lab_path fw1 fw1
check "drain" ctl fw1 drain node
check "undrain" ctl fw1 undrain node
check "it says nothing of it any more" holds "! ctl fw1 status | grep -q '^drained '"
check "a connection by it" drip_start stays $WEB
check "stays with it" wait_for 5 "[ \$(backed_up fw1) -ge 1 ]"
stop stays TERM
check "a target of another name is not there" holds "! ctl fw1 drain web1 2>&1 | grep -q handed"

title "a flow ends while its old home is cut off"
lab_path fw1 fw1
check "a connection by fw1" drip_start cut $WEB
check "it is backed up" wait_for 5 "[ \$(backed_up fw1) -ge 1 ]"
lab_path fw2 fw3
ip -n fw1 link set eth2 down
check "the others take it over" wait_for 10 \
	"[ \$((\$(established fw2) + \$(established fw3))) -ge 1 ]"
check "it goes on" drip_lives cut 10
stop cut TERM
check "fw1 still has it" at_least "$(established fw1)" 1
ip -n fw1 link set eth2 up
must "all see each other again" fw_meet fw1 fw2 fw3
check "fw1 is told that it is over" wait_for 5 "[ \$(established fw1) = 0 ]"

title "switched off and on at run time"
lab_path fw1 fw1
check "a connection by fw1" drip_start switch $WEB
check "it is backed up" wait_for 5 "[ \$(backed_up fw1) -ge 1 ]"
for name in fw2 fw3; do
	fw_cluster[$name]='backup = false'
	fw_conf $name
	check "off at $name" ctl $name reload
done
check "nobody holds it" wait_for 5 "[ \$(backed_up fw1) = 0 ]"
check "drain is refused: nobody takes it" holds "ctl fw1 drain node 2>&1 | grep -q 'no other member'"
for name in fw2 fw3; do
	fw_cluster[$name]=
	fw_conf $name
	check "on at $name" ctl $name reload
done
check "it is backed up again" wait_for 10 "[ \$(backed_up fw1) -ge 1 ]"
check "and goes on" drip_lives switch
stop switch TERM

title "with flows that the kernel passes on"
check "all are stopped" fw_end
for name in fw1 fw2 fw3; do
	fw_port[$name.inside]='offload = true'
	fw_port[$name.outside]='offload = true'
done
must "three members start" fw_start fw1 fw2 fw3
must "and see each other" fw_meet fw1 fw2 fw3
lab_path fw1 fw1
check "TCP and UDP, a message each millisecond" holds "steady_start tcp tcp && steady_start udp udp"
check "by the kernel of fw1" wait_for 10 "[ \$(counter fw1 offloaded) -ge 500 ]"
check "they are backed up" wait_for 5 "[ \$(backed_up fw1) -ge 2 ]"
check "drain" ctl fw1 drain node
check "fw1 is home of nothing" wait_for 5 "[ \$(flows fw1) = 0 ]"
before=$(counter_all offloaded)
lab_path fw2 fw2
check "nothing is lost on the way" holds 'pause 0.5; true'
lab_path fw3 fw3
check "by the kernel of one of the others, again" wait_for 10 \
	"lab_path fw2 fw2; pause 0.3; lab_path fw3 fw3; pause 0.3; [ \$(counter_all offloaded) -ge $((before + 400)) ]"
steady_both
check "they end cleanly" fw_end
finish
