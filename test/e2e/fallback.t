#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tap device on kernels that can do less: each step of the ladder of offloads
# is forced in turn (--tap-offload), down to no virtio-net header at all.

. "$(dirname "$0")/../lib/ns.sh"

tcp() {
	local addr=$1 server=$2 client=$3 name=$4 out status try
	for try in 1 2 3; do		# the kernel's timers may expire for want of CPU
		P=$((${P:-7000} + 1))
		# shellcheck disable=SC2086 # options are words
		exec_peer timeout 60 tcpx listen "$addr" $P $server >"$T/server" &
		wait_for listening tcp $P peer
		# shellcheck disable=SC2086
		out=$(in_ns -m "$MTU" --tap-offload="$STEP" -- \
			inner tcpx connect "$addr" $P $client 2>&1) || kill $!
		wait $!
		status=$?
		[ $status = 0 ] && [ "$(value guest_rtx "$out")" != 0 ] || break
		diag "try $try: $out"
	done
	ok $status "$name arrives" || diag "$out, server: $(cat "$T/server")"
	is "$(value guest_rtx "$out")" 0 "$name: nothing is retransmitted"
	diag "$(value ms "$out") ms"
}

step() {
	local fam addr what
	for fam in 4 6; do
		addr=$PEER4; [ $fam = 6 ] && addr=$PEER6
		what="$STEP, MTU $MTU, IPv$fam"
		tcp "$addr" "-r 128m" "-s 128m" "$what: 128 MiB out"
		tcp "$addr" "-s 128m" "-r 128m" "$what: 128 MiB in"
		exec_peer udpx echo "$addr" 7000 >/dev/null &
		wait_for listening udp 7000 peer
		t "$what: UDP, small and large" in_ns -m "$MTU" \
			--tap-offload="$STEP" -- sh -c "
			for s in 1 1472 65000; do
				udpx ask $addr 7000 -s \$s -c 10 || exit 1
			done"
		kill $!; wait $! 2>/dev/null
		t "$what: ping" in_ns -m "$MTU" --tap-offload="$STEP" -- \
			ping -n -c1 -W5 -s 1400 "$addr"
	done
}

for STEP in uso tso csum vnet none; do
	if ! in_ns --tap-offload=$STEP -- true 2>"$T/out"; then
		ok 1 "$STEP: it starts"
		diag "$(cat "$T/out")"
		continue
	fi
	for MTU in 65520 1500; do step; done
done
done_testing
