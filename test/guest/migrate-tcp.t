#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP connections of a guest move with it, by passt-repair on both hosts: SIZE bytes (k, m,
# g) go each way meanwhile, and each of them is checked

. "$(dirname "$0")/../lib/vm.sh"
. "$(dirname "$0")/../lib/root.sh"
vm_image
root_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/root.sh"
. "$NS_TOP/test/lib/vmmigrate.sh"

VHOST=1
SIZE=${SIZE:-64m}
PAUSE=${PAUSE:-20}		# seconds in which the readers leave the data in all queues
P=7000				# forwarded
[ -n "$NS_ROOT" ] || skip_all "passt-repair needs a privilege that only root has"

# start WHERE: a passt with its helper
start() {
	host_passt "$1" -t $P || return
	"$1" "$NS_TOP/passt-repair" "$T/home/$1.socket.repair" >"$T/home/$1.repair.log" 2>&1 &
	wait_for says "$1" "passt-repair connected"
}
says() { grep -q "$2" "$T/home/$1.log"; }

# In the guest: a connection each way that carries data, one that the peer has begun, and
# one that is idle.  Each writes its result into a file
connections() {
	exec_peer timeout 200 tcpx listen "$PEER4" 7100 -r "$SIZE" -p 4m:$PAUSE >"$T/home/out" 2>&1 &
	exec_peer timeout 200 tcpx listen "$PEER4" 7101 -s "$SIZE" >"$T/home/in" 2>&1 &
	exec_peer timeout 200 socat "TCP4-LISTEN:7102,bind=$PEER4" EXEC:cat >/dev/null 2>&1 &
	wait_for listening tcp 7100 peer
	wait_for listening tcp 7101 peer
	wait_for listening tcp 7102 peer
	vm a "tcpx connect $PEER4 7100 -s $SIZE >/tmp/out 2>&1 &
	tcpx connect $PEER4 7101 -r $SIZE -p 4m:$PAUSE >/tmp/in 2>&1 &
	(sleep $((PAUSE + 2)); echo hello) | nc $PEER4 7102 >/tmp/idle 2>&1 &
	tcpx listen 0.0.0.0 $P -s 8m -r 1k >/tmp/inbound 2>&1 &
	until grep -q ':$(printf %04X $P) 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done"
	peer timeout 200 tcpx connect "$HOST4" $P -r 8m -s 1k -p 1m:$PAUSE >"$T/home/inbound" 2>&1 &
	wait_for vm a "[ \$(grep -cE ' (01|08) ' /proc/net/tcp) -ge 4 ]"
}

moved() {
	wait_for says there "4 TCP connections have moved here, 0 have not" && return
	tail -n 3 "$T/home/here.log" "$T/home/there.log"
	return 1
}
done_there() { vm b "[ -s /tmp/$1 ]"; }

vm_root "$ROOT_IMAGE"
hosts_start
ok $? "two hosts with the same addresses" || done_testing
t "a passt and a helper on the first one" start here
t "and on the second one" start there
t "a guest on the first one" vm_start a "$T/home/here.socket"
vm a "ip link set eth0 up
	ip addr add $HOST4/24 dev eth0
	ip route add default via $GW4"
t "a machine waits on the second host" vm_incoming b "$T/home/there.socket"
connections
ok $? "it has connections"		# t would wait for the end of what runs behind
t "the guest moves there" vm_migrate a b there
t "its connections do" moved
vm_stop a
for name in out in inbound; do
	t "$name: the connection ends in time" wait_for -t 150 done_there $name
	like "$(vm b "cat /tmp/$name")" " bad=0 .*errno=0 " "$name: the guest has each byte"
	like "$(cat "$T/home/$name")" " bad=0 .*errno=0 " "$name: the peer has each byte"
done
t "an idle one carries data then" wait_for -t 30 done_there idle
is "$(vm b "cat /tmp/idle")" hello "which is right"
done_testing
