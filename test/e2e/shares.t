#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Floods, with 1024 descriptors for pasta: of SYNs, of idle connections, and of datagrams
# with spoofed sources.  Meanwhile the namespace's own new connections, questions and
# pings go on, its old connection stays, and another peer gets in.

. "$(dirname "$0")/../lib/ns.sh"

command -v python3 >/dev/null || skip_all "no python3"
[ "$(ulimit -Hn)" -ge 2048 ] || skip_all "a limit of more open files is needed"

cat > "$T/bin/flood" <<'END'
#!/usr/bin/env python3
# flood idle ADDR PORT COUNT: hold so many connections, which send nothing
# flood syn|udp DST PORT SRC PREFIX RATE: packets from SRC and spoofed sources, some a ms
# Both go on until the end of stdin; the latter say so after a thousand times RATE
import os, random, resource, select, socket, struct, sys, time

IP_BIND_ADDRESS_NO_PORT = 24

def until_eof():
    return not select.select([0], [], [], 0.01)[0]

def idle(addr, port, count):
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    held, poll = [], select.epoll()
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        s.bind(("203.0.113.77", 0))
        s.setblocking(False)
        s.connect_ex((addr, port))
        poll.register(s, select.EPOLLOUT)
        held.append(s)
    up = set()
    end = time.time() + 5
    while len(up) < 600 and time.time() < end:
        up |= {fd for fd, ev in poll.poll(0.1) if not ev & select.EPOLLERR}
    print("held", len(up), flush=True)
    sys.stdin.read()

def checksum(data):
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff

def packet(kind, src, dst, port):
    sport = random.randrange(1024, 65536)
    if kind == "syn":
        l4 = struct.pack("!HHIIBBHHH", sport, port or random.randrange(1, 65536),
                         random.getrandbits(32), 0, 0x50, 2, 64000, 0, 0)
        proto, at = 6, 16
    else:
        l4 = struct.pack("!HHHH", sport, port, 12, 0) + b"spoo"
        proto, at = 17, 6
    pseudo = src + dst + struct.pack("!BBH", 0, proto, len(l4))
    l4 = l4[:at] + struct.pack("!H", checksum(pseudo + l4)) + l4[at + 2:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 0, 0, 64, proto, 0) + \
        src + dst + l4

def spoof(kind, dst, port, src, prefix, rate):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    own, base, sent = socket.inet_aton(src), socket.inet_aton(prefix), 0
    target = socket.inet_aton(dst)
    while until_eof():
        for _ in range(rate * 10):
            sent += 1
            if sent == rate * 1000:
                print("floods", flush=True)
            a = own if kind == "syn" and sent % 2 else \
                base[:2] + struct.pack("!H", 0x0a00 + sent % 512)
            d = target[:3] + bytes([sent % 250 + 1]) if not port else target
            try:
                raw.sendto(packet(kind, a, d, port), (socket.inet_ntoa(d), 0))
            except OSError:
                pass
    print("sent", sent, flush=True)

if sys.argv[1] == "idle":
    idle(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    spoof(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:6], int(sys.argv[6]))
END

cat > "$T/bin/own" <<'END'
#!/usr/bin/env python3
# own hold ADDR: keep a connection, "ok" if it still echoes at the end of stdin
# own new ADDR: new connections and questions, one after the other; the slowest of each
import resource, select, socket, sys, time

def echo(s, data):
    s.sendall(data)
    return s.recv(100) == data

def connection(addr):
    s = socket.create_connection((addr, 9000), 2)
    s.settimeout(2)
    return s

def question(addr):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((addr, 53))
    s.settimeout(2)
    return s

def slowest(make, addr):
    worst = 0
    for _ in range(5):
        start = time.time()
        try:
            with make(addr) as s:
                good = echo(s, b"x")
        except OSError:
            good = False
        worst = max(worst, time.time() - start if good else 9)
    return int(worst * 1000)

if sys.argv[1] == "hold":
    s = connection(sys.argv[2])
    print("held" if echo(s, b"a") else "no echo", flush=True)
    sys.stdin.read()
    print("ok" if echo(s, b"b") else "lost", flush=True)
elif sys.argv[1] == "new":
    print("tcp=%d dns=%d" % (slowest(connection, sys.argv[2]),
                             slowest(question, sys.argv[2])))
