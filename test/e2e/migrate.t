#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest at native speed (test/tools/vhostx.c) moves from one passt --vhost-user to
# another, on two machines with the same address:
#
#   script, source: "host"         "peer"            target
#     eth0 198.51.100.1  -- veth --  eth0  eth1  -- veth --  eth0 198.51.100.1
#
# While the guest stands still, the peer's route turns from one to the other.  A segment of the
# peer gets to the source before that: it is not answered by a reset.

. "$(dirname "$0")/../lib/ns.sh"

PASST=$(dirname "$PASTA")/passt
REPAIR=$NS_TOP/test/tools/repair.py

unshare --net sleep infinity &
TARGET_PID=$!
elsewhere() { nsenter -t $TARGET_PID -n -- "$@"; }
ready() { [ "$(readlink /proc/$TARGET_PID/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
wait_for ready
peer ip link add eth1 mtu 65520 type veth peer name eth0 mtu 65520 netns $TARGET_PID
peer ip link set eth1 up
elsewhere ip -b - <<-END
	link set lo up
	addr add $HOST4/24 dev eth0
	link set eth0 up
	route add default via $GW4
END
elsewhere bash -c "$(declare -f ns_cc); ns_cc" > /dev/null
peer ip addr add "$GW4/32" dev eth1
route() { peer ip route replace "$HOST4" dev "$1"; }

TURN="nsenter -t $PEER_PID -n ip route replace $HOST4 dev eth1"

# The guest has been saved: let a segment of the peer come to the source, which happens if the
# peer sends data, then turn its route.
# $T/home/seen has the bytes that the source had received before that, and then
cat > "$T/bin/turn" <<-END
	#!/bin/bash
	received() { awk '\$1 == "eth0:" { print \$2 }' /proc/net/dev; }
	before=\$(received)
	for i in {1..40}; do
		[ \$(received) -lt \$((before + 60)) ] || break
		sleep 0.01
	done
	$TURN
	echo \$before \$(received) >$T/home/seen
END
chmod 755 "$T/bin/turn"

# wire_start, wire_stop: keep what the source sends in $T/home/wire
wire_start() {
	command -v tcpdump >/dev/null || return 0
	rm -f "$T/home/wire"
	tcpdump -Z root -U -n -s 96 -i eth0 -w "$T/home/wire" "tcp and src host $HOST4" \
		2>"$T/home/tcpdump" &
	WIRE=$!
	wait_for grep -q listening "$T/home/tcpdump"
}
wire_stop() {
	[ -n "${WIRE-}" ] || return 0
	kill "$WIRE"
	wait "$WIRE"
}
on_wire() { tcpdump -n -r "$T/home/wire" "tcp[tcpflags] & $1 != 0" 2>/dev/null | wc -l; }

# silent NAME: the source has sent a SYN, and no RST, even if segments still came
silent() {
	local before after
	wait_for seen
	read -r before after < "$T/home/seen"
	[ "$1" = out ] ||
		t "$1: segments still come to the source when it is saved" test "$after" -ge $((before + 60))
	if [ -z "${WIRE-}" ]; then
		skip "$1: the source sends no reset" "no tcpdump"
		return
	fi
	is "$(on_wire tcp-syn) $(on_wire tcp-rst)" "1 0" "$1: the source sends no reset"
}
seen() { [ -s "$T/home/seen" ]; }

exec_peer vhostx peer check "$PEER4" 5001 >> "$T/home/check" &
exec_peer vhostx peer source "$PEER4" 5002 > /dev/null &
wait_for listening tcp 5001 peer
wait_for listening tcp 5002 peer

AS=(env)
[ -z "$NS_ROOT" ] ||
	AS=(setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --inh-caps=-all)
RUNNING=()

# start NAME WHERE...: a daemon with its helper
start() {
	local name=$1
	shift
	"$@" "${AS[@]}" "$PASST" -f --vhost-user -t 7000 -s "$T/home/$name" \
		2> "$T/home/$name.log" &
	RUNNING+=($!)
	wait_for test -S "$T/home/$name.repair"
	[ -z "${NO_HELPER-}" ] || return
	"$@" python3 "$REPAIR" "$T/home/$name.repair" 2> "$T/home/$name.helper" &
	wait_for grep -q "passt-repair connected" "$T/home/$name.log"
}

both() {
	route eth0
	start source env
	start target nsenter -t $TARGET_PID -n --
}

stop() {
	kill "${RUNNING[@]}" 2> /dev/null
	wait "${RUNNING[@]}" 2> /dev/null
	RUNNING=()
	rm -f "$T"/home/{source,target}{,.repair,.log}
}

no_connection() { ! peer ss -Htn state established | grep -q ":5001 "; }
one_more() { [ "$(wc -l < "$T/home/check")" -gt "$1" ]; }

# moves TEST PORT NAME OPTION...: a transfer goes on after the guest has moved
moves() {
	local what=$1 port=$2 name=$3 before
	shift 3
	before=$(wc -l < "$T/home/check")
	out=$(timeout 60 vhostx guest "$T/home/source" "$what" "$PEER4" "$port" -a "$HOST4" \
		-g "$GW4" -t 4 -c "$@" 2>&1)
	status=$?
	diag "$out"
	is $status 0 "$name: $what"
	like "$out" " bad=0 .* moved=[1-9][0-9]{7,}" "$name: data goes on, each byte is right"
	[ "$what" = out ] || return
	wait_for one_more "$before"
	like "$(tail -1 "$T/home/check")" "received=[1-9][0-9]* bad=0$" \
		"$name: the peer gets each byte"
}

for what in "out 5001" "in 5002"; do
	# shellcheck disable=SC2086 # two words
	set -- $what
	both
	wire_start
	moves "$1" "$2" "the guest moves" -M "$T/home/target" -C turn
	wire_stop
	silent "$1"
	like "$(cat "$T/home/target.log")" "1 TCP connections have moved here, 0 have not" \
		"the target says so"
	cat "$T/home/"*.log | while read -r line; do diag "$line"; done
	stop
	both
	moves "$1" "$2" "a migration that fails" -M "$T/home/source"
	stop
done

NO_HELPER=1 both
out=$(timeout 60 vhostx guest "$T/home/source" out "$PEER4" 5001 -a "$HOST4" -g $GW4 -t 3 \
	-M "$T/home/target" -C "$TURN" 2>&1)
like "$out" "the connection was reset" "without a helper, the guest gets a reset"
like "$(cat "$T/home/source.log")" "TCP connections stay behind: no passt-repair" \
	"the source says so"
t "and tells the peer" wait_for -t 5 no_connection
t "the guest has a network at the target" timeout 60 vhostx guest "$T/home/target" out \
	"$PEER4" 5001 -a "$HOST4" -g $GW4 -t 0.2
stop
kill $TARGET_PID
# shellcheck disable=SC2046 # PIDs
kill $(jobs -p) 2> /dev/null
done_testing
