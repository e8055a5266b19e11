# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Run cases.sh under strace, and count the results of other programs.  Source this file
# after ns.sh.
#
#	traced_reason	can it be done?
#	traced_run	do it: the files are in $T/trace, and TRACED_MAP has the arguments
#			of confine.py that map their paths to those of a real system
#	from_here COMMAND...	run a program that prints TAP lines without a plan

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

traced_reason() {
	[ -n "$NS_ROOT" ] && command -v strace >/dev/null && command -v python3 >/dev/null
}

# traced_stage: folders of our own in place of those that cases.sh writes to; this hides
# the tree if it is below one of them
traced_stage() {
	mkdir -p "$T/trace" "$T/etc"
	chmod 1777 "$T/trace"
	cp "$here/cases.sh" "$NS_TOP/qrap" "$NS_TOP/passt-repair" "$T/bin/"
	rm "$T/bin/pasta"
	cp "$T/bin/passt" "$T/bin/pasta"
	cp -a /etc/. "$T/etc"
	mount --bind "$T/etc" /etc
	rm -f /etc/resolv.conf
	echo nameserver 192.0.2.53 > /etc/resolv.conf
	mount -t tmpfs -o mode=1777 tmpfs /tmp
	mount -t tmpfs -o mode=755 tmpfs /run
	chown root:root "$T/home"	# as /home: root's files there are root's own
	chmod 1777 "$T/home"
}

traced_run() {
	local who
	TRACED_MAP=("$T/bin/=/usr/bin/" "$T/home/=/home/")
	(
		traced_stage
		cd "$T/home" || exit 1
		for who in user root; do
			CASE_HOME=$T/home CASE_UID=$USER_ID CASE_BIN=$T/bin \
			CASE_TRACE=$T/trace sh "$T/bin/cases.sh" $who
		done
	) > "$T/home/cases.out" 2>&1
	for m in /tmp /run /etc; do umount -l $m; done
	is "$(grep '^not ok' "$T/home/cases.out")" "" "the cases run under strace" ||
		diag "$(cat "$T/home/cases.out")"
}

# from_here COMMAND...: its TAP lines are ours; $CASE_FIRST is their number so far
from_here() {
	local out
	out=$(CASE_FIRST=$tap_n "$@" 2>&1)
	printf '%s\n' "$out"
	grep -qE '^(not )?ok ' <<<"$out" || { ok 1 "there are results of: $1"; return; }
	tap_n=$((tap_n + $(grep -cE '^(not )?ok ' <<<"$out")))
	tap_bad=$((tap_bad + $(grep -c '^not ok ' <<<"$out")))
}
