# shellcheck shell=bash
# l7_servers.sh - what stands behind a dispatcher by L7: on web1 and web2 nginx, on web3 lighttpd, on
# each tools/http_app.py; the services in front of them, and what is asked of these.
#
#   8080   /name, /files/…, and /app/… by http_app.py; nginx also /seen, /login, /img/
#   8081   nginx with PROXY protocol
#   8082   /health, for checks
#   443    nginx with TLS: web1 is a.example, web2 b.example
#   9000   http_app.py itself, 9001 its counts
#
# Services, each at the virtual address of that number:
#   0  web      cookie inserted, X-Forwarded-For, routes
#   0  tls      port 443, by server name
#   1  plain    round robin over the three servers
#   2  own      the server's own cookie         3  prefix   the same cookie with a token before it
#   4  proxied  PROXY protocol, Forwarded       5  app      http_app.py alone, four connections
#   6  hurry    http_app.py alone, one connection, a short queue

. "$LAB_TESTS/topo_sandwich.sh"

L7_TOOLS=$LAB_TESTS/tools
L7_CHECK='check = "http"
	check-port = 8082
	check-path = "/health"
	check-interval = "200ms"
	check-timeout = "1s"'
NODE=box # where the services by L7 are

# --- topology --------------------------------------------------------------------------------

# l7_balancer: one node, box, between clients and servers; no firewalls.
l7_balancer() {
	SW_BOX=1 SW_FWS=0 SW_SERVERS=3
	NODE=box
	sw_lay
	dp_names=(box)
	dp_ports[box]='outside'
	dp_port[box.outside]=${dp_port[outer.outside]}
	dp_address[box]=10.9.0.1
	net_address box cluster 10.9.0.1/24
	l7_plain_servers
}
l7_balancer_text() { # SERVICES
	dp_text[box]="
$sw_upstream
dispatcher \"alone\" {
	role = \"stage\"
	ports = { \"outside\" }
}
$1"
}

