#!/bin/bash
# l7.sh balancer|sandwich - requests that are read, and sent to servers over connections that are
# kept: HTTP with all its corners, bodies of any size, WebSocket, TLS by name, whose request it is,
# pools and their limits, slow clients, requests that nobody should pass on. l7_servers.sh has the
# servers and services.
#
#   balancer:  clients ── outside ── [ box ] ── farm ── web1, web2 (nginx), web3 (lighttpd)
#   sandwich:  the same with stage-a for box, behind outer, three firewalls and inner
#              (topo_sandwich.sh)
#
# Client's connections end in box's or stage-a's private stack; servers are reached from its host's.
#
# proves: HD-8 HD-13 HD-15 HD-16 HD-20
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"
WHERE=${1:-balancer}
BIG=${LAB_BIG:-50}

# status ADDRESS PATH [CURL OPTION...]: only that.
status() {
	local address=$1 path=$2
	shift 2
	run_in client curl -s -o /dev/null -m 20 -w '%{http_code}\n' "$@" "$(url "$address" "$path")"
}
# load ADDRESS [OPTION...]: tools/http_load.py; what it found is kept in load.json.
load() {
	http load "$@" >"$LAB_DIR/load.json"
	local status=$?
	cat "$LAB_DIR/load.json"
	return $status
}
loaded() { jq "$1" "$LAB_DIR/load.json"; }
memory_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status"; }
# start_in's process becomes the daemon.
daemon_pid() { echo "${lab_pid[$NODE]}"; }

title "$WHERE: a service by L7 in front of nginx, lighttpd and http_app.py"
if [ "$WHERE" = sandwich ]; then
	l7_sandwich
else
	l7_balancer
fi
must "servers run" l7_servers_start
farm_file big "$BIG"
farm_file small 1
l7_text "$(l7_services)"
if [ "$WHERE" = sandwich ]; then
	must "the dispatchers start" dp_start outer inner stage-a
	must "and see each other" fw_meet outer inner stage-a
else
	must "the node starts" dp_start box
fi
must "all servers are found well" wait_for 10 "targets_up $NODE 12"
check "there is one device of the private stack" equal "$(l7_devices)" 1
on_host() { ip -n "$(dp_host "$NODE")" -o addr show; }
check "no virtual address is on the host" not holds \
	"on_host | grep -E '198\.51\.100\.8[0-7]/|2001:db8:51::8[0-7]/'"
check "nothing on the host listens on the services' ports" holds \
	"[ -z \"\$(run_in $(dp_host "$NODE") ss -Hlnt 'sport = :80 or sport = :443')\" ]"

title "requests of curl"
for address in $VIP $VIP6; do
	check "GET" equal "$(get $address name -H 'X-Canary: yes')" web1
	check "HEAD" holds "get $address files/small -I | tee /dev/stderr |
		grep -iE '^content-length: 1048576'"
	check "GET, 30 times, by all three servers in turn" equal \
		"$(names "$(vip 1)" name 30)" "web1 web2 web3 "
	check "POST" equal "$(get $address app/sum/x --data-binary 'some words' | cut -d' ' -f 2-4)" \
		"$(printf 'some words' | sha256sum | cut -d' ' -f1) 10 length"
	check "PUT, in chunks" equal \
		"$(printf 'some words' | get $address app/sum/x -T - -H 'Expect:' | cut -d' ' -f 2-4)" \
		"$(printf 'some words' | sha256sum | cut -d' ' -f1) 10 chunked"
	check "PUT with Expect: 100-continue" equal \
		"$(get $address app/sum/x -T "$LAB_DIR/web/files/small" -H 'Expect: 100-continue' \
			--expect100-timeout 8 -w '%{time_total}' | awk '
			NR == 1 { size = $3 } NR == 2 { print size, $1 < 5 }')" "1048576 1"
	check "HTTP/1.0" equal "$(get $address name -0 -H 'X-Canary: yes')" web1
	check "five requests on one connection" equal "$(run_in client curl -s -o /dev/null \
		-w '%{num_connects} ' "$(url $address 'app/tag/[1-5]/100')")" "1 0 0 0 0 "
	check "404 of a server passes" equal "$(status $address nowhere)" 404
	check "a range" equal "$(get $address files/small -r 1000-1999 | sha256sum)" \
		"$(tail -c +1001 "$LAB_DIR/web/files/small" | head -c 1000 | sha256sum)"
