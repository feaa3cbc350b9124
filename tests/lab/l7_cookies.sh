#!/bin/bash
# l7_cookies.sh - cookies that name their server, and what becomes of clients when servers are
# drained, die and come back, when the configuration changes and when the daemon is killed; the
# access log; what fwclusterctl shows of it. l7_servers.sh has servers and services; one node, box.
#
# proves: HD-8 HD-17 HD-24
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"

mkdir -p "$LAB_DIR/jars"
# jar N ADDRESS PATH [CURL OPTION...]: a client with a cookie jar, of address 198.51.100.(100 + N).
jar() {
	local n=$1 address=$2 path=$3
	shift 3
	get "$address" "$path" -b "$LAB_DIR/jars/$n" -c "$LAB_DIR/jars/$n" \
		--interface "198.51.100.$((100 + n))" "$@"
}
# jars_ask ADDRESS PATH N...: "N SERVER" for each jar.
jars_ask() {
	local address=$1 path=$2 n
	shift 2
	for n in "$@"; do
		echo "$n $(jar "$n" "$address" "$path")"
	done
}
jars_forget() { rm -f "$LAB_DIR/jars/"*; }
token() { awk '$6 == "'"${2:-SRV}"'" { print $7 }' "$LAB_DIR/jars/$1"; }
cookie() { # SERVICE VERDICT
	l7_of "$1" "cookie_$2"
}
# log_says PATTERN FILTER: the line that holds the pattern comes, and jq's filter is true of it.
log_says() {
	wait_for 3 "grep -- '$1' '$LAB_DIR/access.log' >'$LAB_DIR/line'" || return 1
	cat "$LAB_DIR/line"
	[ -s "$LAB_DIR/line" ] && jq -e "$2" "$LAB_DIR/line"
}

title "one node in front of nginx, lighttpd and http_app.py"
l7_balancer
must "servers run" l7_servers_start
farm_file big 50
l7_text "$(l7_services)"
must "the node starts" dp_start box
must "all servers are found well" wait_for 10 "targets_up box 12"

title "a cookie of the dispatcher's own"
all=({0..19})
first=$(jars_ask $VIP name "${all[@]}")
check "20 clients are spread over the servers" equal \
	"$(cut -d' ' -f2 <<<"$first" | sort -u | tr '\n' ' ')" "web1 web2 web3 "
check "each was given a cookie" equal "$(cookie web made)" 20
for i in 1 2 3; do
	check "and stays at its server" equal "$(jars_ask $VIP name "${all[@]}")" "$first"
done
check "as counted" equal "$(cookie web valid)" 60
check "no other was made" equal "$(cookie web made)" 20
check "from another address it is the same" equal "$(jar 0 $VIP name --interface 198.51.100.131)" \
	"$(sed -n 's/^0 //p' <<<"$first")"
words=()
for n in 0 1 2 3 4 5; do
	words+=(${words:+--next} -s -m 5 -H "Cookie: SRV=$(token $n)" "$(url $VIP name)")
done
check "on one connection, requests with different cookies go to different servers" equal \
	"$(run_in client curl "${words[@]}" | tr '\n' ' ')" \
	"$(sed -n '1,6s/^[0-9]* //p' <<<"$first" | tr '\n' ' ')"
check "the cookie says nothing of the server" not holds \
	"token 0 | tr '_-' '/+' | base64 -d 2>/dev/null | grep -aE 'www|web|10\.4'"
check "and looks different for clients of the same server" equal \
	"$(for n in "${all[@]}"; do token "$n"; done | sort -u | wc -l)" 20
for server in web1 web2; do
	n=$(awk -v s=$server '$2 == s { print $1; exit }' <<<"$first")
	check "$server does not see it, and sees the others" holds "
		jar $n $VIP seen -H 'Cookie: mine=1; SRV=$(token "$n"); yours=2' | tee /dev/stderr |
			grep -E '^$server .* cookie=mine=1; yours=2 '"
done

