#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP: datagrams of every size, ports that show through, errors that come back"""

import select
import socket
import struct

import frames
from frames import ICMP4, ICMP6, UDP, VNET
from harness import (GUEST_MAC, IP4, IP6, OUR_LL, OUR_MAC, SMALL_FLOWS, STREAMS,
                     Failed, check, equal, main, test, wait_until)

UNREACH = {4: 3, 6: 1}
PORT_UNREACH = {4: (3, 3), 6: (1, 4)}


def pattern(size):
    return bytes(i * 7 + size & 0xff for i in range(size))


def ask(env, ip, srv, data, sport=None, dst=None, **kw):
    """Datagram of the guest to a socket -> (source port, what the socket got, from whom)"""
    sport = sport or env.next_port()
    env.send_udp(ip, sport, dst or srv.getsockname()[0], srv.getsockname()[1], data, **kw)
    return (sport, *receive(srv, data))


def receive(srv, data):
    try:
        got, src = srv.recvfrom(70000)
    except TimeoutError:
        raise Failed(f"datagram of {len(data)} bytes does not arrive") from None
    equal(got, data, "data")
    return got, src


def largest(env, ip):
    """Bytes that fit a packet of the link"""
    return env.mtu - ip.hdrlen - 8


# --- there and back ------------------------------------------------------------------------

@test("echo of 0, 1, 1232 and as many bytes as the MTU allows")
def sizes(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    for n in (0, 1, 2, 1232, min(largest(env, ip), 1472), min(largest(env, ip), 9000)):
        data = pattern(n)
        sport, _, src = ask(env, ip, srv, data)
        srv.sendto(data, src)
        env.expect_udp(sport, ip.peer, port, data)


@test("a datagram of 65000 bytes: fragments or one frame")
def huge(env, ip):
    srv = env.udp_peer(ip)
    port, data = srv.getsockname()[1], pattern(65000)
    sport = env.next_port()
    if largest(env, ip) >= len(data):
        env.send_udp(ip, sport, ip.peer, port, data)
    else:
        size = (env.mtu - ip.hdrlen - 8) // 8 * 8
        dg = frames.udp(ip.guest, ip.peer, sport, port, data)
        env.guest.send_many([
            frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, f) for f in
            frames.fragments(ip.guest, ip.peer, UDP, dg, size, env.next_port())])
    _, src = receive(srv, data)
    srv.sendto(data, src)
    p = env.expect_udp(sport, ip.peer, port, data)
    if not env.jumbo and env.mtu == 1500:
        check(p.fragments > 40, "not in fragments")


@test("sizes around the MTU, to the guest")
def around_mtu(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    sport, _, src = ask(env, ip, srv, b"x")
    for n in range(largest(env, ip) - 9, min(largest(env, ip) + 10, 65500)):
        data = pattern(n)
        srv.sendto(data, src)
        p = env.expect_udp(sport, ip.peer, port, data)
        if not env.jumbo:
            equal(bool(p.fragments), n > largest(env, ip), "fragmented")


@test("a UDP datagram of the largest size there is", ip=(IP4,))
def largest_udp(env, ip):
    srv = env.udp_peer(ip)
    port, data = srv.getsockname()[1], pattern(65507)
    sport, _, src = ask(env, ip, srv, b"x")
    srv.sendto(data, src)
    env.expect_udp(sport, ip.peer, port, data)


@test("the guest's source port shows through where it is free")
def port_shows(env, ip):
    srv = env.udp_peer(ip)
    sport, _, src = ask(env, ip, srv, b"hello")
    equal(src[1], sport, "port")


@test("a source port that the host uses is replaced")
def port_taken(env, ip):
    srv = env.udp_peer(ip)
    taken = env.udp_peer(ip, "0.0.0.0" if ip.version == 4 else "::")
    sport, _, src = ask(env, ip, srv, b"hello", sport=taken.getsockname()[1])
    check(src[1] != sport, "same port")
    srv.sendto(b"back", src)
    env.expect_udp(sport, ip.peer, srv.getsockname()[1], b"back")


@test("one port of the guest, two destinations: same mapping, no mix-up")
def one_port_two_peers(env, ip):
    one, two = env.udp_peer(ip), env.udp_peer(ip, ip.peer2)
    sport, _, src1 = ask(env, ip, one, b"to one")
    _, _, src2 = ask(env, ip, two, b"to two", sport=sport)
    equal((src1[1], src2[1]), (sport, sport), "ports")
    two.sendto(b"from two", src2)
    one.sendto(b"from one", src1)
    got = {}
    for _ in range(2):
        p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == sport)
        check(p, "no answer")
        got[p.src, p.sport] = p.data
    equal(got, {(ip.peer, one.getsockname()[1]): b"from one",
                (ip.peer2, two.getsockname()[1]): b"from two"}, "answers")