done

title "corners of HTTP"
for name in $(http try $VIP list); do
	check "$name" http try $VIP "$name"
done
check "all of them over IPv6" http try $VIP6 $(http try $VIP list)

title "bodies, compared"
for address in "$(vip 1)" "$(vip6 1)"; do
	# Servers take turns.
	check "downloads of $BIG MB, from each server one" holds "
		for i in 1 2 3; do get_file big $address || return 1; done"
done
upload() { # ADDRESS PATH [CURL OPTION...]
	local address=$1 path=$2
	shift 2
	LAB_FETCH=90 get "$address" "$path" -T "$LAB_DIR/web/files/big" -H 'Expect:' "$@" |
		cut -d' ' -f2 | cmp - <(cut -d' ' -f1 "$LAB_DIR/web/big.sum")
}
for address in $VIP $VIP6; do
	check "an upload of $BIG MB to http_app.py" upload $address app/sum/up
	check "an upload in chunks" upload $address app/sum/up -H 'Transfer-Encoding: chunked'
done
check "three uploads through the web servers before it" holds "
	for i in 1 2 3; do upload $(vip 1) app/sum/up || return 1; done"
check "and in chunks" holds "
	for i in 1 2 3; do upload $(vip6 1) app/sum/up -H 'Transfer-Encoding: chunked' || return 1; done"
parallel() { # ADDRESS: 60 downloads at once, each compared
	rm -f "$LAB_DIR"/parallel.*
	run_in client curl -s -S --fail -m 90 -Z --parallel-max 60 \
		-o "$LAB_DIR/parallel.#1" "$(url "$1" 'files/small?[1-60]')" || return 1
	equal "$(sha256sum <"$LAB_DIR/web/files/small")" \
		"$(cat "$LAB_DIR/web/small.sum")" &&
		equal "$(sha256sum "$LAB_DIR"/parallel.* | cut -c1-64 | sort | uniq -c |
			awk '{ print $1, $2 }')" "60 $(cut -c1-64 "$LAB_DIR/web/small.sum")"
	local status=$?
	rm -f "$LAB_DIR"/parallel.*
	return $status
}
check "60 downloads at once" parallel "$(vip 1)"
check "60 over IPv6" parallel "$(vip6 1)"
held=$(memory_kb)
start_in client readers "$PYTHON" "$L7_TOOLS/http_slow.py" $VIP 20 read 6
check "20 clients that ask for 50 MB and do not read it" wait_for 10 "grep -q open '$LAB_DIR/readers.log'"
check "memory stays bounded" stays_for 4000 "[ \$(memory_kb) -lt $((held + 40000)) ]"
wait "${lab_pid[readers]}"

title "a client far away, and a narrow link on the way"
from_remote() { # ADDRESS
	run_in remote curl -s -S --fail -m 60 "$(url "$1" files/small)" | sha256sum |
		cmp - "$LAB_DIR/web/small.sum"
}
ip -n isp link set eth1 mtu 1400
for address in "$(vip 1)" "$(vip6 1)"; do
	check "a download" from_remote "$address"
done
check "the router on the way had to say so" at_least "$(snmp isp Ip.FragFails)" 1
ip -n isp link set eth1 mtu 1500

title "many clients, each of which looks at every byte"
for address in $VIP $VIP6; do
	check "32 clients, 30 requests each" load $address -requests 30
	check "pipelining, 8 deep" load $address -requests 32 -deep 8
	check "a connection for each request" load $address -requests 20 -per 1
	check "clients that leave in the middle" load $address -requests 30 -abort 20
	check "larger bodies" load $address -clients 16 -requests 10 -size 1000000
done
check "nothing is held for those who left" wait_for 5 "[ \$(l7_of web requests_open) = 0 ]"
check "500 clients want 100 kB each, again and again" holds '
	run_in client wrk -t 1 -c 500 -d 4 --timeout 20 "$(url "$(vip 1)" files/100k)" >"$LAB_DIR/wrk.out" && cat "$LAB_DIR/wrk.out"
	awk "/requests in/ { n = \$1 } /Socket errors|Non-2xx/ { bad = 1 } END { exit !(n > 100) || bad }" "$LAB_DIR/wrk.out"'

