#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for ppc64el: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross ppc64el powerpc64le-linux-gnu-gcc /usr/powerpc64le-linux-gnu/include/stdio.h \
	qemu-ppc64le-static PowerPC64
done_testing
