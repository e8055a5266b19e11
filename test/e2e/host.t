#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is copied from hosts of all kinds: addresses that expire or should not be
# used, hosts without a network or half of it, default routes of other kinds, more
# routes than we take.  The network of the host is taken apart on the way.

. "$(dirname "$0")/../lib/ns.sh"

# seen OPTION...: what is said at the start, then what the namespace looks like
seen() {
	out=$(as_user timeout 10 "$PASTA" --config-net "${ALONE[@]}" "$@" -- \
		sh -c 'ip -o addr; ip route; ip -6 route' 2>&1)
	is $? 0 "$what: it starts" || diag "$out"
}

has() { like "$out" "$1" "$what: $2"; }

hasnt() {
	[[ ! $out =~ $1 ]]
	ok $? "$what: $2" || diag "$out"
}

works() {
	t "$what: it works" in_ns -- ping -n -q -c1 -W2 "$1"
}

what="addresses that expire"
ip addr add 198.51.100.51/24 dev eth0 valid_lft 300 preferred_lft 200
ip addr add 2001:db8:1::51/64 dev eth0 nodad valid_lft 300 preferred_lft 200
seen
has "198.51.100.51/24 .*2001:db8:1::51/64" "are copied"
hasnt "valid_lft [0-9]" "last as long as the namespace"
ip addr del 198.51.100.51/24 dev eth0
ip addr del 2001:db8:1::51/64 dev eth0

what="other kinds of IPv6 addresses, listed first"
ip -6 addr flush dev eth0 scope global
ip addr add $HOST6/64 dev eth0 nodad
ip addr add fd00::5/64 dev eth0 nodad
ip addr add 2001:db8:1::99/64 dev eth0 nodad preferred_lft 0
ip -6 route replace default via $GW6
seen
has "assign: $HOST6"$'\n' "the global one is the guest's"
has "2001:db8:1::99/64.*deprecated" "what is deprecated stays so"
has "fd00::5/64" "unique local ones are copied, too"
works $PEER6
ip addr del fd00::5/64 dev eth0
ip addr del 2001:db8:1::99/64 dev eth0

what="an interface without MAC address and carrier"
if ip tuntap add vpn0 mode tun; then
	ip addr add 203.0.113.9/32 dev vpn0
	ip link set vpn0 up
	ip route add default dev vpn0 metric 50
	ip route replace default via $GW4 metric 500
	ip route del default via $GW4 metric 0 2>/dev/null
	seen
	has "Template interface: eth0 .IPv4., eth0 .IPv6." "is not taken"
	seen -i vpn0
	has "vpn0 +inet 203.0.113.9/32 .*default dev vpn0" "can be asked for"
	ip link del vpn0
	ip route replace default via $GW4
	ip route del default via $GW4 metric 500
else
	skip "$what" "no tun device"
fi

what="1000 routes"
for i in {1..1000}; do
	echo "route add 203.0.113.$((i % 200)) via $GW4 metric $((1000 + i))"
done | ip -b -
seen
has "routes of the host too many to copy" "are too many, which is said"
has "default via $GW4" "the default route is among those copied"
works $PEER4
ip route flush root 203.0.113.0/24

what="routes that lead nowhere, or over the other family"
ip route add blackhole 203.0.113.64/28
ip route add unreachable 203.0.113.80/28
ip route add 203.0.113.96/28 via inet6 $GW6
ip -6 route add 2001:db8:5::/48 from 2001:db8:1::/64 via $GW6
seen
has "default via $GW4" "the others are copied"
works $PEER4
ip route flush root 203.0.113.0/24
ip -6 route del 2001:db8:5::/48 from 2001:db8:1::/64

what="a default route through a nexthop object"
ip route del default
ip nexthop add id 5 via $GW4 dev eth0
ip route add default nhid 5
seen
has "default via $GW4" "is a plain one inside"
works $PEER4
ip route del default
ip nexthop del id 5

what="a default route with two gateways"
peer ip addr add 198.51.100.3/24 dev eth0
ip route add default nexthop via $GW4 nexthop via 198.51.100.3
seen
has "default via $GW4|default nexthop via $GW4" "one of them is there"
works $PEER4
ip route del default

what="IPv6 alone"
ip addr del $HOST4/24 dev eth0
seen
has "Template interface: eth0 .IPv6." "is told"
hasnt "eth0 +inet " "no IPv4 address"
works $PEER6

what="no network"
ip link set eth0 down
seen
has "IPv4: no external interface as template, use local mode" "is told for IPv4"
has "IPv6: no external interface as template, use local mode" "and for IPv6"
has "tap0 +inet 169.254" "an address to start with"
seen -a 203.0.113.9/24 -g 203.0.113.1 -a 2001:db8::9 -g 2001:db8::1
has "203.0.113.9/24.*2001:db8::9/64" "addresses given are there"
has "default via 203.0.113.1 .*default via 2001:db8::1 " "and gateways"

if [ -n "$NS_ROOT" ]; then
	what="IPv6 disabled"
	ip link set eth0 up
	ip addr add $HOST4/24 dev eth0
	ip route add default via $GW4
	echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
	seen
	has "$HOST4/24" "IPv4 is copied"
	works $PEER4
fi
done_testing
