#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt as its callers start it: libvirt, qemu's -netdev passt, muvm and krun.
# Each of them has its own way to pass the socket and to learn that it is ready.

. "$(dirname "$0")/../lib/ns.sh"

PASST=$T/bin/passt
MAC=9a:55:9a:55:9a:55
VM=$NS_TOP/test/tools/vmclient.py
S=$T/home/net0.socket
PIDFILE=$T/home/net0-passt.pid

# parent COMMAND...: as a caller that reads all output until nobody has it open
parent() { out=$(run_as user "$@" 2>&1 </dev/null); }

# --- libvirt: a socket, a log, addresses, ports; it waits for the parent to exit
parent "$PASST" --one-off --socket "$S" --pid "$PIDFILE" --mtu 1500 \
	--interface eth0 --log-file "$T/home/net0.log" --hostname guest \
	--fqdn guest.example.com --address $HOST4 --netmask 24 \
	--address $HOST6 --netmask 64 --mac-addr 52:54:00:aa:bb:cc \
	--tcp-ports $HOST4%eth0/2222:22,3000-3010:4000-4010,~3005 --udp-ports 5000
is $? 0 "libvirt: the parent exits with 0"
t "libvirt: by then the socket is there" test -S "$S"
t "libvirt: and a PID file, for its cgroup and to end it" \
	kill -0 "$(cat "$PIDFILE")"
is "$(tail -c1 "$PIDFILE" | xxd -p)" 0a "libvirt: it ends with a newline"
for port in 2222 3000 3010; do
	t "libvirt: port $port is forwarded" listening tcp $port
done
t "libvirt: UDP port 5000 is forwarded" listening udp 5000
listening tcp 3005
is $? 1 "libvirt: an excluded port is not"
is "$($VM "$S" ask)" 52:54:00:aa:bb:cc \
	"libvirt: the guest sees the MAC address that was chosen"
t "libvirt: it ends when qemu has left" wait_for gone "$(cat "$PIDFILE")"
like "$(cat "$T/home/net0.log")" "Client connection closed, exiting" \
	"libvirt: the log says so"

# It starts another one on the same socket, for qemu to connect again
parent "$PASST" --one-off --socket "$S" --pid "$PIDFILE" -t 2222:22
is $? 0 "libvirt: the next one takes the same socket and port"
is "$($VM "$S" ask)" $MAC "libvirt: and serves"
wait_for gone "$(cat "$PIDFILE")"

exec_peer true &
wait $!
socat TCP-LISTEN:2222,reuseaddr,fork /dev/null &
busy=$!
wait_for listening tcp 2222
parent "$PASST" --one-off --socket "$S" --pid "$PIDFILE" --tcp-ports 2222:22
is $? 1 "libvirt: a port in use is an error at start"
like "$out" "Failed to bind port 2222 \(Address already in use\) for option '-t 2222:22'" \
	"libvirt: that it can show to its user"
kill $busy
wait $busy 2>/dev/null
parent "$PASST" --one-off --socket "$S" --address 192.0.2.300
is $? 1 "libvirt: a wrong address is an error at start"
is "$(wc -l <<<"$out")" 1 "libvirt: in one line"
parent "$PASST" --one-off --socket "$S" --pid "$PIDFILE" --tcp-ports all \
	--udp-ports all --quiet
is $? 0 "libvirt: all ports can be forwarded, as far as that goes"
kill "$(cat "$PIDFILE")"
wait_for gone "$(cat "$PIDFILE")"

# --- programs that pass a connected socket: "with FD COMMAND..."
cat > "$T/bin/with" <<'END'
#!/usr/bin/env python3
# with FD SECONDS COMMAND...: run it with one end of a socket pair, as descriptor
# FD, and ask for a MAC address at the other: the answer, then the exit status
import os, socket, subprocess, sys
fd = int(sys.argv[1])
a, b = socket.socketpair()
old = a.detach()
a = os.fdopen(os.dup2(old, 100), "rb", buffering=0)	# out of the way
os.close(old)
b = b.detach()
os.dup2(b, fd)
if b != fd:
    os.close(b)
background = sys.argv[2] == "parent"
p = subprocess.Popen(sys.argv[3:], pass_fds=[fd], stdin=subprocess.DEVNULL)
if background:
    print("parent", p.wait(timeout=10), flush=True)
os.close(fd)
print(subprocess.run([os.environ["VM"], "fd:%d" % a.fileno(), "ask"],
                     pass_fds=[a.fileno()], capture_output=True,
                     text=True).stdout.strip(), flush=True)
a.close()
if not background:
    print("status", p.wait(timeout=10))
END
chmod 755 "$T/bin/with"
export VM
cp "$VM" "$T/bin/vmclient.py"
VM=$T/bin/vmclient.py

# qemu -netdev passt: descriptor 3, waits for the parent, reads the PID file
parent with 3 parent "$PASST" --quiet --mtu 1500 --search "example.com example.org" \
	--tcp-ports 2222,2223 --pid "$PIDFILE" --fd 3
is "$out" "parent 0
$MAC" "qemu: with descriptor 3, it is ready when the parent exits"
t "qemu: it ends with the connection" wait_for gone "$(cat "$PIDFILE")"
parent "$PASST" --quiet --pid "$PIDFILE" --fd 3 3<&-
is $? 1 "qemu: a descriptor that is not open is an error"
like "$out" "--fd" "qemu: about --fd"

