#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP connections of a guest move with it, by passt-repair on both hosts: SIZE bytes (k, m,
# g) go each way meanwhile, and each of them is checked.  More than 64m takes a larger LIMIT

. "$(dirname "$0")/../lib/vmroot.sh"
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/root.sh"
. "$NS_TOP/test/lib/vmmigrate.sh"

VHOST=1
SIZE=${SIZE:-64m}
TIME=$((${TIME:-150} + $(numfmt --from=iec "${SIZE^^}") / 1048576))	# seconds for the data
P=7000				# forwarded
GO=/tmp/go			# in the guest: what waits, goes on; $T/home/go for the peer
[ -n "$NS_ROOT" ] || skip_all "passt-repair needs a privilege that only root has"

# start WHERE: a passt with its helper
start() {
	host_passt "$1" -t $P || return
	wait_for test -S "$T/home/$1.socket.repair"
	"$1" "$NS_TOP/passt-repair" "$T/home/$1.socket.repair" >"$T/home/$1.repair.log" 2>&1 &
	wait_for says "$1" "passt-repair connected"
}
says() { grep -q "$2" "$T/home/$1.log"; }

# peer_tcpx NAME ARG...: tcpx at the peer, in the background; its result is in a file
peer_tcpx() { peer timeout $TIME tcpx "${@:2}" >"$T/home/$1" 2>&1 & }

# In the guest: a connection each way that carries data, one of them over IPv6, one that
# the peer has begun, one that is idle, and one that both sides have closed, but for which
# the peer has no room yet.  Readers wait, so data is in all queues.  Each writes its result
# into a file
connections() {
	peer_tcpx out listen "$PEER4" 7100 -r "$SIZE" -p "4m:$T/home/go"
	peer_tcpx in listen "$PEER6" 7101 -s "$SIZE"
	peer timeout $TIME socat "TCP4-LISTEN:7102,bind=$PEER4" EXEC:cat >/dev/null 2>&1 &
	peer_tcpx closed listen "$PEER4" 7103 -r 2m -s 1 -B 32k -p "1k:$T/home/go"
	for p in 7100 7101 7102 7103; do
		wait_for listening tcp $p peer || return
	done
	vm a "tcpx connect $PEER4 7100 -s $SIZE >/tmp/out 2>&1 &
	tcpx connect $PEER6 7101 -r $SIZE -p 4m:$GO >/tmp/in 2>&1 &
	(until [ -e $GO ]; do sleep 0.1; done; echo hello) | nc $PEER4 7102 >/tmp/idle 2>&1 &
	tcpx connect $PEER4 7103 -s 2m -r 1 >/tmp/closed 2>&1 &
	tcpx listen 0.0.0.0 $P -s 8m -r 1k >/tmp/inbound 2>&1 &
	until grep -q ':$(printf %04X $P) 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done"
	peer_tcpx inbound connect "$HOST4" $P -r 8m -s 1k -p "1m:$T/home/go"
	wait_for vm a "$(declare -f ready); ready"
}

# All five are there, whatever each side has closed by now; both have closed one of them
ready() {
	[ "$(cat /proc/net/tcp /proc/net/tcp6 | grep -cE ' (01|04|08|09|0B) ')" -ge 5 ] &&
		grep -qE ':1BBF (09|0B) ' /proc/net/tcp
}

moved() {
	wait_for says there "5 TCP connections have moved here, 0 have not" && return
	tail -n 3 "$T/home/here.log" "$T/home/there.log"
	return 1
}
done_there() { vm b "[ -s /tmp/$1 ]"; }
done_peer() { [ -s "$T/home/$1" ]; }

vm_root "$ROOT_IMAGE"
hosts_start
ok $? "two hosts with the same addresses" || done_testing
t "a passt and a helper on the first one" start here
t "and on the second one" start there
t "a guest on the first one" vm_start a "$T/home/here.socket"
vm a "ip link set eth0 up
	ip addr add $HOST4/24 dev eth0
	ip route add default via $GW4
	ip addr add $HOST6/64 dev eth0 nodad
	ip -6 route replace default via $GW6"
t "a machine waits on the second host" vm_incoming b "$T/home/there.socket"
connections
ok $? "it has connections"		# t would wait for the end of what runs behind
t "the guest moves there" vm_migrate a b there
t "its connections do" moved
vm_stop a
touch "$T/home/go"
t "the readers go on" vm b "touch $GO"
for name in out in inbound closed; do
	t "$name: the connection ends in time" wait_for -t $TIME done_there $name
	like "$(vm b "cat /tmp/$name")" " bad=0 .*errno=0 " "$name: the guest has each byte"
	wait_for done_peer $name
	like "$(cat "$T/home/$name")" " bad=0 .*errno=0 " "$name: the peer has each byte"
done
t "an idle one carries data then" wait_for done_there idle
is "$(vm b "cat /tmp/idle")" hello "which is right"
diag "out: $(cat "$T/home/out")"
diag "in: $(vm b "cat /tmp/in")"
done_testing
