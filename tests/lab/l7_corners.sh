#!/bin/bash
# l7_corners.sh - corners of HTTP against real programs: requests and responses that are malformed or
# odd, through fwclusterd and, beside it, through nginx and HAProxy; scripts of varnishtest; and
# clients that load pages as browsers do. doc/l7-corners.md has what came of the first.
#
#   client ── outside ── [ box ] ── farm ── web1, web2: nginx, http_app.py
#                │                   │
#                └───── corner ──────┘
#
# corner is on both sides: http_corpus.py and varnishtest are client and server at once there, and
# nginx and HAProxy stand between other ports of it.
#
# proves: HD-8 HD-16
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/l7_servers.sh"

CORNERS=$LAB_TESTS/corners
DOC=$LAB_TOP/doc/l7-corners.md
CORNER=10.4.0.30 # where the servers of corner listen

corners_fill() { # FILE [NAME]: a configuration from its model
	sed -e "s|@DIR@|$LAB_DIR|g" -e "s|@NAME@|${2:-}|g" "$CORNERS/$1.in"
}
recorder() { # NAME PORT
	start_in corner "recorder.$1" "$PYTHON" "$L7_TOOLS/http_recorder.py" "$2" "$LAB_DIR/$1.seen" \
		"$CORNERS/responses.txt"
	wait_for 10 "grep -q ready '$LAB_DIR/recorder.$1.log'"
}
corners_servers() {
	local name
	recorder fwclusterd 9101 && recorder nginx 9102 && recorder HAProxy 9103 &&
		recorder straight 9104 && recorder pieces 9105 || return 1
	mkdir -p "$LAB_DIR/nginx/tmp"
	corners_fill nginx.conf >"$LAB_DIR/nginx/nginx.conf"
	corners_fill haproxy.cfg >"$LAB_DIR/haproxy.cfg"
	start_in corner nginx nginx -p "$LAB_DIR/nginx" -c "$LAB_DIR/nginx/nginx.conf" -g "user root;"
	start_in corner haproxy haproxy -db -f "$LAB_DIR/haproxy.cfg"
	"$PYTHON" "$L7_TOOLS/http_browser.py" make "$LAB_DIR/site" || return 1
	for name in web1 web2; do
		mkdir -p "$LAB_DIR/$name/tmp"
		corners_fill site_nginx.conf "$name" >"$LAB_DIR/$name/site.conf"
		start_in "$name" "$name.nginx" nginx -p "$LAB_DIR/$name" -c "$LAB_DIR/$name/site.conf" \
			-g "user root;"
		start_in "$name" "$name.app" "$PYTHON" "$L7_TOOLS/http_app.py" "$name" 9000
		wait_for 10 "grep -q ready '$LAB_DIR/$name.app.log'" || return 1
		wait_for 10 "run_in $name curl -sf -o /dev/null http://127.0.0.1:8090/page.json" || return 1
	done
	wait_for 10 "run_in corner curl -sf -o /dev/null http://127.0.0.1:8102/" &&
		wait_for 10 "run_in corner curl -sf -o /dev/null http://127.0.0.1:8103/"
}
corners_text() {
	local short='head-timeout = "2s"
	client-timeout = "2s"
	server-timeout = "2s"'
	l7_service corpus 0 '"recorder"' "$short"
	l7_service pieces 4 '"in_pieces"' "$short"
	l7_service scripts 1 '"scripts"'
	l7_service one 2 '"site1", "site2"' 'cookie = "insert"
	cookie-name = "ONE"'
	l7_service two 3 '"site1", "site2"' 'cookie = "insert"
	cookie-name = "TWO"
	forwarded = "x-forwarded-for"'
	l7_target site1 1 8090
	l7_target site2 2 8090
	corner_target recorder 9101
	corner_target in_pieces 9105
	corner_target scripts 9106
}
corner_target() { # NAME PORT
	echo "target \"$1\" {
	addresses = { \"$CORNER\" }
	port = $2
}"
}
corpus() { run_in corner "$PYTHON" "$L7_TOOLS/http_corpus.py" "$@"; }
checked() { # TEXT FILE WHAT
	LAB_TAIL=40 check "$1" "$PYTHON" "$L7_TOOLS/http_corpus.py" check "$LAB_DIR/$2.json" "$3"
}

title "one node in front of recorders, web servers and scripts; nginx and HAProxy beside it"
l7_balancer
net_host corner
net_plug corner outside outside 198.51.100.140/24
net_plug corner farm farm $CORNER/24
must "servers run" corners_servers
l7_text "$(corners_text)"
must "the node starts" dp_start box
must "all targets are there" wait_for 10 "targets_up box 5"

title "requests"
must "every case is sent to all of them" corpus requests "$CORNERS/requests.txt" "$LAB_DIR/requests.json" \
	"fwclusterd=$(vip 0):80:$LAB_DIR/fwclusterd.seen" "nginx=127.0.0.1:8102:$LAB_DIR/nginx.seen" \
	"HAProxy=127.0.0.1:8103:$LAB_DIR/HAProxy.seen" "straight=127.0.0.1:9104:$LAB_DIR/straight.seen" \
	"pieces=$(vip 4):80:$LAB_DIR/pieces.seen"
indent <"$LAB_DIR/check.out"
checked "without a gateway all arrives as it was written" requests straight
checked "what nginx or HAProxy refuse for its framing is not passed" requests refused
checked "no request becomes two, nor two one, whoever reads" requests split
checked "what is well formed is answered, and arrives as it was meant" requests fine
checked "nothing that was about one connection goes to the next" requests hops
checked "the next client gets its own answer" requests next
checked "however the bytes are cut" requests pieces
checked "doc/l7-corners.md says so" requests "doc=$DOC"

title "responses"
must "every case is answered to all three" corpus responses "$CORNERS/responses.txt" \
	"$LAB_DIR/responses.json" \
	"fwclusterd=$(vip 0):80:$LAB_DIR/fwclusterd.seen:127.0.0.1:9101" \
	"nginx=127.0.0.1:8102:$LAB_DIR/nginx.seen:127.0.0.1:9102" \
	"HAProxy=127.0.0.1:8103:$LAB_DIR/HAProxy.seen:127.0.0.1:9103"
indent <"$LAB_DIR/check.out"
checked "a client gets what is right, and of the rest nothing that looks whole" responses whole
checked "the next client gets its own answer" responses next
checked "a connection in doubt is not used again" responses reuse
checked "doc/l7-corners.md says so" responses "doc=$DOC"

title "scripts of varnishtest"
script() { # NAME
	TMPDIR=$LAB_DIR run_in corner varnishtest -t 20 -D "vip=$(vip 1) 80" -D "at=$CORNER 9106" \
		"$CORNERS/$1.vtc"
}
for file in "$CORNERS"/*.vtc; do
	LAB_TAIL=40 check "$(sed -n 's/^vtest "\(.*\)"$/\1/p' "$file")" script "$(basename "$file" .vtc)"
done

title "browsers"
check "eight at once, through two services" http browser load 8 "$(vip 2)" "$(vip 3)"
indent <"$LAB_DIR/check.out"

title "the end"
check "it ends cleanly" dp_end
finish
