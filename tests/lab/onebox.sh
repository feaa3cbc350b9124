#!/bin/bash
# onebox.sh - outer and inner dispatcher in one process on one machine, and a node that is nothing
# but a dispatcher, with no firewalls around it. Topology: topo_sandwich.sh with SW_BOX=1:
#
#   clients ── outside ── [ box: outer ── front ── fw1 … fw3 ── back ── inner ] ── farm ── servers
#
# proves: HD-7 HD-20
. "$(dirname "$0")/lib.sh"
SW_BOX=1
. "$LAB_TESTS/topo_sandwich.sh"

sw_lay
# One node with the ports of both.
dp_names=(box)
dp_ports[box]='outside front back farm'
for port in ${dp_ports[box]}; do
	case $port in
	outside | front) dp_port[box.$port]=${dp_port[outer.$port]} ;;
	*) dp_port[box.$port]=${dp_port[inner.$port]} ;;
	esac
done
box() { # OUTER_OPTIONS INNER_OPTIONS SERVICES
	dp_text[box]="
$sw_upstream
$(sw_paths)
dispatcher \"outer\" {
	role = \"outer\"
	firewall-port = \"front\"
	ports = { \"outside\" }
	probe = \"10.3.0.254\"
	$1
}
dispatcher \"inner\" {
	role = \"inner\"
	firewall-port = \"back\"
	ports = { \"farm\" }
	probe = \"10.2.0.254\"
	$2
}
$3"
}
SERVICES="
service \"web\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"tcp\"
	ports = { \"80\", \"443\", \"7\" }
	technology = \"l4/2\"
	algorithm = \"round-robin\"
	targets = { \"web1\", \"web2\", \"web3\", \"web4\" }
}
service \"rewritten\" {
	addresses = { \"$(vip 1)\", \"$(vip6 1)\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	technology = \"l4/3\"
	algorithm = \"round-robin\"
	targets = { \"web1\", \"web2\" }
}
service \"udp\" {
	addresses = { \"$VIP\", \"$VIP6\" }
	protocol = \"udp\"
	technology = \"l4/2\"
	algorithm = \"static\"
	targets = { \"web1\", \"web2\", \"web3\", \"web4\" }
}
$(sw_targets web1 web2 web3 web4)"

title "outer and inner in one process"
must "servers run" farm_start web1 web2 web3 web4 remote
farm_file big "${LAB_BIG:-60}"
box 'algorithm = "round-robin"' 'algorithm = "round-robin"' "$SERVICES"
must "it starts" dp_start box
check "both have probed all firewalls through" wait_for 10 \
	"[ \$(json box show dispatchers | jq '[.dispatchers[].paths[] | select(.state == \"up\")] | length') = 6 ]"
for address in $VIP $VIP6 "$(vip 1)" "$(vip6 1)"; do
	check "96 requests to $address" many "$address" 3
done
check "all servers answered" holds "many $VIP 1 && equal \$(many_servers) 4"
check "firewalls took turns" holds 'for n in $(fw_shares); do [ "$n" -ge 100 ] || { fw_shares; return 1; }; done'
check "TLS" get_tls $VIP name
check "a download, compared" get_file big $VIP
check "a download over IPv6 and l4/3, compared" get_file big "$(vip6 1)"
check "DNS" holds "dns $VIP | grep web"
check "UDP of 8 kB in fragments" ask $VIP 7007 10 8000
check "from inside: 30 connections" \
	run_in web1 "$PYTHON" "$LAB_TESTS/tools/connects.py" $REMOTE 80 30 -timeout 5
check "from inside, IPv6" \
	run_in web1 "$PYTHON" "$LAB_TESTS/tools/connects.py" $REMOTE6 80 30 -timeout 5
check "ping from inside" run_in web1 ping -q -c 3 -i 0.1 -W 2 $REMOTE
hops() { run_in remote traceroute -n -q 1 -w 2 -m 8 "$@" | awk 'NR > 1 { printf "%s ", $2 }'; }
ip -n remote route add 10.0.0.0/8 via 203.0.113.1 2>/dev/null
check "traceroute shows both of its roles" holds "hops 10.4.0.11 | tee /dev/stderr |
	grep -E '^203.0.113.1 198.51.100.254 10.2.0.[123] 10.3.0.254 10.4.0.11 $'"
check "no packet went through a wrong firewall" fw_none_wrong
drip_start drip $VIP 41001
check "a flow is known to both dispatchers, with the same firewall" equal \
	"$(json box show flows sport 41001 | jq -r '[.flows[].path] | unique | length')" 1
stop drip

title "a firewall dies, a flow moves, it comes back"
fw_die 2
check "both dispatchers say so" wait_for 15 \
	"[ \$(json box show dispatchers | jq '[.dispatchers[].paths[] | select(.state == \"down\")] | length') = 2 ]"
check "new connections work" many $VIP 2
fw_return 2
check "it is used again" wait_for 15 \
	"[ \$(json box show dispatchers | jq '[.dispatchers[].paths[] | select(.state == \"up\")] | length') = 6 ]"

title "static, learning nothing, in one process"
box 'algorithm = "static"
	learn = false' 'algorithm = "static"
	learn = false' ""
must "it starts again" dp_restart box
fw_reset_counts
check "96 connections from outside" many 10.4.0.11 3
check "30 from inside" run_in web1 "$PYTHON" "$LAB_TESTS/tools/connects.py" $REMOTE 80 30 -timeout 5
check "no flow is remembered" equal "$(flows box)" 0
check "no packet went through a wrong firewall" fw_none_wrong
check "it ends cleanly" dp_end

title "a dispatcher alone, without firewalls"
dp_ports[box]='outside farm'
dp_text[box]="
$sw_upstream
dispatcher \"alone\" {
	role = \"stage\"
	ports = { \"outside\", \"farm\" }
}
$SERVICES"
must "it starts" dp_start box
links_reset
for address in $VIP $VIP6 "$(vip 1)" "$(vip6 1)"; do
	check "96 requests to $address" many "$address" 3
done
check "TLS" get_tls $VIP name
check "a download, compared" get_file big $VIP
check "UDP of 8 kB in fragments" ask $VIP 7007 10 8000
check "no firewall has seen any of it" equal \
	"$(($(link_count box.front tx requests) + $(link_count box.back rx requests)))" 0
check "it ends cleanly" dp_end
finish
