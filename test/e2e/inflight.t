#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel counts descriptors on their way between processes (SCM_RIGHTS) per user.
# Another process of the user may use up what is allowed: that delays new connections,
# and is no end of anything

. "$(dirname "$0")/../lib/ns.sh"

LIMIT=3000			# of open files, of pasta
FLOOD_MOST=20000		# descriptors on their way, if that many files may be open

cat > "$T/bin/flood" <<'END'
#!/usr/bin/env python3
# flood COUNT: keep so many descriptors on their way, until the end of stdin
import array, os, resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))]
pairs, left = [], int(sys.argv[1])
while left > 0:
    if not pairs or not left % 10000:
        pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        pairs[-1][0].setblocking(False)
    try:
        pairs[-1][0].sendmsg([b"x"], rights)
        left -= 250
    except BlockingIOError:
        pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        pairs[-1][0].setblocking(False)
    except OSError as e:
        print(e, flush=True)
        sys.exit(1)
print("flooded", flush=True)
sys.stdin.read()
END
chmod 755 "$T/bin/flood"

flood_start() {
	rm -f "$T/hold" "$T/flood"
	mkfifo "$T/hold"
	exec_as user flood $FLOOD_COUNT <"$T/hold" >"$T/flood" 2>&1 &
	FLOOD=$!
	exec 5>"$T/hold"
	wait_for test -s "$T/flood"
	[ "$(cat "$T/flood")" = flooded ]
}

flood_stop() {
	exec 5>&-
	wait $FLOOD
}

if [ -z "$NS_ROOT" ] || [ "$(ulimit -Hn)" -lt $((LIMIT + 1000)) ]; then
	skip_all "needs root, and a limit of more open files"
fi
FLOOD_COUNT=$(($(ulimit -Hn) - 500 < FLOOD_MOST ? $(ulimit -Hn) - 500 : FLOOD_MOST))

small() { exec_as user prlimit --nofile=$LIMIT:$LIMIT -- "$@"; }

# serve: inside, one connection after the other
serve() {
	exec_as user nsenter -t "$INNER" -U --preserve-credentials -n -- \
		socat TCP6-LISTEN:8000,ipv6only=0,reuseaddr,fork,backlog=100 EXEC:cat &
	SERVER=$!
	wait_for listening tcp 8000 inside
}

ask() { timeout -k 1 "${1:-10}" tcpx connect 127.0.0.1 8000 -s 10 -r 10; }
asked() { ask 2 | grep -q "received=10 .*errno=0"; }

# Published ports: the daemon has sockets at hand for some connections only
published() {
	local i dialled=() ok=0

	PASTA_REAL=$PASTA
	PASTA=$T/bin/small_pasta
	printf '#!/bin/sh\nexec prlimit --nofile=%s:%s -- %s "$@"\n' \
		$LIMIT $LIMIT "$PASTA_REAL" > "$PASTA"
	chmod 755 "$PASTA"
	WHO=user
	pasta_start -t 8000 --log-file "$T/home/log"
	PASTA=$PASTA_REAL
	serve
	t "a published port works" ask
	if ! flood_start; then
		skip "flood" "the kernel allows no such thing: $(cat "$T/flood")"
		flood_stop
		return
	fi
	for i in $(seq 60); do
		ask 25 > "$T/ask$i" 2>&1 5>&- &
		dialled+=($!)
	done
	t "that the helper gets no sockets over is said" \
		wait_for grep -q "Too many references" "$T/home/log"
	t "the helper lives on" helper_lives
	flood_stop
	for i in "${dialled[@]}"; do
		wait "$i" && ok=$((ok + 1))
	done
	is $ok 60 "connections that were made meanwhile are served afterwards"
	t "so are new ones" ask
	kill $SERVER
	pasta_stop
}
helper_lives() { grep -qx pasta-ns /proc/[0-9]*/comm; }

starts() {
	flood_start || return
	small "$PASTA" --config-net -t auto -u none -T none -U none -- true 2>"$T/err" 5>&- &
	wait $!
	is $? 0 "a namespace is made meanwhile"
	like "$(cat "$T/err")" "Too many references" \
		"and what does not work for now is said"
	small unshare -Un sleep infinity &
	pid=$!
	wait_for descends "$pid"
	small "$PASTA" -q -f --config-net "${ALONE[@]}" "$pid" \
		2>"$T/err" &
	DAEMON=$!
	wait_for has_tap "$pid"
	ok $? "one that is there is joined" || diag "$(cat "$T/err")"
	kill $DAEMON "$pid"
	wait $DAEMON "$pid" 2>/dev/null
	flood_stop
}
descends() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
has_tap() { nsenter -t "$1" -n ip link show eth0 | grep -q LOWER_UP; }

# What could not be had at start is had once the flood is over
later() {
	flood_start || return
	PASTA=$T/bin/small_pasta
	pasta_start -t auto -T auto
	PASTA=$PASTA_REAL
	flood_stop
	socat TCP-LISTEN:8100,reuseaddr,fork EXEC:cat &
	SERVER=$!
	t "listeners of the host are found once the flood is over" \
		wait_for listening tcp 8100 inside
	t "and reached" inside timeout 10 tcpx connect 127.0.0.1 8100 \
		-s 10 -r 10
	kill $SERVER
	serve
	t "so are those of the namespace" wait_for listening tcp 8000
	t "and they are reached" ask
	kill $SERVER
	pasta_stop
}

# The end of the helper is another thing: nothing can start it again
helper_ends() {
	pasta_start -t 8000 -u 8001 --log-file "$T/home/log2"
	serve
	exec_as user nsenter -t "$INNER" -U --preserve-credentials -n -- \
		udpx echo 0.0.0.0 8001 >/dev/null 2>&1 &
	UDP_SERVER=$!
	t "before the helper has ended" ask
	kill -9 "$(pidof_helper)"
	t "the end of the helper is told, and what it means" wait_for \
		grep -q "pasta-ns.*local connections go over the tap" \
		"$T/home/log2"
	t "local connections arrive all the same" ask_often
	udpx_served() { udpx ask 127.0.0.1 8001 -t 1000; }
	t "datagrams, too" wait_for udpx_served
	kill $UDP_SERVER
	kill $SERVER
	pasta_stop
}
ask_often() {			# more than there are sockets at hand
	for _ in $(seq 40); do
		ask || return 1
	done
}
pidof_helper() {
	local pid
	for pid in $(processes); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != pasta-ns ] ||
			echo "$pid"
	done
}

published
starts
later
helper_ends
done_testing
