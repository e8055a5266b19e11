#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Table of medians from the lines that figure.py wrote, and the bars they have to
# reach.  Exit status 1 if one is missed.
#
# usage: table.py RESULTS

import statistics
import sys

from bars import at_least, at_most, finish, times

runs = {}
for line in open(sys.argv[1]):
    who, what, gbps, cpu = line.split()
    if gbps != '-':
        runs.setdefault((what, who), []).append((float(gbps), float(cpu)))
tests = list(dict.fromkeys(what for what, who in runs))
names = list(dict.fromkeys(who for what, who in runs))


def median(what, who, field=0):
    values = [r[field] for r in runs.get((what, who), [])]
    return statistics.median(values) if values else None


def cell(what, who):
    values = [r[0] for r in runs.get((what, who), [])]
    if not values:
        return '-'
    digits = 0 if what.startswith('connections') else 2
    return (f'{statistics.median(values):.{digits}f} '
            f'({min(values):.{digits}f}..{max(values):.{digits}f})')


print('\nGb/s received (connections: 1/s), median of rounds (lowest..highest)\n')
print(f'{"":20}' + ''.join(f'{who:>22}' for who in names))
for what in tests:
    print(f'{what:20}' + ''.join(f'{cell(what, who):>22}' for who in names))

print('\nCPU seconds of the program per GB\n')
print(f'{"":20}' + ''.join(f'{who:>22}' for who in names))
for what in tests:
    row = [median(what, who, 1) for who in names]
    if not any(row):
        continue
    print(f'{what:20}' + ''.join(
        f'{f"{v:.3f}" if v else "-":>22}'
        for v, n in zip(row, names)))

# 0.25 CPU seconds per GB is the bar where native sockets move 60 Gb/s on two cores,
# that is, use 0.27 for both ends.  A second of a slower machine, or of one that others
# use too, does less for either: the bar moves with native in the same run.
CPU_LIMIT, AT_NATIVE = 0.25, 60


def cpu_limit(native):
    return None if native is None else CPU_LIMIT * max(1, AT_NATIVE / native)


print('\nBars\n')
for way in 'out', 'in':
    big = f'{way}-65520'
    ours = median(big, 'ours')
    at_least(f'TCP {way}, 2 x slirp4netns', ours, times(median(big, 'slirp'), 2))
    at_least(f'TCP {way}, 0.45 of native', ours, times(median(big, 'native'), 0.45))
    at_most(f'TCP {way}, CPU s per GB', median(big, 'ours', 1),
            cpu_limit(median(big, 'native')))
    at_least(f'TCP {way} at MTU 1500, 0.75 of MTU 65520',
             median(f'{way}-1500', 'ours'), times(ours, 0.75))
at_least('TCP past the tap, 0.7 of native loopback', median('bypass', 'ours'),
         times(median('bypass', 'native'), 0.7))
# A relay has two more ends of TCP than a native connection.  What does nothing else,
# test/tools/bare.c, tells what is left to gain; by 8, it is as many processes, which
# get more of the processors than one.
for what, factor in ('connections', 0.7), ('connections-by-8', 0.6):
    at_least(f'{what} past the tap, {factor} of the bare relay', median(what, 'ours'),
             times(median(what, 'bare'), factor))
    native = median(what, 'native')
    if native:
        print(f'      of native: {(median(what, "ours") or 0) / native:.2f}, '
              f'the bare relay {(median(what, "bare") or 0) / native:.2f}')
finish()
