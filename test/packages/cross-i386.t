#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for i386: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross i386 i686-linux-gnu-gcc /usr/i686-linux-gnu/include/stdio.h \
	qemu-i386-static 'Intel 80386'
finish
