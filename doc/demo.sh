#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Show passt and pasta at work.  All of it happens in namespaces of this script, with
# addresses that are reserved for documentation: nothing is sent to a network, nothing
# is changed or left behind, and no privilege is needed.
#
# usage: demo.sh [--record FILE]
#	--record FILE	write a terminal recording (asciinema, version 2), too
#
#	"host"                                   "world"
#	eth0 198.51.100.1/24      -- veth --     eth0 198.51.100.2/24, the host's gateway
#	     2001:db8:1::1/64                         2001:db8:1::2/64
#	                                         lo   203.0.113.2, a server behind it

set -u
export LC_ALL=C

die() {
	echo "demo: $1" >&2
	exit 1
}

# needs PROGRAM PACKAGE
needs() { command -v "$1" >/dev/null || die "needs $1 (Debian: package $2)"; }

if [ -z "${DEMO_INSIDE-}" ]; then
	case $#:${1-} in
	0:)		exec 3>/dev/null;;
	2:--record)	{ exec 3>"$2"; } 2>/dev/null || die "can't write $2"
			export DEMO_RECORD=1;;
	*)		die "usage: demo.sh [--record FILE]";;
	esac
	PATH=$PATH:/usr/sbin:/sbin
	top=$(cd "$(dirname "$0")/.." && pwd)
	[ ! -x "$top/pasta" ] || PATH=$top:$PATH
	command -v pasta >/dev/null && command -v passt >/dev/null ||
		die "needs pasta and passt: run make"
	needs unshare util-linux
	needs ip iproute2
	needs ping iputils-ping
	needs socat socat
	needs python3 python3
	[ -w /dev/net/tun ] || die "/dev/net/tun is not for this user"
	unshare -Urn true 2>/dev/null || die "no user namespaces for this user"
	export PATH
	DEMO_INSIDE=1 exec unshare --user --map-root-user --net --mount --pid --ipc \
		--fork --kill-child --mount-proc bash "$0"
fi

# --- the recording: lines of [SECONDS, "o", TEXT], at a pace of our own -----------------

ms=0

