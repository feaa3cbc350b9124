#!/bin/bash
# full_disk.sh - the disk of the access log is full: requests are served all the same, what could not
# be written is counted and said, and when there is room again lines are whole. Topology: l7_servers.sh.
#
# proves: HD-16 HD-23
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"

status() { run_in client curl -s -o /dev/null -m 20 -w '%{http_code}\n' "http://$(vip 1)/name"; }
requests() { # N
	local i
	for ((i = 0; i < $1; i++)); do
		equal "$(status)" 200 || return 1
	done
}
log_said() { grep -c 'access log .*: No space left on device; [0-9]* lines lost' "$LAB_DIR/box.log"; }
lines_whole() { # every line is an object of its own, but for one that was cut when the disk was full
	local bad
	bad=$(while IFS= read -r line; do
		jq -e . <<<"$line" >/dev/null 2>&1 || echo bad
	done <"$LAB_DIR/small/access.log" | wc -l)
	at_most "$bad" 1
}

mkdir -p "$LAB_DIR/small"
mount -t tmpfs -o size=32k tmpfs "$LAB_DIR/small"
l7_balancer
must "servers run" l7_servers_start
l7_text "$(l7_services | sed "s#$LAB_DIR/access.log#$LAB_DIR/small/access.log#")"
must "the node starts" dp_start box
must "its servers are found well" wait_for 10 "targets_up box 12"

title "the access log fills its disk"
check "300 requests are answered" requests 300
check "the log is there" [ -s "$LAB_DIR/small/access.log" ]
check "its disk is full" wait_for 10 "[ \$(df --output=avail -k $LAB_DIR/small | tail -1) = 0 ]"
check "that was said" wait_for 10 "[ \$(log_said) -ge 1 ]"
check "but not for every line" at_most "$(log_said)" 10
check "50 more are answered" requests 50
check "the node is well" equal "$(json box show status | jq -r '.status[0].health')" ok

title "there is room again"
size=$(stat -c %s "$LAB_DIR/small/access.log")
mount -o remount,size=1m "$LAB_DIR/small"
check "50 requests" requests 50
grown() { [ "$(stat -c %s "$LAB_DIR/small/access.log")" -gt $((size + 4000)) ]; }
check "are in the log" wait_for 10 grown
check "and lines are whole" lines_whole
check "it ends cleanly" dp_end
umount "$LAB_DIR/small"
finish
