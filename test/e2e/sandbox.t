#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the running daemon can still do, seen from outside in /proc: an empty
# root, no capability, no new privileges, a filter, namespaces of its own, and
# nobody may look into its memory.  It works from in there: bytes pass.

. "$(dirname "$0")/../lib/ns.sh"

[ -n "$NS_ROOT" ] || skip_all "only root may look at it"

field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }

# daemons: pids of processes that face the guest or the network: all that run
# the binary, but not those between it and the command
daemons() {
	local pid
	for pid in $(processes); do
		[ "$(cat "/proc/$pid/comm")" = pasta-init ] || echo "$pid"
	done
}

# shared KIND PID: is that namespace of the process ours?
shared() {
	[ "$(readlink "/proc/$2/ns/$1")" = "$(readlink "/proc/self/ns/$1")" ]
}

inspect() {
	local pid=$1 what cap kind fd dirs=
	what="$WHO: $(cat "/proc/$pid/comm")"

	is "$(field "$pid" NoNewPrivs)" 1 "$what: no new privileges"
	is "$(field "$pid" Seccomp)" 2 "$what: a filter of system calls"
	for cap in CapInh CapPrm CapEff CapAmb; do
		is "$(field "$pid" $cap)" 0000000000000000 "$what: $cap is empty"
	done
	is "$(ls -A "/proc/$pid/root/" 2>&1)" "" "$what: its root is empty"
	is "$(stat -c %u "/proc/$pid/mem")" 0 "$what: is not dumpable"
	[ "$(field "$pid" Uid)" != 0 ]
	ok $? "$what: is not root"
	for kind in user mnt ipc uts; do
		! shared $kind "$pid"
		ok $? "$what: a $kind namespace of its own"
	done
	shared net "$pid"
	ok $? "$what: in the network of the host"
	for fd in "/proc/$pid/fd"/*; do
		[ -d "$fd" ] && dirs+=" $(readlink "$fd")"
	done
	is "$dirs" "" "$what: no folder is open"
}

# in_sandbox NAME OPTION...
in_sandbox() {
	local name=$1
	shift
	pasta_start "$@" && [ -n "$(daemons)" ]
	ok $? "$WHO: $name: it starts" || return
	t "$WHO: $name: bytes pass" \
		nsenter -t "$INNER" -n -- ping -n -c1 -W5 "$PEER4"
	for daemon in $(daemons); do
		inspect "$daemon"
	done
	pasta_stop
}

for WHO in $WHOM; do
	in_sandbox "a command"
done
in_sandbox --netns-only --netns-only		# root alone may

# --- strict ---------------------------------------------------------------------

# strict_passt LEVEL DENIED...: start a passt that is denied these; sets $out and $status
strict_passt() {
	local level=$1
	shift
	rm -f "$T/home/pid" "$T/home/sock"
	out=$(run_as "$WHO" deny "$@" -- "$T/bin/passt" -q --sandbox "$level" \
		-s "$T/home/sock" -P "$T/home/pid" 2>&1)
	status=$?
	[ ! -s "$T/home/pid" ] || kill "$(cat "$T/home/pid")"
	wait_for nobody_left
}
nobody_left() { [ -z "$(processes)" ]; }

# refuses DENIED TEXT: --sandbox strict does so in one line, and auto starts
refuses() {
	strict_passt strict "$1"
	is "$status: $out" "1: Not started, --sandbox strict: $2" \
		"$WHO: strict: no start without: $1"
	strict_passt auto "$1"
	is "$status" 0 "$WHO: auto: a start without: $1"
	le "$(wc -l <<<"$out")" 1 "$WHO: auto: one warning at most"
}

# class_of FILE: 1: of 32 bits, 2: of 64
class_of() { od -An -tu1 -j4 -N1 "$1" | tr -d ' '; }
deny_fits() { [ "$(class_of "$T/bin/deny")" = "$(class_of "$T/bin/passt")" ]; }

strict() {
	if ! deny_fits; then
		skip "$WHO: strict" "numbers of system calls are those of another machine"
		return
	fi
	local none='No namespaces for the sandbox (denied by a container runtime, security module or sysctl)'
	strict_passt strict
	is "$status: $out" "0: " "$WHO: strict: passt starts where all can be had"
	t "$WHO: strict: so does pasta, with a helper" in_ns --sandbox strict -T 8081 -- true
	refuses namespaces "$none: Operation not permitted"
	refuses root "Couldn't empty the root directory of the sandbox: Operation not permitted"
	refuses filter "No system call filter: Invalid argument"
	refuses restrict "No Landlock for the follower of resolv.conf: Operation not permitted"
	refuses ruleset "No Landlock for the follower of resolv.conf: Operation not permitted"
	is "$(trap '' CHLD; strict_passt strict restrict; echo "$status: $out")" \
		"1: Not started, --sandbox strict: No Landlock for the follower of resolv.conf: Operation not permitted" \
		"$WHO: strict: so it is if the caller ignores SIGCHLD"
	strict_passt strict landlock
	is "$status: $out" "0: " "$WHO: strict: a kernel may lack Landlock"
	out=$(WHO=$WHO in_ns --sandbox strict -T 8081 -- echo runs 2>&1)
	is "$out" runs "$WHO: strict: the command runs"
	out=$(run_as "$WHO" deny root -- "$PASTA" -f -q --config-net "${ALONE[@]}" \
		--sandbox strict -T 8081 -- echo runs 2>&1)
	is "$?: $out" "1: Not started, --sandbox strict: Couldn't empty the root directory of the sandbox: Operation not permitted" \
		"$WHO: strict: pasta needs all of its helper's sandbox"
}

# --- the first process of the command's namespaces -----------------------------------------

# waits_for_go: the process that waits until the daemon is ready, as INNER
waits_for_go() {
	for INNER in $(processes); do
		[ "/proc/$INNER/ns/pid" -ef /proc/self/ns/pid ] ||
			[ "$(cat "/proc/$INNER/comm")" = pasta-ns ] || return 0
	done
	return 1
}

# files_of PID: the files that it has open, but those of its caller
files_of() { readlink "/proc/$1/fd"/* | grep "^$T/home" | sort | tr '\n' ' '; }

# The daemon is held up on its way into the sandbox, while it has all its files open
init_files() {
	local own
	rm -f "$T/home/log" "$T/home/pcap" "$T/home/pid"
	strace -f -qq -o "$T/strace" -e trace=pivot_root -e signal=none \
		-e inject=pivot_root:delay_enter=1500000 "$PASTA" -f -q --config-net "${ALONE[@]}" \
		-l "$T/home/log" -p "$T/home/pcap" -P "$T/home/pid" -- sleep 0 </dev/null >/dev/null &
	wait_for waits_for_go && wait_for -t 5 owns_its_table
	ok $? "root: the first process of the namespaces leaves the daemon's descriptors"
	own=$(files_of "$INNER")
	is "$own" "" "root: and keeps none of its files"
	wait $!
}
# Its table is its own when the tap device, which the daemon keeps, is gone from it
owns_its_table() {
	[ -n "$(readlink "/proc/$INNER/fd"/* | grep socket:)" ] &&
		! readlink "/proc/$INNER/fd"/* | grep -q /dev/net/tun
}

# --- the helper in the namespace ------------------------------------------------------

# user_ns PID: does a process have network and user namespaces of its own?
user_ns() { ! [ "/proc/$1/ns/net" -ef /proc/self/ns/net ]; }

# joined OPTION...: pasta of root, in the background, which joins a namespace; sets HELPER
joined() {
	rm -f "$T/home/pid"
	"$PASTA" -q --config-net "${ALONE[@]}" -T 18081 -P "$T/home/pid" "$@" || return
	DAEMON=$(cat "$T/home/pid")
	HELPER=$(pgrep -x pasta-ns)
}

# left: end it
left() {
	kill "$DAEMON"
	wait_for nobody_left
}

# Root serves a namespace of a user: no process of root is in there
of_a_user() {
	local inside
	exec_as user unshare -Urn sleep 60 &
	inside=$!
	wait_for user_ns $inside
	joined --netns "/proc/$inside/ns/net"
	ok $? "root: pasta serves the namespace of a user" || return
	is "$(field "$HELPER" Uid)" 65534 "root: its helper there is nobody"
	is "$(field "$HELPER" CapPrm)" 0000000000000400 "root: which may bind low ports"
	listening tcp 18081 nsenter -t "$inside" -n
	ok $? "root: and makes sockets there"
	left
	kill $inside
}

# The namespace belongs to the user namespace of the host, as those of ip-netns(8) do
of_root() {
	mount -t tmpfs tmpfs /run && ip netns add inside || return
	joined --netns inside
	ok $? "root: pasta serves a namespace of ip netns" || return
	out=$("$NS_TOP/test/tools/takenover.py" "$DAEMON" 81 82 2>&1)
	case $?$out in
	77*)	skip "root: its helper binds low ports of the namespace, not of the host" "$out";;
	*)	is "$out" $'EXDEV\n0' \
			"root: its helper binds low ports of the namespace, not of the host";;
	esac
	! listening tcp 81
	ok $? "root: the port of the host is not bound"
	left
	ip netns del inside
	umount -l /run
}

for WHO in $WHOM; do
	strict
done
WHO=root
of_a_user
of_root
if command -v strace >/dev/null; then
	init_files
else
	skip "root: the first process of the namespaces has none of the daemon's files" "no strace"
fi
deny_fits && refuses user "Couldn't change to nobody, going on as root without capabilities: Operation not permitted"
done_testing