# l7_sandwich: stage-a behind outer, three firewalls and inner.
l7_sandwich() {
	SW_SERVERS=3 SW_STAGES=stage-a SW_CLUSTER=1 SW_MAC=1
	NODE=stage-a
	sw_lay
	l7_plain_servers
}
l7_sandwich_text() { # SERVICES
	local i all=
	for i in {0..6}; do
		all+="${all:+, }\"$(vip "$i")\", \"$(vip6 "$i")\""
	done
	sw_outer 'algorithm = "round-robin"'
	sw_inner 'algorithm = "round-robin"' "service \"all\" {
	addresses = { $all }
	protocol = \"tcp\"
	ports = { \"80\", \"443\" }
	technology = \"l4/2\"
	targets = { \"stage-a\" }
}
target \"stage-a\" { member = \"stage-a\" }"
	sw_stage_text stage-a '"inner"' '' "$1"
}

l7_text() { # SERVICES
	if [ "$NODE" = box ]; then
		l7_balancer_text "$1"
	else
		l7_sandwich_text "$1"
	fi
}

# These servers neither hold the virtual addresses nor have a way to the clients.
l7_plain_servers() {
	local name
	for name in web1 web2 web3; do
		ip -n $name addr flush dev lo
		ip -n $name addr add 127.0.0.1/8 dev lo
		ip -n $name -6 addr add ::1/128 dev lo
		ip -n $name route del default
		ip -n $name -6 route del default
	done
	l7_syns_count
}

# --- servers ---------------------------------------------------------------------------------

l7_certificate() { # NAME DNS_NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
		-subj "/CN=$2" -addext "subjectAltName = DNS:$2" \
		-keyout "$LAB_DIR/$1/tls.key" -out "$LAB_DIR/$1/tls.crt" \
		>"$LAB_DIR/openssl.out" 2>&1 || return 1
	cat "$LAB_DIR/$1/tls.crt" >>"$LAB_DIR/tls.crt"
}

l7_servers_start() {
	local name n
	mkdir -p "$LAB_DIR/web/files"
	head -c 100000 /dev/urandom >"$LAB_DIR/web/files/100k"
	for name in web1 web2 web3; do
		n=${name#web}
		mkdir -p "$LAB_DIR/$name/tmp" "$LAB_DIR/$name/www"
		echo "$name" >"$LAB_DIR/$name/www/name"
		echo well >"$LAB_DIR/$name/www/health"
		mkdir -p "$LAB_DIR/$name/www/files"
		cp "$LAB_DIR/web/files/100k" "$LAB_DIR/$name/www/files"
		start_in $name "app$n" "$PYTHON" "$L7_TOOLS/http_app.py" "app$n" 9000 -control 9001
	done
	l7_certificate web1 a.example && l7_certificate web2 b.example || return 1
	for name in web1 web2; do
		farm_fill l7_nginx.conf $name
		sed -i "s|@TARGET@|www${name#web}|" "$LAB_DIR/$name/l7_nginx.conf"
	done
	farm_fill l7_lighttpd.conf web3
	for name in web1 web2 web3; do
		l7_server_start $name || return 1
		wait_for 10 "grep -q ready '$LAB_DIR/app${name#web}.log'" || return 1
	done
}
l7_server_start() { # NAME: its web server
	case $1 in
	web3) start_in web3 web3.lighttpd lighttpd -D -f "$LAB_DIR/web3/l7_lighttpd.conf" ;;
	*)
		start_in "$1" "$1.nginx" nginx -p "$LAB_DIR/$1" -c "$LAB_DIR/$1/l7_nginx.conf" \
			-g "pid nginx.pid; user root;"
		;;
	esac
	wait_for 10 "[ \$(run_in $1 curl -s http://127.0.0.1:8080/name) = $1 ]"
}
# l7_server_kill NAME: nginx's master, and its worker, which would outlive it.
l7_server_kill() {
	local worker
	worker=$(pgrep -P "${lab_pid[$1.nginx]}") || return 1
	stop "$1.nginx" KILL
	kill -KILL $worker
	wait_for 2 "! run_in $1 curl -s -m 1 -o /dev/null http://127.0.0.1:8080/name"
}
# app_counts N: what http_app.py on webN has counted; its peaks begin anew.
app_counts() { echo | run_in "web$1" nc -N 127.0.0.1 9001; }
app_count() { app_counts "$1" | jq ".$2"; }

# Connections opened to the servers, seen on their links.
l7_syns_count() {
	local name port
	for name in web1 web2 web3; do
		echo "table netdev l7 {"
		for port in 443 8080 8081 9000; do
			echo "	counter $name.$port { }"
		done
		echo "	chain $name { type filter hook egress device \"$name.farm\" priority 0;"
		for port in 443 8080 8081 9000; do
			echo "	tcp dport $port tcp flags & (syn | ack) == syn counter name $name.$port"
		done
		echo "	}"
		echo "}"
	done | run_in switch nft -f -
}
l7_syns() { # SERVER.PORT...: their sum
	local name sum=0
	for name in "$@"; do
		sum=$((sum + $(run_in switch nft -j list counter netdev l7 "$name" |
			jq '.nftables[] | .counter? // empty | .packets')))
	done
	echo $sum
}

# --- services --------------------------------------------------------------------------------

# l7_service NAME VIP TARGETS [MORE]
l7_service() {
	echo "service \"$1\" {
	addresses = { \"$(vip "$2")\", \"$(vip6 "$2")\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	technology = \"l7/3\"
	algorithm = \"round-robin\"
	targets = { $3 }
	${4:-}
}"
}
l7_target() { # NAME WEB PORT [MORE]
	echo "target \"$1\" {
	addresses = { \"10.4.0.1$2\", \"fd00:4::1$2\" }
	port = $3
	${4:-}
}"
}
L7_ALL='"www1", "www2", "www3"'
L7_ROUTES='
	route "img" { path = "/img" targets = { "www2" } }
	route "app" { path = "/app" targets = { "app1", "app2" } algorithm = "round-robin" }
	route "host" { host = "*.two.example" targets = { "www2" } }
	route "delete" { method = "DELETE" targets = { "app1" } }
	route "canary" { header = "X-Canary" header-value = "yes" targets = { "www1" } }
	route "beta" { cookie = "beta" targets = { "app2" } }'
