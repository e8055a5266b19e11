#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Table of medians from the lines of test/bench/stream, and the bars they have to reach.
# Exit status 1 if one is missed.
#
# usage: stream.py RESULTS

import sys

import results
from bars import at_least, finish, times

FACTOR = 2		# ours is to be so many times as fast
_, runs = results.read(sys.argv[1])
for row in runs.values():
    for values in sum(row.values(), []):
        if values.get('bytes'):
            gb = values['bytes'] / (1e3 if 'ops' in values and values['ops'] else 1e9)
            values['cost'] = values['cpu'] / 1e3 / gb


def key(name):
    return 'ops' if name == 'rr' else 'gbps'


def show(value):
    return '-' if value is None else f'{value:.2f}'


print(f'\n{"medians":12}{"ours":>12}{"distr.":>12}{"ratio":>8}   CPU {"ours":>8}{"distr.":>8}')
for name in runs:
    ours, distro = (results.median(runs, name, who, key(name)) for who in ('ours', 'distro'))
    costs = [results.median(runs, name, who, 'cost') for who in ('ours', 'distro')]
    ratio = ours / distro if ours and distro else None
    print(f'{name:12}{show(ours):>12}{show(distro):>12}{show(ratio):>8}       ' +
          ''.join(f'{show(c):>8}' for c in costs) +
          ('  operations/s' if name == 'rr' else '  Gb/s'))
print('CPU: seconds per GB, or milliseconds per operation\n\nBars\n')
for name in runs:
    at_least(f'{name}, {FACTOR} x the distribution', results.median(runs, name, 'ours', key(name)),
             times(results.median(runs, name, 'distro', key(name)), FACTOR))
finish()
