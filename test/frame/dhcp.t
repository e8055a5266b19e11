#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP and BOOTP: what a client without an address sends, and what comes back"""

import struct

import frames
from frames import BROADCAST, ETH_IP4, UDP, pton
from harness import GUEST_MAC, IP4, OUR_MAC, check, equal, main, test

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
MASK, ROUTER, MTU, ADDR, LEASE, TYPE, SERVER, LIST, CLIENT_ID, RAPID = \
    1, 3, 26, 50, 51, 53, 54, 55, 61, 80
COOKIE = bytes.fromhex("63825363")
ALL = "255.255.255.255"
XID = 0x3903f326


def opt(code, data=b""):
    return struct.pack("!BB", code, len(data)) + data


def message(kind=None, opts=b"", ciaddr="0.0.0.0", flags=0, xid=XID, op=1, hlen=6,
            giaddr="0.0.0.0", cookie=COOKIE):
    fixed = struct.pack("!BBBBIHH4s4s4s4s16s192x", op, 1, hlen, 0, xid, 0, flags,
                        pton(ciaddr), bytes(4), bytes(4), pton(giaddr), GUEST_MAC)
    if kind is not None:
        opts = opt(TYPE, bytes([kind])) + opts
    return fixed + cookie + opts + b"\xff"


def frame(data, src="0.0.0.0", dst=ALL):
    return frames.eth(BROADCAST if dst == ALL else OUR_MAC, GUEST_MAC, ETH_IP4,
                      frames.ip4(src, dst, UDP, frames.udp(src, dst, 68, 67, data)))


def send(env, data, **kw):
    env.guest.send(frame(data, **kw))


def is_reply(p):
    return p.kind == "udp" and p.dport == 68


def parse(p):
    """Fields of a reply as attributes of the packet, options in p.opts"""
    equal((p.sport, p.src, p.eth_src), (67, IP4.gw, OUR_MAC), "it comes from")
    check(len(p.data) >= 300, f"{len(p.data)} bytes")
    op, htype, hlen, _, xid = struct.unpack_from("!BBBBI", p.data)
    equal((op, htype, hlen, xid, p.data[28:34]), (2, 1, 6, XID, GUEST_MAC), "header")
    p.ciaddr, p.yiaddr = (frames.ntop(p.data[i:i + 4]) for i in (12, 16))
    equal(p.data[236:240], COOKIE, "cookie")
    p.opts, at = {}, 240
    while p.data[at] != 255:
        size = p.data[at + 1]
        p.opts[p.data[at]] = p.data[at + 2:at + 2 + size]
        at += 2 + size
    return p


def answer(env, kind, dst=IP4.guest):
    p = env.guest.wait(is_reply)
    check(p, f"no answer of type {kind}")
    parse(p)
    equal((p.dst, p.eth_dst), (dst, BROADCAST if dst == ALL else GUEST_MAC), "goes to")
    if kind is not None:
        equal(p.data[240], TYPE, "first option")
        equal(p.opts[TYPE][0], kind, "type")
    return p


def no_answer(env):
    env.barrier()
    p = env.guest.find(is_reply)
    check(not p, f"answered: {p}")


def lease(env, p):
    equal(p.yiaddr, IP4.guest, "address")
    equal(p.opts[MASK], pton("255.255.255.0"), "mask")
    equal(p.opts[ROUTER], pton(IP4.gw), "router")
    equal(p.opts[SERVER], pton(IP4.gw), "server")
    equal(p.opts[MTU], struct.pack("!H", env.mtu), "MTU")
    check(LEASE in p.opts, "no lease")


def select(env, **kw):
    send(env, message(REQUEST, opt(ADDR, pton(IP4.guest)) + opt(SERVER, pton(IP4.gw)),
                      **kw))


@test("DISCOVER, OFFER, REQUEST, ACK", ip=())
def dora(env):
    send(env, message(DISCOVER))
    lease(env, answer(env, OFFER))
    select(env)
    lease(env, answer(env, ACK))


@test("many requests at once are all answered", ip=())
def many(env):
    env.guest.send_many([frame(message(DISCOVER))] * 20)
    for _ in range(20):
        lease(env, answer(env, OFFER))


@test("the broadcast flag is honoured", ip=())
def broadcast(env):
    send(env, message(DISCOVER, flags=0x8000))
    lease(env, answer(env, OFFER, dst=ALL))
    select(env, flags=0x8000)
    lease(env, answer(env, ACK, dst=ALL))


@test("rapid commit: an ACK at once", ip=())
def rapid_commit(env):
    send(env, message(DISCOVER, opt(RAPID)))
    p = answer(env, ACK)
    lease(env, p)
    equal(p.opts.get(RAPID), b"", "rapid commit")


