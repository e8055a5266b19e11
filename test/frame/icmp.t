#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP and ICMPv6: echo through ping sockets, and what is no echo"""

import struct

import frames
from frames import ICMP4, ICMP6
from harness import GUEST_MAC, OUR_MAC, check, equal, main, test


def proto(ip):
    return ICMP4 if ip.version == 4 else ICMP6


def ping(env, ip, dst, ident, seq, data=b"", **kw):
    env.send_ip(ip.guest, dst, proto(ip), frames.echo(ip.guest, dst, ident, seq, data),
                **kw)


def is_reply(ip, ident=None):
    kind = 0 if ip.version == 4 else 129
    return lambda p: (p.kind == "icmp" and p.type == kind and
                      (ident is None or p.ident == ident))


def pong(env, ip, src, ident, seq, data=b""):
    p = env.guest.wait(is_reply(ip, ident))
    check(p, f"no reply to {ident}/{seq}")
    equal((p.src, p.dst, p.code), (src, ip.guest, 0), "source, destination, code")
    equal((p.ident, p.echo_seq), (ident, seq), "identifier, sequence")
    equal(p.data, data, "data")
    return p


def no_reply(env, ip):
    env.barrier(pause=0.02)
    p = env.guest.find(is_reply(ip))
    check(not p, f"answered: {p}")


@test("echo of a peer: identifier, sequence and data come back")
def echo(env, ip):
    ident = env.next_port()
    for seq in (0, 1, 2, 65535, 7):
        data = bytes(range(56))
        ping(env, ip, ip.peer, ident, seq, data)
        pong(env, ip, ip.peer, ident, seq, data)


@test("echo of 0, 1, 1400 and as many bytes as the MTU allows")
def sizes(env, ip):
    ident = env.next_port()
    for n in (0, 1, 1400, min(env.mtu - ip.hdrlen - 8, 60000)):
        data = bytes(i & 0xff for i in range(n))
        ping(env, ip, ip.peer, ident, n & 0xffff, data)
        pong(env, ip, ip.peer, ident, n & 0xffff, data)


@test("a fragmented echo request is answered, in fragments if need be")
def fragmented(env, ip):
    ident, data = env.next_port(), bytes(i * 3 & 0xff for i in range(4000))
    msg = frames.echo(ip.guest, ip.peer, ident, 1, data)
    env.guest.send_many([frames.eth(OUR_MAC, GUEST_MAC, ip.ethertype, f) for f in
                         frames.fragments(ip.guest, ip.peer, proto(ip), msg, 1400,
                                          env.next_port())])
    p = pong(env, ip, ip.peer, ident, 1, data)
    if env.mtu == 1500 and not env.jumbo:
        check(p.fragments == 3, f"{p.fragments} fragments")


@test("echo of the gateway: the host's loopback answers")
def gateway(env, ip):
    ident = env.next_port()
    ping(env, ip, ip.gw, ident, 1, b"hello")
    pong(env, ip, ip.gw, ident, 1, b"hello")


@test("a flood of identifiers leaves TCP and UDP what they need, and itself its share")
def flood(env, ip):
    d = env.spawn(nofile=128)
    env.stack.callback(d.stop)
    srv, u = env.listen(ip), env.udp_peer(ip)
    port = u.getsockname()[1]
    for _ in range(20):
        for _ in range(20):
            ping(env, ip, ip.peer, env.next_port(), 1, link=d.link)
        env.barrier(d.link)
    d.link.pending.clear()
    check(d.fds() <= 128, f"{d.fds()} descriptors")
    conns = [env.conn(ip, srv.getsockname()[1], link=d.link).open(srv)
             for _ in range(30)]
    for i in range(8):
        sport = env.next_port()
        env.send_udp(ip, sport, ip.peer, port, b"%d" % i, link=d.link)
        data, src = u.recvfrom(9)
        u.sendto(data, src)
        env.expect_udp(sport, ip.peer, port, b"%d" % i, link=d.link)
    ident = env.next_port()
    ping(env, ip, ip.peer, ident, 7, link=d.link)
    check(d.link.wait(is_reply(ip, ident)), "no reply beside connections")
    conns[0].send("PA", b"alive")
    equal(env.recv(conns[0].peer, 5), b"alive", "data")


