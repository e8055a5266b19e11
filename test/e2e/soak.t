#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All kinds of traffic at the same time, each byte of it checked, for SECS seconds. Then
# pasta has the flows, descriptors and memory that it had before, and sleeps.
#
# The same traffic runs for some seconds before the first look: it fills pools of sockets
# and pipes, which are kept, and touches the memory that it needs at a time. So what is
# compared grows only if something is left behind.
#
# usage: [SECS=1200 LIMIT=1500] test/run e2e/soak

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

SECS=${SECS:-45}
WARM=5
S=$T/home/control
BULK=(-s 8m -r 8m)
WHO=user

# --- load ---------------------------------------------------------------------------

host() { as_user "$@"; }

# servers: one for each kind of client
servers() {
	peer tcpx listen "$PEER4" 7021 -l "${BULK[@]}" &
	peer tcpx listen "$PEER6" 7021 -l "${BULK[@]}" &
	inside tcpx listen :: 7001 -l "${BULK[@]}" &
	inside tcpx listen :: 7004 -l "${BULK[@]}" &
	host tcpx listen 127.0.0.1 7011 -l "${BULK[@]}" &
	peer crr serve "$PEER4" 7022 &
	peer crr answer "$PEER6" 7023 &
	inside crr serve :: 7002 &
	inside crr answer :: 7003 &
	peer udpx echo "$PEER4" 7024 >/dev/null &
	inside udpx echo :: 7005 >/dev/null &
	peer python3 "$NS_TOP/test/tools/dnsd.py" "$PEER4" >"$T/dnsd" &
	wait_for grep -q ready "$T/dnsd"
	for port in 7021 7022 7023; do wait_for listening tcp $port peer || return 1; done
	for port in 7001 7002 7003 7004; do wait_for listening tcp $port inside || return 1; done
	wait_for listening tcp 7011 && wait_for listening udp 7005 inside &&
		wait_for listening udp 7024 peer
}

# repeat NAME COMMAND...: until the time is over; notes how often it succeeded, and what it
# printed if not
repeat() {
	local name=$1 n=0 out
	shift
	while [ "$(now_ms)" -lt "$END" ]; do
		if out=$("$@" 2>&1); then
			n=$((n + 1))
		else
			echo "$out" >>"$T/load/$name.bad"
		fi
	done
	echo $n >"$T/load/$name"
}

# during NAME KEY WANTED COMMAND...: once, for all of the time; it prints KEY=WANTED
during() {
	local name=$1 key=$2 want=$3 out
	shift 3
	out=$("$@" 2>&1)
	[ "$(value "$key" "$out")" = "$want" ] || echo "$out" >"$T/load/$name.bad"
	echo "${out##*$'\n'}" >"$T/load/$name"
}

pesto() { as_user "$NS_TOP/pesto" "$@"; }
# control: what an administrator may ask and change at any time
control() {
	pesto "$S" status && pesto --json "$S" flows && pesto "$S" metrics && pesto -s "$S" &&
		pesto -A -t 127.0.0.1/7031 -u 127.0.0.1/7031 "$S" &&
		pesto -D -t 127.0.0.1/7031 -u 127.0.0.1/7031 "$S" && sleep 0.1
}
pings() {
	local out
	out=$(inside ping -n -i 0.2 -s 1000 -p 5a -w "$1" -W 5 "$2")
	[[ $out == *" 0% packet loss"* && $out != *wrong* ]] || echo "$out"
}

