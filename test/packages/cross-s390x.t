#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static programs for s390x: built without a warning, they start, and their unit
# tests and fuzz replays pass.

. "$(dirname "$0")/../lib/cross.sh"
cross s390x s390x-linux-gnu-gcc /usr/s390x-linux-gnu/include/stdio.h \
	qemu-s390x-static 'IBM S/390'
done_testing
