#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for riscv64: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross riscv64 riscv64-linux-gnu-gcc /usr/riscv64-linux-gnu/include/stdio.h \
	qemu-riscv64-static RISC-V
done_testing
