# shellcheck shell=bash
# lab_measure.sh - what the benchmarks of the lab share: medians, the machine's busy time, counting
# at a receiver.

median() { sort -g | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a > 0 && b > 0) printf "%.2f", a / b; else print "-" }'; }

# Busy time of the whole machine in ns. Each tick is 10 ms; a run has hundreds.
busy_ns() {
	awk '/^cpu / { printf "%d0000000", $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# Other work on the machine makes figures of CPU worthless.
quiet_machine() {
	local before share
	before=$(busy_ns)
	pause 1
	share=$((($(busy_ns) - before) / 10000000 / $(nproc)))
	[ $share -le 8 ] || echo "**The machine was $share % busy with other work.**"
}

# The receiver counts and drops at its interface; so does the firewall for the calibration.
count_at() { # HOST DEVICE
	run_in "$1" nft -f - <<-END
		table netdev bench {
			counter datagrams { }
			chain in {
				type filter hook ingress device $2 priority 0;
				ip protocol udp udp sport 10000-59999 counter name datagrams drop
			}
		}
	END
}
counted() { run_in "$1" nft -j list counter netdev bench datagrams | jq '.nftables[1].counter.packets'; }
count_off() { run_in "$1" nft delete table netdev bench; }