# load SECONDS: all of it
load() {
	local secs=$1 pid pids=()
	END=$(($(now_ms) + secs * 1000))
	rm -rf "$T/load"
	mkdir "$T/load"
	repeat "TCP out, IPv4" inside timeout 60 tcpx connect "$PEER4" 7021 "${BULK[@]}" & pids+=($!)
	repeat "TCP out, IPv6" inside timeout 60 tcpx connect "$PEER6" 7021 "${BULK[@]}" & pids+=($!)
	repeat "TCP in" peer timeout 60 tcpx connect "$HOST4" 7001 "${BULK[@]}" & pids+=($!)
	repeat "bypass in" host timeout 60 tcpx connect 127.0.0.1 7004 "${BULK[@]}" & pids+=($!)
	repeat "bypass out" inside timeout 60 tcpx connect 127.0.0.1 7011 "${BULK[@]}" & pids+=($!)
	during "short out" failed 0 inside crr soak "$PEER4" 7022 "$secs" & pids+=($!)
	during "short out, IPv6" failed 0 inside crr soak "$PEER6" 7023 "$secs" & pids+=($!)
	during "short in" failed 0 peer crr soak "$HOST4" 7002 "$secs" & pids+=($!)
	during "short bypass" failed 0 host crr soak 127.0.0.1 7003 "$secs" & pids+=($!)
	repeat "UDP out" inside udpx ask "$PEER4" 7024 -n 10 -c 50 -s 1000 -p 21000 -t 20000 & pids+=($!)
	repeat "UDP in" peer udpx ask "$HOST4" 7005 -n 10 -c 50 -s 1000 -p 22000 -t 20000 & pids+=($!)
	repeat "DNS" inside python3 "$NS_TOP/test/tools/ask.py" "$PEER4" 23000 "$secs" & pids+=($!)
	repeat "ping" pings_ok "$secs" & pids+=($!)
	repeat "control" control & pids+=($!)
	for pid in "${pids[@]}"; do wait "$pid"; done
}
pings_ok() { [ -z "$(pings "$1" "$PEER4" | tee -a "$T/load/ping.bad")" ]; }

# --- the state ----------------------------------------------------------------------

# count PROTO: the flows of a protocol
count() { pesto --json "$S" flows | grep -c "\"proto\":\"$1\""; }
descriptors() { for pid in $(processes); do ls "/proc/$pid/fd"; done | wc -l; }
rss() {
	for pid in $(processes); do
		awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
	done | awk '{ s += $1 } END { print s }'
}
no_tcp() { [ "$(count tcp)" = 0 ]; }
# calm: a second with at most one tick of CPU
calm() {
	local before
	# shellcheck disable=SC2046
	before=$(ticks $(processes))
	sleep 1
	# shellcheck disable=SC2046
	[ $(($(ticks $(processes)) - before)) -le 1 ]
}

# settled: TCP has ended; UDP flows are the same each time, since ports are fixed. Those of
# echo requests are not: each ping has a number of its own
settled() {
	wait_for no_tcp && wait_for calm || return 1
	UDP_FLOWS=$(count udp)
	FDS=$(descriptors)
	RSS=$(rss)
}

pasta_start -c "$S" -t 7001-7004 -T 7011 -u 7005
ok $? "a pasta starts" && servers
ok $? "its servers are there"

load $WARM
settled
ok $? "after $WARM s of load it comes to rest"
flows_before=$UDP_FLOWS fds_before=$FDS rss_before=$RSS

load "$SECS"
for f in "$T"/load/*; do
	case $f in *.bad) continue;; esac
	[ ! -s "$f.bad" ] && [ "$(cat "$f")" != 0 ]
	ok $? "$(basename "$f"): each byte is right ($(cat "$f"))" || diag "$(tail -5 "$f.bad")"
done
settled
ok $? "after $SECS s of load it comes to rest: no TCP flow is left, and it sleeps"
is "$UDP_FLOWS" "$flows_before" "UDP flows are those that were there before"
# Of a pool, more or fewer sockets may be at hand
le $((FDS - fds_before)) 16 "descriptors that are new"
# Pages of the overflow pool, 4 MiB, and of tables, that no load has needed before
le $((RSS - rss_before)) $((4096 + 512)) "kB of memory that are new, of $rss_before"
kill -0 "$DAEMON"
ok $? "pasta is there"
pasta_stop
done_testing