@test("an answer from another port or address arrives, and can be answered")
def other_source(env, ip):
    srv, others = env.udp_peer(ip), (env.udp_peer(ip), env.udp_peer(ip, ip.peer2))
    sport, _, src = ask(env, ip, srv, b"hello")
    for other in others:
        addr, port = other.getsockname()[:2]
        other.sendto(b"from elsewhere", src)
        env.expect_udp(sport, addr, port, b"from elsewhere")
        ask(env, ip, other, b"acknowledged", sport=sport, dst=addr)
    srv.sendto(b"answer", src)
    env.expect_udp(sport, ip.peer, srv.getsockname()[1], b"answer")


@test("an answer from another port of the host's loopback comes from the gateway")
def other_source_loopback(env, ip):
    srv, other = env.udp_peer(ip, ip.loop), env.udp_peer(ip, ip.loop)
    sport, _, src = ask(env, ip, srv, b"hello", dst=ip.gw)
    other.sendto(b"from elsewhere", src)
    env.expect_udp(sport, ip.gw, other.getsockname()[1], b"from elsewhere")
    ask(env, ip, other, b"acknowledged", sport=sport, dst=ip.gw)


@test("two names of one peer, one port of the guest: each answer has its name", ip=(IP6,))
def two_names(env, ip):
    srv = env.udp_peer(ip, ip.loop)
    port = srv.getsockname()[1]
    sport, _, src1 = ask(env, ip, srv, b"first", dst=ip.gw)
    _, _, src2 = ask(env, ip, srv, b"second", sport=sport, dst=OUR_LL)
    check(src1 != src2, "one source for both")
    srv.sendto(b"to second", src2)
    env.expect_udp(sport, OUR_LL, port, b"to second")
    srv.sendto(b"to first", src1)
    env.expect_udp(sport, ip.gw, port, b"to first")


@test("what the guest sends to another of its own ports, by the host, is refused")
def no_hairpin(env, ip):
    srv = env.udp_peer(ip)
    one, _, _ = ask(env, ip, srv, b"hello")
    sport = env.next_port()
    env.send_udp(ip, sport, ip.gw, one, b"hello")
    p = env.guest.wait(lambda p: p.kind in ("icmp", "udp"))
    check(p, "no answer")
    equal((p.kind, p.src), ("icmp", ip.gw), "answer")


