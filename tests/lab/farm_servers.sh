# shellcheck shell=bash
# farm_servers.sh - the same real servers on several hosts, each of which says its own name: nginx
# with HTTP and TLS, vsftpd, dnsmasq, UDP and TCP echo, iperf3; and what clients do with them.
#
#   http://…/name        NAME           on ports 80, 443 (TLS) and 8080
#   http://…/who         NAME, the address and port the request came from, and where to
#   http://…/health      200, or 503 while $LAB_DIR/NAME/sick exists
#   ftp://…/name         NAME (its banner says it, too); ftp://…/up/ takes files
#   name.example TXT     NAME
#   TCP port 7, UDP port 7007   echo

FARM=$LAB_TESTS/servers

farm_certificate() {
	[ -s "$LAB_DIR/farm.crt" ] && return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
		-subj /CN=web.example -addext 'subjectAltName = DNS:web.example' \
		-keyout "$LAB_DIR/farm.key" -out "$LAB_DIR/farm.crt" >"$LAB_DIR/openssl.out" 2>&1
}

# farm_fill FILE NAME: a server's configuration from its model.
farm_fill() {
	sed -e "s|@NAME@|$2|g" -e "s|@DIR@|$LAB_DIR|g" -e "s|@VIP@|$VIP|g" \
		-e "s|@VIP6@|$VIP6|g" "$FARM/$1.in" >"$LAB_DIR/$2/$1"
}

