#!/bin/bash
# spare.sh - outer and inner dispatcher, and a third node that stands by for both, each with MAC
# addresses of its own: two are lost one after the other, and at once; the third, too. Then a rolling
# upgrade: one after the other is stopped and started from another file. Connections go on through all
# of it. Topology: topo_sandwich.sh with SW_TAKEOVER and SW_SPARES.
#
# proves: HD-19 HD-23
. "$(dirname "$0")/lib.sh"
SW_SERVERS=2
SW_CLUSTER=1
SW_TAKEOVER=1
SW_SPARES=spare
SW_MAC=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TESTS/roles.sh"
dp_cluster='hello-interval = "100ms" dead-after = "400ms"'
OPTIONS='algorithm = "round-robin" probe-interval = "100ms" take-back-delay = "1s"'
NODES='outer inner spare'

plays_both() { is "$1" outer active && is "$1" inner active; }
one_plays_each() {
	local node n d
	for d in outer inner; do
		n=0
		for node in $NODES; do
			running $node && is $node $d active && n=$((n + 1))
		done
		[ $n = 1 ] || return 1
	done
}
resets() {
	local node sum=0
	for node in $NODES; do sum=$((sum + $(counter $node flows-reset))); done
	echo $sum
}

title "three nodes, two dispatchers"
sw_lay
must "servers run" farm_start web1 web2
sw_both "$OPTIONS probe = \"10.3.0.254\"" "$OPTIONS probe = \"10.2.0.254\"" "
service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	technology = \"l4/2\"
	targets = { \"web1\", \"web2\" }
}
service \"nat\" {
	addresses = { \"$(vip 1)\" }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	technology = \"l4/3\"
	targets = { \"web1\", \"web2\" }
}
$(sw_targets web1 web2)"
must "they start" dp_start $NODES
must "outer and inner play their own, the third has all the tables" settled
must "connections" connections_begin d1=$VIP d2=$VIP d3=$VIP n1="$(vip 1)" s1=$VIP6
check "they live" all_live

title "outer is lost, then inner"
stop outer KILL
check "inner plays both" wait_for 5 plays_both inner
check "the third stands by" holds "is spare outer standby && is spare inner standby"
check "every connection goes on" all_live
must "the third has the tables of inner" wait_for 10 has_tables spare
stop inner KILL
check "the third plays both" wait_for 5 plays_both spare
check "every connection goes on" all_live
check "a new one" get $VIP name
must "they are started again" dp_start outer inner
check "each plays its own" settled
check "every connection goes on" all_live

title "outer and inner are lost at once"
kill -KILL "${lab_pid[outer]}" "${lab_pid[inner]}"
check "the third plays both" wait_for 5 plays_both spare
check "every connection goes on" all_live
stop outer KILL
stop inner KILL
must "they are started again" dp_start outer inner
check "each plays its own" settled
check "every connection goes on" all_live

title "a rolling upgrade: the new program is in another file"
mkdir "$LAB_DIR/next" && cp "$FWCLUSTERD" "$LAB_DIR/next/fwclusterd"
for node in spare inner outer; do
	check "SIGTERM ends $node with status 0" stop $node TERM
	check "somebody plays everything" wait_for 2 one_plays_each
	check "every connection goes on" all_live
	FWCLUSTERD=$LAB_DIR/next/fwclusterd
	must "the new one starts" dp_start $node
	check "each plays its own" settled
done
check "every connection goes on" all_live
check "nothing was ever reset" equal "$(resets)" 0

title "the end"
connections_end
check "no firewall saw a packet of another's flow" fw_none_wrong
check "they end cleanly" dp_end
finish
