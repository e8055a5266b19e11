#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the network and the host say about datagrams and echo requests of the
# namespace, as the tools of an administrator show it: traceroute, mtr, ping.
#
#   namespace - pasta - host ---- peer ------------ router ------------ far
#                           .2        203.0.113.64/30   203.0.113.68/30
#                                      .65      .66      .69 MTU 1400 .70
#                                                              lo 203.0.113.130
# and the same with 2001:db8:64::/64, 2001:db8:68::/64, 2001:db8:130::130.

. "$(dirname "$0")/../lib/ns.sh"

R1_4=$GW4 R2_4=203.0.113.66 FAR4=203.0.113.130
R1_6=$GW6 R2_6=2001:db8:64::66 FAR6=2001:db8:130::130
NEAR4=203.0.113.140 NEAR6=2001:db8:140::140	# on the peer

# no_limit: in a router, errors are not rationed
no_limit() {
	echo 1 > /proc/sys/net/ipv4/ip_forward
	echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
	echo 1000000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
	echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
	echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
} 2>/dev/null

in_router() { nsenter -t "$ROUTER" -n -- "$@"; }
in_far() { nsenter -t "$FAR" -n -- "$@"; }

# namespace: a process that holds a new one, in $HELD
namespace() {
	unshare --net sleep infinity &
	HELD=$!
	wait_for netns_is_new $HELD
}
netns_is_new() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

stage() {
	namespace; ROUTER=$HELD
	namespace; FAR=$HELD
	for enter in peer in_router in_far; do
		$enter bash -c "$(declare -f ns_sysctl no_limit); ns_sysctl; no_limit"
	done
	peer ip link add r1 mtu 65520 type veth peer name r0 netns "$ROUTER" &&
	in_router ip link add r2 mtu 1400 type veth peer name f0 mtu 1400 \
		netns "$FAR" &&
	peer ip -b - <<-END && in_router ip -b - <<-END2 && in_far ip -b - <<-END3
		addr add 203.0.113.65/30 dev r1
		addr add 2001:db8:64::65/64 dev r1 nodad
		addr add $NEAR4/32 dev lo
		addr add $NEAR6/128 dev lo nodad
		link set r1 up
		route add $FAR4/32 via $R2_4
		route add $FAR6/128 via $R2_6
		route add prohibit 203.0.113.161
		route add unreachable 203.0.113.162
		route add prohibit 2001:db8:161::/64
		route add unreachable 2001:db8:162::/64
	END
		link set lo up
		addr add $R2_4/30 dev r0
		addr add $R2_6/64 dev r0 nodad
		addr add 203.0.113.69/30 dev r2
		addr add 2001:db8:68::69/64 dev r2 nodad
		link set r0 mtu 65520 up
		link set r2 up
		route add $FAR4/32 via 203.0.113.70
		route add $FAR6/128 via 2001:db8:68::70
		route add default via 203.0.113.65
		route add default via 2001:db8:64::65
	END2
		link set lo up
		addr add 203.0.113.70/30 dev f0
		addr add 2001:db8:68::70/64 dev f0 nodad
		addr add $FAR4/32 dev lo
		addr add $FAR6/128 dev lo nodad
		link set f0 up
		route add default via 203.0.113.69
		route add default via 2001:db8:68::69
	END3
	wait_for ping -n -c1 -W1 $FAR4 && wait_for ping -n -c1 -W1 $FAR6
}

# hops OPTION... ADDR: what traceroute shows, one word a hop
hops() {
	in_ns -m 1500 -- traceroute -n -q 1 -w 5 -N 4 -m 8 "$@" 2>&1 |
		awk 'NR > 1 { printf "%s%s", sep, $2; sep = " " }'
}