farm_start() { # NAME...: all servers on these hosts
	local name
	farm_certificate || return 1
	mkdir -p "$LAB_DIR/web/files" "$LAB_DIR/empty"
	chmod 755 "$LAB_DIR" "$LAB_DIR/web" "$LAB_DIR/web/files" "$LAB_DIR/empty"
	for name in "$@"; do
		mkdir -p "$LAB_DIR/$name/tmp" "$LAB_DIR/$name/ftp/up"
		chmod 755 "$LAB_DIR/$name" "$LAB_DIR/$name/ftp"
		chmod 777 "$LAB_DIR/$name/ftp/up"
		echo "$name" >"$LAB_DIR/$name/ftp/name"
		farm_fill farm_nginx.conf "$name"
		farm_fill farm_vsftpd.conf "$name"
		farm_fill farm_dnsmasq.conf "$name"
		chmod 644 "$LAB_DIR/$name/"*.conf
		farm_nginx "$name"
		start_in "$name" "$name.ftp" vsftpd "$LAB_DIR/$name/farm_vsftpd.conf"
		start_in "$name" "$name.dns" dnsmasq --conf-file="$LAB_DIR/$name/farm_dnsmasq.conf" \
			--pid-file=
		start_in "$name" "$name.echo" "$PYTHON" "$LAB_TESTS/tools/udp_echo.py" 7007
		start_in "$name" "$name.tcp_echo" "$PYTHON" "$LAB_TESTS/tools/tcp_echo.py" 7
		start_in "$name" "$name.iperf3" iperf3 -s
	done
	for name in "$@"; do
		farm_ready "$name" || return 1
	done
}
farm_nginx() { # NAME
	start_in "$1" "$1.nginx" nginx -p "$LAB_DIR/$1" -c "$LAB_DIR/$1/farm_nginx.conf" \
		-g "pid nginx.pid; user root;"
}
farm_ready() { # NAME
	wait_for 10 "[ \$(run_in $1 curl -s http://127.0.0.1/name) = $1 ]" &&
		wait_for 10 "run_in $1 ss -lntH sport = :21 | grep -q ." &&
		wait_for 10 "run_in $1 ss -lntH sport = :5201 | grep -q ." &&
		wait_for 10 "run_in $1 ss -lnuH sport = :53 | grep -q ." &&
		wait_for 10 "grep -q ready '$LAB_DIR/$1.echo.log'" &&
		wait_for 10 "grep -q ready '$LAB_DIR/$1.tcp_echo.log'"
}
# farm_die NAME, farm_return NAME: the whole host loses its power; its connections are gone.
farm_die() { ip -n "$1" link set farm down; }
farm_return() {
	local n=${2:-254} number
	number=$((10 + ${1#web}))
	ip -n "$1" link set farm up
	net_address "$1" farm "fd00:4::$number/64" 2>/dev/null
	sw_gateway "$1" "$n"
}

# farm_file NAME MEGABYTES: a file of random bytes that all servers have.
farm_file() {
	head -c "$2"M /dev/urandom >"$LAB_DIR/web/files/$1"
	sha256sum <"$LAB_DIR/web/files/$1" >"$LAB_DIR/web/$1.sum"
}

# --- clients ---------------------------------------------------------------------------------

# url ADDRESS PATH [SCHEME [PORT]]
url() {
	local host=$1
	[[ $1 == *:* ]] && host="[$1]"
	echo "${3:-http}://$host${4:+:$4}/$2"
}

# get ADDRESS PATH [CURL OPTION...]: from the client.
get() {
	local address=$1 path=$2
	shift 2
	run_in client curl -s -S --fail -m "${LAB_FETCH:-10}" "$@" "$(url "$address" "$path")"
}
# get_tls ADDRESS PATH [CURL OPTION...]: the certificate is checked.
get_tls() {
	local address=$1 path=$2
	shift 2
	[[ $address == *:* ]] && address="[$address]"
	run_in client curl -s -S --fail -m 10 --cacert "$LAB_DIR/farm.crt" \
		--connect-to "web.example:443:$address:443" "$@" "https://web.example/$path"
}
# get_file NAME ADDRESS [CURL OPTION...]: a download, compared by its hash.
get_file() {
	local name=$1 address=$2
	shift 2
	LAB_FETCH=${LAB_FETCH:-90} get "$address" "files/$name" "$@" | sha256sum |
		cmp - "$LAB_DIR/web/$name.sum"
}

# many ADDRESS COUNT [WORD...]: COUNT requests from each of the client's addresses (tools/many.py);
# what they found is said as JSON and kept in $LAB_DIR/many.json.
many() {
	run_in client "$PYTHON" "$LAB_TESTS/tools/many.py" "$@" >"$LAB_DIR/many.json"
	local status=$?
	cat "$LAB_DIR/many.json"
	return $status
}
# many_by SERVER: how many of them it answered; many_servers: how many servers answered.
many_by() { jq --arg s "$1" '.servers[$s] // 0' "$LAB_DIR/many.json"; }
many_servers() { jq '.servers | length' "$LAB_DIR/many.json"; }

ask() { run_in client "$PYTHON" "$LAB_TESTS/tools/udp_ask.py" "$@"; }
# dns ADDRESS [DIG OPTION...]: the name of the server that answers.
dns() {
	local address=$1
	shift
	run_in client dig +short +time=3 +tries=1 "$@" "@$address" name.example TXT | tr -d '"'
}
# ftp ADDRESS [CURL OPTION...]: which server sent the file; its banner must name the same one.
ftp() {
	local address=$1 name banner
	shift
	name=$(run_in client curl -s -S -v -m 20 "$@" "$(url "$address" name ftp)" 2>"$LAB_DIR/ftp.out") || {
		cat "$LAB_DIR/ftp.out"
		return 1
	}
	banner=$(sed -n 's/^< 220 \([a-z0-9]*\).*/\1/p' "$LAB_DIR/ftp.out" | head -n 1)
	[ -n "$name" ] && [ "$name" = "$banner" ] || {
		echo "banner of '$banner', data of '$name'"
		return 1
	}
	echo "$name"
}
# drip_start NAME ADDRESS [SOURCE_PORT [SOURCE_ADDRESS]]: a connection that says something every 20 ms.
drip_start() {
	rm -f "$LAB_DIR/$1.drip"
	start_in client "$1" "$PYTHON" "$LAB_TESTS/tools/tcp_drip.py" "$2" 7 "$LAB_DIR/$1.drip" "${@:3}"
	wait_for 5 "[ -s '$LAB_DIR/$1.drip' ]"
}
# drip_lives NAME [SECONDS]: it gets on. drip_broken NAME [SECONDS]: it was ended by the other side.
drip_lives() {
	local seen
	seen=$(cat "$LAB_DIR/$1.drip") || return 1
	wait_for "${2:-5}" "running '$1' && [ \$(cat '$LAB_DIR/$1.drip') -gt $((seen + 5)) ]"
}
drip_broken() { wait_for "${2:-5}" "! running '$1'" && grep 'broke after' "$LAB_DIR/$1.log"; }
