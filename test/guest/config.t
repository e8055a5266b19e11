#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a virtual machine configures, by each client, compared with the host

. "$(dirname "$0")/../lib/vm.sh"
vm_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"

S=$T/home/vm.socket
HOST_CIDR=$HOST4/24
printf 'nameserver %s\nnameserver %s\nsearch example.com lab.example.org\n' \
	198.51.100.53 2001:db8:1::53 > "$T/resolv.conf"
mount --bind "$T/resolv.conf" /etc/resolv.conf

lease() { sed -n "s/^$2=//p" <<<"$1"; }

t "passt starts" run_as user "$T/bin/passt" -q -s "$S" -P "$T/home/pid" \
	-l "$T/home/log" -m 9000 -H guest1 --fqdn guest1.example.com
t "a guest boots" vm_start a "$S" || { done_testing; }

vm a 'ip link set eth0 up'
out=$(vm a 'udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net -O search -O mtu \
	-x hostname:asked; cat /tmp/lease4')
is $? 0 "udhcpc gets a lease"
is "$(lease "$out" address)" "$HOST4/24" "its address is the host's"
is "$(lease "$out" router)" "$GW4" "its router is the host's"
is "$(lease "$out" dns)" 198.51.100.53 "its name server is the host's"
is "$(lease "$out" search)" "example.com lab.example.org" "so is its search list"
is "$(lease "$out" mtu)" 9000 "its MTU is the one given"
is "$(lease "$out" hostname)" guest1 "and its name"
like "$(vm a "ping -c 1 -W 5 $PEER4")" "1 packets received" \
	"with that it reaches the world"
vm a 'ip addr flush dev eth0 scope global; ip route flush dev eth0'

dhclient='dhclient -v -1 -sf /bin/guest-net -cf /tmp/dhclient.conf -lf /tmp/leases'
out=$(vm a "echo 'request subnet-mask, routers, domain-name-servers,
	domain-search, interface-mtu, host-name, dhcp6.name-servers,
	dhcp6.domain-search; timeout 20;' > /tmp/dhclient.conf
	: > /tmp/leases; $dhclient -4 eth0; cat /tmp/lease4")
is "$(lease "$out" address)" "$HOST4/255.255.255.0" "dhclient -4: the host's address"
is "$(lease "$out" router)" "$GW4" "dhclient -4: the host's router"
is "$(lease "$out" dns)" 198.51.100.53 "dhclient -4: the host's name server"
is "$(lease "$out" search)" "example.com. lab.example.org." \
	"dhclient -4: the host's search list"
is "$(lease "$out" mtu)" 9000 "dhclient -4: the MTU"
is "$(lease "$out" hostname)" guest1 "dhclient -4: the name"
is "$(vm a "ping -c 1 -W 5 $PEER4" | grep -c '1 packets received')" 1 \
	"dhclient -4: it reaches the world"

has_address() { vm a 'ip -6 -o addr show dev eth0 scope global' | grep -q "$1"; }
has_route() { vm a 'ip -6 route show default' | grep -q 'proto ra'; }
t "the router advertisement gives a default route" wait_for -t 20 has_route
t "and an address with the host's prefix" wait_for -t 20 has_address 2001:db8:1:
out=$(vm a "$dhclient -6 eth0; cat /tmp/lease6")
is "$(lease "$out" address | cut -d/ -f1)" "$HOST6" "dhclient -6: the host's address"
is "$(lease "$out" dns)" 2001:db8:1::53 "dhclient -6: the host's name server"
is "$(lease "$out" search)" "example.com. lab.example.org." \
	"dhclient -6: the host's search list"
like "$(vm a "ping -c 1 -W 5 $PEER6")" "1 packets received" \
	"with IPv6 it reaches the world, too"
vm_stop a
t "passt waits for the next guest" kill -0 "$(cat "$T/home/pid")"
pid=$(cat "$T/home/pid")
kill "$pid"
wait_for gone "$pid"			# it has the socket until then

t "with --no-dhcp-dns --no-dhcp-search" run_as user "$T/bin/passt" -q -s "$S" \
	-P "$T/home/pid" --no-dhcp-dns --no-dhcp-search -m 0
t "a guest boots" vm_start a "$S"
out=$(vm a 'ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net \
	-O search -O mtu; cat /tmp/lease4')
is "$(lease "$out" address)" "$HOST4/24" "it has an address"
is "$(lease "$out" dns)$(lease "$out" search)" "" "and no names"
is "$(lease "$out" mtu)" "" "and no MTU, with -m 0"
vm_stop a
kill "$(cat "$T/home/pid")"
done_testing
