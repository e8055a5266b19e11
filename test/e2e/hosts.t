#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Odd hosts, each made from the same stage: pasta starts, takes the interface that
# the host itself would use, and what the host can reach can be reached from inside.

. "$(dirname "$0")/../lib/ns.sh"

# host NAME: a host with eth0, up and without addresses and routes
host() {
	what=$1
	ip link set eth0 down
	for link in $(ip -o link | awk -F'[ :@]+' '{ print $2 }'); do
		case $link in lo|eth0) ;; *) ip link del "$link";; esac
	done
	for family in -4 -6; do
		ip $family addr flush dev eth0
		ip $family route flush table main
		ip $family route flush table 100
		ip $family rule del pref 100
	done
	ip nexthop flush
	ip link set eth0 up
	wait_for running eth0
} >/dev/null 2>&1

v4() { ip addr add $HOST4/24 dev eth0; }
v6() { ip addr add $HOST6/64 dev eth0 nodad; }
route4() { ip route add default via $GW4 "$@"; }
# shellcheck disable=SC2120 # as route4
route6() { ip -6 route add default via $GW6 "$@"; }

# running NAME: up, in the eyes of the kernel, too
running() { ip link show dev "$1" | grep -q 'LOWER_UP.* state \(UP\|UNKNOWN\)'; }

# dead_end NAME: another interface, which nobody is behind
dead_end() {
	ip link add "$1" type veth peer name "$1-end"
	ip link set "$1" up
	ip link set "$1-end" up
	wait_for running "$1"
}

# shellcheck source=test/lib/seen.sh
. "$NS_TOP/test/lib/seen.sh"

local4="IPv4: no external interface as template, use local mode"
local6="IPv6: no external interface as template, use local mode"

# live: from a start on the host gets all: then it is reached, too
live() {
	WHO=user pasta_start 2>/dev/null
	ok $? "$what: it starts for a while" || return
	v4
	v6
	route4
	route6
	t "$what: IPv4 that comes later is reached at once" \
		inside ping -nqc1 -W5 $PEER4
	t "$what: so is IPv6" inside ping -nqc1 -W5 $PEER6
	pasta_stop
} 2>/dev/null

host "no default route"
v4
v6
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "the link is copied"
has "inet $HOST4/24 .*inet6 $HOST6/64" "with its addresses"
has "default via 169.254.2.2 .*onlink .*default via fe80" "the host routes the rest"
works $GW4
works $GW6
live

host "no address"
seen
has "$local4" "is told for IPv4"
has "$local6" "and for IPv6"
has "inet 169.254.2.1/16 .*default via 169.254.2.2 " "an address and a route"
has "default via fe80::" "for IPv6 a route"
live

host "a default route for IPv6, a link for IPv4"
v4
v6
route6
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "both are copied"
has "inet $HOST4/24 .*default via 169.254.2.2 .*default via $GW6" "with routes"
has "$HOST4|198.51.100.0/24 dev eth0" "with the link's"
works $GW4
works $PEER6
what="a default route for IPv6, a link for IPv4: passt"
out=$(as_user timeout 5 "$T/bin/passt" -f -s "$T/home/sock" -P "$T/home/pid" 2>&1 &
	wait_for test -s "$T/home/pid"; kill "$(cat "$T/home/pid")"; wait)
has "Template interface: eth0 .IPv4., eth0 .IPv6." "both are copied"
has "assign: ${HOST4}[^:]*: [0-9.]*[^:]*router: 169.254.2.2" "and assigned"
what="a default route for IPv6, a link for IPv4: -6"
seen -6
hasnt "$HOST4|169.254|IPv4" "no IPv4"
what="a default route for IPv6, a link for IPv4: -4"
seen -4
has "Template interface: eth0 .IPv4." "the link is copied"
hasnt "inet6 [23]" "no IPv6 address but a link-local one"
works $GW4
what="a default route for IPv6, a link for IPv4: -g"
seen -g 198.51.100.77
has "default via 198.51.100.77" "the gateway given is the only one"
hasnt "169.254" "none of ours"
what="a default route for IPv6, a link for IPv4"
live

host "a default route for IPv4, a link for IPv6"
v4
route4
v6
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "both are copied"
has "inet6 $HOST6/64 .*default via $GW4 .*default via fe80" "with routes"
works $GW6
works $PEER4
live

