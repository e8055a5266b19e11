#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The ports of -T and -U lead to the host's loopback, for programs of the namespace
# alone: others that reach it, by a bridge or a veth pair in there, find them closed
#
#   namespace of pasta ("inside")              another one in it ("behind")
#     v0 192.0.2.1/24, 192.0.2.3/24  -- veth --  v1 192.0.2.2/24
#        2001:db8:9::1/64                           2001:db8:9::2/64

. "$(dirname "$0")/../lib/ns.sh"

IN4=192.0.2.1 SECOND4=192.0.2.3 IN6=2001:db8:9::1

behind() {
	run_as "$WHO" nsenter -t "$BEHIND" -U --preserve-credentials -n -- "$@"
}

is_elsewhere() {
	BEHIND=$(descendant $HOLDER sleep)
	[ -n "$BEHIND" ] && [ "$(readlink "/proc/$BEHIND/ns/net")" != \
			      "$(readlink "/proc/$INNER/ns/net")" ]
}

stage() {
	exec_as "$WHO" nsenter -t "$INNER" -U --preserve-credentials -n -- \
		unshare -n -- sh -c 'sleep infinity; true' &
	HOLDER=$!
	wait_for is_elsewhere || return 1
	inside sh -c "
		for f in all default; do
			echo 0 > /proc/sys/net/ipv6/conf/\$f/accept_dad
		done
		ip link add v0 type veth peer name v1 netns $BEHIND &&
		ip addr add $IN4/24 dev v0 &&
		ip addr add $SECOND4/24 dev v0 &&
		ip addr add $IN6/64 dev v0 nodad &&
		ip link set v0 up" &&
	behind sh -c "
		ip link set lo up &&
		ip addr add 192.0.2.2/24 dev v1 &&
		ip addr add 2001:db8:9::2/64 dev v1 nodad &&
		ip link set v1 up &&
		ip route add default via $IN4 &&
		ip route add default via $IN6" &&
	wait_for behind ping -n -c1 -W1 $IN4 &&
	wait_for behind ping -n -c1 -W1 $IN6
}

unstage() {
	kill "$BEHIND" $HOLDER 2>/dev/null
	wait $HOLDER 2>/dev/null
	pasta_stop
}

# Services on the host, at each address by itself; it has the bridge's as well, as
# machines have that run the same program as their containers do
services() {
	local a n=0
	ip addr add $IN4/32 dev lo
	ip addr add $SECOND4/32 dev lo
	ip addr add $IN6/128 dev lo nodad
	for a in 127.0.0.1 ::1 $HOST4 $HOST6 $IN4 $SECOND4 $IN6; do
		case $a in
		*:*) socat "TCP6-LISTEN:$1,bind=[$a],reuseaddr,fork" EXEC:cat &;;
		*) socat "TCP4-LISTEN:$1,bind=$a,reuseaddr,fork" EXEC:cat &;;
		esac
		udpx echo "$a" "$1" >/dev/null 2>&1 &
		n=$((n + 1))
	done
	wait_for all_serve "$1" $n
}
all_serve() {
	[ "$(ss -Htln "sport = :$1" | wc -l)" = "$2" ] &&
		[ "$(ss -Huln "sport = :$1" | wc -l)" = "$2" ]
}

tcp() { $1 timeout 5 tcpx connect "$2" "$3" -s 10 -r 10; }
udp() { $1 udpx ask "$2" "$3" -t "${4:-2000}"; }

# from_source BIND ADDR PORT: with a source address that the program chose
from_source() {
	echo hello | inside timeout 5 socat -t 2 - "$1:[$3]:$4,bind=[$2]"
}

own_programs() {
	local a
	for a in 127.0.0.1 ::1 $HOST4 $HOST6 $IN4 $IN6; do
		t "$what: the namespace's own programs, by $a, TCP" tcp inside $a $P
		t "$what: and UDP" udp inside $a $P
	done
	t "$what: by a secondary address, TCP" tcp inside $SECOND4 $P
	t "$what: from another address of its own, IPv4" \
		tcp_from $IN4 127.0.0.1
	t "$what: and IPv6" tcp_from $HOST6 $IN6
}
tcp_from() {
	local v=4
	case $1 in *:*) v=6;; esac
	[ "$(from_source TCP$v "$1" "$2" $P)" = hello ]
}

others() {
	local a result
	for a in $HOST4 $HOST6 $IN4 $IN6; do
		result=$(tcp behind $a $P 2>&1)
		is "$(value errno "$result")" ECONNRESET \
			"$what: others are refused by $a, TCP"
		udp behind $a $P 200 >/dev/null 2>&1
		is $? 1 "$what: and UDP"
	done
}

# A neighbour claims to be the namespace: what it sends is counted on the host
forger() {
	rm -f "$T/forged"
	python3 -c "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::1', 7102))
t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); t.bind(('$IN6', 7102))
open('$T/forged', 'w').write('ready')
import select
while True:
    for x in select.select([s, t], [], [])[0]:
        if x.recv(9) == b'end': raise SystemExit
        open('$T/forged', 'w').write('arrived')" &
	FORGED=$!
	wait_for test -s "$T/forged"
	behind python3 -c "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, 78, 1)	# IPV6_FREEBIND
s.bind(('$IN6', 0))
for i in range(3): s.sendto(b'forged', ('$IN6', 7102))"
	is $? 0 "$what: a neighbour can forge a source address"
	inside python3 -c "
import socket
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'end', ('$IN6', 7102))"
	wait $FORGED
	is "$(cat "$T/forged")" ready "$what: which gets it nowhere"
}

services 7101
for WHO in $WHOM; do
	for options in "-T auto -U auto" "-T 7101 -U 7101,7102"; do
		P=7101 what="$WHO, $options"
		# shellcheck disable=SC2086 # several words
		pasta_start $options
		wait_for listening tcp $P inside
		wait_for listening udp $P inside
		if ! stage; then
			skip "$what" "no veth pair in there"
			unstage
			continue
		fi
		own_programs
		others
		[ "$options" = "-T auto -U auto" ] || forger
		t "$what: nobody is in the way of own programs afterwards" \
			tcp inside 127.0.0.1 $P
		unstage
	done
done
done_testing
