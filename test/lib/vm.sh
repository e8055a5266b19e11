# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Run virtual machines.  Source this file after ns.sh, but call vm_image before that,
# since packages come from the network.
#
#   vm_start NAME SOCKET [QEMU ARG...]	boot, within 60 s
#   vm NAME SCRIPT		run a script in the guest: prints its output, returns
#				its status.  The control socket is in $VM_CTL, by
#				default in $T/home
#   vm_stop NAME		end the machine

VM_IMAGE=${BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}/guest
QEMU=${QEMU:-qemu-system-x86_64}

# vm_image: make kernel and initramfs, or skip the test if qemu or these are missing
vm_image() {
	[ -z "${NS_INSIDE-}" ] || return 0
	local here
	here=$(dirname "${BASH_SOURCE[0]}")
	if [ "$(uname -m)" != x86_64 ] || ! command -v "$QEMU" >/dev/null; then
		echo "1..0 # SKIP no $QEMU, or another machine than x86_64"
		exit 0
	fi
	if ! "$here/guest-image" "$VM_IMAGE" >/dev/null 2>&1; then
		echo "1..0 # SKIP no kernel package can be had for a guest"
		exit 0
	fi
}

# vm_netdev SOCKET: options for the network device; VM_MAC sets its MAC address; with
# VHOST, the guest's memory is shared.  qemu 7.2 crashes under TCG if such a device has
# MSI-X vectors
vm_netdev() {
	local mac=${VM_MAC:-52:54:00:12:34:56}
	if [ -n "${VHOST-}" ]; then
		echo -object memory-backend-memfd,id=m,size=256M,share=on \
		     -machine memory-backend=m -chardev "socket,id=c,path=$1" \
		     -netdev vhost-user,id=s,chardev=c -device \
		     "virtio-net-pci,netdev=s,romfile=,mac=$mac,vectors=0${VHOST_DEV-}"
		return
	fi
	echo -netdev "stream,id=s,server=off,addr.type=unix,addr.path=$1" \
	     -device "virtio-net-pci,netdev=s,romfile=,mac=$mac"
}

vm_ready() { vm "$1" true >/dev/null 2>&1; }

# TCG leaves out the memory barriers of a guest that can only ever have one CPU.  A driver
# that shares its memory with a process then misses what it must see, and hangs
vm_start() {
	local name=$1 sock=$2 net
	shift 2
	rm -f "$T/home/$name.ctl"
	read -ra net <<<"$(vm_netdev "$sock")"
	[ "$sock" != none ] || net=()
	exec_as user "$QEMU" -nodefaults -nographic -no-reboot -accel tcg -m 256 \
		-smp 1,maxcpus=2 \
		-kernel "$VM_IMAGE/kernel" -initrd "$VM_IMAGE/initrd" \
		-append "console=ttyS0 quiet panic=-1 ${VM_APPEND-}" \
		-serial "file:$T/home/$name.console" \
		-serial "unix:$T/home/$name.ctl,server=on,wait=off" \
		"${net[@]}" "$@" >"$T/home/$name.qemu" 2>&1 </dev/null &
	echo $! > "$T/home/$name.vmpid"
	wait_for -t 60 vm_ready "$name" && return 0
	diag "$(cat "$T/home/$name.qemu"; tail -5 "$T/home/$name.console")"
	return 1
}

vm_pid() { cat "$T/home/$1.vmpid"; }

vm_stop() {
	kill "$(vm_pid "$1")" 2>/dev/null
	wait "$(vm_pid "$1")" 2>/dev/null
	wait_for gone "$(vm_pid "$1")"
}

# vm NAME SCRIPT: one script at a time, for at most VM_WAIT seconds, by default 60
vm() {
	python3 - "${VM_CTL:-$T/home}/$1.ctl" "$2" "${VM_WAIT:-60}" <<-'END'
	import base64, socket, sys, time
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(float(sys.argv[3]))
	s.connect(sys.argv[1])
	s.sendall(base64.b64encode(sys.argv[2].encode()) + b"\n")
	data = b""
	while True:
	    more = s.recv(65536)
	    if not more:
	        sys.exit(255)
	    data += more
	    if not data.endswith(b"\n"):
	        continue
	    head, mark, status = data.rpartition(b"@@ ")
	    if mark and status.strip().isdigit():
	        break
	head = head.replace(b"@@ ready\n", b"")
	sys.stdout.buffer.write(head)
	sys.exit(int(status))
	END
}
