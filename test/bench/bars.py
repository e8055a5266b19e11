# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars for the figures of a measurement, each printed as PASS, FAIL or SKIP"""

import sys

_missed = 0


def _bar(text, got, limit, good, way):
    global _missed
    if got is None or limit is None:
        print(f'SKIP  {text}: not measured')
        return
    _missed += not good(got, limit)
    print(f'{"PASS" if good(got, limit) else "FAIL"}  {text}: {got:.3f}, {way} {limit:.3f}')


def at_least(text, got, limit):
    """One bar; got and limit may be None where nothing was measured"""
    _bar(text, got, limit, lambda a, b: a >= b, 'at least')


def at_most(text, got, limit):
    _bar(text, got, limit, lambda a, b: a <= b, 'at most')


def times(value, factor):
    return None if value is None else value * factor


def finish():
    """Exit, with status 1 if a bar was missed"""
    sys.exit(_missed > 0)
