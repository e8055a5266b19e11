#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A command that ends while its kernel still has data to send: the data arrives

. "$(dirname "$0")/../lib/ns.sh"

cat > "$T/bin/fire" <<'END'
#!/usr/bin/env python3
# fire ADDR PORT: send until the kernel takes no more, tell how much, end with 3
import os, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.setblocking(False)
n = 0
try:
    while True:
        n += s.send(b"x" * 65536)
except BlockingIOError:
    pass
print(n, flush=True)
os._exit(3)
END
chmod 755 "$T/bin/fire"

# one NAME ADDR PORT WHERE OPTION...: a server that reads only later
one() {
	local name=$1 addr=$2 port=$3 where=$4 sent rc pid
	shift 4
	mkfifo "$T/go"
	$where sh -c "socat -u TCP6-LISTEN:$port,ipv6only=0,reuseaddr \
		SYSTEM:'read x < $T/go; wc -c'" > "$T/got" &
	pid=$!
	wait_for listening tcp "$port" $where
	run_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" "$@" -- \
		fire "$addr" "$port" > "$T/sent" &
	rc=$!
	wait_for test -s "$T/sent"
	echo > "$T/go"
	wait $rc
	is $? 3 "$WHO, $name: the status is the command's"
	wait $pid
	sent=$(cat "$T/sent")
	[ "$sent" -gt 100000 ]
	ok $? "$WHO, $name: there was much to send ($sent)"
	is "$(cat "$T/got")" "$sent" "$WHO, $name: all of it arrives"
	rm "$T/go"
}

for WHO in user root; do
	one "IPv4" $PEER4 7000 peer
	one "IPv6" $PEER6 7000 peer
	one "past the tap" 127.0.0.1 7001 "" -T 7001
done

WHO=user
# Connections that wait to be accepted when the command ends
cat > "$T/bin/many" <<'END'
#!/usr/bin/env python3
# many COUNT PORT FILE: once the file is there: connect, send and leave, so often
import os, socket, sys, time
while not os.path.exists(sys.argv[3]):
    time.sleep(0.02)
for i in range(int(sys.argv[1])):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    s.sendall(b"hello")
    s.close()
END
chmod 755 "$T/bin/many"
socat -u TCP-LISTEN:7004,reuseaddr,fork,backlog=200 SYSTEM:"wc -c >> $T/counts" &
server=$!
wait_for listening tcp 7004
exec_as user "$PASTA" -f -q --config-net -t none -u none -T 7004 -U none -- \
	many 200 7004 "$T/home/go" &
DAEMON=$!
wait_for descendant $DAEMON python3
inner=$(descendant $DAEMON python3)
kill -STOP $DAEMON
as_user touch "$T/home/go"
not_running() { ! grep -q "^State:.[RSD]" "/proc/$inner/status"; }
wait_for not_running
kill -CONT $DAEMON
wait $DAEMON
all_counted() { [ "$(grep -cx 5 "$T/counts")" = 200 ]; }
t "200 connections that wait when the command ends are served" \
	wait_for all_counted
kill $server

exec_peer socat -u TCP-LISTEN:7002,reuseaddr EXEC:"sleep 100" &
server=$!
wait_for listening tcp 7002 peer
start=$(now_ms)
run_as user "$PASTA" -q --config-net -t 7003 -u none -T none -U none -- \
	fire $PEER4 7002 >"$T/sent" &
pid=$!
wait_for test -s "$T/sent"
not_bound() { ! listening tcp 7003; }
t "the port of an ended command is free at once" wait_for -t 4 not_bound
wait $pid
is $? 3 "nobody reads: it ends all the same"
le $(($(now_ms) - start)) 20000 "after some seconds"
kill $server
in_time 1000 "a command without connections ends at once" in_ns -- true
done_testing
