#!/bin/bash
# figure8.sh config|ask|both - the whole of figure 8: outer, three firewalls, a first stage by l4/2,
# two second stages by l7/3 and one by l4/3, servers of two makes, some on several of them. Clients
# come to either stage by L7 with any cookie; requests go on to the one that the cookie's server is
# connected to, by MAC address, and answers to the client past the first stage.
# Topology, services, and what the argument means: topo_figure8.sh.
#
# proves: HD-8 HD-10 HD-17 HD-18 HD-21
. "$(dirname "$0")/lib.sh"
F8_RELAY=${1:-both}
. "$LAB_TESTS/topo_figure8.sh"

# An odd number: what is given in turn to two is not the same for a client each time.
all=({0..10})
# with_cookie TOOL ARGUMENT...: every request has the cookie of jar $jar_number.
with_cookie() {
	local tool=$1
	shift
	HTTP_COOKIE="SRV=$(token "$jar_number")" http "$tool" "$@"
}
# answered_by SERVER ADDRESS N: client N's request is answered by that server, at once.
answered_by() { [ "$(LAB_FETCH=${4:-3} jar "$3" "$2" name)" = "$1" ]; }

title "figure 8, $F8_RELAY"
must "the network is laid" f8_lay
must "servers run" f8_servers_start
farm_file big 20
f8_text
must "the dispatchers start and find their servers" f8_start
if [ "$F8_RELAY" = ask ]; then
	check "no file of l7a says a word of s4 and s5, none of l7b of s1 and s2" holds "
		not grep -E '\"s[45]\"|10\.4\.0\.1[45]' '$LAB_DIR/l7a.conf' &&
		not grep -E '\"s[12]\"|10\.4\.0\.1[12]' '$LAB_DIR/l7b.conf'"
else
	check "l7a and l7b read one and the same file of servers" equal \
		"$(grep -ch 'include(' "$LAB_DIR/l7a.conf" "$LAB_DIR/l7b.conf" | tr '\n' ' ')" "1 1 "
fi
for word in 'l7a 14' 'l7a 15' 'l7b 11' 'l7b 12' 'l4c 14' 'inner 11' 'inner 14'; do
	check "${word% *} cannot reach s${word#* 1} itself" not run_in "${word% *}" \
		curl -s -m 1 -o /dev/null "http://10.4.0.${word#* }:8080/name"
done

title "eleven clients with cookie jars"
for address in $VIP $VIP6; do
	jars_forget
	links_reset
	fw_reset_counts
	first=$(jars_ask $address "${all[@]}")
	check "they are spread over the five servers of the service" equal \
		"$(cut -d' ' -f2 <<<"$first" | sort -u | tr '\n' ' ')" "s1 s2 s3 s4 s5 "
	before=$(relays_both)
	for i in {1..5}; do
		check "each is at the server of its cookie again" equal \
			"$(jars_ask $address "${all[@]}")" "$first"
	done
	for n in "${all[@]}"; do
		from=198.51.100.$((100 + n))
		[ $address = $VIP ] || from=2001:db8:51::$((100 + n))
		wait_for 5 "entered_all $from 6"
		read -r at_a at_b <<<"$(entered $from)"
		check "client $n, of $(awk -v n=$n '$1 == n { print $2 }' <<<"$first"), came by both" holds \
			"[ $at_a -ge 1 ] && [ $at_b -ge 1 ] && [ $((at_a + at_b)) = 6 ]"
	done
	check "requests were relayed" at_least $(($(relays_both) - before)) 10
	check "no answer passed inner" equal \
		"$(link_count inner.back tx answers) $(link_count inner.stage rx answers)" "0 0"
	check "each firewall has seen connections begin" holds \
		'for n in $(fw_shares); do [ $n -ge 10 ] || return 1; done'
	check "no packet came to a firewall that did not know it" fw_none_wrong
	check "no stamp left the stages" equal "$(stamps_on client.eth0 outer.outside outer.front \
		fw1.front fw2.front fw3.front fw1.back fw2.back fw3.back)" 0
done
check "from l7a to l7b" at_least "$(relay_of l7a l7b to.requests)" 5
check "and from l7b to l7a" at_least "$(relay_of l7b l7a to.requests)" 5
check "each has counted what the other sent" equal \
	"$(relay_of l7a l7b from.requests) $(relay_of l7b l7a from.requests)" \
	"$(relay_of l7b l7a to.requests) $(relay_of l7a l7b to.requests)"
if [ "$F8_RELAY" = config ]; then
	check "nobody was asked" equal "$(($(counter l7a who-has-sent) + $(counter l7b who-has-sent)))" 0
elif [ "$F8_RELAY" = ask ]; then
	check "each asked for the servers it does not know" holds \
		"[ $(counter l7a who-has-sent) -ge 1 ] && [ $(counter l7b who-has-sent) -ge 1 ]"
	check "few questions for many requests" at_most \
		$(($(counter l7a who-has-sent) + $(counter l7b who-has-sent))) 20
