#!/bin/bash
# farm.sh - the inner dispatcher in front of four real servers: l4/2 and l4/3, with ports and source
# addresses rewritten; HTTP, TLS, DNS and FTP to servers of their own; weights, load and affinity.
# Topology: topo_sandwich.sh.
#
# proves: HD-6 HD-8 HD-10 HD-11 HD-12
. "$(dirname "$0")/lib.sh"
SW_MAC=1
. "$LAB_TESTS/topo_sandwich.sh"

ALL='"web1", "web2", "web3", "web4"'
OUTER='algorithm = "round-robin"'
# service NAME VIP PROTOCOL 'PORTS' 'TARGETS' TECHNOLOGY [MORE]
service() {
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\", \"$(vip6 "$2")\" }
	protocol = \"$3\"
	${4:+ports = { $4 \}}
	targets = { $5 }
	technology = \"$6\"
	${7:-}
}"
}
services() {
	service web 0 tcp '"80", "7"' "$ALL" l4/2
	service bulk 0 tcp '"5201"' "$ALL" l4/2 'algorithm = "source"'
	service tls 0 tcp '"443"' '"web1", "web2"' l4/2
	service ftp 0 tcp '"21", "50000-50199"' '"web3", "web4"' l4/2 'affinity = "source"'
	service dns 0 udp '"53"' '"web2", "web3"' l4/2
	service dns-tcp 0 tcp '"53"' '"web2", "web3"' l4/2
	service echo 0 udp '"7007", "33434-33534"' "$ALL" l4/2 'algorithm = "source"'
	service rewritten 1 tcp '"80", "443", "7"' "$ALL" l4/3
	service rewritten-bulk 1 tcp '"5201"' "$ALL" l4/3 'algorithm = "source"'
	service rewritten-udp 1 udp '' "$ALL" l4/3
	service ports 2 tcp '"80"' '"web1-8080", "web2-8080"' l4/3
	service sources 3 tcp '"80", "443", "7"' "$ALL" l4/3 \
		'sources = { "10.4.0.240", "10.4.0.241", "fd00:4::240" }'
	service sources-udp 3 udp '' "$ALL" l4/3 'sources = { "10.4.0.240", "fd00:4::240" }'
	service sticky 4 tcp '' "$ALL" l4/2 'affinity = "source"
	affinity-timeout = "2s"'
	service by-source 5 tcp '' "$ALL" l4/2 'algorithm = "source"'
	service least 6 tcp '' "$ALL" l4/2 'algorithm = "least-connections"'
	service weighted 7 tcp '' "$ALL" l4/2 'algorithm = "weighted-round-robin"'
}
targets() { # web1 web2=text …
	sw_targets "${@:-web1}"
	sw_targets web1 web2 | sed -e 's/"\(web.\)"/"\1-8080"/' -e 's/^\t*$/port = 8080/'
}
# Flows that have ended hold their affinity until they are forgotten.
INNER='algorithm = "round-robin"
	tcp-close-timeout = "1s"'
AGENT='agent-port = 9999
	check-interval = "200ms"'

title "an inner dispatcher in front of four servers"
sw_lay
must "servers run" farm_start web1 web2 web3 web4 remote
farm_file big "${LAB_BIG:-60}"
sw_outer 'algorithm = "round-robin"'
sw_inner "$INNER" "$(services; targets web1 web2 web3 web4)"
must "the dispatchers start" dp_start outer inner

# one_each: every server answered as many of them, more or less.
even() { # OF_EACH SLACK SERVER...
	local each=$1 slack=$2 name
	shift 2
	for name in "$@"; do
		if [ "$(many_by "$name")" -lt $((each - slack)) ] ||
			[ "$(many_by "$name")" -gt $((each + slack)) ]; then
			jq -c .servers "$LAB_DIR/many.json"
			return 1
		fi
	done
}
# who_from ADDRESS PORT: server, client's address and port, own address and port as the server sees.
# IPv6 takes the port after it: the one before still waits for late segments.
who_from() {
	local port=$2
	[[ $1 == *:* ]] && port=$((port + 1))
	get "$1" who --local-port $port
}

