#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A resource that pasta needs is used up, by its own guest or by another program of the user:
# pasta lives, tells it at most once a second, keeps what it has, and serves new connections
# within 8 s once the resource is there again. Descriptors in flight are in e2e/inflight.

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

LOG=$T/home/log
S=$T/home/control
BACK=8			# seconds
WHO=user

cat > "$T/bin/use_up" <<'END_PY'
#!/usr/bin/env python3
# use_up pipes MOST			of this user, as many as get their usual size
# use_up tcp ADDR PORT MOST		connections
# use_up udp ADDR PORT MOST [RATE]	sockets that send one datagram each, at most RATE a second
# use_up memory				until it is killed
# A line with the number tells that no more is to be had, then it waits for the end of stdin.
import fcntl, os, resource, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kind, args, kept = sys.argv[1], sys.argv[2:], []
most = int(args[-1]) if kind == "pipes" else int(args[2]) if args else 0

def get():
    if kind == "pipes":
        r, w = os.pipe()
        kept.append((r, w))
        return fcntl.fcntl(r, 1032) >= 65536		# F_GETPIPE_SZ
    if kind == "memory":
        kept.append(b"x" * (1 << 20))
        return True
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(2)
    kept.append(s)
    s.connect((args[0], int(args[1])))
    if kind == "udp":
        s.send(b"x")
        if len(args) > 3:
            time.sleep(1 / int(args[3]))
    return True

try:
    while (not most or len(kept) < most) and get():
        pass
except OSError as e:
    print(e, file=sys.stderr)
print(len(kept), flush=True)
sys.stdin.read()
END_PY
chmod 755 "$T/bin/use_up"

# hold COMMAND...: start a use_up, and wait until it has all; let_go ends it
hold() {
	rm -f "$T/hold" "$T/held"
	mkfifo "$T/hold"
	("$@" <"$T/hold" >"$T/held" 2>"$T/held.err") &
	HOLDER=$!
	exec 5>"$T/hold"
	wait_for -t 60 test -s "$T/held"
}
let_go() {
	exec 5>&-
	wait $HOLDER
}

start() {
	rm -f "$LOG" "$S"
	STARTED=$(now_ms)
	pasta_start --log-file "$LOG" -c "$S" "$@"
	ok $? "$SCENE: a pasta starts"
}
stop() {
	kill -0 "$DAEMON"
	ok $? "$SCENE: pasta lives"
	pasta_stop
}

# told TEXT [FEWEST]: the log has the line, and at most once a second
told() {
	local n
	n=$(grep -c "$1" "$LOG")
	[ "$n" -ge "${2-1}" ] && [ "$n" -le $((2 + ($(now_ms) - STARTED) / 1000)) ]
	ok $? "$SCENE: it is told, at most once a second ($n)" || diag "$(tail -5 "$LOG")"
}
stat_of() { as_user "$NS_TOP/pesto" "$S" metrics | grep "$1" | awk '{ print $NF }'; }

serve_peer() {
	peer tcpx listen "$PEER4" 7001 -l -n 1 -r 10 -s 10 &
	peer udpx echo "$PEER4" 7002 >/dev/null &
	wait_for listening tcp 7001 peer && wait_for listening udp 7002 peer
}
# keep_all: a server of the peer that accepts all, and closes none before close_all
keep_all() {
	exec_peer python3 -c '
import socket, sys
s = socket.create_server((sys.argv[1], 7003), backlog=1000)
kept = []
while True:
    kept.append(s.accept())' "$PEER4" &
	KEEPER=$!
	wait_for listening tcp 7003 peer
}
close_all() {
	kill $KEEPER
	wait $KEEPER 2>/dev/null
}
tcp_works() { inside timeout 2 tcpx connect "$PEER4" 7001 -s 10 -r 10; }
udp_works() { inside udpx ask "$PEER4" 7002 -t 1000; }
back() {
	t "$SCENE: TCP works within $BACK s after that" wait_for -t $BACK tcp_works
	t "$SCENE: UDP, too" wait_for -t $BACK udp_works
}