@test("a mapped port is nobody else's: no socket can be bound beside it")
def port_exclusive(env, ip):
    srv = env.udp_peer(ip)
    _, _, src = ask(env, ip, srv, b"hello")
    for option in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):
        with socket.socket(ip.af, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                s.bind((src[0], src[1]))
            except OSError:
                continue
            raise Failed(f"bound with option {option}")


@test("the gateway's address is the host's loopback")
def gateway(env, ip):
    srv = env.udp_peer(ip, ip.loop)
    port = srv.getsockname()[1]
    sport, _, src = ask(env, ip, srv, b"hello", dst=ip.gw)
    equal(src[0], ip.loop, "source")
    srv.sendto(b"back", src)
    env.expect_udp(sport, ip.gw, port, b"back")


@test("our link-local address is the host's loopback, too", ip=(IP6,))
def link_local(env, ip):
    srv = env.udp_peer(ip, ip.loop)
    sport, _, src = ask(env, ip, srv, b"hello", dst=OUR_LL)
    srv.sendto(b"back", src)
    env.expect_udp(sport, OUR_LL, srv.getsockname()[1], b"back")


@test("the host's loopback itself can't be reached")
def loopback_is_private(env, ip):
    srv = env.udp_peer(ip, ip.loop)
    env.send_udp(ip, env.next_port(), ip.loop, srv.getsockname()[1], b"hello")
    env.nothing(srv)


@test("source and destination port may be equal")
def equal_ports(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    sport, _, src = ask(env, ip, srv, b"hello", sport=port)
    srv.sendto(b"back", src)
    env.expect_udp(sport, ip.peer, port, b"back")


@test("equal ports and nobody there: the flow does not talk to itself")
def no_self(env, ip):
    with env.udp_peer(ip) as srv:
        port = srv.getsockname()[1]
    env.send_udp(ip, port, ip.peer, port, b"hello")
    p = env.guest.wait(lambda p: p.kind in ("icmp", "udp"))
    check(p, "no answer")
    equal(p.kind, "icmp", "answer")


@test("a burst in one batch keeps its order and its sizes")
def burst_out(env, ip):
    srv = env.udp_peer(ip)
    port, sport = srv.getsockname()[1], env.next_port()
    sizes_ = [100] * 5 + [100, 50, 100, 0, 700, 700, 700, 1, 1400] + [1000] * 6 + [10]
    data = [pattern(n) + b"" for n in sizes_]
    with env.daemon.paused():
        env.guest.send_many([env.ip_frame(
            ip.guest, ip.peer, UDP, frames.udp(ip.guest, ip.peer, sport, port, d))
            for d in data])
    for d in data:
        receive(srv, d)


@test("bursts of several flows in one batch do not mix")
def burst_mixed(env, ip):
    srv = [env.udp_peer(ip) for _ in range(3)]
    ports = [env.next_port() for _ in range(2)]
    sent = []
    for i in range(30):
        sent.append((i % 3, ports[i // 5 % 2], b"%02d" % i + pattern(i % 4 * 100)))
    with env.daemon.paused():
        env.guest.send_many([env.ip_frame(ip.guest, ip.peer, UDP, frames.udp(
            ip.guest, ip.peer, sport, srv[k].getsockname()[1], d)) for k, sport, d in sent])
    for k in range(3):
        got = {p: [] for p in ports}
        for _ in range(10):
            d, src = srv[k].recvfrom(2000)
            got[src[1]].append(d)
        for p in ports:
            equal(got[p], [d for kk, sport, d in sent if (kk, sport) == (k, p)], "order")


def split(p):
    """Datagrams of an unsegmented frame"""
    if not p.gso:
        return [p.data]
    return [p.data[i:i + p.gso] for i in range(0, len(p.data), p.gso)]


@test("bursts of the peer keep order and sizes, equal ones and odd ones")
def burst_in(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    sport, _, src = ask(env, ip, srv, b"x")
    top = min(1400, largest(env, ip))
    for plan in ([500] * 40, [500] * 20 + [100] + [500] * 10, [0, 0, 1, 0, 2, 0],
                 [top] * 30, [3, 2, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 5, 2, 2],
                 [200] * 10 + [600] + [200] * 10 + [0] + [200] * 3,
                 [largest(env, ip)] * 6 if env.mtu < 2000 else [16000] * 4):
        data = [bytes([i]) * n for i, n in enumerate(plan)]
        with env.daemon.paused():
            for d in data:
                srv.sendto(d, src)
        got = []
        while len(got) < len(data):
            p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == sport)
            check(p, f"{len(got)} of {len(data)} came")
            equal((p.src, p.sport), (ip.peer, port), "source")
            got += split(p)
        equal([len(d) for d in got], [len(d) for d in data], "sizes")
        equal(got, data, "data")


@test("datagrams that the peer sends as one message come as datagrams")
def gso_in(env, ip):
    srv = env.udp_peer(ip)
    sport, _, src = ask(env, ip, srv, b"x")
    data = pattern(20 * 1000 + 300)
    srv.sendmsg([data], [(socket.IPPROTO_UDP, 103, struct.pack("H", 1000))], 0, src)
    got = []
    while len(b"".join(got)) < len(data):
        p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == sport)
        check(p, f"{len(got)} came")
        got += split(p)
    equal([len(d) for d in got], [1000] * 20 + [300], "sizes")
    equal(b"".join(got), data, "data")


@test("an unsegmented frame of the guest is sent as datagrams", only=("tun",))
def uso_out(env, ip):
    srv = env.udp_peer(ip)
    port, sport = srv.getsockname()[1], env.next_port()
    data = pattern(10 * 1000 + 77)
    dg = frames.udp(ip.guest, ip.peer, sport, port, data)
    dg = frames.put16(dg, 6, frames.csum_raw(
        frames.pseudo(ip.guest, ip.peer, UDP, len(dg))))
    raw = env.ip_frame(ip.guest, ip.peer, UDP, dg)
    l4 = 14 + ip.hdrlen
    env.guest.send(raw, VNET.pack(frames.NEEDS_CSUM, frames.GSO_UDP_L4, l4 + 8, 1000,
                                  l4, 6))
    for i in range(0, len(data), 1000):
        receive(srv, data[i:i + 1000])


@test("a UDP checksum of zero is none: IPv4", ip=(IP4,))
def no_checksum(env, ip):
    srv = env.udp_peer(ip)
    env.send_ip(ip.guest, ip.peer, UDP, frames.udp(
        ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"hello", checksum=0))
    receive(srv, b"hello")


@test("a UDP checksum of zero is wrong: IPv6", ip=(IP6,))
def checksum_missing(env, ip):
    srv = env.udp_peer(ip)
    env.send_ip(ip.guest, ip.peer, UDP, frames.udp(
        ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"hello", checksum=0))
    env.nothing(srv)


@test("a wrong checksum is dropped")
def bad_checksum(env, ip):
    srv = env.udp_peer(ip)
    env.send_ip(ip.guest, ip.peer, UDP, frames.udp(
        ip.guest, ip.peer, env.next_port(), srv.getsockname()[1], b"hello",
        checksum=0x1234))
    env.nothing(srv)


# --- what the network sees ------------------------------------------------------------------

def on_wire(env, port):
    p = env.net.wait(lambda p: p.kind == "udp" and p.dport == port)
    check(p, "nothing on the host's network")
    return p


@test("hop limit and traffic class of the guest show through, and change")
def ttl_out(env, ip):
    port, sport = env.next_port(), env.next_port()
    for ttl, tos in ((64, 0), (1, 0), (1, 0x20), (200, 0xb8), (64, 0)):
        env.send_udp(ip, sport, ip.silent, port, b"x", ttl=ttl, tos=tos)
        p = on_wire(env, port)
        equal((p.ttl, p.tos, p.sport), (ttl, tos, sport), "hop limit, class, port")


@test("traffic class of the peer shows through")
def tos_in(env, ip):
    srv = env.udp_peer(ip)
    sport, _, src = ask(env, ip, srv, b"x")
    if ip.version == 4:
        srv.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8)
    else:
        srv.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xb8)
    srv.sendto(b"back", src)
    p = env.expect_udp(sport, ip.peer, srv.getsockname()[1], b"back")
    equal(p.tos, 0xb8, "traffic class")


@test("hop limit of the peer shows through")
def ttl_in(env, ip):
    port, sport = env.next_port(), env.next_port()
    env.send_udp(ip, sport, ip.silent, port, b"x")
    p = on_wire(env, port)
    env.net.send(frames.eth(env.host_mac, env.net.mac, ip.ethertype, frames.ip(
        ip.silent, p.src, UDP, frames.udp(ip.silent, p.src, port, p.sport, b"back"),
        ttl=57)))
    q = env.expect_udp(sport, ip.silent, port, b"back")
    equal(q.ttl, 57, "hop limit")


# --- errors -----------------------------------------------------------------------------------

def icmp_error(env, ip, kind, code, sport, dst, dport, payload=None):
    """The error comes, quotes what the guest sent"""
    p = env.guest.wait(lambda p: p.kind == "icmp" and (":" in p.dst) == (ip.version == 6))
    check(p, "no ICMP error")
    equal((p.type, p.code, p.dst), (kind, code, ip.guest), "type, code, destination")
    q = p.data
    if ip.version == 4:
        equal(q[0] >> 4, 4, "version of the quoted packet")
        equal(frames.csum(q[:20]), 0, "checksum of the quoted header")
        src4, dst4 = frames.ntop(q[12:16]), frames.ntop(q[16:20])
        equal((q[9], src4, dst4), (UDP, ip.guest, dst), "quoted addresses")
        length = struct.unpack_from("!H", q, 2)[0]
        l4 = q[20:]
    else:
        equal(q[0] >> 4, 6, "version of the quoted packet")
        equal((q[6], frames.ntop(q[8:24]), frames.ntop(q[24:40])),
              (UDP, ip.guest, dst), "quoted addresses")
        length = struct.unpack_from("!H", q, 4)[0] + 40
        l4 = q[40:]
    s, d, ulen, _ = struct.unpack_from("!HHHH", l4)
    equal((s, d), (sport, dport), "quoted ports")
    if payload is not None:
        equal(ulen, 8 + len(payload), "quoted UDP length")
        equal(length, ip.hdrlen + ulen, "quoted IP length")
        check(payload.startswith(l4[8:]), "quoted data")
    return p


@test("a closed port: port unreachable, quoting the datagram")
def port_unreachable(env, ip):
    with env.udp_peer(ip) as srv:
        port = srv.getsockname()[1]
    sport = env.next_port()
    for data in (b"hello there", b"", b"again"):
        env.send_udp(ip, sport, ip.peer, port, data)
        p = icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, ip.peer, port, data)
        equal(p.src, ip.peer, "from whom the guest dialled")


@test("a closed port of the host's loopback: the error comes from the gateway")
def port_unreachable_gw(env, ip):
    with env.udp_peer(ip, ip.loop) as srv:
        port = srv.getsockname()[1]
    sport = env.next_port()
    env.send_udp(ip, sport, ip.gw, port, b"hello")
    p = icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, ip.gw, port, b"hello")
    equal(p.src, ip.gw, "source")


