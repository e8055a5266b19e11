#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# UDP from the namespace: requests and answers of all sizes, many flows, the
# source port that shows through, and errors that come back.

. "$(dirname "$0")/../lib/ns.sh"

# echo_start ADDR PORT: a server in the peer, its log in $T/echo
echo_start() {
	exec_peer udpx echo "$1" "$2" >>"$T/echo" &
	ECHO=$!
	wait_for listening udp "$2" peer
}

echo_stop() {
	kill $ECHO
	wait $ECHO 2>/dev/null
}

family() {
	local addr=$1 host=$2 what="$WHO, $3" mtu size out

	echo_start "$addr" 7000
	for mtu in 65520 1280; do
		for size in 1 1472 65000; do
			t "$what, MTU $mtu: 20 requests of $size bytes" in_ns \
				-m $mtu -- udpx ask "$addr" 7000 -s $size -c 20
		done
		t "$what, MTU $mtu: an empty datagram" in_ns \
			-m $mtu -- udpx ask "$addr" 7000 -s 0
		t "$what, MTU $mtu: 100 flows at once" in_ns \
			-m $mtu -- udpx ask "$addr" 7000 -s 500 -n 100 -c 10
	done

	: > "$T/echo"
	t "$what: from a port of the guest's choice" \
		in_ns -- udpx ask "$addr" 7000 -p 41414
	is "$(cat "$T/echo")" "from $host 41414 1" \
		"$what: that port shows through"
	udpx echo "$host" 41415 >/dev/null &
	wait_for listening udp 41415
	t "$what: from a port that is taken on the host" \
		in_ns -- udpx ask "$addr" 7000 -p 41415
	kill $!; wait $! 2>/dev/null
	echo_stop

	out=$(in_ns -- udpx ask "$addr" 7999 -t 5000)
	is "$(value errno "$out")" ECONNREFUSED \
		"$what: port unreachable is seen by the sender"
	le "$(value ms "$out")" 1000 "$what: at once"
}

# Two destinations from one port: one mapping, two peers (RFC 4787, REQ-1)
one_port() {
	local out
	echo_start "$PEER4" 7000
	exec_peer udpx echo "$PEER4" 7001 >"$T/echo2" &
	wait_for listening udp 7001 peer
	: > "$T/echo"
	# shellcheck disable=SC2016
	t "$WHO: one source port, two destinations" in_ns -- sh -c '
		for port in 7000 7001; do
			udpx ask $PEER4 $port -p 42000 || exit 1
		done'
	is "$(sed 's/ [^ ]*$//' "$T/echo")" "$(sed 's/ [^ ]*$//' "$T/echo2")" \
		"$WHO: both see the same source"
	kill $!; wait $! 2>/dev/null
	echo_stop
}

gateway() {
	udpx echo 127.0.0.1 7002 >"$T/echo" &
	wait_for listening udp 7002
	t "$WHO: the gateway's address is the host's loopback" \
		in_ns -- udpx ask "$GW4" 7002
	kill $!; wait $! 2>/dev/null
	udpx echo ::1 7002 >"$T/echo" &
	wait_for listening udp 7002
	t "$WHO: the same for IPv6" in_ns -- udpx ask "$GW6" 7002
	kill $!; wait $! 2>/dev/null
}

for WHO in $WHOM; do
	family "$PEER4" "$HOST4" IPv4
	family "$PEER6" "$HOST6" IPv6
	one_port
	gateway
done
done_testing
