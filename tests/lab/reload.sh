#!/bin/bash
# reload.sh - SIGHUP and `fwclusterctl reload` keep every flow; a broken configuration changes
# nothing; a new policy is in force at once; every error is named. Topology: topo_cluster.sh.
#
# proves: FC-12 FC-11 HD-24
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "reload" "needs fwclusterd"; finish; }
cluster_lay 2
must "servers run" traffic_servers
must "two members start" fw_start fw1 fw2
must "and see each other" fw_meet fw1 fw2
lab_path fw1 fw2
check "a connection" drip_start drip $WEB
n_flows=$(flows fw1)

title "a reload keeps the flows"
check "fwclusterctl reload" ctl fw1 reload
kill -HUP "${lab_pid[fw2]}"
check "the connection goes on" drip_lives drip
check "no flow was lost" at_least "$(flows fw1)" "$n_flows"
check "the members did not part" equal "$(members_up fw1) $(members_up fw2)" "1 1"
check "twenty reloads in a row while a download runs" holds '
	fetch big & pid=$!
	for i in {1..20}; do ctl fw1 reload && kill -HUP ${lab_pid[fw2]} || exit 1; done
	wait $pid'
check "${LAB_RELOADS:-1000} more of each member, under connections, a download and datagrams" holds '
	fetch big --limit-rate 10M & pid=$!
	"$PYTHON" "$LAB_TESTS/tools/reloads.py" "$LAB_DIR/fw1.sock" ${LAB_RELOADS:-1000} & one=$!
	"$PYTHON" "$LAB_TESTS/tools/reloads.py" "$LAB_DIR/fw2.sock" ${LAB_RELOADS:-1000} & two=$!
	connects $WEB 80 200 || exit 1
	ask $WEB 7007 200 || exit 1
	wait $one && wait $two && wait $pid'
check "the connection goes on" drip_lives drip
check "the members did not part" equal "$(grep -c "member-down" "$LAB_DIR/fw1.log" "$LAB_DIR/fw2.log" |
	cut -d: -f2 | tr "\n" " ")" "0 0 "

title "a new policy is in force at once, old flows stay"
rules=$LAB_RULES
LAB_RULES='
	rule "no-web" {
		action = "reject"
		in = "inside"
		protocol = { "tcp" }
		ports = { "80" }
	}'"$rules"
fw_conf fw1
check "reload" ctl fw1 reload
check "a new web connection is refused" not run_in client curl -s --fail -m 2 http://$WEB/hello
check "other things pass" run_in client dig +short +time=3 +tries=1 @$WEB web.example
check "the old connection goes on" drip_lives drip
LAB_RULES=$rules
fw_conf fw1
check "reload the old policy" ctl fw1 reload
check "web passes again" run_in client curl -s --fail -m 2 http://$WEB/hello

title "a broken configuration changes nothing"
cp "$LAB_DIR/fw1.conf" "$LAB_DIR/good.conf"
cat >>"$LAB_DIR/fw1.conf" <<-'END'
	firewal { }
	cluster { query = "perhaps" }
END
check "fwclusterd -t refuses it" not "$FWCLUSTERD" -t -f "$LAB_DIR/fw1.conf"
check "with file and line of both errors" holds \
	"[ \$($FWCLUSTERD -t -f '$LAB_DIR/fw1.conf' 2>&1 | grep -c 'fw1.conf:[0-9]*: ') -ge 2 ]"
check "reload is refused" not ctl fw1 reload
kill -HUP "${lab_pid[fw1]}"
check "the log says that the old one stays" \
	wait_for 5 "grep -E 'fw1.conf:[0-9]+' '$LAB_DIR/fw1.log'"
check "the connection goes on" drip_lives drip
check "new connections work" run_in client curl -s --fail -m 5 http://$WEB/hello
cp "$LAB_DIR/good.conf" "$LAB_DIR/fw1.conf"
check "the mended one is accepted" ctl fw1 reload
rm "$LAB_DIR/fw1.conf"
check "a file that is gone: refused" not ctl fw1 reload
check "the connection goes on" drip_lives drip
cp "$LAB_DIR/good.conf" "$LAB_DIR/fw1.conf"

title "signals and the control socket"
kill -USR1 "${lab_pid[fw1]}"
check "SIGUSR1 writes a summary" wait_for 5 "grep -qiE 'flows' '$LAB_DIR/fw1.log'"
kill -USR2 "${lab_pid[fw1]}"
check "still there" ctl fw1 show status
check "no daemon at that socket: exit status 3" holds \
	"'$FWCLUSTERCTL' -s '$LAB_DIR/nobody.sock' show status; [ \$? = 3 ]"
check "a wrong verb: exit status 2" holds "ctl fw1 shew status; [ \$? = 2 ]"
check "every show has JSON with a schema" holds '
	for what in status members flows forwards queries drops counters ports; do
		json fw1 show $what | jq -e ".schema == 1 and .node == \"fw1\"" || { echo "$what"; exit 1; }
	done'
check "garbage on the control socket does no harm" holds \
	"head -c 100000 /dev/urandom | nc -U -N -w 1 '$LAB_DIR/fw1.sock'; ctl fw1 show status"
check "the connection ends in order" stop drip
check "they end cleanly" fw_end
finish
