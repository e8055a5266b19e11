#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Messages with the filter of system calls on, where one call for memory, for a
# file or for the time zone would end the program.  First every format there is
# in the sources, from a process that sealed itself like the daemon does, to
# each place that lines can go.  Then the daemon itself, with --trace, in
# situations that make it talk: to standard error, to a log file that is
# rewritten, to the system logger.

. "$(dirname "$0")/../lib/ns.sh"

# --- every format there is ------------------------------------------------------

# formats: MESSAGE("...") for each message in the sources.  Adjacent literals are
# left to the compiler; a conditional format is two.
formats() {
	python3 - "$NS_TOP"/*.c <<-'END'
		import re, sys
		verb = (r"\b(?:err|err_errno|warn|warn_errno|info|debug|trace|"
		        r"warn_limited|info_limited|warn_once|debug_limited|die|die_errno)\(")
		text = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
		for name in sys.argv[1:]:
		    if name.endswith(("/qrap.c", "/passt-repair.c",
		                      "/pesto.c")):	# programs of their own
		        continue
		    src = open(name, encoding="utf-8").read()
		    src = re.sub(r"/\*.*?\*/", "", src, flags=re.S)
		    for m in re.finditer(verb, src):
		        rest = src[m.end():]
		        args = re.match(r"\s*" + text, rest) or \
		            re.match(r"\s*[^\"();]*\? " + text + ": " + text, rest)
		        if not args:
		            sys.exit(f"{name}: no format in: {rest[:60]}")
		        for t in args.groups():
		            print("MESSAGE(" + " ".join(t.split("\n")) + ")")
	END
}

# Arguments: a pointer to a short string serves %s, and as a number any other.
# A precision from an argument could be any number, too: there are none.
program() {
	cat <<-'END'
		#include <errno.h>
		#include <fcntl.h>
		#include <signal.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/wait.h>
		#include <unistd.h>
		#include "isolation.h"
		#include "log.h"
		#include "util.h"

		static const char s[] = "203.0.113.2";
		static const int errors[] = { 0, EPERM, EHWPOISON, 4000, -1 };

		static const char *const formats[] = {
		#define MESSAGE(...) __VA_ARGS__,
		#include "formats.h"
		};

		static void all(int level)
		{
			for (unsigned i = 0; i < sizeof(formats) / sizeof(*formats); i++)
				log_msg(level, i % 2, formats[i],
					s, s, s, s, s, s, s, s);
		}

		static void child(int argc, char **argv)
		{
			const struct conf conf = {
				.mode = argv[1][0] == 'p' ? MODE_PASST : MODE_PASTA,
			};
			static struct log_limit limit;

			log_init("pasta");
			log_set_level(LOG_L_TRACE);
			if (argc > 2 && log_use_file(util_open(argv[2], LOG_FILE_FLAGS), 40960))
				_exit(2);
			if (!strcmp(argv[1], "syslog"))
				log_connect_syslog();
			if (strcmp(argv[1], "stderr"))
				log_detach();
			isolation_seal(&conf);
			for (unsigned i = 0; i < 5 * 5; i++) {
				errno = errors[i / 5];
				all(i % 5);
			}
			for (unsigned i = 0; i < 10; i++)
				log_limited(&limit);
			limit.last_s = 0;
			if (log_limited(&limit))
				info("the last one");
			die_errno("%s", "the end");
		}

		int main(int argc, char **argv)
		{
			int status;

			if (!fork())
				child(argc, argv);
			wait(&status);
			printf("formats=%zu signal=%d status=%d\n",
			       sizeof(formats) / sizeof(*formats),
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			       WEXITSTATUS(status));
			return 0;
		}
	END
}