# note TEXT MS: this text appears, and then nothing for a while
note() {
	local text=$1
	[ -n "${DEMO_RECORD-}" ] || return 0
	text=${text//\\/\\\\}
	text=${text//\"/\\\"}
	text=${text//$'\t'/\\t}
	text=${text//$'\e'/\\u001b}
	text=${text//$'\n'/\\r\\n}
	printf '[%d.%03d, "o", "%s"]\n' $((ms / 1000)) $((ms % 1000)) "$text" >&3
	ms=$((ms + $2))
}

# say TEXT: a remark
say() {
	printf '\n# %s\n' "$1"
	note $'\n\e[1m# '"$1"$'\e[0m\n' 1200
}

# typed PLACE COMMAND: a prompt, and the command as somebody types it
typed() {
	local i
	printf '%s$ %s\n' "$1" "$2"
	note $'\e[32m'"$1"$'$\e[0m ' 400
	for ((i = 0; i < ${#2}; i++)); do
		note "${2:i:1}" 35
	done
	note $'\n' 250
}

# printed TEXT: the output of a command, without times that differ
printed() {
	[ -n "$1" ] || return
	set -- "$(sed 's/time=[0-9.]* ms/time=... ms/' <<<"$1")"
	printf '%s\n' "$1"
	note "$1"$'\n' 900
}

host() { bash -c "$1" 3>&-; }
world() { nsenter -t "$WORLD" -n bash -c "$1" 3>&-; }

# on PLACE COMMAND: show the command and what it prints
on() {
	local out rc
	typed "$1" "$2"
	out=$("$1" "$2" 2>&1 </dev/null)
	rc=$?
	printed "$out"
	[ $rc = 0 ] || die "this should have worked (exit status $rc)"
}

# start COMMAND: show it with a "&", and leave it running on the host; its PID is $job
start() {
	typed host "$1 &"
	bash -c "exec $1" >job.out 2>&1 </dev/null 3>&- &
	job=$!
}

stop() {
	typed host 'kill %1'
	kill "$job"
	wait "$job" 2>/dev/null
}

# wait_for COMMAND...: repeat it until it succeeds, for up to 20 s
wait_for() {
	local end=$((SECONDS + 20))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || die "waited too long for: $*
$(cat job.out 2>/dev/null)"
		sleep 0.02
	done
}

is_other() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
served() { "$1" "ss -Han --$2 'sport = :$3'" | grep -q .; }
answers() { [ -n "$("$1" "echo | socat -T 2 - TCP:$2" 2>/dev/null)" ]; }

# --- the stage --------------------------------------------------------------------------

for dir in /mnt /media /srv; do		# not one that hides the programs
	case $(command -v pasta) in "$dir"/*) continue;; esac
	mount -t tmpfs tmpfs $dir 2>/dev/null && cd $dir && break
done
[ "$PWD" = "$dir" ] || die "can't mount a tmpfs"
PATH=$PWD:$PATH

# A server that tells the address of whoever asks
cat >greet <<'END'
#!/bin/sh
exec socat "$1,fork,reuseaddr" SYSTEM:'read x; echo "hello, $SOCAT_PEERADDR"'
END

# The first packets of a virtual machine, for passt
cat >guest <<'END'
#!/usr/bin/env python3
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
mac = bytes.fromhex("020000000002")
discover = (b"\1\1\6\0" + b"demo" + bytes(20) + mac + bytes(202) +
            bytes.fromhex("63825363" "350101" "ff"))
udp = struct.pack("!4H", 68, 67, 8 + len(discover), 0) + discover
ip = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
ip += bytes(4) + b"\xff" * 4
total = sum(struct.unpack("!10H", ip))
total = (total & 0xffff) + (total >> 16)
ip = ip[:10] + struct.pack("!H", total ^ 0xffff) + ip[12:]
frame = b"\xff" * 6 + mac + b"\x08\0" + ip + udp
s.sendall(struct.pack("!I", len(frame)) + frame)

def take(n):
    return s.recv(n, socket.MSG_WAITALL)

while True:
    frame = take(struct.unpack("!I", take(4))[0])
    if frame[12:14] == b"\x08\0" and frame[34:36] == b"\0\x43":
        break
print("offered:", socket.inet_ntoa(frame[58:62]))
at = 282
while frame[at] != 255:
    code, data = frame[at], frame[at + 2:at + 2 + frame[at + 1]]
    if code in (1, 3):
        print({1: "netmask:", 3: "router:"}[code], socket.inet_ntoa(data[:4]))
    at += 2 + len(data)
END
chmod +x greet guest

exec 4>&2 2>/dev/null
echo "0 0" >/proc/sys/net/ipv4/ping_group_range
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
unshare --net sleep infinity 3>&- 4>&- &
WORLD=$!
wait_for is_other $WORLD
world 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
exec 2>&4 4>&-
ip -b - <<END || die "can't make a pair of interfaces"
link set lo up
link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 netns $WORLD
addr add 198.51.100.1/24 dev eth0
addr add 2001:db8:1::1/64 dev eth0 nodad
link set eth0 up
END
world 'ip -b -' <<END || die "can't configure the other end"
link set lo up
addr add 198.51.100.2/24 dev eth0
addr add 2001:db8:1::2/64 dev eth0 nodad
addr add 203.0.113.2/32 dev lo
link set eth0 up
END
ip route add default via 198.51.100.2
ip -6 route add default via 2001:db8:1::2
for proto in tcp udp; do
	world "exec greet ${proto^^}-LISTEN:7,bind=203.0.113.2" >/dev/null 2>&1 </dev/null &
	wait_for served world $proto 7
done

# --- what there is to see ---------------------------------------------------------------

[ -z "${DEMO_RECORD-}" ] || printf '%s\n' '{"version": 2, "width": 80, "height": 24,'\
' "title": "pasta and passt", "env": {"TERM": "xterm-256color"}}' >&3

say "This host has two addresses, and a gateway to the world."
on host 'ip -br addr show scope global'

say "pasta starts a command in a network namespace that looks the same."
on host 'pasta -q --config-net -- ip addr show scope global | grep inet'
on host 'pasta -q --config-net -- ip route'

say "Whoever is in there reaches the world: by ping, TCP and UDP."
on host 'pasta -q --config-net -- ping -c 1 203.0.113.2 | head -2'
on host 'echo | pasta -q --config-net -- socat - TCP:203.0.113.2:7'
on host 'echo | pasta -q --config-net -- socat - UDP:203.0.113.2:7'

say "The world reaches a server in there, by a port that the host forwards."
start 'pasta -q --config-net -t 8080 -- greet TCP-LISTEN:8080'
wait_for answers world 198.51.100.1:8080
on world 'echo | socat - TCP:198.51.100.1:8080'

say "The host's own programs reach it past the virtual interface."
on host 'echo | socat - TCP:127.0.0.1:8080'
stop

say "With the bypass alone, the namespace has no interface but lo."
start 'pasta -q --splice-only -t 8080 -- greet TCP-LISTEN:8080'
wait_for answers host 127.0.0.1:8080
on host 'echo | socat - TCP:127.0.0.1:8080'
on host 'pasta -q --splice-only -- ip -br link | cut -c 1-14'
stop

say "passt does all this for a virtual machine. This one asks by DHCP."
on host 'passt -q --one-off -s vm.socket'
on host './guest vm.socket'

say "No root, no bridge, no NAT."
note '' 2000