for tool in ab wrk h2load; do
	if ! command -v $tool >/dev/null; then
		skipped "$tool" "not installed"
		continue
	fi
	case $tool in
	ab) words=(ab -q -n 3000 -c 50 -k -s 20 "$(url "$(vip 1)" name)") ;;
	wrk) words=(wrk -t 2 -c 50 -d 3 --timeout 10 "$(url "$(vip 1)" name)") ;;
	h2load) words=(h2load --h1 -n 3000 -c 50 -t 2 "$(url "$(vip 1)" name)") ;;
	esac
	check "$tool" holds 'run_in client "${words[@]}" >"$LAB_DIR/$tool.out" 2>&1 || {
		cat "$LAB_DIR/$tool.out"; return 1; }'
	check "$tool saw no error" not grep -E \
		'^(Failed requests: +[1-9]|Non-2xx)|Socket errors|Non-2xx|[1-9][0-9]* (failed|errored|timeout)' \
		"$LAB_DIR/$tool.out"
done

title "WebSocket"
check "by http_app.py" holds "http ws $VIP 80 /app/ws 60 | grep app"
check "over IPv6" holds "http ws $VIP6 80 /app/ws 60 | grep app"
check "by nginx and lighttpd before it" holds "
	for i in 1 2 3 4 5 6; do http ws $(vip 1) 80 /app/ws 20 || return 1; done"
check "a GET after it" equal "$(get $VIP app/name | cut -c1-3)" app

title "TLS by name"
tls() { # NAME ADDRESS [CURL OPTION...]
	local name=$1 address=$2
	shift 2
	[[ $address == *:* ]] && address="[$address]"
	run_in client curl -s -S --fail -m 20 --cacert "$LAB_DIR/tls.crt" \
		--connect-to "$name:443:$address:443" "$@" "https://$name/name"
}
certificate() { # ADDRESS NAME: the name in the certificate that the client is shown
	run_in client openssl s_client -connect "$(url "$1" '' '' 443 | sed 's|.*//||; s|/$||')" \
		${2:+-servername "$2"} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName |
		sed -n 's/.*DNS://p'
}
for address in $VIP $VIP6; do
	check "a.example is web1's, and its certificate is right" equal "$(tls a.example $address)" web1
	check "b.example is web2's" equal "$(tls b.example $address)" web2
	check "the certificates shown are the servers' own" equal \
		"$(certificate $address a.example) $(certificate $address b.example)" "a.example b.example"
	check "without a route, and without a name: the service's own target" equal \
		"$(certificate $address c.example) $(certificate $address '')" "b.example b.example"
	for version in 1.2 1.3; do
		check "TLS $version" equal "$(tls a.example $address --tlsv$version --tls-max $version)" web1
	done
done
check "40 at once" holds "
	run_in client curl -s -S --fail -m 30 -Z --parallel-max 40 --cacert '$LAB_DIR/tls.crt' \
		--connect-to a.example:443:$VIP:443 'https://a.example/name?[1-40]' |
		sort | uniq -c | tee /dev/stderr | grep -E '^ +40 web1\$'"
refused=$(l7_of tls refused)
check "what is no TLS is refused" not get $VIP name --connect-timeout 3 -m 5 --connect-to "::$VIP:443"
check "and counted" wait_for 3 "[ \$(l7_of tls refused) -gt $refused ]"

title "whose request it is"
seen() { # ADDRESS [CURL OPTION...]: what web1's nginx has seen
	local address=$1
	shift
	get "$address" seen -H 'X-Canary: yes' "$@"
}
check "X-Forwarded-For is the client's address" holds \
	"seen $VIP --interface 198.51.100.117 | tee /dev/stderr | grep ' x=198.51.100.117 '"
check "over IPv6" holds \
	"seen $VIP6 --interface 2001:db8:51::117 | tee /dev/stderr | grep ' x=2001:db8:51::117 '"
check "what a client says of itself is not believed" holds \
	"seen $VIP --interface 198.51.100.118 -H 'X-Forwarded-For: 6.6.6.6' | tee /dev/stderr |
		grep ' x=198.51.100.118 '"
check "the connection comes from the node's own address" holds "
	seen $VIP | tee /dev/stderr | grep -E 'from=10\.4\.0\.(253|201) '"
