#!/bin/bash
# cut.sh - a node whose ports are all up and through which nothing comes: a cable, or a port of the
# switch, is dead without a word. The node that plays a dispatcher and reaches no server, or no
# firewall, any more hands it to the one that does; connections go on, although servers that are
# down get theirs reset. Topology: topo_sandwich.sh with SW_TAKEOVER.
#
# proves: HD-12 HD-19 HD-23
. "$(dirname "$0")/lib.sh"
SW_SERVERS=3
SW_CLUSTER=1
SW_TAKEOVER=1
. "$LAB_TESTS/topo_sandwich.sh"
. "$LAB_TESTS/roles.sh"
dp_cluster='hello-interval = "100ms" dead-after = "400ms"'
OPTIONS='algorithm = "round-robin" probe-interval = "100ms" take-back-delay = "1s"'
CHECK='check = "tcp" check-port = 80 check-interval = "200ms" check-timeout = "400ms" check-fall = 3'

roles_are() { # DISPATCHER NODE
	local other=inner
	[ "$2" = inner ] && other=outer
	is "$2" "$1" active && is "$other" "$1" standby
}
BEGIN="d1=$VIP d2=$VIP d3=$VIP d4=$VIP d5=$VIP6 d6=$(vip 1)"
some_ended() {
	local name
	for name in "${connections[@]}"; do
		running "$name" || return 0
	done
	return 1
}
# dead_cable NODE SEGMENT, mended_cable NODE SEGMENT: no frame passes, and both ends say that they are up.
dead_cable() {
	run_in switch nft -f - <<-END
		table netdev cut_$1_$2 {
			chain in { type filter hook ingress device "$1.$2" priority -10; drop; }
			chain out { type filter hook egress device "$1.$2" priority -10; drop; }
		}
	END
}
mended_cable() { run_in switch nft delete table netdev "cut_$1_$2"; }
why() { json "$1" show dispatchers | jq -r --arg d "$2" '.dispatchers[] | select(.dispatcher == $d) | .takeover.why'; }
service() { # NAME VIPS TECHNOLOGY
	echo "service \"$1\" {
	addresses = { $2 }
	protocol = \"tcp\"
	ports = { \"80\", \"7\" }
	technology = \"$3\"
	on-target-down = \"reset\"
	targets = { \"web1\", \"web2\", \"web3\" }
}"
}

title "two nodes, two dispatchers, servers that are checked by both"
sw_lay
must "servers run" farm_start web1 web2 web3
sw_both "$OPTIONS on-path-down = \"reset\" probe = \"10.3.0.254\"" \
	"$OPTIONS on-path-down = \"reset\" probe = \"10.2.0.254\"" "
$(service web "\"$VIP\", \"$VIP6\"" l4/2)
$(service nat "\"$(vip 1)\"" l4/3)
$(sw_targets "web1=$CHECK" "web2=$CHECK" "web3=$CHECK")"
must "they start" dp_start outer inner
must "each plays its own, and has the other's tables" settled
must "firewalls are up" wait_for 10 "paths_up outer 3 && paths_up inner 3"
must "both see the servers" wait_for 10 "targets_up inner 3 && targets_up outer 3"
must "connections" connections_begin $BEGIN
check "they live" all_live

title "a server dies: its connections end, the roles stay"
must "of web3 alone" farm_die web3
check "it is down" wait_for 10 "targets_up inner 2 && targets_up outer 2"
check "its connections were reset" wait_for 10 some_ended
must "it comes back" farm_return web3
check "up" wait_for 10 "targets_up inner 3 && targets_up outer 3"
check "inner plays inner" roles_are inner inner
connections_end
must "connections again" connections_begin $BEGIN
resets=$(counter inner flows-reset) && resets=$((resets + $(counter outer flows-reset)))

title "inner's cable to the servers is dead"
dead_cable inner farm
check "outer plays inner" wait_for 10 roles_are inner outer
check "the log says why" equal "$(why inner inner)" "yields: no server answers here any more, but there"
check "every connection goes on" all_live
check "new connections" many $VIP 3
check "status says that it sees nothing" holds "ctl inner show dispatchers | grep -q blind"
check "it is not ordered back" holds "! ctl inner takeover inner 2>&1 && ctl inner takeover inner 2>&1 | grep -q answers"
check "it stays there" stays_for 3000 roles_are inner outer
mended_cable inner farm
check "mended, inner plays it again" settled 30
check "every connection goes on" all_live

title "inner's cable to the firewalls is dead"
dead_cable inner back
check "outer plays inner" wait_for 15 roles_are inner outer
check "the log says why" equal "$(why inner inner)" "yields: no firewall answers here any more, perhaps there"
check "every connection goes on" all_live
check "new connections" wait_for 10 "many $VIP 1"
check "it stays there" stays_for 3000 roles_are inner outer
mended_cable inner back
check "mended, inner plays it again" settled 60
check "every connection goes on" all_live

title "outer's cable to the firewalls is dead"
dead_cable outer front
check "inner plays outer" wait_for 15 roles_are outer inner
check "every connection goes on" all_live
check "new connections" wait_for 10 "many $VIP 1"
mended_cable outer front
check "mended, outer plays it again" settled 60
check "every connection goes on" all_live

title "no firewall is there at all"
for n in 1 2 3; do ip -n switch link set fw$n.front down; ip -n switch link set fw$n.back down; done
check "the roles stay" stays_for 6000 both_home
for n in 1 2 3; do ip -n switch link set fw$n.front up; ip -n switch link set fw$n.back up; done
check "they are back" wait_for 20 "paths_up outer 3 && paths_up inner 3"
check "every connection goes on" all_live

title "the end"
check "no connection was reset all the while" equal \
	"$(($(counter inner flows-reset) + $(counter outer flows-reset)))" "$resets"
connections_end
check "no firewall saw a packet of another's flow" fw_none_wrong
check "they end cleanly" dp_end
finish
