# shellcheck shell=bash
# restart_cluster.sh - part of restart.sh: a member of a firewall cluster.

# With sanitizers, on a busy machine, a restart may take longer than others usually wait.
LAB_CLUSTER='
	dead-after = "15s"
	source-rate = 20000
	source-burst = 4000
	backup = true
	backup-delay = "500ms"'
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

LAB_BIG=${LAB_BIG:-100}
cluster_lay 3
must "servers run" traffic_servers

# restart_all HOW: home, asker, both, under traffic of every kind.
restart_all() {
	title "$1: a home and an asker are restarted under traffic"
	must "three members start" fw_start fw1 fw2 fw3
	must "and see each other" fw_meet fw1 fw2 fw3
	rm -f "$LAB_DIR/fw3.events.log"
	events fw3
	lab_path fw1 fw2
	check "an idle connection" drip_start idle $WEB
	# Idle from here on; what it says later must come through.
	kill -STOP "${lab_pid[idle]}"
	check "a connection that talks" drip_start talk $WEB
	probe_start udp udp $WEB 7007
	probe_start tcp tcp $WEB 7
	start_in client slow curl -s --fail --limit-rate 3M -o "$LAB_DIR/slow.out" "http://$WEB/big"
	start_in client iperf iperf3 -c $WEB -t 12 -b 50M
	check "traffic flows" wait_for 5 "[ \$(flows fw1) -ge 6 ] && [ \$(forwards fw2) -ge 3 ]"
	check "flows have their backups" wait_for 5 \
		"[ \$(counter fw1 backup-sent) -ge 6 ]"
	before=$(flows fw1)
	check "the home is restarted" restart fw1
	check "it goes on with its flows" at_least "$(counter fw1 restart-kept)" 6
	check "the talking connection goes on" drip_lives talk
	check "the asker is restarted" restart fw2
	check "the talking connection goes on" drip_lives talk
	check "its forward entries are there without a query" holds \
		"[ \$(forwards_to fw2 fw1) -ge 1 ] && [ \$(counter fw2 query-sent) = 0 ]"
	check "the home is restarted again" restart fw1
	kill -CONT "${lab_pid[idle]}"
	check "the idle connection goes on" drip_lives idle
	check "the talking connection goes on" drip_lives talk
	check "a new connection" run_in client curl -s --fail -m 5 http://$WEB/hello
	check "no flow was taken over" equal "$(counter_all backup-promoted)" 0
	check "nobody missed a member" not grep -E 'member-(down|restart|left)' \
		"$LAB_DIR/fw3.events.log"
	check "UDP goes on" probe_end udp
	check "TCP goes on, nothing changed" probe_end tcp
	check "iperf3 ends well" holds 'wait ${lab_pid[iperf]}'
	check "the slow download ends well" holds 'wait ${lab_pid[slow]}'
	check "compared byte for byte" cmp "$LAB_DIR/slow.out" "$LAB_DIR/web/files/big"
	grep -h 'restart: ' "$LAB_DIR/fw1.log" "$LAB_DIR/fw2.log" | indent
}

lab_use
restart_all "descriptor store"

title "kill -9 leaves nothing, and nothing stale is used"
check "the home is killed, and started again" killed fw1
check "it has no flows of before" equal "$(counter fw1 restart-kept)" 0
check "nothing was refused" equal "$(counter fw1 restart-refused)" 0
stop idle KILL
stop talk KILL
stop fw3.events
check "all members end in order" fw_end

lab_use --no-store
for name in fw1 fw2 fw3; do
	fw_more[$name]="restart-state = \"$LAB_DIR/$name.tables\""
done
restart_all "file"
check "no file is left" not ls "$LAB_DIR"/fw?.tables

title "another configuration at the restart"
LAB_RULES="
	rule \"before-it\" {
		action = \"drop\"
		in = \"outside\"
		protocol = { \"udp\" }
	}
	$LAB_RULES"
fw_conf fw1
check "the home is restarted" restart fw1
check "the connection that talked goes on" drip_lives talk
check "its rule is found by its name" equal \
	"$(json fw1 show flows | jq -r '[.flows[].rule] | unique | .[]')" out

title "what is not this node's own, or not fit, is refused"
cp "$LAB_DIR/fw1.conf" "$LAB_DIR/keep.conf"
check "a process ends, its tables lie there" holds \
	'kill -s RTMIN "$(daemon_pid fw1)" && wait_for 5 "! running fw1" && [ -s "$LAB_DIR/fw1.tables" ]'
check "nobody else can read them" equal "$(stat -c %a "$LAB_DIR/fw1.tables")" 600
refused() { # NODE TABLES WHY: that node reads those, and refuses them
	rm -f "$LAB_DIR/$1.tables"
	cp -dp "$2" "$LAB_DIR/$1.tables"
	killed "$1" && grep "restart: tables of a process before were.*$3" "$LAB_DIR/$1.log" &&
		[ "$(counter "$1" restart-kept)" = 0 ] && [ ! -e "$LAB_DIR/$1.tables" ]
}
cp -p "$LAB_DIR/fw1.tables" "$LAB_DIR/tables"
check "another node's" refused fw2 "$LAB_DIR/tables" "another node's"
check "it is counted" equal "$(counter fw2 restart-refused)" 1
cp "$LAB_DIR/tables" "$LAB_DIR/open.tables"
chmod 644 "$LAB_DIR/open.tables"
check "a file that others can read" refused fw2 "$LAB_DIR/open.tables" "not read"
ln -s tables "$LAB_DIR/link.tables"
check "a symbolic link" refused fw2 "$LAB_DIR/link.tables" "not read"
head -c 1000 "$LAB_DIR/tables" >"$LAB_DIR/short.tables"
chmod 600 "$LAB_DIR/short.tables"
check "a part of them" refused fw2 "$LAB_DIR/short.tables" "refused"
check "eleven seconds pass" wait_for 20 \
	'[ $(($(date +%s) - $(stat -c %Y "$LAB_DIR/tables"))) -ge 11 ]'
check "fw1 starts" fw_start fw1
check "its own are too old by now" grep "restart: tables of a process before were.*too old" \
	"$LAB_DIR/fw1.log"
check "it has no flows of before" equal "$(counter fw1 restart-kept)" 0
check "and no file" not ls "$LAB_DIR/fw1.tables"
check "new connections work" holds 'fw_meet fw1 fw2 fw3 && run_in client curl -s --fail -m 5 http://$WEB/hello'
stop idle KILL
stop talk KILL
stop fw3.events
check "all members end in order" fw_end
