#!/bin/bash
# keys.sh - the wrong key, an unknown key id, and the change of keys while traffic runs.
# Topology: topo_cluster.sh with three members.
#
# proves: FC-15
. "$(dirname "$0")/lib.sh"
. "$LAB_TESTS/topo_cluster.sh"
. "$LAB_TESTS/traffic.sh"

[ "$LAB_FW" = daemon ] || { skipped "keys" "needs fwclusterd"; finish; }
cluster_lay 3
must "servers run" traffic_servers

title "a member with the wrong key"
echo "1 $(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n') active" >"$LAB_DIR/wrong.key"
chmod 600 "$LAB_DIR/wrong.key"
fw_key[fw3]=$LAB_DIR/wrong.key
must "all start" fw_start fw1 fw2 fw3
must "fw1 and fw2 see each other" fw_meet fw1 fw2
check "both refuse the third by name of the reason" wait_for 10 \
	"[ \$(counter fw1 msg-wrong-key) -gt 0 ] && [ \$(counter fw2 msg-wrong-key) -gt 0 ]"
check "and it refuses them" wait_for 10 "[ \$(counter fw3 msg-wrong-key) -gt 0 ]"
check "it sees no member" equal "$(members_up fw3)" 0
check "they see one each" equal "$(members_up fw1) $(members_up fw2)" "1 1"
lab_path fw1 fw2
check "the two work" run_in client curl -s --fail -m 5 http://$WEB/hello
lab_path fw1 fw3
check "the third is no help: its query is not answered" \
	not run_in client curl -s --fail -m 2 http://$WEB/hello

title "a member with a key of another id"
stop fw3
fw_key[fw3]=$LAB_DIR/other.key
fw_make_key "$LAB_DIR/other.key" 9
before=$(counter fw1 msg-wrong-key)
must "it starts" fw_start fw3
check "refused as unknown key" wait_for 10 "[ \$(counter fw1 msg-unknown-key) -gt 0 ]"
check "it sees no member" equal "$(members_up fw3)" 0
stop fw3
fw_key[fw3]=$LAB_DIR/cluster.key
must "with the right key" fw_start fw3
check "it is a member" fw_meet fw1 fw2 fw3

title "key files that must not be used"
refused() { # TEXT: fwclusterd -t or its start refuses the key file
	local status
	fw_conf fw3
	timeout 5 nsenter --net=/run/netns/fw3 -- "$FWCLUSTERD" -n -f "$LAB_DIR/fw3.conf" >"$LAB_DIR/refused.out" 2>&1
	status=$?
	cat "$LAB_DIR/refused.out"
	[ $status != 0 ] && [ $status != 124 ] && grep -qi -- "$1" "$LAB_DIR/refused.out"
}
stop fw3
fw_key[fw3]=$LAB_DIR/bad.key
cp "$LAB_DIR/cluster.key" "$LAB_DIR/bad.key"
chmod 644 "$LAB_DIR/bad.key"
check "readable by others: refused, and said so" refused 'bad.key'
chmod 600 "$LAB_DIR/bad.key"
echo '1 0123' >"$LAB_DIR/bad.key"
check "too short: refused, with its line" refused 'line 1'
fw_key[fw3]=$LAB_DIR/none.key
rm -f "$LAB_DIR/none.key"
fw_make_key "$LAB_DIR/none.key" 1
fw_conf fw3
fw_key[fw3]=$LAB_DIR/cluster.key
must "fw3 is back" fw_start fw3
must "all see each other" fw_meet fw1 fw2 fw3

title "new keys while a download runs"
lab_path fw1 fw2
wrong=$(counter_all msg-wrong-key) unknown=$(counter_all msg-unknown-key)
fetch big 4 --limit-rate 12M &
download=$!
check "a connection" drip_start drip $WEB
rotate() { # ID...: the key file of all; the first is the active one
	local name
	fw_make_key "$LAB_DIR/cluster.key" "$@"
	for name in fw1 fw2 fw3; do
		ctl "$name" reload || return 1
	done
}
check "step 1: everybody knows key 2" rotate 1 2
check "step 2: everybody seals with key 2" rotate 2 1
check "they still see each other" fw_meet fw1 fw2 fw3
check "the connection goes on" drip_lives drip
check "step 3: key 1 is gone" rotate 2
check "they still see each other, a second long" \
	stays_for 1500 "[ \$(members_up fw1) = 2 ] && [ \$(members_up fw2) = 2 ]"
check "the connection goes on" drip_lives drip
check "the download is whole" wait $download
check "it ends in order" stop drip
check "nothing was refused" equal \
	"$(counter_all msg-wrong-key) $(counter_all msg-unknown-key)" "$wrong $unknown"
fw_make_key "$LAB_DIR/old.key" 1
fw_key[fw3]=$LAB_DIR/old.key
stop fw3
before=$(counter fw1 msg-unknown-key)
must "fw3 starts with the old key" fw_start fw3
check "the old key opens nothing any more" wait_for 10 \
	"[ \$(counter fw1 msg-unknown-key) -gt $before ] && [ \$(members_up fw3) = 0 ]"
check "they end cleanly" fw_end
finish