routes() {
	local w4="$R1_4 $R2_4 $FAR4" w6="$R1_6 $R2_6 $FAR6" out
	is "$(hops $FAR4)" "$w4" "$WHO: traceroute"
	is "$(hops -I $FAR4)" "$w4" "$WHO: traceroute -I"
	is "$(hops -6 $FAR6)" "$w6" "$WHO: traceroute -6"
	is "$(hops -6 -I $FAR6)" "$w6" "$WHO: traceroute -6 -I"
	for opt in -u ""; do
		# shellcheck disable=SC2086 # one word or none
		out=$(in_ns -m 1500 -- mtr -n -r -c 1 -i 0.2 $opt $FAR4 |
		      awk '/--/ { printf "%s%s", sep, $2; sep = " " }')
		is "$out" "$w4" "$WHO: mtr $opt"
	done
}

# ping_says PATTERN NAME OPTION... ADDR: within some attempts, since the errors of
# routers are rationed (those about routes, per neighbour, in spite of no_limit)
ping_says() {
	local what=$1 name=$2
	shift 2
	# shellcheck disable=SC2016
	like "$(in_ns -m 9000 -- bash -c 'for i in 1 2 3 4 5 6 7; do
			out=$(ping -n -c1 -W1 "${@:2}" 2>&1)
			[[ ! $out =~ $1 ]] || break
		done
		echo "$out"' bash "$what" "$@" 2>&1)" "$what" "$WHO: $name"
}

hop_limits() {
	ping_says "From $R1_4.*Time to live exceeded" "ping -t 1" -t 1 $FAR4
	ping_says "From $R2_4.*Time to live exceeded" "ping -t 2" -t 2 $FAR4
	ping_says "1 received" "ping -t 3" -t 3 $FAR4
	ping_says "From $R1_6.*Time exceeded: Hop limit" "ping -t 1, IPv6" \
		-t 1 $FAR6
	ping_says "1 received" "ping -t 3, IPv6" -t 3 $FAR6
}

refusals() {
	ping_says "From $R1_4.*Packet filtered" "a router prohibits" 203.0.113.161
	ping_says "From $R1_4.*Destination Host Unreachable" \
		"a router can't reach a host" 203.0.113.162
	ping_says "From $R1_6.*prohibited" "a router prohibits, IPv6" \
		2001:db8:161::1
	ping_says "unreachable: No route|unreachable: Address" \
		"a router can't reach a host, IPv6" 2001:db8:162::1
	ping_says "From $GW4.*Packet filtered" "this host prohibits" 203.0.113.171
	ping_says "From $GW4.*Destination Host Unreachable" \
		"this host can't reach a host" 203.0.113.172
	ping_says "From $GW4.*Destination Net Unreachable" \
		"this host has no route" 203.0.113.173
	ping_says "From $GW6.*prohibited" "this host prohibits, IPv6" \
		2001:db8:171::1
	ping_says "From $GW6.*No route" "this host has no route, IPv6" \
		2001:db8:173::1
}

# refused ADDR: errno that a socket gets which wants to know all errors
refused() {
	in_ns -- python3 -c '
import errno, socket, sys
addr = sys.argv[1]
v6 = ":" in addr
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(*((socket.IPPROTO_IPV6, 25) if v6 else (socket.IPPROTO_IP, 11)), 1)
s.settimeout(0.5)
for _ in range(14):
    try:
        s.sendto(b"x", (addr, 9))
        s.recv(1)
    except TimeoutError:
        continue
    except OSError as e:
        sys.exit(print(errno.errorcode[e.errno]))
print("nothing")
' "$1"
}

udp_refusals() {
	local addr want
	while read -r addr want; do
		is "$(refused "$addr")" "$want" "$WHO: UDP to $addr"
	done <<-END
		203.0.113.161	EHOSTUNREACH
		203.0.113.162	EHOSTUNREACH
		203.0.113.171	EHOSTUNREACH
		203.0.113.172	EHOSTUNREACH
		203.0.113.173	ENETUNREACH
		2001:db8:161::1	EACCES
		2001:db8:162::1	ENETUNREACH
		2001:db8:171::1	EACCES
		2001:db8:173::1	ENETUNREACH
		$FAR4		ECONNREFUSED
		$FAR6		ECONNREFUSED
	END
}

