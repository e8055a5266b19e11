#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for aarch64: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross aarch64 aarch64-linux-gnu-gcc /usr/aarch64-linux-gnu/include/stdio.h \
	qemu-aarch64-static AArch64
done_testing
