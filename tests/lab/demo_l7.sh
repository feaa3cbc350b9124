#!/bin/bash
# demo_l7.sh - requests that are read: cookies, routes, connections that are shared, behind three
# firewalls that know nothing of each other; started by contrib/quickstart after demo_sandwich.sh.
# Topology: topo_sandwich.sh, servers: l7_servers.sh. Exit status 0 only if everything was as it
# should.
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"
. "$LAB_TESTS/demo_lib.sh"

mkdir -p "$LAB_DIR/jars"
jar() { # N PATH [CURL OPTION...]: a client with a cookie jar
	local n=$1 path=$2
	shift 2
	get $VIP "$path" -b "$LAB_DIR/jars/$n" -c "$LAB_DIR/jars/$n" \
		--interface "198.51.100.$((100 + n))" "$@"
}
jars() { # each one's server
	local n
	for n in {0..9}; do
		printf '%s ' "$(jar "$n" name)"
	done
}

head_line "A second stage that reads requests, behind three firewalls"
cat <<'END_OF_TEXT'
   client ── outer ──┬── fw1 ──┬── inner ── stage-a ══ private stack ══ host ──┬── web1  nginx
                     ├── fw2 ──┤   l4/2     l7/3                               ├── web2  nginx
                     └── fw3 ──┘               │                               └── web3  lighttpd
                         ▲                     │
                         └── responses go straight to the firewall that the connection came through

   Clients' connections end in a network namespace of stage-a's daemon: the virtual address is
   nowhere on the host, nor on any server. Requests go on over connections that are kept.

END_OF_TEXT
l7_sandwich
must "servers run" l7_servers_start
farm_file big 50
l7_text "$(l7_services)"
must "outer, inner and stage-a start" dp_start outer inner stage-a
must "and see each other" fw_meet outer inner stage-a
must "all servers are found well" wait_for 10 "targets_up stage-a 12"
check "no virtual address is on the host" not holds "ip -n stage-a -o addr | grep -F ' 198.51.100.'"
show_ctl stage-a show services
outcome "nothing of it on the host or on a server"

head_line "Ten clients with cookie jars, forty requests"
first=$(jars)
for i in 1 2 3; do
	check "each stays at its server" equal "$(jars)" "$first"
done
say "client 0 to 9: $first" "the cookie of client 0:" \
	"$(awk '$6 == "SRV" { print $6 "=" $7 }' "$LAB_DIR/jars/0")"
check "a cookie that is altered names nobody" holds \
	"get $VIP name -H 'Cookie: SRV=$(printf 'A%.0s' {1..44})' >/dev/null"
show_ctl stage-a show cookies
outcome "each at the server that the cookie names, in secret"

head_line "1200 requests of 60 clients on as many connections"
before=$(l7_syns web1.8080 web2.8080 web3.8080)
check "all are answered, and every byte is right" holds \
	"http load $(vip 1) -clients 60 -requests 20 -per 1 | tee /dev/stderr"
made=$(($(l7_syns web1.8080 web2.8080 web3.8080) - before))
check "a few connections to the servers were enough" at_most $made 200
show_ctl stage-a show targets
outcome "$made connections to servers for 1200 of clients"

head_line "By path, by host, by name of TLS; WebSocket; large bodies"
check "/img/ is web2's" equal "$(names $VIP img/logo 4)" "web2 "
check "/app/ is the applications'" equal "$(names $VIP app/name 6)" "app1 app2 "
check "*.two.example is web2's" equal "$(names $VIP name 4 -H 'Host: www.two.example')" "web2 "
for name in a.example b.example; do
	check "TLS: $name, its own certificate" run_in client curl -s -S --fail -m 5 -o /dev/null \
		--cacert "$LAB_DIR/tls.crt" --connect-to "$name:443:$VIP:443" "https://$name/name"
done
check "WebSocket" http ws $VIP 80 /app/ws 40
check "50 MB, every byte the same" get_file big "$(vip 1)"
check "50 MB over IPv6" get_file big "$(vip6 1)"
check "PROXY protocol: nginx sees the client" holds \
	"get $(vip 4) seen --interface 198.51.100.121 | grep ' proxy=198.51.100.121:'"
outcome "content switched by what the request says"

head_line "What servers would read differently"
check "malformed requests of 54 shapes, on IPv4 and IPv6, are refused" holds "http bad $VIP && http bad $VIP6"
check "no server has seen what was hidden in them" not holds \
	"grep -h smuggled '$LAB_DIR'/web?/access.log '$LAB_DIR'/app?.log"
outcome "refused, and never passed on"

head_line "A server is killed, another drained"
must "web2 is killed" l7_server_kill web2
check "found to be down" wait_for 10 "[ \$(target_state stage-a www2) = down ]"
check "its clients have another server" not holds "jars | tee /dev/stderr | grep web2"
must "it comes back" l7_server_start web2
check "found to be up" wait_for 10 "[ \$(target_state stage-a www2) = up ]"
check "drain www1" ctl stage-a drain www1
check "nobody new comes to web1" equal "$(names $VIP name 12)" "web2 web3 "
check "undrain" ctl stage-a undrain www1
outcome "clients move, and none is asked to wait"

head_line "Responses go past the first stage"
links_reset
fw_reset_counts
check "600 requests" http load $VIP -clients 30 -requests 20 -per 1
check "no answer passed inner" equal \
	"$(link_count inner.back tx answers) $(link_count stage-a.stage tx answers)" "0 0"
check "each firewall saw both directions of its own" holds '
	for i in 1 2 3; do [ "$(fw_count $i opened)" -ge 100 ] || return 1; done'
check "no packet came to a firewall that did not know it" fw_none_wrong
outcome "3 firewalls, none wrong"

check "all dispatchers ran without a finding, and end in order" dp_end
check "the private stack is gone" equal "$(l7_devices)" 0
demo_table
finish