# The host's own refusals, and a way out with a small MTU; not to be copied by a
# pasta that starts, so they are in a table that rules lead to
host_routes() {
	ip route add prohibit 203.0.113.171 table 7
	ip route add unreachable 203.0.113.172 table 7
	ip route add throw 203.0.113.173 table 7
	ip route add $NEAR4 via $GW4 mtu lock 1400 table 7
	ip -6 route add prohibit 2001:db8:171::1 table 7
	ip -6 route add $NEAR6 via $GW6 mtu 1400 table 7
	ip rule add pref 100 table 7
	ip -6 rule add pref 100 table 7
	# Nothing else than the table for these: no default route
	ip rule add pref 101 to 203.0.113.173 table 8
	ip rule add pref 102 to 203.0.113.173 unreachable
	ip -6 rule add pref 102 to 2001:db8:173::/64 unreachable
}

# discovered ADDR: datagrams that must not be fragmented, until the sender knows
# the MTU of the path and they are small enough: that MTU
discovered() {
	in_ns -m "$2" -- python3 -c '
import errno, select, socket, sys
addr = sys.argv[1]
v6 = ":" in addr
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
s.setsockopt(level, 23 if v6 else 10, 2)	# MTU_DISCOVER: do
s.connect((addr, 9))
size = 4000
for _ in range(20):
    try:
        s.send(bytes(size))
        select.select([], [], [s], 0.2)
        s.settimeout(0.2)
        s.recv(1)
    except TimeoutError:
        continue
    except OSError as e:
        if e.errno == errno.EMSGSIZE:
            break
print(s.getsockopt(level, 24 if v6 else 14))	# MTU
' "$1"
}

mtus() {
	local mtu
	for mtu in 9000 65520; do
		is "$(discovered $FAR4 $mtu)" 1400 \
			"$WHO, MTU $mtu: UDP finds the MTU of the path"
		is "$(discovered $FAR6 $mtu)" 1400 \
			"$WHO, MTU $mtu: UDP finds the MTU of the path, IPv6"
		is "$(discovered $NEAR4 $mtu)" 1400 \
			"$WHO, MTU $mtu: UDP finds the MTU of the way out"
		is "$(discovered $NEAR6 $mtu)" 1400 \
			"$WHO, MTU $mtu: UDP finds the MTU of the way out, IPv6"
	done
	ping_says "Frag needed.*mtu = 1400" "ping -M do" \
		-M "do" -s 2000 $FAR4
	ping_says "1 received" "ping -M do that fits" -M "do" -s 1300 $FAR4
	ping_says "Packet too big: mtu=1400" "ping -M do, IPv6" \
		-M "do" -s 2000 $FAR6
	ping_says "From $GW4.*Frag needed.*mtu = 1400" \
		"ping -M do, over the MTU of the way out" -M "do" -s 2000 $NEAR4
	ping_says "From $GW6.*Packet too big: mtu=1400" \
		"ping -M do, over the MTU of the way out, IPv6" \
		-M "do" -s 2000 $NEAR6
	ping_says "1 received" "ping -M dont is fragmented" -M dont -s 8000 $FAR4
	ping_says "1 received" "ping -M dont is fragmented on the way out" \
		-M dont -s 8000 $NEAR4
	like "$(in_ns -m 9000 -- ping -n -c3 -i0.2 -W2 -s 8000 $FAR6 2>&1)" \
		"[12] received" "$WHO: a large ping gets through in fragments, IPv6"
}

for tool in traceroute mtr; do
	command -v $tool >/dev/null || skip_all "no $tool"
done
{ stage && host_routes; } || { echo "Bail out! no stage"; exit 1; }
for WHO in $WHOM; do
	udp_refusals
	routes
	[ "$WHO" = user ] || continue	# the rest knows no difference
	refusals
	hop_limits
	mtus
done
kill "$ROUTER" "$FAR"
done_testing
