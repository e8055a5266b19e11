#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Clocks and counters at their edges: the date jumps by years, the monotonic clock crosses 2^31
# and 2^32 ms, the daemon stands still for a while, and connections carry over 4 GiB each way.
# unit/day has a day of idle flows.
#
# usage: [STILL=SECONDS] [MIB=MIB] test/run e2e/time, for instance 60 and 5120

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

STILL=${STILL:-5}
MIB=${MIB:-4100}
S=$T/home/control
WHO=user

pesto() { as_user "$NS_TOP/pesto" "$@"; }

serve_peer() {
	peer tcpx listen "$PEER4" 7001 -l -r 10 -s 10 &
	peer udpx echo "$PEER4" 7002 >/dev/null &
	peer socat TCP-LISTEN:7003,bind="$PEER4",fork,reuseaddr PIPE 2>/dev/null &
	wait_for listening tcp 7001 peer && wait_for listening tcp 7003 peer &&
		wait_for listening udp 7002 peer
}
# works: new connections and datagrams
works() {
	inside timeout 2 tcpx connect "$PEER4" 7001 -s 10 -r 10 &&
		inside udpx ask "$PEER4" 7002 -p 21000 -t 1000
}
# A connection that lives on: say WORD is echoed
talk() {
	rm -f "$T/home/say" "$T/home/heard"
	mkfifo "$T/home/say"
	chmod 666 "$T/home/say"
	inside socat - TCP:"$PEER4":7003 <"$T/home/say" >"$T/home/heard" &
	TALKER=$!
	exec 6>"$T/home/say"
}
say() {
	echo "$1" >&6
	wait_for -t 8 grep -qx "$1" "$T/home/heard"
}
hang_up() {
	exec 6>&-
	wait $TALKER
}
calm() {
	local before
	# shellcheck disable=SC2046
	before=$(ticks $(processes))
	sleep 1
	# shellcheck disable=SC2046
	[ $(($(ticks $(processes)) - before)) -le 1 ]
}

# --- the date -------------------------------------------------------------------------