check "the name asked for is kept" holds "seen $VIP -H 'Host: some.example' | grep ' host=some.example '"
check "lighttpd has seen the address, too" holds \
	"names $(vip 0) name 9 --interface 198.51.100.119 >'$LAB_DIR/out'
	wait_for 5 \"grep -q '\\\"198.51.100.119\\\"' '$LAB_DIR/web3/access.log'\""
check "Forwarded, where that is asked for" holds "
	get $(vip 4) seen --interface 198.51.100.120 | tee /dev/stderr |
		grep -E ' forwarded=.*for=\"?198\.51\.100\.120'"
check "Forwarded, IPv6" holds "
	get $(vip6 4) seen --interface 2001:db8:51::120 | tee /dev/stderr |
		grep -F 'for=\"[2001:db8:51::120]'"
check "PROXY protocol: nginx has address and port of the client" holds "
	get $(vip 4) seen --interface 198.51.100.121 --local-port 46001 | tee /dev/stderr |
		grep ' proxy=198.51.100.121:46001\$'"
check "PROXY protocol, IPv6" holds "
	get $(vip6 4) seen --interface 2001:db8:51::121 --local-port 46002 | tee /dev/stderr |
		grep ' proxy=2001:db8:51::121:46002\$'"
check "20 clients by PROXY protocol, each itself" holds "
	for i in {100..119}; do
		get $(vip 4) 'seen?[1-3]' --interface 198.51.100.\$i >'$LAB_DIR/out' || return 1
		[ \$(grep -c ' proxy=198.51.100.'\$i: '$LAB_DIR/out') = 3 ] || return 1
	done"

title "routes"
check "by path: /img/ to web2 alone" equal "$(names $VIP img/logo 12)" "web2 "
check "however it is spelt" equal "$(names $VIP x/../%69mg/logo 6 --path-as-is)" "web2 "
check "/imgs is another path" equal "$(status $VIP imgs --path-as-is) $(names $VIP name 9)" \
	"404 web1 web2 web3 "
check "by path: /app/ to the applications" equal "$(names $VIP app/name 12)" "app1 app2 "
check "by host" equal "$(names $VIP name 9 -H 'Host: www.two.example')" "web2 "
check "by method" equal "$(get $VIP delete -X DELETE -o /dev/null -w '%{http_code}' 2>/dev/null)" 404
check "by header" equal "$(names $VIP name 6 -H 'X-Canary: yes')" "web1 "
check "by another value of it" equal "$(names $VIP name 9 -H 'X-Canary: no')" "web1 web2 web3 "
check "by cookie" equal "$(names $VIP name 6 -b 'beta=1')" "app2 "
check "routes are counted as services" at_least "$(service_value "$NODE" web/img l7 | jq .requests)" 18

title "connections to servers are kept and shared"
before=$(l7_syns web1.8080 web2.8080 web3.8080)
asked=$(($(l7_at www1 requests) + $(l7_at www2 requests) + $(l7_at www3 requests)))
check "400 requests on 400 connections of clients" load "$(vip 1)" -clients 8 -requests 50 -per 1
made=$(($(l7_syns web1.8080 web2.8080 web3.8080) - before))
asked=$(($(l7_at www1 requests) + $(l7_at www2 requests) + $(l7_at www3 requests) - asked))
note "$asked requests over $made new connections to servers"
check "all of them were sent on" equal "$asked" 400
check "over very few connections" at_most "$made" 24
check "the servers' links show what is counted" equal \
	"$(l7_syns web1.8080) $(l7_syns web2.8080)" "$(l7_at www1 connections_opened) $(l7_at www2 connections_opened)"
check "reuse is counted" at_least "$(l7_at www1 connections_reused)" 100
start_in client idlers "$PYTHON" "$L7_TOOLS/http_slow.py" "$(vip 5)" 100 idle 4
check "100 clients that ask once and stay" wait_for 20 "grep -q open '$LAB_DIR/idlers.log'"
check "hold no server" equal "$(l7_at four requests_open)" 0
check "their server has at most four connections" at_most "$(l7_at four connections_open)" 4
check "another is served beside them" equal "$(get "$(vip 5)" name)" app2
wait "${lab_pid[idlers]}"
check "they were left in peace" holds "tail -n 1 '$LAB_DIR/idlers.log' | grep -x 100"

