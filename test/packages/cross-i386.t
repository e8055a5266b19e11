#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for i386: built without a warning, they start, and their unit
# tests and fuzz replays pass.  If this kernel runs them, so do tests of the whole
# program, under the system call filter of that architecture.

. "$(dirname "$0")/../lib/cross.sh"
cross i386 i686-linux-gnu-gcc /usr/i686-linux-gnu/include/stdio.h \
	qemu-i386-static 'Intel 80386'

program=$PWD/build/static-i386
if ! command -v python3 >/dev/null || ! command -v ip >/dev/null; then
	skip "the whole program for i386" "needs python3 and iproute2"
elif [ ${#emulate[@]} != 0 ]; then
	skip "the whole program for i386" "the kernel runs no programs of i386"
else
	for name in icmp udp tcp; do
		whole "frame/$name" env PASST="$program/passt" \
			"test/frame/$name.t" -b stream
	done
	for name in sandbox start-smoke; do
		whole "e2e/$name" env PASTA="$program/pasta" bash "test/e2e/$name.t"
	done
fi
done_testing
