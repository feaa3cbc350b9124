#!/bin/bash
# demo_figure8.sh - the whole of figure 8 on real traffic: clients whose requests go to the server of
# their cookie, whatever dispatcher they come to; started by contrib/quickstart after demo_l7.sh.
# Topology and services: topo_figure8.sh. Exit status 0 only if everything was as it should.
. "$(dirname "$0")/lib.sh"
F8_RELAY=both
. "$LAB_TESTS/topo_figure8.sh"
. "$LAB_TESTS/demo_lib.sh"

all=({0..8})
servers() { # what each client's next request is answered by
	jars_ask $VIP "${all[@]}" | awk '{ printf "%s ", $2 }'
}
rx() { link_count "$1" rx requests; }
answers() { link_count "$1" tx answers; }
drawing() {
	printf '\n   frames to the virtual addresses ──▶ and from them ◀── so far, on each link\n\n'
	printf '                         ┌─▶ %6d fw1 ──┐                       ┌─▶ %6d l7a ── s1 s2 s3\n' \
		"$(rx fw1.front)" "$(rx l7a.stage)"
	printf '   clients ─▶ outer ─────┼─▶ %6d fw2 ──┼─▶ %6d inner ───────┤       ║ relayed ▼ %d ▲ %d\n' \
		"$(rx fw2.front)" "$(rx inner.back)" \
		"$(relay_frames l7a requests)" "$(relay_frames l7b requests)"
	printf '                         └─▶ %6d fw3 ──┘       l4/2            ├─▶ %6d l7b ── s3 s4 s5\n' \
		"$(rx fw3.front)" "$(rx l7b.stage)"
	printf '                                                                  └─▶ %6d l4c ── s5 s6\n' \
		"$(rx l4c.stage)"
	printf '   clients ◀─ outer ◀─ fw1 %d, fw2 %d, fw3 %d ◀─ l7a %d, l7b %d, l4c %d\n' \
		"$(answers fw1.front)" "$(answers fw2.front)" "$(answers fw3.front)" \
		"$(answers l7a.back)" "$(answers l7b.back)" "$(answers l4c.back)"
	printf '\n   answers that passed inner: %d\n\n' "$(link_count inner.stage rx answers)"
}

head_line "Figure 8: three firewalls, two stages that read requests, one that does not"
cat <<'END'
                                               l4/2        l7/3
                    ┌── fw1 ──┐                  ┌── l7a ──┬── s1  nginx
   clients ─ outer ─┼── fw2 ──┼── inner ─────────┤    ║    ├── s2  lighttpd
                    └── fw3 ──┘                  │    ║    └── s3  nginx ───┐
                        ▲                        ├── l7b ──┬────────────────┘
                        │                        │    │    ├── s4  lighttpd
                        │                        │    │    └── s5  nginx ───┐
                        │                        └── l4c ──┬────────────────┘
                        │                         l4/3│    └── s6  lighttpd
                        └─ responses go straight to the firewall that the connection came through

   web is served by s1 to s5, files by s5 and s6. Each dispatcher's servers are on a segment of its
   own: l7a has no cable to s4, nor has l7b one to s1. A client's request may come to either.

END
must "the network is laid" f8_lay
must "servers run" f8_servers_start
farm_file big 20
f8_text
must "outer, inner, l7a, l7b and l4c start, and find their servers" f8_start
check "l7a cannot reach s4" not run_in l7a curl -s -m 1 -o /dev/null http://10.4.0.14:8080/name
check "l7b cannot reach s1" not run_in l7b curl -s -m 1 -o /dev/null http://10.4.0.11:8080/name
show_ctl l7a show targets
outcome "five dispatchers, three firewalls, six servers"

head_line "Nine clients with cookies, by whatever dispatcher"
first=$(servers)
say "clients 0 to 8: $first"
for i in 1 2 3 4; do
	check "each new connection of each client, to the same server" equal "$(servers)" "$first"
done
check "by l7a to l7b" at_least "$(relay_of l7a l7b to.requests)" 1
check "and by l7b to l7a" at_least "$(relay_of l7b l7a to.requests)" 1
show_ctl l7a show relays
outcome "$(relays_both) of 45 requests were relayed; every one answered right"
drawing

head_line "What a relay looks like on the wire"
must "a client of s5, which is on l7b" jar_of s5 $VIP
LAB_SNAP=400 capture_start relay switch l7a.stage "tcp port 80 and ether host $(f8_mac l7b stage)"
for i in 1 2; do
	check "the server is told the client's address, once" holds "jar $jar_number $VIP seen |
		grep ' x=198.51.100.$((100 + jar_number)) forwarded= cookie= '"
