# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Three processes on few cores lose more than two when a virtual machine's host gives
# its processors to others. So a figure is taken again, up to twice, if that took more
# than STEAL percent of the time; the last one counts.

STEAL=5

# Ticks that the host gave to others, and all
cpu_ticks() {
	awk '/^cpu / { for (i = 2; i <= 9; i++) all += $i; print $9, all }' /proc/stat
}

# calm COMMAND...: run a command that adds one line to $results, unless $ONLY, a regular
# expression, does not match it
# shellcheck disable=SC2154 # of the caller
calm() {
	local try before after
	[[ "$*" =~ ${ONLY:-.} ]] || return
	for try in 1 2 3; do
		read -r -a before < <(cpu_ticks)
		"$@"
		read -r -a after < <(cpu_ticks)
		[ $(((after[0] - before[0]) * 100)) -gt \
			$(((after[1] - before[1]) * STEAL)) ] || break
		[ "$try" = 3 ] || sed -i '$d' "$results"
	done
	tail -1 "$results" >&2
}
