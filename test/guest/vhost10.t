#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt --vhost-user and qemu 10, from Debian 13: rings of all sizes, large packets, a
# daemon and front-ends that end and come back, a guest that reboots, stands still, and gets
# more memory while data flows

. "$(dirname "$0")/../lib/vmroot.sh"
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/root.sh"
. "$NS_TOP/test/lib/vmtraffic.sh"

VHOST=1
vm_root "$ROOT_IMAGE"
ok $? "a Debian root is set up" || done_testing
like "$(chroot "$VM_ROOT" qemu-system-x86_64 --version)" "version 1[0-9]" "qemu is 10 or newer"

bit() { [ "${1:$2:1}" = 1 ]; }
address() {
	vm a "ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net" >/dev/null
}
works() { vm a "ping -c 1 -W 1 $PEER4" | grep -q '1 packets received'; }
daemon() { cat "$T/home/pid"; }

# rings: sizes of both, as the back-end knows them.  The command for any virtio device would
# stop those of vhost-user
rings() {
	local i
	for i in 0 1; do
		vm_qmp a x-query-virtio-vhost-queue-status "{\"queue\": $i, \"path\":
			\"/machine/peripheral/net/virtio-backend\"}"
	done | sed -n "s/.*\"num\": \([0-9]*\).*/\1/p" | tr '\n' ' '
}

# largest ours|guest: length of the longest frame from there in the packet trace
largest() {
	python3 - "$T/home/pcap" "$1" <<-'END'
	import struct, sys
	data, at, best = open(sys.argv[1], "rb").read(), 24, 0
	while at + 16 <= len(data):
	    have, size = struct.unpack_from("=8xII", data, at)
	    guest = data[at + 22:at + 28] == bytes.fromhex("525400123456")
	    if guest == (sys.argv[2] == "guest"):
	        best = max(best, size)
	    at += 16 + have
	print(best)
	END
}

# flow BYTES: start transfers in both directions, at once; flown: they end well
flow() {
	exec_peer timeout 100 tcpx listen $PEER4 7090 -r "$1" -s "$1" > "$T/flow" 2>&1 &
	flow=$!
	wait_for listening tcp 7090 peer
	vm a "rm -f /tmp/flow; (tcpx connect $PEER4 7090 -s $1 -r $1 > /tmp/flown
		echo \$? > /tmp/flow) >/dev/null 2>&1 &"
	wait_for flowing
}
flowing() { peer ss -Htni state established "sport = :7090" | grep -q bytes_received; }
flow_ended() { [ -n "$(vm a 'cat /tmp/flow 2>/dev/null')" ]; }
flown() {
	wait_for -t 90 flow_ended
	wait $flow
	flown="$? $(vm a 'cat /tmp/flow /tmp/flown'; cat "$T/flow")"
	[[ $flown == "0 0"* ]]
}

# --- what a machine has by itself
# shellcheck disable=SC2034 # for vmtraffic.sh
VM_ARGS="-m 256,slots=4,maxmem=1G -action reboot=reset -trace vhost_user_write"
VHOST_CHARDEV=,reconnect-ms=200
t "a guest with addresses" passt_start -m 1500 --pcap "$T/home/pcap" ||
	done_testing
is "$(rings)" "1024 1024 " "its rings have 1024 entries"
f=$(vm a "cat /sys/class/net/eth0/device/features")
for n in 0:CSUM 1:GUEST_CSUM 7:GUEST_TSO4 8:GUEST_TSO6 11:HOST_TSO4 12:HOST_TSO6 \
	 15:MRG_RXBUF 28:INDIRECT_DESC 29:EVENT_IDX 32:VERSION_1; do
	bit "$f" "${n%:*}"
	ok $? "the guest's driver uses ${n#*:}"
done
sizes $PEER4 "rings of 1024, IPv4" "1 100k 8m"
sizes $PEER6 "rings of 1024, IPv6" "4m"
udp $PEER4 "rings of 1024, IPv4"
udp $PEER6 "rings of 1024, IPv6"
pings $PEER4 "rings of 1024, IPv4"
pings $PEER6 "rings of 1024, IPv6"
out $PEER4 "-n 64 -r 100k -s 100k" "-n 64 -s 100k -r 100k" "64 connections at once"
big=$(largest guest)
le 20000 "${big:-0}" "at an MTU of 1500, frames from the guest have over 20 KB"
big=$(largest ours)
le 20000 "${big:-0}" "and so have frames to it"