done
capture_stop relay
say "l7a is $(f8_mac l7a stage), l7b is $(f8_mac l7b stage)"
tcpdump -n -e -r "$LAB_DIR/relay.pcap" 2>/dev/null | grep -v 'length 0' | cut -d' ' -f2-4,9-13 | head -4 | indent
check "to the virtual address, for the MAC address of l7b" at_least \
	"$(capture_count relay "ether dst $(f8_mac l7b stage) and dst host $VIP")" 2
check "back from the virtual address, for that of l7a" at_least \
	"$(capture_count relay "ether dst $(f8_mac l7a stage) and src host $VIP")" 2
show_ctl l7b show matching
outcome "by MAC address; the matching table knows where answers go"

head_line "1 MB both ways, WebSocket, files, IPv6"
export HTTP_COOKIE
HTTP_COOKIE=SRV=$(token "$jar_number")
before=$(f8_syns)
check "20 clients at once: every byte the same" http load $VIP -clients 20 -requests 6 -size 1000000 -per 1
check "20 clients at once over IPv6" http load $VIP6 -clients 20 -requests 6 -size 1000000 -per 1
made=$(($(f8_syns) - before))
check "a few connections to the servers were enough" at_most $made 100
check "WebSocket, by l7a and by l7b" equal "$(http ws $VIP 80 /app/ws 20) $(http ws $VIP 80 /app/ws 20)" \
	"s5 s5"
unset HTTP_COOKIE
check "files: s5 and s6 by l4/3, 20 MB each" holds "for i in 1 2; do
	run_in client curl -s -m 30 '$(url $VIP files/big http 8080)' | sha256sum |
		cmp - '$LAB_DIR/web/big.sum' || return 1; done"
outcome "240 requests, hashed, on $made connections to servers"

head_line "Cookies that are forged, a server that is killed"
before=$(relays_both)
check "a cookie that is altered" holds "for i in 1 2 3 4; do
	get $VIP name -H 'Cookie: SRV=$(printf 'A%.0s' {1..44})' || return 1; done"
check "is relayed to nobody" relays_are "$before"
must "s5's web server is killed" f8_server_kill s5
check "its client is answered by another at once, by either way" holds "
	for i in 1 2; do jar $jar_number $VIP name | grep 's[1-4]' || return 1; done"
must "it comes back" f8_server_start s5
check "found to be up" wait_for 5 "[ \$(target_state l7b s5) = up ] && [ \$(target_state l4c s5) = up ]"
outcome "no relay for what nobody made; no client waits"

head_line "l7b is killed in the middle"
must "a client of s4, which is on l7b alone" jar_of s4 $VIP
HTTP_COOKIE=SRV=$(token "$jar_number") start_in client load "$PYTHON" "$L7_TOOLS/http_load.py" $VIP \
	-clients 12 -requests 30 -size 1000000 -per 1 -may 502 503 504 -broken 360 -pause 5
before=$(relay_of l7a l7b to.requests)
wait_for 10 "[ \$(relay_of l7a l7b to.requests) -ge $((before + 20)) ]"
stop l7b KILL
check "inner notices" wait_for 5 "[ \$(target_state inner l7b) = down ]"
check "the client has another server, and a new cookie" wait_for 3 "jar $jar_number $VIP name | grep 's[123]'"
wait "${lab_pid[load]}"
check "requests that were under way: some broken, none with a wrong byte" equal $? 0
say "$(tail -n 1 "$LAB_DIR/load.log" | jq -r '"\(.requests) requests: \(.worked) worked, \(.broken) broken off, by status \(.statuses), \(.wrong | length) wrong"')"
must "l7b starts again" f8_start_only l7b
check "inner knows" wait_for 5 "[ \$(target_state inner l7b) = up ]"
must "a client of s4" jar_of s4 $VIP
check "whose requests are relayed as before" holds "
	for i in 1 2 3 4; do equal \"\$(jar $jar_number $VIP name)\" s4 || return 1; done"
outcome "broken off or answered right, then relayed again"

head_line "Past the first stage, and by the right firewall"
drawing
check "no answer came to inner" equal "$(link_count inner.stage rx answers)" 0
check "nor was any sent by it, but resets to clients of the stage that was killed" equal \
	"$(relay_frames inner answers)" 0
check "each firewall saw both directions of its own" holds \
	'for n in $(fw_shares); do [ $n -ge 20 ] || return 1; done'
check "no packet came to a firewall that did not know it" fw_none_wrong
outcome "3 firewalls, none wrong; 0 answers by the first stage"

check "all dispatchers ran without a finding, and end in order" dp_end
# A question that could not be asked must not make a check vanish.
check "nothing was left out" equal $((n_passed + n_failed)) 40
demo_table
finish