title "l4/2: only the MAC address is rewritten"
for address in $VIP $VIP6; do
	check "128 requests to $address" many $address 4
	check "each server got its turn" even 32 0 web1 web2 web3 web4
	check "a server sees the client's own address and port, and the virtual address" holds \
		"who_from $address 46001 | tee /dev/stderr |
			grep -E \"^web[1-4] (198.51.100.1..|2001:db8:51::1..) 4600[12] $address 80 http\$\""
	check "a download, compared" get_file big $address
done
check "an upload" run_in client iperf3 -c $VIP -n 20M --connect-timeout 5000
check "a connection that stays" drip_start l42 $VIP 46021
check "a client outside the segment" run_in remote curl -s -m 5 --fail http://$VIP/name
note "$(ctl inner show flows sport 46021 | tail -n 1 | cut -c1-140)"
check "the flow names service, target, technology and how it was chosen" holds \
	"json inner show flows sport 46021 | jq -e '.flows[0] | .service == \"web\" and
		.technology == \"l4/2\" and .target_by == \"algorithm\" and .path_by == \"learnt\"'"
stop l42

title "l4/3: the destination is rewritten"
for n in 1; do
	for address in "$(vip $n)" "$(vip6 $n)"; do
		check "128 requests to $address" many "$address" 4
		check "each server got its turn" even 32 0 web1 web2 web3 web4
		check "a server sees the client's address and its own" holds \
			"who_from $address 46003 | tee /dev/stderr |
				grep -E \"^web([1-4]) (198.51.100.1..|2001:db8:51::1..) 4600[34] (10.4.0.1|fd00:4::1)\\1 80 http\$\""
		check "a download, compared" get_file big "$address"
		check "TLS" get_tls "$address" name
		check "UDP, 100 datagrams" ask "$address" 7007 100
		check "UDP in fragments" ask "$address" 7007 10 8000
		check "an ICMP error of the server finds the client" holds \
			"ask $address 33434 1 | grep 'refused 1'"
	done
done
check "an upload" run_in client iperf3 -c "$(vip 1)" -n 20M --connect-timeout 5000
check "traceroute by UDP ends at the virtual address" holds \
	"run_in client traceroute -n -q 1 -w 2 -m 6 $(vip 1) | tee /dev/stderr | tail -n 1 | grep ' $(vip 1) '"
for address in "$(vip 2)" "$(vip6 2)"; do
	check "ports rewritten: 64 requests to port 80 of $address" many "$address" 2
	check "come to port 8080 of two servers" holds "even 32 0 web1 web2 &&
		who_from $address 46005 | tee /dev/stderr | grep -E ' 4600[56] (10.4.0.1|fd00:4::1)[12] 8080 http\$'"
done

title "l4/3 with the source rewritten: servers need no way back through the dispatcher"
for name in web1 web2 web3 web4; do
	ip -n $name route del default
	ip -n $name -6 route del default
done
for address in "$(vip 3)" "$(vip6 3)"; do
	check "128 requests to $address" many "$address" 4
	check "each server got its turn" even 32 0 web1 web2 web3 web4
	check "a server sees an address of the dispatcher's" holds \
		"who_from $address 46007 | tee /dev/stderr | grep -E '^web[1-4] (10.4.0.24[01]|fd00:4::240) '"
	check "a download, compared" get_file big "$address"
	check "TLS" get_tls "$address" name
	check "UDP, 100 datagrams" ask "$address" 7007 100
	check "UDP in fragments" ask "$address" 7007 10 8000
done
for name in web1 web2 web3 web4; do
	sw_gateway $name 254
done

title "path MTU discovery through both technologies"
known_mtu() { ip -n client route get "$1" | grep -o 'mtu [0-9]*'; }
ip -n inner link set farm mtu 1400
for name in web1 web2 web3 web4; do
	ip -n $name link set farm mtu 1400
	ip -n $name route replace default via 10.4.0.254 advmss 1460
	ip -n $name -6 route replace default via fd00:4::254 advmss 1440
