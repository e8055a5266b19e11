#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
ARP and NDP: who owns an address on the link, and what the router says; which addresses
the daemon takes for the guest's
"""

import socket
import struct

import frames
from frames import BROADCAST, ETH_ARP, ETH_IP6, ICMP6, SYN, UDP, pton
from harness import (GUEST_MAC, IP4, IP6, OUR_LL, OUR_MAC, Daemon, check, equal, main,
                     test)

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
    p = env.guest.find(lambda p: p.kind == "arp" and p.op == 2)
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


# --- which addresses are the guest's ------------------------------------------------------

PORT = 9002			# forwarded
STRAY = {4: "10.89.0.5", 6: "fd00:89::5"}
SECOND = {4: "198.51.100.66", 6: "2001:db8:1::66"}


def own(env, *args, announce=True):
    """A daemon for one test, with a forwarded port"""
    args = ["-t", str(PORT), *args, *(["--no-splice"] if env.is_tun else [])]
    d = env.spawn(*args) if announce else Daemon(env.backend, *env.args, *args)
    env.stack.callback(d.stop)
    shared, env.guest = env.guest, d.link
    env.stack.callback(lambda: setattr(env, "guest", shared))


def dialled(env, ip):
    """A peer dials the port -> the SYN that the guest gets"""
    s = env.stack.enter_context(socket.socket(ip.af, socket.SOCK_STREAM))
    s.bind((ip.peer2, 0))
    s.connect((ip.peer, PORT))
    port = s.getsockname()[1]
    p = env.guest.wait(lambda p: p.kind == "tcp" and p.flags & SYN and p.sport == port)
    check(p, "no SYN")
    return p


def goes_to(env, ip, addr, mac=GUEST_MAC):
    p = dialled(env, ip)
    equal((p.dst, p.eth_dst), (addr, mac), "a connection goes to")


def datagram(env, ip, src, mac=GUEST_MAC, dport=9):
    """From the guest's link, to a peer"""
    env.guest.send(frames.eth(OUR_MAC, mac, ip.ethertype, frames.ip(
        src, ip.peer, UDP, frames.udp(src, ip.peer, 7777, dport, b"x"))))


def speaks(env, ip, src, mac=GUEST_MAC):
    """A datagram from an address: looked at, once it is told that nobody listens"""
    datagram(env, ip, src, mac)
    p = env.guest.wait(lambda p: p.kind == "icmp" and p.type in (1, 3) and p.dst == src, 30)
    check(p, f"a datagram from {src} is lost")
    equal(p.eth_dst, mac, "the error goes to")


def asked_for(addr):
    def match(p):
        if p.kind == "arp":
            return p.op == 1 and p.tpa == addr
        return p.kind == "icmp" and p.type == 135 and p.data[:16] == pton(addr)
    return match


def owns(env, ip, addr, mac=GUEST_MAC):
    """The answer to a request for an address"""
    if ip is IP4:
        raw = frames.eth(OUR_MAC, mac, ETH_ARP, frames.arp(2, mac, addr, OUR_MAC, IP4.gw))
    else:
        body = struct.pack("!I", 0x60000000) + pton(addr) + struct.pack("!BB", TLLA, 1) + mac
        raw = frames.eth(OUR_MAC, mac, ETH_IP6, frames.ip6(
            addr, OUR_LL, ICMP6, frames.icmp(addr, OUR_LL, 136, 0, body), ttl=255))
    env.guest.send(raw)


@test("a stray source does not move the guest: its address is asked for, and answers")
def stray(env, ip):
    own(env)
    for src in (STRAY[ip.version], SECOND[ip.version]):
        speaks(env, ip, src)
        goes_to(env, ip, ip.guest)
        if src == STRAY[ip.version]:
            check(env.guest.wait(asked_for(ip.guest)), "no request for the address")
        owns(env, ip, ip.guest)
    env.barrier(pause=0.1)
    check(not env.guest.find(asked_for(ip.guest)), "asked again")
    goes_to(env, ip, ip.guest)


@test("a second address talks to the outside, answers go to it")
def second_address(env, ip):
    own(env)
    s = env.udp_peer(ip)
    for src in (STRAY[ip.version], SECOND[ip.version]):
        datagram(env, ip, src, dport=s.getsockname()[1])
        data, peer = s.recvfrom(9)
        s.sendto(data, peer)
        p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == 7777)
        check(p, "no answer")
        equal((p.dst, p.eth_dst), (src, GUEST_MAC), "it goes to")
    goes_to(env, ip, ip.guest)


@test("another machine behind the link gets its answers, connections go to the guest")
def second_machine(env, ip):
    own(env)
    s, src = env.udp_peer(ip), SECOND[ip.version]
    owns(env, ip, src, OTHER_MAC)
    datagram(env, ip, src, OTHER_MAC, dport=s.getsockname()[1])
    goes_to(env, ip, ip.guest)
    data, peer = s.recvfrom(9)
    s.sendto(data, peer)
    p = env.guest.wait(lambda p: p.kind == "udp" and p.dport == 7777)
    check(p, "no answer")
    equal((p.dst, p.eth_dst), (src, OTHER_MAC), "it goes to")
    if ip is IP4:
        ask(env, src)
        no_arp_answer(env)
    else:
        solicit(env, src)
        no_advert(env)


@test("a guest that has left its address: after three requests another one is known",
      only=("stream", "tun"))
def moved(env, ip):
    own(env)
    speaks(env, ip, SECOND[ip.version], OTHER_MAC)
    for i in range(3):
        check(env.guest.wait(asked_for(ip.guest)), f"request {i + 1} is missing")
    goes_to(env, ip, ip.guest)
    env.guest.wait(lambda p: False, 1.2)	# no barrier: that is a frame of the guest
    goes_to(env, ip, SECOND[ip.version], OTHER_MAC)
    speaks(env, ip, ip.guest)
    goes_to(env, ip, ip.guest)


@test("the answer to a request tells the MAC address")
def new_mac(env, ip):
    own(env)
    speaks(env, ip, STRAY[ip.version])
    check(env.guest.wait(asked_for(ip.guest)), "no request for the address")
    owns(env, ip, ip.guest, OTHER_MAC)
    goes_to(env, ip, ip.guest, OTHER_MAC)


@test("a guest with another address than the assigned one is known by its first packet")
def static_address(env, ip):
    own(env, announce=False)
    speaks(env, ip, SECOND[ip.version])
    goes_to(env, ip, SECOND[ip.version])


@test("temporary addresses don't replace the first one of the prefix", ip=(IP6,))
def temporary(env, ip):
    own(env, announce=False)
    stable = "2001:db8:1:0:5054:ff:fe12:3456"
    ask(env, IP4.gw)
    arp_answer(env, IP4.gw)
    solicit(env, stable, src="::")
    for i in range(3):
        temp = f"2001:db8:1::{i + 0x1000:x}"
        solicit(env, temp, src="::")
        speaks(env, ip, temp)
    owns(env, ip, stable)
    goes_to(env, ip, stable)


main()