@test("errors of closed ports cost no datagram to another peer")
def errors_of_others(env, ip):
    srv, sport = env.udp_peer(ip, ip.peer2), env.next_port()
    with env.udp_peer(ip) as closed:
        port = closed.getsockname()[1]
    for i in range(30):
        data = b"%d" % i
        for _ in range(3):
            env.send_udp(ip, sport, ip.peer, port, b"nobody is there")
        ask(env, ip, srv, data, sport=sport, dst=ip.peer2)
    p = icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, ip.peer, port)
    equal(p.src, ip.peer, "from whom the guest dialled")


@test("after an error the flow works once somebody is there")
def error_then_service(env, ip):
    with env.udp_peer(ip) as srv:
        port = srv.getsockname()[1]
    sport = env.next_port()
    env.send_udp(ip, sport, ip.peer, port, b"nobody")
    icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, ip.peer, port, b"nobody")
    srv = env.udp_peer(ip, port=port)
    ask(env, ip, srv, b"somebody", sport=sport)


@test("no route: unreachable")
def no_route(env, ip):
    sport = env.next_port()
    env.send_udp(ip, sport, ip.denied, 53, b"hello")
    p = env.guest.wait(lambda p: p.kind == "icmp")
    check(p, "no ICMP error")
    equal(p.type, UNREACH[ip.version], "type")
    icmp_ok = (0, 1) if ip.version == 4 else (0, 3)
    check(p.code in icmp_ok, f"code {p.code}")


