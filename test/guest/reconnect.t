#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt is killed under a running guest: a qemu that connects again (10, from
# Debian 13) finds the next passt, and the guest its network

. "$(dirname "$0")/../lib/vmroot.sh"
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"
. "$NS_TOP/test/lib/root.sh"

root_enter
ok $? "a Debian root is set up" || done_testing
root sh -c 'cat > /tmp/kernel' < "$VM_IMAGE/kernel"
root sh -c 'cat > /tmp/initrd' < "$VM_IMAGE/initrd"
VM_CTL=/proc/$ROOT_PID/root/tmp

start() { root passt -q -s /tmp/vm.socket -P /tmp/pid -l /tmp/log -t 8080:80; }
daemon() { root cat /tmp/pid; }
qemu_ready() { vm a true; }

# qemu NETDEV...: leaves its PID in $qemu
qemu() {
	nsenter -t "$ROOT_PID" -m --wdns=/ -- setpriv --reuid 1000 --regid 1000 \
		--clear-groups qemu-system-x86_64 -nodefaults -nographic -no-reboot \
		-accel tcg -m 256 -kernel /tmp/kernel -initrd /tmp/initrd \
		-append "console=ttyS0 quiet panic=-1" -serial file:/tmp/console \
		-serial unix:/tmp/a.ctl,server=on,wait=off \
		-device virtio-net-pci,netdev=s,romfile=,mac=52:54:00:12:34:56 \
		"$@" >"$T/home/qemu" 2>&1 </dev/null &
	qemu=$!
	wait_for -t 60 qemu_ready
}
works() { vm a "ping -c 1 -W 1 $PEER4" | grep -q '1 packets received'; }
fetch() {
	peer timeout 10 python3 -c 'import sys, urllib.request as u
sys.stdout.buffer.write(u.urlopen(sys.argv[1], timeout=5).read())' \
		"http://$HOST4:8080/name" 2>/dev/null
}
served() { [ "$(fetch)" = served ]; }

t "passt starts" start
like "$(root qemu-system-x86_64 --version)" "version 1[0-9]" "qemu is 10 or newer"
qemu -netdev stream,id=s,server=off,addr.type=unix,addr.path=/tmp/vm.socket,reconnect-ms=200
ok $? "a guest boots" || { diag "$(cat "$T/home/qemu")"; done_testing; }
vm a 'ip link set eth0 up; udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net
	mkdir -p /tmp/www; echo served > /tmp/www/name; httpd -p 80 -h /tmp/www' \
	>/dev/null
t "it reaches the world" wait_for works
t "and is reached" wait_for served
for i in 1 2; do
	old=$(daemon)
	kill -9 "$old"
	wait_for gone "$old"
	t "passt is killed, the next one ($i) starts on the same socket" start
	t "qemu connects again: the guest reaches the world" wait_for -t 20 works
	t "and is reached" wait_for -t 20 served
done
kill $qemu
wait $qemu 2>/dev/null
kill "$(daemon)"
wait_for gone "$(daemon)"
done_testing