@test("identifiers at the ends of the range work")
def identifiers(env, ip):
    for ident in (0, 1, 255, 256, 65535):
        ping(env, ip, ip.peer, ident, 3, b"x")
        pong(env, ip, ip.peer, ident, 3, b"x")


@test("two identifiers to the same peer, and one to two peers, do not mix")
def no_mix(env, ip):
    one, two = env.next_port(), env.next_port()
    with env.daemon.paused():
        ping(env, ip, ip.peer, one, 1, b"one to 1")
        ping(env, ip, ip.peer2, one, 2, b"one to 2")
        ping(env, ip, ip.peer, two, 3, b"two to 1")
        ping(env, ip, ip.gw, two, 4, b"two to gw")
    for src, ident, seq, data in ((ip.peer, one, 1, b"one to 1"),
                                  (ip.peer2, one, 2, b"one to 2"),
                                  (ip.peer, two, 3, b"two to 1"),
                                  (ip.gw, two, 4, b"two to gw")):
        p = env.guest.wait(lambda p, s=seq: is_reply(ip)(p) and p.echo_seq == s)
        check(p, f"no reply to {data}")
        equal((p.src, p.ident, p.data), (src, ident, data), "reply")


@test("100 requests in a row are all answered, in order")
def many(env, ip):
    ident = env.next_port()
    env.guest.send_many([env.ip_frame(ip.guest, ip.peer, proto(ip), frames.echo(
        ip.guest, ip.peer, ident, i, b"%d" % i)) for i in range(100)])
    for i in range(100):
        pong(env, ip, ip.peer, ident, i, b"%d" % i)


@test("100 identifiers at once")
def many_ids(env, ip):
    idents = [env.next_port() for _ in range(100)]
    env.guest.send_many([env.ip_frame(ip.guest, ip.peer, proto(ip), frames.echo(
        ip.guest, ip.peer, i, 1, b"%d" % i)) for i in idents])
    for i in idents:
        pong(env, ip, ip.peer, i, 1, b"%d" % i)


def on_wire(env, ip):
    kind = 8 if ip.version == 4 else 128
    p = env.net.wait(lambda p: p.kind == "icmp" and p.type == kind and
                     p.dst == ip.silent)
    check(p, "no request on the host's network")
    return p


def from_wire(env, ip, src, dst, msg, **kw):
    env.net.send(frames.eth(env.host_mac, env.net.mac, ip.ethertype,
                            frames.ip(src, dst, proto(ip), msg, **kw)))


@test("hop limit of request and reply show through")
def ttl(env, ip):
    ident = env.next_port()
    for hops in (64, 3, 255):
        ping(env, ip, ip.silent, ident, hops, b"x", ttl=hops)
        p = on_wire(env, ip)
        equal(p.ttl, hops, "hop limit on the network")
        from_wire(env, ip, ip.silent, p.src,
                  frames.echo(ip.silent, p.src, p.ident, p.echo_seq, b"x", reply=True),
                  ttl=41)
        q = pong(env, ip, ip.silent, ident, hops, b"x")
        equal(q.ttl, 41, "hop limit of the reply")


@test("a host that does not answer: silence")
def silent(env, ip):
    ping(env, ip, ip.silent, env.next_port(), 1, b"x")
    on_wire(env, ip)
    no_reply(env, ip)


@test("a reply of somebody else never has the name of who was asked")
def forged(env, ip):
    ident = env.next_port()
    ping(env, ip, ip.silent, ident, 1, b"x")
    p = on_wire(env, ip)
    other = "203.0.113.66" if ip.version == 4 else "2001:db8:2::66"
    from_wire(env, ip, other, p.src,
              frames.echo(other, p.src, p.ident, 1, b"forged", reply=True))
    from_wire(env, ip, ip.silent, p.src,
              frames.echo(ip.silent, p.src, p.ident, 1, b"x", reply=True))
    q = env.guest.wait(is_reply(ip, ident))
    if q and q.data == b"forged":
        equal(q.src, other, "source")
        q = env.guest.wait(is_reply(ip, ident))
    check(q, "no reply")
    equal((q.src, q.data), (ip.silent, b"x"), "reply")


