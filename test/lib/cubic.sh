# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A network namespace may only choose a congestion control that is allowed in the
# initial one.  Tests want cubic: BBR, where it is the default, paces to a third of
# what a pair of veth carries.  So it is added to the list there, and taken out
# again at the end; the default stays as it is.

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

# For the trap of the caller
cubic_restore() {
	[ -z "$cubic_before" ] || echo "$cubic_before" > $cubic_list
}
