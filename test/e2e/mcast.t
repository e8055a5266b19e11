#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Multicast and broadcast that leave the namespace, and the answers: as for
# discovery of devices (SSDP) and names (mDNS, asked from another port). The peer
# is the neighbour of the host.  A second link of the host gets none of it.

. "$(dirname "$0")/../lib/ns.sh"

# answer GROUP PORT [LOG]: in the peer; joins, tells "ADDR PORT TTL TEXT" of each
# datagram, and answers from its own address and another port
cat > "$T/bin/answer" <<'END'
#!/usr/bin/python3
import socket, struct, sys
group, port = sys.argv[1], int(sys.argv[2])
v6 = ":" in group
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
if v6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(
        socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex("eth0")))
    hops = socket.IPV6_HOPLIMIT
else:
    s.setsockopt(socket.IPPROTO_IP, 12, 1)		# RECVTTL
    if not group.endswith(".255"):
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack(
            "4s4si", socket.inet_aton(group), bytes(4),
            socket.if_nametoindex("eth0")))
    hops = 2
s.bind(("", port))
a = socket.socket(s.family, socket.SOCK_DGRAM)
a.bind(("", port + 1000))
while True:
    data, control, _, src = s.recvmsg(2000, 100)
    ttl = [struct.unpack("@i", c[2])[0] for c in control if c[1] == hops]
    print(src[0].split("%")[0], src[1], ttl[0], data.decode(), flush=True)
    a.sendto(b"answer to " + data, src)
END

# ask DST PORT SPORT TTL TEXT...: in the namespace; tells "ADDR PORT ANSWER"
cat > "$T/bin/ask" <<'END'
#!/usr/bin/python3
import socket, sys
dst, port, sport, ttl = sys.argv[1], *map(int, sys.argv[2:5])
v6 = ":" in dst
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
if v6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF,
                 socket.if_nametoindex("eth0"))
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind(("", sport))
s.settimeout(10)
for text in sys.argv[5:]:
    s.sendto(text.encode(), (dst, port))
    data, src = s.recvfrom(2000)
    print(src[0].split("%")[0], src[1], data.decode())
END
# mdns GROUP PORT respond|share|query: a responder, which tells what it hears and
# answers to the group; a program that shares the port; one question, and answers to
# the group, with their source, until one says "answer"
cat > "$T/bin/mdns" <<'END'
#!/usr/bin/python3
import socket, struct, sys
group, port, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
v6 = ":" in group
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
index = socket.if_nametoindex("eth0")
if v6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(
        socket.AF_INET6, group) + struct.pack("@I", index))
else:
    mreq = struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreq)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, mreq)
s.bind(("", port))
if what == "query":
    s.settimeout(0.5)
    for _ in range(20):
        s.sendto(b"query", (group, port))
        try:
            while True:
                data, src = s.recvfrom(2000)
                if data == b"answer":
                    sys.exit(print(src[0].split("%")[0], src[1]))
        except TimeoutError:
            pass
while True:
    data, src = s.recvfrom(2000)
    print(src[0].split("%")[0], src[1], data.decode(), flush=True)
    if what == "respond":
        s.sendto(b"answer", (group, port))
END
chmod 755 "$T/bin/answer" "$T/bin/ask" "$T/bin/mdns"

# heard GROUP DST PORT SPORT TTL NAME: question and answer
heard() {
	local group=$1 dst=$2 port=$3 sport=$4 ttl=$5 what="$WHO: $6" seen from to
	exec_peer answer "$group" "$port" >"$T/answer" 2>&1 &
	ANSWER=$!
	wait_for listening udp "$port" peer
	t "$what" in_ns -- sh -c "ask $dst $port $sport $ttl one two >$T/home/ask"
	# From whom depends on the family: of IPv6, any address of the host
	is "$(awk '{ print $2, $4 }' "$T/answer")" "$sport one
$sport two" "$what: the guest's port shows through"
	[[ $dst == *.255 ]] ||
		is "$(awk '{ print $3 }' "$T/answer" | sort -u)" "$ttl" \
			"$what: with its hop limit"
	seen=$(awk '{ print $2, $3, $4, $5 }' "$T/home/ask")
	is "$seen" "$((port + 1000)) answer to one
$((port + 1000)) answer to two" "$what: answers come, from their port"
	from=$(awk '{ print $1 }' "$T/home/ask" | sort -u)
	to=$GW4
	case $dst in ff02:*) to=$LINK6;; *:*) to=$GW6;; esac
	is "$from" "$to" "$what: and from the address that answered"
	kill $ANSWER; wait $ANSWER 2>/dev/null
}