@test("renewal, to us and to all", ip=())
def renew(env):
    for dst in (IP4.gw, ALL):
        send(env, message(REQUEST, ciaddr=IP4.guest), src=IP4.guest, dst=dst)
        p = answer(env, ACK)
        lease(env, p)
        equal(p.ciaddr, IP4.guest, "ciaddr")


@test("a renewal is answered whatever address it comes from", ip=())
def renew_elsewhere(env):
    for src in ("0.0.0.0", "198.51.100.88", "169.254.7.7"):
        send(env, message(REQUEST, ciaddr=IP4.guest), src=src)
        lease(env, answer(env, ACK))


@test("a request for another address: NAK", ip=())
def nak(env):
    for opts, ciaddr in ((opt(ADDR, pton("198.51.100.99")), "0.0.0.0"),
                         (b"", "10.0.0.99")):
        send(env, message(REQUEST, opts, ciaddr=ciaddr))
        p = answer(env, NAK, dst=ALL)
        equal((p.yiaddr, p.ciaddr), ("0.0.0.0", "0.0.0.0"), "addresses")
        check(LEASE not in p.opts, "lease in a NAK")


@test("INFORM: everything but an address and a lease", ip=())
def inform(env):
    send(env, message(INFORM, ciaddr=IP4.guest), src=IP4.guest, dst=IP4.gw)
    p = answer(env, ACK)
    equal((p.yiaddr, p.ciaddr), ("0.0.0.0", IP4.guest), "addresses")
    check(LEASE not in p.opts, "lease")
    equal(p.opts[ROUTER], pton(IP4.gw), "router")


@test("BOOTP: an address, without a lease", ip=())
def bootp(env):
    for data in (message() + bytes(59), message()[:236], message(cookie=bytes(4))):
        send(env, data)
        p = answer(env, None)
        equal(p.yiaddr, IP4.guest, "address")
        equal(len(p.data), 300, "length")
        check(TYPE not in p.opts and LEASE not in p.opts, "DHCP")


@test("what is malformed, or for somebody else, is dropped", ip=())
def malformed(env):
    good = message(DISCOVER)
    for data in (b"", good[:1], good[:235], message(DISCOVER, op=2), message(0),
                 message(OFFER), message(ACK), message(200), message(DECLINE),
                 message(RELEASE), message(DISCOVER, hlen=16),
                 message(DISCOVER, giaddr=IP4.gw), message(REQUEST),
                 message(DISCOVER, opt(TYPE, b"\1")), message(DISCOVER, opt(ADDR, b"x")),
                 good[:-1] + b"\x37\xc8\1", good[:-1] + b"\x37",
                 message(DISCOVER, opt(52, b"\0")),
                 message(REQUEST, opt(ADDR, pton(IP4.guest))
                         + opt(SERVER, pton("198.51.100.77")))):
        send(env, data)
    no_answer(env)
    send(env, good)
    lease(env, answer(env, OFFER))


@test("a message in fragments is answered", ip=())
def fragmented(env):
    dgram = frames.udp(IP4.guest, IP4.gw, 68, 67,
                       message(INFORM, opt(LIST, bytes(range(1, 200))), ciaddr=IP4.guest))
    for raw in frames.fragments(IP4.guest, IP4.gw, UDP, dgram, 200, 77):
        env.guest.send(frames.eth(OUR_MAC, GUEST_MAC, ETH_IP4, raw))
    answer(env, ACK)


@test("--no-dhcp: nothing is answered", ip=(), only=("stream",))
def off(env):
    d = env.spawn("--no-dhcp")
    env.stack.callback(d.stop)
    d.link.send(frame(message(DISCOVER)))
    env.barrier(d.link)
    check(not d.link.find(is_reply), "answered")


@test("-m 0: no MTU; -a and -n are what is handed out", ip=(), only=("stream",))
def options(env):
    d = env.spawn("-m", "0", "-a", "10.9.8.7", "-n", "20", "-g", "10.9.0.1")
    env.stack.callback(d.stop)
    d.link.send(frame(message(DISCOVER)))
    p = d.link.wait(is_reply)
    check(p, "no answer")
    equal((p.src, p.dst), ("10.9.0.1", "10.9.8.7"), "addresses")
    equal(p.data[16:20], pton("10.9.8.7"), "yiaddr")
    check(opt(MASK, pton("255.255.240.0")) in p.data, "mask")
    check(struct.pack("!BB", MTU, 2) not in p.data[240:], "MTU")


main()
