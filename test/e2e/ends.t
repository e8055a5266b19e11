#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What happens around the end of a TCP connection: data that was sent before a reset
# is read, and a source port that comes round again does not slow anything down.
# Also: a low net.ipv4.tcp_notsent_lowat makes no guest retransmit.

. "$(dirname "$0")/../lib/ns.sh"

cat >"$T/bin/answers.py" <<'END'
# serve ADDR PORT SIZE: read a little, answer, close: what was not read is a reset
# ask ADDR PORT SIZE N: write at full speed, then read; prints how many were whole
import socket, sys
what, addr, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if what == "serve":
    s = socket.create_server((addr, port), backlog=99, family=socket.AF_INET6
                             if ":" in addr else socket.AF_INET)
    while True:
        c = s.accept()[0]
        c.recv(1000)
        c.sendall(b"a" * size)
        c.close()
good = 0
for i in range(int(sys.argv[5])):
    s = socket.create_connection((addr, port), 20)
    got = 0
    try:
        for k in range(400):
            s.sendall(b"u" * 20000)
    except OSError:
        pass
    try:
        while True:
            n = len(s.recv(65536))
            got += n
            if not n:
                break
    except OSError:
        pass
    good += got == size
    s.close()
print(good)
END

SIZE=500			# of an answer
P=7000

# answers NAME SERVER ADDR CLIENT ADDR: SERVER and CLIENT: env, peer or inside
answers() {
	local name=$1 server=$2 on=$3 client=$4 to=$5 pid
	P=$((P + 1))
	$server timeout 60 python3 "$T/bin/answers.py" serve "$on" $P $SIZE &
	pid=$!
	wait_for listening tcp $P "$server"
	is "$($client timeout 60 python3 "$T/bin/answers.py" ask "$to" $P $SIZE 50)" \
		50 "$name: answers that were followed by a reset are read"
	kill $pid
	wait $pid 2>/dev/null
}

# ports SERVER HOW ADDR CLIENT ADDR NAME: HOW is serve or answer, see crr.c
ports() {
	local server=$1 how=$2 on=$3 client=$4 to=$5 name=$6 pid try
	P=$((P + 1))
	$server timeout 60 crr "$how" "$on" $P &
	pid=$!
	wait_for listening tcp $P "$server"
	for try in 1 2 3; do
		out=$($client timeout 30 crr soak "$to" $P 3 1 50)
		[ "$(value slow "$out")" = 0 ] && break
		diag "try $try: $out"
	done
	is "$(value slow "$out") slow, $(value failed "$out") failed" \
		"0 slow, 0 failed" "$name: none of the connections takes over 50 ms"
	diag "$out"
	[ "$(value ops "$out")" -gt 300 ]
	ok $? "$name: the ports came round"
	kill $pid
	wait $pid 2>/dev/null
}

few_ports() {
	"$@" sh -c 'echo 40000 40099 >/proc/sys/net/ipv4/ip_local_port_range
		echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse' 2>/dev/null
}

# lowat CLIENT ADDR NAME: an upload
lowat() {
	local client=$1 to=$2 name=$3 pid before after
	P=$((P + 1))
	$SERVER timeout 60 tcpx listen :: $P -r 300m >"$T/server" 2>&1 &
	pid=$!
	wait_for listening tcp $P "$SERVER"
	before=$($client nstat -asz TcpRetransSegs | awk '/^Tcp/ { print $2 }')
	t "$name: an upload with a low limit of unsent data" \
		$client timeout 60 tcpx connect "$to" $P -s 300m
	after=$($client nstat -asz TcpRetransSegs | awk '/^Tcp/ { print $2 }')
	# One or two may be a probe of a tail (RFC 8985) on a busy machine
	le $((after - before)) 5 "$name: next to nothing is retransmitted"
	wait $pid
}

# The namespace's sysctls are for its root
WHO=user
pasta_start -t 7001-7049 -T 7050-7099
P=7000
answers "in" inside "$HOST4" peer "$HOST4"
answers "in, IPv6" inside "$HOST6" peer "$HOST6"
answers "bypass to the namespace" inside 0.0.0.0 env 127.0.0.1
answers "out" peer "$PEER4" inside "$PEER4"
answers "out, IPv6" peer "$PEER6" inside "$PEER6"
P=7050
answers "bypass to the host" env 127.0.0.1 inside 127.0.0.1

P=7010
few_ports env
few_ports peer
few_ports inside || diag "the namespace has all its ports"
ports inside answer "$HOST4" peer "$HOST4" "in, the namespace closes first"
ports inside answer 0.0.0.0 env 127.0.0.1 "bypass to the namespace, server closes first"
ports peer answer "$PEER4" inside "$PEER4" "out, the peer closes first"
P=7060
ports env answer 127.0.0.1 inside 127.0.0.1 "bypass to the host, server closes first"
pasta_stop

if echo 16384 >/proc/sys/net/ipv4/tcp_notsent_lowat; then
	pasta_start -T 7050-7099
	P=7020
	SERVER=peer lowat inside "$PEER4" "to a peer"
	SERVER=peer lowat inside "$PEER6" "to a peer, IPv6"
	# Now in the namespace, too; there it would slow down its own clients
	inside sh -c 'echo 16384 >/proc/sys/net/ipv4/tcp_notsent_lowat'
	P=7070
	SERVER="env" lowat inside 127.0.0.1 "past the tap"
	pasta_stop
else
	skip "a low limit of unsent data" "sysctl can't be written"
fi
done_testing
