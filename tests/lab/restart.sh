#!/bin/bash
# restart.sh cluster|sandwich - the daemon is restarted, with its tables handed over to the next
# process: established flows go on and nothing is reset. Topologies: topo_cluster.sh with three
# members; topo_sandwich.sh.
#
# Gaps are printed. What a restart takes is measured by `make bench`, not judged here: with
# sanitizers, on a busy machine, it is seconds. LAB_GAP: milliseconds after which traffic does not
# count as going on. Daemons and probes run with a better priority (LAB_NICE).
#
# service.py stands in for systemd, with its store of descriptors; the other way, a file, is tried
# with the same traffic.
#
# proves: FC-17 HD-23 HD-24
. "$(dirname "$0")/lib.sh"
[ "$LAB_FW" = daemon ] || { skipped "restart" "needs fwclusterd"; finish; }
LAB_WHAT=${1:-cluster}
LAB_GAP=${LAB_GAP:-10000}

# lab_use [--no-store]: from now on daemons run as a service.
lab_real=$FWCLUSTERD
lab_use() {
	cat >"$LAB_DIR/service" <<-END
		#!/bin/bash
		exec nice -n "${LAB_NICE:--15}" $PYTHON "$LAB_TESTS/tools/service.py" "\${@: -1}.pid" ${1:-} "$lab_real" "\$@"
	END
	chmod +x "$LAB_DIR/service"
	FWCLUSTERD=$LAB_DIR/service
}

daemon_pid() { cat "$LAB_DIR/$1.conf.pid"; }
# restart NAME: and wait until the next process answers.
restart() {
	local before
	before=$(daemon_pid "$1")
	kill -HUP "${lab_pid[$1]}"
	wait_for 10 "[ \$(daemon_pid '$1') != $before ] && ctl '$1' show version"
}
killed() {
	local before
	before=$(daemon_pid "$1")
	kill -USR1 "${lab_pid[$1]}"
	wait_for 10 "[ \$(daemon_pid '$1') != $before ] && ctl '$1' show version"
}
said() { grep -c "$2" "$LAB_DIR/$1.log"; }

probe_start() { # NAME KIND ADDRESS PORT
	rm -f "$LAB_DIR/$1.probe"
	start_in client "$1" nice -n "${LAB_NICE:--15}" "$PYTHON" "$LAB_TESTS/tools/probe.py" "$2" "$3" "$4" "$LAB_DIR/$1.probe" \
		"${LAB_RATE:-1000}"
}
probe_end() { # NAME: nothing broke, and no gap was too long
	local status
	stop "$1"
	status=$?
	note "$1: $(cat "$LAB_DIR/$1.probe")"
	[ $status = 0 ] || { cat "$LAB_DIR/$1.probe"; return 1; }
	jq -e --argjson most "$LAB_GAP" '.gap_ms < $most and .wrong == 0 and .doubled == 0' \
		"$LAB_DIR/$1.probe" >/dev/null || { cat "$LAB_DIR/$1.probe"; return 1; }
}

. "$LAB_TESTS/restart_$LAB_WHAT.sh"
finish
