#!/bin/bash
# lab_l7.sh [requests] [bodies] [memory] - services by L7 beside HAProxy in HTTP mode: the same
# client, the same two nginx, a cookie inserted, one after the other in turn, medians of the rounds.
# "direct" is the client at one nginx over the same bridge. Without arguments: all. Only the ratios
# within one run mean anything. Prints markdown tables.
#
#   client 10.3.0.1 ─┬ back ── box .254 ── farm 10.4.0.0/24 ─┬─ web1 .11
#                    │         (198.51.100.80)               └─ web2 .12
#                    └──────── far .253 ── farm .253
#
# "relay": every request has a cookie of web2, which is connected to far alone, and comes to box.
#
# BENCH_ROUNDS (3), BENCH_SECONDS (5), BENCH_KINDS (all).
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_TESTS/dispatchers.sh"
. "$LAB_TOP/tests/bench/lab_measure.sh"

ROUNDS=${BENCH_ROUNDS:-3}
SECONDS_EACH=${BENCH_SECONDS:-5}
read -ra KINDS <<<"${BENCH_KINDS:-direct haproxy l73 l73-offload l72 relay}"
VIP=198.51.100.80
IDLE=1000 # connections for the memory of each
LAB_LOG=${LAB_LOG:-warning}

declare -A title_of=([direct]="nginx alone" [haproxy]="HAProxy, HTTP mode"
	[l73]="fwclusterd, l7/3" [l73-offload]="fwclusterd, l7/3, offload"
	[l72]="fwclusterd, l7/2" [relay]="fwclusterd, relayed by another")

# --- hosts -----------------------------------------------------------------------------------

web_conf() { # NAME: its nginx
	cat >"$LAB_DIR/$1/nginx.conf" <<-END
		worker_processes 1;
		error_log $LAB_DIR/$1/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			sendfile on;
			tcp_nopush on;
			keepalive_requests 1000000;
			keepalive_timeout 300s;
			client_body_temp_path $LAB_DIR/$1/body;
			proxy_temp_path $LAB_DIR/$1/p;
			fastcgi_temp_path $LAB_DIR/$1/f;
			uwsgi_temp_path $LAB_DIR/$1/u;
			scgi_temp_path $LAB_DIR/$1/s;
			server {
				listen 80 backlog=4096;
				root $LAB_DIR/files;
				location = /status { stub_status; }
			}
		}
	END
}

lay() {
	local n host
	net_bridge back
	net_bridge farm
	net_bridge cluster
	net_host client box far web1 web2
	net_plug client eth0 back 10.3.0.1/24
	net_plug client direct farm 10.4.0.1/24
	ip -n client route add $VIP via 10.3.0.254
	net_plug box back back
	net_plug box farm farm 10.4.0.254/24
	net_plug box cluster cluster 10.9.0.1/24
	net_plug far back back
	net_plug far farm farm 10.4.0.253/24
	net_plug far cluster cluster 10.9.0.2/24
	mkdir -p "$LAB_DIR/files"
	head -c 1024 /dev/urandom >"$LAB_DIR/files/1k"
	head -c 102400 /dev/urandom >"$LAB_DIR/files/100k"
	head -c 10485760 /dev/urandom >"$LAB_DIR/files/10m"
	for n in 1 2; do
		net_plug web$n eth0 farm 10.4.0.$((10 + n))/24
		ip -n web$n route replace default via 10.4.0.254
		mkdir -p "$LAB_DIR/web$n"
		web_conf web$n
		start_in web$n web$n.nginx nginx -p "$LAB_DIR/web$n" -c "$LAB_DIR/web$n/nginx.conf" \
			-g "pid nginx.pid; user root; daemon off;"
		wait_for 10 "run_in web$n ss -lntH sport = :80 | grep -q ." || return 1
	done
	for host in client box web1 web2; do
		run_in $host sysctl -qw net.ipv4.ip_local_port_range='1024 65000' \
			net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=8192 net.ipv4.tcp_tw_reuse=1
	done
}