# --- pipes ----------------------------------------------------------------------------

pipes() {
	SCENE="no pipes"
	if [ -z "$NS_ROOT" ] || [ "$(ulimit -Hn)" -lt 4096 ]; then
		skip "$SCENE" "needs another user than root, and 4096 open files"
		return
	fi
	start -t 7011
	inside tcpx listen :: 7011 -l -s 4m -r 4m &
	local server=$! bulk=(timeout 20 tcpx connect 127.0.0.1 7011 -s 4m -r 4m) before
	wait_for listening tcp 7011 inside
	hold exec_as user use_up pipes 1900
	[ "$(cat "$T/held")" -lt 1900 ]
	ok $? "$SCENE: another program of the user has all ($(cat "$T/held"))"
	t "$SCENE: a local connection carries each byte all the same" as_user "${bulk[@]}"
	before=$(stat_of "times_without_a_pipe")
	[ "${before:-0}" -gt 0 ]
	ok $? "$SCENE: that is counted ($before)" ||
		diag "$(as_user "$NS_TOP/pesto" "$S" metrics | grep -i -e pipe -e splice)"
	let_go
	piped() {
		before=$(stat_of "times_without_a_pipe")
		as_user "${bulk[@]}" && [ "$(stat_of "times_without_a_pipe")" = "$before" ]
	}
	t "$SCENE: pipes are used again within $BACK s" wait_for -t $BACK piped
	kill $server
	stop
}

# --- source ports ---------------------------------------------------------------------

ports() {
	SCENE="no source ports"
	start
	local range=/proc/sys/net/ipv4/ip_local_port_range old
	old=$(cat $range)
	echo 42000 42019 >$range
	keep_all
	hold inside use_up tcp "$PEER4" 7003 40
	like "$(cat "$T/held.err")" "unreachable|refused" \
		"$SCENE: the guest learns at once that a connection can't be made"
	is "$(cat "$T/held")" 21 "$SCENE: after all that there are"
	close_all		# first, since a port of ours would wait for a minute
	let_go
	t "$SCENE: TCP works within $BACK s after these have ended" wait_for -t $BACK tcp_works
	echo "$old" >$range
	stop
}

# --- memory ---------------------------------------------------------------------------

# The group in $GROUP must not go on in the machine's swap
no_swap() {
	[ -z "$(tail -n +2 /proc/swaps)" ] || echo 0 >"$GROUP/memory.swap.max"
}

# group_make MIB: a cgroup with that limit in $GROUP, of either version; false: there is none
group_make() {
	local root=/sys/fs/cgroup name=pasta-test-$$ own
	own=$(awk -F: '$2 == "memory" { print $3 }' /proc/self/cgroup)
	for GROUP in $root/memory$own/$name $root/memory/$name \
		     $root$(awk -F: '$1 == 0 { print $3 }' /proc/self/cgroup)/$name $root/$name; do
		mkdir "$GROUP" 2>/dev/null || continue
		no_swap && echo $(($1 << 20)) >"$GROUP/memory.max" && return
		no_swap && echo $(($1 << 20)) >"$GROUP/memory.limit_in_bytes" && return
		rmdir "$GROUP"
	done 2>/dev/null
	return 1
}

memory() {
	SCENE="no memory"
	if ! group_make 64; then
		skip "$SCENE" "no control group for memory can be made"
		return
	fi
	start
	local pid
	for pid in $(processes); do echo "$pid" >"$GROUP/cgroup.procs"; done
	t "$SCENE: pasta works in a control group of 64 MiB" tcp_works
	(echo 0 >"$GROUP/cgroup.procs" && exec use_up memory) </dev/null >/dev/null 2>&1 &
	HOLDER=$!
	while kill -0 $HOLDER 2>/dev/null; do
		inside timeout 2 tcpx connect "$PEER4" 7001 -s 10 -r 10
	done >/dev/null
	wait $HOLDER 2>/dev/null
	is $? 137 "$SCENE: the program that takes all is killed, not pasta"
	back
	stop
	wait_for rmdir "$GROUP"
}

