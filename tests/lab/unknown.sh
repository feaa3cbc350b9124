#!/bin/bash
# unknown.sh - packets of flows that nobody knows: bounded wait, retries, negative cache, and the
# configured exception (drop, reset, pass). Topology: topo_cluster.sh with three members.
#
# proves: FC-3 FC-4 FC-5 FC-10 FC-12
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"

[ "$LAB_FW" = daemon ] || { skipped "unknown" "needs fwclusterd"; finish; }
LAB_CLUSTER="$LAB_CLUSTER"'
	negative-ttl = "2s"
	query-timeout = "20ms"
	query-retries = 3'
cluster_lay 3
must "web server runs" servers_start web
lab_path fw1 fw2

stray() { run_in web "$PYTHON" "$LAB_TESTS/tools/stray.py" "$@"; }

for LAB_EXCEPTION in drop reset pass; do
	title "exception = $LAB_EXCEPTION"
	must "three members start" fw_start fw1 fw2 fw3
	must "and see each other" fw_meet fw1 fw2 fw3
	capture_start answer web eth0 'tcp or (ip6 and ip6[6] == 6)'
	capture_start inside client eth0 'tcp or (ip6 and ip6[6] == 6)'
	for family in 4 6; do
		web=$WEB client=$CLIENT
		[ $family = 6 ] && web=$WEB6 client=$CLIENT6
		sent=$(counter fw2 query-sent) retried=$(counter fw2 query-retried)
		timeouts=$(counter fw2 query-timeout) negative=$(drops fw2 negative)
		stray $web 80 $client 4077$family
		check "IPv$family: nobody answers, and the wait ends" \
			wait_for 5 "[ \$(counter fw2 query-timeout) = $((timeouts + 1)) ]"
		check "IPv$family: one query, sent again three times" holds \
			"[ \$((\$(counter fw2 query-sent) - $sent)) = 1 ] &&
			 [ \$((\$(counter fw2 query-retried) - $retried)) = 3 ]"
		stray $web 80 $client 4077$family 20
		check "IPv$family: then it is remembered" holds \
			"wait_for 5 '[ \$((\$(drops fw2 negative) - $negative)) -ge 20 ] ||
				[ $LAB_EXCEPTION != drop ]'; [ \$((\$(counter fw2 query-sent) - $sent)) = 1 ]"
		# Handed on, it has become a flow of this member's.
		[ $LAB_EXCEPTION = pass ] || check "IPv$family: not for ever" holds \
			"wait_for 10 'stray $web 80 $client 4077$family
				[ \$((\$(counter fw2 query-sent) - $sent)) = 2 ]'
			# What is still being asked would be counted with the next family's.
			wait_for 5 '[ \$(counter fw2 query-timeout) = $((timeouts + 2)) ]'"
	done
	check "captures are complete" holds "capture_stop answer; capture_stop inside"
	strays4=$(capture_count answer 'src 192.0.2.80')
	resets4=$(capture_count answer 'src 10.1.0.100 and tcp[13] & 4 != 0')
	resets6=$(capture_count answer 'src fd00:1::100 and ip6[53] & 4 != 0')
	passed4=$(capture_count inside 'src 192.0.2.80 and dst port 40774')
	passed6=$(capture_count inside 'ip6 src 2001:db8:2::80 and ip6[6] == 6')
	case $LAB_EXCEPTION in
	drop)
		check "silence towards the sender" equal "$resets4 $resets6" "0 0"
		check "nothing inside" equal "$passed4 $passed6" "0 0"
		check "dropped as query-timeout" at_least "$(drops fw2 query-timeout)" 2
		;;
	reset)
		check "the sender gets resets, IPv4" at_least "$resets4" 1
		check "the sender gets resets, IPv6" at_least "$resets6" 1
		check "never more than it sent" at_most "$resets4" "$strays4"
		check "nothing inside" equal "$passed4 $passed6" "0 0"
		;;
	pass)
		check "handed on, IPv4" at_least "$passed4" 1
		check "handed on, IPv6" at_least "$passed6" 1
		check "each at most once" at_most "$passed4" "$strays4"
		;;
	esac
	title "$LAB_EXCEPTION: what never asks"
	sent=$(counter_all query-sent)
	check "a first SYN from outside is refused by policy" \
		not run_in web curl -s -m 1 http://$CLIENT/
	check "a packet that no rule could admit is dropped without a query" holds \
		"stray $WEB 80 203.0.113.9 1234; run_in web nc -w 1 $CLIENT 2222; :"
	check "no query for these" equal "$(counter_all query-sent)" "$sent"
	check "the cluster works" run_in client curl -s --fail -m 5 http://$WEB/hello
	check "flush negative" ctl fw2 flush negative --yes
	check "they end cleanly" fw_end
done

title "alone: nobody to ask"
LAB_EXCEPTION=drop
must "one member starts" fw_start fw2
stray $WEB 80 $CLIENT 40781
check "dropped as no-member" wait_for 5 "[ \$(drops fw2 no-member) -ge 1 ]"
check "no query was sent" equal "$(counter fw2 query-sent)" 0
lab_path fw2 fw2
check "it is a firewall of its own" run_in client curl -s --fail -m 5 http://$WEB/hello
check "it ends cleanly" fw_end
finish