haproxy_start() {
	ip -n box addr add 10.3.0.254/24 dev back
	net_address box lo $VIP/32
	cat >"$LAB_DIR/haproxy.cfg" <<-END
		global
			maxconn 8192
		defaults
			mode http
			timeout connect 5s
			timeout client 5m
			timeout server 5m
			timeout http-keep-alive 5m
		listen web
			bind $VIP:80
			balance roundrobin
			cookie SRV insert indirect nocache
			option forwardfor
			http-reuse always
			server web1 10.4.0.11:80 cookie web1
			server web2 10.4.0.12:80 cookie web2
	END
	start_in box haproxy haproxy -db -f "$LAB_DIR/haproxy.cfg"
	wait_for 10 "run_in box ss -lntH sport = :80 | grep -q ."
}

haproxy_stop() {
	stop haproxy
	ip -n box addr del $VIP/32 dev lo
	ip -n box addr del 10.3.0.254/24 dev back
}

fwclusterd_text() { # PORTS OPTIONS-OF-WEB1 OPTIONS-OF-WEB2 [OPTION-OF-THE-SERVICE...]
	echo "
dispatcher \"box\" {
	role = \"stage\"
	ports = { $1 }
}
service \"web\" {
	addresses = { \"$VIP\" }
	protocol = \"tcp\"
	ports = { \"80\" }
	algorithm = \"round-robin\"
	targets = { \"web1\", \"web2\" }
	cookie = \"insert\"
	cookie-name = \"SRV\"
	forwarded = \"x-forwarded-for\"
	keep-timeout = \"5m\"
	${*:4}
}
target \"web1\" { addresses = { \"10.4.0.11\" } $2 }
target \"web2\" { addresses = { \"10.4.0.12\" } $3 }"
}

fwclusterd_start() { # TECHNOLOGY OPTION-OF-THE-PORT
	local ports=back
	[ "$1" = l7/2 ] && ports='back farm'
	dp_names=(box)
	dp_address=([box]=10.9.0.1)
	dp_ports[box]=$ports
	dp_port[box.back]="
	addresses = { \"10.3.0.254/24\" }
	mac = \"02:fc:00:00:03:fe\"
	answer-for = { \"$VIP\" }
	${2:-}"
	dp_text[box]=$(fwclusterd_text "\"${ports/ /\", \"}\"" '' '' "technology = \"$1\"")
	dp_start box
}

# The servers have the service's address, and their answers come by box.
servers_hold() { # add|del
	local n
	for n in 1 2; do
		run_in web$n sysctl -qw net.ipv4.conf.all.arp_ignore=1
		ip -n web$n addr "$1" $VIP/32 dev lo
	done
}

relay_start() {
	local node text
	text=$(fwclusterd_text '"back"' 'via = { "box" }' 'via = { "far" }' 'technology = "l7/3"' \
		'relay = "config"')
	dp_names=(box far)
	dp_address=([box]=10.9.0.1 [far]=10.9.0.2)
	for node in box far; do
		dp_ports[$node]='back'
		dp_text[$node]=$text
	done
	dp_port[box.back]="addresses = { \"10.3.0.254/24\" } mac = \"02:fc:00:00:03:fe\"
	answer-for = { \"$VIP\" }"
	dp_port[far.back]="addresses = { \"10.3.0.253/24\" } mac = \"02:fc:00:00:03:fd\""
	dp_start box far && fw_meet box far || return 1
	ip -n client route replace $VIP via 10.3.0.253
	wait_for 10 "run_in client curl -fso /dev/null -m 1 -c $LAB_DIR/jar $URL/1k"
	HEADER=$(awk '$6 == "SRV" { print "Cookie: SRV=" $7 }' "$LAB_DIR/jar")
	ip -n client route replace $VIP via 10.3.0.254
	[ -n "$HEADER" ]
}

up() { # KIND
	URL=http://$VIP HEADER="Accept: */*"
	case $1 in
	direct) URL=http://10.4.0.11 ;;
	haproxy) haproxy_start ;;
	l73) fwclusterd_start l7/3 ;;
	l73-offload) fwclusterd_start l7/3 "offload = true" ;;
	l72) servers_hold add && fwclusterd_start l7/2 ;;
	relay) relay_start ;;
	esac || return 1
	ip -n client neigh flush all 2>/dev/null
	wait_for 10 "run_in client curl -fso /dev/null -m 1 $URL/1k"
}

