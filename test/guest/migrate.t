#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest with passt --vhost-user moves to another host that has the same addresses, and
# back; it goes on where it was if that fails

. "$(dirname "$0")/../lib/vmroot.sh"
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/root.sh"
. "$NS_TOP/test/lib/vmmigrate.sh"

VHOST=1
VHOST_DEV=,guest_announce=off	# the guest does not say by itself that it has moved
GUEST4=198.51.100.77		# not the one that is assigned to it
P=7000				# forwarded

# serve NAME: a server in the guest, for one connection to the forwarded port; inbound makes it
serve() {
	vm "$1" "tcpx listen 0.0.0.0 $P -r 100k -s 100k >/dev/null 2>&1 &
		until grep -q ':$(printf %04X $P) 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done"
}
inbound() { peer timeout 20 tcpx connect "$HOST4" $P -s 100k -r 100k; }

# outbound NAME: connect to the peer
outbound() {
	local rc pid
	exec_peer timeout 60 tcpx listen "$PEER4" 7100 -r 100k -s 100k >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 7100 peer
	vm "$1" "timeout 20 tcpx connect $PEER4 7100 -s 100k -r 100k" >/dev/null
	rc=$?
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
	return $rc
}

pings() { vm "$1" "wc -l < /tmp/pings"; }
# pinging NAME: more answers than before
pinging() {
	local n
	n=$(pings "$1")
	wait_for more "$1" $((n + 3))
}
more() { [ "$(pings "$1")" -ge "$2" ]; }
says() { grep -q "$2" "$T/home/$1.log"; }

vm_root "$ROOT_IMAGE"
hosts_start
ok $? "two hosts with the same addresses" || done_testing
t "a passt on the first one" host_passt here -t $P
t "and on the second one" host_passt there -t $P
t "a guest on the first one" vm_start a "$T/home/here.socket"
vm a "ip link set eth0 up
	ip addr add $GUEST4/24 dev eth0
	ip route add default via $GW4"
t "it reaches the world" outbound a
serve a
t "it is reached" inbound

serve a
t "a machine waits on the second host" vm_incoming b "$T/home/there.socket"
t "the guest moves there" vm_migrate a b there
t "it is reached before it has sent anything" inbound
t "with the address that it has" vm b "ip addr show eth0 | grep -q $GUEST4/24"
t "it reaches the world" outbound b
t "the log there says so" wait_for says there "The guest has moved here"
vm_stop a
t "and here, that it has left" wait_for says here "The guest has left"

vm b "(while :; do
		ping -c 1 -W 1 $PEER4 | grep ' bytes from' >>/tmp/pings
		sleep 0.1
	done) >/dev/null 2>&1 &"
t "it pings" pinging b
t "a machine waits on the first host" vm_incoming a "$T/home/here.socket"
t "the guest begins to move back" vm_leave b a
vm_qmp b migrate_cancel >/dev/null
t "but it is cancelled" wait_for vm_moving b cancelled
vm_stop a
t "its pings go on" pinging b
t "it reaches the world" outbound b

t "a machine waits on the first host" vm_incoming a "$T/home/here.socket"
t "the guest begins to move back" vm_leave b a
host_stop here
vm_arrive b
is $? 1 "that fails, as the passt there is gone"
t "the log says so" wait_for says there "it goes on here"
vm_stop a
serve b
t "its pings go on" pinging b
t "it reaches the world" outbound b
t "it is reached" inbound

t "another passt on the first host" host_passt here -t $P
t "a machine waits there" vm_incoming a "$T/home/here.socket"
serve b
t "the guest moves back" vm_migrate b a here
t "it is reached" inbound
t "its pings go on" pinging a
t "it reaches the world" outbound a
done_testing