host "families on two interfaces"
dead_end d0
ip addr add 203.0.113.65/28 dev d0
v6
route6
seen
has "Template interface: d0 .IPv4., eth0 .IPv6." "the one with an address is taken"
has "Namespace interface: eth0" "that of the default route gives the name"
works $PEER6
v4
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "that of the other family first"
seen -i d0
has "Template interface: d0 .IPv4.[^,]" "-i: that one for IPv4"
has "$local6" "and IPv6 is in local mode"
hasnt "$HOST6" "without the address of another interface"

host "two default routes"
v4
dead_end d0
ip addr add 203.0.113.65/28 dev d0
ip route add default via 203.0.113.66 metric 300
route4 metric 200
v6
route6
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "the lower metric decides"
has "default via $GW4 dev eth0 metric 200" "its route is copied"
hasnt "203.0.113.66" "and the other isn't"
works $PEER4
ip route add default via 203.0.113.66 metric 100
seen
has "Template interface: d0 .IPv4., eth0 .IPv6." "each family has its own"
has "inet 203.0.113.65/28 .*default via 203.0.113.66" "with its addresses"
works $PEER6
ip link set d0 down
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "one that is up is better"

host "a default route without a gateway"
v4
ip route add default dev eth0
seen
has "Template interface: eth0 .IPv4." "is taken"
has "default dev eth0 scope link" "and copied as it is"
works $PEER4

host "an address alone, the gateway elsewhere"
ip addr add $HOST4/32 dev eth0
ip route add $GW4 dev eth0
route4
ip addr add $HOST6/128 dev eth0 nodad
ip -6 route add $GW6 dev eth0
route6
seen
has "inet $HOST4/32 .*default via $GW4 .*$GW4 dev eth0 scope link" "is copied"
has "$HOST6/128 .*default via $GW6" "for IPv6, too"
works $PEER4
works $PEER6

host "a gateway outside of all prefixes"
ip addr add $HOST4/32 dev eth0 noprefixroute
route4 dev eth0 onlink
seen
has "default via $GW4 dev eth0 .*onlink" "is on the link inside"
works $PEER4

host "a tunnel without carrier"
v4
route4 metric 500
if ip tuntap add vpn0 mode tun; then
	ip addr add 203.0.113.9/32 dev vpn0
	ip link set vpn0 up
	ip route add default dev vpn0 metric 50
	seen
	has "Template interface: eth0 .IPv4." "is not taken"
	seen -i vpn0
	has "vpn0 +inet 203.0.113.9/32 .*default dev vpn0" "can be asked for"

	what="a tunnel without MAC address"
	cat > tun.py <<-'END'
		import fcntl, os, signal, struct
		fd = os.open("/dev/net/tun", os.O_RDWR)
		# TUNSETIFF: IFF_TUN | IFF_NO_PI
		fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"vpn0", 0x1001))
		signal.pause()
	END
	python3 tun.py &
	TUN=$!
	wait_for running vpn0
	seen
	has "Template interface: vpn0 .IPv4." "is taken"
	has "inet 203.0.113.9/32 .*default dev vpn0" "and copied"
	ip route del default dev vpn0
	ip route add 0.0.0.0/1 dev vpn0
	ip route add 128.0.0.0/1 dev vpn0
	what="a tunnel with both halves of the default route"
	seen
	has "Template interface: vpn0 .IPv4." "is taken"
	has "0.0.0.0/1 dev vpn0 .*128.0.0.0/1 dev vpn0" "and copied"
	kill $TUN
	wait $TUN 2>/dev/null
else
	skip "$what" "no tun device"
fi

host "IPv6 alone"
v6
route6
seen
has "Template interface: eth0 .IPv6." "is told"
has "$local4" "IPv4 is in local mode"
has "inet 169.254.2.1/16 .*inet6 $HOST6/64" "its address is copied"
works $PEER6
live

host "IPv4 alone"
v4
route4
seen
has "Template interface: eth0 .IPv4." "is told"
has "$local6" "IPv6 is in local mode"
has "inet $HOST4/24 .*default via fe80::" "its address is copied"
hasnt "inet6 [23]" "no IPv6 address but a link-local one"
works $PEER4
# By "localhost" both are meant, and ::1 comes first
what="IPv4 alone: ::1"
WHO=user pasta_start -t 28080:80 -u 28080:80
inside timeout 20 socat -u TCP-LISTEN:80 - >"$T/got" &
inside timeout 20 socat -u UDP-RECVFROM:80 - >"$T/got6" &
wait_for listening tcp 80 inside
wait_for listening udp 80 inside
printf hello | socat -u - "TCP:[::1]:28080"
printf hello | socat -u - "UDP-SENDTO:[::1]:28080"
t "$what reaches a TCP port" wait_for -t 5 grep -q hello "$T/got"
t "$what reaches a UDP port" wait_for -t 5 grep -q hello "$T/got6"
pasta_stop
host "IPv4 alone"
v4
route4
live

