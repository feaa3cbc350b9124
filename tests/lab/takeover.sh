#!/bin/bash
# takeover.sh - outer and inner dispatcher on two nodes that stand in for each other: killed, stopped
# and woken, leaving in order, ordered by the operator, cut off from each other. Connections of both
# families, by l4/2 and l4/3, begun outside, go on; firewalls never see a packet of another's flow.
# Topology: topo_sandwich.sh with SW_TAKEOVER.
#
# proves: HD-19 HD-23
. "$(dirname "$0")/lib.sh"
SW_SERVERS=2
SW_CLUSTER=1
SW_TAKEOVER=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TESTS/roles.sh"
dp_cluster='hello-interval = "100ms" dead-after = "400ms"'
OPTIONS='algorithm = "round-robin" probe-interval = "100ms" take-back-delay = "1s"'

# One active node for each dispatcher, as the nodes themselves say.
actives() { # DISPATCHER
	local n=0 node
	for node in outer inner; do
		! running "$node" || ! is "$node" "$1" active || n=$((n + 1))
	done
	echo $n
}
# The MAC address that HOST has of ADDRESS is that of NODE's device.
knows() { # HOST ADDRESS NODE DEVICE
	local mac
	mac=$(ip -n "$3" -j link show dev "$4" | jq -r '.[0].address')
	ip -n "$1" neigh show "$2" | grep -q "$mac"
}
# cut_off on|off: nothing of what the nodes say to each other arrives; nothing else is touched.
cut_off() {
	if [ "$1" = off ]; then
		run_in switch nft delete table bridge cut
		return
	fi
	run_in switch nft -f - <<-'END'
		table bridge cut {
			chain forward {
				type filter hook forward priority 0;
				ether type 0x88b5 drop
				udp dport 7067 drop
			}
		}
	END
}

title "two nodes, two dispatchers"
sw_lay
must "servers run" farm_start web1 web2 remote
sw_both "$OPTIONS probe = \"10.3.0.254\"" "$OPTIONS probe = \"10.2.0.254\"" "
service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	technology = \"l4/2\"
	targets = { \"web1\", \"web2\" }
}
service \"nat\" {
	addresses = { \"$(vip 1)\", \"$(vip6 1)\" }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	technology = \"l4/3\"
	affinity = \"source\"
	targets = { \"web1\", \"web2\" }
}
$(sw_targets web1 web2)"
must "they start" dp_start outer inner
must "each plays its own, and has the other's tables" settled
check "firewalls are up" wait_for 10 "paths_up outer 3 && paths_up inner 3"
check "show dispatchers says who" holds "ctl outer show dispatchers | grep -q 'standby for inner'"
check "connections" connections_begin d1=$VIP d2=$VIP d3=$VIP d4=$VIP n1="$(vip 1)" n2="$(vip 1)" \
	s1=$VIP6 s2="$(vip6 1)"
check "they live" all_live

for dying in outer inner; do
	[ $dying = outer ] && heir=inner || heir=outer
	title "the node that plays $dying is killed"
	stop $dying KILL
	check "$heir plays both" wait_for 5 "is $heir $dying active && is $heir $heir active"
	check "every connection goes on" all_live
	check "a new one" get $VIP name
	check "a new one, IPv6" get $VIP6 name
	must "it is started again" dp_start $dying
	check "it has the tables, and takes its own back" settled
	check "every connection goes on" all_live
done
check "the client knows outer's address by its MAC address again" wait_for 5 \
	"knows client 198.51.100.254 outer outside || knows client $VIP outer outside"

title "the node that plays outer stands still, and wakes"
kill -STOP "${lab_pid[outer]}"
check "inner plays both" wait_for 5 "is inner outer active"
check "every connection goes on" all_live
kill -CONT "${lab_pid[outer]}"
check "it knows that it stood still" wait_for 5 "[ \$(counter outer stalled) -ge 1 ]"
check "each plays its own again" settled
check "every connection goes on" all_live
check "there was never a conflict" equal \
	"$(counter outer role-conflict) $(counter inner role-conflict)" "0 0"

title "in order: SIGTERM, and by the operator"
check "SIGTERM ends outer with status 0" stop outer TERM
check "inner plays both at once" is inner outer active
check "every connection goes on" all_live
must "outer again" dp_start outer
check "each plays its own" settled
check "fwclusterctl takeover inner, on outer" ctl outer takeover inner
check "outer plays it" wait_for 2 "is outer inner active && is inner inner standby"
check "every connection goes on" all_live
check "and keeps it, though inner is preferred" stays_for 2500 "is outer inner active"
check "the order is given back" ctl inner takeover inner
check "inner plays it" wait_for 2 "is inner inner active"
check "every connection goes on" all_live
check "an unknown dispatcher is refused" not ctl inner takeover nobody

title "they cannot hear each other"
cut_off on
check "each plays both" wait_for 5 "is outer inner active && is inner outer active"
cut_off off
check "when they can, one plays each" wait_for 3 "[ \$(actives outer)\$(actives inner) = 11 ]"
check "the preferred one" wait_for 3 "is outer outer active && is inner inner active"
check "that is counted" at_least "$(($(counter outer role-conflict) + $(counter inner role-conflict)))" 1
check "tables meet again" settled
check "new connections work" get $VIP name
check "and IPv6" get $VIP6 name

title "the end"
connections_end
check "no firewall saw a packet of another's flow" fw_none_wrong
check "they end cleanly" dp_end
finish