def network_error(env, ip, kind, code, word, offender, sent):
    """An ICMP error about a datagram that was seen on the host's network"""
    quoted = sent.raw[14:14 + ip.hdrlen + 8 + 64]
    rest = struct.pack("!I", word) + quoted
    proto = ICMP4 if ip.version == 4 else ICMP6
    env.net.send(frames.eth(env.host_mac, env.net.mac, ip.ethertype, frames.ip(
        offender, sent.src, proto,
        frames.icmp(offender, sent.src, kind, code, rest))))


@test("errors of the network come back with type, code and who sent them")
def router_errors(env, ip):
    router = "203.0.113.200" if ip.version == 4 else "2001:db8:2::200"
    # In IPv6, an unknown protocol is told by the place of "next header" in the packet
    cases = ((3, 1, 0), (3, 13, 0), (3, 3, 0), (3, 2, 0), (11, 0, 0)) \
        if ip.version == 4 else ((1, 3, 0), (1, 1, 0), (1, 4, 0), (4, 1, 6), (3, 0, 0))
    for kind, code, word in cases:
        port, sport = env.next_port(), env.next_port()
        env.send_udp(ip, sport, ip.silent, port, b"probe")
        sent = on_wire(env, port)
        network_error(env, ip, kind, code, word, router, sent)
        p = icmp_error(env, ip, kind, code, sport, ip.silent, port)
        equal((p.src, p.word), (router, word), "offender, second word")


