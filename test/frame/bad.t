#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Frames that are cut, contradict themselves or are noise: dropped, each for itself.
Afterwards the daemon is still there, and a connection works.
"""

import contextlib
import os
import random
import select
import socket
import struct

import frames
from frames import (BROADCAST, DSTOPTS, ETH_ARP, ETH_IP4, ETH_IP6, FRAGMENT, HOPOPTS,
                    ICMP4, ICMP6, ROUTING, TCP, UDP, VNET)
from harness import (GUEST_MAC, IP4, IP6, OUR_MAC, STREAMS, TIMEOUT, TUNS, check, equal,
                     main, test)


def still_works(env, ip):
    c = env.connect(ip)
    c.send("PA", b"hello")
    equal(env.recv(c.peer, 5), b"hello", "data")
    check(env.daemon.alive(), "the daemon ended")


def try_send(env, raw, vnet=None):
    """The kernel in between refuses some by itself"""
    if env.is_tun and len(raw) < 14:
        return
    with contextlib.suppress(OSError):
        env.guest.send(raw, vnet)


def exthdr(nexthdr, body=b""):
    """RFC 8200, 4.3 and 4.6: padded with a PadN option"""
    pad = -(len(body) + 2) % 8
    if pad == 1:
        body += b"\0"
    elif pad:
        body += bytes([1, pad - 2]) + bytes(pad - 2)
    return bytes([nexthdr, (len(body) + 2) // 8 - 1]) + body


def ext_packet(env, srv, chain, payload=b"hello", src=IP6.guest):
    """UDP to srv behind extension headers: a list of (number, function of next)"""
    dg = frames.udp(src, IP6.peer, env.next_port(), srv.getsockname()[1], payload)
    proto, body = UDP, dg
    for number, make in reversed(chain):
        body = make(proto) + body
        proto = number
    return frames.eth(OUR_MAC, GUEST_MAC, ETH_IP6,
                      frames.ip6(src, IP6.peer, proto, body))


def valid_frames(env, ip):
    """One of each kind that the daemon understands -> name: frame"""
    tcp_srv, udp_srv = env.listen(ip), env.udp_peer(ip)
    port, uport = tcp_srv.getsockname()[1], udp_srv.getsockname()[1]
    syn = frames.tcp(ip.guest, ip.peer, 1024, port, 1, 0, frames.SYN, 1000,
                     opts=frames.tcp_opts(mss=1000, ws=2))
    seg = frames.tcp(ip.guest, ip.peer, 1025, port, 1, 1, frames.ACK, 1000, b"data")
    dg = frames.udp(ip.guest, ip.peer, 1026, uport, b"datagram")
    proto = ICMP4 if ip.version == 4 else ICMP6
    ping = frames.echo(ip.guest, ip.peer, 1027, 1, b"ping")
    out = {"SYN": env.ip_frame(ip.guest, ip.peer, TCP, syn),
           "segment": env.ip_frame(ip.guest, ip.peer, TCP, seg),
           "datagram": env.ip_frame(ip.guest, ip.peer, UDP, dg),
           "echo": env.ip_frame(ip.guest, ip.peer, proto, ping),
           "fragment": frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, frames.fragment(
               ip.guest, ip.peer, UDP, dg, 0, True, 77))}
    if ip.version == 4:
        out["ARP"] = frames.eth(BROADCAST, GUEST_MAC, ETH_ARP, frames.arp(
            1, GUEST_MAC, ip.guest, bytes(6), "198.51.100.99"))
        out["options"] = env.ip_frame(ip.guest, ip.peer, UDP, dg,
                                      opts=b"\x01\x07\x07\x04\x00\x00\x00\x00")
    else:
        ns = bytes(4) + frames.pton(IP6.gw) + b"\1\1" + GUEST_MAC
        dst = frames.solicited_node(IP6.gw)
        out["NS"] = env.ip_frame(ip.guest, dst, ICMP6,
                                 frames.icmp(ip.guest, dst, 135, 0, ns), ttl=255)
        out["RS"] = env.ip_frame(ip.guest, "ff02::2", ICMP6, frames.icmp(
            ip.guest, "ff02::2", 133, 0, bytes(4) + b"\1\1" + GUEST_MAC), ttl=255)
        out["headers"] = ext_packet(env, udp_srv, [
            (HOPOPTS, exthdr), (DSTOPTS, exthdr), (ROUTING, lambda n: exthdr(
                n, b"\0\0" + bytes(4))), (DSTOPTS, exthdr)])
    return out, udp_srv, tcp_srv


@test("each kind of frame, cut at each byte, is dropped")
def truncated(env, ip):
    kinds, udp_srv, tcp_srv = valid_frames(env, ip)
    for name, raw in kinds.items():
        for n in range(1, len(raw)):
            try_send(env, raw[:n])
        env.barrier()
        p = env.guest.find(lambda p: True)
        check(not p, f"answer to a cut {name}: {p}")
    r, _, _ = select.select([udp_srv, tcp_srv], [], [], 0)
    check(not r, "a cut frame was delivered")
    still_works(env, ip)


@test("cut at each byte, with an IP length that agrees: no harm")
def truncated_consistent(env, ip):
    kinds, *_ = valid_frames(env, ip)
    for raw in kinds.values():
        for n in range(14 + ip.hdrlen, len(raw)):
            if raw[12:14] == b"\x08\x06":
                continue
            part = bytearray(raw[:n])
            if ip.version == 4:
                part[16:18] = struct.pack("!H", n - 14)
                part[24:26] = b"\0\0"
                hlen = (part[14] & 15) * 4
                part[24:26] = struct.pack("!H", frames.csum(bytes(part[14:14 + hlen])))
            else:
                part[18:20] = struct.pack("!H", n - 54)
            try_send(env, bytes(part))
    env.barrier()
    still_works(env, ip)


@test("each byte of each kind of frame changed, with and without right checksums")
def mutated(env, ip):
    kinds, *_ = valid_frames(env, ip)
    for raw in kinds.values():
        for at in range(12, len(raw)):
            for value in {0, 255, raw[at] ^ 1, raw[at] ^ 0x80} - {raw[at]}:
                part = bytearray(raw)
                part[at] = value
                try_send(env, bytes(part))
                if ip.version == 4 and raw[12:14] == b"\x08\x00" and at < 34 and \
                   at not in (24, 25):
                    part[24:26] = b"\0\0"
                    part[24:26] = struct.pack("!H", frames.csum(bytes(part[14:34])))
                    try_send(env, bytes(part))
            if at % 16 == 0:
                env.barrier()
                env.guest.pending.clear()
    env.barrier()
    still_works(env, ip)


@test("padding behind the packet is no data")
def padding(env, ip):
    srv = env.udp_peer(ip)
    dg = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"x")
    env.guest.send(env.ip_frame(ip.guest, ip.peer, UDP, dg) + b"padding" * 4)
    equal(srv.recv(100), b"x", "datagram")
    c = env.connect(ip)
    env.guest.send(c.frame("PA", b"data") + bytes(20))
    c.expect("A", ack=5)
    equal(env.recv(c.peer, 4), b"data", "data")
    env.guest.send(c.frame("A") + bytes(6))
    c.quiet("a pure ACK with padding is no data")
    env.nothing(c.peer)


@test("header lengths and versions that are impossible: IPv4", ip=(IP4,))
def bad_ip4(env, ip):
    srv = env.udp_peer(ip)
    dg = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"x")
    for kw in ({"ver_ihl": 0x44}, {"ver_ihl": 0x40}, {"ver_ihl": 0x4f},
               {"ver_ihl": 0x65}, {"ver_ihl": 0x35}, {"ver_ihl": 0x05},
               {"total": 0}, {"total": 19}, {"total": 20}, {"total": 27},
               {"total": 31}, {"total": 1000}, {"total": 65535}, {"checksum": 0x1234},
               {"checksum": 0}):
        env.send_ip(ip.guest, ip.peer, UDP, dg, **kw)
    env.nothing(srv)
    env.send_ip(ip.guest, ip.peer, UDP, dg)
    equal(srv.recv(10), b"x", "the right one")


@test("lengths and versions that are impossible: IPv6", ip=(IP6,))
def bad_ip6(env, ip):
    srv = env.udp_peer(ip)
    dg = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"x")
    for kw in ({"version": 4}, {"version": 0}, {"version": 15}, {"length": 0},
               {"length": 7}, {"length": 8}, {"length": 10}, {"length": 65535}):
        env.send_ip(ip.guest, ip.peer, UDP, dg, **kw)
    env.nothing(srv)
    env.send_ip(ip.guest, ip.peer, UDP, dg)
    equal(srv.recv(10), b"x", "the right one")


@test("UDP and TCP lengths that are impossible")
def bad_l4(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    for length in (0, 1, 7, 10, 100, 65535):
        dg = frames.udp(ip.guest, ip.peer, env.next_port(), port, b"x", length=length)
        env.send_ip(ip.guest, ip.peer, UDP, dg)
    env.nothing(srv)
    c = env.connect(ip)
    for doff in (0, 1, 4, 7, 15):
        c.send("PA", b"data", seq=1, doff=doff)
    c.send("PA", b"data", seq=1, checksum=0x1234)
    c.quiet("dropped")
    env.nothing(c.peer)
    c.send("PA", b"data")
    c.expect("A", ack=5)


@test("combinations of TCP flags that make no sense")
def flags(env, ip):
    srv = env.listen(ip)
    for bits in range(64):
        letters = frames.letters_of(bits).strip("-")
        c = env.conn(ip, srv.getsockname()[1])
        c.send(letters, seq=0)
    c = env.connect(ip)
    for bits in range(64):
        if not bits & frames.RST:
            c.send(frames.letters_of(bits & ~frames.FIN).strip("-"), seq=1)
    env.barrier()
    check(env.daemon.alive(), "alive")
    still_works(env, ip)


@test("other ethertypes, VLAN tags and group addresses as source")
def ethernet(env, ip):
    srv = env.udp_peer(ip)
    dg = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"x")
    packet = frames.ip(ip.guest, ip.peer, UDP, dg)
    for ethertype in (0, 46, 1500, 0x0801, 0x8100, 0x86dc, 0x88cc, 0xffff):
        try_send(env, frames.eth(OUR_MAC, GUEST_MAC, ethertype, packet))
    try_send(env, frames.eth(OUR_MAC, GUEST_MAC, 0x8100,
                             struct.pack("!HH", 1, ip.ethertype) + packet))
    for src in (BROADCAST, bytes.fromhex("010000000001"), bytes.fromhex("333300000001")):
        try_send(env, frames.eth(OUR_MAC, src, ip.ethertype, packet))
    other = ETH_IP6 if ip.version == 4 else ETH_IP4
    try_send(env, frames.eth(OUR_MAC, GUEST_MAC, other, packet))
    env.nothing(srv)


@test("protocols that nobody here speaks")
def protocols(env, ip):
    for proto in range(256):
        if proto not in (TCP, UDP, ICMP4, ICMP6):
            env.send_ip(ip.guest, ip.peer, proto, bytes(40))
    env.barrier()
    still_works(env, ip)


@test("options of the IP header are skipped", ip=(IP4,))
def ip_options(env, ip):
    srv = env.udp_peer(ip)
    for opts in (b"\x01\x01\x01\x00", b"\x07\x07\x04" + bytes(5), bytes(40)):
        dg = frames.udp(ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"x")
        env.send_ip(ip.guest, ip.peer, UDP, dg, opts=opts)
        equal(srv.recv(10), b"x", "datagram")


@test("extension headers are skipped in any sensible order", ip=(IP6,))
def ext_ok(env, ip):
    srv = env.udp_peer(ip)
    skip = lambda n: exthdr(n, b"\0\0" + bytes(4))	# routing, no segments left
    unknown = lambda n: exthdr(n, b"\x1e\x04abcd")	# an option that may be skipped
    for chain in ([(HOPOPTS, exthdr)], [(DSTOPTS, exthdr)], [(ROUTING, skip)],
                  [(HOPOPTS, exthdr), (DSTOPTS, unknown), (ROUTING, skip),
                   (DSTOPTS, exthdr)], [(DSTOPTS, lambda n: exthdr(n, bytes(200)))]):
        env.guest.send(ext_packet(env, srv, chain))
        equal(srv.recv(10), b"hello", f"behind {[n for n, _ in chain]}")


@test("extension headers that must not be ignored drop the packet", ip=(IP6,))
def ext_bad(env, ip):
    srv = env.udp_peer(ip)
    for chain in ([(DSTOPTS, exthdr), (HOPOPTS, exthdr)],
                  [(ROUTING, lambda n: exthdr(n, b"\0\1" + bytes(4)))],
                  [(DSTOPTS, lambda n: exthdr(n, b"\xc9\x10" + bytes(16)))],
                  [(HOPOPTS, lambda n: exthdr(n, b"\xc2\x04" + bytes(4)))],
                  [(DSTOPTS, lambda n: bytes([n, 255]) + bytes(6))],
                  [(DSTOPTS, lambda n: bytes([n, 0, 1, 200]) + bytes(4))],
                  [(DSTOPTS, exthdr)] * 100,
                  [(HOPOPTS, exthdr), (HOPOPTS, exthdr)],
                  [(51, lambda n: bytes([n, 1]) + bytes(10))], [(59, exthdr)],
                  [(FRAGMENT, lambda n: struct.pack("!BBHI", n, 0, 0, 1)),
                   (FRAGMENT, lambda n: struct.pack("!BBHI", n, 0, 0, 1))]):
        env.guest.send(ext_packet(env, srv, chain))
    env.nothing(srv)
    still_works(env, ip)


@test("2000 frames of noise")
def noise(env, ip):
    rnd = random.Random(20 + ip.version)
    for i in range(2000):
        size = rnd.choice((1, 13, 14, 15, 34, 54, 60, rnd.randrange(1, 1400)))
        raw = bytearray(rnd.randbytes(size))
        if size > 40 and i % 4:
            raw[:14] = frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, b"")
            raw[14] = rnd.choice((0x45, 0x46, 0x60, 0x4f))
            if i % 8 == 1:
                raw[23 if ip.version == 4 else 20] = rnd.choice((1, 6, 17, 58, 0, 44))
        try_send(env, bytes(raw))
        if i % 100 == 0:
            env.barrier()
            env.guest.pending.clear()
    env.barrier()
    lines = len(env.daemon.output().splitlines())
    check(lines < 200 or env.verbose, f"{lines} lines in the log")
    still_works(env, ip)


@test("2000 valid frames with a few bytes changed, checksums right, on live flows")
def near_valid(env, ip):
    rnd = random.Random(40 + ip.version)
    conns = [env.connect(ip) for _ in range(8)]
    uport = env.udp_peer(ip).getsockname()[1]
    for i in range(2000):
        c = rnd.choice(conns)
        if i % 3:
            seq = rnd.choice((c.nxt, 1, 0, 2, 1000, 70000, 1 << 31, rnd.getrandbits(32)))
            ack = rnd.choice((c.rcv, 1, 0, 2, 5000, 1 << 31, rnd.getrandbits(32)))
            opts = rnd.choice((b"", rnd.randbytes(4 * rnd.randrange(11))))
            bits = rnd.getrandbits(6) & ~(frames.RST if rnd.randrange(8) else 0)
            raw = frames.tcp(ip.guest, ip.peer, c.sport, c.dport, c.iss + seq,
                             (c.irs or 0) + ack, bits, rnd.choice((0, 1, 500, 65535)),
                             rnd.randbytes(rnd.choice((0, 1, 100, 1300))), opts)
            raw = env.ip_frame(ip.guest, ip.peer, TCP, raw)
        elif i % 2:
            raw = env.ip_frame(ip.guest, rnd.choice((ip.peer, ip.gw, ip.silent)), UDP,
                               frames.udp(ip.guest, ip.peer, rnd.getrandbits(16),
                                          rnd.choice((uport, rnd.getrandbits(16))),
                                          rnd.randbytes(rnd.randrange(1300))))
        else:
            raw = frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, frames.fragment(
                ip.guest, ip.peer, rnd.choice((TCP, UDP, ICMP4, ICMP6, 0)),
                rnd.randbytes(8 * rnd.randrange(150)), 8 * rnd.randrange(200),
                bool(rnd.getrandbits(1)), rnd.randrange(20)))
        try_send(env, raw)
        if i % 50 == 0:
            with contextlib.suppress(OSError):
                rnd.choice(conns).peer.send(rnd.randbytes(3000))
            env.barrier()
            env.guest.pending.clear()
    env.barrier()
    still_works(env, ip)


@test("virtio-net headers that contradict their frames", only=("tun",))
def vnet(env, ip):
    rnd = random.Random(60 + ip.version)
    c = env.connect(ip)
    uport = env.udp_peer(ip).getsockname()[1]
    for i in range(1500):
        if i % 2:
            raw = c.frame("PA", rnd.randbytes(rnd.choice((0, 1, 1400, 30000))), seq=1)
        else:
            raw = env.ip_frame(ip.guest, ip.peer, UDP, frames.udp(
                ip.guest, ip.peer, 999, uport, rnd.randbytes(rnd.choice((0, 9, 30000)))))
        l4 = 14 + ip.hdrlen
        head = VNET.pack(rnd.choice((0, 1, 1, 1, 2, 3)), rnd.choice((0, 1, 3, 4, 5, 0x81)),
                         rnd.choice((0, l4, l4 + 8, l4 + 20, 14, 65535)),
                         rnd.choice((0, 1, 100, 1448, 65535)),
                         rnd.choice((l4, l4, 0, 14, l4 + 20, 65535)),
                         rnd.choice((16, 6, 0, 65535)))
        try_send(env, raw, head)
        if i % 50 == 0:
            env.barrier()
    env.barrier()
    still_works(env, ip)


# --- the stream itself -----------------------------------------------------------------------

def own(env):
    d = env.spawn()
    env.stack.callback(d.stop)
    return d


def ends(d, what):
    while not d.link.closed:
        check(d.link.poll(TIMEOUT) or d.link.closed, f"{what}: the connection is still open")
    d.proc.wait(TIMEOUT)
    check(d.proc.returncode in (0, 1), f"{what}: status {d.proc.returncode}")


@test("an impossible length on the stream closes the connection", ip=(), only=STREAMS)
def stream_length(env):
    for length in (0, 65550, 1 << 20, (1 << 32) - 1):
        d = own(env)
        d.link.sock.sendall(struct.pack("!I", length) + b"x" * 100)
        ends(d, f"length {length}")


@test("frames byte by byte, and in pieces at any place", ip=(), only=STREAMS)
def stream_pieces(env):
    def ask(addr):
        raw = frames.eth(BROADCAST, GUEST_MAC, ETH_ARP, frames.arp(
            1, GUEST_MAC, IP4.guest, bytes(6), addr))
        return struct.pack("!I", len(raw)) + raw

    data = ask("198.51.100.10") + ask("198.51.100.11") + ask("198.51.100.12")
    for size in (1, 2, 3, 5, 7, 47, 50):
        for i in range(0, len(data), size):
            env.guest.sock.sendall(data[i:i + size])
        for last in (10, 11, 12):
            p = env.guest.wait(lambda p: p.kind == "arp")
            check(p, f"no answer, pieces of {size}")
            equal(p.spa, f"198.51.100.{last}", "answer")


@test("1000 frames in one write are all looked at", ip=(), only=STREAMS)
def stream_many(env):
    env.guest.send_many([frames.eth(BROADCAST, GUEST_MAC, ETH_ARP, frames.arp(
        1, GUEST_MAC, IP4.guest, bytes(6), f"198.51.100.{i % 200 + 2}"))
        for i in range(1000)])
    for i in range(1000):
        p = env.guest.wait(lambda p: p.kind == "arp")
        check(p, f"{i} answers")
        equal(p.spa, f"198.51.100.{i % 200 + 2}", "answer")


@test("the largest frame there is", ip=(), only=STREAMS)
def stream_largest(env):
    raw = frames.eth(OUR_MAC, GUEST_MAC, 0x1234, bytes(65535))
    env.guest.send_many([raw] * 20)
    env.barrier()


@test("the end of the stream, in a frame or between two, ends the daemon", ip=(),
      only=STREAMS)
def stream_end(env):
    for rest in (b"", b"\0\0", struct.pack("!I", 100) + b"cut"):
        d = own(env)
        d.link.sock.sendall(rest)
        d.link.sock.shutdown(socket.SHUT_WR)
        ends(d, "end of file")


@test("a guest that vanishes while it gets data ends the daemon", ip=(), only=STREAMS)
def stream_vanishes(env):
    d = own(env)
    srv = env.listen(IP4)
    c = env.conn(IP4, srv.getsockname()[1], link=d.link).open(srv)
    c.peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        c.peer.send(os.urandom(1 << 20))
    d.link.sock.close()
    d.proc.wait(TIMEOUT)
    check(d.proc.returncode in (0, 1), f"status {d.proc.returncode}")


@test("the end of the command ends the daemon", ip=(), only=TUNS)
def command_ends(env):
    d = own(env)
    d.control.close()
    d.proc.wait(TIMEOUT)
    equal(d.proc.returncode, 0, "status")


main()