done
wait_for 5 "json inner show ports | jq -e '.ports[] | select(.name == \"farm\") | .mtu == 1400'"
for address in $VIP $VIP6 "$(vip 1)" "$(vip6 1)"; do
	check "an upload to $address" run_in client iperf3 -c "$address" -n 3M --connect-timeout 5000
	check "the client was told" equal "$(known_mtu "$address")" "mtu 1400"
done
ip -n inner link set farm mtu 1500
for name in web1 web2 web3 web4; do
	ip -n $name link set farm mtu 1500
	sw_gateway $name 254
done
ip -n client route flush cache
ip -n client -6 route flush cache
check "no packet went through a wrong firewall" fw_none_wrong

title "types of service to servers of their own"
for address in $VIP $VIP6; do
	check "64 requests by TLS" many $address 2 -tls "$LAB_DIR/farm.crt"
	check "go to web1 and web2" even 32 0 web1 web2
	check "the certificate is the server's own" get_tls $address name
	declare -A asked=()
	for i in {1..8}; do
		name=$(dns $address)
		asked[$name]=1
	done
	check "names by UDP: web2 and web3 answer" equal "$(printf '%s\n' "${!asked[@]}" | sort | tr '\n' ' ')" "web2 web3 "
	check "names by TCP" holds "dns $address +tcp | grep -E 'web[23]'"
done

title "FTP: control and data on one server, and through one firewall where it must be"
prefix=198.51.100.
for address in $VIP $VIP6; do
	[ "$address" = $VIP ] || prefix=2001:db8:51::
	check "passive, from 12 clients" holds "
		for i in {100..111}; do ftp $address --interface $prefix\$i || return 1; done"
	check "active, from 12 clients: the server calls back" holds "
		for i in {100..111}; do ftp $address --interface $prefix\$i --ftp-port - || return 1; done"
	check "an upload, compared, active" holds "
		head -c 3M /dev/urandom >'$LAB_DIR/up.bin'
		run_in client curl -s -S -m 20 --ftp-port - -T '$LAB_DIR/up.bin' $(url $address up/file ftp) &&
		cmp '$LAB_DIR/up.bin' $LAB_DIR/web[34]/ftp/up/file && rm -f $LAB_DIR/web[34]/ftp/up/file"
	check "an upload, compared, passive" holds "
		run_in client curl -s -S -m 20 -T '$LAB_DIR/up.bin' $(url $address up/file ftp) &&
		cmp '$LAB_DIR/up.bin' $LAB_DIR/web[34]/ftp/up/file && rm -f $LAB_DIR/web[34]/ftp/up/file"
done
check "both servers took part" holds "
	[ \$(target_value inner web3 flows_total) -gt 5 ] && [ \$(target_value inner web4 flows_total) -gt 5 ]"
check "no call back came to a firewall that had not seen the control connection" fw_none_wrong

title "affinity by source, and its end"
check "3 requests from each of 32 clients" many "$(vip 4)" 3
check "each client kept its server" holds \
	"jq -e '[.clients[] | length] | max == 1' '$LAB_DIR/many.json'"
check "all servers are used" equal "$(many_servers)" 4
first=$(get "$(vip 4)" name)
check "again the same" equal "$(get "$(vip 4)" name)" "$first"
moved() { [ "$(get "$(vip 4)" name)" != "$first" ]; }
check "a while after the last connection it is forgotten" wait_for 30 \
	"stays_for 3500 true; moved"
check "by source: 3 requests from each of 32 clients" many "$(vip 5)" 3
check "each client kept its server" holds \
	"jq -e '[.clients[] | length] | max == 1' '$LAB_DIR/many.json'"
check "all servers are used" equal "$(many_servers)" 4
cp "$LAB_DIR/many.json" "$LAB_DIR/many.before"

