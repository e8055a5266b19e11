#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# UDP from the namespace: requests and answers of all sizes, many flows, the
# source port that shows through, and errors that come back. UDP to forwarded
# ports: from the network through the tap, from and to the host's loopback past it.

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

	out=$(within 1000 in_ns -- udpx ask "$addr" 7999)
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

# asked COMMAND... -- ADDR PORT WHAT: requests of all sizes and from many ports
asked() {
	local as=() size
	while [ "$1" != -- ]; do as+=("$1"); shift; done
	for size in 0 1 1472 30000; do
		t "$WHO, $4: 20 requests of $size bytes" \
			"${as[@]}" udpx ask "$2" "$3" -s $size -c 20
	done
	t "$WHO, $4: 50 flows at once" \
		"${as[@]}" udpx ask "$2" "$3" -s 500 -n 50 -c 10
}

# seen FILE: addresses that a server got datagrams from
seen() { awk '{ print $2 }' "$1" | sort -u; }

# Connected sockets on a port of the host
flow_sockets() { ss -Huan state established "sport = :$1" | wc -l; }

forwarded() {
	local servers=() own
	pasta_start -u 8000:8001,8002 -U 9000:9001,9002,9003 || {
		ok 1 "$WHO: forwarding ports"
		return
	}
	inside udpx echo 0.0.0.0 8001 >"$T/home/in4" & servers+=($!)
	inside udpx echo :: 8002 >"$T/home/in6" & servers+=($!)
	udpx echo 127.0.0.1 9001 >"$T/home/out4" & servers+=($!)
	udpx echo ::1 9002 >"$T/home/out6" & servers+=($!)
	udpx echo :: 9003 >/dev/null & servers+=($!)
	wait_for listening udp 8001 inside && wait_for listening udp 8002 inside
	wait_for listening udp 9001 && wait_for listening udp 9002 &&
		wait_for listening udp 9003

	asked peer -- "$HOST4" 8000 "inbound IPv4"
	is "$(seen "$T/home/in4")" "$GW4" "$WHO, inbound IPv4: from who sends"
	asked peer -- "$HOST6" 8002 "inbound IPv6"
	is "$(seen "$T/home/in6")" "$GW6" "$WHO, inbound IPv6: from who sends"
	is "$(flow_sockets 8000)" 0 \
		"$WHO, inbound: all flows use the listening socket"

	: > "$T/home/in4"; : > "$T/home/in6"
	asked env -- 127.0.0.1 8000 "bypass, inbound IPv4"
	is "$(seen "$T/home/in4")" "$HOST4" \
		"$WHO, bypass, inbound IPv4: not from loopback"
	asked env -- ::1 8002 "bypass, inbound IPv6"
	is "$(seen "$T/home/in6")" "$HOST6" \
		"$WHO, bypass, inbound IPv6: not from loopback"
	asked inside -- 127.0.0.1 9000 "bypass, outbound IPv4"
	asked inside -- ::1 9002 "bypass, outbound IPv6"
	is "$(seen "$T/home/out4") $(seen "$T/home/out6")" "127.0.0.1 ::1" \
		"$WHO, bypass, outbound: from loopback"
	own=$(inside ip -6 -o addr show dev eth0 scope link | grep -o 'fe80[^/]*')
	t "$WHO, bypass, outbound: by a link-local address" \
		inside udpx ask "${own%% *}%eth0" 9003
	pasta_stop
	kill "${servers[@]}" 2>/dev/null
	wait "${servers[@]}" 2>/dev/null
}

for WHO in $WHOM; do
	family "$PEER4" "$HOST4" IPv4
	family "$PEER6" "$HOST6" IPv6
	one_port
	gateway
	forwarded
done
done_testing
