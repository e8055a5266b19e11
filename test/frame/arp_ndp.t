#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ARP and NDP: who owns an address on the link, and what the router says"""

import struct

import frames
from frames import BROADCAST, ETH_ARP, ETH_IP6, ICMP6, pton
from harness import (GUEST_MAC, IP4, IP6, OUR_LL, OUR_MAC, check, equal, main, test)

GUEST_LL = "fe80::5054:ff:fe12:3456"
OTHER_MAC = bytes.fromhex("5254000000aa")
SLLA, TLLA, PREFIX, MTU, RDNSS, DNSSL = 1, 2, 3, 5, 25, 31


def ask(env, tpa, spa=IP4.guest, sha=GUEST_MAC, op=1, dst=BROADCAST):
    env.guest.send(frames.eth(dst, sha, ETH_ARP,
                              frames.arp(op, sha, spa, bytes(6), tpa)))


def arp_answer(env, tpa, sha=GUEST_MAC, spa=IP4.guest):
    p = env.guest.wait(lambda p: p.kind == "arp")
    check(p, f"no answer for {tpa}")
    equal((p.op, p.spa, p.sha), (2, tpa, OUR_MAC), "reply")
    equal((p.tha, p.tpa, p.eth_dst, p.eth_src), (sha, spa, sha, OUR_MAC), "it goes to")


def no_arp_answer(env):
    env.barrier()
    p = env.guest.find(lambda p: p.kind == "arp")
    check(not p, f"answered: {p}")


@test("a request for the gateway is answered", ip=())
def arp_gateway(env):
    ask(env, IP4.gw)
    arp_answer(env, IP4.gw)


@test("a request for any other address on the link is answered", ip=())
def arp_other(env):
    for a in ("198.51.100.77", "203.0.113.9", "192.0.2.3"):
        ask(env, a)
        arp_answer(env, a)


@test("a unicast request is answered", ip=())
def arp_unicast(env):
    ask(env, IP4.gw, dst=OUR_MAC)
    arp_answer(env, IP4.gw)


@test("a request from another MAC address is answered to that one", ip=())
def arp_other_mac(env):
    ask(env, IP4.gw, sha=OTHER_MAC)
    arp_answer(env, IP4.gw, sha=OTHER_MAC)
    ask(env, IP4.gw)
    arp_answer(env, IP4.gw)


@test("a request for the guest's own address is not answered", ip=())
def arp_own(env):
    ask(env, IP4.guest)
    no_arp_answer(env)
    ask(env, IP4.guest, spa="198.51.100.200")
    no_arp_answer(env)


@test("an announcement of any address is not answered", ip=())
def arp_announcement(env):
    for a in (IP4.guest, "198.51.100.88"):
        ask(env, a, spa=a)
        no_arp_answer(env)


@test("a probe is answered for the gateway, and for no other address", ip=())
def arp_probe(env):
    ask(env, IP4.gw, spa="0.0.0.0")
    arp_answer(env, IP4.gw, spa="0.0.0.0")
    for a in (IP4.guest, "198.51.100.88"):
        ask(env, a, spa="0.0.0.0")
        no_arp_answer(env)


@test("requests for what is nobody's are not answered", ip=())
def arp_nobody(env):
    for a in ("0.0.0.0", "255.255.255.255", "198.51.100.255", "127.0.0.1",
              "224.0.0.1"):
        ask(env, a)
    no_arp_answer(env)


@test("replies, and messages of other kinds, are not answered", ip=())
def arp_not_requests(env):
    for op in (0, 2, 3, 8, 256):
        ask(env, IP4.gw, op=op)
    good = frames.arp(1, GUEST_MAC, IP4.guest, bytes(6), IP4.gw)
    for at, value in ((0, 6), (2, 0x86dd), (4, 0x0604 + 1), (4, 0x0804)):
        env.guest.send(frames.eth(BROADCAST, GUEST_MAC, ETH_ARP,
                                  frames.put16(good, at, value)))
    no_arp_answer(env)


# --- NDP ----------------------------------------------------------------------------------

def solicit(env, target, src=IP6.guest, ttl=255, dst=None, opts=None, code=0, tail=b""):
    dst = dst or frames.solicited_node(target)
    if opts is None:
        opts = b"" if src == "::" else struct.pack("!BB", SLLA, 1) + GUEST_MAC
    body = bytes(4) + pton(target) + opts + tail
    env.guest.send(frames.eth(
        frames.mcast_mac(dst) if dst.startswith("ff") else OUR_MAC, GUEST_MAC, ETH_IP6,
        frames.ip6(src, dst, ICMP6, frames.icmp(src, dst, 135, code, body), ttl=ttl)))


def is_na(p):
    return p.kind == "icmp" and p.type == 136


