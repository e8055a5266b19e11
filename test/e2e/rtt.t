#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Throughput over distance: 256 MiB to and from a peer behind 20 and 100 ms of
# round-trip time, against what the host itself gets over the same path in the
# same run, and without one segment retransmitted in the namespace.
#
# The paths are links through relays, beside the one to the gateway:
#	wan20	203.0.113.129 - .130	2001:db8:20::1 - ::2	10 ms each way
#	wan100	203.0.113.133 - .134	2001:db8:100::1 - ::2	50 ms each way

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

# serve ADDR out|in: a server for one transfer, its pid in $SERVER, at $PORT
serve() {
	local send=-r
	[ "$2" = in ] && send=-s
	PORT=$((${PORT:-7000} + 1))
	exec_peer timeout -k 1 80 tcpx listen "$1" $PORT $send $SIZE >/dev/null &
	SERVER=$!
	wait_for listening tcp $PORT peer
}

# client ADDR out|in: command line for it
client() {
	local send=-s
	[ "$2" = in ] && send=-r
	echo "tcpx connect $1 $PORT $send $SIZE"
}

# judge WHAT NATIVE-MS OURS-MS: is it fast enough?
judge() {
	diag "$1: native $2 ms, ours $3 ms: $(($2 * 100 / $3)) %"
	[ $(($3 * 8)) -le $(($2 * 10)) ]
}

# compare WHO WHAT ADDR out|in: one transfer alone, native and ours.  A figure
# missed is measured again, twice: something else may have run
compare() {
	local what="$1, $2, $4" addr=$3 dir=$4 try native ours rtx out fast=1
	for try in 1 2 3; do
		serve "$addr" "$dir"
		# shellcheck disable=SC2046
		native=$(value ms "$(env $(client "$addr" "$dir"))")
		wait $SERVER
		serve "$addr" "$dir"
		# shellcheck disable=SC2046 # options are words
		out=$(WHO=$1 LIMIT=60 in_ns -- inner $(client "$addr" "$dir") 2>&1) ||
			kill $SERVER
		wait $SERVER
		ours=$(value ms "$out")
		if [ -z "$native" ] || [ -z "$ours" ]; then
			ok 1 "$what: arrives"
			diag "$out"
			return
		fi
		rtx=$(value guest_rtx "$out")
		judge "$what, try $try" "$native" "$ours" && fast=0 && [ "$rtx" = 0 ] &&
			break
	done
	ok $fast "$what: at least 0.8 of native"
	is "$rtx" 0 "$what: nothing is retransmitted"
}

# together NAME COMMAND...: the four transfers of wan100 side by side, which is
# still far below what the path carries; the outcome of each in $T/NAME.*
together() {
	local name=$1 addr dir script='' servers=()
	shift
	for addr in 203.0.113.134 2001:db8:100::2; do
		for dir in out in; do
			serve $addr $dir
			servers+=("$SERVER")
			script+="$(client $addr $dir) > $T/home/$name.$dir.$addr & "
		done
	done
	"$@" sh -c "$script wait" > "$T/home/$name" 2>&1
	for SERVER in "${servers[@]}"; do
			wait "$SERVER"	# ends by its own timeout if nobody came
	done
}

path wan20 10 203.0.113.129 203.0.113.130 2001:db8:20
path wan100 50 203.0.113.133 203.0.113.134 2001:db8:100

for who in $WHOM; do
	for dir in out in; do
		compare "$who" "IPv4, 20 ms" 203.0.113.130 $dir
		compare "$who" "IPv6, 20 ms" 2001:db8:20::2 $dir
	done
done

# all_fast WHO: all of them
all_fast() {
	local addr dir native ours bad=0
	for addr in 203.0.113.134 2001:db8:100::2; do
		for dir in out in; do
			native=$(value ms "$(cat "$T/home/native.$dir.$addr")")
			ours=$(value ms "$(cat "$T/home/$1.$dir.$addr")")
			judge "$1, 100 ms, $addr, $dir" "${native:-0}" \
				"${ours:-999999}" || bad=1
		done
	done
	[ "$(value guest_rtx "$(cat "$T/home/$1")")" = 0 ] && [ $bad = 0 ]
}

together native env
for who in $WHOM; do
	WHO=$who LIMIT=60 together "$who" in_ns -- inner
	all_fast "$who" || {		# as above
		together native env
		WHO=$who LIMIT=60 together "$who" in_ns -- inner
	}
	for addr in 203.0.113.134 2001:db8:100::2; do
		for dir in out in; do
			native=$(value ms "$(cat "$T/home/native.$dir.$addr")")
			ours=$(value ms "$(cat "$T/home/$who.$dir.$addr")")
			judge "$who, 100 ms, $addr, $dir" "${native:-0}" "${ours:-999999}"
			ok $? "$who, 100 ms, $dir to $addr: at least 0.8 of native"
		done
	done
	is "$(value guest_rtx "$(cat "$T/home/$who")")" 0 \
		"$who, 100 ms: nothing is retransmitted"
done
done_testing