# A library that adds to the date the seconds that are in a file
date_library() {
	cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$T/bin/date.so" -x c - <<-'END'
	#include <fcntl.h>
	#include <stdlib.h>
	#include <sys/mman.h>
	#include <sys/syscall.h>
	#include <time.h>
	#include <unistd.h>

	static const volatile long *offset;

	__attribute__((constructor)) static void map(void)
	{
		const char *path = getenv("DATE_OFFSET");
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *p = fd < 0 ? MAP_FAILED :
			  mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);

		if (p != MAP_FAILED)
			offset = p;
		close(fd);
	}

	int clock_gettime(clockid_t id, struct timespec *ts)
	{
		int rc = syscall(SYS_clock_gettime, id, ts);

		if (!rc && offset && id == CLOCK_REALTIME)
			ts->tv_sec += *offset;
		return rc;
	}
	END
}
# jump YEARS: the date of the daemon
jump() { python3 -c 'import struct, sys
with open(sys.argv[1], "r+b") as f: f.write(struct.pack("@l", int(sys.argv[2]) * 31556952))' \
	"$T/home/offset" "$1"; }

dates() {
	local years
	date_library || { skip "the date" "no library for a preload can be made"; return; }
	: >"$T/home/offset"
	jump 0
	export DATE_OFFSET=$T/home/offset LD_PRELOAD=$T/bin/date.so
	pasta_start --pcap "$T/home/capture" -c "$S"
	ok $? "a pasta starts whose date can be set"
	unset LD_PRELOAD DATE_OFFSET
	talk
	t "a connection is made" say 0
	for years in 10 -10 -60 0; do
		jump $years
		t "the date is $years years off: the connection goes on" say "year$years"
		t "new ones are made, and datagrams answered" works
	done
	if ! command -v tcpdump >/dev/null; then
		skip "the capture has the daemon's date" "no tcpdump"
	else
		[ "$(tcpdump -n -r "$T/home/capture" -tttt 2>/dev/null | cut -c1-3 | sort -u | wc -l)" -ge 2 ]
		ok $? "it was the daemon's date: the capture has it"
	fi
	t "pasta sleeps" wait_for calm
	hang_up
	pasta_stop
}

# --- the monotonic clock --------------------------------------------------------------

up_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

# crossing BITS: pasta in a time namespace, in which the clock comes to 2^BITS ms soon
crossing() {
	local bits=$1 name="2^$1 ms" real=$PASTA off cross server
	off=$(((1 << bits) / 1000 - $(up_ms) / 1000 - 2))
	cross=$(((1 << bits) - off * 1000))
	printf '#!/bin/sh\nexec unshare --fork --kill-child --time --monotonic %s -- %s "$@"\n' \
		$off "$PASTA" >"$T/bin/pasta_then"
	chmod 755 "$T/bin/pasta_then"
	PASTA=$T/bin/pasta_then
	WHO=root
	pasta_start -t auto
	ok $? "$name: a pasta starts before that"
	PASTA=$real
	[ "$(up_ms)" -lt $cross ] || diag "it was late"
	talk
	t "$name: a connection is made" say before
	while works >/dev/null && [ "$(up_ms)" -lt $((cross + 300)) ]; do :; done
	t "$name: it goes on after that" say after
	t "$name: new ones are made, and datagrams answered" works
	inside socat TCP-LISTEN:7050,fork,reuseaddr PIPE 2>/dev/null 6>&- &
	server=$!
	t "$name: timers expire: a new listener is found" wait_for -t 8 listening tcp 7050
	hang_up
	kill $server
	# shellcheck disable=SC2046
	kill $(processes) 2>/dev/null
	pasta_stop
	WHO=user
}

monotonic() {
	local bits
	if [ -z "$NS_ROOT" ] || ! unshare --fork --time --monotonic 10 true 2>/dev/null; then
		skip "2^31 and 2^32 ms" "no time namespaces for this user"
		return
	fi
	for bits in 31 32; do crossing $bits; done
}

# --- standing still -------------------------------------------------------------------

still() {
	local late
	pasta_start -c "$S" -t 7011
	ok $? "a pasta starts"
	inside socat TCP-LISTEN:7011,fork,reuseaddr PIPE 2>/dev/null &
	local server=$!
	wait_for listening tcp 7011 inside
	talk
	t "a connection is made" say before
	exec_peer timeout 100 tcpx listen "$PEER4" 7004 -s 400m -r 400m >"$T/bulk.peer" 6>&- &
	local bulk=$!
	wait_for listening tcp 7004 peer
	inside timeout 100 tcpx connect "$PEER4" 7004 -s 400m -r 400m >"$T/bulk" 6>&- &
	local client=$!
	moving() { inside ss -Htin "dport = :7004" | grep -qE 'bytes_received:[0-9]{7}'; }
	wait_for moving
	# shellcheck disable=SC2046
	kill -STOP $(processes)
	echo during >&6
	(echo late | timeout 90 socat -t60 - TCP:"$HOST4":7011 >"$T/late") 6>&- &
	late=$!
	inside timeout 90 tcpx connect "$PEER4" 7001 -s 10 -r 10 >"$T/syn" 6>&- &
	local syn=$!
	sleep "$STILL"		# this is what is tested
	# shellcheck disable=SC2046
	kill -CONT $(processes)
	t "after $STILL s without the daemon, the connection goes on" \
		wait_for -t 8 grep -qx during "$T/home/heard"
	t "so do new ones" works
	wait $bulk && wait $client
	is $? 0 "400 MiB each way arrive, each byte" || diag "$(cat "$T/bulk" "$T/bulk.peer")"
	wait $syn
	is $? 0 "a connection that was dialled meanwhile is made"
	wait $late
	is "$(cat "$T/late")" late "so is one to a forwarded port"
	t "the control socket answers" pesto "$S" status
	t "pasta sleeps" wait_for calm
	hang_up
	kill $server
	pasta_stop
}

# --- counters -------------------------------------------------------------------------

# A connection whose sequence numbers come round, and counters above 2^32
large() {
	local bytes=$((MIB << 20)) rules
	pasta_start -c "$S" -t 127.0.0.1/7021
	ok $? "a pasta starts"
	exec_peer timeout 100 tcpx listen "$PEER4" 7022 -s ${MIB}m -r ${MIB}m >"$T/five.out" &
	local tap=$!
	wait_for listening tcp 7022 peer
	t "$MIB MiB each way over the tap, each byte checked" \
		inside timeout 100 tcpx connect "$PEER4" 7022 -s ${MIB}m -r ${MIB}m
	wait $tap
	is $? 0 "the peer has them, too"
	exec_as user nsenter -t "$INNER" -U --preserve-credentials -n -- \
		timeout 100 tcpx listen :: 7021 -s ${MIB}m -r ${MIB}m >"$T/five.in" &
	local bypass=$!
	wait_for listening tcp 7021 inside
	t "$MIB MiB each way past the tap" \
		as_user timeout 100 tcpx connect 127.0.0.1 7021 -s ${MIB}m -r ${MIB}m
	wait $bypass
	is $? 0 "the server has them, too"
	rules=$(pesto --json "$S" rules)
	like "$rules" "\"in\":$bytes,\"out\":$bytes" "the rule has counted them"
	pasta_stop
}

serve_peer || echo "Bail out! no servers"
dates
monotonic
still
large
done_testing