def advert(env, target, src=IP6.guest, router=None):
    p = env.guest.wait(is_na)
    check(p, f"no advertisement of {target}")
    equal((p.ttl, p.code, p.src), (255, 0, target), "hop limit, code, source")
    equal(p.data[:16], pton(target), "target")
    equal(p.data[16:], struct.pack("!BB", TLLA, 1) + OUR_MAC, "options")
    flags = p.word >> 29
    if src == "::":
        equal((p.dst, p.eth_dst), ("ff02::1", frames.mcast_mac("ff02::1")), "goes to")
        check(not flags & 2, "solicited, though to all")
    else:
        equal((p.dst, p.eth_dst), (src, GUEST_MAC), "goes to")
        check(flags & 2, "not solicited")
    if router is not None:
        equal(bool(flags & 4), router, "router flag")


def no_advert(env):
    env.barrier()
    p = env.guest.find(is_na)
    check(not p, f"answered: {p}")


@test("a solicitation for the gateway is answered by a router", ip=())
def ns_gateway(env):
    solicit(env, IP6.gw)
    advert(env, IP6.gw, router=True)


@test("a solicitation for our link-local address is answered", ip=())
def ns_ll(env):
    solicit(env, OUR_LL)
    advert(env, OUR_LL, router=True)
    solicit(env, OUR_LL, src=GUEST_LL)
    advert(env, OUR_LL, src=GUEST_LL, router=True)


@test("a solicitation for any other address is answered, not as a router", ip=())
def ns_other(env):
    for a in ("2001:db8:1::77", "2001:db8:9::1", "fe80::77"):
        solicit(env, a)
        advert(env, a, router=False)


@test("a unicast solicitation without options is answered", ip=())
def ns_unicast(env):
    solicit(env, IP6.gw, dst=IP6.gw, opts=b"")
    advert(env, IP6.gw)


@test("a solicitation for the guest's own address is not answered", ip=())
def ns_own(env):
    solicit(env, IP6.guest, src=GUEST_LL)
    solicit(env, GUEST_LL, src=GUEST_LL)
    no_advert(env)


@test("detection of duplicates: an answer for our addresses, to all nodes", ip=())
def dad_ours(env):
    for a in (IP6.gw, OUR_LL):
        solicit(env, a, src="::")
        advert(env, a, src="::")


@test("detection of duplicates: no answer for any other address", ip=())
def dad_others(env):
    for a in (IP6.guest, GUEST_LL, "2001:db8:1::42", "fe80::42"):
        solicit(env, a, src="::")
    no_advert(env)


@test("solicitations that RFC 4861, 7.1.1 calls invalid are not answered", ip=())
def ns_invalid(env):
    slla = struct.pack("!BB", SLLA, 1) + GUEST_MAC
    solicit(env, IP6.gw, ttl=254)
    solicit(env, IP6.gw, code=1)
    solicit(env, "ff02::1", dst="ff02::1")
    solicit(env, IP6.gw, src="::", dst=IP6.gw)
    solicit(env, IP6.gw, src="::", opts=slla)
    solicit(env, IP6.gw, opts=struct.pack("!BB", SLLA, 0) + GUEST_MAC)
    solicit(env, IP6.gw, opts=struct.pack("!BB", SLLA, 2) + GUEST_MAC)
    solicit(env, IP6.gw, opts=b"\x01")
    body = bytes(4) + pton(IP6.gw)[:12]
    dst = frames.solicited_node(IP6.gw)
    env.send_ip(IP6.guest, dst, ICMP6,
                frames.icmp(IP6.guest, dst, 135, 0, body), ttl=255)
    body = bytes(4) + pton(IP6.gw)
    env.send_ip(IP6.guest, dst, ICMP6,
                frames.icmp(IP6.guest, dst, 135, 0, body, checksum=0x1234), ttl=255)
    no_advert(env)


@test("options of unknown kinds are skipped", ip=())
def ns_unknown_option(env):
    solicit(env, IP6.gw, opts=struct.pack("!BB6x", 200, 1)
            + struct.pack("!BB", SLLA, 1) + GUEST_MAC)
    advert(env, IP6.gw)


def router_solicit(env, src, opts=b"", ttl=255, code=0):
    dst = "ff02::2"
    env.guest.send(frames.eth(frames.mcast_mac(dst), GUEST_MAC, ETH_IP6, frames.ip6(
        src, dst, ICMP6, frames.icmp(src, dst, 133, code, bytes(4) + opts), ttl=ttl)))


def is_ra(p):
    return p.kind == "icmp" and p.type == 134


def options(data):
    out = {}
    while data:
        size = data[1] * 8
        check(size and size <= len(data), "option of length zero, or too long")
        out[data[0]] = data[:size]
        data = data[size:]
    return out


