#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tables of medians from the lines of test/bench/vhost, and the bars they have to reach.
# Exit status 1 if one is missed.
#
# usage: vhost.py RESULTS

import statistics
import sys

from bars import at_least, at_most, finish, times

runs, names = {}, []
for line in open(sys.argv[1]):
    who, what, *pairs = line.split()
    values = {k: float(v) for k, _, v in (p.partition('=') for p in pairs)
              if k != 'features'}
    runs.setdefault((what, who), []).append(values)
    if who not in names:
        names.append(who)
tests = list(dict.fromkeys(what for what, _ in runs))


def ratio(a, b):
    return None if a is None or not b else a / b


# Figures of one run; None: there is none
FIGURES = {
    'gbps': lambda r: r.get('gbps') or None,
    's_per_gb': lambda r: ratio(r.get('cpu', 0) / 1e3, r['bytes'] / 1e9),
    'us_per_op': lambda r: ratio(r.get('cpu', 0) * 1e3, r['bytes']),
    'kicks_per_gb': lambda r: ratio(r.get('kicks'), r['bytes'] / 1e9),
    'rtx': lambda r: r.get('rtx'),
    'per_call': lambda r: ratio(r.get('datagrams'), r.get('calls')),
    'ops': lambda r: r.get('ops') or None,
    'calls_per_op': lambda r: ratio(r.get('total'), r['bytes']),
}


def values(what, who, figure):
    get = FIGURES.get(figure, lambda r: r.get(figure))
    return [v for v in map(get, runs.get((what, who), [])) if v is not None]


def median(what, who, figure):
    v = values(what, who, figure)
    return statistics.median(v) if v else None


def table(title, figure, digits, rows):
    print(f'\n{title}, median of rounds (lowest..highest)\n')
    print(f'{"":18}' + ''.join(f'{who:>24}' for who in names) + f'{"ours/relay":>12}')
    for what in rows:
        print(f'{what:18}', end='')
        for who in names:
            v = values(what, who, figure)
            cell = '-' if not v else (f'{statistics.median(v):.{digits}f} '
                                      f'({min(v):.{digits}f}..{max(v):.{digits}f})')
            print(f'{cell:>24}', end='')
        to_relay = ratio(median(what, 'ours', figure), median(what, 'relay', figure))
        print(f'{"-" if to_relay is None else f"{to_relay:.2f}":>12}')


bulk = [t for t in tests if t not in ('rr', 'calls-rr', 'idle')]
table('Gb/s received', 'gbps', 2, bulk)
table('CPU seconds of the back-end per GB', 's_per_gb', 3, bulk)
table('Segments sent again by the guest', 'rtx', 0,
      [t for t in bulk if t.startswith('out')])
table('Kicks for sent frames per GB', 'kicks_per_gb', 0, bulk)
table('Datagrams per call', 'per_call', 1, [t for t in bulk if t.startswith('udp')])
table('Exchanges of one byte per second', 'ops', 0, ['rr'])
table('CPU microseconds of the back-end per exchange', 'us_per_op', 1, ['rr'])

def bar_times(way, text, what, figure, factor, other):
    way(text, median(what, 'ours', figure), times(median(what, other, figure), factor))


print('\nBars\n')
for mtu in 1500, 65520:
    out = f'out-{mtu}'
    bar_times(at_least, f'TCP out, MTU {mtu}, 0.6 of the relay', out, 'gbps', 0.6, 'relay')
    bar_times(at_most, f'TCP out, MTU {mtu}, CPU s per GB, 1.1 x the relay', out, 's_per_gb',
              1.1, 'relay')
    again = values(out, 'ours', 'rtx')
    at_most(f'TCP out, MTU {mtu}, segments sent again', max(again, default=None), 0)
    at_most(f'TCP out, MTU {mtu}, kicks per GB', median(out, 'ours', 'kicks_per_gb'), 200)
bar_times(at_least, 'TCP in, MTU 1500, 0.6 of the relay', 'in-1500', 'gbps', 0.6, 'relay')
bar_times(at_most, 'TCP in, MTU 1500, CPU, 1.3 x the relay', 'in-1500', 's_per_gb',
          1.3, 'relay')
at_least('TCP in, MTU 1500, 0.9 of MTU 65520', median('in-1500', 'ours', 'gbps'),
         times(median('in-65520', 'ours', 'gbps'), 0.9))
bar_times(at_most, 'TCP in, MTU 65520, CPU, 1.1 x the distribution', 'in-65520', 's_per_gb',
          1.1, 'distro')
for what, factor, cpu in ('udp-out', 3, 0.36), ('udp-in', 5, 0.17):
    bar_times(at_least, f'{what}, {factor} x the distribution', what, 'gbps', factor, 'distro')
    bar_times(at_most, f'{what}, CPU s per GB, {cpu} x the distribution', what, 's_per_gb',
              cpu, 'distro')
    at_least(f'{what}, datagrams per call', median(what, 'ours', 'per_call'), 16)
bar_times(at_most, 'an exchange, CPU us, 0.59 x the distribution', 'rr', 'us_per_op', 0.59,
          'distro')
at_most('an exchange, system calls', median('calls-rr', 'ours', 'calls_per_op'), 8)
at_most('an exchange, calls of read()', median('calls-rr', 'ours', 'read'), 0)
for what in tests:
    if what.count('-') == 2 and what[-1].isdigit() or 'no' in what:
        at_least(f'{what} works, Gb/s', min(values(what, 'ours', 'gbps'), default=0), 0.1)
at_most('idle, wake-ups', median('idle', 'ours', 'wakes'), 0)
at_most('idle, own memory, KB', median('idle', 'ours', 'rss'), 2500)
at_most('idle, mappings beside the two regions',
        times(median('idle', 'ours', 'maps'), 1) and median('idle', 'ours', 'maps') - 2, 0)
finish()
