#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for armhf: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross armhf arm-linux-gnueabihf-gcc /usr/arm-linux-gnueabihf/include/stdio.h \
	qemu-arm-static ARM
done_testing
