#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A name server that knows one answer: to whatever question, a TXT record with
# the address and the port that were asked, and how: "203.0.113.2 53 udp".
#
# usage: dnsd.py ADDRESS[%IF]...	ports 53 and 853 of each, UDP and TCP, without TLS;
#				prints "ready"

import select
import socket
import struct
import sys

PORTS = (53, 853)


def answer(query, text):
    """The question again, and one record that refers to its name"""
    ident, _, questions = struct.unpack('!HHH', query[:6])
    end = query.index(b'\0', 12) + 5
    rdata = bytes([len(text)]) + text
    return (struct.pack('!HHHHHH', ident, 0x8580, questions, 1, 0, 0) +
            query[12:end] +
            struct.pack('!HHHIH', 0xc00c, 16, 1, 0, len(rdata)) + rdata)


def serve_udp(sock, text):
    query, peer = sock.recvfrom(4096)
    sock.sendto(answer(query, text), peer)


def serve_tcp(sock, text):
    conn, _ = sock.accept()
    with conn, conn.makefile('rb') as f:
        head = f.read(2)
        if len(head) == 2:
            reply = answer(f.read(struct.unpack('!H', head)[0]), text)
            conn.sendall(struct.pack('!H', len(reply)) + reply)


poll = select.poll()
served = {}
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for port in PORTS:
        for kind, name, serve in ((socket.SOCK_DGRAM, 'udp', serve_udp),
                                  (socket.SOCK_STREAM, 'tcp', serve_tcp)):
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(socket.getaddrinfo(address, port)[0][4])
            if kind == socket.SOCK_STREAM:
                sock.listen(16)
            poll.register(sock, select.POLLIN)
            served[sock.fileno()] = (serve, sock,
                                     f'{address} {port} {name}'.encode())

print('ready', flush=True)
while True:
    for fd, _ in poll.poll():
        serve, sock, text = served[fd]
        try:
            serve(sock, text)
        except (OSError, ValueError, struct.error):
            pass                # a client that gave up, or no query
