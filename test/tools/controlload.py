#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Clients of the control socket that could hold up the daemon

controlload.py WHAT PATH SECONDS	do that, and stay connected until the time is over:
	many		add 1000 rules in one transaction, and take them away, again and again
	unread		ask for all flows, and read nothing
"""

import sys
import time

from control import Client

what, path, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
end = time.monotonic() + seconds

if what == 'many':
    turns = 0
    c = Client(path, named=True)
    while time.monotonic() < end:
        for verb in 'add', 'del':
            lines = ['begin'] + [f'{verb} tcp 127.0.0.1/{20000 + i}'
                                 for i in range(1000)] + ['commit']
            for i in range(0, len(lines), 100):
                c.s.sendall(''.join(f'{line}\n' for line in lines[i:i + 100]).encode())
                for _ in lines[i:i + 100]:
                    answer = c.answer()
                    if not answer[-1]['ok']:
                        sys.exit(f'{verb}: {answer[-1]}')
        turns += 1
    print(turns)
elif what == 'unread':
    c = Client(path, named=True)
    c.s.sendall(b'flows\n')
else:
    sys.exit(__doc__)
time.sleep(max(0, end - time.monotonic()))
