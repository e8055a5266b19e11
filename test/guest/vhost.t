#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt --vhost-user and a guest whose memory it shares: traffic in all sizes, offloads
# in the guest, a driver that goes and comes, a guest that reboots, stands still and goes
# on

. "$(dirname "$0")/../lib/vm.sh"
vm_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/vmtraffic.sh"

VHOST=1
QMP=$T/home/qmp
VM_ARGS="-qmp unix:$QMP,server=on,wait=off"

# qmp COMMAND: to the machine
qmp() {
	python3 - "$QMP" "$1" <<-'END'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(10)
	s.connect(sys.argv[1])
	f = s.makefile("rw")
	for c in ("qmp_capabilities", sys.argv[2]):
	    f.write(json.dumps({"execute": c}) + "\n")
	    f.flush()
	    while "return" not in f.readline():
	        pass
	END
}

# Feature bits of the driver, as the guest's kernel has acknowledged them
features() { vm a "cat /sys/class/net/eth0/device/features"; }
bit() { [ "${1:$2:1}" = 1 ]; }
address() {
	vm a "ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net" >/dev/null
}
works() { vm a "ping -c 1 -W 1 $PEER4" | grep -q '1 packets received'; }

for mtu in 1500 65520; do
	t "MTU $mtu: a guest with addresses" passt_start -m $mtu || break
	f=$(features)
	for n in 0:CSUM 1:GUEST_CSUM 7:GUEST_TSO4 8:GUEST_TSO6 11:HOST_TSO4 \
		 12:HOST_TSO6 15:MRG_RXBUF 28:INDIRECT_DESC 29:EVENT_IDX; do
		bit "$f" "${n%:*}"
		ok $? "MTU $mtu: the guest's driver uses ${n#*:}"
	done
	traffic "MTU $mtu" "1 100k 8m" "1 4m"
	[ $mtu != 1500 ] || many
	[ $mtu = 1500 ] || break
	passt_stop
done

vm a 'cd /sys/bus/virtio/drivers/virtio_net && d=$(echo virtio*) &&
	echo $d > unbind && echo $d > bind'
address
t "the driver is unbound and bound: the network is there again" wait_for works
out $PEER4 "-r 4m" "-s 4m" "and carries data"

t "the machine stops" qmp stop
t "and goes on" qmp cont
t "the network is there again" wait_for works
out $PEER4 "-s 4m" "-r 4m" "and carries data"

vm_stop a
t "the next machine starts on the same socket" vm_start a "$S"
address
t "it reaches the world" wait_for works
passt_stop

for set in none csum tso; do
	t "--tap-offload=$set: a guest with addresses" passt_start --tap-offload=$set || break
	sizes $PEER4 "--tap-offload=$set" "1 2m"
	passt_stop
done
VHOST_DEV=,mrg_rxbuf=off
t "without mergeable buffers: a guest with addresses" passt_start
sizes $PEER4 "without mergeable buffers" "1 4m"
udp $PEER4 "without mergeable buffers"
passt_stop
done_testing