L7_LOG='l7 {
	access-log = "json"
	access-log-file = "@DIR@/access.log"
}'
l7_services() {
	l7_service web 0 "$L7_ALL" "cookie = \"insert\"
	cookie-name = \"SRV\"
	cookie-drain = \"4s\"
	forwarded = \"x-forwarded-for\"
	head-timeout = \"3s\"
	${L7_WEB:-}
	$L7_ROUTES"
	cat <<-END
		service "tls" {
			addresses = { "$VIP", "$VIP6" }
			protocol = "tcp"
			ports = { "443" }
			technology = "l7/3"
			content = "tls"
			targets = { "tls2" }
			route "a" { host = "a.example" targets = { "tls1" } }
			route "b" { host = "b.example" targets = { "tls2" } }
		}
	END
	l7_service plain 1 "$L7_ALL"
	l7_service own 2 "$L7_ALL" 'cookie = "own"
	cookie-name = "SESSION"
	cookie-pattern = "*.%"
	route "app" { path = "/app" targets = { "app1", "app2", "app3" } }'
	l7_service prefix 3 "$L7_ALL" 'cookie = "prefix"
	cookie-name = "SESSION"
	route "app" { path = "/app" targets = { "app1", "app2", "app3" } algorithm = "round-robin" }'
	l7_service proxied 4 '"proxy1", "proxy2"' 'proxy-protocol = true
	forwarded = "forwarded"'
	l7_service app 5 '"four"' 'head-timeout = "3s"'
	l7_service hurry 6 '"one"' 'max-queue = 2
	queue-timeout = "1s"'
	l7_target www1 1 8080 "$L7_CHECK"
	l7_target www2 2 8080 "$L7_CHECK"
	l7_target www3 3 8080 "$L7_CHECK"
	l7_target tls1 1 443 "$L7_CHECK"
	l7_target tls2 2 443 "$L7_CHECK"
	l7_target proxy1 1 8081 "$L7_CHECK"
	l7_target proxy2 2 8081 "$L7_CHECK"
	l7_target app1 1 9000
	l7_target app2 2 9000
	l7_target app3 3 9000
	l7_target four 2 9000 'max-connections = 4'
	l7_target one 2 9000 'max-connections = 1'
	echo "${L7_LOG//@DIR@/$LAB_DIR}"
}

# --- questions -------------------------------------------------------------------------------

# l7_of SERVICE FIELD, l7_at TARGET FIELD: counters; -1 when there is none of that name.
l7_of() {
	json "$NODE" show services | jq --arg s "$1" --arg f "$2" \
		'.services[] | select(.service == $s) | .l7[$f] // -1'
}
l7_at() {
	json "$NODE" show targets | jq --arg t "$1" --arg f "$2" \
		'.targets[] | select(.target == $t) | .l7[$f] // -1'
}
l7_devices() { ip -n "$(dp_host "$NODE")" -j link show | jq '[.[] | select(.ifname | test("^fwc-"))] | length'; }

# http TOOL ARGUMENT...: a tool at the client.
http() {
	local tool=$1
	shift
	run_in client "$PYTHON" "$L7_TOOLS/http_$tool.py" "$@"
}
# names ADDRESS PATH COUNT [CURL OPTION...]: who answers so many requests, sorted, each once.
names() {
	local address=$1 path=$2 count=$3 i
	shift 3
	for ((i = 0; i < count; i++)); do
		get "$address" "$path" "$@" || return 1
	done | sort -u | tr '\n' ' '
}