@test("a router solicitation is answered: lifetime, prefix, MTU, address", ip=())
def rs(env):
    env.guest.wants_ra = True
    for src, to in ((GUEST_LL, GUEST_LL), ("::", "ff02::1"), (IP6.guest, IP6.guest)):
        router_solicit(env, src)
        p = env.guest.wait(lambda p, to=to: is_ra(p) and p.dst == to)
        check(p, "no advertisement")
        equal((p.ttl, p.code, p.src, p.dst), (255, 0, OUR_LL, to), "headers")
        hop_limit, flags, lifetime, _, _ = struct.unpack_from(
            "!BBHII", p.l4[4:])
        check(hop_limit in (0, 64), "hop limit")
        equal(flags, 0xc0, "flags: DHCPv6 has address and information")
        check(lifetime > 0, "not a default router")
        o = options(p.l4[16:])
        equal(o[SLLA][2:], OUR_MAC, "source link-layer address")
        equal(struct.unpack_from("!I", o[MTU], 4)[0], env.mtu, "MTU")
        plen, pflags, valid, preferred = struct.unpack_from("!BBII", o[PREFIX], 2)
        equal((plen, pflags & 0xc0), (64, 0xc0), "prefix: length, on-link and autonomous")
        equal(o[PREFIX][16:], pton("2001:db8:1::"), "prefix")
        equal((valid, preferred), (0xffffffff, 0xffffffff), "lifetimes")


@test("router solicitations that are invalid are not answered", ip=())
def rs_invalid(env):
    router_solicit(env, GUEST_LL, ttl=64)
    router_solicit(env, GUEST_LL, code=7)
    router_solicit(env, "::", opts=struct.pack("!BB", SLLA, 1) + GUEST_MAC)
    router_solicit(env, GUEST_LL, opts=struct.pack("!BB6x", 200, 0))
    env.barrier()
    check(not env.guest.find(is_ra), "answered")


def new_guest(env, mac):
    """A frame of another guest -> the advertisement that it gets, or None"""
    ask(env, IP4.gw, sha=mac)
    return env.guest.wait(is_ra, 20)


@test("a guest that appears is told about the router, but not too often", ip=())
def ra_unsolicited(env):
    d = env.spawn()
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))
    env.guest.wants_ra = True
    p = new_guest(env, bytes.fromhex("525400000001"))
    check(p, "no advertisement")
    equal((p.src, p.dst, p.eth_dst, p.ttl),
          (OUR_LL, "ff02::1", frames.mcast_mac("ff02::1"), 255), "to all nodes")
    for i in range(2, 5):
        ask(env, IP4.gw, sha=bytes.fromhex("5254000000") + bytes([i]))
    q = env.guest.wait(is_ra, 20)
    check(q, "no advertisement for others")
    took = q.at - p.after
    check(took > 2, f"after {took:.1f} s already: RFC 4861, 6.2.6")
    env.barrier(pause=0.2)
    check(not env.guest.find(is_ra), "another")


@test("--no-ra: no advertisement, asked or unasked; still a neighbour", ip=())
def no_ra(env):
    d = env.spawn("--no-ra")
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))
    env.guest.wants_ra = True
    router_solicit(env, GUEST_LL)
    solicit(env, IP6.gw)
    advert(env, IP6.gw)
    env.barrier(pause=0.2)
    check(not env.guest.find(is_ra), "answered")


@test("name servers and search list are advertised", ip=())
def ra_dns(env):
    dns = ("2001:db8:2::53", "2001:db8:2::54")
    args = ["--dhcp-dns", "--dhcp-search"] if env.is_tun else []
    d = env.spawn(*args, *(x for a in dns for x in ("-D", a)), "-S", "example.com b.example")
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))
    router_solicit(env, GUEST_LL)
    p = env.guest.wait(is_ra)
    check(p, "no advertisement")
    o = options(p.l4[16:])
    equal(o[RDNSS][8:], b"".join(pton(a) for a in dns), "servers")
    equal(o[DNSSL][8:].rstrip(b"\0"), b"\7example\3com\0\1b\7example", "names")
    for k in (RDNSS, DNSSL):
        check(struct.unpack_from("!I", o[k], 4)[0] >= 21845, "lifetime")


@test("advertisements of the guest are not answered", ip=())
def na_from_guest(env):
    for kind in (134, 136, 137):
        body = struct.pack("!I", 0x60000000) + pton(IP6.guest)
        env.send_ip(IP6.guest, OUR_LL, ICMP6,
                    frames.icmp(IP6.guest, OUR_LL, kind, 0, body), ttl=255)
    env.barrier()
    check(not env.guest.find(lambda p: p.kind == "icmp"), "answered")


main()
