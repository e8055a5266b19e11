#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ports of UDP are sockets of the namespace's own, not connected: nobody else takes
# part in them, answers may come from elsewhere, the host's address may change, and
# a datagram over the MTU of the path is not lost.  The link has MTU 1500, the tap
# the default of 65520.

. "$(dirname "$0")/../lib/ns.sh"

ip link set eth0 mtu 1500
peer ip link set eth0 mtu 1500

# udp.py: small programs, each waits some seconds for a datagram at most
cat > "$T/bin/udp" <<'END_PY'
#!/usr/bin/python3
import socket, sys
what, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
args = sys.argv[4:]
af = socket.AF_INET6 if ":" in addr else socket.AF_INET
wildcard = "::" if af == socket.AF_INET6 else "0.0.0.0"
s = socket.socket(af, socket.SOCK_DGRAM)
s.settimeout(10)
if what == "count":				# COUNT: sizes of datagrams
    s.bind((addr, port))
    print(*(len(s.recv(65536)) for _ in range(int(args[0]))))
elif what == "send":				# SIZE COUNT, each after a line
    for _ in range(int(args[1])):
        s.sendto(bytes(int(args[0])), (addr, port))
elif what == "segments":			# SIZE COUNT: as one message
    s.setsockopt(socket.SOL_UDP if hasattr(socket, "SOL_UDP") else 17, 103, int(args[0]))
    s.sendto(bytes(int(args[0]) * int(args[1])), (addr, port))
elif what == "large":				# SIZE: what a server answers to all
    s.bind((addr, port))
    s.settimeout(60)
    while True:
        data, src = s.recvfrom(2000)
        s.sendto(bytes(int(args[0])), src)
elif what == "ask":				# SPORT COUNT [TEXT]: sizes of answers
    s.bind((wildcard, int(args[0])))
    got = []
    for _ in range(int(args[1])):
        s.sendto(b"question", (addr, port))
        got.append(len(s.recv(65536)))
    print(*got)
elif what == "elsewhere":			# answers from a new port
    s.bind((addr, port))
    data, src = s.recvfrom(2000)
    t = socket.socket(af, socket.SOCK_DGRAM)
    t.bind((args[0] if args else addr, 0))
    t.settimeout(10)
    t.sendto(b"block", src)
    print(t.recv(2000).decode())
elif what == "transfer":			# a question, and each answer acknowledged
    s.sendto(b"question", (addr, port))
    data, src = s.recvfrom(2000)
    s.sendto(b"ack of " + data, src)
elif what == "beside":				# bind() beside a socket, both options
    for option in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):
        for a in (addr, wildcard):
            t = socket.socket(af, socket.SOCK_DGRAM)
            t.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                t.bind((a, port))
                print("bound", a, option)
            except OSError:
                pass
elif what == "slow":				# asks for each line of stdin
    s.bind((wildcard, int(args[0])))
    for line in sys.stdin:
        s.settimeout(0.2)
        for _ in range(10):
            try:
                s.sendto(b"question", (addr, port))
                s.recv(2000)
                break
            except OSError:
                continue
        else:
            print("nothing", flush=True)
            continue
        print("answer", flush=True)
END_PY
chmod 755 "$T/bin/udp"

# Each datagram over the MTU of the path arrives, from the first on
large() {
	local addr=$1 host=$2 what="$WHO, $3" size
	for size in 1473 3000 20000; do
		exec_peer udp count "$addr" 7300 4 >"$T/sizes" 2>&1 &
		wait_for listening udp 7300 peer
		t "$what: sending 4 datagrams of $size bytes" \
			in_ns -- udp send "$addr" 7300 $size 4
		wait $!
		is "$(cat "$T/sizes")" "$size $size $size $size" \
			"$what: all datagrams over the MTU of the path arrive"
	done
	exec_peer udp count "$addr" 7300 9 >"$T/sizes" 2>&1 &
	wait_for listening udp 7300 peer
	in_ns -- udp segments "$addr" 7300 2000 9
	wait $!
	is "$(tr -d ' ' <"$T/sizes")" \
		"200020002000200020002000200020002000" \
		"$what: those of one message over the MTU arrive, too"
	like "$(in_ns -- ping -n -c3 -i0.01 -W5 -s 3000 "$addr" 2>&1)" \
		" 0% packet loss" "$what: each ping over the MTU of the path is answered"

	pasta_start -u 7301
	inside udp large "$4" 7301 5000 &
	wait_for listening udp 7301 inside
	is "$(peer udp ask "$host" 7301 0 3)" "5000 5000 5000" \
		"$what: so do large answers of a server inside"
	kill $!
	pasta_stop
}

