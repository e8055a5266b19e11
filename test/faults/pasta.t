#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each system call of pasta fails in turn while all kinds of traffic run, past the tap and
# over it. Afterwards everything works within 8 s, no byte was wrong, the CPU is idle.

. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/faults/common.sh"

faults_stage
PASTA=$T/bin/faulty-pasta
first=0
while true; do
	rm -f "$CONTROL"
	WHO=user
	pasta_start -t auto -u auto -T auto -U auto -c "$CONTROL" --dns-forward $DNS4 \
		--dns-host "$PEER4" 2>"$T/err" || { ok 1 "pasta starts"; break; }
	ping_allow
	cells pasta tcp:tcp-to-host:inside:127.0.0.1:8001 \
		udp:udp-to-host:inside:127.0.0.1:8001 auto:listener:inside:127.0.0.1:0 && break
	pasta_stop
done
pasta_stop
done_testing
