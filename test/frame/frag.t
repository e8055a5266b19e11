#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments of the guest: in any order, missing, overlapping, contradicting, too many"""

import itertools

import frames
from frames import TCP, UDP
from harness import (GUEST_MAC, IP4, IP6, OUR_MAC, Failed, check, equal, main, test)


def pattern(size, seed=0):
    return bytes((i * 7 + seed) & 0xff for i in range(size))


def receive(srv):
    try:
        return srv.recv(70000)
    except TimeoutError:
        raise Failed("the datagram does not arrive") from None


class Datagram:
    """A UDP datagram to srv, to be cut in pieces by hand"""

    def __init__(self, env, ip, srv, data, proto=UDP):
        self.env, self.ip, self.srv, self.data, self.proto = env, ip, srv, data, proto
        self.ident = env.next_port()
        self.l4 = frames.udp(ip.guest, ip.peer, env.next_port(),
                             srv.getsockname()[1], data)

    def part(self, off, end, more=None, l4=None, **kw):
        """A frame with bytes off..end of the datagram"""
        l4 = self.l4 if l4 is None else l4
        return frames.eth(OUR_MAC, GUEST_MAC, self.ip.ethertype, frames.fragment(
            self.ip.guest, self.ip.peer, self.proto, l4[off:end], off,
            end < len(self.l4) if more is None else more, self.ident, **kw))

    def parts(self, size):
        return [self.part(o, min(o + size, len(self.l4)))
                for o in range(0, len(self.l4), size)]

    def send(self, *raws):
        self.env.guest.send_many(raws)

    def arrives(self):
        equal(receive(self.srv), self.data, "data")

    def does_not_arrive(self):
        self.env.nothing(self.srv)


@test("fragments in order")
def in_order(env, ip):
    d = Datagram(env, ip, env.udp_peer(ip), pattern(5000))
    d.send(*d.parts(1400))
    d.arrives()
    d.does_not_arrive()


@test("three fragments in every order")
def any_order(env, ip):
    srv = env.udp_peer(ip)
    for order in itertools.permutations(range(3)):
        d = Datagram(env, ip, srv, pattern(3000))
        parts = d.parts(1200)
        d.send(*(parts[i] for i in order))
        d.arrives()


@test("reverse order, many small fragments")
def reverse(env, ip):
    d = Datagram(env, ip, env.udp_peer(ip), pattern(3000))
    d.send(*reversed(d.parts(8)))
    d.arrives()


@test("fragments of 64 KiB in all")
def largest(env, ip):
    d = Datagram(env, ip, env.udp_peer(ip), pattern(65507 if ip.version == 4 else 65000))
    d.send(*d.parts(1448))
    d.arrives()


@test("datagrams interleaved")
def interleaved(env, ip):
    srv = env.udp_peer(ip)
    ds = [Datagram(env, ip, srv, pattern(3000, i)) for i in range(4)]
    for some in zip(*(d.parts(1000) for d in ds)):
        ds[0].send(*some)
    for d in ds:
        d.arrives()


@test("a fragment that comes twice, exactly the same, is ignored")
def twice(env, ip):
    d = Datagram(env, ip, env.udp_peer(ip), pattern(4000))
    parts = d.parts(1400)
    d.send(parts[0], parts[0], parts[1], parts[0], parts[1], parts[2])
    d.arrives()
    d.does_not_arrive()


@test("a missing fragment: nothing is delivered, nor does it disturb the next")
def missing(env, ip):
    srv = env.udp_peer(ip)
    for skip in range(3):
        d = Datagram(env, ip, srv, pattern(3000))
        d.send(*(p for i, p in enumerate(d.parts(1200)) if i != skip))
        d.does_not_arrive()
    d = Datagram(env, ip, srv, pattern(3000, 5))
    d.send(*d.parts(1200))
    d.arrives()


@test("overlapping fragments drop the datagram, the rest of it, too")
def overlap(env, ip):
    srv = env.udp_peer(ip)
    for off, end in ((800, 1600), (0, 808), (1592, 2400), (8, 16)):
        d = Datagram(env, ip, srv, pattern(3000))
        other = d.l4[:off] + bytes(len(d.l4) - off)
        d.send(d.part(0, 1200), d.part(off, end, l4=other), d.part(1200, 2400),
               d.part(2400, 3008))
        d.does_not_arrive()
        d.send(*d.parts(1200)[1:])
        d.does_not_arrive()


@test("overlap at the end, and data behind the end, drop the datagram")
def behind_end(env, ip):
    srv = env.udp_peer(ip)
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(2400, 3008), d.part(3008, 3016, l4=d.l4 + bytes(8)),
           d.part(0, 1200), d.part(1200, 2400))
    d.does_not_arrive()
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(2400, 3008), d.part(3008, 3016, more=True, l4=d.l4 + bytes(8)),
           d.part(0, 1200), d.part(1200, 2400))
    d.does_not_arrive()
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(2400, 3008), d.part(1800, 3008, more=True), d.part(0, 1200),
           d.part(1200, 1800))
    d.does_not_arrive()
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(0, 1200), d.part(2400, 3008), d.part(2400, 2800, more=False),
           d.part(1200, 2400))
    d.does_not_arrive()


@test("fragments that are no multiple of 8 bytes, but the last, are dropped")
def odd_size(env, ip):
    srv = env.udp_peer(ip)
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(0, 1201, more=True), d.part(1208, 2400), d.part(2400, 3008))
    d.does_not_arrive()
    d = Datagram(env, ip, srv, pattern(3000))
    d.send(d.part(0, 0, more=True), d.part(1200, 1200, more=True),
           *d.parts(1200))		# empty ones mean nothing


