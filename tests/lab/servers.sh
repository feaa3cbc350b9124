# shellcheck shell=bash
# servers.sh - real servers on one host of the lab: web, names, ssh, iperf3, UDP echo.

SERVERS=$LAB_TESTS/servers
SSH=(ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
	-o BatchMode=yes -o ConnectTimeout=10 -i "$LAB_DIR/ssh/user")

servers_start() { # HOST
	local host=${1:-web}
	mkdir -p "$LAB_DIR/web/files" "$LAB_DIR/web/tmp"
	# sshd wants the way to its files closed to writers.
	chmod 755 "$LAB_DIR" "$LAB_DIR/web" "$LAB_DIR/web/files"
	echo "hello from the outside" >"$LAB_DIR/web/files/hello"
	web_start "$host"
	start_in "$host" dnsmasq dnsmasq --conf-file="$SERVERS/dnsmasq.conf" --pid-file=
	start_in "$host" iperf3 iperf3 -s
	start_in "$host" echo "$PYTHON" "$LAB_TESTS/tools/udp_echo.py" 7007
	wait_for 10 "run_in $host curl -s -o /dev/null 'http://[::1]/hello'" &&
		wait_for 10 "run_in $host ss -lntH sport = :5201 | grep -q ." &&
		wait_for 10 "run_in $host ss -lnuH sport = :53 | grep -q ." &&
		wait_for 10 "grep -q ready '$LAB_DIR/echo.log'"
}

# web_start HOST: nginx alone; every host serves the same files.
web_start() {
	start_in "$1" "nginx.$1" nginx -p "$LAB_DIR/web" -c "$SERVERS/nginx.conf" -g "pid $1.pid; user root;"
	wait_for 10 "run_in $1 curl -s -o /dev/null http://127.0.0.1/hello"
}

servers_tcp_echo() { # HOST: port 7
	start_in "$1" tcp_echo "$PYTHON" "$LAB_TESTS/tools/tcp_echo.py" 7
	wait_for 10 "grep -q ready '$LAB_DIR/tcp_echo.log'"
}

# drip_start NAME ADDRESS [SOURCE_PORT]: a connection of the client's that says something every 20 ms.
drip_start() {
	rm -f "$LAB_DIR/$1.drip"
	start_in client "$1" "$PYTHON" "$LAB_TESTS/tools/tcp_drip.py" "$2" 7 "$LAB_DIR/$1.drip" ${3:-}
	wait_for 5 "[ -s '$LAB_DIR/$1.drip' ]"
}
# drip_lives NAME [SECONDS]: it gets on.
drip_lives() {
	local seen
	seen=$(cat "$LAB_DIR/$1.drip") || return 1
	wait_for "${2:-5}" "running '$1' && [ \$(cat '$LAB_DIR/$1.drip') -gt $((seen + 5)) ]"
}

servers_ssh() { # HOST
	local host=${1:-web}
	mkdir -p "$LAB_DIR/ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$LAB_DIR/ssh/host" </dev/null
	ssh-keygen -q -t ed25519 -N '' -f "$LAB_DIR/ssh/user" </dev/null
	# A root account without a password may be locked; in here it is not.
	sed 's/^root:[^:]*:/root:*:/' /etc/shadow >"$LAB_DIR/ssh/shadow"
	chmod 600 "$LAB_DIR/ssh/shadow"
	mount --bind "$LAB_DIR/ssh/shadow" /etc/shadow
	start_in "$host" sshd /usr/sbin/sshd -D -e -f "$SERVERS/sshd_config" -h "$LAB_DIR/ssh/host" \
		-o AuthorizedKeysFile="$LAB_DIR/ssh/user.pub" -o PidFile=none
	wait_for 10 "run_in $host ss -lntH sport = :22 | grep -q ."
}

# servers_file NAME MEGABYTES: a file of random bytes to download.
servers_file() {
	head -c "$2"M /dev/urandom >"$LAB_DIR/web/files/$1"
	sha256sum <"$LAB_DIR/web/files/$1" >"$LAB_DIR/web/$1.sum"
}

# fetch NAME [4|6] [CURL OPTION...]: downloads it at the client and compares every byte (by hash).
fetch() {
	local name=$1 family=${2:-4} url=http://$WEB/$1
	shift
	[ $# -gt 0 ] && shift
	[ "$family" = 6 ] && url="http://[$WEB6]/$name"
	run_in client curl -s -S --fail -m "${LAB_FETCH:-60}" "$@" "$url" |
		sha256sum | cmp - "$LAB_DIR/web/$name.sum"
}
