#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt --vhost-user with a guest at native speed, test/tools/vhostx.c: each byte is right,
# with each set of features that a driver may acknowledge, and with rings and buffers of
# each size.

. "$(dirname "$0")/../lib/ns.sh"

PASST=$(dirname "$PASTA")/passt
SOCK=$T/home/vm
GUEST=("$PEER4" -a "$HOST4" -g "$GW4" -t 0.2 -c)

for what in "check 5001" "source 5002" "echo 5003" "udp 5004"; do
	# shellcheck disable=SC2086 # two words
	(set -- $what; exec_peer vhostx peer "$1" "$PEER4" "$2") >> "$T/home/$what" &
done
for port in 5001 5002 5003; do
	wait_for listening tcp $port peer
done
wait_for listening udp 5004 peer

exec_as user "$PASST" -f -q --vhost-user -s "$SOCK" &
DAEMON=$!
wait_for test -S "$SOCK"

connections() { wc -l < "$T/home/check 5001"; }
one_more() { [ "$(connections)" -gt "$1" ]; }

# guest TEST PORT NAME OPTION...: a guest's run ends with data, all of it right
guest() {
	local what=$1 port=$2 name=$3 before
	shift 3
	before=$(connections)
	t "$what, $name" timeout 30 vhostx guest "$SOCK" "$what" "${GUEST[0]}" "$port" \
		"${GUEST[@]:1}" "$@"
	[ "$what" = out ] || return
	wait_for one_more "$before"
	like "$(tail -1 "$T/home/check 5001")" "received=[1-9][0-9]* bad=0$" \
		"$what, $name: the peer gets each byte"
}

# both NAME OPTION...
both() {
	guest out 5001 "$@"
	guest in 5002 "$@"
}

for without in uso event indirect mrg tso mrg,tso csum csum,mrg csum,mrg,event all; do
	both "without $without" -x $without
done
for ring in 256 1024; do
	for size in 1536 4096; do
		both "ring of $ring, buffers and pieces of $size" -r $ring -b $size \
			-p $size
	done
done
guest rr 5003 "all features"
guest rr 5003 "without any" -x all
for without in event uso all; do
	guest udp-out 5004 "without $without" -x $without
	guest udp-in 5004 "without $without" -x $without
done
t "the daemon still runs" kill -0 $DAEMON
kill $DAEMON
wait $DAEMON
# shellcheck disable=SC2046 # PIDs
kill $(jobs -p) 2>/dev/null
done_testing
