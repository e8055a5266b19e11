# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Allow cubic as congestion control while tests run.
#
# A network namespace may choose only a congestion control that the initial namespace
# allows.  Tests want cubic, since BBR, the default in places, paces to a third of
# the rate of a veth pair.  So cubic is added to the initial namespace's list, and
# removed at the end.  The default does not change.

cubic_list=/proc/sys/net/ipv4/tcp_allowed_congestion_control
cubic_before=

cubic_allow() {
	local now
	now=$(cat $cubic_list 2>/dev/null)
	case " $now " in *" cubic "*) return;; esac
	if { echo "$now cubic" > $cubic_list; } 2>/dev/null; then
		cubic_before=$now
	fi
}

# cubic_restore: restore the list; for the exit trap of the caller
cubic_restore() {
	[ -z "$cubic_before" ] || echo "$cubic_before" > $cubic_list
}
