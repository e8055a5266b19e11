# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Run virtual machines.  Source this file after ns.sh, but call vm_image before that,
# since packages come from the network.
#
#   vm_start NAME SOCKET [QEMU ARG...]	boot, within 60 s
#   vm_run NAME SOCKET [QEMU ARG...]	the same, but do not wait
#   vm NAME SCRIPT		run a script in the guest: prints its output, returns
#				its status.  The control socket is in $VM_CTL, by
#				default in $T/home
#   vm_stop NAME		end the machine
#   vm_qmp NAME COMMAND [ARGUMENTS]	command of the machine's monitor, with arguments in
#				JSON: prints what it returns
#   vm_root IMAGE		from now on, run the qemu of a Debian root (see root.sh)

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
# VHOST, the guest's memory is shared, as VHOST_MEM says, and VHOST_DEV and VHOST_CHARDEV
# are added to the options of device and socket.  qemu 7.2 crashes under TCG if such a
# device has MSI-X vectors
vm_netdev() {
	local mac=${VM_MAC:-52:54:00:12:34:56}
	if [ -n "${VHOST-}" ]; then
		local mem="-object memory-backend-memfd,id=m,size=256M,share=on
			-machine memory-backend=m"
		[ -n "${VM_ROOT-}" ] || mac+=,vectors=0
		echo ${VHOST_MEM:-$mem} -chardev "socket,id=c,path=$1${VHOST_CHARDEV-}" \
		     -netdev vhost-user,id=s,chardev=c -device \
		     "virtio-net-pci,id=net,netdev=s,romfile=,mac=$mac${VHOST_DEV-}"
		return
	fi
	echo -netdev "stream,id=s,server=off,addr.type=unix,addr.path=$1" \
	     -device "virtio-net-pci,netdev=s,romfile=,mac=$mac"
}

vm_ready() { vm "$1" true >/dev/null 2>&1; }

# The root is on an overlay; our files and the devices have their places in it
vm_root() {
	local at=$T/debian dir
	mkdir -p "$at"
	mount -t tmpfs -o mode=755 tmpfs "$at" || return 1
	mkdir -p "$at/upper" "$at/work" "$at/root"
	mount -t overlay -o "lowerdir=$1,upperdir=$at/upper,workdir=$at/work" overlay \
		"$at/root" || return 1
	for dir in "$T/home" /dev /proc; do
		mkdir -p "$at/root$dir"
		mount --rbind "$dir" "$at/root$dir" || return 1
	done
	cp "$VM_IMAGE"/{kernel,initrd} "$T/home/" || return 1
	VM_IMAGE=$T/home VM_ROOT=$at/root
}

vm_exec() {
	[ -n "${VM_ROOT-}" ] || exec_as user "$@"
	exec chroot --userspec=$USER_ID:$USER_ID "$VM_ROOT" "$@"
}

# TCG leaves out the memory barriers of a guest that can only ever have one CPU.  A driver
# that shares its memory with a process then misses what it must see, and hangs
vm_run() {
	local name=$1 sock=$2 net
	shift 2
	rm -f "$T/home/$name".{ctl,qmp}
	read -ra net <<<"$(vm_netdev "$sock")"
	[ "$sock" != none ] || net=()
	vm_exec "$QEMU" -nodefaults -nographic -no-reboot -accel tcg -m 256 \
		-smp 1,maxcpus=2 \
		-kernel "$VM_IMAGE/kernel" -initrd "$VM_IMAGE/initrd" \
		-append "console=ttyS0 quiet panic=-1 ${VM_APPEND-}" \
		-serial "file:$T/home/$name.console" \
		-serial "unix:$T/home/$name.ctl,server=on,wait=off" \
		-qmp "unix:$T/home/$name.qmp,server=on,wait=off" \
		"${net[@]}" "$@" >"$T/home/$name.qemu" 2>&1 </dev/null &
	echo $! > "$T/home/$name.vmpid"
}

vm_start() {
	vm_run "$@"
	wait_for -t 60 vm_ready "$1" && return 0
	diag "$(cat "$T/home/$1.qemu"; tail -5 "$T/home/$1.console")"
	return 1
}

vm_qmp() {
	python3 - "$T/home/$1.qmp" "$2" "${3:-{\}}" <<-'END'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(20)
	s.connect(sys.argv[1])
	f = s.makefile("rw")
	def ask(command, arguments):
	    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
	    f.flush()
	    for line in f:
	        answer = json.loads(line)
	        if "error" in answer:
	            sys.exit(answer["error"]["desc"])
	        if "return" in answer:
	            return answer["return"]
	    sys.exit("the monitor is gone")
	ask("qmp_capabilities", {})
	print(json.dumps(ask(sys.argv[2], json.loads(sys.argv[3]))))
	END
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
	script = base64.b64encode(sys.argv[2].encode())
	script = b"%d %b\n" % (len(script), script)
	s.sendall(script)
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
	    if mark and status == b"again\n":
	        data = b""
	        s.sendall(script)
	head = head.replace(b"@@ ready\n", b"")
	sys.stdout.buffer.write(head)
	sys.exit(int(status))
	END
}
