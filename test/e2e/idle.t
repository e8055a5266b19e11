#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a pasta costs that has nothing to do: no wake-up, little memory, few
# descriptors.  All its processes count: wake-ups are added, sizes too, memory by
# the share that is theirs alone or divided (Pss).

. "$(dirname "$0")/../lib/ns.sh"

# sum FIELD: of /proc/PID/status over all of them
sum() {
	local pid total=0 v
	for pid in $(processes); do
		v=$(awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/status")
		total=$((total + ${v:-0}))
	done
	echo $total
}

switches() { echo $(($(sum voluntary_ctxt_switches) +
	$(sum nonvoluntary_ctxt_switches))); }

woke() { [ "$(switches)" != "$1" ]; }

pss() {
	local pid
	for pid in $(processes); do
		awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '{ s += $1 } END { print s + 0 }'
}

descriptors() {
	local pid
	for pid in $(processes); do ls "/proc/$pid/fd"; done | wc -l
}

# The namespace's kernel reports its multicast groups for a few seconds
settle() {
	local i
	for i in 1 2 3 4 5 6; do
		wait_for -t 3 woke "$(switches)" || return 0
	done
	diag "not settled after $i waits"
}

idle() {
	local before pid
	settle
	before=$(switches)
	wait_for -t 10 woke "$before"
	is $(($(switches) - before)) 0 "$WHO, $1: wake-ups in 10 s"
	for pid in $(processes); do
		le "$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")" 4096 \
			"$WHO, $1: kB RSS of $(cat "/proc/$pid/comm")"
		le "$(awk '/^VmSize/ { print $2 }' "/proc/$pid/status")" 32768 \
			"$WHO, $1: kB VSZ of $(cat "/proc/$pid/comm")"
	done
	le "$(pss)" 4096 "$WHO, $1: kB of memory of all its processes"
	le "$(descriptors)" 31 "$WHO, $1: descriptors of all its processes"
}

for WHO in $WHOM; do
	pasta_start && [ -n "$(processes)" ]
	ok $? "$WHO: it starts" || continue
	idle "after start"
	[ "$WHO" = user ] || { pasta_stop; continue; }
	exec_peer tcpx listen "$PEER4" 7000 -n 50 -r 1m >/dev/null &
	wait_for listening tcp 7000 peer
	t "$WHO: 50 connections" inside tcpx connect "$PEER4" 7000 -n 50 -s 1m
	wait $!
	idle "after 50 connections"
	exec_peer socat -u TCP-LISTEN:7001,fork OPEN:/dev/null &
	wait_for listening tcp 7001 peer
	inside socat PIPE "TCP:$PEER4:7001" &
	wait_for ss -Htn state established "dport = :7001"
	idle "with a connection that is silent"
	pasta_stop
done
done_testing
