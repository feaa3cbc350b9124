# shellcheck shell=bash
# restart_sandwich.sh - part of restart.sh: outer and inner dispatcher, which take over for each
# other; a restart is none of that.

SW_TAKEOVER=1
SW_CLUSTER=1
SW_SERVERS=2
. "$LAB_TESTS/topo_sandwich.sh"

service() { # NAME VIP PROTOCOL TECHNOLOGY [MORE]
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\" }
	protocol = \"$3\"
	targets = { \"web1\", \"web2\" }
	technology = \"$4\"
	${5:-}
}"
}
services() {
	service mac 0 tcp l4/2
	service mac-udp 0 udp l4/2
	service rewritten 1 tcp l4/3
	service rewritten-udp 1 udp l4/3
	service sticky 2 tcp l4/2 'affinity = "source"'
	sw_targets web1 web2
}

# With sanitizers, on a busy machine, a restart may take longer than others usually wait.
dp_cluster='dead-after = "15s"'
sw_lay
must "servers run" farm_start web1 web2 remote
farm_file big "${LAB_BIG:-60}"
must "the firewalls run" sw_firewalls_start
lab_use
sw_both 'algorithm = "round-robin"' 'algorithm = "round-robin"' "$(services)"
must "the dispatchers start" dp_start outer inner
must "each plays its own" wait_for 40 \
	'[ "$(role_of outer outer)" = active ] && [ "$(role_of inner inner)" = active ]'
check "web by either technology" holds "get $(vip 0) name && get $(vip 1) name"

drips='idle talk2 talk3'
# Sixteen connections by affinity all go to one server.
sticky() {
	local i first name
	first=$(get "$(vip 2)" name) || return 1
	for ((i = 0; i < 8; i++)); do
		name=$(get "$(vip 2)" name)
		[ "$name" = "$first" ] || { echo "$name, not $first"; return 1; }
	done
	echo "$first"
}
# flows_of NODE: of its dispatchers.
kept() { counter "$1" restart-kept; }

title "outer and inner are restarted under traffic"
check "an idle connection" drip_start idle "$(vip 0)"
kill -STOP "${lab_pid[idle]}"
check "a connection by l4/2" drip_start talk2 "$(vip 0)"
check "a connection by l4/3" drip_start talk3 "$(vip 1)"
probe_start udp2 udp "$(vip 0)" 7007
probe_start udp3 udp "$(vip 1)" 7007
probe_start tcp3 tcp "$(vip 1)" 7
start_in client slow curl -s --fail --limit-rate 3M -o "$LAB_DIR/slow.out" \
	"http://$(vip 1)/files/big"
server=$(sticky)
check "connections by affinity" sticky
check "a weight is set" ctl inner weight web1 7
check "a target is drained" ctl inner drain web2
check "nobody new goes there" equal "$(for i in 1 2 3 4; do get "$(vip 0)" name; done | sort -u)" web1
for node in inner outer inner outer; do
	check "$node is restarted" restart $node
	check "it has its flows" at_least "$(kept $node)" 6
	check "the connection by l4/2 goes on" drip_lives talk2
	check "the connection by l4/3 goes on" drip_lives talk3
done
kill -CONT "${lab_pid[idle]}"
check "the idle connection goes on" drip_lives idle
check "each plays its own still" holds \
	'[ "$(role_of outer outer)" = active ] && [ "$(role_of inner inner)" = active ]'
check "nobody took over" holds \
	"[ \$(counter outer taken-over) = 0 ] && [ \$(counter inner taken-over) = 0 ]"
check "the affinity is kept" equal "$(sticky)" "$server"
check "the weight is kept" equal "$(target_value inner web1 weight)" 7
check "the drain is kept" equal \
	"$(for i in 1 2 3 4; do get "$(vip 0)" name; done | sort -u)" web1
check "it takes new ones again when told" holds "ctl inner drain web2 --off || ctl inner undrain web2"
check "UDP by l4/2 goes on" probe_end udp2
check "UDP by l4/3 goes on" probe_end udp3
check "TCP by l4/3 goes on, nothing changed" probe_end tcp3
check "the slow download ends well" holds 'wait ${lab_pid[slow]}'
check "compared by its hash" holds "sha256sum <'$LAB_DIR/slow.out' | cmp - '$LAB_DIR/web/big.sum'"
check "no packet went through a wrong firewall" fw_none_wrong
grep -h 'restart: ' "$LAB_DIR/outer.log" "$LAB_DIR/inner.log" | indent
stop idle KILL
stop talk2 KILL
stop talk3 KILL
check "both end in order" dp_end