else:
    # own serve TCP-PORT UDP-PORT UDP-ADDR: accept, echo and keep connections; echo datagrams
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tcp = socket.create_server(("", int(sys.argv[2])), backlog=4096)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((sys.argv[4], int(sys.argv[3])))
    poll, conns = select.epoll(), {}
    for s in tcp, udp:
        poll.register(s, select.EPOLLIN)
    while True:
        for fd, ev in poll.poll():
            if fd == tcp.fileno():
                c = tcp.accept()[0]
                conns[c.fileno()] = c
                poll.register(c, select.EPOLLIN)
            elif fd == udp.fileno():
                data, peer = udp.recvfrom(2000)
                udp.sendto(data, peer)
            else:
                try:
                    data = conns[fd].recv(2000)
                    if data:
                        conns[fd].send(data)
                except OSError:
                    data = b""
                if not data:
                    conns.pop(fd).close()
END
chmod 755 "$T/bin/flood" "$T/bin/own"

# begin NAME COMMAND...: run it in the background, its stdin open; wait for a line
begin() {
	local name=$1
	shift
	mkfifo "$T/$name.in"
	"$@" <"$T/$name.in" >"$T/$name.out" 2>&1 &
	eval "PID_$name=\$!"
	exec {fd}>"$T/$name.in"
	eval "FD_$name=\$fd"
	wait_for test -s "$T/$name.out"
}

# finish NAME: close its stdin; print its last line
finish() {
	local name=$1 fd pid
	eval "fd=\$FD_$name pid=\$PID_$name"
	exec {fd}>&-
	wait "$pid"
	rm "$T/$name.in"
}

# goes_on FLOOD: the namespace's own traffic
goes_on() {
	local said try
	for try in 1 2 3; do
		said=$(inside own new $PEER4)
		[ "$(value tcp "$said")" -gt 1000 ] || [ "$(value dns "$said")" -gt 1000 ] ||
			break
		diag "try $try: $said"
	done
	le "$(value tcp "$said")" 1000 "$1: ms of a new connection of the namespace"
	le "$(value dns "$said")" 1000 "$1: ms of a question of the namespace"
	t "$1: a ping of the namespace is answered within a second" \
		wait_for -t 5 inside ping -n -c 1 -W 1 $PEER4
}

# another_peer FLOOD: not the one that floods
another_peer() {
	in_time 5000 "$1: ms of another peer's connection to the forwarded port" \
		peer timeout 5 tcpx connect $HOST4 8000 -s 10 -r 10
	is $status 0 "$1: another peer's connection is served"
}

small_pasta() {
	printf '#!/bin/sh\nexec prlimit --nofile=1024:1024 -- %s "$@"\n' "$PASTA" \
		> "$T/bin/small_pasta"
	chmod 755 "$T/bin/small_pasta"
	PASTA=$T/bin/small_pasta pasta_start -t 8000 -u 8000 --log-file "$T/home/log"
}

small_pasta
exec_peer own serve 9000 53 $PEER4 &
SERVER=$!
inside own serve 8000 8000 0.0.0.0 &
wait_for listening tcp 9000 peer
wait_for listening tcp 8000 inside
begin hold inside own hold $PEER4
is "$(cat "$T/hold.out")" held "a connection of the namespace"
goes_on "without a flood"

peer ip addr add 203.0.113.77/32 dev lo
begin idle peer flood idle $HOST4 8000 1500
diag "$(cat "$T/idle.out") of 1500 idle connections"
goes_on "1500 idle connections"
another_peer "1500 idle connections"

begin udp peer flood udp $HOST4 8000 $GW4 198.18.0.0 5
goes_on "and 512 spoofed sources"
begin out peer flood syn $HOST4 8000 $GW4 198.18.0.0 2
goes_on "and SYNs from outside"
another_peer "and SYNs from outside"
begin syn inside flood syn 192.0.2.1 0 $HOST4 198.18.0.0 2
goes_on "and SYNs from inside"
for f in syn out udp idle; do
	finish $f
	diag "$f: $(tail -1 "$T/$f.out")"
done
finish hold
is "$(tail -1 "$T/hold.out")" ok "the old connection of the namespace has stayed"
t "idle connections ended for others, and that is said" \
	grep -q "Too many inbound connections" "$T/home/log"
diag "$(wc -l < "$T/home/log") lines of log"
kill $SERVER
pasta_stop

done_testing