# --- disk -----------------------------------------------------------------------------

disk() {
	SCENE="no room on the disk"
	local d=$T/home/disk
	mkdir "$d"
	mount -t tmpfs -o size=64k,mode=777 tmpfs "$d"
	rm -f "$LOG"
	STARTED=$(now_ms)
	LOG=$d/log
	pasta_start --log-file "$LOG" --log-size 1000000 -d --pcap "$d/capture"
	ok $? "$SCENE: a pasta starts"
	full() { ! dd if=/dev/zero of="$d/rest" bs=1 count=1 2>/dev/null; }
	fill() {
		inside ping -n -c 20 -i 0.01 -s 1400 "$PEER4"
		full
	}
	t "$SCENE: capture and log fill it" wait_for fill
	t "$SCENE: traffic goes on" tcp_works
	mount -o remount,size=16m "$d"
	line=$(wc -l <"$LOG")
	more() { tcp_works && [ "$(wc -l <"$LOG")" -gt "$line" ]; }
	t "$SCENE: the log goes on within $BACK s when there is room" wait_for -t $BACK more
	is "$(tr -d '\0' <"$LOG" | grep -cvE '^ *[0-9]+\.[0-9]+: ')" \
		"$(head -1 "$LOG" | grep -cvE '^ *[0-9]+\.[0-9]+: ')" "$SCENE: its lines are whole"
	back
	stop
	LOG=$T/home/log
	umount "$d"
}

# --- descriptors, which also bound the table ------------------------------------------

descriptors() {
	SCENE="no descriptors"
	local few=$T/bin/few_pasta real=$PASTA
	printf '#!/bin/sh\nexec prlimit --nofile=%s:%s -- %s "$@"\n' 150 150 "$PASTA" >"$few"
	chmod 755 "$few"
	PASTA=$few
	start
	PASTA=$real
	keep_all
	hold inside use_up tcp "$PEER4" 7003 150
	[ "$(cat "$T/held")" -lt 150 ]
	ok $? "$SCENE: the guest has all connections that there can be ($(cat "$T/held"))"
	told "Too many connections\|No socket for a new connection"
	t "$SCENE: datagrams go on" udp_works
	close_all
	let_go
	back
	stop
}

flows() {
	SCENE="10 000 UDP flows"
	if [ "$(ulimit -Hn)" -lt 10100 ]; then
		skip "$SCENE" "the hard limit of open files is $(ulimit -Hn)"
		return
	fi
	start
	hold inside use_up udp "$PEER4" 7009 10000
	is "$(cat "$T/held")" 10000 "$SCENE: from as many ports of the guest"
	t "$SCENE: UDP goes on for others" wait_for -t $BACK udp_works
	t "$SCENE: TCP, too" wait_for -t $BACK tcp_works
	told "UDP: no resources" 0
	let_go
	back
	stop
}

# --- inotify --------------------------------------------------------------------------

inotify() {
	SCENE="no inotify"
	local out
	# In a user namespace of our own, since the limit is that of a user in there
	out=$(as_user unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances &&
		exec timeout 20 "$@"' sh "$PASTA" -f --config-net "${ALONE[@]}" -- \
		sh -c "ping -n -c1 -W5 $PEER4 && cat /etc/resolv.conf >/dev/null && echo works" 2>&1)
	like "$out" "works" "$SCENE: pasta starts and works without it"
	out=$(as_user unshare -Urn sh -c 'echo 0 >/proc/sys/user/max_inotify_instances
		exec python3 -c "import ctypes
print(ctypes.CDLL(None).inotify_init())"')
	is "$out" -1 "$SCENE: there is none"
}

serve_peer || echo "Bail out! no servers"
pipes
ports
memory
disk
descriptors
flows
inotify
done_testing