# responder GROUP PORT NAME HOST: one in the namespace hears and answers, beside one
# of the host and without
responder() {
	local group=$1 port=$2 what="$WHO: $3" host=$4 with other pids
	for with in "alone on the host" "beside a program that shares the port"; do
		pids=()
		if [ "$with" != "alone on the host" ]; then
			for other in 224.0.0.251 ff02::fb; do
				mdns "$other" "$port" share >"$T/share" 2>&1 &
				pids+=($!)
			done
			wait_for listening udp "$port"
		fi
		pasta_start -u "$port" 2>"$T/err"
		inside mdns "$group" "$port" respond >"$T/home/heard" 2>&1 &
		pids+=($!)
		wait_for listening udp "$port" inside
		is "$(peer mdns "$group" "$port" query)" "$host $port" \
			"$what, $with: answers, from the group's port"
		like "$(cat "$T/home/heard")" "query" "$what, $with: hears"
		[ "$with" = "alone on the host" ] ||
			like "$(cat "$T/err")" "UDP port $port is in use" \
				"$what, $with: a warning"
		kill "${pids[@]}" 2>/dev/null
		pasta_stop
	done
}

# DHCP is for services of ours: the question after it arrives, it does not
dhcp_stays() {
	local port
	for port in 67 5353; do
		exec_peer answer 224.0.0.251 $port >"$T/answer$port" 2>&1 &
		PIDS+=($!)
		wait_for listening udp $port peer
	done
	t "$WHO: a question after one for DHCP" in_ns -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind(("", 4444))
s.settimeout(10)
s.sendto(b"discover", ("255.255.255.255", 67))
s.sendto(b"discover", ("224.0.0.251", 67))
s.sendto(b"name", ("224.0.0.251", 5353))
while s.recv(100) != b"answer to name":
    pass'
	is "$(cat "$T/answer67")" "" "$WHO: what is for DHCP does not leave"
	kill "${PIDS[@]}"; wait "${PIDS[@]}" 2>/dev/null
	PIDS=()
}

# A link that multicast would leave by, if the routes had to say
other_link() {
	ip link add other0 type veth peer name other1 netns "$PEER_PID" &&
		ip link set other0 up && peer ip link set other1 up &&
		ip route add 224.0.0.0/4 dev other0 &&
		ip -6 route add ff00::/8 dev other0 table local metric 1 &&
		ip route add 255.255.255.255 dev other0
}

LINK6=$(peer ip -6 -o addr show dev eth0 scope link | awk '{ sub("/.*", "", $4); print $4 }')
LINK_HOST=$(ip -6 -o addr show dev eth0 scope link | awk '{ sub("/.*", "", $4); print $4 }')
PIDS=()
other_link || { echo "Bail out! no second link"; exit 1; }
for WHO in $WHOM; do
	heard 239.255.255.250 239.255.255.250 1900 40001 2 "multicast"
	heard 224.0.0.251 224.0.0.251 5353 5353 255 \
		"multicast, from the port it goes to"
	heard ff02::fb ff02::fb 5353 40002 1 "multicast on the link, IPv6"
	heard ff05::c ff05::c 1900 40003 7 "multicast, IPv6"
	heard 198.51.100.255 198.51.100.255 7010 40004 64 "broadcast of the subnet"
	heard 198.51.100.255 255.255.255.255 7011 40005 64 "limited broadcast"
	responder 224.0.0.251 5353 "a responder inside" $HOST4
	responder ff02::fb 5353 "a responder inside, IPv6" "$LINK_HOST"
	responder 239.255.255.250 1900 "a responder inside, SSDP" $HOST4
	dhcp_stays
done
done_testing