title "weights, at run time and reported"
check "weighted, all alike: 128 requests" many "$(vip 7)" 4
check "a quarter each" even 32 1 web1 web2 web3 web4
check "weight web1 5" ctl inner weight web1 5
check "128 requests" many "$(vip 7)" 4
check "web1 has five of eight" holds "even 80 1 web1 && even 16 1 web2 web3 web4"
check "weight web1 0 takes it out" ctl inner weight web1 0
check "128 requests" many "$(vip 7)" 4
check "none to web1" equal "$(many_by web1)" 0
check "by source: clients of other servers keep theirs" holds "
	many $(vip 5) 1
	jq -e --slurpfile before '$LAB_DIR/many.before' '[.clients | to_entries[] |
		select(\$before[0].clients[.key].web1 | not) |
		select((.value | keys) != (\$before[0].clients[.key] | keys))] == []' '$LAB_DIR/many.json'"
check "weight web1 1" ctl inner weight web1 1
check "by source: all clients are where they were" holds "
	many $(vip 5) 1
	jq -e --slurpfile before '$LAB_DIR/many.before' '[.clients | to_entries[] |
		select((.value | keys) != (\$before[0].clients[.key] | keys))] == []' '$LAB_DIR/many.json'"
check "an unknown target is refused, and the known ones are named" holds \
	"! ctl inner weight web9 1 >'$LAB_DIR/out' 2>&1; grep web1 '$LAB_DIR/out'"
check "a weight out of range is refused" not ctl inner weight web1 257

ctl inner flush flows --yes >/dev/null # open flows of all services count
check "least connections: eight that stay" holds \
	'for i in {1..8}; do drip_start d$i "$(vip 6)" $((47000 + i)) || return 1; done'
check "two on each" equal "$(json inner show flows dport 7 | jq -c \
	'[.flows[] | select(.service == "least") | .target] | group_by(.) | map(length)')" "[2,2,2,2]"
for i in {1..8}; do
	stop "d$i"
done

for name in web1 web2 web3 web4; do
	echo up >"$LAB_DIR/$name/load"
	start_in $name $name.agent "$PYTHON" "$LAB_TESTS/tools/agent.py" 9999 "$LAB_DIR/$name/load"
done
sw_inner "$INNER" \
	"$(services; targets "web1=weight = 100 $AGENT" "web2=weight = 100 $AGENT" \
		"web3=weight = 100 $AGENT" "web4=weight = 100 $AGENT")"
must "reload: the servers report their load" dp_reload inner
load() { # SERVER WORDS EFFECTIVE: the agent says, the weight follows
	echo "$2" >"$LAB_DIR/$1/load"
	wait_for 10 "[ \$(target_value inner $1 effective) = $3 ]"
}
check "all at 100" holds 'for n in 1 2 3 4; do load web$n 100% 100 || return 1; done'
check "web1 says 25%" load web1 25% 25
check "130 requests" many "$(vip 7)" 5 -from 100-125
check "web1 has a quarter of a share" holds "even 10 2 web1 && even 40 2 web2 web3 web4"
check "web2 says drain" load web2 drain 0
check "64 requests" many "$(vip 7)" 2
check "none to web2" equal "$(many_by web2)" 0
check "web2 says ready" load web2 'ready 100%' 100
check "web3 says down" holds "echo 'down' >'$LAB_DIR/web3/load'
	wait_for 10 \"[ \\\$(target_state inner web3) = down ]\""
check "64 requests" many "$(vip 7)" 2
check "none to web3" equal "$(many_by web3)" 0
check "web3 says up" holds "echo 'up 100%' >'$LAB_DIR/web3/load'
	wait_for 10 \"[ \\\$(target_state inner web3) = up ]\""
check "64 requests" many "$(vip 7)" 2
check "web3 has its share again" at_least "$(many_by web3)" 10

title "the end"
check "no packet went through a wrong firewall" fw_none_wrong
check "services are counted" holds "[ \$(service_value inner web flows_total) -gt 200 ]"
check "they end cleanly" dp_end
finish