# muvm, krun: a child in the foreground
parent with 7 child "$PASST" -q -f --fd 7
is "$out" "$MAC
status 0" "muvm: in the foreground, it serves, and ends with the guest"
parent with 7 child "$PASST" -q -f -t none -u none --fd 7
is "$out" "$MAC
status 0" "krun: the same without ports"

# --- vhost-user: "front FD|SOCKET PIDFILE END [COMMAND...]"
cat > "$T/bin/front" <<'END'
#!/usr/bin/env python3
# Run a command with one end of a socket pair as descriptor FD, or connect to SOCKET; be the
# front-end and the guest there: print the answer to an ARP request.  Then the daemon ends
# (END is a signal), or we leave (0)
import os, select, socket, subprocess, sys, time
import frames, vhost
GUEST = bytes.fromhex("525400123456")
where, pidfile, end = sys.argv[1], sys.argv[2], int(sys.argv[3])
if where.isdigit():
    a, b = socket.socketpair()
    os.dup2(a.fileno(), 100)
    a.close()
    a = socket.socket(fileno=100)
    b = b.detach()
    if b != int(where):
        os.dup2(b, int(where))
        os.close(b)
    p = subprocess.run(sys.argv[4:], pass_fds=[int(where)], stdin=subprocess.DEVNULL,
                       timeout=10)
    print("parent", p.returncode, flush=True)
    os.close(int(where))
else:
    a = socket.socket(socket.AF_UNIX)
    a.connect(where)
f = vhost.FrontEnd(a)
f.hello(vhost.CSUM | vhost.GUEST_CSUM | vhost.MRG_RXBUF | vhost.EVENT_IDX)
d = vhost.Driver(f)
if d.start():
    sys.exit("the driver does not start")
d.send([(bytes(10), frames.eth(b"\xff" * 6, GUEST, frames.ETH_ARP, frames.arp(
    1, GUEST, os.environ["HOST4"], bytes(6), os.environ["GW4"])))])
answer, limit = None, time.monotonic() + 10
while not answer:
    if time.monotonic() > limit:
        sys.exit("no answer")
    # Frames that come while the driver asks for calls raise none
    if select.select([f.call[0]], [], [], 0.1)[0]:
        os.eventfd_read(f.call[0])
    for frame, _ in d.receive():
        if frame[12:14] == b"\x08\x06" and frame[21] == 2:
            answer = frame[22:28].hex(":")
print(answer)
if end:
    os.kill(int(open(pidfile).read()), end)
    print("closed" if a.recv(1) == b"" else "data")
END
chmod 755 "$T/bin/front"
cp "$NS_TOP"/test/frame/{vhost,frames}.py "$T/bin/"
ended() { [ ! -e "$PIDFILE" ] || gone "$(cat "$PIDFILE")"; }

# qemu -netdev passt,vhost-user=on: it ends passt by SIGTERM, and survives its death
for end in 15 9 0; do
	parent front 3 "$PIDFILE" $end "$PASST" --vhost-user --quiet --mtu 1500 \
		--search "example.com example.org" --tcp-ports 2222,2223 --pid "$PIDFILE" --fd 3
	[ $end = 0 ] && closed="" || closed="
closed"
	is "$out" "parent 0
$MAC$closed" "qemu, vhost-user: ready when the parent exits, it serves (end by $end)"
	t "qemu, vhost-user: it is gone then" wait_for ended
done
parent "$PASST" --vhost-user --quiet --pid "$PIDFILE" --fd 3 3<&-
is $? 1 "qemu, vhost-user: a descriptor that is not open is an error"

# libvirt, type='vhostuser': its line for a user interface, and --vhost-user
for n in 1 2; do
	parent "$PASST" --one-off --socket "$S" --pid "$PIDFILE" --vhost-user --mtu 1500 \
		--interface eth0 --log-file "$T/home/net0.log" --hostname guest \
		--address $HOST4 --netmask 24 --address $HOST6 --netmask 64 \
		--mac-addr 52:54:00:aa:bb:cc --tcp-ports $HOST4%eth0/2222:22 --udp-ports 5000
	is $? 0 "libvirt, vhost-user: the parent exits with 0 ($n)"
	t "libvirt, vhost-user: port 2222 is forwarded ($n)" listening tcp 2222
	parent front "$S" "$PIDFILE" 0
	is "$out" 52:54:00:aa:bb:cc "libvirt, vhost-user: it serves ($n)"
	t "libvirt, vhost-user: it ends when qemu has left ($n)" wait_for ended
done

# Managers of virtual machines that migrate
parent "$PASST" --vhost-user --repair-path none --migrate-exit --migrate-no-linger \
	--pid "$PIDFILE" --socket "$S"
is $? 0 "options of migration are known"
like "$out" "--migrate-exit is deprecated and has no effect.*--migrate-no-linger is" \
	"and deprecated ones are said to have no effect"
kill "$(cat "$PIDFILE")"
wait_for gone "$(cat "$PIDFILE")"
is "$("$PASST" --print-capabilities)" '{
  "type": "net"
}' "managers of vhost-user back-ends are told the type"
done_testing
