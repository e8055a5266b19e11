#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The socket of passt: who may connect, and what stays when a client leaves

. "$(dirname "$0")/../lib/ns.sh"

PASST=$T/bin/passt
S=$T/home/vm.socket
cp "$NS_TOP/qrap" "$T/bin/"
cp "$NS_TOP/test/tools/vmclient.py" "$T/bin/vm"
mount -t tmpfs -o mode=1777 tmpfs /tmp	# may hide this tree

chmod 755 "$T/bin/vm"
MAC=9a:55:9a:55:9a:55

# as WHO COMMAND...: who starts passt
as() { run_as user "$@"; }
pid() { cat "$T/home/pid" 2>/dev/null; }
stop() { kill "$(pid)" 2>/dev/null; wait_for gone "$(pid)"; rm -f "$T/home/pid"; }
# shellcheck disable=SC2120 # one call has
start() { as "$PASST" -s "$S" -P "$T/home/pid" -l "$T/home/log" "$@"; }

out=$(start 2>&1)
is $? 0 "passt goes to the background with status 0"
like "$out" "UNIX domain socket bound at $S" "and says where its socket is"
like "$out" "addr.path=$S" "and how qemu is to be started"
t "the socket is there by then" test -S "$S"
t "and the PID file, with the daemon's PID" kill -0 "$(pid)"
is "$(vm "$S" ask)" $MAC "a client gets an answer to its ARP request"
is "$(vm "$S" ask)" $MAC "and so does the next, after the first has left"
is "$(vm "$S" drip)" $MAC "a frame may come byte by byte"
is "$(vm "$S" two)" 2 "and two in one write"

rm -f "$T/home/held"
vm "$S" hold &
held=$!
wait_for test -s "$T/home/held"
is "$(vm "$S" none)" closed "a second client at a time is turned away"
t "the first stays" kill -0 $held
kill $held
wait $held 2>/dev/null
is "$(GUEST=2 vm "$S" ask)" $MAC "a guest with another MAC address gets its answers"

for len in 0 65550 4294967295; do
	is "$(vm "$S" bad $len)" closed "a frame of $len bytes ends the connection"
	is "$(vm "$S" ask)" $MAC "and not the daemon"
done
like "$(cat "$T/home/log")" "frame length 0 is not in 1 to" \
	"the log says what was wrong"

before=$(grep -c "accepted connection" "$T/home/log")
secs=$(vm "$S" often 100)
more=$(($(grep -c "accepted connection" "$T/home/log") - before))
t "a client that comes again and again finds an open door" test "${secs:-0}" -gt 0
t "but does not fill the log: $more lines in $secs s" test "$more" -le $((5 * (secs + 1)))
before=$(wc -l < "$T/home/log")
secs=$(vm "$S" often 1000 0)
more=$(($(wc -l < "$T/home/log") - before))
t "neither do wrong lengths: $more lines in $secs s" test "$more" -le $((3 * (secs + 1)))

out=$(as "$PASST" -f -s "$S" 2>&1)
is $? 1 "a second daemon on the same socket fails"
like "$out" "Socket path $S already in use" "and says why"
is "$(vm "$S" ask)" $MAC "the first one is still there"

kill -9 "$(pid)"
wait_for gone "$(pid)"
t "a socket left by a killed daemon is replaced" start
is "$(vm "$S" ask)" $MAC "and works"
stop

echo text > "$T/home/file"
out=$(as "$PASST" -f -s "$T/home/file" 2>&1)
is $? 1 "a file that is no socket is an error"
is "$(cat "$T/home/file")" text "and stays what it is"
out=$(as "$PASST" -f -s "$T/home/missing/socket" 2>&1)
is $? 1 "so is a folder that is not there"
like "$out" "Couldn't bind UNIX socket .*No such file" "with the reason"
long=$T/home/$(printf 'x%.0s' {1..120})
out=$(as "$PASST" -f -s "$long" 2>&1)
is $? 1 "so is a path that is too long for a socket"

t "with --one-off, it starts" start --one-off
p=$(pid)
is "$(vm "$S" ask)" $MAC "serves a client"
t "and ends with it" wait_for gone "$p"
like "$(tail -1 "$T/home/log")" "Client connection closed, exiting" "saying so"

