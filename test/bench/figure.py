#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The report of an iperf3 client on standard input, the processor time that a
# candidate took meanwhile, and one line out: CANDIDATE TEST GBPS CPU-S-PER-GB
#
# usage: figure.py CANDIDATE TEST TICKS TICKS-PER-SECOND

import json
import sys

who, what, ticks, hz = sys.argv[1:5]
try:
    end = json.load(sys.stdin)['end']
    total = end.get('sum_received') or end['sum']
    if 'lost_packets' in end.get('sum', {}) and 'sum_received' not in end:
        share = 1 - end['sum']['lost_percent'] / 100
    else:
        share = 1
    gbps = total['bits_per_second'] * share / 1e9
    cpu = int(ticks) / int(hz) / (total['bytes'] * share / 1e9)
    print(who, what, f'{gbps:.3f}', f'{cpu:.3f}')
except (KeyError, ValueError, ZeroDivisionError):
    print(who, what, '-', '-')
