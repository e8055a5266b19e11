#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Throughput over distance: 256 MiB to and from a peer behind 20 and 100 ms of
# round-trip time, against what the host itself gets over the same path in the
# same run, and without one segment retransmitted in the namespace.
#
# The paths are links through relays, beside the one to the gateway:
#	wan20	203.0.113.129 - .130	2001:db8:20::1 - ::2	10 ms each way
#	wan100	203.0.113.133 - .134				50 ms each way

. "$(dirname "$0")/../lib/ns.sh"

SIZE=256m

# path NAME ONE-WAY-MS HOST4 PEER4 PREFIX6
path() {
	relay "$2" "$1" "$PEER_PID" >"$T/$1" &
	wait_for grep -q ready "$T/$1"
	ip addr add "$3/30" dev "$1"
	ip addr add "$5::1/64" dev "$1" nodad
	ip link set "$1" up mtu 1500 txqueuelen 10000
	peer ip addr add "$4/30" dev "$1"
	peer ip addr add "$5::2/64" dev "$1" nodad
	peer ip link set "$1" up mtu 1500 txqueuelen 10000
	wait_for ping -n -c1 -W2 "$4"
	wait_for ping -n -c1 -W2 "$5::2"
}

# transfer ADDR out|in COMMAND...: milliseconds; the command is put before tcpx
transfer() {
	local addr=$1 server="-r $SIZE" client="-s $SIZE"
	[ "$2" = in ] && server="-s $SIZE" client="-r $SIZE"
	shift 2
	PORT=$((${PORT:-7000} + 1))
	# shellcheck disable=SC2086 # options are words
	exec_peer timeout -k 1 60 tcpx listen "$addr" $PORT $server >/dev/null &
	wait_for listening tcp $PORT peer
	# shellcheck disable=SC2086
	out=$("$@" tcpx connect "$addr" $PORT $client 2>&1) || kill $!
	wait $!
	ms=$(value ms "$out")
}

# A figure missed is measured once more: something else may have run
compare() {
	local what=$1 addr=$2 dir=$3 try native ours rtx=0
	for try in 1 2; do
		transfer "$addr" "$dir"
		native=$ms
		LIMIT=60 transfer "$addr" "$dir" in_ns -- inner
		ours=$ms
		if [ -z "$ours" ]; then
			ok 1 "$what: arrives"
			diag "$out"
			return
		fi
		rtx=$((rtx + $(value guest_rtx "$out")))
		diag "native $native ms, ours $ours ms:" \
			"$((native * 100 / ours)) % (try $try)"
		[ $((ours * 8)) -gt $((native * 10)) ] || break
	done
	[ $((ours * 8)) -le $((native * 10)) ]
	ok $? "$what: at least 0.8 of native"
	is $rtx 0 "$what: nothing is retransmitted"
}

path wan20 10 203.0.113.129 203.0.113.130 2001:db8:20
path wan100 50 203.0.113.133 203.0.113.134 2001:db8:100
WHO=user
for dir in out in; do
	compare "IPv4, 20 ms, $dir" 203.0.113.130 $dir
	compare "IPv6, 20 ms, $dir" 2001:db8:20::2 $dir
	compare "IPv4, 100 ms, $dir" 203.0.113.134 $dir
done
if [ -n "$NS_ROOT" ]; then
	WHO=root
	compare "root, IPv4, 20 ms, out" 203.0.113.130 out
	compare "root, IPv4, 20 ms, in" 203.0.113.130 in
fi
done_testing
