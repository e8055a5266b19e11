#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Echo requests from the namespace, through ping sockets of the host.

. "$(dirname "$0")/../lib/ns.sh"

pings() {
	local addr=$1 what="$WHO, $2" n=8
	t "$what: ping" in_ns -- ping -n -c3 -i0.01 -W5 "$addr"
	t "$what: ping with 1400 bytes" \
		in_ns -m 1500 -- ping -n -c3 -i0.01 -W5 -s 1400 "$addr"
	t "$what: ping with 8000 bytes at MTU 1500" \
		in_ns -m 1500 -- ping -n -c3 -i0.01 -W5 -s 8000 "$addr"
	# shellcheck disable=SC2016
	t "$what: $n pings at once, each its own answers" in_ns -- bash -c '
		for ((i = 0; i < $1; i++)); do
			ping -n -c5 -i0.05 -W5 $2 >$T/home/ping$i &
		done
		wait
		for ((i = 0; i < $1; i++)); do
			grep -q " 5 received, 0%" $T/home/ping$i || exit 1
		done
		! grep -q DUP $T/home/ping*' bash $n "$addr"
	rm -f "$T"/home/ping*
}

# An answer carries the identifier and the sequence numbers of the request
echoed() {
	like "$(in_ns -- ping -n -c2 -i0.01 -W5 -e 4242 "$1")" \
		'icmp_seq=1 .*icmp_seq=2 .*2 received' "$WHO, $2: with an identifier"
}

# Where nobody may have ping sockets, all the rest works, and it is said once
closed() {
	local f=/proc/sys/net/ipv4/ping_group_range out
	echo "1 0" > $f
	out=$(run_as "$WHO" timeout 20 "$PASTA" --config-net "${ALONE[@]}" -- \
		sh -c "ping -n -c1 -W1 $PEER4; ping -n -c1 -W1 $PEER4" 2>&1)
	like "$out" '1 packets transmitted, 0 received' \
		"$WHO: ping_group_range is closed: no answer"
	is "$(grep -c ping_group_range <<<"$out")" 1 \
		"$WHO: and a message, once" || diag "$out"
	echo "0 2147483647" > $f
}

for WHO in $WHOM; do
	pings "$PEER4" IPv4
	pings "$PEER6" IPv6
	echoed "$PEER4" IPv4
	echoed "$PEER6" IPv6
	t "$WHO: the gateway's address" in_ns -- ping -n -c1 -W5 "$GW4"
	peer ip route replace blackhole 203.0.113.99
	out=$(in_ns -- ping -n -c1 -W1 203.0.113.99)
	like "$out" '0 received' "$WHO: nobody answers for a silent peer"
	if [ -n "$NS_ROOT" ]; then closed; fi
done
done_testing