title "cookies that nobody made so"
absent=$(cookie web absent) forged=$(cookie web forged)
good=$(token 0)
bent() { # POSITION: with one character changed
	local c=${good:$1:1} other=A
	[ "$c" != A ] || other=B
	echo "${good:0:$1}$other${good:$(($1 + 1))}"
}
n=0
for value in "$(bent 5)" "$(bent 20)" "$(bent 40)" "${good:0:43}" "${good}x" www1 "$(token 1 | cut -c1-22)${good:22}" \
	"$(printf 'x%.0s' {1..3000})"; do
	n=$((n + 1))
	run_in client curl -s -m 5 -D "$LAB_DIR/out" -o /dev/null -H "Cookie: SRV=$value" "$(url $VIP name)"
	check "shape $n: answered, with another cookie" holds \
		"grep -q '^HTTP/1.1 200' '$LAB_DIR/out' && grep -i '^set-cookie: SRV=' '$LAB_DIR/out'"
done
check "each is counted as forged" equal "$(($(cookie web forged) - forged))" $n
check "none at all is counted as absent" holds "
	get $VIP name >/dev/null && equal \$((\$(cookie web absent) - $absent)) 1"
check "the cookie of one service is none for another" holds "
	forged=\$(cookie prefix/app forged)
	get $(vip 3) app/name -H 'Cookie: SESSION=$good~x' >/dev/null
	equal \$((\$(cookie prefix/app forged) - forged)) 1"
check "of two, the right one counts" equal \
	"$(get $VIP name -H "Cookie: SRV=$(bent 9); SRV=$good")" "$(sed -n 's/^0 //p' <<<"$first")"

title "a token before the server's own cookie"
for n in 0 1 2 3 4 5; do
	jar $n "$(vip 3)" "app/cookie/value$n" >"$LAB_DIR/out.$n"
done
check "the client's cookie has it" holds "token 0 SESSION | tee /dev/stderr | grep -E '^[A-Za-z0-9_-]{44}~value0\$'"
check "each client's requests stay at the server that made its cookie" holds '
	for n in 0 1 2 3 4 5; do
		[ -s "$LAB_DIR/out.$n" ] || return 1
		for i in 1 2 3; do
			equal "$(jar $n "$(vip 3)" app/name)" "$(cat "$LAB_DIR/out.$n")" || return 1
		done
	done'
check "which sees it as it made it" holds "jar 3 $(vip 3) app/head | tee /dev/stderr | grep -i '^cookie: SESSION=value3'"

title "the server's own cookie says who it is"
jars_forget
for n in 0 1 2 3 4 5; do
	jar $n "$(vip 2)" login >"$LAB_DIR/out.$n" 2>/dev/null
done
check "each client's requests stay at the server that made its cookie" holds '
	kept=0
	for n in 0 1 2 3 4 5; do
		[ -n "$(token $n SESSION)" ] || continue # lighttpd makes none
		kept=$((kept + 1))
		for i in 1 2 3; do
			equal "$(jar $n "$(vip 2)" name)" "$(cat "$LAB_DIR/out.$n")" || return 1
		done
	done
	equal $kept 4'
check "the cookie is as the server made it" holds "cat '$LAB_DIR'/jars/* | grep -E 's1234\.www[12]'"

title "a server is drained"
jars_forget
first=$(jars_ask $VIP name "${all[@]}")
of_web1=($(awk '$2 == "web1" { print $1 }' <<<"$first"))
others=($(awk '$2 != "web1" { print $1 }' <<<"$first"))
note "clients of web1: ${of_web1[*]}"
check "drain www1" ctl box drain www1
check "nobody new comes to web1" equal "$(names $VIP name 12)" "web2 web3 "
check "its clients stay" equal "$(jars_ask $VIP name "${of_web1[@]}" | cut -d' ' -f2 | sort -u)" web1
check "for the time that was configured" wait_for 15 "[ \$(jar ${of_web1[0]} $VIP name) != web1 ]"
check "then all of them move" holds "
	jars_ask $VIP name ${of_web1[*]} >'$LAB_DIR/out' && not grep -q web1 '$LAB_DIR/out'"
