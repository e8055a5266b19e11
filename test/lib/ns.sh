# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Set the stage of an end-to-end test; every test/e2e/*.t sources this file first.
#
# The script is executed again in namespaces of its own, so its processes end with it,
# its mounts are private, and no packet leaves:
#
#   script, pasta: "host"                          "peer"
#     eth0 198.51.100.1/24      ---- veth ----     eth0 198.51.100.2/24
#          2001:db8:1::1/64       MTU 65520             2001:db8:1::2/64
#     default via .2, ::2                          lo   203.0.113.2, 2001:db8:2::2
#
# The peer plays the gateway and the world behind it.  Tests talk to the addresses
# behind the gateway, since the gateway's own address leads to the host's loopback.
#
# Started by root, tests run pasta as an ordinary user (as_user) and as root.  Otherwise
# they run it as the caller, who is root of a user namespace by then.  $T is a private
# tmpfs: $T/bin/pasta is the program, and the user may write to $T/home.
#
# PASTA=PATH runs another binary with the same command line.  With NS_KEEP_NET=1
# the test stays in the network of its caller, and has no peer.

set -u
export LC_ALL=C
NS_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NS_BUILD=${BUILD:-$NS_TOP/build}

HOST4=198.51.100.1 GW4=198.51.100.2 PEER4=203.0.113.2
HOST6=2001:db8:1::1 GW6=2001:db8:1::2 PEER6=2001:db8:2::2
USER_ID=47110			# an ID without an account
ALONE=(-t none -u none -T none -U none)	# no forwarding of ports
export HOST4 GW4 PEER4 HOST6 GW6 PEER6

# shellcheck source=test/lib/tap.sh
. "$NS_TOP/test/lib/tap.sh"

# --- conditions, never time ---------------------------------------------------