fi

title "by MAC address, and whose request it is"
for address in $VIP $VIP6; do
	from=198.51.100.
	[ $address = $VIP ] || from=2001:db8:51::
	must "a client of s5" jar_of s5 $address
	sent=$(relay_frames l7a requests) answers=$(relay_frames l7b answers)
	to=$(relay_of l7a l7b to.requests)
	capture_start relay switch l7a.stage "tcp port 80 and ether host $(f8_mac l7b stage)"
	for i in 1 2 3 4; do
		check "s5 is told the client's address once, and nothing of the cookie" holds \
			"jar $jar_number $address seen | tee /dev/stderr |
				grep -E '^s5 .* x=$from$((100 + jar_number)) forwarded= cookie= '"
	done
	capture_stop relay
	check "some came by l7a" at_least $(($(relay_of l7a l7b to.requests) - to)) 1
	check "their frames have l7b's MAC address and the virtual address" at_least \
		"$(capture_count relay "ether dst $(f8_mac l7b stage) and dst host $address")" 2
	check "and the client's as source" equal \
		"$(capture_count relay "ether dst $(f8_mac l7b stage) and not src host $from$((100 + jar_number))
			and dst host $address")" 0
	check "answers came back to l7a's MAC address" at_least \
		"$(capture_count relay "ether src $(f8_mac l7b stage) and src host $address")" 2
	check "as counted on the wire" holds \
		"[ $(relay_frames l7a requests) -gt $sent ] && [ $(relay_frames l7b answers) -gt $answers ]"
done
check "nothing else passed between the two" equal \
	"$(relay_frames l7a strange) $(relay_frames l7b strange)" "0 0"
check "the matching table of l7b: that is l7a's MAC address" holds \
	"matching l7b from | tee /dev/stderr | jq -e -s --arg mac '$(f8_mac l7a stage)' \
		'length > 0 and all(.mac == \$mac and .member == \"l7a\")'"
check "and of l7a: that is l7b's" holds \
	"matching l7a to | tee /dev/stderr | jq -e -s --arg mac '$(f8_mac l7b stage)' \
		'length > 0 and all(.mac == \$mac)'"

title "cookies that nobody made"
before=$(relays_both)
good=$(token $jar_number)
other=A
[ "${good:20:1}" != A ] || other=B
for value in "${good:0:20}$other${good:21}" s4 s1 "${good}x"; do
	check "eight requests are answered" holds "for i in {1..8}; do
		get $VIP name -H 'Cookie: SRV=$value' || return 1; done"
done
check "none was relayed" relays_are "$before"

title "load"
for address in $VIP $VIP6; do
	for server in s4 s1; do
		must "a client of $server" jar_of $server $address
		before=$(relays_both)
		check "20 clients at once, 1 MB and less, both ways, by hash" with_cookie load $address \
			-clients 20 -requests 6 -size 1000000 -send 5
		check "many were relayed" at_least $(($(relays_both) - before)) 30
		check "WebSocket, four times" holds "for i in 1 2 3 4; do
			equal \"\$(with_cookie ws $address 80 /app/ws 20)\" $server || return 1; done"
		check "20 MB twice, every byte the same" holds "
			get_file big $address -b 'SRV=$(token $jar_number)' &&
			get_file big $address -b 'SRV=$(token $jar_number)'"
	done
done
before=$(f8_syns) relayed=$(relays_both)
opened=$(($(relay_of l7a l7b to.connections_opened) + $(relay_of l7b l7a to.connections_opened)))
check "1200 requests of 30 clients, each on a new connection" with_cookie load $VIP -clients 30 \
	-requests 40 -per 1
made=$(($(f8_syns) - before))
opened=$(($(relay_of l7a l7b to.connections_opened) + $(relay_of l7b l7a to.connections_opened) - opened))
relayed=$(($(relays_both) - relayed))
note "$made connections to servers; $relayed requests relayed on $opened connections"
check "on few connections to servers" at_most $made 200
check "and relays are used again" at_most $((opened * 3)) $relayed

title "files, by l4/2 and l4/3"
for address in $VIP $VIP6; do
	check "s5 and s6 answer" equal "$(for i in {1..6}; do
		run_in client curl -s -m 5 "$(url $address name http 8080)"; done | sort -u | tr '\n' ' ')" \
		"s5 s6 "
	check "20 MB, every byte the same" holds "run_in client curl -s -m 60 \
		'$(url $address files/big http 8080)' | sha256sum | cmp - '$LAB_DIR/web/big.sum'"
done
check "no answer passed inner" equal "$(link_count inner.back tx answers)" 0
check "no packet came to a firewall that did not know it" fw_none_wrong