check "as counted" at_least "$(cookie web moved)" ${#of_web1[@]}
check "the others stayed" equal "$(jars_ask $VIP name "${others[@]}")" \
	"$(awk '$2 != "web1"' <<<"$first")"
check "undrain www1" ctl box undrain www1
check "it is used again" wait_for 5 "names $VIP name 9 | grep -q web1"

title "a server dies"
jars_forget
first=$(jars_ask $VIP name "${all[@]}")
of_web2=($(awk '$2 == "web2" { print $1 }' <<<"$first"))
start_in client loading "$PYTHON" "$L7_TOOLS/http_load.py" "$(vip 1)" -clients 8 -requests 100 \
	-pause 20 -send 0 -may 502 503 504 -broken 8
wait_for 5 "[ \$(l7_at www2 requests) -gt 20 ]"
must "web2 is killed" l7_server_kill web2
check "its clients are served by others" holds "
	for n in ${of_web2[*]}; do
		jar \$n $VIP name -o '$LAB_DIR/out' --retry 2 --retry-delay 0 || return 1
		grep -qE 'web[13]' '$LAB_DIR/out' || return 1
	done"
check "found to be down" wait_for 10 "[ \$(target_state box www2) = down ]"
moved=$(jars_ask $VIP name "${of_web2[@]}")
check "they have new servers, and stay there" equal "$(jars_ask $VIP name "${of_web2[@]}")" "$moved"
check "the others stayed where they were" equal \
	"$(jars_ask $VIP name $(awk '$2 != "web2" { print $1 }' <<<"$first"))" "$(awk '$2 != "web2"' <<<"$first")"
check "a service whose only server is down says 503" equal \
	"$(run_in client curl -s -o /dev/null -w '%{http_code}' "$(url $VIP img/logo)")" 503
check "as counted" at_least "$(l7_of web/img unrouted)" 1
must "the server comes back" l7_server_start web2
check "found to be up" wait_for 10 "[ \$(target_state box www2) = up ]"
check "those who moved stay where they are" equal "$(jars_ask $VIP name "${of_web2[@]}")" "$moved"
wait "${lab_pid[loading]}"
status=$?
note "$(tail -n 1 "$LAB_DIR/loading.log")"
check "requests under way meanwhile: at most a few clean errors, nothing cut or mixed up" equal $status 0
check "few of them" holds "tail -n 1 '$LAB_DIR/loading.log' | jq -e '.worked >= 780'"

title "a server loses its power"
farm_die web1
check "found to be down" wait_for 10 "[ \$(target_state box www1) = down ]"
check "requests go on" holds "for i in 1 2 3 4 5 6; do get $VIP name -m 3 || return 1; done"
check "no connection to it is kept" wait_for 5 "[ \$(l7_at www1 connections_idle) = 0 ]"
farm_return web1 >/dev/null 2>&1
ip -n web1 route del default 2>/dev/null
ip -n web1 -6 route del default 2>/dev/null
check "found to be up" wait_for 10 "[ \$(target_state box www1) = up ]"

title "the configuration changes under load"
jars_forget
first=$(jars_ask $VIP name 0 1 2 3 4 5)
start_in client socket "$PYTHON" "$L7_TOOLS/http_ws.py" $VIP 80 /app/ws 5 12
start_in client slow_get curl -s -S --limit-rate 5M -m 60 -o "$LAB_DIR/slow.bin" "$(url "$(vip 1)" files/big)"
start_in client loading2 "$PYTHON" "$L7_TOOLS/http_load.py" $VIP -clients 8 -requests 100 -pause 20
check "a WebSocket is open" wait_for 5 "grep -q open '$LAB_DIR/socket.log'"
opened=$(l7_at www1 connections_opened)
L7_ROUTES=${L7_ROUTES/'targets = { "www2" } }'/'targets = { "www3" } }'}
L7_ROUTES+='
	route "new" { path = "/login" targets = { "www1" } }'
l7_text "$(l7_services)"
must "reload" dp_reload box
check "/img/ is web3's now, which has none" equal \
	"$(run_in client curl -s -o /dev/null -w '%{http_code}' "$(url $VIP img/x)")" 404
check "the new route works" equal "$(names $VIP login 6)" "web1 "
check "counters go on" at_least "$(l7_at www1 connections_opened)" "$opened"
check "clients stay at their servers" equal "$(jars_ask $VIP name 0 1 2 3 4 5)" "$first"
l7_text "$(l7_services | sed 's/path = "\/img"/path = "img"/')"
check "what cannot be is refused" not dp_reload box
check "and nothing has changed" equal "$(jars_ask $VIP name 0 1 2 3 4 5)" "$first"
l7_text "$(l7_services)"
check "reload" dp_reload box
wait "${lab_pid[loading2]}"
check "no request was lost" equal $? 0
wait "${lab_pid[slow_get]}"
check "the download went on" equal $? 0
check "and is right" holds "sha256sum <'$LAB_DIR/slow.bin' | cmp - '$LAB_DIR/web/big.sum'"
wait "${lab_pid[socket]}"
check "so did the WebSocket" equal $? 0

title "the access log"
check "200 requests" http load "$(vip 2)" -clients 8 -requests 25
logged() { grep -c '"service":"own/app"' "$LAB_DIR/access.log"; }
check "make 200 lines" wait_for 5 "[ \$(logged) -ge 200 ]"
check "not more" equal "$(logged)" 200
check "every line is JSON" jq -e . "$LAB_DIR/access.log"
jar 0 $VIP name -A 'a "browser"' -e 'http://from.example/' --interface 198.51.100.117 >/dev/null
check "one of them says all there is" log_says from.example '
	.status == 200 and .method == "GET" and (.client | tostring | test("198.51.100.117")) and
	.service == "web" and (.server | test("^www")) and .cookie == "valid"'
indent <"$LAB_DIR/line"
printf 'GET /twohosts HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n' | run_in client nc -w 3 $VIP 80 >/dev/null
check "what was refused is there, with its reason" log_says host-many '.status == 400'
mv "$LAB_DIR/access.log" "$LAB_DIR/access.log.1"
check "rotated: reload" dp_reload box
check "a request" get $VIP 'name?rotated'
check "is in the new file" log_says rotated '.status == 200'
L7_LOG=${L7_LOG/json/combined}
L7_LOG=${L7_LOG/access.log/combined.log}
l7_text "$(l7_services)"
check "reload: in the combined format, to another file" dp_reload box
run_in client curl -s -m 5 -o /dev/null --interface 198.51.100.118 -A 'a "browser"' \
	"$(url $VIP 'name?line')"
check "as web servers write it" wait_for 3 "grep -E '^198\.51\.100\.118 - - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \+0000\] \"GET /name\?line HTTP/1\.1\" 200 5 \"-\" \"a ' '$LAB_DIR/combined.log'"
run_in client "$PYTHON" -c "import socket
s = socket.create_connection(('$VIP', 80))
s.sendall(b'GET /x%22%0d%0aname HTTP/1.1\r\nHost: x\r\nUser-Agent: \x80\"\\\\\tq\r\nReferer: x\r\n\r\n')
s.recv(1)"
check "whatever a client sends, a line stays a line" wait_for 3 "grep -aF '/x%22%0d%0aname' '$LAB_DIR/combined.log' |
	grep -E '^[ -~]*\$'"

title "what fwclusterctl shows"
for what in services targets cookies; do
	check "show $what" ctl box show $what
	ctl box show $what | cut -c1-150 | head -n 14 | indent
done
check "services, as JSON" holds "json box show services | jq -e '
	[.services[] | select(.l7 != null)] | length >= 8 and all(.[]; .l7.requests >= 0)'"
check "targets, as JSON" holds "json box show targets | jq -e '
	all(.targets[]; .l7.connections_open >= .l7.connections_idle)'"
check "cookies, as JSON" holds "json box show cookies | jq -e '
	[.cookies[] | .service] | contains([\"web\", \"own\", \"prefix\"])'"
check "mean times make sense" holds "json box show services | jq -e '
	.services[] | select(.service == \"plain\") | .l7 |
	.us_total > .us_first_byte and .us_first_byte > 0'"
check "flows of the private stack are shown" holds "
	start_in client shown '$PYTHON' '$L7_TOOLS/http_slow.py' $VIP 1 idle 2
	wait_for 3 \"grep -q open '$LAB_DIR/shown.log'\"
	json box show flows dport 80 | jq -e '[.flows[] | select(.service == \"web\")] | length >= 1'"

title "the daemon is killed"
jars_forget
first=$(jars_ask $VIP name "${all[@]}")
start_in client held "$PYTHON" "$L7_TOOLS/http_slow.py" "$(vip 1)" 10 idle 3
wait_for 5 "grep -q open '$LAB_DIR/held.log'"
stop box KILL
must "it starts again" dp_start box
check "there is one device of the private stack" equal "$(l7_devices)" 1
must "all servers are found well" wait_for 10 "targets_up box 12"
check "cookies are as right as before" equal "$(jars_ask $VIP name "${all[@]}")" "$first"
check "it works as before" holds "http load $VIP -requests 5"
stop box KILL
must "killed once more, it starts again" dp_start box
check "there is one device of the private stack" equal "$(l7_devices)" 1

title "the end"
check "it ends cleanly" dp_end
check "the private stack's device is gone" equal "$(l7_devices)" 0
finish
