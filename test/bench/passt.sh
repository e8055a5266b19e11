# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# passt of candidates of test/bench/vhost and test/bench/stream, and the virtual machine
# that drives them: test/tools/vhostx.c.

SECS=${SECS:-3}
IDLE=${IDLE:-10}
WHO=user
SOCK=$T/home/vm
PASST=$(dirname "$PASTA")/passt
results=$T/results		# lines: candidate test KEY=VALUE...
declare -A PORTS=([out]=5001 [in]=5002 [rr]=5003 [udp-out]=5004 [udp-in]=5004)

# distro_find: copy the distribution's passt, which has vhost-user, to $T/distro
distro_find() {
	local root=${DEBIAN_ROOT:-$NS_BUILD/debian} dir
	for dir in / "$root"; do
		DISTRO=$dir/usr/bin/passt
		[ -x "$DISTRO" ] && grep -q vhost-user "$DISTRO" || continue
		mkdir -p "$T/distro"
		cp -L "$DISTRO" "$T/distro/passt" &&
			cp -L "$dir"/lib64/ld-linux-*.so.* "$T/distro/ld.so" &&
			cp -L "$dir"/usr/lib/*-linux-gnu/libc.so.6 "$T/distro/" || continue
		chmod -R a+rX "$T/distro"
		return 0
	done
	return 1
}

# distro OPTION...: run it, for the background
distro() {
	exec_as user "$T/distro/ld.so" --library-path "$T/distro" --argv0 passt \
		"$T/distro/passt" -f -q "$@" 2>/dev/null
}

down() {
	kill "$DAEMON"
	wait "$DAEMON"
} 2>/dev/null

# vm TEST MTU OPTION...: the guest
vm() {
	local what=$1 mtu=$2
	shift 2
	timeout $((SECS + IDLE + 10)) vhostx guest "$SOCK" "$what" "$PEER4" \
		"${PORTS[$what]-0}" -a "$HOST4" -g "$GW4" -t "$SECS" -m "$mtu" "$@" \
		2>/dev/null
}

# measure CANDIDATE NAME TEST MTU OPTION...: NAME is that of the row
measure() {
	local who=$1 name=$2 before after said
	shift 2
	up "$who" "$@"
	before=$(ticks "$DAEMON")
	said=$(guest "$who" "$@")
	after=$(ticks "$DAEMON")
	down
	echo "$who $name cpu=$(((after - before) * 1000 / $(getconf CLK_TCK)))" \
		"${said:-bytes=0}" >> "$results"
}

# for_each CANDIDATES MEASUREMENT ARGUMENT...
for_each() {
	local who list=$1 run=$2
	shift 2
	for who in $list; do
		[[ " $CANDIDATES " != *" $who "* ]] || calm "$run" "$who" "$@"
	done
}

# peers: the other ends, in the peer's namespace
peers() {
	local what port
	for what in "sink 5001" "source 5002" "echo 5003" "udp 5004"; do
		# shellcheck disable=SC2086 # two words
		(set -- $what; exec_peer vhostx peer "$1" "$PEER4" "$2") &
	done
	for port in 5001 5002 5003; do
		wait_for listening tcp $port peer
	done
	wait_for listening udp 5004 peer
}