@test("a packet that was too big: the error has the MTU of the path")
def too_big(env, ip):
    port, sport = env.next_port(), env.next_port()
    env.send_udp(ip, sport, ip.silent, port, bytes(1400))
    sent = on_wire(env, port)
    router = "203.0.113.200" if ip.version == 4 else "2001:db8:2::200"
    kind, code = (3, 4) if ip.version == 4 else (2, 0)
    network_error(env, ip, kind, code, 1300, router, sent)
    p = icmp_error(env, ip, kind, code, sport, ip.silent, port)
    equal(p.word & 0xffff, 1300, "MTU")


@test("an error of the destination itself comes from there")
def peer_error(env, ip):
    port, sport = env.next_port(), env.next_port()
    env.send_udp(ip, sport, ip.silent, port, b"probe")
    sent = on_wire(env, port)
    network_error(env, ip, *PORT_UNREACH[ip.version], 0, ip.silent, sent)
    p = icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, ip.silent, port)
    equal(p.src, ip.silent, "source")


@test("an error in the host's own words has an address that the guest can accept")
def own_error(env, ip):
    with env.udp_peer(ip) as srv:
        port = srv.getsockname()[1]
    sport = env.next_port()
    env.send_udp(ip, sport, ip.peer, port, b"x")
    p = env.guest.wait(lambda p: p.kind == "icmp")
    check(p and p.src not in (ip.guest, ip.loop), f"error from {p and p.src}")


# --- a name server of the other family ----------------------------------------------------------

IP_RECVTTL = 12
FORWARD = {4: "169.254.1.1", 6: "2001:db8:5::53"}


@test("queries to a name server of the other family: bytes, ports, TTL, errors")
def other_family(env, ip):
    other, fwd = IP6 if ip is IP4 else IP4, FORWARD[ip.version]
    d = env.spawn("--dns-forward", fwd, "--dns-host", other.peer)
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))
    sport = env.next_port()
    with env.udp_peer(other, port=53) as srv:
        level, option, kind = (socket.IPPROTO_IP, IP_RECVTTL, socket.IP_TTL) \
            if other is IP4 else (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT,
                                  socket.IPV6_HOPLIMIT)
        srv.setsockopt(level, option, 1)
        for n in (0, 17, 1200):
            data = pattern(n)
            env.send_udp(ip, sport, fwd, 53, data, ttl=9)
            got, cmsgs, _, src = srv.recvmsg(9000, 200)
            equal((got, src[1]), (data, sport), "data, port")
            equal([(c[1], c[2][0]) for c in cmsgs], [(kind, 9)], "TTL")
            srv.sendto(data, src)
            env.expect_udp(sport, fwd, 53, data)
    for data in (b"hello there", b"", b"again"):
        env.send_udp(ip, sport, fwd, 53, data)
        p = icmp_error(env, ip, *PORT_UNREACH[ip.version], sport, fwd, 53, data)
        equal(p.src, fwd, "from whom the guest dialled")


