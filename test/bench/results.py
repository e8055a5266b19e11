# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of test/bench/compare: lines CANDIDATE ROW KEY=VALUE..., and what is in them"""

import re
import statistics
import sys

# Figure of a row by the beginning of its name: key, unit, digits
FIGURES = [
    (r'tcp|udp|wan|rate', ('gbps', 'Gb/s', 2)),
    (r'fair-rr', ('p99_us', 'us, p99', 1)),
    (r'fair', ('spread', 'times the slowest', 2)),
    (r'idle', ('cpu_us', 'CPU us an operation', 2)),
    (r'start', ('ms', 'ms', 2)),
    (r'rr.*-by', ('ops', 'operations/s', 0)),
    (r'rr', ('p50_us', 'us, p50', 1)),
    (r'crr|soak', ('per_s', 'operations/s', 0)),
]


def figure(row):
    """Key, unit and digits of the figure of a row"""
    return next((f for pattern, f in FIGURES if re.match(pattern, row)), (None, '', 0))


def number_of(text):
    return int(text, 16) if text.startswith('0x') else float(text)


def derive(values):
    """Add figures that follow from others"""
    if values.get('max') and values.get('min'):
        values['spread'] = values['max'] / values['min']
    per = values.get('ops') or values.get('per_s')
    if 'share' in values and per:
        values['cpu_us'] = values['share'] * 1e6 / per
    if 'share' in values and values.get('gbps'):
        values['cpu_gb'] = values['share'] * 8 / values['gbps']
    return values


def read(path):
    """The header, and the figures of each row and candidate: runs[row][candidate]"""
    head, runs = {}, {}
    with open(path, encoding='utf-8') as source:
        for number, line in enumerate(source, 1):
            if line.startswith('#'):
                key, _, value = line[1:].partition(':')
                head[key.strip()] = value.strip()
                continue
            try:
                who, row, first, *more = line.split()
                values = {k: number_of(v) for k, v in (p.split('=') for p in [first, *more])}
            except ValueError:
                sys.exit(f'{path}:{number}: not CANDIDATE ROW KEY=VALUE...')
            runs.setdefault(row, {}).setdefault(who, []).append(derive(values))
    if not runs:
        sys.exit(f'{path} has no results')
    return head, runs


def values(runs, row, who, key):
    """A figure in each round"""
    return [r[key] for r in runs.get(row, {}).get(who, []) if key in r]


def median(runs, row, who, key):
    """The median of a figure; None: there is none"""
    v = values(runs, row, who, key)
    return statistics.median(v) if v else None
