#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Ask a name server of test/tools/dnsd.py, again and again, and check each answer

ask.py SERVER PORT SECONDS	by UDP from that source port, and by TCP; prints the number
				of answers, and fails with the first that is wrong
"""

import socket
import struct
import sys
import time

QUESTION = b'\x04test\x07example\x00' + struct.pack('!HH', 16, 1)


def query(ident):
    return struct.pack('!HHHHHH', ident, 0x0100, 1, 0, 0, 0) + QUESTION


def check(answer, ident, text):
    want = struct.pack('!H', ident)
    if answer[:2] != want or not answer.endswith(bytes([len(text)]) + text):
        sys.exit(f'wrong answer: {answer!r}, not {text!r}')


def by_tcp(server, ident):
    with socket.create_connection((server, 53), timeout=10) as s, s.makefile('rb') as f:
        s.sendall(struct.pack('!H', len(query(ident))) + query(ident))
        length, = struct.unpack('!H', f.read(2))
        check(f.read(length), ident, f'{server} 53 tcp'.encode())


server, port, end = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
udp = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('', port))
udp.connect((server, 53))
udp.settimeout(10)
n = 0
while time.monotonic() < end:
    udp.send(query(n & 0xffff))
    check(udp.recv(4096), n & 0xffff, f'{server} 53 udp'.encode())
    if n % 16 == 0:
        by_tcp(server, n & 0xffff)
    n += 1
    time.sleep(0.002)
print(n)
