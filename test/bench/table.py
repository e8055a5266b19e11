#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Table of medians from the lines of test/bench/compare, with ours as a share of the bare
# relay and of native, and the bars they have to reach.  Exit status 1 if one is missed.
#
# usage: table.py RESULTS

import re
import sys

import results
from bars import at_least, at_most, finish, times

NAMES = {'native': 'native', 'bare': 'bare relay', 'ours': 'ours',
         'distro': "distribution's", 'slirp': 'slirp4netns'}
_, runs = results.read(sys.argv[1])


def median(row, who, key):
    return results.median(runs, row, who, key)


def value(row, who):
    return median(row, who, results.figure(row)[0])


def cost(row, who):
    """CPU seconds per GB, or microseconds per operation"""
    return median(row, who, 'cpu_gb' if results.figure(row)[1] == 'Gb/s' else 'cpu_us')


def worst(row, who, key):
    return max(results.values(runs, row, who, key), default=None)


def ratio(a, b):
    return None if a is None or not b else a / b


def show(v, digits):
    return '-' if v is None else f'{v:.{digits}f}'


def print_table():
    print(f'\n{"medians":24}' + ''.join(f'{t:>15}' for t in NAMES.values()) +
          f'{"of bare":>9}{"of native":>10}   CPU {"bare":>8}{"ours":>8}{"distr.":>8}'
          f'{"slirp":>8}{"of bare":>9}')
    for row in runs:
        _, unit, digits = results.figure(row)
        mine = value(row, 'ours')
        print(f'{row:24}' + ''.join(f'{show(value(row, n), digits):>15}' for n in NAMES) +
              f'{show(ratio(mine, value(row, "bare")), 2):>9}'
              f'{show(ratio(mine, value(row, "native")), 2):>10}       ' +
              ''.join(f'{show(cost(row, n), 3 if unit == "Gb/s" else 1):>8}'
                      for n in ('bare', 'ours', 'distro', 'slirp')) +
              f'{show(ratio(cost(row, "ours"), cost(row, "bare")), 2):>9}  {unit}')
    print('CPU: seconds of the program per GB, or microseconds per operation')


# --- bars ------------------------------------------------------------------------------

def of_bare(row, factor):
    at_least(f'{row}, {factor} of the bare relay', value(row, 'ours'),
             times(value(row, 'bare'), factor))


def of_native(row, factor):
    at_least(f'{row}, {factor} of native', value(row, 'ours'),
             times(value(row, 'native'), factor))


def cpu_of(row, factor, other):
    at_most(f'{row}, CPU, {factor} x {NAMES[other]}', cost(row, 'ours'),
            times(cost(row, other), factor))


def tcp_bars(row):
    of_bare(row, 0.95)
    cpu_of(row, 1.1, 'bare')
    if 'local' in row:
        cpu_of(row, 1, 'distro')
    else:
        of_native(row, 0.6)


def udp_bars(row):
    if 'segments' in row:
        of_native(row, 0.8)
        return
    of_native(row, 0.6)
    of_bare(row, 0.9)


# 16 us of the program for an exchange are the bar where native does 101 000 a second
EXCHANGE_US, AT_NATIVE = 16, 101e3


def rr_bars(row):
    if 'by' in row:
        of_native(row, 0.6)
        native = value(row, 'native')
        at_most(f'{row}, CPU us an exchange', cost(row, 'ours'),
                None if native is None else EXCHANGE_US * max(1, AT_NATIVE / native))
    elif 'pinned' in row:
        at_most(f'{row}, p50, 1.1 x the bare relay', value(row, 'ours'),
                times(value(row, 'bare'), 1.1))


SLOWEST_MS = 50


def crr_bars(row):
    if not row.startswith('soak'):
        of_bare(row, 0.8)
    at_most(f'{row}, slowest operation, ms', worst(row, 'ours', 'slowest_ms'), SLOWEST_MS)
    at_most(f'{row}, failed operations', worst(row, 'ours', 'failed'), 0)


def wan_bars(row):
    of_native(row, 0.95)
    at_most(f'{row}, longest stall, ms', worst(row, 'ours', 'gap_ms'), 1000)


def rate_bars(row):
    at_most(f'{row}, CPU, a fifth of slirp4netns', median(row, 'ours', 'share'),
            times(median(row, 'slirp', 'share'), 0.2))


def fair_bars(row):
    if row.startswith('fair-rr'):
        at_most(f'{row}, p99, 3 x native', value(row, 'ours'),
                times(value(row, 'native'), 3))
    else:
        at_most(f'{row}, fastest of the slowest', value(row, 'ours'), 2)


FLOWS_KB = 12 << 10


def idle_bars(row):
    if row == 'idle-none':
        return
    at_most(f'{row}, CPU an operation, 1.05 of none', value(row, 'ours'),
            times(value('idle-none', 'ours'), 1.05))
    at_most(f'{row}, RSS, KiB', worst(row, 'ours', 'rss_kb'), FLOWS_KB)
    at_most(f'{row}, descriptors beside those of flows', worst(row, 'ours', 'fds_more'), 40)


START_MS = {'start': 15}
MORE_MS = {'start-100-ports': 1, 'start-1000-ports': 5}


def start_bars(row):
    limit = START_MS.get(row)
    if row in MORE_MS and value('start', 'ours'):
        limit = value('start', 'ours') + MORE_MS[row]
    at_most(f'{row}, ms', value(row, 'ours'), limit)


BARS = [(r'tcp', tcp_bars), (r'udp', udp_bars), (r'rr', rr_bars), (r'crr|soak', crr_bars),
        (r'wan', wan_bars), (r'rate', rate_bars), (r'fair', fair_bars),
        (r'idle', idle_bars), (r'start', start_bars)]
print_table()
print('\nBars\n')
for name in runs:
    for pattern, bars in BARS:
        if re.match(pattern, name):
            bars(name)
finish()