down() { # KIND
	case $1 in
	direct) ;;
	haproxy) haproxy_stop ;;
	l72)
		dp_end
		servers_hold del
		;;
	*) dp_end ;;
	esac
}

keep() { echo "$3" >>"$LAB_DIR/$1.$2"; } # WHAT KIND VALUE
value() { [ -s "$LAB_DIR/$1.$2" ] && median <"$LAB_DIR/$1.$2"; } # WHAT KIND: the median

each() { # WHAT COMMAND
	local round kind
	for ((round = 1; round <= ROUNDS; round++)); do
		for kind in "${KINDS[@]}"; do
			note "$1, round $round: $kind" >&2
			if up "$kind" >&2; then
				"$2" "$kind"
			else
				note "$kind does not work" >&2
			fi
			down "$kind" >&2
		done
	done
}

# --- requests --------------------------------------------------------------------------------

# wrk's words: "Requests/sec: 123.4", "  99%  1.23ms", "Transfer/sec: 1.2GB", "Socket errors: ..."
wrk_run() { # KIND WHAT CONNECTIONS PATH [HEADER]
	local out
	out=$(run_in client wrk -t 1 -c "$3" -d "$SECONDS_EACH" --latency -H "$HEADER" ${5:+-H "$5"} "$URL/$4" 2>&1)
	keep "rate.$2" "$1" "$(awk '/^Requests\/sec/ { print $2 }' <<<"$out")"
	keep "p99.$2" "$1" "$(awk '$1 == "99%" { t = $2; u = t; gsub(/[0-9.]/, "", u)
		print t * (u == "us" ? 0.001 : u == "s" ? 1000 : 1) }' <<<"$out")"
	keep "errors.$2" "$1" "$(awk '/Socket errors|Non-2xx/ { gsub(/[^0-9]+/, " ")
		for (i = 1; i <= NF; i++) n += $i } END { print n + 0 }' <<<"$out")"
}