title "limits of a server"
app_counts 2 >/dev/null
opened=$(l7_syns web2.9000)
check "60 clients at a server that may have four connections" load "$(vip 5)" -clients 60 -requests 10
check "all were answered" equal "$(loaded .worked)" 600
note "$(app_counts 2)"
check "it had few connections" at_most "$(($(l7_syns web2.9000) - opened))" 4
check "never more than four at once" holds "
	load $(vip 5) -clients 30 -requests 10 -per 2 >/dev/null &
	while kill -0 \$! 2>/dev/null; do
		[ \$(l7_at four connections_open) -le 4 ] || return 1
	done"
check "many had to wait" at_least "$(l7_of app queued)" 100
slow() { status "$(vip 6)" app/slow/2500; }
check "one at a time, two may wait, and not for long; others are refused at once" holds '
	for i in 1 2 3 4 5 6; do slow >"$LAB_DIR/slow.$i" & pids[$i]=$!; done
	wait "${pids[@]}"
	equal "$(cat "$LAB_DIR"/slow.[1-6] | sort | uniq -c | tr -s " " | tr "\n" ,)" " 1 200, 5 503,"'
check "as counted" equal "$(l7_of hurry queue_timeouts)" 2
check "and then it goes on" equal "$(slow)" 200

title "slow clients hold no server"
opened=$(l7_at four connections_opened)
start_in client slow_heads "$PYTHON" "$L7_TOOLS/http_slow.py" "$(vip 5)" 100 head 9
check "100 clients that send their heads byte by byte" wait_for 10 "grep -q open '$LAB_DIR/slow_heads.log'"
check "no request of theirs is at the server" equal "$(l7_at four requests_open)" 0
check "others are served" load "$(vip 5)" -clients 8 -requests 10
check "no further connection was needed" at_most "$(($(l7_at four connections_opened) - opened))" 4
wait "${lab_pid[slow_heads]}"
check "they were sent away" holds "tail -n 1 '$LAB_DIR/slow_heads.log' | grep -x 0"
check "with 408, as counted" at_least "$(l7_of app status_4xx)" 100

title "what different servers would read differently"
LAB_SNAP=400 capture_start bad "$(dp_host "$NODE")" farm 'tcp'
for address in $VIP $VIP6; do
	check "malformed requests are refused" http bad $address
done
capture_stop bad
check "what is wrong in the head is seen by no server" not holds \
	"grep -hE '/bad/[a-z]+ ' '$LAB_DIR'/web?/access.log '$LAB_DIR'/app?.log | grep -v '/bad/b[a-j] '"
check "no hidden request is seen by any" not holds \
	"grep -h smuggled '$LAB_DIR'/web?/access.log '$LAB_DIR'/app?.log"
check "nor is on their wires" not grep -aq /smuggled/ "$LAB_DIR/bad.pcap"
check "it works as before" load $VIP -requests 5

if [ "$WHERE" = sandwich ]; then
	title "responses go straight to the flow's firewall"
	links_reset
	fw_reset_counts
	check "32 clients, 10 requests each, a connection for each" load $VIP -requests 10 -per 1
	check "over IPv6" load $VIP6 -requests 10 -per 1
	check "a download of $BIG MB" get_file big "$(vip 1)"
	check "requests came by inner" at_least "$(link_count inner.stage tx requests)" 640
	check "no answer went back that way" equal \
		"$(link_count stage-a.stage tx answers) $(link_count inner.stage rx answers) $(link_count inner.back tx answers)" "0 0 0"
	check "stage-a sent them to the firewalls" at_least "$(link_count stage-a.back tx answers)" 640
	check "every firewall has its share" holds 'for n in $(fw_shares); do [ "$n" -ge 100 ] || return 1; done'
	check "and sees both directions of it" holds '
		for i in 1 2 3; do [ "$(fw_count $i passed)" -gt "$(fw_count $i opened)" ] || return 1; done'
	check "no server's link has carried a virtual address" equal \
		"$(link_count web1.farm rx requests) $(link_count web2.farm rx requests) $(link_count web3.farm rx requests)" "0 0 0"
	check "no packet went through a wrong firewall" fw_none_wrong
fi

title "the end"
check "nothing is left open" wait_for 10 "[ \$(l7_of web requests_open) = 0 ]"
[ "$WHERE" = balancer ] || check "no packet went through a wrong firewall" fw_none_wrong
check "they end cleanly" dp_end
check "the private stack's device is gone" equal "$(l7_devices)" 0
finish