@test("a name server of the other family that can't be reached is unreachable")
def other_family_no_route(env, ip):
    other, fwd = IP6 if ip is IP4 else IP4, FORWARD[ip.version]
    d = env.spawn("--dns-forward", fwd, "--dns-host", other.denied)
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))
    env.send_udp(ip, env.next_port(), fwd, 53, b"hello")
    p = env.guest.wait(lambda p: p.kind == "icmp")
    check(p, "no ICMP error")
    equal(p.type, UNREACH[ip.version], "type")


# --- nonsense, and much -----------------------------------------------------------------------

@test("broadcast, multicast and impossible destinations do no harm")
def odd_destinations(env, ip):
    for dst in (("255.255.255.255", "198.51.100.255", "224.0.0.251", "0.0.0.0",
                 "239.255.255.250") if ip.version == 4 else
                ("ff02::fb", "ff05::1:3", "::", "ff02::1:2")):
        for port in (1, 67, 5353, 547):
            env.send_udp(ip, env.next_port(), dst, port, b"anybody?")
    for port in (0, 67, 68, 546, 547):
        env.send_udp(ip, env.next_port(), ip.gw, port, b"x")
    env.send_udp(ip, 0, ip.peer, 9, b"port zero")
    env.barrier()


@test("a source without an address, or with an impossible one, is nobody's")
def odd_sources(env, ip):
    srv = env.udp_peer(ip)
    for src in (("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255")
                if ip.version == 4 else ("::", "::1", "ff02::1", "::ffff:198.51.100.1")):
        env.send_ip(src, ip.peer, UDP, frames.udp(
            src, ip.peer, env.next_port(), srv.getsockname()[1], b"x"))
    env.nothing(srv)


@test("200 flows at once")
def many(env, ip):
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    sports = [env.next_port() for _ in range(200)]
    for i in range(0, 200, 20):
        env.guest.send_many([env.ip_frame(ip.guest, ip.peer, UDP, frames.udp(
            ip.guest, ip.peer, s, port, b"%d" % s)) for s in sports[i:i + 20]])
    for _ in sports:
        data, src = srv.recvfrom(100)
        equal(src[1], int(data), "port")
        srv.sendto(data, src)
    for s in sports:
        env.expect_udp(s, ip.peer, port, b"%d" % s)


@test("a flood of flows: one in use stays, new ones find room, TCP too", cut=False)
def table_full(env, ip):
    d = env.spawn_small()
    idle = d.fds()
    srv = env.udp_peer(ip)
    port = srv.getsockname()[1]
    first, _, src = ask(env, ip, srv, b"first", link=d.link)
    srv.sendto(b"back", src)
    env.expect_udp(first, ip.peer, port, b"back", link=d.link)
    for _ in range(40):
        env.send_udp(ip, env.next_port(), ip.peer, port, b"more", link=d.link)
        receive(srv, b"more")
    env.barrier(d.link)
    srv.sendto(b"back", src)
    env.expect_udp(first, ip.peer, port, b"back", link=d.link)
    with env.listen(ip) as tcp:
        env.conn(ip, tcp.getsockname()[1], link=d.link).open(tcp)
    for _ in range(40):
        env.send_udp(ip, env.next_port(), ip.peer, port, b"more", link=d.link)
        receive(srv, b"more")
    env.barrier(d.link)
    # An entry holds one descriptor at most.  How many do depends on which entries are
    # evicted of those that had their last datagram in the same millisecond.
    wait_until(lambda: d.fds() <= idle + SMALL_FLOWS,
               "sockets of flows that ended are closed")


@test("a guest that does not read is not waited for, and catches up", only=STREAMS)
def guest_sleeps(env, ip):
    srv = env.udp_peer(ip)
    sport, _, src = ask(env, ip, srv, b"x")
    for _ in range(1500):
        srv.sendto(bytes(1400), src)
    check(not env.daemon.spins(0.4, 0.25), "the daemon spins while nobody reads")
    while env.guest.poll(0.1):
        pass
    check(len(env.guest.pending) > 20, f"only {len(env.guest.pending)} came")
    env.guest.pending.clear()
    srv.sendto(b"awake?", src)
    env.expect_udp(sport, ip.peer, srv.getsockname()[1], b"awake?")


main()
