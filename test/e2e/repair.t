#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt-repair and the socket that passt has for it: who connects, where, and what becomes
# of sockets that are sent

. "$(dirname "$0")/../lib/ns.sh"

PASST=$T/bin/passt
HELPER=$T/bin/passt-repair
S=$T/home/vm
cp "$NS_TOP/passt-repair" "$T/bin/"

# A passt of the test: it listens at PATH and asks for something
cat > "$T/bin/asks" <<'END'
#!/usr/bin/env python3
import os, socket, struct, sys, time
path, what = sys.argv[1:3]
def bind(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    return s
if what == 'late':			# the file is there before the socket listens
    listener = bind(path)
    time.sleep(0.2)
elif what == 'moved':
    listener = bind(path + '.new')
    os.rename(path + '.new', path)
else:
    listener = bind(path)
listener.listen(0)
print('listens', flush=True)
helper = listener.accept()[0]

def send(mode, fds):
    socket.send_fds(helper, [struct.pack('b', mode)], fds)
def tcp(n):
    server = socket.create_server(('127.0.0.1', 0), backlog=n)
    out = [socket.create_connection(server.getsockname()) for _ in range(n)]
    return out, [server.accept() for _ in range(n)]
def modes(socks):
    return sum(s.getsockopt(socket.IPPROTO_TCP, 19) for s in socks)	# TCP_REPAIR
def ask(mode, socks):
    send(mode, [s.fileno() for s in socks])
    answer = helper.recv(16)
    print(mode, len(socks), 'answer', list(struct.unpack(f'{len(answer)}b', answer)),
          'on', modes(socks))

if what == 'modes':
    socks, ends = tcp(253)
    for mode in 1, 0, 1, -1:
        ask(mode, socks)
    ask(1, socks[:1])
elif what == 'one':
    socks, ends = tcp(1)
    ask(1, socks)
elif what == 'none':
    helper.send(b'\1')
elif what == 'number':
    send(2, [0])
elif what == 'more':			# bytes behind the one that has descriptors
    socks, ends = tcp(1)
    socket.send_fds(helper, [b'\1\1\1'], [socks[0].fileno()])
elif what == 'pipe':
    send(1, [os.pipe()[0]])
elif what == 'text':
    helper.send(b'GET / HTTP/1.0\r\n\r\n')
if what in ('late', 'moved', 'hold'):
    sys.stdin.read()
elif what in ('none', 'number', 'more', 'pipe', 'text'):
    while helper.recv(16):
        pass
END
chmod 755 "$T/bin/asks"

pid() { cat "$T/home/pid" 2>/dev/null; }
stop() { kill "$(pid)" 2>/dev/null; wait_for gone "$(pid)"; rm -f "$T/home/pid"; }
start() { as_user "$PASST" --vhost-user -P "$T/home/pid" -l "$T/home/log" "$@"; }
logged() { grep -qE "$1" "$T/home/log"; }

# served PID: has this helper connected?
served() { grep -q "Seccomp:.*2" "/proc/$1/status"; }

# --- passt ------------------------------------------------------------------------

out=$(start -s "$S" 2>&1)
is $? 0 "passt starts"
like "$out" "passt-repair may connect to $S.repair" "and says where passt-repair may connect"
t "the socket is there by then" test -S "$S.repair"

"$HELPER" "$S.repair" 2>"$T/home/said" &
helper=$!
t "a helper is accepted" wait_for logged "passt-repair connected, "
wait_for served $helper
like "$(cat /proc/$helper/status)" \
	"CapPrm:.0*1000.CapEff:.0*1000.*NoNewPrivs:.1.Seccomp:.2" \
	"it keeps CAP_NET_ADMIN alone, and is sealed"
out=$("$HELPER" "$S.repair" 2>&1)
is "$? $out" "0 " "a second one at a time is turned away"
t "the first one stays" kill -0 $helper
kill $helper
wait $helper
t "the end of the first one is noticed" wait_for logged "passt-repair has left"
"$HELPER" "$S.repair" &
helper=$!
wait_for served $helper
out=$("$HELPER" "$S.repair" 2>&1)
is "$? $out" "0 " "another one can connect then, and yet another one is turned away"
t "it stays" kill -0 $helper
# It connects to the socket to see whether somebody listens, and has a log of its own
out=$(as_user "$PASST" -f --vhost-user -s "$S.2" --repair-path "$S.repair" 2>&1)
is $? 1 "a path in use is an error"
like "$out" "Couldn't bind --repair-path $S.repair: Address already in use" "which is told"
t "passt, which is sealed, lives" kill -0 "$(pid)"
stop
wait $helper
is $? 0 "the helper ends with passt, with status 0"
t "the socket stays" test -S "$S.repair"
t "the next passt starts" start -s "$S"
"$HELPER" "$S.repair" &
helper=$!
t "and has replaced the socket" wait_for logged "passt-repair connected, "
stop
wait $helper

rm -f "$S"*
t "with 'none', passt starts" start -s "$S" --repair-path none
t "and has no such socket" test ! -e "$S.repair"
stop
t "with a path, passt starts" start -s "$S" --repair-path "$T/home/other"
is "$(cd "$T/home" && ls -d other vm.repair 2>/dev/null)" "other" "it has that socket alone"
stop
echo text > "$S.repair"
out=$(start -s "$S" 2>&1)
is $? 0 "with another file at the default path, passt starts"
like "$out" "Couldn't bind $S.repair: connections can't migrate" "and warns"
is "$(cat "$S.repair")" text "the file stays what it is"
stop
rm -f "$S"*
out=$(as_user "$PASST" -f --repair-path x 2>&1)
is $? 1 "without --vhost-user, a path is an error"
like "$out" "--repair-path needs --vhost-user" "which is told"
as_user "$PASST" -P "$T/home/pid" -s "$S" -q
t "without --vhost-user, there is no such socket" test ! -e "$S.repair"
stop
out=$(as_user "$PASTA" --repair-path x true 2>&1)
is $? 1 "pasta has no such option"
rm -f "$S"*

# --- passt-repair -------------------------------------------------------------------

# serve WHAT [COMMAND...]: a helper, started by COMMAND, serves a passt that asks for WHAT:
# sets $out to what passt sees, $rc to the helper's status, $said to its messages
serve() {
	local what=$1
	shift
	rm -f "$S" "$T/home/asked"
	timeout 20 asks "$S" "$what" > "$T/home/asked" 2>&1 &
	wait_for grep -q listens "$T/home/asked"
	timeout 20 "$@" "$HELPER" "$S" >"$T/home/said" 2>&1
	rc=$?
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	out=$(sed 1d "$T/home/asked") said=$(cat "$T/home/said")
}

serve modes
is "$rc $said" "0 " "a helper serves until the end of passt"
is "$out" "1 253 answer [1] on 253
0 253 answer [0] on 0
1 253 answer [1] on 253
-1 253 answer [-1] on 0
1 1 answer [1] on 1" "each mode reaches each of 253 sockets, and is answered once"

serve none
is $rc 1 "a message without sockets ends it"
like "$said" "passt-repair: A message of passt has no sockets" "and is told"
serve number
is $rc 1 "an unknown mode ends it"
like "$said" "repair mode 2, which is none" "and is told"
serve pipe
is $rc 1 "a descriptor that is no socket ends it"
like "$said" "Couldn't set repair mode 1 of socket 1 of 1" "and is told"
serve more
is $rc 1 "bytes after a message end it"
serve text
is $rc 1 "text ends it"
serve modes prlimit --nofile=100
is $rc 1 "a limit of open files below a message ends it"
like "$said" "Not all sockets of a message can be open" "and is told"

serve one setpriv --bounding-set=-net_admin
is $rc 1 "without the capability, it fails"
like "$said" "CAP_NET_ADMIN is needed" "and says so"
if unshare -r true 2>/dev/null; then
	serve one unshare -r
	is $rc 1 "with the capability in another user namespace, it fails"
	like "$said" "Couldn't set repair mode 1 .*: Operation not permitted" "and says so"
else
	skip "a capability in another user namespace" "no user namespaces"
fi

out=$("$HELPER" "$T/home/missing" 2>&1)
is $? 1 "a path that is not there is an error"
like "$out" "Couldn't connect to $T/home/missing: No such file" "which is told"
"$HELPER" >"$T/home/said" 2>&1
is $? 2 "without an argument, the status is 2"
"$HELPER" a b >"$T/home/said" 2>&1
is $? 2 "with two arguments, the status is 2"
"$HELPER" -x >"$T/home/said" 2>&1
is $? 2 "with an unknown option, the status is 2"
like "$(cat "$T/home/said")" "Usage: passt-repair PATH" "and the usage is printed"
like "$("$HELPER" --help)" "Usage: passt-repair PATH" "--help prints it"
like "$("$HELPER" --version)" "^passt-repair [0-9]" "--version tells the version"

# --- a directory -----------------------------------------------------------------------

D=$T/home/dir
# below WHAT [FILE]: does a helper that waits in $D connect to a passt which appears there?
below() {
	local what=$1 helper asks rc
	"$HELPER" "$D" 2>"$T/home/said" &
	helper=$!
	[ "$what" = hold ] || wait_for watching $helper
	# The passt of the test ends with its standard input
	rm -f "$T/home/fifo"; mkfifo "$T/home/fifo"
	asks "$D/new.repair" "$what" <"$T/home/fifo" >"$T/home/asked" &
	asks=$!
	exec 9>"$T/home/fifo"
	wait_for -t 10 served $helper
	rc=$?
	[ $rc = 0 ] || kill $helper $asks
	exec 9>&-
	wait $asks
	wait $helper || rc=1
	rm -f "$D/new.repair"
	return $rc
}
watching() { grep -qs ^inotify "/proc/$1/fdinfo/"*; }

mkdir "$D"
t "a socket that appears is found" below late
t "so is one that is moved there" below moved
for i in 1 2 3 4 5 6 7 8; do below hold || break; done
is "$i" 8 "so is one that appears while the helper starts"
touch "$D/file.repair" "$D/x"
python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' "$D/old.repair"
t "other files and sockets of the past are passed over" below late
"$HELPER" "$D" 2>"$T/home/said" &
helper=$!
wait_for watching $helper
rm -r "$D"
wait_for -t 10 gone $helper || kill $helper
wait $helper
is $? 1 "a directory that is removed ends it"
like "$(cat "$T/home/said")" "The directory $D is gone" "and is told"
done_testing
