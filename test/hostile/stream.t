#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A hostile guest of passt, over its UNIX socket: against a program with sanitizers, and
# against the one that users have, under its filter of system calls.

. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/hostile/common.sh"

# attack PROGRAM NAME FRAMES
attack() {
	local s=$T/home/socket guest
	rm -f "$s" "$CONTROL"
	guest_pipe
	peers_start || { ok 1 "$2: the peers serve"; return; }
	exec_as user "$1" -f -s "$s" "${PORTS[@]}" 2>"$T/err" &
	DAEMON=$!
	wait_for test -S "$s" || { ok 1 "$2: passt starts"; diag "$(cat "$T/err")"; return; }
	hostile attack stream "$s" "$SEED" "$3" "$(keep_of "$2")" <&5 >"$T/attack" 2>&1 &
	guest=$!
	judge "$2"
	kill $guest $DAEMON 2>/dev/null
	wait $guest $DAEMON 2>/dev/null
}

hostile_stage
attack "$SANITIZED/passt" stream $((FRAMES / 2))
attack "$T/bin/passt" sealed $((FRAMES / 10))
done_testing