# Who may connect
modes() {
	(umask 0; start -q "$@" --vhost-user)
	stat -c %a "$S" "$S.repair" | xargs
	stop
	rm -f "$S" "$S.repair"
}
is "$(modes)" "600 600" "sockets are for their owner, whatever the umask"
is "$(modes --chmod 660)" "660 660" "--chmod shares them"
is "$(umask 077; modes --chmod 0666)" "666 666" "without a look at the umask"
# Read, write and execute for the owner, UID 1000, the group, the mask and all others
default_acl='import os, struct, sys
acl = [(1, -1), (2, 1000), (4, -1), (16, -1), (32, -1)]
os.setxattr(sys.argv[1], "system.posix_acl_default", struct.pack("<I", 2) +
            b"".join(struct.pack("<HHi", tag, 7, id) for tag, id in acl))'
if python3 -c "$default_acl" "$T/home" 2>/dev/null; then
	is "$(modes)" "600 600" "a default ACL of the folder does not share them"
	python3 -c 'import os, sys; os.removexattr(sys.argv[1], "system.posix_acl_default")' \
		"$T/home"
else
	skip "a default ACL of the folder does not share them" "no ACLs here"
fi

# Default paths, a small run time folder of their own
as "$PASST" -P "$T/home/pid1" -q
is "$(stat -c "%F %a" /tmp/passt_1.socket)" "socket 600" \
	"without -s the first default path is used"
as "$PASST" -P "$T/home/pid2" -q
t "by another one the second" test -S /tmp/passt_2.socket
is "$(vm /tmp/passt_2.socket ask)" $MAC "where it answers"
kill -9 "$(cat "$T/home/pid1")"
wait_for gone "$(cat "$T/home/pid1")"
as "$PASST" -P "$T/home/pid1" -q
is "$(vm /tmp/passt_1.socket ask)" $MAC "the first is taken again when it is free"

# qrap
rm -f "$T/home/held"
vm /tmp/passt_1.socket hold &
held=$!
wait_for test -s "$T/home/held"
Q=$T/bin/qrap
cat > "$T/bin/fdtest" <<'END'
#!/usr/bin/env python3
import socket, sys
s = socket.socket(fileno=int(sys.argv[1]))
print(s.family.name, s.getpeername(), *sys.argv[2:])
END
chmod 755 "$T/bin/fdtest"
is "$(as $Q 5 fdtest 5 -x y)" "AF_UNIX /tmp/passt_2.socket -x y" \
	"qrap passes a connection to a free passt, and arguments as they are"
is "$(as env QRAP_SOCKET=/tmp/passt_2.socket $Q 7 fdtest 7)" \
	"AF_UNIX /tmp/passt_2.socket" "or to the one that is named"
printf '#!/bin/sh\necho "$@"\n' > "$T/bin/qemu-system-$(uname -m)"
chmod 755 "$T/bin/qemu-system-$(uname -m)"
is "$(as $Q -m 1G)" \
	"-m 1G -netdev socket,fd=5,id=passt -device virtio-net-pci,netdev=passt" \
	"in the place of qemu, it adds a network device"
is "$(as $Q -netdev user,id=n0 -device e1000,netdev=n0)" \
	"-netdev socket,fd=5,id=n0 -device e1000,netdev=n0" \
	"or connects the one that there is"
is "$(as $Q -netdev socket,fd=9,id=n0)" "-netdev socket,fd=9,id=n0" \
	"and leaves alone what names a descriptor"
out=$(as $Q 5 no-such-command 2>&1)
is $? 1 "a command that is not there is an error"
out=$(as $Q 1 true 2>&1)
is $? 1 "so is descriptor 1"
if [ -n "$NS_ROOT" ]; then
	out=$(QRAP_SOCKET=/tmp/passt_2.socket $Q 5 true 2>&1)
	is $? 1 "qrap does not connect to a socket of another user"
	like "$out" "belongs to another user" "and says so"
	out=$($Q 5 true 2>&1)
	like "$?$out" "^1.*No passt is there" "nor to one at a default path"
	chown root:root /tmp/passt_2.socket && chmod 666 /tmp/passt_2.socket
	out=$(QRAP_SOCKET=/tmp/passt_2.socket $Q 5 true 2>&1)
	is $? 1 "nor to a file of its user, if the process that listens is of another"
	is "$(as env QRAP_SOCKET=/tmp/passt_2.socket $Q 7 fdtest 7)" \
		"AF_UNIX /tmp/passt_2.socket" "a file of root's will do for an ordinary user"
fi
kill $held
wait $held 2>/dev/null
for n in 1 2; do
	kill "$(cat "$T/home/pid$n")"
	wait_for gone "$(cat "$T/home/pid$n")"
done
out=$(as $Q 5 true 2>&1)
is $? 1 "without a passt, qrap fails"
like "$out" "No passt is there" "and says so"
done_testing