@test("errors of the network about an echo request come back, quoting it")
def errors(env, ip):
    router = "203.0.113.200" if ip.version == 4 else "2001:db8:2::200"
    for kind, code in (((11, 0), (3, 1), (3, 13)) if ip.version == 4 else
                       ((3, 0), (1, 3), (1, 1))):
        ident = env.next_port()
        ping(env, ip, ip.silent, ident, 9, b"trace", ttl=1)
        sent = on_wire(env, ip)
        from_wire(env, ip, router, sent.src, frames.icmp(
            router, sent.src, kind, code, bytes(4) + sent.raw[14:]))
        p = env.guest.wait(lambda p: p.kind == "icmp" and p.type == kind)
        check(p, "no error")
        equal((p.code, p.src, p.dst), (code, router, ip.guest), "code, offender")
        if ip.version == 4:
            equal(frames.csum(p.data[:20]), 0, "checksum of the quoted header")
            equal((frames.ntop(p.data[12:16]), frames.ntop(p.data[16:20])),
                  (ip.guest, ip.silent), "quoted addresses")
        else:
            equal((frames.ntop(p.data[8:24]), frames.ntop(p.data[24:40])),
                  (ip.guest, ip.silent), "quoted addresses")
        q = p.data[ip.hdrlen:]
        equal(q[0], 8 if ip.version == 4 else 128, "quoted type")
        equal(struct.unpack_from("!HH", q, 4), (ident, 9), "quoted identifier, sequence")


@test("no route: unreachable")
def no_route(env, ip):
    ident = env.next_port()
    ping(env, ip, ip.denied, ident, 1, b"x")
    p = env.guest.wait(lambda p: p.kind == "icmp")
    check(p, "no ICMP error")
    equal(p.type, 3 if ip.version == 4 else 1, "type")
    equal(struct.unpack_from("!HH", p.data, ip.hdrlen + 4), (ident, 1), "quoted")


@test("a wrong checksum is dropped")
def bad_checksum(env, ip):
    env.send_ip(ip.guest, ip.peer, proto(ip), frames.echo(
        ip.guest, ip.peer, env.next_port(), 1, b"x", checksum=0x1234))
    no_reply(env, ip)


@test("other kinds of messages are dropped")
def other_kinds(env, ip):
    for kind in range(256):
        if kind == (8 if ip.version == 4 else 128):
            continue
        env.send_ip(ip.guest, ip.peer, proto(ip), frames.icmp(
            ip.guest, ip.peer, kind, 0, bytes(28)))
    for code in (1, 255):
        env.send_ip(ip.guest, ip.peer, proto(ip), frames.icmp(
            ip.guest, ip.peer, 8 if ip.version == 4 else 128, code, bytes(28)))
    no_reply(env, ip)


@test("echo of the other family's protocol number is dropped")
def wrong_family(env, ip):
    other = ICMP6 if ip.version == 4 else ICMP4
    env.send_ip(ip.guest, ip.peer, other,
                frames.echo(ip.guest, ip.peer, 1, 1, b"x"))
    no_reply(env, ip)


@test("broadcast, multicast, loopback and impossible destinations are not answered")
def odd_destinations(env, ip):
    for dst in (("255.255.255.255", "198.51.100.255", "224.0.0.1", "0.0.0.0",
                 "127.0.0.1") if ip.version == 4 else ("ff02::1", "ff05::2", "::", "::1")):
        ping(env, ip, dst, env.next_port(), 1, b"x")
    no_reply(env, ip)


@test("requests of an unspecified or multicast source are not answered")
def odd_sources(env, ip):
    for src in (("0.0.0.0", "224.0.0.1", "255.255.255.255") if ip.version == 4 else
                ("::", "ff02::1")):
        env.send_ip(src, ip.peer, proto(ip), frames.echo(src, ip.peer, 5, 1, b"x"))
    no_reply(env, ip)


@test("flows for 300 identifiers do not run out of sockets for others")
def sockets(env, ip):
    for _ in range(3):
        env.guest.send_many([env.ip_frame(ip.guest, ip.peer, proto(ip), frames.echo(
            ip.guest, ip.peer, env.next_port(), 1, b"x")) for _ in range(100)])
        env.barrier()
    srv = env.listen(ip)
    env.conn(ip, srv.getsockname()[1]).open(srv)


main()