# --- a machine that stands still, and one that gets more memory, while data flows
flow 30m
t "the machine stops" vm_qmp a stop
like "$(vm_qmp a query-status)" '"paused"' "it stands still"
t "it goes on" vm_qmp a cont
flown
ok $? "a connection that was open carries all its data" || diag "$flown"

vm a 'echo online_movable > /sys/devices/system/memory/auto_online_blocks' 2>/dev/null
total() { vm a "sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo"; }
more() { [ "$(total)" -gt $((before + 100000)) ]; }
no_more() { [ "$(total)" -le $((before + 20000)) ]; }
before=$(total)
flow 60m
t "memory is plugged while data flows" vm_qmp a object-add '{"qom-type":
	"memory-backend-memfd", "id": "m2", "size": 134217728, "share": true}'
t "as a DIMM" vm_qmp a device_add '{"driver": "pc-dimm", "id": "d2", "memdev": "m2"}'
t "the guest has it" wait_for -t 20 more
flown
ok $? "what was sent meanwhile arrives" || diag "$flown"
out $PEER4 "-r 8m -s 8m" "-s 8m -r 8m" "with that memory, data passes"
flow 60m
t "the DIMM is unplugged while data flows" vm_qmp a device_del '{"id": "d2"}'
if wait_for -t 10 no_more; then
	ok 0 "the guest gives it back"
else
	skip "the guest gives it back" "it has not: its kernel uses the memory"
fi
flown
ok $? "what was sent meanwhile arrives, too" || diag "$flown"

# --- a driver that goes and comes, a guest that reboots
vm a 'cd /sys/bus/virtio/drivers/virtio_net && d=$(echo virtio*) &&
	echo $d > unbind && echo $d > bind'
address
t "the driver is unbound and bound: the network is there again" wait_for works
: > "$T/home/a.qemu"
vm a 'echo up > /tmp/up'
rebooted() { vm a '[ ! -e /tmp/up ]'; }
t "the machine is reset" vm_qmp a system_reset
t "the guest boots again" wait_for -t 40 rebooted
like "$(tr -d '\0' < "$T/home/a.qemu")" 'req:34' "the device was reset by its own request"
address
t "and has its network" wait_for works
out $PEER4 "-r 4m -s 4m" "-s 4m -r 4m" "which carries data"

# --- a daemon that ends under a running machine
for i in 1 2; do
	old=$(daemon)
	kill -9 "$old"
	wait_for gone "$old"
	t "passt is killed, the next one ($i) starts on the same socket" run_as user \
		"$T/bin/passt" --vhost-user -q -s "$S" -P "$T/home/pid" -l "$T/home/log"
	t "the guest's network is there again, without its doing" wait_for -t 20 works
	out $PEER4 "-r 4m -s 4m" "-s 4m -r 4m" "and carries data"
done

# --- another front-end: rings of another size, memory in two regions, an MTU of its own
p=$(daemon)
kill -9 "$(vm_pid a)"
wait "$(vm_pid a)" 2>/dev/null
wait_for grep -q "Client connection closed" "$T/home/log"
VHOST_DEV=,rx_queue_size=256,tx_queue_size=256,host_mtu=1400
VHOST_MEM="-object memory-backend-memfd,id=m0,size=128M,share=on
	-object memory-backend-memfd,id=m1,size=128M,share=on
	-numa node,memdev=m0,cpus=0-1 -numa node,memdev=m1"
t "qemu is killed; the next machine starts on the same socket" vm_start a "$S"
# qemu 10.0 makes them larger than this
like "$(rings)" "^(256 256|1024 1024) $" "it has rings of 256, or of 1024"
is "$(vm a 'cat /sys/class/net/eth0/mtu')" 1400 "its driver knows the MTU by the device"
address
vm a "ip addr add $HOST6/64 dev eth0 nodad"
t "it reaches the world" wait_for works
t "it is the same daemon" kill -0 "$p"
sizes $PEER4 "two regions" "1 8m"
udp $PEER4 "two regions"
passt_stop
done_testing
