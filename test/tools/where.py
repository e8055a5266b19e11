#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Who talks to whom, as programs see it, by TCP and UDP.

    where.py serve NAME PORT...
        answer each connection and each datagram with "NAME OWN-ADDRESS PEER-ADDRESS",
        from the address that was asked; prints "ready" first
    where.py ask tcp|udp ADDRESS PORT [SECONDS]
        print the answer, or "nothing: REASON"
"""

import select
import socket
import struct
import sys

PKTINFO = socket.IPV6_RECVPKTINFO


def short(address):
    """An address without its mapping or its zone"""
    return address.removeprefix("::ffff:").split("%")[0]


def bound(kind, port):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == socket.SOCK_STREAM:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, PKTINFO, 1)
    s.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def answer_stream(name, listener):
    c, peer = listener.accept()
    with c:
        own = c.getsockname()[0]
        c.sendall(f"{name} {short(own)} {short(peer[0])}".encode())


def answer_datagram(name, s):
    _, control, _, peer = s.recvmsg(100, 100)
    info = next(data for level, kind, data in control
                if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO)
    own = socket.inet_ntop(socket.AF_INET6, info[:16])
    answer = f"{name} {short(own)} {short(peer[0])}".encode()
    # The address alone: the interface follows from the route
    link = struct.unpack("@I", info[16:20])[0] if own.startswith("fe80:") else 0
    info = info[:16] + struct.pack("@I", link)
    s.sendmsg([answer], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)], 0, peer)


def serve(name, ports):
    streams = [bound(socket.SOCK_STREAM, p) for p in ports]
    datagrams = [bound(socket.SOCK_DGRAM, p) for p in ports]
    print("ready", flush=True)
    while True:
        for s in select.select(streams + datagrams, [], [])[0]:
            try:
                (answer_stream if s in streams else answer_datagram)(name, s)
            except OSError as e:
                print(e, file=sys.stderr, flush=True)


def ask(proto, address, port, seconds=3.0):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    family, _, _, _, to = socket.getaddrinfo(address, port, type=kind)[0]
    with socket.socket(family, kind) as s:
        s.settimeout(float(seconds))
        try:
            s.connect(to)
            if proto == "udp":
                s.send(b"x")
            print(s.recv(200).decode() or "nothing: the end")
        except OSError as e:
            print(f"nothing: {e}")


if sys.argv[1] == "serve":
    serve(sys.argv[2], [int(p) for p in sys.argv[3:]])
else:
    ask(*sys.argv[2:])