title "a server of the far side is drained, and killed"
must "a client of s4" jar_of s4 $VIP
check "drain s4" ctl l7b drain s4
check "its client stays, by either way in" holds "
	for i in 1 2 3 4; do answered_by s4 $VIP $jar_number || return 1; done"
check "until its time is over" wait_for 10 "! answered_by s4 $VIP $jar_number"
check "undrain" ctl l7b undrain s4
must "a client of s4" jar_of s4 $VIP
must "s4 is killed" f8_server_kill s4
check "its client is answered by another at once, by either way in" holds "
	for i in 1 2 3 4; do
		jar $jar_number $VIP name | tee /dev/stderr | grep -q 's[1235]' || return 1
	done"
check "found to be down" wait_for 5 "[ \$(target_state l7b s4) = down ]"
must "it comes back" f8_server_start s4
check "found to be up" wait_for 5 "[ \$(target_state l7b s4) = up ]"

title "the far side is killed in the middle"
must "a client of s4" jar_of s4 $VIP
start_in client far "$PYTHON" "$L7_TOOLS/http_load.py" $VIP -clients 16 -requests 40 -size 1000000 -per 2 \
	-may 502 503 504 -broken 400 -pause 5
HTTP_COOKIE=SRV=$(token $jar_number) start_in client far2 "$PYTHON" "$L7_TOOLS/http_load.py" $VIP \
	-clients 16 -requests 40 -size 1000000 -per 1 -may 502 503 504 -broken 640 -pause 5
before=$(relays_both)
wait_for 10 "[ \$(relays_both) -ge $((before + 30)) ]"
stop l7b KILL
check "inner notices" wait_for 5 "[ \$(target_state inner l7b) = down ]"
check "s4's client has another server" wait_for 5 "answered_by s1 $VIP $jar_number ||
	answered_by s2 $VIP $jar_number || answered_by s3 $VIP $jar_number"
check "and stays there" holds "server=\$(jar $jar_number $VIP name)
	for i in 1 2 3; do answered_by \$server $VIP $jar_number || return 1; done"
for name in far far2; do
	check "connections that have lost their end are reset: nobody waits for long ($name)" \
		wait_for 20 "! running $name"
	wait "${lab_pid[$name]}"
	check "requests under way: no byte that is wrong ($name)" equal $? 0
	tail -n 1 "$LAB_DIR/$name.log" | cut -c1-200 | indent
done
check "no relay is left at l7a" wait_for 15 "[ -z \"\$(matching l7a to | grep '\"open\"')\" ]"
must "l7b starts again" f8_start_only l7b
check "inner knows" wait_for 5 "[ \$(target_state inner l7b) = up ]"
must "a client of s4" jar_of s4 $VIP
before=$(relay_of l7a l7b to.requests)
check "relays work again" holds "
	for i in {1..6}; do answered_by s4 $VIP $jar_number || return 1; done
	[ \$(relay_of l7a l7b to.requests) -gt $before ]"

title "the near side is killed"
HTTP_COOKIE=SRV=$(token $jar_number) start_in client near "$PYTHON" "$L7_TOOLS/http_load.py" $VIP \
	-clients 16 -requests 40 -size 1000000 -per 1 -may 502 503 504 -broken 640 -pause 5
before=$(relays_both)
wait_for 10 "[ \$(relays_both) -ge $((before + 30)) ]"
stop l7a KILL
check "inner notices" wait_for 5 "[ \$(target_state inner l7a) = down ]"
check "its clients are served" wait_for 5 "answered_by s4 $VIP $jar_number"
check "l7b forgets what l7a relayed" wait_for 15 "[ -z \"\$(matching l7b from | grep '\"open\"')\" ]"
check "nobody waits for long" wait_for 20 "! running near"
wait "${lab_pid[near]}"
check "requests under way: no byte that is wrong" equal $? 0
tail -n 1 "$LAB_DIR/near.log" | cut -c1-200 | indent
must "l7a starts again" f8_start_only l7a
check "inner knows" wait_for 5 "[ \$(target_state inner l7a) = up ]"
check "relays work again" wait_for 10 "answered_by s4 $VIP $jar_number &&
	[ \$(relay_of l7a l7b to.requests) -gt 0 ]"
check "no server's or firewall's link has carried a stamp" equal \
	"$(stamps_on s1.farm-a s4.farm-b s5.farm-c fw1.back fw2.back fw3.back client.eth0)" 0

title "past the first stage, through all of this"
check "no answer came to inner" equal "$(link_count inner.stage rx answers)" 0
check "nor was any sent by it, but resets to clients of a stage that was killed" equal \
	"$(relay_frames inner answers)" 0
check "nothing but relays passed between l7a and l7b" equal \
	"$(relay_frames l7a strange) $(relay_frames l7b strange)" "0 0"

title "the end"
check "they end cleanly" dp_end
finish