# TFTP and others: the answer has another port, or another address
elsewhere() {
	local addr=$1 other=$2 what="$WHO, $3" from
	for from in "$addr" "$other"; do
		exec_peer udp elsewhere "$addr" 7302 "$from" >"$T/ack" 2>&1 &
		wait_for listening udp 7302 peer
		t "$what: an answer from port 7302's neighbour at $from arrives" \
			in_ns -- udp transfer "$addr" 7302
		wait $!
		is "$(cat "$T/ack")" "ack of block" "$what: and can be answered"
	done
}

# The same past the tap, both ways
elsewhere_bypass() {
	local addr=$1 what="$WHO, bypass, $2"
	pasta_start -u 7508 -U 7509
	inside udp elsewhere "$3" 7508 >"$T/home/ack" 2>&1 &
	wait_for listening udp 7508 inside
	t "$what: an answer from another port arrives on the host" \
		udp transfer "$addr" 7508
	wait $!
	is "$(cat "$T/home/ack")" "ack of block" "$what: and can be answered"
	udp elsewhere "$addr" 7509 >"$T/ack" 2>&1 &
	wait_for listening udp 7509
	t "$what: an answer from another port arrives in the namespace" \
		inside udp transfer "$addr" 7509
	wait $!
	is "$(cat "$T/ack")" "ack of block" "$what: and can be answered"
	pasta_stop
}

udp_sockets() { ss -Hanu | wc -l; }
are_sockets() { [ "$(udp_sockets)" -ge "$1" ]; }

# A port of one namespace is not taken by another one, nor by anybody else
exclusive() {
	local dst other="" n
	pasta_start -u 7500
	inside udpx echo 0.0.0.0 7500 >/dev/null &
	wait_for listening udp 7500 inside
	n=$(udp_sockets)
	for dst in 239.1.2.3 $PEER4 "$GW4"; do
		exec_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" -- \
			sh -c "udpx ask $dst 7600 -p 7500 -c 1
				exec sleep infinity" >/dev/null 2>&1 &
		other+=" $!"
	done
	wait_for are_sockets $((n + 3))
	t "$WHO: a port that is forwarded to one namespace stays with it, though " \
		peer udpx ask $HOST4 7500 -n 20 -c 2
	if [ -n "$NS_ROOT" ]; then
		is "$(setpriv --reuid 65534 --clear-groups udp beside $HOST4 7500)" \
			"" "$WHO: nor does a process of nobody bind beside it"
	fi
	is "$(as_user udp beside $HOST4 7500)" "" \
		"$WHO: nor does a process of the same user"
	# shellcheck disable=SC2086 # several
	kill $other && wait $other
	pasta_stop
}

# What the namespace sends from a forwarded port shows that port
own_port() {
	local pid
	pasta_start -u 7501
	exec_peer udpx echo $PEER4 7503 >"$T/from" &
	pid=$!
	wait_for listening udp 7503 peer
	inside udpx ask $PEER4 7503 -p 7501 >/dev/null 2>&1
	is "$(awk '{ print $2, $3 }' "$T/from")" "$HOST4 7501" \
		"$WHO: from a forwarded port: that port shows through"
	inside udpx echo 0.0.0.0 7501 >/dev/null &
	wait_for listening udp 7501 inside
	t "$WHO: and is still reached" peer udpx ask $HOST4 7501 -c 5
	kill $pid
	pasta_stop
}

# A datagram from the target of a rule, behind the namespace, shows the host's port
target_port() {
	local addr=$1 what="$WHO, $2" pid
	pasta_start -u "$5"
	behind_start
	exec_peer udpx echo "$addr" 7510 >"$T/from" &
	pid=$!
	wait_for listening udp 7510 peer
	behind udpx ask "$addr" 7510 -p 7512 >/dev/null 2>&1
	is "$(awk '{ print $2, $3 }' "$T/from")" "$3 7511" \
		"$what: the target of a rule sends from the host's port of that rule"
	: >"$T/from"
	behind udpx ask "$addr" 7510 -p 7513 >/dev/null 2>&1
	is "$(awk '{ print $2, $3 }' "$T/from")" "$3 7513" \
		"$what: and from its other ports from these"
	behind udpx echo "$4" 7512 >/dev/null &
	wait_for listening udp 7512 behind
	t "$what: and it is still reached" peer udpx ask "$3" 7511 -c 5
	kill $pid
	pasta_stop
}