build() {
	local objects=() o
	for o in "$NS_BUILD"/*.o; do
		case $(basename "$o") in
		passt.o|pesto.o) ;;
		*) objects+=("$o");;
		esac
	done
	formats > "$T/bin/formats.h" && program > "$T/bin/messages.c" &&
		cc -D_GNU_SOURCE -I"$NS_TOP" -I"$T/bin" -w -O1 \
			-o "$T/bin/messages" "$T/bin/messages.c" "${objects[@]}"
}

# A system logger: a /dev that has one, datagrams end up in $T/home/syslog
syslogd() {
	local node
	[ -n "$NS_ROOT" ] || return 1
	mkdir -p "$T/dev"
	mount -t tmpfs tmpfs "$T/dev" || return 1
	mkdir "$T/dev/net"
	for node in null zero random urandom net/tun; do
		touch "$T/dev/$node"
		mount --bind "/dev/$node" "$T/dev/$node" || return 1
	done
	mount --rbind "$T/dev" /dev || return 1
	{ echo 1000 > /proc/sys/net/unix/max_dgram_qlen; } 2>/dev/null
	python3 - "$T/home/syslog" <<-'END' &
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
		s.bind("/dev/log")
		os.chmod("/dev/log", 0o666)
		with open(sys.argv[1], "wb", 0) as out:
		    while True:
		        out.write(s.recv(4096) + b"\n")
	END
	wait_for test -S /dev/log
}

t "every message can be found and built" build || { done_testing; exit; }
n=$(grep -c . "$T/bin/formats.h")
all=$((25 * n + 2))
[ "$n" -gt 80 ]
ok $? "there are $n"

out=$(messages stderr 2>"$T/home/stderr")
like "$out" "signal=0 status=1" "to standard error: no call is refused"
is "$(wc -l < "$T/home/stderr")" $all "  and all lines arrive"
like "$(tail -2 "$T/home/stderr" | head -1)" "the last one" "  the rate limit, too"
like "$(tail -1 "$T/home/stderr")" "the end: Operation not permitted$" "  die(), too"

for mode in file passt; do
	out=$(messages $mode "$T/home/log" 2>&1)
	like "$out" "signal=0 status=1" "to a log file ($mode): no call is refused"
	le "$(stat -c %s "$T/home/log")" 40960 "  it stays within its limit"
	like "$(tail -1 "$T/home/log")" "the end" "  the last line is there"
done

if syslogd; then
	out=$(messages syslog 2>&1)
	like "$out" "signal=0 status=1" "to the system logger: no call is refused"
	# Who reads is slower, what it has no room for is lost: not the first ones
	wait_for grep -q . "$T/home/syslog"
	like "$(head -1 "$T/home/syslog")" "^<27>pasta\[[0-9]+\]: " \
		"  lines arrive"
	SYSLOG=1
else
	skip "to the system logger" "only root has a /dev of its own"
	SYSLOG=
fi

# --- the daemon ---------------------------------------------------------------------

if [ ! -w /dev/net/tun ]; then
	skip "the daemon" "/dev/net/tun is not for this user"
	done_testing
fi

# talk: traffic that it has something to say about
talk() {
	python3 - <<-'END'
		import os, socket, struct
		# No multiple of 8, no version, no checksum, nothing at all
		name = [n for _, n in socket.if_nameindex() if n != "lo"][0]
		mac = bytes.fromhex("9a559a559a55") + bytes.fromhex("020000000001")
		with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
		    s.bind((name, 3))
		    for what in (b"\x08\x00" + b"\x45" + bytes(30), b"\x86\xdd" + bytes(60),
		                 b"\x88\xcc" + bytes(46), b"\x08\x00\x55" + bytes(40),
		                 b"\x08\x06" + bytes(40)):
		        s.send(mac + what)
		peers = [(socket.AF_INET, "203.0.113.2"), (socket.AF_INET6, "2001:db8:2::2")]
		for af, addr in peers:
		    for i in range(150):	# nobody listens: refused, and port unreachable
		        with socket.socket(af) as s:
		            s.connect_ex((addr, 7))
		        with socket.socket(af, socket.SOCK_DGRAM) as u:
		            u.sendto(b"x", (addr, 10000 + i))
	END
	ping -n -q -c2 -i0.1 -W1 203.0.113.2 >/dev/null
	ping -n -q -c2 -i0.1 -W1 2001:db8:2::2 >/dev/null
	be_reset
}
be_reset() {
	python3 -c '
import socket
s = socket.create_connection(("203.0.113.2", 9001)); s.sendall(b"x"); s.recv(9)'
}
declare -f be_reset talk > "$T/bin/talk"
echo talk >> "$T/bin/talk"

# Somebody who resets what was connected, not what is about to be: "socket error"
peer python3 -c '
import socket, struct
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("203.0.113.2", 9001)); s.listen(16)
while True:
    c, _ = s.accept()
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()' &
RESETTER=$!
disown
wait_for listening tcp 9001 peer

# traced OPTION... -- COMMAND...: as in_ns, but not quiet
traced() {
	as_user timeout -k 1 60 "$PASTA" -f --trace --config-net "${ALONE[@]}" "$@"
}

# said FILE ERE NAME
said() {
	grep -qE "$2" "$1"
	ok $? "$3"
}

# rewritten FILE: what the first connections said is gone
rewritten() { ! grep -q "Guest has MAC address" "$1"; }

# daemon_lines FILE WHERE: what it has to have said
daemon_lines() {
	said "$1" "TCP .*: new" "$2: connections"
	said "$1" "UDP .*: new" "$2: datagrams"
	said "$1" "connection failed" "$2: what is refused"
	said "$1" "socket error: Connection reset by peer" "$2: what is reset"
	said "$1" "Frame of [0-9]+ bytes dropped: " "$2: bad frames"
}

rm -f "$T/home/log"
traced --pcap "$T/home/cap" -- bash "$T/bin/talk" 2>"$T/home/stderr"
is $? 1 "--trace to standard error: the status is the command's"
daemon_lines "$T/home/stderr" "standard error"
[ "$(stat -c %s "$T/home/cap")" -gt 10000 ]
ok $? "  and frames are captured"

traced -l "$T/home/log" --log-size 40960 --pcap "$T/home/cap" -- \
	bash "$T/bin/talk" 2>/dev/null
is $? 1 "--trace to a log file: the status is the command's"
le "$(stat -c %s "$T/home/log")" 40960 "  it stays within its limit"
rewritten "$T/home/log"
ok $? "  and was rewritten on the way"
said "$T/home/log" "socket error: Connection reset by peer" "  the newest lines are there"

has_name() { [ "$(cat "/proc/$1/comm")" = "$2" ]; }

# logged_reset PID: what there was no room for is lost: then once more
logged_reset() {
	grep -q "socket error: Connection reset by peer" "$T/home/syslog" && return
	as_user nsenter -t "$1" -U --preserve-credentials -n -- \
		bash -c "$(declare -f be_reset); be_reset"
	wait_for -t 1 grep -q "socket error: Connection reset by peer" "$T/home/syslog"
}

# In the background, nobody but the system logger hears it
background() {
	local ns pid
	exec_as user unshare -Urn sleep 1000 &
	ns=$!
	disown
	wait_for has_name $ns sleep
	rm -f "$T/home/pid"
	: > "$T/home/syslog"
	as_user "$PASTA" --trace --config-net "${ALONE[@]}" -P "$T/home/pid" $ns \
		>/dev/null 2>&1 </dev/null
	is $? 0 "--trace in the background: it starts"
	pid=$(cat "$T/home/pid")
	as_user nsenter -t $ns -U --preserve-credentials -n -- bash "$T/bin/talk" \
		>/dev/null 2>&1
	wait_for logged_reset $ns
	daemon_lines "$T/home/syslog" "system logger"
	if [ "$1" = namespace ]; then
		kill -9 $ns
		wait_for grep -q "is gone, exiting" "$T/home/syslog"
		ok $? "  the end of the namespace, too"
	else
		kill "$pid"
		wait_for grep -q "Signal 15, exiting" "$T/home/syslog"
		ok $? "  SIGTERM, too"
		kill -9 $ns
	fi
	wait_for gone "$pid"
	ok $? "  and it ends"
}
if [ -n "$SYSLOG" ]; then
	background namespace
	background signal
fi

# What there is no room for: warnings come once a second
# (UDP and echo end their own flows for others, so TCP has to take all that it may)
exec_peer python3 -c "import socket, time
s = socket.create_server(('$PEER4', 9001), backlog=100)
time.sleep(100)" &
taker=$!
wait_for listening tcp 9001 peer
cat > "$T/bin/fill" <<-'END'
	hold() {
		coproc python3 -c "import socket, sys
	hold = []
	for i in range(12):
	    s = socket.socket()
	    s.setblocking(False)
	    s.connect_ex(('203.0.113.2', 9001))
	    hold.append(s)
	print('held', flush=True)
	sys.stdin.read()"
		read -r -u "${COPROC[0]}"
	}
	hold; hold 2>/dev/null
	python3 -c "import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.sendto(b'x', ('203.0.113.2', 2000))"
	ping -n -q -c1 -W5 203.0.113.2 >/dev/null && echo "echo has its share"
	exit 5
END
(
	ulimit -n 24
	traced -- bash "$T/bin/fill"
	echo "status $?"
) >"$T/home/stderr" 2>&1
said "$T/home/stderr" "^status 5$" "without descriptors: it goes on"
said "$T/home/stderr" "Too many connections, SYN dropped" "  and says so"
said "$T/home/stderr" "echo has its share" "  what connections can't take is there for echo"
kill $taker
wait $taker 2>/dev/null

if [ -n "$NS_ROOT" ]; then
	echo "1 0" > /proc/sys/net/ipv4/ping_group_range
	traced -- sh -c "ping -n -q -c1 -W1 $PEER4; exit 5" >"$T/home/stderr" 2>&1
	is $? 5 "without ping sockets: it goes on"
	said "$T/home/stderr" "sysctl net.ipv4.ping_group_range" "  and says so"
fi

# A capture that nobody takes any more
mkfifo -m 666 "$T/home/fifo"
head -c 24 "$T/home/fifo" >/dev/null &
traced --pcap "$T/home/fifo" -- sh -c "for i in \$(seq 50); do
	ping -n -q -c1 -W1 $PEER4; sleep 0.1
	grep -q 'recording ends' $T/home/stderr && break
	done; exit 5" >"$T/home/stderr" 2>&1
is $? 5 "a capture file that fails: it goes on"
said "$T/home/stderr" "Can't write to the capture file, recording ends: Broken pipe" \
	"  and says so"

# One that may grow no further: the header is all there is room for
out=$(as_user prlimit --fsize=24 "$PASTA" -f --config-net "${ALONE[@]}" \
	--pcap "$T/home/cap24" -- sh -c "ping -n -q -c3 -i0.2 $PEER4; exit 5" 2>&1)
is $? 5 "a limit for the size of files: it goes on"
like "$out" "Can't write to the capture file, recording ends: File too large" \
	"  and says so"

# The end of the tap
traced -I tap9 -- sh -c "ip link del tap9; sleep 30" >"$T/home/stderr" 2>&1
is $? 0 "the tap device is deleted: it ends"
said "$T/home/stderr" "exiting" "  and says so"

kill $RESETTER
done_testing