# wait_for [-t SECONDS] COMMAND...: repeat it until it succeeds, by default for 30 s
wait_for() {
	local limit=30 end
	[ "$1" = -t ] && { limit=$2; shift 2; }
	end=$((${EPOCHREALTIME/[.,]/} + limit * 1000000))
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return 1
		sleep 0.02
	done
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# Measurements that exceed their limit are repeated twice, since other programs may
# have slowed them down

# in_time MS NAME COMMAND...: check that the command ends in time; sets $out to its
# output and $status
in_time() {
	local limit=$1 name=$2 try start ms
	shift 2
	for try in 1 2 3; do
		start=$(now_ms)
		out=$("$@" 2>&1 </dev/null)
		status=$?
		ms=$(($(now_ms) - start))
		[ $ms -gt "$limit" ] || break
		diag "try $try: $ms ms"
	done
	le $ms "$limit" "$name"
}

# within MS COMMAND...: run a tool that prints its duration as ms=; prints its output
within() {
	local limit=$1 try ms said
	shift
	for try in 1 2 3; do
		said=$("$@" 2>&1)
		ms=$(value ms "$said")
		[ "${ms:-0}" -gt "$limit" ] || break
		diag "try $try: $ms ms" >&2
	done
	echo "$said"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# value KEY TEXT: print the word after KEY= in the output of a tool
value() { sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" <<<"$2" | tail -1; }

# --- users and namespaces ------------------------------------------------------------

as_user() {
	if [ -n "$NS_ROOT" ]; then
		setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
			--inh-caps=-all env HOME="$T/home" "$@"
	else
		"$@"
	fi
}

# run_as user|root COMMAND...: run a command as one of them
run_as() {
	local who=$1
	shift
	if [ "$who" = user ]; then as_user "$@"; else "$@"; fi
}

# exec_as user|root COMMAND...: the same for the background, so that $! is the command
exec_as() {
	if [ "$1" = user ] && [ -n "$NS_ROOT" ]; then
		exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
			--inh-caps=-all env HOME="$T/home" "${@:2}"
	fi
	exec "${@:2}"
}

# The users that tests can run programs as
if [ "${NS_ROOT-}" ]; then WHOM="user root"; else WHOM="user"; fi
# shellcheck disable=SC2034 # for the tests
readonly WHOM

peer() { nsenter -t "$PEER_PID" -n -- "$@"; }
exec_peer() { exec nsenter -t "$PEER_PID" -n -- "$@"; }	# for the background

# listening tcp|udp PORT [peer|...]: is the port bound there?
listening() {
	local proto=$1 port=$2
	shift 2
	"$@" ss -Han "--$proto" "sport = :$port" | grep -qE 'LISTEN|UNCONN'
}

# in_ns OPTION... -- COMMAND...: run it in a namespace of pasta, as $WHO
in_ns() {
	run_as "${WHO:-user}" timeout -k 1 "${LIMIT:-60}" \
		"$PASTA" -f -q --config-net "${ALONE[@]}" "$@"
}

# pasta_start OPTION...: start a pasta with an idle command, which keeps the namespace;
# sets INNER to the pid of the command, DAEMON to that of pasta
pasta_start() {
	rm -f "$T/home/inner"
	exec_as "${WHO:-user}" "$PASTA" -f -q --config-net "${ALONE[@]}" "$@" -- \
		sh -c "echo up > $T/home/inner; exec sleep infinity" &
	DAEMON=$!
	INNER=
	wait_for test -s "$T/home/inner" || return 1
	wait_for inner_is_there		# the shell becomes sleep only later
}

inner_is_there() {
	INNER=$(descendant "$DAEMON" sleep)
	[ -n "$INNER" ]
}

# descendant PID NAME: print the pid of a process of that name below PID
descendant() {
	local pid
	for pid in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]; then
			echo "$pid"
			return 0
		fi
		descendant "$pid" "$2" && return 0
	done
	return 1
}

# processes: print the pids of all processes that run the tested binary
processes() {
	local pid
	for pid in /proc/[0-9]*; do
		case $(readlink "$pid/exe" 2>/dev/null) in
		"$(dirname "$PASTA")"/pas*) echo "${pid#/proc/}";;
		esac
	done
}

# ticks PID...: print the CPU time of processes, in clock ticks
ticks() {
	local pid
	for pid; do
		sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null
	done | awk '{ s += $12 + $13 } END { print s + 0 }'
}

# inside COMMAND...: run it in the namespace that pasta_start made
inside() {
	run_as "${WHO:-user}" nsenter -t "$INNER" -U --preserve-credentials \
		-n -- "$@"
}

# behind_start: make another namespace behind that one, as a container behind a bridge:
# 192.0.2.130 and 2001:db8:8::5, by the router 192.0.2.129 and 2001:db8:8::1
behind_start() {
	rm -f "$T/home/behind"
	inside unshare -n sh -c "echo \$\$ > $T/home/behind; exec sleep infinity" &
	wait_for test -s "$T/home/behind" || return 1
	BEHIND=$(cat "$T/home/behind")
	# shellcheck disable=SC2016 # for the shell inside
	inside sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward &&
		      echo 1 > /proc/sys/net/ipv6/conf/all/forwarding' &&
	inside ip -b - <<-END && behind ip -b - <<-END2
		link add br0 type veth peer name eth0 netns $BEHIND
		addr add 192.0.2.129/28 dev br0
		addr add 2001:db8:8::1/64 dev br0 nodad
		link set br0 up
	END
		link set lo up
		addr add 192.0.2.130/28 dev eth0
		addr add 2001:db8:8::5/64 dev eth0 nodad
		link set eth0 up
		route add default via 192.0.2.129
		route add ::/0 via 2001:db8:8::1
	END2
}

# behind COMMAND...: run it in the namespace that behind_start made
behind() {
	run_as "${WHO:-user}" nsenter -t "$BEHIND" -U --preserve-credentials \
		-n -- "$@"
}

pasta_stop() {
	kill "$DAEMON" 2>/dev/null
	wait "$DAEMON" 2>/dev/null
	kill -9 "$INNER" 2>/dev/null
	wait_for gone "$INNER"
}

# --- the stage ------------------------------------------------------------------

ns_enter() {
	local as=() root=1
	if [ "$(id -u)" != 0 ]; then
		unshare -Urn true 2>/dev/null ||
			skip_all "no user namespaces for this user"
		as=(--user --map-root-user) root=
	fi
	[ -n "${NS_KEEP_NET-}" ] || as+=(--net)
	exec env NS_INSIDE=1 NS_ROOT=$root unshare "${as[@]}" --mount --pid \
		--ipc --fork --kill-child --mount-proc bash "$0" "$@"
}

# Mount a private tmpfs on an existing folder that does not hide this tree
ns_tmp() {
	local d
	for d in /srv /media /mnt /opt /home; do
		case $NS_TOP/ in $d/*) continue;; esac
		[ -d $d ] || continue
		mount -t tmpfs -o mode=755 tmpfs $d || continue
		T=$d
		break
	done
	mkdir -p "$T/bin" "$T/home"
	chmod 755 "$T/bin"
	chmod 777 "$T/home"
	[ -z "$NS_ROOT" ] || chown $USER_ID:$USER_ID "$T/home"
	export T TMPDIR=$T/home
	[ -n "$NS_ROOT" ] || export HOME=$T/home
}

ns_tun() {
	if [ -z "$NS_ROOT" ]; then
		[ -w /dev/net/tun ] ||
			skip_all "/dev/net/tun is not for this user"
		return 0
	fi
	mkdir -p /dev/net
	mount -t tmpfs -o mode=755 tmpfs /dev/net &&
		mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun
}

# Choose cubic as congestion control if the initial namespace allows it, and never BBR,
# which paces to a third of the rate of a veth pair
ns_cc() {
	local f=/proc/sys/net/ipv4/tcp_congestion_control
	{ echo cubic > $f || echo reno > $f; } 2>/dev/null
	cat $f
}

ns_sysctl() {
	local f=/proc/sys/net/ipv4/ping_group_range
	echo "0 2147483647" > $f || echo "0 0" > $f	# if one ID is mapped
	echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
	echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
	echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
} 2>/dev/null

ns_net() {
	unshare --net sleep infinity &
	PEER_PID=$!
	export PEER_PID
	wait_for ns_peer_ready
	CONGESTION=$(ns_cc)
	export CONGESTION
	ns_sysctl
	peer bash -c "$(declare -f ns_cc ns_sysctl); ns_cc; ns_sysctl" >/dev/null
	ip link set lo up
	ip link add eth0 mtu 65520 type veth peer name eth0 mtu 65520 \
		netns "$PEER_PID"
	ip addr add $HOST4/24 dev eth0
	ip addr add $HOST6/64 dev eth0 nodad
	peer ip -b - <<-END
		link set lo up
		addr add $GW4/24 dev eth0
		addr add $GW6/64 dev eth0 nodad
		addr add $PEER4/32 dev lo
		addr add $PEER6/128 dev lo nodad
		link set eth0 up
	END
	ip link set eth0 up
	ip route add default via $GW4
	ip -6 route add default via $GW6
	wait_for ping -n -c1 -W1 $PEER4 && wait_for ping -n -c1 -W1 $PEER6
}

# The peer's namespace is ready as soon as it differs from ours
ns_peer_ready() {
	[ "$(readlink "/proc/$PEER_PID/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

ns_tools() {
	local src tool
	for src in "$NS_TOP"/test/tools/*.c; do
		tool=$(basename "$src" .c)
		if [ "$NS_BUILD/tools/$tool" -nt "$src" ] &&
		   [ "$NS_BUILD/tools/$tool" -nt "${src%/*}/frames.h" ]; then
			cp "$NS_BUILD/tools/$tool" "$T/bin/"
		else
			cc -O2 -D_GNU_SOURCE -pthread -o "$T/bin/$tool" "$src" || return 1
		fi
	done
	PATH=$T/bin:$PATH
}

# Install the command "inner COMMAND...": it runs a command in a namespace of pasta with
# our congestion control, and then prints the number of segments retransmitted there
ns_inner() {
	cat > "$T/bin/inner" <<-'END'
		#!/bin/sh
		{ echo $CONGESTION > /proc/sys/net/ipv4/tcp_congestion_control; } 2>/dev/null
		"$@"
		status=$?
		nstat -asz TcpRetransSegs | awk '/^Tcp/ { print "guest_rtx=" $2 }'
		exit $status
	END
	chmod 755 "$T/bin/inner"
}

ns_program() {
	local from=${PASTA:-$NS_TOP/passt}
	[ -x "$from" ] || { echo "Bail out! no program $from"; exit 1; }
	cp "$(readlink -f "$from")" "$T/bin/passt"
	ln -sf passt "$T/bin/pasta"
	PASTA=$T/bin/pasta
	chmod -R a+rX "$T/bin"
	export PASTA PATH
}

if [ -z "${NS_INSIDE-}" ]; then
	ns_enter "$@"
fi
trap 'exit 143' TERM INT HUP	# PID 1 ignores signals without a handler
mount --make-rprivate /
if [ -n "${NS_KEEP_NET-}" ]; then ns_net() { CONGESTION=$(cat /proc/sys/net/ipv4/tcp_congestion_control); }; fi
ns_tmp && ns_tun && ns_tools && ns_inner && ns_program && ns_net || {
	echo "Bail out! the stage can't be set"
	exit 1
}
cd "$T/home" || exit 1
