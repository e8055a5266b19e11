#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is copied from a host: addresses that expire or should not be used, more
# routes than we take, some that mean nothing inside.  For odd ways out of a host
# see hosts.t.

. "$(dirname "$0")/../lib/ns.sh"

# shellcheck source=test/lib/seen.sh
. "$NS_TOP/test/lib/seen.sh"

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
done_testing
