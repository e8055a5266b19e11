#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
repair.py SOCKET - Switch the repair mode of sockets for passt, as its helper does

Each message is a byte with the mode, and sockets; the answer is that byte.
"""
import array
import socket
import struct
import sys

TCP_REPAIR = 19

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
while True:
    mode, anc, _, _ = s.recvmsg(1, socket.CMSG_SPACE(253 * 4))
    if not mode:
        break
    fds = array.array("i")
    for _, _, data in anc:
        fds.frombytes(data)
    for fd in fds:
        with socket.socket(fileno=fd) as t:
            t.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, struct.unpack("b", mode)[0])
    s.send(mode)