@test("fragments over the largest packet are dropped")
def too_long(env, ip):
    srv = env.udp_peer(ip)
    d = Datagram(env, ip, srv, pattern(1000))
    d.send(d.part(0, 800), d.env.ip_frame(ip.guest, ip.peer, UDP, b"")
           if ip.version == 6 else d.part(0, 8),
           frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, frames.fragment(
               ip.guest, ip.peer, UDP, bytes(1000), 65528, False, d.ident)),
           frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, frames.fragment(
               ip.guest, ip.peer, UDP, bytes(1400), 65400, True, d.ident)))
    d.does_not_arrive()


@test("a tiny first fragment, too small for its header, is dropped")
def tiny_first(env, ip):
    srv = env.listen(ip)
    syn = frames.tcp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], 1, 0,
                     frames.SYN, 1000, opts=frames.tcp_opts(mss=1000))
    ident = env.next_port()
    env.guest.send_many([frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, f) for f in
                         frames.fragments(ip.guest, ip.peer, TCP, syn, 8, ident)])
    env.barrier()
    check(not env.guest.find(lambda p: p.kind == "tcp"), "a SYN in tiny fragments")


@test("TCP in fragments works")
def tcp(env, ip):
    c = env.connect(ip)
    data = pattern(2000)
    seg = frames.tcp(ip.guest, ip.peer, c.sport, c.dport, c.iss + 1, c.irs + 1,
                     frames.ACK, 1000, data)
    env.guest.send_many([frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, f) for f in
                         frames.fragments(ip.guest, ip.peer, TCP, seg, 1000,
                                          env.next_port())])
    c.nxt = 2001
    c.wait_ack()
    equal(env.recv(c.peer, 2000), data, "data")


@test("the UDP checksum is that of the whole: a wrong one drops it")
def checksum(env, ip):
    srv = env.udp_peer(ip)
    d = Datagram(env, ip, srv, pattern(3000))
    parts = d.parts(1200)
    bad = bytearray(d.l4)
    bad[2000] ^= 1
    d.send(parts[0], d.part(1200, 2400, l4=bytes(bad)), parts[2])
    d.does_not_arrive()


@test("a UDP length that contradicts the whole is dropped")
def udp_length(env, ip):
    srv = env.udp_peer(ip)
    for length in (7, 8 + 2999, 8 + 3001, 0):
        d = Datagram(env, ip, srv, pattern(3000))
        d.l4 = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1],
                          pattern(3000), length=length)
        d.send(*d.parts(1200))
    # 2999 may be delivered cut, as 8 bytes of padding would be
    got = []
    env.barrier()
    srv.setblocking(False)
    try:
        while True:
            got.append(srv.recv(70000))
    except BlockingIOError:
        pass
    check(all(g == pattern(3000)[:2999] for g in got), f"{[len(g) for g in got]}")


@test("17 datagrams at once: the oldest makes room, all others arrive")
def seventeen(env, ip):
    srv = env.udp_peer(ip)
    ds = [Datagram(env, ip, srv, pattern(2000, i)) for i in range(17)]
    for d in ds:
        d.send(d.part(0, 1200))
        if d is ds[0]:
            env.barrier(pause=0.003)	# age is counted in ms
    for d in ds[1:] + ds[:1]:
        d.send(d.part(1200, len(d.l4)))
    got = [receive(srv) for d in ds[1:]]	# each by a socket of its own, in any order
    equal(sorted(map(str, got)), sorted(str(d.data) for d in ds[1:]), "datagrams")
    env.nothing(srv)


@test("200 first fragments that nothing follows do not block the next datagram")
def flood(env, ip):
    srv = env.udp_peer(ip)
    for i in range(200):
        d = Datagram(env, ip, srv, pattern(2000, i))
        d.send(d.part(0, 1200))
    d = Datagram(env, ip, srv, pattern(2000))
    d.send(*d.parts(1200))
    d.arrives()


@test("same identification, another source or protocol: another datagram", ip=(IP4,))
def identity(env, ip):
    srv = env.udp_peer(ip)
    a, b = (Datagram(env, ip, srv, pattern(2000, i)) for i in (1, 2))
    b.ident = a.ident
    other = frames.udp("198.51.100.9", ip.peer, 999, srv.getsockname()[1], b.data)
    from_other = [frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, f) for f in
                  frames.fragments("198.51.100.9", ip.peer, UDP, other, 1200, a.ident)]
    a.send(a.part(0, 1200), from_other[1], from_other[0])
    b.arrives()
    a.send(a.part(1200, len(a.l4)))
    a.arrives()
    # RFC 791, 3.1: protocol is part of what tells datagrams apart
    a = Datagram(env, ip, srv, pattern(2000, 3))
    t = Datagram(env, ip, srv, pattern(2000, 4), proto=TCP)
    t.ident = a.ident
    a.send(a.part(0, 1200), t.part(1200, len(t.l4)), a.part(1200, len(a.l4)))
    a.arrives()


@test("a fragment header on a whole packet: RFC 6946", ip=(IP6,))
def atomic(env, ip):
    srv = env.udp_peer(ip)
    d = Datagram(env, ip, srv, pattern(500))
    d.send(d.part(0, len(d.l4), more=False))
    d.arrives()
    d.send(d.part(0, 16, more=True))	# of another datagram with that number
    d.send(d.part(0, len(d.l4), more=False))
    d.arrives()


@test("options in the fragments' IP header are skipped", ip=(IP4,))
def ip_options(env, ip):
    d = Datagram(env, ip, env.udp_peer(ip), pattern(2000))
    d.send(d.part(0, 1200, opts=b"\x01\x01\x01\x00"), d.part(1200, len(d.l4)))
    d.arrives()


main()
