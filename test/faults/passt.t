#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each system call of passt fails in turn while all kinds of traffic run, of a guest that
# is the kernel of another namespace. Afterwards everything works within 8 s, no byte was
# wrong, the CPU is idle.

. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/faults/common.sh"

faults_stage
first=0
while true; do
	rm -f "$CONTROL" "$T/home/socket"
	unshare --net sleep infinity &
	INNER=$!
	exec_as user "$T/bin/faulty-passt" -f -s "$T/home/socket" -t 9001 -u 9001 -c "$CONTROL" \
		--dns-forward $DNS4 --dns-host "$PEER4" 2>"$T/err" &
	DAEMON=$!
	wait_for test -S "$T/home/socket" && wait_for test -S "$CONTROL" || {
		ok 1 "passt starts"
		break
	}
	ping_allow
	cells passt link:inside:"$T/home/socket" && break
	kill $DAEMON $INNER
	wait $DAEMON $INNER 2>/dev/null
done
kill $DAEMON $INNER
wait $DAEMON $INNER 2>/dev/null
done_testing