host "link-local addresses alone"
seen
has "$local4.*$local6" "is no network"
has "inet 169.254.2.1/16" "an address to start with"
ip -6 route add default via fe80::1 dev eth0
seen
has "$local6|Template interface: eth0 .IPv6." "even with a router: it starts"

host "a default route into the void"
v4
v6
ip route add blackhole default
ip -6 route add unreachable default
seen
has "default via 169.254.2.2 .*default via fe80" "is not copied, the link is"
works $GW4
ip route del blackhole default
ip route add blackhole default metric 500
route4
seen
has "Template interface: eth0 .IPv4." "but one before it is"
works $PEER4

host "nexthop objects"
v4
v6
ip nexthop add id 5 via $GW4 dev eth0
ip nexthop add id 6 via $GW6 dev eth0
ip route add default nhid 5
ip -6 route add default nhid 6
seen
has "default via $GW4 .*default via $GW6" "become plain routes inside"
works $PEER4
works $PEER6
compat=/proc/sys/net/ipv4/nexthop_compat_mode
if [ -n "$NS_ROOT" ] && echo 0 > $compat; then
	seen
	has "default via $GW4 .*default via $GW6" "even if only ids are told"
	echo 1 > $compat
fi
ip route del default
ip nexthop add id 7 group 5
ip route add default nhid 7
seen
has "default via $GW4" "a group stands for its members"

host "a default route with two gateways"
v4
v6
peer ip addr add 198.51.100.3/24 dev eth0
ip route add default nexthop via $GW4 nexthop via 198.51.100.3
ip -6 route add default nexthop via $GW6 nexthop via 2001:db8:1::3
seen
has "default via $GW4|default nexthop via $GW4" "one of them is there"
has "default via $GW6" "for IPv6, too"
works $PEER4

host "an interface that is down"
v4
route4
ip link set eth0 down
seen
has "$local4.*$local6" "is no network"
seen -a 203.0.113.9/24 -g 203.0.113.1 -a 2001:db8::9 -g 2001:db8::1
has "203.0.113.9/24.*2001:db8::9/64" "addresses given are there"
has "default via 203.0.113.1 .*default via 2001:db8::1 " "and gateways"

host "a default route in another table"
v4
v6
ip route add default via $GW4 dev eth0 table 100
ip -6 route add default via $GW6 dev eth0 table 100
ip rule add pref 100 table 100
ip -6 rule add pref 100 table 100
seen
has "Template interface: eth0 .IPv4., eth0 .IPv6." "is found"
has "default via $GW4 .*default via $GW6" "and copied"
works $PEER4
works $PEER6
dead_end d0
ip addr add 203.0.113.65/28 dev d0
ip route replace default dev d0 table 100
route4
seen
has "Template interface: d0 .IPv4." "counts more than that of the main one"
has "inet 203.0.113.65/28 .*default dev d0" "and is copied"

host "an interface in no main route"
v4
route4
dead_end d0
ip addr add 203.0.113.65/28 dev d0
seen -i d0
has "Template interface: d0 .IPv4." "can be asked for"
seen --outbound-if4 eth0 -o $HOST4 -o $HOST6
has "Outbound address $HOST6 is not an address of the host" "a warning"
hasnt "address $HOST4 is not" "none for what is there"
what="an outbound interface that is not there"
out=$(as_user "$PASTA" --config-net --outbound-if4 nope0 -- true 2>&1)
is $? 1 "$what: it does not start"
has "Outbound interface not usable: nope0 does not exist" "and says why"

what="nothing at all"
out=$(unshare --net "$PASTA" --config-net "${ALONE[@]}" -- ip -o addr 2>&1)
is $? 0 "$what: it starts" || diag "$out"
has "tap0 +inet 169.254.2.1/16" "with an address"

if [ -n "$NS_ROOT" ]; then
	host "IPv6 disabled"
	echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
	v4
	route4
	seen
	has "$HOST4/24" "IPv4 is copied"
	works $PEER4
fi
done_testing