CASES=(50-1k 500-1k 50-100k 500-100k close-1k)
accepted() { run_in "$1" curl -fs http://127.0.0.1/status | awk 'NR == 3 { print $1 }'; }

requests_once() { # KIND
	local before opened
	wrk_run "$1" 50-1k 50 1k
	wrk_run "$1" 500-1k 500 1k
	wrk_run "$1" 50-100k 50 100k
	wrk_run "$1" 500-100k 500 100k
	before=$(($(accepted web1) + $(accepted web2)))
	wrk_run "$1" close-1k 50 1k "Connection: close"
	opened=$(($(accepted web1) + $(accepted web2) - before - 2))
	keep opened "$1" "$(awk -v o=$opened -v r="$(tail -n 1 "$LAB_DIR/rate.close-1k.$1")" \
		-v t="$SECONDS_EACH" 'BEGIN { if (r > 0) print o / (r * t) * 1000 }')"
}

requests() {
	local kind case rate
	each requests requests_once
	echo "### L7: requests per second (and 99th percentile, ms)"
	echo
	echo "50-1k: 50 connections kept alive, bodies of 1 kB; close-1k: 50 at once, one request each."
	echo "Ratios to HAProxy's: of requests per second / of the 99th percentile (less is better)."
	echo
	printf '| what |'
	for case in "${CASES[@]}"; do printf ' %s | of HAProxy |' "$case"; done
	echo ' connections opened to servers per 1,000 of clients (close-1k) | errors |'
	echo "|---$(printf -- '|---|---%.0s' "${CASES[@]}")|---|---|"
	for kind in "${KINDS[@]}"; do
		printf '| %s |' "${title_of[$kind]}"
		for case in "${CASES[@]}"; do
			rate=$(value "rate.$case" "$kind")
			printf ' %.0f (%.2f) | %s / %s |' "${rate:-0}" "$(value "p99.$case" "$kind" || echo 0)" \
				"$(ratio "${rate:-0}" "$(value "rate.$case" haproxy || echo 0)")" \
				"$(ratio "$(value "p99.$case" "$kind" || echo 0)" "$(value "p99.$case" haproxy || echo 0)")"
		done
		printf ' %.1f | %s |\n' "$(value opened "$kind" || echo 0)" \
			"$(cat "$LAB_DIR"/errors.*."$kind" | awk '{ n += $1 } END { print n + 0 }')"
	done
	echo
}

# --- bodies ----------------------------------------------------------------------------------

bodies_once() { # KIND
	wrk_run "$1" 10m 4 10m
}

bodies() {
	local kind rate
	each bodies bodies_once
	echo "### L7: bodies of 10 MB, 4 connections"
	echo
	echo "| what | Gbit/s | of HAProxy |"
	echo "|---|---|---|"
	for kind in "${KINDS[@]}"; do
		rate=$(value rate.10m "$kind")
		printf '| %s | %s | %s |\n' "${title_of[$kind]}" \
			"$(awk -v r="${rate:-0}" 'BEGIN { printf "%.2f", r * 10485760 * 8 / 1e9 }')" \
			"$(ratio "${rate:-0}" "$(value rate.10m haproxy || echo 0)")"
	done
	echo
}

# --- memory ----------------------------------------------------------------------------------

rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/${lab_pid[$1]}/status"; } # NAME of what was started

memory_once() { # KIND
	local name before after
	case $1 in
	haproxy) name=haproxy ;;
	l73) name=box ;;
	*) return 0 ;;
	esac
	run_in client wrk -t 1 -c 50 -d 1 "$URL/1k" >/dev/null # what is kept for the next is there
	before=$(rss_kb $name)
	rm -f "$LAB_DIR/held"
	start_in client hold python3 "$LAB_TOP/tests/bench/hold.py" $VIP 80 $IDLE "$LAB_DIR/held"
	wait_for 30 "[ -s $LAB_DIR/held ]"
	after=$(rss_kb $name)
	stop hold
	keep memory "$1" "$(awk -v b="$before" -v a="$after" -v n=$IDLE 'BEGIN { print (a - b) * 1024 / n }')"
}

memory() {
	local kind
	each memory memory_once
	echo "### L7: memory of the process for each idle connection ($IDLE of them)"
	echo
	echo "| what | bytes |"
	echo "|---|---|"
	for kind in "${KINDS[@]}"; do
		[ -n "$(value memory "$kind")" ] &&
			printf '| %s | %.0f |\n' "${title_of[$kind]}" "$(value memory "$kind")"
	done
	echo
}

# --- all -------------------------------------------------------------------------------------

lay >&2 || exit 1
command -v wrk >/dev/null || { echo "(wrk is not installed: left out.)"; exit 0; }
if ! command -v haproxy >/dev/null; then
	echo "(HAProxy is not installed: left out.)"
	for i in "${!KINDS[@]}"; do
		[ "${KINDS[i]}" = haproxy ] && unset "KINDS[i]"
	done
fi
quiet_machine
for part in "${@:-requests bodies memory}"; do
	for word in $part; do
		"$word" | tee -a "$LAB_DIR/bench.md"
	done
done
[ "$LAB_MADE" = 1 ] && [ "${LAB_KEEP:-0}" != 1 ] && rm -rf "$LAB_DIR"
exit 0