answered() { [ "$(wc -l < "$T/home/answers")" = "$1" ]; }
pinged() { [ "$(grep -c "bytes from" "$T/home/pings")" -gt "$1" ]; }

# A flow goes on when the host's address is replaced by another one
address_changes() {
	local addr=$1 what="$WHO, $2" echo ping n
	exec_peer udpx echo "$addr" 7504 >"$T/from" &
	echo=$!
	wait_for listening udp 7504 peer
	: > "$T/home/answers"
	mkfifo "$T/lines"
	pasta_start
	inside udp slow "$addr" 7504 7505 <"$T/lines" >"$T/home/answers" &
	exec 9>"$T/lines"
	inside ping -n -i0.2 "$addr" >"$T/home/pings" 2>&1 &
	ping=$!
	echo >&9
	wait_for answered 1
	wait_for pinged 0
	"$3"
	n=$(grep -c "bytes from" "$T/home/pings")
	echo >&9
	wait_for answered 2
	is "$(tr '\n' ' ' < "$T/home/answers")" "answer answer " \
		"$what: a flow outlives the host's address"
	t "$what: so does ping" wait_for pinged "$n"
	is "$(awk '{ print $2 }' "$T/from" | tail -1)" "$5" \
		"$what: it goes on from the new one"
	"$4"
	exec 9>&-
	kill "$echo" "$ping"
	rm "$T/lines"
	pasta_stop
}

new4() {
	ip addr del $HOST4/24 dev eth0
	ip addr add 198.51.100.9/24 dev eth0
	ip route replace default via $GW4
}
old4() {
	ip addr del 198.51.100.9/24 dev eth0
	ip addr add $HOST4/24 dev eth0
	ip route replace default via $GW4
}
new6() {
	ip addr add 2001:db8:1::9/64 dev eth0 nodad
	ip addr del $HOST6/64 dev eth0
	ip -6 route replace default via $GW6
}
old6() {
	ip addr add $HOST6/64 dev eth0 nodad
	ip addr del 2001:db8:1::9/64 dev eth0
	ip -6 route replace default via $GW6
}

# The address that a peer uses goes and comes back: its flow goes on
asked_address() {
	# shellcheck disable=SC2086 # one word or none
	local addr=$1 what="$WHO, $2"
	pasta_start -u 7506
	ip addr add "$addr" dev eth0 $3	# not to be copied
	inside udp large "$4" 7506 10 &
	wait_for listening udp 7506 inside
	mkfifo "$T/lines"
	peer udp slow "${addr%/*}" 7506 7507 <"$T/lines" >"$T/home/answers" &
	exec 9>"$T/lines"
	echo >&9
	wait_for answered 1
	ip addr del "$addr" dev eth0
	echo >&9
	wait_for answered 2
	ip addr add "$addr" dev eth0 $3
	echo >&9
	wait_for answered 3
	is "$(tr '\n' ' ' < "$T/home/answers")" "answer nothing answer " \
		"$what: a flow goes on when the address that was asked is back"
	exec 9>&-
	rm "$T/lines"
	ip addr del "$addr" dev eth0
	pasta_stop
}

peer ip addr add 203.0.113.3/32 dev lo
peer ip addr add 2001:db8:2::3/128 dev lo nodad
for WHO in $WHOM; do
	large $PEER4 $HOST4 IPv4 0.0.0.0
	large $PEER6 $HOST6 IPv6 ::
	elsewhere $PEER4 203.0.113.3 IPv4
	elsewhere $PEER6 2001:db8:2::3 IPv6
	elsewhere_bypass 127.0.0.1 IPv4 $HOST4
	elsewhere_bypass ::1 IPv6 $HOST6
	exclusive
	own_port
	target_port $PEER4 IPv4 $HOST4 0.0.0.0 0.0.0.0/7511:192.0.2.130/7512
	target_port $PEER6 IPv6 $HOST6 :: '[::]/7511:2001:db8:8::5/7512'
	asked_address 198.51.100.8/24 IPv4 "" 0.0.0.0
	asked_address 2001:db8:1::8/64 IPv6 nodad ::
	address_changes $PEER4 IPv4 new4 old4 198.51.100.9
	address_changes $PEER6 IPv6 new6 old6 2001:db8:1::9
done
done_testing
