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
done_testing
